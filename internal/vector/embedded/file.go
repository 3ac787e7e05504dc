package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	fileName = "index.db"
	// format is the version of the tables and blocks.
	format = 1
)

// schema: see doc.go. Ids of chunks, segments and removals only ever rise, so a
// follower asks for what is above the last it saw.
const schema = `
CREATE TABLE IF NOT EXISTS meta (
	one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, definition TEXT NOT NULL, analysis INTEGER NOT NULL,
	key_arn TEXT NOT NULL, data_key BLOB NOT NULL, sequence INTEGER NOT NULL, next_chunk INTEGER NOT NULL,
	next_segment INTEGER NOT NULL, next_removed INTEGER NOT NULL, pruned INTEGER NOT NULL,
	documents INTEGER NOT NULL, chunks INTEGER NOT NULL, vectors INTEGER NOT NULL, calibration TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (id TEXT PRIMARY KEY, version TEXT NOT NULL, chunks INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (
	id INTEGER PRIMARY KEY, document TEXT NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL, chunks INTEGER NOT NULL,
	rows INTEGER NOT NULL, columns BLOB NOT NULL, vectors BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS segment_document ON segment (document);
CREATE INDEX IF NOT EXISTS segment_first ON segment (first);
CREATE TABLE IF NOT EXISTS chunk (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS terms (segment INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS removed (id INTEGER PRIMARY KEY, segment INTEGER NOT NULL);
`

// file is an open index.db: one writing connection, a few that only read.
type file struct {
	path           string
	writer, reader *sql.DB
	state          *sql.Stmt
}

func openFile(dir string, unsynced bool) (*file, error) {
	path, err := filepath.Abs(filepath.Join(dir, fileName))
	if err != nil {
		return nil, fmt.Errorf("find the index: %w", err)
	}
	synchronous := "FULL"
	if unsynced {
		synchronous = "OFF"
	}
	f := &file{path: path}
	f.writer, err = pool(path, 1, url.Values{"_txlock": {"immediate"}, "_pragma": {
		// Blobs of some hundred kilobytes like large pages. page_size comes first: it
		// has no effect once the file is in WAL mode.
		"page_size(16384)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "wal_autocheckpoint(500)", "secure_delete(ON)",
	}})
	if err != nil {
		return nil, err
	}
	f.reader, err = pool(path, 4, url.Values{"_query_only": {"1"}, "_txlock": {"deferred"}})
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func pool(path string, size int, values url.Values) (*sql.DB, error) {
	values.Set("_busy_timeout", "5000")
	// Sorting in memory: no temporary file ever holds a row.
	values["_pragma"] = append(values["_pragma"], "temp_store(MEMORY)", "cache_size(-4000)")
	path = filepath.ToSlash(path)
	if path[0] != '/' { // C:/… is spelled file:///C:/…
		path = "/" + path
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open the index: %w", err)
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

func (f *file) close() error {
	var errs []error
	if f.state != nil {
		errs = append(errs, f.state.Close())
	}
	for _, db := range []*sql.DB{f.reader, f.writer} {
		if db != nil {
			errs = append(errs, translate(db.Close()))
		}
	}
	return errors.Join(errs...)
}

// create writes the tables and the meta row, unless another was faster.
func (f *file) create(ctx context.Context, d vector.Definition, wrapped []byte) error {
	def := d
	def.KeyARN = "" // has a column of its own, because it can change
	text, err := json.Marshal(def)
	if err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	return f.update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, 0, 1, 1, 1, 0, 0, 0, 0, '') ON CONFLICT DO NOTHING`,
			format, string(text), analyse.Version, d.KeyARN, wrapped)
		return err
	})
}

// update runs one write transaction, again when the lock was not had in time.
func (f *file) update(ctx context.Context, change func(*sql.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := f.once(ctx, change)
		if attempt == 3 || !errors.Is(err, vector.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(20<<attempt) * time.Millisecond):
		}
	}
}

func (f *file) once(ctx context.Context, change func(*sql.Tx) error) error {
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := change(tx); err != nil {
		return translate(err)
	}
	return translate(tx.Commit())
}

// state is what meta says now.
type state struct {
	keyARN                     string
	dataKey                    []byte
	sequence, pruned           int64
	documents, chunks, vectors int
	calibration                string
}

const stateQuery = `SELECT key_arn, data_key, sequence, pruned, documents, chunks, vectors, calibration FROM meta`

func scanState(row *sql.Row) (s state, err error) {
	err = row.Scan(&s.keyARN, &s.dataKey, &s.sequence, &s.pruned, &s.documents, &s.chunks, &s.vectors, &s.calibration)
	return s, translate(err)
}

// translate maps SQLite's result codes to the sentinels of vector.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("%w: %w", vector.ErrClosed, err)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	var kind error
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		kind = vector.ErrBusy
	case sqlite3.SQLITE_FULL:
		kind = vector.ErrFull
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		kind = vector.ErrIO
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		kind = vector.ErrCorrupt
	}
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

func taken(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}
