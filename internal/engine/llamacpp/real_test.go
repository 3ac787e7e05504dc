//go:build unix

package llamacpp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// realEngine opens the real engine when OUTCROP_REAL_MODEL is set: 1 takes the
// smallest chat model, another value names one.
func realEngine(t *testing.T, change func(*Config)) *Engine {
	t.Helper()
	model := os.Getenv("OUTCROP_REAL_MODEL")
	if model == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run a real model")
	}
	if model == "1" {
		model = "smollm2-135m"
	}
	cfg := Config{ChatModel: model, EmbeddingModel: "all-minilm-l6-v2", ContextTokens: 4096, Progress: fetch.NewProgress(os.Stderr),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func user(text string) engine.Message {
	return engine.Message{Role: engine.User, Parts: []engine.Part{{Text: text}}}
}

func TestARealModelAnswers(t *testing.T) {
	e := realEngine(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	req := &engine.Request{
		System:   "You are brief.",
		Messages: []engine.Message{user("Name three colours of the rainbow, and write an emoji.")},
		Sampling: engine.Sampling{MaxTokens: 60, Temperature: new(0.0)},
	}
	var deltas int
	var text strings.Builder
	var first, last time.Time
	res, err := e.Generate(ctx, req, func(d engine.Delta) error {
		if !utf8.ValidString(d.Text) {
			t.Errorf("delta is no UTF-8: %q", d.Text)
		}
		if deltas == 0 {
			first = time.Now()
		}
		last = time.Now()
		deltas++
		text.WriteString(d.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != text.String() || text.Len() == 0 || deltas < 5 {
		t.Errorf("%d deltas, result %q", deltas, res.Text())
	}
	t.Logf("%s: %q", res.Model, res.Text())
	t.Logf("usage %+v, queued and loaded in %s, first token %s, %.1f tok/s", res.Usage, res.Timing.Queued, res.Timing.FirstToken, float64(res.Usage.Output-1)/last.Sub(first).Seconds())

	n, err := e.CountTokens(ctx, req)
	if err != nil || n != res.Usage.Input {
		t.Errorf("CountTokens = %d, %v; the engine charged %d", n, err, res.Usage.Input)
	}
	again, err := e.Generate(ctx, req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Text() != res.Text() {
		t.Errorf("greedy answers differ:\n%q\n%q", res.Text(), again.Text())
	}
	if again.Usage.CacheRead < res.Usage.Input/2 || again.Usage.CacheRead+again.Usage.CacheWrite != again.Usage.Input {
		t.Errorf("prefix cache: %+v", again.Usage)
	}
}

func TestARealModelStopsAndContinues(t *testing.T) {
	e := realEngine(t, nil)
	greedy := engine.Sampling{MaxTokens: 40, Temperature: new(0.0)}
	ask := func(req engine.Request) *engine.Result {
		t.Helper()
		res, err := e.Generate(t.Context(), &req, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	free := ask(engine.Request{Messages: []engine.Message{user("Count from one to ten in digits.")}, Sampling: greedy})
	words := strings.Fields(free.Text())
	if len(words) < 3 {
		t.Fatalf("too short to test: %q", free.Text())
	}
	stopping := greedy
	stopping.Stop = []string{"never so", words[2]}
	res := ask(engine.Request{Messages: []engine.Message{user("Count from one to ten in digits.")}, Sampling: stopping})
	if res.Stop != engine.StopSequence || res.StopText != words[2] || strings.Contains(res.Text(), words[2]) {
		t.Errorf("stop %s %q in %q", res.Stop, res.StopText, res.Text())
	}
	short := greedy
	short.MaxTokens = 3
	if res = ask(engine.Request{Messages: []engine.Message{user("Tell me a story.")}, Sampling: short}); res.Stop != engine.MaxTokens || res.Usage.Output != 3 {
		t.Errorf("stop %s after %d tokens", res.Stop, res.Usage.Output)
	}
	res = ask(engine.Request{Messages: []engine.Message{user("What is the capital of France?"), {Role: engine.Assistant, Parts: []engine.Part{{Text: "The capital of France is"}}}}, Sampling: greedy})
	if strings.HasPrefix(strings.TrimSpace(res.Text()), "The capital") || !strings.Contains(res.Text(), "Paris") {
		t.Errorf("prefill goes on with %q", res.Text())
	}
	probs := greedy
	probs.MaxTokens = 4
	res = ask(engine.Request{Messages: []engine.Message{user("Hi")}, Sampling: probs, TopLogprobs: 3, EchoTokens: true})
	if len(res.Tokens) != 4 || len(res.Tokens[0].Top) != 3 || res.Tokens[0].Logprob > 0 || len(res.PromptTokens) != res.Usage.Input {
		t.Errorf("%d tokens, %d of the prompt of %d: %+v", len(res.Tokens), len(res.PromptTokens), res.Usage.Input, res.Tokens)
	}
	var joined string
	for _, x := range res.Tokens {
		joined += x.Text
	}
	if joined != res.Text() {
		t.Errorf("tokens %q, text %q", joined, res.Text())
	}
	res = ask(engine.Request{Messages: []engine.Message{user("Describe a cat.")}, Sampling: engine.Sampling{MaxTokens: 200, Temperature: new(0.0)},
		ResultSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string","maxLength":20},"legs":{"type":"integer"}},"required":["name","legs"],"additionalProperties":false}`)})
	var cat struct {
		Name string
		Legs *int
	}
	if err := json.Unmarshal([]byte(res.Text()), &cat); err != nil || cat.Legs == nil {
		t.Errorf("structured answer %q: %v", res.Text(), err)
	}
}

func TestARealModelRefusesWhatDoesNotFit(t *testing.T) {
	e := realEngine(t, func(c *Config) { c.ContextTokens = 512 })
	_, err := e.Generate(t.Context(), &engine.Request{Messages: []engine.Message{user(strings.Repeat("hello world ", 1000))}}, nil)
	if x := asError(t, err); x.Kind != engine.TooLong || x.Limit != 512 || x.Got < 2000 {
		t.Errorf("%+v", x)
	}
	res, err := e.Generate(t.Context(), &engine.Request{Messages: []engine.Message{user("Write a very long story about a mountain. " + strings.Repeat("Go on and on. ", 90))}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(res.Stop, res.Usage)
	if res.Stop != engine.ContextFull && res.Stop != engine.EndTurn {
		t.Error(res.Stop)
	}
}

func TestADroppedCallerEndsARealGeneration(t *testing.T) {
	e := realEngine(t, func(c *Config) { c.Parallel = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	_, err := e.Generate(ctx, &engine.Request{Messages: []engine.Message{user("Count from 1 to 10000.")}, Sampling: engine.Sampling{MaxTokens: 3000}}, func(engine.Delta) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	begin := time.Now()
	if _, err := e.Generate(t.Context(), &engine.Request{Messages: []engine.Message{user("Hi")}, Sampling: engine.Sampling{MaxTokens: 1}}, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the only slot was free after %s", took)
	}
}

func TestARealModelCallsATool(t *testing.T) {
	e := realEngine(t, nil)
	tool := engine.Tool{Name: "get_weather", Description: "Current weather of a city", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)}
	req := engine.Request{System: "You are a helpful assistant.", Messages: []engine.Message{user("What is the weather in Rome right now?")}, Tools: []engine.Tool{tool},
		ToolChoice: engine.ToolChoice{Mode: engine.ToolAny}, Sampling: engine.Sampling{MaxTokens: 200, Temperature: new(0.0)}}
	var kinds []engine.DeltaKind
	begin := time.Now()
	res, err := e.Generate(t.Context(), &req, func(d engine.Delta) error { kinds = append(kinds, d.Kind); return nil })
	if err != nil {
		t.Fatal(err)
	}
	var call *engine.ToolCall
	for _, p := range res.Parts {
		if p.ToolCall != nil && call == nil {
			call = p.ToolCall
		}
	}
	if call == nil || call.Name != "get_weather" || !json.Valid(call.Arguments) || call.ID == "" {
		t.Fatalf("stop %s, call %+v, text %q", res.Stop, call, res.Text())
	}
	// The smallest model does not know when to stop calling.
	if res.Stop != engine.ToolUse && res.Model != "smollm2-135m" {
		t.Errorf("stop %s", res.Stop)
	}
	t.Logf("%s(%s) after %s, usage %+v", call.Name, call.Arguments, time.Since(begin), res.Usage)
	if n, err := e.CountTokens(t.Context(), &req); err != nil || n != res.Usage.Input {
		t.Errorf("CountTokens = %d, %v; charged %d", n, err, res.Usage.Input)
	}
	req.ToolChoice = engine.ToolChoice{}
	req.Messages = append(req.Messages,
		engine.Message{Role: engine.Assistant, Parts: []engine.Part{{ToolCall: call}}},
		engine.Message{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: call.ID, Name: call.Name, Parts: []engine.Part{{Text: "31 degrees, sunny"}}}}}})
	begin = time.Now()
	res, err = e.Generate(t.Context(), &req, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("then %q after %s, stop %s, usage %+v", res.Text(), time.Since(begin), res.Stop, res.Usage)
	if res.Usage.CacheRead*10 < res.Usage.Input*6 {
		t.Errorf("prefix re-used between steps: %d of %d", res.Usage.CacheRead, res.Usage.Input)
	}
}

func TestRealEmbeddingsMeanSomething(t *testing.T) {
	e := realEngine(t, nil)
	long := strings.Repeat("The quick brown fox jumps over the lazy dog near the river bank. ", 100)
	begin := time.Now()
	res, err := e.Embed(t.Context(), &engine.EmbedRequest{Inputs: []string{
		"How do I reset my password?", "I forgot my password, how can I change it?", "The volcano erupted at dawn.", long, "The quick brown fox jumps over the lazy dog near the river bank.", "",
	}})
	if err != nil {
		t.Fatal(err)
	}
	cos := func(a, b int) float64 {
		var s float64
		for i := range res.Vectors[a] {
			s += float64(res.Vectors[a][i]) * float64(res.Vectors[b][i])
		}
		return s
	}
	t.Logf("%s: paraphrase %.3f, unrelated %.3f, long to its sentence %.3f, tokens %v, %s", res.Model, cos(0, 1), cos(0, 2), cos(3, 4), res.Tokens, time.Since(begin))
	if cos(0, 1) < 0.7 || math.Abs(cos(0, 2)) > 0.15 || cos(3, 4) < 0.5 {
		t.Error("embeddings do not mean what they should")
	}
	for i := range res.Vectors {
		if len(res.Vectors[i]) != 384 || math.Abs(cos(i, i)-1) > 1e-5 {
			t.Errorf("vector %d has %d numbers and length² %v", i, len(res.Vectors[i]), cos(i, i))
		}
	}
	// The first numbers of what a reference implementation of the encoder, run on
	// the original weights, gives for a text with accents, rare words and Han.
	ref, err := e.Embed(t.Context(), &engine.EmbedRequest{Inputs: []string{"Crème brûlée: unaffable granites, e.g. 日本!"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{-0.0055697, 0.0188496, 0.0547626, -0.0080748, -0.0154306, -0.0484475} {
		if got := float64(ref.Vectors[0][i]); math.Abs(got-want) > 5e-4 {
			t.Errorf("number %d is %v, the reference %v", i, got, want)
		}
	}
	if res.Tokens[3] < 1400 {
		t.Errorf("tokens of the long input: %d", res.Tokens[3])
	}
}

func asError(t *testing.T, err error) *engine.Error {
	t.Helper()
	x, ok := errors.AsType[*engine.Error](err)
	if !ok {
		t.Fatalf("error %v (%T) is no *engine.Error", err, err)
	}
	return x
}
