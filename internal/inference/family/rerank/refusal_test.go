package rerank

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	cohereModel = family.Model{ID: "cohere.rerank-v3-5:0"}
	amazonModel = family.Model{ID: "amazon.rerank-v1:0"}
)

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	many := `{"query":"x","api_version":2,"documents":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 1001), ",") + `]}`
	familytest.Refuse(t, Codec{}, []familytest.Refusal{
		familytest.No("nothing", cohereModel, `{}`, m("#: required key [query] not found", "#: required key [documents] not found", "#: required key [api_version] not found")),
		familytest.No("old version", cohereModel, `{"query":"x","documents":["a"],"api_version":1}`, m("#/api_version: 1 is not greater or equal to 2")),
		familytest.No("no documents", amazonModel, `{"query":"x","documents":[]}`, m("#/documents: expected minimum item count: 1, found: 0")),
		familytest.No("many documents", cohereModel, many, m("#/documents: expected maximum item count: 1000, found: 1001")),
		familytest.No("empty query", amazonModel, `{"query":"","documents":["a"]}`, m("#/query: expected minLength: 1, actual: 0")),
		familytest.No("empty document", amazonModel, `{"query":"x","documents":["a",""]}`, m("#/documents/1: expected minLength: 1, actual: 0")),
		familytest.No("top_n", amazonModel, `{"query":"x","documents":["a"],"top_n":0}`, m("#/top_n: 0 is not greater or equal to 1")),
		familytest.No("unknown key", amazonModel, `{"query":"x","documents":["a"],"return_documents":true}`, m("#: extraneous key [return_documents] is not permitted")),
	})
}

func TestTopNBeyondTheDocumentsIsAll(t *testing.T) {
	familytest.Accept(t, Codec{}, amazonModel, `{"query":"x","documents":["a"],"top_n":9}`)
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, Codec{}, cohereModel) }
