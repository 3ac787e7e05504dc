package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Subject is an engine under test.
type Subject struct {
	Engine engine.Engine
	// Prompt makes its default chat model answer at least ten tokens of text,
	// the same each time at temperature 0.
	Prompt string
	// Exact says that it counts tokens itself: CountTokens then equals the usage.
	Exact bool
	// What it can do; the rest must be refused as Unsupported.
	Tools, Tokenizes, Embeds, Reranks, Paints bool
	// Endless says that a generation without a limit on Prompt takes long enough
	// to be cancelled on its way.
	Endless bool
}

// limit bounds each call: an engine that hangs must fail its test, not the run.
const limit = 2 * time.Minute

// Run holds the engine that open returns to the contract. open is called once;
// the suite does not close the engine but in the last test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	s := open(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"models are listed in a stable order, the default chat model first", models},
		{"deltas are whole text and add up to the result", deltas},
		{"a greedy answer is the same twice", greedy},
		{"the limit on tokens ends an answer", maxTokens},
		{"a stop text ends an answer and is not part of it", stops},
		{"an error of the consumer ends the generation and is returned", consumer},
		{"a caller that has gone gets its own error", gone},
		{"a caller that goes on the way ends the generation", leaving},
		{"an unknown model is refused", unknown},
		{"media that the model cannot take is refused", media},
		{"an empty request is refused", empty},
		{"tokens are counted as they are charged", counting},
		{"tools are called when they must be", tools},
		{"text is cut into tokens that join to it", tokenizing},
		{"embeddings have unit length, one size and the order of the inputs", embeddings},
		{"rerank scores lie between 0 and 1", reranking},
		{"images are PNG", painting},
		{"many requests at once are answered", concurrency},
		{"closing twice is no error", closing},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// Text is a user message of text.
func Text(text string) engine.Message {
	return engine.Message{Role: engine.User, Parts: []engine.Part{{Text: text}}}
}

func (s Subject) request() *engine.Request {
	return &engine.Request{
		AWSModel: "example.model-v1:0", Account: "123456789012",
		Messages: []engine.Message{Text(s.Prompt)},
		Sampling: engine.Sampling{MaxTokens: 24, Temperature: new(0.0)},
	}
}

// Kind returns the kind of an engine error, or fails the test.
func Kind(t *testing.T, err error) engine.ErrorKind {
	t.Helper()
	x, ok := errors.AsType[*engine.Error](err)
	if !ok {
		t.Fatalf("error %v (%T) is no *engine.Error", err, err)
	}
	if x.Message == "" {
		t.Errorf("error of kind %s has no message", x.Kind)
	}
	return x.Kind
}

func refused(t *testing.T, err error, want ...engine.ErrorKind) {
	t.Helper()
	got := Kind(t, err)
	for _, k := range want {
		if got == k {
			return
		}
	}
	t.Errorf("refused as %s, want %v: %v", got, want, err)
}

func models(t *testing.T, s Subject) {
	a, err := s.Engine.Models(within(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Engine.Models(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("the list changes: %s", d)
	}
	if len(a) == 0 || a[0].Kind != engine.Chat {
		t.Fatalf("models: %+v", a)
	}
	seen := map[string]bool{}
	embedders := 0
	for _, m := range a {
		if m.Name == "" || m.Engine == "" || m.Kind == "" || seen[m.Name] {
			t.Errorf("model %+v", m)
		}
		seen[m.Name] = true
		if m.Kind == engine.Embedding {
			embedders++
		}
	}
	if s.Embeds != (embedders > 0) {
		t.Errorf("embedding models: %d", embedders)
	}
	res, err := s.Engine.Generate(within(t), s.request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Model != a[0].Name {
		t.Errorf("the default model is %s, the first of the list %s", res.Model, a[0].Name)
	}
}

func deltas(t *testing.T, s Subject) {
	var got []engine.Delta
	begin := time.Now()
	var first time.Duration
	res, err := s.Engine.Generate(within(t), s.request(), func(d engine.Delta) error {
		if len(got) == 0 {
			first = time.Since(begin)
		}
		got = append(got, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := Join(t, got)
	if d := cmp.Diff(parts, res.Parts); d != "" {
		t.Errorf("deltas and result differ: %s", d)
	}
	if len(got) < 2 {
		t.Errorf("%d deltas: the answer is not streamed", len(got))
	}
	if res.Timing.FirstToken <= 0 || res.Timing.Total < res.Timing.FirstToken || first > time.Since(begin) {
		t.Errorf("timing %+v", res.Timing)
	}
	if res.Usage.Input <= 0 || res.Usage.Output <= 0 || res.Usage.CacheRead+res.Usage.CacheWrite > res.Usage.Input {
		t.Errorf("usage %+v", res.Usage)
	}
	if res.Stop == "" || res.Model == "" {
		t.Errorf("result %+v", res)
	}
}

// Join adds deltas up to parts and fails the test where they break the contract.
func Join(t *testing.T, deltas []engine.Delta) []engine.Part {
	t.Helper()
	var parts []engine.Part
	var tool *engine.ToolCall
	var args strings.Builder
	for i, d := range deltas {
		if !utf8.ValidString(d.Text) {
			t.Errorf("delta %d is no UTF-8: %q", i, d.Text)
		}
		inTool := d.Kind == engine.ToolInput || d.Kind == engine.ToolEnd
		if (tool != nil) != inTool {
			t.Fatalf("delta %d of kind %d stands at the wrong place", i, d.Kind)
		}
		last := len(parts) - 1
		switch d.Kind {
		case engine.TextDelta:
			if last < 0 || !parts[last].IsText() {
				parts = append(parts, engine.Part{})
				last++
			}
			parts[last].Text += d.Text
		case engine.ReasoningDelta:
			if last < 0 || parts[last].Reasoning == nil {
				parts = append(parts, engine.Part{Reasoning: &engine.Reasoning{}})
				last++
			}
			parts[last].Reasoning.Text += d.Text
		case engine.SignatureDelta:
			if last < 0 || parts[last].Reasoning == nil {
				t.Fatalf("delta %d signs nothing", i)
			}
			parts[last].Reasoning.Signature += d.Text
		case engine.ToolStart:
			if d.Tool == nil || d.Tool.ID == "" || d.Tool.Name == "" {
				t.Fatalf("delta %d starts a call without id or name", i)
			}
			tool = &engine.ToolCall{ID: d.Tool.ID, Name: d.Tool.Name}
			args.Reset()
		case engine.ToolInput:
			args.WriteString(d.Text)
		case engine.ToolEnd:
			tool.Arguments = json.RawMessage(args.String())
			if args.Len() == 0 {
				tool.Arguments = json.RawMessage("{}")
			}
			parts = append(parts, engine.Part{ToolCall: tool})
			tool = nil
		}
	}
	if tool != nil {
		t.Error("a call has no end")
	}
	return parts
}

func greedy(t *testing.T, s Subject) {
	a, err := s.Engine.Generate(within(t), s.request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Engine.Generate(within(t), s.request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Text() != b.Text() || a.Text() == "" {
		t.Errorf("%q, then %q", a.Text(), b.Text())
	}
}

func maxTokens(t *testing.T, s Subject) {
	req := s.request()
	req.MaxTokens = 4
	res, err := s.Engine.Generate(within(t), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Stop != engine.MaxTokens || res.Usage.Output > 5 {
		t.Errorf("stop %s after %d tokens: %q", res.Stop, res.Usage.Output, res.Text())
	}
}

func stops(t *testing.T, s Subject) {
	whole, err := s.Engine.Generate(within(t), s.request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := whole.Text()
	// A stop text that spans tokens: five characters from the middle.
	runes := []rune(text)
	if len(runes) < 20 {
		t.Fatalf("answer %q is too short for this test", text)
	}
	stop := string(runes[len(runes)/2 : len(runes)/2+5])
	req := s.request()
	req.Stop = []string{"\x01 never said", stop}
	var streamed strings.Builder
	res, err := s.Engine.Generate(within(t), req, func(d engine.Delta) error { streamed.WriteString(d.Text); return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := text[:strings.Index(text, stop)]
	if res.Text() != want || streamed.String() != want || res.Stop != engine.StopSequence || res.StopText != stop {
		t.Errorf("stop %s %q\n text %q\nstream %q\n  want %q before %q", res.Stop, res.StopText, res.Text(), streamed.String(), want, stop)
	}
}

func consumer(t *testing.T, s Subject) {
	mine := errors.New("the consumer is full")
	n := 0
	_, err := s.Engine.Generate(within(t), s.request(), func(engine.Delta) error { n++; return mine })
	if !errors.Is(err, mine) || n != 1 {
		t.Errorf("error %v after %d deltas", err, n)
	}
}

func gone(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Engine.Generate(ctx, s.request(), nil); err != context.Canceled { //nolint:errorlint // unchanged means this very value
		t.Errorf("error %v", err)
	}
	if s.Embeds {
		if _, err := s.Engine.Embed(ctx, &engine.EmbedRequest{Inputs: []string{"x"}}); err != context.Canceled { //nolint:errorlint // as above
			t.Errorf("embed: error %v", err)
		}
	}
}

func leaving(t *testing.T, s Subject) {
	if !s.Endless {
		t.Skip("answers of this engine are too short to leave")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := s.request()
	req.MaxTokens = 0
	begin := time.Now()
	_, err := s.Engine.Generate(ctx, req, func(engine.Delta) error { cancel(); return nil })
	if err != context.Canceled { //nolint:errorlint // unchanged means this very value
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s to leave", took)
	}
}

func unknown(t *testing.T, s Subject) {
	req := s.request()
	req.Model = "no-such-model-anywhere"
	_, err := s.Engine.Generate(within(t), req, nil)
	refused(t, err, engine.NoModel)
}

func media(t *testing.T, s Subject) {
	req := s.request()
	req.Messages[0].Parts = append(req.Messages[0].Parts, engine.Part{Video: &engine.Blob{MediaType: "video/mp4", Data: []byte("x")}})
	_, err := s.Engine.Generate(within(t), req, nil)
	refused(t, err, engine.Unsupported)
}

func empty(t *testing.T, s Subject) {
	req := s.request()
	req.Messages = nil
	_, err := s.Engine.Generate(within(t), req, nil)
	refused(t, err, engine.BadRequest)
}

func counting(t *testing.T, s Subject) {
	req := s.request()
	req.System = "Be brief."
	if s.Tools {
		req.Tools = []engine.Tool{weather}
	}
	n, err := s.Engine.CountTokens(within(t), req)
	if err != nil {
		t.Fatal(err)
	}
	if n <= 0 {
		t.Errorf("%d tokens", n)
	}
	longer := *req
	longer.Messages = []engine.Message{Text(s.Prompt + " And then tell me of the mountains and of the sea.")}
	if m, err := s.Engine.CountTokens(within(t), &longer); err != nil || m <= n {
		t.Errorf("a longer text counts %d, %v; the shorter one %d", m, err, n)
	}
	if !s.Exact {
		return
	}
	res, err := s.Engine.Generate(within(t), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Usage.Input != n {
		t.Errorf("counted %d, charged %d", n, res.Usage.Input)
	}
}

var weather = engine.Tool{
	Name: "get_weather", Description: "Tells the current weather in a city.",
	Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
}

func tools(t *testing.T, s Subject) {
	req := s.request()
	req.Messages = []engine.Message{Text("What is the weather in Rome?")}
	req.MaxTokens = 128
	req.Tools = []engine.Tool{weather}
	req.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: "get_weather"}
	var got []engine.Delta
	res, err := s.Engine.Generate(within(t), req, func(d engine.Delta) error { got = append(got, d); return nil })
	if !s.Tools {
		refused(t, err, engine.Unsupported)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Join(t, got), res.Parts, cmpopts.IgnoreFields(engine.ToolCall{}, "Written")); d != "" {
		t.Errorf("deltas and result differ: %s", d)
	}
	calls := 0
	for _, p := range res.Parts {
		if p.ToolCall == nil {
			continue
		}
		calls++
		var args map[string]any
		if p.ToolCall.Name != "get_weather" || json.Unmarshal(p.ToolCall.Arguments, &args) != nil {
			t.Errorf("call %s(%s)", p.ToolCall.Name, p.ToolCall.Arguments)
		}
	}
	if calls == 0 || res.Stop != engine.ToolUse {
		t.Errorf("%d calls, stop %s: %+v", calls, res.Stop, res.Parts)
	}
}

func tokenizing(t *testing.T, s Subject) {
	const text = "Das Tal liegt tief, 日本 & 😀."
	tokens, err := s.Engine.Tokenize(within(t), "", text)
	if !s.Tokenizes {
		refused(t, err, engine.Unsupported)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var joined strings.Builder
	for _, x := range tokens {
		joined.WriteString(x.Text)
	}
	if strings.TrimSpace(joined.String()) != text {
		t.Errorf("tokens join to %q", joined.String())
	}
}

func embeddings(t *testing.T, s Subject) {
	inputs := []string{"a mountain of granite", "granite mountains", "the price of bread", strings.Repeat("a mountain of granite and snow ", 400)}
	res, err := s.Engine.Embed(within(t), &engine.EmbedRequest{Inputs: inputs})
	if !s.Embeds {
		refused(t, err, engine.Unsupported, engine.NoModel)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Vectors) != len(inputs) || len(res.Tokens) != len(inputs) {
		t.Fatalf("%d vectors, %d counts", len(res.Vectors), len(res.Tokens))
	}
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	for i, v := range res.Vectors {
		if len(v) == 0 || len(v) != len(res.Vectors[0]) || math.Abs(dot(v, v)-1) > 1e-4 || res.Tokens[i] <= 0 {
			t.Errorf("vector %d: %d numbers, length² %v, %d tokens", i, len(v), dot(v, v), res.Tokens[i])
		}
	}
	if near, far := dot(res.Vectors[0], res.Vectors[1]), dot(res.Vectors[0], res.Vectors[2]); near <= far {
		t.Errorf("texts of one matter are at %.3f, others at %.3f", near, far)
	}
	// Alone and in another order each text keeps its vector.
	again, err := s.Engine.Embed(within(t), &engine.EmbedRequest{Inputs: []string{inputs[2], inputs[0]}})
	if err != nil {
		t.Fatal(err)
	}
	if dot(again.Vectors[0], res.Vectors[2]) < 0.999 || dot(again.Vectors[1], res.Vectors[0]) < 0.999 {
		t.Error("vectors are not those of their inputs")
	}
	none, err := s.Engine.Embed(within(t), &engine.EmbedRequest{})
	if err != nil || len(none.Vectors) != 0 {
		t.Errorf("nothing embeds to %v, %v", none, err)
	}
}

func reranking(t *testing.T, s Subject) {
	res, err := s.Engine.Rerank(within(t), &engine.RerankRequest{Query: "granite mountain", Documents: []string{"bread and butter", "a mountain of granite"}})
	if !s.Reranks {
		refused(t, err, engine.Unsupported)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Scores) != 2 || res.Scores[0] < 0 || res.Scores[1] > 1 || res.Scores[1] <= res.Scores[0] {
		t.Errorf("scores %v", res.Scores)
	}
}

func painting(t *testing.T, s Subject) {
	res, err := s.Engine.Paint(within(t), &engine.PaintRequest{Task: engine.TextToImage, Prompt: "a mountain", Width: 64, Height: 64, Count: 1, Seed: 7})
	if !s.Paints {
		refused(t, err, engine.Unsupported)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Images) != 1 || len(res.Seeds) != 1 {
		t.Fatalf("%d images, %d seeds", len(res.Images), len(res.Seeds))
	}
	if _, err := png.Decode(bytes.NewReader(res.Images[0].Data)); err != nil || res.Images[0].MediaType != "image/png" {
		t.Errorf("%s: %v", res.Images[0].MediaType, err)
	}
}

func concurrency(t *testing.T, s Subject) {
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			req := s.request()
			req.Account = fmt.Sprint(i % 3)
			req.MaxTokens = 4
			if _, err := s.Engine.Generate(ctx, req, nil); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func closing(t *testing.T, s Subject) {
	for range 2 {
		if err := s.Engine.Close(); err != nil {
			t.Error(err)
		}
	}
}
