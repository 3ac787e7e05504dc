package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"time"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// Config says what the room works with. Store is needed. The zero limits are what AWS
// has today; its service model does not name them.
type Config struct {
	Store *store.Store
	Now   func() time.Time // of the service clock; nil is time.Now
	// Idle is how long a session stays ACTIVE without a change; 0 is an hour.
	Idle time.Duration
	// Retention is how long a session is kept without a change, in whatever state; 0 is
	// 30 days.
	Retention time.Duration
	// Steps a session may have over all its invocations; 0 is 1000.
	Steps int
	// StepBytes is the size of a step's texts and images; 0 is 50 MB.
	StepBytes int
	// Every is how often Run looks for sessions that are over; 0 is an hour.
	Every time.Duration
	Log   *slog.Logger
}

// Sessions answers the operations on sessions, invocations and steps.
type Sessions struct{ cfg Config }

// New returns the operations; it starts nothing.
func New(c Config) *Sessions {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Idle, c.Retention = cmp.Or(c.Idle, time.Hour), cmp.Or(c.Retention, 30*24*time.Hour)
	c.Steps, c.StepBytes = cmp.Or(c.Steps, 1000), cmp.Or(c.StepBytes, 50_000_000)
	c.Every, c.Log = cmp.Or(c.Every, time.Hour), cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Sessions{cfg: c}
}

// sessionRow is the body of a session.
type sessionRow struct {
	Metadata map[string]string `json:"metadata,omitempty"`
}

// invocationRow is the body of an invocation; its parent is the session's id.
type invocationRow struct {
	Description string `json:"description,omitempty"`
}

// The kinds. A step's parent is the session's id, its target the invocation's and its
// source the time that the caller gave it: lists show them and open no body.
var (
	sessions    = store.Kind[sessionRow]{Name: "session", SharedNames: true}
	invocations = store.Kind[invocationRow]{Name: "session-invocation", SharedNames: true}
	steps       = store.Kind[stepRow]{Name: "session-step", SharedNames: true}
)

func key(c *call.Call) store.Key { return store.Key{Account: c.Account, Region: c.Region} }

func sessionARN(c *call.Call, id string) string { return c.ARN("session/" + id) }

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func missing(identifier string) error {
	return apierr.New(apierr.ResourceNotFound, "The session %s was not found.", identifier)
}

// keyOf names the row of a session that is given by id or ARN.
func keyOf(c *call.Call, identifier string) (store.Key, error) {
	k := key(c)
	k.ID = identifier
	if strings.HasPrefix(identifier, "arn:") {
		name, err := arn.Parse(identifier)
		if err != nil || name.Service != "bedrock" || name.Type() != "session" || name.Account != c.Account || name.Region != c.Region {
			return k, missing(identifier)
		}
		k.ID = name.ID()
	}
	return k, nil
}

// find reads a session; its body stays shut unless open.
func (s *Sessions) find(tx *store.Tx, c *call.Call, identifier string, open bool) (store.Record[sessionRow], error) {
	k, err := keyOf(c, identifier)
	if err != nil {
		return store.Record[sessionRow]{}, err
	}
	read := sessions.Head
	if open {
		read = sessions.Get
	}
	rec, err := read(tx, k)
	if errors.Is(err, store.ErrNotFound) || err == nil && !s.kept(rec.Updated) {
		return rec, missing(identifier)
	}
	return rec, err
}

func (s *Sessions) kept(updated time.Time) bool {
	return s.cfg.Now().Before(updated.Add(s.cfg.Retention))
}

func (s *Sessions) status(rec *store.Record[sessionRow]) runtime.SessionStatus {
	st := runtime.SessionStatus(rec.Status)
	if st == runtime.SessionStatusActive && !s.cfg.Now().Before(rec.Updated.Add(s.cfg.Idle)) {
		return runtime.SessionStatusExpired
	}
	return st
}

// active reads a session that can be added to.
func (s *Sessions) active(tx *store.Tx, c *call.Call, identifier string) (store.Record[sessionRow], error) {
	rec, err := s.find(tx, c, identifier, false)
	if err != nil {
		return rec, err
	}
	if st := s.status(&rec); st != runtime.SessionStatusActive {
		return rec, apierr.New(apierr.Conflict, "The session %s is %s and cannot be changed. Create a new session.", rec.ID, st)
	}
	return rec, nil
}

// touch notes that a session has changed.
func touch(tx *store.Tx, k store.Key) error {
	return sessions.SetStatus(tx, k, string(runtime.SessionStatusActive))
}

// CreateSession makes an empty session.
func (s *Sessions) CreateSession(ctx context.Context, in *runtime.CreateSessionInput) (*runtime.CreateSessionOutput, error) {
	c := call.From(ctx)
	k := key(c)
	k.ID = newID()
	name := sessionARN(c, k.ID)
	cols := store.Columns{Status: string(runtime.SessionStatusActive)}
	if in.EncryptionKeyArn != nil {
		cols.KeyARN = *in.EncryptionKeyArn
	}
	tags := tag.FromMap(in.Tags)
	if err := tag.Check(name, nil, tags); err != nil {
		return nil, failure(err)
	}
	var rec store.Record[sessionRow]
	err := s.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if rec, err = sessions.Create(tx, k, sessionRow{Metadata: in.SessionMetadata}, cols); err != nil {
			return err
		}
		return tx.PutTags(name, tags)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.CreateSessionOutput{CreatedAt: rec.Created, SessionArn: name, SessionId: rec.ID, SessionStatus: runtime.SessionStatusActive}, nil
}

// GetSession reads a session by id or ARN.
func (s *Sessions) GetSession(ctx context.Context, in *runtime.GetSessionInput) (*runtime.GetSessionOutput, error) {
	c := call.From(ctx)
	var rec store.Record[sessionRow]
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = s.find(tx, c, in.SessionIdentifier, true)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &runtime.GetSessionOutput{
		CreatedAt: rec.Created, LastUpdatedAt: rec.Updated, SessionArn: sessionARN(c, rec.ID), SessionId: rec.ID,
		SessionMetadata: rec.Body.Metadata, SessionStatus: s.status(&rec),
	}
	if rec.KeyARN != "" {
		out.EncryptionKeyArn = new(rec.KeyARN)
	}
	return out, nil
}

// UpdateSession replaces the metadata of an active session.
func (s *Sessions) UpdateSession(ctx context.Context, in *runtime.UpdateSessionInput) (*runtime.UpdateSessionOutput, error) {
	c := call.From(ctx)
	var rec store.Record[sessionRow]
	err := s.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if rec, err = s.active(tx, c, in.SessionIdentifier); err != nil {
			return err
		}
		rec.Body = sessionRow{Metadata: in.SessionMetadata}
		rec, err = sessions.Put(tx, rec)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.UpdateSessionOutput{
		CreatedAt: rec.Created, LastUpdatedAt: rec.Updated, SessionArn: sessionARN(c, rec.ID), SessionId: rec.ID, SessionStatus: s.status(&rec),
	}, nil
}

// EndSession ends a session; one that has ended stays so.
func (s *Sessions) EndSession(ctx context.Context, in *runtime.EndSessionInput) (*runtime.EndSessionOutput, error) {
	c := call.From(ctx)
	var id string
	err := s.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := s.find(tx, c, in.SessionIdentifier, false)
		if id = rec.ID; err != nil || rec.Status == string(runtime.SessionStatusEnded) {
			return err
		}
		return sessions.SetStatus(tx, rec.Key, string(runtime.SessionStatusEnded))
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.EndSessionOutput{SessionArn: sessionARN(c, id), SessionId: id, SessionStatus: runtime.SessionStatusEnded}, nil
}

// DeleteSession removes a session that is not active, with all that is in it.
func (s *Sessions) DeleteSession(ctx context.Context, in *runtime.DeleteSessionInput) (*runtime.DeleteSessionOutput, error) {
	c := call.From(ctx)
	err := s.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := s.find(tx, c, in.SessionIdentifier, false)
		if err != nil {
			return err
		}
		if s.status(&rec) == runtime.SessionStatusActive {
			return apierr.New(apierr.Conflict, "The session %s is ACTIVE. End it with EndSession before you delete it.", rec.ID)
		}
		return remove(tx, rec.Key, sessionARN(c, rec.ID))
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.DeleteSessionOutput{}, nil
}

// remove deletes a session with its invocations, steps and tags.
func remove(tx *store.Tx, k store.Key, name string) error {
	inside := store.Key{Account: k.Account, Region: k.Region, Parent: k.ID}
	if _, err := steps.DeleteIn(tx, inside); err != nil {
		return err
	}
	if _, err := invocations.DeleteIn(tx, inside); err != nil {
		return err
	}
	if err := sessions.Delete(tx, k); err != nil {
		return err
	}
	return tx.Forget(name)
}

// ListSessions lists the account's sessions in the Region, the newest first.
func (s *Sessions) ListSessions(ctx context.Context, in *runtime.ListSessionsInput) (*runtime.ListSessionsOutput, error) {
	c := call.From(ctx)
	q := query(c, "", in.MaxResults, in.NextToken)
	var l store.Page[sessionRow]
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		l, err = sessions.List(tx, q)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &runtime.ListSessionsOutput{SessionSummaries: []runtime.SessionSummary{}, NextToken: optional.Of(l.Next)}
	for i := range l.Records {
		rec := &l.Records[i]
		if !s.kept(rec.Updated) {
			continue // Run has not come by yet
		}
		out.SessionSummaries = append(out.SessionSummaries, runtime.SessionSummary{
			CreatedAt: rec.Created, LastUpdatedAt: rec.Updated, SessionArn: sessionARN(c, rec.ID), SessionId: rec.ID, SessionStatus: s.status(rec),
		})
	}
	return out, nil
}

func query(c *call.Call, parent string, size *int, token *string) store.Query {
	q := store.Query{Account: c.Account, Region: c.Region, Parent: parent, Desc: true, Clear: true}
	if size != nil {
		q.Limit = *size
	}
	if token != nil {
		q.Cursor = *token
	}
	return q
}

// Exists reports whether an ARN names a session of the caller.
func (s *Sessions) Exists(ctx context.Context, name string) (bool, error) {
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := s.find(tx, call.From(ctx), name, false)
		return err
	})
	if apierr.KindOf(err) == apierr.ResourceNotFound {
		return false, nil
	}
	return err == nil, err
}

// failure turns what the store answers into what the wire knows.
func failure(err error) error {
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.TooManyTags { // this service calls it a quota
		return apierr.Wrap(apierr.ServiceQuotaExceeded, err, "%s", e.Message)
	}
	return kms.Failure(err, "The session was not found.", "The session is being changed by another request. Try again.")
}

// sweepBatch is how many sessions one pass of the sweep removes in a transaction.
const sweepBatch = 50

// Sweep removes sessions that have not changed for the time of retention and answers
// how many.
func (s *Sessions) Sweep(ctx context.Context) (n int, err error) {
	q := store.Query{Everywhere: true, Clear: true, Limit: sweepBatch}
	for {
		var l store.Page[sessionRow]
		if err := s.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			l, err = sessions.List(tx, q)
			return err
		}); err != nil {
			return n, err
		}
		for i := range l.Records {
			rec := &l.Records[i]
			if s.kept(rec.Updated) {
				continue
			}
			removed := false
			err := s.cfg.Store.Update(ctx, func(tx *store.Tx) error {
				removed = false
				now, err := sessions.Head(tx, rec.Key)
				if errors.Is(err, store.ErrNotFound) || err == nil && s.kept(now.Updated) {
					return nil
				}
				if err != nil {
					return err
				}
				removed = true
				return remove(tx, rec.Key, arn.New("bedrock", rec.Region, rec.Account, "session/"+rec.ID).String())
			})
			if err != nil {
				return n, err
			}
			if removed {
				n++
			}
		}
		// The oldest come first: behind one that was made within the time none is over.
		if l.Next == "" || len(l.Records) > 0 && s.kept(l.Records[len(l.Records)-1].Created) {
			return n, nil
		}
		q.Cursor = l.Next
	}
}

// Run sweeps now and then until ctx ends.
func (s *Sessions) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "sessions that are over were not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
