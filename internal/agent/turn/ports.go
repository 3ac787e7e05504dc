package turn

import (
	"context"
	"encoding/json"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Models answers neutral requests; inference.Runtime does.
type Models interface {
	Generate(ctx context.Context, modelID string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error)
}

// FieldModels are Models that take the fields a model has beyond the common ones, a
// JSON object (additionalModelRequestFields).
type FieldModels interface {
	GenerateWith(ctx context.Context, modelID string, r *engine.Request, fields json.RawMessage, emit func(engine.Delta) error) (*engine.Result, error)
}

// Chats answers a request of the Converse operation, JSON as on its wire, for custom
// orchestration; the model is the request's or else the agent's. The rights are those
// of the agent's role.
type Chats interface {
	Converse(ctx context.Context, role, source, model string, request []byte) ([]byte, error)
}

// Functions calls Lambda functions as the Bedrock service, for the agent whose ARN
// is source: the function's resource policy decides. An error is an *apierr.Error
// whose text may be shown (AccessDenied, DependencyFailed …); what goes wrong
// inside the function comes back as failed with the error's payload.
type Functions interface {
	Call(ctx context.Context, source, function string, payload []byte) (answer []byte, failed bool, err error)
}

// Roles answers whether an agent's service role may do something. Nil means yes; an
// error is an *apierr.Error. An agent that came with the request has no role: "" asks
// for the caller himself.
type Roles interface {
	// Model asks for a model as the plan names it, an id or an ARN: InvokeModel, or
	// InvokeModelWithResponseStream when the answer is streamed.
	Model(ctx context.Context, role, source, model string, streamed bool) error
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

// Plans finds the prepared agent behind an alias, for collaborators. An error is an
// *apierr.Error.
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

// Interpreter runs code that a model wrote, in a jail, in the sandbox session of the
// agent's session. Files that the code leaves behind are answered; those given are
// there when it runs. An error is an *apierr.Error: the code was not run. What goes
// wrong in the code itself is in the outcome.
type Interpreter interface {
	Execute(ctx context.Context, c Code) (*Outcome, error)
}

// Code is one run of a session's interpreter.
type Code struct {
	Account, Region, Session string // whose sandbox
	Agent                    string // ARN of the agent, the encryption context of its files
	Key                      string // ARN of the customer key that seals them, "" for none
	Text                     string // Python
	Files                    []File // put there first; of the request, CODE_INTERPRETER
}

// File is a named file with its media type.
type File struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Data []byte `json:"data"`
}

// Outcome is what a run of code came to.
type Outcome struct {
	Output  string
	Error   string // standard error, or the exception
	Timeout bool
	Files   []File // new and changed ones
}

// Memory tells what earlier sessions of a user were about, newest first and as many
// as the plan's Memory.Recent says.
type Memory interface {
	Recall(ctx context.Context, agentID, aliasID, memoryID string, recent int) ([]string, error)
}

// Objects reads a file of the request from S3 with the rights of the caller.
type Objects interface {
	Read(ctx context.Context, uri string, limit int64) (data []byte, mediaType string, err error)
}

// Journal keeps the steps and the end of a turn; *conversation.Turn does. Results and
// ends are written even when ctx has ended. Exactly one of Finish, Fail and Stop is
// called.
type Journal interface {
	Intent(ctx context.Context, data []byte) (int64, error)
	Result(ctx context.Context, number int64, data []byte) error
	// Finish ends the turn with the session's new state and a Record.
	Finish(ctx context.Context, state, record []byte) error
	// Fail ends it for good; the session stays as it was before.
	Fail(ctx context.Context, record []byte) error
	// Stop leaves it, to go on when the same request comes again.
	Stop(ctx context.Context) error
}

// Sink takes what a turn shows, in order and on one goroutine. An error means that
// the client has gone.
type Sink interface {
	Trace(t *runtime.TracePart) error
	Chunk(c *runtime.PayloadPart) error
	Return(r *runtime.ReturnControlPayload) error
	Files(f *runtime.FilePart) error
}
