package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	runtypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// works is an account with a role for agents, seen through the SDK.
type works struct {
	*bedrockagent.Client
	t    *testing.T
	conn *Connection
	http *http.Client
	run  *bedrockagentruntime.Client
	iam  *awsiam.Client
	role *string
}

const agentTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func newWorks(t *testing.T, args ...string) (*works, func() error) {
	t.Helper()
	conn, _, stop := start(t, args...)
	w := &works{t: t, conn: conn, http: freshClient(t)}
	w.as(conn.AccessKey, conn.SecretKey)
	out, err := w.iam.CreateRole(t.Context(), &awsiam.CreateRoleInput{RoleName: aws.String("AmazonBedrockExecutionRoleForAgents_t"), AssumeRolePolicyDocument: aws.String(agentTrust)})
	if err != nil {
		t.Fatal(err)
	}
	w.role = out.Role.Arn
	_, err = w.iam.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{
		RoleName: out.Role.RoleName, PolicyName: aws.String("p"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["bedrock:InvokeModel*","s3:GetObject"],"Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, func() error { w.http.CloseIdleConnections(); return stop() }
}

func (w *works) as(key, secret string) {
	creds := credentials.NewStaticCredentialsProvider(key, secret, "")
	at := aws.String(w.conn.Endpoint)
	w.Client = bedrockagent.New(bedrockagent.Options{Region: w.conn.Region, BaseEndpoint: at, RetryMaxAttempts: 1, HTTPClient: w.http, Credentials: creds})
	w.run = bedrockagentruntime.New(bedrockagentruntime.Options{Region: w.conn.Region, BaseEndpoint: at, RetryMaxAttempts: 1, HTTPClient: w.http, Credentials: creds})
	w.iam = awsiam.New(awsiam.Options{Region: w.conn.Region, BaseEndpoint: at, RetryMaxAttempts: 1, HTTPClient: w.http, Credentials: creds})
}

// refused checks the code, the HTTP status and a part of the text of an error.
func (w *works) refused(err error, code string, status int, text string) {
	w.t.Helper()
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		w.t.Errorf("got %v; want %s with %q", err, code, text)
		return
	}
	if h, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); !ok || h.HTTPStatusCode() != status {
		w.t.Errorf("the status of %v is not %d", err, status)
	}
}

const says = "You follow the %s instruction in everything that you do."

// agent makes a draft and waits until it can be worked with.
func (w *works) agent(name string, edit ...func(*bedrockagent.CreateAgentInput)) string {
	w.t.Helper()
	in := &bedrockagent.CreateAgentInput{AgentName: aws.String(name), AgentResourceRoleArn: w.role, FoundationModel: aws.String(haiku), Instruction: aws.String(fmt.Sprintf(says, "first"))}
	for _, e := range edit {
		e(in)
	}
	out, err := w.CreateAgent(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.reaches(*out.Agent.AgentId, types.AgentStatusNotPrepared)
	return *out.Agent.AgentId
}

func (w *works) get(id string) *types.Agent {
	w.t.Helper()
	out, err := w.GetAgent(w.t.Context(), &bedrockagent.GetAgentInput{AgentId: &id})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Agent
}

func (w *works) reaches(id string, want types.AgentStatus) *types.Agent {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := w.get(id)
		if a.AgentStatus == want {
			return a
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("agent %s is %s, not %s: %v", id, a.AgentStatus, want, a.FailureReasons)
		}
	}
}

func (w *works) prepare(id string, want types.AgentStatus) *types.Agent {
	w.t.Helper()
	if _, err := w.PrepareAgent(w.t.Context(), &bedrockagent.PrepareAgentInput{AgentId: &id}); err != nil {
		w.t.Fatal(err)
	}
	return w.reaches(id, want)
}

// alias names the draft and waits until the alias serves.
func (w *works) alias(id, name string) *types.AgentAlias {
	w.t.Helper()
	out, err := w.CreateAgentAlias(w.t.Context(), &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.aliasReaches(id, *out.AgentAlias.AgentAliasId, types.AgentAliasStatusPrepared)
}

func (w *works) aliasReaches(id, alias string, want types.AgentAliasStatus) *types.AgentAlias {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := w.GetAgentAlias(w.t.Context(), &bedrockagent.GetAgentAliasInput{AgentId: &id, AgentAliasId: &alias})
		if err != nil {
			w.t.Fatal(err)
		}
		if out.AgentAlias.AgentAliasStatus == want {
			w.reaches(id, types.AgentStatusPrepared)
			return out.AgentAlias
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("alias %s is %s, not %s", alias, out.AgentAlias.AgentAliasStatus, want)
		}
	}
}

func (w *works) ask(id, alias, text string) (string, error) {
	out, err := w.run.InvokeAgent(w.t.Context(), &bedrockagentruntime.InvokeAgentInput{AgentId: &id, AgentAliasId: &alias, SessionId: aws.String(fmt.Sprint("s-", time.Now().UnixNano())), InputText: &text})
	if err != nil {
		return "", err
	}
	s := out.GetStream()
	defer s.Close()
	answer := ""
	for e := range s.Events() {
		if c, ok := e.(*runtypes.ResponseStreamMemberChunk); ok {
			answer += string(c.Value.Bytes)
		}
	}
	return answer, s.Err()
}

func (w *works) update(id, instruction string, edit ...func(*bedrockagent.UpdateAgentInput)) {
	w.t.Helper()
	in := &bedrockagent.UpdateAgentInput{AgentId: &id, AgentName: w.get(id).AgentName, AgentResourceRoleArn: w.role, FoundationModel: aws.String(haiku), Instruction: &instruction}
	for _, e := range edit {
		e(in)
	}
	if _, err := w.UpdateAgent(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
	for w.get(id).AgentStatus == types.AgentStatusUpdating {
		time.Sleep(20 * time.Millisecond)
	}
}

// whichScript answers by the instruction that the model was given.
func whichScript(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "rules:\n"
	for _, n := range []string{"first", "second", "third"} {
		rules += "  - when: {system: \"" + n + " instruction\", user: who}\n    reply: {text: \"" + n + "\"}\n"
	}
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return "script:" + file
}

var returns = &types.ActionGroupExecutorMemberCustomControl{Value: types.CustomControlMethodReturnControl}

func schemaOf(n int) *types.FunctionSchemaMemberFunctions {
	s := &types.FunctionSchemaMemberFunctions{}
	for i := range n {
		s.Value = append(s.Value, types.Function{Name: aws.String(fmt.Sprintf("f%d", i))})
	}
	return s
}

// signed sends a request of a service that the SDK is not here for.
func (w *works) signed(service, method, path, target, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.conn.Endpoint+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	hash := sigv4.HashPayload([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hash)
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: w.conn.AccessKey, SecretAccessKey: w.conn.SecretKey}, w.conn.Region, service, time.Now(), hash)
	res, err := w.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// newest points an alias at a new version, made room for if need be, and returns its
// number.
func (w *works) newest(id string) *string {
	w.t.Helper()
	list, err := w.ListAgentAliases(w.t.Context(), &bedrockagent.ListAgentAliasesInput{AgentId: &id, MaxResults: aws.Int32(1000)})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list.AgentAliasSummaries {
		if *s.AgentAliasId == "TSTALIASID" {
			continue
		}
		if _, err := w.UpdateAgentAlias(w.t.Context(), &bedrockagent.UpdateAgentAliasInput{AgentId: &id, AgentAliasId: s.AgentAliasId, AgentAliasName: s.AgentAliasName}); err != nil {
			w.t.Fatal(err)
		}
		return w.aliasReaches(id, *s.AgentAliasId, types.AgentAliasStatusPrepared).RoutingConfiguration[0].AgentVersion
	}
	return w.alias(id, "new").RoutingConfiguration[0].AgentVersion
}
