package inference

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

type (
	block   = bedrockruntime.ContentBlock
	message = bedrockruntime.Message
	input   = bedrockruntime.ConverseInput
)

const (
	userRole = bedrockruntime.ConversationRoleUser
	botRole  = bedrockruntime.ConversationRoleAssistant
)

func text(s string) block          { return block{Text: &s} }
func user(blocks ...block) message { return message{Role: userRole, Content: blocks} }
func bot(blocks ...block) message  { return message{Role: botRole, Content: blocks} }
func hi(more ...message) []message { return append([]message{user(text("hi"))}, more...) }
func use(id, name, args string) block {
	return block{ToolUse: &bedrockruntime.ToolUseBlock{ToolUseId: id, Name: name, Input: json.RawMessage(args)}}
}
func result(id string, c ...bedrockruntime.ToolResultContentBlock) block {
	return block{ToolResult: &bedrockruntime.ToolResultBlock{ToolUseId: id, Content: c}}
}
func resultText(s string) bedrockruntime.ToolResultContentBlock {
	return bedrockruntime.ToolResultContentBlock{Text: &s}
}
func toolConfig(choice *bedrockruntime.ToolChoice, names ...string) *bedrockruntime.ToolConfiguration {
	c := &bedrockruntime.ToolConfiguration{ToolChoice: choice}
	for _, n := range names {
		c.Tools = append(c.Tools, bedrockruntime.Tool{ToolSpec: &bedrockruntime.ToolSpecification{
			Name: n, Description: new("about " + n), InputSchema: &bedrockruntime.ToolInputSchema{Json: json.RawMessage(`{"type":"object"}`)},
		}})
	}
	return c
}
func pngBytes(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
func picture(data []byte) block {
	return block{Image: &bedrockruntime.ImageBlock{Format: "png", Source: &bedrockruntime.ImageSource{Bytes: data}}}
}
func document(format, name string, data []byte) block {
	return block{Document: &bedrockruntime.DocumentBlock{Format: bedrockruntime.DocumentFormat(format), Name: name, Source: &bedrockruntime.DocumentSource{Bytes: data}}}
}

func TestConverseSaysTheSameThingInNeutralForm(t *testing.T) {
	f := &fake{result: answer("Quartz")}
	rt := runtime(f, nil)
	ctx, c := invocation(t)
	image := pngBytes(t, 2, 2)
	out, err := rt.Converse(ctx, &input{
		ModelId: sonnet,
		System: []bedrockruntime.SystemContentBlock{
			{Text: new("Be brief.")}, {Text: new("Be kind.")}, {CachePoint: &bedrockruntime.CachePointBlock{Type: "default"}},
		},
		Messages: []message{
			user(text("Look:"), picture(image), document("html", "page", []byte("<html><head><title>x</title></head><body><p>Rocks &amp; sand</p><script>no()</script></body></html>")),
				block{CachePoint: &bedrockruntime.CachePointBlock{Type: "default"}}),
			bot(block{ReasoningContent: &bedrockruntime.ReasoningContentBlock{ReasoningText: &bedrockruntime.ReasoningTextBlock{Text: "hm", Signature: new("s")}}},
				use("t1", "weather", `{"city":"Seoul"}`), use("t2", "time", `{}`)),
			user(result("t1", resultText("12C"), bedrockruntime.ToolResultContentBlock{Json: json.RawMessage(`{"a": 1}`)}),
				block{ToolResult: &bedrockruntime.ToolResultBlock{ToolUseId: "t2", Status: "error", Content: []bedrockruntime.ToolResultContentBlock{resultText("down")}}}),
		},
		ToolConfig:      toolConfig(&bedrockruntime.ToolChoice{Tool: &bedrockruntime.SpecificToolChoice{Name: "time"}}, "weather", "time"),
		InferenceConfig: &bedrockruntime.InferenceConfiguration{MaxTokens: new(100), Temperature: new(0.0), StopSequences: []string{"END"}},
		OutputConfig: &bedrockruntime.OutputConfig{TextFormat: &bedrockruntime.OutputFormat{Type: "json_schema",
			Structure: &bedrockruntime.OutputFormatStructure{JsonSchema: &bedrockruntime.JsonSchemaDefinition{Schema: `{"type":"object"}`}}}},
		AdditionalModelRequestFields:      json.RawMessage(`{"top_k": 7}`),
		AdditionalModelResponseFieldPaths: []string{"/stop_sequence", "/usage/output_tokens", "/nothing"},
		RequestMetadata:                   map[string]string{"a": "b"},
		PerformanceConfig:                 &bedrockruntime.PerformanceConfiguration{Latency: "standard"},
		ServiceTier:                       &bedrockruntime.ServiceTier{Type: "default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &engine.Request{
		Model: "local-model", AWSModel: sonnet, Account: "123456789012",
		System: "Be brief.\n\nBe kind.",
		Messages: []engine.Message{
			{Role: engine.User, Parts: []engine.Part{
				{CachePoint: true},
				{Text: "Look:"}, {Image: &engine.Blob{MediaType: "image/png", Data: image}},
				{Text: "<document name=\"page\">\nRocks & sand\n</document>\n"},
				{CachePoint: true},
			}},
			{Role: engine.Assistant, Parts: []engine.Part{
				{Reasoning: &engine.Reasoning{Text: "hm", Signature: "s"}},
				{ToolCall: &engine.ToolCall{ID: "t1", Name: "weather", Arguments: json.RawMessage(`{"city":"Seoul"}`)}},
				{ToolCall: &engine.ToolCall{ID: "t2", Name: "time", Arguments: json.RawMessage(`{}`)}},
			}},
			{Role: engine.User, Parts: []engine.Part{
				{ToolResult: &engine.ToolResult{ID: "t1", Name: "weather", Parts: []engine.Part{{Text: "12C"}, {Text: `{"a":1}`}}}},
				{ToolResult: &engine.ToolResult{ID: "t2", Name: "time", Error: true, Parts: []engine.Part{{Text: "down"}}}},
			}},
		},
		Tools: []engine.Tool{
			{Name: "weather", Description: "about weather", Schema: json.RawMessage(`{"type":"object"}`)},
			{Name: "time", Description: "about time", Schema: json.RawMessage(`{"type":"object"}`)},
		},
		ToolChoice:   engine.ToolChoice{Mode: engine.ToolNamed, Name: "time"},
		ResultSchema: json.RawMessage(`{"type":"object"}`),
		Sampling:     engine.Sampling{MaxTokens: 100, Temperature: new(0.0), TopP: new(0.999), TopK: new(7), Stop: []string{"END"}},
	}
	if diff := cmp.Diff(want, f.last()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if got := *out.Output.Message.Content[0].Text; got != "Quartz" || out.Output.Message.Role != botRole {
		t.Errorf("answer %q", got)
	}
	if out.StopReason != "end_turn" || out.Usage.InputTokens != 11 || out.Usage.OutputTokens != 5 || out.Usage.TotalTokens != 16 || out.Metrics.LatencyMs < 1 {
		t.Errorf("%+v %+v %+v", out.StopReason, out.Usage, out.Metrics)
	}
	if got := string(out.AdditionalModelResponseFields); got != `{"stop_sequence":null,"usage":{"output_tokens":5}}` {
		t.Errorf("fields %s", got)
	}
	if out.PerformanceConfig.Latency != "standard" || out.ServiceTier.Type != "default" {
		t.Error("performanceConfig and serviceTier are not echoed")
	}
	if header(c, servedHeader) != "local-model" {
		t.Errorf("headers %v", c.Headers())
	}
	if s := c.Served(); s.Model != "local-model" || s.ModelID != sonnet || s.InputTokens != 11 || s.OutputTokens != 5 || !s.Inference || s.Latency == 0 {
		t.Errorf("served %+v", s)
	}
}

func TestConverseAnswersKeepTheModelsOrder(t *testing.T) {
	f := &fake{result: engine.Result{
		Parts: []engine.Part{
			{Reasoning: &engine.Reasoning{Text: "hm", Signature: "s"}}, {Text: ""}, {Text: "I look."},
			{ToolCall: &engine.ToolCall{ID: "x", Name: "weather", Arguments: json.RawMessage(`{"city":"Busan"}`)}},
			{ToolCall: &engine.ToolCall{Name: "time"}},
		},
		Stop: engine.ToolUse, StopText: "", Usage: engine.Usage{Input: 20, Output: 3, CacheRead: 8, CacheWrite: 2},
	}}
	ctx, _ := invocation(t)
	out, err := runtime(f, nil).Converse(ctx, &input{ModelId: novaID, Messages: hi(), ToolConfig: toolConfig(nil, "weather", "time")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range out.Output.Message.Content {
		got = append(got, squeeze(out.Output.Message.Content[i]))
	}
	want := []string{
		squeeze(block{ReasoningContent: &bedrockruntime.ReasoningContentBlock{ReasoningText: &bedrockruntime.ReasoningTextBlock{Text: "hm", Signature: new("s")}}}),
		squeeze(text("I look.")), squeeze(use("tooluse_ID1", "weather", `{"city":"Busan"}`)), squeeze(use("tooluse_ID2", "time", `{}`)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	// Without cache points the engine's own cache does not show.
	if u := out.Usage; u.InputTokens != 20 || *u.CacheReadInputTokens != 0 || *u.CacheWriteInputTokens != 0 || u.TotalTokens != 23 {
		t.Errorf("usage %+v", u)
	}
	out, err = runtime(f, nil).Converse(ctx, &input{ModelId: novaID, ToolConfig: toolConfig(nil, "weather"),
		Messages: []message{user(text("hi"), block{CachePoint: &bedrockruntime.CachePointBlock{Type: "default"}})}})
	if err != nil {
		t.Fatal(err)
	}
	if u := out.Usage; u.InputTokens != 10 || *u.CacheReadInputTokens != 8 || *u.CacheWriteInputTokens != 2 || u.TotalTokens != 23 {
		t.Errorf("usage with a cache point %+v", u)
	}
}

func TestConverseRefusals(t *testing.T) {
	img := pngBytes(t, 1, 1)
	spec := func(schema string) *bedrockruntime.ToolConfiguration {
		c := toolConfig(nil, "a")
		c.Tools[0].ToolSpec.InputSchema.Json = json.RawMessage(schema)
		return c
	}
	long := strings.Repeat("x", maxDocSize+1)
	for _, c := range []struct {
		name string
		in   input
		want string
	}{
		{"unknown model", input{ModelId: "nope"}, "The provided model identifier is invalid."},
		{"no messages", input{}, "A conversation must start with a user message. Try again with a conversation that starts with a user message."},
		{"assistant first", input{Messages: []message{bot(text("x"))}}, "A conversation must start with a user message. Try again with a conversation that starts with a user message."},
		{"two users", input{Messages: hi(user(text("x")))}, "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again."},
		{"no content", input{Messages: hi(bot())}, "The content field in the Message object at messages.1 is empty. Add a ContentBlock object to the content field and try again."},
		{"blank text", input{Messages: []message{user(text("a"), text(" "))}}, "The text field in the ContentBlock object at messages.0.content.1 is blank. Add text to the text field, and try again."},
		{"tools without config", input{Messages: hi(bot(use("t", "a", `{}`)))}, "The toolConfig field must be defined when using toolUse and toolResult content blocks."},
		{"too many results", input{Messages: []message{user(result("t"))}, ToolConfig: toolConfig(nil, "a")},
			"The number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn."},
		{"missing results", input{Messages: hi(bot(use("t1", "a", `{}`), use("t2", "a", `{}`)), user(result("t1"))), ToolConfig: toolConfig(nil, "a")},
			"Expected toolResult blocks at messages.2.content for the following Ids: t1, t2"},
		{"other result", input{Messages: hi(bot(use("t1", "a", `{}`)), user(result("t9"))), ToolConfig: toolConfig(nil, "a")},
			"Expected toolResult blocks at messages.2.content for the following Ids: t1"},
		{"result never given", input{Messages: hi(bot(use("t1", "a", `{}`))), ToolConfig: toolConfig(nil, "a")},
			"Expected toolResult blocks at messages.2.content for the following Ids: t1"},
		{"equal ids", input{Messages: hi(bot(use("t", "a", `{}`), use("t", "a", `{}`))), ToolConfig: toolConfig(nil, "a")},
			"The toolUse blocks at messages.1.content contain duplicate Ids: t"},
		{"error without content", input{Messages: hi(bot(use("t", "a", `{}`)), user(block{ToolResult: &bedrockruntime.ToolResultBlock{ToolUseId: "t", Status: "error"}})), ToolConfig: toolConfig(nil, "a")},
			"The content field at messages.2.content.0.toolResult cannot be empty when status value is error."},
		{"input that is no object", input{Messages: hi(bot(use("t", "a", `"x"`)), user(result("t", resultText("1")))), ToolConfig: toolConfig(nil, "a")},
			"The format of the value at messages.1.content.0.toolUse.input is invalid. Provide a json object for the field and try again."},
		{"schema without type", input{Messages: hi(), ToolConfig: spec(`{}`)}, "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object."},
		{"schema that is no object", input{Messages: hi(), ToolConfig: spec(`[]`)}, "The format of the value at toolConfig.tools.0.toolSpec.inputSchema.json is invalid. Provide a json object for the field and try again."},
		{"equal tools", input{Messages: hi(), ToolConfig: toolConfig(nil, "a", "a")}, "The toolConfig.tools field has more than one tool with the name a. Give each tool a name of its own and try again."},
		{"choice of an unknown tool", input{Messages: hi(), ToolConfig: toolConfig(&bedrockruntime.ToolChoice{Tool: &bedrockruntime.SpecificToolChoice{Name: "b"}}, "a")},
			"The toolConfig.toolChoice.tool.name value b is not the name of a tool in toolConfig.tools."},
		{"tools on a model without", input{ModelId: claude, Messages: hi(), ToolConfig: toolConfig(nil, "a")}, "This model doesn't support tool use."},
		{"tools on a local model without", input{ModelId: blind, Messages: hi(), ToolConfig: toolConfig(nil, "a")},
			"This model doesn't support tool use. (anthropic.claude-3-haiku-20240307-v1:0 is served by the local model local-model, which does not call tools; map the id to a local model that does.)"},
		{"image on a model without", input{ModelId: claude, Messages: []message{user(text("a"), picture(img))}},
			"This model doesn't support the image content block that you provided. Update the content block and try again."},
		{"image on a local model without", input{ModelId: blind, Messages: []message{user(text("a"), picture(img))}},
			"This model doesn't support the image content block that you provided. Update the content block and try again. (anthropic.claude-3-haiku-20240307-v1:0 is served by the local model local-model, which does not see images; map the id to a local model that does.)"},
		{"broken image", input{Messages: []message{user(picture([]byte("x")))}}, "The image at messages.0.content.0 is not a readable png file. Could not process image."},
		{"wide image", input{Messages: []message{user(picture(pngBytes(t, 8001, 1)))}}, "The image at messages.0.content.0 is 8001x1 pixels; neither side may exceed 8000."},
		{"image in S3", input{Messages: []message{user(block{Image: &bedrockruntime.ImageBlock{Format: "png", Source: &bedrockruntime.ImageSource{S3Location: &bedrockruntime.S3Location{Uri: "s3://b/k"}}}})}},
			"messages.0.content.0.image.source: sources in S3 are not built yet in Outcrop; send the bytes themselves."},
		{"21 images", input{Messages: []message{user(slicesRepeat(picture(img), 21)...)}}, "The request has 21 images, more than the 20 that are allowed. Remove images and try again."},
		{"video", input{Messages: []message{user(block{Video: &bedrockruntime.VideoBlock{}})}}, "This model doesn't support the video content block that you provided. Update the content block and try again."},
		{"audio", input{Messages: []message{user(block{Audio: &bedrockruntime.AudioBlock{}})}}, "This model doesn't support the audio content block that you provided. Update the content block and try again."},
		{"document without text", input{Messages: []message{user(document("txt", "d", []byte("x")))}}, "A text block must be included when using documents."},
		{"document name", input{Messages: []message{user(text("a"), document("txt", "d.txt", []byte("x")))}},
			"The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character."},
		{"PDF", input{Messages: []message{user(text("a"), document("pdf", "d", []byte("x")))}},
			"The document at messages.0.content.1 is of format pdf, which is not built yet in Outcrop: it comes with knowledge bases. Send it as txt, md, csv or html."},
		{"big document", input{Messages: []message{user(text("a"), document("txt", "d", []byte(long)))}},
			"The document at messages.0.content.1 is 4718593 bytes, more than the 4718592 that are allowed."},
		{"guardrail", input{Messages: hi(), GuardrailConfig: &bedrockruntime.GuardrailConfiguration{}},
			"Guardrails are not built yet in Outcrop, so nothing was checked and nothing was invoked: leave guardrailConfig out."},
		{"prompt variables", input{Messages: hi(), PromptVariables: map[string]bedrockruntime.PromptVariableValues{"a": {}}},
			"Prompts of prompt management are not built yet in Outcrop: leave promptVariables out and send messages."},
		{"fields that are no object", input{Messages: hi(), AdditionalModelRequestFields: json.RawMessage(`[1]`)},
			"The format of the additionalModelRequestFields field is invalid. Provide a json object for the field and try again."},
		{"unknown field", input{Messages: hi(), AdditionalModelRequestFields: json.RawMessage(`{"k":1}`)},
			"The model returned the following errors: Malformed input request: #: extraneous key [k] is not permitted, please reformat your input and try again."},
		{"pointer", input{Messages: hi(), AdditionalModelResponseFieldPaths: []string{"a"}}, `The JSON Pointer "a" at additionalModelResponseFieldPaths.0 is invalid: it must begin with a slash.`},
		{"pointer with a tilde", input{Messages: hi(), AdditionalModelResponseFieldPaths: []string{"/a", "/b~2"}}, `The JSON Pointer "/b~2" at additionalModelResponseFieldPaths.1 is invalid: a tilde must be followed by 0 or 1.`},
		{"too many tokens", input{Messages: hi(), InferenceConfig: &bedrockruntime.InferenceConfiguration{MaxTokens: new(4097)}},
			"The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096."},
		{"stop sequences on Llama", input{ModelId: llama2, Messages: hi(), InferenceConfig: &bedrockruntime.InferenceConfiguration{StopSequences: []string{"a"}}},
			"This model doesn't support the stopSequences field. Remove stopSequences and try again."},
		{"stop sequences on Titan", input{ModelId: titan, Messages: hi(), InferenceConfig: &bedrockruntime.InferenceConfiguration{StopSequences: []string{"Human:"}}},
			`The model returned the following errors: Malformed input request: #/textGenerationConfig/stopSequences/0: string [Human:] does not match pattern ^(\|+|User:)$, please reformat your input and try again.`},
		{"embedding model", input{ModelId: embedd, Messages: hi()}, "The model amazon.titan-embed-text-v1 does not hold conversations: use InvokeModel with its own body."},
		{"output schema", input{Messages: hi(), OutputConfig: &bedrockruntime.OutputConfig{TextFormat: &bedrockruntime.OutputFormat{Structure: &bedrockruntime.OutputFormatStructure{JsonSchema: &bedrockruntime.JsonSchemaDefinition{Schema: "{"}}}}},
			"The outputConfig.textFormat.structure.jsonSchema.schema field is not a JSON schema in JSON text."},
		{"system tool", input{Messages: hi(), ToolConfig: &bedrockruntime.ToolConfiguration{Tools: []bedrockruntime.Tool{{SystemTool: &bedrockruntime.SystemTool{Name: "nova_grounding"}}}}},
			"The system tool nova_grounding at toolConfig.tools.0 is run by the service itself and is not built in Outcrop."},
		{"image of the assistant", input{Messages: hi(bot(picture(img)))},
			"The block at messages.1.content.0 is in a message of the assistant. Only messages of the user can have images, documents, video and audio."},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{result: answer("x")}
			rt := runtime(f, nil)
			in := c.in
			if in.ModelId == "" {
				in.ModelId = sonnet
			}
			ctx, _ := invocation(t)
			_, err := rt.Converse(ctx, &in)
			wantError(t, err, apierr.Validation, c.want)
			if len(f.requests) > 0 {
				t.Error("the engine was asked")
			}
			// The stream refuses alike, before its head.
			w := &wire{}
			err = rt.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
				ModelId: in.ModelId, Messages: in.Messages, ToolConfig: in.ToolConfig, InferenceConfig: in.InferenceConfig,
				AdditionalModelRequestFields: in.AdditionalModelRequestFields, AdditionalModelResponseFieldPaths: in.AdditionalModelResponseFieldPaths,
				OutputConfig: in.OutputConfig, PromptVariables: in.PromptVariables,
				GuardrailConfig: map[bool]*bedrockruntime.GuardrailStreamConfiguration{true: {}}[in.GuardrailConfig != nil],
			}, &bedrockruntime.ConverseStreamWriter{Raw: w})
			if in.ModelId == embedd {
				wantError(t, err, apierr.Validation, "The model is unsupported for streaming.")
			} else {
				wantError(t, err, apierr.Validation, c.want)
			}
			if w.opened() != 0 {
				t.Error("the stream was opened")
			}
		})
	}
}

func slicesRepeat(b block, n int) []block {
	out := make([]block, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func stream(t *testing.T, rt *Runtime, ctx context.Context, w *wire, change func(*bedrockruntime.ConverseStreamInput)) error {
	t.Helper()
	in := &bedrockruntime.ConverseStreamInput{ModelId: sonnet, Messages: hi(), ToolConfig: toolConfig(nil, "weather", "time")}
	if change != nil {
		change(in)
	}
	return rt.ConverseStream(ctx, in, &bedrockruntime.ConverseStreamWriter{Raw: w})
}

func TestConverseStreamSendsEventsInOrder(t *testing.T) {
	f := &fake{result: engine.Result{
		Parts: []engine.Part{
			{Reasoning: &engine.Reasoning{Text: "hm", Signature: "sig"}}, {Text: "한국어 😀"},
			{ToolCall: &engine.ToolCall{ID: "x", Name: "weather", Arguments: json.RawMessage(`{"a":1}`)}},
			{ToolCall: &engine.ToolCall{ID: "y", Name: "time", Arguments: json.RawMessage(`{}`)}},
		},
		Stop: engine.ToolUse, Usage: engine.Usage{Input: 11, Output: 5},
	}}
	w := &wire{}
	ctx, _ := invocation(t)
	err := stream(t, runtime(f, nil), ctx, w, func(in *bedrockruntime.ConverseStreamInput) {
		in.AdditionalModelResponseFieldPaths = []string{"/stop_reason"}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.all()
	last := got[len(got)-1]
	want := []string{
		"map[MessageStart:map[Role:assistant]]",
		"map[ContentBlockDelta:map[ContentBlockIndex:0 Delta:map[ReasoningContent:map[Text:hm]]]]",
		"map[ContentBlockDelta:map[ContentBlockIndex:0 Delta:map[ReasoningContent:map[Signature:sig]]]]",
		"map[ContentBlockStop:map[ContentBlockIndex:0]]",
		"map[ContentBlockDelta:map[ContentBlockIndex:1 Delta:map[Text:한국어 ]]]",
		"map[ContentBlockDelta:map[ContentBlockIndex:1 Delta:map[Text:😀]]]",
		"map[ContentBlockStop:map[ContentBlockIndex:1]]",
		"map[ContentBlockStart:map[ContentBlockIndex:2 Start:map[ToolUse:map[Name:weather ToolUseId:tooluse_ID1]]]]",
		`map[ContentBlockDelta:map[ContentBlockIndex:2 Delta:map[ToolUse:map[Input:{"a"]]]]`,
		`map[ContentBlockDelta:map[ContentBlockIndex:2 Delta:map[ToolUse:map[Input::1}]]]]`,
		"map[ContentBlockStop:map[ContentBlockIndex:2]]",
		"map[ContentBlockStart:map[ContentBlockIndex:3 Start:map[ToolUse:map[Name:time ToolUseId:tooluse_ID2]]]]",
		"map[ContentBlockDelta:map[ContentBlockIndex:3 Delta:map[ToolUse:map[Input:{}]]]]",
		"map[ContentBlockStop:map[ContentBlockIndex:3]]",
		"map[MessageStop:map[AdditionalModelResponseFields:map[stop_reason:tool_use] StopReason:tool_use]]",
	}
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !strings.Contains(last, "Metadata:") || !strings.Contains(last, "InputTokens:11 OutputTokens:5 TotalTokens:16") || strings.Contains(last, "LatencyMs:0") {
		t.Errorf("metadata %s", last)
	}
	if w.opened() != 1 {
		t.Errorf("opened %d times", w.opened())
	}
}

// The second token is withheld until the client has the first.
func TestStreamsAreIncremental(t *testing.T) {
	for _, native := range []bool{false, true} {
		arrived := make(chan struct{}, 100)
		f := &fake{result: answer("one two three")}
		f.between = func(ctx context.Context, n int) {
			if n == 0 {
				return
			}
			select {
			case <-arrived:
			case <-time.After(5 * time.Second):
				t.Errorf("token %d never reached the client", n)
			case <-ctx.Done():
			}
		}
		w := &wire{}
		w.sent = func(int) error {
			if e := w.all(); strings.Contains(e[len(e)-1], "Text:") || strings.Contains(e[len(e)-1], `"text_delta"`) {
				arrived <- struct{}{}
			}
			return nil
		}
		ctx, _ := invocation(t)
		rt := runtime(f, nil)
		var err error
		if native {
			err = invokeStream(rt, ctx, sonnet, claudeBody, w)
		} else {
			err = stream(t, rt, ctx, w, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorsBeforeTheFirstTokenArePlain(t *testing.T) {
	f := &fake{result: answer("x"), fail: map[string]error{"local-model": &engine.Error{Kind: engine.NotReady, Message: "The model is loading."}}}
	w := &wire{}
	ctx, _ := invocation(t)
	wantError(t, stream(t, runtime(f, nil), ctx, w, nil), apierr.ModelNotReady, "The model is loading.")
	if w.opened() != 0 || len(w.events) != 0 {
		t.Error("the stream was opened")
	}
}

func TestErrorsAfterTheFirstTokenAreFrames(t *testing.T) {
	f := &fake{result: answer("one two three"), failAt: 2, cut: &engine.Error{Kind: engine.Crashed, Message: "The model ended in the middle of its answer."}}
	w := &wire{}
	ctx, _ := invocation(t)
	e := wantError(t, stream(t, runtime(f, nil), ctx, w, nil), apierr.ModelStreamError, "The model ended in the middle of its answer.")
	if e.Detail.OriginalStatus != 502 || e.Detail.OriginalMessage == "" {
		t.Errorf("detail %+v", e.Detail)
	}
	if got := w.all(); len(got) != 3 { // messageStart and two deltas, nothing after
		t.Errorf("events %q", got)
	}
}

func TestSlowModelsGetTheirHeadersEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{result: answer("x"), fail: map[string]error{"local-model": &engine.Error{Kind: engine.NotReady, Message: "Still loading."}}}
		w := &wire{}
		start := time.Now()
		f.between = func(_ context.Context, n int) {
			if n != 0 {
				return
			}
			time.Sleep(4900 * time.Millisecond)
			synctest.Wait()
			if w.opened() != 0 {
				t.Error("opened too early")
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if got := w.all(); w.opened() != 1 || len(got) != 1 || !strings.Contains(got[0], "MessageStart") {
				t.Errorf("after %v: opened %d times, events %q", time.Since(start), w.opened(), got)
			}
		}
		ctx, _ := invocation(t)
		// The head is out, so the exception must be one that the stream knows.
		wantError(t, stream(t, runtime(f, nil), ctx, w, nil), apierr.ServiceUnavailable, "Still loading.")

		f.fail = nil
		w = &wire{}
		if err := stream(t, runtime(f, nil), ctx, w, nil); err != nil {
			t.Fatal(err)
		}
		starts := strings.Count(strings.Join(w.all(), " "), "MessageStart")
		if w.opened() != 1 || starts != 1 {
			t.Errorf("opened %d times, started %d times", w.opened(), starts)
		}
	})
}

func TestTheTimerNeverWritesAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{result: answer("x"), fail: map[string]error{"local-model": &engine.Error{Kind: engine.BadRequest, Message: "No."}}}
		w := &wire{}
		ctx, _ := invocation(t)
		wantError(t, stream(t, runtime(f, nil), ctx, w, nil), apierr.Validation, "No.")
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.opened() != 0 {
			t.Error("opened after the operation had returned")
		}
	})
}

func TestPickNestsAndUnescapes(t *testing.T) {
	const body = `{"a":{"b":[{"c":1},2],"d":null},"x/y":{"~":3}}`
	for want, paths := range map[string][]string{
		`{"a":{"b":{"0":{"c":1}}}}`:        {"/a/b/0/c"},
		`{"a":{"d":null},"x/y":{"~":3}}`:   {"/a/d", "/x~1y/~0", "/none", "/a/b/7", "/a/b/x"},
		`{"a":{"b":[{"c":1},2],"d":null}}`: {"/a"},
		``:                                 {"/none"},
	} {
		if err := checkPointers(paths); err != nil {
			t.Error(err)
		}
		if got := string(pick([]byte(body), paths)); got != want {
			t.Errorf("%q\n got %s\nwant %s", paths, got, want)
		}
	}
}

func TestAClientThatLeavesStopsTheModel(t *testing.T) {
	gone := errors.New("broken pipe")
	f := &fake{result: answer("one two three four")}
	w := &wire{sent: func(n int) error {
		if n == 3 {
			return gone
		}
		return nil
	}}
	ctx, _ := invocation(t)
	if err := stream(t, runtime(f, nil), ctx, w, nil); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if got := len(w.all()); got != 3 {
		t.Errorf("%d events after the client had left", got)
	}
}

func TestChainsAreFollowedBeforeTheFirstByteOnly(t *testing.T) {
	loading := &engine.Error{Kind: engine.NotReady, Message: "Loading."}
	f := &fake{result: answer("x"), fail: map[string]error{"first": loading, "second": &engine.Error{Kind: engine.Crashed, Message: "Died."}}}
	ctx, c := invocation(t)
	if _, err := runtime(f, nil).Converse(ctx, &input{ModelId: chain, Messages: hi()}); err != nil {
		t.Fatal(err)
	}
	if header(c, servedHeader) != "third" || c.Served().Model != "third" {
		t.Errorf("served by %q, %+v", header(c, servedHeader), c.Served())
	}
	// A caller's own error is never tried elsewhere.
	f = &fake{fail: map[string]error{"first": &engine.Error{Kind: engine.TooLong, Limit: 10, Got: 20}}}
	_, err := runtime(f, nil).Converse(ctx, &input{ModelId: chain, Messages: hi()})
	wantError(t, err, apierr.Validation, "Input is too long for requested model.")
	if len(f.requests) != 1 {
		t.Errorf("%d models were asked", len(f.requests))
	}
	f = &fake{result: answer("one two"), failAt: 1, cut: loading}
	w := &wire{}
	err = stream(t, runtime(f, nil), ctx, w, func(in *bedrockruntime.ConverseStreamInput) { in.ModelId = chain })
	wantError(t, err, apierr.ServiceUnavailable, "Loading.")
	if len(f.requests) != 1 {
		t.Errorf("%d models were asked after the first byte", len(f.requests))
	}
}

func TestTheSameBodyWorksOnEveryFamily(t *testing.T) {
	for _, id := range []string{sonnet, claude, novaID, titan, llama2, m7} {
		f := &fake{result: answer("Quartz")}
		ctx, _ := invocation(t)
		out, err := runtime(f, nil).Converse(ctx, &input{ModelId: id, Messages: hi(),
			System:          []bedrockruntime.SystemContentBlock{{Text: new("S")}},
			InferenceConfig: &bedrockruntime.InferenceConfiguration{MaxTokens: new(10), Temperature: new(0.5), TopP: new(0.5)}})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if squeeze(out.Output) != squeeze(&bedrockruntime.ConverseOutputUnion{Message: &message{Role: botRole, Content: []block{text("Quartz")}}}) {
			t.Errorf("%s: %s", id, squeeze(out.Output))
		}
		if r := f.last(); r.MaxTokens != 10 || *r.Temperature != 0.5 || *r.TopP != 0.5 {
			t.Errorf("%s: %+v", id, r.Sampling)
		}
	}
}

func TestTheNeutralWayFillsDefaults(t *testing.T) {
	f := &fake{result: answer("x")}
	ctx, _ := invocation(t)
	_, err := runtime(f, nil).Generate(ctx, llama2, &engine.Request{Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: "hi"}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := f.last(); r.MaxTokens != 512 || *r.Temperature != 0.5 || *r.TopP != 0.9 {
		t.Errorf("%+v", r.Sampling)
	}
}

// Every exception that an operation may answer for an engine's failure is one
// that its model names.
func TestFaultsAreModelled(t *testing.T) {
	kinds := []engine.ErrorKind{
		engine.NotReady, engine.Overloaded, engine.TimedOut, engine.TooLong, engine.BadRequest, engine.Unsupported,
		engine.NoModel, engine.Crashed, engine.BadOutput, engine.NoMemory, engine.Unavailable,
	}
	if len(kinds) != len(faults) {
		t.Errorf("the table has %d kinds", len(faults))
	}
	operations := map[string][]string{}
	streams := map[string][]string{}
	for i := range bedrockruntime.Service.Operations {
		op := &bedrockruntime.Service.Operations[i]
		operations[op.Name] = op.Errors
		if op.Name == "ConverseStream" || op.Name == "InvokeModelWithResponseStream" {
			for _, m := range bedrockruntime.Service.Shapes[op.EventsOut].Exceptions {
				streams[op.Name] = append(streams[op.Name], strings.ToUpper(m.Name[:1])+m.Name[1:])
			}
		}
	}
	has := func(list []string, k apierr.Kind) bool {
		return strings.Contains(" "+strings.Join(list, " ")+" ", " "+string(k)+" ")
	}
	tg := target(sonnet, catalog.ClaudeMessages, nil)
	for _, k := range kinds {
		e := &engine.Error{Kind: k, Message: "m", Hint: "Do this."}
		for _, op := range []string{"InvokeModel", "Converse", "ConverseStream", "InvokeModelWithResponseStream"} {
			if got := apierr.KindOf(fault(e, plain, tg, nil)); !has(operations[op], got) {
				t.Errorf("%s: %s is not an error of %s", k, got, op)
			}
		}
		if got := apierr.KindOf(fault(e, counting, tg, nil)); !has(operations["CountTokens"], got) {
			t.Errorf("%s: %s is not an error of CountTokens", k, got)
		}
		if got := apierr.KindOf(fault(e, chatFrames, tg, nil)); !has(streams["ConverseStream"], got) {
			t.Errorf("%s: %s is not an exception of ConverseStream", k, got)
		}
		if got := apierr.KindOf(fault(e, invokeFrames, tg, nil)); !has(streams["InvokeModelWithResponseStream"], got) {
			t.Errorf("%s: %s is not an exception of InvokeModelWithResponseStream", k, got)
		}
	}
	if err := fault(context.Canceled, plain, tg, nil); !errors.Is(err, context.Canceled) || apierr.KindOf(err) != apierr.InternalServer {
		t.Errorf("the caller's own end became %v", err)
	}
	wantError(t, fault(&engine.Error{Kind: engine.Unavailable, Message: "No engine is installed.", Hint: "Run outcrop engine install."}, plain, tg, nil),
		apierr.ServiceUnavailable, "No engine is installed. Run outcrop engine install.")
}
