package server

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	agenttypes "github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// boto runs a Python program with boto3 against the server.
func boto(t *testing.T, program string, args ...string) string {
	t.Helper()
	py := outcroptest.PythonWith(t, "boto3")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, py, append([]string{filepath.Join("testdata", program)}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

func TestBotoKeepsASession(t *testing.T) {
	conn, _, _ := start(t)
	for _, key := range []string{"sealed", "plain"} {
		out := boto(t, "sessions.py", conn.Endpoint, conn.Region, conn.AccessKey, conn.SecretKey, key)
		if !strings.Contains(out, "the session lived") {
			t.Errorf("%s: %s", key, out)
		}
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	data := t.TempDir()
	conn, _, stop := start(t, "--data", data)
	runtime := func() *bedrockagentruntime.Client {
		return bedrockagentruntime.New(bedrockagentruntime.Options{
			Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(conn.AccessKey, conn.SecretKey, ""),
		})
	}
	c := runtime()
	made, err := c.CreateSession(t.Context(), &bedrockagentruntime.CreateSessionInput{})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := c.CreateInvocation(t.Context(), &bedrockagentruntime.CreateInvocationInput{SessionIdentifier: made.SessionId})
	if err != nil {
		t.Fatal(err)
	}
	put, err := c.PutInvocationStep(t.Context(), &bedrockagentruntime.PutInvocationStepInput{
		SessionIdentifier: made.SessionArn, InvocationIdentifier: inv.InvocationId, InvocationStepTime: aws.Time(time.Now()),
		Payload: &types.InvocationStepPayloadMemberContentBlocks{Value: []types.BedrockSessionContentBlock{&types.BedrockSessionContentBlockMemberText{Value: "canary-of-a-step"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "canary-of-a-step") {
			t.Errorf("%s holds what was said in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, _, _ = start(t, "--data", data)
	got, err := runtime().GetInvocationStep(t.Context(), &bedrockagentruntime.GetInvocationStepInput{
		SessionIdentifier: made.SessionId, InvocationIdentifier: inv.InvocationId, InvocationStepId: put.InvocationStepId,
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := got.InvocationStep.Payload.(*types.InvocationStepPayloadMemberContentBlocks).Value[0].(*types.BedrockSessionContentBlockMemberText).Value; text != "canary-of-a-step" {
		t.Error(text)
	}
}

// An agent knows in a second session what the first was about, until it is told to
// forget.
func TestAnAgentRemembersItsUser(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	script := `rules:
  - when: {user: "^Sum up"}
    reply: {text: "<summary><topic name=\"tea\">The user likes tea.</topic></summary>"}
  - when: {system: "tea: The user likes tea", user: "what do I like"}
    reply: {text: "You like tea."}
default: {text: "I do not know."}
`
	if err := os.WriteFile(rules, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	w, _ := newWorks(t, "--engine", "script:"+rules)
	id := w.agent("rememberer", func(in *bedrockagent.CreateAgentInput) {
		in.MemoryConfiguration = &agenttypes.MemoryConfiguration{EnabledMemoryTypes: []agenttypes.MemoryType{agenttypes.MemoryTypeSessionSummary}, StorageDays: aws.Int32(30)}
	})
	w.prepare(id, agenttypes.AgentStatusPrepared)
	alias := *w.alias(id, "live").AgentAliasId
	ask := func(session, text string, end bool) string {
		t.Helper()
		in := &bedrockagentruntime.InvokeAgentInput{AgentId: &id, AgentAliasId: &alias, SessionId: &session, MemoryId: aws.String("user-1"), EndSession: &end}
		if text != "" {
			in.InputText = &text
		}
		out, err := w.run.InvokeAgent(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.MemoryId) != "user-1" {
			t.Errorf("the answer's memory id is %v", out.MemoryId)
		}
		s := out.GetStream()
		defer s.Close()
		answer := ""
		for e := range s.Events() {
			if c, ok := e.(*types.ResponseStreamMemberChunk); ok {
				answer += string(c.Value.Bytes)
			}
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	get := func() []types.Memory {
		t.Helper()
		out, err := w.run.GetAgentMemory(t.Context(), &bedrockagentruntime.GetAgentMemoryInput{AgentId: &id, AgentAliasId: &alias, MemoryId: aws.String("user-1"), MemoryType: types.MemoryTypeSessionSummary})
		if err != nil {
			t.Fatal(err)
		}
		return out.MemoryContents
	}
	if got := ask("first", "I like tea.", false); got != "I do not know." {
		t.Error(got)
	}
	if got := get(); len(got) != 0 {
		t.Errorf("remembered before the session has ended: %v", got)
	}
	ask("first", "", true)
	for deadline := time.Now().Add(20 * time.Second); len(get()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no summary came")
		}
	}
	sum := get()[0].(*types.MemoryMemberSessionSummary).Value
	if aws.ToString(sum.SessionId) != "first" || aws.ToString(sum.SummaryText) != "tea: The user likes tea." || sum.SessionExpiryTime.Sub(*sum.SessionStartTime) < 29*24*time.Hour {
		t.Errorf("%s of %s", aws.ToString(sum.SummaryText), aws.ToString(sum.SessionId))
	}
	if got := ask("second", "So what do I like?", false); got != "You like tea." {
		t.Error(got)
	}
	if _, err := w.run.DeleteAgentMemory(t.Context(), &bedrockagentruntime.DeleteAgentMemoryInput{AgentId: &id, AgentAliasId: &alias, MemoryId: aws.String("user-1")}); err != nil {
		t.Fatal(err)
	}
	if got := get(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := ask("third", "So what do I like?", false); got != "I do not know." {
		t.Error(got)
	}
	_, err := w.run.GetAgentMemory(t.Context(), &bedrockagentruntime.GetAgentMemoryInput{AgentId: aws.String("NOSUCHAGNT"), AgentAliasId: &alias, MemoryId: aws.String("user-1"), MemoryType: types.MemoryTypeSessionSummary})
	w.refused(err, "ResourceNotFoundException", 404, "Failed to retrieve resource")
}

// Code that the model writes runs in a jail, over the request's files, and what it
// makes comes out of the stream.
func TestBotoRunsCode(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	script := `rules:
  - when: {tool_result: "."}
    reply: {text: "The code said {{.ToolResult}}"}
  - when: {user: again}
    reply: {tool_calls: [{name: code_interpreter__get__code_interpreter_response, arguments: {code: "print(open('total.txt').read())"}}]}
  - when: {user: compute}
    reply: {tool_calls: [{name: code_interpreter__get__code_interpreter_response, arguments: {code: "import csv\ntotal = sum(int(r['n']) for r in csv.DictReader(open('in.csv')))\nopen('total.txt', 'w').write(str(total))\nprint(total)"}}]}
`
	if err := os.WriteFile(rules, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, _, _ := start(t, "--engine", "script:"+rules)
	if out := boto(t, "code.py", conn.Endpoint, conn.Region, conn.AccessKey, conn.SecretKey, haiku); !strings.Contains(out, "the code ran") {
		t.Error(out)
	}
}
