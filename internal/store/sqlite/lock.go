package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// lockFile holds the lock of a data folder. Its content, the owner's process id,
// is for people; the lock itself is the operating system's and dies with the
// process, so a crash leaves nothing to clean up.
const lockFile = "outcrop.lock"

// heirs is how long the lock of a process that is gone may outlive it: a child that was
// forked the moment before shares it until it has become another program.
const heirs = 3 * time.Second

type folderLock struct{ f *os.File }

func lockFolder(dir string) (*folderLock, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data folder: %w", store.FileError(err))
	}
	err = tryLock(f)
	for end := time.Now().Add(heirs); errors.Is(err, errHeld) && gone(owner(f)) && time.Now().Before(end); err = tryLock(f) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		pid := owner(f)
		_ = f.Close()
		if errors.Is(err, errHeld) {
			return nil, &store.LockedError{Dir: dir, PID: pid}
		}
		return nil, fmt.Errorf("lock the data folder: %w", store.FileError(err))
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the lock of the data folder: %w", store.FileError(err)), f.Close())
	}
	return &folderLock{f}, nil
}

// owner reads the process id of who holds the lock, 0 while it has not written it.
func owner(f *os.File) int {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}

// release gives the folder back. The file stays: removing it would let two
// processes lock two different files of one name.
func (l *folderLock) release() error { return l.f.Close() }

var errHeld = errors.New("held by another process")
