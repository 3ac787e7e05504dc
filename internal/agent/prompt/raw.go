package prompt

import (
	"encoding/json"
	"slices"
	"strings"

	"maps"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// answer is a model's answer in the form of the Messages API, which parser functions
// read and traces show.
type answer struct {
	Content []block `json:"content"`
	Model   string  `json:"model,omitempty"`
	Role    string  `json:"role"`
	Stop    string  `json:"stop_reason"`
	Match   *string `json:"stop_sequence"`
	Type    string  `json:"type"`
	Usage   usage   `json:"usage"`
}

type block struct {
	Type  string          `json:"type"`
	Text  string          `json:"text,omitempty"`
	ID    string          `json:"id,omitempty"`
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`
}

type usage struct {
	Input      int `json:"input_tokens"`
	Output     int `json:"output_tokens"`
	CacheRead  int `json:"cache_read_input_tokens"`
	CacheWrite int `json:"cache_creation_input_tokens"`
}

// Raw writes an answer of orchestration as a model of the form would have given it:
// for Messages the JSON of the whole answer, else its text with the call, or the
// answer, in the tags that such a model writes. A text that has the tags already is
// left as it is. inText says that the prompt listed its tools: then the text is the
// answer, whatever the form.
func Raw(f Form, inText bool, b *Book, res *engine.Result) string {
	switch {
	case inText:
		return res.Text()
	case f == Messages:
		return RawMessages(res)
	}
	text := strings.TrimSpace(res.Text())
	if strings.Contains(text, "<function_call") || strings.Contains(text, "<answer>") {
		return text
	}
	var call *engine.ToolCall
	for i := range res.Parts {
		if call = res.Parts[i].ToolCall; call != nil {
			break // the tags hold one: the stop sequence ends such an answer after it
		}
	}
	if call == nil {
		return "<answer>\n" + text // the stop sequence has taken the end
	}
	var w strings.Builder
	if text != "" {
		w.WriteString("<scratchpad>\n" + text + "\n</scratchpad>\n\n")
	}
	name := call.Name
	if b != nil {
		name = b.text(name)
	}
	if f == Call20 {
		w.WriteString("<function_call>" + called(name, call))
	} else {
		w.WriteString("<function_calls>\n" + invoke(name, call))
	}
	return w.String()
}

// RawMessages writes an answer in the form of the Messages API.
func RawMessages(res *engine.Result) string {
	a := answer{
		Content: []block{}, Role: "assistant", Type: "message", Stop: string(res.Stop),
		Usage: usage{res.Usage.Input, res.Usage.Output, res.Usage.CacheRead, res.Usage.CacheWrite},
	}
	if res.StopText != "" {
		a.Match = new(res.StopText)
	}
	for i := range res.Parts {
		switch p := &res.Parts[i]; {
		case p.ToolCall != nil:
			a.Content = append(a.Content, block{Type: "tool_use", ID: p.ToolCall.ID, Name: p.ToolCall.Name, Input: arguments(p.ToolCall)})
		case p.IsText() && p.Text != "":
			a.Content = append(a.Content, block{Type: "text", Text: p.Text})
		}
	}
	out, err := json.Marshal(&a)
	if err != nil {
		return res.Text()
	}
	return string(out)
}

// text is the name in text of a tool of the engine.
func (b *Book) text(name string) string {
	t, ok := b.Resolve(name)
	switch {
	case !ok:
		return strings.ReplaceAll(name, "__", "::")
	case t.Action != nil:
		return Name(t.Group, t.Action)
	case t.Knowledge != nil:
		return KnowledgeName(t.Knowledge.ID)
	case t.Ask != nil:
		return AskName
	case t.Code != nil:
		return CodeName
	}
	return SendName
}

// inputs are the arguments of a call as text, in the order of their names.
func inputs(c *engine.ToolCall) (names []string, values map[string]string) {
	members := map[string]json.RawMessage{}
	_ = json.Unmarshal(arguments(c), &members) // an argument list that is no object has no members
	values = make(map[string]string, len(members))
	for k, v := range members {
		values[k] = plain(v)
	}
	return slices.Sorted(maps.Keys(values)), values
}

// plain writes a JSON value as text: a string without its quotes, all else as JSON.
func plain(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}

// invoke writes a call up to where the stop sequence takes the end.
func invoke(name string, c *engine.ToolCall) string {
	var w strings.Builder
	w.WriteString("<invoke>\n<tool_name>" + name + "</tool_name>\n<parameters>\n")
	names, values := inputs(c)
	for _, k := range names {
		w.WriteString("<" + k + ">" + escape(values[k]) + "</" + k + ">\n")
	}
	w.WriteString("</parameters>")
	return w.String()
}

// called writes a call of the oldest form. Its values cannot hold quotes.
func called(name string, c *engine.ToolCall) string {
	names, values := inputs(c)
	list := make([]string, 0, len(names))
	for _, k := range names {
		to := k
		if name == AskName {
			to = "askuser"
		}
		list = append(list, to+`="`+strings.ReplaceAll(values[k], `"`, "'")+`"`)
	}
	return name + "(" + strings.Join(list, ", ") + ")"
}
