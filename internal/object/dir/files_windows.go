package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// errQuota is the disk at its end, in Windows' words.
var errQuota error = windows.ERROR_DISK_FULL

// lockFile takes the folder's lock for as long as the file is open.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir does nothing: NTFS journals folder entries, and Windows flushes no folder handles.
func syncDir(string) error { return nil }
