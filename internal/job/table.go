package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// queue is what the runner needs of the table; tests of timers put one in memory
// in its place.
type queue interface {
	// free makes jobs of dead owners available: all running ones on a database of
	// this process alone (first true), else those whose lease has run out.
	free(ctx context.Context, first bool) (int64, error)
	// alone reports that no other process can have jobs of this queue.
	alone() bool
	// claim leases up to n due jobs of kinds to owner, oldest first. wait is how long
	// until the next one is due, negative when none is waiting.
	claim(ctx context.Context, owner string, kinds []string, n int, lease time.Duration) (jobs []*Handle, wait time.Duration, err error)
	// beat renews a lease; stop tells that a stop was asked for. ErrLost when the
	// fence has moved on.
	beat(ctx context.Context, j Job, lease time.Duration) (stop bool, err error)
	// checkpoint writes cursor and fn's rows under the fence.
	checkpoint(ctx context.Context, j Job, cursor []byte, progress bool, fn func(*store.Tx) error) error
	// finish writes an outcome under the fence, done in the same transaction.
	finish(ctx context.Context, j Job, o outcome, done func(*store.Tx, State) error) error
	// sweep removes jobs that ended longer ago than keep.
	sweep(ctx context.Context, keep time.Duration) error
	// subscribe answers wake-ups for new jobs and for stops.
	subscribe() (fresh, stop <-chan struct{}, end func())
}

// table is the queue in the store.
type table struct{ store *store.Store }

var _ queue = (*table)(nil)

func (t *table) alone() bool { return t.store.Driver().Exclusive() }

func (t *table) free(ctx context.Context, first bool) (n int64, err error) {
	exclusive := t.alone()
	if exclusive && !first {
		// Only this process runs jobs here, and it knows which. A laptop that slept
		// for an hour finds every lease expired and not one job abandoned.
		return 0, nil
	}
	err = t.store.UpdateLoose(ctx, func(tx *store.Tx) error {
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		cond, args := `lease_until < ?`, []any{string(Available), now, now, string(Running), now}
		if exclusive {
			cond, args = `lease_until >= 0`, args[:4]
		}
		n, err = tx.Exec(`UPDATE job SET state = ?, owner = '', lease_until = 0, scheduled_at = ?, updated = ?
			WHERE state = ? AND `+cond, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("free jobs of dead owners: %w", err)
	}
	return n, nil
}

func (t *table) claim(ctx context.Context, owner string, kinds []string, n int, lease time.Duration) (jobs []*Handle, wait time.Duration, err error) {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(kinds)), ", ")
	var names []any
	for _, k := range kinds {
		names = append(names, k)
	}
	err = t.store.UpdateLoose(ctx, func(tx *store.Tx) error {
		jobs, wait = nil, -1
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		waiting := `state IN ('available', 'retryable') AND kind IN (` + marks + `)`
		args := append([]any{owner, now + lease.Microseconds(), now}, names...)
		err = tx.Query(`UPDATE job SET state = 'running', owner = ?, fence = fence + 1, attempt = attempt + 1,
			lease_until = ?, updated = ? WHERE id IN (SELECT id FROM job WHERE `+waiting+` AND scheduled_at <= ?
			ORDER BY scheduled_at, id LIMIT ?`+tx.Dialect().SkipLocked+`) RETURNING `+columns, append(args, now, n),
			func(row store.Row) error {
				j, err := scan(row)
				jobs = append(jobs, &Handle{Job: j, queue: t})
				return err
			})
		if err != nil {
			return err
		}
		for _, h := range jobs {
			h.open(tx)
		}
		if len(jobs) == n {
			wait = 0 // there may be more
			return nil
		}
		var next *int64
		if err := tx.QueryRow(`SELECT MIN(scheduled_at) FROM job WHERE `+waiting, names, &next); err != nil {
			return err
		}
		if next != nil {
			wait = max(0, time.Duration(*next-now)*time.Microsecond)
		}
		return nil
	})
	if err != nil {
		return nil, -1, fmt.Errorf("claim jobs: %w", err)
	}
	return jobs, wait, nil
}

// open unseals arguments and cursor. A failure is the run's and not the claim's: it
// must not keep other jobs from starting.
func (h *Handle) open(tx *store.Tx) {
	h.plain, h.failed = tx.Unseal(h.KeyARN, identity(h.ID, "args"), h.args)
	if h.failed == nil && h.cursor != nil {
		h.now, h.failed = tx.Unseal(h.KeyARN, identity(h.ID, "cursor"), h.cursor)
	}
}

const fenced = ` WHERE id = ? AND fence = ? AND state = 'running'`

func (t *table) beat(ctx context.Context, j Job, lease time.Duration) (stop bool, err error) {
	err = t.store.UpdateLoose(ctx, func(tx *store.Tx) error {
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		var asked int64
		err = tx.QueryRow(`UPDATE job SET lease_until = ?`+fenced+` RETURNING stop`,
			[]any{now + lease.Microseconds(), j.ID, j.fence}, &asked)
		stop = asked != 0
		return lost(err)
	})
	if err != nil {
		return false, fmt.Errorf("renew lease of job %s: %w", j.ID, err)
	}
	return stop, nil
}

// lost tells "no row under this fence" in the runner's word.
func lost(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrLost
	}
	return err
}

func (t *table) checkpoint(ctx context.Context, j Job, cursor []byte, progress bool, fn func(*store.Tx) error) error {
	return t.store.Update(ctx, func(tx *store.Tx) error {
		sealed, err := tx.Seal(j.KeyARN, identity(j.ID, "cursor"), cursor)
		if err != nil {
			return err
		}
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		attempt := `attempt`
		if progress {
			attempt = `1`
		}
		// The fence first: a runner that lost the job must not even try the rest.
		var id string
		err = tx.QueryRow(`UPDATE job SET cursor = ?, updated = ?, attempt = `+attempt+fenced+` RETURNING id`,
			[]any{sealed, now, j.ID, j.fence}, &id)
		if err != nil {
			return lost(err)
		}
		if fn == nil {
			return nil
		}
		return fn(tx)
	})
}

func (t *table) finish(ctx context.Context, j Job, o outcome, done func(*store.Tx, State) error) error {
	to, err := Lifecycle.Next(Running, o.event)
	if err != nil {
		return fmt.Errorf("BUG: %w", err)
	}
	return t.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		var failure []byte
		if o.err != nil {
			if failure, err = tx.Seal(j.KeyARN, identity(j.ID, "error"), []byte(o.err.Error())); err != nil {
				// A key that was switched off must not keep its job from ending.
				failure = nil
			}
		}
		set, args := `state = ?, updated = ?, owner = '', lease_until = 0, scheduled_at = ?`,
			[]any{string(to), now, now + o.wait.Microseconds()}
		if failure != nil {
			set, args = set+`, error = ?`, append(args, failure)
		}
		if o.keep {
			set += `, attempt = attempt - 1`
		}
		if Lifecycle.Final(to) {
			set, args = set+`, finished = ?, unique_live = NULL`, append(args, now)
		}
		var id string
		err = tx.QueryRow(`UPDATE job SET `+set+fenced+` RETURNING id`, append(args, j.ID, j.fence), &id)
		if err != nil {
			return lost(err)
		}
		if !Lifecycle.Final(to) {
			tx.Publish(topicNew) // its runner computes the next due time anew
			return nil
		}
		return done(tx, to)
	})
}

// forget removes a job; its records go with it.
func forget(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM job WHERE id = ?`, id)
	return err
}

func (t *table) sweep(ctx context.Context, keep time.Duration) error {
	for {
		var jobs, tokens int64
		err := t.store.Update(ctx, func(tx *store.Tx) error {
			now, err := tx.Clock()
			if err != nil {
				return err
			}
			jobs, err = tx.Exec(`DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished > 0 AND finished < ? LIMIT 200)`,
				now-keep.Microseconds())
			if err != nil {
				return err
			}
			tokens, err = tx.SweepTokens(1000)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep old jobs: %w", err)
		}
		if jobs < 200 && tokens < 1000 {
			return nil
		}
	}
}

func (t *table) subscribe() (fresh, stop <-chan struct{}, end func()) {
	fresh, endFresh := t.store.Subscribe(topicNew)
	stop, endStop := t.store.Subscribe(topicStop)
	return fresh, stop, func() { endFresh(); endStop() }
}
