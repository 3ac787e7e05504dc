package plan

import (
	"encoding/json"
	"time"
)

// Plan is one prepared agent.
type Plan struct {
	AgentID string `json:"agentId"` // "" for an inline agent
	Name    string `json:"name"`
	ARN     string `json:"arn"` // of the agent; the source of what is done in its name

	Model       string  `json:"model"` // id or ARN, as the user wrote it
	Instruction string  `json:"instruction"`
	Role        string  `json:"role"`             // ARN of the service role, "" for an inline agent
	Key         string  `json:"key,omitempty"`    // ARN of the customer key that seals its sessions
	IdleTTL     Span    `json:"idleTtl"`          // of a session
	Memory      *Memory `json:"memory,omitempty"` // nil: sessions are forgotten

	Orchestration Orchestration `json:"orchestration"`
	// Orchestrator is the function that decides each step of a CustomOrchestration.
	Orchestrator string `json:"orchestrator,omitempty"`

	Prompts []Prompt `json:"prompts"` // one for each Step that the agent has
	// Parser is the function that reads the model's answers of the steps whose
	// Prompt.Parser is Overridden.
	Parser string `json:"parser,omitempty"`

	Groups        []Group         `json:"groups,omitempty"`
	Knowledge     []KnowledgeBase `json:"knowledge,omitempty"`
	Collaboration Collaboration   `json:"collaboration"`
	Collaborators []Collaborator  `json:"collaborators,omitempty"`
}

// Span is a time in whole seconds on the wire of a plan.
type Span int

// Duration of the span.
func (s Span) Duration() time.Duration { return time.Duration(s) * time.Second }

// Memory says how long summaries of sessions are kept and how many are told.
type Memory struct {
	Days   int `json:"days"`   // 0 keeps none
	Recent int `json:"recent"` // newest summaries put into a prompt
}

// Orchestration is who decides what an agent does next.
type Orchestration string

// The values are those of the wire.
const (
	DefaultOrchestration Orchestration = "DEFAULT"
	CustomOrchestration  Orchestration = "CUSTOM_ORCHESTRATION"
)

// Collaboration is whether an agent leads others.
type Collaboration string

// The values are those of the wire.
const (
	Alone      Collaboration = "DISABLED"
	Supervisor Collaboration = "SUPERVISOR"
	Router     Collaboration = "SUPERVISOR_ROUTER"
)

// Step is one kind of model call in a turn.
type Step string

// The values are those of the wire.
const (
	PreProcessing  Step = "PRE_PROCESSING"
	Orchestrate    Step = "ORCHESTRATION"
	KnowledgeReply Step = "KNOWLEDGE_BASE_RESPONSE_GENERATION"
	PostProcessing Step = "POST_PROCESSING"
	Summarize      Step = "MEMORY_SUMMARIZATION"
	Classify       Step = "ROUTING_CLASSIFIER"
)

// Mode says whether something is the built-in or the user's.
type Mode string

// The values are those of the wire.
const (
	Default    Mode = "DEFAULT"
	Overridden Mode = "OVERRIDDEN"
)

// Prompt is how one step asks the model. Template and Inference are always there,
// also those that are built in.
type Prompt struct {
	Step      Step            `json:"step"`
	Creation  Mode            `json:"creation"` // whose Template it is
	Enabled   bool            `json:"enabled"`
	Parser    Mode            `json:"parser"` // Overridden: Plan.Parser reads the answer
	Template  string          `json:"template"`
	Inference Inference       `json:"inference"`
	Model     string          `json:"model,omitempty"`  // of this step, when another than the agent's
	Fields    json.RawMessage `json:"fields,omitempty"` // additionalModelRequestFields
}

// Inference steers the model in one step. Nil pointers were not given and have no
// built-in value either.
type Inference struct {
	Temperature *float32 `json:"temperature,omitempty"`
	TopP        *float32 `json:"topP,omitempty"`
	TopK        *int     `json:"topK,omitempty"`
	MaxTokens   *int     `json:"maxTokens,omitempty"` // maximumLength on the wire
	Stop        []string `json:"stop,omitempty"`
}

// Prompt returns the prompt of a step, nil when the agent has none.
func (p *Plan) Prompt(s Step) *Prompt {
	for i := range p.Prompts {
		if p.Prompts[i].Step == s {
			return &p.Prompts[i]
		}
	}
	return nil
}

// Group is an action group: what the agent can do by one executor.
type Group struct {
	ID          string `json:"id"` // "" for an inline agent
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Signature is of a built-in group, such as AMAZON.UserInput; "" for the user's.
	Signature string            `json:"signature,omitempty"`
	Params    map[string]string `json:"params,omitempty"` // of the signature
	// Lambda is the ARN of the function that acts. When it is "" the caller of the
	// agent acts: control is returned to him.
	Lambda  string   `json:"lambda,omitempty"`
	Actions []Action `json:"actions,omitempty"`
}

// The built-in groups.
const (
	UserInput       = "AMAZON.UserInput"
	CodeInterpreter = "AMAZON.CodeInterpreter"
	Computer        = "ANTHROPIC.Computer"
	Bash            = "ANTHROPIC.Bash"
	TextEditor      = "ANTHROPIC.TextEditor"
)

// Enabled reports whether the plan has a built-in group.
func (p *Plan) Enabled(signature string) bool {
	for i := range p.Groups {
		if p.Groups[i].Signature == signature {
			return true
		}
	}
	return false
}

// Action is one thing a group can do: an operation of an API, or a function.
// Exactly one of Function and Path is set.
type Action struct {
	Function string `json:"function,omitempty"`

	Path        string `json:"path,omitempty"` // template, such as /claims/{claimId}
	Verb        string `json:"verb,omitempty"` // upper case
	OperationID string `json:"operationId,omitempty"`

	Description string      `json:"description"`
	Parameters  []Parameter `json:"parameters,omitempty"` // in path, query, header; all of a function
	// Body holds the properties of the request's body; MediaType is its type. An
	// operation without a body has neither.
	Body         []Parameter `json:"body,omitempty"`
	MediaType    string      `json:"mediaType,omitempty"`
	BodyRequired bool        `json:"bodyRequired,omitempty"`
	// Returns describes the answer for prompts that list it; "" when unknown.
	Returns string `json:"returns,omitempty"`
	// Confirm: the user is asked before it is done.
	Confirm bool `json:"confirm,omitempty"`
}

// Parameter is one input of an action.
type Parameter struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // string, number, integer, boolean, array, object
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	// Schema is the JSON schema of the value, when more is known than its type.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// Name is what the action is called in its group: the operation's id, else its
// path, or the function's name.
func (a *Action) Name() string {
	switch {
	case a.Function != "":
		return a.Function
	case a.OperationID != "":
		return a.OperationID
	default:
		return a.Path
	}
}

// KnowledgeBase is one that the agent may query.
type KnowledgeBase struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	// Retrieval is a retrievalConfiguration of the runtime's wire, nil for the
	// defaults.
	Retrieval json.RawMessage `json:"retrieval,omitempty"`
}

// Collaborator is an agent that a supervisor may ask.
type Collaborator struct {
	ID          string `json:"id,omitempty"`
	Name        string `json:"name"`
	Alias       string `json:"alias,omitempty"` // ARN of the alias that is asked
	Instruction string `json:"instruction"`
	Relay       bool   `json:"relay,omitempty"` // it is told the conversation so far
	// Inline is the agent itself where an inline agent brings it along.
	Inline *Plan `json:"inline,omitempty"`
}
