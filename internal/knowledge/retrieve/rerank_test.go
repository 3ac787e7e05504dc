package retrieve_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// last is a reranker that likes what ends with a late letter.
func last(_, text string) float64 { return float64(text[len(text)-1]-'a') / 25 }

func reranking(members string) string {
	return vectorConfig(`"rerankingConfiguration":{"type":"BEDROCK_RERANKING_MODEL","bedrockRerankingConfiguration":{"modelConfiguration":{"modelArn":"` + rerankARN + `"}` + members + `}}`)
}

func TestResultsAreReranked(t *testing.T) {
	h := newHouse(t)
	h.score = last
	for _, id := range []string{"a", "q", "z", "m", "c"} {
		h.put(chunk(id, "pump "+id, vector.Metadata{
			"genre": vector.StringValue("g-" + id), "year": vector.NumberValue(2024), "draft": vector.BoolValue(false), "tags": vector.ListValue("x", "y"),
			knowledge.AttributeChunk: vector.StringValue(id),
		}))
	}
	const ask = `{"retrievalQuery":{"text":"pump"}`
	if got := h.texts(ask + reranking("") + `}`); !slices.Equal(got, []string{"pump z", "pump q", "pump m", "pump c", "pump a"}) {
		t.Errorf("order %v", got)
	}
	if d := cmp.Diff([]string{"active", "acting", "may bedrock:Rerank *", "may invoke " + rerankARN, "index", "embed", "rerank " + rerankARN}, h.asked); d != "" {
		t.Error(d)
	}
	if got := h.must(ask + reranking(`,"numberOfRerankedResults":2`) + `}`).RetrievalResults; len(got) != 2 || *got[0].Content.Text != "pump z" || *got[0].Score != 1 {
		t.Errorf("two best: %v", got)
	}
	// The reranker sees no more than was asked for, and nothing it was not shown.
	for _, c := range []struct{ name, config, want string }{
		{"text alone", ``, "pump z"},
		{"all", `,"metadataConfiguration":{"selectionMode":"ALL"}`, "draft: false\ngenre: g-z\ntags: x, y\nyear: 2024\npump z"},
		{"some", `,"metadataConfiguration":{"selectionMode":"SELECTIVE","selectiveModeConfiguration":{"fieldsToInclude":[{"fieldName":"year"},{"fieldName":"x-amz-bedrock-kb-chunk-id"},{"fieldName":"nobody"}]}}`, "x-amz-bedrock-kb-chunk-id: z\nyear: 2024\npump z"},
		{"all but some", `,"metadataConfiguration":{"selectionMode":"SELECTIVE","selectiveModeConfiguration":{"fieldsToExclude":[{"fieldName":"year"},{"fieldName":"tags"}]}}`, "draft: false\ngenre: g-z\npump z"},
	} {
		h.must(ask + reranking(c.config) + `}`)
		if seen := h.reranked[len(h.reranked)-1]; !slices.Contains(seen, c.want) {
			t.Errorf("%s: the reranker saw %q", c.name, seen)
		}
	}
	// Parents are reranked, not children; an empty answer asks nobody.
	p := newHouse(t)
	p.score = func(_, text string) float64 {
		if strings.HasPrefix(text, "Parent 1") {
			return 1
		}
		return 0
	}
	p.family("alpha", 2, 3, 3)
	if got := p.texts(`{"retrievalQuery":{"text":"pump alpha 0"}` + reranking("") + `}`); len(got) != 2 || !strings.HasPrefix(got[0], "Parent 1") {
		t.Errorf("parents: %v", got)
	}
	n := len(p.reranked)
	c := config("")
	c.VectorSearchConfiguration.Filter = &api.RetrievalFilter{Equals: &api.FilterAttribute{Key: "nobody", Value: must("x")}}
	c.VectorSearchConfiguration.RerankingConfiguration = rerankConfig()
	if got, err := p.room.Search(p.ctx(), p.base, retrieve.Question{Text: "x", Config: c}); err != nil || len(got) != 0 || len(p.reranked) != n {
		t.Errorf("nothing to rerank: %v, %v", got, err)
	}
}

func rerankConfig() *api.VectorSearchRerankingConfiguration {
	return &api.VectorSearchRerankingConfiguration{
		Type:                          api.VectorSearchRerankingConfigurationTypeBedrockRerankingModel,
		BedrockRerankingConfiguration: &api.VectorSearchBedrockRerankingConfiguration{ModelConfiguration: &api.VectorSearchBedrockRerankingModelConfiguration{ModelArn: rerankARN}},
	}
}

func TestWhoMayRerank(t *testing.T) {
	denied := apierr.New(apierr.AccessDenied, "is not authorized to perform: bedrock:Rerank")
	for _, what := range []string{"may bedrock:Rerank *", "may invoke " + rerankARN} {
		h := newHouse(t)
		h.score = last
		h.put(chunk("a", "a", nil))
		h.err[what] = denied
		_, err := h.retrieve(`{"retrievalQuery":{"text":"a"}` + reranking("") + `}`)
		h.wants(err, apierr.Validation, roleARN, rerankARN, "not authorized")
		if slices.Contains(h.asked, "index") {
			t.Error("it was searched before it was refused")
		}
		// Somebody else is asked in its stead.
		c := config("")
		c.VectorSearchConfiguration.RerankingConfiguration = rerankConfig()
		asked := ""
		permit := func(_ context.Context, model string) error { asked = model; return nil }
		if _, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "a", Config: c, Permit: permit}); err != nil || asked != rerankARN {
			t.Errorf("asked %q, %v", asked, err)
		}
		permit = func(context.Context, string) error { return denied }
		_, err = h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "a", Config: c, Permit: permit})
		h.wants(err, apierr.AccessDenied)
	}
}

func TestErrorsOfReranking(t *testing.T) {
	sel := func(s string) string { return `,"metadataConfiguration":{` + s + `}` }
	for _, c := range []struct {
		name, config string
		words        []string
	}{
		{"0 results", reranking(`,"numberOfRerankedResults":0`), []string{"numberOfRerankedResults"}},
		{"101 results", reranking(`,"numberOfRerankedResults":101`), []string{"numberOfRerankedResults"}},
		{"no model", vectorConfig(`"rerankingConfiguration":{"type":"BEDROCK_RERANKING_MODEL"}`), []string{"bedrockRerankingConfiguration"}},
		{"type", vectorConfig(`"rerankingConfiguration":{"type":"X"}`), []string{"type"}},
		{"no mode", reranking(sel(`"selectionMode":"X"`)), []string{"selectionMode"}},
		{"ALL with fields", reranking(sel(`"selectionMode":"ALL","selectiveModeConfiguration":{"fieldsToInclude":[{"fieldName":"a"}]}`)), []string{"selectiveModeConfiguration"}},
		{"SELECTIVE without", reranking(sel(`"selectionMode":"SELECTIVE"`)), []string{"selectiveModeConfiguration"}},
		{"both lists", reranking(sel(`"selectionMode":"SELECTIVE","selectiveModeConfiguration":{"fieldsToInclude":[{"fieldName":"a"}],"fieldsToExclude":[{"fieldName":"b"}]}`)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			_, err := h.retrieve(`{"retrievalQuery":{"text":"x"}` + c.config + `}`)
			if err == nil || len(h.asked) > 1 {
				t.Fatalf("asked %v, %v", h.asked, err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not say %q", err, w)
				}
			}
		})
	}
	h := newHouse(t)
	_, err := h.retrieve(`{"retrievalQuery":{"text":"x"}` + vectorConfig(`"rerankingConfiguration":{"type":"BEDROCK_RERANKING_MODEL","bedrockRerankingConfiguration":{"modelConfiguration":{"modelArn":"`+rerankARN+`","additionalModelRequestFields":{"a":1}}}}`) + `}`)
	h.wants(err, apierr.Validation, "additionalModelRequestFields")
	h.put(chunk("a", "x", nil))
	h.err["rerank "+rerankARN] = apierr.New(apierr.ServiceUnavailable, "amazon.rerank-v1:0 needs a reranking model, and the local engine has none.")
	_, err = h.retrieve(`{"retrievalQuery":{"text":"x"}` + reranking("") + `}`)
	h.wants(err, apierr.BadGateway, "needs a reranking model")
}

// rerank asks the operation with the wire's body and answers the wire's.
func (h *house) rerank(body string) (string, error) {
	in := new(api.RerankInput)
	if err := restjson.DecodeBody(&api.Service, operation("Rerank").Input, in, []byte(body)); err != nil {
		return "", err
	}
	out, err := h.ops.Rerank(h.ctx(), in)
	if err != nil {
		return "", modelled(h.t, "Rerank", err)
	}
	b, err := restjson.AppendBody(nil, &api.Service, operation("Rerank").Output, out)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b), nil
}

func rerankBody(config string, sources ...string) string {
	for i, s := range sources {
		sources[i] = `{"type":"INLINE","inlineDocumentSource":` + s + `}`
	}
	return `{"queries":[{"type":"TEXT","textQuery":{"text":"which?"}}],"sources":[` + strings.Join(sources, ",") + `],` +
		`"rerankingConfiguration":{"type":"BEDROCK_RERANKING_MODEL","bedrockRerankingConfiguration":{"modelConfiguration":{"modelArn":"` + rerankARN + `"}` + config + `}}}`
}

func text(s string) string { return fmt.Sprintf(`{"type":"TEXT","textDocument":{"text":%q}}`, s) }
func document(s string) string {
	return `{"type":"JSON","jsonDocument":` + s + `}`
}

func TestRerank(t *testing.T) {
	h := newHouse(t)
	h.score = last
	got, err := h.rerank(rerankBody("", text("x a"), document(`{"title":"T","n":[1, 2],"body":"ends z"}`), text("x m"), document(`"n"`), text("y a")))
	want := `{"results":[{"index":1,"relevanceScore":1.0},{"index":3,"relevanceScore":0.52},{"index":2,"relevanceScore":0.48},{"index":0,"relevanceScore":0.0},{"index":4,"relevanceScore":0.0}]}`
	if err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if d := cmp.Diff([]string{"x a", "title: T\nn: [1, 2]\nbody: ends z", "x m", "n", "y a"}, h.reranked[0]); d != "" {
		t.Error(d)
	}
	if want := []string{"may invoke " + rerankARN, "rerank " + rerankARN}; !slices.Equal(h.asked, want) {
		t.Errorf("asked %v, want %v", h.asked, want)
	}
	for _, n := range []int{1, 3, 1000} {
		got, err := h.rerank(rerankBody(fmt.Sprintf(`,"numberOfResults":%d`, n), text("a"), text("b"), text("c")))
		if err != nil || strings.Count(got, "index") != min(n, 3) || !strings.HasPrefix(got, `{"results":[{"index":2,`) {
			t.Errorf("%d results: %s, %v", n, got, err)
		}
	}
	h.err["may invoke "+rerankARN] = apierr.New(apierr.AccessDenied, "not authorized to perform: bedrock:InvokeModel")
	n := len(h.reranked)
	if _, err := h.rerank(rerankBody("", text("a"))); apierr.KindOf(err) != apierr.AccessDenied || len(h.reranked) != n {
		t.Errorf("denied: %v", err)
	}
}

func TestErrorsOfRerank(t *testing.T) {
	ok := rerankBody("", text("a"))
	for _, c := range []struct{ name, body, word string }{
		{"a token", strings.Replace(ok, `{"queries"`, `{"nextToken":"x","queries"`, 1), "nextToken"},
		{"two queries", strings.Replace(ok, `"queries":[`, `"queries":[{"type":"TEXT","textQuery":{"text":"b"}},`, 1), "queries"},
		{"no query", strings.Replace(ok, `{"type":"TEXT","textQuery":{"text":"which?"}}`, ``, 1), "queries"},
		{"a query without text", strings.Replace(ok, `{"text":"which?"}`, `{}`, 1), "textQuery"},
		{"a blank query", strings.Replace(ok, `which?`, ` `, 1), "textQuery"},
		{"type", strings.Replace(ok, `BEDROCK_RERANKING_MODEL`, `X`, 1), "type"},
		{"no sources", rerankBody(""), "sources"},
		{"source type", strings.Replace(ok, `INLINE`, `X`, 1), "type"},
		{"a text document with JSON alone", rerankBody("", `{"type":"TEXT","jsonDocument":{"a":1}}`), "textDocument"},
		{"both", rerankBody("", `{"type":"TEXT","textDocument":{"text":"a"},"jsonDocument":{"a":1}}`), "jsonDocument"},
		{"a JSON document with text", rerankBody("", `{"type":"JSON","textDocument":{"text":"a"},"jsonDocument":{"a":1}}`), "textDocument"},
		{"no JSON", rerankBody("", text("a"), `{"type":"JSON"}`), "sources[1].inlineDocumentSource.jsonDocument"},
		{"null", rerankBody("", document(`null`)), "jsonDocument"},
		{"an empty object", rerankBody("", document(`{}`)), "jsonDocument"},
		{"document type", rerankBody("", `{"type":"X"}`), "type"},
		{"0 results", rerankBody(`,"numberOfResults":0`, text("a")), "numberOfResults"},
		{"fields", strings.Replace(ok, `"}}}}`, `","additionalModelRequestFields":{"a":1}}}}}`, 1), "additionalModelRequestFields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.score = last
			_, err := h.rerank(c.body)
			h.wants(err, apierr.Validation, c.word)
			if len(h.asked) > 0 {
				t.Errorf("asked %v", h.asked)
			}
		})
	}
	h := newHouse(t)
	h.err["rerank "+rerankARN] = apierr.New(apierr.ModelNotReady, "loading")
	_, err := h.rerank(ok)
	h.wants(err, apierr.DependencyFailed, "loading")
	for name, in := range map[string]*api.RerankInput{
		"nothing":  {},
		"no model": {RerankingConfiguration: &api.RerankingConfiguration{Type: api.RerankingConfigurationTypeBedrockRerankingModel}},
	} {
		if _, err := h.ops.Rerank(h.ctx(), in); apierr.KindOf(err) != apierr.Validation {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.ops.Retrieve(h.ctx(), &api.RetrieveInput{KnowledgeBaseId: baseID}); apierr.KindOf(err) != apierr.Validation {
		t.Errorf("a Retrieve of nothing: %v", err)
	}
}

func FuzzJSONDocuments(f *testing.F) {
	f.Add([]byte(`{"a":"b","c":{"d":[1,2]}}`))
	f.Add([]byte(`[1,"x"]`))
	f.Add([]byte(`"x"`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := retrieve.Lines(b); err == nil && len(s) > 3*len(b)+3 {
			t.Errorf("%d bytes of %d", len(s), len(b))
		}
	})
}
