package embedded

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// ranked is a row with its similarity, as the caller is told it.
type ranked struct {
	row        uint32
	similarity float64
}

// coarseKeep is how many of the int8 scan are ranked again in 16 bits: four times
// what is wanted, at least this. Forty found the exact ten of real embeddings.
const coarseKeep = 40

// nearest answers the depth nearest candidates, nearest first, equal ones by row.
// rescored is how many candidates the first stage hands on; 0 looks at every one.
func (r *rows) nearest(t *target, candidates bitmap, count, depth, rescored int) []ranked {
	var found []scored
	if rescored > 0 {
		found = r.bySigns(t, candidates, max(rescored, rescored*depth/10))
	} else {
		found = r.byCoarse(t, candidates, count, max(coarseKeep, 4*depth))
	}
	out := make([]ranked, len(found))
	for i, f := range found {
		out[i] = ranked{f.row, r.similarity(t, int(f.row))}
	}
	slices.SortFunc(out, r.compare)
	return out[:min(depth, len(out))]
}

func (r *rows) compare(a, b ranked) int {
	x, y := a.similarity, b.similarity
	if r.metric == vector.Euclidean {
		x, y = y, x
	}
	switch {
	case x > y:
		return -1
	case x < y:
		return 1
	default:
		return int(a.row) - int(b.row)
	}
}

// byCoarse looks at the high plane of every candidate.
func (r *rows) byCoarse(t *target, candidates bitmap, count, keep int) []scored {
	tops := make([]*top, r.workers(count*r.stride))
	// Leaving out single rows costs more than they do: the memory is read ahead in a
	// row. So a third of the candidates is as good as all.
	dense := count > r.n/3
	r.divide(len(tops), func(w, from, to int) {
		if tops[w] == nil {
			tops[w] = newTop(keep)
		}
		if dense {
			for row := from; row < to; row++ {
				if score := r.coarse(t, row); candidates.has(row) {
					tops[w].add(score, uint32(row))
				}
			}
			return
		}
		candidates.each(from, to, func(row int) { tops[w].add(r.coarse(t, row), uint32(row)) })
	})
	all := newTop(keep)
	for _, p := range tops {
		if p != nil {
			for _, s := range p.heap {
				all.add(s.score, s.row)
			}
		}
	}
	return all.heap
}

const far = math.MaxUint16

var distances sync.Pool // of *[]uint16

// bySigns finds the keep candidates whose signs differ least: distances and their
// histogram in one pass, the choice in a second.
func (r *rows) bySigns(t *target, candidates bitmap, keep int) []scored {
	buf, _ := distances.Get().(*[]uint16)
	if buf == nil || cap(*buf) < r.n {
		buf = new(make([]uint16, r.n))
	}
	defer distances.Put(buf)
	dist := (*buf)[:r.n]
	counts := make([][]int, r.workers(r.n*r.words*16))
	r.divide(len(counts), func(w, from, to int) {
		if counts[w] == nil {
			counts[w] = make([]int, r.dim+1)
		}
		r.slabDistances(t, candidates, dist[from:to], from, counts[w])
	})
	limit, sum, below := 0, 0, 0
	for ; limit <= r.dim; limit++ {
		n := 0
		for _, c := range counts {
			if c != nil {
				n += c[limit]
			}
		}
		below, sum = sum, sum+n
		if sum >= keep {
			break
		}
	}
	out := make([]scored, 0, min(keep, sum))
	atLimit := keep - below
	for row, d := range dist {
		switch {
		case int(d) > limit || d == far:
		case int(d) < limit:
			out = append(out, scored{row: uint32(row)})
		case atLimit > 0:
			atLimit--
			out = append(out, scored{row: uint32(row)})
		}
	}
	return out
}

// slabDistances is the pass over one slab, which begins at row from.
func (r *rows) slabDistances(t *target, candidates bitmap, dist []uint16, from int, counts []int) {
	s, w, q := r.slabs[from/slabRows], r.words, t.bits
	for i := range dist {
		if !candidates.has(from + i) {
			dist[i] = far
			continue
		}
		d := hamming(q, s.bits[i*w:(i+1)*w])
		dist[i] = uint16(d)
		counts[d]++
	}
}

// perWorker is the work, in multiplications, that pays for a goroutine.
const perWorker = 4 << 20

func (r *rows) workers(work int) int {
	return max(1, min(runtime.GOMAXPROCS(0), work/perWorker, len(r.slabs)))
}

// divide calls f for the rows of every slab, on so many workers.
func (r *rows) divide(workers int, f func(worker, from, to int)) {
	var next atomic.Int64
	run := func(w int) {
		for {
			from := (int(next.Add(1)) - 1) * slabRows
			if from >= r.n {
				return
			}
			f(w, from, min(from+slabRows, r.n))
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { run(w) })
	}
	run(0)
	wg.Wait()
}
