package conversation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// Turn is a running turn in the hands of this process. It is for one goroutine,
// which ends it with Finish, Fail or Stop; Close stops one that has none of them.
type Turn struct {
	Session Session
	Number  int64
	Resumed bool   // it was interrupted and goes on
	Steps   []Step // of a resumed turn: what has been done, each with its result

	sessions *Sessions
	id       string
	keyARN   string
	ttl      time.Duration
	call     string
	fence    int64
	steps    int64 // number of the last one
	over     bool

	stop context.CancelFunc // of the renewal
	done sync.WaitGroup
}

// Step is something that was done, or was about to be.
type Step struct {
	Number int64
	Intent []byte
	Result []byte // nil while it is not known
}

// Intent commits what is about to be done and answers its number.
func (t *Turn) Intent(ctx context.Context, data []byte) (int64, error) {
	number := max(t.steps, t.last()) + 1
	err := t.update(ctx, func(tx *store.Tx) error {
		sealed, err := tx.Seal(t.keyARN, stepIdentity(t.id, t.Number, number, "intent"), data)
		if err != nil {
			return err
		}
		n, err := tx.Exec(intentSQL, number, sealed, t.id, t.fence, t.Number)
		return t.mine(n, err)
	})
	if err != nil {
		return 0, fmt.Errorf("commit what is about to be done: %w", err)
	}
	t.steps = number
	return number, nil
}

func (t *Turn) last() int64 {
	if n := len(t.Steps); n > 0 {
		return t.Steps[n-1].Number
	}
	return 0
}

// Result commits what came of a step. It is written even when ctx has ended: the
// thing has been done.
func (t *Turn) Result(ctx context.Context, number int64, data []byte) error {
	err := t.update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		sealed, err := tx.Seal(t.keyARN, stepIdentity(t.id, t.Number, number, "result"), data)
		if err != nil {
			return err
		}
		n, err := tx.Exec(resultSQL, sealed, t.id, t.Number, number, t.id, t.fence)
		return t.mine(n, err)
	})
	if err != nil {
		return fmt.Errorf("commit the result of a step: %w", err)
	}
	return nil
}

// Finish ends the turn: state is the session's from now on, record is what the next
// turns are told, and what the same request is answered if it comes again.
func (t *Turn) Finish(ctx context.Context, state, record []byte) error {
	return t.end(ctx, statusDone, state, record)
}

// Fail ends the turn for good and leaves the session as it was before. A request
// that is answered once is told record from now on.
func (t *Turn) Fail(ctx context.Context, record []byte) error {
	return t.end(ctx, statusFailed, nil, record)
}

func (t *Turn) end(ctx context.Context, status string, state, record []byte) error {
	t.quiet()
	err := t.update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		sealed, err := tx.Seal(t.keyARN, recordIdentity(t.id, t.Number), record)
		if err != nil {
			return err
		}
		query, args := failSQL, []any{t.Number, tx.Now.Add(t.ttl).UnixMicro()}
		if status == statusDone {
			after, err := tx.Seal(t.keyARN, []string{"conversation", t.id, "state"}, state)
			if err != nil {
				return err
			}
			query, args = finishSQL, append(args, after)
		}
		var request string
		err = tx.QueryRow(query, append(args, t.id, t.fence), &request)
		if errors.Is(err, store.ErrNotFound) {
			err = ErrLost
		}
		if err != nil {
			return err
		}
		if t.steps > 0 || len(t.Steps) > 0 {
			if err := forget(tx, t.id, t.Number); err != nil {
				return err
			}
		}
		return insertTurn(tx, t.id, t.Number, status, request, t.call, sealed)
	})
	if err != nil {
		return fmt.Errorf("end a turn of session %s: %w", t.Session.ID, err)
	}
	t.over = true
	return nil
}

// Stop leaves the turn where it is: the same request goes on with it, any other
// gives it up. A turn without a step is as if it had not begun.
func (t *Turn) Stop(ctx context.Context) error {
	t.quiet()
	err := t.update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		running := `running`
		if t.steps == 0 && len(t.Steps) == 0 {
			running = `0`
		}
		n, err := tx.Exec(`UPDATE conversation SET running = `+running+`, holder = '', lease = 0, fence = fence + 1 WHERE id = ? AND fence = ?`, t.id, t.fence)
		return t.mine(n, err)
	})
	if err != nil {
		return fmt.Errorf("stop a turn of session %s: %w", t.Session.ID, err)
	}
	t.over = true
	return nil
}

// Close stops the turn if nothing else has ended it.
func (t *Turn) Close(ctx context.Context) error {
	if t.over {
		t.quiet()
		return nil
	}
	return t.Stop(ctx)
}

func (t *Turn) mine(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrLost
	}
	return err
}

func (t *Turn) update(ctx context.Context, fn func(*store.Tx) error) error {
	if t.over {
		return errors.New("BUG: conversation.Turn used after its end")
	}
	return t.sessions.update(ctx, t.keyARN, func(tx *store.Tx, _ bool) error { return fn(tx) })
}

// keep renews the lease until the turn ends. A turn that lost it finds out with its
// next commit.
func (t *Turn) keep(ctx context.Context) {
	ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.done.Go(func() {
		tick := time.NewTicker(t.sessions.lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := t.sessions.store.UpdateLoose(ctx, func(tx *store.Tx) error {
				now, err := tx.Clock()
				if err != nil {
					return err
				}
				_, err = tx.Exec(`UPDATE conversation SET lease = ? WHERE id = ? AND fence = ?`, now+t.sessions.lease.Microseconds(), t.id, t.fence)
				return err
			})
			if err != nil && ctx.Err() == nil {
				t.sessions.log.WarnContext(ctx, "lease of a turn not renewed", "session", t.Session.ID, "error", err)
			}
		}
	})
}

// quiet ends the renewal.
func (t *Turn) quiet() {
	if t.stop != nil {
		t.stop()
		t.done.Wait()
		t.stop = nil
	}
}
