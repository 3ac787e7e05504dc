package turn

import (
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestToolsHaveNamesThatEveryEngineTakes(t *testing.T) {
	long := strings.Repeat("x", 90)
	p := &plan.Plan{Groups: []plan.Group{{Name: "g", Actions: []plan.Action{
		{Path: "/a/{b}", Verb: "GET"}, {Path: "/a_{b}", Verb: "GET"}, {Path: "/" + long + "1", Verb: "POST"}, {Path: "/" + long + "2", Verb: "POST"},
		{Function: "f", Parameters: []plan.Parameter{{Name: "list", Type: "array", Description: "d", Schema: []byte(`{"type":"array","items":{"type":"integer"}}`), Required: true}}},
		{Path: "/c", Verb: "PUT", OperationID: "c", Body: []plan.Parameter{{Name: "n", Type: "integer", Required: true}}},
	}}}}
	b := newToolbox(p)
	valid := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	seen := map[string]bool{}
	for i, tool := range b.list {
		if !valid.MatchString(tool.Name) || seen[tool.Name] {
			t.Errorf("name %q", tool.Name)
		}
		seen[tool.Name] = true
		if c := b.resolve(engine.ToolCall{Name: tool.Name}); c.action != &p.Groups[0].Actions[i] {
			t.Errorf("%s means %+v", tool.Name, c)
		}
	}
	for name, want := range map[string]int{"get::g::/a/{b}": 0, "GET::g::/a_{b}": 1, "g::f": 4, "put::g::c": 5, "PUT::g::/c": 5} {
		if c := b.resolve(engine.ToolCall{Name: name}); c.action != &p.Groups[0].Actions[want] {
			t.Errorf("%s means %+v", name, c)
		}
	}
	if got := string(b.list[4].Schema); got != `{"properties":{"list":{"description":"d","items":{"type":"integer"},"type":"array"}},"required":["list"],"type":"object"}` {
		t.Error(got)
	}
	if got := string(b.list[5].Schema); !strings.Contains(got, `"required":[]`) { // the body may be left out
		t.Error(got)
	}
}
