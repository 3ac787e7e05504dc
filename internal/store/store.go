package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store/migration"
)

// The sentinels are all the errors that a caller may have to tell apart; adapters
// translate their driver's errors into these and nothing matches on message text.
// Any other error is a defect or a lost connection.
var (
	// ErrNotFound: no such row in this account and region.
	ErrNotFound = errors.New("store: not found")
	// ErrExists: the id, or the name among live siblings, is taken (see *ExistsError).
	ErrExists = errors.New("store: already exists")
	// ErrConflict: the row was changed since it was read.
	ErrConflict = errors.New("store: changed by another writer")
	// ErrImmutable: a numbered version's body is never rewritten.
	ErrImmutable = errors.New("store: a numbered version cannot be changed")
	// ErrBadCursor: the pagination token is forged, damaged or of another query.
	ErrBadCursor = errors.New("store: invalid pagination token")
	// ErrTokenMismatch: the client token was used with another request body.
	ErrTokenMismatch = errors.New("store: client token used with different parameters")
	// ErrInUse: other resources refer to this one (see *InUseError).
	ErrInUse = errors.New("store: in use")
	// ErrSealed: the body cannot be opened now (its key is disabled, gone or
	// refused); the clear columns of the row are still answered.
	ErrSealed = errors.New("store: body is sealed")
	// ErrReadOnly: the medium or the transaction takes no writes.
	ErrReadOnly = errors.New("store: read-only")
	// ErrFull: no space is left on the device.
	ErrFull = errors.New("store: disk full")
	// ErrIO: the disk reported a fault.
	ErrIO = errors.New("store: input/output error")
	// ErrCorrupt: the database file is damaged, or is no database of ours.
	ErrCorrupt = errors.New("store: database damaged")
	// ErrBusy: the lock was not had in time, or serialisation failed too often.
	ErrBusy = errors.New("store: busy")
	// ErrLocked: another process owns the data folder (see *LockedError).
	ErrLocked = errors.New("store: data folder is in use")
	// ErrNewerSchema: the database was written by a newer Outcrop.
	ErrNewerSchema = migration.ErrNewerSchema
	// ErrWrongKey: the root key is not the one that sealed this database.
	ErrWrongKey = errors.New("store: root key does not belong to this database")
	// ErrUnsupported: this database cannot do that; the text says what to use.
	ErrUnsupported = errors.New("store: not supported by this database")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store: closed")
)

// Hook names of Config.Hook, in the order in which a write passes them.
const (
	HookBegun        = "store.begun"         // the transaction is open, nothing is written
	HookBeforeCommit = "store.before-commit" // all is written, nothing is durable
	HookAfterCommit  = "store.after-commit"  // durable, the caller does not know it yet
)

// Config says what a store is made of. Driver and Sealer are required.
type Config struct {
	Driver Driver
	Sealer Sealer
	// Now is the service clock that gives Tx.Now; nil means time.Now.
	Now func() time.Time
	// Wall is the clock of leases where the database has none of its own; nil means time.Now.
	Wall   func() time.Time
	Logger *slog.Logger
	// Attempts bounds how often a transaction is run when the database asks for
	// a repeat; 0 means 12.
	Attempts int
	// Hook, if set, is called at the named points of each write (HookBegun …). It
	// is there for crash and fault tests; an error fails the transaction there.
	Hook func(point string) error
	// Hot are statements of rooms' own tables that each request runs: they are parsed
	// once, at Open, and not each time. Their text must be the same, byte for byte.
	Hot []string
}

// Store is an open state database. It is safe for concurrent use.
type Store struct {
	driver   Driver
	dialect  Dialect
	sealer   Sealer
	now      func() time.Time
	wall     func() time.Time
	log      *slog.Logger
	attempts int
	hook     func(string) error
	cursors  page.Signer
	write    prepared
	read     prepared

	mu     sync.Mutex
	topics map[string]map[chan struct{}]struct{}
	scrub  bool // a truncation of the write-ahead log is still owed
}

// Open migrates the database forward, checks that the root key fits, and answers
// a ready store. The store then owns the driver: Close closes it, and so does a
// failing Open.
func Open(ctx context.Context, c Config) (_ *Store, err error) {
	if c.Driver == nil || c.Sealer == nil {
		return nil, errors.New("store: Config.Driver and Config.Sealer are required")
	}
	s := &Store{
		driver:   c.Driver,
		dialect:  c.Driver.Dialect(),
		sealer:   c.Sealer,
		now:      c.Now,
		wall:     c.Wall,
		log:      cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		attempts: cmp.Or(c.Attempts, 12),
		hook:     c.Hook,
		topics:   map[string]map[chan struct{}]struct{}{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.wall == nil {
		s.wall = time.Now
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := migration.Up(ctx, s.driver.Writer(), s.dialect.Name); err != nil {
		return nil, fmt.Errorf("migrate the store: %w", s.driver.Translate(err))
	}
	if err := s.write.prepare(ctx, s.driver.Writer(), s.dialect, append(hotStatements[:len(hotStatements):len(hotStatements)], c.Hot...)); err != nil {
		return nil, s.unprepared(err)
	}
	if err := s.read.prepare(ctx, s.driver.Reader(), s.dialect, hotStatements[:1]); err != nil {
		return nil, s.unprepared(err)
	}
	if err := s.adopt(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// unprepared explains a statement that does not parse although the migrations just
// found the schema complete: it could not be read. SQLite then answers "no such
// table" and hides the disk's error.
func (s *Store) unprepared(err error) error {
	err = s.driver.Translate(err)
	for _, known := range []error{ErrIO, ErrCorrupt, ErrFull, ErrReadOnly, ErrBusy, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("prepare statements: %w", err)
		}
	}
	return fmt.Errorf("prepare statements: %w: the schema cannot be read: %w", ErrCorrupt, err)
}

// Close releases the database. Transactions that still run fail.
func (s *Store) Close() error {
	s.write.close()
	s.read.close()
	if err := s.driver.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// Driver is the database under the store.
func (s *Store) Driver() Driver { return s.driver }

// Update runs fn in a write transaction and commits it when fn returns nil. It is
// serialisable on both databases: what fn read is still true when it commits. The
// database may ask for a repeat, so fn can run more than once and must have no
// effect outside tx; Tx.OnCommit is for those. The Tx is dead once fn returns.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return s.transact(ctx, s.dialect.WriteLevel, false, fn)
}

// UpdateLoose is Update at READ COMMITTED, for statements that are right row by
// row on their own: claiming a job, moving a lease. SQLite knows one writer at a
// time and makes no difference.
func (s *Store) UpdateLoose(ctx context.Context, fn func(tx *Tx) error) error {
	return s.transact(ctx, sql.LevelDefault, false, fn)
}

// View runs fn in a read-only transaction: all it reads is of one instant.
func (s *Store) View(ctx context.Context, fn func(tx *Tx) error) error {
	return s.transact(ctx, s.dialect.ReadLevel, true, fn)
}

func (s *Store) transact(ctx context.Context, level sql.IsolationLevel, readOnly bool, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, level, readOnly, fn)
		if err == nil || !s.driver.Transient(err) {
			return s.driver.Translate(err)
		}
		if attempt >= s.attempts {
			return fmt.Errorf("%w after %d attempts: %w", ErrBusy, attempt, err)
		}
		// Full jitter, so that two writers that met once do not meet again.
		wait := time.Duration(rand.Int64N(int64(min(time.Millisecond<<attempt, 100*time.Millisecond))))
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w while waiting to repeat: %w", context.Cause(ctx), err)
		case <-time.After(wait):
		}
	}
}

func (s *Store) once(ctx context.Context, level sql.IsolationLevel, readOnly bool, fn func(*Tx) error) error {
	db, ready := s.driver.Writer(), &s.write
	if readOnly {
		db, ready = s.driver.Reader(), &s.read
	}
	raw, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: level, ReadOnly: readOnly && s.dialect.ReadOnlyTx})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Now: s.now().UTC().Truncate(time.Microsecond), ctx: ctx, store: s, raw: raw, ready: ready, readOnly: readOnly}
	done := false
	defer func() {
		tx.raw = nil
		if !done { // an error or a panic of fn; sql.Tx rolls back under its own context
			_ = raw.Rollback()
		}
	}()
	if readOnly {
		if err := fn(tx); err != nil {
			return err
		}
		done = true
		return raw.Rollback()
	}
	if err := s.at(HookBegun); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if err := s.at(HookBeforeCommit); err != nil {
		return err
	}
	done = true
	if err := raw.Commit(); err != nil {
		_ = raw.Rollback()
		return fmt.Errorf("commit: %w", err)
	}
	if err := s.at(HookAfterCommit); err != nil {
		return err
	}
	for _, f := range tx.after {
		f()
	}
	s.settle(ctx, tx.scrub)
	return nil
}

// settle pays what a change of key owes: old bytes leave the write-ahead log.
func (s *Store) settle(ctx context.Context, owed bool) {
	s.mu.Lock()
	owed = owed || s.scrub
	s.mu.Unlock()
	if !owed {
		return
	}
	err := s.driver.Scrub(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.scrub = err != nil
	s.mu.Unlock()
	if err != nil {
		s.log.WarnContext(ctx, "old bytes stay in the write-ahead log until the next write", "error", err)
	}
}

func (s *Store) at(point string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(point)
}

// Subscribe answers a channel that receives after each commit that published
// topic in this process (Tx.Publish), and a function that ends it. Wake-ups that
// nobody has taken yet are merged into one. Other replicas do not see them: a
// subscriber polls as well.
func (s *Store) Subscribe(topic string) (wake <-chan struct{}, end func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[topic] == nil {
		s.topics[topic] = map[chan struct{}]struct{}{}
	}
	s.topics[topic][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.topics[topic], c)
	}
}

func (s *Store) publish(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.topics[topic] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
