package embedded

import (
	"math/rand/v2"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// memory is what searches scan: a cache of index.db as of one change sequence. The
// index's lock guards it.
type memory struct {
	rows
	live    bitmap
	dead    int
	spans   map[int64]span // by segment
	columns columns
	words   *postings // nil until the first hybrid search

	sequence, lastSegment, lastRemoved int64

	// chance is the mean score of random pairs, taken when there were chanceRows.
	chance     float64
	chanceRows int
	stage      measurement
}

// span is the rows of a segment.
type span struct{ first, n uint32 }

func newMemory(d vector.Definition) *memory {
	return &memory{rows: newRows(d), spans: map[int64]span{}, columns: columns{}}
}

// loaded is a segment, opened, not yet in memory.
type loaded struct {
	id, first              int64
	rows                   int
	offsets                []int
	floats, columns, terms []byte
}

// decoded checks that a segment can be added whole, so that add cannot fail half way.
func (l *loaded) decode(vectors []byte, dim int, words bool) (err error) {
	if l.offsets, l.floats, err = decodeVectors(vectors, dim); err != nil {
		return err
	}
	l.rows = len(l.offsets)
	if err := decodeColumns(l.columns, l.rows, func(string, int, int, vector.Value) {}); err != nil {
		return err
	}
	if words {
		return decodeTerms(l.terms, l.rows, func(int, int) {}, func(int, analyse.Term, int) {})
	}
	return nil
}

// add appends a segment; expect is how many rows may follow it.
func (m *memory) add(l *loaded, expect int) error {
	base := m.n
	size := m.dim * 4
	for i, o := range l.offsets {
		m.rows.add(l.first+int64(o), l.floats[i*size:(i+1)*size], expect+l.rows-i)
		if m.n > 64*len(m.live) {
			m.live = append(m.live, 0)
		}
		m.live.set(m.n - 1)
	}
	m.spans[l.id] = span{uint32(base), uint32(l.rows)}
	err := decodeColumns(l.columns, l.rows, func(key string, from, run int, v vector.Value) {
		m.columns.put(key, base+from, run, v)
	})
	if err == nil && m.words != nil {
		err = m.words.add(l)
	}
	m.lastSegment = l.id
	return err
}

func (p *postings) add(l *loaded) error {
	return decodeTerms(l.terms, l.rows, func(_, length int) { p.row(length) }, func(_ int, t analyse.Term, n int) { p.term(t, n) })
}

// remove kills the rows of a segment; one that never came here is passed over.
func (m *memory) remove(segment int64) {
	s, ok := m.spans[segment]
	if !ok {
		return
	}
	delete(m.spans, segment)
	for row := int(s.first); row < int(s.first+s.n); row++ {
		m.live.unset(row)
		if m.words != nil {
			m.words.kill(row)
		}
	}
	m.dead += int(s.n)
}

func (m *memory) alive() int { return m.n - m.dead }

// crowded says that the dead take more room than a rebuild costs.
func (m *memory) crowded() bool { return m.dead > 10_000 && m.dead > m.n*3/10 }

func (m *memory) size() int64 {
	n := m.rows.size() + m.columns.size() + 8*int64(cap(m.live)) + 64*int64(len(m.spans))
	if m.words != nil {
		n += m.words.size()
	}
	return n
}

// settle takes chance again when the index has changed much. Few chunks say little
// about what is unrelated, so the mean counts as much as there are rows, beside what
// unrelated directions score.
func (m *memory) settle() {
	n := m.alive()
	if diff := n - m.chanceRows; m.chanceRows > 0 && max(diff, -diff)*10 < m.chanceRows {
		return
	}
	m.chanceRows = n
	prior := 0.0
	if m.metric == vector.Cosine {
		prior = 0.5
	}
	if m.chance = prior; n < 2 {
		return
	}
	const pairs = 512
	random := rand.New(rand.NewPCG(uint64(n), 1))
	sum, got := 0.0, 0
	for range 4 * pairs {
		a, b := random.IntN(m.n), random.IntN(m.n)
		if a == b || !m.live.has(a) || !m.live.has(b) {
			continue
		}
		sum += m.metric.Score(m.similarity(m.rowTarget(a, nil), b))
		if got++; got == pairs {
			break
		}
	}
	if got > 0 {
		w := float64(n) / float64(n+20)
		m.chance = min(w*sum/float64(got)+(1-w)*prior, 0.95)
	}
}

// found is a hit without its body.
type found struct {
	key                      int64
	score, similarity, words float64
}

// question is a query, prepared.
type question struct {
	vector.Query
	terms []analyse.Term
}

// search answers up to K hits. twoStage says from how many candidates on the first
// stage is used.
func (m *memory) search(q *question, exactBelow int) []found {
	candidates := m.live
	count := m.alive()
	if q.Filter != nil {
		candidates = m.columns.match(q.Filter, m.n)
		candidates.and(m.live)
		count = candidates.count()
	}
	if count == 0 {
		return nil
	}
	t := m.target(q.Vector)
	rescored := 0
	if count > exactBelow {
		rescored = m.stage.Rescored
	}
	if q.Mode != vector.Hybrid || len(q.terms) == 0 || m.words == nil {
		near := m.nearest(t, candidates, count, q.K, rescored)
		out := make([]found, len(near))
		for i, r := range near {
			out[i] = found{key: m.chunk[r.row], score: m.metric.Score(r.similarity), similarity: r.similarity}
		}
		if q.Mode == vector.Hybrid {
			for i := range out { // a question without words is fused with nothing
				out[i].score = q.Fusion.Combine(out[i].score, m.chance, 0, 0)
			}
		}
		return out
	}
	return m.fuse(q, t, candidates, count, rescored)
}

// fusionDepth is how many of each list are joined: five times what is wanted, at
// least this.
const fusionDepth = 100

func (m *memory) fuse(q *question, t *target, candidates bitmap, count, rescored int) []found {
	depth := max(fusionDepth, 5*q.K)
	near := m.nearest(t, candidates, count, depth, rescored)
	words := m.words.score(q.terms, m.live, candidates, m.dead)
	defer m.words.done(words)
	type ranks struct {
		similarity   float64
		vector, word int
	}
	all := make(map[uint32]ranks, 2*depth)
	for i, r := range near {
		all[r.row] = ranks{similarity: r.similarity, vector: i + 1}
	}
	for i, s := range words.best(depth) {
		r, ok := all[s.row]
		if !ok {
			r.similarity = m.similarity(t, int(s.row))
		}
		r.word = i + 1
		all[s.row] = r
	}
	out := make([]found, 0, len(all))
	for row, r := range all {
		f := found{key: m.chunk[row], similarity: r.similarity, words: float64(words.score[row])}
		if q.Fusion.Method == vector.RRF {
			f.score = q.Fusion.Ranks(r.vector, r.word)
		} else {
			f.score = q.Fusion.Combine(m.metric.Score(r.similarity), m.chance, f.words, words.whole)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b found) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		default:
			return int(a.key - b.key)
		}
	})
	return out[:min(q.K, len(out))]
}
