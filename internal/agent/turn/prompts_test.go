package turn

import "github.com/outcrop-dev/outcrop/internal/agent/plan"

// prompts are those of an agent without overrides, pre- and post-processing off.
func prompts() []plan.Prompt {
	return []plan.Prompt{{Step: plan.Orchestrate, Creation: plan.Default, Parser: plan.Default, Enabled: true, Template: "$instruction$"}}
}
