package turn

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

const orchestratorARN = "arn:aws:lambda:us-east-1:123456789012:function:orchestrator"

// conductor is Lambda with an orchestrator beside the functions of the groups.
type conductor struct {
	*world
	in     []orderIn
	orders []string // what it answers, in turn
}

func (c *conductor) Call(ctx context.Context, source, function string, payload []byte) ([]byte, bool, error) {
	if function != orchestratorARN {
		return c.world.Call(ctx, source, function, payload)
	}
	var in orderIn
	if err := json.Unmarshal(payload, &in); err != nil {
		c.t.Error(err)
	}
	c.in = append(c.in, in)
	c.note("orchestrator %s", in.State)
	next := c.orders[0]
	c.orders = c.orders[1:]
	return []byte(next), false, nil
}

func (c *conductor) Converse(_ context.Context, role, _, model string, request []byte) ([]byte, error) {
	c.note("converse %s", request)
	return []byte(`{"output":{"message":{"role":"assistant","content":[{"text":"hm"}]}}}`), nil
}

func TestACustomOrchestratorDecides(t *testing.T) {
	w := newWorld(t)
	w.plan.Orchestration, w.plan.Orchestrator = plan.CustomOrchestration, orchestratorARN
	c := &conductor{world: w, orders: []string{
		`{"version":"1.0","actionEvent":"INVOKE_MODEL","output":{"text":"{\"modelId\":\"m\"}","trace":{"event":{"text":"asking"}}},"context":{"sessionAttributes":{"a":"b"}}}`,
		`{"version":"1.0","actionEvent":"INVOKE_TOOL","output":{"text":"{\"toolUse\":{\"toolUseId\":\"t1\",\"name\":\"get__claims__getAllOpenClaims\",\"input\":{}}}"}}`,
		`{"version":"1.0","actionEvent":"MINE","output":{"text":"own"}}`,
		`{"version":"1.0","actionEvent":"INVOKE_TOOL","output":{"text":"{\"toolUse\":{\"toolUseId\":\"t2\",\"name\":\"weather__getWeather\",\"input\":{\"location\":\"x\"}}}"}}`,
	}}
	cfg := w.config()
	cfg.Functions, cfg.Chats = c, c
	w.runner = New(cfg)
	w.ok(w.turn(request("go")))
	w.happened("orchestrator START", "trace custom asking", `converse {"modelId":"m"}`, "orchestrator MODEL_INVOKED",
		"trace invocation u1-1 ACTION_GROUP LAMBDA", "lambda "+functionARN+" /claims", "trace observation u1-1 ACTION_GROUP",
		"orchestrator TOOL_INVOKED", "orchestrator MINE", "trace invocation u1-2 ACTION_GROUP RETURN_CONTROL", "return 1")
	if got := w.events[0].SessionAttributes["a"]; got != "b" {
		t.Errorf("attributes of the orchestrator are lost: %q", got)
	}
	if in := c.in[2]; !strings.Contains(in.Input.Text, `"toolUseId":"t1"`) || !strings.Contains(in.Input.Text, `"status":"success"`) || len(in.Context.Session[0].Steps) != 2 {
		t.Errorf("%+v", in)
	}
	if len(c.in[0].Context.Agent.Tools) != 7 {
		t.Errorf("%d tools", len(c.in[0].Context.Agent.Tools))
	}
	c.orders = []string{`{"version":"1.0","actionEvent":"FINISH","output":{"text":"the end"}}`}
	w.ok(w.turn(respond(*w.returns[0].InvocationId, function("weather", "getWeather", "sun"))))
	w.happened("trace observation u3-0 ACTION_GROUP", "orchestrator TOOL_INVOKED", "chunk the end")
	if !strings.Contains(c.in[4].Input.Text, "sun") {
		t.Errorf("%+v", c.in[4].Input)
	}
	c.orders = []string{`{"version":"1.0","actionEvent":"FINISH","output":{"text":"again"}}`}
	w.ok(w.turn(request("more")))
	if s := c.in[5].Context.Session; len(s) != 2 || s[0].Input != "go" || s[0].Output != "the end" || len(s[0].Steps) != 5 {
		t.Errorf("session %+v", s)
	}
	for _, bad := range []string{`no JSON`, `{}`, `{"actionEvent":"INVOKE_TOOL","output":{"text":"x"}}`, `{"actionEvent":"INVOKE_MODEL","output":{"text":"x"}}`} {
		c.orders = []string{bad}
		w.fails(w.turn(request("bad")), apierr.DependencyFailed, textBadOrder)
	}
	for range 30 {
		c.orders = append(c.orders, `{"version":"1.0","actionEvent":"AGAIN","output":{"text":""}}`)
	}
	w.fails(w.turn(request("for ever")), apierr.DependencyFailed, "25 steps")
}
