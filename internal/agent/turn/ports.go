package turn

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Models answers neutral requests; inference.Runtime does.
type Models interface {
	Generate(ctx context.Context, modelID string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error)
}

// Functions calls Lambda functions as the Bedrock service, for the agent whose ARN
// is source: the function's resource policy decides. An error is an *apierr.Error
// whose text may be shown (AccessDenied, DependencyFailed …); what goes wrong
// inside the function comes back as failed with the error's payload.
type Functions interface {
	Call(ctx context.Context, source, function string, payload []byte) (answer []byte, failed bool, err error)
}

// Roles answers whether an agent's service role may do something. Nil means yes.
type Roles interface {
	Allow(ctx context.Context, role, source, action, resource string) error
}

// Knowledge queries a knowledge base with the rights of the agent's role.
type Knowledge interface {
	Retrieve(ctx context.Context, q Query) ([]runtime.KnowledgeBaseRetrievalResult, error)
}

// Query is one search of a turn.
type Query struct {
	Role, Source string // on whose behalf, for which agent
	Base         plan.KnowledgeBase
	Text         string
	Retrieval    *runtime.KnowledgeBaseRetrievalConfiguration // of the session, overrides Base's
}

// Plans finds the prepared agent behind an alias, for collaborators.
type Plans interface {
	Alias(ctx context.Context, arn string) (*Alias, error)
}

// Alias is an agent as one alias shows it now.
type Alias struct {
	ID      string // agentAliasId
	ARN     string
	Version string // DRAFT or a number
	Plan    *plan.Plan
	Paused  bool
}

// Sink takes what a turn shows, in order and on one goroutine. An error means that
// the client has gone.
type Sink interface {
	Trace(t *runtime.TracePart) error
	Chunk(c *runtime.PayloadPart) error
	Return(r *runtime.ReturnControlPayload) error
	Files(f *runtime.FilePart) error
}
