package turn

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

const (
	toolClaims   = "get__claims__getAllOpenClaims"
	toolMissing  = "get__claims__identifyMissingDocuments"
	toolRemind   = "post__claims__sendReminders"
	toolRefund   = "billing__refund"
	toolWeather  = "weather__getWeather"
	toolAlarm    = "weather__setAlarm"
	toolForecast = "post__weather__forecast"
)

// What the model wrote goes back to it as it was, after an interruption too, and is
// journaled once.
func TestTheModelsOwnWordsAreKept(t *testing.T) {
	w := newWorld(t)
	const wrote = "<tool_call>{{as it was}}</tool_call>"
	w.replay(func(r *engine.Request) (*engine.Result, error) {
		res, err := calls(toolClaims, `{}`)(r)
		for i := range res.Parts {
			if c := res.Parts[i].ToolCall; c != nil {
				c.Written = wrote
			}
		}
		return res, err
	}, breaks(apierr.Throttling, "later"))
	w.fails(w.turn(request("What is open?")), apierr.Throttling, "later")
	w.replay(says("c-1"))
	w.ok(w.turn(request("What is open?")))
	for _, asked := range w.asked[1:] {
		js, err := json.Marshal(asked.Messages)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(js), "as it was"); n != 1 {
			t.Errorf("the model is shown its own words %d times: %s", n, js)
		}
	}
	d := read(&engine.Result{Parts: []engine.Part{{ToolCall: &engine.ToolCall{Name: "f", Written: wrote}}}})
	if d.calls[0].Written != "" || d.said.Parts[0].ToolCall.Written != wrote {
		t.Errorf("%+v", d)
	}
}

func TestAnAnswerIsOneChunk(t *testing.T) {
	w := newWorld(t)
	w.replay(says("  Hello, 안녕하세요.  "))
	in := request("hi")
	in.Trace = false
	w.ok(w.turn(in))
	w.happened("model", "chunk Hello, 안녕하세요.")
}

func TestActionsAreTracedInTheOrderInWhichTheyHappen(t *testing.T) {
	w := newWorld(t)
	w.replay(thinks("I list the claims first.", toolClaims, `{}`), thinks("", toolMissing, `{"claimId":"claim-857","extra":1}`), says("claim-857 lacks its photos."))
	w.ok(w.turn(request("What does claim-857 lack?")))
	w.happened(
		"trace in u1-0", "model", "trace out u1-0", "trace rationale u1-0", "trace invocation u1-0 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims", "trace observation u1-0 ACTION_GROUP",
		"trace in u1-1", "model", "trace out u1-1", "trace invocation u1-1 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims/{claimId}/identify-missing-documents", "trace observation u1-1 ACTION_GROUP",
		"trace in u1-2", "model", "trace out u1-2", "trace observation u1-2 FINISH", "chunk claim-857 lacks its photos.",
	)
	want := &event{
		MessageVersion: "1.0", Agent: who{"insurer", "AGENT00001", "TSTALIASID", "DRAFT"}, InputText: "What does claim-857 lack?", SessionID: w.session, ActionGroup: "claims",
		APIPath: "/claims/{claimId}/identify-missing-documents", HTTPMethod: "GET", Parameters: []value{{"claimId", "string", "claim-857"}},
		SessionAttributes: map[string]string{}, PromptSessionAttributes: map[string]string{},
	}
	if d := cmp.Diff(want, w.events[1]); d != "" {
		t.Fatalf("event:\n%s", d)
	}
	in := w.traces[3].Trace.OrchestrationTrace.InvocationInput.ActionGroupInvocationInput
	if *in.Verb != "get" || *in.ApiPath != "/claims" || *in.ActionGroupName != "claims" || in.RequestBody != nil || in.InvocationId != nil {
		t.Errorf("invocation input %+v", in)
	}
	part := w.traces[0]
	if *part.AgentId != "AGENT00001" || *part.AgentAliasId != "TSTALIASID" || *part.AgentVersion != "DRAFT" || *part.SessionId != w.session || *part.CallerChain[0].AgentAliasArn != aliasARN || part.EventTime == nil {
		t.Errorf("trace part %+v", part)
	}
	meta := w.traces[1].Trace.OrchestrationTrace.ModelInvocationOutput.Metadata
	if *meta.Usage.InputTokens != 10 || *meta.Usage.OutputTokens != 5 || meta.StartTime == nil || meta.EndTime == nil {
		t.Errorf("metadata %+v", meta)
	}
	last := w.asked[2].Messages
	if got := last[len(last)-1].Parts[0].ToolResult; got == nil || got.Name != toolMissing || got.Parts[0].Text != `{"ok":true}` {
		t.Errorf("the model was told %+v", got)
	}
}

func TestBodiesGoAsStringsInBothPlaces(t *testing.T) {
	w := newWorld(t)
	w.replay(calls(toolRemind, `{"claimId":"c-1","pendingDocuments":["a","b"]}`), says("sent"))
	w.ok(w.turn(request("remind")))
	want := &eventBody{map[string]eventProperties{"application/json": {[]value{{"claimId", "string", "c-1"}, {"pendingDocuments", "array", `["a","b"]`}}}}}
	if d := cmp.Diff(want, w.events[0].RequestBody); d != "" {
		t.Fatal(d)
	}
	if w.events[0].HTTPMethod != "POST" {
		t.Error(w.events[0].HTTPMethod)
	}
	got := w.traces[2].Trace.OrchestrationTrace.InvocationInput.ActionGroupInvocationInput.RequestBody.Content["application/json"]
	if len(got) != 2 || *got[1].Value != `["a","b"]` {
		t.Errorf("traced body %+v", got)
	}
}

func TestATraceReachesTheClientWhileASlowFunctionRuns(t *testing.T) {
	w := newWorld(t)
	seen := make(chan struct{})
	w.lambda = func(ctx context.Context, e *event) (any, error) {
		w.mu.Lock()
		n := len(w.traces)
		w.mu.Unlock()
		if n != 3 {
			t.Errorf("%d traces while the function runs, want 3", n)
		}
		close(seen)
		return replyTo(e, "x"), nil
	}
	w.replay(calls(toolClaims, `{}`), says("done"))
	w.ok(w.turn(request("go")))
	<-seen
}

func TestAttributesOfSessionAndPrompt(t *testing.T) {
	w := newWorld(t)
	in := request("one")
	in.Attributes, in.PromptAttributes = map[string]string{"firstName": "Eun"}, map[string]string{"timeZone": "KST"}
	w.replay(calls(toolClaims, `{}`), says("1"))
	w.ok(w.turn(in))
	w.replay(calls(toolClaims, `{}`), says("2"))
	w.ok(w.turn(request("two")))
	// A function replaces the session's map.
	w.lambda = func(_ context.Context, e *event) (any, error) {
		r := replyTo(e, "x")
		r["sessionAttributes"], r["promptSessionAttributes"] = map[string]string{"user": "7"}, map[string]string{"p": "q"}
		return r, nil
	}
	w.replay(calls(toolClaims, `{}`, toolMissing, `{"claimId":"x"}`), says("3"))
	w.ok(w.turn(request("three")))
	w.replay(calls(toolClaims, `{}`), says("4"))
	w.ok(w.turn(request("four")))
	for i, want := range [][2]map[string]string{
		{{"firstName": "Eun"}, {"timeZone": "KST"}},
		{{"firstName": "Eun"}, {}},
		{{"firstName": "Eun"}, {}},
		{{"user": "7"}, {"p": "q"}},
		{{"user": "7"}, {}},
	} {
		if d := cmp.Diff(want, [2]map[string]string{w.events[i].SessionAttributes, w.events[i].PromptSessionAttributes}); d != "" {
			t.Errorf("event %d:\n%s", i, d)
		}
	}
}

func TestTheNextTurnKnowsTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.replay(says("Hello Ada."), says("Your name is Ada."))
	w.ok2(w.turn(request("I am Ada.")))
	in := request("Who am I?")
	w.ok(w.turn(in))
	var got []string
	for _, m := range w.asked[1].Messages {
		got = append(got, string(m.Role)+": "+m.Parts[0].Text)
	}
	if d := cmp.Diff([]string{"user: I am Ada.", "assistant: Hello Ada.", "user: Who am I?"}, got); d != "" {
		t.Fatal(d)
	}
	none := 0
	w.replay(says("?"))
	in = request("And now?")
	in.Turns = &none
	w.ok(w.turn(in))
	if n := len(w.asked[2].Messages); n != 1 {
		t.Errorf("told %d messages, want the question alone", n)
	}
}

// ok2 is ok while replies are left for the next turn.
func (w *world) ok2(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestFailuresOfFunctions(t *testing.T) {
	edit := func(path string, v any) func(context.Context, *event) (any, error) {
		return func(_ context.Context, e *event) (any, error) {
			r := replyTo(e, "x")
			m := r
			keys := strings.Split(path, ".")
			for _, k := range keys[:len(keys)-1] {
				m = m[k].(map[string]any)
			}
			if v == nil {
				delete(m, keys[len(keys)-1])
			} else {
				m[keys[len(keys)-1]] = v
			}
			return r, nil
		}
	}
	for _, c := range []struct {
		name string
		do   func(context.Context, *event) (any, error)
		kind apierr.Kind
		text string
		code int
	}{
		{"not JSON", func(context.Context, *event) (any, error) { return []byte("oops"), nil }, apierr.DependencyFailed, textBadAnswer, 424},
		{"a list", func(context.Context, *event) (any, error) { return []int{1}, nil }, apierr.DependencyFailed, textBadAnswer, 424},
		{"null", func(context.Context, *event) (any, error) { return nil, nil }, apierr.DependencyFailed, textBadAnswer, 424},
		{"no response", edit("response", nil), apierr.DependencyFailed, textBadAnswer, 424},
		{"version 2", edit("messageVersion", "2.0"), apierr.DependencyFailed, textBadAnswer, 424},
		{"another path", edit("response.apiPath", "/other"), apierr.DependencyFailed, "APIPath in Lambda response doesn't match input", 424},
		{"another group", edit("response.actionGroup", "other"), apierr.DependencyFailed, "doesn't match input", 424},
		{"another method", edit("response.httpMethod", "POST"), apierr.DependencyFailed, "doesn't match input", 424},
		{"a body that is an object", edit("response.responseBody.application/json.body", map[string]any{"a": 1}), apierr.DependencyFailed, textBadAnswer, 424},
		{"no body", edit("response.responseBody.application/json", map[string]any{}), apierr.DependencyFailed, textBadAnswer, 424},
		{"another content type", edit("response.responseBody", map[string]any{"application/json; charset=utf-8": map[string]any{"body": "x"}}), apierr.DependencyFailed,
			"The response body from Bedrock agent must be of type 'application/json', but 'null' was returned.", 424},
		{"a status of words", edit("response.httpStatusCode", "fine"), apierr.DependencyFailed, textBadAnswer, 424},
		{"too long", func(_ context.Context, e *event) (any, error) { return replyTo(e, strings.Repeat("x", 7<<20)), nil }, apierr.DependencyFailed, textBadAnswer, 424},
		{"an error inside", func(context.Context, *event) (any, error) { return nil, functionError(`{"errorMessage":"boom"}`) }, apierr.DependencyFailed, textBadAnswer, 424},
		{"no permission", func(context.Context, *event) (any, error) { return nil, apierr.New(apierr.AccessDenied, "no") }, apierr.AccessDenied, "Access denied while invoking Lambda function " + functionARN, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.lambda = c.do
			w.replay(calls(toolClaims, `{}`))
			w.fails(w.turn(request("go")), c.kind, c.text)
			last := w.traces[len(w.traces)-1].Trace.FailureTrace
			if last == nil || *last.FailureCode != c.code || !strings.Contains(*last.FailureReason, c.text) || *last.TraceId != "u1-0" {
				t.Fatalf("last trace %+v", last)
			}
			if len(w.chunks) > 0 {
				t.Error("a failed turn has an answer")
			}
			// The session goes on.
			w.replay(says("again"))
			w.ok(w.turn(request("hello")))
		})
	}
}

func TestBothSpellingsOfTheStatusAndPlainBodiesAreRead(t *testing.T) {
	w := newWorld(t)
	w.lambda = func(_ context.Context, e *event) (any, error) {
		return map[string]any{"messageVersion": "1.0", "response": map[string]any{
			"actionGroup": e.ActionGroup, "apiPath": e.APIPath, "httpMethod": e.HTTPMethod, "statusCode": 200,
			"responseBody": map[string]any{"application/json": map[string]any{"body": "sample response"}},
		}, "sessionAttributes": e.SessionAttributes, "promptSessionAttributes": e.PromptSessionAttributes}, nil
	}
	w.replay(calls(toolClaims, `{}`), says("ok"))
	w.ok(w.turn(request("go")))
	if got := *w.traces[3].Trace.OrchestrationTrace.Observation.ActionGroupInvocationOutput.Text; got != "sample response" {
		t.Error(got)
	}
}

func TestFunctionsSayFailureAndReprompt(t *testing.T) {
	w := newWorld(t)
	w.plan.Groups[1].Actions[0].Confirm = false
	state := "REPROMPT"
	w.lambda = func(_ context.Context, e *event) (any, error) {
		r := replyTo(e, "the amount must be positive")
		r["response"].(map[string]any)["functionResponse"].(map[string]any)["responseState"] = state
		if e.Parameters[0].Value == "5" {
			state = "FAILURE"
		}
		return r, nil
	}
	w.replay(calls(toolRefund, `{"amount":-1}`), calls(toolRefund, `{"amount":5}`), calls(toolRefund, `{"amount":6}`))
	w.fails(w.turn(request("pay")), apierr.DependencyFailed, "the amount must be positive")
	var got []string
	for _, p := range w.traces {
		if o := p.Trace.OrchestrationTrace; o != nil && o.Observation != nil {
			got = append(got, string(o.Observation.RepromptResponse.Source)+" "+*o.Observation.RepromptResponse.Text)
		}
	}
	want := []string{"ACTION_GROUP the amount must be positive", "ACTION_GROUP the amount must be positive"}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestCallsThatCannotBeMadeAreSentBackToTheModel(t *testing.T) {
	w := newWorld(t)
	w.replay(calls("get__claims__nothing", `{}`), calls(toolMissing, `{}`), calls(toolMissing, `{"claimId":"c"}`), says("ok"))
	w.ok(w.turn(request("go")))
	if len(w.events) != 1 {
		t.Fatalf("%d functions were called", len(w.events))
	}
	for i, want := range []string{"There is no tool get__claims__nothing", "lacks required input: claimId"} {
		m := w.asked[i+1].Messages
		r := m[len(m)-1].Parts[0].ToolResult
		if !r.Error || !strings.Contains(r.Parts[0].Text, want) {
			t.Errorf("told %q, want %q", r.Parts[0].Text, want)
		}
	}
	w = newWorld(t)
	for range 10 {
		w.replay(calls("nothing", `{}`))
	}
	w.fails(w.turn(request("go")), apierr.DependencyFailed, "could not be carried out 6 times in a row")
}

func TestARepeatedCallIsNotMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.replay(calls(toolMissing, `{"claimId":"c"}`), calls(toolMissing, `{ "claimId": "c" }`), says("it lacks photos"))
	w.ok(w.turn(request("go")))
	if len(w.events) != 1 {
		t.Fatalf("the function was called %d times", len(w.events))
	}
	if w.asked[2].ToolChoice.Mode != engine.ToolNever {
		t.Errorf("the next step may call: %+v", w.asked[2].ToolChoice)
	}
}

func TestATurnEndsAfterItsLastStep(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.MaxSteps = 3
	w.runner = New(c)
	for i := range 5 {
		w.replay(calls(toolMissing, `{"claimId":"`+string(rune('a'+i))+`"}`))
	}
	w.fails(w.turn(request("go")), apierr.DependencyFailed, "3 times in this turn")
	if len(w.asked) != 3 {
		t.Errorf("asked %d times", len(w.asked))
	}
}

func TestModelErrorsHaveTheirMembers(t *testing.T) {
	for _, c := range []struct {
		from, to apierr.Kind
		code     int
	}{
		{apierr.Validation, apierr.Validation, 400},
		{apierr.Throttling, apierr.Throttling, 429},
		{apierr.ModelNotReady, apierr.ModelNotReady, 424},
		{apierr.ModelTimeout, apierr.DependencyFailed, 424},
		{apierr.ModelError, apierr.DependencyFailed, 424},
		{apierr.ServiceUnavailable, apierr.BadGateway, 502},
	} {
		w := newWorld(t)
		w.replay(breaks(c.from, "why"))
		w.fails(w.turn(request("go")), c.to, "why")
		w.happened("trace in u1-0", "model", "trace failure u1-0 "+itoa(c.code))
	}
	w := newWorld(t)
	w.denied[w.plan.Model] = true
	w.fails(w.turn(request("go")), apierr.AccessDenied, textModelDenied)
	w.happened("trace in u1-0", "trace failure u1-0 403")
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestAskingTheUser(t *testing.T) {
	w := newWorld(t)
	w.plan.Groups = append(w.plan.Groups, plan.Group{ID: "GROUP00009", Name: "ask", Signature: plan.UserInput})
	w.replay(thinks("I need the id.", askTool, `{"question":"Which claim?"}`))
	w.ok(w.turn(request("What is missing?")))
	w.happened("trace in u1-0", "model", "trace out u1-0", "trace rationale u1-0", "trace observation u1-0 ASK_USER", "chunk Which claim?")
	w.replay(calls(toolMissing, `{"claimId":"claim-3"}`), says("Photos."))
	w.ok(w.turn(request("claim-3")))
	w.happened("trace in u2-0", "model", "trace out u2-0", "trace invocation u2-0 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims/{claimId}/identify-missing-documents",
		"trace observation u2-0 ACTION_GROUP", "trace in u2-1", "model", "trace out u2-1", "trace observation u2-1 FINISH", "chunk Photos.")
	m := w.asked[1].Messages
	if m[0].Parts[0].Text != "What is missing?" || m[2].Parts[0].ToolResult.Parts[0].Text != "claim-3" {
		t.Errorf("the question or the answer is lost: %+v", m)
	}
	if w.events[0].InputText != "claim-3" {
		t.Error(w.events[0].InputText)
	}
	w.replay(says("ok"))
	w.ok(w.turn(request("thanks")))
	if m := w.asked[3].Messages; len(m) != 3 || m[0].Parts[0].Text != "What is missing?" || m[1].Parts[0].Text != "Photos." {
		t.Errorf("history %+v", m)
	}
}

func TestStreamingTheFinalAnswer(t *testing.T) {
	w := newWorld(t)
	w.plan.Groups = nil
	in := request("tell")
	in.Stream = true
	w.replay(func(*engine.Request) (*engine.Result, error) {
		r, _ := says("one two three ")(nil)
		return r, nil
	})
	w.ok(w.turn(in))
	w.happened("trace in u1-0", "model", "chunk one ", "chunk two ", "trace out u1-0", "trace observation u1-0 FINISH", "chunk three")

	// What the model thinks is not the answer.
	w = newWorld(t)
	w.plan.Groups = nil
	in = request("tell")
	in.Stream, in.Trace = true, false
	w.replay(says("<thinking>how many are there </thinking> one two three"))
	w.ok(w.turn(in))
	w.happened("model", "chunk one ", "chunk two ", "chunk three")

	// What comes before a call is not the answer.
	w = newWorld(t)
	in = request("tell")
	in.Stream = true
	long := strings.Repeat("word ", 60)
	w.replay(thinks("I look that up.", toolClaims, `{}`), says(long))
	w.ok(w.turn(in))
	if got := w.answer(); strings.TrimSpace(got) != strings.TrimSpace(long) || len(w.chunks) < 3 {
		t.Errorf("%d chunks: %q", len(w.chunks), got)
	}
}

func TestAClientThatGoesStopsTheTurnAfterTheRunningCall(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	w.lambda = func(ctx context.Context, e *event) (any, error) {
		w.mu.Lock()
		w.gone = true
		w.mu.Unlock()
		leave()
		if ctx.Err() != nil {
			t.Error("the call was cancelled with its client")
		}
		return replyTo(e, "acted"), nil
	}
	w.replay(calls(toolClaims, `{}`))
	if err := w.turnIn(ctx, request("go")); !errors.Is(err, context.Canceled) && !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	if len(w.asked) != 1 {
		t.Fatalf("the model was asked %d times", len(w.asked))
	}
	// The same request goes on after the call.
	w.gone = false
	w.replay(says("done"))
	w.ok(w.turn(request("go")))
	if len(w.events) != 1 {
		t.Fatalf("the function was called %d times", len(w.events))
	}
	w.happened("trace observation u1-0 ACTION_GROUP", "trace in u1-1", "model", "trace out u1-1", "trace observation u1-1 FINISH", "chunk done")
}

func TestALostEventStopsTheTurnBeforeTheNextModelStep(t *testing.T) {
	w := newWorld(t)
	w.lambda = func(_ context.Context, e *event) (any, error) {
		w.mu.Lock()
		w.gone = true // the connection is broken, and only a write tells
		w.mu.Unlock()
		return replyTo(e, "acted"), nil
	}
	w.replay(calls(toolClaims, `{}`), says("not asked for"))
	if err := w.turn(request("go")); !errors.Is(err, errGone) || len(w.asked) != 1 {
		t.Fatalf("%v, the model was asked %d times", err, len(w.asked))
	}
}

func TestAServerThatStopsCutsACallAndLeavesItUnsure(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.Hurry = 10 * time.Millisecond
	w.runner = New(c)
	ctx, stop := context.WithCancelCause(t.Context())
	w.lambda = func(ctx context.Context, _ *event) (any, error) {
		stop(errors.New("the server is stopping"))
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.replay(calls(toolClaims, `{}`))
	if err := w.turnIn(ctx, request("go")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := w.turn(request("go")); !errors.Is(err, conversation.ErrUnsure) || len(w.events) != 1 {
		t.Fatalf("%v, %d calls", err, len(w.events))
	}
}

func TestSessionsAreBusyOneTurnAtATime(t *testing.T) {
	w := newWorld(t)
	hold, entered := make(chan struct{}), make(chan struct{})
	w.lambda = func(_ context.Context, e *event) (any, error) {
		close(entered)
		<-hold
		return replyTo(e, "x"), nil
	}
	w.replay(calls(toolClaims, `{}`), says("ok"))
	first := make(chan error, 1)
	go func() { first <- w.turn(request("one")) }()
	<-entered
	_, _, err := w.sessions.Begin(t.Context(), conversation.Opening{
		Key: conversation.Key{Account: "123456789012", Region: "us-east-1", Owner: w.plan.AgentID, Alias: "TSTALIASID", ID: w.session}, TTL: time.Minute, Request: "two",
	})
	if !errors.Is(err, conversation.ErrBusy) {
		t.Error(err)
	}
	close(hold)
	w.ok(<-first)
}

func results(m ...runtime.InvocationResultMember) []runtime.InvocationResultMember { return m }
