package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runtimeDesk answers what a test gives it.
type runtimeDesk struct {
	bedrockruntime.Unimplemented
	converse func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error)
	stream   func(context.Context, *bedrockruntime.ConverseStreamInput, *bedrockruntime.ConverseStreamWriter) error
}

func (d *runtimeDesk) Converse(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
	return d.converse(ctx, in)
}

func (d *runtimeDesk) ConverseStream(ctx context.Context, in *bedrockruntime.ConverseStreamInput, w *bedrockruntime.ConverseStreamWriter) error {
	return d.stream(ctx, in, w)
}

type agentDesk struct {
	bedrockagent.Unimplemented
	err error
}

func (d *agentDesk) DeleteAgent(context.Context, *bedrockagent.DeleteAgentInput) (*bedrockagent.DeleteAgentOutput, error) {
	return nil, d.err
}

type controlDesk struct {
	bedrock.Unimplemented
	err error
}

func (d *controlDesk) DeleteGuardrail(context.Context, *bedrock.DeleteGuardrailInput) (*bedrock.DeleteGuardrailOutput, error) {
	return nil, d.err
}

// anyone authenticates by the Authorization header: its value is the name of the
// caller, "" is refused.
type anyone struct{}

func (anyone) Authenticate(r *http.Request, _ []byte, _ bool) (Identity, error) {
	name := r.Header.Get("Authorization")
	if name == "" {
		return Identity{}, apierr.New(apierr.MissingAuth, "Missing Authentication Token")
	}
	return Identity{Account: "123456789012", Region: "eu-west-1", Principal: "arn:aws:iam::123456789012:user/" + name, Caller: name, Bearer: strings.HasPrefix(name, "Bearer ")}, nil
}

type admins struct{ asked *[]*Permission }

func (admins) Unrestricted(c any) bool { return c == "admin" }

func (a admins) Authorize(_ context.Context, p *Permission) error {
	if a.asked != nil {
		*a.asked = append(*a.asked, p)
	}
	return apierr.New(apierr.AccessDenied, "no")
}

func answer200(text string) *bedrockruntime.ConverseOutput {
	return &bedrockruntime.ConverseOutput{
		Output:     &bedrockruntime.ConverseOutputUnion{Message: &bedrockruntime.Message{Role: "assistant", Content: []bedrockruntime.ContentBlock{{Text: &text}}}},
		StopReason: "end_turn", Usage: &bedrockruntime.TokenUsage{InputTokens: 1, OutputTokens: 1, TotalTokens: 2}, Metrics: &bedrockruntime.ConverseMetrics{LatencyMs: 1},
	}
}

func newHandler(d *runtimeDesk, change func(*Config)) *Handler {
	c := Config{
		Desks: []Desk{
			{&bedrock.Service, &controlDesk{err: apierr.New(apierr.Conflict, "busy")}},
			{&bedrockruntime.Service, d},
			{&bedrockagent.Service, &agentDesk{err: apierr.New(apierr.Conflict, "busy")}},
			{&bedrockagentruntime.Service, bedrockagentruntime.Unimplemented{}},
		},
		Authenticator: anyone{},
	}
	if change != nil {
		change(&c)
	}
	return New(c)
}

const converseBody = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`

func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "admin")
	return r
}

func serveOne(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func message(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var m struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	return m.Message
}

func TestErrorsAsTheServiceModelsThem(t *testing.T) {
	h := newHandler(&runtimeDesk{converse: func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
		return nil, errors.New("the password is hunter2")
	}}, func(c *Config) { c.MaxBody = 1000 })
	for _, tc := range []struct {
		name, method, path, body, auth string
		status                         int
		kind, text                     string
	}{
		{"conflict is 409 in bedrock-agent", "DELETE", "/agents/AAAAAAAAAA/", "", "admin", 409, "ConflictException", "busy"},
		{"and 400 in bedrock", "DELETE", "/guardrails/abcdefghij", "", "admin", 400, "ConflictException", "busy"},
		{"what is not built names itself", "PUT", "/agents/", `{"agentName":"a"}`, "admin", 501, "NotImplementedException", "CreateAgent"},
		{"no such route", "GET", "/nothing", "", "admin", 404, "UnknownOperationException", "/nothing"},
		{"no credentials", "POST", "/model/m/converse", converseBody, "", 403, "MissingAuthenticationTokenException", "Missing"},
		{"an API key at an agent service", "POST", "/agents/", "{}", "Bearer x", 403, "UnrecognizedClientException", "Signature Version 4"},
		{"an internal error keeps its text", "POST", "/model/m/converse", converseBody, "admin", 500, "InternalServerException", "request id"},
		{"a body over the limit", "POST", "/model/m/converse", `{"messages":[{"role":"user","content":[{"text":"` + strings.Repeat("x", 1000) + `"}]}]}`, "admin", 413, "RequestEntityTooLargeException", "1000 bytes"},
		{"a role that does not exist", "POST", "/model/m/converse", `{"messages":[{"role":"system","content":[]}]}`, "admin", 400, "ValidationException", "messages.1.member.role"},
		{"no JSON", "POST", "/model/m/converse", `{"messages":`, "admin", 400, "SerializationException", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := request(tc.method, tc.path, tc.body)
			if r.Header.Set("Authorization", tc.auth); tc.auth == "" {
				r.Header.Del("Authorization")
			}
			w := serveOne(h, r)
			if got := w.Header().Get("x-amzn-ErrorType"); w.Code != tc.status || got != tc.kind {
				t.Fatalf("got %d %s %s, want %d %s", w.Code, got, w.Body, tc.status, tc.kind)
			}
			m := message(t, w)
			if !strings.Contains(m, tc.text) || strings.Contains(m, "hunter2") {
				t.Errorf("got message %q, want one with %q and no secret", m, tc.text)
			}
			if w.Header().Get("x-amzn-RequestId") == "" {
				t.Error("no request id")
			}
		})
	}
}

func TestAPanicIsAnInternalErrorWithItsStackInTheLog(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(&runtimeDesk{converse: func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
		panic("lost")
	}}, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w := serveOne(h, request("POST", "/model/m/converse", converseBody))
	if w.Code != 500 || strings.Contains(w.Body.String(), "lost") {
		t.Errorf("got %d %s, want 500 that says nothing", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "BUG: Converse panicked: lost") || !strings.Contains(log.String(), "gateway_test.go") {
		t.Errorf("the log has no stack: %s", &log)
	}
}

func TestPermissionComesBeforeValidation(t *testing.T) {
	var asked []*Permission
	h := newHandler(&runtimeDesk{}, func(c *Config) { c.Authorizer = admins{&asked} })
	r := request("DELETE", "/agents/short/", "")
	r.Header.Set("Authorization", "guest")
	if w := serveOne(h, r); w.Code != 403 {
		t.Fatalf("got %d %s, want 403", w.Code, w.Body)
	}
	if len(asked) != 1 || asked[0].Action != "bedrock:DeleteAgent" || asked[0].Resources[0] != "arn:aws:bedrock:eu-west-1:123456789012:agent/short" {
		t.Errorf("asked %+v", *asked[0])
	}
	r = request("POST", "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aprovisioned-model%2Fabc/converse", converseBody)
	r.Header.Set("Authorization", "guest")
	serveOne(h, r)
	if p := asked[len(asked)-1]; p.Action != "bedrock:InvokeModel" || p.Resources[0] != "arn:aws:bedrock:eu-west-1:123456789012:provisioned-model/abc" {
		t.Errorf("Converse on an ARN asked for %s on %v", p.Action, p.Resources)
	}
	if w := serveOne(h, request("DELETE", "/agents/short/", "")); w.Code != 400 {
		t.Errorf("the administrator got %d, want the validation error", w.Code)
	}
}

// A retry of a call that still runs joins it: the model works once.
func TestARetryJoinsTheRunningCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started, cancelled atomic.Int32
		h := newHandler(&runtimeDesk{converse: func(ctx context.Context, _ *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
			started.Add(1)
			select {
			case <-time.After(100 * time.Second):
				return answer200("at last"), nil
			case <-ctx.Done():
				cancelled.Add(1)
				return nil, ctx.Err()
			}
		}}, nil)
		attempt := func(ctx context.Context, id, caller string) *httptest.ResponseRecorder {
			r := request("POST", "/model/m/converse", converseBody).WithContext(ctx)
			r.Header.Set("amz-sdk-invocation-id", id)
			r.Header.Set("Authorization", caller)
			return serveOne(h, r)
		}
		first, give := context.WithTimeout(t.Context(), 60*time.Second)
		defer give()
		attempt(first, "one", "admin")
		time.Sleep(time.Second) // the SDK's back-off
		if w := attempt(t.Context(), "one", "admin"); w.Code != 200 || !strings.Contains(w.Body.String(), "at last") {
			t.Errorf("the retry got %d %s", w.Code, w.Body)
		}
		if n := started.Load(); n != 1 {
			t.Errorf("the model was started %d times, want once", n)
		}
		if now := started.Load(); attempt(t.Context(), "one", "other").Code != 200 || started.Load() != now+1 {
			t.Error("another caller with the same id joined a call that is not theirs")
		}
		// Nobody comes back: the work is cancelled, but not before the retry's time.
		gone, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		attempt(gone, "two", "admin")
		time.Sleep(9 * time.Second)
		if cancelled.Load() != 0 {
			t.Error("work was cancelled before the retry could come")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if cancelled.Load() != 1 {
			t.Errorf("%d calls cancelled, want the abandoned one", cancelled.Load())
		}
		if n := len(h.calls.by); n != 0 {
			t.Errorf("%d calls are still remembered", n)
		}
	})
}

func TestStopEndsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(&runtimeDesk{converse: func(ctx context.Context, _ *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, nil)
		done := make(chan *httptest.ResponseRecorder)
		go func() { done <- serveOne(h, request("POST", "/model/m/converse", converseBody)) }()
		synctest.Wait()
		if err := h.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if w := <-done; w.Code != 503 || !strings.Contains(message(t, w), "stopping") {
			t.Errorf("got %d %s, want 503 that says why", w.Code, w.Body)
		}
	})
}

func TestStreams(t *testing.T) {
	text := func(s string) *bedrockruntime.ConverseStreamEvent {
		return &bedrockruntime.ConverseStreamEvent{ContentBlockDelta: &bedrockruntime.ContentBlockDeltaEvent{Delta: &bedrockruntime.ContentBlockDelta{Text: &s}}}
	}
	gate := make(chan struct{})
	var observed atomic.Pointer[Observation]
	d := &runtimeDesk{}
	h := newHandler(d, func(c *Config) { c.Observers = []func(*Observation){func(o *Observation) { observed.Store(o) }} })
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP1(proto == "HTTP/1.1")
			tr.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr}
			open := func(t *testing.T) *http.Response {
				r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/model/m/converse-stream", strings.NewReader(converseBody))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "admin")
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { resp.Body.Close() })
				if resp.Proto != proto {
					t.Fatalf("spoke %s", resp.Proto)
				}
				return resp
			}
			t.Run("an error before the head is plain HTTP", func(t *testing.T) {
				d.stream = func(context.Context, *bedrockruntime.ConverseStreamInput, *bedrockruntime.ConverseStreamWriter) error {
					return apierr.New(apierr.Throttling, "slow down")
				}
				resp := open(t)
				if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 429 || !strings.Contains(string(b), "slow down") {
					t.Errorf("got %d %s", resp.StatusCode, b)
				}
			})
			t.Run("events come one by one, an error after the head is the last frame", func(t *testing.T) {
				d.stream = func(ctx context.Context, _ *bedrockruntime.ConverseStreamInput, w *bedrockruntime.ConverseStreamWriter) error {
					call.From(ctx).SetServed(call.Served{Model: "tiny"})
					if err := w.Open(&bedrockruntime.ConverseStreamOutput{}); err != nil {
						return err
					}
					for _, s := range []string{"안녕", "🙂"} {
						<-gate
						if err := w.Send(text(s)); err != nil {
							return err
						}
					}
					return &apierr.Error{Kind: apierr.ModelStreamError, Message: "cut", Detail: apierr.Detail{OriginalStatus: 500}}
				}
				resp := open(t) // returns although no event was sent yet
				if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "application/vnd.amazon.eventstream" || resp.Header.Get("x-outcrop-model") != "tiny" {
					t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
				}
				dec := eventstream.NewDecoder(resp.Body)
				for _, want := range []string{"안녕", "🙂"} {
					gate <- struct{}{} // the next event is only written after the last was read
					m, err := dec.Next()
					if err != nil {
						t.Fatal(err)
					}
					if _, name := m.Kind(); name != "contentBlockDelta" || !strings.Contains(string(m.Payload), want) {
						t.Errorf("got %s %s, want %s", name, m.Payload, want)
					}
				}
				m, err := dec.Next()
				if err != nil {
					t.Fatal(err)
				}
				if kind, name := m.Kind(); kind != "exception" || name != "modelStreamErrorException" || !strings.Contains(string(m.Payload), `"cut"`) {
					t.Errorf("got %s %s %s", kind, name, m.Payload)
				}
				if _, err := dec.Next(); !errors.Is(err, io.EOF) {
					t.Errorf("after the exception came %v", err)
				}
			})
			t.Run("a client that leaves cancels the work", func(t *testing.T) {
				ended := make(chan error, 1)
				d.stream = func(ctx context.Context, _ *bedrockruntime.ConverseStreamInput, w *bedrockruntime.ConverseStreamWriter) error {
					if err := w.Open(&bedrockruntime.ConverseStreamOutput{}); err != nil {
						return err
					}
					<-ctx.Done()
					ended <- ctx.Err()
					return ctx.Err()
				}
				open(t).Body.Close()
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Error("the operation still runs")
				}
			})
		})
	}
	if o := observed.Load(); o == nil || !o.Streamed {
		t.Errorf("observed %+v, want a stream", o)
	}
}

func TestReservedPagesAndNeighbours(t *testing.T) {
	say := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	h := newHandler(&runtimeDesk{}, func(c *Config) {
		c.Pages = map[string]http.Handler{"/healthz": say("well")}
		c.Neighbours = map[string]http.Handler{"s3": say("bucket")}
	})
	if w := serveOne(h, httptest.NewRequest("GET", "/healthz", nil)); w.Body.String() != "well" {
		t.Errorf("got %s", w.Body)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	if w := serveOne(h, r); w.Body.String() != "bucket" {
		t.Errorf("got %s", w.Body)
	}
}

func BenchmarkConverse(b *testing.B) {
	h := newHandler(&runtimeDesk{converse: func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
		return answer200("hello"), nil
	}}, nil)
	b.ReportAllocs()
	for b.Loop() {
		r := request("POST", "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse", converseBody)
		r.Header.Set("amz-sdk-invocation-id", "x")
		if w := serveOne(h, r); w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}
