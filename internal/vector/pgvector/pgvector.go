package pgvector

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Config says which table an index is. All but CustomMetadata and Connections are
// required.
type Config struct {
	// DSN is the address of the database, with user and password.
	DSN string
	// Definition is what the knowledge base knows of its index; the table has no
	// place for the model.
	Definition vector.Definition
	// Table may be qualified with its schema, "kb.chunks".
	Table string
	// The columns of the table.
	PrimaryKey, Vector, Text, Metadata string
	// CustomMetadata is the column for all attributes; empty: within Metadata.
	CustomMetadata string
	// Connections is the size of the pool; 0 means 4.
	Connections int
}

// Store is one table.
type Store struct {
	cfg Config
	db  *sql.DB
}

var _ vector.Store = (*Store)(nil)

// New makes a store; it connects with the first operation.
func New(c Config) (*Store, error) {
	c.Definition.Metric = cmp.Or(c.Definition.Metric, vector.Cosine)
	if err := c.Definition.Check(); err != nil {
		return nil, err
	}
	for what, s := range map[string]string{
		"address": c.DSN, "table": c.Table, "primary key field": c.PrimaryKey, "vector field": c.Vector, "text field": c.Text, "metadata field": c.Metadata,
	} {
		if s == "" {
			return nil, vector.Invalid("no %s", what)
		}
	}
	db, err := sql.Open("pgx", c.DSN)
	if err != nil {
		return nil, vector.Invalid("the address of the database") // its text may hold a password
	}
	db.SetMaxOpenConns(cmp.Or(c.Connections, 4))
	db.SetMaxIdleConns(cmp.Or(c.Connections, 4))
	return &Store{cfg: c, db: db}, nil
}

// Capabilities are those of the table; see doc.go.
func (s *Store) Capabilities() vector.Capabilities {
	return vector.Capabilities{
		Store:     "PostgreSQL",
		Operators: slices.DeleteFunc(vector.Operators(), func(op vector.Op) bool { return op == vector.StartsWith }),
	}
}

// Create opens the table, which must be there, for a definition equal to the
// store's.
func (s *Store) Create(ctx context.Context, d vector.Definition) (vector.Index, error) {
	d.Metric = cmp.Or(d.Metric, vector.Cosine)
	if err := d.Check(); err != nil {
		return nil, err
	}
	if d != s.cfg.Definition {
		return nil, fmt.Errorf("%w: the table %s belongs to another", vector.ErrMismatch, s.cfg.Table)
	}
	return s.Open(ctx, d.Name)
}

// Open checks the table and answers its index. ErrNotFound: no such table;
// ErrMismatch: its columns are not as they were said to be.
func (s *Store) Open(ctx context.Context, n vector.Name) (vector.Index, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	if n != s.cfg.Definition.Name {
		return nil, fmt.Errorf("%w: the table %s is that of %s", vector.ErrNotFound, s.cfg.Table, s.cfg.Definition.Name)
	}
	x := &Index{store: s, table: quote(s.cfg.Table)}
	if err := x.inspect(ctx); err != nil {
		return nil, err
	}
	return x, nil
}

// Drop deletes all rows. The table stays: it was never ours.
func (s *Store) Drop(ctx context.Context, n vector.Name) error {
	x, err := s.Open(ctx, n)
	if errors.Is(err, vector.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	//nolint:gosec // the table's name is quoted
	if _, err := s.db.ExecContext(ctx, `DELETE FROM `+x.(*Index).table); err != nil {
		return fmt.Errorf("empty the table %s: %w", s.cfg.Table, translate(err))
	}
	return nil
}

// Close closes the pool.
func (s *Store) Close() error { return s.db.Close() }

// quote makes an identifier of a name that may be qualified.
func quote(name string) string { return pgx.Identifier(strings.Split(name, ".")).Sanitize() }

// Index is the table.
type Index struct {
	store *Store
	table string
	// attributes is how the statements reach the attributes: an expression of jsonb.
	attributes string
	// own are the columns that are named after attributes, with their types.
	own map[string]string
	// iterates: the extension can go on with an index scan that found too few (0.8).
	iterates bool
	closed   atomic.Bool
}

var _ vector.Index = (*Index)(nil)

// Definition is the store's.
func (x *Index) Definition() vector.Definition { return x.store.cfg.Definition }

// Close gives the handle back.
func (x *Index) Close() error {
	x.closed.Store(true)
	return nil
}

func (x *Index) usable() error {
	if x.closed.Load() {
		return vector.ErrClosed
	}
	return nil
}

var vectorType = regexp.MustCompile(`^(?:.*\.)?vector\((\d+)\)$`)

// inspect compares the table with what was said of it.
func (x *Index) inspect(ctx context.Context) error {
	c := x.store.cfg
	var there bool
	if err := x.store.db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, x.table).Scan(&there); err != nil {
		return fmt.Errorf("look for the table %s: %w", c.Table, translate(err))
	}
	if !there {
		return fmt.Errorf("%w: the database has no table %s", vector.ErrNotFound, c.Table)
	}
	rows, err := x.store.db.QueryContext(ctx, `SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, x.table)
	if err != nil {
		return fmt.Errorf("inspect the table %s: %w", c.Table, translate(err))
	}
	defer rows.Close()
	columns := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return fmt.Errorf("inspect the table %s: %w", c.Table, translate(err))
		}
		columns[name] = kind
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("inspect the table %s: %w", c.Table, translate(err))
	}
	if err := x.checkColumns(columns); err != nil {
		return err
	}
	var version string
	if err := x.store.db.QueryRowContext(ctx, `SELECT extversion FROM pg_extension WHERE extname = 'vector'`).Scan(&version); err != nil {
		return fmt.Errorf("look for the vector extension: %w", translate(err))
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, _ := strconv.Atoi(minor) // 0: too old to iterate, which is safe
	x.iterates = major != "0" || m >= 8
	return nil
}

func (x *Index) checkColumns(columns map[string]string) error {
	c := x.store.cfg
	for name, kinds := range map[string][]string{
		c.PrimaryKey: {"uuid"}, c.Text: {"text", "character varying"}, c.Metadata: {"json", "jsonb"}, c.CustomMetadata: {"json", "jsonb"},
	} {
		if name == "" {
			continue
		}
		if kind := columns[name]; !slices.Contains(kinds, kind) {
			return fmt.Errorf("%w: the column %q of %s is %s, and should be %s", vector.ErrMismatch, name, c.Table, cmp.Or(kind, "missing"), kinds[0])
		}
	}
	m := vectorType.FindStringSubmatch(columns[c.Vector])
	if m == nil || m[1] != strconv.Itoa(c.Definition.Dimension) {
		return fmt.Errorf("%w: the column %q of %s is %s, and should be vector(%d)", vector.ErrMismatch, c.Vector, c.Table, cmp.Or(columns[c.Vector], "missing"), c.Definition.Dimension)
	}
	x.own = maps.Clone(columns)
	for _, name := range []string{c.PrimaryKey, c.Text, c.Metadata, c.CustomMetadata, c.Vector} {
		delete(x.own, name)
	}
	x.attributes = `(` + quoteColumn(c.Metadata) + `::jsonb -> 'attributes')`
	if c.CustomMetadata != "" {
		x.attributes = quoteColumn(c.CustomMetadata) + `::jsonb`
	}
	return nil
}

func quoteColumn(name string) string { return pgx.Identifier{name}.Sanitize() }

// SQLSTATE codes this package acts on (PostgreSQL manual, appendix A).
const (
	uniqueViolation      = "23505"
	notNullViolation     = "23502"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	diskFull             = "53100"
	ioError              = "58030"
	readOnlyTransaction  = "25006"
)

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// translate maps SQLSTATE codes to the sentinels of vector.
func translate(err error) error {
	var kind error
	switch code(err) {
	case serializationFailure, deadlockDetected, lockNotAvailable:
		kind = vector.ErrBusy
	case diskFull:
		kind = vector.ErrFull
	case ioError, readOnlyTransaction:
		kind = vector.ErrIO
	}
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}
