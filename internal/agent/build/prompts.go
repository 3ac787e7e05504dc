package build

import (
	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// prompts are the prompts of an agent: the built-in ones with what its configuration
// changes, and the function that parses.
func prompts(c *config) (parser string, list []plan.Prompt, err error) {
	var in *runtime.PromptOverrideConfiguration
	if c.Prompts != nil {
		in = &runtime.PromptOverrideConfiguration{OverrideLambda: c.Prompts.OverrideLambda}
		for i := range c.Prompts.PromptConfigurations {
			p := &c.Prompts.PromptConfigurations[i]
			out := runtime.PromptConfiguration{
				AdditionalModelRequestFields: p.AdditionalModelRequestFields, BasePromptTemplate: p.BasePromptTemplate, FoundationModel: p.FoundationModel,
				ParserMode: runtime.CreationMode(p.ParserMode), PromptCreationMode: runtime.CreationMode(p.PromptCreationMode),
				PromptState: runtime.PromptState(p.PromptState), PromptType: runtime.PromptType(p.PromptType),
			}
			if f := p.InferenceConfiguration; f != nil {
				out.InferenceConfiguration = &runtime.InferenceConfiguration{
					MaximumLength: f.MaximumLength, StopSequences: f.StopSequences, Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP,
				}
			}
			in.PromptConfigurations = append(in.PromptConfigurations, out)
		}
	}
	return agent.Prompts(c.Model, in, plan.Collaboration(c.Collaboration))
}

// shown is the configuration as reads answer it: with every prompt, the built-in
// ones too, so that a program can change one and send all back.
func shown(c *config) *api.PromptOverrideConfiguration {
	parser, list, err := prompts(c)
	if err != nil { // it was checked when it was written
		return c.Prompts
	}
	out := &api.PromptOverrideConfiguration{OverrideLambda: optional.Of(parser)}
	for i := range list {
		p := &list[i]
		state := api.PromptStateDisabled
		if p.Enabled {
			state = api.PromptStateEnabled
		}
		conf := api.PromptConfiguration{
			AdditionalModelRequestFields: p.Fields, BasePromptTemplate: new(p.Template), FoundationModel: optional.Of(p.Model),
			ParserMode: api.CreationMode(p.Parser), PromptCreationMode: api.CreationMode(p.Creation), PromptState: state, PromptType: api.PromptType(p.Step),
			InferenceConfiguration: &api.InferenceConfiguration{MaximumLength: p.Inference.MaxTokens, StopSequences: p.Inference.Stop, TopK: p.Inference.TopK},
		}
		if v := p.Inference.Temperature; v != nil {
			conf.InferenceConfiguration.Temperature = new(float64(*v))
		}
		if v := p.Inference.TopP; v != nil {
			conf.InferenceConfiguration.TopP = new(float64(*v))
		}
		out.PromptConfigurations = append(out.PromptConfigurations, conf)
	}
	return out
}
