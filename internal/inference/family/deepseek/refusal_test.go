package deepseek

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var r1 = family.Model{ID: "deepseek.r1-v1:0"}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("neither form", r1, `{"inputText":"x"}`, m("#: required key [prompt] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("max_tokens", r1, `{"prompt":"x","max_tokens":32769}`, m("#/max_tokens: 32769 is not less or equal to 32768")),
		familytest.No("11 stops", r1, `{"prompt":"x","stop":["a","a","a","a","a","a","a","a","a","a","a"]}`, m("#/stop: expected maximum item count: 10, found: 11")),
		familytest.No("unknown key beside messages", r1, `{"messages":[{"role":"user","content":"x"}],"inferenceConfig":{}}`, m("#: extraneous key [inferenceConfig] is not permitted")),
	})
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(), r1) }
