//go:build unix

package agent_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	"github.com/outcrop-dev/outcrop/internal/agent/schema"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/demo/insurance"
	"github.com/outcrop-dev/outcrop/internal/engine"
	rules "github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// bench is an agent of three operations on the script engine, with a function in
// process and its sessions on disk.
type bench struct {
	house
	engine *rules.Engine
}

func (h *bench) Generate(ctx context.Context, _ string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	return h.engine.Generate(ctx, r, emit)
}

// swallow is a client's end of a stream that reads all and keeps nothing.
type swallow struct {
	head   http.Header
	status int
	bytes  atomic.Int64
}

func (s *swallow) Header() http.Header { return s.head }

func (s *swallow) WriteHeader(status int) { s.status = status }

func (s *swallow) Flush() {}

func (s *swallow) Write(b []byte) (int, error) {
	s.bytes.Add(int64(len(b)))
	return len(b), nil
}

// A turn of two model steps with a function between them, from the bytes of its
// request to those of its stream, all of its commits on disk.
func BenchmarkTurn(b *testing.B) {
	for _, trace := range []bool{false, true} {
		b.Run(fmt.Sprintf("trace=%t", trace), func(b *testing.B) { benchmarkTurn(b, trace) })
	}
}

func benchmarkTurn(b *testing.B, trace bool) {
	d, err := sqlite.Open(b.Context(), sqlite.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	sealer, err := store.OpenLocalSealer(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Config{Driver: d, Sealer: sealer, Hot: conversation.Statements()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e, err := rules.New(rules.Config{Reader: strings.NewReader(`rules:
  - when: {tool_result: "c-1"}
    reply: {text: "c-1 is open."}
default: {tool_calls: [{name: get__claims__getAllOpenClaims, arguments: {}}]}
`)})
	if err != nil {
		b.Fatal(err)
	}
	actions, err := schema.OpenAPI("claims", []byte(insurance.Schema))
	if err != nil {
		b.Fatal(err)
	}
	const model = "anthropic.claude-3-haiku-20240307-v1:0"
	h := &bench{engine: e}
	h.plan = &plan.Plan{
		AgentID: "AGENT00001", Name: "a", ARN: "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001", Model: model, Instruction: insurance.Instruction, IdleTTL: 600,
		Prompts: prompt.Defaults(model), Groups: []plan.Group{{Name: "claims", Lambda: "arn:aws:lambda:us-east-1:123456789012:function:f", Actions: actions}},
	}
	rt := agent.NewRuntime(agent.RuntimeConfig{
		Aliases: h, Definitions: h, Sessions: conversation.New(conversation.Config{Store: s}), Runner: turn.New(turn.Config{Models: h, Functions: h}),
	})
	handler := gateway.New(gateway.Config{Authenticator: user{}, Desks: []gateway.Desk{{Service: &runtime.Service, API: &desk{Runtime: rt}}}})
	body := fmt.Sprintf(`{"inputText":"Which claims are open?","enableTrace":%t}`, trace)
	n := 0
	b.ReportAllocs()
	used := cpu(b)
	for b.Loop() {
		n++
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1/agents/AGENT00001/agentAliases/TSTALIASID/sessions/s-%d/text", n), strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.RequestURI = r.URL.RequestURI()
		r.Host = "bedrock-agent-runtime.us-east-1.amazonaws.com"
		w := &swallow{head: http.Header{}}
		handler.ServeHTTP(w, r)
		_, _ = io.Copy(io.Discard, r.Body)
		if w.status != http.StatusOK || w.bytes.Load() < 100 {
			b.Fatalf("status %d, %d bytes", w.status, w.bytes.Load())
		}
	}
	b.ReportMetric(float64(cpu(b)-used)/float64(n)/1000, "cpu-µs/op")
	if h.called != n {
		b.Fatalf("%d turns called the function %d times", n, h.called)
	}
}

// cpu is the processor time that the process has used, in nanoseconds: what a turn
// costs whatever the disk does meanwhile.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
