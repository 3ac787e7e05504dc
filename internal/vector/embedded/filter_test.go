package embedded

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
	"pgregory.net/rapid"
)

// TestFiltersOnTenThousand compares every operator, nested at random, with the naive
// evaluation of each of ten thousand documents, through a real search.
func TestFiltersOnTenThousand(t *testing.T) {
	const docs = 10_000
	x := create(t, open(t, Config{UnsafeNoSync: true}), define(4))
	random := rand.New(rand.NewPCG(11, 12))
	metas := make([]vector.Metadata, docs)
	for d := range docs {
		metas[d] = vectortest.Attributes(random)
		err := x.Replace(t.Context(), vector.Document{ID: vectortest.ID("d", d)}, []vector.Chunk{{
			ID: vectortest.ID("c", d), Text: "t", Metadata: metas[d], Vector: vectortest.Isotropic(random, 4),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for d := 0; d < docs; d += 9 { // dead rows among the living
		if d%2 == 0 {
			metas[d] = nil
			if err := x.Delete(t.Context(), vectortest.ID("d", d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t0 := t.Context()
	check := func(t interface{ Fatalf(string, ...any) }, f *vector.Filter) (n int) {
		var want []string
		for d, m := range metas {
			if m != nil && f.Match(m) {
				want = append(want, vectortest.ID("c", d))
			}
		}
		hits, err := x.Search(t0, vector.Query{Vector: []float32{1, 2, 3, 4}, K: docs, Filter: f})
		if err != nil {
			t.Fatalf("%v", err)
		}
		got := make([]string, len(hits))
		for i, h := range hits {
			got[i] = h.Chunk.ID
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			text, _ := json.Marshal(f)
			t.Fatalf("%s finds %d of %d", text, len(got), len(want))
		}
		return len(want)
	}
	for _, op := range vector.Operators() {
		if op == vector.AndAll || op == vector.OrAll {
			continue
		}
		t.Run(string(op), func(t *testing.T) {
			told := 0
			for range 15 {
				f := vectortest.Leaf(random, op)
				if n := check(t, &f); n > 0 && n < docs*8/9 {
					told++
				}
			}
			if told < 3 {
				t.Errorf("only %d filters told documents apart", told)
			}
		})
	}
	t.Run("nested", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			seed := rapid.Uint64().Draw(rt, "seed")
			f := vectortest.Filter(rand.New(rand.NewPCG(seed, 1)), vector.Operators(), rapid.IntRange(1, 4).Draw(rt, "depth"))
			check(rt, &f)
		})
	})
}

// A filter may also be searched with by words, and more rows than one bitmap word.
func TestFilterAndWords(t *testing.T) {
	x := create(t, open(t, Config{}), define(4))
	random := rand.New(rand.NewPCG(1, 2))
	var chunks []vector.Chunk
	for i := range 300 {
		chunks = append(chunks, vector.Chunk{
			ID: vectortest.ID("c", i), Text: fmt.Sprintf("word number%d", i), Vector: vectortest.Isotropic(random, 4),
			Metadata: vector.Metadata{"n": vector.NumberValue(float64(i % 3))},
		})
	}
	if err := x.Replace(t.Context(), vector.Document{ID: "d"}, chunks); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		f := &vector.Filter{Op: vector.Equals, Key: "n", Values: []vector.Value{vector.NumberValue(float64(n))}}
		for i := range 9 {
			hits, err := x.Search(t.Context(), vector.Query{
				Vector: vectortest.Isotropic(random, 4), K: 3, Filter: f, Mode: vector.Hybrid, Text: fmt.Sprintf("number%d", i), Fusion: vector.Fusion{WordsWeight: 0.9},
			})
			if err != nil || len(hits) != 3 {
				t.Fatal(len(hits), err)
			}
			if first := hits[0].Chunk.ID == vectortest.ID("c", i); first != (i%3 == n) {
				t.Errorf("filter %d, number%d: %s is first", n, i, hits[0].Chunk.ID)
			}
		}
	}
}
