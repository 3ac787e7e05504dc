package storetest

import (
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// New answers a fresh store on SQLite in a temporary folder, closed when the test
// ends.
func New(t testing.TB) *store.Store { return NewAt(t, nil) }

// NewAt is New with a service clock; nil is the wall clock.
func NewAt(t testing.TB, now func() time.Time) *store.Store {
	t.Helper()
	return OpenDir(t, t.TempDir(), now)
}

// OpenDir opens the SQLite store of a data folder, making it if it is new. A test
// of restarts closes the store itself and opens the folder again; a second Close
// does nothing.
func OpenDir(t testing.TB, dir string, now func() time.Time) *store.Store {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatalf("open sqlite: %v", err)
	}
	sealer, err := store.OpenLocalSealer(dir)
	if err != nil {
		_ = d.Close()
		t.Fatalf("open root key: %v", err)
	}
	s, err := store.Open(t.Context(), store.Config{Driver: d, Sealer: sealer, Now: now})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}
