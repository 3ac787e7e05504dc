package ingest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
)

// busyEngine embeds one call at a time, in a time that the number of texts and a share of
// each call make, as a model on one device does.
type busyEngine struct {
	*world
	mu    sync.Mutex
	texts int
	spent time.Duration
}

const (
	perText = time.Millisecond
	perCall = 2 * time.Millisecond
)

func (e *busyEngine) Embed(ctx context.Context, b *knowledge.Base, p *iam.Principal, purpose knowledge.Purpose, texts []string) ([][]float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	began := time.Now()
	time.Sleep(perCall + time.Duration(len(texts))*perText)
	e.spent += time.Since(began)
	e.texts += len(texts)
	return e.world.Embed(ctx, b, p, purpose, texts)
}

// BenchmarkSyncAgainstTheEngine tells which share of the engine's own throughput a sync
// reaches: engine/raw is 1 when it is never idle and every call is full.
func BenchmarkSyncAgainstTheEngine(b *testing.B) {
	for b.Loop() {
		var e *busyEngine
		w := newWorld(b, func(w *world) { e = &busyEngine{world: w}; w.cfg.Knowledge = e })
		const n = 400
		for i := range n {
			w.file(fmt.Sprintf("%04d.txt", i), prose(uint64(i), 2400)) // some 10 chunks
		}
		began := time.Now()
		w.sync()
		took := time.Since(began)
		full := time.Duration(e.texts)*perText + time.Duration((e.texts+63)/64)*perCall
		b.ReportMetric(float64(full)/float64(took), "of-raw")
		b.ReportMetric(float64(e.spent)/float64(took), "engine-busy")
		b.ReportMetric(float64(e.texts)/took.Seconds(), "chunks/s")
	}
}

// BenchmarkSyncWithoutEmbedding is all the rest: the model answers at once.
func BenchmarkSyncWithoutEmbedding(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		for i := range 400 {
			w.file(fmt.Sprintf("%04d.txt", i), prose(uint64(i), 6000)) // some 25 chunks
		}
		began := time.Now()
		w.sync()
		b.ReportMetric(float64(len(w.embedded))/time.Since(began).Seconds(), "chunks/s")
	}
}
