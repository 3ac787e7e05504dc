package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
)

// words of a made-up language, drawn so that documents share them.
func text(random *rand.Rand) (s string) {
	for range 3 + random.IntN(20) {
		s += fmt.Sprintf("w%d ", random.IntN(60))
	}
	return s
}

type answer struct {
	ID                       string
	Score, Similarity, Words float64
}

func ask(t *testing.T, x vector.Index, q vector.Query) (out []answer) {
	t.Helper()
	hits, err := x.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		out = append(out, answer{h.Chunk.ID, h.Score, h.Similarity, h.Words})
	}
	return out
}

// TestMemoryThatFollowsIsMemoryThatWasLoaded changes an index at random and compares
// one that followed all the way with one that starts from the file: scores of words
// too, whose statistics must forget the dead.
func TestMemoryThatFollowsIsMemoryThatWasLoaded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, UnsafeNoSync: true})
	x := create(t, s, define(8))
	random := rand.New(rand.NewPCG(5, 5))
	for round := range 12 {
		for range 10 {
			doc := fmt.Sprint(random.IntN(25))
			if random.IntN(4) == 0 {
				if err := x.Delete(t.Context(), doc); err != nil {
					t.Fatal(err)
				}
				continue
			}
			var chunks []vector.Chunk
			for i := range 1 + random.IntN(8) {
				c := vector.Chunk{ID: doc + "/" + fmt.Sprint(i), Text: text(random), Metadata: vectortest.Attributes(random), Vector: vectortest.Isotropic(random, 8)}
				if random.IntN(5) == 0 {
					c.Vector = nil
				}
				chunks = append(chunks, c)
			}
			if err := x.Replace(t.Context(), vector.Document{ID: doc}, chunks); err != nil {
				t.Fatal(err)
			}
		}
		q := vector.Query{Vector: vectortest.Isotropic(random, 8), K: 1000}
		if round >= 3 { // words come late, and then stay
			q.Mode, q.Text = vector.Hybrid, "w1 w17 w33 w59"
		}
		fresh := open(t, Config{Dir: dir})
		y := create(t, fresh, define(8))
		x.memory.settleAnew()
		got, want := ask(t, x, q), ask(t, y, q)
		x.memory.settleAnew()
		if q.Mode == vector.Hybrid {
			// μ is drawn from pairs of rows, which lie elsewhere in the two.
			for i := range got {
				got[i].Score = 0
			}
			for i := range want {
				want[i].Score = 0
			}
			byID := func(a, b answer) int { return cmpText(a.ID, b.ID) }
			slices.SortFunc(got, byID)
			slices.SortFunc(want, byID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("round %d (-loaded +followed):\n%s", round, diff)
		}
		if err := fresh.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if x.memory.dead == 0 || x.memory.words == nil {
		t.Error("nothing died or no words came: the test is blind")
	}
}

func cmpText(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// settleAnew forgets chance.
func (m *memory) settleAnew() {
	if m != nil {
		m.chanceRows = 0
	}
}

// Who is behind what the file remembers of removals loads anew.
func TestFarBehind(t *testing.T) {
	dir := t.TempDir()
	x := create(t, open(t, Config{Dir: dir, UnsafeNoSync: true}), define(2))
	y := create(t, open(t, Config{Dir: dir, UnsafeNoSync: true}), define(2))
	put := func(v float32) {
		t.Helper()
		if err := y.Replace(t.Context(), vector.Document{ID: "d"}, []vector.Chunk{{ID: "c", Text: "t", Vector: []float32{1, v}}}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	q := vector.Query{Vector: []float32{1, 1}, K: 10}
	if got := ask(t, x, q); len(got) != 1 {
		t.Fatal(got)
	}
	put(2)
	if _, err := y.file.writer.ExecContext(t.Context(), `DELETE FROM removed`); err != nil {
		t.Fatal(err)
	}
	if _, err := y.file.writer.ExecContext(t.Context(), `UPDATE meta SET pruned = 5, next_removed = 6, sequence = sequence + 1`); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, x, q); len(got) != 1 {
		t.Errorf("what was removed and forgotten is still found: %v", got)
	}
	put(3)
	if got := ask(t, x, q); len(got) != 1 {
		t.Errorf("after loading anew: %v", got)
	}
}

func TestTheDeadMakeRoom(t *testing.T) {
	x := create(t, open(t, Config{UnsafeNoSync: true}), define(2))
	random := rand.New(rand.NewPCG(1, 1))
	write := func(doc string) {
		t.Helper()
		chunks := make([]vector.Chunk, 6000)
		for i := range chunks {
			chunks[i] = vector.Chunk{ID: doc + fmt.Sprint(i), Vector: vectortest.Isotropic(random, 2)}
		}
		if err := x.Replace(t.Context(), vector.Document{ID: doc}, chunks); err != nil {
			t.Fatal(err)
		}
	}
	q := vector.Query{Vector: []float32{1, 0}, K: 1}
	most := 0
	for range 5 {
		write("d")
		ask(t, x, q)
		most = max(most, x.memory.n)
	}
	if x.memory.alive() != 6000 || most > 24_000 {
		t.Errorf("%d rows live, up to %d were held", x.memory.alive(), most)
	}
}

func TestMemoryCeiling(t *testing.T) {
	s := open(t, Config{Memory: 3 << 20, UnsafeNoSync: true})
	random := rand.New(rand.NewPCG(1, 1))
	var all []*Index
	for i := range 3 {
		d := define(256)
		d.ID = fmt.Sprint("KB", i)
		x := create(t, s, d)
		fill(t, x, 3000, 500, func() []float32 { return vectortest.Isotropic(random, 256) })
		all = append(all, x)
	}
	q := vector.Query{Vector: vectortest.Isotropic(random, 256), K: 5}
	for round := range 2 {
		for i, x := range all {
			if got := ask(t, x, q); len(got) != 5 {
				t.Fatal(round, i, got)
			}
			loaded := 0
			for _, y := range all {
				if st, err := y.Stats(t.Context()); err != nil {
					t.Fatal(err)
				} else if st.Loaded {
					loaded++
				}
			}
			if loaded != 1 {
				t.Errorf("round %d, index %d: %d are in memory", round, i, loaded)
			}
		}
	}
	d := define(256)
	d.ID = "large"
	x := create(t, s, d)
	fill(t, x, 6000, 500, func() []float32 { return vectortest.Isotropic(random, 256) })
	if _, err := x.Search(t.Context(), q); !errors.Is(err, vector.ErrTooLarge) {
		t.Errorf("an index that does not fit: %v", err)
	}
	if _, err := x.Get(t.Context(), []string{"0/1"}, true); err != nil {
		t.Errorf("what needs no memory: %v", err)
	}
}

func TestUnusedIndexesAreClosed(t *testing.T) {
	s := open(t, Config{MaxOpen: 2})
	for i := range 6 {
		d := define(2)
		d.ID = fmt.Sprint("KB", i)
		x, err := s.Create(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Replace(t.Context(), vector.Document{ID: "d"}, []vector.Chunk{{ID: "c", Vector: []float32{1, float32(i)}}}); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if len(s.open) > 2 {
			t.Errorf("%d are open", len(s.open))
		}
	}
	x, err := s.Open(t.Context(), vector.Name{Account: "123456789012", Region: "us-east-1", ID: "KB0"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, x, vector.Query{Vector: []float32{1, 1}, K: 5}); len(got) != 1 {
		t.Error(got)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

func TestHalfMadeAndHalfDropped(t *testing.T) {
	dir := t.TempDir()
	d := define(2)
	place := filepath.Join(dir, d.Account, d.Region, d.ID)
	if err := os.MkdirAll(place, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place, fileName), nil, 0o600); err != nil { // a crash came before the first commit
		t.Fatal(err)
	}
	left := filepath.Join(dir, dropped+"0011")
	if err := os.MkdirAll(filepath.Join(left, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Dir: dir})
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("a dropped index is still there: %v", err)
	}
	if _, err := s.Open(t.Context(), d.Name); !errors.Is(err, vector.ErrNotFound) {
		t.Errorf("a file without an index opens: %v", err)
	}
	x := create(t, s, d)
	if err := x.Replace(t.Context(), vector.Document{ID: "d"}, []vector.Chunk{{ID: "c", Vector: []float32{1, 0}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), d.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 0}, K: 1}); !errors.Is(err, vector.ErrClosed) {
		t.Errorf("search of a dropped index: %v", err)
	}
	if _, err := s.Open(t.Context(), d.Name); !errors.Is(err, vector.ErrNotFound) {
		t.Errorf("a dropped index opens: %v", err)
	}
	junk := filepath.Join(dir, d.Account, d.Region, "KBjunk")
	if err := os.MkdirAll(junk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(junk, fileName), slices.Repeat([]byte("junk"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	n := d.Name
	n.ID = "KBjunk"
	if _, err := s.Open(t.Context(), n); !errors.Is(err, vector.ErrCorrupt) {
		t.Errorf("a file that is no database: %v", err)
	}
}

// A write that fails at any point leaves nothing and the next one works.
func TestFaultsOfWrites(t *testing.T) {
	var at string
	fault := errors.New("fault")
	s := open(t, Config{Hook: func(point string) error {
		if point == at {
			return fault
		}
		return nil
	}})
	x := create(t, s, define(2))
	put := func(id string) error {
		return x.Replace(t.Context(), vector.Document{ID: "d"}, []vector.Chunk{{ID: id, Text: id, Vector: []float32{1, 0}}})
	}
	if err := put("good"); err != nil {
		t.Fatal(err)
	}
	q := vector.Query{Vector: []float32{1, 0}, K: 5, Mode: vector.Hybrid, Text: "good"}
	for _, at = range []string{HookBegun, HookRemoved, HookBeforeCommit} {
		if err := put("bad"); !errors.Is(err, fault) {
			t.Errorf("%s: %v", at, err)
		}
		if got := ask(t, x, q); len(got) != 1 || got[0].ID != "good" {
			t.Errorf("%s left %v", at, got)
		}
	}
	at = ""
	if err := put("better"); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, x, q); len(got) != 1 || got[0].ID != "better" {
		t.Error(got)
	}
}

// A search waits for another's load no longer than its context.
func TestWaitingObeysTheContext(t *testing.T) {
	x := create(t, open(t, Config{}), define(2))
	x.loading <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := x.Search(ctx, vector.Query{Vector: []float32{1, 0}, K: 1}); err == nil {
		t.Error("a search passed a load under way")
	}
	<-x.loading
	if _, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 0}, K: 1}); err != nil {
		t.Error(err)
	}
}
