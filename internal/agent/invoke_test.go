package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// house is a server of agents for an ordinary SDK client.
type house struct {
	t       *testing.T
	store   *store.Store
	client  *bedrockagentruntime.Client
	address string

	mu     sync.Mutex
	plan   *plan.Plan
	paused bool
	model  func(ctx context.Context, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error)
	lambda func(ctx context.Context, payload []byte) ([]byte, bool, error)
	called int
}

type desk struct {
	*agent.Runtime
	rest
}

type rest struct{ runtime.Unimplemented }

// user authenticates everybody.
type user struct{}

func (user) Authenticate(*http.Request, []byte, bool) (gateway.Identity, error) {
	return gateway.Identity{Account: "123456789012", Region: "us-east-1", Principal: "arn:aws:iam::123456789012:user/u"}, nil
}

func open(t *testing.T) *house {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
	h := &house{t: t, store: storetest.New(t), plan: &plan.Plan{
		AgentID: "AGENT00001", Name: "first-agent", ARN: "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001", Model: "anthropic.claude-3-haiku-20240307-v1:0",
		Instruction: "You help.", IdleTTL: 600, Prompts: prompts(),
		Groups: []plan.Group{
			{Name: "claims", Lambda: "arn:aws:lambda:us-east-1:123456789012:function:f", Actions: []plan.Action{{Path: "/claims", Verb: "GET", OperationID: "list", Description: "List."}}},
			{Name: "weather", Actions: []plan.Action{{Function: "getWeather", Description: "Weather.", Parameters: []plan.Parameter{{Name: "location", Type: "string", Required: true}}}}},
		},
	}}
	sessions := conversation.New(conversation.Config{Store: h.store})
	rt := agent.NewRuntime(agent.RuntimeConfig{Aliases: h, Definitions: h, Sessions: sessions, Runner: turn.New(turn.Config{Models: h, Functions: h})})
	handler := gateway.New(gateway.Config{Authenticator: user{}, Desks: []gateway.Desk{{Service: &runtime.Service, API: &desk{Runtime: rt}}}})
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	h.address = srv.URL
	h.client = bedrockagentruntime.New(bedrockagentruntime.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""), HTTPClient: srv.Client(),
		RetryMaxAttempts: 1,
	})
	return h
}

func prompts() []plan.Prompt {
	return []plan.Prompt{{Step: plan.Orchestrate, Creation: plan.Default, Parser: plan.Default, Enabled: true, Template: "$instruction$"}}
}

func (h *house) Invocable(_ context.Context, agentID, aliasID string) (*turn.Alias, error) {
	if agentID != h.plan.AgentID || aliasID != "TSTALIASID" {
		return nil, apierr.New(apierr.ResourceNotFound, "Failed to retrieve resource because it doesn't exist. Retry the request with a different resource identifier.")
	}
	return &turn.Alias{ID: aliasID, ARN: "arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT00001/TSTALIASID", Version: "DRAFT", Plan: h.plan, Paused: h.paused}, nil
}

func (h *house) Operations(context.Context, string, *runtime.APISchema) ([]plan.Action, error) {
	return []plan.Action{{Path: "/x", Verb: "GET", OperationID: "x"}}, nil
}

func (h *house) Prompts(string, *runtime.PromptOverrideConfiguration, plan.Collaboration) (string, []plan.Prompt, error) {
	return "", prompts(), nil
}

func (h *house) Generate(ctx context.Context, _ string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	return h.model(ctx, r, emit)
}

func (h *house) Call(ctx context.Context, _, _ string, payload []byte) ([]byte, bool, error) {
	h.mu.Lock()
	h.called++
	h.mu.Unlock()
	if h.lambda != nil {
		return h.lambda(ctx, payload)
	}
	return []byte(`{"messageVersion":"1.0","response":{"actionGroup":"claims","apiPath":"/claims","httpMethod":"GET","httpStatusCode":200,"responseBody":{"application/json":{"body":"c-1"}}}}`), false, nil
}

// script answers by what was said last.
func script(r *engine.Request) *engine.Result {
	last := r.Messages[len(r.Messages)-1]
	call := func(name, args string) *engine.Result {
		return &engine.Result{Stop: engine.ToolUse, Parts: []engine.Part{{Text: "I act."}, {ToolCall: &engine.ToolCall{ID: "t", Name: name, Arguments: json.RawMessage(args)}}}}
	}
	for _, p := range last.Parts {
		if p.ToolResult != nil {
			return &engine.Result{Parts: []engine.Part{{Text: "결과: " + p.ToolResult.Parts[0].Text}}, Stop: engine.EndTurn}
		}
	}
	switch text := last.Parts[0].Text; {
	case strings.Contains(text, "claims"):
		return call("get__claims__list", `{}`)
	case strings.Contains(text, "weather"):
		return call("weather__getWeather", `{"location":"Seoul"}`)
	default:
		return &engine.Result{Parts: []engine.Part{{Text: "You said " + text}}, Stop: engine.EndTurn}
	}
}

func (h *house) scripted() {
	h.model = func(_ context.Context, r *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
		return script(r), nil
	}
}

// got is what a client saw.
type got struct {
	text    string
	order   []string
	returns *types.ReturnControlPayload
	session string
}

func (h *house) invoke(in *bedrockagentruntime.InvokeAgentInput) (*got, error) {
	in.AgentId, in.AgentAliasId = cmpOr(in.AgentId, "AGENT00001"), cmpOr(in.AgentAliasId, "TSTALIASID")
	in.SessionId = cmpOr(in.SessionId, "a:b.c_d-e")
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	out, err := h.client.InvokeAgent(ctx, in)
	if err != nil {
		return nil, err
	}
	s := out.GetStream()
	defer s.Close()
	g := &got{session: *out.SessionId}
	for e := range s.Events() {
		switch v := e.(type) {
		case *types.ResponseStreamMemberChunk:
			g.text += string(v.Value.Bytes)
			g.order = append(g.order, "chunk")
		case *types.ResponseStreamMemberTrace:
			g.order = append(g.order, fmt.Sprintf("%T", v.Value.Trace)[len("*types.TraceMember"):])
		case *types.ResponseStreamMemberReturnControl:
			g.returns = &v.Value
			g.order = append(g.order, "return")
		default:
			h.t.Errorf("unexpected event %T", e)
		}
	}
	return g, s.Err()
}

func cmpOr(p *string, s string) *string {
	if p == nil {
		return &s
	}
	return p
}

func text(s string) *bedrockagentruntime.InvokeAgentInput {
	return &bedrockagentruntime.InvokeAgentInput{InputText: &s}
}

func TestAnSDKInvokesAnAgent(t *testing.T) {
	h := open(t)
	h.scripted()
	g, err := h.invoke(text("안녕"))
	if err != nil || g.text != "You said 안녕" || strings.Join(g.order, " ") != "chunk" || g.session != "a:b.c_d-e" {
		t.Fatalf("%+v %v", g, err)
	}
	in := text("list the claims")
	in.EnableTrace = aws.Bool(true)
	g, err = h.invoke(in)
	if err != nil || g.text != "결과: c-1" || h.called != 1 {
		t.Fatalf("%+v %v", g, err)
	}
	if want := strings.TrimSpace(strings.Repeat("OrchestrationTrace ", 8)) + " chunk"; strings.Join(g.order, " ") != want {
		t.Errorf("%v", g.order)
	}

	g, err = h.invoke(text("weather"))
	if err != nil || g.returns == nil || g.text != "" {
		t.Fatalf("%+v %v", g, err)
	}
	result := &types.InvocationResultMemberMemberFunctionResult{Value: types.FunctionResult{
		ActionGroup: aws.String("weather"), Function: aws.String("getWeather"), ResponseBody: map[string]types.ContentBody{"TEXT": {Body: aws.String("rain")}},
	}}
	wrong := &bedrockagentruntime.InvokeAgentInput{SessionState: &types.SessionState{InvocationId: aws.String("nope"), ReturnControlInvocationResults: []types.InvocationResultMember{result}}}
	_, err = h.invoke(wrong)
	refused(t, err, "ValidationException", "Unexpected actionGroup: weather or function : getWeather encountered for invocationId: nope")
	right := &bedrockagentruntime.InvokeAgentInput{SessionState: &types.SessionState{InvocationId: g.returns.InvocationId, ReturnControlInvocationResults: []types.InvocationResultMember{result}}}
	for range 2 { // and again, as a client does that lost the answer
		if g, err = h.invoke(right); err != nil || g.text != "결과: rain" {
			t.Fatalf("%+v %v", g, err)
		}
	}

	end := &bedrockagentruntime.InvokeAgentInput{EndSession: aws.Bool(true)}
	if g, err = h.invoke(end); err != nil || g.text != "Session is terminated as 'endSession' flag is set in request." {
		t.Fatalf("%+v %v", g, err)
	}
	var said int
	h.model = func(_ context.Context, r *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
		said = len(r.Messages)
		return script(r), nil
	}
	if _, err = h.invoke(text("hi")); err != nil || said != 1 {
		t.Fatalf("after its end the session knows %d messages, %v", said, err)
	}
}

func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || !strings.EqualFold(e.ErrorCode(), code) || !strings.Contains(e.ErrorMessage(), text) {
		t.Fatalf("got %v, want %s: %s", err, code, text)
	}
}

func TestRefusalsOfInvokeAgent(t *testing.T) {
	h := open(t)
	h.scripted()
	in := text("x")
	in.AgentId = aws.String("AGENT99999")
	_, err := h.invoke(in)
	refused(t, err, "ResourceNotFoundException", "Failed to retrieve resource because it doesn't exist")
	_, err = h.invoke(&bedrockagentruntime.InvokeAgentInput{})
	refused(t, err, "ValidationException", "inputText")
	in = text("x")
	in.SessionId = aws.String("a b")
	_, err = h.invoke(in)
	refused(t, err, "ValidationException", "sessionId")
	in.SessionId = aws.String(strings.Repeat("a", 101))
	_, err = h.invoke(in)
	refused(t, err, "ValidationException", "sessionId")
	h.paused = true
	_, err = h.invoke(text("x"))
	refused(t, err, "ValidationException", "Alias is paused and does not accept invocations.")
	h.paused = false

	// What goes wrong later is an exception in the stream.
	h.model = func(context.Context, *engine.Request, func(engine.Delta) error) (*engine.Result, error) {
		return nil, apierr.New(apierr.Validation, "Invocation of model ID m with on-demand throughput isn’t supported.")
	}
	g, err := h.invoke(text("x"))
	refused(t, err, "ValidationException", "isn’t supported")
	if g == nil {
		t.Error("the stream was not opened")
	}
}

func TestASecondTurnOfASessionIsAConflict(t *testing.T) {
	h := open(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h.model = func(_ context.Context, r *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
		close(entered)
		<-release
		return script(r), nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := h.invoke(text("one"))
		first <- err
	}()
	<-entered
	_, err := h.invoke(text("two"))
	refused(t, err, "ConflictException", "is running")
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
}

// The first piece of an answer is with the client before the model has the second.
func TestStreamedAnswersAreNotHeldBack(t *testing.T) {
	h := open(t)
	h.plan.Groups = nil
	seen := make(chan struct{})
	h.model = func(ctx context.Context, _ *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
		for i, s := range []string{"하나 ", "둘 ", "셋"} {
			if i == 2 { // two pieces are out only when a third comes: the newest is kept back
				select {
				case <-seen:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			if err := emit(engine.Delta{Text: s}); err != nil {
				return nil, err
			}
		}
		return &engine.Result{Parts: []engine.Part{{Text: "하나 둘 셋"}}, Stop: engine.EndTurn}, nil
	}
	in := text("count")
	in.AgentId, in.AgentAliasId, in.SessionId = aws.String("AGENT00001"), aws.String("TSTALIASID"), aws.String("count")
	in.StreamingConfigurations = &types.StreamingConfigurations{StreamFinalResponse: true}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	out, err := h.client.InvokeAgent(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	s := out.GetStream()
	defer s.Close()
	var all []string
	for e := range s.Events() {
		c := e.(*types.ResponseStreamMemberChunk)
		if all = append(all, string(c.Value.Bytes)); len(all) == 1 {
			close(seen)
		}
	}
	if s.Err() != nil || strings.Join(all, "|") != "하나 |둘 |셋" {
		t.Fatalf("%q %v", all, s.Err())
	}
}

// A client that loses the connection and sends its call again with the same
// invocation id goes on where the first try stopped.
func TestATryThatComesAgainGoesOn(t *testing.T) {
	h := open(t)
	h.scripted()
	entered := make(chan struct{})
	release := make(chan struct{})
	h.lambda = func(context.Context, []byte) ([]byte, bool, error) {
		close(entered)
		<-release
		return []byte(`{"messageVersion":"1.0","response":{"actionGroup":"claims","apiPath":"/claims","httpMethod":"GET","httpStatusCode":200,"responseBody":{"application/json":{"body":"once"}}}}`), false, nil
	}
	post := func(ctx context.Context) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.address+"/agents/AGENT00001/agentAliases/TSTALIASID/sessions/again/text", strings.NewReader(`{"inputText":"claims"}`))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Amz-Sdk-Invocation-Id", "try-1")
		req.Header.Set("Content-Type", "application/json")
		return http.DefaultClient.Do(req)
	}
	ctx, leave := context.WithCancel(t.Context())
	first, err := post(ctx)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	leave()
	_ = first.Body.Close()
	second := make(chan string, 1)
	go func() {
		res, err := post(t.Context())
		if err != nil {
			second <- err.Error()
			return
		}
		defer res.Body.Close()
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := res.Body.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		second <- b.String()
	}()
	time.Sleep(50 * time.Millisecond) // it waits for the first
	close(release)
	body := <-second
	if !strings.Contains(body, `"bytes"`) || strings.Contains(body, "exception") || h.called != 1 {
		t.Fatalf("called %d times: %q", h.called, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestInlineAgents(t *testing.T) {
	h := open(t)
	h.scripted()
	invoke := func(in *bedrockagentruntime.InvokeInlineAgentInput) (string, *types.InlineAgentReturnControlPayload, int, error) {
		in.FoundationModel, in.Instruction, in.SessionId = aws.String("m"), aws.String("You are an agent of forty characters or more."), aws.String("inline-1")
		in.EnableTrace = aws.Bool(true)
		out, err := h.client.InvokeInlineAgent(t.Context(), in)
		if err != nil {
			return "", nil, 0, err
		}
		s := out.GetStream()
		defer s.Close()
		var text string
		var ret *types.InlineAgentReturnControlPayload
		traces := 0
		for e := range s.Events() {
			switch v := e.(type) {
			case *types.InlineAgentResponseStreamMemberChunk:
				text += string(v.Value.Bytes)
			case *types.InlineAgentResponseStreamMemberReturnControl:
				ret = &v.Value
			case *types.InlineAgentResponseStreamMemberTrace:
				traces++
			}
		}
		return text, ret, traces, s.Err()
	}
	groups := []types.AgentActionGroup{{
		ActionGroupName: aws.String("weather"), ActionGroupExecutor: &types.ActionGroupExecutorMemberCustomControl{Value: types.CustomControlMethodReturnControl},
		FunctionSchema: &types.FunctionSchemaMemberFunctions{Value: []types.FunctionDefinition{{Name: aws.String("getWeather"), Parameters: map[string]types.ParameterDetail{"location": {Type: types.ParameterTypeString, Required: aws.Bool(true)}}}}},
	}}
	_, ret, traces, err := invoke(&bedrockagentruntime.InvokeInlineAgentInput{InputText: aws.String("weather"), ActionGroups: groups})
	if err != nil || ret == nil || traces != 4 {
		t.Fatalf("%v %d %v", ret, traces, err)
	}
	f := ret.InvocationInputs[0].(*types.InvocationInputMemberMemberFunctionInvocationInput).Value
	if *f.AgentId != "INLINE_AGENT" {
		t.Error(*f.AgentId)
	}
	text, _, _, err := invoke(&bedrockagentruntime.InvokeInlineAgentInput{ActionGroups: groups, InlineSessionState: &types.InlineSessionState{
		InvocationId: ret.InvocationId, ReturnControlInvocationResults: []types.InvocationResultMember{&types.InvocationResultMemberMemberFunctionResult{Value: types.FunctionResult{
			ActionGroup: aws.String("weather"), Function: aws.String("getWeather"), ResponseBody: map[string]types.ContentBody{"TEXT": {Body: aws.String("snow")}},
		}}},
	}})
	if err != nil || text != "결과: snow" {
		t.Fatal(text, err)
	}
	for _, c := range []struct {
		in   *bedrockagentruntime.InvokeInlineAgentInput
		text string
	}{
		{&bedrockagentruntime.InvokeInlineAgentInput{InputText: aws.String("x"), ActionGroups: []types.AgentActionGroup{{ActionGroupName: aws.String("g")}}}, "no actionGroupExecutor"},
		{&bedrockagentruntime.InvokeInlineAgentInput{InputText: aws.String("x"), AgentCollaboration: types.AgentCollaborationSupervisor}, "no agent collaborators are added"},
		{&bedrockagentruntime.InvokeInlineAgentInput{InputText: aws.String("x"), GuardrailConfiguration: &types.GuardrailConfigurationWithArn{GuardrailIdentifier: aws.String("abc"), GuardrailVersion: aws.String("1")}}, "Guardrails are not built"},
	} {
		_, _, _, err := invoke(c.in)
		refused(t, err, "ValidationException", c.text)
	}
}
