package gateway

import "strings"

// byHand is a need as namedByHand writes it: a model by its member, or an ARN (from
// its resource type on) by members; several ARNs are names of one thing.
type byHand struct {
	model    string
	names    []string
	optional bool
	pick     func(x *exchange, n *need) []string // of the names, when the text of a member tells
}

func arns(names ...string) byHand        { return byHand{names: names} }
func maybe(name string) byHand           { return byHand{names: []string{name}, optional: true} }
func behind(member string) byHand        { return byHand{model: member} }
func maybeBehind(member string) byHand   { return byHand{model: member, optional: true} }
func both(first, second string) []byHand { return []byHand{arns(first), arns(second)} }
func guardrailParts(own ...byHand) []byHand {
	return append(own, maybe("automated-reasoning-policy/${automatedReasoningPolicyConfig.policies[]}"), maybe("guardrail-profile/${crossRegionConfig.guardrailProfileIdentifier}"))
}

const (
	flow          = "flow/${flowIdentifier}"
	flowAlias     = flow + "/alias/${flowAliasIdentifier}"
	flowExecution = flowAlias + "/execution/${executionIdentifier}"
	buildAlias    = flow + "/alias/${aliasIdentifier}"
	agentID       = "agent/${agentId}"
	baseID        = "knowledge-base/${knowledgeBaseId}"
)

// namedByHand says what operations work on whose resources the members' names do
// not tell, or that work on more than one thing. The authorization table has the
// types; that a type is wanted once for each thing named, and that what is made has
// no name yet ("*"), is read out of the documentation of the operations.
var namedByHand = map[string][]byHand{
	"bedrock.BatchDeleteEvaluationJob":    {arns("evaluation-job/${jobIdentifiers[]}")},
	"bedrock.CreateCustomModelDeployment": {arns("custom-model/${modelArn}")},
	"bedrock.CreateEvaluationJob": {
		behind("inferenceConfig.models[].bedrockModel.modelIdentifier"),
		maybeBehind("inferenceConfig.ragConfigs[].knowledgeBaseConfig.retrieveAndGenerateConfig.knowledgeBaseConfiguration.modelArn"),
		maybeBehind("inferenceConfig.ragConfigs[].knowledgeBaseConfig.retrieveAndGenerateConfig.externalSourcesConfiguration.modelArn"),
	},
	"bedrock.CreateGuardrail":                  guardrailParts(),
	"bedrock.UpdateGuardrail":                  guardrailParts(arns("guardrail/${guardrailIdentifier}")),
	"bedrock.CreateInferenceProfile":           {behind("modelSource.copyFrom"), arns("application-inference-profile/*")},
	"bedrock.GetInferenceProfile":              {{names: []string{"application-inference-profile/${inferenceProfileIdentifier}", "inference-profile/${inferenceProfileIdentifier}"}, pick: profile}},
	"bedrock.CreateModelCopyJob":               {arns("custom-model/${sourceModelArn}")},
	"bedrock.CreateModelCustomizationJob":      {behind("baseModelIdentifier")},
	"bedrock.CreateModelInvocationJob":         {behind("modelId"), arns("model-invocation-job/*")},
	"bedrock.CreatePromptRouter":               {behind("models[].modelArn"), behind("fallbackModel.modelArn")},
	"bedrock.CreateProvisionedModelThroughput": {behind("modelId")},
	"bedrock.UpdateCustomModelDeployment":      both("custom-model-deployment/${customModelDeploymentIdentifier}", "custom-model/${modelArn}"),
	"bedrock.UpdateProvisionedModelThroughput": {arns("provisioned-model/${provisionedModelId}"), maybeBehind("desiredModelId")},

	"bedrock-agent.AssociateAgentKnowledgeBase":    both(agentID, baseID),
	"bedrock-agent.DisassociateAgentKnowledgeBase": both(agentID, baseID),
	"bedrock-agent.GetAgentKnowledgeBase":          both(agentID, baseID),
	"bedrock-agent.UpdateAgentKnowledgeBase":       both(agentID, baseID),
	"bedrock-agent.GetPrompt":                      {arns("prompt/${promptIdentifier}:${promptVersion}", "prompt/${promptIdentifier}")},
	"bedrock-agent.DeletePrompt":                   {arns("prompt/${promptIdentifier}:${promptVersion}", "prompt/${promptIdentifier}")},
	"bedrock-agent.DeleteFlowAlias":                {arns(buildAlias)},
	"bedrock-agent.GetFlowAlias":                   {arns(buildAlias)},
	"bedrock-agent.UpdateFlowAlias":                {arns(buildAlias)},

	// One thing in another: to be allowed the inner or the outer is enough.
	"bedrock-agent-runtime.GetExecutionFlowSnapshot": {arns(flowExecution, flowAlias, flow)},
	"bedrock-agent-runtime.GetFlowExecution":         {arns(flowExecution, flowAlias, flow)},
	"bedrock-agent-runtime.ListFlowExecutionEvents":  {arns(flowExecution, flowAlias, flow)},
	"bedrock-agent-runtime.StopFlowExecution":        {arns(flowExecution, flowAlias, flow)},
	"bedrock-agent-runtime.StartFlowExecution":       {arns(flowAlias, flow)},
}

// profile picks between the profiles of an account, whose IDs are twelve letters and
// digits, and those of the system, named after geography and model.
func profile(x *exchange, n *need) []string {
	own := n.names[0].expand(x, false)
	if id := n.names[0].parts[len(n.names[0].parts)-1].member.value(x.in); strings.Contains(id, ".") {
		return n.names[1].expand(x, false)
	}
	return own
}
