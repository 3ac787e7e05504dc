package anthropic

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	maxPayload     = 20 << 20
	maxImages      = 20
	defaultTopP    = 0.999
	leastThinking  = 1024
	toolPrefix     = "toolu_bdrk_"
	bedrockVersion = "bedrock-2023-05-31"
)

var cacheControl = family.Optional("cache_control", family.AnObject().Open().OrNull())

var messagesSchema = family.AnObject(
	family.Required("anthropic_version", family.AString().OneOf(bedrockVersion)),
	family.Required("max_tokens", family.AnInteger(1, math.Inf(1))),
	family.Required("messages", family.AnArray(family.AnObject(
		family.Required("role", family.AString().OneOf("user", "assistant")),
		family.Required("content", family.Either(family.AString(), family.AnArray(family.AnObject(
			family.Required("type", family.AString()),
		).Open()))),
	)).Size(1, -1)),
	family.Optional("system", family.Either(family.AString(), family.AnArray(textBlock))),
	family.Optional("stop_sequences", family.AnArray(family.AString()).Size(0, 8191)),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("top_k", topK),
	family.Optional("tools", family.AnArray(family.AnObject(
		family.Required("name", family.AString().Size(1, 128)),
	).Open())),
	family.Optional("tool_choice", toolChoice),
	family.Optional("thinking", thinking),
	family.Optional("anthropic_beta", beta),
	family.Optional("metadata", family.AnObject().Open()),
	family.Optional("output_format", outputFormat),
	family.Optional("output_config", outputConfig),
)

// Schemas that additionalModelRequestFields of Converse shares.
var (
	topK       = family.AnInteger(0, 100_000_000)
	beta       = family.AnArray(family.AString())
	toolChoice = family.AnObject(
		family.Required("type", family.AString().OneOf("auto", "any", "tool", "none")),
		family.Optional("name", family.AString()),
		family.Optional("disable_parallel_tool_use", family.ABoolean()),
	)
	thinking = family.AnObject(
		family.Required("type", family.AString().OneOf("enabled", "disabled", "adaptive")),
		family.Optional("budget_tokens", family.AnInteger(0, math.Inf(1))),
		family.Optional("display", family.AString()),
	)
	outputFormat = family.AnObject(
		family.Required("type", family.AString().OneOf("json_schema")),
		family.Required("schema", family.AnObject().Open()),
	)
	outputConfig = family.AnObject(
		family.Optional("format", outputFormat),
		family.Optional("effort", family.AString()),
	)
)

var converseSchema = family.AnObject(
	family.Optional("top_k", topK),
	family.Optional("thinking", thinking),
	family.Optional("reasoning_config", thinking), // its name in Claude 3.7's first weeks
	family.Optional("anthropic_beta", beta),
	family.Optional("anthropic_version", family.AString()),
	family.Optional("tool_choice", toolChoice),
	family.Optional("metadata", family.AnObject().Open()),
	family.Optional("output_format", outputFormat),
	family.Optional("output_config", outputConfig),
)

func bad(format string, args ...any) error {
	return apierr.New(apierr.Validation, format, args...)
}

func decodeMessages(m family.Model, v *family.Value) (*family.Call, error) {
	if len(v.Raw) > maxPayload {
		return nil, bad("The request is %d bytes, more than the %d bytes that a Messages request may have.", len(v.Raw), maxPayload)
	}
	if err := messagesSchema.Check(v); err != nil {
		return nil, err
	}
	limit := v.Get("max_tokens")
	if m.MaxOutput > 0 && limit.Int() > m.MaxOutput {
		return nil, bad("max_tokens: %s > %d, which is the maximum allowed number of output tokens for %s",
			limit.Raw, m.MaxOutput, emulatedName(m.ID))
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.Int(),
		Temperature: v.Get("temperature").FloatOr(1),
		TopP:        v.Get("top_p").FloatOr(defaultTopP),
		Stop:        v.Get("stop_sequences").Texts(),
	}}
	setTopK(r, v.Get("top_k"))
	if err := setThinking(r, v.Get("thinking")); err != nil {
		return nil, err
	}
	if err := setFormat(r, v); err != nil {
		return nil, err
	}
	if err := decodeTools(r, v); err != nil {
		return nil, err
	}
	r.System = decodeSystem(v.Get("system"))
	if err := decodeTurns(r, v.Get("messages")); err != nil {
		return nil, err
	}
	if !takesSystem(m.ID) {
		foldSystem(r)
	}
	if prefixCached(v) {
		// The neutral form has cache points in messages only; before the first part
		// it ends the same prefix.
		first := &r.Messages[0]
		first.Parts = append([]engine.Part{{CachePoint: true}}, first.Parts...)
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, CountPrompt: true, ToolPrefix: toolPrefix, State: messagesForm}, nil
}

// prefixCached reports whether the system text or a tool carries cache_control.
func prefixCached(v *family.Value) bool {
	for _, list := range [][]family.Value{v.Get("system").Items(), v.Get("tools").Items()} {
		for i := range list {
			if list[i].Get("cache_control").Kind == family.Object {
				return true
			}
		}
	}
	return false
}

func setTopK(r *engine.Request, v *family.Value) {
	if v.IsNumber() {
		r.TopK = new(v.Int())
	}
}

func setThinking(r *engine.Request, v *family.Value) error {
	switch v.Get("type").Text() {
	case "enabled":
		budget := v.Get("budget_tokens")
		if budget.Kind == family.Absent {
			return bad("thinking.enabled.budget_tokens: Field required")
		}
		if budget.Int() < leastThinking {
			return bad("thinking.enabled.budget_tokens: Input should be greater than or equal to %d", leastThinking)
		}
		if r.MaxTokens > 0 && r.MaxTokens <= budget.Int() {
			return bad("`max_tokens` must be greater than `thinking.budget_tokens`.")
		}
		r.Thinking = &engine.Thinking{Enabled: true, Budget: budget.Int()}
	case "adaptive":
		r.Thinking = &engine.Thinking{Enabled: true}
	}
	return nil
}

func setFormat(r *engine.Request, v *family.Value) error {
	format := v.Get("output_format")
	if format.Kind == family.Absent {
		format = v.Get("output_config").Get("format")
	}
	if format.Kind != family.Absent {
		r.ResultSchema = json.RawMessage(format.Get("schema").Raw)
	}
	return nil
}

func decodeTools(r *engine.Request, v *family.Value) error {
	tools := v.Get("tools").Items()
	for i := range tools {
		t := &tools[i]
		if kind := t.Get("type").Text(); kind != "" && kind != "custom" {
			return bad("tools.%d: tools of type '%s' are run by the service itself and are not built in Outcrop; give the tool with name and input_schema", i, kind)
		}
		if err := toolSchema.Check(t); err != nil {
			return at(err, "#/tools/"+itoa(i))
		}
		r.Tools = append(r.Tools, engine.Tool{
			Name:        t.Get("name").Text(),
			Description: t.Get("description").Text(),
			Schema:      json.RawMessage(t.Get("input_schema").Raw),
		})
	}
	choice := v.Get("tool_choice")
	if choice.Kind != family.Absent && len(tools) == 0 {
		return bad("tool_choice may only be specified while providing tools.")
	}
	return setChoice(r, choice)
}

func setChoice(r *engine.Request, choice *family.Value) error {
	switch choice.Get("type").Text() {
	case "any":
		r.ToolChoice.Mode = engine.ToolAny
	case "none":
		r.ToolChoice.Mode = engine.ToolNever
	case "tool":
		name := choice.Get("name").Text()
		if name == "" {
			return bad("tool_choice.tool.name: Field required")
		}
		if !slices.ContainsFunc(r.Tools, func(t engine.Tool) bool { return t.Name == name }) {
			return bad("Tool '%s' not found in provided tools", name)
		}
		r.ToolChoice = engine.ToolChoice{Mode: engine.ToolNamed, Name: name}
	}
	return nil
}

func decodeSystem(v *family.Value) string {
	if v.Kind == family.String {
		return v.Text()
	}
	var texts []string
	blocks := v.Items()
	for i := range blocks {
		texts = append(texts, blocks[i].Get("text").Text())
	}
	return strings.Join(texts, "\n")
}

// decodeTurns checks the rules of turns and fills the messages. Equal roles in a
// row are merged, as the service does today.
func decodeTurns(r *engine.Request, v *family.Value) error {
	messages := v.Items()
	images := 0
	calls := map[string]string{} // tool name by call id
	for i := range messages {
		m := &messages[i]
		role := engine.Role(m.Get("role").Text())
		if i == 0 && role != engine.User {
			return bad(`messages: first message must use the "user" role`)
		}
		final := i == len(messages)-1
		parts, err := decodeContent(m.Get("content"), i, role, calls)
		if err != nil {
			return err
		}
		if len(parts) == 0 && !(final && role == engine.Assistant) {
			return bad("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		images += countImages(parts)
		if final && role == engine.Assistant && len(parts) > 0 {
			if p := &parts[len(parts)-1]; p.IsText() && strings.TrimRight(p.Text, " \t\r\n") != p.Text {
				return bad("messages: final assistant content cannot end with trailing whitespace")
			}
		}
		if len(parts) == 0 {
			continue
		}
		if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == role {
			r.Messages[n-1].Parts = append(r.Messages[n-1].Parts, parts...)
			continue
		}
		r.Messages = append(r.Messages, engine.Message{Role: role, Parts: parts})
	}
	if images > maxImages {
		return bad("messages: Too much media: 0 document pages + %d images > %d", images, maxImages)
	}
	return checkPairs(r.Messages)
}

func countImages(parts []engine.Part) (n int) {
	for i := range parts {
		if parts[i].Image != nil {
			n++
		}
		if t := parts[i].ToolResult; t != nil {
			n += countImages(t.Parts)
		}
	}
	return n
}

// checkPairs wants each tool call answered in the next message, and each tool
// result to answer a call of the message before.
func checkPairs(messages []engine.Message) error {
	open := map[string]bool{}
	for i := range messages {
		m := &messages[i]
		results := map[string]bool{}
		for j := range m.Parts {
			if t := m.Parts[j].ToolResult; t != nil {
				if !open[t.ID] {
					return bad("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", i, j, t.ID)
				}
				results[t.ID] = true
			}
		}
		var missing []string
		for id := range open {
			if !results[id] {
				missing = append(missing, id)
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			return bad("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, strings.Join(missing, ", "))
		}
		clear(open)
		for j := range m.Parts {
			if t := m.Parts[j].ToolCall; t != nil {
				open[t.ID] = true
			}
		}
	}
	return nil
}

// Converse fills Claude's defaults and takes its extra fields.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	limit := cmp.Or(m.MaxOutput, 4096)
	r.MaxTokens = cmp.Or(r.MaxTokens, limit)
	if r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(1.0)
	}
	if r.TopP == nil {
		r.TopP = new(defaultTopP)
	}
	setTopK(r, fields.Get("top_k"))
	for _, name := range []string{"thinking", "reasoning_config"} {
		if err := setThinking(r, fields.Get(name)); err != nil {
			return err
		}
	}
	if err := setFormat(r, &fields); err != nil {
		return err
	}
	if choice := fields.Get("tool_choice"); choice.Kind != family.Absent {
		if err := setChoice(r, choice); err != nil {
			return err
		}
	}
	if !takesSystem(m.ID) {
		foldSystem(r)
	}
	return nil
}
