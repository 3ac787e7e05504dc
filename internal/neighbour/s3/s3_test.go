package s3

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/object/dir"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a server with the face alone.
type house struct {
	face     *Face
	identity *iam.Identity
	objects  *dir.Store
	url      string // http://127.0.0.1:PORT
	seen     chan *gateway.Observation
	admin    iam.AccessKey
}

type options struct {
	open    bool // --auth off
	minPart int64
	change  func(*Config)
}

func open(t testing.TB, o options) *house {
	t.Helper()
	folder := t.TempDir()
	driver, err := sqlite.Open(t.Context(), sqlite.Config{Dir: filepath.Join(folder, "state")})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := store.OpenLocalSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Open(t.Context(), store.Config{Driver: driver, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dir.Open(t.Context(), dir.Config{Dir: filepath.Join(folder, "objects"), MinPart: o.minPart})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Objects: objects, Rows: rows, Decider: identity, Keys: access.Keys{Identity: identity}, Reserved: []string{"healthz", "console"}}
	var auth gateway.Authenticator
	verifier, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: identity}})
	if err != nil {
		t.Fatal(err)
	}
	auth = access.Signatures{Verifier: verifier}
	admin, _ := identity.AdminKey()
	if o.open {
		cred, _ := identity.Credential(admin.ID)
		auth, c.Decider = access.Everybody{Admin: cred.Principal}, nil
	}
	if o.change != nil {
		o.change(&c)
	}
	face, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{face: face, identity: identity, objects: objects, admin: admin, seen: make(chan *gateway.Observation, 1000)}
	handlers, err := neighbour.New(neighbour.Config{Faces: map[string]any{"s3": face}, Authenticator: auth, Observers: []func(*gateway.Observation){func(o *gateway.Observation) {
		select {
		case h.seen <- o:
		default:
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handlers["s3"])
	h.url = srv.URL
	t.Cleanup(func() {
		srv.Close()
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// client returns an SDK client with a key; more changes its options.
func (h *house) client(key iam.AccessKey, region string, more ...func(*s3.Options)) *s3.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // no idle connections for goleak to find
	o := s3.Options{
		Region: region, BaseEndpoint: new(h.url), UsePathStyle: true, RetryMaxAttempts: 1, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported, HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret.Reveal(), ""),
	}
	return s3.New(o, more...)
}

func (h *house) root() *s3.Client { return h.client(h.admin, "us-east-1") }

// bucket makes a bucket of the administrator's.
func (h *house) bucket(t testing.TB, name string) {
	t.Helper()
	if _, err := h.root().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
}

// user makes a user with a policy and returns its key.
func (h *house) user(t testing.TB, name, document string) iam.AccessKey {
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
	return k
}

// answer is what a plain HTTP request got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, "<Code>")
	c, _, _ := strings.Cut(rest, "</Code>")
	return c
}

// send sends a request signed by the administrator, or unsigned.
func (h *house) send(t testing.TB, signed bool, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Close = true
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	if signed {
		hash := r.Header.Get("X-Amz-Content-Sha256")
		if hash == "" {
			hash = sigv4.HashPayload([]byte(body))
		}
		sigv4.Sign(r, sigv4.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: h.admin.Secret.Reveal()}, "us-east-1", "s3", time.Now(), hash)
	}
	return do(t, r)
}

func do(t testing.TB, r *http.Request) answer {
	t.Helper()
	resp, err := (&http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// localNames is a client for which every name is this machine.
func localNames(t testing.TB) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}
	return &http.Client{Transport: transport}
}
