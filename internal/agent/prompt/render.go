package prompt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Values are what placeholders stand for. A step uses those that it knows of.
type Values struct {
	Plan             *plan.Plan
	Question         string
	Parts            []engine.Part    // that go with the question: files
	History          []engine.Message // of the session, before this turn
	Scratchpad       []engine.Message // answers and results of this turn
	PromptAttributes map[string]string
	Memory           []string // summaries of earlier sessions, newest first
	Files            []string // beside the code interpreter

	Query     string   // of a knowledge base
	Results   string   // what it found, with source ids
	Latest    string   // answer of orchestration
	Responses []string // of actions and queries
	Asked     string   // last request of the user, for the router
	Past      string   // summary of what came before, for a new summary
}

// Rendered is a prompt.
type Rendered struct {
	System   string
	Messages []engine.Message // a last one of the assistant is a prefill
	InText   bool             // the tools stand in it

	open int  // number of messages when the last one was the template's own
	json bool // form of the template
}

// Text is the whole prompt, in the form of its template, as traces show it.
func (r *Rendered) Text() string {
	if r.json {
		return r.asJSON()
	}
	return r.asText()
}

// Places of a conversation that may be messages instead of text.
const (
	placeHistory    = "$conversation_history$"
	placeScratchpad = "$agent_scratchpad$"
	placeQuestion   = "$question$"
	placeMemory     = "$memory_content$"
)

// Template is the template of a step taken apart. It is made once for a prompt, never
// changes, and may be filled by many turns at a time.
type Template struct {
	step   plan.Step
	form   *form
	inText bool
}

// Compile takes the template of a prompt apart. An error is ErrTemplate.
func Compile(p *plan.Prompt) (*Template, error) {
	f, err := parse(p.Step, p.Template)
	if err != nil {
		return nil, err
	}
	return &Template{step: p.Step, form: f, inText: InText(p.Template)}, nil
}

// Render fills the template of a prompt that is asked once. An error is ErrTemplate.
func Render(p *plan.Prompt, v *Values) (*Rendered, error) {
	t, err := Compile(p)
	if err != nil {
		return nil, err
	}
	return t.Render(v)
}

// Render fills the template. An error is ErrTemplate.
//
// A message of the template that is $conversation_history$ alone becomes the messages
// of the history, in every step. In orchestration the question, the history and the
// scratchpad are told in any case: at their places, else in the order history,
// question, scratchpad. Unless the tools stand in the text, the scratchpad is always
// messages, with calls and results as such; what a template writes beside it as the
// assistant is left out, because an engine that calls tools continues no text.
func (t *Template) Render(v *Values) (*Rendered, error) {
	f := t.form
	r := &Rendered{InText: t.inText, json: f.json}
	known := v.known(r.InText)
	fill := func(s string) string { return strings.TrimSpace(expand(s, known)) }
	r.System = fill(f.system)
	if t.step == plan.Orchestrate {
		if len(v.Memory) > 0 && !f.places(placeMemory) {
			r.System = strings.TrimSpace(r.System + "\n\n" + memory(v.Memory))
		}
		r.converse(f, v, fill)
	} else {
		r.say(f, v, fill)
	}
	if len(r.Messages) == 0 {
		return nil, fmt.Errorf("%w: it says nothing to the model", ErrTemplate)
	}
	return r, nil
}

// put takes a message in. A piece that goes on with the message before joins it, if
// nothing has come between.
func (r *Rendered) put(p *piece, text string, files []engine.Part) {
	parts := append(slices.Clip(files), engine.Part{Text: text})
	if n := len(r.Messages); p.more && n > 0 && n == r.open && r.Messages[n-1].Role == p.role {
		m := &r.Messages[n-1]
		if last := &m.Parts[len(m.Parts)-1]; last.IsText() && len(files) == 0 {
			last.Text += "\n" + text
		} else {
			m.Parts = append(m.Parts, parts...)
		}
		return
	}
	r.Messages = append(r.Messages, engine.Message{Role: p.role, Parts: parts})
	r.open = len(r.Messages)
}

// say makes messages of a step that is asked once.
func (r *Rendered) say(f *form, v *Values, fill func(string) string) {
	files := v.Parts
	for i := range f.pieces {
		p := &f.pieces[i]
		if strings.TrimSpace(p.text) == placeHistory {
			r.Messages = append(r.Messages, v.History...)
			continue
		}
		text := fill(p.text)
		switch {
		case text == "": // where the assistant goes on, or nothing to tell
		case p.role == engine.User && strings.Contains(p.text, placeQuestion):
			r.put(p, text, files)
			files = nil
		default:
			r.put(p, text, nil)
		}
	}
}

// converse makes messages of orchestration.
func (r *Rendered) converse(f *form, v *Values, fill func(string) string) {
	pieces := form{pieces: f.pieces}
	told, asked, worked := f.places(placeHistory), pieces.places(placeQuestion), pieces.places(placeScratchpad)
	files := v.Parts
	ask := func(p *piece, text string) {
		if !told {
			told = true
			r.Messages = append(r.Messages, v.History...)
		}
		r.put(p, text, files)
		asked, files = true, nil
	}
	for i := range f.pieces {
		p := &f.pieces[i]
		if strings.TrimSpace(p.text) == placeHistory {
			r.Messages = append(r.Messages, v.History...)
			continue
		}
		text, scratch := p.text, strings.Contains(p.text, placeScratchpad)
		if scratch && !asked { // the question comes before what was done about it
			ask(&piece{role: engine.User}, v.Question)
		}
		if scratch && !r.InText {
			text = strings.ReplaceAll(text, placeScratchpad, "")
		}
		switch filled := fill(text); {
		case filled == "":
		case p.role == engine.User && strings.Contains(p.text, placeQuestion):
			ask(p, filled)
		case scratch && !r.InText && p.role == engine.Assistant: // the messages below stand for it
		default:
			r.put(p, filled, nil)
		}
		if scratch && !r.InText {
			r.Messages = append(r.Messages, v.Scratchpad...)
		}
	}
	if !asked {
		ask(&piece{role: engine.User}, v.Question)
	}
	switch {
	case worked:
	case !r.InText:
		r.Messages = append(r.Messages, v.Scratchpad...)
	default: // else the model would never see what its calls came to
		if text := scratchpad(v.Scratchpad); text != "" {
			r.put(&piece{role: engine.Assistant}, text, nil)
		}
	}
}

// asJSON writes the prompt in Messages form.
func (r *Rendered) asJSON() string {
	type message struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	}
	doc := struct {
		System   string    `json:"system,omitempty"`
		Messages []message `json:"messages"`
	}{System: r.System, Messages: make([]message, 0, len(r.Messages))}
	for i := range r.Messages {
		m := &r.Messages[i]
		doc.Messages = append(doc.Messages, message{string(m.Role), blocks(m.Parts)})
	}
	var w strings.Builder
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return r.asText()
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// blocks is content in Messages form. Media is told by its size alone.
func blocks(parts []engine.Part) any {
	if len(parts) == 1 && parts[0].IsText() {
		return parts[0].Text
	}
	out := make([]map[string]any, 0, len(parts))
	for i := range parts {
		switch p := &parts[i]; {
		case p.ToolCall != nil:
			out = append(out, map[string]any{"type": "tool_use", "id": p.ToolCall.ID, "name": p.ToolCall.Name, "input": arguments(p.ToolCall)})
		case p.ToolResult != nil:
			out = append(out, map[string]any{"type": "tool_result", "tool_use_id": p.ToolResult.ID, "content": blocks(p.ToolResult.Parts)})
		case p.Image != nil:
			out = append(out, map[string]any{"type": "image", "media_type": p.Image.MediaType, "bytes": len(p.Image.Data)})
		case p.IsText():
			out = append(out, map[string]any{"type": "text", "text": p.Text})
		}
	}
	return out
}

func arguments(c *engine.ToolCall) json.RawMessage {
	if len(c.Arguments) == 0 || !json.Valid(c.Arguments) {
		return json.RawMessage(`{}`)
	}
	return c.Arguments
}

// asText writes the prompt as one text of turns.
func (r *Rendered) asText() string {
	var w strings.Builder
	w.WriteString(r.System)
	last := engine.Role("")
	for i := range r.Messages {
		m := &r.Messages[i]
		text := written(m)
		if m.Role == last { // results follow calls in the same breath
			w.WriteString("\n" + text)
			continue
		}
		last = m.Role
		name := "Human: "
		if m.Role == engine.Assistant {
			name = "Assistant: "
		}
		if w.Len() > 0 {
			w.WriteString("\n\n")
		}
		w.WriteString(name + text)
	}
	if last == engine.User {
		w.WriteString("\n\nAssistant:")
	}
	return w.String()
}

// written is a message as text, with calls and results in the form of text prompts.
func written(m *engine.Message) string {
	var list []string
	for i := range m.Parts {
		switch p := &m.Parts[i]; {
		case p.ToolCall != nil:
			list = append(list, "<function_calls>\n"+invoke(p.ToolCall.Name, p.ToolCall)+"\n</invoke>\n</function_calls>")
		case p.ToolResult != nil:
			list = append(list, Result(p.ToolResult.Name, said(&engine.Message{Parts: p.ToolResult.Parts})))
		case p.Image != nil:
			list = append(list, fmt.Sprintf("[%s, %d bytes]", p.Image.MediaType, len(p.Image.Data)))
		case p.IsText() && p.Text != "":
			list = append(list, p.Text)
		}
	}
	return strings.Join(list, "\n")
}

// said is the text of a message.
func said(m *engine.Message) string {
	var list []string
	for i := range m.Parts {
		if p := &m.Parts[i]; p.IsText() && p.Text != "" {
			list = append(list, p.Text)
		}
	}
	return strings.Join(list, "\n")
}

// transcript writes a conversation for prompts that tell it as text.
func transcript(list []engine.Message) string {
	var w strings.Builder
	for i := range list {
		text := said(&list[i])
		if text == "" {
			continue // calls and their results are not part of what was said
		}
		who := "User: "
		if list[i].Role == engine.Assistant {
			who = "Assistant: "
		}
		w.WriteString(who + text + "\n")
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// scratchpad is what the model wrote in this turn and what came back, in its own form.
func scratchpad(list []engine.Message) string {
	texts := make([]string, 0, len(list))
	for i := range list {
		m := &list[i]
		wrote := said(m)
		if wrote != "" {
			texts = append(texts, wrote)
		}
		for j := range m.Parts {
			switch p := &m.Parts[j]; {
			case p.ToolCall != nil && !strings.Contains(wrote, "<function_call"): // not yet in its words
				texts = append(texts, "<function_calls>\n"+invoke(p.ToolCall.Name, p.ToolCall)+"\n</invoke>\n</function_calls>")
			case p.ToolResult != nil:
				texts = append(texts, Result(p.ToolResult.Name, said(&engine.Message{Parts: p.ToolResult.Parts})))
			}
		}
	}
	return strings.Join(texts, "\n")
}
