package turn

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// The states that a custom orchestrator is called in and what it may ask for; words
// of its own come back to it as states.
const (
	stateStart   = "START"
	stateModel   = "MODEL_INVOKED"
	stateTool    = "TOOL_INVOKED"
	eventModel   = "INVOKE_MODEL"
	eventTool    = "INVOKE_TOOL"
	eventGuard   = "APPLY_GUARDRAIL"
	eventFinish  = "FINISH"
	textBadOrder = "The server encountered an error processing the response of the custom orchestration Lambda. Check the Lambda response and retry the request"
)

// orderIn is what a custom orchestrator is sent.
type orderIn struct {
	Version string    `json:"version"`
	State   string    `json:"state"`
	Input   orderText `json:"input"`
	Context struct {
		RequestID string `json:"requestId"`
		SessionID string `json:"sessionId"`
		Agent     struct {
			Instruction string          `json:"instruction"`
			Model       string          `json:"defaultModelId"`
			Tools       []orderTool     `json:"tools"`
			Guardrails  json.RawMessage `json:"guardrails,omitempty"`
		} `json:"agentConfiguration"`
		Session                 []orderTurn       `json:"session"`
		SessionAttributes       map[string]string `json:"sessionAttributes"`
		PromptSessionAttributes map[string]string `json:"promptSessionAttributes"`
	} `json:"context"`
}

type orderText struct {
	Text string `json:"text"`
}

type orderTool struct {
	Spec struct {
		Name        string                     `json:"name"`
		Description string                     `json:"description"`
		Schema      map[string]json.RawMessage `json:"inputSchema"`
	} `json:"toolSpec"`
}

// orderTurn is a turn as a custom orchestrator is told of it.
type orderTurn struct {
	Input  string      `json:"agentInput"`
	Output string      `json:"agentOutput"`
	Steps  []orderStep `json:"intermediarySteps"`
}

// orderStep is one call of the orchestrator and what it asked for.
type orderStep struct {
	In struct {
		State string `json:"state"`
		Text  string `json:"text"`
	} `json:"orchestrationInput"`
	Out struct {
		Event string `json:"event"`
		Text  string `json:"text"`
	} `json:"orchestrationOutput"`
}

// orderOut is what a custom orchestrator answers.
type orderOut struct {
	Version string `json:"version"`
	Event   string `json:"actionEvent"`
	Output  struct {
		Text  string `json:"text"`
		Trace struct {
			Event orderText `json:"event"`
		} `json:"trace"`
	} `json:"output"`
	Context struct {
		SessionAttributes       map[string]string `json:"sessionAttributes"`
		PromptSessionAttributes map[string]string `json:"promptSessionAttributes"`
	} `json:"context"`
}

// toolOrder is the text of INVOKE_TOOL.
type toolOrder struct {
	Use *struct {
		ID    string          `json:"toolUseId"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	} `json:"toolUse"`
}

// toolReport is the text of TOOL_INVOKED.
type toolReport struct {
	Result struct {
		ID      string      `json:"toolUseId"`
		Content []orderText `json:"content"`
		Status  string      `json:"status"`
	} `json:"toolResult"`
}

// custom lets the agent's own function decide each step. It is asked again after
// everything it asked for, until it says that the turn is finished.
func (t *Turn) custom(ctx context.Context) (*ending, error) {
	if t.r.c.Functions == nil {
		return nil, failed("This server has no way to call the custom orchestration Lambda.")
	}
	p := t.p
	if p.Order == "" {
		p.Order, p.OrderText = stateStart, t.Text
	}
	for {
		if len(p.Open) > 0 {
			end, err := t.act(ctx)
			if end != nil || err != nil {
				return end, err
			}
			p.Order, p.OrderText = stateTool, t.report()
			p.Iteration++
		}
		if err := t.gone(ctx); err != nil {
			return nil, err
		}
		if p.Asked++; p.Asked > t.r.c.MaxSteps {
			return nil, failed("The custom orchestration asked for %d steps in this turn and did not finish.", t.r.c.MaxSteps)
		}
		out, err := t.order(ctx)
		if err != nil {
			return nil, err
		}
		id := t.trace.step(p.Iteration)
		if text := out.Output.Trace.Event.Text; text != "" {
			t.trace.send(&runtime.Trace{CustomOrchestrationTrace: &runtime.CustomOrchestrationTrace{
				TraceId: new(id), Event: &runtime.CustomOrchestrationTraceEvent{Text: new(text)},
			}})
		}
		switch out.Event {
		case eventFinish:
			return t.said(out.Output.Text, nil), nil
		case eventModel:
			if p.OrderText, err = t.orderModel(ctx, out.Output.Text); err != nil {
				return nil, err
			}
			p.Order = stateModel
			p.Iteration++
		case eventTool:
			var o toolOrder
			if err := json.Unmarshal([]byte(out.Output.Text), &o); err != nil || o.Use == nil {
				return nil, badAnswer(textBadOrder, fmt.Errorf("INVOKE_TOOL needs a toolUse: %w", err))
			}
			p.open([]engine.ToolCall{{ID: o.Use.ID, Name: o.Use.Name, Arguments: o.Use.Input}})
			delete(p.Done, key(o.Use.Name, o.Use.Input)) // the orchestrator knows what it repeats
		case eventGuard:
			return nil, failed("Guardrails are not built in Outcrop, so the custom orchestration cannot apply one.")
		case "":
			return nil, badAnswer(textBadOrder, nil)
		default: // a word of its own
			p.Order, p.OrderText = out.Event, out.Output.Text
		}
	}
}

// order calls the orchestrator once.
func (t *Turn) order(ctx context.Context) (*orderOut, error) {
	p := t.p
	in := orderIn{Version: "1.0", State: p.Order, Input: orderText{p.OrderText}}
	c := &in.Context
	c.RequestID, c.SessionID = t.trace.id, t.SessionID
	c.Agent.Instruction, c.Agent.Model, c.Agent.Tools = t.plan.Instruction, t.plan.Model, []orderTool{}
	for _, tool := range t.tools.list {
		var o orderTool
		o.Spec.Name, o.Spec.Description, o.Spec.Schema = tool.Name, tool.Description, map[string]json.RawMessage{"json": tool.Schema}
		c.Agent.Tools = append(c.Agent.Tools, o)
	}
	c.Session = []orderTurn{}
	for _, raw := range t.Records {
		rec, err := ReadRecord(raw)
		if err != nil {
			return nil, err
		}
		if rec.Answer != "" {
			c.Session = append(c.Session, orderTurn{Input: rec.Input, Output: rec.Answer, Steps: orNone(rec.Steps)})
		}
	}
	c.Session = append(c.Session, orderTurn{Input: p.Question, Steps: orNone(p.Orders)})
	c.SessionAttributes, c.PromptSessionAttributes = orEmpty(p.Attributes), orEmpty(p.PromptAttributes)
	payload, err := json.Marshal(&in)
	if err != nil {
		return nil, fmt.Errorf("write the event of a custom orchestration: %w", err)
	}
	got, wrong, err := t.r.c.Functions.Call(ctx, t.plan.ARN, t.plan.Orchestrator, payload)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, lambdaError(err, t.plan.Orchestrator)
	case wrong:
		return nil, badAnswer(textBadOrder, fmt.Errorf("the function failed: %.500s", got))
	}
	out := new(orderOut)
	if err := json.Unmarshal(got, out); err != nil {
		return nil, badAnswer(textBadOrder, err)
	}
	t.adopt(&answer{Attributes: out.Context.SessionAttributes, PromptAttributes: out.Context.PromptSessionAttributes})
	var st orderStep
	st.In.State, st.In.Text, st.Out.Event, st.Out.Text = p.Order, p.OrderText, out.Event, out.Output.Text
	p.Orders = append(p.Orders, st)
	return out, nil
}

func orNone(s []orderStep) []orderStep {
	if s == nil {
		return []orderStep{}
	}
	return s
}

// orderModel asks a model with the request that the orchestrator wrote.
func (t *Turn) orderModel(ctx context.Context, request string) (string, error) {
	if t.r.c.Chats == nil {
		return "", failed("This server cannot pass a request of the Converse operation on.")
	}
	if !json.Valid([]byte(request)) {
		return "", badAnswer(textBadOrder, fmt.Errorf("INVOKE_MODEL needs a request of Converse as JSON"))
	}
	out, err := t.r.c.Chats.Converse(ctx, t.plan.Role, t.plan.ARN, t.plan.Model, []byte(request))
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", public(err)
	}
	return string(out), nil
}

// report is the result of the tool that the orchestrator called.
func (t *Turn) report() string {
	var r toolReport
	r.Result.Status, r.Result.Content = "success", []orderText{}
	said := t.p.Said
	if n := len(said); n > 0 {
		for i := range said[n-1].Parts {
			if res := said[n-1].Parts[i].ToolResult; res != nil {
				r.Result.ID = res.ID
				for j := range res.Parts {
					r.Result.Content = append(r.Result.Content, orderText{res.Parts[j].Text})
				}
				if res.Error {
					r.Result.Status = "error"
				}
			}
		}
	}
	b, err := json.Marshal(&r)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func (t *Turn) isCustom() bool {
	return t.plan.Orchestration == plan.CustomOrchestration && t.plan.Orchestrator != ""
}
