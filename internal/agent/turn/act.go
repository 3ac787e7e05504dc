package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// once does something that may not be done twice: the intent is on disk before do
// begins and its outcome before anybody is told. do returns an answer or an
// *apierr.Error; it runs to its end even when the client has gone.
func (t *Turn) once(ctx context.Context, i int, started func(), do func(context.Context) (*answer, error)) error {
	intent, err := json.Marshal(&done{Progress: t.p, Call: i})
	if err != nil {
		return fmt.Errorf("write an intent: %w", err)
	}
	n, err := t.Journal.Intent(ctx, intent)
	if err != nil {
		return err
	}
	t.r.c.At(AtIntent)
	started()
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.r.c.Patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { t.hurry(ctx, work, cancel) })()
	a, err := do(work)
	t.r.c.At(AtActed)
	if errors.Is(work.Err(), context.Canceled) {
		return ctx.Err() // cut short: nobody knows what was done, so the intent stays without a result
	}
	o := outcome{Answer: a}
	if err != nil {
		e, ok := errors.AsType[*apierr.Error](err)
		if !ok {
			e = apierr.Wrap(apierr.DependencyFailed, err, textBadAnswer)
		}
		if e.Err != nil {
			t.r.c.Log.InfoContext(ctx, "a call of an agent failed", "agent", t.plan.ARN, "session", t.SessionID, "call", t.p.Open[i].Name, "error", e.Err)
		}
		o = outcome{Fault: faultOf(e)}
	}
	result, err := json.Marshal(&o)
	if err != nil {
		return fmt.Errorf("write a result: %w", err)
	}
	if err := t.Journal.Result(ctx, n, result); err != nil {
		return err
	}
	t.r.c.At(AtResult)
	return t.took(i, &o)
}

// hurry ends a call when the server stops, after a moment to come to its own end. A
// client that has gone is no reason.
func (t *Turn) hurry(ctx, work context.Context, cancel context.CancelFunc) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	select {
	case <-work.Done():
	case <-time.After(t.r.c.Hurry):
		cancel()
	}
}

// took takes the outcome of a call: from its executor, or from the journal.
func (t *Turn) took(i int, o *outcome) error {
	if o.Fault != nil {
		t.spent = true
		return o.Fault.err()
	}
	if o.Answer == nil {
		return bug("a call has neither an answer nor a fault")
	}
	t.adopt(o.Answer)
	return t.receive(t.trace.step(t.p.Iteration), i, o.Answer)
}

// receive gives a call its answer and shows it.
func (t *Turn) receive(id string, i int, a *answer) error {
	c := t.tools.resolve(t.p.Open[i])
	switch a.State {
	case runtime.ResponseStateFailure:
		t.spent = true
		return failed("The action %s of %s answered with the state FAILURE: %s", actionName(&c), groupName(&c), a.Text)
	case runtime.ResponseStateReprompt:
		if t.p.Reprompts++; t.p.Reprompts > t.r.c.MaxReprompts {
			return failed("The action %s of %s asked for another call %d times in a row.", actionName(&c), groupName(&c), t.p.Reprompts)
		}
		t.trace.reprompt(id, runtime.SourceActionGroup, a.Text)
		t.p.give(i, a.Text, true)
		return nil
	}
	t.trace.observe(id, t.observation(a))
	if a.Code != nil {
		t.made(a.Code)
	}
	t.p.give(i, a.Text, false)
	t.p.Reprompts = 0
	if t.p.Done == nil {
		t.p.Done = map[string]bool{}
	}
	t.p.Done[key(c.Name, c.Arguments)] = true
	t.p.Acted = append(t.p.Acted, a.Text)
	return nil
}

func actionName(c *call) string {
	if c.action != nil {
		return c.action.Name()
	}
	return c.Name
}

func groupName(c *call) string {
	if c.group != nil {
		return c.group.Name
	}
	return "the agent"
}

// observation is the answer of a call as the trace shows it.
func (t *Turn) observation(a *answer) *runtime.Observation {
	if a.Code != nil {
		return t.ran(a.Code)
	}
	return &runtime.Observation{
		Type: runtime.TypeActionGroup, ActionGroupInvocationOutput: &runtime.ActionGroupInvocationOutput{Text: new(a.Text), Metadata: t.trace.span(t.callBegan, nil)},
	}
}

// invoke calls the function of an action group.
func (t *Turn) invoke(ctx context.Context, id string, i int, c *call) error {
	if text := missing(c); text != "" {
		return t.refuse(id, i, text)
	}
	if t.r.c.Functions == nil {
		return failed("This server has no way to call Lambda functions.")
	}
	args, err := bind(c.action, c.Arguments)
	if err != nil {
		return err // missing has seen it
	}
	payload, err := json.Marshal(newEvent(c, &args, t.who(), t.inputText(), t.SessionID, t.p.Attributes, t.p.PromptAttributes))
	if err != nil {
		return fmt.Errorf("write the event of an action: %w", err)
	}
	return t.once(ctx, i, func() {
		t.callBegan = t.r.c.Now()
		t.trace.invocation(id, &runtime.InvocationInput{InvocationType: runtime.InvocationTypeActionGroup, ActionGroupInvocationInput: c.invocationInput(&args, "")})
	}, func(ctx context.Context) (*answer, error) {
		got, wrong, err := t.r.c.Functions.Call(ctx, t.plan.ARN, c.group.Lambda, payload)
		if err != nil {
			return nil, lambdaError(err, c.group.Lambda)
		}
		if wrong {
			return nil, badAnswer(textBadAnswer, fmt.Errorf("the function failed: %.500s", got))
		}
		return readReply(c.action, c.group.Name, got, t.r.c.MaxAnswer)
	})
}

// lambdaError words a refusal of a function for the caller of the agent.
func lambdaError(err error, function string) error {
	e, ok := errors.AsType[*apierr.Error](err)
	switch {
	case !ok:
		return badAnswer(textBadAnswer, err)
	case e.Kind == apierr.AccessDenied:
		return &apierr.Error{Kind: apierr.AccessDenied, Message: fmt.Sprintf(textLambdaDenied, function), Err: err}
	}
	return public(e)
}

// who is the agent as Lambda events name it.
func (t *Turn) who() who {
	return who{Name: t.plan.Name, ID: t.agentID(), Alias: t.Agent.ID, Version: t.Agent.Version}
}

// inlineAgent is what an agent that came with the request is called.
const inlineAgent = "INLINE_AGENT"

func (t *Turn) agentID() string {
	if t.Inline {
		return inlineAgent
	}
	return t.plan.AgentID
}

// inputText is what the user said in this turn; while results come in, it is what he
// said before.
func (t *Turn) inputText() string {
	if t.Text != "" && len(t.Results) == 0 {
		return t.Text
	}
	return t.p.Question
}
