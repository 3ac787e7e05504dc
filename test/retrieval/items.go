package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

// ndcg is the normalised discounted cumulative gain of the first ten: right says which
// of the found are right answers, all how many right answers there are.
//
// Source: K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR
// techniques", ACM TOIS 20(4), 2002, with gains of 0 and 1.
func ndcg(right []bool, all int) float64 {
	var got, best float64
	for i, r := range right[:min(hits, len(right))] {
		if r {
			got += 1 / math.Log2(float64(i)+2)
		}
	}
	for i := range min(hits, all) {
		best += 1 / math.Log2(float64(i)+2)
	}
	if best == 0 {
		return 0
	}
	return got / best
}

// interval is the middle 95 % of the means of n values drawn with replacement.
func interval(values []float64) (low, high float64) {
	const draws = 10_000
	random := rand.New(rand.NewPCG(9, 5))
	means := make([]float64, draws)
	for i := range means {
		sum := 0.0
		for range values {
			sum += values[random.IntN(len(values))]
		}
		means[i] = sum / float64(len(values))
	}
	slices.Sort(means)
	return means[draws*25/1000], means[draws*975/1000]
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(1, len(values)))
}

// way is how questions are asked.
type way struct {
	name   string
	mode   vector.Mode
	fusion vector.Fusion
}

var (
	bySense = way{"semantic alone", vector.Semantic, vector.Fusion{}}
	byWords = way{"words alone", vector.Hybrid, vector.Fusion{WordsWeight: 1}}
	byBoth  = way{"hybrid, the default", vector.Hybrid, vector.Fusion{}}
	byRanks = way{"hybrid by ranks (RRF)", vector.Hybrid, vector.Fusion{Method: vector.RRF}}
)

// gains asks questions one way and answers the nDCG@10 of each.
func (s *shelfIndex) gains(ctx context.Context, x vector.Index, w way, asked []int) ([]float64, error) {
	right := map[int]int{}
	section := map[string]int{}
	for i := range s.Passages {
		right[s.Passages[i].Section]++
		section[s.Passages[i].ID] = s.Passages[i].Section
	}
	out := make([]float64, 0, len(asked))
	for _, i := range asked {
		q := vector.Query{Vector: s.titles[i], Mode: w.mode, Fusion: w.fusion, K: hits}
		if w.mode == vector.Hybrid {
			q.Text = s.Questions[i].Text
		}
		found, err := x.Search(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("ask %q: %w", s.Questions[i].Text, err)
		}
		marks := make([]bool, len(found))
		for k := range found {
			marks[k] = section[found[k].Chunk.ID] == s.Questions[i].Section
			if w == byWords && found[k].Words == 0 {
				marks[k] = false // without a common word there is no answer by words
			}
		}
		out = append(out, ndcg(marks, right[s.Questions[i].Section]))
	}
	return out, nil
}

// halves splits the questions by their page, so that no page is in both: one for
// looking at weights, one that no choice has seen.
func (s *shelfIndex) halves() (tuning, heldOut []int) {
	page := map[int]string{}
	for i := range s.Passages {
		page[s.Passages[i].Section] = s.Passages[i].Page
	}
	for i := range s.Questions {
		h := fnv.New32a()
		_, _ = h.Write([]byte(page[s.Questions[i].Section]))
		if h.Sum32()%3 == 0 {
			tuning = append(tuning, i)
		} else {
			heldOut = append(heldOut, i)
		}
	}
	return tuning, heldOut
}

// measureItems asks section titles for their sections.
func measureItems(ctx context.Context, t *table, s *shelfIndex, least int) error {
	tuning, asked := s.halves()
	t.row("questions", fmt.Sprint(len(asked)), fmt.Sprintf("%d more, of other pages, on which weights are looked at below", len(tuning)), fmt.Sprintf("≥ %d", least), len(asked) >= least)
	return s.with(ctx, never, func(x *embedded.Index) error {
		gain := map[string][]float64{}
		for _, w := range []way{bySense, byWords, byBoth, byRanks} {
			g, err := s.gains(ctx, x, w, asked)
			if err != nil {
				return err
			}
			gain[w.name] = g
			low, high := interval(g)
			t.row("nDCG@10, "+w.name, fmt.Sprintf("%.3f", mean(g)), fmt.Sprintf("95 %% interval %.3f to %.3f", low, high), "", true)
		}
		for _, w := range []way{byBoth, byRanks} {
			for _, part := range []way{bySense, byWords} {
				diff := make([]float64, len(asked))
				for i := range diff {
					diff[i] = gain[w.name][i] - gain[part.name][i]
				}
				low, high := interval(diff)
				bar := ""
				if w == byBoth {
					bar = "> 0, whole interval"
				}
				t.row(w.name+", more than "+part.name, fmt.Sprintf("%+.3f", mean(diff)), fmt.Sprintf("95 %% interval of the differences %+.3f to %+.3f", low, high), bar, low > 0)
			}
		}
		return s.lookAtWeights(ctx, t, x, tuning, asked, mean(gain[byBoth.name]))
	})
}

// lookAtWeights finds the best weight of the words on the tuning questions and says
// what it gives on the others. It changes nothing.
func (s *shelfIndex) lookAtWeights(ctx context.Context, t *table, x vector.Index, tuning, asked []int, standing float64) error {
	best, weight, list := -1.0, 0.0, ""
	for w := 1; w <= 9; w++ {
		f := vector.Fusion{WordsWeight: float64(w) / 10}
		g, err := s.gains(ctx, x, way{"", vector.Hybrid, f}, tuning)
		if err != nil {
			return err
		}
		if m := mean(g); m > best {
			best, weight = m, f.WordsWeight
		}
		list += fmt.Sprintf(" %.1f: %.3f", f.WordsWeight, mean(g))
	}
	g, err := s.gains(ctx, x, way{"", vector.Hybrid, vector.Fusion{WordsWeight: weight}}, asked)
	if err != nil {
		return err
	}
	t.row(fmt.Sprintf("the weight that is best on the tuning questions, %.1f, on the others", weight), fmt.Sprintf("%.3f", mean(g)),
		fmt.Sprintf("the default weight of %.1f: %.3f; on the tuning questions%s", vector.DefaultWordsWeight, standing, list), "", true)
	return nil
}
