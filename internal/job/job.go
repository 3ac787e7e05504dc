package job

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// State is where a job stands. The words are River's, so that a later move to it
// is a migration of rows and not of meaning.
type State string

// The states of a job.
const (
	// Available: may run from its scheduled time on.
	Available State = "available"
	// Running: a runner holds its lease.
	Running State = "running"
	// Retryable: failed at least once, will run again at its scheduled time.
	Retryable State = "retryable"
	// Completed: Run returned nil. Final.
	Completed State = "completed"
	// Discarded: failed for good. Final.
	Discarded State = "discarded"
	// Cancelled: somebody asked it to stop, and it did. Final.
	Cancelled State = "cancelled"
)

// Event is what happens to a job.
type Event string

// The events of a job.
const (
	Claim    Event = "claim"
	Complete Event = "complete"
	Fail     Event = "fail"
	GiveUp   Event = "give up"
	Cancel   Event = "cancel"
	Defer    Event = "snooze"
	Release  Event = "release"
)

// Lifecycle is the table of states; the runner asks it before each write.
var Lifecycle = lifecycle.New("job", Available, []lifecycle.Step[State, Event]{
	{From: Available, On: Claim, To: Running},
	{From: Running, On: Complete, To: Completed},
	{From: Running, On: Fail, To: Retryable},
	{From: Running, On: GiveUp, To: Discarded},
	{From: Running, On: Cancel, To: Cancelled},
	{From: Running, On: Defer, To: Available},
	{From: Running, On: Release, To: Available},
	{From: Retryable, On: Claim, To: Running},
})

// Causes of a running job's cancelled context (context.Cause).
var (
	// ErrStopped: somebody called Stop; return soon, the job ends Cancelled.
	ErrStopped = errors.New("job: stop was asked for")
	// ErrShutdown: the process ends; return soon, the job goes on elsewhere or later.
	ErrShutdown = errors.New("job: the process is shutting down")
	// ErrLost: the lease went to another runner; nothing this run writes counts.
	ErrLost = errors.New("job: lease lost")
)

// ErrTooManyAttempts is why a job is discarded that ended its process, or lost its
// lease, as often as it may be tried.
var ErrTooManyAttempts = errors.New("job: the process died or stalled at every attempt")

// Spec describes a job to enqueue.
type Spec struct {
	// Kind is the name of a registered kind.
	Kind            string
	Account, Region string
	// ID names the job; empty gets a random one. An id that exists is an error.
	ID string
	// Args is encoded to JSON and sealed.
	Args any
	// Unique, if not empty, allows one unfinished job of the kind in the account and
	// Region with this key.
	Unique string
	// Delay puts the first attempt off.
	Delay time.Duration
	// MaxAttempts is how many attempts without progress are made; 0 means the kind's.
	MaxAttempts int
	// KeyARN is the customer key that seals arguments, cursor, records and error.
	KeyARN string
}

// Job is a job as it stands in the table.
type Job struct {
	ID, Kind        string
	Account, Region string
	State           State
	// Attempt counts runs since the cursor last moved, the present one included.
	Attempt, MaxAttempts int
	// Scheduled, Created and Updated are by the lease clock, Finished is zero before
	// the end.
	Scheduled, Created, Updated, Finished time.Time
	// Stop tells that somebody asked it to stop.
	Stop   bool
	KeyARN string

	owner        string
	fence        int64
	args, cursor []byte // sealed
	err          []byte // sealed
}

// Topics of the store that wake runners.
const (
	topicNew  = "job.new"
	topicStop = "job.stop"
)

// Enqueue writes a job in the caller's transaction; it starts after the commit.
// fresh is false when an unfinished job holds spec.Unique already: its id comes
// back and nothing is written.
func Enqueue(tx *store.Tx, spec Spec) (id string, fresh bool, err error) {
	if spec.Kind == "" {
		return "", false, errors.New("BUG: job without a kind")
	}
	if spec.ID == "" {
		spec.ID = strings.ToLower(rand.Text())
	}
	plain, err := json.Marshal(spec.Args)
	if err != nil {
		return "", false, fmt.Errorf("encode arguments of %s: %w", spec.Kind, err)
	}
	args, err := tx.Seal(spec.KeyARN, identity(spec.ID, "args"), plain)
	if err != nil {
		return "", false, fmt.Errorf("seal arguments of %s: %w", spec.Kind, err)
	}
	now, err := tx.Clock()
	if err != nil {
		return "", false, err
	}
	var unique any
	if spec.Unique != "" {
		unique = spec.Unique
	}
	n, err := tx.Exec(`INSERT INTO job (id, kind, account, region, state, unique_live, attempt, max_attempts, scheduled_at,
		created, updated, finished, owner, fence, lease_until, stop, key_arn, args)
		VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0, '', 0, 0, 0, ?, ?) ON CONFLICT DO NOTHING`,
		spec.ID, spec.Kind, spec.Account, spec.Region, string(Available), unique, spec.MaxAttempts,
		now+spec.Delay.Microseconds(), now, now, spec.KeyARN, args)
	if err != nil {
		return "", false, fmt.Errorf("enqueue %s: %w", spec.Kind, err)
	}
	if n == 1 {
		tx.Publish(topicNew)
		return spec.ID, true, nil
	}
	if spec.Unique != "" {
		err = tx.QueryRow(`SELECT id FROM job WHERE kind = ? AND account = ? AND region = ? AND unique_live = ?`,
			[]any{spec.Kind, spec.Account, spec.Region, spec.Unique}, &id)
		if err == nil {
			return id, false, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", false, fmt.Errorf("enqueue %s: %w", spec.Kind, err)
		}
	}
	return "", false, fmt.Errorf("enqueue %s: id %s: %w", spec.Kind, spec.ID, store.ErrExists)
}

// Stop asks a job to stop, whether it runs or waits; it ends Cancelled soon after
// the commit, through Kind.Done. asked is false when it has ended already.
func Stop(tx *store.Tx, id string) (asked bool, err error) {
	now, err := tx.Clock()
	if err != nil {
		return false, err
	}
	// A waiting job is due at once, so that a runner takes it up and ends it.
	n, err := tx.Exec(`UPDATE job SET stop = 1, updated = ?, scheduled_at = CASE WHEN scheduled_at > ? THEN ? ELSE scheduled_at END
		WHERE id = ? AND finished = 0`, now, now, now, id)
	if err != nil {
		return false, fmt.Errorf("stop job %s: %w", id, err)
	}
	if n == 1 {
		tx.Publish(topicStop)
		tx.Publish(topicNew)
		return true, nil
	}
	if _, err := Get(tx, id); err != nil {
		return false, err
	}
	return false, nil
}

const columns = `id, kind, account, region, state, attempt, max_attempts, scheduled_at, created, updated, finished, stop,
	key_arn, owner, fence, args, cursor, error`

// Get reads a job; store.ErrNotFound after its retention has passed.
func Get(tx *store.Tx, id string) (Job, error) {
	var found *Job
	err := tx.Query(`SELECT `+columns+` FROM job WHERE id = ?`, []any{id}, func(row store.Row) error {
		j, err := scan(row)
		found = &j
		return err
	})
	if err != nil {
		return Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	if found == nil {
		return Job{}, fmt.Errorf("get job %s: %w", id, store.ErrNotFound)
	}
	return *found, nil
}

func scan(row store.Row) (j Job, err error) {
	var state string
	var scheduled, created, updated, finished, stop int64
	err = row.Scan(&j.ID, &j.Kind, &j.Account, &j.Region, &state, &j.Attempt, &j.MaxAttempts, &scheduled, &created, &updated,
		&finished, &stop, &j.KeyARN, &j.owner, &j.fence, &j.args, &j.cursor, &j.err)
	j.State, j.Stop = State(state), stop != 0
	j.Scheduled, j.Created, j.Updated = time.UnixMicro(scheduled).UTC(), time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if finished > 0 {
		j.Finished = time.UnixMicro(finished).UTC()
	}
	return j, err
}

// Failure answers why the last attempt failed, empty if none did.
func (j Job) Failure(tx *store.Tx) (string, error) {
	if j.err == nil {
		return "", nil
	}
	b, err := tx.Unseal(j.KeyARN, identity(j.ID, "error"), j.err)
	if err != nil {
		return "", fmt.Errorf("open failure of job %s: %w", j.ID, err)
	}
	return string(b), nil
}

// Records calls each with the records of a job in order of their names.
func Records(tx *store.Tx, jobID string, each func(name string, body []byte) error) error {
	j, err := Get(tx, jobID)
	if err != nil {
		return err
	}
	// Pages, so that opening a record never holds a result open.
	const size = 200
	for last := ""; ; {
		type record struct {
			name string
			body []byte
		}
		var batch []record
		err := tx.Query(`SELECT name, body FROM job_record WHERE job_id = ? AND name > ? ORDER BY name LIMIT ?`,
			[]any{jobID, last, size}, func(row store.Row) error {
				var r record
				err := row.Scan(&r.name, &r.body)
				batch = append(batch, r)
				return err
			})
		if err != nil {
			return fmt.Errorf("records of job %s: %w", jobID, err)
		}
		for _, r := range batch {
			plain, err := tx.Unseal(j.KeyARN, identity(jobID, "record", r.name), r.body)
			if err != nil {
				return fmt.Errorf("open record %s of job %s: %w", r.name, jobID, err)
			}
			if err := each(r.name, plain); err != nil {
				return err
			}
			last = r.name
		}
		if len(batch) < size {
			return nil
		}
	}
}

func identity(id string, rest ...string) []string { return append([]string{"job", id}, rest...) }

// snooze and discard are the errors that steer what happens after a run.
type (
	snooze  struct{ d time.Duration }
	discard struct{ err error }
)

func (s snooze) Error() string  { return fmt.Sprintf("job: put off for %v", s.d) }
func (d discard) Error() string { return d.err.Error() }
func (d discard) Unwrap() error { return d.err }

// Snooze makes the error by which Run puts its job off without counting the attempt.
func Snooze(d time.Duration) error { return snooze{d} }

// Discard makes the error by which Run fails its job for good, whatever attempts are
// left.
func Discard(err error) error { return discard{err} }
