package build

import (
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// config is what a person said of an agent.
type config struct {
	Name          string                           `json:"name"`
	Description   string                           `json:"description,omitempty"`
	Instruction   string                           `json:"instruction,omitempty"`
	Model         string                           `json:"model,omitempty"`
	Role          string                           `json:"role,omitempty"`
	Key           string                           `json:"key,omitempty"`
	TTL           int                              `json:"ttl"`
	Collaboration api.AgentCollaboration           `json:"collaboration"`
	Orchestration api.OrchestrationType            `json:"orchestration"`
	Custom        *api.CustomOrchestration         `json:"custom,omitempty"`
	Memory        *api.MemoryConfiguration         `json:"memory,omitempty"`
	Prompts       *api.PromptOverrideConfiguration `json:"prompts,omitempty"`
	Token         string                           `json:"token,omitempty"`
}

// agentRow is a draft, or in a numbered version's row what the version shows.
type agentRow struct {
	Config config                           `json:"config"`
	State  lifecycle.Timed[api.AgentStatus] `json:"state"`
	// Changed is when the person changed the agent last: preparing does not count.
	Changed     time.Time `json:"changed"`
	Prepared    time.Time `json:"prepared,omitzero"`
	Package     string    `json:"package,omitempty"` // address of what the test alias or the version serves
	Reasons     []string  `json:"reasons,omitempty"`
	Recommended []string  `json:"recommended,omitempty"`
	// Edits counts the changes of the draft and of what hangs on it.
	Edits int `json:"edits,omitempty"`
}

// groupRow is an action group of a draft.
type groupRow struct {
	Name        string                   `json:"name"`
	Description string                   `json:"description,omitempty"`
	State       api.ActionGroupState     `json:"state"`
	Executor    *api.ActionGroupExecutor `json:"executor,omitempty"`
	API         *api.APISchema           `json:"api,omitempty"`
	Functions   *api.FunctionSchema      `json:"functions,omitempty"`
	Signature   api.ActionGroupSignature `json:"signature,omitempty"`
	Params      map[string]string        `json:"params,omitempty"`
	Token       string                   `json:"token,omitempty"`
}

// baseRow associates a knowledge base with a draft.
type baseRow struct {
	Description string                 `json:"description"`
	State       api.KnowledgeBaseState `json:"state"`
}

// collaboratorRow associates another agent with a supervisor's draft.
type collaboratorRow struct {
	Name        string                       `json:"name"`
	Alias       string                       `json:"alias"`
	Instruction string                       `json:"instruction"`
	Relay       api.RelayConversationHistory `json:"relay"`
	Token       string                       `json:"token,omitempty"`
}

// aliasRow points at a version.
type aliasRow struct {
	Name        string                                `json:"name"`
	Description string                                `json:"description,omitempty"`
	State       lifecycle.Timed[api.AgentAliasStatus] `json:"state"`
	Version     string                                `json:"version,omitempty"` // "" when its version was deleted
	Throughput  string                                `json:"throughput,omitempty"`
	// Making: while the state passes, the version is not shown yet.
	Making  bool                         `json:"making,omitempty"`
	Paused  bool                         `json:"paused,omitempty"`
	Reasons []string                     `json:"reasons,omitempty"`
	History []api.AgentAliasHistoryEvent `json:"history,omitempty"`
	Token   string                       `json:"token,omitempty"`
}

// packageRow is a prepared agent and what it was made of, as reads of a version show
// it. Its id is the address of its content.
type packageRow struct {
	Plan          *plan.Plan                      `json:"plan"`
	Groups        []store.Record[groupRow]        `json:"groups,omitempty"`
	Bases         []store.Record[baseRow]         `json:"bases,omitempty"`
	Collaborators []store.Record[collaboratorRow] `json:"collaborators,omitempty"`
}

var (
	// Two agents may have one name: the second fails, as on AWS, and still exists.
	agents        = store.Kind[agentRow]{Name: "agent", SharedNames: true}
	groups        = store.Kind[groupRow]{Name: "agent-action-group"}
	bases         = store.Kind[baseRow]{Name: "agent-knowledge-base"}
	collaborators = store.Kind[collaboratorRow]{Name: "agent-collaborator"}
	aliases       = store.Kind[aliasRow]{Name: "agent-alias"}
	packages      = store.Kind[packageRow]{Name: "agent-package"}
)

// all reads every row of a kind inside an agent.
func all[T any](tx *store.Tx, k store.Kind[T], parent store.Key) ([]store.Record[T], error) {
	return k.All(tx, store.Query{Account: parent.Account, Region: parent.Region, Parent: parent.ID, Sort: store.ByCreated})
}
