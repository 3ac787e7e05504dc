package gosdk

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const haiku = "anthropic.claude-3-haiku-20240307-v1:0"

func user(text string) []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}}
}

func firstText(t *testing.T, out *bedrockruntime.ConverseOutput) string {
	t.Helper()
	m, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok || len(m.Value.Content) == 0 {
		t.Fatalf("no message: %+v", out.Output)
	}
	text, ok := m.Value.Content[0].(*types.ContentBlockMemberText)
	if !ok {
		t.Fatalf("no text: %+v", m.Value.Content[0])
	}
	return text.Value
}

func TestConverseOnFiveFamilies(t *testing.T) {
	c := runtime(scripted(t))
	for _, id := range []string{haiku, "amazon.titan-text-express-v1", "meta.llama2-13b-chat-v1", "mistral.mistral-7b-instruct-v0:2", "cohere.command-text-v14"} {
		t.Run(id, func(t *testing.T) {
			out, err := c.Converse(t.Context(), &bedrockruntime.ConverseInput{
				ModelId: aws.String(id), Messages: user("안녕 🎉"), InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(100)},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(firstText(t, out)); got != "You said: 안녕 🎉" {
				t.Errorf("got %q", got)
			}
			u := out.Usage
			if out.StopReason != types.StopReasonEndTurn || *u.TotalTokens != *u.InputTokens+*u.OutputTokens || *u.OutputTokens < 1 || out.Metrics == nil {
				t.Errorf("%s, %+v", out.StopReason, u)
			}
		})
	}
}

func TestToolRoundTrip(t *testing.T) {
	c := runtime(scripted(t))
	in := &bedrockruntime.ConverseInput{
		ModelId: aws.String(haiku), Messages: user("weather in Seattle?"),
		ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String("get_weather"),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
				"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}},
			})},
		}}}},
	}
	out, err := c.Converse(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	said := out.Output.(*types.ConverseOutputMemberMessage).Value
	use, ok := said.Content[len(said.Content)-1].(*types.ContentBlockMemberToolUse)
	if !ok || out.StopReason != types.StopReasonToolUse {
		t.Fatalf("%s: %+v", out.StopReason, said.Content)
	}
	var args struct{ City string }
	b, err := use.Value.Input.MarshalSmithyDocument()
	if err == nil {
		err = json.Unmarshal(b, &args)
	}
	if err != nil || args.City != "Seattle" {
		t.Errorf("arguments %s, %v", b, err)
	}
	in.Messages = append(in.Messages, said, types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
		&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: use.Value.ToolUseId, Content: []types.ToolResultContentBlock{
			&types.ToolResultContentBlockMemberText{Value: "50 degrees"},
		}}},
	}})
	if out, err = c.Converse(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := firstText(t, out); got != "It is 50 degrees." {
		t.Errorf("got %q", got)
	}
}

// TestErrorsAreTyped shows that the SDK maps each answer to its type, and how
// often it asked.
func TestErrorsAreTyped(t *testing.T) {
	s := scripted(t)
	c := runtime(s)
	ask := func(id, text string) error {
		_, err := c.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(id), Messages: user(text)})
		return err
	}
	wrong := config(s)
	wrong.Credentials = credentials.NewStaticCredentialsProvider("AKIAAAAAAAAAAAAAAAAA", "x", "")
	for _, e := range []struct {
		name   string
		do     func() error
		as     func(error) bool
		status int
	}{
		{"unknown model", func() error { return ask("anthropic.nope", "x") }, is[*types.ValidationException], 400},
		{"overload", func() error { return ask(haiku, "overload") }, is[*types.ThrottlingException], 429},
		{"not ready", func() error { return ask(haiku, "not ready") }, is[*types.ModelNotReadyException], 429},
		{"time out", func() error { return ask(haiku, "time out") }, is[*types.ModelTimeoutException], 408},
		{"crash", func() error { return ask(haiku, "crash") }, is[*types.ModelErrorException], 424},
		{"wrong body", func() error {
			_, err := c.InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(haiku), Body: []byte("{")})
			return err
		}, is[*types.ValidationException], 400},
		{"unknown key", func() error {
			_, err := bedrock.NewFromConfig(wrong).ListFoundationModels(t.Context(), &bedrock.ListFoundationModelsInput{})
			return err
		}, func(err error) bool {
			e, ok := errors.AsType[smithy.APIError](err)
			return ok && e.ErrorCode() == "UnrecognizedClientException"
		}, 403},
	} {
		t.Run(e.name, func(t *testing.T) {
			err := e.do()
			r, ok := errors.AsType[*smithyhttp.ResponseError](err)
			if !e.as(err) || !ok || r.HTTPStatusCode() != e.status {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := s.Metric(t, "outcrop_requests_total", `operation="Converse"`, `status="429"`); n != 4 {
		t.Errorf("the server refused %v requests with 429, want three attempts for the overload and one for the model that is not ready, which this SDK does not retry", n)
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestModelsByTheControlPlane(t *testing.T) {
	c := control(scripted(t))
	out, err := c.ListFoundationModels(t.Context(), &bedrock.ListFoundationModelsInput{ByOutputModality: bedrocktypes.ModelModalityEmbedding})
	if err != nil || len(out.ModelSummaries) < 4 {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, m := range out.ModelSummaries {
		got, err := c.GetFoundationModel(t.Context(), &bedrock.GetFoundationModelInput{ModelIdentifier: m.ModelArn})
		if err != nil || *got.ModelDetails.ModelId != *m.ModelId {
			t.Errorf("%s: %v", *m.ModelArn, err)
		}
	}
}

// TestHostNamesChooseTheService sends /tags requests, whose paths two services
// share, under the host names of AWS: unsigned, each service says in its own way
// that it wants a signature, and its name stands in the log.
func TestHostNamesChooseTheService(t *testing.T) {
	s := scripted(t)
	for host, want := range map[string]string{
		"bedrock-agent.us-east-1.amazonaws.com":         "bedrock-agent",
		"bedrock-agent-runtime.us-east-1.amazonaws.com": "bedrock-agent-runtime",
	} {
		t.Run(want, func(t *testing.T) {
			before := s.Metric(t, "outcrop_requests_total", `service="`+want+`"`)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint+"/tags/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden || resp.Header.Get("X-Amzn-Errortype") == "" {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			if n := s.Metric(t, "outcrop_requests_total", `service="`+want+`"`, `operation="ListTagsForResource"`) - before; n != 1 {
				t.Errorf("%v requests reached %s", n, want)
			}
		})
	}
}
