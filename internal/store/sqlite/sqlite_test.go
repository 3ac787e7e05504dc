package sqlite_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func(*testing.T) store.Driver {
		dir := t.TempDir()
		return func(t *testing.T) store.Driver {
			d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	})
}

// TestSecondProcessIsRefused starts this test binary again as the other process.
func TestSecondProcessIsRefused(t *testing.T) {
	const env = "SQLITE_TEST_HOLD"
	if dir := os.Getenv(env); dir != "" {
		d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("holding")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent lets go
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondProcessIsRefused$")
	other.Env = append(os.Environ(), env+"="+dir)
	leash, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "holding\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	e, ok := errors.AsType[*store.LockedError](err)
	if !ok || !errors.Is(err, store.ErrLocked) || e.PID != other.Process.Pid {
		t.Errorf("got %v, want the folder to be held by process %d", err, other.Process.Pid)
	} else if !strings.Contains(err.Error(), fmt.Sprint(other.Process.Pid)) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%q names neither process nor folder", err)
	}
	// A reader for a backup is let in.
	d, err := sqlite.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Errorf("open read-only beside the owner: %v", err)
	} else if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := leash.Close(); err != nil {
		t.Error(err)
	}
	if err := other.Wait(); err != nil {
		t.Errorf("the other process: %v", err)
	}
	d, err = sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatalf("after the owner has gone: %v", err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second open in the same process: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	for _, c := range []struct {
		db           *sql.DB
		pragma, want string
	}{
		{d.Writer(), "journal_mode", "wal"}, {d.Writer(), "synchronous", "2"}, {d.Writer(), "foreign_keys", "1"},
		{d.Writer(), "busy_timeout", "5000"}, {d.Writer(), "secure_delete", "1"}, {d.Writer(), "temp_store", "2"},
		{d.Reader(), "query_only", "1"}, {d.Reader(), "journal_mode", "wal"}, {d.Reader(), "busy_timeout", "5000"},
	} {
		var got string
		if err := c.db.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s = %s, %v; want %s", c.pragma, got, err, c.want)
		}
	}
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNotADatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, sqlite.File), bytes.Repeat([]byte("junk"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}
