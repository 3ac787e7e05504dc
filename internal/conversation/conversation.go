package conversation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// What Begin and the methods of a Turn may answer beside the store's errors.
var (
	// ErrBusy: a turn of the session runs.
	ErrBusy = errors.New("conversation: a turn of this session is running")
	// ErrUnsure: the interrupted turn that was asked for again had begun a step whose
	// outcome nobody knows. It has failed now and is not repeated.
	ErrUnsure = errors.New("conversation: the outcome of a step is not known")
	// ErrLost: another process has taken over the session, or it has ended.
	ErrLost = errors.New("conversation: the turn is not this process's any more")
)

// FailedError answers a request that is answered once and whose turn failed for good.
type FailedError struct{ Record []byte }

func (e *FailedError) Error() string { return "conversation: the turn of this request has failed" }

// Key names a session. Owner is whose session it is: an agent, or a word for the
// feature; Alias narrows it and may be empty.
type Key struct{ Account, Region, Owner, Alias, ID string }

// Config says what Sessions work with. Store is required.
type Config struct {
	Store *store.Store
	// Holder names this process among all that use the database; "" makes a name.
	Holder string
	// Lease is how long a turn stays a process's own without a renewal, where others
	// may take it over; 0 means 15 s.
	Lease time.Duration
	// Ended, if set, runs in the transaction that ends a session, while its rows are
	// still there. An error keeps the session; the sweep tries again.
	Ended func(tx *store.Tx, e *Ended) error
	// Every is how often Run looks for expired sessions; 0 means a minute.
	Every time.Duration
	Log   *slog.Logger
}

// Sessions are all sessions of a store.
type Sessions struct {
	store  *store.Store
	holder string
	lease  time.Duration
	ended  func(*store.Tx, *Ended) error
	every  time.Duration
	log    *slog.Logger
	alone  bool
	shared sharing

	attempts attempts
}

// New makes the service; it starts nothing.
func New(c Config) *Sessions {
	return &Sessions{
		store: c.Store, holder: cmp.Or(c.Holder, rand.Text()), lease: cmp.Or(c.Lease, 15*time.Second), ended: c.Ended,
		every: cmp.Or(c.Every, time.Minute), log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), alone: c.Store.Driver().Exclusive(),
	}
}

// Opening is what Begin is asked.
type Opening struct {
	Key    Key
	KeyARN string        // customer key that seals a new session
	TTL    time.Duration // of the session, from now and from the end of the turn
	Memory string        // id under which a new session is remembered, "" for none
	// Request names what is asked. A turn that was interrupted goes on when the same
	// is asked again, and is given up when something else is.
	Request string
	// Once: the request has one answer. When its turn has ended, Begin answers the
	// record instead of a new turn.
	Once bool
	// Call names the attempt of a client that may send it again, "" for none: when its
	// turn has ended, Begin answers the record.
	Call string
	// History bounds how many records of earlier turns are read, the newest; 0 is all.
	History int
}

// Session is a session as a turn finds it.
type Session struct {
	Key
	Created time.Time
	Fresh   bool     // it began with this turn
	Memory  string   // as its first turn said
	State   []byte   // of the last turn that finished, nil when none did
	History [][]byte // records of finished turns, the oldest first
}

// Ended is a session that ends.
type Ended struct {
	Key
	KeyARN  string
	Memory  string
	Created time.Time
	At      time.Time // it ends by request now, or has been over since then

	id string
	tx *store.Tx
}

// Records reads the records of its turns, the oldest first.
func (e *Ended) Records() ([][]byte, error) { return records(e.tx, e.id, e.KeyARN, 0) }

// row is a row of the table conversation.
type row struct {
	id, keyARN, memory     string
	ttl, created, expires  int64
	turns, running         int64
	request, holder        string
	lease, fence           int64
	state                  []byte
	account, region, owner string
	alias, session         string
}

const sessionColumns = `id, key_arn, memory, ttl, created, expires, turns, running, request, holder, lease, fence, state,
	account, region, owner, alias, session`

func (r *row) into() []any {
	return []any{
		&r.id, &r.keyARN, &r.memory, &r.ttl, &r.created, &r.expires, &r.turns, &r.running, &r.request, &r.holder, &r.lease, &r.fence, &r.state,
		&r.account, &r.region, &r.owner, &r.alias, &r.session,
	}
}

func (r *row) key() Key { return Key{r.account, r.region, r.owner, r.alias, r.session} }

const whereSession = ` WHERE account = ? AND region = ? AND owner = ? AND alias = ? AND session = ?`

func (k Key) args() []any { return []any{k.Account, k.Region, k.Owner, k.Alias, k.ID} }

func find(tx *store.Tx, k Key) (*row, error) {
	r := new(row)
	err := tx.QueryRow(findSQL, k.args(), r.into()...)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // no session is an ordinary answer
	}
	if err != nil {
		return nil, fmt.Errorf("find session %s: %w", k.ID, err)
	}
	return r, nil
}

// clock is the clock of leases, 0 where there are none.
func (s *Sessions) clock(tx *store.Tx) (int64, error) {
	if s.alone {
		return 0, nil
	}
	return tx.Clock()
}

// busy reports whether the session's turn is in living hands.
func (s *Sessions) busy(r *row, clock int64) bool {
	switch {
	case r.running == 0 || r.holder == "":
		return false
	case s.alone:
		return r.holder == s.holder
	default:
		return r.lease > clock
	}
}

// Begin opens the session, making it when it is not there or over, and begins a
// turn in it, or goes on with the one that was interrupted. Exactly one of turn and
// record is set; the caller ends the turn.
func (s *Sessions) Begin(ctx context.Context, o Opening) (turn *Turn, record []byte, err error) {
	var refused error // committed all the same
	err = s.update(ctx, o.KeyARN, func(tx *store.Tx, shared bool) error {
		turn, record, refused = nil, nil, nil
		clock, err := s.clock(tx)
		if err != nil {
			return err
		}
		r, err := find(tx, o.Key)
		if err != nil {
			return err
		}
		if r != nil && s.busy(r, clock) {
			return ErrBusy
		}
		if r != nil && shared && r.keyARN != "" {
			return errAlone // the agent's key was taken away, the session's is still there
		}
		if r != nil && r.expires <= tx.Now.UnixMicro() {
			if err := s.end(tx, r, time.UnixMicro(r.expires).UTC()); err != nil {
				return err
			}
			r = nil
		}
		fresh := r == nil
		if fresh {
			r = &row{id: rand.Text(), keyARN: o.KeyARN, memory: o.Memory, created: tx.Now.UnixMicro()}
		}
		t := &Turn{sessions: s, id: r.id, keyARN: r.keyARN, ttl: o.TTL, call: o.Call, Session: Session{
			Key: o.Key, Created: time.UnixMicro(r.created).UTC(), Fresh: fresh, Memory: r.memory,
		}}
		if !fresh && (o.Once || o.Call != "") {
			if record, err = s.answered(tx, r, &o); record != nil || err != nil {
				return err
			}
		}
		number := r.turns + 1
		if r.running != 0 {
			number = r.running
			if r.request == o.Request {
				if t.Steps, err = steps(tx, r); err != nil {
					return err
				}
				t.Resumed = true
				for i := range t.Steps {
					if t.Steps[i].Result == nil {
						refused = ErrUnsure
						return s.fail(tx, r, number)
					}
				}
			} else if err := forget(tx, r.id, number); err != nil {
				return err
			}
		}
		t.Number, t.fence = number, r.fence+1
		if !fresh {
			if r.state != nil {
				if t.Session.State, err = tx.Unseal(r.keyARN, []string{"conversation", r.id, "state"}, r.state); err != nil {
					return fmt.Errorf("open session %s: %w", o.Key.ID, err)
				}
			}
			if t.Session.History, err = records(tx, r.id, r.keyARN, o.History); err != nil {
				return err
			}
		}
		if err := s.hold(tx, r, t, o, clock); err != nil {
			return err
		}
		turn = t
		return nil
	})
	switch {
	case err != nil:
		return nil, nil, err
	case refused != nil:
		return nil, nil, refused
	case turn != nil && !s.alone:
		turn.keep(ctx)
	}
	return turn, record, nil
}

// hold writes who runs which turn.
func (s *Sessions) hold(tx *store.Tx, r *row, t *Turn, o Opening, clock int64) error {
	lease := int64(0)
	if !s.alone {
		lease = clock + s.lease.Microseconds()
	}
	expires := tx.Now.Add(o.TTL).UnixMicro()
	if t.Session.Fresh {
		_, err := tx.Exec(openSQL,
			append([]any{r.id, r.keyARN, r.memory, o.TTL.Microseconds(), r.created, expires, t.Number, o.Request, s.holder, lease, t.fence}, o.Key.args()...)...)
		if err != nil {
			return fmt.Errorf("begin session %s: %w", o.Key.ID, err)
		}
		return nil
	}
	n, err := tx.Exec(holdSQL,
		t.Number, o.Request, s.holder, lease, t.fence, o.TTL.Microseconds(), expires, r.id, r.fence)
	if err == nil && n == 0 {
		err = ErrLost
	}
	if err != nil {
		return fmt.Errorf("begin a turn of session %s: %w", o.Key.ID, err)
	}
	return nil
}

// answered looks for the turn that has answered a request, or this attempt at one.
func (s *Sessions) answered(tx *store.Tx, r *row, o *Opening) ([]byte, error) {
	cond, args := `request = ?`, []any{r.id, o.Request}
	switch {
	case o.Once && o.Call != "":
		cond, args = `(request = ? OR call = ?)`, append(args, o.Call)
	case !o.Once:
		cond, args = `call = ?`, []any{r.id, o.Call}
	}
	var number int64
	var status string
	var sealed []byte
	err := tx.QueryRow(`SELECT number, status, record FROM conversation_turn WHERE conversation = ? AND `+cond+` ORDER BY number DESC LIMIT 1`,
		args, &number, &status, &sealed)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for an answered request: %w", err)
	}
	record, err := tx.Unseal(r.keyARN, recordIdentity(r.id, number), sealed)
	if err != nil {
		return nil, fmt.Errorf("open an answered request: %w", err)
	}
	if status == statusFailed {
		return nil, &FailedError{Record: record}
	}
	if record == nil {
		record = []byte{}
	}
	return record, nil
}

// fail ends the interrupted turn of a session for good.
func (s *Sessions) fail(tx *store.Tx, r *row, number int64) error {
	sealed, err := tx.Seal(r.keyARN, recordIdentity(r.id, number), nil)
	if err != nil {
		return fmt.Errorf("seal a failed turn: %w", err)
	}
	if err := insertTurn(tx, r.id, number, statusFailed, r.request, "", sealed); err != nil {
		return err
	}
	if err := forget(tx, r.id, number); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE conversation SET running = 0, holder = '', request = '', turns = ?, fence = fence + 1 WHERE id = ?`, number, r.id)
	return err
}

// The ends of a turn.
const (
	statusDone   = "done"
	statusFailed = "failed"
)

func recordIdentity(id string, number int64) []string {
	return []string{"conversation", id, "record", fmt.Sprint(number)}
}

func insertTurn(tx *store.Tx, id string, number int64, status, request, call string, sealed []byte) error {
	_, err := tx.Exec(turnSQL,
		id, number, status, request, call, tx.Now.UnixMicro(), sealed)
	if err != nil {
		return fmt.Errorf("end turn %d: %w", number, err)
	}
	return nil
}

// forget removes the steps of a turn.
func forget(tx *store.Tx, id string, number int64) error {
	if _, err := tx.Exec(forgetSQL, id, number); err != nil {
		return fmt.Errorf("forget the steps of turn %d: %w", number, err)
	}
	return nil
}

// records reads what finished turns left, the oldest first.
func records(tx *store.Tx, id, keyARN string, newest int) ([][]byte, error) {
	query, args := recordsSQL, []any{id}
	if newest > 0 {
		query, args = recordsSQL+limitSQL, append(args, newest)
	}
	var out [][]byte
	err := tx.Query(query, args,
		func(row store.Row) error {
			var number int64
			var sealed []byte
			if err := row.Scan(&number, &sealed); err != nil {
				return err
			}
			plain, err := tx.Unseal(keyARN, recordIdentity(id, number), sealed)
			out = append(out, plain)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read the turns of a session: %w", err)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// steps reads the steps of the interrupted turn, in order.
func steps(tx *store.Tx, r *row) ([]Step, error) {
	var out []Step
	err := tx.Query(`SELECT number, intent, result FROM conversation_step WHERE conversation = ? AND turn = ? ORDER BY number`, []any{r.id, r.running},
		func(row store.Row) error {
			var st Step
			var intent, result []byte
			err := row.Scan(&st.Number, &intent, &result)
			if err != nil {
				return err
			}
			if st.Intent, err = tx.Unseal(r.keyARN, stepIdentity(r.id, r.running, st.Number, "intent"), intent); err != nil {
				return err
			}
			if result != nil {
				if st.Result, err = tx.Unseal(r.keyARN, stepIdentity(r.id, r.running, st.Number, "result"), result); err != nil {
					return err
				}
				if st.Result == nil {
					st.Result = []byte{}
				}
			}
			out = append(out, st)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the steps of an interrupted turn: %w", err)
	}
	return out, nil
}

func stepIdentity(id string, turn, number int64, part string) []string {
	return []string{"conversation", id, "step", fmt.Sprint(turn), fmt.Sprint(number), part}
}
