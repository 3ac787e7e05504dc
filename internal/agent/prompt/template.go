package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// ErrTemplate says that a template is neither text nor the JSON of messages.
var ErrTemplate = errors.New("the template is not valid")

// textTemplateRefused begins what the service says of a template that it cannot read.
const textTemplateRefused = "The overridden prompt that you provided is incorrectly formatted."

// Check refuses a template that Render could not use, as the service words it and with
// the place.
func Check(step plan.Step, template string) error {
	if _, err := parse(step, template); err != nil {
		return apierr.Wrap(apierr.Validation, err, "%s Prompt %s: %s. Check the format of the basePromptTemplate and retry your request.", textTemplateRefused, step, detail(err))
	}
	return nil
}

// detail is what ErrTemplate was joined with.
func detail(err error) string {
	return strings.TrimPrefix(err.Error(), ErrTemplate.Error()+": ")
}

// InText reports whether a template places the tools in its own text.
func InText(template string) bool {
	return strings.Contains(template, "$tools$") || strings.Contains(template, "$functions$")
}

// piece is one message of a template.
type piece struct {
	role engine.Role
	text string
	more bool // it is one more block of the message before
}

// form is a template taken apart.
type form struct {
	system string
	pieces []piece
	json   bool
}

func (f *form) places(name string) bool {
	if strings.Contains(f.system, name) {
		return true
	}
	for _, p := range f.pieces {
		if strings.Contains(p.text, name) {
			return true
		}
	}
	return false
}

// mostlyText are the steps whose templates are plain text for all models: one that
// begins with a brace is JSON only if it really is.
func mostlyText(s plan.Step) bool { return s == plan.KnowledgeReply || s == plan.Summarize }

// parse takes a template apart.
func parse(step plan.Step, template string) (*form, error) {
	if s := strings.TrimSpace(template); s == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrTemplate)
	} else if strings.HasPrefix(s, "{") {
		f, err := parseJSON(s)
		if err == nil || !mostlyText(step) {
			return f, err
		}
	}
	f := &form{}
	rest := template
	if !strings.HasPrefix(rest, "\n") {
		rest = "\n" + rest
	}
	for role := engine.Role(""); ; {
		at, next, mark := len(rest), engine.Role(""), ""
		for _, m := range turnMarks {
			if i := strings.Index(rest, m.text); i >= 0 && i < at {
				at, next, mark = i, m.role, m.text
			}
		}
		if text := rest[:at]; role == "" {
			f.system = text
		} else {
			f.pieces = append(f.pieces, piece{role: role, text: text})
		}
		if mark == "" {
			break
		}
		rest, role = rest[at+len(mark):], next
	}
	if len(f.pieces) == 0 && (f.places("$question$") || !f.places("$instruction")) {
		f.system, f.pieces = "", []piece{{role: engine.User, text: f.system}} // one text without turns
	}
	return f, nil
}

// turnMarks begin the turns of a text template.
var turnMarks = []struct {
	text string
	role engine.Role
}{{"\nHuman:", engine.User}, {"\nAssistant:", engine.Assistant}}

// parseJSON reads the Messages form. Line ends inside strings are taken as they are.
func parseJSON(s string) (*form, error) {
	var doc struct {
		System   json.RawMessage `json:"system"`
		Messages *[]struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal([]byte(escapeLines(s)), &doc); err != nil {
		return nil, fmt.Errorf("%w: it is not JSON: %w", ErrTemplate, err)
	}
	if doc.Messages == nil {
		return nil, fmt.Errorf("%w: it has no messages", ErrTemplate)
	}
	f := &form{json: true}
	system, err := content(doc.System)
	if err != nil {
		return nil, fmt.Errorf("%w: system: %w", ErrTemplate, err)
	}
	f.system = strings.Join(system, "\n")
	for i, m := range *doc.Messages {
		blocks, err := content(m.Content)
		if err != nil {
			return nil, fmt.Errorf("%w: messages[%d].content: %w", ErrTemplate, i, err)
		}
		switch engine.Role(m.Role) {
		case engine.User, engine.Assistant:
			for j, text := range blocks {
				f.pieces = append(f.pieces, piece{role: engine.Role(m.Role), text: text, more: j > 0})
			}
		default:
			return nil, fmt.Errorf("%w: messages[%d].role is %q, not user or assistant", ErrTemplate, i, m.Role)
		}
	}
	if len(f.pieces) == 0 && f.system == "" {
		return nil, fmt.Errorf("%w: it has neither system text nor messages", ErrTemplate)
	}
	return f, nil
}

// content reads a string or a list of text blocks.
func content(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []string{s}, nil
	}
	var blocks []struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, errors.New("neither a string nor a list of text blocks")
	}
	list := make([]string, 0, len(blocks))
	for i, b := range blocks {
		if b.Text == nil {
			return nil, fmt.Errorf("block %d is not text", i)
		}
		list = append(list, *b.Text)
	}
	return list, nil
}

// escapeLines escapes the control characters that stand bare inside JSON strings,
// which templates written by people have.
func escapeLines(s string) string {
	var w strings.Builder
	w.Grow(len(s) + 64)
	in, back := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case in && c < 0x20:
			if back { // a backslash before a line end: the line goes on
				back = false
				w.WriteString(`\`)
			}
			fmt.Fprintf(&w, `\u%04x`, c)
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
