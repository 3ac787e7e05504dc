package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/schema"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Definitions reads the parts of an agent's definition that built and inline agents
// share. An error is an *apierr.Error that names each place.
type Definitions interface {
	// Operations reads the OpenAPI schema of an action group, given or from S3.
	Operations(ctx context.Context, group string, s *runtime.APISchema) ([]plan.Action, error)
	// Prompts are the prompts of a model's agents with what the user has changed, the
	// steps that a supervisor has only if supervises.
	Prompts(model string, o *runtime.PromptOverrideConfiguration, c plan.Collaboration) (parser string, prompts []plan.Prompt, err error)
}

const (
	// inlineOwner owns the sessions of inline agents; no agent has an id of this length.
	inlineOwner = "INLINE_AGENT"
	// inlineTTL is the idle time of a session whose request names none.
	inlineTTL = 600
	// maxInlineDepth is how far collaborators may bring collaborators along.
	maxInlineDepth = 3
)

// InvokeInlineAgent runs one turn of an agent that comes with the request. Nothing is
// kept of it but the session.
func (rt *Runtime) InvokeInlineAgent(ctx context.Context, in *runtime.InvokeInlineAgentInput, w *runtime.InvokeInlineAgentWriter) error {
	i := &invocation{
		Input: turn.Input{Inline: true, SessionID: in.SessionId, Text: optional.Value(in.InputText), Trace: optional.Value(in.EnableTrace)},
		end:   optional.Value(in.EndSession), owner: inlineOwner, sink: inlineSink{w},
		open: func() error {
			return w.Open(&runtime.InvokeInlineAgentOutput{ContentType: "application/json", SessionId: in.SessionId})
		},
	}
	d := &definition{rt: rt, knowledge: &i.Knowledge}
	p, err := d.plan(ctx, &runtime.Collaborator{
		ActionGroups: in.ActionGroups, AgentCollaboration: in.AgentCollaboration, AgentName: in.AgentName, CollaboratorConfigurations: in.CollaboratorConfigurations,
		CustomerEncryptionKeyArn: in.CustomerEncryptionKeyArn, FoundationModel: in.FoundationModel, GuardrailConfiguration: in.GuardrailConfiguration,
		IdleSessionTTLInSeconds: in.IdleSessionTTLInSeconds, Instruction: in.Instruction, KnowledgeBases: in.KnowledgeBases, PromptOverrideConfiguration: in.PromptOverrideConfiguration,
	}, in.Collaborators, 0)
	if err != nil {
		return err
	}
	if in.OrchestrationType == runtime.OrchestrationTypeCustomOrchestration {
		if in.CustomOrchestration == nil || in.CustomOrchestration.Executor == nil || in.CustomOrchestration.Executor.Lambda == nil {
			return apierr.New(apierr.Validation, "orchestrationType is CUSTOM_ORCHESTRATION, but customOrchestration names no Lambda function.")
		}
		p.Orchestration, p.Orchestrator = plan.CustomOrchestration, *in.CustomOrchestration.Executor.Lambda
	}
	i.Agent = &turn.Alias{Plan: p}
	if s := in.InlineSessionState; s != nil {
		i.Attributes, i.PromptAttributes = s.SessionAttributes, s.PromptSessionAttributes
		i.InvocationID, i.Results, i.Files = optional.Value(s.InvocationId), s.ReturnControlInvocationResults, s.Files
		if s.ConversationHistory != nil {
			i.History = s.ConversationHistory.Messages
		}
	}
	i.shape(in.PromptCreationConfigurations, in.StreamingConfigurations)
	return inlineError(rt.invoke(ctx, i))
}

// inlineError words what the stream of an inline agent does not model.
func inlineError(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.ModelNotReady {
		return err
	}
	out := *e
	out.Kind = apierr.DependencyFailed
	return &out
}

// definition turns what a request says of an agent into a plan.
type definition struct {
	rt        *Runtime
	knowledge *[]runtime.KnowledgeBaseConfiguration
}

func (d *definition) plan(ctx context.Context, c *runtime.Collaborator, team []runtime.Collaborator, depth int) (*plan.Plan, error) {
	if d.rt.definitions == nil {
		return nil, apierr.New(apierr.NotImplemented, "InvokeInlineAgent is not built in Outcrop: this server does not read definitions of agents.")
	}
	if c.GuardrailConfiguration != nil {
		return nil, apierr.New(apierr.Validation, "Guardrails are not built in Outcrop, so an agent with a guardrailConfiguration is refused. Remove it to run the agent without one.")
	}
	p := &plan.Plan{
		Name: optional.Value(c.AgentName), ARN: call.From(ctx).ARN("agent/" + inlineOwner), Model: c.FoundationModel, Instruction: c.Instruction,
		Key: optional.Value(c.CustomerEncryptionKeyArn), IdleTTL: inlineTTL, Orchestration: plan.DefaultOrchestration, Collaboration: plan.Collaboration(c.AgentCollaboration),
	}
	if p.Collaboration == "" {
		p.Collaboration = plan.Alone
	}
	if c.IdleSessionTTLInSeconds != nil {
		p.IdleTTL = plan.Span(*c.IdleSessionTTLInSeconds)
	}
	var err error
	if p.Parser, p.Prompts, err = d.rt.definitions.Prompts(p.Model, c.PromptOverrideConfiguration, p.Collaboration); err != nil {
		return nil, err
	}
	for i := range c.ActionGroups {
		g, err := d.group(ctx, &c.ActionGroups[i])
		if err != nil {
			return nil, err
		}
		p.Groups = append(p.Groups, *g)
	}
	for _, k := range c.KnowledgeBases {
		p.Knowledge = append(p.Knowledge, plan.KnowledgeBase{ID: k.KnowledgeBaseId, Description: k.Description})
		if k.RetrievalConfiguration != nil && depth == 0 {
			*d.knowledge = append(*d.knowledge, runtime.KnowledgeBaseConfiguration{KnowledgeBaseId: k.KnowledgeBaseId, RetrievalConfiguration: k.RetrievalConfiguration})
		}
	}
	for i := range c.CollaboratorConfigurations {
		m, err := d.collaborator(ctx, &c.CollaboratorConfigurations[i], team, depth)
		if err != nil {
			return nil, err
		}
		p.Collaborators = append(p.Collaborators, *m)
	}
	if p.Collaboration != plan.Alone && len(p.Collaborators) == 0 {
		return nil, apierr.New(apierr.Validation, "The AgentCollaboration attribute is set to %s but no agent collaborators are added.", p.Collaboration)
	}
	return p, nil
}

// collaborator is an agent of the request, or one that was built.
func (d *definition) collaborator(ctx context.Context, c *runtime.CollaboratorConfiguration, team []runtime.Collaborator, depth int) (*plan.Collaborator, error) {
	out := &plan.Collaborator{
		Name: c.CollaboratorName, Instruction: c.CollaboratorInstruction, Alias: optional.Value(c.AgentAliasArn), Relay: c.RelayConversationHistory == runtime.RelayConversationHistoryToCollaborator,
	}
	if out.Alias != "" {
		return out, nil
	}
	if depth+1 >= maxInlineDepth {
		return nil, apierr.New(apierr.Validation, "The collaborator %s lies %d levels deep; %d are allowed.", out.Name, depth+1, maxInlineDepth-1)
	}
	for i := range team {
		if optional.Value(team[i].AgentName) != out.Name {
			continue
		}
		p, err := d.plan(ctx, &team[i], team, depth+1)
		if err != nil {
			return nil, fmt.Errorf("collaborator %s: %w", out.Name, err)
		}
		out.Inline = p
		return out, nil
	}
	return nil, apierr.New(apierr.Validation, "The collaborator %s has neither an agentAliasArn nor an entry of this agentName in collaborators.", out.Name)
}

// group reads an action group. Unlike in built agents it has no state and no id.
func (d *definition) group(ctx context.Context, g *runtime.AgentActionGroup) (*plan.Group, error) {
	refuse := func(format string, args ...any) error {
		return apierr.New(apierr.Validation, "Action group %s: %s", g.ActionGroupName, fmt.Sprintf(format, args...))
	}
	out := &plan.Group{Name: g.ActionGroupName, Description: optional.Value(g.Description), Signature: string(g.ParentActionGroupSignature), Params: g.ParentActionGroupSignatureParams}
	if out.Signature != "" {
		if g.Description != nil || g.ApiSchema != nil || g.FunctionSchema != nil || g.ActionGroupExecutor != nil {
			return nil, refuse("a group with a parentActionGroupSignature has no description, schema or executor.")
		}
		return out, nil
	}
	switch e := g.ActionGroupExecutor; {
	case e == nil:
		return nil, refuse("it has no actionGroupExecutor.")
	case e.Lambda != nil:
		out.Lambda = *e.Lambda
	}
	switch {
	case (g.ApiSchema == nil) == (g.FunctionSchema == nil):
		return nil, refuse("provide either apiSchema or functionSchema.")
	case g.FunctionSchema != nil:
		var err error
		if out.Actions, err = schema.RuntimeFunctions(g.ActionGroupName, g.FunctionSchema); err != nil {
			return nil, err
		}
	default:
		var err error
		if out.Actions, err = d.rt.definitions.Operations(ctx, g.ActionGroupName, g.ApiSchema); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inlineSink writes the events of InvokeInlineAgent.
type inlineSink struct {
	w *runtime.InvokeInlineAgentWriter
}

var _ turn.Sink = inlineSink{}

func (s inlineSink) Trace(t *runtime.TracePart) error {
	return s.w.Send(&runtime.InvokeInlineAgentEvent{Trace: &runtime.InlineAgentTracePart{
		CallerChain: t.CallerChain, CollaboratorName: t.CollaboratorName, EventTime: t.EventTime, SessionId: t.SessionId, Trace: t.Trace,
	}})
}

func (s inlineSink) Chunk(c *runtime.PayloadPart) error {
	return s.w.Send(&runtime.InvokeInlineAgentEvent{Chunk: &runtime.InlineAgentPayloadPart{Attribution: c.Attribution, Bytes: c.Bytes}})
}

func (s inlineSink) Return(r *runtime.ReturnControlPayload) error {
	return s.w.Send(&runtime.InvokeInlineAgentEvent{ReturnControl: &runtime.InlineAgentReturnControlPayload{InvocationId: r.InvocationId, InvocationInputs: r.InvocationInputs}})
}

func (s inlineSink) Files(f *runtime.FilePart) error {
	return s.w.Send(&runtime.InvokeInlineAgentEvent{Files: &runtime.InlineAgentFilePart{Files: f.Files}})
}
