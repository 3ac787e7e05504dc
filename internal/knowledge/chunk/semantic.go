package chunk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
)

// embedBatch is how many groups of sentences are embedded in one call.
const embedBatch = 256

// semantic cuts where the meaning turns: each sentence, with its neighbours, is
// embedded; where the distance to the next one is above a percentile of all
// distances, a chunk ends. What is then too long is packed.
func (s *Splitter) semantic(ctx context.Context, m *marked, from, to int, res *Result) error {
	if s.Embed == nil {
		return errors.New("BUG: chunk: semantic chunking without an embedding function")
	}
	c := s.Strategy.Semantic
	// Sentences, none longer than a chunk.
	bounds := []int{from}
	for i := from; i < to; {
		next := i + 1
		for next < to && m.marks[next].kind < sentence {
			next++
		}
		next = min(next, to)
		if m.cost(i, next) > c.MaxTokens {
			next = m.best(i, i, next, c.MaxTokens)
		}
		bounds = append(bounds, next)
		i = next
	}
	n := len(bounds) - 1
	if n < 3 || m.cost(from, to) <= c.MaxTokens && n < 4 {
		res.Chunks = m.pack(res.Chunks, from, to, c.MaxTokens, 0, 0)
		return nil
	}
	groups := make([]string, n)
	for i := range groups {
		lo, hi := max(0, i-c.BufferSize), min(n, i+c.BufferSize+1)
		groups[i] = strings.TrimSpace(m.doc.Text[m.marks[bounds[lo]].at:m.marks[bounds[hi]].at])
	}
	distances := make([]float64, 0, n-1)
	var last []float32
	for at := 0; at < n; at += embedBatch {
		batch := groups[at:min(at+embedBatch, n)]
		got, err := s.Embed(ctx, batch)
		if err != nil {
			return fmt.Errorf("chunk: embed sentences: %w", err)
		}
		if len(got) != len(batch) {
			return fmt.Errorf("chunk: %d vectors for %d texts", len(got), len(batch))
		}
		for _, v := range got {
			if last != nil {
				d, err := distance(last, v)
				if err != nil {
					return err
				}
				distances = append(distances, d)
			}
			last = v
		}
	}
	limit := percentile(distances, float64(c.BreakpointPercentileThreshold))
	start := from
	for i, d := range distances {
		if d > limit {
			res.Chunks = m.pack(res.Chunks, start, bounds[i+1], c.MaxTokens, 0, 0)
			start = bounds[i+1]
		}
	}
	res.Chunks = m.pack(res.Chunks, start, to, c.MaxTokens, 0, 0)
	return nil
}

// distance is one less the cosine.
func distance(a, b []float32) (float64, error) {
	if len(a) != len(b) {
		return 0, fmt.Errorf("chunk: vectors of %d and %d numbers", len(a), len(b))
	}
	var dot, na, nb float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		na += float64(a[i]) * float64(a[i])
		nb += float64(b[i]) * float64(b[i])
	}
	if na == 0 || nb == 0 {
		return 1, nil
	}
	return 1 - dot/math.Sqrt(na*nb), nil
}

// percentile interpolates between the two nearest ranks.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := append([]float64(nil), values...)
	sort.Float64s(v)
	at := p / 100 * float64(len(v)-1)
	lo := int(at)
	if lo+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[lo] + (v[lo+1]-v[lo])*(at-float64(lo))
}
