package restjson

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// EncodeEvent returns the :event-type and the JSON payload of an event, a pointer
// to the event union with the shape id, in which exactly one member is set. The
// payload is appended to buf[:0]. The error says that the event breaks its shape.
func EncodeEvent(svc *api.Service, id api.ShapeID, event any, buf []byte) (eventType string, payload []byte, err error) {
	n, p, err := root(svc, id, event)
	if err != nil {
		return "", nil, fmt.Errorf("encode an event: %w", err)
	}
	e := encoder{buf: buf[:0]}
	for i := range n.fields {
		f := &n.fields[i]
		at := unsafe.Add(p, f.off)
		if f.absent(at) {
			continue
		}
		if eventType != "" {
			return "", nil, fmt.Errorf("encode an event: BUG: %s has both %s and %s", n.shape.Name, eventType, f.m.Wire)
		}
		eventType = f.m.Wire
		e.value(f.n, *(*unsafe.Pointer)(at))
	}
	if eventType == "" {
		e.bug(n, "no member set")
	}
	if e.err != nil {
		return "", nil, fmt.Errorf("encode an event: %w", e.err)
	}
	return eventType, e.buf, nil
}

// EncodeExceptionEvent returns the :exception-type (the member of the event union,
// such as throttlingException) and the payload for an error inside a stream. A kind
// that the stream does not model becomes the nearest one that it does.
func EncodeExceptionEvent(svc *api.Service, events api.ShapeID, err *apierr.Error) (exceptionType string, payload []byte) {
	list := svc.Shapes[events].Exceptions
	find := func(kind apierr.Kind) *api.Member {
		for i := range list {
			if svc.Shapes[list[i].Shape].Name == string(kind) {
				return &list[i]
			}
		}
		return nil
	}
	kind, ok := modelled(err.Kind, func(k apierr.Kind) bool { return find(k) != nil })
	if !ok {
		// The request streams model none; the name is what every client expects.
		name := string(kind)
		return strings.ToLower(name[:1]) + name[1:], appendError(nil, err, nil)
	}
	m := find(kind)
	return m.Wire, appendError(nil, err, svc.Shapes[m.Shape].Members)
}

// DecodeEvent returns the event of a request stream, a pointer to the event union
// with the shape id, filled and checked like a request. The error is an
// *apierr.Error; an event type that the stream does not have is a ValidationException.
func DecodeEvent(svc *api.Service, id api.ShapeID, eventType string, payload []byte) (any, error) {
	var event any
	for i := range svc.Operations {
		if op := &svc.Operations[i]; op.EventsIn == id && id != api.NoShape {
			event = op.NewEventIn()
			break
		}
	}
	if event == nil {
		return nil, fmt.Errorf("BUG: %s has no request stream with shape %d", svc.Name, id)
	}
	n, p, err := root(svc, id, event)
	if err != nil {
		return nil, err
	}
	i := n.find([]byte(eventType))
	if i < 0 {
		names := make([]string, len(n.fields))
		for i := range n.fields {
			names[i] = n.fields[i].m.Wire
		}
		return nil, apierr.New(apierr.Validation, "Event type %q is unknown: the stream takes [%s]", short([]byte(eventType)), strings.Join(names, ", "))
	}
	d := newDecoder()
	defer d.release()
	f := &n.fields[i]
	inner := f.n.alloc()
	*(*unsafe.Pointer)(unsafe.Add(p, f.off)) = inner
	d.push(f.step(i))
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if seen, ok := d.decodeJSON(f.n, inner, payload); ok {
		d.complete(f.n, seen)
	}
	if err := d.result(); err != nil {
		return nil, err
	}
	return event, nil
}
