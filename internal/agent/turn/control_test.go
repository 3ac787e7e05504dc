package turn

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// function is the result of a function, api of an operation.
func function(group, name, body string) runtime.InvocationResultMember {
	return runtime.InvocationResultMember{FunctionResult: &runtime.FunctionResult{
		ActionGroup: group, Function: new(name), ResponseBody: map[string]runtime.ContentBody{"TEXT": {Body: new(body)}},
	}}
}

func api(group, verb, path, body string) runtime.InvocationResultMember {
	return runtime.InvocationResultMember{ApiResult: &runtime.ApiResult{
		ActionGroup: group, HttpMethod: new(verb), ApiPath: new(path), HttpStatusCode: new(200),
		ResponseBody: map[string]runtime.ContentBody{"application/json": {Body: new(body)}},
	}}
}

func confirmed(m runtime.InvocationResultMember, c runtime.ConfirmationState) runtime.InvocationResultMember {
	m.FunctionResult.ConfirmationState = c
	return m
}

func respond(invocation string, m ...runtime.InvocationResultMember) *Input {
	return &Input{InvocationID: invocation, Results: m, Trace: true}
}

func TestControlIsReturnedAndTakenBack(t *testing.T) {
	w := newWorld(t)
	w.replay(thinks("Both.", toolWeather, `{"location":"seattle"}`, toolForecast, `{"days":3}`, toolClaims, `{}`))
	w.ok(w.turn(request("weather?")))
	w.happened("trace in u1-0", "model", "trace out u1-0", "trace rationale u1-0", "trace invocation u1-0 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims",
		"trace observation u1-0 ACTION_GROUP", "trace invocation u1-0 ACTION_GROUP RETURN_CONTROL", "trace invocation u1-0 ACTION_GROUP RETURN_CONTROL", "return 2")
	want := &runtime.ReturnControlPayload{InvocationId: new("u2"), InvocationInputs: []runtime.InvocationInputMember{
		{FunctionInvocationInput: &runtime.FunctionInvocationInput{
			ActionGroup: "weather", Function: new("getWeather"), AgentId: new("AGENT00001"), ActionInvocationType: "RESULT",
			Parameters: []runtime.FunctionParameter{{Name: new("location"), Type: new("string"), Value: new("seattle")}},
		}},
		{ApiInvocationInput: &runtime.ApiInvocationInput{
			ActionGroup: "weather", ApiPath: new("/forecast"), HttpMethod: new("post"), AgentId: new("AGENT00001"), ActionInvocationType: "RESULT",
			RequestBody: &runtime.ApiRequestBody{Content: map[string]runtime.PropertyParameters{"application/json": {
				Properties: []runtime.Parameter{{Name: new("days"), Type: new("integer"), Value: new("3")}},
			}}},
		}},
	}}
	if d := cmp.Diff(want, w.returns[0]); d != "" {
		t.Fatal(d)
	}
	in := w.traces[5].Trace.OrchestrationTrace.InvocationInput.ActionGroupInvocationInput
	if *in.InvocationId != "u2" || *in.Function != "getWeather" || in.ApiPath != nil {
		t.Errorf("traced %+v", in)
	}

	for _, c := range []struct {
		name string
		in   *Input
		text string
	}{
		{"another id", respond("other", function("weather", "getWeather", "x"), api("weather", "POST", "/forecast", "y")),
			"Validation failed: Unexpected actionGroup: weather or function : getWeather encountered for invocationId: other"},
		{"another group", respond("u2", function("wetter", "getWeather", "x"), api("weather", "POST", "/forecast", "y")), "Unexpected actionGroup: wetter or function : getWeather encountered for invocationId: u2"},
		{"another function", respond("u2", function("weather", "get", "x"), api("weather", "POST", "/forecast", "y")), "function : get "},
		{"another path", respond("u2", function("weather", "getWeather", "x"), api("weather", "POST", "/", "y")), "Unexpected actionGroup"},
		{"only one", respond("u2", function("weather", "getWeather", "x")), "is missing"},
		{"one twice", respond("u2", function("weather", "getWeather", "x"), function("weather", "getWeather", "x")), "Unexpected actionGroup"},
		{"no body", respond("u2", runtime.InvocationResultMember{FunctionResult: &runtime.FunctionResult{ActionGroup: "weather", Function: new("getWeather")}}, api("weather", "POST", "/forecast", "y")), "no responseBody"},
		{"a confirmation nobody asked for", respond("u2", confirmed(function("weather", "getWeather", "x"), "DENY"), api("weather", "POST", "/forecast", "y")), "does not ask"},
		{"another agent", respond("u2", func() runtime.InvocationResultMember {
			m := function("weather", "getWeather", "x")
			m.FunctionResult.AgentId = new("OTHER")
			return m
		}(), api("weather", "POST", "/forecast", "y")), "Unexpected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.fails(w.turn(c.in), apierr.Validation, c.text)
			w.happened() // nothing
		})
	}

	in2 := respond("u2", api("weather", "POST", "/forecast", "rain"), function("weather", "getWeather", "It is rainy."))
	in2.Text = "ignored"
	w.replay(says("Take an umbrella."))
	w.ok(w.turn(in2))
	w.happened("trace observation u3-0 ACTION_GROUP", "trace observation u3-0 ACTION_GROUP", "trace in u3-1", "model", "trace out u3-1", "trace observation u3-1 FINISH", "chunk Take an umbrella.")
	var told []string
	m := w.asked[1].Messages
	for _, p := range m[len(m)-1].Parts {
		if p.ToolResult != nil {
			told = append(told, p.ToolResult.Name+"="+p.ToolResult.Parts[0].Text)
		}
	}
	if d := cmp.Diff([]string{toolWeather + "=It is rainy.", toolForecast + "=rain", toolClaims + `={"ok":true}`}, told); d != "" {
		t.Fatal(d)
	}

	// The same request again gets the same answer and does nothing.
	w.ok(w.turn(respond("u2", api("weather", "POST", "/forecast", "rain"), function("weather", "getWeather", "It is rainy."))))
	w.happened("chunk Take an umbrella.")
}

func TestMoreCallsThanOneEventCarries(t *testing.T) {
	w := newWorld(t)
	var pairs []string
	for _, c := range "abcdefg" {
		pairs = append(pairs, toolWeather, `{"location":"`+string(c)+`"}`)
	}
	w.replay(calls(pairs...))
	w.ok(w.turn(request("weather?")))
	w.happened2("return 5")
	five := []runtime.InvocationResultMember{}
	for range 5 {
		five = append(five, function("weather", "getWeather", "sun"))
	}
	w.ok(w.turn(respond(*w.returns[0].InvocationId, five...)))
	w.happened2("return 2")
	w.replay(says("sun"))
	w.ok(w.turn(respond(*w.returns[0].InvocationId, five[:2]...)))
	w.happened2("chunk sun")
}

// happened2 is happened without the traces and the model.
func (w *world) happened2(want ...string) {
	w.t.Helper()
	var got []string
	for _, l := range w.log {
		if l != "model" && !strings.HasPrefix(l, "trace ") {
			got = append(got, l)
		}
	}
	if g, want := strings.Join(got, "\n"), strings.Join(want, "\n"); g != want {
		w.t.Fatalf("happened:\n%s\nwant:\n%s", g, want)
	}
}

func TestResponseStatesOfReturnedControl(t *testing.T) {
	w := newWorld(t)
	w.replay(calls(toolWeather, `{"location":"x"}`))
	w.ok(w.turn(request("weather?")))
	again := function("weather", "getWeather", "which x?")
	again.FunctionResult.ResponseState = runtime.ResponseStateReprompt
	w.replay(calls(toolWeather, `{"location":"y"}`))
	w.ok(w.turn(respond(*w.returns[0].InvocationId, again)))
	w.happened("trace observation u3-0 REPROMPT", "trace in u3-1", "model", "trace out u3-1", "trace invocation u3-1 ACTION_GROUP RETURN_CONTROL", "return 1")
	bad := function("weather", "getWeather", "no service")
	bad.FunctionResult.ResponseState = runtime.ResponseStateFailure
	id := *w.returns[0].InvocationId
	w.fails(w.turn(respond(id, bad)), apierr.DependencyFailed, "no service")
	w.happened("trace failure u5-0 424")
	w.fails(w.turn(respond(id, bad)), apierr.DependencyFailed, "no service") // the same answer
	w.happened()
	w.replay(says("hello"))
	w.ok(w.turn(request("hi")))
}

func TestNewInputDropsWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.replay(calls(toolWeather, `{"location":"x"}`))
	w.ok(w.turn(request("weather?")))
	id := *w.returns[0].InvocationId
	w.replay(says("fine"))
	w.ok(w.turn(request("never mind")))
	if len(w.asked[1].Messages) != 1 {
		t.Errorf("the model was told %d messages", len(w.asked[1].Messages))
	}
	w.fails(w.turn(respond(id, function("weather", "getWeather", "x"))), apierr.Validation, "Unexpected actionGroup")
}

func TestConfirmation(t *testing.T) {
	const lambda, control = toolRefund, toolAlarm
	for _, c := range []struct {
		name, tool, args string
		kind             runtime.ActionInvocationType
		group, function  string
		state            runtime.ConfirmationState
		body             bool
		want             []string // beside traces and model
		told             string
	}{
		{"confirmed function", lambda, `{"amount":5}`, "USER_CONFIRMATION", "billing", "refund", "CONFIRM", false, []string{"lambda " + functionARN + " refund", "chunk end"}, `{"ok":true}`},
		{"denied function", lambda, `{"amount":5}`, "USER_CONFIRMATION", "billing", "refund", "DENY", false, []string{"chunk end"}, tellDenied},
		{"confirmed and done", control, `{"time":"7"}`, "USER_CONFIRMATION_AND_RESULT", "weather", "setAlarm", "CONFIRM", true, []string{"chunk end"}, "body"},
		{"denied by the caller", control, `{"time":"7"}`, "USER_CONFIRMATION_AND_RESULT", "weather", "setAlarm", "DENY", false, []string{"chunk end"}, tellDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.replay(calls(c.tool, c.args))
			w.ok(w.turn(request("do it")))
			w.happened2("return 1")
			if len(w.events) > 0 {
				t.Fatal("the function was called without a confirmation")
			}
			in := w.returns[0].InvocationInputs[0].FunctionInvocationInput
			if in.ActionInvocationType != c.kind || in.ActionGroup != c.group || *in.Function != c.function {
				t.Fatalf("%+v", in)
			}
			id := *w.returns[0].InvocationId
			m := runtime.InvocationResultMember{FunctionResult: &runtime.FunctionResult{ActionGroup: c.group, Function: new(c.function)}}
			w.fails(w.turn(respond(id, m)), apierr.Validation, "no confirmationState")
			m.FunctionResult.ConfirmationState = c.state
			if c.body {
				m.FunctionResult.ResponseBody = map[string]runtime.ContentBody{"TEXT": {Body: new("body")}}
			}
			w.replay(says("end"))
			w.ok(w.turn(respond(id, m)))
			w.happened2(c.want...)
			last := w.asked[1].Messages
			if got := last[len(last)-1].Parts[0].ToolResult.Parts[0].Text; got != c.told {
				t.Errorf("the model was told %q", got)
			}
			// Asked again, nothing is done again.
			w.ok(w.turn(respond(id, m)))
			w.happened2("chunk end")
		})
	}
}

func TestAConfirmedActionThatFailedIsNotRunAgain(t *testing.T) {
	w := newWorld(t)
	w.replay(calls(toolRefund, `{"amount":5}`))
	w.ok(w.turn(request("pay")))
	id := *w.returns[0].InvocationId
	m := runtime.InvocationResultMember{FunctionResult: &runtime.FunctionResult{ActionGroup: "billing", Function: new("refund"), ConfirmationState: "CONFIRM"}}
	// The model fails after the action: the result is kept, and the same request goes on.
	w.replay(breaks(apierr.Throttling, "slow down"))
	w.fails(w.turn(respond(id, m)), apierr.Throttling, "slow down")
	w.replay(says("paid"))
	w.ok(w.turn(respond(id, m)))
	if len(w.events) != 1 || w.answer() != "paid" {
		t.Fatalf("the action ran %d times, answer %q", len(w.events), w.answer())
	}

	w = newWorld(t)
	w.lambda = func(context.Context, *event) (any, error) { return nil, functionError("{}") }
	w.replay(calls(toolRefund, `{"amount":5}`))
	w.ok(w.turn(request("pay")))
	id = *w.returns[0].InvocationId
	for range 3 {
		err := w.turn(respond(id, m))
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != apierr.DependencyFailed {
			t.Fatal(err)
		}
	}
	if len(w.events) != 1 {
		t.Fatalf("the failed action ran %d times", len(w.events))
	}
}

func TestInlineAgentsSayWhoTheyAre(t *testing.T) {
	w := newWorld(t)
	w.plan.AgentID = ""
	in := request("weather?")
	in.Inline = true
	w.replay(calls(toolWeather, `{"location":"x"}`))
	w.ok(w.turn(in))
	if got := *w.returns[0].InvocationInputs[0].FunctionInvocationInput.AgentId; got != "INLINE_AGENT" {
		t.Error(got)
	}
	if p := w.traces[0]; p.AgentId != nil || p.AgentAliasId != nil || p.AgentVersion != nil {
		t.Errorf("%+v", p)
	}
}
