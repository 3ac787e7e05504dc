package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

func readConnection(data string) (*server.Connection, error) { return server.ReadConnection(data) }

// backup copies state and objects; a server may run meanwhile.
func backup(ctx context.Context, e *env, args []string) error {
	fs := e.flags("backup")
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	to := fs.String("to", "", "folder to make the backup in; it must not exist")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if *data == "" {
		*data = config.DefaultData()
	}
	if *to == "" {
		*to = "outcrop-backup-" + time.Now().UTC().Format("20060102T150405Z")
	}
	driver, err := sqlite.OpenReadOnly(ctx, *data)
	if err != nil {
		return err
	}
	defer driver.Close()
	c := store.BackupConfig{DataDir: *data}
	if objects := filepath.Join(*data, "objects"); exists(objects) {
		c.Parts = append(c.Parts, store.Part{Name: "objects", FS: os.DirFS(objects)})
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
