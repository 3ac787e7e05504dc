package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// Index is one handle on an index.
type Index struct {
	*index
	closing sync.Once
	closed  atomic.Bool
}

var _ vector.Index = (*Index)(nil)

// index is what all handles of a store on one file share.
type index struct {
	store    *Store
	name     vector.Name
	def      atomic.Pointer[vector.Definition]
	file     *file
	analyser *analyse.Analyser

	refs  int          // under store.mu
	used  int64        // under store.mu
	bytes atomic.Int64 // of memory, as reserved

	loading   chan struct{} // one slot: who changes memory
	measuring atomic.Bool

	mu     sync.RWMutex
	memory *memory // nil until the first search
	gone   atomic.Bool
}

func newIndex(ctx context.Context, s *Store, n vector.Name, f *file) (*index, error) {
	var version, analysis int
	var text, keyARN string
	err := f.reader.QueryRowContext(ctx, `SELECT format, analysis, definition, key_arn FROM meta`).Scan(&version, &analysis, &text, &keyARN)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) || !hasMeta(ctx, f) {
			return nil, vector.ErrNotFound // a crash came between the file and its first commit
		}
		return nil, translate(err)
	}
	if version != format || analysis != analyse.Version {
		return nil, fmt.Errorf("%w: format %d with terms %d, this program knows %d with %d", vector.ErrMismatch, version, analysis, format, analyse.Version)
	}
	var d vector.Definition
	if err := json.Unmarshal([]byte(text), &d); err != nil || d.Name != n {
		return nil, fmt.Errorf("%w: the definition is not that of %s", vector.ErrCorrupt, n)
	}
	d.KeyARN = keyARN
	x := &index{store: s, name: n, file: f, loading: make(chan struct{}, 1)}
	x.def.Store(&d)
	if x.analyser, err = analyse.New(d.Language); err != nil {
		return nil, vector.Invalid("%v", err)
	}
	if f.state, err = f.reader.PrepareContext(ctx, stateQuery); err != nil {
		return nil, translate(err)
	}
	return x, nil
}

// hasMeta is false only where the file was read and has no such table.
func hasMeta(ctx context.Context, f *file) bool {
	var n int
	err := f.reader.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'meta'`).Scan(&n)
	return err != nil || n == 1
}

// Definition is what the index was made with.
func (x *index) Definition() vector.Definition { return *x.def.Load() }

// Close gives the handle back.
func (x *Index) Close() error {
	x.closing.Do(func() {
		x.closed.Store(true)
		x.store.release(x.index)
	})
	return nil
}

func (x *Index) usable() error {
	if x.closed.Load() || x.gone.Load() {
		return vector.ErrClosed
	}
	return nil
}

// close closes the file; searches under way end first.
func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone.Store(true)
	x.memory = nil
	x.bytes.Store(0)
	return x.file.close()
}

// evict gives the memory back; the next search builds it again.
func (x *index) evict() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.memory = nil
	x.bytes.Store(0)
}

// unlock reads meta and opens the data key.
func (x *index) unlock(ctx context.Context, row *sql.Row) (state, *vault, error) {
	s, err := scanState(row)
	if err != nil && x.gone.Load() { // the pool has no error of its own for it
		return state{}, nil, vector.ErrClosed
	}
	if err != nil {
		return state{}, nil, fmt.Errorf("read index %s: %w", x.name, err)
	}
	v, err := unlock(ctx, x.store.cfg.Sealer, x.name, s.keyARN, s.dataKey)
	return s, v, err
}

func (x *index) now(ctx context.Context) (state, *vault, error) {
	return x.unlock(ctx, x.file.state.QueryRowContext(ctx))
}

// follow brings memory to the state of the file, and says whether it holds the words
// if they are wanted. It answers the vault, because a search needs it for the bodies.
func (x *index) follow(ctx context.Context, words bool) (*vault, error) {
	s, v, err := x.now(ctx)
	if err != nil {
		return nil, err
	}
	if x.fresh(s, words) {
		return v, nil
	}
	select {
	case x.loading <- struct{}{}:
		defer func() { <-x.loading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// One snapshot for all that is read.
	tx, err := x.file.reader.BeginTx(ctx, nil)
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = tx.Rollback() }()
	if s, err = scanState(tx.QueryRowContext(ctx, stateQuery)); err != nil {
		return nil, err
	}
	if x.fresh(s, words) { // another search has done it
		return v, nil
	}
	if err := x.catchUp(ctx, tx, s, v, words); err != nil {
		return nil, fmt.Errorf("load index %s: %w", x.name, translate(err))
	}
	// Attributes and words were not known beforehand.
	if err := x.store.reserve(x, x.bytes.Load()); err != nil {
		x.evict()
		return nil, err
	}
	x.measureIfDue(ctx)
	return v, nil
}

func (x *index) fresh(s state, words bool) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	m := x.memory
	return m != nil && m.sequence == s.sequence && (!words || m.words != nil)
}

// catchUp reads what is missing; only the holder of loading calls it, so memory
// changes under it in no way but eviction.
func (x *index) catchUp(ctx context.Context, tx *sql.Tx, s state, v *vault, words bool) error {
	x.mu.RLock()
	m := x.memory
	rebuild := m == nil || m.lastRemoved < s.pruned || m.crowded()
	words = words || m != nil && m.words != nil
	x.mu.RUnlock()
	def := x.Definition()
	if err := x.store.reserve(x, int64(s.vectors)*rowBytes(def)); err != nil {
		return err
	}
	if rebuild {
		m = newMemory(def)
		if words {
			m.words = newPostings()
		}
		m.stage = storedMeasurement(s.calibration)
		err := x.segments(ctx, tx, v, 0, words, true, func(l *loaded) error { return m.add(l, s.vectors-m.n-l.rows) })
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(max(id), ?) FROM removed`, s.pruned).Scan(&m.lastRemoved); err != nil {
			return err
		}
		return x.publish(s, m, func() error { return nil })
	}
	var late *postings
	if words && m.words == nil {
		var err error
		if late, err = x.lateWords(ctx, tx, v, m); err != nil {
			return err
		}
	}
	removed, last, err := removals(ctx, tx, m.lastRemoved)
	if err != nil {
		return err
	}
	var news []*loaded
	err = x.segments(ctx, tx, v, m.lastSegment, words, false, func(l *loaded) error {
		news = append(news, l)
		return nil
	})
	if err != nil {
		return err
	}
	return x.publish(s, m, func() error {
		if late != nil {
			m.words = late
		}
		for _, l := range news {
			if err := m.add(l, 0); err != nil {
				return err
			}
		}
		for _, segment := range removed {
			m.remove(segment)
		}
		m.lastRemoved = last
		return nil
	})
}

// publish makes a change of memory seen by searches, all of it at once.
func (x *index) publish(s state, m *memory, change func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone.Load() {
		return vector.ErrClosed
	}
	if err := change(); err != nil {
		x.memory = nil // half a change is never shown
		return err
	}
	m.sequence = s.sequence
	m.settle()
	x.memory = m
	x.bytes.Store(m.size())
	return nil
}

// garbage is how many bytes a load leaves behind before it has them collected: the
// vectors have no pointers, so a collection is cheap, and without it the heap would
// grow to twice its size on the way.
const garbage = 96 << 20

// segments reads and opens the segments above an id, in order. With reuse, what f
// gets is valid only until it returns.
func (x *index) segments(ctx context.Context, tx *sql.Tx, v *vault, above int64, words, reuse bool, f func(*loaded) error) error {
	query := `SELECT id, document, part, first, columns, vectors, NULL FROM segment WHERE id > ? ORDER BY id`
	if words {
		query = `SELECT s.id, document, part, first, columns, vectors, data FROM segment s JOIN terms t ON t.segment = s.id WHERE s.id > ? ORDER BY s.id`
	}
	rows, err := tx.QueryContext(ctx, query, above)
	if err != nil {
		return err
	}
	defer rows.Close()
	var buf [3][]byte
	left := 0
	dim := x.Definition().Dimension
	for rows.Next() {
		var l loaded
		var document string
		var part int
		var raw [3]sql.RawBytes
		if err := rows.Scan(&l.id, &document, &part, &l.first, &raw[0], &raw[1], &raw[2]); err != nil {
			return err
		}
		if !reuse {
			buf = [3][]byte{}
		}
		for i, kind := range []string{columnsBlock, vectorsBlock, termsBlock}[:2+btoi(words)] {
			left += len(raw[i])
			if buf[i], err = v.open(buf[i], raw[i], kind, document, part); err != nil {
				return err
			}
		}
		l.columns, l.terms = buf[0], buf[2]
		if err := l.decode(buf[1], dim, words); err != nil {
			return err
		}
		if err := f(&l); err != nil {
			return err
		}
		if left > garbage {
			left = 0
			runtime.GC()
		}
	}
	return rows.Err()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lateWords reads the words of the rows that are in memory already. Segments that
// went meanwhile leave rows without words, which are about to die.
func (x *index) lateWords(ctx context.Context, tx *sql.Tx, v *vault, m *memory) (*postings, error) {
	p := newPostings()
	rows, err := tx.QueryContext(ctx, `SELECT id, document, part, data FROM segment JOIN terms ON segment = id WHERE id <= ? ORDER BY id`, m.lastSegment)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	pad := func(to int) {
		for len(p.length) < to {
			p.row(0)
		}
	}
	var buf []byte
	left := 0
	for rows.Next() {
		var id int64
		var document string
		var part int
		var raw sql.RawBytes
		if err := rows.Scan(&id, &document, &part, &raw); err != nil {
			return nil, err
		}
		s, ok := m.spans[id]
		if !ok {
			return nil, fmt.Errorf("%w: segment %d is not in memory", vector.ErrCorrupt, id)
		}
		if buf, err = v.open(buf, raw, termsBlock, document, part); err != nil {
			return nil, err
		}
		pad(int(s.first))
		if err := p.add(&loaded{rows: int(s.n), terms: buf}); err != nil {
			return nil, err
		}
		if left += len(raw); left > garbage {
			left = 0
			runtime.GC()
		}
	}
	pad(m.n)
	return p, rows.Err()
}

func removals(ctx context.Context, tx *sql.Tx, above int64) (segments []int64, last int64, err error) {
	last = above
	rows, err := tx.QueryContext(ctx, `SELECT id, segment FROM removed WHERE id > ? ORDER BY id`, above)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var segment int64
		if err := rows.Scan(&last, &segment); err != nil {
			return nil, 0, err
		}
		segments = append(segments, segment)
	}
	return segments, last, rows.Err()
}
