package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

// shelfIndex is the library with its vectors, written into an index.
type shelfIndex struct {
	*library
	dir      string
	vectors  *flat
	titles   [][]float32 // of Questions
	passages [][]float32 // of HeldOut
}

// embedder answers vectors of texts, kept ones where there are.
type embedder func(ctx context.Context, texts []string) ([][]float32, error)

// indexLibrary embeds what is new and writes the index, one document a page.
func indexLibrary(ctx context.Context, l *library, dir string, embed embedder) (*shelfIndex, error) {
	s := &shelfIndex{library: l, dir: dir}
	texts := make([]string, len(l.Passages))
	for i := range l.Passages {
		texts[i] = l.Passages[i].Text
	}
	titles := make([]string, len(l.Questions))
	for i := range l.Questions {
		titles[i] = l.Questions[i].Text
	}
	rows, err := embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	if s.titles, err = embed(ctx, titles); err != nil {
		return nil, err
	}
	if s.passages, err = embed(ctx, l.HeldOut); err != nil {
		return nil, err
	}
	s.vectors = flatOf(rows)
	st, err := openStore(dir, 0)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	x, err := st.Create(ctx, one("real"))
	if err != nil {
		return nil, err
	}
	defer x.Close()
	for at := 0; at < len(l.Passages); {
		end := at
		var part []vector.Chunk
		for ; end < len(l.Passages) && l.Passages[end].Page == l.Passages[at].Page; end++ {
			p := &l.Passages[end]
			part = append(part, vector.Chunk{ID: p.ID, Ordinal: end - at, Text: p.Text, Vector: rows[end]})
		}
		if err := x.Replace(ctx, vector.Document{ID: l.Passages[at].Page}, part); err != nil {
			return nil, fmt.Errorf("write %s: %w", l.Passages[at].Page, err)
		}
		at = end
	}
	return s, nil
}

// with opens the index; two stages must be in use above the threshold.
func (s *shelfIndex) with(ctx context.Context, exactBelow int, f func(x *embedded.Index) error) error {
	return measured(ctx, s.dir, "real", exactBelow, func(x *embedded.Index) error {
		if exactBelow < len(s.Passages) {
			st, err := x.Stats(ctx)
			if err != nil {
				return err
			}
			if st.Rescored == 0 {
				return fmt.Errorf("the calibration found no two-stage scan that is good enough for %d real vectors", len(s.Passages))
			}
		}
		return f(x)
	})
}

// measureRecall asks held-out questions of both scans and compares with float32.
func measureRecall(ctx context.Context, t *table, s *shelfIndex, least, twoStages int) error {
	t.row("real embeddings in the index", fmt.Sprint(len(s.Passages)), fmt.Sprintf("%d pages of packages of Debian", s.pageCount()), fmt.Sprintf("≥ %d", least), len(s.Passages) >= least)
	asked := len(s.titles) + len(s.passages)
	t.row("held-out questions", fmt.Sprint(asked), fmt.Sprintf("%d section titles, %d passages that the index does not hold", len(s.titles), len(s.passages)), fmt.Sprintf("≥ %d", min(500, least/40)), asked >= min(500, least/40))
	for _, stage := range []struct {
		name       string
		exactBelow int
	}{{"below the exact threshold (int8, then 16 bits)", never}, {fmt.Sprintf("above it, set to %d (sign bits, int8, 16 bits)", twoStages), twoStages}} {
		err := s.with(ctx, stage.exactBelow, func(x *embedded.Index) error {
			for _, q := range []struct {
				name    string
				vectors [][]float32
			}{{"section titles", s.titles}, {"held-out passages", s.passages}} {
				var want [][]string
				for _, v := range q.vectors {
					var ids []string
					for _, n := range s.vectors.nearest(v, hits, nil) {
						ids = append(ids, s.Passages[n.row].ID)
					}
					want = append(want, ids)
				}
				got, _, err := searchAll(ctx, x, q.vectors, vector.Query{}, 0)
				if err != nil {
					return err
				}
				st, err := x.Stats(ctx)
				if err != nil {
					return err
				}
				beside := "the float32 scan"
				if st.Rescored > 0 {
					beside += fmt.Sprintf("; the calibration said %s with %d rescored", percent(st.Recall), st.Rescored)
				}
				r := recall(want, got)
				t.row("recall@10, "+q.name+", "+stage.name, percent(r), beside, "≥ 97 %", r >= 0.97)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shelfIndex) pageCount() int {
	var names []string
	for i := range s.Passages {
		names = append(names, s.Passages[i].Page)
	}
	slices.Sort(names)
	return len(slices.Compact(names))
}

// licences lists what the texts are and under which licences they stand.
func licences(dir string) string {
	var b strings.Builder
	for i := range shelves {
		part := ""
		if shelves[i].Every > 1 {
			part = fmt.Sprintf(", one page in %d", shelves[i].Every)
		}
		fmt.Fprintf(&b, "- %s %s (%s%s)\n", shelves[i].Package, version(dir, shelves[i].Package), shelves[i].Licence, part)
	}
	return b.String()
}
