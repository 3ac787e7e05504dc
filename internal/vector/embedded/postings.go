package embedded

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// Parameters of BM25, the usual ones (S. Robertson, H. Zaragoza, "The Probabilistic
// Relevance Framework: BM25 and Beyond", 2009); idf is Lucene's, which is never
// negative: ln(1 + (N - n + ½) / (n + ½)).
const (
	bm25K1 = 1.2
	bm25B  = 0.75
)

// postings are the words of all rows: of each term the rows that have it, as
// differences, two bytes a posting more or less.
type postings struct {
	terms  map[analyse.Term]uint32
	lists  []list
	length []uint32 // of each row
	total  int64    // length of the live rows
	bytes  int64

	pool sync.Pool // of *tally
}

// list is the postings of a term: uvarint(difference of rows << 1 | more), and if
// more the count of the term as a uvarint, else it is 1.
type list struct {
	b    []byte
	last uint32
	n    uint32
}

func newPostings() *postings { return &postings{terms: map[analyse.Term]uint32{}} }

// row adds the next row.
func (p *postings) row(length int) {
	p.length = append(p.length, uint32(length))
	p.total += int64(length)
}

// term adds a term of the row added last.
func (p *postings) term(t analyse.Term, n int) {
	at, ok := p.terms[t]
	if !ok {
		at = uint32(len(p.lists))
		p.terms[t] = at
		p.lists = append(p.lists, list{})
		p.bytes += 80
	}
	l := &p.lists[at]
	row := uint32(len(p.length) - 1)
	before := cap(l.b)
	d := uint64(row-l.last) << 1
	if n > 1 {
		l.b = binary.AppendUvarint(l.b, d|1)
		l.b = binary.AppendUvarint(l.b, uint64(n))
	} else {
		l.b = binary.AppendUvarint(l.b, d)
	}
	l.last = row
	l.n++
	p.bytes += int64(cap(l.b) - before)
}

// kill takes a row out of the mean length.
func (p *postings) kill(row int) { p.total -= int64(p.length[row]) }

// tally is the scores of one search, kept for the next.
type tally struct {
	score   []float32 // of each row, 0 for untouched
	touched []uint32
}

// wordScores is the scores of a question.
type wordScores struct {
	*tally
	// whole is Σ idf of the terms that any chunk has: what a chunk of average length
	// with each of them once scores.
	whole float64
}

// score sums BM25 of every candidate that has a term. The statistics are of all live
// rows, so a filter changes which chunks are found and not what they score. done
// must be called with the result.
func (p *postings) score(question []analyse.Term, live, candidates bitmap, dead int) wordScores {
	t, _ := p.pool.Get().(*tally)
	if t == nil {
		t = &tally{}
	}
	if len(t.score) < len(p.length) {
		t.score = make([]float32, len(p.length))
	}
	s := wordScores{tally: t}
	rows := len(p.length) - dead
	if rows == 0 {
		return s
	}
	mean := max(float64(p.total)/float64(rows), 1)
	for _, term := range question {
		at, known := p.terms[term]
		n := 0
		if known {
			n = int(p.lists[at].n)
			if dead > 0 {
				n = 0
				p.lists[at].each(func(row uint32, _ float32) {
					if live.has(int(row)) {
						n++
					}
				})
			}
		}
		if n == 0 {
			continue // a word that no chunk has does not tell which one is meant
		}
		idf := math.Log(1 + (float64(rows-n)+0.5)/(float64(n)+0.5))
		s.whole += idf
		weight := float32(idf * (bm25K1 + 1))
		flat, slope := float32(bm25K1*(1-bm25B)), float32(bm25K1*bm25B/mean)
		p.lists[at].each(func(row uint32, tf float32) {
			if !candidates.has(int(row)) {
				return
			}
			if t.score[row] == 0 {
				t.touched = append(t.touched, row)
			}
			t.score[row] += weight * tf / (tf + flat + slope*float32(p.length[row]))
		})
	}
	return s
}

// done gives the tally back.
func (p *postings) done(s wordScores) {
	for _, row := range s.touched {
		s.score[row] = 0
	}
	s.touched = s.touched[:0]
	p.pool.Put(s.tally)
}

func (l *list) each(f func(row uint32, tf float32)) {
	row := uint32(0)
	for b := l.b; len(b) > 0; {
		var v uint64
		if b[0] < 0x80 {
			v, b = uint64(b[0]), b[1:]
		} else {
			u, n := binary.Uvarint(b)
			v, b = u, b[n:]
		}
		row += uint32(v >> 1)
		tf := float32(1)
		if v&1 != 0 {
			u, n := binary.Uvarint(b)
			tf, b = float32(u), b[n:]
		}
		f(row, tf)
	}
}

// best answers the rows with the highest scores, best first, equal ones by row.
func (s wordScores) best(depth int) []scored {
	top := newTop(depth)
	for _, row := range s.touched {
		top.add(s.score[row], row)
	}
	return top.sorted()
}

func (p *postings) size() int64 {
	return p.bytes + 4*int64(cap(p.length)) + 32*int64(len(p.lists))
}

// scored is a row and how good it is.
type scored struct {
	score float32
	row   uint32
}

func better(a, b scored) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	case a.row < b.row:
		return -1
	case a.row > b.row:
		return 1
	default:
		return 0
	}
}

// top keeps the n best of what is added, in a heap with the worst on top.
type top struct {
	n    int
	heap []scored
}

func newTop(n int) *top { return &top{n: n, heap: make([]scored, 0, min(n, 1024))} }

// add takes a row if it is among the best; equal scores prefer the lower row.
func (t *top) add(score float32, row uint32) {
	if len(t.heap) == t.n {
		if t.n == 0 || score < t.heap[0].score || better(scored{score, row}, t.heap[0]) > 0 {
			return
		}
		t.heap[0] = scored{score, row}
		t.down(0)
		return
	}
	t.heap = append(t.heap, scored{score, row})
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if better(t.heap[i], t.heap[up]) < 0 {
			break
		}
		t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
		i = up
	}
}

func (t *top) down(i int) {
	for {
		worst := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(t.heap); c++ {
			if better(t.heap[c], t.heap[worst]) > 0 {
				worst = c
			}
		}
		if worst == i {
			return
		}
		t.heap[i], t.heap[worst] = t.heap[worst], t.heap[i]
		i = worst
	}
}

func (t *top) sorted() []scored {
	slices.SortFunc(t.heap, better)
	return t.heap
}
