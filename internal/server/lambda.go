package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/lambda/process"
	"github.com/outcrop-dev/outcrop/internal/logs"
	lambdaface "github.com/outcrop-dev/outcrop/internal/neighbour/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// lambdaService is the name that trust policies and iam:PassedToService know.
const lambdaService = "lambda.amazonaws.com"

// functions holds what calls functions.
type functions struct {
	registry *lambdaface.Registry
	invoker  *fn.Routes // what rooms call functions through
	events   *lambdaface.Events
	face     *lambdaface.Face
	code     *codeLinks
}

// makeFunctions builds the runtime and Lambda's face over it. Its records and
// zips lie in the store and the objects; instances end before those close.
func (s *Server) makeFunctions(context.Context, *Options) error {
	f := &s.functions
	f.registry = &lambdaface.Registry{Store: s.store, Now: s.clock.Now}
	code := lambdaface.Code{Objects: s.account.objects}
	var err error
	if f.invoker, err = s.routes(); err != nil {
		return err
	}
	f.registry.Elsewhere = func(arn string) bool { return f.invoker.Match(arn) != nil }
	f.events, err = lambdaface.NewEvents(lambdaface.EventsConfig{
		Store: s.store, Invoker: f.invoker, Plan: f.registry.Retry, Logger: s.log,
		Retry: fn.Retry{Delays: []time.Duration{s.cfg.LambdaRetryDelay, 2 * s.cfg.LambdaRetryDelay}},
	})
	if err != nil {
		return err
	}
	f.invoker.Queue = f.events
	dir, err := filepath.Abs(filepath.Join(s.cfg.Data, "lambda"))
	if err != nil {
		return fmt.Errorf("folder for code: %w", err)
	}
	network := sandbox.Isolated
	if s.cfg.LambdaNetwork == "host" {
		network = sandbox.Host
	}
	dial, err := s.inwardTLS()
	if err != nil {
		return err
	}
	roles := executionRoles{s.identity}
	runtime, err := process.New(process.Config{
		Functions: f.registry, Archive: code, Dir: dir, Credentials: roles, Logs: newRoleLogs(roles, s.account.logs, s.log),
		Endpoint: s.inward, Dial: dial, Network: network, Unsafe: s.cfg.UnsafeLocalCode, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, runtime.Close)
	f.invoker.Default = runtime
	if s.cfg.UnsafeLocalCode {
		s.log.Warn("functions run without a jail: their code can do all that this user can")
	}
	if f.code, err = newCodeLinks(code, time.Now); err != nil {
		return err
	}
	f.face, err = lambdaface.New(lambdaface.Config{
		Registry: f.registry, Code: code, Invoker: f.invoker, Identity: s.identity, Forget: runtime.Forget, Runs: process.Supported,
		Buckets: s.account.buckets, Transition: s.cfg.Transition, Logger: s.log,
		CodeURL: func(c fn.Code) string { return f.code.url(s.conn.Endpoint, c) },
	})
	return err
}

// eventJobs is the work of the queue of events.
func (s *Server) eventJobs() job.Kind {
	return lambdaface.EventJobs(func() *lambdaface.Events { return s.functions.events })
}

// inward is where a function reaches this server.
func (s *Server) inward() string {
	if len(s.listeners) == 0 {
		return ""
	}
	host, port, err := net.SplitHostPort(s.listeners[0].Addr().String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// inwardTLS is how the connections of functions reach this server when it speaks
// TLS; nil when it does not. TLS begins outside the jail: a function speaks plain
// HTTP to its own loopback, so it needs no certificate and cannot fail on the name
// in one. The other end must be this very server: it shows our certificate.
func (s *Server) inwardTLS() (func(context.Context, bool) (net.Conn, error), error) {
	own, err := tlsConfig(s.cfg.TLS, s.cfg.Data, time.Now())
	if err != nil || own == nil {
		return nil, err
	}
	leaf := own.Certificates[0].Certificate[0]
	return func(ctx context.Context, http2 bool) (net.Conn, error) {
		protocol := "http/1.1"
		if http2 {
			protocol = "h2"
		}
		d := tls.Dialer{Config: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{protocol},
			InsecureSkipVerify: true, //nolint:gosec // the certificate is not checked by its name but must be the very one that we serve with, see VerifyConnection
			VerifyConnection: func(c tls.ConnectionState) error {
				if len(c.PeerCertificates) == 0 || !bytes.Equal(c.PeerCertificates[0].Raw, leaf) {
					return errors.New("another server answers in this server's place")
				}
				return nil
			},
		}}
		return d.DialContext(ctx, "tcp", s.inward())
	}, nil
}

// executionRoles gives functions the rights of their roles.
type executionRoles struct{ identity *iam.Identity }

// roleSession is how long the credentials of an instance are good.
const roleSession = 6 * time.Hour

func (r executionRoles) assume(ctx context.Context, f *fn.Function) (*iam.Principal, error) {
	name := f.Name
	if len(name) < 2 {
		name += "-"
	}
	p, err := r.identity.AssumeService(ctx, iam.AssumeServiceInput{
		Service: lambdaService, RoleARN: f.Role, SessionName: name, SourceARN: f.ARN, SourceAccount: f.Account,
	})
	if err != nil {
		return nil, &fn.Error{Kind: fn.AccessDenied, Message: "The role defined for the function cannot be assumed by Lambda.", Err: err}
	}
	return p, nil
}

// Keys implements fn.Credentials.
func (r executionRoles) Keys(ctx context.Context, f *fn.Function) (*fn.Keys, error) {
	p, err := r.assume(ctx, f)
	if err != nil {
		return nil, err
	}
	c, err := r.identity.CreateSession(ctx, *p, roleSession)
	if err != nil {
		return nil, fmt.Errorf("credentials of %s: %w", f.Role, err)
	}
	return &fn.Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.Token.Reveal(), Expires: c.Expires}, nil
}

// allow asks whether a function's role may do something.
func (r executionRoles) allow(ctx context.Context, f *fn.Function, action, resource string) error {
	p, err := r.assume(ctx, f)
	if err != nil {
		return err
	}
	return r.identity.Authorize(ctx, p, action, resource, nil)
}

// roleLogs writes what functions log with the permissions of their roles. A role
// that may not write is reported once a function: on AWS too its log stays empty.
type roleLogs struct {
	roles executionRoles
	sink  logs.Sink
	log   *slog.Logger

	mu     sync.Mutex
	silent map[string]bool // by ARN
}

var _ fn.Sink = (*roleLogs)(nil)

func newRoleLogs(roles executionRoles, to *logs.Service, log *slog.Logger) *roleLogs {
	return &roleLogs{roles: roles, log: log, silent: map[string]bool{}, sink: logs.Sink{Logs: to, Allow: func(ctx context.Context, f *fn.Function, action, resource string) error {
		if action == putEvents {
			return nil // asked before
		}
		return roles.allow(ctx, f, action, resource)
	}}}
}

const putEvents = "logs:PutLogEvents"

// Log implements fn.Sink.
func (l *roleLogs) Log(f *fn.Function, group, stream string, lines []fn.Line) {
	err := l.roles.allow(context.Background(), f, putEvents, logs.Place{Account: f.Account, Region: f.Region}.StreamARN(group, stream))
	l.mu.Lock()
	first := err != nil && !l.silent[f.ARN]
	if err == nil {
		delete(l.silent, f.ARN)
	} else {
		l.silent[f.ARN] = true
	}
	l.mu.Unlock()
	if first {
		l.log.Warn("a function logs nothing, because its role may not", "function", f.ARN, "error", err)
	}
	if err == nil {
		l.sink.Log(f, group, stream, lines)
	}
}

// codePath is reserved: no bucket can be called so.
const codePath = "/_lambda/code"

// codeLife is how long a link to code is good, as with AWS.
const codeLife = 10 * time.Minute

// codeLinks are addresses from which the zips of functions can be had for a while
// without a signature. They end with the process that made them.
type codeLinks struct {
	archive fn.Archive
	now     func() time.Time
	key     [32]byte
}

func newCodeLinks(a fn.Archive, now func() time.Time) (*codeLinks, error) {
	l := &codeLinks{archive: a, now: now}
	_, err := rand.Read(l.key[:])
	return l, err
}

func (l *codeLinks) sign(location, until string) string {
	m := hmac.New(sha256.New, l.key[:])
	_, _ = io.WriteString(m, until+" "+location)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (l *codeLinks) url(endpoint string, c fn.Code) string {
	until := strconv.FormatInt(l.now().Add(codeLife).Unix(), 10)
	return endpoint + codePath + "?" + url.Values{"code": {c.Location}, "until": {until}, "signature": {l.sign(c.Location, until)}}.Encode()
}

// ServeHTTP answers a zip.
func (l *codeLinks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	location, until := q.Get("code"), q.Get("until")
	end, err := strconv.ParseInt(until, 10, 64)
	if err != nil || l.now().Unix() > end || !hmac.Equal([]byte(l.sign(location, until)), []byte(q.Get("signature"))) {
		http.Error(w, "this link is not good or not good any more: GetFunction gives a new one", http.StatusForbidden)
		return
	}
	z, err := l.archive.Open(r.Context(), fn.Code{Location: location})
	if err != nil {
		http.Error(w, "this code is not there any more", http.StatusNotFound)
		return
	}
	defer func() { _ = z.Close() }() // only read
	w.Header().Set("Content-Type", "application/zip")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(z, 0, z.Size()))
}
