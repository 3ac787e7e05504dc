package process

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// seat is the instance that a Runtime API server speaks for.
type seat interface {
	// next waits for an event; nil when gone closes or the request was replaced.
	next(gone <-chan struct{}) (*call, error)
	response(id string, body []byte) error
	tooLarge(id string, size int64) error
	fail(id, kind string, body []byte) error
	initFail(kind string, body []byte) error
}

// Why a request does not fit the state of the instance.
var (
	errBusy    = errors.New("an event is being worked on")
	errIdle    = errors.New("no event is being worked on")
	errOtherID = errors.New("another event is being worked on")
)

const (
	apiRoot    = "/2018-06-01/runtime/"
	maxConns   = 32       // of one instance; a runtime needs one or two
	maxHeaders = 64 << 10 // of a request; an error's X-Ray cause is the largest
)

// api is the Runtime API (2018-06-01) of one instance: four routes, spoken
// directly over the connection, for this server has exactly one client.
type api struct {
	seat seat
	gone chan struct{} // closed when the process has ended

	reading sync.Mutex // one body at a time, so that a function cannot fill the server's memory

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]bool
}

// serve accepts until the listener closes and returns when every connection is
// done.
func (a *api) serve(l net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		// A function that opens connections without end hurts itself only.
		if len(a.conns) >= maxConns {
			a.mu.Unlock()
			_ = c.Close()
			continue
		}
		a.conns[c] = true
		a.mu.Unlock()
		work.Go(func() {
			defer func() {
				_ = c.Close()
				a.mu.Lock()
				delete(a.conns, c)
				a.mu.Unlock()
			}()
			a.talk(c)
		})
	}
}

// stop lets waiting requests go; what was sent is still read.
func (a *api) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.ended = true
		close(a.gone)
	}
}

// talk serves one connection until it ends or breaks the protocol.
func (a *api) talk(c io.ReadWriter) {
	limited := &io.LimitedReader{R: c, N: maxHeaders}
	in := bufio.NewReaderSize(limited, 16<<10)
	var out []byte
	for {
		// What is in the buffer already counts against nothing; it is small.
		limited.N = maxHeaders
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		// The body has its own limit; one byte more shows that it was passed.
		limited.N = lambda.MaxResponse + maxHeaders
		if strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		rep := a.route(req)
		if rep == nil {
			return
		}
		rest, _ := io.Copy(io.Discard, req.Body)
		out = rep.append(out[:0])
		if _, err := c.Write(out); err != nil || rest > 0 || req.Close {
			return
		}
		if cap(out) > 1<<20 {
			out = nil
		}
	}
}

// answer is one HTTP answer.
type answer struct {
	status int
	header [][2]string
	body   []byte
}

func (r *answer) append(b []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(r.status)...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.body)), 10)
	for _, h := range r.header {
		b = append(b, "\r\n"...)
		b = append(b, h[0]...)
		b = append(b, ": "...)
		b = append(b, h[1]...)
	}
	b = append(b, "\r\n\r\n"...)
	return append(b, r.body...)
}

func refuse(status int, kind, message string) *answer {
	return &answer{status: status, body: failure(kind, message)}
}

var accepted = &answer{status: http.StatusAccepted, body: []byte("{\"status\":\"OK\"}\n")}

// route finds what a request asks for; nil ends the connection.
func (a *api) route(req *http.Request) *answer {
	rest, ok := strings.CutPrefix(req.URL.Path, apiRoot)
	if !ok {
		return refuse(http.StatusNotFound, "NotFound", "no such route: "+req.Method+" "+req.URL.Path)
	}
	switch part := strings.Split(rest, "/"); {
	case rest == "invocation/next" && req.Method == http.MethodGet:
		return a.next()
	case rest == "init/error" && req.Method == http.MethodPost:
		body, large, err := a.readBody(req)
		if err != nil {
			return nil
		}
		if large {
			return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", tooLargeText)
		}
		return state(a.seat.initFail(errorType(req, body), errorBody(req, body)))
	case len(part) == 3 && part[0] == "invocation" && req.Method == http.MethodPost && part[2] == "response":
		body, large, err := a.readBody(req)
		if err != nil {
			return nil
		}
		if large {
			if err := a.seat.tooLarge(part[1], req.ContentLength); err != nil {
				return state(err)
			}
			return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", tooLargeText)
		}
		if kind := req.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
			if b, err := base64.StdEncoding.DecodeString(req.Trailer.Get("Lambda-Runtime-Function-Error-Body")); err == nil && len(b) > 0 {
				body = b
			}
			return state(a.seat.fail(part[1], kind, body))
		}
		return state(a.seat.response(part[1], body))
	case len(part) == 3 && part[0] == "invocation" && req.Method == http.MethodPost && part[2] == "error":
		body, large, err := a.readBody(req)
		if err != nil {
			return nil
		}
		if large {
			if err := a.seat.tooLarge(part[1], req.ContentLength); err != nil {
				return state(err)
			}
			return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", tooLargeText)
		}
		return state(a.seat.fail(part[1], errorType(req, body), errorBody(req, body)))
	}
	return refuse(http.StatusNotFound, "NotFound", "no such route: "+req.Method+" "+req.URL.Path)
}

var tooLargeText = fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", lambda.MaxResponse)

// state tells the runtime whether its request fitted.
func state(err error) *answer {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, errOtherID):
		return refuse(http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
	return refuse(http.StatusForbidden, "InvalidStateTransition", "State transition is not allowed: "+err.Error())
}

func (a *api) next() *answer {
	c, err := a.seat.next(a.gone)
	if err != nil {
		return state(err)
	}
	if c == nil {
		return nil
	}
	r := &answer{status: http.StatusOK, body: c.in.Payload, header: [][2]string{
		{"Lambda-Runtime-Aws-Request-Id", c.in.RequestID},
		{"Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10)},
		{"Lambda-Runtime-Invoked-Function-Arn", c.arn},
		{"Lambda-Runtime-Trace-Id", headerValue(c.in.TraceID)},
	}}
	if len(c.in.ClientContext) > 0 {
		r.header = append(r.header, [2]string{"Lambda-Runtime-Client-Context", headerValue(string(c.in.ClientContext))})
	}
	return r
}

// headerValue keeps line ends out of a header: JSON has none that matter.
func headerValue(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}

// readBody reads a body up to the limit of a response; large says that there is
// more, which is then left unread.
func (a *api) readBody(req *http.Request) (body []byte, large bool, err error) {
	if req.ContentLength > lambda.MaxResponse {
		return nil, true, nil
	}
	a.reading.Lock()
	defer a.reading.Unlock()
	if n := req.ContentLength; n > 0 {
		body = make([]byte, n)
		_, err = io.ReadFull(req.Body, body)
		return body, false, err
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, lambda.MaxResponse+1))
	if len(body) > lambda.MaxResponse {
		return nil, true, nil
	}
	return body, false, err
}

// errorType is the kind of a function's error: the header's, else the body's.
func errorType(req *http.Request, body []byte) string {
	if h := req.Header.Get("Lambda-Runtime-Function-Error-Type"); h != "" && len(h) <= 256 {
		return h
	}
	if k := kindOf(body); k != "" {
		return k
	}
	return "Runtime.Unknown"
}

// errorBody is a function's error as its caller sees it.
func errorBody(req *http.Request, body []byte) []byte {
	if len(body) == 0 {
		return failure(errorType(req, nil), "")
	}
	return body
}
