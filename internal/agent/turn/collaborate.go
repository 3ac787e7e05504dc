package turn

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// maxDepth is how far agents may ask agents that ask agents.
const maxDepth = 3

// child is what the session of a supervisor keeps of a collaborator: a collaborator
// has no session of its own, so it lives and ends with the supervisor's.
type child struct {
	State   json.RawMessage   `json:"state,omitempty"`
	Records []json.RawMessage `json:"records,omitempty"`
}

// given are results that the caller of a supervisor sent for a collaborator.
type given struct {
	Invocation string                           `json:"invocation"`
	Results    []runtime.InvocationResultMember `json:"results"`
}

// collaborate asks a collaborator, or hands it the results it waits for. Its steps are
// journaled inside the supervisor's.
func (t *Turn) collaborate(ctx context.Context, id string, i int, c *call) error {
	from, ok := t.p.Given[i]
	text := argument(c.Arguments, "content", "message", "text")
	if text == "" && !ok {
		return t.refuse(id, i, "The message to "+c.collaborator.Name+" has no content. Send it again with one.")
	}
	alias, err := t.alias(ctx, c.collaborator)
	if err != nil {
		return err
	}
	if len(t.chain) >= maxDepth {
		return failed("The collaborator %s was not asked: agents may ask agents over %d levels only.", c.collaborator.Name, maxDepth)
	}
	name := c.collaborator.Name
	in := &Input{
		Agent: alias, Inline: c.collaborator.Inline != nil, Account: t.Account, Region: t.Region, SessionID: t.SessionID, Text: text,
		Attributes: t.p.Attributes, Trace: t.Trace, ForgetThoughts: t.ForgetThoughts, Turns: t.Turns, name: name, chain: t.forwarders(),
	}
	if ok {
		in.InvocationID, in.Results = from.Invocation, from.Results
	}
	if in.Attributes == nil {
		in.Attributes = map[string]string{}
	}
	if was := t.p.Children[name]; was != nil {
		in.State = was.State
		for _, r := range was.Records {
			in.Records = append(in.Records, r)
		}
	}
	if c.collaborator.Relay && len(in.Records) == 0 {
		in.History = relayed(append(clip(t.history), engine.Message{Role: engine.User, Parts: []engine.Part{{Text: t.p.Question}}}))
	}
	if s := t.childStep; s != nil && s.call == i {
		in.Done, t.childStep = []Step{s.step}, nil
	} else {
		t.trace.invocation(id, &runtime.InvocationInput{
			InvocationType: runtime.InvocationTypeAgentCollaborator, AgentCollaboratorInvocationInput: &runtime.AgentCollaboratorInvocationInput{
				AgentCollaboratorName: new(name), AgentCollaboratorAliasArn: aliasOf(alias), Input: payloadOf(text, from, ok),
			},
		})
	}
	start := t.r.c.Now()
	j := &childJournal{t: t, call: i, name: name}
	in.Journal = j
	sink := &childSink{t: t}
	sub, err := t.r.Prepare(ctx, in)
	if err != nil {
		return fmt.Errorf("ask %s: %w", name, err)
	}
	err = sub.Run(ctx, sink)
	t.usage.Input += sub.usage.Input
	t.usage.Output += sub.usage.Output
	t.usage.CacheRead += sub.usage.CacheRead
	t.usage.CacheWrite += sub.usage.CacheWrite
	if err != nil {
		t.spent = t.spent || sub.spent
		return err
	}
	delete(t.p.Given, i)
	out := &runtime.AgentCollaboratorOutputPayload{Type: runtime.PayloadTypeText, Text: new(sink.text.String())}
	if sink.returned != nil {
		out = &runtime.AgentCollaboratorOutputPayload{Type: runtime.PayloadTypeReturnControl, ReturnControlPayload: sink.returned}
	}
	t.trace.observe(id, &runtime.Observation{
		Type: runtime.TypeAgentCollaborator, AgentCollaboratorInvocationOutput: &runtime.AgentCollaboratorInvocationOutput{
			AgentCollaboratorName: new(name), AgentCollaboratorAliasArn: aliasOf(alias), Output: out, Metadata: t.trace.span(start, nil),
		},
	})
	if sink.returned != nil {
		if t.held == nil {
			t.held = map[int]*held{}
		}
		t.held[i] = &held{payload: sink.returned, calls: sub.waits}
		return nil
	}
	t.p.give(i, sink.text.String(), false)
	t.p.Reprompts = 0
	t.p.Acted = append(t.p.Acted, sink.text.String())
	return nil
}

func aliasOf(a *Alias) *string {
	if a.ARN == "" {
		return nil
	}
	return new(a.ARN)
}

func payloadOf(text string, from given, results bool) *runtime.AgentCollaboratorInputPayload {
	if results {
		return &runtime.AgentCollaboratorInputPayload{Type: runtime.PayloadTypeReturnControl, ReturnControlResults: &runtime.ReturnControlResults{
			InvocationId: new(from.Invocation), ReturnControlInvocationResults: from.Results,
		}}
	}
	return &runtime.AgentCollaboratorInputPayload{Type: runtime.PayloadTypeText, Text: new(text)}
}

// held is a return of control by a collaborator, on its way to the supervisor's caller.
type held struct {
	payload *runtime.ReturnControlPayload
	calls   []awaited
}

// forwarders are the agents through which a request came to a collaborator of this one.
func (t *Turn) forwarders() []string {
	var own []string
	if t.Agent.ARN != "" {
		own = []string{t.Agent.ARN}
	}
	return append(clip(t.chain), own...)
}

// alias finds the agent behind a collaborator.
func (t *Turn) alias(ctx context.Context, c *plan.Collaborator) (*Alias, error) {
	if c.Inline != nil {
		return &Alias{Plan: c.Inline}, nil
	}
	if t.r.c.Plans == nil {
		return nil, failed("The collaborator %s cannot be asked: this server does not find other agents.", c.Name)
	}
	a, err := t.r.c.Plans.Alias(ctx, c.Alias)
	switch {
	case err != nil:
		return nil, err
	case a.Paused:
		return nil, invalid("The alias of the collaborator %s is paused and does not accept invocations.", c.Name)
	}
	return a, nil
}

// relayed writes messages as a request's conversationHistory does.
func relayed(list []engine.Message) []runtime.Message {
	var out []runtime.Message
	for i := range list {
		var text strings.Builder
		for j := range list[i].Parts {
			if p := &list[i].Parts[j]; p.IsText() {
				text.WriteString(p.Text)
			}
		}
		if text.Len() > 0 {
			out = append(out, runtime.Message{Role: runtime.ConversationRole(list[i].Role), Content: []runtime.ContentBlock{{Text: new(text.String())}}})
		}
	}
	return out
}

// childSink takes what a collaborator shows: traces and files go to the client, the
// rest is the supervisor's to read.
type childSink struct {
	t        *Turn
	text     strings.Builder
	returned *runtime.ReturnControlPayload
}

var _ Sink = (*childSink)(nil)

func (s *childSink) Trace(p *runtime.TracePart) error {
	if s.t.trace.lost == nil {
		s.t.trace.lost = s.t.trace.sink.Trace(p)
	}
	return s.t.trace.lost
}

func (s *childSink) Chunk(c *runtime.PayloadPart) error { s.text.Write(c.Bytes); return nil }

func (s *childSink) Return(r *runtime.ReturnControlPayload) error { s.returned = r; return nil }

func (s *childSink) Files(f *runtime.FilePart) error {
	for i := range f.Files {
		s.t.out = append(s.t.out, File{Name: optional.Value(f.Files[i].Name), Type: optional.Value(f.Files[i].Type), Data: f.Files[i].Bytes})
	}
	return nil
}

// childJournal writes a collaborator's steps into those of its supervisor.
type childJournal struct {
	t    *Turn
	call int
	name string
}

var _ Journal = (*childJournal)(nil)

func (j *childJournal) Intent(ctx context.Context, data []byte) (int64, error) {
	b, err := json.Marshal(&done{Progress: j.t.p, Call: j.call, Child: data})
	if err != nil {
		return 0, fmt.Errorf("write a collaborator's intent: %w", err)
	}
	return j.t.Journal.Intent(ctx, b)
}

func (j *childJournal) Result(ctx context.Context, number int64, data []byte) error {
	b, err := json.Marshal(&outcome{Child: data})
	if err != nil {
		return fmt.Errorf("write a collaborator's result: %w", err)
	}
	return j.t.Journal.Result(ctx, number, b)
}

// Finish keeps the collaborator's state for the supervisor's session.
func (j *childJournal) Finish(_ context.Context, state, record []byte) error {
	if j.t.p.Children == nil {
		j.t.p.Children = map[string]*child{}
	}
	was := j.t.p.Children[j.name]
	if was == nil {
		was = &child{}
	}
	j.t.p.Children[j.name] = &child{State: state, Records: append(clip(was.Records), record)}
	return nil
}

// Fail and Stop leave the collaborator as it was: the supervisor's turn ends too.
func (j *childJournal) Fail(context.Context, []byte) error { return nil }

// Stop does nothing, see Fail.
func (j *childJournal) Stop(context.Context) error { return nil }
