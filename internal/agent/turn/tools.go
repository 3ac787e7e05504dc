package turn

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// toolbox is what a plan lets its model do, by the names that the model knows, and the
// plan's templates taken apart. It never changes.
type toolbox struct {
	book          *prompt.Book
	list          []engine.Tool
	collaborators []plan.Collaborator
	templates     map[*plan.Prompt]*prompt.Template // those that can be used
}

const (
	sendTool = prompt.SendTool
	sendText = prompt.SendName
	askTool  = prompt.AskTool
	codeTool = prompt.CodeTool
)

func newToolbox(p *plan.Plan) *toolbox {
	b := prompt.NewBook(p)
	t := &toolbox{book: b, list: b.Tools(), collaborators: p.Collaborators, templates: map[*plan.Prompt]*prompt.Template{}}
	for i := range p.Prompts {
		if c, err := prompt.Compile(&p.Prompts[i]); err == nil {
			t.templates[&p.Prompts[i]] = c
		}
	}
	return t
}

// toolbox is what a plan comes to, made once for a plan that stays.
func (r *Runner) toolbox(p *plan.Plan, passing bool) *toolbox {
	if passing {
		return newToolbox(p)
	}
	if t, ok := r.tools.Get(p); ok {
		return t
	}
	t := newToolbox(p)
	r.tools.Put(p, t)
	return t
}

// render fills the template of a step.
func (b *toolbox) render(p *plan.Prompt, v *prompt.Values) (*prompt.Rendered, error) {
	if c := b.templates[p]; c != nil {
		return c.Render(v)
	}
	return prompt.Render(p, v)
}

// toolCall writes a call that a text asks for as one of the model's own.
func toolCall(c *prompt.Call, n int) engine.ToolCall {
	tc := engine.ToolCall{ID: c.ID}
	if tc.ID == "" {
		tc.ID = "call_" + strconv.Itoa(n)
	}
	input := c.Input
	switch {
	case c.Knowledge != "":
		tc.Name = prompt.KnowledgeName(c.Knowledge)
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
	t, ok := b.book.Resolve(tc.Name)
	c := call{ToolCall: tc, group: t.Group, action: t.Action, base: t.Knowledge}
	switch {
	case !ok:
		c.wrong = "There is no tool " + tc.Name + ". Call one of those that were described, by its exact name."
	case t.Ask != nil:
		c.group, c.ask = t.Ask, true
	case t.Code != nil:
		c.group, c.code = t.Code, true
	case t.Send:
		to := argument(tc.Arguments, prompt.SendTo)
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
