package vectortest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// similarity is the definition that adapters are held to.
func similarity(m vector.Metric, a, b []float32) float64 {
	var dot, aa, bb, dd float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, dd = dot+x*y, aa+x*x, bb+y*y, dd+(x-y)*(x-y)
	}
	if m == vector.Euclidean {
		return dd
	}
	return dot / math.Sqrt(aa*bb)
}

func (s *suite) ranks() {
	x := s.index(s.store)
	cloud := NewCloud(s.def.Dimension, 12, 1)
	var all []vector.Chunk
	for d := range 30 {
		var chunks []vector.Chunk
		for c := range 20 {
			v := cloud.Next()
			for i := range v { // lengths differ
				v[i] *= 1 + float32(c)/10
			}
			chunks = append(chunks, vector.Chunk{ID: fmt.Sprintf("%d/%d", d, c), Text: "t", Vector: v})
		}
		s.put(x, ID("d", d), chunks...)
		all = append(all, chunks...)
	}
	for range 20 {
		q := cloud.Near(all[cloud.random.IntN(len(all))].Vector, 0.5)
		want := slices.Clone(all)
		slices.SortFunc(want, func(a, b vector.Chunk) int {
			d := similarity(s.def.Metric, q, b.Vector) - similarity(s.def.Metric, q, a.Vector)
			if s.def.Metric == vector.Euclidean {
				d = -d
			}
			return cmp.Compare(d, 0)
		})
		for _, k := range []int{1, 10, 100, 1000} {
			hits := s.search(x, vector.Query{Vector: q, K: k})
			if len(hits) != min(k, len(all)) {
				s.Fatalf("%d hits for k = %d", len(hits), k)
			}
			for i, h := range hits {
				// Places may be swapped where the similarities are as good as equal.
				exact := similarity(s.def.Metric, q, want[i].Vector)
				if tolerance := 2e-4 * (1 + math.Abs(exact)); math.Abs(h.Similarity-exact) > tolerance {
					s.Fatalf("place %d of %d: %s with %v, want %s with %v", i, k, h.Chunk.ID, h.Similarity, want[i].ID, exact)
				}
				if math.Abs(h.Score-s.def.Metric.Score(h.Similarity)) > 1e-9 {
					s.Fatalf("score %v of similarity %v", h.Score, h.Similarity)
				}
			}
		}
	}
}

// operators are what the store can do.
func (s *suite) operators() []vector.Op {
	if s.caps.Operators == nil {
		return vector.Operators()
	}
	return s.caps.Operators
}

func (s *suite) filters() {
	x := s.index(s.store)
	random := rand.New(rand.NewPCG(3, 4))
	meta := map[string]vector.Metadata{}
	for d := range 40 {
		var chunks []vector.Chunk
		for c := range 10 {
			m := Attributes(random)
			if c%3 == 1 { // runs of equal values, as documents have
				m = chunks[c-1].Metadata
			}
			id := fmt.Sprintf("%d/%d", d, c)
			meta[id] = m
			chunks = append(chunks, vector.Chunk{ID: id, Text: "t", Metadata: m, Vector: Isotropic(random, s.def.Dimension)})
		}
		s.put(x, ID("d", d), chunks...)
	}
	var gone []string
	for d := 0; d < 40; d += 7 {
		gone = append(gone, ID("d", d))
		for c := range 10 {
			delete(meta, fmt.Sprintf("%d/%d", d, c))
		}
	}
	s.must(x.Delete(s.Context(), gone...))
	try := func(f vector.Filter) (matches int) {
		s.Helper()
		s.must(f.Check())
		var want []string
		for id, m := range meta {
			if f.Match(m) {
				want = append(want, id)
			}
		}
		got := ids(s.search(x, vector.Query{Vector: Isotropic(random, s.def.Dimension), K: 1000, Filter: &f}))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			text, _ := f.MarshalJSON()
			s.Fatalf("%s finds %d, want %d", text, len(got), len(want))
		}
		return len(want)
	}
	for _, op := range leaves(s.operators()) {
		some := 0
		for range 40 {
			if n := try(Leaf(random, op)); n > 0 && n < len(meta) {
				some++
			}
		}
		if some < 5 {
			s.Errorf("only %d filters with %s told chunks apart; the test is blind", some, op)
		}
	}
	for range 150 {
		try(Filter(random, s.operators(), 3))
	}
}

func (s *suite) filterFirst() {
	x := s.index(s.store)
	random := rand.New(rand.NewPCG(5, 6))
	q := Isotropic(random, s.def.Dimension)
	var chunks []vector.Chunk
	for i := range 400 {
		v := slices.Clone(q)
		m := vector.Metadata{"wanted": vector.BoolValue(false)}
		if i%100 == 0 { // four that match lie on the far side
			m["wanted"] = vector.BoolValue(true)
			for j := range v {
				v[j] = -v[j]
			}
		}
		v[0] += float32(i) / 1000
		chunks = append(chunks, vector.Chunk{ID: ID("c", i), Text: "same words", Metadata: m, Vector: v})
	}
	s.put(x, "d", chunks...)
	f := &vector.Filter{Op: vector.Equals, Key: "wanted", Values: []vector.Value{vector.BoolValue(true)}}
	modes := []vector.Mode{vector.Semantic}
	if s.caps.Hybrid {
		modes = append(modes, vector.Hybrid)
	}
	for _, mode := range modes {
		for k, want := range map[int]int{1: 1, 3: 3, 100: 4} {
			hits := s.search(x, vector.Query{Vector: q, K: k, Filter: f, Mode: mode, Text: "same words"})
			if len(hits) != want {
				s.Errorf("%s: %d of the matching for k = %d, want %d", mode, len(hits), k, want)
			}
			for _, h := range hits {
				if !h.Chunk.Metadata["wanted"].Bool() {
					s.Errorf("%s: %s does not match", mode, h.Chunk.ID)
				}
			}
		}
	}
}

func (s *suite) openers() {
	a, b := s.index(s.store), s.index(s.open())
	q := vector.Query{Vector: []float32{1, 0, 0}, K: 10, Text: "word"}
	if s.caps.Hybrid {
		q.Mode = vector.Hybrid
	}
	s.want("nothing yet", ids(s.search(b, q)), nil)
	for i, x := range []vector.Index{a, b, a} {
		s.put(x, ID("d", i), vector.Chunk{ID: ID("c", i), Text: "word", Vector: []float32{1, float32(i), 0}})
		for _, y := range []vector.Index{a, b} {
			if got := s.search(y, q); len(got) != i+1 {
				s.Errorf("after write %d: %v", i, ids(got))
			}
		}
	}
	s.must(b.Delete(s.Context(), ID("d", 0)))
	s.put(a, ID("d", 1), vector.Chunk{ID: "new", Text: "word", Vector: []float32{1, 1, 0}})
	for _, y := range []vector.Index{a, b, s.index(s.open())} {
		s.want("after a removal and a change", ids(s.search(y, q)), []string{"new", ID("c", 2)})
	}
}

// halves writes documents of five chunks over and over while others search: each
// search must see of each document five chunks of one version.
func (s *suite) halves() {
	x := s.index(s.store)
	version := func(doc, v int) (chunks []vector.Chunk) {
		for i := range 5 {
			chunks = append(chunks, vector.Chunk{
				ID: fmt.Sprintf("%d/%d/%d", doc, v, i), Text: "word", Vector: []float32{1, float32(i), float32(doc)},
				Metadata: vector.Metadata{"v": vector.NumberValue(float64(v))},
			})
		}
		return chunks
	}
	const docs, versions = 3, 12
	for d := range docs {
		s.put(x, ID("d", d), version(d, 0)...)
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	var wg sync.WaitGroup
	for d := range docs {
		wg.Go(func() {
			for v := 1; v <= versions; v++ {
				if err := x.Replace(s.Context(), vector.Document{ID: ID("d", d)}, version(d, v)); err != nil {
					s.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for n := 0; n < 5 || ctx.Err() == nil; n++ {
				hits, err := x.Search(context.WithoutCancel(ctx), vector.Query{Vector: []float32{1, 1, 1}, K: 100})
				if err != nil {
					s.Errorf("search: %v", err)
					return
				}
				seen := map[string]map[float64]int{}
				for _, h := range hits {
					if seen[h.Chunk.Document] == nil {
						seen[h.Chunk.Document] = map[float64]int{}
					}
					seen[h.Chunk.Document][h.Chunk.Metadata["v"].Num()]++
				}
				for d := range docs {
					if vs := seen[ID("d", d)]; len(vs) != 1 || sum(vs) != 5 {
						s.Errorf("document %d is seen as %v", d, vs)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	cancel()
	readers.Wait()
}

func sum(m map[float64]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func (s *suite) words() {
	if !s.caps.Hybrid {
		return // lacks shows that it is refused
	}
	x := s.index(s.store)
	random := rand.New(rand.NewPCG(8, 9))
	q := Isotropic(random, s.def.Dimension)
	texts := []string{
		"The invoice of the order 4711-0815 was paid", "Orders are shipped within three days", "How to return an order",
		"연차 휴가를 신청하려면 부서장의 승인이 필요합니다", "급여는 매달 25일에 지급됩니다",
		"商品の返品は三十日以内に承ります", "営業時間は午前九時からです",
		"本店的退货规定如下", "营业时间为九点",
	}
	var chunks []vector.Chunk
	for i, text := range texts {
		chunks = append(chunks, vector.Chunk{ID: ID("c", i), Ordinal: i, Text: text, Vector: Isotropic(random, s.def.Dimension)})
	}
	for i := range 30 { // nearer to the question, without its words
		near := slices.Clone(q)
		near[i%len(near)] += 0.5
		chunks = append(chunks, vector.Chunk{ID: ID("near", i), Text: "nothing of importance in order", Vector: near})
	}
	s.put(x, "d", chunks...)
	for _, c := range []struct{ question, want string }{
		{"order 4711-0815", ID("c", 0)},
		{"shipping in days", ID("c", 1)},
		{"휴가는 어떻게 신청하나요", ID("c", 3)},
		{"급여 지급일", ID("c", 4)},
		{"返品の期限は", ID("c", 5)},
		{"営業時間", ID("c", 6)},
		{"退货", ID("c", 7)},
	} {
		hits := s.search(x, vector.Query{Vector: q, Text: c.question, Mode: vector.Hybrid, K: 5, Fusion: vector.Fusion{WordsWeight: 0.7}})
		if len(hits) != 5 || hits[0].Chunk.ID != c.want || hits[0].Words <= 0 {
			s.Errorf("%q finds %v, want %s first", c.question, ids(hits), c.want)
		}
		// Ranks cannot promise the first place, but it is among the first.
		hits = s.search(x, vector.Query{Vector: q, Text: c.question, Mode: vector.Hybrid, K: 8, Fusion: vector.Fusion{Method: vector.RRF, WordsWeight: 0.7}})
		if !slices.Contains(ids(hits), c.want) {
			s.Errorf("%q finds %v by ranks, not %s", c.question, ids(hits), c.want)
		}
		for _, h := range s.search(x, vector.Query{Vector: q, Text: c.question, K: 5}) {
			if h.Words != 0 || h.Chunk.Ordinal != 0 {
				s.Errorf("a semantic search looks at words: %+v", h)
			}
		}
	}
	plain := s.search(x, vector.Query{Vector: q, K: 5})
	without := s.search(x, vector.Query{Vector: q, Text: "?!", Mode: vector.Hybrid, K: 5})
	s.want("a question without words", ids(without), ids(plain))
	unknown := s.search(x, vector.Query{Vector: q, Text: "xyzzy", Mode: vector.Hybrid, K: 5})
	s.want("a word that no chunk has", ids(unknown), ids(plain))
}
