package retrieve_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"

	apimodel "github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

func operation(name string) *apimodel.Operation {
	for i := range api.Service.Operations {
		if op := &api.Service.Operations[i]; op.Name == name {
			return op
		}
	}
	panic("no operation " + name)
}

func TestAnEmptyKnowledgeBaseAnswersAnEmptyList(t *testing.T) {
	h := newHouse(t)
	out := h.must(`{"retrievalQuery":{"text":"anything"}}`)
	if out.RetrievalResults == nil || len(out.RetrievalResults) != 0 || out.NextToken != nil {
		t.Errorf("%+v", out)
	}
	b, err := restjson.AppendBody(nil, &api.Service, operation("Retrieve").Output, out)
	if err != nil || string(b) != `{"retrievalResults":[]}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestHowManyResultsAreAnswered(t *testing.T) {
	h := newHouse(t)
	for i := range 120 {
		h.put(chunk(fmt.Sprintf("c%03d", i), fmt.Sprintf("pump number %d of the plant", i), nil))
	}
	for _, c := range []struct {
		config string
		want   int
	}{{"", 5}, {`,"retrievalConfiguration":{"vectorSearchConfiguration":{}}`, 5}, {count(1), 1}, {count(3), 3}, {count(100), 100}} {
		if got := len(h.must(`{"retrievalQuery":{"text":"pump"}` + c.config + `}`).RetrievalResults); got != c.want {
			t.Errorf("%s: %d results, want %d", c.config, got, c.want)
		}
	}
	// In the service role, in this order, with nothing asked about a reranker.
	if want := []string{"active", "acting", "index", "embed"}; !slices.Equal(h.asked[:4], want) {
		t.Errorf("asked %v, want %v", h.asked[:4], want)
	}
}

func count(n int) string { return vectorConfig(fmt.Sprintf(`"numberOfResults":%d`, n)) }

func vectorConfig(members string) string {
	return `,"retrievalConfiguration":{"vectorSearchConfiguration":{` + members + `}}`
}

// A result as it goes over the wire; the golden answer is written by hand.
func TestResultsOnTheWire(t *testing.T) {
	h := newHouse(t)
	h.put(
		chunk("one", "The Zarkon pump weighs 41 kg.", vector.Metadata{
			"genre": vector.StringValue("a <b> & \"c\""), "year": vector.NumberValue(2024), "share": vector.NumberValue(0.5), "draft": vector.BoolValue(true),
			"tags":                       vector.ListValue("x", "고양이"),
			knowledge.AttributeURI:       vector.StringValue("s3://docs/one.txt"),
			knowledge.AttributeChunk:     vector.StringValue("one"),
			knowledge.AttributeSource:    vector.StringValue("DS12345678"),
			knowledge.AttributePage:      vector.NumberValue(3),
			"x-amz-bedrock-kb-something": vector.StringValue("kept"),
		}),
		chunk("custom-7", "weighs nothing", nil),
		vector.Chunk{ID: "foreign", Text: "unrelated", Vector: embed("unrelated"), Source: []byte(`[1]`)},
	)
	out := h.must(`{"retrievalQuery":{"text":"The Zarkon pump weighs 41 kg."},"retrievalConfiguration":{"vectorSearchConfiguration":{"overrideSearchType":"SEMANTIC"}}}`)
	for i := range out.RetrievalResults {
		out.RetrievalResults[i].Score = new(1 - 0.25*float64(i)) // scores are the index's matter
	}
	got, err := restjson.AppendBody(nil, &api.Service, operation("Retrieve").Output, out)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"retrievalResults":[` +
		`{"content":{"text":"The Zarkon pump weighs 41 kg.","type":"TEXT"},` +
		`"location":{"s3Location":{"uri":"s3://docs/one.txt"},"type":"S3"},` +
		`"metadata":{"draft":true,"genre":"a <b> & \"c\"","share":0.5,"tags":["x","고양이"],"x-amz-bedrock-kb-chunk-id":"one",` +
		`"x-amz-bedrock-kb-data-source-id":"DS12345678","x-amz-bedrock-kb-document-page-number":3,"x-amz-bedrock-kb-something":"kept",` +
		`"x-amz-bedrock-kb-source-uri":"s3://docs/one.txt","year":2024},"score":1.0},` +
		`{"content":{"text":"weighs nothing","type":"TEXT"},"location":{"customDocumentLocation":{"id":"custom-7"},"type":"CUSTOM"},"score":0.75},` +
		`{"content":{"text":"unrelated","type":"TEXT"},"score":0.5}]}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

func TestSearchTellsMoreThanTheWire(t *testing.T) {
	h := newHouse(t)
	h.put(chunk("one", "The Zarkon pump.", vector.Metadata{"year": vector.NumberValue(2024)}))
	got, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "Zarkon"})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	r := got[0]
	if r.ID != "one" || r.Text != "The Zarkon pump." || r.Document == "" || r.Passage.Page != 3 || r.Passage.DataSource != "DS12345678" || r.Passage.Place.S3 != "s3://docs/one.txt" ||
		r.Metadata["year"].Num() != 2024 || r.Score != *r.Wire.Score {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]api.KnowledgeBaseRetrievalResult{r.Wire}, retrieve.Wire(got)); d != "" {
		t.Error(d)
	}
}

func TestHybridFindsARareLiteralFirst(t *testing.T) {
	h := newHouse(t)
	for i := range 300 {
		h.put(chunk(fmt.Sprintf("c%03d", i), fmt.Sprintf("Where is my order? The order of customer %d was sent and is on its way.", i), nil))
	}
	h.put(chunk("rare", "Invoice for ZX-88123-Q: paid by bank transfer in spring, nothing else happened with this long and rambling letter about other things entirely.", nil))
	const ask = `{"retrievalQuery":{"text":"Where is my order ZX-88123-Q? Was it sent?"}`
	// With so many words of the others in the question, words that weigh 0.4 lose it:
	// this is why they weigh a half (vector.DefaultWordsWeight).
	const long = `{"retrievalQuery":{"text":"Where is the order ZX-88123-Q of my customer? Was the order sent, and is it on its way?"}`
	for _, q := range []string{ask, long} {
		for _, c := range []string{"", vectorConfig(`"overrideSearchType":"HYBRID"`)} {
			if got := h.texts(q + c + `}`); !strings.Contains(got[0], "ZX-88123-Q") {
				t.Errorf("%s%s: first is %q", q, c, got[0])
			}
		}
	}
	semantic := h.texts(ask + vectorConfig(`"overrideSearchType":"SEMANTIC"`) + `}`)
	if strings.Contains(semantic[0], "ZX-88123-Q") {
		t.Error("SEMANTIC looked at the text")
	}
	if h.log.Len() > 0 {
		t.Errorf("log: %s", &h.log)
	}

	// A store without words: HYBRID and nothing are as SEMANTIC; only the former is told.
	h.caps = pg()
	for _, c := range []struct {
		config string
		told   bool
	}{{"", false}, {vectorConfig(`"overrideSearchType":"HYBRID"`), true}} {
		h.log.Reset()
		if d := cmp.Diff(semantic, h.texts(ask+c.config+`}`)); d != "" {
			t.Errorf("%q: %s", c.config, d)
		}
		if told := strings.Contains(h.log.String(), "hybrid search was asked for"); told != c.told {
			t.Errorf("%q: log %s", c.config, &h.log)
		}
	}
}

// Questions in three scripts that put no spaces, or particles, on words.
func TestHybridFindsKoreanJapaneseAndChinese(t *testing.T) {
	h := newHouse(t)
	h.put(
		chunk("ko1", "보험금 청구는 사고 발생일로부터 삼십 일 이내에 접수해야 합니다.", nil),
		chunk("ko2", "펌프의 정기 점검은 여섯 달마다 공인 기술자가 실시합니다.", nil),
		chunk("ko3", "휴가 신청서는 인사과에 제출하십시오.", nil),
		chunk("ja1", "保険金の請求は事故の日から三十日以内に行わなければなりません。", nil),
		chunk("ja2", "ポンプの定期点検は六か月ごとに資格のある技術者が実施します。", nil),
		chunk("ja3", "休暇届は人事部に提出してください。", nil),
		chunk("zh1", "保险理赔申请必须在事故发生后三十天内提交。", nil),
		chunk("zh2", "水泵应每六个月由持证技术人员进行定期检查。", nil),
		chunk("zh3", "请假单请交给人力资源部。", nil),
		chunk("en1", "Insurance claims must be filed within thirty days of the accident.", nil),
	)
	for _, c := range []struct{ question, id string }{
		{"보험금은 언제까지 청구해야 하나요?", "ko1"}, {"펌프 점검은 누가 합니까?", "ko2"}, {"휴가를 신청하려면?", "ko3"},
		{"保険金の請求はいつまでですか?", "ja1"}, {"ポンプの点検は誰が実施しますか?", "ja2"}, {"休暇届はどこに提出しますか?", "ja3"},
		{"理赔申请什么时候提交?", "zh1"}, {"谁检查水泵?", "zh2"}, {"请假单交给谁?", "zh3"},
		{"When must claims be filed?", "en1"},
	} {
		got, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: c.question, Config: config(api.SearchTypeHybrid)})
		if err != nil {
			t.Fatal(err)
		}
		if got[0].ID != c.id {
			t.Errorf("%s: found %s %q, want %s", c.question, got[0].ID, got[0].Text, c.id)
		}
	}
}

func config(s api.SearchType) *api.KnowledgeBaseRetrievalConfiguration {
	return &api.KnowledgeBaseRetrievalConfiguration{VectorSearchConfiguration: &api.KnowledgeBaseVectorSearchConfiguration{OverrideSearchType: s}}
}

// family is a document that was cut hierarchically.
func (h *house) family(id string, parents int, children ...int) {
	var chunks []vector.Chunk
	for p := range parents {
		parent := chunk(fmt.Sprintf("%s-p%d", id, p), fmt.Sprintf("Parent %d of %s, all of it.", p, id), vector.Metadata{"of": vector.StringValue(id)})
		parent.Vector, parent.Ordinal = nil, 1000+p
		chunks = append(chunks, parent)
		for c := range children[p] {
			child := chunk(fmt.Sprintf("%s-p%d-c%d", id, p, c), fmt.Sprintf("pump %s %d %d", id, p, c), vector.Metadata{"of": vector.StringValue(id)})
			child.Parent, child.Ordinal = parent.ID, len(chunks)
			chunks = append(chunks, child)
		}
	}
	h.document(id, chunks...)
}

func TestParentsAreAnsweredForTheirChildren(t *testing.T) {
	h := newHouse(t)
	h.family("alpha", 3, 1, 60, 5)
	h.family("beta", 2, 7, 7)
	h.put(chunk("plain", "pump plain", nil))
	searches := 0
	h.hook = func(x vector.Index) vector.Index { return counting{x, &searches} }

	got, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "pump alpha 1 7"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID)
		if strings.Contains(r.ID, "-p") && (!strings.HasPrefix(r.Text, "Parent ") || *r.Wire.Content.Text != r.Text) {
			t.Errorf("%s is answered with %q", r.ID, r.Text)
		}
	}
	// One parent has 60 children that all fit, and still the others come.
	if len(ids) != 5 || ids[0] != "alpha-p1" {
		t.Errorf("found %v", ids)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 {
		t.Errorf("a parent twice: %v", ids)
	}
	if searches > 4 {
		t.Errorf("%d searches for five parents", searches)
	}
	// The best child's score, in the children's order.
	hits, err := h.index.Search(t.Context(), vector.Query{Vector: embed("pump alpha 1 7"), Text: "pump alpha 1 7", Mode: vector.Hybrid, K: 1})
	if err != nil || got[0].Score != hits[0].Score {
		t.Errorf("score %v, the best child's is %v, %v", got[0].Score, hits[0].Score, err)
	}
	// All there are, when there are fewer; and no endless search for more.
	searches = 0
	if all := h.must(`{"retrievalQuery":{"text":"pump"}` + count(100) + `}`).RetrievalResults; len(all) != 6 || searches > 3 {
		t.Errorf("%d results, want 6, in %d searches", len(all), searches)
	}
	// The filter is the children's.
	if got := h.texts(`{"retrievalQuery":{"text":"pump"}` + vectorConfig(`"filter":{"equals":{"key":"of","value":"beta"}}`) + `}`); len(got) != 2 || !strings.Contains(got[0], "beta") {
		t.Errorf("filtered: %v", got)
	}
}

// counting counts searches.
type counting struct {
	vector.Index
	n *int
}

func (c counting) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	*c.n++
	return c.Index.Search(ctx, q)
}

// replacing replaces the document between search and read, as often as times says.
type replacing struct {
	vector.Index
	times *int
	do    func()
}

func (r replacing) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	if *r.times > 0 {
		*r.times--
		r.do()
	}
	return r.Index.Get(ctx, ids, vectors)
}

func TestADocumentThatIsReplacedDuringASearch(t *testing.T) {
	h := newHouse(t)
	h.family("old", 2, 3, 3)
	times, n := 1, 0
	h.hook = func(x vector.Index) vector.Index {
		return replacing{x, &times, func() {
			n++
			if err := h.index.Delete(t.Context(), documentID(h)); err != nil {
				t.Fatal(err)
			}
			h.family(fmt.Sprintf("new%d", n), 2, 3, 3)
		}}
	}
	if got := h.texts(`{"retrievalQuery":{"text":"pump"}}`); len(got) != 2 || !strings.Contains(got[0], "new1") || !strings.Contains(got[1], "new1") {
		t.Errorf("after one replacement: %v", got)
	}
	times = 1000
	if got := h.texts(`{"retrievalQuery":{"text":"pump"}}`); len(got) == 0 {
		t.Error("nothing found while a document is replaced")
	}
	if times < 990 {
		t.Errorf("%d searches", 1000-times)
	}
}

func documentID(h *house) string {
	list, err := h.index.Documents(h.t.Context(), "", "", 1)
	if err != nil || len(list) != 1 {
		h.t.Fatal(list, err)
	}
	return list[0].ID
}

func TestErrorsOfRetrieve(t *testing.T) {
	const ask = `{"retrievalQuery":{"text":"x"}`
	denied := apierr.New(apierr.AccessDenied, "User: x is not authorized to perform: bedrock:InvokeModel")
	many := strings.Repeat("x", 20_001)
	for _, c := range []struct {
		name  string
		body  string
		setup func(*house)
		kind  apierr.Kind
		words []string
	}{
		{"no text", `{"retrievalQuery":{}}`, nil, apierr.Validation, []string{"retrievalQuery.text"}},
		{"empty text", `{"retrievalQuery":{"text":""}}`, nil, apierr.Validation, []string{"retrievalQuery.text", "empty"}},
		{"blank text", `{"retrievalQuery":{"text":" \n"}}`, nil, apierr.Validation, []string{"empty"}},
		{"too many letters", `{"retrievalQuery":{"text":"` + many + `"}}`, nil, apierr.Validation, nil},
		{"an image", `{"retrievalQuery":{"type":"IMAGE","image":{"format":"png","inlineContent":"aGk="}}}`, nil, apierr.Validation, []string{"not supported", "image"}},
		{"image type", `{"retrievalQuery":{"type":"IMAGE","text":"x"}}`, nil, apierr.Validation, []string{"not supported"}},
		{"a guardrail", ask + `,"guardrailConfiguration":{"guardrailId":"abcdefgh","guardrailVersion":"1"}}`, nil, apierr.Validation, []string{"guardrail"}},
		{"a token", ask + `,"nextToken":"abc"}`, nil, apierr.Validation, []string{"nextToken"}},
		{"no inner configuration", ask + `,"retrievalConfiguration":{}}`, nil, apierr.Validation, []string{"vectorSearchConfiguration"}},
		{"0 results", ask + count(0) + `}`, nil, apierr.Validation, []string{"numberOfResults"}},
		{"101 results", ask + count(101) + `}`, nil, apierr.Validation, []string{"numberOfResults"}},
		{"search type", ask + vectorConfig(`"overrideSearchType":"FOO"`) + `}`, nil, apierr.Validation, []string{"overrideSearchType"}},
		{"implicit filter", ask + vectorConfig(`"implicitFilterConfiguration":{"modelArn":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0","metadataAttributes":[{"key":"a","type":"STRING","description":"b"}]}`) + `}`, nil, apierr.Validation, []string{"model makes"}},
		{"startsWith on PostgreSQL", ask + vectorConfig(`"filter":{"orAll":[{"equals":{"key":"a","value":1}},{"startsWith":{"key":"a","value":"C"}}]}`) + `}`, func(h *house) { h.caps = pg() }, apierr.Validation, []string{"PostgreSQL", "startsWith"}},
		{"a store that is only kept", ask + `}`, func(h *house) {
			h.caps = nil
			h.err["index"] = apierr.New(apierr.Validation, "Pinecone is not served")
		}, apierr.Validation, []string{"Pinecone"}},
		{"not active", ask + `}`, func(h *house) { h.err["active"] = apierr.New(apierr.Validation, "in the state CREATING") }, apierr.Validation, []string{"CREATING"}},
		{"the role is gone", ask + `}`, func(h *house) { h.err["acting"] = apierr.New(apierr.AccessDenied, "cannot be assumed") }, apierr.AccessDenied, []string{"assumed"}},
		{"the model may not be called", ask + `}`, func(h *house) { h.err["embed"] = denied }, apierr.AccessDenied, nil},
		{"the question is too long for the model", ask + `}`, func(h *house) {
			h.err["embed"] = apierr.Wrap(apierr.Validation, &engine.Error{Kind: engine.TooLong, Limit: 512, Got: 700}, "Text 1 is too long.")
		}, apierr.Validation, []string{"retrievalQuery.text", "700", "512"}},
		{"no engine", ask + `}`, func(h *house) { h.err["embed"] = apierr.New(apierr.ServiceUnavailable, "no engine") }, apierr.BadGateway, []string{"no engine"}},
		{"the model fails", ask + `}`, func(h *house) { h.err["embed"] = apierr.New(apierr.ModelError, "crashed") }, apierr.DependencyFailed, []string{"crashed"}},
		{"the index is gone", ask + `}`, func(h *house) { h.err["index"] = fmt.Errorf("open: %w", vector.ErrNotFound) }, apierr.DependencyFailed, []string{"not exist"}},
		{"the index is busy", ask + `}`, failing(vector.ErrBusy), apierr.Throttling, []string{"busy"}},
		{"other weights", ask + `}`, func(h *house) { h.base.Model.Hash = "other" }, apierr.Validation, []string{"another embedding model"}},
		{"disk", ask + `}`, failing(vector.ErrIO), apierr.DependencyFailed, []string{"could not be searched"}},
		{"damage", ask + `}`, failing(vector.ErrCorrupt), apierr.DependencyFailed, nil},
		{"too large", ask + `}`, failing(vector.ErrTooLarge), apierr.DependencyFailed, []string{"memory"}},
		{"a store's own words", ask + `}`, failing(&vector.UnsupportedError{Store: "Foo", What: "that"}), apierr.Validation, []string{"Foo", "that"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			if c.setup != nil {
				c.setup(h)
			}
			_, err := h.retrieve(c.body)
			h.wants(err, c.kind, c.words...)
		})
	}
	t.Run("unknown", func(t *testing.T) {
		h := newHouse(t)
		_, err := h.ops.Retrieve(h.ctx(), &api.RetrieveInput{KnowledgeBaseId: "NOSUCH0000", RetrievalQuery: &api.KnowledgeBaseQuery{Text: new("x")}})
		h.wants(err, apierr.ResourceNotFound)
	})
	// What the gateway refuses in its own words is refused here too.
	t.Run("past the gateway", func(t *testing.T) {
		h := newHouse(t)
		for _, n := range []int{0, 101} {
			c := config("")
			c.VectorSearchConfiguration.NumberOfResults = new(n)
			_, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "x", Config: c})
			h.wants(err, apierr.Validation, "numberOfResults")
		}
		_, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "x", Config: config("FOO")})
		h.wants(err, apierr.Validation, "overrideSearchType")
		_, err = h.room.Search(h.ctx(), h.base, retrieve.Question{Text: many})
		h.wants(err, apierr.Validation, "20000")
		_, err = h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "x", Config: new(api.KnowledgeBaseRetrievalConfiguration)})
		h.wants(err, apierr.Validation, "vectorSearchConfiguration")
	})
	t.Run("the caller goes", func(t *testing.T) {
		h := newHouse(t)
		h.put(chunk("a", "x", nil))
		ctx, cancel := context.WithCancel(h.ctx())
		cancel()
		_, err := h.room.Search(ctx, h.base, retrieve.Question{Text: "x"})
		if err == nil || ctx.Err() == nil || apierr.KindOf(err) == apierr.DependencyFailed {
			t.Errorf("%v", err)
		}
	})
}

func failing(err error) func(*house) {
	return func(h *house) { h.hook = func(x vector.Index) vector.Index { return broken{x, err} } }
}

type broken struct {
	vector.Index
	err error
}

func (b broken) Search(context.Context, vector.Query) ([]vector.Hit, error) {
	return nil, fmt.Errorf("search: %w", b.err)
}
