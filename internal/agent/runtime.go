package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Aliases finds what an alias shows now, in the account and Region of the call. An
// error is an *apierr.Error: the alias or its agent is not there, or not prepared.
type Aliases interface {
	Invocable(ctx context.Context, agentID, aliasID string) (*turn.Alias, error)
}

// RuntimeConfig says what a Runtime works with. Aliases, Runner and Sessions are
// needed.
type RuntimeConfig struct {
	Aliases Aliases
	// Definitions reads the agents that come with requests; without it they are
	// answered that this is not built.
	Definitions Definitions
	Runner      *turn.Runner
	Sessions    *conversation.Sessions
	Log         *slog.Logger
}

// Runtime invokes agents: those that were built, and those that come with the request.
type Runtime struct {
	aliases     Aliases
	definitions Definitions
	runner      *turn.Runner
	sessions    *conversation.Sessions
	log         *slog.Logger
}

// NewRuntime makes a Runtime; it starts nothing.
func NewRuntime(c RuntimeConfig) *Runtime {
	return &Runtime{
		aliases: c.Aliases, definitions: c.Definitions, runner: c.Runner, sessions: c.Sessions, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
	}
}

// Texts of the service.
const (
	textPaused    = "Alias is paused and does not accept invocations."
	textEnded     = "Session is terminated as 'endSession' flag is set in request."
	textBusy      = "A turn of session %s is running. Retry the request when it has ended."
	textUnsure    = "The server stopped while an action of this turn was running, and it is not known whether the action was done. It is not repeated. Start a new turn."
	textKeyUnused = "The customer key of the agent cannot be used to open the session: %v"
)

// invocation is one request to an agent in neutral form.
type invocation struct {
	turn.Input
	end   bool
	owner string // of the session
	// open sends the head of the stream, sink takes its events.
	open func() error
	sink turn.Sink
}

// invoke runs one turn, or ends a session. Errors before open are HTTP answers, those
// after it exceptions in the stream.
func (rt *Runtime) invoke(ctx context.Context, in *invocation) error {
	at := call.From(ctx)
	in.Account, in.Region = at.Account, at.Region
	p := in.Agent.Plan
	ctx = kms.As(ctx, kms.Asking{Context: map[string]string{kms.AgentContextKey: p.ARN}})
	k := conversation.Key{Account: at.Account, Region: at.Region, Owner: in.owner, Alias: in.Agent.ID, ID: in.SessionID}
	if in.end {
		return rt.end(ctx, k, in)
	}
	o := conversation.Opening{
		Key: k, KeyARN: p.Key, TTL: p.IdleTTL.Duration(), Memory: in.MemoryID, Request: asked(in.Text), Call: at.Attempt,
	}
	if len(in.Results) > 0 {
		o.Request, o.Once = "invocation "+in.InvocationID, true
	}
	j, record, leave, err := rt.sessions.Enter(ctx, o)
	if err != nil {
		return rt.told(err, in)
	}
	defer leave()
	if j == nil { // it was answered before
		return rt.again(record, in)
	}
	defer func() {
		if err := j.Close(context.WithoutCancel(ctx)); err != nil {
			rt.log.WarnContext(ctx, "a turn was not left in order", "session", in.SessionID, "error", err)
		}
	}()
	in.State, in.Records, in.Journal = j.Session.State, j.Session.History, j
	if in.MemoryID == "" {
		in.MemoryID = j.Session.Memory
	}
	for _, s := range j.Steps {
		in.Done = append(in.Done, turn.Step{Intent: s.Intent, Result: s.Result})
	}
	t, err := rt.runner.Prepare(ctx, &in.Input)
	if err != nil {
		return err
	}
	if err := in.open(); err != nil {
		return err
	}
	return t.Run(ctx, in.sink)
}

// asked names a request by what it says without saying it: the name stands in a clear
// column.
func asked(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "text " + hex.EncodeToString(sum[:])
}

// told words a refusal of a session.
func (rt *Runtime) told(err error, in *invocation) error {
	switch {
	case errors.Is(err, conversation.ErrBusy), errors.Is(err, store.ErrBusy):
		return apierr.Wrap(apierr.Conflict, err, textBusy, in.SessionID)
	case errors.Is(err, store.ErrSealed):
		return apierr.Wrap(apierr.AccessDenied, err, textKeyUnused, err)
	}
	var fault error
	if errors.Is(err, conversation.ErrUnsure) {
		fault = unsure()
	}
	if f, ok := errors.AsType[*conversation.FailedError](err); ok {
		rec, err := turn.ReadRecord(f.Record)
		if err != nil {
			return err
		}
		if fault = rec.Failure(); fault == nil {
			fault = unsure()
		}
	}
	if fault == nil {
		return err
	}
	if err := in.open(); err != nil {
		return err
	}
	return fault
}

func unsure() error {
	return &apierr.Error{Kind: apierr.DependencyFailed, Message: textUnsure, Detail: apierr.Detail{ResourceName: "Outcrop"}}
}

// again sends what the same request was answered before.
func (rt *Runtime) again(record []byte, in *invocation) error {
	rec, err := turn.ReadRecord(record)
	if err != nil {
		return err
	}
	if rec.Reply == nil {
		return errors.New("the record of an answered request holds no answer")
	}
	if err := in.open(); err != nil {
		return err
	}
	return rec.Reply.Send(in.sink)
}

// end ends the session and says so.
func (rt *Runtime) end(ctx context.Context, k conversation.Key, in *invocation) error {
	if err := rt.sessions.End(ctx, k); err != nil {
		return rt.told(err, in)
	}
	if err := in.open(); err != nil {
		return err
	}
	return turn.SendText(in.sink, textEnded)
}
