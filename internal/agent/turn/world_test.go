package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// shared is one store for all tests: opening one takes a second on a busy disk.
var shared *store.Store

func TestMain(m *testing.M) {
	if dir := os.Getenv("OUTCROP_TEST_TURN"); dir != "" {
		os.Exit(puppet(dir))
	}
	dir, err := os.MkdirTemp("", "turn")
	if err == nil {
		shared, err = openStore(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = shared.Close()
	_ = os.RemoveAll(dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func openStore(dir string) (*store.Store, error) {
	d, err := sqlite.Open(context.Background(), sqlite.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	sealer, err := store.OpenLocalSealer(dir)
	if err != nil {
		return nil, err
	}
	return store.Open(context.Background(), store.Config{Driver: d, Sealer: sealer})
}

var worlds atomic.Int64

// world is an agent's surroundings: a model that answers by a list, functions that
// count, and one log of all that happened in the order in which it did.
type world struct {
	t        testing.TB
	store    *store.Store
	session  string
	sessions *conversation.Sessions
	plan     *plan.Plan
	runner   *Runner

	mu      sync.Mutex
	log     []string
	replies []reaction
	asked   []*engine.Request
	lambda  func(ctx context.Context, e *event) (any, error)
	events  []*event
	raw     string          // what a parser was given last
	denied  map[string]bool // models that the role may not call
	gone    bool            // the client has gone: events are refused

	chunks  []*runtime.PayloadPart
	traces  []*runtime.TracePart
	returns []*runtime.ReturnControlPayload
	files   []*runtime.FilePart
	team    map[string]*Alias // collaborators, by ARN of the alias
}

// reaction is what the model does with a request.
type reaction func(r *engine.Request) (*engine.Result, error)

func says(text string) reaction {
	return func(*engine.Request) (*engine.Result, error) {
		return &engine.Result{Parts: []engine.Part{{Text: text}}, Stop: engine.EndTurn, Usage: engine.Usage{Input: 10, Output: 3}}, nil
	}
}

func calls(pairs ...string) reaction { return thinks("", pairs...) }

// thinks says something and calls tools: names and arguments in turn.
func thinks(thought string, pairs ...string) reaction {
	return func(r *engine.Request) (*engine.Result, error) {
		out := &engine.Result{Stop: engine.ToolUse, Usage: engine.Usage{Input: 10, Output: 5}}
		if thought != "" {
			out.Parts = append(out.Parts, engine.Part{Text: thought})
		}
		for i := 0; i < len(pairs); i += 2 {
			id := fmt.Sprintf("id-%d-%d", len(r.Messages), i)
			out.Parts = append(out.Parts, engine.Part{ToolCall: &engine.ToolCall{ID: id, Name: pairs[i], Arguments: json.RawMessage(pairs[i+1])}})
		}
		return out, nil
	}
}

func breaks(kind apierr.Kind, text string) reaction {
	return func(*engine.Request) (*engine.Result, error) { return nil, apierr.New(kind, "%s", text) }
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// Generate is the model.
func (w *world) Generate(ctx context.Context, _ string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.note("model")
	w.asked = append(w.asked, r)
	if len(w.replies) == 0 {
		w.mu.Unlock()
		return nil, errors.New("the test's model has nothing left to say")
	}
	next := w.replies[0]
	w.replies = w.replies[1:]
	w.mu.Unlock()
	res, err := next(r)
	if err != nil || emit == nil {
		return res, err
	}
	for _, p := range res.Parts {
		if p.ToolCall != nil {
			if err := emit(engine.Delta{Kind: engine.ToolStart, Tool: p.ToolCall}); err != nil {
				return nil, err
			}
			continue
		}
		for _, word := range strings.SplitAfter(p.Text, " ") {
			if err := emit(engine.Delta{Text: word}); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

// Call is Lambda.
func (w *world) Call(ctx context.Context, source, function string, payload []byte) ([]byte, bool, error) {
	e := new(event)
	if err := json.Unmarshal(payload, e); err != nil {
		w.t.Errorf("event is no JSON: %v", err)
	}
	if source != w.plan.ARN && len(w.team) == 0 {
		w.t.Errorf("function called for %s", source)
	}
	w.mu.Lock()
	w.note("lambda %s %s%s", function, e.Function, e.APIPath)
	w.raw = string(payload)
	var parser struct {
		Raw string `json:"invokeModelRawResponse"`
	}
	if json.Unmarshal(payload, &parser) == nil && parser.Raw != "" {
		w.raw = parser.Raw
	}
	w.events = append(w.events, e)
	do := w.lambda
	w.mu.Unlock()
	v, err := do(ctx, e)
	if f, ok := errors.AsType[functionError](err); ok {
		return []byte(f), true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if b, ok := v.([]byte); ok {
		return b, false, nil
	}
	b, err := json.Marshal(v)
	return b, false, err
}

// functionError is what went wrong inside a function.
type functionError string

func (e functionError) Error() string { return string(e) }

func (w *world) Model(_ context.Context, role, _, model string, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied[model] {
		return apierr.New(apierr.AccessDenied, "%s may not call %s", role, model)
	}
	return nil
}

func (w *world) Alias(_ context.Context, arn string) (*Alias, error) {
	if a := w.team[arn]; a != nil {
		return a, nil
	}
	return nil, apierr.New(apierr.ResourceNotFound, "no alias %s", arn)
}

func (w *world) Allow(context.Context, string, string, string, string) error { return nil }

var errClosed = errors.New("connection closed")

func (w *world) Trace(p *runtime.TracePart) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return errClosed
	}
	w.traces = append(w.traces, p)
	w.note("trace %s", kindOf(w.t, p.Trace))
	return nil
}

func (w *world) Chunk(c *runtime.PayloadPart) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return errClosed
	}
	w.chunks = append(w.chunks, c)
	w.note("chunk %s", c.Bytes)
	return nil
}

func (w *world) Return(r *runtime.ReturnControlPayload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return errClosed
	}
	w.returns = append(w.returns, r)
	w.note("return %d", len(r.InvocationInputs))
	return nil
}

func (w *world) Files(f *runtime.FilePart) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, f)
	w.note("files %d", len(f.Files))
	return nil
}

// kindOf names a trace and checks that each union in it has one member.
func kindOf(t testing.TB, tr *runtime.Trace) string {
	t.Helper()
	name, n := "", 0
	set := func(s string) { name, n = s, n+1 }
	if o := tr.OrchestrationTrace; o != nil {
		if o.ModelInvocationInput != nil {
			set("in " + *o.ModelInvocationInput.TraceId)
		}
		if o.ModelInvocationOutput != nil {
			set("out " + *o.ModelInvocationOutput.TraceId)
		}
		if o.Rationale != nil {
			set("rationale " + *o.Rationale.TraceId)
		}
		if i := o.InvocationInput; i != nil {
			how := ""
			if i.ActionGroupInvocationInput != nil {
				how = " " + string(i.ActionGroupInvocationInput.ExecutionType)
			}
			set("invocation " + *i.TraceId + " " + string(i.InvocationType) + how)
		}
		if o.Observation != nil {
			set("observation " + *o.Observation.TraceId + " " + string(o.Observation.Type))
		}
	}
	if p := tr.PreProcessingTrace; p != nil {
		if p.ModelInvocationInput != nil {
			set("in " + *p.ModelInvocationInput.TraceId)
		}
		if p.ModelInvocationOutput != nil {
			set("out " + *p.ModelInvocationOutput.TraceId)
		}
	}
	if p := tr.PostProcessingTrace; p != nil {
		if p.ModelInvocationInput != nil {
			set("in " + *p.ModelInvocationInput.TraceId)
		}
		if p.ModelInvocationOutput != nil {
			set("out " + *p.ModelInvocationOutput.TraceId)
		}
	}
	if r := tr.RoutingClassifierTrace; r != nil {
		switch {
		case r.ModelInvocationInput != nil:
			set("route in " + *r.ModelInvocationInput.TraceId)
		case r.ModelInvocationOutput != nil:
			set("route out " + *r.ModelInvocationOutput.TraceId)
		case r.InvocationInput != nil:
			set("route invocation " + *r.InvocationInput.TraceId)
		case r.Observation != nil:
			set("route observation " + *r.Observation.TraceId)
		}
	}
	if f := tr.FailureTrace; f != nil {
		set(fmt.Sprintf("failure %s %d", *f.TraceId, *f.FailureCode))
	}
	if c := tr.CustomOrchestrationTrace; c != nil {
		set("custom " + *c.Event.Text)
	}
	if n != 1 {
		t.Errorf("a trace has %d members: %+v", n, tr)
	}
	return name
}

const (
	functionARN = "arn:aws:lambda:us-east-1:123456789012:function:claims"
	agentARN    = "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001"
	aliasARN    = "arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT00001/TSTALIASID"
)

// insurer is the agent of the guide: an API with a function, functions that the
// caller carries out, and a confirmation on each.
func insurer() *plan.Plan {
	return &plan.Plan{
		AgentID: "AGENT00001", Name: "insurer", ARN: agentARN, Model: "anthropic.claude-3-5-sonnet-20241022-v2:0",
		Instruction: "You help with open insurance claims and send reminders.", Role: "arn:aws:iam::123456789012:role/agent", IdleTTL: 600,
		Prompts: prompts(),
		Groups: []plan.Group{
			{ID: "GROUP00001", Name: "claims", Lambda: functionARN, Actions: []plan.Action{
				{Path: "/claims", Verb: "GET", OperationID: "getAllOpenClaims", Description: "List the open claims."},
				{Path: "/claims/{claimId}/identify-missing-documents", Verb: "GET", OperationID: "identifyMissingDocuments", Description: "Documents that a claim lacks.",
					Parameters: []plan.Parameter{{Name: "claimId", Type: "string", Description: "id of the claim", Required: true}}},
				{Path: "/send-reminders", Verb: "POST", OperationID: "sendReminders", Description: "Send a reminder.", MediaType: "application/json", BodyRequired: true,
					Body: []plan.Parameter{{Name: "claimId", Type: "string", Required: true}, {Name: "pendingDocuments", Type: "array", Required: true}}},
			}},
			{ID: "GROUP00002", Name: "billing", Lambda: functionARN, Actions: []plan.Action{
				{Function: "refund", Description: "Pay back.", Confirm: true, Parameters: []plan.Parameter{{Name: "amount", Type: "number", Required: true}}},
			}},
			{ID: "GROUP00003", Name: "weather", Actions: []plan.Action{
				{Function: "getWeather", Description: "Weather of a place.", Parameters: []plan.Parameter{{Name: "location", Type: "string", Required: true}}},
				{Function: "setAlarm", Description: "Wake the user.", Confirm: true, Parameters: []plan.Parameter{{Name: "time", Type: "string", Required: true}}},
				{Path: "/forecast", Verb: "POST", OperationID: "forecast", Description: "Forecast.", MediaType: "application/json", Body: []plan.Parameter{{Name: "days", Type: "integer", Required: true}}},
			}},
		},
	}
}

// functions answers as the guide's handler does.
func echo(text string) func(context.Context, *event) (any, error) {
	return func(_ context.Context, e *event) (any, error) { return replyTo(e, text), nil }
}

func replyTo(e *event, text string) map[string]any {
	r := map[string]any{"actionGroup": e.ActionGroup}
	if e.Function != "" {
		r["function"] = e.Function
		r["functionResponse"] = map[string]any{"responseBody": map[string]any{"TEXT": map[string]any{"body": text}}}
	} else {
		r["apiPath"], r["httpMethod"], r["httpStatusCode"] = e.APIPath, e.HTTPMethod, 200
		r["responseBody"] = map[string]any{"application/json": map[string]any{"body": text}}
	}
	return map[string]any{"messageVersion": "1.0", "response": r}
}

func newWorld(t testing.TB) *world {
	return newWorldOn(t, shared, fmt.Sprintf("s-%d", worlds.Add(1)))
}

func newWorldOn(t testing.TB, s *store.Store, session string) *world {
	w := &world{t: t, store: s, session: session, plan: insurer(), lambda: echo(`{"ok":true}`), denied: map[string]bool{}}
	w.sessions = conversation.New(conversation.Config{Store: w.store})
	w.runner = New(w.config())
	return w
}

func (w *world) config() Config {
	n := 0
	return Config{Models: w, Functions: w, Roles: w, Plans: w, NewID: func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		n++
		return fmt.Sprintf("u%d", n)
	}}
}

// request is a turn's input with the trace on.
func request(text string) *Input { return &Input{Text: text, Trace: true} }

// turn runs one turn as the room does.
func (w *world) turn(in *Input) error { return w.turnIn(w.t.Context(), in) }

func (w *world) turnIn(ctx context.Context, in *Input) error {
	w.mu.Lock()
	w.log, w.chunks, w.traces, w.returns, w.files = nil, nil, nil, nil, nil
	w.mu.Unlock()
	in.Agent = &Alias{ID: "TSTALIASID", ARN: aliasARN, Version: "DRAFT", Plan: w.plan}
	if in.SessionID == "" {
		in.SessionID = w.session
	}
	in.Account, in.Region = "123456789012", "us-east-1"
	o := conversation.Opening{
		Key: conversation.Key{Account: in.Account, Region: in.Region, Owner: w.plan.AgentID, Alias: "TSTALIASID", ID: in.SessionID},
		TTL: 10 * time.Minute, Request: "t:" + in.Text,
	}
	if len(in.Results) > 0 {
		o.Request, o.Once = "i:"+in.InvocationID, true
	}
	j, record, err := w.sessions.Begin(ctx, o)
	if f, ok := errors.AsType[*conversation.FailedError](err); ok {
		rec, err := ReadRecord(f.Record)
		if err != nil {
			return err
		}
		if rec.Fault == nil {
			return conversation.ErrUnsure
		}
		return rec.Fault.err()
	}
	if err != nil {
		return err
	}
	if j == nil {
		rec, err := ReadRecord(record)
		if err != nil {
			return err
		}
		return rec.Reply.Send(w)
	}
	defer func() {
		if err := j.Close(context.WithoutCancel(ctx)); err != nil {
			w.t.Errorf("close: %v", err)
		}
	}()
	in.State, in.Records, in.Journal = j.Session.State, j.Session.History, j
	in.Done = nil
	for _, s := range j.Steps {
		in.Done = append(in.Done, Step{s.Intent, s.Result})
	}
	turn, err := w.runner.Prepare(ctx, in)
	if err != nil {
		return err
	}
	return turn.Run(ctx, w)
}

func (w *world) replay(list ...reaction) { w.replies = append(w.replies, list...) }

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	if len(w.replies) > 0 {
		w.t.Fatalf("%d replies of the model were not asked for", len(w.replies))
	}
}

func (w *world) fails(err error, kind apierr.Kind, text string) {
	w.t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Message, text) {
		w.t.Fatalf("got %v, want %s with %q", err, kind, text)
	}
}

// answer is the text that the client got.
func (w *world) answer() string {
	var b strings.Builder
	for _, c := range w.chunks {
		b.Write(c.Bytes)
	}
	return b.String()
}

func (w *world) happened(want ...string) {
	w.t.Helper()
	if got, want := strings.Join(w.log, "\n"), strings.Join(want, "\n"); got != want {
		w.t.Fatalf("happened:\n%s\nwant:\n%s", got, want)
	}
}
