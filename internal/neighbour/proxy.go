package neighbour

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// proxy hands a service to another endpoint, --neighbour SERVICE=URL.
//
// The caller is authenticated here: nobody reaches the other endpoint who could
// not sign for this one. What he may do there is that endpoint's to decide, since
// the resources are its own; no permission is asked here.
//
//   - http://HOST:PORT: the request goes on as it came, its Host header too, so
//     that the signature stays good. It fits an endpoint that knows the same keys
//     (another Outcrop, a MinIO with the user's key) or checks none.
//   - https://KEYID:SECRET@HOST: the request is signed anew with these credentials
//     for the same Region and service. It fits an endpoint with keys of its own.
//     A streamed body in aws-chunked form is verified and unwrapped on the way and
//     goes on as UNSIGNED-PAYLOAD, without its trailer.
type proxy struct {
	c       *Config
	service string
	target  *url.URL
	keys    *sigv4.Credentials // nil: signatures are left alone
	reverse *httputil.ReverseProxy
	wire    wire
}

// hop marks handed-on requests, so that two endpoints that name each other refuse
// instead of going round.
const hop = "outcrop-neighbour"

func newProxy(c *Config, service, target string) (*proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the URL cannot be read") // its text may hold a secret
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is not http(s)://[KEYID:SECRET@]HOST[:PORT]", u.Redacted())
	}
	p := &proxy{c: c, service: service, target: &url.URL{Scheme: u.Scheme, Host: u.Host}, wire: xmlWire{}}
	if u.User != nil {
		secret, ok := u.User.Password()
		if !ok || u.User.Username() == "" {
			return nil, fmt.Errorf("%q has no secret beside the key", u.Redacted())
		}
		p.keys = &sigv4.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
	}
	if svc := Tables[service]; svc != nil {
		t, err := newTable(c, svc, nil)
		if err != nil {
			return nil, err
		}
		p.wire = t.wire
	}
	transport := c.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy, t.DisableCompression, t.MaxIdleConnsPerHost = nil, true, 32
		transport = t
	}
	p.reverse = &httputil.ReverseProxy{Transport: transport, Rewrite: p.rewrite, FlushInterval: -1, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	return p, nil
}

// ServeHTTP hands one request on.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(p.c, p.service, w, r)
	defer x.finish()
	if err := p.admit(x); err != nil {
		p.refuse(x, err)
		return
	}
	x.Accepted("")
	rec := &recorder{ResponseWriter: w}
	reverse := *p.reverse
	reverse.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err error) {
		p.refuse(x, apierr.Wrap(apierr.ServiceUnavailable, err, "The endpoint that serves %s does not answer. Check --neighbour %s=URL.", p.service, p.service))
	}
	defer func() { // also when the other side breaks off in the middle, which panics
		if rec.status != 0 {
			x.Done(rec.status, nil, int(max(r.ContentLength, 0)), rec.n)
		}
	}()
	reverse.ServeHTTP(rec, x.R)
}

// admit authenticates and, with keys of the other endpoint, makes the body one
// that can be signed.
func (p *proxy) admit(x *Exchange) error {
	if strings.Contains(x.R.Header.Get("Via"), hop) {
		return apierr.New(apierr.ServiceUnavailable, "%s was handed on already: --neighbour %s names this server itself.", p.service, p.service)
	}
	if _, ok := x.c.Authenticator.(StreamAuthenticator); ok && x.R.Header.Get("X-Amz-Content-Sha256") != "" {
		body, err := x.AuthenticateStream()
		if err != nil {
			return err
		}
		if p.keys != nil {
			if n, err := strconv.ParseInt(x.R.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil && n >= 0 {
				x.R.ContentLength = n
			}
			x.R.Body = io.NopCloser(body)
		}
		return nil
	}
	body, err := x.Receive()
	if err != nil {
		return err
	}
	if err := x.Authenticate(body); err != nil {
		return err
	}
	x.R.Body, x.R.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	x.obs.BytesIn = len(body)
	return nil
}

func (p *proxy) refuse(x *Exchange, err error) {
	e := x.Public(err)
	r := &request{Exchange: x}
	r.write(p.wire.fault(r, e, err), e)
}

// rewrite aims the request at the other endpoint and signs it when it has keys.
func (p *proxy) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.URL.RawQuery = pr.In.URL.RawQuery
	out.Header.Set("Via", "1.1 "+hop)
	out.Host = pr.In.Host
	if _, ok := pr.In.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or the transport adds its own
	}
	if p.keys == nil {
		return
	}
	scope, _ := sigv4.ScopeOf(pr.In)
	out.Host, out.RequestURI = p.target.Host, "" // or the signature would be over what came in
	out.URL.RawQuery = withoutSignature(out.URL.RawQuery)
	for _, name := range []string{"Authorization", "X-Amz-Date", "Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer", "Content-Length", "Via"} {
		out.Header.Del(name)
	}
	if enc := out.Header.Get("Content-Encoding"); strings.HasPrefix(enc, "aws-chunked") {
		if rest := strings.TrimPrefix(strings.TrimPrefix(enc, "aws-chunked"), ","); rest != "" {
			out.Header.Set("Content-Encoding", rest)
		} else {
			out.Header.Del("Content-Encoding")
		}
	}
	hash := "UNSIGNED-PAYLOAD"
	if p.service != "s3" {
		var b []byte
		if out.Body != nil {
			b, _ = io.ReadAll(out.Body) // memory: admit has gathered it
			out.Body = io.NopCloser(bytes.NewReader(b))
		}
		hash = sigv4.HashPayload(b)
	}
	sigv4.Sign(out, *p.keys, cmp.Or(scope.Region, p.c.Region), p.service, time.Now(), hash)
	out.Header.Set("Via", "1.1 "+hop)
}

// withoutSignature takes the parameters of a presigned URL out of a query.
func withoutSignature(query string) string {
	var keep []string
	for part := range strings.SplitSeq(query, "&") {
		switch name, _, _ := strings.Cut(part, "="); name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "":
		default:
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, "&")
}

// recorder notes what the other endpoint answered.
type recorder struct {
	http.ResponseWriter
	status, n int
}

func (r *recorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.n += n
	return n, err
}

// Unwrap lets the proxy flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
