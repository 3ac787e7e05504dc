package dir

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/outcrop-dev/outcrop/internal/object"
)

var _ object.Store = (*Store)(nil)

// Config says where objects live.
type Config struct {
	Dir         string           // made when missing
	InlineLimit int              // content up to this many bytes goes into the index; default 32 KiB
	MinPart     int64            // default object.MinPartSize
	Now         func() time.Time // default time.Now
	NewID       func() string    // upload ids; default crypto/rand
	Log         *slog.Logger     // default: discard

	// fault, when set, is asked before each risky call ("create", "write", "sync",
	// "syncdir", "link", "commit"); its error stands in for the call's own.
	fault func(op, path string) error
	// unsynced leaves out every fsync, to show that the power-cut test would see it.
	unsynced bool
}

// Store is an object.Store in a folder.
type Store struct {
	cfg    Config
	lock   *os.File
	read   *sql.DB
	write  *sql.DB
	run    string // folder of this run's blobs, below blobs/
	runID  int64
	next   atomic.Uint64
	unsure atomic.Bool // a commit failed: a blob of this run may be an orphan

	ops    chan *op
	done   chan struct{} // closed by Close
	closed sync.Once
	parts  sync.WaitGroup // the writer and the sweeper
	swept  chan struct{}  // closed when leftovers of earlier runs are gone

	folders sync.Map // shard folder → *folder

	// view orders "read a row, pin its blobs" before "unlink what a commit freed".
	view sync.RWMutex
	pins map[string]int
	dead map[string]bool // freed while pinned
	mu   sync.Mutex      // pins, dead, gone
	gone []string        // unlinked; their rows go with the next commit
}

const schema = `
CREATE TABLE IF NOT EXISTS bucket(
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
  created INTEGER NOT NULL, UNIQUE(account, region, name));
CREATE TABLE IF NOT EXISTS object(
  bucket INTEGER NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
  modified INTEGER NOT NULL, tags INTEGER NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY(bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content(id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS upload(
  id TEXT PRIMARY KEY, bucket INTEGER NOT NULL, key BLOB NOT NULL, started INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS upload_key ON upload(bucket, key, started, id);
CREATE TABLE IF NOT EXISTS part(
  upload TEXT NOT NULL, n INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY(upload, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob(name TEXT PRIMARY KEY, dead INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blob_dead ON blob(name) WHERE dead = 1;
CREATE TABLE IF NOT EXISTS run(id INTEGER PRIMARY KEY AUTOINCREMENT, clean INTEGER NOT NULL);
PRAGMA user_version = 1;`

// Open opens the folder, and starts sweeping what a crash left behind.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("object folder: no path given")
	}
	cfg.InlineLimit = cmp.Or(cfg.InlineLimit, 32<<10)
	cfg.MinPart = cmp.Or(cfg.MinPart, int64(object.MinPartSize))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = rand.Text
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "blobs"), 0o700); err != nil {
		return nil, fmt.Errorf("make object folder: %w", err)
	}
	lock, err := lockFile(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("object folder %s is in use by another process: %w", cfg.Dir, err)
	}
	s := &Store{
		cfg: cfg, lock: lock, ops: make(chan *op), done: make(chan struct{}), swept: make(chan struct{}),
		pins: map[string]int{}, dead: map[string]bool{},
	}
	if err := s.open(ctx); err != nil {
		for _, db := range []*sql.DB{s.read, s.write} {
			if db != nil {
				_ = db.Close()
			}
		}
		_ = lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	path := filepath.Join(s.cfg.Dir, "index.db")
	level := "synchronous(FULL)"
	if s.cfg.unsynced {
		level = "synchronous(OFF)"
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", level, "busy_timeout(10000)", "cache_size(-4000)"}}
	if s.write, err = sql.Open("sqlite", "file:"+url.PathEscape(path)+"?"+pragmas.Encode()); err != nil {
		return fmt.Errorf("open object index: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if _, err := s.write.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("open object index: %w", failed(err))
	}
	res, err := s.write.ExecContext(ctx, `INSERT INTO run(clean) VALUES(0)`)
	if err != nil {
		return fmt.Errorf("number the run: %w", failed(err))
	}
	if s.runID, err = res.LastInsertId(); err != nil {
		return fmt.Errorf("number the run: %w", err)
	}
	s.run = strconv.FormatInt(s.runID, 36)
	if s.read, err = sql.Open("sqlite", "file:"+url.PathEscape(path)+"?"+pragmas.Encode()+"&_pragma=query_only(1)"); err != nil {
		return fmt.Errorf("open object index: %w", err)
	}
	s.read.SetMaxOpenConns(8)
	s.read.SetMaxIdleConns(8)
	// The folder's own entries must be there after a power cut as well.
	for _, d := range []string{s.cfg.Dir, filepath.Dir(s.cfg.Dir)} {
		if err := s.syncDir(d); err != nil {
			return fmt.Errorf("sync %s: %w", d, err)
		}
	}
	w, err := s.newWriter(ctx)
	if err != nil {
		return err
	}
	// Read before anything can be freed: what is dead now has no reader.
	dead, err := queryStrings(ctx, s.read, `SELECT name FROM blob WHERE dead = 1`)
	if err != nil {
		return fmt.Errorf("read object index: %w", failed(err))
	}
	sweep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.parts.Go(func() { w.loop(); stop() })
	s.parts.Go(func() { defer close(s.swept); s.sweep(sweep, dead) })
	return nil
}

// Close ends the store's goroutines. A call that comes after it answers ErrClosed.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		close(s.done)
		s.parts.Wait()
		if !s.unsure.Load() && s.syncShards() {
			// Nothing can be left over, so the next open need not look.
			if _, e := s.write.ExecContext(context.Background(), `UPDATE run SET clean = 1 WHERE id = ?`, s.runID); e != nil {
				s.cfg.Log.Warn("object folder: run not marked clean", "err", e)
			}
		}
		err = errors.Join(s.read.Close(), s.write.Close(), s.lock.Close())
	})
	return err
}

// syncShards makes the unlinks of uncommitted blobs durable.
func (s *Store) syncShards() bool {
	ok := true
	s.folders.Range(func(shard, _ any) bool {
		ok = s.syncDir(s.path(shard.(string))) == nil
		return ok
	})
	return ok
}

// sweep removes blobs that a crash left: freed ones whose unlink did not happen,
// and those of unfinished runs that no row ever named. Blobs of this run are never
// looked at.
func (s *Store) sweep(ctx context.Context, dead []string) {
	for _, name := range dead {
		s.unlink(name)
	}
	n, err := s.sweepRuns(ctx)
	if err == nil {
		s.sweepFolders()
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.cfg.Log.Warn("object folder: leftovers stay until the next start", "err", err)
	case n+len(dead) > 0:
		s.cfg.Log.Info("object folder: leftovers of an earlier run removed", "blobs", n+len(dead))
	}
}

func (s *Store) sweepRuns(ctx context.Context) (int, error) {
	runs, err := queryStrings(ctx, s.read, `SELECT id FROM run WHERE clean = 0 AND id < ?`, s.runID)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range runs {
		i, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return n, fmt.Errorf("run %q: %w", id, err)
		}
		k, err := s.sweepRun(ctx, strconv.FormatInt(i, 36))
		n += k
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
		if err := s.do(func(w *writer) error {
			_, err := w.tx.Exec(`UPDATE run SET clean = 1 WHERE id = ?`, i)
			return err
		}); err != nil {
			return n, err
		}
	}
	return n, nil
}

// sweepRun removes the blobs of one earlier run that no row names, and says how
// many. Nothing outside of the run's folder can be removed, whatever links lie in it.
func (s *Store) sweepRun(ctx context.Context, run string) (n int, err error) {
	dir := filepath.Join(s.cfg.Dir, "blobs", run)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	touched := map[string]bool{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var one int
		err = s.read.QueryRowContext(ctx, `SELECT 1 FROM blob WHERE name = ?`, run+"/"+name).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			n++
			touched[path.Dir(name)] = true
			return root.Remove(filepath.FromSlash(name))
		}
		return err
	})
	for d := range touched {
		err = errors.Join(err, s.syncDir(filepath.Join(dir, filepath.FromSlash(d))))
	}
	return n, err
}

// sweepFolders removes what is empty of earlier runs; the system refuses the rest.
func (s *Store) sweepFolders() {
	shards, _ := filepath.Glob(filepath.Join(s.cfg.Dir, "blobs", "*", "*")) // errs on bad patterns only
	for _, d := range shards {
		run := filepath.Dir(d)
		if names, err := os.ReadDir(d); filepath.Base(run) == s.run || err != nil || len(names) > 0 {
			continue
		}
		// Synced first: a folder that a power cut brings back must come back empty,
		// for the rows of what was in it are forgotten.
		if s.syncDir(d) == nil && os.Remove(d) == nil {
			_ = os.Remove(run)
		}
	}
}

func queryStrings(ctx context.Context, db *sql.DB, q string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// failed turns an error of the driver or the system into the port's.
func failed(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{
		object.ErrFull, object.ErrIO, object.ErrClosed, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", object.ErrFull, err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, errQuota) {
		return fmt.Errorf("%w: %w", object.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", object.ErrIO, err)
}
