package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
)

func find(t *testing.T, id string) *Case {
	t.Helper()
	for i := range Cases {
		if Cases[i].ID == id {
			return &Cases[i]
		}
	}
	t.Fatalf("no case %s", id)
	return nil
}

func play(t *testing.T, yaml, id string) *Outcome {
	t.Helper()
	e, err := script.New(script.Config{Reader: strings.NewReader(yaml)})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Run(t.Context(), e, "", find(t, id), 7)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestChecker(t *testing.T) {
	const weatherCall = `
rules:
  - when: {tool_result: .}
    reply: {text: "Tools say {{.ToolResult}}."}
  - when: {user: Seattle}
    reply: {tool_calls: [{name: get_weather, arguments: {city: "Seattle, WA"}}]}
  - when: {user: Oslo}
    reply: {tool_calls: [{name: get_weather, arguments: {city: Madrid}}, {name: get_weather, arguments: {city: Oslo}}]}
`
	cases := []struct {
		name, yaml, id, why string
		steps               int
	}{
		{"right", weatherCall, "weather", "", 2},
		{"two at once", weatherCall, "two cities", "", 2},
		{"no tool", "", "greeting", "", 1},
		{"facts missing", strings.Replace(weatherCall, "{{.ToolResult}}", "rain", 1), "weather", "is not in the answer", 2},
		{"wrong argument", strings.Replace(weatherCall, "Seattle, WA", "Boston", 1), "weather", "wrong call", 2},
		{"wrong tool", strings.ReplaceAll(weatherCall, "get_weather", "get_time"), "weather", "wrong call", 2},
		{"call missing", strings.Replace(weatherCall, ", {name: get_weather, arguments: {city: Oslo}}", "", 1), "two cities", "no call of get_weather", 2},
		{"needless call", strings.Replace(weatherCall, "user: Seattle", "user: Hello", 1), "greeting", "wrong call", 2},
		{"the same call twice", strings.Replace(weatherCall, "Madrid", "Oslo", 1), "two cities", "wrong call", 2},
		{"no end", `default: {tool_calls: [{name: get_weather, arguments: {city: Seattle}}]}`, "weather", "wrong call", maxSteps},
		{"no text", strings.Replace(weatherCall, "Tools say {{.ToolResult}}.", "", 1), "weather", "no text", 2},
		{"cut", strings.Replace(weatherCall, `."}`, `.", stop_reason: max_tokens}`, 1), "weather", "ended with max_tokens", 2},
	}
	for _, c := range cases {
		o := play(t, c.yaml, c.id)
		if (c.why == "") != o.Passed() || !strings.Contains(o.Why, c.why) || o.Steps != c.steps {
			t.Errorf("%s: %q after %d steps, want %q after %d", c.name, o.Why, o.Steps, c.why, c.steps)
		}
	}
}

// TestOraclePassesEveryCase plays a model that knows the wanted calls and repeats
// the results: every task can be done.
func TestOraclePassesEveryCase(t *testing.T) {
	for i := range Cases {
		c := &Cases[i]
		g := &oracle{task: c.Make(rand.New(rand.NewPCG(1, 2)))}
		g.c = Case{ID: c.ID, Make: func(*rand.Rand) Task { return g.task }}
		o, err := Run(t.Context(), g, "", &g.c, 1)
		if err != nil || !o.Passed() {
			t.Errorf("%s: %v %s", c.ID, err, o.Why)
		}
	}
}

// oracle answers from the task; arguments are found by trying words.
type oracle struct {
	c    Case
	task Task
}

func (g *oracle) Generate(_ context.Context, req *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
	last := req.Messages[len(req.Messages)-1]
	said := ""
	for _, p := range last.Parts {
		if p.ToolResult != nil {
			said += p.ToolResult.Parts[0].Text
		}
	}
	if said != "" {
		return &engine.Result{Stop: engine.EndTurn, Parts: []engine.Part{{Text: said}}}, nil
	}
	for _, turn := range g.task.Turns {
		if turn.User != last.Parts[0].Text {
			continue
		}
		res := &engine.Result{Stop: engine.ToolUse}
		for i, w := range turn.Calls {
			args := map[string]any{}
			for name, m := range w.Args {
				args[name] = guess(m, turn.User+" USD EUR off "+turn.Calls[0].Result+allUsers(g.task))
			}
			raw, _ := json.Marshal(args)
			res.Parts = append(res.Parts, engine.Part{ToolCall: &engine.ToolCall{ID: string(rune('a' + i)), Name: w.Tool, Arguments: raw}})
		}
		if len(res.Parts) == 0 {
			return &engine.Result{Stop: engine.EndTurn, Parts: []engine.Part{{Text: "Yes. " + strings.Join(turn.Says, " ")}}}, nil
		}
		return res, nil
	}
	return nil, &engine.Error{Kind: engine.BadRequest, Message: "unknown question"}
}

func allUsers(t Task) string {
	s := ""
	for _, turn := range t.Turns {
		s += " " + turn.User + " " + strings.Join(turn.Says, " ")
	}
	return s
}

// guess tries the words and pairs of words of a text.
func guess(m Match, text string) any {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,?'\"{}", r) })
	for i := range words {
		for _, s := range []string{words[i], strings.Join(words[i:min(i+2, len(words))], " ")} {
			if s = strings.TrimRight(s, "."); m(s) {
				return s
			}
		}
	}
	return ""
}

func TestListIsAsPromised(t *testing.T) {
	var held, idle, heldIdle, two int
	seen := map[string]bool{}
	for i := range Cases {
		c := &Cases[i]
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		task, other := c.Make(rand.New(rand.NewPCG(1, 1))), c.Make(rand.New(rand.NewPCG(2, 2)))
		if len(task.Tools) < 1 || len(task.Tools) > 6 {
			t.Errorf("%s offers %d tools", c.ID, len(task.Tools))
		}
		calls, random := 0, false
		for k, turn := range task.Turns {
			calls += len(turn.Calls)
			if len(turn.Calls) > 1 {
				two++
			}
			for n, s := range turn.Says {
				random = random || other.Turns[k].Says[n] != s
				if len(turn.Calls) == 0 {
					continue
				}
				// A fact that stood in the prompt would prove nothing.
				prompt := task.System
				for _, p := range task.Turns[:k+1] {
					prompt += p.User
				}
				if strings.Contains(prompt, s) {
					t.Errorf("%s: the fact %q stands in the prompt", c.ID, s)
				}
			}
		}
		if calls > 0 && !random {
			t.Errorf("%s: facts are not random", c.ID)
		}
		if c.HeldOut {
			held++
		}
		if calls == 0 {
			idle++
			if c.HeldOut {
				heldIdle++
			}
		}
		for _, tl := range task.Tools {
			if !json.Valid(tl.Schema) {
				t.Errorf("%s: schema of %s", c.ID, tl.Name)
			}
		}
	}
	if len(Cases) != 30 || held != 10 || idle != 6 || heldIdle != 2 || two < 3 {
		t.Errorf("%d cases, %d held out, %d (%d) without tool, %d with two calls", len(Cases), held, idle, heldIdle, two)
	}
}

func TestTable(t *testing.T) {
	var w bytes.Buffer
	o := play(t, "", "weather")
	if err := Table(&w, []*Outcome{o}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.String(), "| weather | 1 |") || !strings.Contains(w.String(), "**wrong**: no call of get_weather") {
		t.Error(w.String())
	}
	if passed, all := Score([]*Outcome{o}, nil); passed != 0 || all != 1 {
		t.Error(passed, all)
	}
}

func TestAnEngineThatIsDownIsNoWrongAnswer(t *testing.T) {
	for kind, want := range map[string]int{"not_ready": 0, "crash": 0, "bad_output": len(Cases)} {
		e, err := script.New(script.Config{Reader: strings.NewReader("default: {error: " + kind + "}")})
		if err != nil {
			t.Fatal(err)
		}
		list, err := RunAll(t.Context(), e, "", Cases, 1, nil)
		if len(list) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d outcomes, %v", kind, len(list), err)
		}
	}
}
