package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// ErrTemplate says that a template is no text of turns and no JSON of messages.
var ErrTemplate = errors.New("the template is not valid")

// Values are what placeholders stand for.
type Values struct {
	Plan             *plan.Plan
	Question         string
	Parts            []engine.Part // that go with the question: files
	History          []engine.Message
	Scratchpad       []engine.Message // answers and results of this turn
	PromptAttributes map[string]string
	Memory           []string // summaries of earlier sessions, newest first
	Files            []string // beside the code interpreter

	Query     string   // of a knowledge base
	Results   string   // what it found
	Latest    string   // answer of orchestration
	Responses []string // of actions and queries
	Asked     string   // last request of the user, for the router
}

// Rendered is a prompt.
type Rendered struct {
	System   string
	Messages []engine.Message // a last one of the assistant is a prefill
	Text     string           // all of it, as traces show it
	InText   bool             // the tools stand in it
}

// InText reports whether a template places the tools in its own text.
func InText(template string) bool {
	return strings.Contains(template, "$tools$") || strings.Contains(template, "$functions$")
}

// piece is a turn of a template.
type piece struct {
	role engine.Role
	text string
}

// form is a template taken apart.
type form struct {
	system string
	pieces []piece
	json   bool
}

// Render fills a template.
func Render(p *plan.Prompt, v *Values) (*Rendered, error) {
	f, err := parse(p.Template)
	if err != nil {
		return nil, err
	}
	r := &Rendered{InText: InText(p.Template)}
	fill := v.filler(r.InText)
	r.System = strings.TrimSpace(fill(f.system))
	if r.InText {
		r.text(f, v, fill)
	} else {
		r.messages(f, v, fill, p.Step == plan.Orchestrate || p.Step == plan.PreProcessing)
	}
	if len(r.Messages) == 0 {
		return nil, fmt.Errorf("%w: it says nothing to the model", ErrTemplate)
	}
	r.Text = r.whole()
	return r, nil
}

// text makes messages of a template with everything in its text.
func (r *Rendered) text(f *form, v *Values, fill func(string) string) {
	for i, p := range f.pieces {
		said := strings.TrimSpace(fill(p.text))
		if said == "" && p.role == engine.Assistant {
			continue
		}
		m := engine.Message{Role: p.role, Parts: []engine.Part{{Text: said}}}
		if p.role == engine.User && strings.Contains(p.text, "$question$") || i == 0 && len(f.pieces) == 1 {
			m.Parts = append(slices.Clip(v.Parts), m.Parts...)
		}
		r.Messages = append(r.Messages, m)
	}
}

// messages makes messages of a template whose conversation is one of messages.
func (r *Rendered) messages(f *form, v *Values, fill func(string) string, talk bool) {
	var asked, told bool
	for _, p := range f.pieces {
		text := p.text
		if strings.Contains(text, "$conversation_history$") {
			told = told || strings.TrimSpace(text) == "$conversation_history$"
			if told {
				r.Messages = append(r.Messages, v.History...)
			}
			text = strings.ReplaceAll(text, "$conversation_history$", "")
		}
		scratch := strings.Contains(text, "$agent_scratchpad$")
		text = strings.TrimSpace(fill(strings.ReplaceAll(text, "$agent_scratchpad$", "")))
		switch {
		case text == "" || p.role == engine.Assistant && scratch:
			// the messages of the turn stand in its place
		case strings.Contains(p.text, "$question$") && talk:
			if !told {
				r.Messages, told = append(r.Messages, v.History...), true
			}
			asked = true
			r.Messages = append(r.Messages, engine.Message{Role: p.role, Parts: append(slices.Clip(v.Parts), engine.Part{Text: text})})
		default:
			r.Messages = append(r.Messages, engine.Message{Role: p.role, Parts: []engine.Part{{Text: text}}})
		}
	}
	if talk && !asked {
		if !told {
			r.Messages = append(r.Messages, v.History...)
		}
		r.Messages = append(r.Messages, engine.Message{Role: engine.User, Parts: append(slices.Clip(v.Parts), engine.Part{Text: v.Question})})
	}
	if talk {
		r.Messages = append(r.Messages, v.Scratchpad...)
	}
}

// parse takes a template apart.
func parse(template string) (*form, error) {
	if s := strings.TrimSpace(template); strings.HasPrefix(s, "{") {
		return parseJSON(s)
	}
	f := &form{}
	rest := template
	if !strings.HasPrefix(rest, "\n") {
		rest = "\n" + rest
	}
	for role := engine.Role(""); ; {
		at, next, mark := len(rest), engine.Role(""), ""
		for m, r := range map[string]engine.Role{"\nHuman:": engine.User, "\nAssistant:": engine.Assistant} {
			if i := strings.Index(rest, m); i >= 0 && i < at {
				at, next, mark = i, r, m
			}
		}
		if text := rest[:at]; role == "" {
			f.system = text
		} else {
			f.pieces = append(f.pieces, piece{role, text})
		}
		if mark == "" {
			break
		}
		rest, role = rest[at+len(mark):], next
	}
	if len(f.pieces) == 0 && (strings.Contains(f.system, "$question$") || !strings.Contains(f.system, "$instruction")) {
		f.system, f.pieces = "", []piece{{engine.User, f.system}} // one text without turns
	}
	return f, nil
}

// parseJSON reads the Messages form. Line ends inside strings are taken as they are.
func parseJSON(s string) (*form, error) {
	var doc struct {
		System   json.RawMessage `json:"system"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal([]byte(escapeLines(s)), &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	f := &form{json: true}
	var err error
	if f.system, err = content(doc.System); err != nil {
		return nil, err
	}
	for _, m := range doc.Messages {
		text, err := content(m.Content)
		if err != nil {
			return nil, err
		}
		switch engine.Role(m.Role) {
		case engine.User, engine.Assistant:
			f.pieces = append(f.pieces, piece{engine.Role(m.Role), text})
		default:
			return nil, fmt.Errorf("%w: a message has the role %q", ErrTemplate, m.Role)
		}
	}
	if len(f.pieces) == 0 && !strings.Contains(s, `"messages"`) {
		return nil, fmt.Errorf("%w: it has no messages", ErrTemplate)
	}
	return f, nil
}

// content reads a string or a list of text blocks.
func content(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var blocks []struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	var list []string
	for _, b := range blocks {
		if b.Text == nil {
			return "", fmt.Errorf("%w: a block of content is not text", ErrTemplate)
		}
		list = append(list, *b.Text)
	}
	return strings.Join(list, "\n"), nil
}

// escapeLines escapes control characters that stand bare inside JSON strings.
func escapeLines(s string) string {
	var w strings.Builder
	in, back := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case in && c == '\n':
			w.WriteString(`\n`)
			continue
		case in && c == '\r':
			w.WriteString(`\r`)
			continue
		case in && c == '\t':
			w.WriteString(`\t`)
			continue
		case back:
			back = false
		case in && c == '\\':
			back = true
		case c == '"':
			in = !in
		}
		w.WriteByte(c)
	}
	return w.String()
}

// whole writes a prompt as traces show it.
func (r *Rendered) whole() string {
	type message struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	}
	doc := struct {
		System   string    `json:"system,omitempty"`
		Messages []message `json:"messages"`
	}{System: r.System}
	for i := range r.Messages {
		m := &r.Messages[i]
		doc.Messages = append(doc.Messages, message{string(m.Role), blocks(m.Parts)})
	}
	var w strings.Builder
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return r.System
	}
	return strings.TrimSuffix(w.String(), "\n")
}

func blocks(parts []engine.Part) any {
	if len(parts) == 1 && parts[0].IsText() {
		return parts[0].Text
	}
	out := []map[string]any{}
	for i := range parts {
		switch p := &parts[i]; {
		case p.ToolCall != nil:
			input := p.ToolCall.Arguments
			if !json.Valid(input) {
				input = json.RawMessage(`{}`)
			}
			out = append(out, map[string]any{"type": "tool_use", "id": p.ToolCall.ID, "name": p.ToolCall.Name, "input": input})
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

// filler returns the function that fills placeholders in. What it does not know stays
// as it is. Values are made when a text asks for them.
func (v *Values) filler(inText bool) func(string) string {
	ask := v.Plan.Enabled(plan.UserInput)
	when := func(on bool, text string) func() string {
		return func() string {
			if on {
				return text
			}
			return ""
		}
	}
	is := func(s string) func() string { return func() string { return s } }
	known := map[string]func() string{
		"instruction": is(v.Plan.Instruction), "instructions": is(v.Plan.Instruction), "question": is(v.Question),
		"tools": func() string { return Tools(v.Plan) }, "functions": func() string { return Tools(v.Plan) },
		"any_function_name":    func() string { return anyName(v.Plan) },
		"conversation_history": func() string { return transcript(v.History) },
		"agent_scratchpad":     func() string { return scratchpad(v.Scratchpad) },
		"prompt_session_attributes": func() string {
			var w strings.Builder
			for _, k := range slices.Sorted(maps.Keys(v.PromptAttributes)) {
				fmt.Fprintf(&w, "<attribute name=%q>%s</attribute>\n", k, v.PromptAttributes[k])
			}
			return strings.TrimSuffix(w.String(), "\n")
		},
		"ask_user_missing_parameters":  when(ask, textAskMissing),
		"ask_user_missing_information": when(ask, textAskMissing),
		"ask_user_confirm_parameters":  when(ask, "If you are not sure of the value of a parameter, ask the user to confirm it before you call."),
		"ask_user_function":            when(ask && inText, AskName),
		"ask_user_function_format":     when(ask && inText, textAskFormat),
		"ask_user_input_examples":      when(ask, textAskExamples),
		"query":                        is(v.Query), "search_results": is(v.Results), "latest_response": is(v.Latest), "bot_response": is(v.Latest),
		"responses": func() string { return responses(v.Responses) },
		"thought":   is("thinking"), "model_instruction": is(""),
		"knowledge_base_guideline":            when(len(v.Plan.Knowledge) > 0, "Answer from what the knowledge bases return; say so when they return nothing."),
		"knowledge_base_additional_guideline": is(""), "action_kb_guideline": is(""), "multi_agent_payload_reference_guideline": is(""),
		"code_interpreter_guideline": when(v.Plan.Enabled(plan.CodeInterpreter), "Compute with the code interpreter instead of in your head."),
		"code_interpreter_files":     is(strings.Join(v.Files, ", ")),
		"memory_content":             is(strings.Join(v.Memory, "\n")), "memory_guideline": when(len(v.Memory) > 0, "Use what earlier sessions were about, when it helps."), "memory_action_guideline": is(""),
		"agent_collaborators": func() string { return collaborators(v.Plan) }, "reachable_agents": func() string { return collaborators(v.Plan) },
		"last_user_request": is(v.Asked), "conversation": func() string { return transcript(v.History) },
		"knowledge_base_routing": is(""), "action_routing": is(""), "knowledge_base_routing_guideline": is(""), "action_routing_guideline": is(""),
		"last_most_specialized_agent_guideline": is(""),
	}
	return func(s string) string { return expand(s, known) }
}

// expand fills $name$ in, from left to right; what was filled in is not looked at again.
func expand(s string, known map[string]func() string) string {
	var w strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			w.WriteString(s)
			return w.String()
		}
		w.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[1:], '$')
		if end >= 0 {
			if f := known[s[1:1+end]]; f != nil {
				w.WriteString(f())
				s = s[end+2:]
				continue
			}
		}
		w.WriteByte('$')
		s = s[1:]
	}
}
