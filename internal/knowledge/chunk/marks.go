package chunk

import (
	"context"
	"fmt"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// Tokenizer tells where the tokens of texts end.
type Tokenizer interface {
	// Ends returns, for each text, the bytes at which its tokens end: ascending,
	// none beyond the text. What a model adds around a text is not among them.
	Ends(ctx context.Context, texts []string) ([][]int, error)
}

// Counted makes a Tokenizer of a function that only counts: it is asked once for
// each sentence, and the tokens of a sentence are spread over its letters. So
// chunks that end with a sentence are exact; one that must be cut within a sentence
// is counted by share.
type Counted func(ctx context.Context, texts []string) ([]int, error)

var _ Tokenizer = Counted(nil)

// Ends implements Tokenizer.
func (c Counted) Ends(ctx context.Context, texts []string) ([][]int, error) {
	var parts []string
	var of [][]int // ends of the sentences of each text
	for _, t := range texts {
		ends := sentenceEnds(t, nil)
		if t == "" {
			ends = nil
		}
		start := 0
		for _, e := range ends {
			parts = append(parts, t[start:e])
			start = e
		}
		of = append(of, ends)
	}
	counts, err := c(ctx, parts)
	if err != nil {
		return nil, err
	}
	if len(counts) != len(parts) {
		return nil, fmt.Errorf("chunk: %d counts for %d texts", len(counts), len(parts))
	}
	out := make([][]int, len(texts))
	k := 0
	for i, ends := range of {
		start := 0
		for _, e := range ends {
			n := max(counts[k], 0)
			k++
			for j := 1; j <= n; j++ {
				at := start + (e-start)*j/n
				for at < e && at > start && !utf8.RuneStart(texts[i][at]) {
					at--
				}
				out[i] = append(out[i], at)
			}
			start = e
		}
	}
	return out, nil
}

// strength of a mark: where a chunk ends with the least harm.
type strength uint8

const (
	inside   strength = iota // within a word that is too long
	word                     // between words
	sentence                 // between sentences
	block                    // between paragraphs, rows …
)

// mark is a place where a chunk may begin or end.
type mark struct {
	at     int      // byte of the text
	tokens int      // that end at or before it
	kind   strength // of the end before it
	after  bool     // follows a heading
	cut    bool     // lies within a token, so that a chunk that ends here has one more
}

// marked is a text with its marks; the first is at 0, the last at the end.
type marked struct {
	doc   *parse.Document
	marks []mark
	ends  []int // of the tokens
	atom  int   // tokens from which a word is cut inside
}

// atom is the size, in tokens, from which a word is cut inside.
func (s *Splitter) atom() int {
	least := defaultTokens
	switch {
	case s.Strategy.FixedSize != nil:
		least = s.Strategy.FixedSize.MaxTokens
	case s.Strategy.Hierarchical != nil:
		least = s.Strategy.Hierarchical.MaxTokens[1]
	case s.Strategy.Semantic != nil:
		least = s.Strategy.Semantic.MaxTokens
	case s.Limit > 0:
		least = min(least, s.Limit)
	}
	return max(1, min(16, least/4))
}

// measure finds the marks of a document.
func (s *Splitter) measure(ctx context.Context, doc *parse.Document) (*marked, error) {
	text := doc.Text
	ends, err := s.tokens(ctx, doc)
	if err != nil {
		return nil, err
	}
	m := &marked{doc: doc, ends: ends, atom: s.atom()}
	m.marks = append(make([]mark, 0, len(text)/6+2), mark{kind: block})
	var buf []int
	blocks := doc.Blocks
	if len(blocks) == 0 && text != "" {
		blocks = []parse.Block{{Start: 0, End: len(text)}}
	}
	for i, b := range blocks {
		if b.Start == b.End {
			continue
		}
		// What stands between blocks goes to the one before.
		next := len(text)
		for j := i + 1; j < len(blocks); j++ {
			if blocks[j].End > blocks[j].Start {
				next = blocks[j].Start
				break
			}
		}
		buf = sentenceEnds(text[b.Start:b.End], buf[:0])
		start := b.Start
		for k, e := range buf {
			end := b.Start + e
			m.words(text, start, end)
			kind := sentence
			if k == len(buf)-1 {
				kind, end = block, next
			}
			m.add(mark{at: end, kind: kind, after: kind == block && b.Kind == parse.Heading})
			start = end
		}
	}
	if last := m.marks[len(m.marks)-1]; last.at < len(text) {
		m.add(mark{at: len(text), kind: block})
	}
	return m, nil
}

// tokens asks for all blocks at once.
func (s *Splitter) tokens(ctx context.Context, doc *parse.Document) ([]int, error) {
	texts := []string{doc.Text}
	starts := []int{0}
	if len(doc.Text) > 1<<16 && len(doc.Blocks) > 0 {
		// Long texts in parts that end with a block: tokenizers are not all linear.
		texts, starts = nil, nil
		begin := 0
		for i, b := range doc.Blocks {
			end := len(doc.Text)
			if i+1 < len(doc.Blocks) {
				end = doc.Blocks[i+1].Start
			}
			if end-begin >= 1<<14 || i+1 == len(doc.Blocks) {
				texts = append(texts, doc.Text[begin:end])
				starts = append(starts, begin)
				begin = end
			}
			_ = b
		}
	}
	got, err := s.Tokens.Ends(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("chunk: count tokens: %w", err)
	}
	if len(got) != len(texts) {
		return nil, fmt.Errorf("chunk: tokens of %d texts came, %d were asked for", len(got), len(texts))
	}
	n := 0
	for _, g := range got {
		n += len(g)
	}
	ends := make([]int, 0, n)
	for i, g := range got {
		last := 0
		for _, e := range g {
			if e < last || e > len(texts[i]) {
				return nil, fmt.Errorf("chunk: a token ends at %d after %d in a text of %d", e, last, len(texts[i]))
			}
			last = e
			ends = append(ends, starts[i]+e)
		}
	}
	return ends, nil
}

// words adds the marks between the words of a sentence.
func (m *marked) words(text string, start, end int) {
	before := rune(0)
	for i := start; i < end; {
		r, n := utf8.DecodeRuneInString(text[i:end])
		if i > start {
			switch {
			case unicode.IsSpace(before) && !unicode.IsSpace(r):
				m.add(mark{at: i, kind: word})
			case (r >= 0x2e80 || before >= 0x2e80) && (ideographic(r) && letter(before) || ideographic(before) && letter(r)):
				m.add(mark{at: i, kind: word})
			}
		}
		before = r
		i += n
	}
}

// ideographic letters are words of their own; punctuation clings to them.
func ideographic(r rune) bool {
	return r >= 0x3041 && r <= 0x3096 || r >= 0x30a1 && r <= 0x30fa || r >= 0x3400 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff || r >= 0x20000 && r <= 0x3ffff
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// add appends a mark, with marks inside the word before it where that is long.
func (m *marked) add(k mark) {
	last := &m.marks[len(m.marks)-1]
	if k.at <= last.at {
		if k.at == last.at && k.kind > last.kind {
			last.kind, last.after = k.kind, k.after
		}
		return
	}
	k.tokens = last.tokens
	for k.tokens < len(m.ends) && m.ends[k.tokens] <= k.at {
		k.tokens++
	}
	if k.tokens-last.tokens > m.atom {
		at, have := last.at, last.tokens
		for have+m.atom < k.tokens {
			have += m.atom
			cut := m.ends[have-1]
			if cut <= at || cut >= k.at || !whole(m.doc.Text, cut) {
				continue
			}
			tokens := have
			for tokens < len(m.ends) && m.ends[tokens] <= cut {
				tokens++
			}
			m.marks = append(m.marks, mark{at: cut, tokens: tokens, kind: inside})
			at = cut
		}
	}
	k.cut = k.tokens < len(m.ends) && (k.tokens == 0 || m.ends[k.tokens-1] < k.at) && hasText(m.doc.Text[tokenStart(m.ends, k.tokens):k.at])
	m.marks = append(m.marks, k)
}

func tokenStart(ends []int, i int) int {
	if i == 0 {
		return 0
	}
	return ends[i-1]
}

func hasText(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) {
			return true
		}
	}
	return false
}

// whole reports whether a text can be cut at a byte without parting what belongs to
// one letter.
func whole(text string, at int) bool {
	if at >= len(text) {
		return true
	}
	if !utf8.RuneStart(text[at]) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	if unicode.Is(unicode.M, r) || r == 0x200d || r >= 0xfe00 && r <= 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	return before != 0x200d
}

// cost is how many tokens a chunk from mark i to mark j has.
func (m *marked) cost(i, j int) int {
	n := m.marks[j].tokens - m.marks[i].tokens
	if m.marks[j].cut {
		n++
	}
	return n
}

// furthest returns the last mark whose chunk from i has at most so many tokens, and
// at least the next one.
func (m *marked) furthest(i, most int) int {
	limit := m.marks[i].tokens + most
	j := i + sort.Search(len(m.marks)-i, func(k int) bool { return m.marks[i+k].tokens > limit }) - 1
	for j > i && m.cost(i, j) > most {
		j--
	}
	return max(j, i+1)
}
