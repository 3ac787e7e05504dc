package turn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Texts that programs compare with.
const (
	textBadAnswer    = "The server encountered an error processing the Lambda response. Check the Lambda response and retry the request"
	textBadType      = "The response body from Bedrock agent must be of type '%s', but 'null' was returned."
	textMismatch     = "%s in Lambda response doesn't match input"
	textLambdaDenied = "Access denied while invoking Lambda function %s. Check the permissions of the function's resource policy for your agent and retry the request."
)

// who is the agent as Lambda events name it.
type who struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

// event is what an action's function is sent.
type event struct {
	MessageVersion          string            `json:"messageVersion"`
	Agent                   who               `json:"agent"`
	InputText               string            `json:"inputText"`
	SessionID               string            `json:"sessionId"`
	ActionGroup             string            `json:"actionGroup"`
	Function                string            `json:"function,omitempty"`
	APIPath                 string            `json:"apiPath,omitempty"`
	HTTPMethod              string            `json:"httpMethod,omitempty"`
	Parameters              []value           `json:"parameters,omitempty"`
	RequestBody             *eventBody        `json:"requestBody,omitempty"`
	SessionAttributes       map[string]string `json:"sessionAttributes"`
	PromptSessionAttributes map[string]string `json:"promptSessionAttributes"`
}

type eventBody struct {
	Content map[string]eventProperties `json:"content"`
}

type eventProperties struct {
	Properties []value `json:"properties"`
}

// newEvent makes the event of a call. Both maps of attributes are always there:
// handlers index them.
func newEvent(c *call, args *arguments, agent who, text, session string, attributes, promptAttributes map[string]string) *event {
	e := &event{
		MessageVersion: "1.0", Agent: agent, InputText: text, SessionID: session, ActionGroup: c.group.Name,
		Parameters: args.parameters, SessionAttributes: orEmpty(attributes), PromptSessionAttributes: orEmpty(promptAttributes),
	}
	if c.action.Function != "" {
		e.Function = c.action.Function
		return e
	}
	e.APIPath, e.HTTPMethod = c.action.Path, strings.ToUpper(c.action.Verb)
	if len(c.action.Body) > 0 {
		list := args.body
		if list == nil {
			list = []value{}
		}
		e.RequestBody = &eventBody{map[string]eventProperties{mediaType(c.action): {list}}}
	}
	return e
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// answer is what an executor said, in the terms of the loop.
type answer struct {
	Text             string                               `json:"text"`
	State            runtime.ResponseState                `json:"state,omitempty"`
	Attributes       map[string]string                    `json:"attributes,omitempty"` // nil: unchanged
	PromptAttributes map[string]string                    `json:"promptAttributes,omitempty"`
	Knowledge        []runtime.KnowledgeBaseConfiguration `json:"knowledge,omitempty"`
	Code             *Outcome                             `json:"code,omitempty"`
}

// reply is the answer of an action's function. Both spellings of the status are
// read; some functions send one, some the other.
type reply struct {
	MessageVersion *string `json:"messageVersion"`
	Response       *struct {
		ActionGroup      *string                    `json:"actionGroup"`
		APIPath          *string                    `json:"apiPath"`
		HTTPMethod       *string                    `json:"httpMethod"`
		HTTPStatusCode   json.RawMessage            `json:"httpStatusCode"`
		StatusCode       json.RawMessage            `json:"statusCode"`
		ResponseBody     map[string]json.RawMessage `json:"responseBody"`
		Function         *string                    `json:"function"`
		FunctionResponse *struct {
			ResponseState string                     `json:"responseState"`
			ResponseBody  map[string]json.RawMessage `json:"responseBody"`
		} `json:"functionResponse"`
	} `json:"response"`
	SessionAttributes       map[string]string `json:"sessionAttributes"`
	PromptSessionAttributes map[string]string `json:"promptSessionAttributes"`
	Knowledge               []struct {
		ID        string          `json:"knowledgeBaseId"`
		Retrieval json.RawMessage `json:"retrievalConfiguration"`
	} `json:"knowledgeBasesConfiguration"`
}

// readReply reads the answer of a function. An error is an *apierr.Error whose cause
// says what was wrong with it.
func readReply(a *plan.Action, group string, payload []byte, limit int) (*answer, error) {
	bad := func(format string, args ...any) error { return badAnswer(textBadAnswer, fmt.Errorf(format, args...)) }
	if len(payload) > limit {
		return nil, bad("it has %d bytes, the limit is %d", len(payload), limit)
	}
	var r reply
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, bad("it is not the object that is expected: %w", err)
	}
	if r.MessageVersion != nil && *r.MessageVersion != "1.0" {
		return nil, bad("messageVersion %q is not 1.0", *r.MessageVersion)
	}
	p := r.Response
	if p == nil {
		return nil, bad("it has no response")
	}
	if p.ActionGroup == nil || *p.ActionGroup != group {
		return nil, badAnswer(fmt.Sprintf(textMismatch, "ActionGroup"), nil)
	}
	out := &answer{Attributes: r.SessionAttributes, PromptAttributes: r.PromptSessionAttributes}
	var err error
	if a.Function != "" {
		if p.Function == nil || *p.Function != a.Function {
			return nil, badAnswer(fmt.Sprintf(textMismatch, "Function"), nil)
		}
		if p.FunctionResponse == nil {
			return nil, bad("it has no functionResponse")
		}
		switch s := runtime.ResponseState(p.FunctionResponse.ResponseState); s {
		case "", runtime.ResponseStateFailure, runtime.ResponseStateReprompt:
			out.State = s
		default:
			return nil, bad("responseState %q is neither FAILURE nor REPROMPT", s)
		}
		if out.Text, err = bodyOf(p.FunctionResponse.ResponseBody, textType); err != nil {
			return nil, err
		}
	} else {
		if p.APIPath == nil || *p.APIPath != a.Path {
			return nil, badAnswer(fmt.Sprintf(textMismatch, "APIPath"), nil)
		}
		if p.HTTPMethod == nil || !strings.EqualFold(*p.HTTPMethod, a.Verb) {
			return nil, badAnswer(fmt.Sprintf(textMismatch, "HttpMethod"), nil)
		}
		for _, status := range []json.RawMessage{p.HTTPStatusCode, p.StatusCode} {
			if err := checkStatus(status); err != nil {
				return nil, bad("%w", err)
			}
		}
		if out.Text, err = bodyOf(p.ResponseBody, jsonType); err != nil {
			return nil, err
		}
	}
	for _, k := range r.Knowledge {
		c := runtime.KnowledgeBaseConfiguration{KnowledgeBaseId: k.ID}
		if len(k.Retrieval) > 0 {
			if c.RetrievalConfiguration, err = retrieval(k.Retrieval); err != nil {
				return nil, bad("knowledgeBasesConfiguration of %s: %w", k.ID, err)
			}
		}
		out.Knowledge = append(out.Knowledge, c)
	}
	return out, nil
}

func checkStatus(raw json.RawMessage) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var n json.Number
	if json.Unmarshal(bytes.Trim(raw, `"`), &n) != nil {
		return fmt.Errorf("the status %s is no number", raw)
	}
	return nil
}

// bodyOf takes the text out of a responseBody. What it holds need not be JSON.
func bodyOf(m map[string]json.RawMessage, want string) (string, error) {
	raw, ok := m[want]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return "", badAnswer(textBadAnswer+". "+fmt.Sprintf(textBadType, want), nil)
	}
	var b struct {
		Body *string `json:"body"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return "", badAnswer(textBadAnswer, fmt.Errorf("the body is not a string: %w", err))
	}
	if b.Body == nil {
		return "", badAnswer(textBadAnswer, errors.New("the responseBody has no body"))
	}
	return *b.Body, nil
}

// badAnswer is the exception for an answer that cannot be used.
func badAnswer(text string, cause error) *apierr.Error {
	return &apierr.Error{Kind: apierr.DependencyFailed, Message: text, Detail: apierr.Detail{ResourceName: lambdaName}, Err: cause}
}

// lambdaName and modelName are what exceptions call the services that failed.
const (
	lambdaName = "AWS Lambda"
	modelName  = "Amazon Bedrock"
)
