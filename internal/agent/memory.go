package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// MemoryConfig says what Memories work with. Store, Aliases and Models are needed; Roles
// and Functions are as in a turn.
type MemoryConfig struct {
	Store     *store.Store
	Aliases   Aliases
	Models    turn.Models
	Roles     turn.Roles
	Functions turn.Functions
	Now       func() time.Time // of the service clock; nil is time.Now
	// Piece is how many bytes of a conversation a model is asked about at once; a longer
	// one is summed up piece by piece. 0 is 16,000, which fits the smallest models.
	Piece int
	// Every is how often Run looks for summaries that are over; 0 is an hour.
	Every time.Duration
	Log   *slog.Logger
}

// Memories keeps what sessions of a user with an agent were about.
//
//	session ends ─▶ Ended: what was said, PENDING, and a job ─▶ model ─▶ summary, READY ─▶ Recall, GetAgentMemory
//
// Both are one row, so that DeleteAgentMemory removes a summary that is still to come.
type Memories struct{ cfg MemoryConfig }

var _ turn.Memory = (*Memories)(nil)

// NewMemories makes Memories; it starts nothing.
func NewMemories(c MemoryConfig) *Memories {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Piece, c.Every, c.Log = cmp.Or(c.Piece, 16_000), cmp.Or(c.Every, time.Hour), cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Memories{cfg: c}
}

// memoryRow is one session. Its parent is the agent; target and source are the memory
// id and the alias, the first as a digest because it may name a person.
type memoryRow struct {
	Memory  string    `json:"memory"`
	Session string    `json:"session"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Expires time.Time `json:"expires,omitzero"` // when it is forgotten
	Said    []said    `json:"said,omitempty"`   // while it is pending
	Summary string    `json:"summary,omitempty"`
}

// said is one turn.
type said struct {
	Input  string `json:"input"`
	Answer string `json:"answer"`
}

var memoryRows = store.Kind[memoryRow]{Name: "agent-memory", SharedNames: true}

// States of a memory row.
const (
	memoryPending = "PENDING"
	memoryReady   = "READY"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// memoryJob names the kind of the jobs that sum sessions up.
const memoryJob = "agent-memory"

// memoryArgs are those of a job. What was said stands in the row.
type memoryArgs struct {
	Agent, Alias, ID string
}

// Ended is for conversation.Config.Ended: it keeps what was said in a session that has
// a memory id, and enqueues the job that sums it up.
func (m *Memories) Ended(tx *store.Tx, e *conversation.Ended) error {
	if e.Memory == "" || e.Owner == inlineOwner {
		return nil
	}
	records, err := e.Records()
	if err != nil {
		return err
	}
	row := memoryRow{Memory: e.Memory, Session: e.ID, Started: e.Created, Ended: e.At}
	for _, b := range records {
		r, err := turn.ReadRecord(b)
		if err != nil {
			return err
		}
		if r.Input != "" || r.Answer != "" {
			row.Said = append(row.Said, said{r.Input, r.Answer})
		}
	}
	if len(row.Said) == 0 {
		return nil
	}
	k := store.Key{Account: e.Account, Region: e.Region, Parent: e.Owner, ID: rand.Text()}
	_, err = memoryRows.Create(tx, k, row, store.Columns{Status: memoryPending, KeyARN: e.KeyARN, Target: digest(e.Memory), Source: e.Alias})
	if err != nil {
		return fmt.Errorf("keep what was said for the memory: %w", err)
	}
	_, _, err = job.Enqueue(tx, job.Spec{
		Kind: memoryJob, ID: k.ID, Account: e.Account, Region: e.Region, Args: memoryArgs{Agent: e.Owner, Alias: e.Alias, ID: k.ID},
	})
	return err
}

// MemoryJobs is the work of summing sessions up. The runner is made before Memories
// are, so they are asked for when a job runs.
func MemoryJobs(of func() *Memories) job.Kind {
	return job.Kind{
		Name: memoryJob, Forget: true, Limit: 2,
		Run: func(ctx context.Context, h *job.Handle) error { return of().sumUp(ctx, h) },
		Done: func(tx *store.Tx, j job.Job, state job.State, cause error) error {
			if state == job.Completed {
				return nil
			}
			of().cfg.Log.Warn("a session was not summed up and is forgotten", "job", j.ID, "error", cause)
			q := store.Query{Account: j.Account, Region: j.Region, AnyParent: true, ID: j.ID, Status: []string{memoryPending}, Clear: true}
			return eachMemory(tx, q, func(rec *store.Record[memoryRow]) error { return gone(memoryRows.Delete(tx, rec.Key)) })
		},
	}
}

// sumUp is one job.
func (m *Memories) sumUp(ctx context.Context, h *job.Handle) error {
	var a memoryArgs
	if err := h.Args(&a); err != nil {
		return job.Discard(err)
	}
	c := &call.Call{Account: h.Account, Region: h.Region, Service: "bedrock-agent-runtime", Operation: "InvokeAgent", Time: m.cfg.Now()}
	ctx = call.With(ctx, c)
	ctx = kms.As(ctx, kms.Asking{House: true, Context: map[string]string{kms.AgentContextKey: c.ARN("agent/" + a.Agent)}})
	k := store.Key{Account: h.Account, Region: h.Region, Parent: a.Agent, ID: a.ID}
	var rec store.Record[memoryRow]
	err := m.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = memoryRows.Get(tx, k)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && rec.Status != memoryPending: // deleted meanwhile, or done
		return nil
	case err != nil:
		return err
	}
	text, days, err := m.summary(ctx, &a, rec.Body.Said)
	if err != nil && retryable(err) && h.Attempt < h.MaxAttempts {
		return err
	}
	// The row changes as one with the answer: a job that comes again finds it done.
	werr := h.Checkpoint(ctx, nil, func(tx *store.Tx) error {
		if err != nil {
			return nil // Done removes it
		}
		if text == "" {
			return gone(memoryRows.Delete(tx, k))
		}
		rec := rec
		rec.Status, rec.Body.Said, rec.Body.Summary = memoryReady, nil, text
		rec.Body.Expires = rec.Body.Ended.AddDate(0, 0, days)
		rec.Class = rec.Body.Expires.UTC().Format(time.RFC3339)
		_, perr := memoryRows.Put(tx, rec)
		if errors.Is(perr, store.ErrConflict) {
			return nil // deleted meanwhile
		}
		return gone(perr)
	})
	switch {
	case werr != nil:
		return werr
	case err != nil:
		return job.Discard(err)
	}
	return nil
}

func gone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// retryable reports a failure that may pass.
func retryable(err error) bool {
	switch apierr.KindOf(err) {
	case apierr.AccessDenied, apierr.Validation, apierr.ResourceNotFound, apierr.NotImplemented:
		return false
	default:
		return true
	}
}

// summary asks the alias's agent for a summary; "" when it keeps none.
func (m *Memories) summary(ctx context.Context, a *memoryArgs, list []said) (text string, days int, err error) {
	alias, err := m.cfg.Aliases.Invocable(ctx, a.Agent, a.Alias)
	if apierr.KindOf(err) == apierr.ResourceNotFound {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	p := alias.Plan
	if p.Memory == nil || p.Memory.Days == 0 {
		return "", 0, nil
	}
	s := &summarizer{
		Alias: alias, Models: m.cfg.Models, Roles: m.cfg.Roles, Functions: m.cfg.Functions, Piece: m.cfg.Piece,
	}
	text, err = s.sum(ctx, list)
	return text, p.Memory.Days, err
}

// Recall implements turn.Memory.
func (m *Memories) Recall(ctx context.Context, agentID, aliasID, memoryID string, recent int) ([]string, error) {
	if recent <= 0 {
		recent = defaultRecent
	}
	c := call.From(ctx)
	q := store.Query{
		Account: c.Account, Region: c.Region, Parent: agentID, Source: aliasID, Target: digest(memoryID), Status: []string{memoryReady}, Desc: true, Limit: recent,
	}
	var out []string
	for {
		var l store.Page[memoryRow]
		err := m.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			l, err = memoryRows.List(tx, q)
			return err
		})
		if err != nil {
			return nil, memoryFailure(err)
		}
		for i := range l.Records {
			rec := &l.Records[i]
			switch {
			case rec.Sealed != nil:
				return nil, memoryFailure(rec.Sealed)
			case m.over(rec):
			default:
				out = append(out, rec.Body.Summary)
			}
			if len(out) == recent {
				return out, nil
			}
		}
		if q.Cursor = l.Next; l.Next == "" {
			return out, nil
		}
	}
}

// defaultRecent is how many sessions are told when the agent does not say.
const defaultRecent = 20

func (m *Memories) over(rec *store.Record[memoryRow]) bool {
	return !m.cfg.Now().Before(rec.Body.Expires)
}

// agentContext is ctx in which an agent's records are opened and sealed.
func agentContext(ctx context.Context, agentID string) context.Context {
	return kms.As(ctx, kms.Asking{Context: map[string]string{kms.AgentContextKey: call.From(ctx).ARN("agent/" + agentID)}})
}

// known refuses an agent or alias that is not there.
func (m *Memories) known(ctx context.Context, agentID, aliasID string) error {
	_, err := m.cfg.Aliases.Invocable(ctx, agentID, aliasID)
	if apierr.KindOf(err) == apierr.Validation {
		return nil // it is there and cannot be invoked now: its memory can be read
	}
	return err
}

// GetAgentMemory lists the summaries of a memory, the newest first.
func (m *Memories) GetAgentMemory(ctx context.Context, in *runtime.GetAgentMemoryInput) (*runtime.GetAgentMemoryOutput, error) {
	if err := m.known(ctx, in.AgentId, in.AgentAliasId); err != nil {
		return nil, err
	}
	c := call.From(ctx)
	ctx = agentContext(ctx, in.AgentId)
	q := store.Query{
		Account: c.Account, Region: c.Region, Parent: in.AgentId, Source: in.AgentAliasId, Target: digest(in.MemoryId), Status: []string{memoryReady}, Desc: true,
		Limit: optional.Value(in.MaxItems), Cursor: optional.Value(in.NextToken),
	}
	var l store.Page[memoryRow]
	err := m.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		l, err = memoryRows.List(tx, q)
		return err
	})
	if err != nil {
		return nil, memoryFailure(err)
	}
	out := &runtime.GetAgentMemoryOutput{MemoryContents: []runtime.Memory{}}
	if l.Next != "" {
		out.NextToken = new(l.Next)
	}
	for i := range l.Records {
		rec := &l.Records[i]
		if rec.Sealed != nil {
			return nil, memoryFailure(rec.Sealed)
		}
		if m.over(rec) {
			continue // Run has not come by yet
		}
		b := &rec.Body
		out.MemoryContents = append(out.MemoryContents, runtime.Memory{SessionSummary: &runtime.MemorySessionSummary{
			MemoryId: new(b.Memory), SessionId: new(b.Session), SessionStartTime: new(b.Started), SessionExpiryTime: new(b.Expires), SummaryText: new(b.Summary),
		}})
	}
	return out, nil
}

// DeleteAgentMemory forgets the summaries of an alias: those of one memory, of one
// session, or all. What is still to be summed up is forgotten too.
func (m *Memories) DeleteAgentMemory(ctx context.Context, in *runtime.DeleteAgentMemoryInput) (*runtime.DeleteAgentMemoryOutput, error) {
	if err := m.known(ctx, in.AgentId, in.AgentAliasId); err != nil {
		return nil, err
	}
	c := call.From(ctx)
	ctx = agentContext(ctx, in.AgentId)
	q := store.Query{Account: c.Account, Region: c.Region, Parent: in.AgentId, Source: in.AgentAliasId, Clear: in.SessionId == nil}
	if in.MemoryId != nil {
		q.Target = digest(*in.MemoryId)
	}
	err := m.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		return eachMemory(tx, q, func(rec *store.Record[memoryRow]) error {
			if rec.Sealed != nil {
				return rec.Sealed
			}
			if in.SessionId != nil && rec.Body.Session != *in.SessionId {
				return nil
			}
			return gone(memoryRows.Delete(tx, rec.Key))
		})
	})
	if err != nil {
		return nil, memoryFailure(err)
	}
	return &runtime.DeleteAgentMemoryOutput{}, nil
}

func eachMemory(tx *store.Tx, q store.Query, do func(*store.Record[memoryRow]) error) error {
	for {
		l, err := memoryRows.List(tx, q)
		if err != nil {
			return err
		}
		for i := range l.Records {
			if err := do(&l.Records[i]); err != nil {
				return err
			}
		}
		if q.Cursor = l.Next; l.Next == "" {
			return nil
		}
	}
}

// ForgetMemory removes what is remembered of an agent, or of one alias of it, in the
// transaction that deletes it.
func ForgetMemory(tx *store.Tx, account, region, agentID, aliasID string) error {
	q := store.Query{Account: account, Region: region, Parent: agentID, Source: aliasID, Clear: true}
	err := eachMemory(tx, q, func(rec *store.Record[memoryRow]) error { return gone(memoryRows.Delete(tx, rec.Key)) })
	if err != nil {
		return fmt.Errorf("forget the memory of agent %s: %w", agentID, err)
	}
	return nil
}

// Sweep removes summaries whose time is over and answers how many.
func (m *Memories) Sweep(ctx context.Context) (n int, err error) {
	q := store.Query{Everywhere: true, Status: []string{memoryReady}, Clear: true}
	for {
		var l store.Page[memoryRow]
		err := m.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			l, err = memoryRows.List(tx, q)
			return err
		})
		if err != nil {
			return n, err
		}
		for i := range l.Records {
			until, err := time.Parse(time.RFC3339, l.Records[i].Class)
			if err != nil || m.cfg.Now().Before(until) {
				continue
			}
			err = m.cfg.Store.Update(ctx, func(tx *store.Tx) error { return gone(memoryRows.Delete(tx, l.Records[i].Key)) })
			if err != nil {
				return n, err
			}
			n++
		}
		if q.Cursor = l.Next; l.Next == "" {
			return n, nil
		}
	}
}

// Run sweeps now and then until ctx ends.
func (m *Memories) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Every)
	defer tick.Stop()
	for {
		if _, err := m.Sweep(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "summaries of sessions whose time is over were not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// memoryFailure turns what the store answers into what the wire knows.
func memoryFailure(err error) error {
	return kms.Failure(err, "The memory was not found.", "The memory is being changed by another request. Try again.")
}
