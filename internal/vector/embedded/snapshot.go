package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Snapshot copies the indexes of the folder from into the folder to, which it makes,
// while a server may work on from: each index is of one instant, sealed as it was. An
// index that is dropped meanwhile is left out.
func Snapshot(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("make the copy's folder: %w", err)
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err != nil || d.IsDir() || d.Name() != fileName {
			return err
		}
		part, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, part)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return fmt.Errorf("make the copy's folder: %w", err)
		}
		db, err := sql.Open("sqlite", "file:"+url.PathEscape(filepath.ToSlash(path))+"?mode=ro&_pragma=busy_timeout(10000)")
		if err != nil {
			return fmt.Errorf("open the index: %w", err)
		}
		defer db.Close()
		if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, target); err != nil {
			if _, gone := os.Stat(path); errors.Is(gone, fs.ErrNotExist) {
				return nil
			}
			return fmt.Errorf("copy the index: %w", translate(err))
		}
		return nil
	})
}
