package conversation

import (
	"context"
	"errors"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// maxShared bounds how many writes share a commit.
const maxShared = 64

// sharing lets writes of different sessions that wait for SQLite's one writer at the
// same time go to disk in one commit: a commit costs the same for one of them and for
// fifty. Nobody waits for company: a write that comes alone is committed alone and at
// once. It has no goroutine of its own; the first who waits writes for all.
type sharing struct {
	mu    sync.Mutex
	queue []*write
	busy  bool
}

// write is one caller's transaction. It may be run more than once.
type write struct {
	do   func(tx *store.Tx, shared bool) error
	err  error
	done chan struct{}
}

// errAlone is the answer of a write that needs a transaction of its own.
var errAlone = errors.New("conversation: a transaction of its own is needed")

// clean reports an error before which nothing was written, so that the others of the
// same transaction are not touched by it. Any other makes each run for itself.
func clean(err error) bool {
	return err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrLost)
}

// update runs fn in a transaction that it may share. Records under customer keys are
// sealed in the name of whoever asks, which the context tells, so they never share;
// nor do writes on a database where many can write at once.
func (s *Sessions) update(ctx context.Context, keyARN string, fn func(tx *store.Tx, shared bool) error) error {
	if !s.alone || keyARN != "" {
		return s.store.Update(ctx, func(tx *store.Tx) error { return fn(tx, false) })
	}
	w := &write{do: fn, done: make(chan struct{})}
	h := &s.shared
	h.mu.Lock()
	h.queue = append(h.queue, w)
	if h.busy {
		h.mu.Unlock()
		<-w.done // at most a few commits away, and what is written must be known
		return w.err
	}
	h.busy = true
	for len(h.queue) > 0 {
		n := min(len(h.queue), maxShared)
		batch := h.queue[:n:n]
		h.queue = h.queue[n:]
		h.mu.Unlock()
		s.commit(context.WithoutCancel(ctx), batch)
		h.mu.Lock()
	}
	h.queue, h.busy = nil, false
	h.mu.Unlock()
	return w.err
}

// commit runs writes together, or each for itself when one of them asks for it.
func (s *Sessions) commit(ctx context.Context, batch []*write) {
	together := len(batch) > 1
	if together {
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			for _, w := range batch {
				if w.err = w.do(tx, true); !clean(w.err) {
					return errAlone
				}
			}
			return nil
		})
		together = err == nil
	}
	for _, w := range batch {
		if !together {
			w.err = s.store.Update(ctx, func(tx *store.Tx) error { return w.do(tx, false) })
		}
		close(w.done)
	}
}
