package neighbour_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	iamface "github.com/outcrop-dev/outcrop/internal/neighbour/iam"
	"github.com/outcrop-dev/outcrop/internal/neighbour/sts"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// house is a gateway with neighbours over identities in memory.
type house struct {
	*httptest.Server

	identity *iam.Identity
	admin    sigv4.Credentials

	mu   sync.Mutex
	seen []gateway.Observation
}

func open(t testing.TB, change func(*neighbour.Config)) *house {
	t.Helper()
	h := &house{}
	var err error
	if h.identity, err = iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}}); err != nil {
		t.Fatal(err)
	}
	k, _ := h.identity.AdminKey()
	h.admin = sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()}
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: h.identity}})
	if err != nil {
		t.Fatal(err)
	}
	c := neighbour.Config{
		Faces:         map[string]any{"sts": &sts.Face{Identity: h.identity}, "iam": &iamface.Face{Identity: h.identity}},
		Authenticator: access.Signatures{Verifier: v}, Authorizer: access.Permissions{Identity: h.identity}, MaxBody: 1 << 20,
		Observers: []func(*gateway.Observation){func(o *gateway.Observation) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.seen = append(h.seen, *o)
		}},
	}
	if change != nil {
		change(&c)
	}
	n, err := neighbour.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g := gateway.New(gateway.Config{Authenticator: access.Signatures{Verifier: v}, Neighbours: n})
	h.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		h.Close()
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// observed waits for n observations: they come after the answer.
func (h *house) observed(t testing.TB, n int) []gateway.Observation {
	t.Helper()
	for range 500 {
		h.mu.Lock()
		seen := append([]gateway.Observation(nil), h.seen...)
		h.mu.Unlock()
		if len(seen) >= n {
			return seen
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %d observations", n)
	return nil
}

// user makes a user with an inline policy and returns its key.
func (h *house) user(t testing.TB, name, document string) sigv4.Credentials {
	t.Helper()
	if _, err := h.identity.CreateUser(t.Context(), iam.DefaultAccount, name, "/"); err != nil {
		t.Fatal(err)
	}
	if document != "" {
		if err := h.identity.PutInlinePolicy(t.Context(), iam.Holder{Kind: iam.UserHolder, Account: iam.DefaultAccount, Name: name}, "p", document); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.identity.CreateAccessKey(t.Context(), iam.DefaultAccount, name)
	if err != nil {
		t.Fatal(err)
	}
	return sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()}
}

// reply is an answer read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

func (h *house) do(t testing.TB, c sigv4.Credentials, service, method, path, body string, header map[string]string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if c.AccessKeyID != "" {
		sigv4.Sign(r, c, "eu-west-3", service, time.Now(), sigv4.HashPayload([]byte(body)))
	}
	res, err := h.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// query calls an operation of the query protocol: name, then names and values.
func (h *house) query(t testing.TB, c sigv4.Credentials, service, action string, kv ...string) reply {
	t.Helper()
	v := url.Values{"Action": {action}}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return h.do(t, c, service, http.MethodPost, "/", v.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
}

// environment points an unchanged AWS program at the house.
func (h *house) environment(c sigv4.Credentials) []string {
	return outcroptest.Client(h.URL, c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

func asJSON(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
