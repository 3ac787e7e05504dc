package llama

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	llama2 = family.Model{ID: "meta.llama2-13b-chat-v1", Context: 4096}
	llama4 = family.Model{ID: "meta.llama4-scout-17b-instruct-v1:0", Vision: true}
)

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("stop sequences", llama2, `{"prompt":"x","stop_sequences":["a"]}`, m("#: extraneous key [stop_sequences] is not permitted")),
		familytest.No("prompt missing", llama2, `{"inputText":"x"}`, m("#: required key [prompt] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("max_gen_len", llama2, `{"prompt":"x","max_gen_len":2049}`, m("#/max_gen_len: 2049 is not less or equal to 2048")),
		familytest.No("max_gen_len zero", llama2, `{"prompt":"x","max_gen_len":0}`, m("#/max_gen_len: 0 is not greater or equal to 1")),
		familytest.No("temperature", llama2, `{"prompt":"x","temperature":2}`, m("#/temperature: 2 is not less or equal to 1")),
		familytest.No("prompt of the wrong type", llama2, `{"prompt":["x"]}`, m("#/prompt: expected type: String, found: JSONArray")),
		familytest.No("images on a blind model", llama2, `{"prompt":"x","images":[]}`, m("#: extraneous key [images] is not permitted")),
		familytest.No("broken image", llama4, `{"prompt":"x","images":["AAAA"]}`, m("#/images/0: not an image in base64")),
	})
	familytest.Accept(t, Codec{}, llama2, `{"prompt":"x","max_gen_len":2048,"temperature":0,"top_p":0}`, `{"prompt":"x","top_p":1.0}`)
	familytest.Accept(t, Codec{}, llama4, `{"prompt":"x","max_gen_len":8192}`)
}

func TestTooLong(t *testing.T) {
	const want = "This model's maximum context length is 4096 tokens. Please reduce the length of the prompt"
	if got := (Codec{}).TooLong(llama2, 0, 0); got != want {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, Codec{}, llama4) }
