package turn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/turn/contract"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// toolbox is what a plan lets its model do, by the names that the model knows.
type toolbox struct {
	list  []engine.Tool
	names map[string]call // without the ToolCall

	texts map[string]call // the same by the names that prompts in text use, in lower case

	collaborators []plan.Collaborator
}

const (
	askTool  = "user__askuser"
	codeTool = "code_interpreter__get__code_interpreter_response"
	sendTool = "AgentCommunication__sendMessage"
	sendText = "AgentCommunication::sendMessage"
)

func newToolbox(p *plan.Plan) (*toolbox, error) {
	b := &toolbox{names: map[string]call{}, texts: map[string]call{}}
	add := func(name, description string, schema json.RawMessage, c call) {
		name = b.safe(name)
		b.list = append(b.list, engine.Tool{Name: name, Description: description, Schema: schema})
		b.names[name] = c
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		switch g.Signature {
		case plan.UserInput:
			add(askTool, "Ask the user for information that is missing.", object([]plan.Parameter{{Name: "question", Type: "string", Required: true}}), call{group: g, ask: true})
			b.text(call{group: g, ask: true}, contract.AskName)
			continue
		case plan.CodeInterpreter:
			add(codeTool, "Run Python code and get its output.", object([]plan.Parameter{{Name: "code", Type: "string", Required: true}}), call{group: g, code: true})
			continue
		}
		for j := range g.Actions {
			a := &g.Actions[j]
			name := g.Name + "__" + a.Name()
			if a.Function == "" {
				name = strings.ToLower(a.Verb) + "__" + name
			}
			c := call{group: g, action: a}
			add(name, a.Description, object(inputs(a)), c)
			b.text(c, contract.Name(g, a))
			if a.Function == "" {
				b.text(c, a.Verb+"::"+g.Name+"::"+a.Path)
			}
		}
	}
	for i := range p.Knowledge {
		k := &p.Knowledge[i]
		add("get__x_amz_knowledgebase_"+k.ID+"__Search", k.Description, object([]plan.Parameter{{Name: "searchQuery", Type: "string", Required: true}}), call{base: k})
		b.text(call{base: k}, contract.KnowledgeName(k.ID))
	}
	if len(p.Collaborators) > 0 {
		names := []string{}
		about := "Send a message to another agent and get its answer. The agents:"
		for i := range p.Collaborators {
			c := &p.Collaborators[i]
			names = append(names, c.Name)
			about += "\n" + c.Name + ": " + c.Instruction
		}
		schema, err := json.Marshal(map[string]any{"type": "object", "required": []string{"recipient", "content"}, "properties": map[string]any{
			"recipient": map[string]any{"type": "string", "enum": names, "description": "name of the agent"},
			"content":   map[string]any{"type": "string", "description": "the message: all that the agent must know to answer"},
		}})
		if err != nil {
			return nil, err
		}
		add(sendTool, about, schema, call{})
		b.text(call{}, sendText)
		b.collaborators = p.Collaborators
	}
	return b, nil
}

// inputs are the parameters of an action and the members of its body. A body that may
// be left out requires nothing.
func inputs(a *plan.Action) []plan.Parameter {
	list := slices.Clone(a.Parameters)
	for _, p := range a.Body {
		p.Required = p.Required && a.BodyRequired
		list = append(list, p)
	}
	return list
}

// object is the JSON schema of a call's input.
func object(list []plan.Parameter) json.RawMessage {
	properties := map[string]json.RawMessage{}
	required := []string{}
	for i := range list {
		p := &list[i]
		if p.Required && !slices.Contains(required, p.Name) {
			required = append(required, p.Name)
		}
		schema := map[string]any{}
		if len(p.Schema) == 0 || json.Unmarshal(p.Schema, &schema) != nil {
			schema = map[string]any{"type": p.Type}
		}
		if p.Description != "" {
			schema["description"] = p.Description
		}
		properties[p.Name], _ = json.Marshal(schema) // it was JSON before
	}
	out, _ := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required})
	return out
}

// maxToolName is the longest name that models of the Messages form take.
const maxToolName = 64

// safe makes a name that every engine takes: letters, digits, _ and -, at most 64 of
// them, and no two alike. Most names are safe already.
func (b *toolbox) safe(name string) string {
	out := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	_, taken := b.names[out]
	if out == name && len(out) <= maxToolName && !taken {
		return out
	}
	sum := sha256.Sum256([]byte(name))
	if len(out) > maxToolName || taken {
		out = out[:min(len(out), maxToolName-9)] + "_" + hex.EncodeToString(sum[:4])
	}
	return out
}

func (b *toolbox) text(c call, name string) { b.texts[strings.ToLower(name)] = c }

// toolCall writes a call that a text asks for as one of the model's own.
func toolCall(c *contract.Call, n int) engine.ToolCall {
	tc := engine.ToolCall{ID: c.ID}
	if tc.ID == "" {
		tc.ID = "call_" + strconv.Itoa(n)
	}
	input := c.Input
	switch {
	case c.Knowledge != "":
		tc.Name = contract.KnowledgeName(c.Knowledge)
	case c.Collaborator != "":
		tc.Name, input = sendText, map[string]string{"recipient": c.Collaborator, "content": c.Input["text"]}
	case c.Verb != "":
		tc.Name = c.Verb + "::" + c.Group + "::" + c.Name
	default:
		tc.Name = c.Group + "::" + c.Name
	}
	if input == nil {
		input = map[string]string{}
	}
	tc.Arguments, _ = json.Marshal(input) // a map of strings
	return tc
}

// resolve finds what a call of the model means.
func (b *toolbox) resolve(tc engine.ToolCall) call {
	c, ok := b.names[tc.Name]
	if !ok {
		c, ok = b.texts[strings.ToLower(tc.Name)]
	}
	if !ok {
		c.wrong = "There is no tool " + tc.Name + ". Call one of those that were described, by its exact name."
	}
	c.ToolCall = tc
	if ok && (tc.Name == sendTool || tc.Name == sendText) {
		to := argument(tc.Arguments, "recipient")
		for i := range b.collaborators {
			if strings.EqualFold(b.collaborators[i].Name, to) {
				c.collaborator = &b.collaborators[i]
			}
		}
		if c.collaborator == nil {
			c.wrong = "There is no agent " + to + ". Send the message to one of those that were described, by its exact name."
		}
	}
	return c
}
