package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/call"
)

// inputOf is an exchange whose input is decoded.
func inputOf(s *api.Service, name string, in any) *exchange {
	op := s.Operation(name)
	return &exchange{
		h:  &Handler{Config: Config{ModelResources: func(_ context.Context, id string) []string { return []string{"model " + id} }}},
		r:  httptest.NewRequest(http.MethodPost, "/", nil),
		c:  &call.Call{Account: "123456789012", Region: "us-east-1", Partition: "aws"},
		rt: &route{service: s, op: op, plan: newAccessPlan(s, op)}, in: in, ctx: context.Background(),
	}
}

func TestResourcesAreNamedByTheInput(t *testing.T) {
	const own = "arn:aws:bedrock:us-east-1:123456789012:"
	for name, c := range map[string]struct {
		service   *api.Service
		operation string
		in        any
		every     []string   // all needed
		one       [][]string // one of each needed
	}{
		"an alias by IDs":             {&bedrockagentruntime.Service, "InvokeFlow", &bedrockagentruntime.InvokeFlowInput{FlowIdentifier: "F", FlowAliasIdentifier: "A"}, []string{own + "flow/F/alias/A"}, nil},
		"an alias of a flow's ARN":    {&bedrockagentruntime.Service, "InvokeFlow", &bedrockagentruntime.InvokeFlowInput{FlowIdentifier: own + "flow/F", FlowAliasIdentifier: "A"}, []string{own + "flow/F/alias/A"}, nil},
		"an alias's ARN":              {&bedrockagentruntime.Service, "InvokeFlow", &bedrockagentruntime.InvokeFlowInput{FlowIdentifier: own + "flow/F", FlowAliasIdentifier: own + "flow/F/alias/A"}, []string{own + "flow/F/alias/A"}, nil},
		"an own profile":              {&bedrock.Service, "GetInferenceProfile", &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: "abcdefghijkl"}, []string{own + "application-inference-profile/abcdefghijkl"}, nil},
		"the system's profile":        {&bedrock.Service, "GetInferenceProfile", &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: "us.x.y-v1:0"}, []string{own + "inference-profile/us.x.y-v1:0"}, nil},
		"a profile's ARN":             {&bedrock.Service, "GetInferenceProfile", &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: own + "inference-profile/us.x.y"}, []string{own + "inference-profile/us.x.y"}, nil},
		"a version of a prompt":       {&bedrockagent.Service, "GetPrompt", &bedrockagent.GetPromptInput{PromptIdentifier: "P", PromptVersion: new("2")}, nil, [][]string{{own + "prompt/P:2", own + "prompt/P"}}},
		"a prompt":                    {&bedrockagent.Service, "GetPrompt", &bedrockagent.GetPromptInput{PromptIdentifier: "P"}, []string{own + "prompt/P"}, nil},
		"a list of jobs":              {&bedrock.Service, "BatchDeleteEvaluationJob", &bedrock.BatchDeleteEvaluationJobInput{JobIdentifiers: []string{"a", own + "evaluation-job/b"}}, []string{own + "evaluation-job/a", own + "evaluation-job/b"}, nil},
		"two things":                  {&bedrockagent.Service, "AssociateAgentKnowledgeBase", &bedrockagent.AssociateAgentKnowledgeBaseInput{AgentId: "A", KnowledgeBaseId: "K"}, []string{own + "agent/A", own + "knowledge-base/K"}, nil},
		"a model and what is made":    {&bedrock.Service, "CreateInferenceProfile", &bedrock.CreateInferenceProfileInput{ModelSource: &bedrock.InferenceProfileModelSource{CopyFrom: new("m")}}, []string{"model m", own + "application-inference-profile/*"}, nil},
		"nothing that the input says": {&bedrock.Service, "CreateGuardrail", &bedrock.CreateGuardrailInput{}, []string{"*"}, nil},
		"what the input says":         {&bedrock.Service, "CreateGuardrail", &bedrock.CreateGuardrailInput{AutomatedReasoningPolicyConfig: &bedrock.GuardrailAutomatedReasoningPolicyConfig{Policies: []string{own + "automated-reasoning-policy/a", own + "automated-reasoning-policy/b"}}}, []string{own + "automated-reasoning-policy/a", own + "automated-reasoning-policy/b"}, nil},
		"all of a type":               {&bedrock.Service, "ListGuardrails", &bedrock.ListGuardrailsInput{}, []string{own + "guardrail/*"}, nil},
		"no type":                     {&bedrockagent.Service, "ListAgents", &bedrockagent.ListAgentsInput{}, []string{"*"}, nil},
		"a model":                     {&bedrockruntime.Service, "Converse", &bedrockruntime.ConverseInput{ModelId: "m"}, []string{"model m"}, nil},
		"an optional model":           {&bedrock.Service, "UpdateProvisionedModelThroughput", &bedrock.UpdateProvisionedModelThroughputInput{ProvisionedModelId: "p", DesiredModelId: new("m")}, []string{own + "provisioned-model/p", "model m"}, nil},
	} {
		x := inputOf(c.service, c.operation, c.in)
		var every []string
		var one [][]string
		for _, p := range x.rt.plan.permissions(x, 0) {
			if p.Every {
				every = append(every, p.Resources...)
			} else {
				one = append(one, p.Resources)
			}
		}
		if d := cmp.Diff(c.every, every); d != "" {
			t.Errorf("%s, all needed (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.one, one); d != "" {
			t.Errorf("%s, one of (-want +got):\n%s", name, d)
		}
	}
}

func TestEveryEntryByHandIsOfAnOperation(t *testing.T) {
	used := 0
	for _, s := range []*api.Service{&bedrock.Service, &bedrockruntime.Service, &bedrockagent.Service, &bedrockagentruntime.Service} {
		for i := range s.Operations {
			if _, ok := namedByHand[s.Name+"."+s.Operations[i].Name]; ok {
				used++
			}
		}
	}
	if used != len(namedByHand) {
		t.Errorf("%d of %d entries are of operations", used, len(namedByHand))
	}
}

func BenchmarkPermissions(b *testing.B) {
	for name, x := range map[string]*exchange{
		"converse": inputOf(&bedrockruntime.Service, "Converse", &bedrockruntime.ConverseInput{ModelId: "m"}),
		"agent":    inputOf(&bedrockagentruntime.Service, "InvokeAgent", &bedrockagentruntime.InvokeAgentInput{AgentId: "A", AgentAliasId: "B"}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(x.rt.plan.permissions(x, 0)) != 1 {
					b.Fatal("not one question")
				}
			}
		})
	}
}
