package turn

import (
	"context"
	"fmt"
	"strings"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// maxReturned is how many calls one event of a return of control carries.
const maxReturned = 5

// returnControl ends the turn with calls that the caller of the agent carries out or
// lets the user confirm.
func (t *Turn) returnControl(_ context.Context, id string, calls []call, which []int) (*ending, error) {
	w := &waiting{Progress: t.p, Invocation: t.r.c.NewID()}
	payload := &runtime.ReturnControlPayload{InvocationId: new(w.Invocation)}
	for _, i := range which {
		if h := t.held[i]; h != nil { // a collaborator's: they go out together, as they came
			if len(payload.InvocationInputs) > 0 && len(payload.InvocationInputs)+len(h.calls) > maxReturned {
				continue
			}
			for j := range h.calls {
				a := h.calls[j]
				a.Index, a.Child = i, optional.Value(h.payload.InvocationId)
				w.Calls = append(w.Calls, a)
			}
			payload.InvocationInputs = append(payload.InvocationInputs, h.payload.InvocationInputs...)
			continue
		}
		if len(payload.InvocationInputs) >= maxReturned {
			continue // the rest goes out when these are answered
		}
		c := &calls[i]
		args, err := bind(c.action, c.Arguments)
		if err != nil {
			return nil, err // missing has seen it
		}
		kind := runtime.ActionInvocationTypeResult
		switch {
		case c.group.Lambda != "":
			kind = runtime.ActionInvocationTypeUserConfirmation
		case c.action.Confirm:
			kind = runtime.ActionInvocationTypeUserConfirmationAndResult
		}
		w.Calls = append(w.Calls, awaited{
			Index: i, Kind: kind, Group: c.group.Name, Function: c.action.Function, Path: c.action.Path, Verb: c.action.Verb, AgentID: t.agentID(),
		})
		payload.InvocationInputs = append(payload.InvocationInputs, c.returned(&args, kind, t.agentID(), t.name))
		t.trace.invocation(id, &runtime.InvocationInput{
			InvocationType: runtime.InvocationTypeActionGroup, ActionGroupInvocationInput: c.invocationInput(&args, w.Invocation),
		})
	}
	return &ending{waiting: w, reply: Reply{Return: payload}}, nil
}

// result is what the caller of the agent answers to one call.
type result struct {
	confirmation runtime.ConfirmationState
	answer       answer
	body         bool // there is one
	raw          runtime.InvocationResultMember
}

// unexpected refuses a result that nobody has asked for.
func unexpected(m *runtime.InvocationResultMember, invocation string) *apierr.Error {
	group, what := "", ""
	switch {
	case m.FunctionResult != nil:
		group, what = m.FunctionResult.ActionGroup, optional.Value(m.FunctionResult.Function)
	case m.ApiResult != nil:
		group, what = m.ApiResult.ActionGroup, optional.Value(m.ApiResult.HttpMethod)+" "+optional.Value(m.ApiResult.ApiPath)
	}
	return invalid("Validation failed: Unexpected actionGroup: %s or function : %s encountered for invocationId: %s", group, what, invocation)
}

// match finds the result of each call that waits. Results may come in any order; all
// of them must be there, and nothing else.
func match(w *waiting, given []runtime.InvocationResultMember, invocation string) ([]*result, error) {
	out := make([]*result, len(w.Calls))
	for i := range given {
		m := &given[i]
		at := -1
		for j := range w.Calls {
			if out[j] == nil && fits(&w.Calls[j], m) {
				at = j
				break
			}
		}
		if at < 0 {
			return nil, unexpected(m, invocation)
		}
		r, err := readResult(m, w.Calls[at].Kind)
		if err != nil {
			return nil, err
		}
		out[at] = r
	}
	for j := range out {
		if out[j] == nil {
			a := &w.Calls[j]
			what := a.Function
			if what == "" {
				what = a.Verb + " " + a.Path
			}
			return nil, invalid("Validation failed: The result of actionGroup: %s, function : %s is missing for invocationId: %s. Send the results of all invocationInputs together.",
				a.Group, what, invocation)
		}
	}
	return out, nil
}

// fits reports whether a result is of the call. An agent's id is compared when the
// result has one: a supervisor and its collaborator may have groups of one name.
func fits(a *awaited, m *runtime.InvocationResultMember) bool {
	switch {
	case m.FunctionResult != nil && a.Function != "":
		f := m.FunctionResult
		return f.ActionGroup == a.Group && optional.Value(f.Function) == a.Function && sameAgent(f.AgentId, a.AgentID)
	case m.ApiResult != nil && a.Function == "":
		f := m.ApiResult
		return f.ActionGroup == a.Group && optional.Value(f.ApiPath) == a.Path && strings.EqualFold(optional.Value(f.HttpMethod), a.Verb) && sameAgent(f.AgentId, a.AgentID)
	}
	return false
}

func sameAgent(given *string, want string) bool {
	return given == nil || *given == "" || *given == want
}

// readResult checks a result against what was asked for.
func readResult(m *runtime.InvocationResultMember, kind runtime.ActionInvocationType) (*result, error) {
	r := &result{raw: *m}
	var bodies map[string]runtime.ContentBody
	where := ""
	if f := m.FunctionResult; f != nil {
		r.confirmation, r.answer.State, bodies = f.ConfirmationState, f.ResponseState, f.ResponseBody
		where = f.ActionGroup + " " + optional.Value(f.Function)
	} else {
		f := m.ApiResult
		r.confirmation, r.answer.State, bodies = f.ConfirmationState, f.ResponseState, f.ResponseBody
		where = f.ActionGroup + " " + optional.Value(f.HttpMethod) + " " + optional.Value(f.ApiPath)
	}
	if len(bodies) > 1 {
		return nil, invalid("Validation failed: The responseBody of %s has %d content types; send one.", where, len(bodies))
	}
	for kind, b := range bodies {
		if len(b.Images) > 0 {
			return nil, invalid("Validation failed: The responseBody of %s holds images under %s; this action answers with text.", where, kind)
		}
		if b.Body == nil {
			return nil, invalid("Validation failed: The responseBody of %s has no body under %s.", where, kind)
		}
		r.answer.Text, r.body = *b.Body, true
	}
	confirm := kind != runtime.ActionInvocationTypeResult
	switch {
	case confirm && r.confirmation == "":
		return nil, invalid("Validation failed: The result of %s has no confirmationState. Send CONFIRM or DENY.", where)
	case !confirm && r.confirmation == runtime.ConfirmationStateDeny:
		return nil, invalid("Validation failed: %s does not ask for a confirmation.", where)
	case r.confirmation == runtime.ConfirmationStateDeny, kind == runtime.ActionInvocationTypeUserConfirmation:
		return r, nil
	case !r.body && r.answer.State == "":
		return nil, invalid("Validation failed: The result of %s has no responseBody.", where)
	}
	return r, nil
}

// takeResults gives the calls that waited what their caller has answered. Those that
// were only confirmed stay open and are carried out by the loop.
func (t *Turn) takeResults() error {
	id := t.trace.step(0)
	t.callBegan = t.r.c.Now()
	for j, r := range t.answers {
		a := &t.wait.Calls[j]
		i := a.Index
		switch {
		case i < 0 || i >= len(t.p.Open):
			return bug("call %d waits, but the answer has %d", i, len(t.p.Open))
		case a.Child != "":
			if t.p.Given == nil {
				t.p.Given = map[int]given{}
			}
			t.p.Given[i] = given{a.Child, append(clip(t.p.Given[i].Results), r.raw)}
		case r.confirmation == runtime.ConfirmationStateDeny:
			t.trace.reprompt(id, runtime.SourceActionGroup, tellDenied)
			t.p.give(i, tellDenied, false)
			if t.p.Done == nil {
				t.p.Done = map[string]bool{}
			}
			t.p.Done[key(t.p.Open[i].Name, t.p.Open[i].Arguments)] = true
		case a.Kind == runtime.ActionInvocationTypeUserConfirmation:
			if t.p.Confirmed == nil {
				t.p.Confirmed = map[int]bool{}
			}
			t.p.Confirmed[i] = true
		default:
			if err := t.receive(id, i, &r.answer); err != nil {
				return fmt.Errorf("take a result: %w", err)
			}
		}
	}
	return nil
}
