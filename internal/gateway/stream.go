package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// stream runs an operation that answers with an event stream. Before Open its
// error is a plain HTTP answer, after it an exception frame, the last of the stream.
func (x *exchange) stream() error {
	ctx, stop := context.WithCancelCause(x.ctx)
	defer stop(nil)
	defer context.AfterFunc(x.h.base, func() { stop(context.Cause(x.h.base)) })()
	x.h.running.Add(1)
	defer x.h.running.Done()
	if x.h.Trace != nil {
		var end func()
		ctx, end = x.h.Trace(ctx, x.rt.service.Name+"."+x.rt.op.Name)
		defer end()
	}
	s := &frames{x: x, rc: http.NewResponseController(x.w)}
	x.obs.Streamed = true
	err := x.invokeStream(ctx, s)
	if !s.opened {
		if err == nil {
			err = errors.New("BUG: " + x.rt.op.Name + " ended without opening its stream")
		}
		return err
	}
	x.answered = true
	x.obs.Status, x.obs.BytesOut = x.rt.op.Status, s.sent
	if err == nil {
		return nil
	}
	if s.broken != nil {
		return nil // the client went away; there is no one to tell
	}
	e := x.public(err)
	x.obs.Error = e
	name, payload := restjson.EncodeExceptionEvent(x.rt.service, x.rt.op.EventsOut, e)
	if s.buf, err = eventstream.AppendException(s.buf[:0], name, jsonType, payload); err == nil {
		err = s.flush()
	}
	if err != nil {
		x.h.Logger.LogAttrs(x.ctx, slog.LevelDebug, "exception frame not sent", x.attrs(err)...)
	}
	return nil
}

func (x *exchange) invokeStream(ctx context.Context, s api.Stream) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = x.panicked(p)
		}
	}()
	return x.rt.op.Stream(ctx, x.rt.desk, x.in, s)
}

const jsonType = "application/json"

// frames writes the events of one answer, each flushed as it is sent.
type frames struct {
	x       *exchange
	rc      *http.ResponseController
	payload []byte // buffers of the event and its frame, used again for each
	buf     []byte
	sent    int
	opened  bool
	broken  error // the first failure to write
	in      *eventstream.Decoder
}

var _ api.Stream = (*frames)(nil)

// Open sends status and headers at once: a client whose read time-out is shorter
// than the model's first token must see that the call was accepted.
func (s *frames) Open(head any) error {
	if s.opened {
		return errors.New("BUG: stream opened twice")
	}
	status, header, _, err := restjson.EncodeResponse(s.x.rt.service, s.x.rt.op, head, nil)
	if err != nil {
		return err
	}
	h := s.x.w.Header()
	for k, v := range header {
		h[k] = v
	}
	for _, kv := range s.x.c.Headers() {
		h.Set(kv[0], kv[1])
	}
	h["X-Amzn-Requestid"] = []string{s.x.c.RequestID}
	if m := s.x.c.Served().Model; m != "" {
		h["X-Outcrop-Model"] = []string{m}
	}
	h["Content-Type"] = []string{"application/vnd.amazon.eventstream"}
	h.Del("Content-Length")
	s.opened = true
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.x.h.FrameTimeout))
	s.x.w.WriteHeader(status)
	if err := s.rc.Flush(); err != nil {
		s.broken = err
		return gone(err)
	}
	return nil
}

// Send sends one event.
func (s *frames) Send(event any) error {
	if !s.opened {
		return errors.New("BUG: event sent before the stream was opened")
	}
	if s.broken != nil {
		return gone(s.broken)
	}
	name, payload, err := restjson.EncodeEvent(s.x.rt.service, s.x.rt.op.EventsOut, event, s.payload[:0])
	if err != nil {
		return err
	}
	s.payload = payload
	if s.buf, err = eventstream.AppendEvent(s.buf[:0], name, jsonType, payload); err != nil {
		return err
	}
	return s.flush()
}

func (s *frames) flush() error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.x.h.FrameTimeout))
	n, err := s.x.w.Write(s.buf)
	s.sent += n
	if err == nil {
		err = s.rc.Flush()
	}
	if err != nil {
		s.broken = err
		return gone(err)
	}
	return nil
}

// gone is what an operation gets when its client cannot be reached any more.
func gone(err error) error {
	return &apierr.Error{Kind: apierr.InternalServer, Message: "The client closed the stream.", Err: errors.Join(context.Canceled, err)}
}

// Recv returns the next event of the request stream.
func (s *frames) Recv() (any, error) {
	op := s.x.rt.op
	if op.EventsIn == api.NoShape {
		return nil, io.EOF
	}
	if s.in == nil {
		s.in = eventstream.NewDecoder(s.x.r.Body)
	}
	m, err := s.in.Next()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err == nil && s.x.id.Events != nil {
		m, err = s.unwrap(m)
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if _, ok := errors.AsType[*apierr.Error](err); ok {
			return nil, err
		}
	}
	if err != nil {
		return nil, apierr.Wrap(apierr.Validation, err, "The request stream holds a malformed frame: %v", err)
	}
	kind, name := m.Kind()
	if kind != eventstream.MessageEvent {
		return nil, apierr.New(apierr.Validation, "The request stream holds a frame of message type %q where an event is expected.", kind)
	}
	return restjson.DecodeEvent(s.x.rt.service, op.EventsIn, name, m.Payload)
}

// unwrap verifies a signed frame and returns the frame inside it. A signed
// empty frame is the end of the stream.
func (s *frames) unwrap(m eventstream.Message) (eventstream.Message, error) {
	date, _ := m.Get(eventstream.HeaderDate)
	sig, _ := m.Get(eventstream.HeaderSignature)
	if err := s.x.id.Events.Verify(date.Time(), m.Payload, sig.Raw); err != nil {
		return m, err
	}
	if len(m.Payload) == 0 {
		return m, io.EOF
	}
	inner, _, err := eventstream.Parse(m.Payload)
	return inner, err
}
