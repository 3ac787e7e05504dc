package neighbour

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Exchange is one request on its way. Table services go through its steps by
// themselves; a Raw face calls them.
type Exchange struct {
	W    http.ResponseWriter
	R    *http.Request
	Call *call.Call // account, Region and principal are there after authentication

	c    *Config
	ctx  context.Context //nolint:containedctx // an exchange is one request and ends with it
	id   gateway.Identity
	obs  gateway.Observation
	body *bytes.Buffer // pooled
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps buffers that a large upload has grown out of the pool.
const maxPooled = 1 << 20

func newExchange(c *Config, service string, w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{W: w, R: r, c: c, Call: &call.Call{
		Partition: "aws", Service: service, RequestID: requestID(), Time: c.Clock(),
		SourceIP: sourceIP(r.RemoteAddr), UserAgent: r.UserAgent(),
	}}
	x.ctx = call.With(r.Context(), x.Call)
	x.obs = gateway.Observation{Call: x.Call, Method: r.Method, Path: r.URL.EscapedPath(), Start: time.Now()}
	return x
}

// Context carries the call and ends with the request.
func (x *Exchange) Context() context.Context { return x.ctx }

// Receive reads the whole body, within the limits of size and time. The bytes are
// good until the exchange ends.
func (x *Exchange) Receive() ([]byte, error) {
	if x.R.ContentLength > x.c.MaxBody {
		return nil, tooLarge(x.c.MaxBody)
	}
	x.body = bodies.Get().(*bytes.Buffer)
	if x.R.ContentLength == 0 {
		return nil, nil
	}
	control := http.NewResponseController(x.W)
	_ = control.SetReadDeadline(time.Now().Add(x.c.ReadTimeout)) // a writer without deadlines is a test's
	n, err := x.body.ReadFrom(io.LimitReader(x.R.Body, x.c.MaxBody+1))
	x.obs.BytesIn = int(n)
	switch {
	case err != nil:
		return nil, apierr.Wrap(apierr.Serialization, err, "The request body could not be read to its end.")
	case n > x.c.MaxBody:
		return nil, tooLarge(x.c.MaxBody)
	}
	_ = control.SetReadDeadline(time.Time{})
	return x.body.Bytes(), nil
}

func tooLarge(limit int64) error {
	return apierr.New(apierr.RequestEntityTooLarge, "The request body is larger than the limit of %d bytes.", limit)
}

// Authenticate verifies who sent the request, whose whole body is given. Its
// errors are *sigv4.Error or *apierr.Error.
func (x *Exchange) Authenticate(body []byte) error {
	id, err := x.c.Authenticator.Authenticate(x.R, body, false)
	if err != nil {
		return err
	}
	return x.identified(id)
}

// AuthenticateStream verifies the head of the request and returns the reader that
// verifies the body.
func (x *Exchange) AuthenticateStream() (io.Reader, error) {
	s, ok := x.c.Authenticator.(StreamAuthenticator)
	if !ok {
		return nil, fmt.Errorf("BUG: %T cannot authenticate the request for a body that is read later", x.c.Authenticator)
	}
	id, body, err := s.AuthenticateStream(x.R)
	if err != nil {
		return nil, err
	}
	return body, x.identified(id)
}

func (x *Exchange) identified(id gateway.Identity) error {
	if id.Bearer {
		return apierr.New(apierr.UnrecognizedClient, "API keys are accepted by bedrock and bedrock-runtime only; sign requests to %s with Signature Version 4.", x.Call.Service)
	}
	x.id = id
	x.Call.Account, x.Call.Principal, x.Call.UserID, x.Call.Caller = id.Account, id.Principal, id.UserID, id.Caller
	if s, ok := sigv4.ScopeOf(x.R); ok {
		x.Call.AccessKey = s.AccessKeyID
	}
	if x.Call.Region = id.Region; x.Call.Region == "" {
		x.Call.Region = x.c.Region
	}
	return nil
}

// Question is a Permission about the caller of this request, without resources.
func (x *Exchange) Question(action string) *gateway.Permission {
	return &gateway.Permission{
		Caller: x.id.Caller, Account: x.Call.Account, Region: x.Call.Region, Action: action,
		Conditions: map[string][]string{
			// What concerns the principal itself, the identities add.
			"aws:SourceIp": {x.Call.SourceIP}, "aws:UserAgent": {x.Call.UserAgent}, "aws:RequestedRegion": {x.Call.Region},
			"aws:SecureTransport": {strconv.FormatBool(x.R.TLS != nil)},
		},
	}
}

// Authorize puts the question. It answers an AccessDenied error when the caller may not.
func (x *Exchange) Authorize(p *gateway.Permission) error {
	if x.unrestricted() {
		return nil
	}
	return x.c.Authorizer.Authorize(x.ctx, p)
}

func (x *Exchange) unrestricted() bool {
	return x.c.Authorizer == nil || x.c.Authorizer.Unrestricted(x.id.Caller)
}

// Accepted notes the name of the operation and that every check has passed.
func (x *Exchange) Accepted(operation string) { x.Call.Operation, x.obs.Accepted = operation, true }

// Done notes what was answered, for logs and metrics; err is nil on success.
func (x *Exchange) Done(status int, err *apierr.Error, bytesIn, bytesOut int) {
	x.obs.Status, x.obs.Error, x.obs.BytesOut = status, err, bytesOut
	x.obs.BytesIn = max(x.obs.BytesIn, bytesIn)
}

// Public returns err as the caller may see it: anything but an *apierr.Error is
// an internal error whose text goes to the log alone.
func (x *Exchange) Public(err error) *apierr.Error {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Err != nil {
			level := slog.LevelDebug // what the caller did wrong is no error of the server
			if e.Kind == apierr.InternalServer || e.Kind == apierr.ServiceUnavailable {
				level = slog.LevelError
			}
			x.log(level, "request failed", err)
		}
		return e
	}
	x.log(slog.LevelError, "internal error", err)
	return &apierr.Error{Kind: apierr.InternalServer, Message: "An internal error occurred. The server's log has the details under request id " + x.Call.RequestID + ".", Err: err}
}

func (x *Exchange) log(level slog.Level, text string, err error) {
	x.c.Logger.LogAttrs(x.ctx, level, text, //nolint:sloglint // one of two constants of this file
		slog.String("request_id", x.Call.RequestID), slog.String("service", x.Call.Service), slog.String("operation", x.Call.Operation),
		slog.String("account", x.Call.Account), slog.String("region", x.Call.Region), slog.String("error", err.Error()))
}

// finish tells the observers.
func (x *Exchange) finish() {
	if b := x.body; b != nil && b.Cap() <= maxPooled {
		b.Reset()
		bodies.Put(b)
	}
	x.obs.Duration = time.Since(x.obs.Start)
	for _, o := range x.c.Observers {
		o(&x.obs)
	}
}

// panicked turns a panic into an internal error with its stack.
func (x *Exchange) panicked(p any) error {
	if p == any(http.ErrAbortHandler) {
		panic(p)
	}
	return fmt.Errorf("BUG: %s panicked: %v\n%s", x.Call.Operation, p, debug.Stack())
}

func sourceIP(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}

// requestID returns a random UUID of version 4.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
