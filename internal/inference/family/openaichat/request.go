package openaichat

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Dialect is in what the families that share the format differ.
type Dialect struct {
	Key         string  // of the family
	Temperature float64 // default
	TopP        float64 // default
	MaxTokens   int     // default
	MaxOutput   int     // most, when the catalogue does not say
	MaxTemp     float64 // most

	// StopReason names the reason stop_reason instead of finish_reason, and leaves
	// the envelope (id, object, created, model, usage) out: Mistral's older models.
	StopReason bool
	// InlineReasoning puts reasoning into the text between <reasoning> tags, as
	// gpt-oss does on Bedrock; otherwise it stands in reasoning_content.
	InlineReasoning bool
	// Extra are request members beyond the common ones.
	Extra []family.Field
}

var content = family.Either(
	family.AString(),
	family.AnArray(family.AnObject(family.Required("type", family.AString())).Open()),
).OrNull()

func optional(name string, s *family.Schema) family.Field { return family.Optional(name, s.OrNull()) }

// NewSchema builds the checker of a dialect's bodies.
func (d *Dialect) NewSchema() *family.Schema {
	fields := []family.Field{
		family.Required("messages", family.AnArray(family.AnObject(
			family.Required("role", family.AString().OneOf("system", "developer", "user", "assistant", "tool")),
			family.Optional("content", content),
			optional("name", family.AString()),
			optional("tool_calls", family.AnArray(family.AnObject(
				family.Optional("id", family.AString()),
				family.Required("function", family.AnObject(
					family.Required("name", family.AString()),
					family.Optional("arguments", family.Either(family.AString(), family.AnObject().Open())),
				)),
				optional("type", family.AString()),
				optional("index", family.AnInteger(0, math.Inf(1))),
			))),
			optional("tool_call_id", family.AString()),
			optional("reasoning_content", family.AString()),
			optional("reasoning", family.AString()),
			optional("refusal", family.AString()),
			optional("prefix", family.ABoolean()),
		)).Size(1, -1)),
		optional("model", family.AString()),
		optional("stream", family.ABoolean()),
		optional("tools", family.AnArray(family.AnObject(
			family.Required("type", family.AString().OneOf("function")),
			family.Required("function", family.AnObject(
				family.Required("name", family.AString().Size(1, 256)),
				family.Optional("description", family.AString()),
				family.Optional("parameters", family.AnObject().Open()),
				optional("strict", family.ABoolean()),
			)),
		))),
		optional("tool_choice", family.Either(family.AString(), family.AnObject().Open())),
		optional("response_format", family.AnObject(
			family.Required("type", family.AString().OneOf("text", "json_object", "json_schema")),
			family.Optional("json_schema", family.AnObject().Open()),
		)),
	}
	fields = append(fields, d.sampling()...)
	return family.AnObject(append(fields, d.Extra...)...)
}

// sampling are the members that Converse's additional fields may hold too.
func (d *Dialect) sampling() []family.Field {
	return []family.Field{
		optional("max_tokens", family.AnInteger(1, 1<<31)),
		optional("max_completion_tokens", family.AnInteger(1, 1<<31)),
		optional("temperature", family.ANumber(0, cmp.Or(d.MaxTemp, 2))),
		optional("top_p", family.ANumber(0, 1)),
		optional("top_k", family.AnInteger(-1, 1<<31)),
		optional("min_p", family.ANumber(0, 1)),
		optional("stop", family.Either(family.AnArray(family.AString()).Size(0, 10), family.AString())),
		optional("seed", family.AnInteger(math.Inf(-1), math.Inf(1))),
		optional("n", family.AnInteger(1, 1)),
		optional("presence_penalty", family.ANumber(-2, 2)),
		optional("frequency_penalty", family.ANumber(-2, 2)),
		optional("repetition_penalty", family.ANumber(0, 2)),
		optional("parallel_tool_calls", family.ABoolean()),
		optional("reasoning_effort", family.AString().OneOf("none", "minimal", "low", "medium", "high")),
		optional("include_reasoning", family.ABoolean()),
		optional("stream_options", family.AnObject().Open()),
		optional("user", family.AString()),
		optional("metadata", family.AnObject().Open()),
		optional("service_tier", family.AString()),
		optional("store", family.ABoolean()),
		optional("safe_prompt", family.ABoolean()),
		optional("random_seed", family.AnInteger(math.Inf(-1), math.Inf(1))),
		optional("chat_template_kwargs", family.AnObject().Open()),
		optional("enable_thinking", family.ABoolean()),
	}
}

// ConverseSchema builds the checker of additionalModelRequestFields.
func (d *Dialect) ConverseSchema() *family.Schema {
	return family.AnObject(append(d.sampling(), d.Extra...)...)
}

func bad(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }

// Decode turns a body that NewSchema has checked into a neutral request.
func (d *Dialect) Decode(m family.Model, v *family.Value) (*family.Call, error) {
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   min(d.MaxTokens, d.limit(m)),
		Temperature: new(d.Temperature),
		TopP:        new(d.TopP),
	}}
	if err := d.sample(r, v, m); err != nil {
		return nil, err
	}
	if err := decodeTools(r, v); err != nil {
		return nil, err
	}
	if err := decodeFormat(r, v.Get("response_format")); err != nil {
		return nil, err
	}
	if err := decodeMessages(r, v.Get("messages").Items()); err != nil {
		return nil, err
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, ToolPrefix: "call_", State: d}, nil
}

// limit is the most tokens a model makes.
func (d *Dialect) limit(m family.Model) int { return cmp.Or(m.MaxOutput, d.MaxOutput) }

func (d *Dialect) sample(r *engine.Request, v *family.Value, m family.Model) error {
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		n := v.Get(name)
		if err := family.AtMost("#/"+name, n, d.limit(m)); err != nil {
			return err
		}
		r.MaxTokens = n.IntOr(r.MaxTokens)
	}
	set := func(to **float64, name string) {
		if f := v.Get(name); f.IsNumber() {
			*to = new(f.Float())
		}
	}
	set(&r.Temperature, "temperature")
	set(&r.TopP, "top_p")
	set(&r.MinP, "min_p")
	set(&r.PresencePenalty, "presence_penalty")
	set(&r.FrequencyPenalty, "frequency_penalty")
	set(&r.RepeatPenalty, "repetition_penalty")
	if k := v.Get("top_k"); k.IsNumber() {
		r.TopK = new(max(0, k.Int()))
	}
	for _, name := range []string{"seed", "random_seed"} {
		if s := v.Get(name); s.IsNumber() {
			r.Seed = new(int64(s.Int()))
		}
	}
	switch stop := v.Get("stop"); stop.Kind {
	case family.String:
		r.Stop = []string{stop.Text()}
	case family.Array:
		r.Stop = stop.Texts()
	default: // none
	}
	return thinking(r, v)
}

// thinking reads the switches by which the families ask for reasoning.
func thinking(r *engine.Request, v *family.Value) error {
	if e := v.Get("reasoning_effort"); e.Kind == family.String {
		r.Thinking = &engine.Thinking{Enabled: e.Text() != "none"}
	}
	for _, s := range []*family.Value{v.Get("enable_thinking"), v.Get("chat_template_kwargs").Get("enable_thinking"), v.Get("chat_template_kwargs").Get("thinking")} {
		if s.Kind == family.Boolean {
			r.Thinking = &engine.Thinking{Enabled: s.Bool()}
		}
	}
	return nil
}

func decodeTools(r *engine.Request, v *family.Value) error {
	tools := v.Get("tools").Items()
	for i := range tools {
		f := tools[i].Get("function")
		schema := json.RawMessage(f.Get("parameters").Raw)
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: f.Get("name").Text(), Description: f.Get("description").Text(), Schema: schema})
	}
	choice := v.Get("tool_choice")
	name := choice.Get("function").Get("name").Text()
	switch choice.Kind {
	case family.String:
		switch text := choice.Text(); text {
		case "auto":
		case "none":
			r.ToolChoice.Mode = engine.ToolNever
		case "any", "required":
			r.ToolChoice.Mode = engine.ToolAny
		default:
			return family.Malformed("#/tool_choice: " + text + " is not a valid enum value")
		}
	case family.Object:
		if !slices.ContainsFunc(r.Tools, func(t engine.Tool) bool { return t.Name == name }) {
			return bad("tool_choice names the function %q, which is not among the tools", name)
		}
		r.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: name}
	default: // the model chooses
	}
	if r.ToolChoice.Mode == engine.ToolAny && len(r.Tools) == 0 {
		return bad("tool_choice may only be given with tools")
	}
	return nil
}

func decodeFormat(r *engine.Request, v *family.Value) error {
	switch v.Get("type").Text() {
	case "json_object":
		r.ResultSchema = json.RawMessage(`{"type":"object"}`)
	case "json_schema":
		schema := v.Get("json_schema").Get("schema")
		if schema.Kind != family.Object {
			return family.Malformed("#/response_format/json_schema: required key [schema] not found")
		}
		r.ResultSchema = json.RawMessage(schema.Raw)
	}
	return nil
}

func decodeMessages(r *engine.Request, messages []family.Value) error {
	names := map[string]string{}
	add := func(role engine.Role, parts ...engine.Part) {
		if len(parts) == 0 {
			return
		}
		if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == role {
			r.Messages[n-1].Parts = append(r.Messages[n-1].Parts, parts...)
			return
		}
		r.Messages = append(r.Messages, engine.Message{Role: role, Parts: parts})
	}
	for i := range messages {
		m := &messages[i]
		parts, err := decodeContent(m.Get("content"), i)
		if err != nil {
			return err
		}
		switch role := m.Get("role").Text(); role {
		case "system", "developer":
			for _, p := range parts {
				r.System = strings.TrimPrefix(r.System+"\n\n"+p.Text, "\n\n")
			}
		case "user":
			if len(parts) == 0 {
				return family.Malformed(fmt.Sprintf("#/messages/%d: required key [content] not found", i))
			}
			add(engine.User, parts...)
		case "assistant":
			if text := cmp.Or(m.Get("reasoning_content").Text(), m.Get("reasoning").Text()); text != "" {
				add(engine.Assistant, engine.Part{Reasoning: &engine.Reasoning{Text: text}})
			}
			add(engine.Assistant, parts...)
			calls := m.Get("tool_calls").Items()
			for j := range calls {
				call, err := decodeCall(&calls[j], i, j)
				if err != nil {
					return err
				}
				names[call.ID] = call.Name
				add(engine.Assistant, engine.Part{ToolCall: call})
			}
		case "tool":
			id := m.Get("tool_call_id").Text()
			if _, known := names[id]; !known {
				return bad("messages.%d: the tool message answers tool_call_id %q, which no earlier assistant message has called", i, id)
			}
			add(engine.User, engine.Part{ToolResult: &engine.ToolResult{
				ID: id, Name: cmp.Or(m.Get("name").Text(), names[id]), Parts: parts,
			}})
		}
	}
	if len(r.Messages) == 0 {
		return bad("messages: at least one message of the user is needed")
	}
	return nil
}

func decodeCall(v *family.Value, i, j int) (*engine.ToolCall, error) {
	f := v.Get("function")
	arguments := f.Get("arguments")
	text := json.RawMessage(arguments.Raw)
	if arguments.Kind == family.String {
		text = json.RawMessage(arguments.Text())
	}
	if len(bytes.TrimSpace(text)) == 0 {
		text = json.RawMessage("{}")
	}
	if !json.Valid(text) {
		return nil, bad("messages.%d.tool_calls.%d.function.arguments: not a JSON object", i, j)
	}
	id := v.Get("id").Text()
	if id == "" {
		id = "call_" + strconv.Itoa(i) + "_" + strconv.Itoa(j)
	}
	return &engine.ToolCall{ID: id, Name: f.Get("name").Text(), Arguments: text}, nil
}

func decodeContent(v *family.Value, message int) ([]engine.Part, error) {
	if v.Kind == family.String {
		if text := v.Text(); text != "" {
			return []engine.Part{{Text: text}}, nil
		}
		return nil, nil
	}
	var parts []engine.Part
	blocks := v.Items()
	for i := range blocks {
		b := &blocks[i]
		at := fmt.Sprintf("#/messages/%d/content/%d", message, i)
		switch kind := b.Get("type").Text(); kind {
		case "text":
			if b.Get("text").Kind != family.String {
				return nil, family.Malformed(at + ": required key [text] not found")
			}
			if text := b.Get("text").Text(); text != "" {
				parts = append(parts, engine.Part{Text: text})
			}
		case "image_url":
			url := b.Get("image_url")
			if url.Kind == family.Object {
				url = url.Get("url")
			}
			blob, err := dataURL(url.Text(), at)
			if err != nil {
				return nil, err
			}
			parts = append(parts, engine.Part{Image: blob})
		default:
			return nil, family.Malformed(at + "/type: " + kind + " is not a valid enum value")
		}
	}
	return parts, nil
}

// dataURL reads an image that travels inside the body. Fetching one from an
// address would let a caller reach the server's network.
func dataURL(url, at string) (*engine.Blob, error) {
	head, body, ok := strings.Cut(url, ",")
	if !ok || !strings.HasPrefix(head, "data:") || !strings.HasSuffix(head, ";base64") {
		return nil, bad("%s/image_url: images must be given as data URLs in base64", at)
	}
	data, err := base64.StdEncoding.DecodeString(body)
	info, known := family.SniffImage(data)
	if err != nil || !known {
		return nil, bad("%s/image_url: not an image", at)
	}
	return &engine.Blob{MediaType: info.MediaType, Data: data}, nil
}

// Converse fills the dialect's defaults and merges the additional fields, which
// ConverseSchema has checked.
func (d *Dialect) Converse(r *engine.Request, fields *family.Value, m family.Model) error {
	limit := d.limit(m)
	r.MaxTokens = cmp.Or(r.MaxTokens, min(d.MaxTokens, limit))
	if r.Temperature == nil {
		r.Temperature = new(d.Temperature)
	}
	if r.TopP == nil {
		r.TopP = new(d.TopP)
	}
	if r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	return d.sample(r, fields, m)
}
