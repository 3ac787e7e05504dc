package agent

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// InvokeAgent runs one turn of an agent that was built, as its alias shows it now.
func (rt *Runtime) InvokeAgent(ctx context.Context, in *runtime.InvokeAgentInput, w *runtime.InvokeAgentWriter) error {
	alias, err := rt.aliases.Invocable(ctx, in.AgentId, in.AgentAliasId)
	if err != nil {
		return err
	}
	if alias.Paused {
		return apierr.New(apierr.Validation, textPaused)
	}
	i := &invocation{
		Input: turn.Input{
			Agent: alias, SessionID: in.SessionId, MemoryID: optional.Value(in.MemoryId), Text: optional.Value(in.InputText), Trace: optional.Value(in.EnableTrace),
		},
		end: optional.Value(in.EndSession), owner: in.AgentId, sink: agentSink{w},
		open: func() error {
			return w.Open(&runtime.InvokeAgentOutput{ContentType: "application/json", SessionId: in.SessionId, MemoryId: in.MemoryId})
		},
	}
	if s := in.SessionState; s != nil {
		i.Attributes, i.PromptAttributes = s.SessionAttributes, s.PromptSessionAttributes
		i.InvocationID, i.Results, i.Files, i.Knowledge = optional.Value(s.InvocationId), s.ReturnControlInvocationResults, s.Files, s.KnowledgeBaseConfigurations
		if s.ConversationHistory != nil {
			i.History = s.ConversationHistory.Messages
		}
	}
	i.shape(in.PromptCreationConfigurations, in.StreamingConfigurations)
	return rt.invoke(ctx, i)
}

// shape takes the settings of a request that built and inline agents share.
func (i *invocation) shape(p *runtime.PromptCreationConfigurations, s *runtime.StreamingConfigurations) {
	if p != nil {
		i.ForgetThoughts, i.Turns = optional.Value(p.ExcludePreviousThinkingSteps), p.PreviousConversationTurnsToInclude
	}
	if s != nil {
		i.Stream = optional.Value(s.StreamFinalResponse)
	}
}

// agentSink writes the events of InvokeAgent.
type agentSink struct{ w *runtime.InvokeAgentWriter }

var _ turn.Sink = agentSink{}

func (s agentSink) Trace(t *runtime.TracePart) error {
	return s.w.Send(&runtime.InvokeAgentEvent{Trace: t})
}

func (s agentSink) Chunk(c *runtime.PayloadPart) error {
	return s.w.Send(&runtime.InvokeAgentEvent{Chunk: c})
}

func (s agentSink) Return(r *runtime.ReturnControlPayload) error {
	return s.w.Send(&runtime.InvokeAgentEvent{ReturnControl: r})
}

func (s agentSink) Files(f *runtime.FilePart) error {
	return s.w.Send(&runtime.InvokeAgentEvent{Files: f})
}
