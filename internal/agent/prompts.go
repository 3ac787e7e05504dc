package agent

import (
	"cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Prompts are the prompts of an agent, built or inline: the built-in ones of its model
// with what its definition changes, and the function that parses answers. Built agents
// give their configuration in the words of the run time.
func Prompts(model string, o *runtime.PromptOverrideConfiguration, c plan.Collaboration) (parser string, prompts []plan.Prompt, err error) {
	prompts = prompt.Defaults(model)
	if c == plan.Router {
		prompts = append(prompts, prompt.Classifier(model))
	}
	if o == nil {
		return "", prompts, nil
	}
	refuse := func(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }
	parser, used := optional.Value(o.OverrideLambda), false
	for i := range o.PromptConfigurations {
		in := &o.PromptConfigurations[i]
		var p *plan.Prompt
		for j := range prompts {
			if prompts[j].Step == plan.Step(in.PromptType) {
				p = &prompts[j]
			}
		}
		if p == nil {
			return "", nil, refuse("The agent has no prompt of the type %s.", in.PromptType)
		}
		if in.PromptState != "" {
			p.Enabled = in.PromptState == runtime.PromptStateEnabled
		}
		p.Model, p.Fields = optional.Value(in.FoundationModel), in.AdditionalModelRequestFields
		if in.ParserMode == runtime.CreationModeOverridden {
			if parser == "" {
				return "", nil, refuse("The parserMode of %s is OVERRIDDEN, but there is no overrideLambda.", in.PromptType)
			}
			p.Parser, used = plan.Overridden, true
		}
		if in.PromptCreationMode != runtime.CreationModeOverridden {
			continue
		}
		if in.BasePromptTemplate != nil {
			if err := prompt.Check(p.Step, *in.BasePromptTemplate); err != nil {
				return "", nil, err
			}
		}
		p.Creation, p.Template = plan.Overridden, cmp.Or(optional.Value(in.BasePromptTemplate), p.Template)
		if f := in.InferenceConfiguration; f != nil {
			p.Inference = plan.Inference{TopK: f.TopK, MaxTokens: f.MaximumLength, Stop: f.StopSequences}
			if f.Temperature != nil {
				p.Inference.Temperature = new(float32(*f.Temperature))
			}
			if f.TopP != nil {
				p.Inference.TopP = new(float32(*f.TopP))
			}
		}
	}
	if parser != "" && !used {
		return "", nil, refuse("There is an overrideLambda, but no prompt has the parserMode OVERRIDDEN.")
	}
	return parser, prompts, nil
}
