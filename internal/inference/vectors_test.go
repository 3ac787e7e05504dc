package inference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
)

const (
	titanV2  = "amazon.titan-embed-text-v2:0"
	reranker = "amazon.rerank-v1:0"
)

// vectorEngine makes vectors of how often a text holds the letters a to d.
type vectorEngine struct {
	fake
	models   []engine.Info
	reranks  []*engine.RerankRequest
	rerank   func(*engine.RerankRequest) (*engine.RerankResult, error)
	tokens   func(text string) ([]engine.Token, error)
	batch    bool // tokens of a batch are shared out by length
	embedErr error
}

func (e *vectorEngine) Models(context.Context) ([]engine.Info, error) { return e.models, nil }

func (e *vectorEngine) Embed(_ context.Context, q *engine.EmbedRequest) (*engine.EmbedResult, error) {
	e.embeds = append(e.embeds, q)
	if e.embedErr != nil {
		return nil, e.embedErr
	}
	r := &engine.EmbedResult{Model: q.Model}
	total, size := 0, 0
	for _, s := range q.Inputs {
		v := make([]float32, 4)
		for i := range v {
			v[i] = float32(strings.Count(s, string(rune('a'+i))))
		}
		r.Vectors = append(r.Vectors, mean([][]float32{v, v}))
		r.Tokens = append(r.Tokens, len(strings.Fields(s))+2)
		total += r.Tokens[len(r.Tokens)-1]
		size += len(s)
	}
	if e.batch {
		for i, s := range q.Inputs {
			r.Tokens[i] = total * len(s) / max(1, size)
		}
	}
	return r, nil
}

func (e *vectorEngine) Rerank(_ context.Context, q *engine.RerankRequest) (*engine.RerankResult, error) {
	e.reranks = append(e.reranks, q)
	return e.rerank(q)
}

func (e *vectorEngine) Tokenize(_ context.Context, model, text string) ([]engine.Token, error) {
	if model == "" {
		return nil, errors.New("no model named")
	}
	return e.tokens(text)
}

type vectorHouse struct {
	*Runtime
	engine *vectorEngine
	table  table
	log    bytes.Buffer
}

func (h *vectorHouse) local(i engine.Info) { h.table[titanV2].Local, h.table[titanV2].Info = i.Name, i }

func newVectorHouse(info engine.Info) *vectorHouse {
	info.Kind = engine.Embedding
	h := &vectorHouse{engine: &vectorEngine{models: []engine.Info{{Name: "chat", Kind: engine.Chat}, info}}, table: table{}}
	h.table[titanV2] = target(titanV2, catalog.TitanEmbedV2, func(t *catalog.Target) {
		t.Kind, t.Context = engine.Embedding, 8192
		t.Embedding = &catalog.EmbeddingFacts{Default: 8, Allowed: []int{2, 8}}
	})
	h.local(info)
	h.table[novaID] = target(novaID, catalog.Nova, nil)
	h.Runtime = New(Config{Engine: h.engine, Resolver: h.table, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	return h
}

var minilm = engine.Info{Name: "all-minilm-l6-v2", Context: 12, Dimension: 4, Hash: "aa11"}

func kindIs(t *testing.T, err error, kind apierr.Kind, words ...string) {
	t.Helper()
	if apierr.KindOf(err) != kind {
		t.Fatalf("error %v, want %s", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestFindsAnEmbeddingModel(t *testing.T) {
	h := newVectorHouse(minilm)
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(EmbeddingModel{ARN: titanV2, ID: titanV2, Local: minilm.Name, Hash: "aa11", Dimension: 4, Wire: 8, Limit: 10, Quota: 8192}, m); d != "" {
		t.Error(d)
	}
	small, err := h.FindEmbedding(t.Context(), titanV2, 2)
	if err != nil || small.Dimension != 2 || small.Wire != 2 {
		t.Errorf("asked for 2 numbers: %+v, %v", small, err)
	}
	_, err = h.FindEmbedding(t.Context(), titanV2, 3)
	kindIs(t, err, apierr.Validation, "2 or 8")
	_, err = h.FindEmbedding(t.Context(), novaID, 0)
	kindIs(t, err, apierr.Validation, "makes no embeddings")
	_, err = h.FindEmbedding(t.Context(), "no.such", 0)
	kindIs(t, err, apierr.Validation)

	// An engine that tells neither hash nor dimension, and a model that wants words
	// before its texts.
	h.local(engine.Info{Name: "e5-small-v2", Kind: engine.Embedding, Context: 12})
	told, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil || told.Dimension != 4 || len(told.Hash) != 64 || told.Limit != 12-2-4 {
		t.Errorf("untold: %+v, %v", told, err)
	}
}

func TestEmbedsTextsByTheStoredWeightsOnly(t *testing.T) {
	h := newVectorHouse(minilm)
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &call.Call{Account: "123456789012"}
	ctx := call.With(t.Context(), c)
	got, err := h.EmbedTexts(ctx, m, false, []string{"a a", "b", "c d"})
	if err != nil {
		t.Fatal(err)
	}
	half := float32(0.70710677)
	if d := cmp.Diff([][]float32{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, half, half}}, got); d != "" {
		t.Error(d)
	}
	if len(h.engine.embeds) != 1 || h.engine.embeds[0].Account != "123456789012" || h.engine.embeds[0].Model != minilm.Name {
		t.Errorf("asked %+v", h.engine.embeds)
	}
	if s := c.Served(); s.Model != minilm.Name || !s.Inference || s.InputTokens != 4+3+4 {
		t.Errorf("served %+v", s)
	}
	small := m
	small.Dimension, small.Wire = 2, 2
	two, err := h.EmbedTexts(ctx, small, false, []string{"a b c d"})
	if err != nil || len(two[0]) != 2 || cmp.Equal(two[0], got[0][:2]) {
		t.Errorf("projected %v, %v", two, err)
	}

	// Another model serves the id, the old one is still there: it is asked.
	h.engine.models = append(h.engine.models, engine.Info{Name: "newer", Kind: engine.Embedding, Hash: "bb22", Dimension: 4})
	h.local(engine.Info{Name: "newer", Kind: engine.Embedding, Hash: "bb22", Dimension: 4})
	if _, err = h.EmbedTexts(ctx, m, false, []string{"a"}); err != nil || h.engine.embeds[len(h.engine.embeds)-1].Model != minilm.Name {
		t.Errorf("old weights: %v", err)
	}
	// It is gone, or its name stands for other weights: nothing is compared.
	h.engine.models[1].Hash = "cc33"
	n := len(h.engine.embeds)
	_, err = h.EmbedTexts(ctx, m, false, []string{"a"})
	kindIs(t, err, apierr.Validation, minilm.Name, "newer", "cannot be compared")
	if _, err := h.TokenEnds(ctx, m, []string{"a"}); apierr.KindOf(err) != apierr.Validation || len(h.engine.embeds) != n {
		t.Errorf("other weights were asked: %v", err)
	}
}

func TestEmbedsWithTheWordsThatAModelWasTrainedWith(t *testing.T) {
	for _, c := range []struct{ local, query, document string }{
		{"all-minilm-l6-v2", "", ""},
		{"bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""},
		{"BAAI/bge-large-zh-v1.5", "为这个句子生成表示以用于检索相关文章：", ""},
		{"bge-m3", "", ""},
		{"multilingual-e5-small-q8_0", "query: ", "passage: "},
		{"multilingual-e5-large-instruct", "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""},
		{"Qwen/Qwen3-Embedding-0.6B-GGUF", "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""},
		{"nomic-embed-text:latest", "search_query: ", "search_document: "},
		{"snowflake-arctic-embed-l-v2.0", "query: ", ""},
		{"snowflake-arctic-embed2", "query: ", ""},
		{"snowflake-arctic-embed-m", "Represent this sentence for searching relevant passages: ", ""},
		{"mxbai-embed-large-v1", "Represent this sentence for searching relevant passages: ", ""},
		{"embeddinggemma:300m", "task: search result | query: ", "title: none | text: "},
		{"make5-small", "", ""},
	} {
		info := minilm
		info.Name, info.Context = c.local, 100
		h := newVectorHouse(info)
		m, err := h.FindEmbedding(t.Context(), titanV2, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []bool{true, false} {
			want := c.document
			if query {
				want = c.query
			}
			if _, err := h.EmbedTexts(t.Context(), m, query, []string{"a", "b"}); err != nil {
				t.Fatal(err)
			}
			if got := h.engine.embeds[len(h.engine.embeds)-1].Inputs; got[0] != want+"a" || got[1] != want+"b" {
				t.Errorf("%s, query %v: %q", c.local, query, got)
			}
		}
	}
}

func TestALongTextIsRefusedAndNotCutIntoWindows(t *testing.T) {
	h := newVectorHouse(minilm)
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a ", 11) // 13 tokens with its marks
	for _, c := range []struct {
		name  string
		texts []string
		calls int
		batch bool
		text  string
	}{
		{"alone", []string{long}, 1, false, "Text 1 has 13 tokens"},
		{"second", []string{"b", long}, 2, false, "Text 2 has 13 tokens"},
		{"hopeless, not even sent", []string{strings.Repeat("a ", 14)}, 0, false, "Text 1 has 13 tokens or more"},
		{"only its share of a batch is long", []string{"a b c d e f g h i", "a b c d e f g h i", "abcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh"}, 2, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.engine.embeds, h.engine.batch = nil, c.batch
			_, err := h.EmbedTexts(t.Context(), m, false, c.texts)
			if len(h.engine.embeds) != c.calls {
				t.Errorf("%d calls of the engine, want %d", len(h.engine.embeds), c.calls)
			}
			if c.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			kindIs(t, err, apierr.Validation, c.text, minilm.Name)
			if e, ok := errors.AsType[*engine.Error](err); !ok || e.Kind != engine.TooLong || e.Limit != 12 {
				t.Errorf("cause %v", err)
			}
		})
	}
}

func TestALongQuestionIsCutIntoWindows(t *testing.T) {
	h := newVectorHouse(minilm)
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.engine.tokens = func(text string) (out []engine.Token, err error) {
		for _, w := range strings.SplitAfter(text, " ") {
			out = append(out, engine.Token{Text: w})
		}
		return out, nil
	}
	got, err := h.EmbedTexts(t.Context(), m, true, []string{strings.Repeat("a ", 200), "b"})
	if err != nil || len(got) != 2 || len(got[0]) != m.Dimension || len(got[1]) != m.Dimension {
		t.Fatalf("%d vectors, %v", len(got), err)
	}
	short, err := h.EmbedTexts(t.Context(), m, true, []string{"b"})
	if err != nil || !cmp.Equal(short[0], got[1]) {
		t.Errorf("a short question beside a long one has another vector: %v", err)
	}
}

// Every window of a long text begins with the words that the model wants to see before
// it, also where the engine would cut the text itself.
func TestEveryWindowBeginsWithTheModelsWords(t *testing.T) {
	h := newVectorHouse(minilm)
	h.engine.models = []engine.Info{{Name: "e5-small-v2", Kind: engine.Embedding, Context: 24, Dimension: 4}}
	h.local(h.engine.models[0])
	h.engine.tokens = func(text string) (out []engine.Token, err error) {
		for _, w := range strings.SplitAfter(text, " ") {
			out = append(out, engine.Token{Text: w})
		}
		return out, nil
	}
	windows := func() []string {
		last := h.engine.embeds[len(h.engine.embeds)-1]
		for _, s := range last.Inputs {
			if n := len(strings.Fields(s)); n > 24 {
				t.Errorf("a window of %d words", n)
			}
		}
		return last.Inputs
	}
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.EmbedTexts(t.Context(), m, true, []string{strings.Repeat("a ", 100)}); err != nil {
		t.Fatal(err)
	}
	got := windows()
	for _, s := range got {
		if !strings.HasPrefix(s, "query: a") || strings.Count(s, "query") != 1 {
			t.Errorf("a window of a question is %q", s)
		}
	}
	if len(got) < 5 {
		t.Errorf("%d windows", len(got))
	}

	// Without a reranker: a question and two texts, one of them long.
	h.table[reranker] = target(reranker, catalog.Rerank, func(t *catalog.Target) { t.Kind = engine.Reranker })
	h.engine.rerank = func(*engine.RerankRequest) (*engine.RerankResult, error) {
		return nil, &engine.Error{Kind: engine.Unsupported}
	}
	scores, err := h.RerankTexts(t.Context(), reranker, "a", []string{"b", strings.Repeat("a ", 60)})
	if err != nil || len(scores) != 2 || scores[1] <= scores[0] {
		t.Fatalf("scores %v, %v", scores, err)
	}
	got = windows()
	if len(got) < 6 || got[0] != "query: a" || got[1] != "passage: b" {
		t.Errorf("windows %q", got)
	}
	for _, s := range got[1:] {
		if !strings.HasPrefix(s, "passage: ") {
			t.Errorf("a window of a text is %q", s)
		}
	}
}

func TestReranks(t *testing.T) {
	h := newVectorHouse(minilm)
	h.table[reranker] = target(reranker, catalog.Rerank, func(t *catalog.Target) { t.Kind, t.Local = engine.Reranker, "bge-reranker" })
	h.engine.rerank = func(q *engine.RerankRequest) (*engine.RerankResult, error) {
		return &engine.RerankResult{Scores: []float64{0.25, 1.5, -1}, Tokens: 9}, nil
	}
	c := new(call.Call)
	ctx := call.With(t.Context(), c)
	texts := []string{"b b", "a b", "a a"}
	got, err := h.RerankTexts(ctx, reranker, "a", texts)
	if err != nil || !cmp.Equal(got, []float64{0.25, 1, 0}) {
		t.Errorf("scores %v, %v", got, err)
	}
	if q := h.engine.reranks[0]; q.Model != "bge-reranker" || q.Query != "a" || q.AWSModel != reranker {
		t.Errorf("asked %+v", q)
	}
	if s := c.Served(); s.Model != "bge-reranker" || s.InputTokens != 9 {
		t.Errorf("served %+v", s)
	}
	if h.log.Len() > 0 {
		t.Errorf("log: %s", &h.log)
	}
	_, err = h.RerankTexts(ctx, titanV2, "a", texts)
	kindIs(t, err, apierr.Validation, "does not rerank")

	fallback := func(why string) {
		t.Helper()
		h.log.Reset()
		got, err := h.RerankTexts(ctx, reranker, "a", texts)
		if err != nil || len(got) != 3 || !(got[0] == 0.5 && got[1] > 0.8 && got[1] < 0.9 && got[2] > 0.999) {
			t.Errorf("%s: scores %v, %v", why, got, err)
		}
		if s := c.Served(); s.Model != minilm.Name {
			t.Errorf("%s: served %+v", why, s)
		}
		if !strings.Contains(h.log.String(), "reranked by their embeddings") {
			t.Errorf("%s: the log is silent: %s", why, &h.log)
		}
	}
	h.engine.rerank = func(*engine.RerankRequest) (*engine.RerankResult, error) {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "no reranking model is served"}
	}
	fallback("the engine cannot")
	missing := apierr.New(apierr.ServiceUnavailable, "amazon.rerank-v1:0 needs a reranking model, and the local engine has none.")
	h.resolver = unserved{h.table, reranker, missing}
	fallback("the catalogue has none")

	h.engine.models = h.engine.models[:1]
	if _, err := h.RerankTexts(ctx, reranker, "a", texts); !errors.Is(err, missing) {
		t.Errorf("nothing at all: %v", err)
	}
	h.engine.rerank = func(*engine.RerankRequest) (*engine.RerankResult, error) {
		return nil, &engine.Error{Kind: engine.Crashed, Message: "gone"}
	}
	h.resolver = h.table
	_, err = h.RerankTexts(ctx, reranker, "a", texts)
	kindIs(t, err, apierr.ModelError)
}

// unserved refuses one id.
type unserved struct {
	table
	id  string
	err error
}

func (u unserved) Resolve(ctx context.Context, id string) (*catalog.Target, error) {
	if id == u.id {
		return nil, u.err
	}
	return u.table.Resolve(ctx, id)
}

func pieces(s ...string) []engine.Token {
	out := make([]engine.Token, len(s))
	for i := range s {
		out[i] = engine.Token{Text: s[i]}
	}
	return out
}

func TestEndsOfTokens(t *testing.T) {
	for _, c := range []struct {
		name, text string
		tokens     []engine.Token
		want       []string // the text cut at the ends
	}{
		{"none", "", nil, nil},
		{"joined", "Hello world", pieces("Hel", "lo", " world"), []string{"Hel", "lo", " world"}},
		{"a space before", "Hello world", pieces(" Hello", " wor", "ld"), []string{"Hello", " wor", "ld"}},
		{"bytes of a letter", "a漢b", pieces("a", "\xe6", "\xbc\xa2", "b"), []string{"a", "漢", "", "b"}},
		{"word pieces", "Hello, Wörld unaffable!", pieces(" hello", " ,", " world", " una", "ff", "able", " !"), []string{"Hello", ",", " Wörld", " una", "ff", "able", "!"}},
		{"signs of going on", "unaffable ##", pieces("una", "##ff", "##able", "#", "#"), []string{"una", "ff", "able", " #", "#"}},
		{"unknown words", "안녕 세계, ok", pieces("[UNK]", "[UNK]", " ,", " ok"), []string{"안녕", " 세계", ",", " ok"}},
		{"jamo", "한 a", pieces("ᄒ", "##ᅡ", "##ᆫ", "a"), []string{"한", "", "", " a"}},
		{"an unknown word in pieces", "qqqqqq ok", pieces("[UNK]", "[UNK]", "ok"), []string{"qqq", "qqq", " ok"}},
		{"unknown to the end", "ok 漢字", pieces("ok", "[UNK]", "[UNK]"), []string{"ok", " 漢", "字"}},
		{"none found", "xyz", pieces("1", "2", "3"), []string{"x", "y", "z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			at := 0
			for _, e := range tokenEnds(c.text, c.tokens) {
				got = append(got, c.text[at:e])
				at = e
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func sound(t *testing.T, text string, ends []int) {
	t.Helper()
	last := 0
	for _, e := range ends {
		if e < last || e > len(text) || e < len(text) && !utf8.RuneStart(text[e]) {
			t.Fatalf("ends %v of %d bytes", ends, len(text))
		}
		last = e
	}
}

func FuzzEndsOfTokens(f *testing.F) {
	f.Add("Hello, wörld 漢字 안녕", "hello|,|world|[UNK]|##x")
	f.Add("\u0301a\xff", "a||\xff")
	f.Add("", "a")
	f.Fuzz(func(t *testing.T, text, joined string) {
		tokens := pieces(strings.Split(joined, "|")...)
		ends := tokenEnds(text, tokens)
		if len(ends) != len(tokens) {
			t.Fatalf("%d ends of %d tokens", len(ends), len(tokens))
		}
		if utf8.ValidString(text) {
			sound(t, text, ends)
			sound(t, text, guessEnds(text))
		}
		for rest, n := text, 0; rest != ""; n++ {
			cut := segmentEnd(rest, 16)
			if cut <= 0 || cut > len(rest) || len(rest) > 16 && cut > 16 {
				t.Fatalf("cut %d of %q", cut, rest)
			}
			rest = rest[cut:]
		}
	})
}

func TestTokenEndsOfLongTextsAreThoseOfTheWhole(t *testing.T) {
	h := newVectorHouse(minilm)
	m, err := h.FindEmbedding(t.Context(), titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	var most int
	h.engine.tokens = func(text string) ([]engine.Token, error) {
		h.engine.mu.Lock()
		defer h.engine.mu.Unlock()
		most = max(most, len(text))
		var out []engine.Token
		for _, w := range strings.SplitAfter(text, "o") { // ends inside words
			for i, p := range strings.SplitAfter(w, " ") {
				if p != "" {
					out = append(out, engine.Token{ID: i, Text: p})
				}
			}
		}
		return out, nil
	}
	text := strings.Repeat("The quick brown fox jumps over the lazy dog.\n\n", 2000)
	got, err := h.TokenEnds(t.Context(), m, []string{text, "", "no"})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := h.engine.tokens(text)
	if err != nil {
		t.Fatal(err)
	}
	want := tokenEnds(text, whole)
	// Cut before a space, a token of a space may stand alone.
	if len(got) != 3 || got[1] != nil || len(got[2]) != 1 || len(got[0]) < len(want) || len(got[0]) > len(want)+12 {
		t.Errorf("%d ends, want about %d; %v", len(got[0]), len(want), got[1:])
	}
	sound(t, text, got[0])
	if most > len(text) || got[0][len(got[0])-1] != len(text) {
		t.Errorf("last end %d of %d", got[0][len(got[0])-1], len(text))
	}

	h.engine.tokens = func(string) ([]engine.Token, error) {
		return nil, &engine.Error{Kind: engine.Unavailable, Message: "no engine"}
	}
	_, err = h.TokenEnds(t.Context(), m, []string{"a"})
	kindIs(t, err, apierr.ServiceUnavailable)

	// Without a tokenizer: a guess, which the log tells once. The engine is not asked again.
	asked := 0
	h.engine.tokens = func(string) ([]engine.Token, error) {
		asked++
		return nil, &engine.Error{Kind: engine.Unsupported}
	}
	for range 3 {
		guess, err := h.TokenEnds(t.Context(), m, []string{"Hello, 漢字 안녕 a"})
		if err != nil || !cmp.Equal(guess, [][]int{{3, 5, 6, 10, 13, 17, 20, 22}}) {
			t.Errorf("guess %v, %v", guess, err)
		}
	}
	if told := strings.Count(h.log.String(), "estimated"); told != 1 || asked != 1 {
		t.Errorf("asked %d times, told %d times: %s", asked, told, &h.log)
	}
}

func BenchmarkTokenEndsOfWordPieces(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 300)
	var tokens []engine.Token
	for _, w := range strings.Fields(strings.ReplaceAll(strings.ToLower(text), ".", " .")) {
		tokens = append(tokens, engine.Token{Text: " " + w})
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if ends := tokenEnds(text, tokens); len(ends) != len(tokens) {
			b.Fatal(len(ends))
		}
	}
}

// The real embedding model, on demand: the ends of its word pieces are those of words.
func TestARealEmbeddingModel(t *testing.T) {
	if os.Getenv("OUTCROP_REAL_MODEL") == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run a real model")
	}
	e, err := llamacpp.New(llamacpp.Config{EmbeddingModel: "all-minilm-l6-v2", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	list, err := e.Models(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var info engine.Info
	for _, i := range list {
		if i.Name == "all-minilm-l6-v2" {
			info = i
		}
	}
	h := newVectorHouse(info)
	h.Runtime = New(Config{Engine: e, Resolver: h.table, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	h.table[titanV2].Embedding = &catalog.EmbeddingFacts{Default: 1024}
	m, err := h.FindEmbedding(ctx, titanV2, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", m)
	texts := []string{
		"Hello, World! Ünïcödé naïveté and unaffable words.",
		"한국어 문장은 어떻게 나뉘나요? 日本語の文章です。中文也可以。",
		"## Heading\n\n| a | b |\n\tcode_with_names = 0x1F600 😀 x²",
	}
	got, err := h.TokenEnds(ctx, m, texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range texts {
		tokens, err := e.Tokenize(ctx, m.Local, s)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		var cut []string
		for k, end := range got[i] {
			cut = append(cut, fmt.Sprintf("%q=%q", tokens[k].Text, s[at:end]))
			at = end
		}
		t.Log(strings.Join(cut, " "))
		sound(t, s, got[i])
	}
	v, err := h.EmbedTexts(ctx, m, false, []string{"How do I get my money back?", "Refunds are paid within two weeks.", "The cat sleeps on the roof.", strings.Repeat("unaffable ", 120)})
	if err != nil {
		t.Fatal(err)
	}
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	if near, far := dot(v[0], v[1]), dot(v[0], v[2]); near < far+0.2 || len(v[0]) != 384 {
		t.Errorf("the answer is as near as %.3f, something else %.3f", near, far)
	}
	_, err = h.EmbedTexts(ctx, m, false, []string{"short", strings.Repeat("unaffable ", 200)}) // 600 tokens in 200 words
	kindIs(t, err, apierr.Validation, "Text 2 has 602 tokens")
	h.resolver = unserved{h.table, reranker, apierr.New(apierr.ServiceUnavailable, "none")}
	scores, err := h.RerankTexts(ctx, reranker, "How do I get my money back?", []string{"The cat sleeps on the roof.", "Refunds are paid within two weeks."})
	if err != nil || scores[1] < scores[0]+0.1 {
		t.Errorf("reranked by embeddings: %v, %v", scores, err)
	}
	t.Logf("reranked by embeddings: %v", scores)
	files, _ := filepath.Glob("/usr/share/common-licenses/*")
	var corpus []string
	size := 0
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && utf8.Valid(b) {
			corpus, size = append(corpus, string(b)), size+len(b)
		}
	}
	start := time.Now()
	ends, err := h.TokenEnds(ctx, m, corpus)
	if err != nil {
		t.Fatal(err)
	}
	n, off := 0, 0
	for i, list := range ends {
		n += len(list)
		at := 0
		for _, e := range list {
			if strings.Count(strings.TrimSpace(corpus[i][at:e]), " ") > 0 {
				off++ // a word piece holds no space
			}
			at = e
		}
	}
	t.Logf("%d bytes in %d texts: %d tokens in %s, %d wrong", size, len(corpus), n, time.Since(start), off)
	if off > n/1000 {
		t.Errorf("%d of %d tokens hold more than one word", off, n)
	}
}
