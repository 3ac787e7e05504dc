package embedded

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Hook names of Config.Hook, in the order in which a write passes them.
const (
	HookBegun        = "vector.begun"         // the transaction is open, nothing is written
	HookRemoved      = "vector.removed"       // the old chunks are gone in the transaction
	HookBeforeCommit = "vector.before-commit" // all is written, nothing is durable
	HookAfterCommit  = "vector.after-commit"  // durable, the caller does not know it yet
)

// Defaults of Config.
const (
	DefaultMemory     = 4 << 30
	DefaultExactBelow = 50_000
	DefaultMaxOpen    = 64
)

// Config says where indexes are. Dir and Sealer are required.
type Config struct {
	// Dir is the folder of all indexes; it is made, mode 0700, if it is not there.
	Dir    string
	Sealer vector.Sealer
	// Memory bounds what all loaded indexes together may take, in bytes; the least
	// recently searched ones give way, and an index that is larger alone is refused
	// with vector.ErrTooLarge. 0 means DefaultMemory.
	Memory int64
	// ExactBelow is the count of candidates up to which every one is looked at;
	// 0 means DefaultExactBelow.
	ExactBelow int
	// MaxOpen is how many indexes that nobody holds stay open; 0 means DefaultMaxOpen.
	MaxOpen int
	Logger  *slog.Logger
	// Hook, if set, is called at the named points of each write (HookBegun …). It is
	// there for crash and fault tests; an error fails the write there.
	Hook func(point string) error
	// UnsafeNoSync turns every fsync off. It exists for crash tests that must find
	// losses with it; nothing in the product sets it.
	UnsafeNoSync bool
}

// Store is a folder of indexes.
type Store struct {
	cfg  Config
	log  *slog.Logger
	stop chan struct{}
	work sync.WaitGroup // measurements in the background

	mu     sync.Mutex
	open   map[vector.Name]*index
	clock  int64 // counts uses, to find the least recent
	closed bool
}

var _ vector.Store = (*Store)(nil)

// New makes the folder if need be and removes what an interrupted Drop left.
func New(c Config) (*Store, error) {
	if c.Dir == "" || c.Sealer == nil {
		return nil, errors.New("embedded: Config.Dir and Config.Sealer are required")
	}
	c.Memory = cmp.Or(c.Memory, DefaultMemory)
	c.ExactBelow = cmp.Or(c.ExactBelow, DefaultExactBelow)
	c.MaxOpen = cmp.Or(c.MaxOpen, DefaultMaxOpen)
	if err := store.MakeFolder(c.Dir); err != nil {
		return nil, fmt.Errorf("make the folder of indexes: %w", fileError(err))
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, dropped+"*"))
	if err != nil {
		return nil, fmt.Errorf("look for dropped indexes: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove a dropped index: %w", err)
		}
	}
	return &Store{
		cfg: c, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		stop: make(chan struct{}), open: map[vector.Name]*index{},
	}, nil
}

// Capabilities are all there are.
func (s *Store) Capabilities() vector.Capabilities {
	return vector.Capabilities{Store: "the built-in index", Hybrid: true, Sealed: true, EmptyDocuments: true}
}

func (s *Store) dir(n vector.Name) string {
	return filepath.Join(s.cfg.Dir, n.Account, n.Region, n.ID)
}

// Create makes the index d, or opens it if it is there.
func (s *Store) Create(ctx context.Context, d vector.Definition) (vector.Index, error) {
	d.Metric = cmp.Or(d.Metric, vector.Cosine)
	if err := d.Check(); err != nil {
		return nil, err
	}
	x, err := s.Open(ctx, d.Name)
	switch {
	case err == nil:
		if have := x.Definition(); have != d {
			_ = x.Close()
			return nil, fmt.Errorf("%w: %s", vector.ErrMismatch, differ(have, d))
		}
		return x, nil
	case !errors.Is(err, vector.ErrNotFound):
		return nil, err
	}
	if err := store.MakeFolder(s.dir(d.Name)); err != nil {
		return nil, fmt.Errorf("make the folder of index %s: %w", d.Name, fileError(err))
	}
	if err := s.make(ctx, d); err != nil {
		return nil, fmt.Errorf("make index %s: %w", d.Name, err)
	}
	return s.Open(ctx, d.Name)
}

// differ names what of two definitions is not equal.
func differ(have, want vector.Definition) string {
	switch {
	case have.Dimension != want.Dimension:
		return fmt.Sprintf("dimension %d, not %d", have.Dimension, want.Dimension)
	case have.Metric != want.Metric:
		return fmt.Sprintf("metric %s, not %s", have.Metric, want.Metric)
	case have.Model != want.Model:
		return fmt.Sprintf("model %q, not %q", have.Model, want.Model)
	case have.Language != want.Language:
		return fmt.Sprintf("language %q, not %q", have.Language, want.Language)
	default:
		return fmt.Sprintf("key %q, not %q", have.KeyARN, want.KeyARN)
	}
}

// make writes a new file with one transaction; a file without its meta row, left by
// a crash, is no index yet and is filled here.
func (s *Store) make(ctx context.Context, d vector.Definition) (err error) {
	key := make([]byte, dataKeyLen)
	_, _ = rand.Read(key) // crypto/rand never fails
	defer clear(key)
	wrapped, err := s.cfg.Sealer.Seal(ctx, d.KeyARN, keyAAD(d.Name), key)
	if err != nil {
		return fmt.Errorf("seal the data key: %w", err)
	}
	f, err := openFile(s.dir(d.Name), s.cfg.UnsafeNoSync)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.create(ctx, d, wrapped); err != nil {
		return err
	}
	return syncDir(s.dir(d.Name))
}

// Open opens an index.
func (s *Store) Open(ctx context.Context, n vector.Name) (vector.Index, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, vector.ErrClosed
	}
	x := s.open[n]
	if x == nil {
		var err error
		if x, err = s.load(ctx, n); err != nil {
			return nil, fmt.Errorf("open index %s: %w", n, err)
		}
		s.open[n] = x
	}
	x.refs++
	s.clock++
	x.used = s.clock
	s.shed()
	return &Index{index: x}, nil
}

func (s *Store) load(ctx context.Context, n vector.Name) (*index, error) {
	if _, err := os.Stat(filepath.Join(s.dir(n), fileName)); errors.Is(err, fs.ErrNotExist) {
		return nil, vector.ErrNotFound
	} else if err != nil {
		return nil, fileError(err)
	}
	f, err := openFile(s.dir(n), s.cfg.UnsafeNoSync)
	if err != nil {
		return nil, err
	}
	x, err := newIndex(ctx, s, n, f)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return x, nil
}

// shed closes the least recently used of the indexes that nobody holds, as far as
// they are too many. s.mu is held.
func (s *Store) shed() {
	for {
		idle := 0
		var oldest *index
		for _, x := range s.open {
			if x.refs == 0 {
				idle++
				if oldest == nil || x.used < oldest.used {
					oldest = x
				}
			}
		}
		if idle <= s.cfg.MaxOpen {
			return
		}
		delete(s.open, oldest.name)
		if err := oldest.close(); err != nil {
			s.log.Warn("close an index", "index", oldest.name.String(), "error", err)
		}
	}
}

func (s *Store) release(x *index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.refs--
	if !s.closed && s.open[x.name] == x {
		s.shed()
	}
}

// reserve makes place for an index of so many bytes: others give their memory back,
// the least recently used first.
func (s *Store) reserve(x *index, bytes int64) error {
	if bytes > s.cfg.Memory {
		return fmt.Errorf("%w: %s needs %d MB, %d MB are allowed", vector.ErrTooLarge, x.name, bytes>>20, s.cfg.Memory>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	x.used = s.clock
	x.bytes.Store(bytes)
	for {
		var sum int64
		var oldest *index
		for _, o := range s.open {
			b := o.bytes.Load()
			sum += b
			if o != x && b > 0 && (oldest == nil || o.used < oldest.used) {
				oldest = o
			}
		}
		if sum <= s.cfg.Memory || oldest == nil {
			return nil
		}
		oldest.evict()
		s.log.Info("an index gives its memory back", "index", oldest.name.String())
	}
}

// dropped begins the name of a folder that is no index any more.
const dropped = ".dropped-"

// Drop removes an index. Its folder is renamed first, so that a crash leaves either
// the index or nothing, and never a log without its database.
func (s *Store) Drop(_ context.Context, n vector.Name) error {
	if err := n.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return vector.ErrClosed
	}
	if x := s.open[n]; x != nil {
		delete(s.open, n)
		if err := x.close(); err != nil {
			return fmt.Errorf("close index %s: %w", n, err)
		}
	}
	suffix := make([]byte, 8)
	_, _ = rand.Read(suffix) // crypto/rand never fails
	away := filepath.Join(s.cfg.Dir, dropped+hex.EncodeToString(suffix))
	err := os.Rename(s.dir(n), away)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(syncDir(filepath.Dir(s.dir(n))), syncDir(s.cfg.Dir), os.RemoveAll(away))
	}
	if err != nil {
		return fmt.Errorf("drop index %s: %w", n, fileError(err))
	}
	return nil
}

// Close ends the measurements and closes every index; handles answer
// vector.ErrClosed from then on.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	all := s.open
	s.open = nil
	s.mu.Unlock()
	s.work.Wait()
	var errs []error
	for _, x := range all {
		errs = append(errs, x.close())
	}
	return errors.Join(errs...)
}

// background runs f unless the store is closing; f must end soon after stop closes.
func (s *Store) background(f func(stop <-chan struct{})) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(func() { f(s.stop) })
	return true
}

// safeName is for messages of a log: no control character of a name gets there.
func safeName(s string) string { return strings.ToValidUTF8(s, "?") }
