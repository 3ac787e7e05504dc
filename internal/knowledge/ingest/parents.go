package ingest

import (
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// attributeParent tells a transformation function which parent a chunk is of, and tells
// us so when the function hands it back with whatever it made of the chunk. It is never
// one of the index.
const attributeParent = knowledge.AttributesReserved + "parent"

// tie gives the chunks that a function made their parents: by what it handed back, or
// by their places where it handed nothing back and left their number. A chunk without a
// parent is found and shown itself.
func tie(in, out []piece, parents int) {
	told := false
	for i := range out {
		out[i].Parent = -1
		v, ok := out[i].attributes[attributeParent]
		if ok && v.Type == parse.NumberValue && v.Number == float64(int(v.Number)) && v.Number >= 0 && int(v.Number) < parents {
			out[i].Parent, told = int(v.Number), true
		}
	}
	if told || len(in) != len(out) {
		return
	}
	for i := range out {
		out[i].Parent = in[i].Parent
	}
}

// regrow answers the parents of the chunks that a function made, and numbers these by
// them. One whose chunks are all as they were is as it was. Of another one the text is
// what the function left of its chunks: what it took out must not be shown after all.
func regrow(parents []chunk.Chunk, in, out []piece) []chunk.Chunk {
	texts := func(pieces []piece) [][]string {
		by := make([][]string, len(parents))
		for _, p := range pieces {
			if p.Parent >= 0 {
				by[p.Parent] = append(by[p.Parent], p.Text)
			}
		}
		return by
	}
	before, after := texts(in), texts(out)
	var grown []chunk.Chunk
	number := make([]int, len(parents))
	for i, p := range parents {
		if len(after[i]) == 0 {
			continue
		}
		if !slices.Equal(before[i], after[i]) {
			p.Text, p.Tokens = strings.Join(after[i], "\n"), 0
		}
		number[i] = len(grown)
		grown = append(grown, p)
	}
	for i := range out {
		if out[i].Parent >= 0 {
			out[i].Parent = number[out[i].Parent]
		}
	}
	return grown
}
