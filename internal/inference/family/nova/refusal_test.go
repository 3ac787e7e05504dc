package nova

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var lite = family.Model{ID: "amazon.nova-lite-v1:0", MaxOutput: 10000}

func user(rest string) string {
	return `{"messages":[{"role":"user","content":[{"text":"x"}]}]` + rest + `}`
}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("another family's body", lite, `{"inputText":"x"}`, m("#: required key [messages] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("content as a string", lite, `{"messages":[{"role":"user","content":"x"}]}`, m("#/messages/0/content: expected type: JSONArray, found: String")),
		familytest.No("max tokens", lite, user(`,"inferenceConfig":{"maxTokens":10001}`), m("#/inferenceConfig/maxTokens: 10001 is not less or equal to 10000")),
		familytest.No("topK", lite, user(`,"inferenceConfig":{"topK":129}`), m("#/inferenceConfig/topK: 129 is not less or equal to 128")),
		familytest.No("schemaVersion", lite, user(`,"schemaVersion":"v2"`), m("#/schemaVersion: v2 is not a valid enum value")),
		familytest.No("assistant first", lite, `{"messages":[{"role":"assistant","content":[{"text":"x"}]}]}`, "A conversation must start with a user message. Try again with a conversation that starts with a user message."),
		familytest.No("two users", lite, `{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"user","content":[{"text":"x"}]}]}`,
			"A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again."),
		familytest.No("blank text", lite, `{"messages":[{"role":"user","content":[{"text":" "}]}]}`,
			"The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again."),
		familytest.No("no content", lite, `{"messages":[{"role":"user","content":[]}]}`,
			"The content field in the Message object at messages.0 is empty. Add a ContentBlock object to the content field and try again."),
		familytest.No("empty block", lite, `{"messages":[{"role":"user","content":[{}]}]}`, "The ContentBlock object at messages.0.content.0 must have exactly one field, and has 0."),
		familytest.No("video", lite, `{"messages":[{"role":"user","content":[{"video":{}}]}]}`,
			"This model doesn't support the video content block that you provided. Update the content block and try again."),
		familytest.No("result without call", lite, `{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"t","content":[]}}]}]}`,
			"The number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn."),
		familytest.No("call without result", lite, `{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"n","input":{}}}]},{"role":"user","content":[{"text":"x"}]}]}`,
			"Expected toolResult blocks at messages.2.content for the following Ids: t"),
		familytest.No("unknown tool choice", lite, user(`,"toolConfig":{"tools":[{"toolSpec":{"name":"a","inputSchema":{"json":{}}}}],"toolChoice":{"tool":{"name":"b"}}}`),
			"The toolConfig.toolChoice.tool.name value b is not the name of a tool in toolConfig.tools."),
	})
	familytest.Accept(t, Codec{}, lite, user(``), user(`,"inferenceConfig":{"max_new_tokens":1000}`))
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, Codec{}, lite) }
