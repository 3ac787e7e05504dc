package llamacpp

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// queue hands out the slots of one model. Accounts take turns: one that sends a
// hundred requests delays another's single one by one request, not by a hundred.
type queue struct {
	mu      sync.Mutex
	slots   int
	free    int
	limit   int // most waiters
	waiting map[string][]chan struct{}
	turn    []string // accounts with waiters, next first
	n       int
}

func newQueue(slots, limit int) *queue {
	return &queue{slots: slots, free: slots, limit: limit, waiting: map[string][]chan struct{}{}}
}

// acquire waits for a slot. Every success is paid back with one release.
func (q *queue) acquire(ctx context.Context, account string, patience time.Duration) error {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return nil
	}
	if q.n >= q.limit {
		q.mu.Unlock()
		return &engine.Error{Kind: engine.Overloaded, Message: "too many requests are waiting for the model", Hint: "raise the queue limit or the number of parallel requests"}
	}
	ready := make(chan struct{}, 1)
	if len(q.waiting[account]) == 0 {
		q.turn = append(q.turn, account)
	}
	q.waiting[account] = append(q.waiting[account], ready)
	q.n++
	q.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = &engine.Error{Kind: engine.TimedOut, Message: "the request waited too long for the model", Hint: "raise the queue time-out or the number of parallel requests"}
	}
	if !q.leave(account, ready) {
		q.release() // the slot was handed over in the meantime
	}
	return err
}

// taken counts the slots handed out.
func (q *queue) taken() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.slots - q.free
}

// leave takes a waiter out and reports whether it was still waiting.
func (q *queue) leave(account string, ready chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting[account], ready)
	if i < 0 {
		return false
	}
	q.remove(account, i)
	if len(q.waiting[account]) == 0 {
		q.turn = slices.DeleteFunc(q.turn, func(a string) bool { return a == account })
	}
	return true
}

func (q *queue) remove(account string, i int) {
	q.waiting[account] = slices.Delete(q.waiting[account], i, i+1)
	q.n--
	if len(q.waiting[account]) == 0 {
		delete(q.waiting, account)
	}
}

// release gives a slot to the next account's first waiter, or back.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turn) == 0 {
		q.free++
		return
	}
	account := q.turn[0]
	q.turn = q.turn[1:]
	ready := q.waiting[account][0]
	q.remove(account, 0)
	if len(q.waiting[account]) > 0 {
		q.turn = append(q.turn, account)
	}
	ready <- struct{}{}
}
