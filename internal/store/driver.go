package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Driver is what a database adapter gives the store. Implementations live in
// store/sqlite and store/postgres and are held to storetest.Run.
type Driver interface {
	// Writer is the pool for write transactions. On SQLite it has one connection.
	Writer() *sql.DB
	// Reader is the pool for read transactions; it may be the same pool.
	Reader() *sql.DB
	// Dialect answers the few differences of this database's SQL.
	Dialect() Dialect
	// Translate turns a driver error into an error that wraps one of the
	// sentinels of this package; errors it does not know, nil and errors that
	// wrap a sentinel already come back as they are.
	Translate(err error) error
	// Transient reports whether the whole transaction should be run again.
	Transient(err error) bool
	// Scrub makes bytes of deleted and rewritten rows unreadable in the files of
	// the database, as far as it has any (SQLite: truncates the WAL).
	Scrub(ctx context.Context) error
	// Snapshot writes a consistent copy of the database to a new file, fsynced, or
	// answers ErrUnsupported.
	Snapshot(ctx context.Context, path string) error
	// Exclusive reports that this process is the only one on the database, so
	// leases left by an earlier process belong to the dead.
	Exclusive() bool
	// Close releases everything, the lock on the data folder last. A second call
	// does nothing.
	Close() error
}

// Dialect names every difference between the two databases' SQL that the shared
// statements meet. Whatever is not here is written once.
type Dialect struct {
	// Name is "sqlite" or "postgres"; it also names the folder of migrations.
	Name string
	// Numbered: placeholders are $1, $2 … and not '?'.
	Numbered bool
	// SkipLocked is appended to a SELECT that claims rows: PostgreSQL needs row
	// locks that pass over each other, SQLite has one writer.
	SkipLocked string
	// Contains(column) is a condition with one placeholder: column holds that text,
	// compared byte by byte. (LIKE folds case in SQLite only.)
	Contains func(column string) string
	// Clock is a scalar query for the database's clock in microseconds since 1970,
	// empty where the process clock is the only one.
	Clock string
	// WriteLevel and ReadLevel are the isolation levels that make Update
	// serialisable and View one instant.
	WriteLevel, ReadLevel sql.IsolationLevel
	// ReadOnlyTx: BeginTx takes ReadOnly. SQLite's reader pool is read-only already.
	ReadOnlyTx bool
}

// Rebind rewrites '?' placeholders for this dialect. Quoted text and identifiers
// are left alone; a '?' operator cannot be written.
func (d Dialect) Rebind(query string) string {
	if !d.Numbered {
		return query
	}
	if q, ok := rebound.Load(query); ok {
		return q.(string)
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote { // a doubled quote closes and opens again, which is the same
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	rebound.Store(query, b.String())
	return b.String()
}

// rebound remembers rewritten statements. Statements are constants of the program
// plus the few shapes a list filter takes, so it stays small.
var rebound sync.Map

// prepared holds the statements of the hot path, parsed once for each connection.
type prepared map[string]*sql.Stmt

func (p *prepared) prepare(ctx context.Context, db *sql.DB, d Dialect, queries []string) error {
	*p = make(prepared, len(queries))
	for _, q := range queries {
		st, err := db.PrepareContext(ctx, d.Rebind(q)) //nolint:sqlclosecheck // close ends it
		if err != nil {
			return fmt.Errorf("prepare %.40q: %w", q, err)
		}
		(*p)[q] = st
	}
	return nil
}

func (p *prepared) close() {
	for _, st := range *p {
		_ = st.Close() // the pool behind it is closed next
	}
}

// LockedError is ErrLocked and names the process that owns the data folder.
type LockedError struct {
	Dir string
	// PID is the owner's process id, 0 when it is not known.
	PID int
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data folder %s is in use by %s; stop it or choose another folder with --data", e.Dir, who)
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }
