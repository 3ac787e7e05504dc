package ingest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
)

// reuse takes the vectors of chunks whose embedded text has not changed from the version
// of the document that the index holds. Embedding is nearly all of the work of an
// ingestion: after a change of metadata none is left, after one of a paragraph that of
// its chunks. The vectors are of the same weights, since an index keeps those of one
// model only; stores that rounded them when they were written have nothing to lose.
func (l *line) reuse(ctx context.Context, f *filled) error {
	as, _, err := l.acting(ctx)
	if err != nil {
		return err
	}
	had, err := l.index.Chunks(as, f.doc)
	if apierr.KindOf(err) == apierr.AccessDenied {
		return nil // a role that may write to the store need not read it
	}
	if err != nil {
		return grave("The vector index cannot be read", err)
	}
	by := make(map[string]string, len(had)) // ids, by what was embedded
	for i := range had {
		var p knowledge.Passage
		if err := json.Unmarshal(had[i].Source, &p); err == nil && p.Embedded != "" { // others were written by somebody else, or before this was kept
			by[p.Embedded] = had[i].ID
		}
	}
	marks := make([]string, len(f.texts))
	wanted := map[string]bool{}
	for i, text := range f.texts {
		marks[i] = digest(text)
		if id, ok := by[marks[i]]; ok {
			wanted[id] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(wanted))
	got, err := l.index.Get(as, ids, true)
	if err != nil {
		return grave("The vector index cannot be read", err)
	}
	vectors := make(map[string][]float32, len(got))
	for _, c := range got {
		if c.Vector != nil { // with the zeros at its end that a store of the user's may want
			vectors[c.ID] = c.Vector
		}
	}
	texts, slots := f.texts[:0], f.slots[:0]
	for i, text := range f.texts {
		if v := vectors[by[marks[i]]]; v != nil {
			f.chunks[f.slots[i]].Vector = v
			continue
		}
		texts, slots = append(texts, text), append(slots, f.slots[i])
	}
	f.texts, f.slots = texts, slots // those that are left to be embedded
	return nil
}
