package retrieve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// still answers the same hits at once: what is left is Search's own work.
type still struct {
	vector.Index
	hits    []vector.Hit
	parents []vector.Chunk
}

func (s still) Search(_ context.Context, q vector.Query) ([]vector.Hit, error) {
	return append([]vector.Hit(nil), s.hits[:min(q.K, len(s.hits))]...), nil
}

func (s still) Get(context.Context, []string, bool) ([]vector.Chunk, error) { return s.parents, nil }

func BenchmarkSearchItself(b *testing.B) {
	f := drawFilter(rand.New(rand.NewPCG(3, 3)), 3, map[string]int{})
	for _, c := range []struct {
		name     string
		n        int
		children bool
	}{{"5 results", 5, false}, {"100 results", 100, false}, {"5 parents of 20 children", 5, true}} {
		b.Run(c.name, func(b *testing.B) {
			h := newHouse(b)
			var s still
			for i := range 100 {
				hit := vector.Hit{Score: 1 - float64(i)/100, Chunk: chunk(fmt.Sprint(i), "some text", vector.Metadata{
					"genre": vector.StringValue("x"), "year": vector.NumberValue(2024), "x-amz-bedrock-kb-chunk-id": vector.StringValue("y"),
				})}
				if c.children {
					hit.Chunk.Parent = fmt.Sprint("p", i/20)
				}
				s.hits = append(s.hits, hit)
			}
			for i := range 5 {
				s.parents = append(s.parents, chunk(fmt.Sprint("p", i), "parent", nil))
			}
			h.hook = func(vector.Index) vector.Index { return open{s} }
			q := retrieve.Question{Text: "what?", Config: config("")}
			q.Config.VectorSearchConfiguration.NumberOfResults = new(c.n)
			q.Config.VectorSearchConfiguration.Filter = &f
			ctx := h.ctx()
			b.ReportAllocs()
			for b.Loop() {
				if got, err := h.room.Search(ctx, h.base, q); err != nil || len(got) != c.n {
					b.Fatal(len(got), err)
				}
				h.asked = h.asked[:0]
			}
		})
	}
}

func BenchmarkSearchOfTenThousand(b *testing.B) {
	h := newHouse(b)
	library(b, h, seed(b))
	ctx := h.ctx()
	for b.Loop() {
		if got, err := h.room.Search(ctx, h.base, retrieve.Question{Text: "passage 77 of series 7"}); err != nil || len(got) != 5 {
			b.Fatal(len(got), err)
		}
	}
}
