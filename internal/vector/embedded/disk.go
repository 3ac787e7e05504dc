package embedded

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// syncDir makes the names in a folder durable. Windows has no such call: its file
// systems write names through their journal.
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

// fileError wraps an error of a file operation with the sentinel it stands for.
func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", vector.ErrFull, err)
	default:
		return fmt.Errorf("%w: %w", vector.ErrIO, err)
	}
}
