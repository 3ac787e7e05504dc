package agent_test

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
)

func TestPromptsOfAgents(t *testing.T) {
	_, list, err := agent.Prompts("m", nil, plan.Router)
	if err != nil || len(list) != 6 || list[0].Enabled || !list[1].Enabled || *list[1].Inference.TopK != 250 {
		t.Fatalf("%v %+v", err, list)
	}
	lambda := "arn:aws:lambda:us-east-1:123456789012:function:p"
	parser, list, err := agent.Prompts("m", &runtime.PromptOverrideConfiguration{OverrideLambda: &lambda, PromptConfigurations: []runtime.PromptConfiguration{
		{PromptType: "PRE_PROCESSING", PromptState: "ENABLED", BasePromptTemplate: new("ignored")},
		{PromptType: "ORCHESTRATION", PromptCreationMode: "OVERRIDDEN", ParserMode: "OVERRIDDEN", BasePromptTemplate: new("mine $question$"), FoundationModel: new("m2"),
			InferenceConfiguration: &runtime.InferenceConfiguration{Temperature: new(0.5)}},
	}}, plan.Alone)
	if err != nil || parser != lambda || !list[0].Enabled || list[0].Template == "ignored" || list[1].Template != "mine $question$" || list[1].Model != "m2" ||
		*list[1].Inference.Temperature != 0.5 || list[1].Inference.TopK != nil || list[1].Creation != plan.Overridden {
		t.Fatalf("%v %+v", err, list)
	}
	for _, c := range []struct {
		o    runtime.PromptOverrideConfiguration
		text string
	}{
		{runtime.PromptOverrideConfiguration{OverrideLambda: &lambda}, "no prompt has the parserMode"},
		{runtime.PromptOverrideConfiguration{PromptConfigurations: []runtime.PromptConfiguration{{PromptType: "ORCHESTRATION", ParserMode: "OVERRIDDEN"}}}, "no overrideLambda"},
		{runtime.PromptOverrideConfiguration{PromptConfigurations: []runtime.PromptConfiguration{{PromptType: "ROUTING_CLASSIFIER"}}}, "no prompt of the type"},
	} {
		if _, _, err := agent.Prompts("m", &c.o, plan.Alone); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v, want %q", err, c.text)
		}
	}
}
