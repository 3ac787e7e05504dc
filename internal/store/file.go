package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// writeFileDurable writes a new file so that it is either there whole or not at
// all after a power cut: temporary file, fsync, rename, fsync of the folder.
func writeFileDurable(path string, content []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// MakeFolder makes a folder and those above it, mode 0700, and makes their names
// durable: a power cut after the first acknowledged write must not take the folder
// itself away.
func MakeFolder(dir string) error {
	dir = filepath.Clean(dir)
	var made []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return FileError(err)
	}
	for _, d := range made {
		if err := syncDir(filepath.Dir(d)); err != nil {
			return FileError(err)
		}
	}
	return nil
}

// FileError wraps an error of a file operation with the sentinel it stands for:
// ErrFull, ErrReadOnly, ErrIO. Other errors come back as they are.
func FileError(err error) error {
	for _, c := range []struct {
		errno syscall.Errno
		kind  error
	}{
		{syscall.ENOSPC, ErrFull}, {syscall.EDQUOT, ErrFull}, {syscall.EROFS, ErrReadOnly}, {syscall.EIO, ErrIO},
	} {
		if errors.Is(err, c.errno) && !errors.Is(err, c.kind) {
			return fmt.Errorf("%w: %w", c.kind, err)
		}
	}
	return err
}

// syncDir makes the names in a folder durable. Windows has no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// privateFile refuses a key file that others can read.
func privateFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %o): chmod 600 it", path, info.Mode().Perm())
	}
	return nil
}

func trimNewline(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }
