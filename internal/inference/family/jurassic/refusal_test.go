package jurassic

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var mid = family.Model{ID: "ai21.j2-mid-v1"}

func with(rest string) string { return `{"prompt":"x",` + rest + `}` }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("another family's body", mid, `{"inputText":"x"}`, m("#: required key [prompt] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("temperature", mid, with(`"temperature":1.1`), m("#/temperature: 1.1 is not less or equal to 1")),
		familytest.No("topP", mid, with(`"topP":-0.1`), m("#/topP: -0.1 is not greater or equal to 0")),
		familytest.No("tokens", mid, with(`"maxTokens":8192`), m("#/maxTokens: 8192 is not less or equal to 8191")),
		familytest.No("tokens of a small model", family.Model{ID: "ai21.j2-light"}, with(`"maxTokens":2049`), m("#/maxTokens: 2049 is not less or equal to 2048")),
		familytest.No("count penalty", mid, with(`"countPenalty":{"scale":1.1}`), m("#/countPenalty/scale: 1.1 is not less or equal to 1")),
		familytest.No("presence penalty", mid, with(`"presencePenalty":{"scale":5.1}`), m("#/presencePenalty/scale: 5.1 is not less or equal to 5")),
		familytest.No("frequency penalty", mid, with(`"frequencyPenalty":{"scale":501}`), m("#/frequencyPenalty/scale: 501 is not less or equal to 500")),
		familytest.No("class of tokens", mid, with(`"presencePenalty":{"scale":1,"applyToEmojis":"yes"}`), m("#/presencePenalty/applyToEmojis: expected type: Boolean, found: String")),
		familytest.No("unknown class", mid, with(`"presencePenalty":{"applyToPunctuation":true}`), m("#/presencePenalty: extraneous key [applyToPunctuation] is not permitted")),
	})
}

func TestAccepted(t *testing.T) {
	familytest.Accept(t, Codec{}, mid, with(`"presencePenalty":{"scale":5},"maxTokens":0`), with(`"maxTokens":8191`))
}

func TestDoesNotStream(t *testing.T) {
	if (Codec{}).Streams(mid) || (Codec{}).Stream(&family.Call{}) != nil {
		t.Error("it streams")
	}
}

func TestConverse(t *testing.T) {
	r := &engine.Request{}
	if err := (Codec{}).Converse(r, family.Tree([]byte(`{"countPenalty":{"scale":0.5}}`)), mid); err != nil {
		t.Fatal(err)
	}
	if r.MaxTokens != 200 || *r.Temperature != 0.5 || *r.TopP != 0.5 || *r.FrequencyPenalty != 0.5 {
		t.Errorf("got %+v", r.Sampling)
	}
	if err := (Codec{}).Converse(&engine.Request{Sampling: engine.Sampling{MaxTokens: 9000}}, family.Value{}, mid); err == nil {
		t.Error("too many tokens were taken")
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, Codec{}, mid) }
