package mistral

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	m7      = family.Model{ID: "mistral.mistral-7b-instruct-v0:2"}
	mixtral = family.Model{ID: "mistral.mixtral-8x7b-instruct-v0:1"}
	large   = family.Model{ID: "mistral.mistral-large-2402-v1:0"}
)

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("messages on an instruct model", m7, `{"messages":[]}`, m("#: required key [prompt] not found", "#: extraneous key [messages] is not permitted")),
		familytest.No("11 stops", m7, `{"prompt":"x","stop":["a","a","a","a","a","a","a","a","a","a","a"]}`, m("#/stop: expected maximum item count: 10, found: 11")),
		familytest.No("top_k zero", m7, `{"prompt":"x","top_k":0}`, m("#/top_k: 0 is not greater or equal to 1")),
		familytest.No("top_k", m7, `{"prompt":"x","top_k":201}`, m("#/top_k: 201 is not less or equal to 200")),
		familytest.No("max_tokens of 7B", m7, `{"prompt":"x","max_tokens":8193}`, m("#/max_tokens: 8193 is not less or equal to 8192")),
		familytest.No("max_tokens of 8x7B", mixtral, `{"prompt":"x","max_tokens":4097}`, m("#/max_tokens: 4097 is not less or equal to 4096")),
		familytest.No("stop of the wrong type", m7, `{"prompt":"x","stop":"a"}`, m("#/stop: expected type: JSONArray, found: String")),
		familytest.No("role", large, `{"messages":[{"role":"robot","content":"x"}]}`, m("#/messages/0/role: robot is not a valid enum value")),
		familytest.No("temperature of the older chat form", large, `{"messages":[{"role":"user","content":"x"}],"temperature":1.5}`, m("#/temperature: 1.5 is not less or equal to 1")),
		familytest.No("unknown tool choice", large, `{"messages":[{"role":"user","content":"x"}],"tool_choice":"some"}`, m("#/tool_choice: some is not a valid enum value")),
		familytest.No("answer to no call", large, `{"messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"c","content":"y"}]}`,
			`messages.1: the tool message answers tool_call_id "c", which no earlier assistant message has called`),
		familytest.No("content of the wrong kind", large, `{"messages":[{"role":"user","content":3}]}`, m("#/messages/0/content: expected type: String, found: Integer")),
		familytest.No("image at an address", large, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://example.com/a.png"}}]}]}`,
			"#/messages/0/content/0/image_url: images must be given as data URLs in base64"),
		familytest.No("nobody speaks", large, `{"messages":[{"role":"system","content":"x"}]}`, "messages: at least one message of the user is needed"),
	})
	familytest.Accept(t, New(), m7, `{"prompt":"x","max_tokens":8192}`, `{"prompt":"[INST] hi [/INST>","max_tokens":200,"temperature":0.5}`)
	familytest.Accept(t, New(), large, `{"prompt":"<s>[INST] x [/INST]"}`)
}

func FuzzDecode(f *testing.F)     { familytest.Fuzz(f, New(), m7) }
func FuzzDecodeChat(f *testing.F) { familytest.Fuzz(f, New(), large) }
