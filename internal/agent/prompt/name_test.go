package prompt

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
)

// full is a plan with everything that has a name.
func full() *plan.Plan {
	long := strings.Repeat("x", 90)
	return &plan.Plan{
		Instruction: "Help.",
		Groups: []plan.Group{
			{Name: "g", Lambda: "f", Actions: []plan.Action{
				{Path: "/a/{b}", Verb: "GET", Description: "A."}, {Path: "/a_{b}", Verb: "GET"}, {Path: "/" + long + "1", Verb: "POST"}, {Path: "/" + long + "2", Verb: "POST"},
				{Function: "f", Parameters: []plan.Parameter{{Name: "list", Type: "array", Description: "d", Schema: []byte(`{"type":"array","items":{"type":"integer"}}`), Required: true}}},
				{Path: "/c", Verb: "PUT", OperationID: "getC", Body: []plan.Parameter{{Name: "n", Type: "integer", Required: true}, {Name: "n", Type: "string"}}},
				{Path: "/", Verb: "GET"}, {Path: "/c", Verb: "DELETE"}, {Path: "/über", Verb: "GET"},
			}},
			{Name: "other", Description: "Other things.", Actions: []plan.Action{{Function: "f"}, {Function: "alone"}}},
			{Name: "ask", Signature: plan.UserInput},
			{Name: "code", Signature: plan.CodeInterpreter},
		},
		Knowledge:     []plan.KnowledgeBase{{ID: "KB12345678", Description: "Policies."}},
		Collaborators: []plan.Collaborator{{Name: "mars", Instruction: "Knows Mars."}, {Name: "moon", Instruction: "Knows the moon."}},
	}
}

func TestToolsHaveNamesThatEveryModelTakes(t *testing.T) {
	p := full()
	b := NewBook(p)
	valid := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	seen := map[string]bool{}
	var names []string
	for _, tool := range b.Tools() {
		if !valid.MatchString(tool.Name) || seen[tool.Name] {
			t.Errorf("name %q", tool.Name)
		}
		if _, ok := b.Resolve(tool.Name); !ok {
			t.Errorf("%s means nothing", tool.Name)
		}
		seen[tool.Name] = true
		names = append(names, tool.Name)
	}
	want := []string{
		"get__g__a_b", names[1], names[2], names[3], "g__f", "put__g__getC", "get__g__root", "delete__g__c", "get__g__ber", "other__f", "other__alone",
		"user__askuser", "code_interpreter__get__code_interpreter_response", "get__x_amz_knowledgebase_KB12345678__Search", "AgentCommunication__sendMessage",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(names[1], "get__g__a_b_") || len(names[2]) != 64 || names[2][:55] != names[3][:55] {
		t.Errorf("%q", names[1:4])
	}
	for i, tool := range NewBook(full()).Tools() { // another process would give the same
		if tool.Name != names[i] {
			t.Errorf("%s became %s", names[i], tool.Name)
		}
	}
	for i := range p.Groups[0].Actions {
		a := &p.Groups[0].Actions[i]
		if got, ok := b.Resolve(b.Name(a)); !ok || got.Action != a || got.Group != &p.Groups[0] {
			t.Errorf("%s means %+v", b.Name(a), got)
		}
	}
}

func TestAllSpellingsOfNames(t *testing.T) {
	p := full()
	b := NewBook(p)
	g := p.Groups[0].Actions
	for name, want := range map[string]*plan.Action{
		"get::g::/a/{b}": &g[0], "GET::g::/a_{b}": &g[1], "g::f": &g[4], "put::g::getC": &g[5], "PUT::G::/c": &g[5], "put__g__getc": &g[5], "delete::g::/c": &g[7],
		" PUT::g::getC\n": &g[5], "getC": &g[5], "/a/{b}": &g[0], "other::f": &p.Groups[1].Actions[0], "alone": &p.Groups[1].Actions[1], "get__g__/a/{b}": &g[0], "get::g::a_b": &g[0],
		"f": nil, "/c": nil, "post::g::getC": nil, "": nil, "x": nil,
	} {
		got, ok := b.Resolve(name)
		if got.Action != want || ok != (want != nil) {
			t.Errorf("%q means %+v", name, got)
		}
	}
	for name, want := range map[string]Target{
		"user::askuser": {Ask: &p.Groups[2]}, "USER__ASKUSER": {Ask: &p.Groups[2]}, "get::x_amz_knowledgebase_kb12345678::search": {Knowledge: &p.Knowledge[0]},
		"AgentCommunication::sendMessage": {Send: true}, CodeName: {Code: &p.Groups[3]},
	} {
		if got, ok := b.Resolve(name); !ok || got != want {
			t.Errorf("%q means %+v", name, got)
		}
	}
	for _, c := range []struct {
		call Call
		want *plan.Action
	}{
		{Call{Verb: "put", Group: "g", Name: "/c"}, &g[5]}, {Call{Group: "g", Name: "getC"}, &g[5]}, {Call{Group: "g", Name: "/c"}, nil}, {Call{Group: "G", Name: "/A/{b}"}, &g[0]},
		{Call{Verb: "get", Group: "g", Name: "f"}, &g[4]}, {Call{Verb: "get", Group: "g", Name: "nothing"}, nil},
	} {
		if got, _ := b.ResolveCall(&c.call); got.Action != c.want {
			t.Errorf("%+v means %+v", c.call, got)
		}
	}
	if got, ok := b.ResolveCall(&Call{Knowledge: "KB12345678"}); !ok || got.Knowledge == nil {
		t.Errorf("%+v", got)
	}
	if got, ok := b.ResolveCall(&Call{Collaborator: "mars"}); !ok || !got.Send {
		t.Errorf("%+v", got)
	}
	if _, ok := NewBook(&plan.Plan{}).ResolveCall(&Call{Collaborator: "mars"}); ok {
		t.Error("a message without collaborators")
	}
}

func TestSchemasOfCalls(t *testing.T) {
	tools := Tools(full())
	for i, want := range map[int]string{
		4:  `{"properties":{"list":{"description":"d","items":{"type":"integer"},"type":"array"}},"required":["list"],"type":"object"}`,
		5:  `{"properties":{"n":{"type":"integer"}},"required":[],"type":"object"}`, // the body may be left out
		6:  `{"properties":{},"required":[],"type":"object"}`,
		14: `{"properties":{"content":{"description":"the message: all that the agent must know to answer","type":"string"},"recipient":{"description":"name of the agent","enum":["mars","moon"],"type":"string"}},"required":["recipient","content"],"type":"object"}`,
	} {
		if got := string(tools[i].Schema); got != want {
			t.Errorf("%s: %s", tools[i].Name, got)
		}
	}
	if got := tools[9].Description; got != "Other things." {
		t.Errorf("a function without a description is told as %q", got)
	}
	text := List(full())
	for _, want := range []string{
		"<tool_name>PUT::g::getC</tool_name>", "<tool_name>g::f</tool_name>", "<is_required>True</is_required>", "<tool_name>GET::x_amz_knowledgebase_KB12345678::Search</tool_name>",
		"<tool_name>user::askuser</tool_name>", `<agent name="mars">Knows Mars.</agent>`, "<name>searchQuery</name>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for _, s := range []string{plan.Computer, plan.Bash, plan.TextEditor} {
		if a := BuiltIn(s); len(a) != 1 || a[0].Function == "" {
			t.Errorf("%s: %+v", s, a)
		}
	}
	b := NewBook(&plan.Plan{Groups: []plan.Group{{Name: "mine", Signature: plan.Computer}}})
	if got, ok := b.Resolve("mine__computer"); !ok || got.Action == nil || got.Action.Parameters[0].Name != "action" || len(b.Tools()) != 1 {
		t.Errorf("%+v of %+v", got, b.Tools())
	}
	if BuiltIn(plan.UserInput) != nil {
		t.Error("a question is no action")
	}
}
