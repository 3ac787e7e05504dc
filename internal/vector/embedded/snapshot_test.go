package embedded

import (
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

func TestSnapshotIsAnIndexOfItsOwn(t *testing.T) {
	key := sealer(t)
	s := open(t, Config{Sealer: key})
	x := create(t, s, define(2))
	put := func(id, text string) {
		t.Helper()
		c := vector.Chunk{ID: id, Text: text, Vector: []float32{1, 0}}
		if err := x.Replace(t.Context(), vector.Document{ID: id, Version: "1"}, []vector.Chunk{c}); err != nil {
			t.Fatal(err)
		}
	}
	put("before", "what was there")
	to := filepath.Join(t.TempDir(), "copy")
	if err := Snapshot(t.Context(), s.cfg.Dir, to); err != nil {
		t.Fatal(err)
	}
	put("after", "what came later")

	copied := open(t, Config{Sealer: key, Dir: to})
	y, err := copied.Open(t.Context(), define(2).Name)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	hits, err := y.Search(t.Context(), vector.Query{Vector: []float32{1, 0}, K: 10})
	if err != nil || len(hits) != 1 || hits[0].Chunk.Text != "what was there" {
		t.Errorf("the copy finds %+v, %v", hits, err)
	}
	if err := y.Delete(t.Context(), "before"); err != nil {
		t.Error(err)
	}
	if n, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 0}, K: 10}); err != nil || len(n) != 2 {
		t.Errorf("the original finds %d, %v after a change of the copy", len(n), err)
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	if err := Snapshot(t.Context(), filepath.Join(t.TempDir(), "none"), t.TempDir()); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
