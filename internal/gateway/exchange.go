package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// steps is the way of a request, in order. Each returns the error that ends it.
var steps = [...]struct {
	name string
	do   func(*exchange) error
}{
	{"route", (*exchange).route},
	{"receive", (*exchange).receive},
	{"authenticate", (*exchange).authenticate},
	{"decode", (*exchange).decode},
	{"authorise", (*exchange).authorise},
	{"validate", (*exchange).validate},
	{"throttle", (*exchange).throttle},
	{"call", (*exchange).call},
}

// exchange is one request on its way.
type exchange struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	ctx      context.Context //nolint:containedctx // an exchange is one request and ends with it
	c        *call.Call
	rt       *route
	labels   []string
	body     *bytes.Buffer // pooled; nil for request streams
	id       Identity
	in       any
	invalid  error // what decoding found wrong, answered after authorisation
	obs      Observation
	answered bool
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps buffers that a large upload has grown out of the pool.
const maxPooled = 1 << 20

func putBody(b *bytes.Buffer) {
	if b != nil && b.Cap() <= maxPooled {
		b.Reset()
		bodies.Put(b)
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := h.Pages[r.URL.Path]; p != nil {
		p.ServeHTTP(w, r)
		return
	}
	if n := h.neighbour(r); n != nil {
		n.ServeHTTP(w, r)
		return
	}
	start := time.Now()
	x := &exchange{h: h, w: w, r: r, c: &call.Call{
		Partition: "aws", RequestID: requestID(), Time: h.Clock(),
		SourceIP: sourceIP(r.RemoteAddr), UserAgent: r.UserAgent(), Attempt: r.Header.Get("Amz-Sdk-Invocation-Id"),
	}}
	x.ctx = call.With(r.Context(), x.c)
	x.obs = Observation{Call: x.c, Method: r.Method, Path: r.URL.EscapedPath(), Start: start}
	defer x.finish()
	for i := range steps {
		if err := steps[i].do(x); err != nil {
			x.fail(err)
			return
		}
	}
}

func (x *exchange) route() error {
	path := x.r.URL.EscapedPath()
	routes, labels := x.h.router.find(x.r.Method, path)
	if s := hostService(x.r.Host); s != "" && len(routes) > 0 {
		named := routes[:0:0]
		for _, r := range routes {
			if r.service.Name == s {
				named = append(named, r)
			}
		}
		routes = named
	}
	if len(routes) == 0 {
		// Authentication still comes first for strangers: an unsigned request
		// learns nothing about what exists here.
		return apierr.New(apierr.UnknownOperation, "No operation of Amazon Bedrock answers %s %s. Check the endpoint and the path; trailing slashes count.", x.r.Method, path)
	}
	x.rt, x.labels = pick(routes, x.r.Host, labels), labels
	x.c.Service, x.c.Operation = x.rt.service.Name, x.rt.op.Name
	x.obs.Operation = x.rt.op
	return nil
}

func (x *exchange) receive() error {
	if x.rt.op.EventsIn != api.NoShape {
		return nil // the operation reads the body itself
	}
	x.body = bodies.Get().(*bytes.Buffer)
	n := x.r.ContentLength
	if n == 0 {
		return nil
	}
	if n > x.h.MaxBody {
		return tooLarge(x.h.MaxBody)
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.h.ReadTimeout))
	if n > 0 {
		x.body.Grow(int(min(n, maxPooled)) + bytes.MinRead)
	}
	got, err := x.body.ReadFrom(io.LimitReader(x.r.Body, x.h.MaxBody+1))
	x.obs.BytesIn = int(got)
	switch {
	case err != nil:
		return apierr.Wrap(apierr.Serialization, err, "The request body could not be read to its end.")
	case got > x.h.MaxBody:
		return tooLarge(x.h.MaxBody)
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{})
	return nil
}

func tooLarge(limit int64) error {
	return apierr.New(apierr.RequestEntityTooLarge, "The request body is larger than the limit of %d bytes.", limit)
}

// signingName is what all four services sign as.
const signingName = "bedrock"

func (x *exchange) authenticate() error {
	var body []byte
	if x.body != nil {
		body = x.body.Bytes()
	}
	events := x.rt.op.EventsIn != api.NoShape
	id, err := x.h.Authenticator.Authenticate(x.r, body, events)
	if err != nil {
		return err
	}
	if id.Bearer && events {
		return apierr.New(apierr.AccessDenied, "%s cannot be called with an API key; sign the request with Signature Version 4.", x.rt.op.Name)
	}
	if id.Bearer && !x.rt.service.Bearer {
		return apierr.New(apierr.UnrecognizedClient, "API keys are accepted by bedrock and bedrock-runtime only; sign requests to %s with Signature Version 4.", x.rt.service.Name)
	}
	if id.Service != "" && id.Service != signingName {
		return apierr.New(apierr.InvalidSignature, "Credential should be scoped to correct service: '%s'. ", signingName)
	}
	x.id, x.c.Caller = id, id.Caller
	x.c.Account, x.c.Principal, x.c.UserID = id.Account, id.Principal, id.UserID
	if x.c.Region = id.Region; x.c.Region == "" {
		x.c.Region = x.h.Region
	}
	return nil
}

func (x *exchange) decode() error {
	var body []byte
	if x.body != nil {
		body = x.body.Bytes()
	}
	x.in, x.invalid = restjson.DecodeRequest(x.rt.service, x.rt.op, x.labels, x.r.URL.RawQuery, x.r.Header, body)
	if x.invalid == nil {
		x.obs.In = x.in
	}
	if x.in == nil {
		return x.invalid // not even the types are right: there is nothing to ask permission for
	}
	return nil
}

// validate reports what decode found. It comes after authorise because a caller
// without permission is told that first, whatever else is wrong.
func (x *exchange) validate() error { return x.invalid }

func (x *exchange) throttle() error {
	if x.h.Throttle == nil {
		return nil
	}
	return x.h.Throttle.Admit(x.ctx, x.c, x.in)
}

func (x *exchange) call() error {
	x.obs.Accepted = true
	if x.rt.op.Stream != nil {
		return x.stream()
	}
	return x.plain()
}

// answer is an encoded response.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    *apierr.Error
}

// run calls the operation and encodes what it answers. It runs on the goroutine
// of the work, which several exchanges may wait for.
func (x *exchange) run(ctx context.Context) answer {
	if x.h.Trace != nil {
		var end func()
		ctx, end = x.h.Trace(ctx, x.rt.service.Name+"."+x.rt.op.Name)
		defer end()
	}
	out, err := x.invoke(ctx)
	if err != nil {
		return x.encodeError(err)
	}
	status, header, body, err := restjson.EncodeResponse(x.rt.service, x.rt.op, out, nil)
	if err != nil {
		return x.encodeError(err)
	}
	for _, kv := range x.c.Headers() {
		header.Set(kv[0], kv[1])
	}
	if m := x.c.Served().Model; m != "" {
		header["X-Outcrop-Model"] = []string{m}
	}
	return answer{status: status, header: header, body: body}
}

func (x *exchange) invoke(ctx context.Context) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = x.panicked(p)
		}
	}()
	return x.rt.op.Call(ctx, x.rt.desk, x.in)
}

// encodeError turns any error into the answer a client gets, and logs what the
// client must not see.
func (x *exchange) encodeError(err error) answer {
	e := x.public(err)
	var svc *api.Service
	var op *api.Operation
	if x.rt != nil {
		svc, op = x.rt.service, x.rt.op
	}
	status, header, body := restjson.EncodeError(svc, op, e, x.c.RequestID)
	return answer{status: status, header: header, body: body, err: e}
}

// public returns err as the caller may see it: anything but an *apierr.Error is
// an internal error whose text goes to the log alone.
func (x *exchange) public(err error) *apierr.Error {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Err != nil {
			x.h.Logger.LogAttrs(x.ctx, levelOf(e), "request failed", x.attrs(err)...)
		}
		return e
	}
	if errors.Is(err, context.Canceled) && context.Cause(x.h.base) != nil {
		return apierr.New(apierr.ServiceUnavailable, "The server is stopping. Try again when it is back.")
	}
	x.h.Logger.LogAttrs(x.ctx, levelError, "internal error", x.attrs(err)...)
	return &apierr.Error{Kind: apierr.InternalServer, Message: "An internal error occurred. The server's log has the details under request id " + x.c.RequestID + ".", Err: err}
}

func (x *exchange) write(a answer) {
	x.answered = true
	h := x.w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h["X-Amzn-Requestid"] = []string{x.c.RequestID}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	x.w.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = x.w.Write(a.body) // the client has gone if this fails; nothing is left to tell it
	}
	x.obs.Status, x.obs.Error, x.obs.BytesOut = a.status, a.err, len(a.body)
}

func (x *exchange) fail(err error) {
	if !x.answered {
		x.write(x.encodeError(err))
	}
}

func (x *exchange) finish() {
	x.obs.Duration = time.Since(x.obs.Start)
	for _, o := range x.h.Observers {
		o(&x.obs)
	}
	putBody(x.body)
}

func (h *Handler) neighbour(r *http.Request) http.Handler {
	if len(h.Neighbours) == 0 {
		return nil
	}
	scope, ok := sigv4.ScopeOf(r)
	if !ok && h.Unscoped != nil {
		return h.Unscoped(r)
	}
	return h.Neighbours[scope.Service]
}

// requestID returns a random UUID of version 4.
func requestID() string {
	const digits = "0123456789abcdef"
	var b [36]byte
	u := [2]uint64{rand.Uint64(), rand.Uint64()}
	u[0] = u[0]&^0xf000 | 0x4000
	u[1] = u[1]&^(3<<62) | 1<<63
	n := 0
	for _, v := range u {
		for shift := 60; shift >= 0; shift -= 4 {
			if n == 8 || n == 13 || n == 18 || n == 23 {
				b[n] = '-'
				n++
			}
			b[n] = digits[v>>shift&15]
			n++
		}
	}
	return string(b[:])
}
