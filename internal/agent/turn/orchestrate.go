package turn

import (
	"context"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Texts that the model is told.
const (
	tellRepeated = "This call was made before in this turn with the same input and has been answered above. Do not repeat it: use that result and answer the user now."
	tellDenied   = "The user was asked to confirm this action and has denied it. It was not done. Do not try it again; tell the user or go on without it."
	tellEmpty    = "The last answer was empty. Answer the user, or call one of the tools."
	tellSilent   = "No tool can be called any more in this turn. Answer the user with what is known."
)

// orchestrate is the loop: what is open is done, then the model is asked again.
func (t *Turn) orchestrate(ctx context.Context) (*ending, error) {
	p := t.p
	if len(p.Said) == 0 && len(p.Open) == 0 {
		if end, err := t.shortcut(ctx); end != nil || err != nil {
			return end, err
		}
	}
	for {
		if len(p.Open) > 0 {
			t.trace.route = p.Routed != ""
			end, err := t.act(ctx)
			if end != nil || err != nil {
				return end, err
			}
			if p.Routed != "" {
				return t.routed(ctx)
			}
			p.Iteration++
		}
		d, err := t.think(ctx)
		if err != nil {
			return nil, err
		}
		id := t.trace.step(p.Iteration)
		t.trace.rationale(id, d.thought)
		if d.thought != "" {
			p.Thoughts = append(p.Thoughts, d.thought)
		}
		switch {
		case d.reprompt != "":
			if p.Reprompts++; p.Reprompts > t.r.c.MaxReprompts {
				return nil, failed("The model's answers could not be used %d times in a row. The last one: %s", p.Reprompts, d.reprompt)
			}
			t.trace.reprompt(id, runtime.SourceParser, d.reprompt)
			if d.said.Parts != nil {
				p.Said = append(p.Said, d.said)
			}
			p.Said = append(p.Said, engine.Message{Role: engine.User, Parts: []engine.Part{{Text: d.reprompt}}})
			p.Iteration++
		case len(d.calls) > 0:
			p.Said = append(p.Said, d.said)
			p.open(d.calls)
		default:
			t.trace.observe(id, &runtime.Observation{
				Type: runtime.TypeFinish, FinalResponse: &runtime.FinalResponse{Text: new(d.text), Metadata: t.trace.finished(t.stepBegan)},
			})
			return t.postProcess(ctx, d.text, d.parts)
		}
	}
}

// act gives every open call its result, or ends the turn with those that wait for
// somebody else.
func (t *Turn) act(ctx context.Context) (*ending, error) {
	p := t.p
	id := t.trace.step(p.Iteration)
	var control, asks []int
	calls := make([]call, len(p.Open))
	for i := range p.Open {
		if p.answered(i) {
			continue
		}
		c := t.tools.resolve(p.Open[i])
		calls[i] = c
		k := key(c.Name, c.Arguments)
		switch {
		case c.wrong != "":
			if err := t.refuse(id, i, c.wrong); err != nil {
				return nil, err
			}
		case p.Done[k] && !c.ask:
			p.Silence = true
			if err := t.refuse(id, i, tellRepeated); err != nil {
				return nil, err
			}
		case c.collaborator != nil && len(control) > 0:
			continue // one return of control at a time; it is asked when that is answered
		case c.ask:
			asks = append(asks, i)
		case c.action != nil && (c.group.Lambda == "" || c.action.Confirm && !p.Confirmed[i]):
			if text := missing(&c); text != "" {
				if err := t.refuse(id, i, text); err != nil {
					return nil, err
				}
				continue
			}
			control = append(control, i)
		default:
			if err := t.do(ctx, id, i, &c); err != nil {
				return nil, err
			}
			if t.held[i] != nil {
				control = append(control, i)
			}
		}
	}
	switch {
	case len(control) > 0:
		return t.returnControl(ctx, id, calls, control)
	case len(asks) > 0:
		return t.askUser(ctx, id, calls, asks)
	}
	p.settle()
	return nil, nil //nolint:nilnil // no end yet
}

// refuse answers a call without doing it.
func (t *Turn) refuse(id string, i int, text string) error {
	if t.p.Reprompts++; t.p.Reprompts > t.r.c.MaxReprompts {
		return failed("The model's calls could not be carried out %d times in a row. The last one: %s", t.p.Reprompts, text)
	}
	t.trace.reprompt(id, runtime.SourceParser, text)
	t.p.give(i, text, true)
	return nil
}

// missing says which required inputs of an action a call lacks, "" for none.
func missing(c *call) string {
	args, err := bind(c.action, c.Arguments)
	switch {
	case err != nil:
		return "The input of " + c.Name + " is not a JSON object. Call it again with one."
	case len(args.missing) > 0:
		return "The call of " + c.Name + " lacks required input: " + strings.Join(args.missing, ", ") +
			". Call it again with a value that the user has given; if there is none, do not invent one but ask for it."
	}
	return ""
}

// do carries out a call.
func (t *Turn) do(ctx context.Context, id string, i int, c *call) error {
	switch {
	case c.action != nil:
		return t.invoke(ctx, id, i, c)
	case c.base != nil:
		return t.query(ctx, id, i, c)
	case c.collaborator != nil:
		return t.collaborate(ctx, id, i, c)
	case c.code:
		return t.runCode(ctx, id, i, c)
	}
	return bug("a call of %s that is nothing", c.Name)
}

// askUser ends the turn with a question.
func (t *Turn) askUser(_ context.Context, id string, calls []call, asks []int) (*ending, error) {
	var questions []string
	for _, i := range asks {
		q := question(calls[i].Arguments)
		if q == "" {
			if err := t.refuse(id, i, "Missing the parameter 'question' for user::askuser function call. Please try again with the correct argument added."); err != nil {
				return nil, err
			}
			continue
		}
		questions = append(questions, q)
	}
	if len(questions) == 0 {
		t.p.settle()
		return nil, nil //nolint:nilnil // the model is asked again
	}
	text := strings.Join(questions, "\n")
	t.trace.observe(id, &runtime.Observation{
		Type: runtime.TypeAskUser, FinalResponse: &runtime.FinalResponse{Text: new(text), Metadata: t.trace.finished(t.stepBegan)},
	})
	e := t.said(text, nil)
	e.waiting = &waiting{Progress: t.p, Ask: true}
	return e, nil
}

// bare answers with the model alone: orchestration is switched off.
func (t *Turn) bare(ctx context.Context, p *plan.Prompt) (string, error) {
	a := asked{
		system: "", text: func() string { return t.Text }, stream: t.Stream && !t.enabled(plan.PostProcessing),
		messages: append(append([]engine.Message(nil), t.history...), engine.Message{Role: engine.User, Parts: append(clip(t.chat), engine.Part{Text: t.Text})}),
	}
	id := t.trace.step(0)
	t.modelInput(id, p, &a, t.trace.orchestration)
	res, meta, err := t.generate(ctx, p, &a)
	if err != nil {
		return "", err
	}
	t.trace.orchestration(&runtime.OrchestrationTrace{ModelInvocationOutput: t.modelOutput(id, p, &a, res, meta)})
	return strings.TrimSpace(res.Text()), nil
}
