package access_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Temporary credentials whose time is over are named so, before anything is asked of
// their policies; a key that signs is noted as used, a session is not.
func TestExpiredSessionsAndUsesOfKeys(t *testing.T) {
	now := time.Now().Add(-time.Hour)
	identity, err := iam.New(t.Context(), iam.Config{Store: new(iam.MemoryStore), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: identity}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gateway.New(gateway.Config{
		Desks:         []gateway.Desk{{Service: &bedrock.Service, API: bedrock.Unimplemented{}}},
		Authenticator: access.Signatures{Verifier: v, Used: identity.Used}, Authorizer: access.Permissions{Identity: identity},
	}))
	t.Cleanup(srv.Close)
	admin, _ := identity.AdminKey()
	c, _ := identity.Credential(admin.ID)
	list := func(k sigv4.Credentials) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/foundation-models", nil)
		if err != nil {
			t.Fatal(err)
		}
		sigv4.Sign(r, k, "eu-central-1", "bedrock", time.Now(), "")
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype")
	}
	for life, want := range map[time.Duration]string{15 * time.Minute: "ExpiredTokenException", 2 * time.Hour: "NotImplementedException"} {
		s, err := identity.CreateSession(t.Context(), *c.Principal, life)
		if err != nil {
			t.Fatal(err)
		}
		if code, kind := list(sigv4.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.Secret.Reveal(), SessionToken: s.Token.Reveal()}); kind != want {
			t.Errorf("a session of %v, begun an hour ago: %d %s", life, code, kind)
		}
	}
	if u := identity.LastUse(admin); !u.At.IsZero() {
		t.Errorf("the administrator's key was never used: %+v", u)
	}
	if code, kind := list(sigv4.Credentials{AccessKeyID: admin.ID, SecretAccessKey: flipped(admin.Secret.Reveal())}); code != http.StatusForbidden || kind != "InvalidSignatureException" {
		t.Errorf("another secret: %d %s", code, kind)
	}
	if u := identity.LastUse(admin); !u.At.IsZero() {
		t.Errorf("a wrong signature is a use: %+v", u)
	}
	if code, _ := list(sigv4.Credentials{AccessKeyID: admin.ID, SecretAccessKey: admin.Secret.Reveal()}); code != http.StatusNotImplemented {
		t.Errorf("the administrator: %d", code)
	}
	if u := identity.LastUse(admin); !u.At.Equal(now.UTC().Truncate(time.Second)) || u.Service != "bedrock" || u.Region != "eu-central-1" {
		t.Errorf("last use: %+v", u)
	}
}
