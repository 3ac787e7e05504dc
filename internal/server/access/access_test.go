package access_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// echo answers each chunk of the request stream with the same chunk.
type echo struct{ bedrockruntime.Unimplemented }

func (echo) InvokeModelWithBidirectionalStream(_ context.Context, _ *bedrockruntime.InvokeModelWithBidirectionalStreamInput, r *bedrockruntime.InvokeModelWithBidirectionalStreamReader, w *bedrockruntime.InvokeModelWithBidirectionalStreamWriter) error {
	if err := w.Open(&bedrockruntime.InvokeModelWithBidirectionalStreamOutput{}); err != nil {
		return err
	}
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.Send(&bedrockruntime.InvokeModelWithBidirectionalStreamEvent{Chunk: &bedrockruntime.BidirectionalOutputPayloadPart{Bytes: e.Chunk.Bytes}}); err != nil {
			return err
		}
	}
}

func identityServer(t *testing.T) (*iam.Identity, *httptest.Server) {
	t.Helper()
	identity, err := iam.New(t.Context(), iam.Config{Store: new(iam.MemoryStore)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: identity}})
	if err != nil {
		t.Fatal(err)
	}
	h := gateway.New(gateway.Config{
		Desks:         []gateway.Desk{{Service: &bedrockruntime.Service, API: echo{}}, {Service: &bedrockagent.Service, API: bedrockagent.Unimplemented{}}},
		Authenticator: access.Signatures{Verifier: v}, Authorizer: access.Permissions{Identity: identity},
	})
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return identity, srv
}

func TestEventsGoBothWaysThroughTheGateway(t *testing.T) {
	identity, srv := identityServer(t)
	k, ok := identity.AdminKey()
	if !ok {
		t.Fatal("no key")
	}
	c := sdk.New(sdk.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(srv.URL), HTTPClient: srv.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret.Reveal(), ""),
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := c.InvokeModelWithBidirectionalStream(ctx, &sdk.InvokeModelWithBidirectionalStreamInput{ModelId: aws.String("amazon.nova-sonic-v1:0")})
	if err != nil {
		t.Fatal(err)
	}
	stream := out.GetStream()
	for _, text := range []string{`{"a":1}`, "안녕 🙂"} {
		if err := stream.Send(ctx, &types.InvokeModelWithBidirectionalStreamInputMemberChunk{Value: types.BidirectionalInputPayloadPart{Bytes: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-stream.Events():
			if m, ok := e.(*types.InvokeModelWithBidirectionalStreamOutputMemberChunk); !ok || string(m.Value.Bytes) != text {
				t.Fatalf("sent %q, got %+v (%v)", text, e, stream.Err())
			}
		case <-ctx.Done():
			t.Fatal("no answer")
		}
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
}

// flipped differs from s in one bit of its first byte, whatever that byte is.
func flipped(s string) string { return string(s[0]^1) + s[1:] }

func TestWhoMayCall(t *testing.T) {
	identity, srv := identityServer(t)
	admin, _ := identity.AdminKey()
	if _, err := identity.CreateUser(t.Context(), iam.DefaultAccount, "guest", "/"); err != nil {
		t.Fatal(err)
	}
	guest, err := identity.CreateAccessKey(t.Context(), iam.DefaultAccount, "guest")
	if err != nil {
		t.Fatal(err)
	}
	_, adminToken, err := identity.CreateBearerKey(t.Context(), iam.DefaultAccount, iam.AdminUser, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, guestToken, err := identity.CreateBearerKey(t.Context(), iam.DefaultAccount, "guest", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(id, secret, service string) func(*http.Request, string) {
		return func(r *http.Request, body string) {
			sigv4.Sign(r, sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret}, "us-east-1", service, time.Now(), sigv4.HashPayload([]byte(body)))
		}
	}
	bearer := func(t iam.Secret) func(*http.Request, string) {
		return func(r *http.Request, _ string) { r.Header.Set("Authorization", "Bearer "+t.Reveal()) }
	}
	const converse = "/model/m/converse"
	for _, tc := range []struct {
		name string
		path string
		auth func(*http.Request, string)
		want int
		text string
	}{
		{"the administrator reaches what is not built", converse, sign(admin.ID, admin.Secret.Reveal(), "bedrock"), 501, "Converse"},
		{"a flipped byte of the secret", converse, sign(admin.ID, flipped(admin.Secret.Reveal()), "bedrock"), 403, "signature"},
		{"an unknown key", converse, sign("AKIAIOSFODNN7EXAMPLE", "x", "bedrock"), 403, "security token"},
		{"the scope of another service", converse, sign(admin.ID, admin.Secret.Reveal(), "s3"), 403, "bedrock"},
		{"a user without policies", converse, sign(guest.ID, guest.Secret.Reveal(), "bedrock"), 403, "user/guest is not authorized to perform: bedrock:InvokeModel"},
		{"an API key of the administrator", converse, bearer(adminToken), 501, "Converse"},
		{"an API key of a user without policies", converse, bearer(guestToken), 403, "bedrock:CallWithBearerToken"},
		{"an API key at an agent service", "/agents/", bearer(adminToken), 403, "Signature Version 4"},
		{"no credentials", converse, func(*http.Request, string) {}, 403, "Authentication Token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`
			if tc.path == "/agents/" {
				body = "{}"
			}
			r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+tc.path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			tc.auth(r, body)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.want || !strings.Contains(string(b), tc.text) {
				t.Errorf("got %d %s, want %d with %q", resp.StatusCode, b, tc.want, tc.text)
			}
		})
	}
}
