package chunk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// Chunk is a piece of a document.
type Chunk struct {
	Text       string // Document.Text[Start:End], a part of that string
	Start, End int    // bytes
	Tokens     int    // at most this many
	Page       int    // where it begins, from 1; 0 unknown
	LastPage   int    // where it ends
	// Parent is the index of the chunk in Result.Parents that this one is part of;
	// -1 where there are no layers.
	Parent int
	// Record is the index of the row in Document.Records that this chunk is of; -1
	// where rows are no documents.
	Record int
}

// Result is what a document was cut into. Chunks are embedded; Parents are stored
// beside them and returned in their place.
type Result struct {
	Chunks  []Chunk
	Parents []Chunk
}

// TooLong is a text that an embedding model cannot take whole.
type TooLong struct {
	Tokens, Limit int
}

func (e *TooLong) Error() string {
	return fmt.Sprintf("the text has %d tokens, more than the %d that the embedding model takes", e.Tokens, e.Limit)
}

// Embed turns texts into vectors of one length, in their order.
type Embed func(ctx context.Context, texts []string) ([][]float32, error)

// Splitter cuts documents. It may be used by many goroutines.
type Splitter struct {
	Strategy Strategy
	Tokens   Tokenizer
	// Embed is needed by Semantic.
	Embed Embed
	// Limit is how many tokens the embedding model takes at once; 0 is no limit. It
	// bounds Default and None, where a document longer than it is TooLong.
	Limit int
}

// Split cuts a document.
func (s *Splitter) Split(ctx context.Context, doc *parse.Document) (*Result, error) {
	if s.Tokens == nil {
		return nil, errors.New("BUG: chunk: no tokenizer")
	}
	if err := Validate(s.Strategy, s.Limit); err != nil {
		return nil, err
	}
	m, err := s.measure(ctx, doc)
	if err != nil {
		return nil, err
	}
	res := &Result{}
	if len(doc.Records) > 0 {
		for i, r := range doc.Records {
			before := len(res.Chunks)
			from, to := m.find(r.Start), m.find(r.End)
			if err := s.cut(ctx, m, from, to, res); err != nil {
				return nil, err
			}
			for k := before; k < len(res.Chunks); k++ {
				res.Chunks[k].Record = i
			}
		}
		return res, nil
	}
	return res, s.cut(ctx, m, 0, len(m.marks)-1, res)
}

// cut cuts what lies between two marks.
func (s *Splitter) cut(ctx context.Context, m *marked, from, to int, res *Result) error {
	if from >= to {
		return nil
	}
	switch s.Strategy.Kind {
	case Default:
		most := defaultTokens
		if s.Limit > 0 {
			most = min(most, s.Limit)
		}
		res.Chunks = m.pack(res.Chunks, from, to, most, 0, 0)
	case FixedSize:
		c := s.Strategy.FixedSize
		res.Chunks = m.pack(res.Chunks, from, to, c.MaxTokens, c.OverlapPercentage, 0)
	case None:
		c, ok := m.chunk(from, to)
		if !ok {
			return nil
		}
		if s.Limit > 0 && c.Tokens > s.Limit {
			return &TooLong{Tokens: c.Tokens, Limit: s.Limit}
		}
		res.Chunks = append(res.Chunks, c)
	case Hierarchical:
		m.layers(res, from, to, s.Strategy.Hierarchical)
	case Semantic:
		return s.semantic(ctx, m, from, to, res)
	}
	return nil
}

// find returns the first mark at or after a byte.
func (m *marked) find(at int) int {
	lo, hi := 0, len(m.marks)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if m.marks[mid].at < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// chunk makes the chunk between two marks, without the white space at its ends;
// false when there is nothing else.
func (m *marked) chunk(from, to int) (Chunk, bool) {
	start, end := m.marks[from].at, m.marks[to].at
	text := m.doc.Text[start:end]
	t := strings.TrimLeftFunc(text, unicode.IsSpace)
	start += len(text) - len(t)
	t = strings.TrimRightFunc(t, unicode.IsSpace)
	if t == "" {
		return Chunk{}, false
	}
	end = start + len(t)
	return Chunk{Text: t, Start: start, End: end, Tokens: m.cost(from, to), Page: m.doc.PageAt(start), LastPage: m.doc.PageAt(end - 1), Parent: -1, Record: -1}, true
}

// pack cuts between two marks into chunks of at most so many tokens. Neighbours
// share a percentage of the first one's tokens, or a number of them.
func (m *marked) pack(out []Chunk, from, to, most, percent, shared int) []Chunk {
	for i, end := from, from; i < to; {
		j := m.best(i, end, to, most)
		end = j
		if c, ok := m.chunk(i, j); ok {
			out = append(out, c)
		}
		if j >= to {
			break
		}
		overlap := min(shared, m.cost(i, j)-1)
		if percent > 0 {
			n := m.cost(i, j)
			overlap = n - n*(100-percent)/100
		}
		i = m.back(i, j, overlap, most)
	}
	return out
}

// best chooses where a chunk from i ends: as far as it may go, but rather at the
// end of a paragraph or sentence that is not much nearer, and not behind a heading.
// It lies behind least, where the chunk before ended.
func (m *marked) best(i, least, to, most int) int {
	j := min(m.furthest(i, most), to)
	if j == to {
		return to
	}
	least = max(least, i)
	enough := func(k, share int) bool { return m.cost(i, k)*100 >= most*share }
	for k := j; k > least && enough(k, 75); k-- {
		if m.marks[k].kind == block && !m.marks[k].after {
			return k
		}
	}
	for k := j; k > least && enough(k, 40); k-- {
		if m.marks[k].kind >= sentence && !m.marks[k].after {
			return k
		}
	}
	for k := j; k > least; k-- {
		if m.marks[k].kind >= word {
			return k
		}
	}
	return j
}

// back returns where the chunk after i to j begins, so that the two share so many
// tokens: at the beginning of a sentence where one is near. It always lies behind i,
// and far enough on for that chunk to end behind j.
func (m *marked) back(i, j, overlap, most int) int {
	if overlap <= 0 {
		return j
	}
	want := m.marks[j].tokens - overlap
	k := j
	for k-1 > i && m.marks[k-1].tokens >= want {
		k--
	}
	for k < j && m.furthest(k, most) <= j {
		k++
	}
	for s := k; s < j && (m.marks[s].tokens-want)*4 <= overlap; s++ {
		if m.marks[s].kind >= sentence {
			return s
		}
	}
	return k
}

// layers cuts into large chunks, and these into small ones.
func (m *marked) layers(res *Result, from, to int, c *HierarchicalConfig) {
	for i, end := from, from; i < to; {
		j := m.best(i, end, to, c.MaxTokens[0])
		end = j
		if p, ok := m.chunk(i, j); ok {
			parent := len(res.Parents)
			res.Parents = append(res.Parents, p)
			before := len(res.Chunks)
			res.Chunks = m.pack(res.Chunks, i, j, c.MaxTokens[1], 0, c.OverlapTokens)
			for k := before; k < len(res.Chunks); k++ {
				res.Chunks[k].Parent = parent
			}
		}
		if j >= to {
			return
		}
		i = m.back(i, j, min(c.OverlapTokens, m.cost(i, j)-1), c.MaxTokens[0])
	}
}
