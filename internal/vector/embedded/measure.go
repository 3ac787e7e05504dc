package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"math/rand/v2"
)

// measurement is what the two-stage scan was found to be worth on this index.
type measurement struct {
	// Rescored is how many candidates the first stage hands on for ten hits; 0: no
	// number that was tried is good enough, and every search is exact.
	Rescored int     `json:"rescored"`
	Recall   float64 `json:"recall"`
	// Rows is how many live rows there were; 0: never measured.
	Rows int `json:"rows"`
}

const (
	// enough recall of the exact top ten for the two-stage scan to be used.
	enough = 0.97
	// questions asked for a measurement: stored vectors with noise of half their
	// length, which lie as far from their neighbours as questions do.
	questions = 100
	measureK  = 10
	noiseSize = 0.5
)

// depths are tried in turn; 400 found 0.998 of real embeddings' neighbours.
var depths = [...]int{400, 1000, 2000}

func storedMeasurement(text string) measurement {
	var m measurement
	if json.Unmarshal([]byte(text), &m) != nil {
		return measurement{} // none yet
	}
	return m
}

// due says that the rows are others than those that were measured.
func (m *memory) due(exactBelow int) bool {
	n := m.alive()
	diff := n - m.stage.Rows
	return n > exactBelow && max(diff, -diff)*4 > m.stage.Rows
}

// measureIfDue starts a measurement in the background, one at a time.
func (x *index) measureIfDue(ctx context.Context) {
	x.mu.RLock()
	due := x.memory != nil && x.memory.due(x.store.cfg.ExactBelow)
	x.mu.RUnlock()
	if !due || !x.measuring.CompareAndSwap(false, true) {
		return
	}
	started := x.store.background(func(stop <-chan struct{}) {
		defer x.measuring.Store(false)
		x.measure(context.WithoutCancel(ctx), stop)
	})
	if !started {
		x.measuring.Store(false)
	}
}

// Measure measures now what else happens in the background after the first search,
// and answers recall and how many candidates are ranked again (0: searches stay
// exact).
func (x *Index) Measure(ctx context.Context) (recall float64, rescored int, err error) {
	if err := x.usable(); err != nil {
		return 0, 0, err
	}
	if _, err := x.follow(ctx, false); err != nil {
		return 0, 0, err
	}
	m := x.measure(ctx, ctx.Done())
	return m.Recall, m.Rescored, context.Cause(ctx)
}

// measure asks every question exactly and by each depth. The lock is given back
// between questions; a memory that was replaced meanwhile ends it.
func (x *index) measure(ctx context.Context, stop <-chan struct{}) (got measurement) {
	x.mu.RLock()
	first := x.memory
	x.mu.RUnlock()
	if first == nil {
		return got
	}
	random := rand.New(rand.NewPCG(1, 2))
	var hits [len(depths)]int
	asked, wanted := 0, 0
	for range questions {
		select {
		case <-stop:
			return got
		default:
		}
		x.mu.RLock()
		m := x.memory
		if m != first {
			x.mu.RUnlock()
			return got
		}
		if row := m.anyLive(random); row >= 0 {
			t := m.rowTarget(row, func(v []float32) { addNoise(v, random) })
			n := m.alive()
			exact := m.nearest(t, m.live, n, measureK, 0)
			in := make(map[uint32]bool, len(exact))
			for _, r := range exact {
				in[r.row] = true
			}
			asked++
			wanted += len(exact)
			for i, d := range depths {
				for _, r := range m.nearest(t, m.live, n, measureK, d) {
					if in[r.row] {
						hits[i]++
					}
				}
			}
		}
		got.Rows = m.alive()
		x.mu.RUnlock()
	}
	if wanted == 0 {
		return measurement{}
	}
	for i, d := range depths {
		if got.Recall = float64(hits[i]) / float64(wanted); got.Recall >= enough {
			got.Rescored = d
			break
		}
	}
	x.mu.Lock()
	if x.memory == first {
		x.memory.stage = got
	}
	x.mu.Unlock()
	x.keepMeasurement(ctx, got)
	return got
}

// keepMeasurement spares the next start a measurement. It is no change of the index;
// losing it costs time only.
func (x *index) keepMeasurement(ctx context.Context, m measurement) {
	text, err := json.Marshal(m)
	if err == nil {
		err = x.file.update(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE meta SET calibration = ?`, string(text))
			return err
		})
	}
	if err != nil {
		x.store.log.Warn("the measured recall of an index is not kept", "index", x.name.String(), "error", err)
		return
	}
	x.store.log.Info("measured the recall of an index", "index", x.name.String(), "recall", m.Recall, "rescored", m.Rescored, "rows", m.Rows)
}

// anyLive picks a live row, -1 when it meets none.
func (m *memory) anyLive(random *rand.Rand) int {
	for range 100 {
		if m.n == 0 {
			break
		}
		if row := random.IntN(m.n); m.live.has(row) {
			return row
		}
	}
	return -1
}

func addNoise(v []float32, random *rand.Rand) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	f := noiseSize * math.Sqrt(sum/float64(len(v)))
	for i := range v {
		v[i] += float32(random.NormFloat64() * f)
	}
}
