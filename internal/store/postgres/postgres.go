package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Config says which database.
type Config struct {
	// DSN is a postgres:// URL or a keyword string as libpq takes it.
	DSN string
	// Connections bounds the pool; 0 means 16.
	Connections int
}

// Driver is PostgreSQL as a store.Driver.
type Driver struct {
	db      *sql.DB
	closing sync.Once
	err     error
}

var _ store.Driver = (*Driver)(nil)

// Open connects to the database; the first connection is made here, so that a
// wrong address is told at start.
func Open(ctx context.Context, c Config) (*Driver, error) {
	config, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		// pgx hides the password in this text.
		return nil, fmt.Errorf("read the PostgreSQL address: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	config.RuntimeParams["application_name"] = cmp.Or(config.RuntimeParams["application_name"], "outcrop")
	d := &Driver{db: stdlib.OpenDB(*config)}
	size := cmp.Or(c.Connections, 16)
	d.db.SetMaxOpenConns(size)
	d.db.SetMaxIdleConns(size)
	d.db.SetConnMaxIdleTime(5 * time.Minute)
	if err := d.db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL: %w", err), d.Close())
	}
	return d, nil
}

// Writer and Reader are the same pool: PostgreSQL's readers never wait for writers.
func (d *Driver) Writer() *sql.DB { return d.db }

// Reader is Writer.
func (d *Driver) Reader() *sql.DB { return d.db }

// Exclusive is false: other replicas may be at work.
func (d *Driver) Exclusive() bool { return false }

// Dialect answers PostgreSQL's differences.
func (d *Driver) Dialect() store.Dialect {
	return store.Dialect{
		Name:       "postgres",
		Numbered:   true,
		SkipLocked: " FOR UPDATE SKIP LOCKED",
		Contains:   func(column string) string { return "strpos(" + column + ", ?) > 0" },
		Clock:      `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`,
		WriteLevel: sql.LevelSerializable,
		ReadLevel:  sql.LevelRepeatableRead,
		ReadOnlyTx: true,
	}
}

// Close closes the pool.
func (d *Driver) Close() error {
	d.closing.Do(func() { d.err = d.db.Close() })
	return d.err
}

// SQLSTATE codes this package acts on (PostgreSQL manual, appendix A).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	readOnlyTransaction  = "25006"
	lockNotAvailable     = "55P03"
	diskFull             = "53100"
	ioError              = "58030"
	dataCorrupted        = "XX001"
	indexCorrupted       = "XX002"
)

// Translate maps SQLSTATE codes to the sentinels of store.
func (d *Driver) Translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	kind := map[string]error{
		uniqueViolation:      store.ErrExists,
		serializationFailure: store.ErrBusy,
		deadlockDetected:     store.ErrBusy,
		lockNotAvailable:     store.ErrBusy,
		readOnlyTransaction:  store.ErrReadOnly,
		diskFull:             store.ErrFull,
		ioError:              store.ErrIO,
		dataCorrupted:        store.ErrCorrupt,
		indexCorrupted:       store.ErrCorrupt,
	}[e.Code]
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// Transient reports a transaction that PostgreSQL rolled back for another's sake.
// A lost connection is not: its commit may have happened.
func (d *Driver) Transient(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == serializationFailure || e.Code == deadlockDetected)
}

// Scrub has nothing to do that a client could: the files are the server's.
func (d *Driver) Scrub(context.Context) error { return nil }

// Snapshot is pg_dump's work.
func (d *Driver) Snapshot(context.Context, string) error {
	return fmt.Errorf("%w: back up PostgreSQL with pg_dump, and the root key with it", store.ErrUnsupported)
}
