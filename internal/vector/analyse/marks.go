package analyse

import (
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
)

// Span is a part of a text, in bytes.
type Span struct{ Start, End int }

// Marks answers the parts of a text that are terms of a question, in the order of the
// text and joined where they touch: what a page of results highlights.
func (a *Analyser) Marks(text, question string) []Span {
	terms := make(map[string]bool)
	for _, w := range a.Words(question) {
		terms[w] = true
	}
	if len(terms) == 0 {
		return nil
	}
	var spans []Span
	mark := func(start, end int) {
		if n := len(spans); n > 0 && start <= spans[n-1].End {
			spans[n-1].End = max(end, spans[n-1].End)
			return
		}
		spans = append(spans, Span{start, end})
	}
	s := a.scratch.Get().(*scratch)
	defer a.scratch.Put(s)
	at := 0
	for text != "" {
		i := strings.IndexFunc(text, func(r rune) bool { return r >= firstEast && east(r) != 0 })
		if i < 0 {
			i = len(text)
		}
		for it := words.FromString(text[:i]); it.Next(); {
			s.words(fold(it.Value()), func(term string, _ bool) {
				if terms[term] {
					mark(at+it.Start(), at+it.End())
				}
			})
		}
		text, at = text[i:], at+i
		n := eastRun(text)
		// A bigram is looked for where its two characters begin: what folding makes of
		// each stands for it.
		for j := 0; j < n; {
			_, one := utf8.DecodeRuneInString(text[j:n])
			_, two := utf8.DecodeRuneInString(text[j+one : n]) // 0 at the end
			s.bigrams(fold(text[j:j+one+two]), func(term string, single bool) {
				switch {
				case !terms[term]:
				case !single:
					mark(at+j, at+j+one+two)
				case term == fold(text[j:j+one]):
					mark(at+j, at+j+one)
				}
			})
			j += one
		}
		text, at = text[n:], at+n
	}
	return spans
}
