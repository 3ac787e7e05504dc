package neighbour_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// endpoint is another server that checks signatures with keys of its own.
type endpoint struct {
	*httptest.Server

	keys  map[string]sigv4.Key
	hits  atomic.Int64
	last  *http.Request
	body  []byte
	fault error
}

func (e *endpoint) Lookup(_ context.Context, id string) (sigv4.Key, error) {
	k, ok := e.keys[id]
	if !ok {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return k, nil
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{keys: map[string]sigv4.Key{}}
	v, err := sigv4.New(sigv4.Config{Keys: e})
	if err != nil {
		t.Fatal(err)
	}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.hits.Add(1)
		e.last = r
		e.body = nil
		if r.Header.Get("X-Amz-Content-Sha256") != "" {
			res, err := v.Verify(r, sigv4.Payload{Unread: true})
			if err == nil {
				e.body, err = io.ReadAll(res.Body(r.Body))
			}
			e.fault = err
		} else {
			e.body, _ = io.ReadAll(r.Body)
			_, e.fault = v.Verify(r, sigv4.Payload{Bytes: e.body})
		}
		w.Header().Set("X-Answer", "there")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %d", r.Method, len(e.body))
	}))
	t.Cleanup(e.Close)
	return e
}

func handOff(t *testing.T, service, url string) *house {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return open(t, func(c *neighbour.Config) { c.Remote = map[string]string{service: url}; c.Transport = tr })
}

func TestAHandedOffRequestKeepsItsSignature(t *testing.T) {
	e := newEndpoint(t)
	h := handOff(t, "dynamodb", e.URL)
	e.keys[h.admin.AccessKeyID] = sigv4.Key{Secret: h.admin.SecretAccessKey}
	got := h.do(t, h.admin, "dynamodb", "POST", "/a%2Fb//c?x=1&y=%20;z", `{"T":1}`, map[string]string{"X-Amz-Target": "DynamoDB.X"})
	if got.status != http.StatusTeapot || got.body != "POST 7" || got.header.Get("X-Answer") != "there" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if e.fault != nil || string(e.body) != `{"T":1}` || e.last.URL.RequestURI() != "/a%2Fb//c?x=1&y=%20;z" || e.last.Host != strings.TrimPrefix(h.URL, "http://") {
		t.Errorf("%v %s %s %s", e.fault, e.body, e.last.URL.RequestURI(), e.last.Host)
	}
	o := h.observed(t, 1)[0]
	if o.Call.Service != "dynamodb" || o.Status != http.StatusTeapot || o.BytesOut != len("POST 7") || !o.Accepted || o.Call.Account != "123456789012" {
		t.Errorf("%+v", o)
	}
}

func TestStrangersAreNotHandedOn(t *testing.T) {
	e := newEndpoint(t)
	h := handOff(t, "dynamodb", e.URL)
	bad := sigv4.Credentials{AccessKeyID: h.admin.AccessKeyID, SecretAccessKey: "x"}
	if got := h.do(t, bad, "dynamodb", "POST", "/", `{}`, nil); got.status != 403 || !strings.Contains(got.body, "<Code>SignatureDoesNotMatch</Code>") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if e.hits.Load() != 0 {
		t.Error("the request went on")
	}
}

func TestAnEndpointWithItsOwnKeys(t *testing.T) {
	e := newEndpoint(t)
	e.keys["AKIAOTHER"] = sigv4.Key{Secret: "other secret"}
	h := handOff(t, "iam", strings.Replace(e.URL, "http://", "http://AKIAOTHER:other%20secret@", 1))
	got := h.query(t, h.admin, "iam", "ListUsers")
	if got.status != http.StatusTeapot || e.fault != nil || !strings.Contains(string(e.body), "Action=ListUsers") {
		t.Errorf("%d %s %v", got.status, got.body, e.fault)
	}
	if s, _ := sigv4.ScopeOf(e.last); s.Region != "eu-west-3" || s.Service != "iam" || s.AccessKeyID != "AKIAOTHER" {
		t.Errorf("%+v", s)
	}
	// A presigned request loses its parameters and gets a header.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/?Action=GetUser", nil)
	signed := sigv4.Presign(r, h.admin, "us-east-1", "iam", time.Now(), time.Minute, "")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, signed, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTeapot || e.fault != nil || e.last.URL.RawQuery != "Action=GetUser" {
		t.Errorf("%d %v %s %v", res.StatusCode, e.fault, e.last.URL.RawQuery, e.last.Header)
	}
}

func TestUploadsStreamThroughTheHandOff(t *testing.T) {
	e := newEndpoint(t)
	e.keys["AKIAOTHER"] = sigv4.Key{Secret: "x"}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB, over MaxBody of the house
	for name, url := range map[string]string{"same keys": e.URL, "own keys": strings.Replace(e.URL, "http://", "http://AKIAOTHER:x@", 1)} {
		t.Run(name, func(t *testing.T) {
			h := handOff(t, "s3", url)
			e.keys[h.admin.AccessKeyID] = sigv4.Key{Secret: h.admin.SecretAccessKey}
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			c := s3.New(s3.Options{
				BaseEndpoint: &h.URL, Region: "us-west-2", UsePathStyle: true, HTTPClient: &http.Client{Transport: tr}, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(h.admin.AccessKeyID, h.admin.SecretAccessKey, ""),
			})
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("a/b c"), Body: bytes.NewReader(body)})
			if err == nil || !strings.Contains(err.Error(), "StatusCode: 418") {
				t.Error(err)
			}
			if e.fault != nil || !bytes.Equal(e.body, body) {
				t.Errorf("%v, %d bytes", e.fault, len(e.body))
			}
			if s, _ := sigv4.ScopeOf(e.last); s.Region != "us-west-2" {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAChunkedUploadIsSignedAnew(t *testing.T) {
	e := newEndpoint(t)
	e.keys["AKIAOTHER"] = sigv4.Key{Secret: "x"}
	h := handOff(t, "s3", strings.Replace(e.URL, "http://", "http://AKIAOTHER:x@", 1))
	const chunks = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, h.URL+"/b/k", strings.NewReader(chunks))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Decoded-Content-Length", "5")
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	sigv4.Sign(r, h.admin, "us-east-1", "s3", time.Now(), "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	res, err := h.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTeapot || e.fault != nil || string(e.body) != "hello" || e.last.ContentLength != 5 || e.last.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d %v %q %d %v", res.StatusCode, e.fault, e.body, e.last.ContentLength, e.last.Header)
	}
}

func TestAnEndpointThatIsAway(t *testing.T) {
	e := newEndpoint(t)
	e.Close()
	h := handOff(t, "iam", e.URL)
	got := h.query(t, h.admin, "iam", "ListUsers")
	if got.status != 503 || !strings.Contains(got.body, "<Code>ServiceUnavailable</Code>") || !strings.Contains(got.body, "--neighbour iam=URL") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAHandOffDoesNotGoRound(t *testing.T) {
	var to atomic.Pointer[string]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Stands for the name under which the house would reach itself.
		r2 := r.Clone(r.Context())
		r2.RequestURI, r2.URL.Scheme, r2.URL.Host = "", "http", strings.TrimPrefix(*to.Load(), "http://")
		res, err := http.DefaultTransport.RoundTrip(r2)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	defer front.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	h := handOff(t, "iam", front.URL)
	to.Store(&h.URL)
	got := h.query(t, h.admin, "iam", "ListUsers")
	if got.status != 503 || !strings.Contains(got.body, "names this server itself") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := len(h.observed(t, 2)); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// shelf is a small Raw face.
type shelf struct{}

func (shelf) ServeExchange(x *neighbour.Exchange) {
	body, err := x.AuthenticateStream()
	if err != nil {
		x.W.WriteHeader(http.StatusForbidden)
		x.Done(http.StatusForbidden, x.Public(err), 0, 0)
		return
	}
	p := x.Question("s3:PutObject")
	p.Resources = []string{"arn:aws:s3:::" + strings.TrimPrefix(x.R.URL.Path, "/")}
	if err := x.Authorize(p); err != nil {
		x.W.WriteHeader(http.StatusForbidden)
		x.Done(http.StatusForbidden, x.Public(err), 0, 0)
		return
	}
	x.Accepted("PutObject")
	n, err := io.Copy(io.Discard, body)
	status := http.StatusOK
	if err != nil {
		status = http.StatusBadRequest
	}
	x.W.WriteHeader(status)
	x.Done(status, nil, int(n), 0)
}

func TestARawFace(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["s3"] = shelf{} })
	u := h.user(t, "u", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}}`)
	if got := h.do(t, u, "s3", "PUT", "/b/k", "hello", nil); got.status != 200 {
		t.Error(got)
	}
	if got := h.do(t, u, "s3", "PUT", "/c/k", "hello", nil); got.status != 403 {
		t.Error(got)
	}
	seen := h.observed(t, 2)
	if len(seen) != 2 || seen[0].Call.Operation != "PutObject" || seen[0].BytesIn != 5 || !seen[0].Accepted || seen[1].Accepted || seen[1].Error == nil {
		t.Errorf("%+v", seen)
	}
}
