package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	edge "github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Config says what a Runner works with. Models is required; an agent that needs a
// port that is nil is told so in an exception.
type Config struct {
	Models      Models
	Chats       Chats
	Functions   Functions
	Roles       Roles
	Knowledge   Knowledge
	Plans       Plans
	Interpreter Interpreter
	Memory      Memory
	Objects     Objects

	// MaxSteps bounds the model calls of one turn; 0 is 25.
	MaxSteps int
	// MaxReprompts bounds the answers in a row that could not be used; 0 is 5.
	MaxReprompts int
	// MaxAnswer bounds what a function may answer, in bytes; 0 is 6 MiB.
	MaxAnswer int
	// Patience bounds how long a call that has begun is waited for when the client
	// has gone; 0 is 15 minutes.
	Patience time.Duration
	// Hurry bounds how long it is waited for when the server stops; 0 is 3 s.
	Hurry time.Duration

	Now   func() time.Time // nil is time.Now
	NewID func() string    // a UUID; nil makes random ones
	Log   *slog.Logger
	// At, if set, is called at the named points of a turn; for crash tests.
	At func(point string)
}

// Points of Config.At.
const (
	AtIntent   = "turn.intent"   // what will be done is on disk
	AtActed    = "turn.acted"    // it was done, nothing is on disk yet
	AtResult   = "turn.result"   // the result is on disk
	AtFinished = "turn.finished" // the turn is on disk, its last event is not sent
)

// Runner runs turns. It is safe for concurrent use and keeps nothing of them, only what
// it has made of their plans.
type Runner struct {
	c     Config
	tools plan.Cache[*plan.Plan, *toolbox]
}

// New makes a Runner; it starts nothing.
func New(c Config) *Runner {
	c.MaxSteps, c.MaxReprompts = cmp.Or(c.MaxSteps, 25), cmp.Or(c.MaxReprompts, 5)
	c.MaxAnswer, c.Patience = cmp.Or(c.MaxAnswer, 6<<20), cmp.Or(c.Patience, 15*time.Minute)
	c.Hurry = cmp.Or(c.Hurry, 3*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = newUUID
	}
	if c.At == nil {
		c.At = func(string) {}
	}
	return &Runner{c: c}
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Input is one request to an agent and the session it is made in.
type Input struct {
	Agent     *Alias
	Inline    bool // the agent came with the request
	Account   string
	Region    string
	SessionID string
	MemoryID  string

	Text             string
	Attributes       map[string]string // nil: unchanged
	PromptAttributes map[string]string
	InvocationID     string
	Results          []runtime.InvocationResultMember
	Files            []runtime.InputFile
	History          []runtime.Message
	Knowledge        []runtime.KnowledgeBaseConfiguration

	Trace          bool
	Stream         bool // the final answer in pieces
	ForgetThoughts bool // of earlier turns
	Turns          *int // earlier turns to tell the model; nil is all

	State   []byte   // of the session, as the turn before left it
	Records [][]byte // of earlier turns, the oldest first
	Done    []Step   // of this turn, when it goes on
	Journal Journal

	// collaborator's part
	name  string
	chain []string
}

// Step is a journal's entry.
type Step struct{ Intent, Result []byte }

// Turn is a request that was found in order and has not begun.
type Turn struct {
	*Input
	r       *Runner
	plan    *plan.Plan
	state   state
	history []engine.Message
	p       *progress // nil: orchestration begins anew
	wait    *waiting  // what the request answers
	answers []*result // of wait.Calls
	chat    []engine.Part
	code    []File
	tools   *toolbox
	trace   tracer
	out     []File // made by code
	over    bool   // the journal has ended
	spent   bool   // what was done ends the turn; it may not be done again
	stream  *streamer
	usage   engine.Usage // of all model calls

	childStep *childStep    // of a collaborator that goes on
	held      map[int]*held // what collaborators return to the caller, by call
	waits     []awaited     // what the turn ended with

	stepBegan, callBegan time.Time
}

// childStep is the journal's entry of a collaborator that was interrupted.
type childStep struct {
	call int
	step Step
}

// Prepare checks a request against its session. An error is an *apierr.Error for the
// caller, and nothing has happened; the journal is the caller's to end then.
func (r *Runner) Prepare(ctx context.Context, in *Input) (*Turn, error) {
	t := &Turn{Input: in, r: r, plan: in.Agent.Plan}
	if len(in.State) > 0 {
		if err := json.Unmarshal(in.State, &t.state); err != nil {
			return nil, fmt.Errorf("read the state of session %s: %w", in.SessionID, err)
		}
	}
	if in.Attributes != nil {
		t.state.Attributes = in.Attributes
	}
	if in.Knowledge != nil {
		t.state.Knowledge = in.Knowledge
	}
	waits := t.state.Waiting
	t.state.Waiting = nil // answered now, or given up
	switch {
	case len(in.Results) > 0:
		if waits == nil || waits.Ask || waits.Invocation != in.InvocationID {
			return nil, unexpected(&in.Results[0], in.InvocationID)
		}
		var err error
		if t.answers, err = match(waits, in.Results, in.InvocationID); err != nil {
			return nil, err
		}
		t.wait = waits
	case in.Text == "":
		return nil, invalid("The request has no inputText. Add an inputText and retry your request.")
	case waits != nil && waits.Ask:
		t.wait = waits
	}
	if err := t.readFiles(ctx); err != nil {
		return nil, err
	}
	if err := t.readHistory(); err != nil {
		return nil, err
	}
	t.tools = r.toolbox(t.plan, t.Inline)
	return t, nil
}

// Run runs the turn and ends its journal. The error is what the stream's exception
// says; a client that has gone is an error too.
func (t *Turn) Run(ctx context.Context, sink Sink) error {
	t.trace = tracer{
		sink: sink, on: t.Trace, now: t.r.c.Now, id: t.r.c.NewID(), began: t.r.c.Now(),
		from: identity{
			agentID: t.plan.AgentID, aliasID: t.Agent.ID, version: t.Agent.Version, session: t.SessionID,
			collaborator: t.name, chain: t.chain, inline: t.Inline,
		},
	}
	if len(t.trace.from.chain) == 0 && !t.Inline {
		t.trace.from.chain = []string{t.Agent.ARN}
	}
	defer t.account(ctx)
	end, err := t.run(ctx)
	if err == nil {
		err = t.finish(ctx, end)
		if err == nil {
			return nil
		}
	}
	return t.fail(ctx, err)
}

// account tells the books of the request what all its model calls used together; each
// of them has told only its own.
func (t *Turn) account(ctx context.Context) {
	c := edge.From(ctx)
	s := c.Served()
	s.InputTokens, s.OutputTokens = t.usage.Input+t.usage.CacheWrite, t.usage.Output
	s.CacheRead, s.CacheWrite = t.usage.CacheRead, 0
	s.Latency = t.r.c.Now().Sub(t.trace.began)
	c.SetServed(s)
}

// ending is what a turn came to.
type ending struct {
	reply   Reply
	answer  string
	waiting *waiting
}

func (t *Turn) run(ctx context.Context) (*ending, error) {
	began, err := t.begin()
	if err != nil {
		return nil, err
	}
	if t.isCustom() {
		return t.custom(ctx)
	}
	if began {
		if err := t.recall(ctx); err != nil {
			return nil, err
		}
		answer, err := t.preProcess(ctx)
		if err != nil || answer != "" {
			return t.said(answer, nil), err
		}
		if p := t.plan.Prompt(plan.Orchestrate); p != nil && !p.Enabled {
			text, err := t.bare(ctx, p)
			if err != nil {
				return nil, err
			}
			return t.postProcess(ctx, text, nil)
		}
	}
	return t.orchestrate(ctx)
}

// begin finds where the turn starts: anew, with the answers to what waited, or after
// the last step of the journal. fresh is true where the user has just spoken.
func (t *Turn) begin() (fresh bool, err error) {
	if n := len(t.Done); n > 0 {
		return false, t.resume(&t.Done[n-1])
	}
	if t.wait == nil {
		t.p = &progress{ID: t.trace.id, Question: t.Text, Attributes: t.state.Attributes, PromptAttributes: t.PromptAttributes, Knowledge: t.state.Knowledge, Children: t.state.Children}
		return true, nil
	}
	t.p = t.wait.Progress
	t.p.ID, t.p.Iteration, t.p.Asked, t.p.Reprompts = t.trace.id, 0, 0, 0
	t.p.Attributes, t.p.PromptAttributes, t.p.Knowledge = t.state.Attributes, t.PromptAttributes, t.state.Knowledge
	t.p.Children = t.state.Children
	if t.wait.Ask {
		for i := range t.p.Open {
			if !t.p.answered(i) {
				t.p.give(i, t.Text, false)
			}
		}
		t.p.settle()
		return true, nil
	}
	return false, t.takeResults()
}

// resume goes on after a journal's entry.
func (t *Turn) resume(s *Step) error {
	var d done
	var o outcome
	if err := json.Unmarshal(s.Intent, &d); err != nil || d.Progress == nil {
		return fmt.Errorf("read the journal of a turn: %w", cmp.Or(err, errors.New("it holds no progress")))
	}
	if err := json.Unmarshal(s.Result, &o); err != nil {
		return fmt.Errorf("read the journal of a turn: %w", err)
	}
	t.p = d.Progress
	t.trace.id = t.p.ID // the client sees the same chain go on
	t.trace.step(t.p.Iteration)
	if d.Call < 0 || d.Call >= len(t.p.Open) {
		return bug("the journal names call %d of %d", d.Call, len(t.p.Open))
	}
	if d.Child != nil {
		t.childStep = &childStep{d.Call, Step{d.Child, o.Child}}
		return nil
	}
	return t.took(d.Call, &o)
}

// said is the ending of an answer.
func (t *Turn) said(text string, parts []citedPart) *ending {
	return &ending{answer: text, reply: Reply{Chunk: &runtime.PayloadPart{Bytes: []byte(text), Attribution: t.attribution(text, parts)}}}
}

// finish commits the turn and sends its last event.
func (t *Turn) finish(ctx context.Context, e *ending) error {
	if err := t.gone(ctx); err != nil {
		return err
	}
	t.state.Attributes, t.state.Knowledge, t.state.Waiting = t.p.Attributes, t.p.Knowledge, e.waiting
	t.state.Children, t.state.Routed = t.p.Children, cmp.Or(t.p.Routed, t.state.Routed)
	if e.waiting != nil {
		t.waits = e.waiting.Calls
	}
	rec := Record{Input: t.Text, Answer: e.answer, Steps: t.p.Orders, Reply: &e.reply}
	e.reply.Files = t.out
	if n := len(t.p.Thoughts); n > 0 {
		rec.Thought = t.p.Thoughts[n-1]
	}
	if len(t.Results) > 0 && e.waiting == nil {
		rec.Input = t.p.Question
	}
	if e.waiting != nil {
		rec.Input, rec.Answer = "", "" // it is told when it ends
	}
	if e.waiting == nil && t.wait != nil {
		rec.Input = t.p.Question
	}
	st, err := json.Marshal(&t.state)
	if err != nil {
		return fmt.Errorf("write the state of session %s: %w", t.SessionID, err)
	}
	record, err := json.Marshal(&rec)
	if err != nil {
		return fmt.Errorf("write the record of a turn: %w", err)
	}
	if err := t.Journal.Finish(ctx, st, record); err != nil {
		return err
	}
	t.over = true
	t.r.c.At(AtFinished)
	return e.reply.send(t.trace.sink, t.stream)
}

// send sends the end of a stream. What was streamed already is not sent again.
func (r *Reply) send(sink Sink, s *streamer) error {
	if len(r.Files) > 0 {
		f := &runtime.FilePart{}
		for i := range r.Files {
			f.Files = append(f.Files, runtime.OutputFile{Name: &r.Files[i].Name, Type: &r.Files[i].Type, Bytes: r.Files[i].Data})
		}
		if err := sink.Files(f); err != nil {
			return errors.Join(errGone, err)
		}
	}
	switch {
	case r.Return != nil:
		if err := sink.Return(r.Return); err != nil {
			return errors.Join(errGone, err)
		}
	case r.Chunk != nil:
		if err := s.last(sink, r.Chunk); err != nil {
			return errors.Join(errGone, err)
		}
	}
	return nil
}

// Send sends a reply that was given before.
func (r *Reply) Send(sink Sink) error { return r.send(sink, nil) }

// fail ends a turn that did not come to its end.
func (t *Turn) fail(ctx context.Context, err error) error {
	if t.over { // all is written, and nobody was there for the last event
		return err
	}
	if interrupted(ctx, err) {
		t.stop(ctx)
		return err
	}
	err = public(err)
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		e = apierr.New(apierr.InternalServer, "An internal error occurred. Retry the request.")
	}
	t.trace.failure(e)
	if !t.spent && passing(e) {
		t.stop(ctx)
		return err
	}
	record, jerr := json.Marshal(&Record{Input: t.Text, Fault: faultOf(e)})
	if jerr == nil {
		jerr = t.Journal.Fail(ctx, record)
	}
	if jerr != nil {
		t.r.c.Log.ErrorContext(ctx, "the end of a failed turn was not written", "session", t.SessionID, "error", jerr)
	}
	return err
}

func (t *Turn) stop(ctx context.Context) {
	if err := t.Journal.Stop(ctx); err != nil {
		t.r.c.Log.WarnContext(ctx, "an interrupted turn was not left in order", "session", t.SessionID, "error", err)
	}
}

// gone reports that nobody waits for the turn any more: no new model step begins.
func (t *Turn) gone(ctx context.Context) error {
	if t.trace.lost != nil {
		return errors.Join(errGone, t.trace.lost)
	}
	return ctx.Err()
}

// adopt takes the attributes of an answer: maps that are there replace the session's.
func (t *Turn) adopt(a *answer) {
	if a.Attributes != nil {
		t.p.Attributes = maps.Clone(a.Attributes)
	}
	if a.PromptAttributes != nil {
		t.p.PromptAttributes = maps.Clone(a.PromptAttributes)
	}
	t.p.Knowledge = append(t.p.Knowledge, a.Knowledge...) // the last one for a base holds
}

// SendText sends an answer that no model gave.
func SendText(sink Sink, text string) error {
	return (&Reply{Chunk: &runtime.PayloadPart{Bytes: []byte(text)}}).Send(sink)
}

// Failure is the exception that ended the turn, nil when none did.
func (r *Record) Failure() error {
	if r.Fault == nil {
		return nil
	}
	return r.Fault.err()
}
