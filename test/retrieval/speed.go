package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

// measureSpeed is the part of the 100,000 vectors: searches beside the rivals, writes,
// and starts. rivals false leaves out those that are installed.
func measureSpeed(ctx context.Context, t *table, dir, cache string, chunks int, rivals bool) error {
	d, err := draw(ctx, dir, chunks, 100, true)
	if err != nil {
		return err
	}
	want, bruteTook := d.truth(false)
	wantFew, bruteFew := d.truth(true)
	var took, tookFew, tookWords times
	var got, gotFew [][]string
	var st vector.Stats
	err = measured(ctx, d.dir, "drawn", 0, func(x *embedded.Index) (err error) {
		if got, took, err = searchAll(ctx, x, d.questions, vector.Query{}, 5); err != nil {
			return err
		}
		if gotFew, tookFew, err = searchAll(ctx, x, d.questions, vector.Query{Filter: onePercent()}, 5); err != nil {
			return err
		}
		if _, tookWords, err = searchAll(ctx, x, d.questions, vector.Query{Mode: vector.Hybrid, Text: "the system12 of index3 and retriev77 docu1500"}, 2); err != nil {
			return err
		}
		st, err = x.Stats(ctx)
		return err
	})
	if err != nil {
		return err
	}
	t.row("search, p50", took.both(), "float32 scan in Go, all processors: "+bruteTook.both(), "< 5 ms", took.p50() < 5*time.Millisecond)
	t.row("search behind a filter that 1 % passes, p50", tookFew.both(), "float32 scan of the 1 %: "+bruteFew.both(), "< 2 ms", tookFew.p50() < 2*time.Millisecond)
	t.row("recall@10 of these searches", percent(recall(want, got)), "the float32 scan", "≥ 97 %", recall(want, got) >= 0.97)
	t.row("recall@10 behind the filter", percent(recall(wantFew, gotFew)), "the float32 scan", "≥ 97 %", recall(wantFew, gotFew) >= 0.97)
	t.row("hybrid search, p50", tookWords.both(), "the same index by vectors alone: "+took.both(), "", true)
	t.row("memory of the index, words and vectors", mb(st.MemoryBytes), fmt.Sprintf("the vectors in float32: %s", mb(int64(4*len(d.vectors.data)))), "", true)
	if rivals {
		if err := measureSQLiteVec(ctx, t, d, cache, want, wantFew); err != nil {
			return err
		}
		if err := measurePgvector(ctx, t, d, cache, want, wantFew); err != nil {
			return err
		}
	}
	rate := float64(d.chunks) / d.took.Seconds()
	t.row(fmt.Sprintf("ingestion without embedding, %d documents of %d chunks of 100 words, each analysed, sealed, fsynced", d.chunks/perDocument, perDocument),
		fmt.Sprintf("%.0f chunks/s, a document %s", rate, d.writes.both()), "-", "> 5000 chunks/s", rate > 5000)
	if err := measureDeletes(ctx, t, d); err != nil {
		return err
	}
	return measureOpen(ctx, t, d)
}

func percent(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// measureDeletes takes documents away from the loaded index.
func measureDeletes(ctx context.Context, t *table, d *drawn) error {
	var took times
	gone := min(50, d.chunks/perDocument/2)
	err := measured(ctx, d.dir, "drawn", 0, func(x *embedded.Index) error {
		for i := range gone {
			begin := time.Now()
			if err := x.Delete(ctx, strconv.Itoa(i)); err != nil {
				return err
			}
			took = append(took, time.Since(begin))
			found, err := x.Search(ctx, vector.Query{Vector: d.vectors.at(i * perDocument), K: 1})
			if err != nil || len(found) == 0 || found[0].Chunk.ID == strconv.Itoa(i*perDocument) {
				return fmt.Errorf("a deleted chunk is found again: %v %w", found, err)
			}
		}
		return nil
	})
	t.row(fmt.Sprintf("deleting a document of %d chunks, p50", perDocument), took.both(), "-", "< 5 ms", took.p50() < 5*time.Millisecond)
	return err
}

// measureOpen opens the index as a start does: nothing is read before the first search.
func measureOpen(ctx context.Context, t *table, d *drawn) error {
	var opened, first times
	for range 5 {
		begin := time.Now()
		s, err := openStore(d.dir, 0)
		if err != nil {
			return err
		}
		x, err := s.Open(ctx, one("drawn").Name)
		if err != nil {
			return err
		}
		opened = append(opened, time.Since(begin))
		if _, err := x.Search(ctx, vector.Query{Vector: d.questions[0], K: hits}); err != nil {
			return err
		}
		first = append(first, time.Since(begin))
		if err := s.Close(); err != nil {
			return err
		}
	}
	t.row("open and first search (median of 5, the file in the system's cache)", ms(first.p50()), "open alone: "+ms(opened.p50()), "< 500 ms", first.p50() < 500*time.Millisecond)
	return nil
}
