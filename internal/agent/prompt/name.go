package prompt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Names of tools that are no actions: in prompts that list tools as text, and for the
// engine.
const (
	AskName  = "user::askuser"
	AskTool  = "user__askuser"
	CodeName = "code_interpreter::get::code_interpreter_response"
	CodeTool = "code_interpreter__get__code_interpreter_response"
	SendName = "AgentCommunication::sendMessage"
	SendTool = "AgentCommunication__sendMessage"

	// The inputs of those tools.
	AskInput     = "question"
	CodeInput    = "code"
	SendTo       = "recipient"
	SendText     = "content"
	SearchInput  = "searchQuery"
	searchAction = "Search"

	knowledgePrefix = "x_amz_knowledgebase_"
)

// maxToolName is the longest name that models of the Messages form take.
const maxToolName = 64

// Name is what an action is called in text: verb, group and operation, or group and
// function.
func Name(g *plan.Group, a *plan.Action) string {
	if a.Function != "" {
		return g.Name + "::" + a.Function
	}
	return strings.ToUpper(a.Verb) + "::" + g.Name + "::" + a.Name()
}

// KnowledgeName is what a knowledge base is called in text.
func KnowledgeName(id string) string { return "GET::" + knowledgePrefix + id + "::" + searchAction }

// ToolName is what an action is called by models that call tools by name: letters,
// digits, _ and -, at most 64. Two actions of a plan may have the same; a Book keeps
// them apart.
func ToolName(g *plan.Group, a *plan.Action) string {
	if a.Function != "" {
		return short(g.Name + "__" + clean(a.Function))
	}
	return short(strings.ToLower(a.Verb) + "__" + g.Name + "__" + clean(a.Name()))
}

// KnowledgeTool is what a knowledge base is called by models that call tools by name.
func KnowledgeTool(id string) string { return "get__" + knowledgePrefix + id + "__" + searchAction }

// clean makes one part of a tool's name of an operation's id or path: what lies
// between letters, digits and dashes becomes one underscore.
func clean(s string) string {
	if isName(s) {
		return s
	}
	var w strings.Builder
	gap := false
	for _, r := range s {
		if r != '_' && isNameByte(r) {
			if gap && w.Len() > 0 {
				w.WriteByte('_')
			}
			gap = false
			w.WriteRune(r)
			continue
		}
		gap = true
	}
	if w.Len() == 0 {
		return "root" // the path / and names without a letter
	}
	return w.String()
}

func isNameByte(r rune) bool {
	return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isNameByte(r) })
}

// short cuts a name that is too long and marks it with a digest of the whole, so that
// the same name is cut the same way every time.
func short(name string) string {
	if len(name) <= maxToolName {
		return name
	}
	return marked(name, name)
}

func marked(name, of string) string {
	sum := sha256.Sum256([]byte(of))
	return name[:min(len(name), maxToolName-9)] + "_" + hex.EncodeToString(sum[:4])
}

// Target is what a name means: exactly one of its members is set.
type Target struct {
	Group     *plan.Group // with Action
	Action    *plan.Action
	Knowledge *plan.KnowledgeBase
	Ask       *plan.Group // the group of the question to the user
	Code      *plan.Group // the group of the code interpreter
	Send      bool        // a message to a collaborator, named in the call's recipient
}

// Book holds the tools of a plan and their names. It is made once for a plan, never
// changes, and may be used by many turns at a time.
type Book struct {
	plan  *plan.Plan
	tools []engine.Tool
	exact map[string]Target       // engine's names
	loose map[string]Target       // all spellings, in lower case
	last  map[string]Target       // the last part of names, in lower case; twice: no target
	names map[*plan.Action]string // engine's name of an action
}

// NewBook lists what a plan lets its model do: actions in the order of the plan, then
// knowledge bases, then collaborators.
func NewBook(p *plan.Plan) *Book {
	b := &Book{plan: p, exact: map[string]Target{}, loose: map[string]Target{}, last: map[string]Target{}, names: map[*plan.Action]string{}}
	for i := range p.Groups {
		g := &p.Groups[i]
		switch g.Signature {
		case plan.UserInput:
			b.add(AskTool, askAbout, object(askInputs), Target{Ask: g}, AskName)
			continue
		case plan.CodeInterpreter:
			b.add(CodeTool, codeAbout, object(codeInputs), Target{Code: g}, CodeName)
			continue
		}
		actions := actionsOf(g)
		for j := range actions {
			a := &actions[j]
			t := Target{Group: g, Action: a}
			spellings := []string{Name(g, a)}
			if a.Function == "" {
				spellings = append(spellings, a.Verb+"::"+g.Name+"::"+a.Path, strings.ToLower(a.Verb)+"__"+g.Name+"__"+a.Name())
			} else {
				spellings = append(spellings, g.Name+"__"+a.Function)
			}
			b.names[a] = b.add(ToolName(g, a), about(g, a), object(Inputs(a)), t, spellings...)
			b.tail(a.Name(), t)
			if a.OperationID != "" {
				b.tail(a.Path, t)
			}
		}
	}
	for i := range p.Knowledge {
		k := &p.Knowledge[i]
		t := Target{Knowledge: k}
		b.add(KnowledgeTool(k.ID), k.Description, object(searchInputs), t, KnowledgeName(k.ID), knowledgePrefix+k.ID)
	}
	if len(p.Collaborators) > 0 {
		b.add(SendTool, sendAbout(p), sendSchema(p), Target{Send: true}, SendName)
	}
	return b
}

// add takes a tool in, under a name that no other has.
func (b *Book) add(name, description string, schema json.RawMessage, t Target, spellings ...string) string {
	if _, taken := b.exact[name]; taken {
		whole := name + "|" + strings.Join(spellings, "|") // differs where the names were made equal
		for i := 0; taken; i++ {
			name = marked(name, whole+strconv.Itoa(i))
			_, taken = b.exact[name]
		}
	}
	b.exact[name] = t
	b.tools = append(b.tools, engine.Tool{Name: name, Description: description, Schema: schema})
	for _, s := range append(spellings, name, strings.ReplaceAll(name, "__", "::")) {
		if s = strings.ToLower(s); b.loose[s] == (Target{}) {
			b.loose[s] = t
		}
	}
	return name
}

func (b *Book) tail(name string, t Target) {
	name = strings.ToLower(name)
	if old, twice := b.last[name]; twice && old != t {
		t = Target{}
	}
	b.last[name] = t
}

// Tools are for the engine. The caller must not change them.
func (b *Book) Tools() []engine.Tool { return b.tools }

// Name is the engine's name of an action of the plan.
func (b *Book) Name(a *plan.Action) string { return b.names[a] }

// Resolve finds what a model or a parser means by a name, in any spelling:
// verb::group::operation, verb__group__operation, group::function, group__function,
// with the operation's id or its path, and letters of either case. A bare operation or
// function that only one group has will do as well.
func (b *Book) Resolve(name string) (Target, bool) {
	if t, ok := b.exact[name]; ok {
		return t, true
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if t, ok := b.loose[name]; ok {
		return t, true
	}
	if t, ok := b.last[name]; ok && t != (Target{}) {
		return t, true
	}
	return Target{}, false
}

// ResolveCall finds what a call of a text or of a parser function means. Without a
// verb, the group and the name must be enough.
func (b *Book) ResolveCall(c *Call) (Target, bool) {
	switch {
	case c.Knowledge != "":
		return b.Resolve(KnowledgeName(c.Knowledge))
	case c.Collaborator != "":
		t, ok := b.exact[SendTool]
		return t, ok
	case c.Verb != "":
		if t, ok := b.Resolve(c.Verb + "::" + c.Group + "::" + c.Name); ok {
			return t, true
		}
	}
	if t, ok := b.Resolve(c.Group + "::" + c.Name); ok {
		return t, true
	}
	if c.Verb != "" {
		return Target{}, false
	}
	var found Target
	for i := range b.plan.Groups {
		g := &b.plan.Groups[i]
		if !strings.EqualFold(g.Name, c.Group) {
			continue
		}
		for j := range g.Actions {
			a := &g.Actions[j]
			if !strings.EqualFold(a.Name(), c.Name) && !strings.EqualFold(a.Path, c.Name) {
				continue
			}
			if found.Action != nil {
				return Target{}, false // two verbs of one path
			}
			found = Target{Group: g, Action: a}
		}
	}
	return found, found.Action != nil
}

// Inputs are what a call of an action may give: its parameters and the members of its
// body, each name once. A body that may be left out requires nothing.
func Inputs(a *plan.Action) []plan.Parameter {
	list := make([]plan.Parameter, 0, len(a.Parameters)+len(a.Body))
	add := func(p plan.Parameter) {
		i := slices.IndexFunc(list, func(q plan.Parameter) bool { return q.Name == p.Name })
		if i < 0 {
			list = append(list, p)
			return
		}
		list[i].Required = list[i].Required || p.Required // one value serves both
	}
	for _, p := range a.Parameters {
		add(p)
	}
	for _, p := range a.Body {
		p.Required = p.Required && a.BodyRequired
		add(p)
	}
	return list
}
