package turn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// textRefused is the answer to an input that pre-processing has not let through.
const textRefused = "Sorry, I cannot answer this request."

const textBadParser = "The server encountered an error processing the response of the parser Lambda. Check the Lambda response and retry the request"

// textTools reports whether orchestration has its tools in the text of its prompt.
func (t *Turn) textTools() bool {
	p := t.plan.Prompt(plan.Orchestrate)
	return p != nil && prompt.InText(p.Template)
}

// values are what the placeholders of a step stand for.
func (t *Turn) values() *prompt.Values {
	v := &prompt.Values{
		Plan: t.plan, Question: t.p.Question, History: t.history, Scratchpad: t.p.Said, PromptAttributes: t.p.PromptAttributes,
		Memory: t.p.Memory, Responses: t.p.Acted, Asked: t.Text, Parts: append(clip(t.chat), t.codeFiles()...),
	}
	for _, f := range t.code {
		v.Files = append(v.Files, f.Name)
	}
	return v
}

// prompt renders a step.
func (t *Turn) prompt(p *plan.Prompt, v *prompt.Values) (*asked, error) {
	r, err := t.tools.render(p, v)
	if err != nil {
		if errors.Is(err, prompt.ErrTemplate) {
			return nil, apierr.Wrap(apierr.Validation, err, textTemplate)
		}
		return nil, err
	}
	return &asked{system: r.System, messages: r.Messages, text: r.Text, inText: r.InText}, nil
}

func (t *Turn) orchestrationPrompt(p *plan.Prompt) (*asked, error) {
	a, err := t.prompt(p, t.values())
	if err != nil {
		return nil, err
	}
	if !a.inText {
		a.tools = t.tools.list
	}
	return a, nil
}

// recall reads what earlier sessions were about, once a turn.
func (t *Turn) recall(ctx context.Context) error {
	m := t.plan.Memory
	if m == nil || m.Days == 0 || t.MemoryID == "" || t.r.c.Memory == nil {
		return nil
	}
	var err error
	t.p.Memory, err = t.r.c.Memory.Recall(ctx, t.plan.AgentID, t.Agent.ID, t.MemoryID, m.Recent)
	return err
}

// decide reads the answer of orchestration.
func (t *Turn) decide(ctx context.Context, p *plan.Prompt, a *asked, res *engine.Result) (*decision, error) {
	if p.Parser != plan.Overridden && !a.inText {
		return read(res), nil
	}
	text := res.Text()
	var got *prompt.Parsed
	if p.Parser == plan.Overridden {
		var err error
		if got, err = t.parser(ctx, p, t.raw(p, a, res)); err != nil {
			return nil, err
		}
	} else {
		got = prompt.Orchestration(text)
	}
	d := &decision{thought: got.Thought, reprompt: got.Reprompt, said: engine.Message{Role: engine.Assistant}}
	if text = written(text, res.StopText); text != "" {
		d.said.Parts = []engine.Part{{Text: text}}
	}
	switch {
	case got.Reprompt != "":
		return d, nil
	case got.Final != nil:
		d.text = got.Final.Text
		for _, x := range got.Final.Parts {
			d.parts = append(d.parts, citedPart{x.Text, x.Sources})
		}
	case got.Ask != "":
		d.calls = []engine.ToolCall{toolCall(&prompt.Call{Group: "user", Name: "askuser", Input: map[string]string{"question": got.Ask}}, t.p.Asked)}
	case len(got.Calls) > 0:
		for i := range got.Calls {
			d.calls = append(d.calls, toolCall(&got.Calls[i], t.p.Asked*10+i))
		}
	default:
		d.reprompt = prompt.RepromptParse
	}
	if !a.inText { // the engine is told calls, not text
		own := read(res).calls
		for i := range d.calls {
			if i < len(own) {
				d.calls[i].ID, d.calls[i].Name = own[i].ID, named(own[i].Name, d.calls[i].Name, t.tools)
			}
			d.said.Parts = append(d.said.Parts, engine.Part{ToolCall: new(d.calls[i])})
		}
	}
	return d, nil
}

// named keeps the name under which the model called when the parser means the same.
func named(own, parsed string, b *toolbox) string {
	x, y := b.resolve(engine.ToolCall{Name: own}), b.resolve(engine.ToolCall{Name: parsed})
	if x.action != nil && x.action == y.action || x.base != nil && x.base == y.base || x.ask && y.ask {
		return own
	}
	return parsed
}

// written is what the model wrote with the end that a stop sequence has cut off.
func written(text, stop string) string {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(stop, "</") {
		text += stop
	}
	if strings.Contains(text, "<function_calls>") && !strings.Contains(text, "</function_calls>") {
		text += "\n</function_calls>"
	}
	return text
}

// parser lets the agent's own function read an answer.
func (t *Turn) parser(ctx context.Context, p *plan.Prompt, answer string) (*prompt.Parsed, error) {
	if t.r.c.Functions == nil {
		return nil, failed("This server has no way to call the parser Lambda.")
	}
	w := t.who()
	payload, err := prompt.Event(prompt.Agent{Name: w.Name, ID: w.ID, Alias: w.Alias, Version: w.Version}, p.Step, answer)
	if err != nil {
		return nil, fmt.Errorf("write the event of a parser: %w", err)
	}
	got, wrong, err := t.r.c.Functions.Call(ctx, t.plan.ARN, t.plan.Parser, payload)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, lambdaError(err, t.plan.Parser)
	case wrong:
		return nil, badAnswer(textBadParser, fmt.Errorf("the function failed: %.500s", got))
	}
	out, err := prompt.Read(p.Step, got)
	if err != nil {
		return nil, badAnswer(textBadParser, err)
	}
	return out, nil
}

// parsed reads the answer of a step other than orchestration.
func (t *Turn) parsed(ctx context.Context, p *plan.Prompt, a *asked, res *engine.Result) (*prompt.Parsed, error) {
	if p.Parser == plan.Overridden {
		return t.parser(ctx, p, t.raw(p, a, res))
	}
	text := res.Text()
	switch p.Step {
	case plan.PreProcessing:
		return prompt.PreProcessing(text), nil
	case plan.KnowledgeReply:
		return &prompt.Parsed{Final: prompt.Knowledge(text)}, nil
	case plan.PostProcessing:
		s, err := prompt.PostProcessing(text)
		if err != nil { // small models forget the tags: what they wrote is the answer
			s = strings.TrimSpace(thinking.ReplaceAllString(text, ""))
		}
		return &prompt.Parsed{Final: &prompt.Answer{Text: s}}, nil
	case plan.Classify:
		return prompt.Routing(text), nil
	case plan.Orchestrate, plan.Summarize:
	}
	return nil, bug("no parser for %s", p.Step)
}

// preProcess judges the input. refused is the answer to one that may not go on.
func (t *Turn) preProcess(ctx context.Context) (refused string, err error) {
	p := t.plan.Prompt(plan.PreProcessing)
	if p == nil || !p.Enabled {
		return "", nil
	}
	v := t.values()
	v.Question = t.Text
	v.Scratchpad = nil
	a, err := t.prompt(p, v)
	if err != nil {
		return "", err
	}
	id := t.trace.pre()
	if t.trace.on {
		t.trace.send(&runtime.Trace{PreProcessingTrace: &runtime.PreProcessingTrace{ModelInvocationInput: t.modelInvocation(id, p, a)}})
	}
	res, meta, err := t.generate(ctx, p, a)
	if err != nil {
		return "", err
	}
	got, err := t.parsed(ctx, p, a, res)
	if err != nil {
		return "", err
	}
	if t.trace.on {
		t.trace.send(&runtime.Trace{PreProcessingTrace: &runtime.PreProcessingTrace{ModelInvocationOutput: &runtime.PreProcessingModelInvocationOutput{
			TraceId: new(id), Metadata: meta, RawResponse: &runtime.RawResponse{Content: new(t.raw(p, a, res))}, ReasoningContent: reasoning(res),
			ParsedResponse: &runtime.PreProcessingParsedResponse{IsValid: new(got.Valid), Rationale: new(got.Thought)},
		}}})
	}
	if !got.Valid {
		return textRefused, nil
	}
	return "", nil
}

// postProcess gives the answer its last form.
func (t *Turn) postProcess(ctx context.Context, text string, parts []citedPart) (*ending, error) {
	p := t.plan.Prompt(plan.PostProcessing)
	if p == nil || !p.Enabled {
		return t.said(text, parts), nil
	}
	v := t.values()
	v.Latest = text
	a, err := t.prompt(p, v)
	if err != nil {
		return nil, err
	}
	a.stream = false
	id := t.trace.post()
	if t.trace.on {
		t.trace.send(&runtime.Trace{PostProcessingTrace: &runtime.PostProcessingTrace{ModelInvocationInput: t.modelInvocation(id, p, a)}})
	}
	res, meta, err := t.generate(ctx, p, a)
	if err != nil {
		return nil, err
	}
	got, err := t.parsed(ctx, p, a, res)
	if err != nil {
		return nil, err
	}
	final := got.Final.Text
	if final == "" {
		final = text
	}
	if len(got.Final.Parts) > 0 {
		parts = nil
		for _, x := range got.Final.Parts {
			parts = append(parts, citedPart{x.Text, x.Sources})
		}
	}
	if t.trace.on {
		t.trace.send(&runtime.Trace{PostProcessingTrace: &runtime.PostProcessingTrace{ModelInvocationOutput: &runtime.PostProcessingModelInvocationOutput{
			TraceId: new(id), Metadata: meta, RawResponse: &runtime.RawResponse{Content: new(t.raw(p, a, res))}, ReasoningContent: reasoning(res),
			ParsedResponse: &runtime.PostProcessingParsedResponse{Text: new(final)},
		}}})
	}
	return t.said(final, parts), nil
}

// writeFrom writes an answer from search results.
func (t *Turn) writeFrom(ctx context.Context, id string, p *plan.Prompt, query string, refs []reference) ([]citedPart, error) {
	v := t.values()
	v.Query, v.Results = query, passages(refs)
	a, err := t.prompt(p, v)
	if err != nil {
		return nil, err
	}
	t.modelInput(id, p, a, t.trace.orchestration)
	res, meta, err := t.generate(ctx, p, a)
	if err != nil {
		return nil, err
	}
	t.trace.orchestration(&runtime.OrchestrationTrace{ModelInvocationOutput: t.modelOutput(id, p, a, res, meta)})
	got, err := t.parsed(ctx, p, a, res)
	if err != nil {
		return nil, err
	}
	var parts []citedPart
	for _, x := range got.Final.Parts {
		parts = append(parts, citedPart{x.Text, x.Sources})
	}
	if len(parts) == 0 && got.Final.Text != "" {
		parts = []citedPart{{Text: got.Final.Text}}
	}
	t.p.Parts = append(t.p.Parts, parts...)
	return parts, nil
}
