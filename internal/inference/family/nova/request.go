package nova

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Codec serves Nova. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

const (
	defaultLimit = 5000
	maxOutput    = 10_000
	defaultTemp  = 0.7
	defaultTopP  = 0.9
)

var cachePoint = family.AnObject(family.Required("type", family.AString().OneOf("default"))).Open()

var inferenceFields = []family.Field{
	family.Optional("maxTokens", family.AnInteger(1, 1<<31)),
	family.Optional("max_new_tokens", family.AnInteger(1, 1<<31)),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("topP", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("topK", family.AnInteger(0, 128)),
	family.Optional("top_k", family.AnInteger(0, 128)),
	family.Optional("stopSequences", family.AnArray(family.AString()).Size(0, 2500)),
}

var reasoningConfig = family.AnObject(
	family.Required("type", family.AString().OneOf("enabled", "disabled")),
	family.Optional("maxReasoningEffort", family.AString().OneOf("low", "medium", "high")),
)

var schema = family.AnObject(
	family.Optional("schemaVersion", family.AString().OneOf("messages-v1")),
	family.Required("messages", family.AnArray(family.AnObject(
		family.Required("role", family.AString().OneOf("user", "assistant")),
		family.Required("content", family.AnArray(block)),
	)).Size(1, -1)),
	family.Optional("system", family.AnArray(family.AnObject(
		family.Optional("text", family.AString()),
		family.Optional("cachePoint", cachePoint),
	))),
	family.Optional("inferenceConfig", family.AnObject(append(slices.Clone(inferenceFields),
		family.Optional("reasoningConfig", reasoningConfig))...)),
	family.Optional("reasoningConfig", reasoningConfig),
	family.Optional("toolConfig", family.AnObject(
		family.Required("tools", family.AnArray(family.AnObject(
			family.Optional("toolSpec", family.AnObject(
				family.Required("name", family.AString().Size(1, 64).Matching(`^[a-zA-Z0-9_-]+$`)),
				family.Optional("description", family.AString()),
				family.Required("inputSchema", family.AnObject(family.Required("json", family.AnObject().Open()))),
				family.Optional("strict", family.ABoolean()),
			)),
			family.Optional("cachePoint", cachePoint),
		)).Size(1, -1)),
		family.Optional("toolChoice", family.AnObject(
			family.Optional("auto", family.AnObject()),
			family.Optional("any", family.AnObject()),
			family.Optional("tool", family.AnObject(family.Required("name", family.AString()))),
		)),
	)),
)

var media = family.AnObject(
	family.Required("format", family.AString()),
	family.Required("source", family.AnObject(family.Required("bytes", family.AString()))),
)

var block = family.AnObject(
	family.Optional("text", family.AString()),
	family.Optional("image", media),
	family.Optional("video", family.AnObject().Open()),
	family.Optional("document", family.AnObject().Open()),
	family.Optional("audio", family.AnObject().Open()),
	family.Optional("cachePoint", cachePoint),
	family.Optional("reasoningContent", family.AnObject().Open()),
	family.Optional("toolUse", family.AnObject(
		family.Required("toolUseId", family.AString()),
		family.Required("name", family.AString()),
		family.Required("input", family.AnObject().Open()),
	)),
	family.Optional("toolResult", family.AnObject(
		family.Required("toolUseId", family.AString()),
		family.Required("content", family.AnArray(family.AnObject(
			family.Optional("text", family.AString()),
			family.Optional("json", family.Anything()),
			family.Optional("image", media),
		))),
		family.Optional("status", family.AString().OneOf("success", "error")),
	)),
)

// converseSchema is for additionalModelRequestFields: Nova takes its own
// parameters there inside inferenceConfig, or bare.
var converseSchema = family.AnObject(
	family.Optional("inferenceConfig", family.AnObject(
		family.Optional("topK", family.AnInteger(0, 128)),
		family.Optional("top_k", family.AnInteger(0, 128)),
		family.Optional("reasoningConfig", reasoningConfig),
	)),
	family.Optional("topK", family.AnInteger(0, 128)),
	family.Optional("top_k", family.AnInteger(0, 128)),
	family.Optional("reasoningConfig", reasoningConfig),
)

func bad(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }

// Name returns the family's key.
func (Codec) Name() string { return "nova" }

// Streams reports that Nova streams.
func (Codec) Streams(family.Model) bool { return true }

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(_ family.Model, limit, got int) string {
	if limit > 0 && got > 0 {
		return fmt.Sprintf("Input Tokens Exceeded: Number of input tokens exceeds maximum length (%d > %d). Please update the input to try again.", got, limit)
	}
	return "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again."
}

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	config := v.Get("inferenceConfig")
	limit := either(config, "maxTokens", "max_new_tokens")
	if err := family.AtMost("#/inferenceConfig/maxTokens", limit, cmp.Or(m.MaxOutput, maxOutput)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.IntOr(min(defaultLimit, cmp.Or(m.MaxOutput, defaultLimit))),
		Temperature: config.Get("temperature").FloatOr(defaultTemp),
		TopP:        either(config, "topP", "top_p").FloatOr(defaultTopP),
		Stop:        config.Get("stopSequences").Texts(),
	}}
	setTopK(r, either(config, "topK", "top_k"))
	setReasoning(r, config.Get("reasoningConfig"))
	setReasoning(r, v.Get("reasoningConfig"))
	cached, err := decodeTools(r, v.Get("toolConfig"))
	if err != nil {
		return nil, err
	}
	system := v.Get("system").Items()
	var texts []string
	for i := range system {
		if t := system[i].Get("text"); t.Kind == family.String {
			texts = append(texts, t.Text())
		}
		cached = cached || system[i].Has("cachePoint")
	}
	r.System = strings.Join(texts, "\n\n")
	if err := decodeMessages(r, v.Get("messages").Items()); err != nil {
		return nil, err
	}
	if cached {
		first := &r.Messages[0]
		first.Parts = append([]engine.Part{{CachePoint: true}}, first.Parts...)
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}}, nil
}

// either returns the member under its new name, or under its old one.
func either(v *family.Value, name, old string) *family.Value {
	if m := v.Get(name); m.Kind != family.Absent {
		return m
	}
	return v.Get(old)
}

func setTopK(r *engine.Request, v *family.Value) {
	if v.IsNumber() {
		r.TopK = new(v.Int())
	}
}

func setReasoning(r *engine.Request, v *family.Value) {
	switch v.Get("type").Text() {
	case "enabled":
		r.Thinking = &engine.Thinking{Enabled: true}
	case "disabled":
		r.Thinking = &engine.Thinking{}
	}
}

func decodeTools(r *engine.Request, v *family.Value) (cached bool, err error) {
	tools := v.Get("tools").Items()
	for i := range tools {
		if tools[i].Has("cachePoint") {
			cached = true
			continue
		}
		spec := tools[i].Get("toolSpec")
		if spec.Kind == family.Absent {
			return false, family.Malformed(fmt.Sprintf("#/toolConfig/tools/%d: required key [toolSpec] not found", i))
		}
		r.Tools = append(r.Tools, engine.Tool{
			Name:        spec.Get("name").Text(),
			Description: spec.Get("description").Text(),
			Schema:      json.RawMessage(spec.Get("inputSchema").Get("json").Raw),
		})
	}
	choice := v.Get("toolChoice")
	switch {
	case choice.Has("any"):
		r.ToolChoice.Mode = engine.ToolAny
	case choice.Has("tool"):
		name := choice.Get("tool").Get("name").Text()
		if !slices.ContainsFunc(r.Tools, func(t engine.Tool) bool { return t.Name == name }) {
			return false, bad("The toolConfig.toolChoice.tool.name value %s is not the name of a tool in toolConfig.tools.", name)
		}
		r.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: name}
	}
	return cached, nil
}

func decodeMessages(r *engine.Request, messages []family.Value) error {
	names := map[string]string{}
	for i := range messages {
		m := &messages[i]
		role := engine.Role(m.Get("role").Text())
		if i == 0 && role != engine.User {
			return bad("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
		}
		if i > 0 && messages[i-1].Get("role").Text() == string(role) {
			return bad("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		}
		blocks := m.Get("content").Items()
		if len(blocks) == 0 {
			return bad("The content field in the Message object at messages.%d is empty. Add a ContentBlock object to the content field and try again.", i)
		}
		message := engine.Message{Role: role}
		for j := range blocks {
			part, err := decodeBlock(&blocks[j], fmt.Sprintf("messages.%d.content.%d", i, j), names)
			if err != nil {
				return err
			}
			message.Parts = append(message.Parts, part)
		}
		r.Messages = append(r.Messages, message)
	}
	return checkPairs(r.Messages)
}

// checkPairs wants the calls of a message answered by the next, all of them and
// nothing else.
func checkPairs(messages []engine.Message) error {
	var open []string
	for i := range messages {
		var calls, results []string
		for j := range messages[i].Parts {
			if p := &messages[i].Parts[j]; p.ToolCall != nil {
				calls = append(calls, p.ToolCall.ID)
			} else if p.ToolResult != nil {
				results = append(results, p.ToolResult.ID)
			}
		}
		if len(results) > len(open) {
			return bad("The number of toolResult blocks at messages.%d.content exceeds the number of toolUse blocks of previous turn.", i)
		}
		for _, id := range open {
			if !slices.Contains(results, id) {
				return bad("Expected toolResult blocks at messages.%d.content for the following Ids: %s", i, strings.Join(open, ", "))
			}
		}
		open = calls
	}
	return nil
}

func decodeBlock(b *family.Value, where string, names map[string]string) (engine.Part, error) {
	if n := len(b.Names()); n != 1 {
		return engine.Part{}, bad("The ContentBlock object at %s must have exactly one field, and has %d.", where, n)
	}
	kind := b.Names()[0]
	v := b.Get(kind)
	switch kind {
	case "text":
		if strings.TrimSpace(v.Text()) == "" {
			return engine.Part{}, bad("The text field in the ContentBlock object at %s is blank. Add text to the text field, and try again.", where)
		}
		return engine.Part{Text: v.Text()}, nil
	case "image":
		return decodeImage(v, where)
	case "cachePoint":
		return engine.Part{CachePoint: true}, nil
	case "reasoningContent":
		text := v.Get("reasoningText")
		return engine.Part{Reasoning: &engine.Reasoning{Text: text.Get("text").Text(), Signature: text.Get("signature").Text()}}, nil
	case "toolUse":
		id, name := v.Get("toolUseId").Text(), v.Get("name").Text()
		names[id] = name
		return engine.Part{ToolCall: &engine.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(v.Get("input").Raw)}}, nil
	case "toolResult":
		return decodeToolResult(v, where, names)
	}
	return engine.Part{}, bad("This model doesn't support the %s content block that you provided. Update the content block and try again.", kind)
}

func decodeToolResult(v *family.Value, where string, names map[string]string) (engine.Part, error) {
	id := v.Get("toolUseId").Text()
	result := &engine.ToolResult{ID: id, Name: names[id], Error: v.Get("status").Text() == "error"}
	content := v.Get("content").Items()
	for i := range content {
		c := &content[i]
		switch {
		case c.Has("text"):
			result.Parts = append(result.Parts, engine.Part{Text: c.Get("text").Text()})
		case c.Has("json"):
			result.Parts = append(result.Parts, engine.Part{Text: string(c.Get("json").Raw)})
		case c.Has("image"):
			part, err := decodeImage(c.Get("image"), fmt.Sprintf("%s.toolResult.content.%d", where, i))
			if err != nil {
				return engine.Part{}, err
			}
			result.Parts = append(result.Parts, part)
		}
	}
	return engine.Part{ToolResult: result}, nil
}

func decodeImage(v *family.Value, where string) (engine.Part, error) {
	data, ok := v.Get("source").Get("bytes").Base64()
	info, known := family.SniffImage(data)
	if !ok || !known {
		return engine.Part{}, bad("The image at %s is not a readable %s file in base64.", where, v.Get("format").Text())
	}
	return engine.Part{Image: &engine.Blob{MediaType: info.MediaType, Data: data}}, nil
}

// Converse fills Nova's defaults and takes its extra fields.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	limit := cmp.Or(m.MaxOutput, maxOutput)
	r.MaxTokens = cmp.Or(r.MaxTokens, min(defaultLimit, limit))
	if r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(defaultTemp)
	}
	if r.TopP == nil {
		r.TopP = new(defaultTopP)
	}
	for _, v := range []*family.Value{&fields, fields.Get("inferenceConfig")} {
		setTopK(r, either(v, "topK", "top_k"))
		setReasoning(r, v.Get("reasoningConfig"))
	}
	return nil
}
