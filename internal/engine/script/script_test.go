package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

func open(t *testing.T, yaml string) *Engine {
	t.Helper()
	e, err := New(Config{Reader: strings.NewReader(yaml)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ask(text string) *engine.Request {
	return &engine.Request{Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: text}}}}}
}

// withResult continues a request by a tool call and its result.
func withResult(r *engine.Request, results ...string) *engine.Request {
	var calls, answers []engine.Part
	for i, s := range results {
		id := fmt.Sprint("c", len(r.Messages), i)
		calls = append(calls, engine.Part{ToolCall: &engine.ToolCall{ID: id, Name: "getWeather", Arguments: json.RawMessage(`{}`)}})
		answers = append(answers, engine.Part{ToolResult: &engine.ToolResult{ID: id, Parts: []engine.Part{{Text: s}}}})
	}
	r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: calls}, engine.Message{Role: engine.User, Parts: answers})
	return r
}

// run generates and checks that deltas and result say the same.
func run(t *testing.T, e *Engine, req *engine.Request) (*engine.Result, []engine.Delta) {
	t.Helper()
	var deltas []engine.Delta
	res, err := e.Generate(t.Context(), req, func(d engine.Delta) error {
		if !utf8.ValidString(d.Text) {
			t.Errorf("delta %q is not valid UTF-8", d.Text)
		}
		deltas = append(deltas, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	var calls []engine.ToolCall
	for _, d := range deltas {
		switch d.Kind {
		case engine.TextDelta:
			text += d.Text
		case engine.ToolStart:
			calls = append(calls, *d.Tool)
		case engine.ToolInput:
			c := &calls[len(calls)-1]
			c.Arguments = append(c.Arguments, d.Text...)
		}
	}
	if text != res.Text() {
		t.Errorf("deltas say %q, the result %q", text, res.Text())
	}
	if d := cmp.Diff(callsOf(res), calls); d != "" {
		t.Errorf("calls: -result +deltas\n%s", d)
	}
	return res, deltas
}

func callsOf(res *engine.Result) []engine.ToolCall {
	var out []engine.ToolCall
	for i := range res.Parts {
		if c := res.Parts[i].ToolCall; c != nil {
			out = append(out, *c)
		}
	}
	return out
}

const example = `
rules:
  - model: "anthropic.*"                     # glob on the AWS id or the local name
    when: {system: "be brief", user: "^hi", turn: 2, tools: [getWeather]}
    reply: {text: "brief {{.Model}} {{.System}}", chunks: 7, delay: 20ms, gap: 5ms, stop_reason: end_turn}
  - when: {tool_result: "rain"}
    reply: {text: "It says {{.ToolResult}} to {{.User}}"}
  - when: {user: "weather"}
    reply: {tool_calls: [{name: getWeather, arguments: {city: "Seattle", "a": [1, {b: null}], z: "{{.User}}"}}, {name: other}]}
  - when: {user: "overload"}
    reply: {error: overloaded}
  - when: {user: "slow"}
    reply: {error: timeout}
  - when: {user: "loading"}
    reply: {error: not_ready}
  - when: {user: "nonsense"}
    reply: {error: bad_output}
  - when: {user: "crash"}
    reply: {error: crash, text: "one two three four", chunks: 2}
default: {text: "You said: {{.User}}"}
embeddings: hashed
`

func TestFirstRuleThatFitsAnswers(t *testing.T) {
	e := open(t, example)
	second := func() *engine.Request {
		r := ask("x")
		r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: "y"}}}, ask("hi there").Messages[0])
		r.AWSModel, r.System, r.Tools = "anthropic.claude-3-haiku-20240307-v1:0", "please be brief", []engine.Tool{{Name: "getWeather"}}
		return r
	}
	cases := []struct {
		name string
		req  *engine.Request
		want string
	}{
		{"all conditions", second(), "brief anthropic.claude-3-haiku-20240307-v1:0 please be brief"},
		{"other model", func() *engine.Request { r := second(); r.AWSModel = "us.anthropic.claude"; return r }(), "You said: hi there"},
		{"other system", func() *engine.Request { r := second(); r.System = ""; return r }(), "You said: hi there"},
		{"other turn", func() *engine.Request { r := second(); r.Messages = r.Messages[2:]; return r }(), "You said: hi there"},
		{"no tool", func() *engine.Request { r := second(); r.Tools = nil; return r }(), "You said: hi there"},
		{"other user", func() *engine.Request { r := second(); r.Messages[2] = ask("oh hi").Messages[0]; return r }(), "You said: oh hi"},
		{"tool result", withResult(ask("weather?"), "sun", "rain"), "It says sun\nrain to weather?"},
		{"default", ask("good 🌞 day"), "You said: good 🌞 day"},
	}
	for _, c := range cases {
		res, _ := run(t, e, c.req)
		if res.Text() != c.want || res.Stop != engine.EndTurn {
			t.Errorf("%s: %q (%s), want %q", c.name, res.Text(), res.Stop, c.want)
		}
	}
	// A result of an earlier turn is no result of this one.
	old := withResult(ask("weather?"), "rain")
	old.Messages = append(old.Messages, ask("thanks").Messages[0])
	if res, _ := run(t, e, old); res.Text() != "You said: thanks" {
		t.Errorf("old result: %q", res.Text())
	}
}

func TestToolCalls(t *testing.T) {
	res, deltas := run(t, open(t, example), ask("weather \"now\""))
	calls := callsOf(res)
	if len(calls) != 2 || res.Stop != engine.ToolUse {
		t.Fatalf("%+v", res)
	}
	if got, want := string(calls[0].Arguments), `{"city":"Seattle","a":[1,{"b":null}],"z":"weather \"now\""}`; got != want {
		t.Errorf("arguments %s, want %s", got, want)
	}
	if string(calls[1].Arguments) != "{}" || calls[1].Name != "other" || calls[0].ID == calls[1].ID || len(calls[0].ID) != 30 {
		t.Errorf("%+v", calls)
	}
	if len(deltas) != 8 {
		t.Errorf("%d deltas", len(deltas))
	}
	again, _ := run(t, open(t, example), ask("weather \"now\""))
	if d := cmp.Diff(calls, callsOf(again)); d != "" {
		t.Errorf("another engine answers differently\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	e := open(t, example)
	for text, kind := range map[string]engine.ErrorKind{"overload": engine.Overloaded, "slow": engine.TimedOut, "loading": engine.NotReady, "nonsense": engine.BadOutput, "crash": engine.Crashed} {
		var got string
		res, err := e.Generate(t.Context(), ask(text), func(d engine.Delta) error { got += d.Text; return nil })
		ee, ok := errors.AsType[*engine.Error](err)
		if !ok || ee.Kind != kind || res != nil {
			t.Errorf("%s: %v", text, err)
		}
		want := ""
		if kind == engine.Crashed {
			want = "one two"
		}
		if got != want {
			t.Errorf("%s: streamed %q, want %q", text, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	e := open(t, "")
	audio := ask("x")
	audio.Messages[0].Parts = append(audio.Messages[0].Parts, engine.Part{Audio: &engine.Blob{}})
	small, err := New(Config{Context: 8})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		do   func() error
		kind engine.ErrorKind
	}{
		{"unknown model", func() error { _, err := e.Generate(t.Context(), &engine.Request{Model: "x"}, nil); return err }, engine.NoModel},
		{"wrong kind", func() error { _, err := e.Embed(t.Context(), &engine.EmbedRequest{Model: ChatModel}); return err }, engine.Unsupported},
		{"no messages", func() error { _, err := e.CountTokens(t.Context(), &engine.Request{}); return err }, engine.BadRequest},
		{"audio", func() error { _, err := e.Generate(t.Context(), audio, nil); return err }, engine.Unsupported},
		{"image task without image", func() error { _, err := e.Paint(t.Context(), &engine.PaintRequest{Task: engine.Inpaint}); return err }, engine.BadRequest},
		{"broken image", func() error {
			_, err := e.Paint(t.Context(), &engine.PaintRequest{Images: []engine.Blob{{Data: []byte("x")}}})
			return err
		}, engine.BadRequest},
		{"huge image", func() error { _, err := e.Paint(t.Context(), &engine.PaintRequest{Width: 1 << 20}); return err }, engine.BadRequest},
		{"too long", func() error { _, err := small.Generate(t.Context(), ask("a b c d e f g h"), nil); return err }, engine.TooLong},
		{"tokens of an image model", func() error { _, err := e.Tokenize(t.Context(), ImageModel, "x"); return err }, engine.Unsupported},
	}
	for _, c := range cases {
		if ee, ok := errors.AsType[*engine.Error](c.do()); !ok || ee.Kind != c.kind {
			t.Errorf("%s: %v, want %s", c.name, c.do(), c.kind)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Models(t.Context()); err == nil {
		t.Error("a closed engine lists models")
	}
}

func TestStreamingWaitsBetweenPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, `default: {text: "안녕하세요 🌊 세계 wide", chunks: 5, delay: 2s, gap: 300ms}`)
		start := time.Now()
		var at []time.Duration
		var pieces []string
		res, err := e.Generate(t.Context(), ask("x"), func(d engine.Delta) error {
			at = append(at, time.Since(start))
			pieces = append(pieces, d.Text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{2 * time.Second, 2300 * time.Millisecond, 2600 * time.Millisecond, 2900 * time.Millisecond, 3200 * time.Millisecond}
		if d := cmp.Diff(want, at); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"안녕하", "세요 ", "🌊 세", "계 w", "ide"}, pieces); d != "" {
			t.Error(d)
		}
		if res.Timing.FirstToken != 2*time.Second || res.Timing.Total != 3200*time.Millisecond {
			t.Errorf("%+v", res.Timing)
		}
	})
}

func TestCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, `default: {text: "a b c d", gap: 1h}`)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		n := 0
		_, err := e.Generate(ctx, ask("x"), func(engine.Delta) error { n++; return nil })
		if !errors.Is(err, context.DeadlineExceeded) || n != 2 {
			t.Errorf("%v after %d", err, n)
		}
		boom := errors.New("boom")
		if _, err := e.Generate(t.Context(), ask("x"), func(engine.Delta) error { return boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
	})
}

func TestLimitsOfTheAnswer(t *testing.T) {
	e := open(t, `
rules:
  - when: {user: call}
    reply: {text: "a b", tool_calls: [{name: f, arguments: {x: 1}}, {name: g, arguments: {x: 1}}]}
  - when: {user: json}
    reply: {text: '{"a": 1}'}
  - when: {user: odd}
    reply: {text: "x", stop_reason: content_filtered}
default: {text: "one two three END four"}`)
	cases := []struct {
		name, user string
		change     func(*engine.Request)
		text       string
		stop       engine.StopReason
		match      string
		calls      int
	}{
		{"none", "x", func(*engine.Request) {}, "one two three END four", engine.EndTurn, "", 0},
		{"tokens", "x", func(r *engine.Request) { r.MaxTokens = 2 }, "one two", engine.MaxTokens, "", 0},
		{"exactly enough", "x", func(r *engine.Request) { r.MaxTokens = 5 }, "one two three END four", engine.EndTurn, "", 0},
		{"stop", "x", func(r *engine.Request) { r.Stop = []string{"four", "END"} }, "one two three ", engine.StopSequence, "END", 0},
		{"tokens before stop", "x", func(r *engine.Request) { r.MaxTokens, r.Stop = 2, []string{"END"} }, "one two", engine.MaxTokens, "", 0},
		{"prefill", "x", func(r *engine.Request) {
			r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: "one two"}}})
		}, " three END four", engine.EndTurn, "", 0},
		{"calls", "call", func(*engine.Request) {}, "a b", engine.ToolUse, "", 2},
		{"no room for a call", "call", func(r *engine.Request) { r.MaxTokens = 12 }, "a b", engine.MaxTokens, "", 1},
		{"stop before calls", "call", func(r *engine.Request) { r.Stop = []string{"b"} }, "a ", engine.StopSequence, "b", 0},
		{"schema met", "json", func(r *engine.Request) { r.ResultSchema = json.RawMessage(`{"type":"object","required":["a"]}`) }, `{"a": 1}`, engine.EndTurn, "", 0},
		{"schema not met", "json", func(r *engine.Request) { r.ResultSchema = json.RawMessage(`{"type":"object","required":["b"]}`) }, `{"a": 1}`, engine.MalformedText, "", 0},
		{"no json", "x", func(r *engine.Request) { r.ResultSchema = json.RawMessage(`{}`) }, "one two three END four", engine.MalformedText, "", 0},
		{"stop reason", "odd", func(*engine.Request) {}, "x", engine.Filtered, "", 0},
	}
	for _, c := range cases {
		req := ask(c.user)
		c.change(req)
		res, _ := run(t, e, req)
		if res.Text() != c.text || res.Stop != c.stop || res.StopText != c.match || len(callsOf(res)) != c.calls {
			t.Errorf("%s: %q %s %q %d calls", c.name, res.Text(), res.Stop, res.StopText, len(callsOf(res)))
		}
		if req.MaxTokens > 0 && res.Usage.Output > req.MaxTokens {
			t.Errorf("%s: %d output tokens", c.name, res.Usage.Output)
		}
	}
}

func TestUsage(t *testing.T) {
	e := open(t, "")
	req := ask("What is the capital of France?")
	req.System = strings.Repeat("You know geography. ", 20)
	n, err := e.CountTokens(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	res, deltas := run(t, e, req)
	if d := cmp.Diff(engine.Usage{Input: n, Output: len(deltas), CacheWrite: n}, res.Usage); d != "" {
		t.Error(d)
	}
	// The next step of the conversation reads what the first one wrote, the
	// answer included.
	first := n + res.Usage.Output
	req.Messages = append(req.Messages, engine.Message{Role: engine.Assistant, Parts: res.Parts}, ask("And of Peru?").Messages[0])
	res, _ = run(t, e, req)
	if res.Usage.CacheRead != first || res.Usage.CacheRead+res.Usage.CacheWrite != res.Usage.Input {
		t.Errorf("%+v, want %d read", res.Usage, first)
	}
	// The same again: all but the last token.
	res, _ = run(t, e, req)
	if res.Usage.CacheWrite != 1 {
		t.Errorf("%+v", res.Usage)
	}
	// Tools and images count.
	more := *req
	more.Tools = []engine.Tool{{Name: "f", Schema: json.RawMessage(`{"type": "object"}`)}}
	if m, _ := e.CountTokens(t.Context(), &more); m <= res.Usage.Input {
		t.Errorf("%d tokens with tools, %d without", m, res.Usage.Input)
	}
}

func TestCacheForgets(t *testing.T) {
	var c prefixes
	c.write("m", []string{"a", "b", "c"})
	for i := range kept - 1 {
		c.write("m", []string{fmt.Sprint(i)})
	}
	if got := c.read("m", []string{"a", "b", "x"}); got != 2 {
		t.Errorf("read %d", got)
	}
	if got := c.read("other", []string{"a", "b", "x"}); got != 0 {
		t.Errorf("another model read %d", got)
	}
	c.write("m", []string{"y"}) // drops the oldest, which is no longer a b c
	if got := c.read("m", []string{"a", "b", "x"}); got != 2 {
		t.Errorf("read %d after use", got)
	}
	for i := range kept {
		c.write("m", []string{fmt.Sprint(i)})
	}
	if got := c.read("m", []string{"a", "b", "x"}); got != 0 {
		t.Errorf("read %d of a forgotten prompt", got)
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"":                      nil,
		"Hello, wide  world":    {"Hello", ",", " wide", " ", " world"},
		"서울 날씨":                 {"서", "울", " 날", "씨"},
		"x=1;\n y":              {"x", "=", "1", ";", "\n", " y"},
		strings.Repeat("a", 40): {strings.Repeat("a", 16), strings.Repeat("a", 16), strings.Repeat("a", 8)},
	} {
		if d := cmp.Diff(want, tokenize(text)); d != "" {
			t.Errorf("%q\n%s", text, d)
		}
	}
	e := open(t, "")
	req := ask("hi")
	req.TopLogprobs, req.EchoTokens = 3, true
	res, _ := run(t, e, req)
	var joined string
	for _, tok := range res.Tokens {
		joined += tok.Text
		if len(tok.Top) != 3 || tok.Top[0].Text != tok.Text || tok.Logprob > 0 || tok.Top[1].Logprob > tok.Logprob {
			t.Errorf("%+v", tok)
		}
	}
	if joined != res.Text() || len(res.PromptTokens) != res.Usage.Input {
		t.Errorf("%q %d", joined, len(res.PromptTokens))
	}
	again, _ := run(t, open(t, ""), req)
	if d := cmp.Diff(res.Tokens, again.Tokens); d != "" {
		t.Error(d)
	}
}

func TestRequestsAreCopies(t *testing.T) {
	e, err := New(Config{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"a", "b", "c"} {
		req := ask(s)
		run(t, e, req)
		req.Messages[0].Parts[0].Text = "changed"
	}
	e.Requests()[0].Messages[0].Parts[0].Text = "changed"
	var got []string
	for _, r := range e.Requests() {
		got = append(got, r.Messages[0].Parts[0].Text)
	}
	if d := cmp.Diff([]string{"b", "c"}, got); d != "" {
		t.Error(d)
	}
}

func TestBadFilesAreRefusedWithTheirLine(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown key":       {"rules: []\nrule: []\n", "2:"},
		"unknown condition": {"rules:\n  - when: {usr: x}\n    reply: {text: a}\n", "2:"},
		"unknown in reply":  {"rules:\n  - when: {user: x}\n    reply:\n      text: a\n      txt: b\n", "5:"},
		"expression":        {"rules:\n  - when:\n      user: \"(\"\n    reply: {text: a}\n", "line 3"},
		"template":          {"default:\n  text: \"{{.User\"\n", "line 2"},
		"field":             {"default:\n  text: \"{{.Nobody}}\"\n", "line 2"},
		"template argument": {"default:\n  tool_calls:\n    - name: f\n      arguments:\n        a: \"{{.X}}\"\n", "line 5"},
		"stop reason":       {"default: {text: a,\n  stop_reason: done}\n", "line 2"},
		"error":             {"default: {error: explode}\n", "line 1"},
		"time span":         {"default: {text: a, delay: 5}\n", "line 1"},
		"negative span":     {"default: {text: a, gap: -5s}\n", "line 1"},
		"turn":              {"rules:\n  - when: {turn: 0}\n    reply: {text: a}\n", "line 2"},
		"chunks":            {"default: {text: a, chunks: x}\n", "line 1"},
		"embeddings":        {"embeddings: learned\n", "line 1"},
		"arguments":         {"default: {tool_calls: [{name: f, arguments: [1]}]}\n", "line 1"},
		"no reply":          {"rules:\n  - when: {user: x}\n", "rule 1"},
		"empty reply":       {"rules:\n  - reply: {delay: 1s}\n", "rule 1"},
		"call without name": {"rules:\n  - reply: {tool_calls: [{arguments: {}}]}\n", "rule 1"},
		"twice":             {"default: {text: a}\ndefault: {text: b}\n", "2:"},
		"no yaml":           {"rules: [", "1:"},
	} {
		_, err := New(Config{Reader: strings.NewReader(c.yaml)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	if _, err := New(Config{File: "no such file"}); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestDocumentationLoads(t *testing.T) {
	page, err := os.ReadFile("../../../docs/script-engine.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	e := open(t, block)
	req := ask("both")
	if res, _ := run(t, e, req); len(callsOf(res)) != 2 || !strings.HasPrefix(res.Text(), "Two") {
		t.Errorf("%+v", res)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(example)
	f.Add("default: {text: '{{.User}}', chunks: 3}")
	f.Fuzz(func(t *testing.T, doc string) {
		e, err := New(Config{Reader: strings.NewReader(doc), Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			return
		}
		_, _ = e.Generate(t.Context(), ask("weather"), nil)
	})
}

func BenchmarkGenerate(b *testing.B) {
	e, err := New(Config{Reader: strings.NewReader(example)})
	if err != nil {
		b.Fatal(err)
	}
	req := ask(strings.Repeat("some words of a question ", 20))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Generate(b.Context(), req, func(engine.Delta) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
