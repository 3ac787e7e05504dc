package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// Kind is a kind of work.
type Kind struct {
	// Name stands in the table; it never changes.
	Name string
	// Run does the work and returns nil when all of it is done. Its context ends with
	// cause ErrStopped, ErrShutdown or ErrLost; it then returns soon, with any error.
	// A panic is an error. It may run again from its last checkpoint at any time.
	Run func(ctx context.Context, h *Handle) error
	// Done, if set, runs in the transaction that ends the job, so that the resource
	// and its job change as one: state is Completed, Discarded or Cancelled, cause is
	// why (nil for Completed). Like every transaction it may be repeated. An error
	// leaves the job unfinished and is tried again.
	Done func(tx *store.Tx, j Job, state State, cause error) error
	// Forget removes a job with its records as it completes, for kinds of which many
	// come and nobody asks afterwards. Those that did not complete stay.
	Forget bool
	// Limit bounds how many jobs of the kind this process runs at once; 0: no bound
	// but Config.Slots.
	Limit int
	// MaxAttempts is the default of Spec.MaxAttempts; 0 means 5.
	MaxAttempts int
	// Backoff is the wait before attempt n+1 after n failed; nil means doubling from
	// one second up to five minutes, give or take a tenth.
	Backoff func(attempt int) time.Duration
}

// Handle is a running job in the hands of its Run. It is for one goroutine.
type Handle struct {
	Job
	// Log carries the job's id and kind.
	Log *slog.Logger

	queue  queue
	now    []byte // cursor, plain
	plain  []byte // args, plain
	failed error  // opening args or cursor
}

// Args decodes the arguments.
func (h *Handle) Args(into any) error {
	if h.failed != nil {
		return h.failed
	}
	if err := json.Unmarshal(h.plain, into); err != nil {
		return fmt.Errorf("decode arguments of job %s: %w", h.ID, err)
	}
	return nil
}

// Cursor decodes the cursor of the last checkpoint; found is false on a first run.
func (h *Handle) Cursor(into any) (found bool, err error) {
	if h.failed != nil {
		return false, h.failed
	}
	if h.now == nil {
		return false, nil
	}
	if err := json.Unmarshal(h.now, into); err != nil {
		return false, fmt.Errorf("decode cursor of job %s: %w", h.ID, err)
	}
	return true, nil
}

// Checkpoint saves the cursor and whatever fn writes, records and the room's own
// rows, in one transaction and under the fence: ErrLost when another runner has the
// job. A cursor that moved counts as progress and makes the attempts start anew.
// fn may be nil.
func (h *Handle) Checkpoint(ctx context.Context, cursor any, fn func(tx *store.Tx) error) error {
	plain, err := json.Marshal(cursor)
	if err != nil {
		return fmt.Errorf("encode cursor of job %s: %w", h.ID, err)
	}
	progress := !bytes.Equal(plain, h.now)
	if err := h.queue.checkpoint(ctx, h.Job, plain, progress, fn); err != nil {
		return fmt.Errorf("checkpoint of job %s: %w", h.ID, err)
	}
	h.now = plain
	if progress {
		h.Attempt = 1
	}
	return nil
}

// Record writes one record of output inside a Checkpoint. fresh is false when the
// name was written before: the first one stays.
func (h *Handle) Record(tx *store.Tx, name string, body any) (fresh bool, err error) {
	plain, err := json.Marshal(body)
	if err != nil {
		return false, fmt.Errorf("encode record %s: %w", name, err)
	}
	sealed, err := tx.Seal(h.KeyARN, identity(h.ID, "record", name), plain)
	if err != nil {
		return false, fmt.Errorf("seal record %s: %w", name, err)
	}
	n, err := tx.Exec(`INSERT INTO job_record (job_id, name, at, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		h.ID, name, tx.Now.UnixMicro(), sealed)
	if err != nil {
		return false, fmt.Errorf("write record %s: %w", name, err)
	}
	return n == 1, nil
}

// outcome is how a run ended and what is to be written of it.
type outcome struct {
	event Event
	wait  time.Duration // until the next run, for Fail, Defer
	err   error
	keep  bool // the attempt does not count
}

// judge turns what Run returned into an outcome; ok is false when nothing may be
// written because the lease is another's.
func judge(k Kind, j Job, err, cause error) (o outcome, ok bool) {
	var put snooze
	var bad discard
	switch {
	case err == nil:
		return outcome{event: Complete}, true // done is done, even when it was told to stop
	case errors.Is(cause, ErrLost) || errors.Is(err, ErrLost):
		return outcome{}, false
	case errors.Is(cause, ErrStopped):
		return outcome{event: Cancel, err: ErrStopped}, true
	case errors.Is(cause, ErrShutdown):
		return outcome{event: Release, keep: true}, true
	case errors.As(err, &put):
		return outcome{event: Defer, wait: put.d, keep: true}, true
	case errors.As(err, &bad):
		return outcome{event: GiveUp, err: bad.err}, true
	case j.Attempt >= j.MaxAttempts:
		return outcome{event: GiveUp, err: err}, true
	}
	return outcome{event: Fail, wait: k.Backoff(j.Attempt), err: err}, true
}
