package wire

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Message is a chat message.
type Message struct {
	Role       string     `json:"role"`
	Content    any        `json:"content"` // string or []Content; nil beside tool calls
	Reasoning  string     `json:"reasoning_content,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
	Name       string     `json:"name,omitempty"`
}

// Content is one part of a message with media.
type Content struct {
	Type  string    `json:"type"` // text, image_url
	Text  string    `json:"text,omitempty"`
	Image *ImageURL `json:"image_url,omitempty"`
}

// ImageURL holds an image as a data URL.
type ImageURL struct {
	URL string `json:"url"`
}

// ToolCall is a call in a message or, in pieces, in a stream.
type ToolCall struct {
	Index    *int     `json:"index,omitempty"`
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function Function `json:"function"`
}

// Function is name and arguments of a call.
type Function struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// Tool is a tool offered.
type Tool struct {
	Type     string       `json:"type"`
	Function ToolFunction `json:"function"`
}

// ToolFunction describes a tool.
type ToolFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// Abilities of the model that messages are written for.
type Abilities struct {
	Vision bool
	// Rule is appended to the system text, "" for none.
	Rule string
	// Reminder is appended to the last message when it is a tool result.
	Reminder string
	// ToolText is for models whose chat template knows no tools: those offered are
	// described in the system text, calls and results are written as text.
	ToolText bool
	// Written shows the calls of an answer as the model wrote them, where that is known.
	Written bool
}

// Messages writes the conversation. Neighbours of one role are joined, because
// many chat templates insist on alternation; tool results become messages of
// their own. Media that the model cannot take is an Unsupported error.
func Messages(req *engine.Request, can Abilities) ([]Message, error) {
	var out []Message
	system := req.System
	if can.ToolText && len(req.Tools) > 0 {
		system = strings.TrimPrefix(system+"\n\n"+describe(req), "\n\n")
	}
	if can.Rule != "" {
		system = strings.TrimPrefix(system+"\n\n"+can.Rule, "\n\n")
	}
	if system != "" {
		out = append(out, Message{Role: "system", Content: system})
	}
	for i := range req.Messages {
		m := &req.Messages[i]
		var contents []Content
		var calls []ToolCall
		var reasoning strings.Builder
		written := can.Written && writes(m)
		for j := range m.Parts {
			p := &m.Parts[j]
			switch {
			case p.CachePoint:
			case written && p.ToolCall != nil && p.ToolCall.Written != "":
				contents = append(contents, Content{Type: "text", Text: p.ToolCall.Written})
			case written && (p.ToolCall != nil || p.IsText()): // stands in what was written
			case p.Image != nil:
				c, err := image(p.Image, can)
				if err != nil {
					return nil, err
				}
				contents = append(contents, c)
			case p.Audio != nil, p.Video != nil:
				return nil, &engine.Error{Kind: engine.Unsupported, Message: "the model takes no audio or video"}
			case p.Reasoning != nil:
				reasoning.WriteString(p.Reasoning.Text)
			case p.ToolCall != nil && can.ToolText:
				contents = append(contents, Content{Type: "text", Text: callText(p.ToolCall)})
			case p.ToolCall != nil:
				calls = append(calls, call(p.ToolCall))
			case p.ToolResult != nil:
				msg, err := result(p.ToolResult, can)
				if err != nil {
					return nil, err
				}
				if can.ToolText {
					contents = append(contents, responseText(msg)...)
					continue
				}
				out = append(out, msg)
			case p.Text != "":
				contents = append(contents, Content{Type: "text", Text: p.Text})
			}
		}
		msg := Message{Role: "user", Content: flat(contents), ToolCalls: calls}
		if m.Role == engine.Assistant {
			msg.Role, msg.Reasoning = "assistant", reasoning.String()
		}
		if len(contents) == 0 && len(calls) == 0 {
			continue // nothing but results, or nothing at all
		}
		if n := len(out); n > 0 && out[n-1].Role == msg.Role && out[n-1].ToolCalls == nil {
			out[n-1] = merge(out[n-1], msg)
			continue
		}
		out = append(out, msg)
	}
	if n := len(out); n > 0 && out[n-1].Role == "tool" && can.Reminder != "" {
		out[n-1].Content = flat(append(list(out[n-1].Content), Content{Type: "text", Text: can.Reminder}))
	}
	if len(out) == 0 || len(out) == 1 && out[0].Role == "system" && len(req.Messages) > 0 {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: "the request has no text"}
	}
	return out, nil
}

// writes reports whether the model's own text of an answer with calls is known.
func writes(m *engine.Message) bool {
	for i := range m.Parts {
		if c := m.Parts[i].ToolCall; c != nil && c.Written != "" {
			return m.Role == engine.Assistant
		}
	}
	return false
}

func image(b *engine.Blob, can Abilities) (Content, error) {
	if !can.Vision {
		return Content{}, &engine.Error{Kind: engine.Unsupported, Message: "the model does not see images", Hint: "serve a model with an image projector, or map the id to one"}
	}
	return Content{Type: "image_url", Image: &ImageURL{"data:" + b.MediaType + ";base64," + base64.StdEncoding.EncodeToString(b.Data)}}, nil
}

func call(c *engine.ToolCall) ToolCall {
	args := string(c.Arguments)
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	return ToolCall{ID: c.ID, Type: "function", Function: Function{Name: c.Name, Arguments: args}}
}

// The marks around calls and results are those of the Hermes and Qwen templates,
// which most small models have seen in training.
func callText(c *engine.ToolCall) string {
	w := call(c)
	name, err := json.Marshal(w.Function.Name)
	if err != nil {
		name = []byte(`""`)
	}
	return "<tool_call>\n{\"name\": " + string(name) + ", \"arguments\": " + w.Function.Arguments + "}\n</tool_call>"
}

func responseText(m Message) []Content {
	out := append([]Content{{Type: "text", Text: "<tool_response>\n"}}, list(m.Content)...)
	return append(out, Content{Type: "text", Text: "\n</tool_response>\n"})
}

func describe(req *engine.Request) string {
	var b strings.Builder
	b.WriteString("You may call these functions, one JSON description a line:\n<tools>\n")
	for _, t := range Tools(req) {
		line, err := json.Marshal(t.Function)
		if err == nil {
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	b.WriteString("</tools>\nA call is written so:\n<tool_call>\n{\"name\": NAME, \"arguments\": {…}}\n</tool_call>")
	return b.String()
}

func result(r *engine.ToolResult, can Abilities) (Message, error) {
	var contents []Content
	if r.Error {
		contents = append(contents, Content{Type: "text", Text: "Error: "})
	}
	for i := range r.Parts {
		switch p := &r.Parts[i]; {
		case p.Image != nil:
			c, err := image(p.Image, can)
			if err != nil {
				return Message{}, err
			}
			contents = append(contents, c)
		case p.IsText():
			contents = append(contents, Content{Type: "text", Text: p.Text})
		default:
			return Message{}, &engine.Error{Kind: engine.Unsupported, Message: "a tool result may hold text and images only"}
		}
	}
	content := flat(contents)
	if content == nil {
		content = ""
	}
	return Message{Role: "tool", ToolCallID: r.ID, Name: r.Name, Content: content}, nil
}

// flat is a plain string unless there is media: templates prefer it.
func flat(c []Content) any {
	if len(c) == 0 {
		return nil
	}
	var text strings.Builder
	for _, p := range c {
		if p.Image != nil {
			return c
		}
		text.WriteString(p.Text)
	}
	return text.String()
}

func merge(a, b Message) Message {
	a.ToolCalls = b.ToolCalls
	a.Reasoning += b.Reasoning
	if b.Content == nil {
		return a
	}
	as, aText := a.Content.(string)
	bs, bText := b.Content.(string)
	if aText && bText {
		a.Content = as + "\n\n" + bs
		return a
	}
	a.Content = append(list(a.Content), list(b.Content)...)
	return a
}

func list(v any) []Content {
	switch v := v.(type) {
	case string:
		return []Content{{Type: "text", Text: v}}
	case []Content:
		return v
	}
	return nil
}

// Tools writes the offered tools; a tool without a schema takes any object.
func Tools(req *engine.Request) []Tool {
	out := make([]Tool, 0, len(req.Tools))
	for _, t := range req.Tools {
		schema := t.Schema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out = append(out, Tool{Type: "function", Function: ToolFunction{t.Name, t.Description, schema}})
	}
	return out
}

// HasImages reports whether any message holds an image.
func HasImages(req *engine.Request) bool {
	for i := range req.Messages {
		for j := range req.Messages[i].Parts {
			p := &req.Messages[i].Parts[j]
			if p.Image != nil {
				return true
			}
			if p.ToolResult != nil {
				for k := range p.ToolResult.Parts {
					if p.ToolResult.Parts[k].Image != nil {
						return true
					}
				}
			}
		}
	}
	return false
}

// Prefilled reports whether the last message is the beginning of the answer.
func Prefilled(req *engine.Request) bool {
	n := len(req.Messages)
	return n > 0 && req.Messages[n-1].Role == engine.Assistant
}
