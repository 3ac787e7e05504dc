package neighbour_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestBotoProgramsLiveInTheAccount(t *testing.T) {
	py := outcroptest.PythonWith(t, "boto3", "awscli")
	h := open(t, nil)
	if _, err := os.ReadFile("testdata/account.py"); err != nil { // so that a change runs the test again
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), py, "testdata/account.py")
	cmd.Env = h.environment(h.admin)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "done") {
		t.Fatalf("%v\n%s", err, out)
	}
	operations := map[string]bool{}
	for _, o := range h.observed(t, 200) {
		if o.Status == 200 {
			operations[o.Call.Service+"."+o.Call.Operation] = true
		}
		if o.Status >= 500 {
			t.Errorf("%s: %d %v", o.Call.Operation, o.Status, o.Error)
		}
	}
	if len(operations) < 70 {
		t.Errorf("%d operations succeeded", len(operations))
	}
	t.Logf("%d operations succeeded", len(operations))
}

// The role set-up of the walk-through, by the CLI.
func TestTheCommandLineSetsUpARole(t *testing.T) {
	aws := filepath.Join(filepath.Dir(outcroptest.PythonWith(t, "boto3", "awscli")), "aws")
	h := open(t, nil)
	run := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), aws, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	admin := h.environment(h.admin)
	must := func(args ...string) string {
		t.Helper()
		out, err := run(admin, args...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	const name = "AmazonBedrockExecutionRoleForAgents_BH7NZART9Q"
	const arn = "arn:aws:iam::123456789012:role/service-role/" + name
	bedrock := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:ap-northeast-1:123456789012:agent/*"}}}]}`
	if got := must("iam", "create-role", "--role-name", name, "--path", "/service-role/", "--assume-role-policy-document", bedrock, "--query", "Role.Arn", "--output", "text"); got != arn {
		t.Fatal(got)
	}
	must("iam", "attach-role-policy", "--role-name", name, "--policy-arn", "arn:aws:iam::aws:policy/AmazonBedrockFullAccess")
	must("iam", "wait", "role-exists", "--role-name", name)
	if got := must("iam", "list-attached-role-policies", "--role-name", name, "--query", "AttachedPolicies[].PolicyName", "--output", "text"); got != "AmazonBedrockFullAccess" {
		t.Error(got)
	}
	// The service may become the role for its agents, nobody else.
	if !h.identity.MayAssume(t.Context(), "bedrock.amazonaws.com", arn, "arn:aws:bedrock:ap-northeast-1:123456789012:agent/SR95VYU66L", "123456789012") {
		t.Error("Bedrock cannot assume the role")
	}
	if h.identity.MayAssume(t.Context(), "bedrock.amazonaws.com", arn, "arn:aws:bedrock:ap-northeast-1:123456789012:knowledge-base/A", "123456789012") {
		t.Error("the trust policy's condition is not asked")
	}
	if out, err := run(admin, "sts", "assume-role", "--role-arn", arn, "--role-session-name", "x1"); err == nil || !strings.Contains(out, "(AccessDenied)") {
		t.Error(out)
	}
	// After the trust policy names the user, he may.
	user := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}]}`
	must("iam", "update-assume-role-policy", "--role-name", name, "--policy-document", user)
	got := asJSON(t, []byte(must("sts", "assume-role", "--role-arn", arn, "--role-session-name", "x1", "--output", "json")))
	c := got["Credentials"].(map[string]any)
	session := h.admin
	session.AccessKeyID, session.SecretAccessKey, session.SessionToken = c["AccessKeyId"].(string), c["SecretAccessKey"].(string), c["SessionToken"].(string)
	env := h.environment(session)
	if out, err := run(env, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"); err != nil || out != "arn:aws:sts::123456789012:assumed-role/"+name+"/x1" {
		t.Error(out, err)
	}
	if out, err := run(env, "iam", "list-roles", "--query", "Roles[].RoleName", "--output", "text"); err != nil || out != name { // AmazonBedrockFullAccess has iam:ListRoles
		t.Error(out, err)
	}
	if out, err := run(env, "iam", "list-users"); err == nil || !strings.Contains(out, "is not authorized to perform: iam:ListUsers on resource: *") {
		t.Error(out, err)
	}
	if out, err := run(admin, "iam", "create-saml-provider", "--name", "x", "--saml-metadata-document", strings.Repeat("x", 1000)); err == nil || !strings.Contains(out, "(InvalidAction)") || !strings.Contains(out, "--neighbour iam=URL") {
		t.Error(out, err)
	}
}
