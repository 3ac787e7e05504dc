//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// A child that a killed owner forked the moment before holds its lock for a moment.
func TestTheLockOfADeadProcessIsWaitedFor(t *testing.T) {
	dead := exec.CommandContext(t.Context(), "true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	hold := func(t *testing.T, pid int) (dir string, heir *os.File) {
		dir = t.TempDir()
		f, err := os.Create(filepath.Join(dir, lockFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := tryLock(f); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, pid)
		return dir, f
	}
	t.Run("its child lets go", func(t *testing.T) {
		dir, heir := hold(t, dead.Process.Pid)
		time.AfterFunc(100*time.Millisecond, func() { heir.Close() })
		l, err := lockFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.release(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a living owner is not waited for", func(t *testing.T) {
		dir, heir := hold(t, os.Getpid())
		defer heir.Close()
		start := time.Now()
		_, err := lockFolder(dir)
		if e, ok := errors.AsType[*store.LockedError](err); !ok || e.PID != os.Getpid() || time.Since(start) > time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}
