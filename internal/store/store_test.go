package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type row struct{ Text string }

var rows = store.Kind[row]{Name: "row"}

func at(id string) store.Key { return store.Key{Account: "1", Region: "r", ID: id} }

func put(t testing.TB, s *store.Store, id, text string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := rows.Create(tx, at(id), row{text}, store.Columns{Name: id})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func text(t testing.TB, s *store.Store, id string) (out string, err error) {
	t.Helper()
	err = s.View(t.Context(), func(tx *store.Tx) error {
		rec, err := rows.Get(tx, at(id))
		out = rec.Body.Text
		return err
	})
	return out, err
}

func TestLocalSealer(t *testing.T) {
	dir := t.TempDir()
	s, err := store.OpenLocalSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.RootKeyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("root key: %v, %v; want mode 600", info, err)
	}
	sealed, err := s.Seal(t.Context(), "", []byte("row"), []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.OpenLocalSealer(dir)
	if err != nil || again.KeyID() != s.KeyID() {
		t.Fatalf("second open: key %v, %v; want %s", again, err, s.KeyID())
	}
	if plain, err := again.Open(t.Context(), "", []byte("row"), sealed); err != nil || string(plain) != "plain" {
		t.Fatalf("opened %q, %v", plain, err)
	}
	if _, err := s.Open(t.Context(), "", []byte("other row"), sealed); err == nil {
		t.Error("opened for another row")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(t.Context(), "", []byte("row"), bad); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := s.Open(t.Context(), "", []byte("row"), sealed[:i]); err == nil {
			t.Errorf("opened when cut at %d", i)
		}
	}
	if _, err := s.Seal(t.Context(), "arn:aws:kms:k", nil, nil); !errors.Is(err, store.ErrSealed) {
		t.Errorf("a customer key without a key service: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenLocalSealer(dir); err == nil {
		t.Error("a key that the group can read was taken")
	}
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenLocalSealer(dir); err == nil {
		t.Error("a damaged key was taken")
	}
}

func TestRebind(t *testing.T) {
	d := store.Dialect{Numbered: true}
	for in, want := range map[string]string{
		`SELECT ?`:                          `SELECT $1`,
		`a = ? AND b = '?' AND "c?" = ?`:    `a = $1 AND b = '?' AND "c?" = $2`,
		`a = 'it''s ?' AND b = ?`:           `a = 'it''s ?' AND b = $1`,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`: `($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
	} {
		for range 2 {
			if got := d.Rebind(in); got != want {
				t.Errorf("Rebind(%q) = %q, want %q", in, got, want)
			}
		}
		if got := (store.Dialect{}).Rebind(in); got != in {
			t.Errorf("SQLite's %q became %q", in, got)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir, backup, target := t.TempDir(), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "new", "data")
	s := storetest.OpenDir(t, dir, nil)
	put(t, s, "a", "before")
	objects := fstest.MapFS{"ab/cd": {Data: []byte("blob")}, "empty": {}}
	m, err := s.Backup(t.Context(), backup, store.BackupConfig{DataDir: dir, Parts: []store.Part{{Name: "objects", FS: objects}}})
	if err != nil {
		t.Fatal(err)
	}
	if !m.RootKey || len(m.Files) != 4 {
		t.Errorf("manifest: %+v", m)
	}
	put(t, s, "b", "after")
	if _, err := s.Backup(t.Context(), backup, store.BackupConfig{}); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("a second backup into the folder: %v", err)
	}
	if _, err := store.Restore(t.Context(), backup, dir); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("restore over a data folder: %v", err)
	}
	if _, err := store.Restore(t.Context(), backup, target); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(target, "objects", "ab", "cd")); err != nil || string(b) != "blob" {
		t.Errorf("object: %q, %v", b, err)
	}
	r := storetest.OpenDir(t, target, nil)
	if got, err := text(t, r, "a"); err != nil || got != "before" {
		t.Errorf("restored: %q, %v", got, err)
	}
	if _, err := text(t, r, "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a row written after the backup: %v", err)
	}
	put(t, r, "c", "the restored store takes writes")
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(target), ".*restore*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	s := storetest.OpenDir(t, dir, nil)
	put(t, s, "a", "x")
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, backup string)
		want  error
	}{
		{"no manifest", func(t *testing.T, b string) { remove(t, filepath.Join(b, "manifest.json")) }, store.ErrBackupDamaged},
		{"a missing file", func(t *testing.T, b string) { remove(t, filepath.Join(b, "root.key")) }, store.ErrBackupDamaged},
		{"a flipped bit", func(t *testing.T, b string) {
			edit(t, filepath.Join(b, "state.db"), func(x []byte) []byte { x[len(x)/2] ^= 1; return x })
		}, store.ErrBackupDamaged},
		{"a cut file", func(t *testing.T, b string) {
			edit(t, filepath.Join(b, "state.db"), func(x []byte) []byte { return x[:len(x)-1] })
		}, store.ErrBackupDamaged},
		{"a path that leaves the folder", func(t *testing.T, b string) {
			manifest(t, b, func(m *store.Manifest) { m.Files[0].Path = "../state.db" })
		}, store.ErrBackupDamaged},
		{"a newer schema", func(t *testing.T, b string) { manifest(t, b, func(m *store.Manifest) { m.Schema += 1000 }) }, store.ErrNewerSchema},
		{"a newer format", func(t *testing.T, b string) { manifest(t, b, func(m *store.Manifest) { m.Format++ }) }, store.ErrNewerSchema},
	} {
		t.Run(c.name, func(t *testing.T) {
			backup, parent := filepath.Join(t.TempDir(), "b"), t.TempDir()
			if _, err := s.Backup(t.Context(), backup, store.BackupConfig{DataDir: dir}); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, backup)
			if _, err := store.Restore(t.Context(), backup, filepath.Join(parent, "data")); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
				t.Errorf("a refused restore left %v, %v", left, err)
			}
		})
	}
}

func TestBackupBesideARunningServer(t *testing.T) {
	dir := t.TempDir()
	s := storetest.OpenDir(t, dir, nil)
	put(t, s, "a", "x")
	d, err := sqlite.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Writer().ExecContext(t.Context(), `DELETE FROM resource`); !errors.Is(d.Translate(err), store.ErrReadOnly) {
		t.Errorf("a read-only driver deletes: %v", err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := d.Snapshot(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reader().ExecContext(t.Context(), `DELETE FROM resource`); !errors.Is(d.Translate(err), store.ErrReadOnly) {
		t.Errorf("after a snapshot the readers write: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("snapshot: %v, %v", info, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "b", "the owner goes on")
}

// TestRekeyLeavesNoOldBytes looks for the plain text of a badly sealed body in all
// files of the data folder after the record got a key.
func TestRekeyLeavesNoOldBytes(t *testing.T) {
	dir := t.TempDir()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Driver: d, Sealer: markSealer{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	secret := strings.Repeat("quartz-vein ", 900) // over several pages
	for _, id := range []string{"a", "b"} {
		put(t, s, id, secret)
	}
	if n := count(t, dir, "quartz-vein"); n == 0 {
		t.Fatal("the search finds nothing before the change either")
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{"a", "b"} {
			rec, err := rows.Get(tx, at(id))
			if err != nil {
				return err
			}
			rec.KeyARN = "arn:aws:kms:k"
			if _, err := rows.Put(tx, rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, dir, "quartz-vein"); n > 0 {
		t.Errorf("%d old copies are left in the files", n)
	}
	if got, err := text(t, s, "a"); err != nil || got != secret {
		t.Errorf("after the change: %.20q, %v", got, err)
	}
}

// markSealer leaves bytes readable without a key and flips them with one, so that
// a search can tell old bytes from new.
type markSealer struct{}

func (markSealer) flip(keyARN string, in []byte) []byte {
	out := bytes.Clone(in)
	if keyARN != "" {
		for i := range out {
			out[i] ^= 0xaa
		}
	}
	return out
}

func (m markSealer) Seal(_ context.Context, keyARN string, _, plain []byte) ([]byte, error) {
	return m.flip(keyARN, plain), nil
}

func (m markSealer) Open(_ context.Context, keyARN string, _, sealed []byte) ([]byte, error) {
	return m.flip(keyARN, sealed), nil
}

func count(t *testing.T, dir, word string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") {
			continue // an index of page numbers
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(word))
	}
	return n
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func manifest(t *testing.T, dir string, f func(*store.Manifest)) {
	t.Helper()
	edit(t, filepath.Join(dir, "manifest.json"), func(b []byte) []byte {
		var m store.Manifest
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		f(&m)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
}

// Hot statements answer as others do, and one that the database does not know is found
// at Open.
func TestHotStatements(t *testing.T) {
	const list = `SELECT id FROM resource WHERE kind = ? ORDER BY id`
	open := func(hot ...string) (*store.Store, error) {
		dir := t.TempDir()
		d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := store.OpenLocalSealer(dir)
		if err != nil {
			t.Fatal(err)
		}
		return store.Open(t.Context(), store.Config{Driver: storetest.Checked(t, d), Sealer: sealer, Hot: hot})
	}
	if _, err := open(`SELECT nothing FROM nowhere`); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a statement that is wrong: %v", err)
	}
	s, err := open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "a", "x")
	put(t, s, "b", "y")
	for range 2 { // each time anew, in writers and in readers
		for name, in := range map[string]func(context.Context, func(*store.Tx) error) error{"update": s.Update, "view": s.View} {
			var got []string
			err := in(t.Context(), func(tx *store.Tx) error {
				got = nil
				return tx.Query(list, []any{"row"}, func(r store.Row) error {
					var id string
					err := r.Scan(&id)
					got = append(got, id)
					return err
				})
			})
			if err != nil || strings.Join(got, " ") != "a b" {
				t.Errorf("%s: %v %v", name, got, err)
			}
		}
	}
}
