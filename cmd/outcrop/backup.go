package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/object/dir"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

func readConnection(data string) (*server.Connection, error) { return server.ReadConnection(data) }

// backup copies state, objects and indexes; a server may run meanwhile.
func backup(ctx context.Context, e *env, args []string) error {
	set := e.flags("backup")
	data := set.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	to := set.String("to", "", "folder to make the backup in; it must not exist")
	if err := set.Parse(args); err != nil {
		return usageError{err}
	}
	if *data == "" {
		*data = config.DefaultData()
	}
	if *to == "" {
		*to = "outcrop-backup-" + time.Now().UTC().Format("20060102T150405Z")
	}
	if !exists(filepath.Join(*data, sqlite.File)) {
		return fmt.Errorf("%s holds no SQLite state: a server on PostgreSQL is backed up with pg_dump and copies of root.key and of the folders objects and vectors", *data)
	}
	driver, err := sqlite.OpenReadOnly(ctx, *data)
	if err != nil {
		return err
	}
	defer driver.Close()
	c := store.BackupConfig{DataDir: *data}
	if objects := filepath.Join(*data, "objects"); exists(objects) {
		stage, err := os.MkdirTemp(*data, ".backup-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(stage)
		// Objects are copied when they are first read, which is after the state: so
		// every object that a record of the state names is in the copy.
		c.Parts = append(c.Parts, store.Part{Name: "objects", FS: lateFS(func() (fs.FS, error) {
			copied := filepath.Join(stage, "objects")
			return os.DirFS(copied), dir.Snapshot(ctx, objects, copied)
		})})
	}
	if vectors := filepath.Join(*data, server.VectorFolder); exists(vectors) {
		stage, err := os.MkdirTemp(*data, ".backup-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(stage)
		c.Parts = append(c.Parts, store.Part{Name: server.VectorFolder, FS: lateFS(func() (fs.FS, error) {
			copied := filepath.Join(stage, server.VectorFolder)
			return os.DirFS(copied), embedded.Snapshot(ctx, vectors, copied)
		})})
	}
	m, err := store.BackupFrom(ctx, driver, time.Now(), *to, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%d files in %s; the root key is in it, so keep it as safe as the data\n", len(m.Files), *to)
	return nil
}

func restore(ctx context.Context, e *env, args []string) error {
	fs := e.flags("restore")
	from := fs.String("from", "", "folder of a backup")
	data := fs.String("data", "", "data folder to make; it must be empty or absent")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if *from == "" || *data == "" {
		return usage("say --from BACKUP and --data DIR")
	}
	m, err := store.Restore(ctx, *from, *data)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%d files of %s restored into %s\n", len(m.Files), m.Created.Format(time.RFC3339), *data)
	return nil
}

// lateFS is a file system that is made at its first use.
func lateFS(open func() (fs.FS, error)) fs.FS { return late{sync.OnceValues(open)} }

type late struct{ open func() (fs.FS, error) }

func (l late) Open(name string) (fs.File, error) {
	f, err := l.open()
	if err != nil {
		return nil, err
	}
	return f.Open(name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
