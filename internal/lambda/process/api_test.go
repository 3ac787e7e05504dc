package process

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// fakeSeat keeps what a runtime told it.
type fakeSeat struct {
	mu    sync.Mutex
	event *call
	told  []string
	err   error
}

func (s *fakeSeat) tell(parts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, strings.Join(parts, " "))
	return s.err
}

func (s *fakeSeat) next(<-chan struct{}) (*call, error)  { return s.event, s.err }
func (s *fakeSeat) response(id string, b []byte) error   { return s.tell("response", id, string(b)) }
func (s *fakeSeat) tooLarge(id string, _ int64) error    { return s.tell("large", id) }
func (s *fakeSeat) fail(id, kind string, b []byte) error { return s.tell("fail", id, kind, string(b)) }
func (s *fakeSeat) initFail(kind string, b []byte) error { return s.tell("init", kind, string(b)) }

// wire is a connection whose input is known.
type wire struct {
	io.Reader
	out bytes.Buffer
}

func (w *wire) Write(b []byte) (int, error) { return w.out.Write(b) }

// exchange plays a runtime's bytes and returns the answers.
func exchange(s seat, in string) string {
	w := &wire{Reader: strings.NewReader(in)}
	a := &api{seat: s, gone: make(chan struct{}), conns: map[net.Conn]bool{}}
	a.talk(w)
	return w.out.String()
}

func TestRuntimeAPI(t *testing.T) {
	event := &call{in: &lambda.Invocation{RequestID: "id-1", Payload: []byte(`{"a":1}`), TraceID: "Root=1", ClientContext: []byte("{\r\n}")}, arn: "arn:x", deadline: time.UnixMilli(1234)}
	post := func(path, header, body string) string {
		return "POST /2018-06-01/runtime/" + path + " HTTP/1.1\r\nHost: x\r\n" + header + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	for _, c := range []struct {
		name, in string
		err      error
		status   string
		told     string
		body     string
	}{
		{"next", "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n", nil, "200", "", `{"a":1}`},
		{"next while busy", "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n", errBusy, "403", "", "InvalidStateTransition"},
		{"response", post("invocation/id-1/response", "", `{"b":2}`), nil, "202", `response id-1 {"b":2}`, `"OK"`},
		{"empty response", post("invocation/id-1/response", "", ``), nil, "202", `response id-1 `, `"OK"`},
		{"chunked response", "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n", nil, "202", "response id-1 [1,2]", ""},
		{"streamed response that fails at its end", "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n1\r\nx\r\n0\r\nLambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n", nil, "202", "fail id-1 Late {}", ""},
		{"response of another event", post("invocation/id-2/response", "", `1`), errOtherID, "400", "response id-2 1", "InvalidRequestID"},
		{"response to nothing", post("invocation/id-2/response", "", `1`), errIdle, "403", "response id-2 1", "InvalidStateTransition"},
		{"error with a header", post("invocation/id-1/error", "Lambda-Runtime-Function-Error-Type: Mine\r\n", `{"errorType":"T","errorMessage":"m"}`), nil, "202", `fail id-1 Mine {"errorType":"T","errorMessage":"m"}`, ""},
		{"error without", post("invocation/id-1/error", "", `{"errorType":"T","errorMessage":"m"}`), nil, "202", `fail id-1 T {"errorType":"T","errorMessage":"m"}`, ""},
		{"error of nothing", post("invocation/id-1/error", "", ``), nil, "202", `fail id-1 Runtime.Unknown {"errorType":"Runtime.Unknown","errorMessage":""}`, ""},
		{"init error", post("init/error", "", `{"errorType":"T"}`), nil, "202", `init T {"errorType":"T"}`, ""},
		{"large response", "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nxx", nil, "413", "large id-1", "RequestEntityTooLarge"},
		{"expect", "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n1", nil, "100", "response id-1 1", "202 Accepted"},
		{"no such route", "GET /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\n\r\n", nil, "404", "", "no such route"},
		{"wrong method", "POST /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", nil, "404", "", "no such route"},
		{"two in a row", post("invocation/id-1/response", "", `1`) + "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", nil, "202", "response id-1 1", "HTTP/1.1 404"},
		{"not HTTP", "hello\r\n\r\n", nil, "", "", ""},
		{"endless header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 100<<10), nil, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fakeSeat{event: event, err: c.err}
			got := exchange(s, c.in)
			if c.status == "" {
				if got != "" {
					t.Errorf("answered %q", got)
				}
				return
			}
			if !strings.HasPrefix(got, "HTTP/1.1 "+c.status) || !strings.Contains(got, c.body) {
				t.Errorf("answered %q", got)
			}
			if told := strings.Join(s.told, "|"); told != c.told {
				t.Errorf("the instance heard %q, want %q", told, c.told)
			}
		})
	}
	got := exchange(&fakeSeat{event: event}, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
	want := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Deadline-Ms: 1234\r\n" +
		"Lambda-Runtime-Invoked-Function-Arn: arn:x\r\nLambda-Runtime-Trace-Id: Root=1\r\nLambda-Runtime-Client-Context: {  }\r\n\r\n{\"a\":1}"
	if got != want {
		t.Errorf("next answers\n%q\nwant\n%q", got, want)
	}
}

// Whatever a function sends on its socket, the server answers HTTP or hangs up.
func FuzzRuntimeAPI(f *testing.F) {
	f.Add("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("POST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
	f.Add("POST /2018-06-01/runtime/invocation/id/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}")
	f.Fuzz(func(t *testing.T, in string) {
		s := &fakeSeat{event: &call{in: &lambda.Invocation{RequestID: "id", Payload: []byte("1")}}}
		got := exchange(s, in)
		if got != "" && !strings.HasPrefix(got, "HTTP/1.1 ") {
			t.Errorf("answered %q", got)
		}
		for _, line := range s.told {
			if len(line) > lambda.MaxResponse+1024 {
				t.Errorf("%d bytes were taken", len(line))
			}
		}
	})
}

// What a function prints, in whatever pieces, becomes lines without loss.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\rd\n\xff"), uint8(2))
	f.Add([]byte("\n\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		sink := &memorySink{where: map[string]bool{}}
		o := &output{f: &lambda.Function{}, sink: sink, now: time.Now}
		o.begin(true)
		for at := 0; at < len(b); at += int(step) + 1 {
			o.add(b[at:min(len(b), at+int(step)+1)])
		}
		o.flush()
		if len(o.part) != 0 {
			t.Errorf("%q is kept back", o.part)
		}
		want := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(b) > 0 && len(sink.lines) != len(want) {
			t.Errorf("%q became %q", b, sink.lines)
		}
		if tail := o.end(); len(tail) > lambda.MaxLogTail {
			t.Errorf("a tail of %d bytes", len(tail))
		}
	})
}

// Any answer of a function reaches the caller as it is, and its errors can be
// read.
func FuzzResponseJSON(f *testing.F) {
	f.Add([]byte(`{"errorType":"E","errorMessage":"m","stackTrace":["x"]}`))
	f.Add([]byte(`[1,2`))
	f.Add([]byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = kindOf(b)
		r := &lambda.Result{Payload: b, FunctionError: lambda.UnhandledError}
		if _, ok := r.Failure(); !ok {
			t.Error("an error is not seen")
		}
		s := &fakeSeat{}
		body := "POST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(b)) + "\r\n\r\n" + string(b)
		exchange(s, body)
		if len(s.told) != 1 || s.told[0] != "response id "+string(b) {
			t.Errorf("%q arrived as %q", b, s.told)
		}
	})
}

// Lines printed before the answer stand before END, however the pipe is read.
func TestDrainKeepsTheOrder(t *testing.T) {
	sink := &memorySink{where: map[string]bool{}}
	o, err := newOutput(&lambda.Function{LogGroup: "g"}, "s", sink, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); o.read() }()
	for range 500 {
		if _, err := io.WriteString(o.writer, "printed\n"); err != nil {
			t.Fatal(err)
		}
		o.drain()
		o.service("END")
	}
	_ = o.writer.Close()
	<-done
	o.close()
	for i, line := range sink.lines {
		if want := []string{"printed", "END"}[i%2]; line != want {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(sink.lines) != 1000 {
		t.Errorf("%d lines", len(sink.lines))
	}
}
