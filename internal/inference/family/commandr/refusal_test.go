package commandr

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var model = family.Model{ID: "cohere.command-r-v1:0"}

func with(rest string) string { return `{"message":"x",` + rest + `}` }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("not JSON", model, `{`, "Malformed input request, please reformat your input and try again."),
		familytest.No("another family's body", model, `{"prompt":"x"}`, m("#: required key [message] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("temperature", model, with(`"temperature":1.1`), m("#/temperature: 1.1 is not less or equal to 1")),
		familytest.No("p", model, with(`"p":1`), m("#/p: 1 is not less or equal to 0.99")),
		familytest.No("p zero", model, with(`"p":0`), m("#/p: 0 is not greater or equal to 0.01")),
		familytest.No("k", model, with(`"k":501`), m("#/k: 501 is not less or equal to 500")),
		familytest.No("k not whole", model, with(`"k":0.5`), m("#/k: 0.5 is not a multiple of 1")),
		familytest.No("tokens", model, with(`"max_tokens":4097`), m("#/max_tokens: 4097 is not less or equal to 4096")),
		familytest.No("role", model, with(`"chat_history":[{"role":"user","message":"x"}]`), m("#/chat_history/0/role: user is not a valid enum value")),
		familytest.No("penalty", model, with(`"presence_penalty":2`), m("#/presence_penalty: 2 is not less or equal to 1")),
		familytest.No("truncation", model, with(`"prompt_truncation":"AUTO"`), m("#/prompt_truncation: AUTO is not a valid enum value")),
		familytest.No("parameter without a type", model, with(`"tools":[{"name":"a","parameter_definitions":{"p":{}}}]`), m("#/tools/0/parameter_definitions/p: required key [type] not found")),
		familytest.No("result without a call", model, with(`"tool_results":[{"outputs":[]}]`), m("#/tool_results/0: required key [call] not found")),
		familytest.No("nothing to answer", model, `{"message":""}`, "invalid request: message must be at least 1 token long or tool results must be specified."),
		familytest.No("search queries", model, with(`"search_queries_only":true`), "search_queries_only is not built in Outcrop: the local model writes answers, no search queries."),
	})
}

func TestSingleStepResults(t *testing.T) {
	c, err := Codec{}.Decode(model, []byte(with(`"tool_results":[{"call":{"name":"a","parameters":{"p":1}},"outputs":[{"q":2}]}]`)))
	if err != nil {
		t.Fatal(err)
	}
	ms := c.Generate[0].Messages
	if len(ms) != 3 || ms[0].Parts[0].Text != "x" || ms[1].Parts[0].ToolCall == nil || ms[2].Parts[0].ToolResult == nil ||
		ms[1].Parts[0].ToolCall.ID != ms[2].Parts[0].ToolResult.ID {
		t.Errorf("got %+v", ms)
	}
}

func TestConverse(t *testing.T) {
	r := &engine.Request{}
	if err := (Codec{}).Converse(r, family.Tree([]byte(`{"k":3,"seed":9}`)), model); err != nil {
		t.Fatal(err)
	}
	if r.MaxTokens != 4096 || *r.Temperature != 0.3 || *r.TopP != 0.75 || *r.TopK != 3 || *r.Seed != 9 {
		t.Errorf("got %+v", r.Sampling)
	}
	if err := (Codec{}).Converse(&engine.Request{}, family.Tree([]byte(`{"preamble":"x"}`)), model); err == nil {
		t.Error("an unknown field was taken")
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, Codec{}, model, with(`"return_prompt":true,"documents":[{"a":1}]`), with(`"raw_prompting":true`))
}
