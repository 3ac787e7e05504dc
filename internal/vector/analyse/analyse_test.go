package analyse

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func analyser(t testing.TB, language string) *Analyser {
	t.Helper()
	a, err := New(language)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		name, language, text string
		want                 []string
	}{
		{"stop words go and stems stay", "", "The runners are running to the Houses", []string{"runner", "run", "hous"}},
		{"numbers and codes are words", "", "order 4711-0815, v2.5 of X9", []string{"order", "4711", "0815", "v2.5", "x9"}},
		{"full width letters are plain ones", "", "ＡＢＣ １２", []string{"abc", "12"}},
		{"ligatures come apart", "", "ﬁle", []string{"file"}},
		{"apostrophes of both kinds", "", "Anna’s Anna's", []string{"anna", "anna"}},
		{"french elision", "french", "l'eau des montagnes", []string{"eau", "montagn"}},
		{"german umlauts", "german", "die Häuser", []string{"haus"}},
		{"cyrillic words have their own stemmer", "", "новые книги", []string{"нов", "книг"}},
		{"no language, no stemmer", "none", "the Houses", []string{"the", "houses"}},
		{"greek is kept as it is", "", "Η Ελλάδα", []string{"η", "ελλάδα"}},
		{"chinese bigrams", "", "北京大学", []string{"北京", "京大", "大学"}},
		{"japanese kanji and kana run together", "", "東京タワーの高さ", []string{"東京", "京タ", "タワ", "ワー", "ーの", "の高", "高さ"}},
		{"half width kana are full", "", "ﾀﾜｰ", []string{"タワ", "ワー"}},
		{"korean bigrams stay within the word", "", "한국어 문서를", []string{"한국", "국어", "문서", "서를"}},
		{"decomposed hangul is composed", "", "한국", []string{"한국"}},
		{"a single character of a question", "", "水", []string{"水"}},
		{"scripts side by side", "", "GPU가 2개", []string{"gpu", "가", "2", "개"}},
		{"marks alone are nothing", "", "… — 。「」 ? ٪", nil},
		{"data is no word", "", strings.Repeat("a", 129), nil},
		{"bytes that are no text", "", "ab\xff\xfecd ok", []string{"ab", "cd", "ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, analyser(t, c.language).Words(c.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A question finds a document when they share a term, so this is what matters.
func TestQuestionsMeetDocuments(t *testing.T) {
	for _, c := range []struct {
		question, document string
		meet               bool
	}{
		{"running shoes", "He runs in a red shoe", true},
		{"휴가는 며칠인가요", "연차 휴가를 신청하려면 부서장의 승인이 필요합니다", true}, // the particles differ
		{"물", "물은 섭씨 100도에서 끓는다", true},
		{"水", "海水淡化技术", true},
		{"返品の期限", "商品の返品は三十日以内に承ります", true},
		{"退货政策", "本店的退货规定如下", true},
		{"退货政策", "营业时间为九点", false},
		{"휴가", "급여 명세서", false},
		{"running", "walking", false},
	} {
		a := analyser(t, "")
		terms, length := a.Document(c.document)
		if length == 0 {
			t.Errorf("%q has no length", c.document)
		}
		meet := slices.ContainsFunc(a.Question(c.question), func(q Term) bool {
			return slices.ContainsFunc(terms, func(d Count) bool { return d.Term == q })
		})
		if meet != c.meet {
			t.Errorf("%q and %q share a term: %v, want %v", c.question, c.document, meet, c.meet)
		}
	}
}

func TestDocumentCounts(t *testing.T) {
	terms, length := analyser(t, "").Document("red fish, blue fish, 魚魚魚")
	got := map[Term]int{}
	for i, c := range terms {
		got[c.Term] = c.N
		if i > 0 && terms[i-1].Term >= c.Term {
			t.Error("the terms are not sorted")
		}
	}
	want := map[Term]int{hash("red"): 1, hash("fish"): 2, hash("blue"): 1, hash("魚魚"): 2, hash("魚"): 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if length != 6 {
		t.Errorf("length %d, want 4 words and 2 bigrams", length)
	}
}

func TestLanguages(t *testing.T) {
	for _, l := range Languages() {
		analyser(t, l)
	}
	for _, l := range []string{"klingon", "russian"} {
		if _, err := New(l); err == nil {
			t.Errorf("%s is taken for Latin words", l)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{"plain words", "北京大学", "한국어", "ﾀﾜｰー々〇", "l'eau", "a\u0300\xff", "'''", "ꓵ𠀀"} {
		f.Add(s, "french")
		f.Add(s, "turkish")
	}
	f.Fuzz(func(t *testing.T, text, language string) {
		a, err := New(language)
		if err != nil {
			return
		}
		terms, length := a.Document(text)
		n := 0
		for _, c := range terms {
			n += c.N
		}
		if n < length || length > 2*utf8.RuneCountInString(fold(text)) {
			t.Errorf("%d terms in a length of %d", n, length)
		}
		for _, q := range a.Question(text) { // what a text asks for, it has
			if !slices.ContainsFunc(terms, func(c Count) bool { return c.Term == q }) {
				t.Errorf("%q does not find itself", text)
			}
		}
	})
}

func BenchmarkDocument(b *testing.B) {
	a := analyser(b, "")
	text := strings.Repeat("The quick brown foxes were jumping over several lazy dogs while retrieving documents from indexed knowledge bases. ", 9)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		a.Document(text)
	}
}
