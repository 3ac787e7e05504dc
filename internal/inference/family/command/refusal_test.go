package command

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var command = family.Model{ID: "cohere.command-text-v14", Context: 4096}

func with(rest string) string { return `{"prompt":"x",` + rest + `}` }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("not JSON", command, `{`, "Malformed input request, please reformat your input and try again."),
		familytest.No("another family's body", command, `{"inputText":"x"}`, m("#: required key [prompt] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("temperature", command, with(`"temperature":5.1`), m("#/temperature: 5.1 is not less or equal to 5")),
		familytest.No("p", command, with(`"p":1.5`), m("#/p: 1.5 is not less or equal to 1")),
		familytest.No("k", command, with(`"k":501`), m("#/k: 501 is not less or equal to 500")),
		familytest.No("k not whole", command, with(`"k":1.5`), m("#/k: 1.5 is not a multiple of 1")),
		familytest.No("no tokens", command, with(`"max_tokens":0`), m("#/max_tokens: 0 is not greater or equal to 1")),
		familytest.No("many tokens", command, with(`"max_tokens":4097`), m("#/max_tokens: 4097 is not less or equal to 4096")),
		familytest.No("five stops", command, with(`"stop_sequences":["a","b","c","d","e"]`), m("#/stop_sequences: expected maximum item count: 4, found: 5")),
		familytest.No("six generations", command, with(`"num_generations":6`), m("#/num_generations: 6 is not less or equal to 5")),
		familytest.No("likelihoods", command, with(`"return_likelihoods":"none"`), m("#/return_likelihoods: none is not a valid enum value")),
		familytest.No("truncate", command, with(`"truncate":"LEFT"`), m("#/truncate: LEFT is not a valid enum value")),
		familytest.No("stream", command, with(`"stream":"yes"`), m("#/stream: expected type: Boolean, found: String")),
		familytest.No("bias too large", command, with(`"logit_bias":{"11":11}`), m("#/logit_bias/11: 11 is not less or equal to 10")),
		familytest.No("bias of no number", command, with(`"logit_bias":{"a":null}`), m("#/logit_bias/a: expected type: Number, found: Null")),
		familytest.No("bias by number", command, with(`"logit_bias":{"11":1}`), "logit_bias names the token 11 of Command's vocabulary, which the local model does not have: name the token by its text."),
	})
}

func TestAccepted(t *testing.T) {
	familytest.Accept(t, Codec{}, command, with(`"temperature":5,"p":0,"k":500.0,"max_tokens":4096,"truncate":"NONE","stop_sequences":[]`))
}

func TestTruncation(t *testing.T) {
	for body, want := range map[string]string{
		`{"prompt":"x"}`: "END", with(`"truncate":"START"`): "START", with(`"truncate":"END"`): "END", with(`"truncate":"NONE"`): "",
	} {
		c, err := Codec{}.Decode(command, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := (Codec{}).Truncation(c); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestConverse(t *testing.T) {
	fields := family.Tree([]byte(`{"k":3,"logit_bias":{" a":-10}}`))
	r := &engine.Request{}
	if err := (Codec{}).Converse(r, fields, command); err != nil {
		t.Fatal(err)
	}
	if r.MaxTokens != maxOutput || *r.Temperature != 0.9 || *r.TopP != 0.75 || *r.TopK != 3 || r.LogitBias[" a"] != -10 {
		t.Errorf("got %+v", r.Sampling)
	}
	if err := (Codec{}).Converse(&engine.Request{}, family.Tree([]byte(`{"top_k":3}`)), command); err == nil {
		t.Error("an unknown field was taken")
	}
	if err := (Codec{}).Converse(&engine.Request{Sampling: engine.Sampling{MaxTokens: 5000}}, family.Value{}, command); err == nil {
		t.Error("too many tokens were taken")
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, Codec{}, command, with(`"stream":true,"num_generations":3,"return_likelihoods":"ALL"`))
}
