package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// File is the name of the database in the data folder.
const File = "state.db"

// Config says where the database is.
type Config struct {
	// Dir is the data folder; it is made, mode 0700, if it is not there.
	Dir string
	// Readers is the size of the read pool; 0 means 4.
	Readers int
	// UnsafeNoSync turns every fsync off. It exists for the power-cut test, which
	// must find losses with it; nothing in the product sets it.
	UnsafeNoSync bool
}

// Driver is SQLite as a store.Driver.
type Driver struct {
	dir            string
	lock           *folderLock
	writer, reader *sql.DB
	exclusive      bool

	closing sync.Once
	err     error
}

var _ store.Driver = (*Driver)(nil)

// Open takes the data folder for this process and opens its database. A folder
// that another process holds is refused with *store.LockedError.
func Open(ctx context.Context, c Config) (*Driver, error) {
	if c.Dir == "" {
		return nil, errors.New("sqlite: Config.Dir is required")
	}
	if err := store.MakeFolder(c.Dir); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	d := &Driver{dir: c.Dir, lock: lock, exclusive: true}
	synchronous := "FULL"
	if c.UnsafeNoSync {
		synchronous = "OFF"
	}
	write := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"journal_mode(WAL)", "synchronous(" + synchronous + ")", "wal_autocheckpoint(1000)", "secure_delete(ON)",
	}}
	read := url.Values{"_query_only": {"1"}, "_txlock": {"deferred"}}
	if err := d.open(ctx, write, read, cmp.Or(c.Readers, 4)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenReadOnly opens the database of a data folder beside the process that owns
// it, for reading only: a backup of a running server. Both pools refuse writes.
func OpenReadOnly(ctx context.Context, dir string) (*Driver, error) {
	if _, err := os.Stat(filepath.Join(dir, File)); err != nil {
		return nil, fmt.Errorf("no database in the data folder: %w", err)
	}
	d := &Driver{dir: dir}
	read := url.Values{"_query_only": {"1"}, "_txlock": {"deferred"}}
	if err := d.open(ctx, read, read, 2); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Driver) open(ctx context.Context, write, read url.Values, readers int) error {
	var err error
	// One writer: SQLite has one write lock, and a queue in Go obeys contexts and
	// hands it on fairly, where SQLite's busy handler sleeps and guesses.
	if d.writer, err = pool(d.dir, write, 1); err != nil {
		return err
	}
	// The first connection makes the file and sets WAL; readers need both.
	if err := d.writer.PingContext(ctx); err != nil {
		return fmt.Errorf("open the database: %w", d.Translate(err))
	}
	if d.reader, err = pool(d.dir, read, readers); err != nil {
		return err
	}
	if err := d.reader.PingContext(ctx); err != nil {
		return fmt.Errorf("open the database for reading: %w", d.Translate(err))
	}
	return nil
}

func pool(dir string, values url.Values, size int) (*sql.DB, error) {
	values.Set("_foreign_keys", "1")
	values.Set("_busy_timeout", "5000")
	// Sorting in memory: no temporary file ever holds a row.
	values["_pragma"] = append(values["_pragma"], "temp_store(MEMORY)", "cache_size(-8000)")
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	path := filepath.ToSlash(filepath.Join(abs, File))
	if path[0] != '/' { // C:/… is spelled file:///C:/…
		path = "/" + path
	}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(0)
	return db, nil
}

// Writer is the pool with the one writing connection.
func (d *Driver) Writer() *sql.DB { return d.writer }

// Reader is the pool of query_only connections.
func (d *Driver) Reader() *sql.DB { return d.reader }

// Exclusive is true: the lock on the data folder says so.
func (d *Driver) Exclusive() bool { return d.exclusive }

// Dir is the data folder.
func (d *Driver) Dir() string { return d.dir }

// Dialect answers SQLite's differences.
func (d *Driver) Dialect() store.Dialect {
	return store.Dialect{
		Name:     "sqlite",
		Contains: func(column string) string { return "instr(" + column + ", ?) > 0" },
	}
}

// Close closes the connections and then gives the data folder back.
func (d *Driver) Close() error {
	d.closing.Do(func() {
		for _, db := range []*sql.DB{d.reader, d.writer} {
			if db != nil {
				d.err = errors.Join(d.err, d.Translate(db.Close()))
			}
		}
		if d.lock != nil {
			d.err = errors.Join(d.err, d.lock.release())
		}
	})
	return d.err
}

// Translate maps SQLite's result codes to the sentinels of store.
func (d *Driver) Translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	var kind error
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		kind = store.ErrBusy
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		kind = store.ErrReadOnly
	case sqlite3.SQLITE_FULL:
		kind = store.ErrFull
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		kind = store.ErrIO
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		kind = store.ErrCorrupt
	case sqlite3.SQLITE_CONSTRAINT:
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			kind = store.ErrExists
		}
	}
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// Transient reports a lock that was not had in time: a checkpoint or a backup of
// another process held it.
func (d *Driver) Transient(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// Scrub copies the WAL into the database and truncates it. secure_delete has
// overwritten the old cells there already. A reader that still needs the WAL
// makes it fail with store.ErrBusy.
func (d *Driver) Scrub(ctx context.Context) error {
	var busy, frames, done int
	for range 5 {
		if err := d.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done); err != nil {
			return fmt.Errorf("truncate the write-ahead log: %w", d.Translate(err))
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("truncate the write-ahead log: %w", store.ErrBusy)
}

// Snapshot writes a compact copy of the database as one file, with VACUUM INTO,
// from one read snapshot; writers go on meanwhile.
func (d *Driver) Snapshot(ctx context.Context, path string) error {
	// query_only would refuse it, though the source is only read.
	conn, err := d.reader.Conn(ctx)
	if err != nil {
		return fmt.Errorf("snapshot: %w", d.Translate(err))
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, `PRAGMA query_only = 0`); err != nil {
		return fmt.Errorf("snapshot: %w", d.Translate(err))
	}
	_, err = conn.ExecContext(ctx, `VACUUM INTO ?`, path)
	_, off := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA query_only = 1`)
	if err := errors.Join(err, off); err != nil {
		return fmt.Errorf("snapshot: %w", d.Translate(err))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return errors.Join(f.Chmod(0o600), f.Sync(), f.Close())
}

// Check runs SQLite's own check over the whole file; nil means sound.
func (d *Driver) Check(ctx context.Context) error {
	var word string
	if err := d.reader.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&word); err != nil {
		return fmt.Errorf("integrity check: %w", d.Translate(err))
	}
	if word != "ok" {
		return fmt.Errorf("%w: %s", store.ErrCorrupt, word)
	}
	return nil
}
