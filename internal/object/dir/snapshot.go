package dir

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

// snapshots bounds how often Snapshot begins again because content that its copy
// of the index names was deleted before it was copied.
const snapshots = 8

// Snapshot copies the folder from into the folder to, which it makes, while a
// server may work on from: the copy is the state of one instant, to be opened
// like any other folder.
func Snapshot(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Join(to, "blobs"), 0o700); err != nil {
		return fmt.Errorf("make the copy's folder: %w", err)
	}
	var err error
	for range snapshots {
		if err = snapshot(ctx, from, to); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("objects are deleted faster than they can be copied: %w", err)
}

func snapshot(ctx context.Context, from, to string) error {
	source, index := filepath.Join(from, "index.db"), filepath.Join(to, "index.db")
	if _, err := os.Stat(source); err != nil {
		return err
	}
	if err := os.Remove(index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(source)+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return fmt.Errorf("open object index: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, index); err != nil {
		return fmt.Errorf("copy object index: %w", failed(err))
	}
	copied, err := sql.Open("sqlite", "file:"+url.PathEscape(index)+"?mode=ro")
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	defer copied.Close()
	rows, err := copied.QueryContext(ctx, `SELECT name FROM blob WHERE dead = 0`)
	if err != nil {
		return fmt.Errorf("read the copy: %w", failed(err))
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fmt.Errorf("read the copy: %w", failed(err))
		}
		if err := copyBlob(from, to, name); err != nil {
			return fmt.Errorf("copy content: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the copy: %w", failed(err))
	}
	return nil
}

// copyBlob gives the copy its own name of a blob, which never changes once it is
// committed: a hard link where the file system has them, else its bytes.
func copyBlob(from, to, name string) error {
	src, dst := filepath.Join(from, "blobs", filepath.FromSlash(name)), filepath.Join(to, "blobs", filepath.FromSlash(name))
	if _, err := os.Lstat(dst); err == nil {
		return nil // of an earlier attempt
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return err
	}
	if err := os.Link(src, dst); err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := os.Open(src)
	if err != nil {
		return err
	}
	defer b.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = out.ReadFrom(b); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
