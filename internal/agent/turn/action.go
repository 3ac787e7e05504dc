package turn

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
)

// value is one argument of an action as the wires write it: always a string.
type value struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// arguments are what a model gave for an action, in the order of its definition.
type arguments struct {
	parameters []value
	body       []value
	missing    []string // required ones that are not there
}

// bind fits the object of a call to the action's parameters. What the action does
// not know is left out: models invent members, and parsers of text find too many.
func bind(a *plan.Action, raw json.RawMessage) (arguments, error) {
	given := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(raw)) > 0 && !bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		if err := json.Unmarshal(raw, &given); err != nil {
			return arguments{}, err
		}
	}
	var out arguments
	take := func(list []plan.Parameter, required bool) (got []value) {
		for i := range list {
			p := &list[i]
			v, ok := given[p.Name]
			if !ok || bytes.Equal(v, []byte("null")) {
				if p.Required && required {
					out.missing = append(out.missing, p.Name)
				}
				continue
			}
			got = append(got, value{p.Name, p.Type, plain(v)})
		}
		return got
	}
	out.parameters = take(a.Parameters, true)
	anyBody := a.BodyRequired
	for i := range a.Body {
		if _, ok := given[a.Body[i].Name]; ok {
			anyBody = true
		}
	}
	out.body = take(a.Body, anyBody)
	return out, nil
}

// plain writes a JSON value as text: a string without its quotes, all else as JSON.
func plain(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	var w bytes.Buffer
	if json.Compact(&w, v) != nil {
		return string(v)
	}
	return w.String()
}

// mediaType is the type of an action's body.
func mediaType(a *plan.Action) string {
	if a.MediaType != "" {
		return a.MediaType
	}
	return jsonType
}

const (
	jsonType = "application/json"
	textType = "TEXT" // of the answers of functions
)

// traced writes the arguments as traces do.
func traced(list []value) []runtime.Parameter {
	var out []runtime.Parameter
	for _, v := range list {
		out = append(out, runtime.Parameter{Name: new(v.Name), Type: new(v.Type), Value: new(v.Value)})
	}
	return out
}

// invocationInput is an action as the trace shows it. invocation is set when control
// is returned.
func (c *call) invocationInput(args *arguments, invocation string) *runtime.ActionGroupInvocationInput {
	in := &runtime.ActionGroupInvocationInput{
		ActionGroupName: new(c.group.Name), Parameters: traced(args.parameters), ExecutionType: runtime.ExecutionTypeLambda,
	}
	if invocation != "" {
		in.ExecutionType, in.InvocationId = runtime.ExecutionTypeReturnControl, new(invocation)
	}
	if c.action.Function != "" {
		in.Function = new(c.action.Function)
		return in
	}
	in.ApiPath, in.Verb = new(c.action.Path), new(strings.ToLower(c.action.Verb))
	if len(c.action.Body) > 0 {
		in.RequestBody = &runtime.RequestBody{Content: map[string][]runtime.Parameter{mediaType(c.action): traced(args.body)}}
	}
	return in
}

// returned is an action as the event of a return of control shows it.
func (c *call) returned(args *arguments, kind runtime.ActionInvocationType, agentID, collaborator string) runtime.InvocationInputMember {
	var from *string
	if collaborator != "" {
		from = &collaborator
	}
	if c.action.Function != "" {
		in := &runtime.FunctionInvocationInput{
			ActionGroup: c.group.Name, Function: new(c.action.Function), ActionInvocationType: kind, AgentId: new(agentID), CollaboratorName: from,
		}
		for _, v := range args.parameters {
			in.Parameters = append(in.Parameters, runtime.FunctionParameter{Name: new(v.Name), Type: new(v.Type), Value: new(v.Value)})
		}
		return runtime.InvocationInputMember{FunctionInvocationInput: in}
	}
	in := &runtime.ApiInvocationInput{
		ActionGroup: c.group.Name, ApiPath: new(c.action.Path), HttpMethod: new(strings.ToLower(c.action.Verb)), ActionInvocationType: kind,
		AgentId: new(agentID), CollaboratorName: from,
	}
	for _, v := range args.parameters {
		in.Parameters = append(in.Parameters, runtime.ApiParameter{Name: new(v.Name), Type: new(v.Type), Value: new(v.Value)})
	}
	if len(c.action.Body) > 0 {
		in.RequestBody = &runtime.ApiRequestBody{Content: map[string]runtime.PropertyParameters{mediaType(c.action): {Properties: traced(args.body)}}}
	}
	return runtime.InvocationInputMember{ApiInvocationInput: in}
}

// key names a call with its arguments, so that a repeated one is known again.
func key(name string, raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return name + " " + string(raw)
	}
	b, _ := json.Marshal(v) // sorts the members
	return name + " " + strconv.Itoa(len(b)) + " " + string(b)
}
