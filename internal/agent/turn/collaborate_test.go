package turn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

const (
	claimsAlias  = "arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT00002/ALIAS00002"
	weatherAlias = "arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT00003/ALIAS00003"
)

// supervised is a supervisor of two agents.
func supervised(t testing.TB) *world {
	w := newWorld(t)
	all := w.plan.Groups
	member := func(id, name string, g ...plan.Group) *plan.Plan {
		p := insurer()
		p.AgentID, p.Name, p.ARN, p.Groups = id, name, "arn:aws:bedrock:us-east-1:123456789012:agent/"+id, g
		return p
	}
	w.plan.Groups, w.plan.Collaboration = nil, plan.Supervisor
	w.plan.Collaborators = []plan.Collaborator{
		{ID: "COLLAB0001", Name: "claims-agent", Alias: claimsAlias, Instruction: "Knows the claims.", Relay: true},
		{ID: "COLLAB0002", Name: "weather-agent", Alias: weatherAlias, Instruction: "Knows the weather."},
	}
	w.team = map[string]*Alias{
		claimsAlias:  {ID: "ALIAS00002", ARN: claimsAlias, Version: "1", Plan: member("AGENT00002", "claims", all[0])},
		weatherAlias: {ID: "ALIAS00003", ARN: weatherAlias, Version: "2", Plan: member("AGENT00003", "weather", all[2])},
	}
	return w
}

func sends(pairs ...string) reaction {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, sendTool, `{"recipient":"`+pairs[i]+`","content":"`+pairs[i+1]+`"}`)
	}
	return calls(list...)
}

func TestASupervisorAsksItsCollaborators(t *testing.T) {
	w := supervised(t)
	in := request("What is open?")
	in.Attributes = map[string]string{"user": "7"}
	in.PromptAttributes = map[string]string{"secret": "supervisor's"}
	w.replay(sends("claims-agent", "List them.", "nobody", "?"), calls(toolClaims, `{}`), says("c-1 is open."), says("One claim: c-1."))
	w.ok(w.turn(in))
	w.happened("trace in u1-0", "model", "trace out u1-0", "trace invocation u1-0 AGENT_COLLABORATOR",
		"trace in u2-0", "model", "trace out u2-0", "trace invocation u2-0 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims", "trace observation u2-0 ACTION_GROUP",
		"trace in u2-1", "model", "trace out u2-1", "trace observation u2-1 FINISH",
		"trace observation u1-0 AGENT_COLLABORATOR", "trace observation u1-0 REPROMPT",
		"trace in u1-1", "model", "trace out u1-1", "trace observation u1-1 FINISH", "chunk One claim: c-1.")
	p := w.traces[4]
	if *p.CollaboratorName != "claims-agent" || *p.AgentId != "AGENT00002" || *p.AgentAliasId != "ALIAS00002" || *p.AgentVersion != "1" ||
		len(p.CallerChain) != 1 || *p.CallerChain[0].AgentAliasArn != aliasARN {
		t.Errorf("%+v", p)
	}
	if d := cmp.Diff(map[string]string{"user": "7"}, w.events[0].SessionAttributes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{}, w.events[0].PromptSessionAttributes); d != "" {
		t.Error(d)
	}
	if m := w.asked[1].Messages; len(m) != 2 || m[0].Parts[0].Text != "What is open?" { // relayed
		t.Errorf("%+v", m)
	}
	out := w.traces[10].Trace.OrchestrationTrace.Observation.AgentCollaboratorInvocationOutput
	if *out.Output.Text != "c-1 is open." || *out.AgentCollaboratorAliasArn != claimsAlias {
		t.Errorf("%+v", out)
	}

	// The next turn finds the collaborator's own history.
	w.replay(sends("claims-agent", "And now?"), says("Still c-1."), says("c-1"))
	w.ok(w.turn(request("Again?")))
	var said []string
	for _, m := range w.asked[5].Messages {
		said = append(said, m.Parts[0].Text)
	}
	if d := cmp.Diff([]string{"List them.", "c-1 is open.", "And now?"}, said); d != "" {
		t.Error(d)
	}
}

func TestACollaboratorReturnsControl(t *testing.T) {
	w := supervised(t)
	w.replay(sends("weather-agent", "Seattle?"), calls(toolWeather, `{"location":"seattle"}`))
	w.ok(w.turn(request("Weather?")))
	w.happened2("return 1")
	got := w.returns[0].InvocationInputs[0].FunctionInvocationInput
	if *got.AgentId != "AGENT00003" || *got.CollaboratorName != "weather-agent" {
		t.Fatalf("%+v", got)
	}
	id := *w.returns[0].InvocationId
	m := function("weather", "getWeather", "sunny")
	m.FunctionResult.AgentId = new("AGENT00001")
	w.fails(w.turn(respond(id, m)), apierr.Validation, "Unexpected")
	m.FunctionResult.AgentId = new("AGENT00003")
	w.replay(says("It is sunny."), says("Sunny in Seattle."))
	w.ok(w.turn(respond(id, m)))
	w.happened2("chunk Sunny in Seattle.")
	in := w.traces[0].Trace.OrchestrationTrace.InvocationInput.AgentCollaboratorInvocationInput
	if in.Input.Type != runtime.PayloadTypeReturnControl || len(in.Input.ReturnControlResults.ReturnControlInvocationResults) != 1 {
		t.Errorf("%+v", in.Input)
	}
	var last engine.Message
	for _, m := range w.asked[2].Messages {
		last = m
	}
	if got := last.Parts[0].ToolResult.Parts[0].Text; got != "sunny" {
		t.Errorf("the collaborator was told %q", got)
	}
}

func TestACollaboratorsStepsSurvive(t *testing.T) {
	w := supervised(t)
	w.replay(sends("claims-agent", "List them."), calls(toolClaims, `{}`), breaks(apierr.Throttling, "later"))
	w.fails(w.turn(request("What?")), apierr.Throttling, "later")
	if n := strings.Count(strings.Join(w.log, "\n"), "failure"); n != 2 { // the collaborator's and the supervisor's
		t.Errorf("%d failure traces", n)
	}
	w.replay(says("c-1"), says("It is c-1."))
	w.ok(w.turn(request("What?")))
	w.happened2("chunk It is c-1.")
	if len(w.events) != 1 {
		t.Fatalf("the function was called %d times", len(w.events))
	}
}

func TestInlineCollaborators(t *testing.T) {
	w := supervised(t)
	for i := range w.plan.Collaborators {
		c := &w.plan.Collaborators[i]
		c.Inline, c.Alias = w.team[c.Alias].Plan, ""
	}
	w.replay(sends("weather-agent", "Seattle?"), says("rain"), says("Rain."))
	w.ok(w.turn(request("Weather?")))
	w.happened2("chunk Rain.")
	if p := w.traces[3]; *p.CollaboratorName != "weather-agent" || p.AgentId != nil {
		t.Errorf("%+v", p)
	}
}
