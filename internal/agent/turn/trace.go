package turn

import (
	"fmt"
	"time"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// tracer sends what happens, each event as it happens. A sink that fails has lost its
// client: nothing is sent any more, the turn finds out before its next model step.
type tracer struct {
	sink  Sink
	on    bool
	now   func() time.Time
	id    string
	from  identity
	lost  error
	began time.Time
	route bool   // orchestration is a router's: its collaborator answers
	last  string // traceId of the latest event, for failures
}

// identity is the agent that a trace part comes from.
type identity struct {
	agentID, aliasID, version, session string
	collaborator                       string // its name, when another agent asked it
	chain                              []string
	inline                             bool
}

func (t *tracer) send(tr *runtime.Trace) {
	if !t.on || t.lost != nil {
		return
	}
	p := &runtime.TracePart{SessionId: new(t.from.session), EventTime: new(t.now()), Trace: tr}
	if !t.from.inline {
		p.AgentId, p.AgentAliasId, p.AgentVersion = new(t.from.agentID), new(t.from.aliasID), new(t.from.version)
	}
	for _, a := range t.from.chain {
		p.CallerChain = append(p.CallerChain, runtime.Caller{AgentAliasArn: new(a)})
	}
	if t.from.collaborator != "" {
		p.CollaboratorName = new(t.from.collaborator)
	}
	t.lost = t.sink.Trace(p)
}

// step names an iteration.
func (t *tracer) step(n int) string {
	t.last = fmt.Sprintf("%s-%d", t.id, n)
	return t.last
}

func (t *tracer) pre() string {
	t.last = t.id + "-pre-0"
	return t.last
}

func (t *tracer) post() string {
	t.last = t.id + "-post-0"
	return t.last
}

func (t *tracer) orchestration(o *runtime.OrchestrationTrace) {
	if t.route && (o.InvocationInput != nil || o.Observation != nil) {
		t.send(&runtime.Trace{RoutingClassifierTrace: &runtime.RoutingClassifierTrace{InvocationInput: o.InvocationInput, Observation: o.Observation}})
		return
	}
	t.send(&runtime.Trace{OrchestrationTrace: o})
}

func (t *tracer) rationale(id, text string) {
	if text != "" {
		t.orchestration(&runtime.OrchestrationTrace{Rationale: &runtime.Rationale{Text: new(text), TraceId: new(id)}})
	}
}

func (t *tracer) invocation(id string, in *runtime.InvocationInput) {
	in.TraceId = new(id)
	t.orchestration(&runtime.OrchestrationTrace{InvocationInput: in})
}

func (t *tracer) observe(id string, o *runtime.Observation) {
	o.TraceId = new(id)
	t.orchestration(&runtime.OrchestrationTrace{Observation: o})
}

func (t *tracer) reprompt(id string, source runtime.Source, text string) {
	t.observe(id, &runtime.Observation{Type: runtime.TypeReprompt, RepromptResponse: &runtime.RepromptResponse{Source: source, Text: new(text)}})
}

// failure tells why the rest is missing.
func (t *tracer) failure(e *apierr.Error) {
	id := t.last
	if id == "" {
		id = t.step(0)
	}
	f := &runtime.FailureTrace{FailureReason: new(e.Message), TraceId: new(id), Metadata: t.span(t.began, nil)}
	if code := codes[e.Kind]; code != 0 {
		f.FailureCode = new(code)
	}
	t.send(&runtime.Trace{FailureTrace: f})
}

// span is the metadata of what began at start and has just ended.
func (t *tracer) span(start time.Time, u *engine.Usage) *runtime.Metadata {
	if !t.on {
		return nil
	}
	end := t.now()
	m := &runtime.Metadata{StartTime: new(start), EndTime: new(end), TotalTimeMs: new(end.Sub(start).Milliseconds())}
	if u != nil {
		m.Usage = &runtime.Usage{InputTokens: new(u.Input + u.CacheRead + u.CacheWrite), OutputTokens: new(u.Output)}
	}
	return m
}

// finished is the metadata of the last answer of the operation.
func (t *tracer) finished(start time.Time) *runtime.Metadata {
	m := t.span(start, nil)
	if m != nil {
		m.OperationTotalTimeMs = new(m.EndTime.Sub(t.began).Milliseconds())
	}
	return m
}
