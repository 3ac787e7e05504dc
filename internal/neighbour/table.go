package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// table answers a service from its generated tables and its face.
type table struct {
	c    *Config
	svc  *api.Service
	face any // nil when the service is not built
	wire wire
	ask  map[string]*access
}

// wire is what differs between the protocols.
type wire interface {
	// find names the operation of a request; its error is the protocol's own.
	find(x *request) (*api.Operation, error)
	// decode returns the input; with a ValidationException also as far as it was read.
	decode(x *request) (any, error)
	encode(x *request, out any) (answer, error)
	// fault encodes an error; cause is what it was made from and may be a *sigv4.Error.
	fault(x *request, e *apierr.Error, cause error) answer
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is an exchange with a table service.
type request struct {
	*Exchange

	t       *table
	bytes   []byte
	op      *api.Operation
	parsed  any // what find keeps for decode
	in      any
	invalid error // what decoding found wrong, answered after authorisation
}

// steps is the way of a request, in order. Each returns the error that ends it.
var steps = [...]func(*request) error{
	(*request).receive,
	(*request).authenticate,
	(*request).find,
	(*request).decode,
	(*request).authorise,
	(*request).validate,
	(*request).call,
}

func newTable(c *Config, svc *api.Service, face any) (*table, error) {
	t := &table{c: c, svc: svc, face: face, ask: map[string]*access{}}
	switch svc.Protocol {
	case api.ProtocolQuery:
		t.wire = queryWire{svc}
	case api.ProtocolAWSJSON:
		t.wire = jsonWire{svc}
	case api.ProtocolRestJSON:
		t.wire = newRestWire(svc)
	default:
		return nil, fmt.Errorf("BUG: %s has protocol %d", svc.Name, svc.Protocol)
	}
	for i := range svc.Operations {
		op := &svc.Operations[i]
		if face != nil && !reflect.ValueOf(face).MethodByName(op.Name).IsValid() {
			return nil, fmt.Errorf("BUG: the face of %s, %T, lacks %s", svc.Name, face, op.Name)
		}
		t.ask[op.Name] = newAccess(svc, op)
	}
	return t, nil
}

// ServeHTTP answers one request.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &request{Exchange: newExchange(t.c, t.svc.Name, w, r), t: t}
	defer x.finish()
	for _, step := range steps {
		if err := step(x); err != nil {
			e := x.Public(err)
			x.write(t.wire.fault(x, e, err), e)
			return
		}
	}
}

func (x *request) receive() (err error) {
	x.bytes, err = x.Receive()
	return err
}

func (x *request) authenticate() error { return x.Authenticate(x.bytes) }

func (x *request) find() error {
	op, err := x.t.wire.find(x)
	if err != nil {
		return err
	}
	x.op, x.obs.Operation = op, op
	x.Call.Operation = op.Name
	if x.t.face == nil {
		return apierr.New(apierr.NotImplemented, "%s is not served by this Outcrop. Start it with --neighbour %s=URL to hand the service to another endpoint.", x.t.svc.Name, x.t.svc.Name)
	}
	return nil
}

// unknown is what an operation outside of the tables gets, whatever the protocol
// calls it.
func unknown(svc *api.Service, name string) error {
	return apierr.New(apierr.UnknownOperation, "Could not find operation %s for version %s of %s. Outcrop serves a part of this service; start it with --neighbour %s=URL to hand the service to another endpoint.",
		name, svc.APIVersion, svc.Name, svc.Name)
}

func (x *request) decode() error {
	x.in, x.invalid = x.t.wire.decode(x)
	if x.in == nil {
		return x.invalid
	}
	if x.invalid == nil {
		x.obs.In = x.in
	}
	return nil
}

// authorise asks for each action of the operation; validate comes after it since a
// caller without permission is told that first.
func (x *request) authorise() error {
	if _, own := x.t.face.(Authority); !own && x.unrestricted() {
		return nil
	}
	return x.t.ask[x.op.Name].authorise(x)
}

func (x *request) validate() error { return x.invalid }

func (x *request) call() error {
	x.obs.Accepted = true
	ctx := x.ctx
	if x.c.Trace != nil {
		var end func()
		ctx, end = x.c.Trace(ctx, x.t.svc.Name+"."+x.op.Name)
		defer end()
	}
	out, err := x.invoke(ctx)
	if err != nil {
		return err
	}
	a, err := x.t.wire.encode(x, out)
	if err != nil {
		return err
	}
	for _, kv := range x.Call.Headers() {
		a.header.Set(kv[0], kv[1])
	}
	x.write(a, nil)
	return nil
}

func (x *request) invoke(ctx context.Context) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = x.panicked(p)
		}
	}()
	if x.op.Call == nil {
		return nil, apierr.New(apierr.NotImplemented, "%s streams its answer, which is not built.", x.op.Name)
	}
	out, err = x.op.Call(ctx, x.t.face, x.in)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.NotImplemented {
		err = apierr.New(e.Kind, "%s Start Outcrop with --neighbour %s=URL to hand the service to another endpoint.", e.Message, x.t.svc.Name)
	}
	return out, err
}

func (x *request) write(a answer, e *apierr.Error) {
	h := x.W.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h["X-Amzn-Requestid"] = []string{x.Call.RequestID}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	x.W.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = x.W.Write(a.body) // the client has gone if this fails; nothing is left to tell it
	}
	x.Done(a.status, e, 0, len(a.body))
}
