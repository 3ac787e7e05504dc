package rag

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
)

// read runs the reader over pieces; "|" in the answer is the edge of a part, "^" the
// beginning of an answer.
func read(pieces ...string) string {
	var b strings.Builder
	r := reader{text: func(s string) { b.WriteString(s) }, part: func() {
		if !strings.HasSuffix(b.String(), "|") {
			b.WriteByte('|')
		}
	}, head: func() { b.WriteByte('^') }}
	for _, p := range pieces {
		r.feed(p)
	}
	r.finish()
	return b.String()
}

func TestReader(t *testing.T) {
	for in, want := range map[string]string{
		"plain < text > 3 <b>x</b>": "plain < text > 3 <b>x</b>",
		"<answer><answer_part><text>One.</text><sources><source>1</source></sources></answer_part></answer>": "^|One.|",
		"<answer>\n<answer_part>No text tag.<sources><source>1</source></answer_part>more":                   "^|\n|No text tag.|more",
		"Before <answer>in</answer> after":                      "Before ^|in|",
		"</answer>early":                                        "|early",
		"<text >a</text\n><source/>b":                           "^|a|b",
		"a <sources>1, 2</sources> b":                           "a | b",
		"a<source>1</source> <source>2</source>b</answer_part>": "a| |b|",
		"cut </answer_pa":                                       "cut </answer_pa",
		"<text>cut </answer_pa":                                 "^|cut ",
		"<text>5 <":                                             "^|5 ",
		"5 <":                                                   "5 <",
		"<TEXT>loud</TEXT>":                                     "^|loud|",
		"<textual> <answers>":                                   "<textual> <answers>",
		"<text                              >x":                 "<text                              >x",
		"bad \xff\xf0\x9f bytes":                                "bad \uFFFD bytes",
		"<<text>>":                                              "<^|>",
	} {
		if got := read(in); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
		for i := range len(in) {
			if got := read(in[:i], in[i:]); merged(got) != merged(want) {
				t.Errorf("%q cut at %d is read as %q, want %q", in, i, got, want)
			}
		}
	}
}

// merged makes readings comparable: how many replacement characters stand for broken
// bytes depends on where they were cut.
func merged(s string) string {
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

// FuzzReader: whatever a model writes and wherever it is cut, the reading is the same.
func FuzzReader(f *testing.F) {
	f.Add("Hi <answer><answer_part><text>One &lt; two.</text><sources><source>1</source></sources></answer_part></answer> x", uint(7))
	f.Add("<answer><answer_part", uint(1))
	f.Add("a<b</te</text><text>é世界😀", uint(3))
	f.Add("</sources><source>1<text>", uint(2))
	f.Fuzz(func(t *testing.T, in string, n uint) {
		want := merged(read(in))
		step := int(n%9) + 1
		var pieces []string
		for i := 0; i < len(in); i += step {
			pieces = append(pieces, in[i:min(i+step, len(in))])
		}
		if got := merged(read(pieces...)); got != want {
			t.Errorf("%q in pieces of %d is read as %q, whole as %q", in, step, got, want)
		}
		if !utf8.ValidString(want) {
			t.Errorf("%q is read as bytes that are no text", in)
		}
	})
}

// kept keeps what a composer tells.
type kept struct {
	text  strings.Builder
	log   []string
	cites []api.Citation
}

func (k *kept) Text(s string) error { k.text.WriteString(s); return nil }

func (k *kept) Cite(c *api.Citation) error {
	k.cites = append(k.cites, *c)
	k.log = append(k.log, fmt.Sprintf("%q is cited", *c.GeneratedResponsePart.TextResponsePart.Text))
	if p := c.GeneratedResponsePart.TextResponsePart; p.Span.End != nil {
		if text := []rune(k.text.String()); *p.Span.End >= len(text) || string(text[*p.Span.Start:*p.Span.End+1]) != *p.Text {
			k.log = append(k.log, "BAD SPAN")
		}
	}
	return nil
}

func compose(results []api.KnowledgeBaseRetrievalResult, e *evidence, pieces ...string) *kept {
	k := &kept{}
	c := newComposer(k, results, e)
	for _, p := range pieces {
		if err := c.feed(p); err != nil {
			break
		}
	}
	_ = c.finish()
	return k
}

// FuzzComposer: the answer and its citations do not depend on the pieces, spans point
// at their sentences, and no tag of the format gets out.
func FuzzComposer(f *testing.F) {
	results := found(pumps...)
	o, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	e := newEvidence(o.terms, "How heavy is the Zarkon pump?", results)
	f.Add("<answer>"+part("The Zarkon pump weighs 41.5 kg.", "1")+part("The Velta compressor weighs 212 kg! Fine.", "2")+"</answer>", uint(3))
	f.Add("Mr. X. The Zarkon pump weighs 41.5 kg. 자르콘 😀 3.5 e.g. this\n\n1. Item", uint(1))
	f.Add("Sorry, I am unable to assist you with this request.", uint(4))
	f.Fuzz(func(t *testing.T, in string, n uint) {
		if !utf8.ValidString(in) || len(in) > 2000 {
			return
		}
		whole := compose(results, e, in)
		cut := compose(results, e, cutRunes(in, int(n%9)+1)...)
		if whole.text.String() != cut.text.String() {
			t.Errorf("%q: whole %q, in pieces %q", in, whole.text.String(), cut.text.String())
		}
		if d := cmp.Diff(whole.cites, cut.cites); d != "" {
			t.Errorf("%q: %s", in, d)
		}
		for _, l := range append(whole.log, cut.log...) {
			if l == "BAD SPAN" {
				t.Errorf("%q: %v", in, cut.log)
			}
		}
		if text := whole.text.String(); strings.Contains(text, "<text>") || strings.Contains(text, "</answer_part>") {
			t.Errorf("%q lets markup out: %q", in, text)
		}
		if whole.text.Len() == 0 {
			t.Errorf("%q gives no answer at all", in)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("a $query$ b $search_results$", "$query$", "$search_results$")
	f.Add("$$query$$", "x", "y")
	f.Fuzz(func(t *testing.T, text, query, results string) {
		tpl := parseTemplate(text)
		if got := strings.Join(tpl.pieces, ""); got != text {
			t.Fatalf("%q is cut into %q", text, got)
		}
		if got := tpl.fill(nil); got != text {
			t.Errorf("with nothing to put in %q becomes %q", text, got)
		}
		// One pass: the length is what is put in, whatever it says.
		got := tpl.fill(map[string]string{holdQuery: query, holdResults: results})
		want := len(text)
		for _, p := range tpl.pieces {
			switch p {
			case holdQuery:
				want += len(query) - len(p)
			case holdResults:
				want += len(results) - len(p)
			}
		}
		if len(got) != want {
			t.Errorf("%q with %q and %q becomes %q", text, query, results, got)
		}
	})
}

func TestSentences(t *testing.T) {
	for _, want := range [][]string{
		{"One.", "Two!", "Three?", "Four"},
		{"It weighs 3.5 kg.", "And 1,200.5 more."},
		{"Dr. Dubois met J. Smith, e.g. on Monday.", "Fine."},
		{"1. First item.", "2. Second item."},
		{"A title", "A line"},
		{"He said \"stop.\"", "Then (really!) he left."},
		{"무게는 41킬로그램입니다.", "네, 그렇습니다."},
		{"重さは41キロです。", "「はい。」と言った。", "終わり！"},
		{"See example.com for more.", "Yahoo! is a name..."},
	} {
		sep := " "
		switch {
		case want[0] == "A title":
			sep = "\n"
		case strings.ContainsAny(want[0], "は"):
			sep = ""
		}
		var s sentences
		var got []string
		for _, r := range strings.Join(want, sep) {
			if s.next(r) {
				got = append(got, s.take())
			}
			s.add(r)
		}
		got = append(got, s.take())
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestSupport(t *testing.T) {
	shown := []string{
		"The Zarkon pump weighs 41.5 kg and was built on 12 March 1987 by Mireille Dubois. Its code is ZP-117.",
		"Der Velta-Kompressor wiegt 1.212 kg. Die Gehäuse sind aus Stahl.",
		"ザルコンポンプの重さは41キロです。製造は1987年です。",
		"The café 'Blue Heron' opens at 7:30 and closes at 18:00. It has three rooms.",
		"扎尔孔水泵重四十一公斤，建于1987年。",
	}
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := newEvidence(o.terms, "How heavy is the Zarkon pump, and what of the Velta compressor?", found(shown...))
	for sentence, want := range map[string][]int{
		"The Zarkon pump weighs 41.5 kilograms.":            {0},
		"Its weight is 41.5 kg.":                            {0},
		"The Zarkon pump has the code ZP-117.":              {0},
		"The Zarkon pump has the code ZP-118.":              nil,
		"It was built on 12 March 1987.":                    {0},
		"It was built on 13 March 1987.":                    nil,
		"The Zarkon pump was built by Mireille Dubois.":     {0},
		"The Zarkon pump was built by Mireille Laurent.":    nil,
		"The pump [1] weighs 41.5 kg (1).":                  {0},
		"The pump is made of aluminium.":                    nil,
		"The Zarkon pump and the Velta compressor.":         nil,
		"Der Velta-Kompressor wiegt 1212 kg.":               {1},
		"Das Gehäuse ist aus Stahl.":                        {1},
		"Das Gehäuse ist aus Holz.":                         nil,
		"ポンプの重さは41キロです。":                                    {2},
		"ポンプの重さは42キロです。":                                    nil,
		"The Blue Heron opens at 7:30.":                     {3},
		"The Blue Heron opens at 8:30.":                     nil,
		"The café has 3 rooms.":                             {3},
		"扎尔孔水泵建于1987年。":                                     {4},
		"扎尔孔水泵建于1988年。":                                     nil,
		"The Zarkon pump is purple.":                        nil,
		"Yes.":                                              nil,
		"":                                                  nil,
		"The Zarkon pump weighs 1212 kg.":                   nil,
		"The Zarkon pump, with its steel housing, 1212 kg.": nil,
		// What it adds to the question is there, but not what it says it of.
		"The heavy compressor opens at 7:30.": nil,
		// It adds nothing to the question, and no passage has most of it.
		"The pump and the compressor are heavy.": nil,
		// The second clause names nothing: the passage that fits it is about something else.
		"The Zarkon pump weighs 41.5 kg and opens at 7:30.": nil,
	} {
		if d := cmp.Diff(want, e.support(sentence)); d != "" {
			t.Errorf("%q: %s", sentence, d)
		}
	}
}

// Passages that hold clearly less of a sentence than the best are not named, and of
// those that hold as much, three.
func TestTheBestPassagesAreNamed(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	const whole, part = "The Zarkon pump has a steel housing and weighs 41.5 kg.", "The Zarkon pump weighs 41.5 kg."
	for _, c := range []struct {
		shown []string
		want  []int
	}{
		{[]string{part, whole}, []int{1}},
		{[]string{part}, []int{0}}, // it supports the sentence by itself
		{[]string{whole, whole}, []int{0, 1}},
		{[]string{whole, whole, whole, whole}, []int{0, 1, 2}},
	} {
		if d := cmp.Diff(c.want, newEvidence(o.terms, "How heavy is it?", found(c.shown...)).support(whole)); d != "" {
			t.Errorf("of %q: %s", c.shown, d)
		}
	}
}

// A month is proven by its name, or by its number in a date, and by no other number.
func TestMonths(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		shown string
		want  []int
	}{
		{"The Blue Heron opened in March 1987.", []int{0}},
		{"The Blue Heron opened on 1987-03-12.", []int{0}},
		{"The Blue Heron opened on 12/03/1987.", []int{0}},
		{"The Blue Heron opened in May 1987.", nil},
		{"The Blue Heron opened in 1987 with three rooms.", nil},
		{"The Blue Heron opened in 1987 with 3 rooms.", nil},
	} {
		if d := cmp.Diff(c.want, newEvidence(o.terms, "When was it?", found(c.shown)).support("The Blue Heron opened in March 1987.")); d != "" {
			t.Errorf("of %q: %s", c.shown, d)
		}
	}
}

func TestVariants(t *testing.T) {
	for n, want := range map[string][]string{
		"41": {"41"}, "007": {"7"}, "0": {"0"}, "41.50": {"41.5"}, "3,5": {"3.5"}, "1,200": {"1.2", "1200"}, "1.234.567": {"1.234.567", "1234567"}, "1,234.50": {"1234.5"}, "0.5": {"0.5"},
	} {
		if d := cmp.Diff(want, variants(n)); d != "" {
			t.Errorf("%s: %s", n, d)
		}
	}
}

func BenchmarkEvidence(b *testing.B) {
	o, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	results := found(strings.Repeat(pumps[0]+" ", 20), strings.Repeat(pumps[1]+" ", 20), strings.Repeat(pumps[2]+" ", 20))
	for b.Loop() {
		e := newEvidence(o.terms, "How heavy is the Zarkon pump?", results)
		e.support("The Zarkon pump weighs 41.5 kg.")
	}
}

func BenchmarkSentence(b *testing.B) {
	o, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	e := newEvidence(o.terms, "How heavy is the Zarkon pump?", found(pumps...))
	for b.Loop() {
		e.support("The Zarkon pump weighs 41.5 kg.")
	}
}
