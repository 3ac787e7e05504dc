package turn

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// shortcut is what comes before the loop: a router's choice, or the answer of an agent
// that is nothing but a knowledge base. Nil goes on with the loop.
func (t *Turn) shortcut(ctx context.Context) (*ending, error) {
	if t.plan.Collaboration == plan.Router && t.enabled(plan.Classify) && len(t.plan.Collaborators) > 0 {
		return t.classify(ctx)
	}
	o, k := t.plan.Prompt(plan.Orchestrate), t.plan.Prompt(plan.KnowledgeReply)
	if len(t.plan.Knowledge) != 1 || len(t.plan.Groups) > 0 || len(t.plan.Collaborators) > 0 || o.Creation != plan.Default || k == nil || !k.Enabled {
		return nil, nil //nolint:nilnil // the loop it is
	}
	id := t.trace.step(0)
	t.stepBegan = t.r.c.Now()
	refs, err := t.retrieve(ctx, id, &t.plan.Knowledge[0], t.p.Question)
	if err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, nil //nolint:nilnil // the model says so in its own words
	}
	parts, err := t.writeFrom(ctx, id, k, t.p.Question, refs)
	if err != nil {
		return nil, err
	}
	text := textOf(parts)
	t.trace.observe(id, &runtime.Observation{Type: runtime.TypeFinish, FinalResponse: &runtime.FinalResponse{Text: new(text), Metadata: t.trace.finished(t.stepBegan)}})
	return t.postProcess(ctx, text, parts)
}

// classify lets a router choose who answers. An undecided one becomes a supervisor.
func (t *Turn) classify(ctx context.Context) (*ending, error) {
	p := t.plan.Prompt(plan.Classify)
	v := t.values()
	v.Scratchpad = nil
	a, err := t.prompt(p, v)
	if err != nil {
		return nil, err
	}
	id := t.trace.step(0)
	if t.trace.on {
		t.trace.send(&runtime.Trace{RoutingClassifierTrace: &runtime.RoutingClassifierTrace{ModelInvocationInput: t.modelInvocation(id, p, a)}})
	}
	res, meta, err := t.generate(ctx, p, a)
	if err != nil {
		return nil, err
	}
	if t.trace.on {
		t.trace.send(&runtime.Trace{RoutingClassifierTrace: &runtime.RoutingClassifierTrace{ModelInvocationOutput: &runtime.RoutingClassifierModelInvocationOutput{
			TraceId: new(id), Metadata: meta, RawResponse: &runtime.RawResponse{Content: new(t.raw(p, a, res))},
		}}})
	}
	got, err := t.parsed(ctx, p, a, res)
	if err != nil {
		return nil, err
	}
	name := got.Agent
	if name == prompt.KeepPrevious {
		name = t.state.Routed
	}
	for i := range t.plan.Collaborators {
		c := &t.plan.Collaborators[i]
		if !strings.EqualFold(c.Name, name) {
			continue
		}
		input, err := json.Marshal(map[string]string{"recipient": c.Name, "content": t.Text})
		if err != nil {
			return nil, err
		}
		t.p.Routed = c.Name
		t.p.open([]engine.ToolCall{{ID: "route", Name: sendTool, Arguments: input}})
		return nil, nil //nolint:nilnil // the loop asks it
	}
	t.p.Iteration++ // the router's call was the first
	return nil, nil //nolint:nilnil // undecided
}

// routed ends the turn with the answer of the collaborator that was chosen.
func (t *Turn) routed(ctx context.Context) (*ending, error) {
	t.trace.route = false
	last := t.p.Said[len(t.p.Said)-1].Parts[0].ToolResult
	return t.postProcess(ctx, last.Parts[0].Text, nil)
}
