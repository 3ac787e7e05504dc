package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// request offers the tools weather and roll.
func request() *engine.Request {
	return &engine.Request{
		Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: "hello"}}}},
		Tools: []engine.Tool{
			{Name: "weather", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)},
			{Name: "roll", Schema: json.RawMessage(`{"type":"object","properties":{}}`)},
		},
	}
}

// answer is what the deltas of a parser come to.
type answer struct {
	Text, Thought string
	Calls         []string // name and arguments
	Open          []string // calls without a valid end
	Stop          engine.StopReason
	Refused       bool
}

// parse writes the pieces and checks the order of the deltas.
func parse(t interface {
	Fatalf(string, ...any)
	Helper()
}, p *Parser, pieces []string) answer {
	t.Helper()
	var a answer
	name, args, running := "", "", false
	emit := func(d engine.Delta) error {
		if !utf8.ValidString(d.Text) {
			t.Fatalf("delta %q is not valid UTF-8", d.Text)
		}
		switch d.Kind {
		case engine.TextDelta:
			if running || d.Text == "" {
				t.Fatalf("text %q inside a call or empty", d.Text)
			}
			a.Text += d.Text
		case engine.ReasoningDelta:
			a.Thought += d.Text
		case engine.ToolStart:
			if running || d.Tool == nil || !strings.HasPrefix(d.Tool.ID, "tooluse_") || len(d.Tool.ID) != len("tooluse_")+22 {
				t.Fatalf("bad start %+v", d.Tool)
			}
			name, args, running = d.Tool.Name, "", true
		case engine.ToolInput:
			if !running || d.Text == "" {
				t.Fatalf("input outside of a call")
			}
			args += d.Text
		case engine.ToolEnd:
			if !running {
				t.Fatalf("end outside of a call")
			}
			running = false
			if json.Valid([]byte(args)) {
				a.Calls = append(a.Calls, name+args)
			} else {
				a.Open = append(a.Open, name+args)
			}
		default:
			t.Fatalf("kind %d", d.Kind)
		}
		return nil
	}
	for _, s := range pieces {
		if err := p.Write(s, emit); err != nil {
			a.Refused = errors.Is(err, ErrRefused)
			return a
		}
	}
	stop, err := p.Close(emit)
	a.Stop, a.Refused = stop, errors.Is(err, ErrRefused)
	if running {
		t.Fatalf("call was not ended")
	}
	return a
}

var outputs = []struct {
	name, text string
	want       answer
}{
	{"plain", "The sky is blue.", answer{Text: "The sky is blue.", Stop: engine.EndTurn}},
	{"empty", "", answer{Stop: engine.EndTurn}},
	{"bare", `{"name": "weather", "arguments": {"city": "Oslo"}}`, answer{Calls: []string{`weather{"city": "Oslo"}`}, Stop: engine.ToolUse}},
	{"spaces", "\n {\n  \"name\" : \"weather\" ,\n \"arguments\" : {\n\"city\":\"a}\\\"{b\"}\n}\n", answer{Calls: []string{"weather{\n\"city\":\"a}\\\"{b\"}"}, Stop: engine.ToolUse}},
	{"two bare", "{\"name\":\"weather\",\"arguments\":{\"city\":\"A\"}}\n{\"name\":\"weather\",\"arguments\":{\"city\":\"B\"}}",
		answer{Calls: []string{`weather{"city":"A"}`, `weather{"city":"B"}`}, Stop: engine.ToolUse}},
	{"repeated in one answer", strings.Repeat("{\"name\":\"weather\",\"arguments\":{\"city\":\"A\"}}\n", 4), answer{Calls: []string{`weather{"city":"A"}`}, Stop: engine.ToolUse}},
	{"fence", "```json\n{\"name\": \"roll\", \"arguments\": {}}\n```", answer{Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"fence without language", "```\n{\"name\": \"roll\", \"arguments\": {}}\n```\nDone.", answer{Text: "Done.", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"two fences", "```json\n{\"name\":\"roll\",\"arguments\":{}}\n```\n```json\n{\"name\":\"weather\",\"arguments\":{\"city\":\"X\"}}\n```", answer{Calls: []string{`roll{}`, `weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"two in one fence", "```json\n{\"name\":\"roll\",\"arguments\":{}}\n{\"name\":\"weather\",\"arguments\":{\"city\":\"X\"}}\n```", answer{Calls: []string{`roll{}`, `weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"tag", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"서울\"}}\n</tool_call>", answer{Calls: []string{`weather{"city": "서울"}`}, Stop: engine.ToolUse}},
	{"two tags", "<tool_call>{\"name\":\"roll\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"weather\",\"arguments\":{\"city\":\"X\"}}</tool_call>", answer{Calls: []string{`roll{}`, `weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"tools tag", "<tools>{\"name\":\"roll\",\"arguments\":{}}</tools>", answer{Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"text then tag", "Let me look. <tool_call>{\"name\":\"roll\",\"arguments\":{}}</tool_call>", answer{Text: "Let me look. ", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"text then fence", "Sure:\n\n```json\n{\"name\":\"roll\",\"arguments\":{}}\n```\n", answer{Text: "Sure:\n\n", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"text then bare", "Sure:\n{\"name\":\"roll\",\"arguments\":{}}", answer{Text: "Sure:\n", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"braces in text", "Use {\"name\":\"roll\",\"arguments\":{}} like this", answer{Text: "Use {\"name\":\"roll\",\"arguments\":{}} like this", Stop: engine.EndTurn}},
	{"code in text", "Code:\n```go\nx := 1 < 2\n```\nand <b>html</b> <too", answer{Text: "Code:\n```go\nx := 1 < 2\n```\nand <b>html</b> <too", Stop: engine.EndTurn}},
	{"json in text", "```json\n{\"name\": \"Bob\", \"age\": 3}\n```", answer{Text: "```json\n{\"name\": \"Bob\", \"age\": 3}\n```", Stop: engine.EndTurn}},
	{"json answer", `{"answer": {"a": [1]}}`, answer{Text: `{"answer": {"a": [1]}}`, Stop: engine.EndTurn}},
	{"definition echoed in text", "Tools:\n{\"name\": \"roll\", \"description\": \"x\"}", answer{Text: "Tools:\n{\"name\": \"roll\", \"description\": \"x\"}", Stop: engine.EndTurn}},
	{"list", `[{"name":"roll","arguments":{}}, {"name":"weather","arguments":{"city":"X"}}]`, answer{Calls: []string{`roll{}`, `weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"list of numbers", `[1, 2]`, answer{Text: `[1, 2]`, Stop: engine.EndTurn}},
	{"parameters", `{"name":"weather","parameters":{"city":"X"}}`, answer{Calls: []string{`weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"arguments first", `{"arguments":{"city":"X"},"name":"weather"}`, answer{Calls: []string{`weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"openai", `{"type":"function","function":{"name":"weather","arguments":"{\"city\":\"X\"}"}}`, answer{Calls: []string{`weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"flat", `{"name":"weather","city":"X"}`, answer{Calls: []string{`weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"no arguments", `<tool_call>{"name":"roll"}</tool_call>`, answer{Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"more keys", `{"name":"roll","arguments":{},"id":"}7"} `, answer{Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"brace forgotten", "<tool_call>{\"name\":\"roll\",\"arguments\":{}\n</tool_call>", answer{Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"doubled braces", `{{"name": "weather", "arguments": {"city": "X"}}}` + "\n" + `{{"name": "roll", "arguments": {}}}`, answer{Calls: []string{`weather{"city": "X"}`, `roll{}`}, Stop: engine.ToolUse}},
	{"doubled braces in a tag", "<tool_call>\n" + `{{"name": "roll", "arguments": {}}}` + "\n</tool_call>ok", answer{Text: "ok", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"doubled braces in text", "a\n{{x}}", answer{Text: "a\n{{x}}", Stop: engine.EndTurn}},
	{"unknown tool bare", `{"name":"fly","arguments":{}}`, answer{Text: `{"name":"fly","arguments":{}}`, Stop: engine.EndTurn}},
	{"unknown tool in a tag", `<tool_call>{"name":"fly","arguments":{}}</tool_call>`, answer{Text: `<tool_call>{"name":"fly","arguments":{}}</tool_call>`, Stop: engine.MalformedTool}},
	{"no json in a tag", `<tool_call>fly</tool_call>`, answer{Text: `<tool_call>fly</tool_call>`, Stop: engine.MalformedTool}},
	{"cut in the name", `{"name":"wea`, answer{Text: `{"name":"wea`, Stop: engine.EndTurn}},
	{"cut after the name", `{"name":"weather", "ar`, answer{Open: []string{"weather"}, Stop: engine.MalformedTool}},
	{"cut in the arguments", `{"name":"weather","arguments":{"city":"`, answer{Open: []string{`weather{"city":"`}, Stop: engine.MalformedTool}},
	{"cut after the arguments", `{"name":"weather","arguments":{"city":"X"}`, answer{Calls: []string{`weather{"city":"X"}`}, Stop: engine.ToolUse}},
	{"bad arguments", `{"name":"weather","arguments":{"city":,}}`, answer{Open: []string{`weather{"city":,}`}, Stop: engine.MalformedTool}},
	{"bad rest after the name", `{"name":"weather","arguments":[1]} ok`, answer{Text: "ok", Open: []string{`weather`}, Stop: engine.MalformedTool}},
	{"thought", "<think>\nhm </thin</think>\n\n{\"name\":\"roll\",\"arguments\":{}}", answer{Thought: "\nhm </thin", Calls: []string{`roll{}`}, Stop: engine.ToolUse}},
	{"thought cut", "<think>hm", answer{Thought: "hm", Stop: engine.EndTurn}},
	{"invalid bytes", "a\xffb\xe2\x82", answer{Text: "a\ufffdb\ufffd\ufffd", Stop: engine.EndTurn}},
	{"spaces kept", "  hi  ", answer{Text: "  hi  ", Stop: engine.EndTurn}},
}

func TestParser(t *testing.T) {
	for _, c := range outputs {
		t.Run(c.name, func(t *testing.T) {
			for name, pieces := range map[string][]string{"whole": {c.text}, "bytes": strings.Split(c.text, "")} {
				if name == "bytes" {
					pieces = nil
					for i := range len(c.text) {
						pieces = append(pieces, c.text[i:i+1])
					}
				}
				if d := cmp.Diff(c.want, parse(t, NewParser(request()), pieces)); d != "" {
					t.Errorf("%s: -want +got\n%s", name, d)
				}
			}
		})
	}
}

func TestNameIsEmittedBeforeArgumentsAreComplete(t *testing.T) {
	p := NewParser(request())
	var got []engine.DeltaKind
	var input string
	emit := func(d engine.Delta) error {
		got = append(got, d.Kind)
		input += d.Text
		return nil
	}
	steps := []struct {
		piece string
		kinds int
		input string
	}{
		{`{"name": "weather"`, 1, ""},
		{`, "arguments": {"ci`, 2, `{"ci`},
		{`ty": "Os`, 3, `{"city": "Os`},
		{`lo"}`, 5, `{"city": "Oslo"}`},
	}
	for _, s := range steps {
		if err := p.Write(s.piece, emit); err != nil {
			t.Fatal(err)
		}
		if len(got) != s.kinds || input != s.input {
			t.Fatalf("after %q: %v %q", s.piece, got, input)
		}
	}
}

func TestTextDoesNotWait(t *testing.T) {
	p := NewParser(request())
	for _, piece := range []string{"Hello", " wor", "ld", " 1 < 2", " {x}", "\n- a"} {
		var got string
		if err := p.Write(piece, func(d engine.Delta) error { got += d.Text; return nil }); err != nil {
			t.Fatal(err)
		}
		if got != piece {
			t.Errorf("%q came as %q", piece, got)
		}
	}
}

// answeredRequest is a turn in which weather was called for Oslo and answered.
func answeredRequest() *engine.Request {
	r := request()
	r.Messages = append(r.Messages,
		engine.Message{Role: engine.Assistant, Parts: []engine.Part{{ToolCall: &engine.ToolCall{ID: "1", Name: "weather", Arguments: json.RawMessage(`{"city":"Oslo","n":1}`)}}}},
		engine.Message{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "1", Parts: []engine.Part{{Text: "rain"}}}}}})
	return r
}

func TestAnsweredCallsAreRefused(t *testing.T) {
	r := answeredRequest()
	same := engine.ToolCall{Name: "weather", Arguments: json.RawMessage(`{ "n": 1.0, "city": "Oslo" }`)}
	if !Refused(r, same) {
		t.Error("the same call is not refused")
	}
	for _, c := range []engine.ToolCall{
		{Name: "roll", Arguments: same.Arguments},
		{Name: "weather", Arguments: json.RawMessage(`{"city":"Bonn","n":1}`)},
		{Name: "weather"},
	} {
		if Refused(r, c) {
			t.Errorf("%+v is refused", c)
		}
	}
	a := parse(t, NewParser(r), []string{"Ok. <tool_call>", `{"name":"weather","arguments":{"n":1,"city":"Oslo"}}`})
	if d := cmp.Diff(answer{Text: "Ok. ", Refused: true}, a); d != "" {
		t.Error(d)
	}
	a = parse(t, NewParser(r), []string{`{"name":"weather","arguments":{"n":2,"city":"Oslo"}}`})
	if d := cmp.Diff(answer{Calls: []string{`weather{"n":2,"city":"Oslo"}`}, Stop: engine.ToolUse}, a); d != "" {
		t.Error(d)
	}
	// A new question of the user begins a new turn.
	r.Messages = append(r.Messages, engine.Message{Role: engine.User, Parts: []engine.Part{{Text: "and now?"}}})
	if Refused(r, same) {
		t.Error("a call of an earlier turn is refused")
	}
	// Text beside the results does not.
	r = answeredRequest()
	r.Messages[2].Parts = append(r.Messages[2].Parts, engine.Part{Text: "go on"})
	if !Refused(r, same) {
		t.Error("text beside a result began a turn")
	}
}

func TestAnswersAfterASchema(t *testing.T) {
	r := &engine.Request{ResultSchema: json.RawMessage(`{"type":"object"}`)}
	for text, want := range map[string]engine.StopReason{`{"a": 1}`: engine.EndTurn, `{"a": `: engine.MalformedText} {
		a := parse(t, NewParser(r), []string{text[:3], text[3:]})
		if a.Text != text || a.Stop != want {
			t.Errorf("%s: %+v", text, a)
		}
	}
	r.Tools = request().Tools
	a := parse(t, NewParser(r), []string{`{"name":"roll","arguments":{}}`})
	if a.Text == "" || len(a.Calls) > 0 {
		t.Errorf("a bare object beside a result schema is the result: %+v", a)
	}
	a = parse(t, NewParser(r), []string{`<tool_call>{"name":"roll","arguments":{}}</tool_call>`})
	if len(a.Calls) != 1 || a.Stop != engine.ToolUse {
		t.Errorf("%+v", a)
	}
}

func TestForbiddenCallsAreText(t *testing.T) {
	p := NewParser(request())
	p.ForbidCalls = true
	a := parse(t, p, []string{`{"name":"roll","arguments":{}}`})
	if len(a.Calls) > 0 || a.Text == "" {
		t.Errorf("%+v", a)
	}
}

func TestIDsComeFromTheSource(t *testing.T) {
	p := NewParser(request())
	p.Random = bytes.NewReader(append(bytes.Repeat([]byte{255}, 32), bytes.Repeat([]byte{61}, 32)...))
	_ = p.Write(`{"name":"roll"}`, func(engine.Delta) error { return nil })
	if got := p.Calls()[0].ID; got != "tooluse_"+strings.Repeat("z", 22) {
		t.Errorf("%s", got)
	}
	p = NewParser(request())
	p.Random = bytes.NewReader(nil)
	if p.Write(`{"name":"roll"}`, func(engine.Delta) error { return nil }) == nil {
		t.Error("no randomness, no error")
	}
}

func TestErrorOfEmitEndsTheParser(t *testing.T) {
	p := NewParser(request())
	boom := errors.New("boom")
	if err := p.Write("hello", func(engine.Delta) error { return boom }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := p.Close(func(engine.Delta) error { return nil }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
}

// fragments are what random outputs are made of.
var fragments = []string{
	"<tool_call>", "</tool_call>", "<tools>", "```json\n", "```", "\n", " ", "{", "}", "{{", "}}", "[", "]", ",", `"`,
	`{"name":"roll","arguments":{}}`, `{"name": "weather", "arguments": {"city": "Zürich"}}`, `{"name":`, `"weather"`, `"arguments":`,
	"<think>", "</think>", "text", "<", "`", "서울", "\xff", "\xe2\x82", `\`, `{"function":{"name":"roll","arguments":"{}"}}`,
}

func TestAnyCutGivesTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(fragments), 0, 12).Draw(rt, "fragments"), "")
		req := request()
		if rapid.Bool().Draw(rt, "answered") {
			req = answeredRequest()
		}
		want := parse(rt, NewParser(req), []string{text})
		var pieces []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 7)).Draw(rt, "n")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if d := cmp.Diff(want, parse(rt, NewParser(req), pieces)); d != "" {
			rt.Fatalf("%q cut as %q: -whole +cut\n%s", text, pieces, d)
		}
	})
}

func FuzzParser(f *testing.F) {
	for _, c := range outputs {
		f.Add(c.text, uint64(1), false)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64, again bool) {
		req := request()
		if again {
			req = answeredRequest()
		}
		want := parse(t, NewParser(req), []string{text})
		r := rand.New(rand.NewPCG(seed, 0))
		var pieces []string
		for rest := text; rest != ""; {
			n := 1 + r.IntN(min(len(rest), 9))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if d := cmp.Diff(want, parse(t, NewParser(req), pieces)); d != "" {
			t.Fatalf("-whole +cut\n%s", d)
		}
	})
}

func BenchmarkParserText(b *testing.B) {
	req := request()
	b.ReportAllocs()
	for b.Loop() {
		p := NewParser(req)
		for range 100 {
			_ = p.Write(" some words, one < two", func(engine.Delta) error { return nil })
		}
	}
}

func BenchmarkGrammar(b *testing.B) {
	req := request()
	for b.Loop() {
		if _, err := Grammar(req, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
