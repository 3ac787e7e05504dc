package matrix

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A role goes to Bedrock only from somebody who may pass it, and only when it lets
// Bedrock in for the very resource that it is to work for.
func TestRolesGivenToAgents(t *testing.T) {
	h := open(t)
	trust := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole","Condition":` + condition + `}]}`
	}
	const agents = `{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"AWS:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:agent/*"}}`
	role := func(name, condition string) string {
		t.Helper()
		return h.iam("CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust(condition))("Arn")
	}
	good := role("AmazonBedrockExecutionRoleForAgents_x", agents)
	unnamed := role("agents", agents)
	foreign := role("AmazonBedrockForeign", `{"StringEquals":{"aws:SourceAccount":"999999999999"}}`)
	bases := role("AmazonBedrockBases", `{"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/*"}}`)

	builder := h.user("builder")
	builder.may(allow("bedrock:*", "*"))
	full := h.user("full")
	h.iam("AttachUserPolicy", "UserName", "full", "PolicyArn", "arn:aws:iam::aws:policy/AmazonBedrockFullAccess")
	passer := h.user("passer")
	passer.may(allow("bedrock:*", "*"), when(allow("iam:PassRole", "*"), "StringEquals", "iam:PassedToService", "bedrock.amazonaws.com"))
	elsewhere := h.user("to-lambda")
	elsewhere.may(allow("bedrock:*", "*"), when(allow("iam:PassRole", "*"), "StringEquals", "iam:PassedToService", "lambda.amazonaws.com"))

	const rest = `"foundationModel":"anthropic.claude-3-haiku-20240307-v1:0","instruction":"You answer questions about rocks and minerals in short sentences."`
	create := func(who *caller, name, role string) (int, string) {
		t.Helper()
		return who.call(call{method: "PUT", path: "/agents/", body: `{"agentName":"` + name + `","agentResourceRoleArn":"` + role + `",` + rest + `}`})
	}
	for name, c := range map[string]struct {
		who  *caller
		role string
		code int
		text string
	}{
		"may-not-pass":      {builder, good, 403, "User: " + builder.arn + " is not authorized to perform: iam:PassRole on resource: " + good + " " + noPolicy("iam:PassRole")},
		"may-pass":          {passer, unnamed, 202, `"agentStatus":"CREATING"`},
		"to-another":        {elsewhere, good, 403, "iam:PassRole on resource: " + good},
		"full-access":       {full, good, 202, `"agentStatus":"CREATING"`},
		"full-access-name":  {full, unnamed, 403, "iam:PassRole on resource: " + unnamed},
		"foreign-account":   {passer, foreign, 400, "foreign"},
		"other-feature":     {passer, bases, 400, "bases"},
		"no-such-role":      {passer, good + "x", 400, good + "x"},
		"role-of-a-foreign": {passer, strings.Replace(good, account, "999999999999", 1), 403, "iam:PassRole"},
	} {
		code, body := create(c.who, name, c.role)
		if code != c.code || !strings.Contains(strings.ToLower(body), strings.ToLower(c.text)) {
			t.Errorf("%s: %d %s, want %d with %q", name, code, body, c.code, c.text)
		}
	}

	// The trust is narrowed to the agent, and then to another one: what is asked is the
	// ARN of the agent as it is stored.
	_, body := create(passer, "narrow", good)
	var made struct {
		Agent struct{ AgentID, AgentARN, AgentStatus string }
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Agent.AgentID == "" {
		t.Fatal(body, err)
	}
	id := made.Agent.AgentID
	for end := time.Now().Add(30 * time.Second); made.Agent.AgentStatus == "CREATING" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, body = passer.call(call{method: "GET", path: "/agents/" + id + "/"}); json.Unmarshal([]byte(body), &made) != nil {
			t.Fatal(body)
		}
	}
	update := func() (int, string) {
		return passer.call(call{method: "PUT", path: "/agents/" + id + "/", body: `{"agentName":"narrow","agentResourceRoleArn":"` + good + `",` + rest + `}`})
	}
	narrow := func(arn string) {
		t.Helper()
		h.iam("UpdateAssumeRolePolicy", "RoleName", "AmazonBedrockExecutionRoleForAgents_x", "PolicyDocument", trust(`{"ArnEquals":{"aws:SourceArn":"`+arn+`"}}`))
	}
	narrow(made.Agent.AgentARN + "X")
	if code, body := update(); code != http.StatusBadRequest {
		t.Errorf("trust narrowed to another agent: %d %s", code, body)
	}
	narrow(made.Agent.AgentARN)
	if code, body := update(); code != http.StatusAccepted {
		t.Errorf("trust narrowed to this agent: %d %s", code, body)
	}
}
