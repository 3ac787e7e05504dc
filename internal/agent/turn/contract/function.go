package contract

import (
	"bytes"
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
	return json.Marshal(struct {
		MessageVersion string `json:"messageVersion"`
		Agent          Agent  `json:"agent"`
		Raw            string `json:"invokeModelRawResponse"`
		PromptType     string `json:"promptType"`
		OverrideType   string `json:"overrideType"`
	}{"1.0", a, raw, string(step), "OUTPUT_PARSER"})
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
		return fmt.Errorf("%s is neither true nor false", b)
	}
	return nil
}

type wrapped struct {
	Value json.RawMessage `json:"value"`
}

func (w wrapped) text() string {
	var s string
	if json.Unmarshal(w.Value, &s) == nil {
		return s
	}
	if string(w.Value) == "null" {
		return ""
	}
	return string(w.Value)
}

type generated struct {
	Parts []struct {
		Text       string `json:"text"`
		References []struct {
			ID string `json:"sourceId"`
		} `json:"references"`
	} `json:"generatedResponseParts"`
}

func (g *generated) parts() (out []Part) {
	for _, p := range g.Parts {
		x := Part{Text: p.Text}
		for _, r := range p.References {
			x.Sources = append(x.Sources, r.ID)
		}
		out = append(out, x)
	}
	return out
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
	c := Call{ID: v.ID, Verb: v.Verb, Group: v.Group, Name: v.API, Input: map[string]string{}}
	if c.Name == "" {
		c.Name = v.Function
	}
	for k, x := range v.Input {
		c.Input[k] = x.text()
	}
	return c
}

type lookup struct {
	ID    string  `json:"id"`
	Base  string  `json:"knowledgeBaseId"`
	Query wrapped `json:"searchQuery"`
}

func (l *lookup) call() Call {
	return Call{ID: l.ID, Knowledge: l.Base, Input: map[string]string{"searchQuery": l.Query.text()}}
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
	Agent   *struct {
		Name  string `json:"agentCollaboratorName"`
		Input struct {
			Text string `json:"text"`
		} `json:"input"`
	} `json:"agentCollaboratorInvocation"`
	Final *struct {
		Text      string     `json:"responseText"`
		Citations *generated `json:"citations"`
	} `json:"agentFinalResponse"`
}

type reprompt struct {
	Text string `json:"repromptResponse"`
}

type parserReply struct {
	Pre *struct {
		Valid     *flag  `json:"isValidInput"`
		Rationale string `json:"rationale"`
	} `json:"preProcessingParsedResponse"`
	Orchestration *struct {
		Rationale string    `json:"rationale"`
		Error     *reprompt `json:"parsingErrorDetails"`
		Details   *details  `json:"responseDetails"`
		details             // the guide's listing has them here
	} `json:"orchestrationParsedResponse"`
	Knowledge *struct {
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
}

// Read reads what a parser function answered for a step. Only the member of the step
// is looked at.
func Read(step plan.Step, payload []byte) (*Parsed, error) {
	var r parserReply
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("the parser's answer: %w", err)
	}
	missing := func(member string) error { return fmt.Errorf("the parser's answer has no %s", member) }
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
		a := &Answer{Parts: r.Knowledge.Response.parts()}
		var texts []string
		for _, p := range a.Parts {
			texts = append(texts, p.Text)
		}
		a.Text = strings.Join(texts, " ")
		return &Parsed{Final: a}, nil
	case plan.PostProcessing:
		if r.Post == nil {
			return nil, missing("postProcessingParsedResponse")
		}
		a := &Answer{Text: r.Post.Text}
		if r.Post.Citations != nil {
			a.Parts = r.Post.Citations.parts()
		}
		return &Parsed{Final: a}, nil
	case plan.Classify:
		switch {
		case r.Routing == nil:
			return nil, missing("routingClassifierParsedResponse")
		case r.Routing.Error != nil:
			return &Parsed{Reprompt: r.Routing.Error.Text}, nil
		case r.Routing.Details == nil:
			return nil, missing("routingClassifierParsedResponse.responseDetails")
		}
		p := &Parsed{}
		switch d := r.Routing.Details; d.RouteType {
		case "AGENT":
			if d.Agent == nil {
				return nil, missing("agentCollaboratorInvocation")
			}
			p.Agent = d.Agent.Name
		case "LAST_AGENT":
			p.Agent = KeepPrevious
		case "UNDECIDED":
		default:
			return nil, fmt.Errorf("the parser's answer has the type %q", d.RouteType)
		}
		return p, nil
	case plan.Orchestrate:
		if r.Orchestration == nil {
			return nil, missing("orchestrationParsedResponse")
		}
		return r.orchestration()
	case plan.Summarize:
	}
	return nil, fmt.Errorf("no parser is known for the step %s", step)
}

// KeepPrevious is a router's choice of the agent that answered last.
const KeepPrevious = "keep_previous_agent"

func (r *parserReply) orchestration() (*Parsed, error) {
	o := r.Orchestration
	p := &Parsed{Thought: o.Rationale}
	if o.Error != nil && o.Error.Text != "" {
		p.Reprompt = o.Error.Text
		return p, nil
	}
	d := o.Details
	if d == nil {
		d = &o.details
	}
	bad := fmt.Errorf("the parser's answer has invocationType %s without its member", d.Type)
	switch d.Type {
	case "ASK_USER":
		if d.Ask == nil || d.Ask.Text == "" {
			return nil, bad
		}
		p.Ask = d.Ask.Text
	case "FINISH":
		if d.Final == nil {
			return nil, bad
		}
		p.Final = &Answer{Text: d.Final.Text}
		if d.Final.Citations != nil {
			p.Final.Parts = d.Final.Citations.parts()
		}
	case "ACTION_GROUP", "KNOWLEDGE_BASE": // the parallel form may mix them
		if d.Action != nil {
			p.Calls = append(p.Calls, d.Action.call())
		}
		for i := range d.Actions {
			p.Calls = append(p.Calls, d.Actions[i].call())
		}
		if d.Base != nil {
			p.Calls = append(p.Calls, d.Base.call())
		}
		for i := range d.Bases {
			p.Calls = append(p.Calls, d.Bases[i].call())
		}
		if len(p.Calls) == 0 {
			return nil, bad
		}
	case "AGENT_COLLABORATOR":
		if d.Agent == nil {
			return nil, bad
		}
		p.Calls = []Call{{Collaborator: d.Agent.Name, Input: map[string]string{"text": d.Agent.Input.Text}}}
	case "":
		return nil, errors.New("the parser's answer has no invocationType")
	default:
		return nil, fmt.Errorf("the parser's answer has the invocationType %q", d.Type)
	}
	return p, nil
}
