package embedded

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
)

func fill(t testing.TB, x *Index, n, perDoc int, next func() []float32) [][]float32 {
	t.Helper()
	var all [][]float32
	for d := range n / perDoc {
		chunks := make([]vector.Chunk, perDoc)
		for i := range chunks {
			v := next()
			all = append(all, v)
			chunks[i] = vector.Chunk{ID: fmt.Sprintf("%d/%d", d, i), Vector: v}
		}
		if err := x.Replace(t.Context(), vector.Document{ID: fmt.Sprint(d)}, chunks); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// recall asks held-out questions of both scans.
func recall(t *testing.T, two, exact *Index, questions [][]float32) float64 {
	t.Helper()
	same, all := 0, 0
	for _, q := range questions {
		want, err := exact.Search(t.Context(), vector.Query{Vector: q, K: 10})
		if err != nil {
			t.Fatal(err)
		}
		got, err := two.Search(t.Context(), vector.Query{Vector: q, K: 10})
		if err != nil || len(got) != 10 {
			t.Fatal(len(got), err)
		}
		in := map[string]bool{}
		for _, h := range want {
			in[h.Chunk.ID] = true
		}
		for _, h := range got {
			all++
			if in[h.Chunk.ID] {
				same++
			}
		}
	}
	return float64(same) / float64(all)
}

func TestTwoStagesKeepTheirRecall(t *testing.T) {
	const n, dim = 20_000, 128
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, ExactBelow: 5000, UnsafeNoSync: true})
	x := create(t, s, define(dim))
	cloud := vectortest.NewCloud(dim, 400, 3)
	all := fill(t, x, n, 100, cloud.Next)
	measured, rescored, err := x.Measure(t.Context())
	if err != nil || measured < enough || rescored == 0 {
		t.Fatalf("measured %v with %d, %v", measured, rescored, err)
	}
	st, err := x.Stats(t.Context())
	if err != nil || st.Recall != measured || st.Rescored != rescored {
		t.Errorf("stats %+v, %v", st, err)
	}
	exact := create(t, open(t, Config{Dir: dir, ExactBelow: never}), define(dim))
	var questions [][]float32
	for i := range 200 {
		questions = append(questions, cloud.Near(all[i*97%n], 0.4))
	}
	if got := recall(t, x, exact, questions); got < enough {
		t.Errorf("recall %v, measured %v", got, measured)
	}
	// What was measured is kept, and a restart uses it at once.
	again := create(t, open(t, Config{Dir: dir, ExactBelow: 5000}), define(dim))
	if _, err := again.Search(t.Context(), vector.Query{Vector: questions[0], K: 1}); err != nil {
		t.Fatal(err)
	}
	if st, err := again.Stats(t.Context()); err != nil || st.Recall != measured || st.Rescored != rescored {
		t.Errorf("after a restart %+v, %v", st, err)
	}
	// The first stage must be at work, or the figures above say nothing: with ten
	// candidates it loses much.
	again.memory.stage.Rescored = 10
	if got := recall(t, again, exact, questions); got > 0.9 {
		t.Errorf("recall %v with ten candidates: the first stage is not used", got)
	}
}

func TestSignBitsThatFailAreNotUsed(t *testing.T) {
	const n, dim = 6000, 64
	s := open(t, Config{ExactBelow: 5000, UnsafeNoSync: true})
	x := create(t, s, define(dim))
	random := rand.New(rand.NewPCG(1, 1))
	// All directions are nearly one: signs tell nothing.
	all := fill(t, x, n, 100, func() []float32 {
		v := vectortest.Isotropic(random, dim)
		for i := range v {
			v[i] += 3
		}
		return vectortest.Unit(v)
	})
	measured, rescored, err := x.Measure(t.Context())
	if err != nil || rescored != 0 || measured >= enough {
		t.Fatalf("measured %v, %d, %v", measured, rescored, err)
	}
	hits, err := x.Search(t.Context(), vector.Query{Vector: all[77], K: 1})
	if err != nil || hits[0].Chunk.ID != "0/77" {
		t.Errorf("%v, %v", hits, err)
	}
	if st, err := x.Stats(t.Context()); err != nil || st.Rescored != 0 || st.Recall != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// The measurement starts by itself and ends with the store.
func TestMeasuresInTheBackground(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir(), Sealer: sealer(t), ExactBelow: 1000, UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	x := create(t, s, define(64))
	cloud := vectortest.NewCloud(64, 50, 1)
	fill(t, x, 3000, 100, cloud.Next)
	if _, err := x.Search(t.Context(), vector.Query{Vector: cloud.Next(), K: 1}); err != nil {
		t.Fatal(err)
	}
	s.work.Wait()
	if st, err := x.Stats(t.Context()); err != nil || st.Recall < enough {
		t.Errorf("%+v, %v", st, err)
	}
	if err := s.Close(); err != nil { // goleak looks after the rest
		t.Error(err)
	}
}
