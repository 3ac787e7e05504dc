package jamba

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var large = family.Model{ID: "ai21.jamba-1-5-large-v1:0"}

func with(rest string) string { return `{"messages":[{"role":"user","content":"x"}],` + rest + `}` }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("another family's body", large, `{"prompt":"x"}`, m("#: required key [messages] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("no messages", large, `{"messages":[]}`, m("#/messages: expected minimum item count: 1, found: 0")),
		familytest.No("role", large, `{"messages":[{"role":"bot","content":"x"}]}`, m("#/messages/0/role: bot is not a valid enum value")),
		familytest.No("answers", large, with(`"n":17`), m("#/n: 17 is not less or equal to 16")),
		familytest.No("tokens", large, with(`"max_tokens":4097`), m("#/max_tokens: 4097 is not less or equal to 4096")),
		familytest.No("temperature", large, with(`"temperature":2.1`), m("#/temperature: 2.1 is not less or equal to 2")),
		familytest.No("top_p", large, with(`"top_p":1.1`), m("#/top_p: 1.1 is not less or equal to 1")),
		familytest.No("stops", large, with(`"stop":[`+strings.TrimSuffix(strings.Repeat(`"a",`, 17), ",")+`]`), m("#/stop: expected maximum item count: 16, found: 17")),
		familytest.No("top_k", large, with(`"top_k":1`), m("#: extraneous key [top_k] is not permitted")),
	})
}

func TestConverse(t *testing.T) {
	r := &engine.Request{}
	if err := (Codec{}).Converse(r, family.Tree([]byte(`{"frequency_penalty":0.5}`)), large); err != nil {
		t.Fatal(err)
	}
	if r.MaxTokens != 4096 || *r.Temperature != 1 || *r.TopP != 1 || *r.FrequencyPenalty != 0.5 {
		t.Errorf("got %+v", r.Sampling)
	}
	if err := (Codec{}).Converse(&engine.Request{}, family.Tree([]byte(`{"n":2}`)), large); err == nil {
		t.Error("several answers were taken")
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, Codec{}, large, with(`"n":3,"documents":[{"content":"x"}]`))
}
