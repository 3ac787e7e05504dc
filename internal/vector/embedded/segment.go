package embedded

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// segmentChunks is the most chunks of a segment: it bounds the memory that a load
// needs beside its result.
const segmentChunks = 512

// body is what is sealed of a chunk for those who get it.
type body struct {
	Document string          `json:"d"`
	Ordinal  int             `json:"o,omitempty"`
	Parent   string          `json:"p,omitempty"`
	Text     string          `json:"t"`
	Metadata vector.Metadata `json:"m,omitempty"`
	Source   json.RawMessage `json:"s,omitempty"`
}

func (b *body) chunk(id string) vector.Chunk {
	return vector.Chunk{ID: id, Document: b.Document, Ordinal: b.Ordinal, Parent: b.Parent, Text: b.Text, Metadata: b.Metadata, Source: b.Source}
}

// part is a segment before it is written.
type part struct {
	ids                     []string
	bodies                  [][]byte
	rows                    int
	columns, vectors, terms []byte
}

// encode makes the sealed segments of a document.
func encode(v *vault, a *analyse.Analyser, doc string, chunks []vector.Chunk) ([]part, error) {
	var parts []part
	for group := range slices.Chunk(chunks, segmentChunks) {
		p, n := part{}, len(parts)
		var rows []*vector.Chunk
		var offsets []int
		for i := range group {
			c := &group[i]
			plain, err := json.Marshal(body{doc, c.Ordinal, c.Parent, c.Text, c.Metadata, c.Source})
			if err != nil {
				return nil, vector.Invalid("chunk %q cannot be written: %v", c.ID, err)
			}
			p.ids = append(p.ids, c.ID)
			p.bodies = append(p.bodies, v.seal(plain, bodyBlock, c.ID, 0))
			if c.Vector != nil {
				rows = append(rows, c)
				offsets = append(offsets, i)
			}
		}
		p.rows = len(rows)
		p.vectors = v.seal(encodeVectors(rows, offsets), vectorsBlock, doc, n)
		p.columns = v.seal(encodeColumns(rows), columnsBlock, doc, n)
		p.terms = v.seal(encodeTerms(a, rows), termsBlock, doc, n)
		parts = append(parts, p)
	}
	return parts, nil
}

// encodeVectors writes the places of the chunks that have a vector, then the vectors
// in float32, little end first.
func encodeVectors(rows []*vector.Chunk, offsets []int) []byte {
	b := binary.AppendUvarint(nil, uint64(len(rows)))
	for _, o := range offsets {
		b = binary.AppendUvarint(b, uint64(o))
	}
	for _, c := range rows {
		for _, x := range c.Vector {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b
}

// decodeVectors answers the places and the bytes of the vectors.
func decodeVectors(b []byte, dim int) (offsets []int, floats []byte, err error) {
	r := reader{b: b}
	n := r.count()
	offsets = make([]int, 0, n)
	for range n {
		offsets = append(offsets, int(r.uvarint()))
	}
	if r.bad || len(r.b) != n*dim*4 {
		return nil, nil, fmt.Errorf("%w: vectors: %w", vector.ErrCorrupt, errBlock)
	}
	return offsets, r.b, nil
}

// encodeColumns writes each attribute as runs of equal values over the rows.
func encodeColumns(rows []*vector.Chunk) []byte {
	keys := map[string]struct{}{}
	for _, c := range rows {
		for k := range c.Metadata {
			keys[k] = struct{}{}
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(keys)))
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		b = appendText(b, k)
		for i := 0; i < len(rows); {
			v, run := rows[i].Metadata[k], 1
			for i+run < len(rows) && rows[i+run].Metadata[k].Equal(v) {
				run++
			}
			b = binary.AppendUvarint(b, uint64(run))
			b = appendValue(b, v)
			i += run
		}
	}
	return b
}

// decodeColumns yields every run of every attribute.
func decodeColumns(b []byte, rows int, yield func(key string, from, run int, v vector.Value)) error {
	r := reader{b: b}
	for range r.count() {
		key := r.text()
		for i := 0; i < rows && !r.bad; {
			run := int(r.uvarint())
			v := r.value()
			if run < 1 || run > rows-i {
				r.bad = true
				break
			}
			if v.Kind() != vector.None {
				yield(key, i, run, v)
			}
			i += run
		}
	}
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: columns: %w", vector.ErrCorrupt, errBlock)
	}
	return nil
}

// encodeTerms writes of each row its length and its terms.
func encodeTerms(a *analyse.Analyser, rows []*vector.Chunk) []byte {
	var b []byte
	for _, c := range rows {
		terms, length := a.Document(c.Text)
		b = binary.AppendUvarint(b, uint64(length))
		b = binary.AppendUvarint(b, uint64(len(terms)))
		for _, t := range terms {
			b = binary.LittleEndian.AppendUint64(b, uint64(t.Term))
			b = binary.AppendUvarint(b, uint64(t.N))
		}
	}
	return b
}

// decodeTerms calls row for each row and term for each of its terms.
func decodeTerms(b []byte, rows int, row func(i, length int), term func(i int, t analyse.Term, n int)) error {
	r := reader{b: b}
	for i := range rows {
		row(i, int(r.uvarint()))
		for range r.count() {
			if len(r.b) < 8 {
				r.bad = true
				break
			}
			t := analyse.Term(binary.LittleEndian.Uint64(r.b))
			r.b = r.b[8:]
			term(i, t, int(r.uvarint()))
		}
	}
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: terms: %w", vector.ErrCorrupt, errBlock)
	}
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValue(b []byte, v vector.Value) []byte {
	b = append(b, byte(v.Kind()))
	switch v.Kind() {
	case vector.String:
		b = appendText(b, v.Str())
	case vector.Number:
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Num()))
	case vector.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		b = append(b, 0)
	case vector.List:
		b = binary.AppendUvarint(b, uint64(len(v.Strings())))
		for _, s := range v.Strings() {
			b = appendText(b, s)
		}
	case vector.None:
	}
	return b
}

// reader takes a block apart. Blocks are authenticated, so bad means a defect of
// ours or a format that is not known; it must not panic all the same.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is a uvarint of things that take a byte each at least.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) value() vector.Value {
	if len(r.b) == 0 {
		r.bad = true
		return vector.Value{}
	}
	kind := vector.Kind(r.b[0])
	r.b = r.b[1:]
	switch kind {
	case vector.None:
	case vector.String:
		return vector.StringValue(r.text())
	case vector.Number:
		if len(r.b) < 8 {
			break
		}
		n := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
		r.b = r.b[8:]
		return vector.NumberValue(n)
	case vector.Bool:
		return vector.BoolValue(r.uvarint() == 1)
	case vector.List:
		list := make([]string, r.count())
		for i := range list {
			list[i] = r.text()
		}
		return vector.ListValue(list...)
	default:
		r.bad = true
	}
	if kind == vector.Number {
		r.bad = true
	}
	return vector.Value{}
}
