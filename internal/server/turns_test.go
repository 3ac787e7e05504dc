package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/iam"
)

// An inline agent on a whole server, with a function that the operator serves from
// elsewhere: signatures, permissions, sessions and the stream are the real ones.
func TestAnInlineAgentCallsAFunction(t *testing.T) {
	var event map[string]any
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &event); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"messageVersion":"1.0","response":{"actionGroup":"weather","function":"getWeather","functionResponse":{"responseBody":{"TEXT":{"body":"rain in Seoul"}}}}}`)
	}))
	defer hook.Close()
	rules := t.TempDir() + "/rules.yaml"
	script := `rules:
  - when: {tool_result: "."}
    reply: {text: "The tool said {{.ToolResult}}"}
  - when: {user: weather}
    reply: {tool_calls: [{name: weather__getWeather, arguments: {location: Seoul}}]}
`
	if err := os.WriteFile(rules, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, _, _ := start(t, "--engine", "script:"+rules, "--function", "weather="+hook.URL)
	hc := freshClient(t)
	c := bedrockagentruntime.New(bedrockagentruntime.Options{
		Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), RetryMaxAttempts: 1, HTTPClient: hc,
		Credentials: credentials.NewStaticCredentialsProvider(conn.AccessKey, conn.SecretKey, ""),
	})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	invoke := func(function string) (string, error) {
		out, err := c.InvokeInlineAgent(ctx, &bedrockagentruntime.InvokeInlineAgentInput{
			FoundationModel: aws.String(haiku), Instruction: aws.String("You tell people what the weather is like, anywhere."), SessionId: aws.String("weather-1"), InputText: aws.String("weather?"),
			ActionGroups: []types.AgentActionGroup{{
				ActionGroupName: aws.String("weather"), ActionGroupExecutor: &types.ActionGroupExecutorMemberLambda{Value: "arn:aws:lambda:us-east-1:123456789012:function:" + function},
				FunctionSchema: &types.FunctionSchemaMemberFunctions{Value: []types.FunctionDefinition{{Name: aws.String("getWeather"), Parameters: map[string]types.ParameterDetail{"location": {Type: types.ParameterTypeString}}}}},
			}},
		})
		if err != nil {
			return "", err
		}
		s := out.GetStream()
		defer s.Close()
		text := ""
		for e := range s.Events() {
			if chunk, ok := e.(*types.InlineAgentResponseStreamMemberChunk); ok {
				text += string(chunk.Value.Bytes)
			}
		}
		return text, s.Err()
	}
	if text, err := invoke("weather"); err != nil || text != "The tool said rain in Seoul" {
		t.Fatal(text, err)
	}
	if event["sessionId"] != "weather-1" || event["function"] != "getWeather" || event["agent"].(map[string]any)["id"] != "INLINE_AGENT" {
		t.Errorf("%v", event)
	}
	if _, err := invoke("unknown"); err == nil || !strings.Contains(err.Error(), "Access denied while invoking Lambda function") {
		t.Errorf("a function whose policy lets nobody in: %v", err)
	}
}

func TestWhatARoleOfAnAgentMayDo(t *testing.T) {
	s, err := Open(t.Context(), Options{Config: settings(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		_ = s.logs.flush()
	})
	const source = "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001"
	roles := agentRoles{s}
	role, err := s.identity.CreateRole(t.Context(), iam.RoleInput{Account: "123456789012", Name: "agent", Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:SourceArn":"` + source + `"}}}]}`})
	if err != nil {
		t.Fatal(err)
	}
	arn := "arn:aws:iam::123456789012:role/" + role.Name
	denied := func(what string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != apierr.AccessDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied("no policy", roles.Model(t.Context(), arn, source, haiku, false))
	err = s.identity.PutInlinePolicy(t.Context(), iam.Holder{Account: "123456789012", Kind: iam.RoleHolder, Name: "agent"}, "p",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:*::foundation-model/anthropic.claude-3-haiku*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := roles.Model(t.Context(), arn, source, haiku, false); err != nil {
		t.Error(err)
	}
	denied("another model", roles.Model(t.Context(), arn, source, "anthropic.claude-v2", false))
	denied("streamed", roles.Model(t.Context(), arn, source, haiku, true))
	denied("another agent", roles.Model(t.Context(), arn, source+"X", haiku, false))
	denied("no such role", roles.Model(t.Context(), arn+"X", source, haiku, false))
	denied("nobody", roles.Model(t.Context(), "", source, haiku, false))
}

func TestACustomOrchestratorsRequestReachesTheModel(t *testing.T) {
	var states []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			State string
			Input struct{ Text string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		states = append(states, in.State)
		event, text := "INVOKE_MODEL", `{"modelId":"`+haiku+`","messages":[{"role":"user","content":[{"text":"`+in.Input.Text+`"}]}],"inferenceConfig":{"maxTokens":50}}`
		if in.State == "MODEL_INVOKED" {
			event, text = "FINISH", in.Input.Text
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"version": "1.0", "actionEvent": event, "output": map[string]any{"text": text}})
	}))
	defer hook.Close()
	conn, _, _ := start(t, "--function", "conductor="+hook.URL)
	body := `{"foundationModel":"` + haiku + `","instruction":"You do what your orchestrator says, always and ever.","inputText":"hello","orchestrationType":"CUSTOM_ORCHESTRATION",
		"customOrchestration":{"executor":{"lambda":"arn:aws:lambda:us-east-1:123456789012:function:conductor"}}}`
	text := signedStream(t, conn, "/agents/custom-1", body)
	if strings.Join(states, " ") != "START MODEL_INVOKED" || !strings.Contains(text, "hello") || !strings.Contains(text, `"stopReason"`) {
		t.Fatalf("%v %q", states, text)
	}
}

// signedStream posts a body that the SDK at hand cannot write and answers the text of
// its chunks.
func signedStream(t *testing.T, conn *Connection, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, conn.Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: conn.AccessKey, SecretAccessKey: conn.SecretKey}, req, hex.EncodeToString(sum[:]), "bedrock", conn.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	res, err := freshClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	d := eventstream.NewDecoder(res.Body)
	var out strings.Builder
	for {
		m, err := d.Next()
		if err != nil {
			return out.String()
		}
		var chunk struct{ Bytes []byte }
		if json.Unmarshal(m.Payload, &chunk) == nil && len(chunk.Bytes) > 0 {
			out.Write(chunk.Bytes)
		} else {
			out.Write(m.Payload)
		}
	}
}
