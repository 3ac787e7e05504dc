package analyse

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
	"golang.org/x/text/unicode/norm"
)

// Version changes when equal texts give other terms than before; an index keeps the
// version of its terms beside them.
const Version = 1

// Term stands for a word, a stem or a bigram: its hash. Two terms of a vocabulary of
// a million meet with a probability of some 3 in 10⁸.
type Term uint64

// Count is a term and how often a text has it.
type Count struct {
	Term Term
	N    int
}

// Analyser makes terms of texts. It is safe for concurrent use.
type Analyser struct {
	language string
	latin    *language
	scratch  sync.Pool
}

// New makes an Analyser whose words in Latin letters are of that language, a name of
// Languages; English if empty.
func New(name string) (*Analyser, error) {
	if name == "" {
		name = "english"
	}
	l, ok := languages[name]
	if !ok || l.script != unicode.Latin {
		return nil, fmt.Errorf("no language %q; there are %s", name, strings.Join(Languages(), ", "))
	}
	a := &Analyser{language: name, latin: l}
	a.scratch.New = func() any {
		return &scratch{stems: make(map[string]string), counts: make(map[Term]int), a: a}
	}
	return a, nil
}

// Languages are the names New takes, sorted.
func Languages() []string {
	var names []string
	for name, l := range languages {
		if l.script == unicode.Latin {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Document counts the terms of a text, sorted by term, and says how long it is: how
// many words and bigrams, stop words left out.
func (a *Analyser) Document(text string) (terms []Count, length int) {
	s := a.scratch.Get().(*scratch)
	defer a.scratch.Put(s)
	s.each(text, func(term string, single bool) {
		s.counts[hash(term)]++
		if !single {
			length++
		}
	})
	terms = make([]Count, 0, len(s.counts))
	for t, n := range s.counts {
		terms = append(terms, Count{t, n})
	}
	clear(s.counts)
	slices.SortFunc(terms, func(a, b Count) int {
		if a.Term < b.Term {
			return -1
		}
		return 1 // terms are distinct
	})
	return terms, length
}

// Question answers the distinct terms of a question, in its order.
func (a *Analyser) Question(text string) []Term {
	var terms []Term
	for _, w := range a.Words(text) {
		if t := hash(w); !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	return terms
}

// Words answers a question's terms as text, repeats included: what Question hashes.
func (a *Analyser) Words(text string) []string {
	s := a.scratch.Get().(*scratch)
	defer a.scratch.Put(s)
	s.question = true
	defer func() { s.question = false }()
	var out []string
	s.each(text, func(term string, _ bool) { out = append(out, strings.Clone(term)) })
	return out
}

// maxWord is the longest word that becomes a term, in bytes: what is longer is no
// word but data.
const maxWord = 128

// scratch is what one analysis uses, kept for the next.
type scratch struct {
	a        *Analyser
	counts   map[Term]int
	stems    map[string]string // of words seen; stemming costs far more than a look
	question bool
}

// each yields every term of text; single marks the lone characters that are there
// beside the bigrams.
func (s *scratch) each(text string, yield func(term string, single bool)) {
	text = fold(text)
	for text != "" {
		i := strings.IndexFunc(text, func(r rune) bool { return r >= firstEast && east(r) != 0 })
		if i != 0 {
			if i < 0 {
				i = len(text)
			}
			s.words(text[:i], yield)
			text = text[i:]
			continue
		}
		n := eastRun(text)
		s.bigrams(text[:n], yield)
		text = text[n:]
	}
}

// fold brings a text to one form: compatibility composed (full-width letters become
// plain, half-width Kana full), lower case, one apostrophe.
func fold(text string) string {
	if !ascii(text) {
		text = strings.ReplaceAll(norm.NFKC.String(strings.ToValidUTF8(text, "\ufffd")), "’", "'")
	}
	return strings.ToLower(text)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (s *scratch) words(text string, yield func(string, bool)) {
	for it := words.FromString(text); it.Next(); {
		w := it.Value()
		if len(w) > maxWord || !strings.ContainsFunc(w, wordRune) {
			continue
		}
		if stem := s.stem(w); stem != "" {
			yield(stem, false)
		}
	}
}

func wordRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsNumber(r))
}

// maxStems bounds the memory of one scratch.
const maxStems = 1 << 15

// stem answers the stem of a word, empty for a stop word.
func (s *scratch) stem(w string) string {
	if stem, ok := s.stems[w]; ok {
		return stem
	}
	if len(s.stems) >= maxStems {
		clear(s.stems)
	}
	w = strings.Clone(w) // the map must not keep the text alive
	stem := s.a.languageOf(w).stem(w)
	s.stems[w] = stem
	return stem
}

// languageOf chooses by the first letter.
func (a *Analyser) languageOf(w string) *language {
	for _, r := range w {
		switch {
		case r < utf8.RuneSelf && !('a' <= r && r <= 'z'):
			continue
		case r < utf8.RuneSelf || unicode.Is(unicode.Latin, r):
			return a.latin
		case unicode.Is(unicode.Cyrillic, r):
			return languages["russian"]
		case unicode.Is(unicode.Arabic, r):
			return languages["arabic"]
		case unicode.Is(unicode.Tamil, r):
			return languages["tamil"]
		default:
			return plain
		}
	}
	return plain
}

// hash is FNV-1a with the last mixing of MurmurHash3.
func hash(s string) Term {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return Term(h ^ h>>33)
}
