package ingest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// TestAKilledJobGoesOn ends the run at random points; the index must equal that of an
// undisturbed run, and what the index acknowledged is not embedded again.
func TestAKilledJobGoesOn(t *testing.T) {
	files := func(w *world) {
		for i := range 60 {
			w.file(fmt.Sprintf("%02d.txt", i), prose(uint64(i), 20+i*13))
			if i%5 == 0 {
				w.file(fmt.Sprintf("%02d.txt.metadata.json", i), fmt.Sprintf(`{"metadataAttributes":{"n":%d}}`, i))
			}
		}
		w.file("bad.txt", "BROKEN")
		w.file("bad.exe", "x")
		w.file("30.txt.metadata.json", `{`)
	}
	change := func(w *world) {
		for i := range 10 {
			w.file(fmt.Sprintf("%02d.txt", 3*i), prose(uint64(100+i), 50))
			w.unlink(fmt.Sprintf("%02d.txt", 3*i+31))
		}
	}
	calm := newWorld(t)
	files(calm)
	complete(t, calm.sync(), [7]int64{62, 12, 60, 0, 0, 0, 2})
	first := calm.content()
	change(calm)
	last := calm.sync()
	want := calm.content()

	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 3))
	t.Logf("seed %d", seed)
	kills := 0
	for kills < 60 {
		w := newWorld(t, func(w *world) { w.cfg.Batch, w.slow = 8, time.Millisecond })
		files(w)
		for _, step := range []struct {
			want  map[string][]vector.Chunk
			count [7]int64
		}{{first, [7]int64{62, 12, 60, 0, 0, 0, 2}}, {want, numbers(last)}} {
			id := w.start()
			for range 6 {
				left := 1 + r.IntN(150)
				if !w.killed(id, func(string) bool { left--; return left <= 0 }) {
					break
				}
				kills++
			}
			x := w.run()
			j := w.wait(id)
			x.end(t)
			complete(t, j, step.count)
			if diff := cmp.Diff(step.want, w.content(), cmp.Comparer(vector.Value.Equal)); diff != "" {
				t.Fatalf("the index differs (seed %d): %s", seed, diff)
			}
			change(w)
		}
	}
	t.Logf("%d kills", kills)
}

// TestWhatIsOnDiskIsNotEmbeddedAgain kills the run after every single write of the
// index, before its row is written.
func TestWhatIsOnDiskIsNotEmbeddedAgain(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Embedders, w.cfg.Readers, w.cfg.Batch = 1, 1, 1; w.cfg.Every = time.Hour })
	for i := range 12 {
		w.file(fmt.Sprintf("%02d.txt", i), fmt.Sprintf("text %d", i))
	}
	id := w.start()
	kills := 0
	for w.killed(id, func(point string) bool { return point == AtReplaced }) {
		kills++
	}
	complete(t, w.get(id), [7]int64{12, 0, 12, 0, 0, 0, 0})
	if kills < 10 {
		t.Errorf("%d kills", kills)
	}
}

func TestManyDocumentsInBoundedMemory(t *testing.T) {
	const n = 2000
	w := newWorld(t, func(w *world) { w.cfg.Budget = 4 << 20 })
	for i := range n {
		w.file(fmt.Sprintf("d/%05d.txt", i), prose(uint64(i), 60))
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	var peak uint64
	var mu sync.Mutex
	w.set(func() {
		count := 0
		w.at = func(p string) error {
			if p != AtReplaced {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if count++; count%200 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			return nil
		}
	})
	began := time.Now()
	complete(t, w.sync(), [7]int64{n, 0, n, 0, 0, 0, 0})
	grown := int64(peak) - int64(before)
	t.Logf("%d documents in %v, %d calls of up to %d texts, heap grew by %d KiB", n, time.Since(began), w.calls, w.widest, grown>>10)
	if grown > 32<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if w.calls > n/4 {
		t.Errorf("%d calls: documents are not embedded together", w.calls)
	}
	began = time.Now()
	calls := w.embeds()
	complete(t, w.sync(), [7]int64{n, 0, 0, 0, 0, 0, 0})
	t.Logf("again in %v", time.Since(began))
	if w.embeds() != calls {
		t.Error("embedded again")
	}
}
