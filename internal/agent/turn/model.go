package turn

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// asked is what one step sends to the model.
type asked struct {
	system   string
	messages []engine.Message
	tools    []engine.Tool
	choice   engine.ToolChoiceMode
	text     func() string // the whole prompt, for traces
	stream   bool          // what comes out is the answer and goes out as it comes
	inText   bool          // the tools stand in the text
}

// enabled reports whether a step takes place.
func (t *Turn) enabled(s plan.Step) bool {
	p := t.plan.Prompt(s)
	return p != nil && p.Enabled
}

// model is what answers a step.
func (t *Turn) model(p *plan.Prompt) string {
	if p.Model != "" {
		return p.Model
	}
	return t.plan.Model
}

// modelInput shows what a model is about to be asked.
func (t *Turn) modelInput(id string, p *plan.Prompt, a *asked, send func(*runtime.OrchestrationTrace)) {
	if t.trace.on {
		send(&runtime.OrchestrationTrace{ModelInvocationInput: t.modelInvocation(id, p, a)})
	}
}

func (t *Turn) modelInvocation(id string, p *plan.Prompt, a *asked) *runtime.ModelInvocationInput {
	in := &runtime.ModelInvocationInput{
		TraceId: new(id), Text: new(a.text()), Type: runtime.PromptType(p.Step), PromptCreationMode: runtime.CreationMode(p.Creation),
		ParserMode: runtime.CreationMode(p.Parser), InferenceConfiguration: inference(&p.Inference),
	}
	if p.Parser == plan.Overridden {
		in.OverrideLambda = new(t.plan.Parser)
	}
	if p.Step == plan.Classify {
		in.FoundationModel = new(t.model(p))
	}
	return in
}

func inference(i *plan.Inference) *runtime.InferenceConfiguration {
	c := &runtime.InferenceConfiguration{MaximumLength: i.MaxTokens, TopK: i.TopK, StopSequences: i.Stop}
	if i.Temperature != nil {
		c.Temperature = new(float64(*i.Temperature))
	}
	if i.TopP != nil {
		c.TopP = new(float64(*i.TopP))
	}
	return c
}

// generate asks the model of a step. The error is an exception of the stream.
func (t *Turn) generate(ctx context.Context, p *plan.Prompt, a *asked) (*engine.Result, *runtime.Metadata, error) {
	if err := t.gone(ctx); err != nil {
		return nil, nil, err
	}
	if t.p != nil {
		if t.p.Asked++; t.p.Asked > t.r.c.MaxSteps {
			return nil, nil, failed("The agent asked its model %d times in this turn and came to no answer. Narrow the request or the agent's instruction and retry.", t.r.c.MaxSteps)
		}
	}
	model := t.model(p)
	if t.r.c.Roles != nil {
		if err := t.r.c.Roles.Model(ctx, t.plan.Role, t.plan.ARN, model, a.stream); err != nil {
			if apierr.KindOf(err) == apierr.AccessDenied {
				return nil, nil, apierr.Wrap(apierr.AccessDenied, err, textModelDenied)
			}
			return nil, nil, err
		}
	}
	r := &engine.Request{
		System: a.system, Messages: markCache(a.messages), Tools: a.tools, ToolChoice: engine.ToolChoice{Mode: a.choice}, Sampling: sampling(&p.Inference, a.inText),
	}
	var emit func(engine.Delta) error
	if a.stream {
		s := newStreamer(t.trace.sink, len(a.tools) > 0)
		t.stream = s
		emit = s.delta
	}
	start := t.r.c.Now()
	res, err := t.ask(ctx, model, p.Fields, r, emit)
	if t.stream != nil && t.stream.lost != nil {
		t.trace.lost = t.stream.lost
		return nil, nil, t.gone(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, public(err)
	}
	t.usage.Input += res.Usage.Input
	t.usage.Output += res.Usage.Output
	t.usage.CacheRead += res.Usage.CacheRead
	t.usage.CacheWrite += res.Usage.CacheWrite
	return res, t.trace.span(start, &res.Usage), nil
}

func (t *Turn) ask(ctx context.Context, model string, fields json.RawMessage, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	if len(fields) == 0 {
		return t.r.c.Models.Generate(ctx, model, r, emit)
	}
	m, ok := t.r.c.Models.(FieldModels)
	if !ok {
		return nil, invalid("additionalModelRequestFields cannot be passed to the model %s by this server.", model)
	}
	return m.GenerateWith(ctx, model, r, fields, emit)
}

// markCache asks for the counters of the prefix cache: engines tell them where a
// prefix was marked only.
func markCache(messages []engine.Message) []engine.Message {
	if len(messages) == 0 {
		return messages
	}
	out := append([]engine.Message(nil), messages...)
	last := &out[len(out)-1]
	if last.Role == engine.User {
		last.Parts = append(clip(last.Parts), engine.Part{CachePoint: true})
	}
	return out
}

// sampling is the inference configuration of a step. Stop sequences that belong to
// the text contract would cut the calls of an engine's own tools.
func sampling(i *plan.Inference, inText bool) engine.Sampling {
	var s engine.Sampling
	if i.Temperature != nil {
		s.Temperature = new(float64(*i.Temperature))
	}
	if i.TopP != nil {
		s.TopP = new(float64(*i.TopP))
	}
	s.TopK = i.TopK
	if i.MaxTokens != nil {
		s.MaxTokens = *i.MaxTokens
	}
	for _, stop := range i.Stop {
		if inText || !strings.HasPrefix(stop, "</") {
			s.Stop = append(s.Stop, stop)
		}
	}
	return s
}

// raw is a model's answer in the form of the model that the agent names, as parser
// functions read it and traces show it. Only orchestration has calls to write; a step
// whose template is text is answered in text.
func (t *Turn) raw(p *plan.Prompt, a *asked, res *engine.Result) string {
	form := prompt.FormOf(t.model(p))
	switch {
	case p.Step == plan.Orchestrate:
		return prompt.Raw(form, a.inText, t.tools.book, res)
	case form != prompt.Messages || !strings.HasPrefix(strings.TrimSpace(p.Template), "{"):
		return res.Text()
	}
	return prompt.RawMessages(res)
}

// modelOutput is the answer of a step of orchestration as the trace shows it.
func (t *Turn) modelOutput(id string, p *plan.Prompt, a *asked, res *engine.Result, meta *runtime.Metadata) *runtime.OrchestrationModelInvocationOutput {
	if !t.trace.on {
		return nil
	}
	return &runtime.OrchestrationModelInvocationOutput{
		TraceId: new(id), Metadata: meta, RawResponse: &runtime.RawResponse{Content: new(t.raw(p, a, res))}, ReasoningContent: reasoning(res),
	}
}

func reasoning(res *engine.Result) *runtime.ReasoningContentBlock {
	for i := range res.Parts {
		if r := res.Parts[i].Reasoning; r != nil && r.Text != "" {
			b := &runtime.ReasoningTextBlock{Text: r.Text}
			if r.Signature != "" {
				b.Signature = new(r.Signature)
			}
			return &runtime.ReasoningContentBlock{ReasoningText: b}
		}
	}
	return nil
}
