package palmyra

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var x5 = family.Model{ID: "writer.palmyra-x5-v1:0"}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("another family's body", x5, `{"prompt":"x"}`, m("#: required key [messages] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("tokens", x5, `{"messages":[{"role":"user","content":"x"}],"max_tokens":8193}`, m("#/max_tokens: 8193 is not less or equal to 8192")),
	})
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(), x5) }
