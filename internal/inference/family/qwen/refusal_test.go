package qwen

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var qwen3 = family.Model{ID: "qwen.qwen3-32b-v1:0"}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("no messages", qwen3, `{"prompt":"x"}`, m("#: required key [messages] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("several answers", qwen3, `{"messages":[{"role":"user","content":"x"}],"n":2}`, m("#/n: 2 is not less or equal to 1")),
		familytest.No("schema missing", qwen3, `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{}}}`,
			m("#/response_format/json_schema: required key [schema] not found")),
		familytest.No("choice without tools", qwen3, `{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}`, "tool_choice may only be given with tools"),
		familytest.No("choice of an unknown tool", qwen3, `{"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function","function":{"name":"f"}}}`,
			`tool_choice names the function "f", which is not among the tools`),
		familytest.No("arguments that are no JSON", qwen3, `{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}]}`,
			"messages.1.tool_calls.0.function.arguments: not a JSON object"),
	})
	familytest.Accept(t, New(), qwen3, `{"messages":[{"role":"user","content":"x"}],"temperature":null,"stop":null,"top_k":-1}`)
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(), qwen3) }
