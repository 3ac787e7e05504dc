package prompt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
)

// Agent is who asks a parser function.
type Agent struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

// Event is what a parser function is sent for the raw answer of a step's model.
func Event(a Agent, step plan.Step, raw string) ([]byte, error) {
	var w bytes.Buffer
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false) // answers are full of tags
	err := enc.Encode(struct {
		MessageVersion string `json:"messageVersion"`
		Agent          Agent  `json:"agent"`
		Raw            string `json:"invokeModelRawResponse"`
		PromptType     string `json:"promptType"`
		OverrideType   string `json:"overrideType"`
	}{"1.0", a, raw, string(step), "OUTPUT_PARSER"})
	return bytes.TrimSuffix(w.Bytes(), []byte("\n")), err
}

// flag is a boolean that functions also write as a string.
type flag bool

// UnmarshalJSON reads true, "true" and the like.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(bytes.Trim(b, `"`))) {
	case "true":
		*f = true
	case "false":
		*f = false
	default:
		return fmt.Errorf("%.40s is neither true nor false", b)
	}
	return nil
}

// wrapped is a value that functions write as {"value": …} or bare.
type wrapped struct{ text string }

// UnmarshalJSON reads both.
func (w *wrapped) UnmarshalJSON(b []byte) error {
	var v struct {
		Value json.RawMessage `json:"value"`
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) && json.Unmarshal(b, &v) == nil && v.Value != nil {
		b = v.Value
	}
	if w.text = plain(b); w.text == "null" {
		w.text = ""
	}
	return nil
}

type generated struct {
	Parts []struct {
		Text       string `json:"text"`
		References []struct {
			ID string `json:"sourceId"`
		} `json:"references"`
	} `json:"generatedResponseParts"`
}

func (g *generated) parts() []Part {
	if g == nil {
		return nil
	}
	out := make([]Part, 0, len(g.Parts))
	for _, p := range g.Parts {
		x := Part{Text: p.Text}
		for _, r := range p.References {
			x.Sources = append(x.Sources, r.ID)
		}
		out = append(out, x)
	}
	return out
}

func joined(parts []Part) string {
	texts := make([]string, 0, len(parts))
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, " ")
}

type invocation struct {
	ID       string             `json:"id"`
	Group    string             `json:"actionGroupName"`
	API      string             `json:"apiName"`
	Function string             `json:"functionName"`
	Verb     string             `json:"verb"`
	Input    map[string]wrapped `json:"actionGroupInput"`
}

func (v *invocation) call() Call {
	c := Call{ID: v.ID, Verb: v.Verb, Group: v.Group, Name: v.API, Input: make(map[string]string, len(v.Input))}
	if c.Name == "" {
		c.Name = v.Function
	}
	for k, x := range v.Input {
		c.Input[k] = x.text
	}
	return c
}

type lookup struct {
	ID    string  `json:"id"`
	Base  string  `json:"knowledgeBaseId"`
	Query wrapped `json:"searchQuery"`
}

func (l *lookup) call() Call {
	return Call{ID: l.ID, Knowledge: l.Base, Input: map[string]string{SearchInput: l.Query.text}}
}

type message struct {
	ID    string `json:"id"`
	Name  string `json:"agentCollaboratorName"`
	Input struct {
		Text string `json:"text"`
	} `json:"input"`
}

type details struct {
	Type      string `json:"invocationType"`
	RouteType string `json:"type"`
	Ask       *struct {
		ID   string `json:"id"`
		Text string `json:"responseText"`
	} `json:"agentAskUser"`
	Action  *invocation  `json:"actionGroupInvocation"`
	Actions []invocation `json:"actionGroupInvocations"`
	Base    *lookup      `json:"agentKnowledgeBase"`
	Bases   []lookup     `json:"agentKnowledgeBases"`
	Agent   *message     `json:"agentCollaboratorInvocation"`
	Final   *struct {
		Text      string     `json:"responseText"`
		Citations *generated `json:"citations"`
	} `json:"agentFinalResponse"`
}

type reprompt struct {
	Text string `json:"repromptResponse"`
}

type orchestrationReply struct {
	Rationale string    `json:"rationale"`
	Error     *reprompt `json:"parsingErrorDetails"`
	Details   *details  `json:"responseDetails"`
	details             // the guide's listing has them here, beside an empty responseDetails
}

type topics struct {
	List []struct {
		Topic   string `json:"topic"`
		Summary string `json:"summary"`
	} `json:"topicwiseSummaries"`
}

type reply struct {
	Pre *struct {
		Valid     *flag  `json:"isValidInput"`
		Rationale string `json:"rationale"`
	} `json:"preProcessingParsedResponse"`
	Orchestration *orchestrationReply `json:"orchestrationParsedResponse"`
	Knowledge     *struct {
		Response *generated `json:"generatedResponse"`
	} `json:"knowledgeBaseResponseGenerationParsedResponse"`
	Post *struct {
		Text      string     `json:"responseText"`
		Citations *generated `json:"citations"`
	} `json:"postProcessingParsedResponse"`
	Routing *struct {
		Error   *reprompt `json:"parsingErrorDetails"`
		Details *details  `json:"responseDetails"`
	} `json:"routingClassifierParsedResponse"`
	Memory *topics `json:"memorySummarizationParsedResponse"`
	topics         // or here
}

// Read reads what a parser function answered for a step. Only the member of the step
// is looked at; messageVersion, which says whether calls come one or many, is not
// needed and may be missing. An error says that the answer is of no use.
func Read(step plan.Step, payload []byte) (*Parsed, error) {
	var r reply
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("the parser's answer: %w", err)
	}
	switch step {
	case plan.PreProcessing:
		if r.Pre == nil || r.Pre.Valid == nil {
			return nil, missing("preProcessingParsedResponse.isValidInput")
		}
		return &Parsed{Valid: bool(*r.Pre.Valid), Thought: r.Pre.Rationale}, nil
	case plan.KnowledgeReply:
		if r.Knowledge == nil || r.Knowledge.Response == nil {
			return nil, missing("knowledgeBaseResponseGenerationParsedResponse.generatedResponse")
		}
		parts := r.Knowledge.Response.parts()
		return &Parsed{Final: &Answer{Text: joined(parts), Parts: parts}}, nil
	case plan.PostProcessing:
		if r.Post == nil {
			return nil, missing("postProcessingParsedResponse")
		}
		return &Parsed{Final: &Answer{Text: r.Post.Text, Parts: r.Post.Citations.parts()}}, nil
	case plan.Classify:
		return r.routing()
	case plan.Summarize:
		return r.summary()
	case plan.Orchestrate:
		if r.Orchestration == nil {
			return nil, missing("orchestrationParsedResponse")
		}
		return r.Orchestration.parsed()
	}
	return nil, fmt.Errorf("no parser is known for the step %s", step)
}

func missing(member string) error { return fmt.Errorf("the parser's answer has no %s", member) }

func (r *reply) routing() (*Parsed, error) {
	switch {
	case r.Routing == nil:
		return nil, missing("routingClassifierParsedResponse")
	case r.Routing.Error != nil && r.Routing.Error.Text != "":
		return &Parsed{Reprompt: r.Routing.Error.Text}, nil
	case r.Routing.Details == nil:
		return nil, missing("routingClassifierParsedResponse.responseDetails")
	}
	switch d := r.Routing.Details; d.RouteType {
	case "AGENT":
		if d.Agent == nil || d.Agent.Name == "" {
			return nil, missing("agentCollaboratorInvocation.agentCollaboratorName")
		}
		return &Parsed{Agent: d.Agent.Name}, nil
	case "LAST_AGENT":
		return &Parsed{Agent: KeepPrevious}, nil
	case "UNDECIDED":
		return &Parsed{}, nil
	default:
		return nil, fmt.Errorf("the parser's answer has the type %q", d.RouteType)
	}
}

func (r *reply) summary() (*Parsed, error) {
	t := r.Memory
	if t == nil {
		t = &r.topics
	}
	if t.List == nil {
		return nil, missing("topicwiseSummaries")
	}
	p := &Parsed{}
	for _, x := range t.List {
		if x.Summary != "" {
			p.Topics = append(p.Topics, Topic{x.Topic, x.Summary})
		}
	}
	return p, nil
}

func (o *orchestrationReply) parsed() (*Parsed, error) {
	p := &Parsed{Thought: o.Rationale}
	if o.Error != nil && o.Error.Text != "" {
		p.Reprompt = o.Error.Text
		return p, nil
	}
	d := o.merged()
	bad := fmt.Errorf("the parser's answer has the invocationType %s without its member", d.Type)
	switch d.Type {
	case "ASK_USER":
		if d.Ask == nil || d.Ask.Text == "" {
			return nil, bad
		}
		p.Ask, p.AskID = d.Ask.Text, d.Ask.ID
	case "FINISH":
		if d.Final == nil {
			return nil, bad
		}
		p.Final = &Answer{Text: d.Final.Text, Parts: d.Final.Citations.parts()}
	case "ACTION_GROUP", "KNOWLEDGE_BASE": // the parallel form may mix them
		if p.Calls = d.calls(); len(p.Calls) == 0 {
			return nil, bad
		}
	case "AGENT_COLLABORATOR":
		if d.Agent == nil || d.Agent.Name == "" {
			return nil, bad
		}
		p.Calls = []Call{{ID: d.Agent.ID, Collaborator: d.Agent.Name, Input: map[string]string{"text": d.Agent.Input.Text}}}
	case "":
		return nil, errors.New("the parser's answer has no invocationType")
	default:
		return nil, fmt.Errorf("the parser's answer has the invocationType %q", d.Type)
	}
	return p, nil
}

// merged looks for each member in responseDetails, then beside it.
func (o *orchestrationReply) merged() *details {
	if o.Details == nil {
		return &o.details
	}
	d, beside := *o.Details, &o.details
	d.Type = cmp.Or(d.Type, beside.Type)
	d.Ask, d.Action, d.Base = cmp.Or(d.Ask, beside.Ask), cmp.Or(d.Action, beside.Action), cmp.Or(d.Base, beside.Base)
	d.Agent, d.Final = cmp.Or(d.Agent, beside.Agent), cmp.Or(d.Final, beside.Final)
	if len(d.Actions) == 0 {
		d.Actions = beside.Actions
	}
	if len(d.Bases) == 0 {
		d.Bases = beside.Bases
	}
	return &d
}

func (d *details) calls() (out []Call) {
	if d.Action != nil && d.Type == "ACTION_GROUP" {
		out = append(out, d.Action.call())
	}
	for i := range d.Actions {
		out = append(out, d.Actions[i].call())
	}
	if d.Base != nil && d.Type == "KNOWLEDGE_BASE" {
		out = append(out, d.Base.call())
	}
	for i := range d.Bases {
		out = append(out, d.Bases[i].call())
	}
	return out
}
