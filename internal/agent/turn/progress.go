package turn

import (
	"encoding/json"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// call is one thing that a model's answer asks for. Exactly one of action, base,
// collaborator, code and ask is set in a call that was understood; wrong says why
// one was not.
type call struct {
	engine.ToolCall
	group        *plan.Group
	action       *plan.Action
	base         *plan.KnowledgeBase
	collaborator *plan.Collaborator
	code         bool
	ask          bool
	wrong        string
}

// progress is how far orchestration has come: all that is needed to go on. It lies in
// the journal before each thing that is done, and in the session while a call waits
// for the next request.
type progress struct {
	ID        string            `json:"id"`                  // of the chain of traces
	Question  string            `json:"question"`            // what began it; an answer to a question of the agent is not
	Said      []engine.Message  `json:"said"`                // scratchpad: answers of the model, results of their calls
	Open      []engine.ToolCall `json:"open,omitempty"`      // calls of the last answer, all of them
	Results   []engine.Part     `json:"results,omitempty"`   // as long as Open; one without a ToolResult is still to come
	Confirmed map[int]bool      `json:"confirmed,omitempty"` // calls of Open that the user has agreed to
	Iteration int               `json:"iteration"`
	Asked     int               `json:"asked"`               // model calls of the turn
	Reprompts int               `json:"reprompts,omitempty"` // in a row
	Silence   bool              `json:"silence,omitempty"`   // the next step may not call

	Attributes       map[string]string                    `json:"attributes,omitempty"`
	PromptAttributes map[string]string                    `json:"promptAttributes,omitempty"`
	Knowledge        []runtime.KnowledgeBaseConfiguration `json:"knowledge,omitempty"`

	Done       map[string]bool `json:"done,omitempty"`       // calls that were answered, by key
	Acted      []string        `json:"acted,omitempty"`      // results of actions and queries, for post-processing
	References []reference     `json:"references,omitempty"` // what knowledge bases answered
	Parts      []citedPart     `json:"parts,omitempty"`      // what was written from them
	Thoughts   []string        `json:"thoughts,omitempty"`   // rationales of the turn

	Order     string      `json:"order,omitempty"` // state of a custom orchestration
	OrderText string      `json:"orderText,omitempty"`
	Orders    []orderStep `json:"orders,omitempty"`

	Routed   string            `json:"routed,omitempty"`   // the collaborator that answers in the supervisor's place
	Memory   []string          `json:"memory,omitempty"`   // of earlier sessions
	Children map[string]*child `json:"children,omitempty"` // collaborators, by name
	Given    map[int]given     `json:"given,omitempty"`    // results for collaborators, by call
}

// reference is a passage with the id that a prompt gave it.
type reference struct {
	ID     string                               `json:"id"`
	Result runtime.KnowledgeBaseRetrievalResult `json:"result"`
}

// citedPart is a sentence and the passages it was written from.
type citedPart struct {
	Text    string   `json:"text"`
	Sources []string `json:"sources"`
}

// done is one entry of the journal.
type done struct {
	Progress *progress `json:"progress"`
	Call     int       `json:"call"` // index into Open
	// Child is the entry of the collaborator that the call asks.
	Child json.RawMessage `json:"child,omitempty"`
}

// outcome is the result of a journal's entry.
type outcome struct {
	Answer *answer `json:"answer,omitempty"`
	// Child is the result of the collaborator's entry.
	Child json.RawMessage `json:"child,omitempty"`
	Fault *fault          `json:"fault,omitempty"` // it was done, and what came of it ends the turn
}

// waiting is what a session holds while a call waits for the next request.
type waiting struct {
	Progress   *progress `json:"progress"`
	Ask        bool      `json:"ask,omitempty"`        // for what the user says
	Invocation string    `json:"invocation,omitempty"` // for results under this id
	Calls      []awaited `json:"calls,omitempty"`
}

// awaited is a call that the caller of the agent must answer.
type awaited struct {
	Index    int                          `json:"index"` // into Open
	Kind     runtime.ActionInvocationType `json:"kind"`
	Group    string                       `json:"group"`
	Function string                       `json:"function,omitempty"`
	Path     string                       `json:"path,omitempty"`
	Verb     string                       `json:"verb,omitempty"`
	AgentID  string                       `json:"agentId,omitempty"`
	// Child is the invocation that a collaborator gave it, when one waits.
	Child string `json:"child,omitempty"`
}

// state is what a session keeps between turns.
type state struct {
	Attributes map[string]string                    `json:"attributes,omitempty"`
	Knowledge  []runtime.KnowledgeBaseConfiguration `json:"knowledge,omitempty"`
	Waiting    *waiting                             `json:"waiting,omitempty"`
	Children   map[string]*child                    `json:"children,omitempty"`
	Routed     string                               `json:"routed,omitempty"` // collaborator that a router chose last
}

// Record is what a turn leaves for those after it: what was said, or why it failed.
type Record struct {
	Input   string `json:"input,omitempty"`
	Answer  string `json:"answer,omitempty"`
	Thought string `json:"thought,omitempty"`
	// Steps are those of a custom orchestration.
	Steps []orderStep `json:"steps,omitempty"`
	// Reply is what the client got, to be answered again when the same request comes
	// again: exactly one of its members is set.
	Reply *Reply `json:"reply,omitempty"`
	Fault *fault `json:"fault,omitempty"`
}

// Reply is the end of a stream.
type Reply struct {
	Chunk  *runtime.PayloadPart          `json:"chunk,omitempty"`
	Return *runtime.ReturnControlPayload `json:"return,omitempty"`
	Files  []File                        `json:"files,omitempty"`
}

// ReadRecord reads what Finish or Fail got.
func ReadRecord(b []byte) (*Record, error) {
	r := new(Record)
	if len(b) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read the record of a turn: %w", err)
	}
	return r, nil
}

// clip is s without room behind it, so that appending copies.
func clip[T any](s []T) []T { return s[:len(s):len(s)] }

// open begins the calls of an answer.
func (p *progress) open(calls []engine.ToolCall) {
	p.Open, p.Results, p.Confirmed = calls, make([]engine.Part, len(calls)), nil
}

// answered reports whether a call has its result.
func (p *progress) answered(i int) bool { return p.Results[i].ToolResult != nil }

// give puts the result of a call in its place.
func (p *progress) give(i int, text string, wrong bool) {
	c := &p.Open[i]
	p.Results[i] = engine.Part{ToolResult: &engine.ToolResult{ID: c.ID, Name: c.Name, Parts: []engine.Part{{Text: text}}, Error: wrong}}
}

// settle closes an answer whose calls all have results.
func (p *progress) settle() {
	for i := range p.Open {
		if !p.answered(i) {
			return
		}
	}
	if len(p.Open) > 0 {
		p.Said = append(p.Said, engine.Message{Role: engine.User, Parts: p.Results})
		p.Open, p.Results, p.Confirmed = nil, nil, nil
	}
}
