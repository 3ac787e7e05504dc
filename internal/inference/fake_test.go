package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/anthropic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
	"github.com/outcrop-dev/outcrop/internal/inference/family/llama"
	"github.com/outcrop-dev/outcrop/internal/inference/family/mistral"
	"github.com/outcrop-dev/outcrop/internal/inference/family/nova"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titantext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an engine that answers what the test says.
type fake struct {
	engine.Engine // panics for what a test does not expect

	mu       sync.Mutex
	requests []*engine.Request
	embeds   []*engine.EmbedRequest

	result   engine.Result
	fail     map[string]error                 // by local model, before any delta
	failAt   int                              // delta before which cut fails; 0 never
	cut      error                            //
	between  func(ctx context.Context, n int) // before delta n
	count    func(r *engine.Request) (int, error)
	embed    func(q *engine.EmbedRequest) (*engine.EmbedResult, error)
	tokenize func(text string) []engine.Token
}

func (f *fake) last() *engine.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

func (f *fake) Generate(ctx context.Context, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	copied := *r
	f.mu.Lock()
	f.requests = append(f.requests, &copied)
	f.mu.Unlock()
	result := f.result
	result.Parts = append([]engine.Part(nil), f.result.Parts...)
	result.Model = r.Model
	for n, d := range append(familytest.Deltas(&result), engine.Delta{}) {
		if f.between != nil {
			f.between(ctx, n)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.fail[r.Model]; err != nil && n == 0 {
			return nil, err
		}
		if f.failAt > 0 && n == f.failAt {
			return nil, f.cut
		}
		if emit != nil && n < len(familytest.Deltas(&result)) {
			if err := emit(d); err != nil {
				return nil, err
			}
		}
	}
	return &result, nil
}

func (f *fake) CountTokens(_ context.Context, r *engine.Request) (int, error) {
	if f.count == nil {
		return f.result.Usage.Input, nil
	}
	return f.count(r)
}

func (f *fake) Embed(_ context.Context, q *engine.EmbedRequest) (*engine.EmbedResult, error) {
	f.embeds = append(f.embeds, q)
	return f.embed(q)
}

func (f *fake) Tokenize(_ context.Context, _, text string) ([]engine.Token, error) {
	return f.tokenize(text), nil
}

// table resolves ids to targets.
type table map[string]*catalog.Target

func (t table) Resolve(_ context.Context, id string) (*catalog.Target, error) {
	if x := t[id]; x != nil {
		return x, nil
	}
	return nil, apierr.New(apierr.Validation, "The provided model identifier is invalid.")
}

const (
	sonnet = "anthropic.claude-3-sonnet-20240229-v1:0"
	novaID = "amazon.nova-lite-v1:0"
	titan  = "amazon.titan-text-express-v1"
	claude = "anthropic.claude-v2"
	llama2 = "meta.llama2-13b-chat-v1"
	jurass = "ai21.j2-mid-v1"
	embedd = "amazon.titan-embed-text-v1"
	blind  = "anthropic.claude-3-haiku-20240307-v1:0"
	chain  = "anthropic.claude-3-opus-20240229-v1:0"
	m7     = "mistral.mistral-7b-instruct-v0:2"
)

func target(id string, f catalog.Family, change func(*catalog.Target)) *catalog.Target {
	t := &catalog.Target{
		ModelID: id, BaseID: id, ARN: "arn:aws:bedrock:us-east-1::foundation-model/" + id, Family: f,
		Kind: engine.Chat, Local: "local-model", Streaming: true, Vision: true, Tools: true, System: true,
		Info: engine.Info{Name: "local-model", Kind: engine.Chat, Vision: true, Tools: engine.ToolsNative, Context: 4096},
	}
	if change != nil {
		change(t)
	}
	return t
}

// embedder is a codec of one embedding a call, enough for the runtime's part.
type embedder struct{ titantext.Codec }

func (embedder) Streams(family.Model) bool { return false }
func (embedder) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	return &family.Call{Model: m, Embed: &engine.EmbedRequest{Inputs: []string{v.Get("inputText").Text()}}}, nil
}
func (embedder) Encode(_ *family.Call, out *family.Output) ([]byte, error) {
	return json.Marshal(out.Embed)
}

func runtime(f *fake, rec Recorder) *Runtime {
	n := 0
	return New(Config{
		Engine: f,
		Resolver: table{
			sonnet: target(sonnet, catalog.ClaudeMessages, func(t *catalog.Target) { t.MaxOutput = 4096 }),
			blind:  target(blind, catalog.ClaudeMessages, func(t *catalog.Target) { t.Info.Vision, t.Info.Tools = false, engine.ToolsNone }),
			chain:  target(chain, catalog.ClaudeMessages, func(t *catalog.Target) { t.Local, t.Chain = "first", []string{"second", "third"} }),
			claude: target(claude, catalog.Claude, func(t *catalog.Target) { t.Tools, t.Vision = false, false }),
			novaID: target(novaID, catalog.Nova, nil),
			titan:  target(titan, catalog.TitanText, nil),
			llama2: target(llama2, catalog.Llama, nil),
			m7:     target(m7, catalog.Mistral, nil),
			jurass: target(jurass, catalog.Jurassic2, func(t *catalog.Target) { t.Streaming = false }),
			embedd: target(embedd, catalog.TitanEmbedText, func(t *catalog.Target) { t.Kind, t.Streaming, t.Info.Context = engine.Embedding, false, 12 }),
		},
		Families: map[catalog.Family]family.Codec{
			catalog.Claude: anthropic.Codec{}, catalog.ClaudeMessages: anthropic.Codec{}, catalog.Nova: nova.Codec{},
			catalog.TitanText: titantext.Codec{}, catalog.Llama: llama.Codec{}, catalog.Mistral: mistral.New(),
			catalog.TitanEmbedText: embedder{},
		},
		Recorder: rec,
		NewID:    func(int) string { n++; return fmt.Sprintf("ID%d", n) },
		Log:      slog.New(slog.DiscardHandler),
	})
}

func answer(text string) engine.Result {
	return engine.Result{Parts: []engine.Part{{Text: text}}, Stop: engine.EndTurn, Usage: engine.Usage{Input: 11, Output: 5}}
}

// wire is a stream's client. It keeps what was sent as JSON, because events are
// written over and over into the same structs.
type wire struct {
	mu     sync.Mutex
	opens  int
	head   any
	events []string
	sent   func(n int) error // after event n, counted from 1
}

func (w *wire) Open(head any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opens++
	w.head = head
	return nil
}

func (w *wire) Send(event any) error {
	w.mu.Lock()
	if w.opens != 1 {
		w.events = append(w.events, "SENT BEFORE OPEN")
	}
	w.events = append(w.events, squeeze(event))
	n := len(w.events)
	w.mu.Unlock()
	if w.sent != nil {
		return w.sent(n)
	}
	return nil
}

func (w *wire) Recv() (any, error) { return nil, io.EOF }

func (w *wire) opened() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opens
}

func (w *wire) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.events...)
}

// squeeze prints an event's set fields on a line; a native chunk is its text.
func squeeze(event any) string {
	if e, ok := event.(*bedrockruntime.InvokeModelWithResponseStreamEvent); ok {
		return string(e.Chunk.Bytes)
	}
	text, err := json.Marshal(event)
	if err != nil {
		return err.Error()
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err.Error()
	}
	return fmt.Sprint(strip(v))
}

func strip(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			if y = strip(y); y == nil || y == "" {
				delete(x, k)
				continue
			}
			x[k] = y
		}
	case []any:
		for i := range x {
			x[i] = strip(x[i])
		}
	}
	return v
}

func invocation(t *testing.T) (context.Context, *call.Call) {
	c := &call.Call{Account: "123456789012", Region: "us-east-1", RequestID: "req-1", Time: time.Now()}
	return call.With(t.Context(), c), c
}

func header(c *call.Call, name string) string {
	for _, h := range c.Headers() {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

func wantError(t *testing.T, err error, kind apierr.Kind, message string) *apierr.Error {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		t.Fatalf("got %v, want %s", err, kind)
	}
	if e.Kind != kind || message != "" && e.Message != message {
		t.Errorf("got %s: %s\nwant %s: %s", e.Kind, e.Message, kind, message)
	}
	return e
}
