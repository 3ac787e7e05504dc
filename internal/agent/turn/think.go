package turn

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// decision is what a model step came to: an answer, calls, or a text that asks the
// model to try again.
type decision struct {
	thought  string
	said     engine.Message // of the model, as it is told again; empty when there is none
	calls    []engine.ToolCall
	text     string
	parts    []citedPart
	reprompt string
}

// think asks the model what to do next.
func (t *Turn) think(ctx context.Context) (*decision, error) {
	p := t.plan.Prompt(plan.Orchestrate)
	if p == nil {
		return nil, errors.New("BUG: a plan without a prompt of its orchestration")
	}
	t.stepBegan = t.r.c.Now()
	a, err := t.orchestrationPrompt(p)
	if err != nil {
		return nil, err
	}
	a.stream = t.Stream && !t.enabled(plan.PostProcessing) && !a.inText && p.Parser != plan.Overridden
	if t.p.Silence {
		a.choice = engine.ToolNever
		t.p.Silence = false
	}
	id := t.trace.step(t.p.Iteration)
	t.modelInput(id, p, a, t.trace.orchestration)
	res, meta, err := t.generate(ctx, p, a)
	if err != nil {
		return nil, err
	}
	t.trace.orchestration(&runtime.OrchestrationTrace{ModelInvocationOutput: t.modelOutput(id, p, a, res, meta)})
	return t.decide(ctx, p, a, res)
}

var thinking = regexp.MustCompile(`(?s)<thinking>(.*?)</thinking>`)

// read takes an answer with an engine's own calls apart.
func read(res *engine.Result) *decision {
	d := &decision{said: engine.Message{Role: engine.Assistant}}
	for i := range res.Parts {
		switch p := &res.Parts[i]; {
		case p.ToolCall != nil:
			c := *p.ToolCall
			c.Written = "" // what the model said keeps its words
			d.calls = append(d.calls, c)
			d.said.Parts = append(d.said.Parts, *p)
		case p.IsText() && strings.TrimSpace(p.Text) != "":
			d.said.Parts = append(d.said.Parts, *p)
		}
	}
	text := strings.TrimSpace(res.Text())
	if m := thinking.FindStringSubmatch(text); m != nil {
		d.thought = strings.TrimSpace(m[1])
		text = strings.TrimSpace(thinking.ReplaceAllString(text, ""))
	}
	switch {
	case len(d.calls) > 0:
		if d.thought == "" {
			d.thought = text
		}
	case text == "":
		d.reprompt, d.said.Parts = tellEmpty, nil
	default:
		d.text = text
	}
	return d
}
