package constrain

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestAlternativesOfAnAnswer(t *testing.T) {
	weather := `{"name": "weather", "arguments": {"city": "Oslo"}}`
	roll := `{"name": "roll", "arguments": {}}`
	free := []string{"Hello.", "A <b> and ```json\n{}\n``` inside", "1 < 2 <", " indented"}
	bad := []string{"", "{}", "```python\nx\n```", "<b>", `{"name": "fly", "arguments": {}}`, `{"name": "weather", "arguments": {"town": "Oslo"}}`, "I call <tool_call>" + roll + "</tool_call>", " {"}
	calls := []string{"{" + weather + "}", "<tool_call>\n{" + roll + "}\n</tool_call>", weather, roll, weather + "\n" + roll, "```json\n" + weather + "\n```", "```json\n" + weather + "\n" + roll + "\n```",
		"<tool_call>\n" + weather + "\n</tool_call>", "<tool_call>" + roll + "</tool_call>\n<tool_call>" + weather + "</tool_call>",
		"{\n  \"name\": \"weather\",\n  \"arguments\": {\n    \"city\": \"Oslo\"\n  }\n}"}
	cases := []struct {
		name    string
		change  func(*engine.Request)
		opt     Options
		yes, no [][]string
	}{
		{"auto", func(*engine.Request) {}, Options{}, [][]string{calls, free}, [][]string{bad}},
		{"any", func(r *engine.Request) { r.ToolChoice.Mode = engine.ToolAny }, Options{}, [][]string{calls}, [][]string{free, bad}},
		{"forced", func(*engine.Request) {}, Options{ForceCalls: true}, [][]string{calls}, [][]string{free, bad}},
		{"named", func(r *engine.Request) { r.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: "roll"} }, Options{},
			[][]string{{roll, "<tool_call>" + roll + "</tool_call>", "```json\n" + roll + "\n```"}}, [][]string{free, bad, {weather, roll + "\n" + roll}}},
		{"never", func(r *engine.Request) { r.ToolChoice.Mode = engine.ToolNever }, Options{}, [][]string{free, {"{}", "<b>", weather}}, nil},
		{"forbidden", func(*engine.Request) {}, Options{ForbidCalls: true}, [][]string{{"Hello.", "1 < 2"}}, [][]string{calls, bad, {free[1]}}},
		{"forbidden though forced", func(r *engine.Request) { r.ToolChoice.Mode = engine.ToolAny }, Options{ForbidCalls: true}, [][]string{{"Hello."}}, [][]string{calls}},
		{"result", func(r *engine.Request) {
			r.ResultSchema = json.RawMessage(`{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}`)
		}, Options{},
			[][]string{{`{"ok": true}`, "<tool_call>" + roll + "</tool_call>"}}, [][]string{free, {roll}}},
		{"prefill", func(r *engine.Request) {
			r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: "The answer is"}}})
		}, Options{}, [][]string{free, {" 42.", "{}", "`x`", ""}}, [][]string{{"<tool_call>" + roll + "</tool_call>"}}},
		{"thinking", func(r *engine.Request) { r.Thinking = &engine.Thinking{Enabled: true} }, Options{},
			[][]string{calls, free, {"<think>a < b</think>\n\n" + roll, "<think></think>Hi"}}, [][]string{bad, {"<think>"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request()
			c.change(req)
			src, err := Grammar(req, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			g, err := readGBNF(src)
			if err != nil {
				t.Fatalf("%v\n%s", err, src)
			}
			for _, list := range c.yes {
				for _, s := range list {
					if !g.allows(s) {
						t.Errorf("%q is not allowed by\n%s", s, src)
					}
				}
			}
			for _, list := range c.no {
				for _, s := range list {
					if g.allows(s) {
						t.Errorf("%q is allowed by\n%s", s, src)
					}
				}
			}
		})
	}
}

func TestGrammarIsTheSameForTheSameRequest(t *testing.T) {
	first, _ := Grammar(request(), Options{})
	for range 20 {
		if again, _ := Grammar(request(), Options{}); again != first {
			t.Fatal("grammar changes between calls")
		}
	}
}

func TestUnknownNamedTool(t *testing.T) {
	req := request()
	req.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: "fly"}
	if _, err := Grammar(req, Options{}); err == nil {
		t.Error("no error")
	}
}

func TestWanted(t *testing.T) {
	never := request()
	never.ToolChoice.Mode = engine.ToolNever
	for i, c := range []struct {
		req  *engine.Request
		want bool
	}{
		{&engine.Request{}, false}, {request(), true}, {never, false},
		{&engine.Request{ResultSchema: json.RawMessage(`{}`)}, true},
	} {
		if Wanted(c.req) != c.want {
			t.Errorf("case %d: want %v", i, c.want)
		}
	}
}

func TestDecide(t *testing.T) {
	top := func(call float64) engine.Token {
		return engine.Token{Text: "To", Top: []engine.Token{{Text: "To", Logprob: math.Log(0.9)}, {Text: "{{", Logprob: math.Log(call / 2)}, {Text: " ```", Logprob: math.Log(call / 2)}, {Text: " ", Logprob: -1}}}
	}
	if !Decide(top(0.04)).ForceCalls || Decide(top(0.005)).ForceCalls || Decide(engine.Token{}).ForceCalls {
		t.Error("the mass of calls does not decide")
	}
	for name, c := range map[string]struct {
		change func(*engine.Request)
		want   bool
	}{
		"auto":     {func(*engine.Request) {}, true},
		"any":      {func(r *engine.Request) { r.ToolChoice.Mode = engine.ToolAny }, false},
		"never":    {func(r *engine.Request) { r.ToolChoice.Mode = engine.ToolNever }, false},
		"no tools": {func(r *engine.Request) { r.Tools = nil }, false},
		"result":   {func(r *engine.Request) { r.ResultSchema = json.RawMessage(`{}`) }, false},
		"answered": {func(r *engine.Request) { *r = *answeredRequest() }, false},
	} {
		req := request()
		if c.change(req); Undecided(req) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}
