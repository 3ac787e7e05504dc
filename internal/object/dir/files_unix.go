//go:build unix

package dir

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// heirs is how long the lock of a dead process may outlive it.
const heirs = time.Second

// errQuota is the user's disk quota at its end.
var errQuota error = syscall.EDQUOT

// lockFile takes the folder's lock for as long as the file is open; the kernel
// frees it when the process dies, however it dies. A child that was forked the moment
// before shares it until it has become another program, so a held lock is asked for
// again for a while.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	take := func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	err = take()
	for end := time.Now().Add(heirs); errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(end); err = take() {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir makes the entries of a folder durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
