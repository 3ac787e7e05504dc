package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// render writes a request as one text, the prompt whose tokens are counted. What
// is said later stands later, so that the steps of one conversation share their
// beginning, and the answer of one step is the beginning of the next.
func render(req *engine.Request) string {
	var w strings.Builder
	if req.System != "" {
		w.WriteString("<|system|>\n" + req.System + "\n")
	}
	if len(req.Tools) > 0 {
		w.WriteString("<|tools|>\n")
		for i := range req.Tools {
			t := &req.Tools[i]
			fmt.Fprintf(&w, "%s: %s %s\n", t.Name, t.Description, compact(t.Schema))
		}
	}
	n := len(req.Messages)
	open := false // the answer continues a prefill
	for i := range req.Messages {
		m := &req.Messages[i]
		open = i == n-1 && m.Role == engine.Assistant
		w.WriteString("<|" + string(m.Role) + "|>\n")
		renderParts(&w, m.Parts)
		if !open {
			w.WriteString("<|end|>\n")
		}
	}
	if !open {
		w.WriteString("<|" + string(engine.Assistant) + "|>\n")
	}
	return w.String()
}

func renderParts(w *strings.Builder, parts []engine.Part) {
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Image != nil:
			renderBlob(w, "image", p.Image)
		case p.Audio != nil:
			renderBlob(w, "audio", p.Audio)
		case p.Video != nil:
			renderBlob(w, "video", p.Video)
		case p.Reasoning != nil:
			w.WriteString("<|thought|>" + p.Reasoning.Text + "<|/thought|>")
		case p.ToolCall != nil:
			w.WriteString("<|call|>" + p.ToolCall.Name + compact(p.ToolCall.Arguments) + "<|/call|>")
		case p.ToolResult != nil:
			w.WriteString("<|result|>")
			if p.ToolResult.Error {
				w.WriteString("error ")
			}
			renderParts(w, p.ToolResult.Parts)
			w.WriteString("<|/result|>")
		default:
			w.WriteString(p.Text)
		}
	}
}

// renderBlob stands for media by its hash, so that equal media give equal prompts.
func renderBlob(w *strings.Builder, kind string, b *engine.Blob) {
	fmt.Fprintf(w, "<|%s %016x|>", kind, hash64(b.MediaType, string(b.Data)))
}

func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	var w bytes.Buffer
	if json.Compact(&w, raw) != nil {
		return string(raw)
	}
	return w.String()
}

// view is what rules look at.
type view struct {
	fields
	turn       int
	tools      map[string]bool
	hasResult  bool
	aws, local string
	prefill    string
}

// look reads a request as rules see it: the last text of the user, the results
// that tools gave since, and the turn, which is one more than the turns of the
// assistant so far.
func look(req *engine.Request, local string) view {
	v := view{turn: 1, tools: map[string]bool{}, aws: req.AWSModel, local: local}
	v.System, v.Model = req.System, local
	if req.AWSModel != "" {
		v.Model = req.AWSModel
	}
	for i := range req.Tools {
		v.tools[req.Tools[i].Name] = true
	}
	for i := range req.Messages {
		m := &req.Messages[i]
		said, results := textOf(m.Parts), resultsOf(m.Parts)
		switch {
		case m.Role == engine.Assistant && i == len(req.Messages)-1:
			v.prefill = said
		case m.Role == engine.Assistant:
			v.turn++
		case len(results) > 0:
			v.hasResult, v.ToolResult = true, strings.Join(results, "\n")
		case said != "":
			v.User, v.hasResult, v.ToolResult = said, false, ""
		}
	}
	return v
}

func textOf(parts []engine.Part) string {
	var out []string
	for i := range parts {
		if p := &parts[i]; p.IsText() && p.Text != "" {
			out = append(out, p.Text)
		}
	}
	return strings.Join(out, "\n")
}

func resultsOf(parts []engine.Part) []string {
	var out []string
	for i := range parts {
		if r := parts[i].ToolResult; r != nil {
			out = append(out, textOf(r.Parts))
		}
	}
	return out
}

// match reports whether the rule fits.
func (r *rule) match(v *view) bool {
	if r.Model != nil && !r.Model.re.MatchString(v.local) && (v.aws == "" || !r.Model.re.MatchString(v.aws)) {
		return false
	}
	w := &r.When
	if w.System != nil && !w.System.re.MatchString(v.System) ||
		w.User != nil && !w.User.re.MatchString(v.User) ||
		w.ToolResult != nil && !(v.hasResult && w.ToolResult.re.MatchString(v.ToolResult)) ||
		w.Turn != nil && int(*w.Turn) != v.turn {
		return false
	}
	for _, t := range w.Tools {
		if !v.tools[t] {
			return false
		}
	}
	return true
}
