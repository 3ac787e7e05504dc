package chunk

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// pieces is a tokenizer of the kind that models have: a space goes with the word
// behind it, words are cut into parts of at most four letters, an ideograph is a
// token, and so is a sign.
type pieces struct{ calls int }

func (p *pieces) Ends(_ context.Context, texts []string) ([][]int, error) {
	p.calls++
	out := make([][]int, len(texts))
	for i, t := range texts {
		n := 0
		for at, r := range t {
			letter := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r)
			wide := r >= 0x2e80
			if n > 0 && (!letter || wide || n == 4) {
				out[i] = append(out[i], at)
				n = 0
			}
			switch {
			case unicode.IsSpace(r):
			case !letter || wide:
				out[i] = append(out[i], at+utf8.RuneLen(r))
			default:
				n++
			}
		}
		if n > 0 {
			out[i] = append(out[i], len(t))
		}
	}
	return out, nil
}

func count(t string) int {
	ends, _ := (&pieces{}).Ends(context.Background(), []string{t})
	return len(ends[0])
}

// docOf makes a document of paragraphs; "# " begins a heading.
func docOf(paras ...string) *parse.Document {
	d := &parse.Document{}
	var b strings.Builder
	for i, p := range paras {
		if i > 0 {
			b.WriteString("\n\n")
		}
		k := parse.Paragraph
		if strings.HasPrefix(p, "# ") {
			k = parse.Heading
		}
		d.Blocks = append(d.Blocks, parse.Block{Kind: k, Start: b.Len(), End: b.Len() + len(p), Page: 1 + i/2})
		b.WriteString(p)
	}
	d.Text = b.String()
	return d
}

func words(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		letter := "w"
		if i%12 == 0 {
			letter = "W"
		}
		fmt.Fprintf(&b, "%s%02d", letter, i%100)
		if i%12 == 11 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func split(t testing.TB, s Splitter, d *parse.Document) *Result {
	t.Helper()
	if s.Tokens == nil {
		s.Tokens = &pieces{}
	}
	res, err := s.Split(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func texts(cs []Chunk) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Text)
	}
	return out
}

func TestDefaultKeepsShortTextsWholeAndEndsWithSentences(t *testing.T) {
	short := docOf("One sentence. And another one.")
	if got := texts(split(t, Splitter{}, short).Chunks); !cmp.Equal(got, []string{short.Text}) {
		t.Errorf("got %q", got)
	}
	long := docOf(words(1000))
	got := split(t, Splitter{}, long).Chunks
	if len(got) < 4 {
		t.Fatalf("%d chunks of %d tokens", len(got), count(long.Text))
	}
	for i, c := range got {
		if n := count(c.Text); n > 300 || n > c.Tokens {
			t.Errorf("chunk %d has %d tokens and says %d", i, n, c.Tokens)
		}
		if i+1 < len(got) && !strings.HasSuffix(c.Text, ".") {
			t.Errorf("chunk %d ends with %q", i, c.Text[len(c.Text)-8:])
		}
	}
}

func TestFixedSizeNeighboursShareTokens(t *testing.T) {
	s := Splitter{Strategy: Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{MaxTokens: 100, OverlapPercentage: 20}}}
	got := split(t, s, docOf(words(400), words(300))).Chunks
	if len(got) < 6 {
		t.Fatalf("%d chunks", len(got))
	}
	for i, c := range got {
		if n := count(c.Text); n > 100 {
			t.Errorf("chunk %d has %d tokens", i, n)
		}
		if i == 0 {
			continue
		}
		shared := count(docOf(words(400), words(300)).Text[c.Start:max(got[i-1].End, c.Start)])
		if shared < 10 || shared > 25 {
			t.Errorf("chunks %d and %d share %d tokens", i-1, i, shared)
		}
	}
}

func TestNoneIsOneChunkOrTooLong(t *testing.T) {
	d := docOf(words(450))
	got := split(t, Splitter{Strategy: Strategy{Kind: None}}, d).Chunks
	if len(got) != 1 || got[0].Text != d.Text {
		t.Fatalf("got %d chunks", len(got))
	}
	s := Splitter{Strategy: Strategy{Kind: None}, Tokens: &pieces{}, Limit: 512}
	if _, err := s.Split(t.Context(), d); err != nil {
		t.Error(err)
	}
	_, err := s.Split(t.Context(), docOf(words(600)))
	if long, ok := errors.AsType[*TooLong](err); !ok || long.Limit != 512 || long.Tokens < 600 {
		t.Errorf("got %v", err)
	}
}

func TestHierarchicalChildrenLieInTheirParents(t *testing.T) {
	s := Splitter{Strategy: Strategy{Kind: Hierarchical, Hierarchical: &HierarchicalConfig{MaxTokens: []int{200, 50}, OverlapTokens: 10}}}
	d := docOf(words(300), "# Heading", words(300))
	res := split(t, s, d)
	if len(res.Parents) < 3 || len(res.Chunks) < 12 {
		t.Fatalf("%d parents, %d children", len(res.Parents), len(res.Chunks))
	}
	had := map[int]bool{}
	for i, c := range res.Chunks {
		if c.Parent < 0 || c.Parent >= len(res.Parents) {
			t.Fatalf("child %d has parent %d", i, c.Parent)
		}
		had[c.Parent] = true
		p := res.Parents[c.Parent]
		if c.Start < p.Start || c.End > p.End || count(c.Text) > 50 || count(p.Text) > 200 {
			t.Errorf("child %d at %d to %d, parent at %d to %d", i, c.Start, c.End, p.Start, p.End)
		}
		if i > 0 && res.Chunks[i-1].Parent == c.Parent && c.Start >= res.Chunks[i-1].End {
			t.Errorf("child %d shares nothing with the one before", i)
		}
	}
	if len(had) != len(res.Parents) {
		t.Errorf("%d of %d parents have children", len(had), len(res.Parents))
	}
}

func TestSemanticCutsWhereTheSubjectChanges(t *testing.T) {
	var sents []string
	for i := range 24 {
		sents = append(sents, fmt.Sprintf("%s number %d is here.", []string{"Rock", "Fish", "Star"}[i/8], i))
	}
	d := docOf(strings.Join(sents, " "))
	embedded := 0
	embed := func(_ context.Context, ts []string) ([][]float32, error) {
		var out [][]float32
		for _, t := range ts {
			embedded++
			v := make([]float32, 3)
			for i, w := range []string{"Rock", "Fish", "Star"} {
				v[i] = float32(strings.Count(t, w)) + 0.01
			}
			out = append(out, v)
		}
		return out, nil
	}
	s := Splitter{Strategy: Strategy{Kind: Semantic, Semantic: &SemanticConfig{MaxTokens: 300, BufferSize: 0, BreakpointPercentileThreshold: 90}}, Embed: embed}
	got := split(t, s, d).Chunks
	if len(got) != 3 || embedded != 24 {
		t.Fatalf("%d chunks of %d embedded sentences: %q", len(got), embedded, texts(got))
	}
	for i, w := range []string{"Rock", "Fish", "Star"} {
		if strings.Count(got[i].Text, w) != 8 {
			t.Errorf("chunk %d: %q", i, got[i].Text)
		}
	}
	s.Strategy.Semantic.MaxTokens = 30
	for i, c := range split(t, s, d).Chunks {
		if count(c.Text) > 30 {
			t.Errorf("chunk %d has %d tokens", i, count(c.Text))
		}
	}
	s.Embed = func(context.Context, []string) ([][]float32, error) { return nil, errors.New("engine is down") }
	s.Tokens = &pieces{}
	if _, err := s.Split(t.Context(), d); err == nil || !strings.Contains(err.Error(), "engine is down") {
		t.Errorf("got %v", err)
	}
}

func TestPercentileInterpolates(t *testing.T) {
	for _, c := range []struct{ p, want float64 }{{50, 3}, {75, 4}, {90, 4.6}, {99, 4.96}} {
		if got := percentile([]float64{5, 1, 4, 2, 3}, c.p); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("percentile %v is %v, want %v", c.p, got, c.want)
		}
	}
}

func TestAHeadingStaysWithWhatFollows(t *testing.T) {
	s := Splitter{Strategy: Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{MaxTokens: 60, OverlapPercentage: 1}}}
	for i, c := range split(t, s, docOf(words(50), "# A heading of some words", words(40), words(30))).Chunks {
		if strings.HasSuffix(c.Text, "words") {
			t.Errorf("chunk %d ends with the heading: %q", i, c.Text)
		}
	}
}

func TestPagesAreThoseOfTheText(t *testing.T) {
	d := docOf("First page. It is short.", "Still the first.", "The second page.", "Its end.")
	s := Splitter{Strategy: Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{MaxTokens: 12, OverlapPercentage: 1}}}
	for _, c := range split(t, s, d).Chunks {
		want := 1
		if c.Start >= strings.Index(d.Text, "The second") {
			want = 2
		}
		if c.Page != want {
			t.Errorf("%q is on page %d", c.Text, c.Page)
		}
	}
}

func TestRowsThatAreDocumentsAreCutApart(t *testing.T) {
	d := docOf("First row.", words(120), "Third.")
	for _, b := range d.Blocks {
		d.Records = append(d.Records, parse.Record{Start: b.Start, End: b.End})
	}
	s := Splitter{Strategy: Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{MaxTokens: 80, OverlapPercentage: 10}}}
	var rows []int
	for _, c := range split(t, s, d).Chunks {
		rows = append(rows, c.Record)
	}
	if !cmp.Equal(rows, []int{0, 1, 1, 1, 2}) && !cmp.Equal(rows, []int{0, 1, 1, 2}) {
		t.Errorf("chunks of rows %v", rows)
	}
}

// What a chunk promises, whatever the text, the strategy and the tokenizer.
func TestEveryLetterIsInAChunkOfTheRightSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := docOf(rapid.SliceOfN(rapid.StringOfN(rapid.OneOf(
			rapid.SampledFrom([]rune("ab Z.,!? é\t1")), rapid.SampledFrom([]rune("日本語。한국어 中文！か、ab ")), rapid.Rune(),
		), 1, 300, -1), 1, 6).Draw(t, "paragraphs")...)
		if !utf8.ValidString(d.Text) {
			t.Skip()
		}
		most := rapid.IntRange(1, 60).Draw(t, "most")
		s := Splitter{Tokens: &pieces{}, Embed: hashEmbed}
		switch rapid.SampledFrom([]Kind{Default, FixedSize, None, Hierarchical, Semantic}).Draw(t, "kind") {
		case FixedSize:
			s.Strategy = Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{most, rapid.IntRange(1, 99).Draw(t, "overlap")}}
		case Hierarchical:
			most = max(most, 2)
			s.Strategy = Strategy{Kind: Hierarchical, Hierarchical: &HierarchicalConfig{[]int{most * 4, most}, rapid.IntRange(1, most-1).Draw(t, "shared")}}
		case Semantic:
			s.Strategy = Strategy{Kind: Semantic, Semantic: &SemanticConfig{most, rapid.IntRange(0, 1).Draw(t, "buffer"), rapid.IntRange(50, 99).Draw(t, "threshold")}}
		case None:
			s.Strategy.Kind, most = None, math.MaxInt
		case Default:
			most = 300
		}
		res, err := s.Split(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		for layer, cs := range [][]Chunk{res.Chunks, res.Parents} {
			limit := most
			if layer == 1 {
				if limit *= 4; s.Strategy.Kind != Hierarchical {
					continue
				}
			}
			covered := make([]bool, len(d.Text))
			for i, c := range cs {
				if c.Text != d.Text[c.Start:c.End] || !utf8.ValidString(c.Text) || strings.TrimSpace(c.Text) == "" {
					t.Fatalf("chunk %d %q is not the text at %d to %d", i, c.Text, c.Start, c.End)
				}
				if n := count(c.Text); n > limit && !single(c.Text) {
					t.Fatalf("chunk %d %q has %d tokens, more than %d", i, c.Text, n, limit)
				}
				for k := c.Start; k < c.End; k++ {
					covered[k] = true
				}
				if i > 0 && c.Start < cs[i-1].Start {
					t.Fatalf("chunk %d begins before the one before", i)
				}
			}
			for k, r := range d.Text {
				if !covered[k] && !unicode.IsSpace(r) {
					t.Fatalf("%q at %d is in no chunk", r, k)
				}
			}
		}
	})
}

// single reports a text that cannot be cut at the end of a token without parting a
// letter from its marks.
func single(s string) bool {
	ends, _ := (&pieces{}).Ends(context.Background(), []string{s})
	for _, e := range ends[0] {
		if e < len(s) && whole(s, e) {
			return false
		}
	}
	return true
}

func hashEmbed(_ context.Context, ts []string) ([][]float32, error) {
	var out [][]float32
	for _, t := range ts {
		h := fnv.New32a()
		h.Write([]byte(t))
		n := h.Sum32()
		out = append(out, []float32{float32(n & 0xff), float32(n >> 8 & 0xff), float32(n >> 16 & 0xff)})
	}
	return out, nil
}

func TestSentencesEndWhereReadersEndThem(t *testing.T) {
	for _, c := range []struct {
		name string
		want []string
	}{
		{"English", []string{"Dr. Smith met J. R. Jones at 5 p.m. on Monday. ", "They spoke, e.g. of rocks. ", "It cost 3.50 dollars! ", "Did it?"}},
		{"the United States", []string{"He lives in the U.S. and works there. ", "She left the U.S. ", "The end."}},
		{"German", []string{"Am 3. Mai kam Hr. Meier, z. B. mit dem Zug. ", "Das war ca. 10 km weit."}},
		{"Korean", []string{"안녕하세요. ", "저는 학생입니다. ", "오늘은 날씨가 좋네요! ", "그렇죠?"}},
		{"Japanese", []string{"今日は天気がいい。", "散歩に行きましょう！", "「はい。」と彼は言った。"}},
		{"Chinese", []string{"今天天气很好。", "我们去散步吧！", "你觉得怎么样？"}},
		{"Hindi", []string{"यह एक वाक्य है। ", "यह दूसरा है।"}},
		{"a list", []string{"1. First things first. ", "Then others."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Join(c.want, "")
			var got []string
			start := 0
			for _, e := range sentenceEnds(text, nil) {
				got = append(got, text[start:e])
				start = e
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChunksOfEastAsianTextEndWithSentences(t *testing.T) {
	for name, s := range map[string]string{"ko": "오늘은 아침 일찍 일어나서 산책을 했습니다. ", "ja": "今日は朝早く起きて散歩をしました。", "zh": "今天早上我很早就起床去散步了。"} {
		d := docOf(strings.Repeat(s, 60))
		cs := split(t, Splitter{Strategy: Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{100, 10}}}, d).Chunks
		if len(cs) < 3 {
			t.Errorf("%s: %d chunks", name, len(cs))
		}
		for _, c := range cs {
			if !strings.HasSuffix(c.Text, ".") && !strings.HasSuffix(c.Text, "。") {
				t.Errorf("%s: a chunk ends with %q", name, c.Text[max(0, len(c.Text)-12):])
			}
		}
	}
}

func TestACounterIsATokenizer(t *testing.T) {
	calls := 0
	c := Counted(func(_ context.Context, ts []string) ([]int, error) {
		calls++
		var out []int
		for _, t := range ts {
			out = append(out, count(t))
		}
		return out, nil
	})
	d := docOf(words(1000), words(500))
	got := split(t, Splitter{Tokens: c}, d).Chunks
	want := split(t, Splitter{}, d).Chunks
	if diff := cmp.Diff(texts(want), texts(got)); diff != "" || calls != 1 {
		t.Errorf("%d calls; %s", calls, diff)
	}
	bad := Counted(func(context.Context, []string) ([]int, error) { return []int{1, 2, 3, 4, 5}, nil })
	if _, err := (&Splitter{Tokens: bad}).Split(t.Context(), docOf("One.")); err == nil {
		t.Error("five counts for one text went through")
	}
}

func TestParametersAreChecked(t *testing.T) {
	fixed := func(n, p int) Strategy {
		return Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{n, p}}
	}
	layers := func(o int, n ...int) Strategy {
		return Strategy{Kind: Hierarchical, Hierarchical: &HierarchicalConfig{n, o}}
	}
	semantic := func(n, b, p int) Strategy {
		return Strategy{Kind: Semantic, Semantic: &SemanticConfig{n, b, p}}
	}
	for _, c := range []struct {
		name  string
		s     Strategy
		limit int
		field string
	}{
		{"default", Strategy{}, 512, ""},
		{"none", Strategy{Kind: None}, 512, ""},
		{"fixed", fixed(512, 99), 512, ""},
		{"fixed, none", fixed(0, 20), 0, "fixedSizeChunkingConfiguration.maxTokens"},
		{"fixed, too many", fixed(8193, 20), 0, "fixedSizeChunkingConfiguration.maxTokens"},
		{"fixed, more than the model", fixed(513, 20), 512, "fixedSizeChunkingConfiguration.maxTokens"},
		{"no overlap", fixed(100, 0), 0, "fixedSizeChunkingConfiguration.overlapPercentage"},
		{"all overlap", fixed(100, 100), 0, "fixedSizeChunkingConfiguration.overlapPercentage"},
		{"fixed without its configuration", Strategy{Kind: FixedSize}, 0, "fixedSizeChunkingConfiguration"},
		{"none with a configuration", Strategy{Kind: None, FixedSize: &FixedSizeConfig{1, 1}}, 0, "fixedSizeChunkingConfiguration"},
		{"unknown", Strategy{Kind: "FOO"}, 0, "chunkingStrategy"},
		{"layers", layers(60, 1500, 300), 512, ""},
		{"one layer", layers(60, 1500), 0, "hierarchicalChunkingConfiguration.levelConfigurations"},
		{"layers upside down", layers(60, 300, 1500), 0, "hierarchicalChunkingConfiguration.levelConfigurations"},
		{"child more than the model", layers(60, 1500, 600), 512, "hierarchicalChunkingConfiguration.levelConfigurations.1.maxTokens"},
		{"no shared tokens", layers(0, 1500, 300), 0, "hierarchicalChunkingConfiguration.overlapTokens"},
		{"all shared", layers(300, 1500, 300), 0, "hierarchicalChunkingConfiguration.overlapTokens"},
		{"semantic", semantic(300, 1, 95), 512, ""},
		{"buffer", semantic(300, 2, 95), 0, "semanticChunkingConfiguration.bufferSize"},
		{"threshold", semantic(300, 0, 49), 0, "semanticChunkingConfiguration.breakpointPercentileThreshold"},
		{"threshold of all", semantic(300, 0, 100), 0, "semanticChunkingConfiguration.breakpointPercentileThreshold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Validate(c.s, c.limit)
			field := ""
			if e, ok := errors.AsType[*Invalid](err); ok {
				field = e.Field
			}
			if field != c.field || (err == nil) != (c.field == "") {
				t.Errorf("got field %q, error %v", field, err)
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	para := strings.Repeat("The quick brown fox jumps over the lazy dog, and then it sleeps for a while. ", 12)
	var ps []string
	for range 200 {
		ps = append(ps, para)
	}
	d := docOf(ps...)
	tok := &pieces{}
	ends := map[string][]int{}
	for _, s := range []struct {
		name string
		s    Strategy
	}{
		{"default", Strategy{}},
		{"fixed 300/20", Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{300, 20}}},
		{"layers 1500/300/60", Strategy{Kind: Hierarchical, Hierarchical: &HierarchicalConfig{[]int{1500, 300}, 60}}},
	} {
		b.Run(s.name, func(b *testing.B) {
			sp := Splitter{Strategy: s.s, Tokens: cached{tok, ends}}
			n := 0
			for b.Loop() {
				n += len(split(b, sp, d).Chunks)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "chunks/s")
			b.SetBytes(int64(len(d.Text)))
		})
	}
}

// cached leaves the tokenizer out of the measurement.
type cached struct {
	t  Tokenizer
	by map[string][]int
}

func (c cached) Ends(ctx context.Context, texts []string) ([][]int, error) {
	out := make([][]int, len(texts))
	for i, t := range texts {
		if _, ok := c.by[t]; !ok {
			e, _ := c.t.Ends(ctx, []string{t})
			c.by[t] = e[0]
		}
		out[i] = c.by[t]
	}
	return out, nil
}

func FuzzSplit(f *testing.F) {
	f.Add("One. Two! 三。 Four", 5, 20, 0)
	f.Add("e.g. J. Smith 3. Mai \u0301\u200d\ufe0f", 2, 99, 1)
	f.Add("한국어 문장입니다. 또 하나.", 3, 1, 2)
	f.Fuzz(func(t *testing.T, text string, most, overlap, kind int) {
		text = strings.ToValidUTF8(text, "?")
		most, overlap = 2+abs(most)%200, 1+abs(overlap)%99
		s := Splitter{Tokens: &pieces{}, Embed: hashEmbed}
		switch abs(kind) % 4 {
		case 0:
			s.Strategy = Strategy{Kind: FixedSize, FixedSize: &FixedSizeConfig{most, overlap}}
		case 1:
			s.Strategy = Strategy{Kind: Hierarchical, Hierarchical: &HierarchicalConfig{[]int{most * 3, most}, 1 + overlap%(most-1)}}
			if s.Strategy.Hierarchical.OverlapTokens >= most {
				s.Strategy.Hierarchical.OverlapTokens = 1
			}
		case 2:
			s.Strategy = Strategy{Kind: Semantic, Semantic: &SemanticConfig{most, overlap % 2, 50 + overlap/2}}
		}
		res, err := s.Split(t.Context(), docOf(text))
		if err != nil {
			t.Fatal(err)
		}
		end := 0
		for _, c := range res.Chunks {
			end = max(end, c.End)
		}
		if want := len(strings.TrimRightFunc(text, unicode.IsSpace)); strings.TrimSpace(text) != "" && hasText(text) && end < want && hasText(text[end:want]) {
			t.Errorf("the text ends at %d, the last chunk at %d", want, end)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
