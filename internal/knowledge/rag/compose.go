package rag

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
)

// sink takes an answer as it is made. The text of a citation has been told before it.
type sink interface {
	Text(string) error
	Cite(*api.Citation) error
}

// errEnough ends a generation whose rest nobody needs.
var errEnough = errors.New("rag: the answer has ended")

// composer makes an answer and its citations of what a model writes. With the house's
// format the text is checked sentence by sentence (see the rule in doc.go); without
// it everything passes.
type composer struct {
	out     sink
	results []api.KnowledgeBaseRetrievalResult
	proof   *evidence // nil: nothing is checked
	read    reader

	sentence sentences
	start    int // code points before the sentence
	pos      int // code points so far
	space    []rune
	cut      bool // a part ends before what comes

	ready    strings.Builder // text that goes out with this piece, or is held
	released bool            // a sentence was supported
	err      error           // of out
	said
}

// said is an answer as it was told.
type said struct {
	whole   strings.Builder
	cites   []api.Citation
	refused bool
}

func newComposer(out sink, results []api.KnowledgeBaseRetrievalResult, proof *evidence) *composer {
	c := &composer{out: out, results: results, proof: proof, released: proof == nil}
	c.read = reader{text: c.take, part: c.part, head: c.head}
	return c
}

// feed takes a piece of the model's text. errEnough says that no more is needed.
func (c *composer) feed(piece string) error {
	switch {
	case c.err != nil:
		return c.err
	case c.refused:
		return errEnough
	case c.proof == nil:
		c.ready.WriteString(piece)
	default:
		c.read.feed(piece)
	}
	c.flush()
	if c.err == nil && (c.refused || c.read.over) {
		return errEnough
	}
	return c.err
}

// finish ends the answer.
func (c *composer) finish() error {
	if c.proof != nil && !c.refused {
		c.read.finish()
		c.end()
		c.refused = c.refused || !c.released
	}
	if c.refused || c.proof == nil && strings.TrimSpace(c.whole.String()) == "" {
		c.refused, c.released = true, true
		c.ready.Reset()
		c.whole.Reset()
		c.cites = nil
		c.ready.WriteString(refusal)
		c.flush()
		c.cite(&api.Citation{
			GeneratedResponsePart: &api.GeneratedResponsePart{TextResponsePart: &api.TextResponsePart{Text: new(refusal), Span: &api.Span{}}},
			RetrievedReferences:   []api.RetrievedReference{},
		})
	}
	c.flush()
	return c.err
}

// flush sends what is ready, unless it is held.
func (c *composer) flush() {
	if !c.released || c.ready.Len() == 0 || c.err != nil {
		return
	}
	text := c.ready.String()
	c.ready.Reset()
	c.whole.WriteString(text)
	c.err = c.out.Text(text)
}

func (c *composer) cite(x *api.Citation) {
	if c.err == nil {
		c.cites = append(c.cites, *x)
		c.err = c.out.Cite(x)
	}
}

// take is the reader's text.
func (c *composer) take(s string) {
	for _, r := range s {
		if c.refused {
			return
		}
		c.rune(r)
	}
}

func (c *composer) rune(r rune) {
	if unicode.IsSpace(r) {
		c.space = append(c.space, r)
		_ = c.sentence.next(r)
		return
	}
	if c.cut || c.sentence.next(r) {
		c.end()
		if c.refused {
			return
		}
	}
	switch {
	case c.pos == 0:
		c.space = c.space[:0]
	case c.cut:
		// Parts stand apart by one space, or as the model set them: as lines.
		c.space = c.between()
	}
	c.cut = false
	for _, s := range c.space {
		c.ready.WriteRune(s)
		c.pos++
		c.sentence.add(s)
	}
	c.space = c.space[:0]
	if len(c.sentence.text) == 0 {
		c.start = c.pos
	}
	c.sentence.add(r)
	c.ready.WriteRune(r)
	c.pos++
}

func (c *composer) between() []rune {
	if r, _ := utf8.DecodeLastRuneInString(c.last()); wide(r) {
		return nil
	}
	return []rune{' '}
}

// last is text whose end is that of the answer so far.
func (c *composer) last() string {
	if c.ready.Len() > 0 {
		return c.ready.String()
	}
	return c.whole.String()
}

// part is the reader's word for the edge of a part.
func (c *composer) part() { c.cut = c.cut || c.pos > 0 }

// head drops what stood before the answer, if it is still here.
func (c *composer) head() {
	if c.released {
		return
	}
	c.ready.Reset()
	c.sentence.take()
	c.space, c.pos, c.start, c.cut = c.space[:0], 0, 0, false
}

// end ends a sentence and checks it.
func (c *composer) end() {
	text := c.sentence.take()
	if text == "" || c.refused {
		return
	}
	if denies(text) {
		c.refused = !c.released
		return
	}
	found := c.proof.support(text)
	if len(found) == 0 {
		return
	}
	c.released = true
	c.flush()
	last := c.start + utf8.RuneCountInString(text) - 1
	x := &api.Citation{GeneratedResponsePart: &api.GeneratedResponsePart{
		TextResponsePart: &api.TextResponsePart{Text: &text, Span: &api.Span{Start: new(c.start), End: &last}},
	}}
	for _, i := range found {
		r := &c.results[i]
		x.RetrievedReferences = append(x.RetrievedReferences, api.RetrievedReference{Content: r.Content, Location: r.Location, Metadata: r.Metadata})
	}
	c.cite(x)
}
