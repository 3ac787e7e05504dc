package anthropic

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	claude3  = family.Model{ID: "anthropic.claude-3-sonnet-20240229-v1:0", MaxOutput: 4096}
	claude2  = family.Model{ID: "anthropic.claude-v2", MaxOutput: 4096}
	claude21 = family.Model{ID: "anthropic.claude-v2:1", MaxOutput: 4096}
)

func grey(t *testing.T, width, height int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func imageBlock(data string) string {
	return `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + data + `"}}`
}

func messages(content string) string {
	return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":` + content + `}`
}

func user(content string) string { return messages(`[{"role":"user","content":` + content + `}]`) }

func TestRefusals(t *testing.T) {
	pixel := grey(t, 1, 1)
	big := strings.Repeat("A", 6418576)
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("not JSON", claude3, `{`, "Malformed input request, please reformat your input and try again."),
		familytest.No("a prompt on Claude 3", claude3, `{"prompt":"\n\nHuman: a\n\nAssistant:","max_tokens_to_sample":9}`,
			`"claude-3-sonnet-20240229" is not supported on this API. Please use the Messages API instead.`),
		familytest.No("another family's body", claude3, `{"inputText":"x"}`,
			m("#: required key [anthropic_version] not found", "#: required key [max_tokens] not found", "#: required key [messages] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("another family's body on Claude 2", claude2, `{"inputText":"x"}`,
			m("#: required key [prompt] not found", "#: required key [max_tokens_to_sample] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("both forms", claude2, `{"prompt":"x","messages":[],"anthropic_version":"bedrock-2023-05-31","max_tokens":3}`,
			m("#: extraneous key [prompt] is not permitted", "#/messages: expected minimum item count: 1, found: 0")),
		familytest.No("version missing", claude3, `{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, m("#: required key [anthropic_version] not found")),
		familytest.No("version of the public API", claude3, `{"anthropic_version":"2023-06-01","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`,
			m("#/anthropic_version: 2023-06-01 is not a valid enum value")),
		familytest.No("stream is not a key", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]}`,
			m("#: extraneous key [stream] is not permitted")),
		familytest.No("role system", claude3, messages(`[{"role":"system","content":"x"}]`), m("#/messages/0/role: system is not a valid enum value")),
		familytest.No("first message of the assistant", claude3, messages(`[{"role":"assistant","content":"x"}]`), `messages: first message must use the "user" role`),
		familytest.No("empty content", claude3, user(`""`), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
		familytest.No("empty content list", claude3, user(`[]`), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
		familytest.No("empty text", claude3, user(`[{"type":"text","text":""}]`), "messages: text content blocks must be non-empty"),
		familytest.No("prefill ends in blank", claude3, messages(`[{"role":"user","content":"a"},{"role":"assistant","content":"b "}]`), "messages: final assistant content cannot end with trailing whitespace"),
		familytest.No("temperature", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"temperature":1.5,"messages":[{"role":"user","content":"x"}]}`,
			m("#/temperature: 1.5 is not less or equal to 1")),
		familytest.No("max_tokens zero", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":0,"messages":[{"role":"user","content":"x"}]}`,
			m("#/max_tokens: 0 is not greater or equal to 1")),
		familytest.No("max_tokens over the model's", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":5000,"messages":[{"role":"user","content":"x"}]}`,
			"max_tokens: 5000 > 4096, which is the maximum allowed number of output tokens for claude-3-sonnet-20240229"),
		familytest.No("stop sequences", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"stop_sequences":["a"`+strings.Repeat(`,"a"`, 8191)+`],"messages":[{"role":"user","content":"x"}]}`,
			m("#/stop_sequences: expected maximum item count: 8191, found: 8192")),
		familytest.No("top_k null", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"top_k":null,"messages":[{"role":"user","content":"x"}]}`,
			m("#/top_k: expected type: Integer, found: Null")),
		familytest.No("content of the wrong type", claude3, user(`3`), m("#/messages/0/content: expected type: String, found: Integer")),
		familytest.No("unknown block", claude3, user(`[{"type":"video"}]`), m("#/messages/0/content/0/type: video is not a valid enum value")),
		familytest.No("extra key in a block", claude3, user(`[{"type":"text","text":"a","x":1}]`), m("#/messages/0/content/0: extraneous key [x] is not permitted")),
		familytest.No("media type", claude3, user(`[{"type":"image","source":{"type":"base64","media_type":"image/bmp","data":"`+pixel+`"}}]`),
			m("#/messages/0/content/0/source/media_type: image/bmp is not a valid enum value")),
		familytest.No("image too big", claude3, user(`[{"type":"text","text":"a"},`+imageBlock(big)+`]`),
			"messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6418576 bytes > 5242880 bytes"),
		familytest.No("image too wide", claude3, user(`[`+imageBlock(grey(t, 8001, 1))+`]`),
			"messages.0.content.0.image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000 pixels"),
		familytest.No("not an image", claude3, user(`[`+imageBlock("AAAA")+`]`), "messages.0.content.0.image.source.base64.data: Could not process image"),
		familytest.No("not base64", claude3, user(`[`+imageBlock("!")+`]`), "messages.0.content.0.image.source.base64.data: Invalid base64 data"),
		familytest.No("21 images", claude3, user(`[`+imageBlock(pixel)+strings.Repeat(","+imageBlock(pixel), 20)+`]`),
			"messages: Too much media: 0 document pages + 21 images > 20"),
		familytest.No("image of the assistant", claude3, messages(`[{"role":"user","content":"a"},{"role":"assistant","content":[`+imageBlock(pixel)+`]}]`),
			`messages.1.content.0: image blocks may only stand in "user" messages`),
		familytest.No("document as PDF", claude3, user(`[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]`),
			`messages.0.content.0.document.source.base64: documents of type application/pdf are not built yet in Outcrop; they come with knowledge bases. Send the document's text as a source of type "text".`),
		familytest.No("tool choice without tools", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"tool_choice":{"type":"any"},"messages":[{"role":"user","content":"x"}]}`,
			"tool_choice may only be specified while providing tools."),
		familytest.No("tool choice of an unknown tool", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"tools":[{"name":"a","input_schema":{}}],"tool_choice":{"type":"tool","name":"b"},"messages":[{"role":"user","content":"x"}]}`,
			"Tool 'b' not found in provided tools"),
		familytest.No("tool without schema", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"tools":[{"name":"a"}],"messages":[{"role":"user","content":"x"}]}`,
			m("#/tools/0: required key [input_schema] not found")),
		familytest.No("tool of the service", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"tools":[{"type":"bash_20250124","name":"bash"}],"messages":[{"role":"user","content":"x"}]}`,
			"tools.0: tools of type 'bash_20250124' are run by the service itself and are not built in Outcrop; give the tool with name and input_schema"),
		familytest.No("result without call", claude3, user(`[{"type":"tool_result","tool_use_id":"t1","content":"x"}]`),
			"messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."),
		familytest.No("call without result", claude3, messages(`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"n","input":{}}]},{"role":"user","content":"b"}]`),
			"messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` block must have a corresponding `tool_result` block in the next message."),
		familytest.No("thinking budget", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":100},"messages":[{"role":"user","content":"x"}]}`,
			"thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"),
		familytest.No("thinking over max_tokens", claude3, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":"x"}]}`,
			"`max_tokens` must be greater than `thinking.budget_tokens`."),

		familytest.No("no Human", claude2, `{"prompt":"tell me a joke","max_tokens_to_sample":9}`, "prompt must start with \"\n\nHuman:\" turn after an optional system prompt"),
		familytest.No("no Assistant", claude2, `{"prompt":"\n\nHuman: tell me a joke","max_tokens_to_sample":9}`, "Invalid prompt: prompt must end with \"\n\nAssistant:\" turn"),
		familytest.No("length missing", claude2, `{"prompt":"\n\nHuman: a\n\nAssistant:"}`, m("#: required key [max_tokens_to_sample] not found")),
		familytest.No("length", claude2, `{"prompt":"\n\nHuman: a\n\nAssistant:","max_tokens_to_sample":4097}`, m("#/max_tokens_to_sample: 4097 is not less or equal to 4096")),
		familytest.No("top_k of completions", claude2, `{"prompt":"\n\nHuman: a\n\nAssistant:","max_tokens_to_sample":9,"top_k":501}`, m("#/top_k: 501 is not less or equal to 500")),
	})
}

// The forms that programs in the wild send, the guide's own among them.
func TestAccepted(t *testing.T) {
	prompts := []string{"Human: x\n\nAssistant:", "Human: x Assistant:", "\n\nHuman:\nP\n\nAssistant:\n", "System.\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"}
	for _, p := range prompts {
		familytest.Accept(t, Codec{}, claude21, fmt.Sprintf(`{"prompt":%q,"max_tokens_to_sample":200,"temperature":0.5,"stop_sequences":[]}`, p))
	}
	familytest.Accept(t, Codec{}, claude3,
		user(`"x"`),
		messages(`[{"role":"user","content":"a"},{"role":"assistant","content":""}]`),
		messages(`[{"role":"user","content":"a"},{"role":"user","content":"b"}]`),
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":10.0,"temperature":0,"top_p":1,"anthropic_beta":["x"],"messages":[{"role":"user","content":"a"}]}`,
	)
}

func TestEmulatedName(t *testing.T) {
	for id, want := range map[string]string{
		"anthropic.claude-v2":                       "claude-2.0",
		"anthropic.claude-v2:1":                     "claude-2.1",
		"anthropic.claude-instant-v1":               "claude-instant-1.2",
		"anthropic.claude-3-5-sonnet-20240620-v1:0": "claude-3-5-sonnet-20240620",
		"anthropic.claude-haiku-4-5-20251001-v1:0":  "claude-haiku-4-5-20251001",
		"anthropic.claude-sonnet-4-6":               "claude-sonnet-4-6",
	} {
		if got := emulatedName(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, Codec{}, claude21, `{"prompt":"Human: x Assistant:","max_tokens_to_sample":9}`)
}

func FuzzDecodeMessages(f *testing.F) { familytest.Fuzz(f, Codec{}, claude3) }

func BenchmarkDecodeMessages(b *testing.B) {
	body := []byte(user(`[{"type":"text","text":"Write a short story about two dogs and a very long river."}]`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).Decode(claude3, body); err != nil {
			b.Fatal(err)
		}
	}
}
