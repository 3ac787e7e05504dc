package matrix

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// outcome asks and says whether the caller's own permission for the action was missing.
func (c *caller) refused(r *request, action string) bool {
	c.t.Helper()
	code, _, msg := c.ask(r)
	return code == http.StatusForbidden && strings.Contains(msg, "is not authorized to perform: "+action)
}

// A user who was just made may do nothing at all.
func TestANewUserIsRefusedEverything(t *testing.T) {
	h := open(t)
	u := h.user("new")
	made := requests(t)
	n := 0
	for _, w := range readList(t) {
		r := made[w.key()][0]
		if r.Events {
			r.Header.Set("Content-Type", "application/vnd.amazon.eventstream")
			r.Body = nil
		}
		first := ""
		if all := r.resources(&w); len(all) > 0 {
			first = all[0][0]
		}
		code, kind, msg := u.ask(r)
		if want := refusal(u.arn, w.action, first, noPolicy(w.action)); code != http.StatusForbidden || kind != "AccessDeniedException" || msg != want {
			t.Errorf("%s: got %d %s %q\nwant %q", w.key(), code, kind, msg, want)
		}
		n++
	}
	if n != 219 {
		t.Errorf("%d operations", n)
	}
}

// The example policies of the guide, asked over the wire. What is allowed may still
// be answered that the thing is not there or not built.
func TestTheGuidesExamplePoliciesOverTheWire(t *testing.T) {
	h := open(t)
	made := requests(t)
	rows := map[string]*row{}
	for _, r := range readList(t) {
		rows[r.key()] = &r
	}
	const (
		hello = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`
		body  = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}`
	)
	model := func(id, op string) call {
		b := hello
		if strings.HasPrefix(op, "invoke") {
			b = body
		}
		return call{method: "POST", path: "/model/" + url.PathEscape(id) + "/" + op, body: b}
	}
	check := func(who *caller, what string, q call, allowed bool) {
		t.Helper()
		code, text := who.call(q)
		denied := code == http.StatusForbidden && strings.Contains(text, "is not authorized to perform: ")
		if denied == allowed {
			t.Errorf("%s: %s %s: %d %s", what, q.method, q.path, code, text)
		}
	}
	const sonnet = "anthropic.claude-3-sonnet-20240229-v1:0"

	// E3: an administrator who may not use one model, by any of the four operations.
	e3 := h.user("e3")
	e3.may(allow("*", "*"), statement{Effect: "Deny", Action: []string{"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}, Resource: []string{"arn:aws:bedrock:*::foundation-model/" + haiku}})
	for _, op := range []string{"invoke", "invoke-with-response-stream", "converse", "converse-stream"} {
		check(e3, "E3, the model", model(haiku, op), false)
		check(e3, "E3, another model", model(sonnet, op), true)
	}

	// E4: the life of an agent, and nothing beside it.
	e4 := h.user("e4")
	names := strings.Fields("ListFoundationModels GetFoundationModel TagResource UntagResource ListTagsForResource CreateAgent UpdateAgent GetAgent ListAgents DeleteAgent CreateAgentActionGroup UpdateAgentActionGroup GetAgentActionGroup ListAgentActionGroups DeleteAgentActionGroup GetAgentVersion ListAgentVersions DeleteAgentVersion CreateAgentAlias UpdateAgentAlias GetAgentAlias ListAgentAliases DeleteAgentAlias AssociateAgentKnowledgeBase DisassociateAgentKnowledgeBase GetKnowledgeBase ListKnowledgeBases PrepareAgent InvokeAgent")
	var actions []string
	for _, n := range names {
		actions = append(actions, "bedrock:"+n)
	}
	e4.may(statement{Effect: "Allow", Action: actions, Resource: []string{"*"}})
	asked := map[string]bool{}
	for key, w := range rows {
		in := slices.Contains(actions, w.action)
		asked[w.action] = true
		r := made[key][0]
		if r.Events {
			continue
		}
		if got := e4.refused(r, w.action); got == in {
			t.Errorf("E4: %s is refused: %v", key, got)
		}
	}
	for _, a := range actions {
		if !asked[a] {
			t.Errorf("E4: no operation asks for %s", a)
		}
	}

	// E5: one agent and one of its aliases.
	e5 := h.user("e5")
	const agents = "arn:aws:bedrock:us-east-1:123456789012:"
	e5.may(statement{Effect: "Allow", Action: []string{"bedrock:GetAgent", "bedrock:UpdateAgent"}, Resource: []string{agents + "agent/AGENT12345"}}, allow("bedrock:InvokeAgent", agents+"agent-alias/AGENT12345/ALIAS12345"))
	invoke := func(alias string) call {
		return call{method: "POST", path: "/agents/AGENT12345/agentAliases/" + alias + "/sessions/session1/text", body: `{"inputText":"hello"}`}
	}
	update := func(agent string) call {
		return call{method: "PUT", path: "/agents/" + agent + "/", body: `{"agentName":"a","foundationModel":"anthropic.claude-v2","agentResourceRoleArn":"arn:aws:iam::123456789012:role/r","instruction":"You answer questions about rocks and minerals in short sentences."}`}
	}
	check(e5, "E5, the alias", invoke("ALIAS12345"), true)
	check(e5, "E5, the test alias", invoke("TSTALIASID"), false)
	check(e5, "E5, its agent", call{method: "GET", path: "/agents/AGENT12345/"}, true)
	check(e5, "E5, another agent", update("AGENT99999"), false)
	// An action on a type that it has not grants nothing.
	e5.may(allow("bedrock:InvokeAgent", agents+"agent/AGENT12345"))
	check(e5, "InvokeAgent on an agent", invoke("ALIAS12345"), false)

	// E7: one provisioned model, which is neither shown nor its base usable.
	e7 := h.user("e7")
	admin := &caller{h, "admin", "", h.admin}
	code, text := admin.call(call{method: "POST", path: "/provisioned-model-throughput", body: `{"provisionedModelName":"mine","modelUnits":1,"modelId":"` + haiku + `:48k"}`})
	if code != http.StatusCreated {
		t.Fatalf("%d %s", code, text)
	}
	var made1 struct{ ProvisionedModelARN string }
	if err := json.Unmarshal([]byte(text), &made1); err != nil || made1.ProvisionedModelARN == "" {
		t.Fatal(text, err)
	}
	e7.may(statement{Effect: "Allow", Action: []string{"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}, Resource: []string{made1.ProvisionedModelARN}})
	for _, op := range []string{"invoke", "invoke-with-response-stream", "converse", "converse-stream"} {
		check(e7, "E7, the provisioned model", model(made1.ProvisionedModelARN, op), true)
		check(e7, "E7, its base model", model(haiku, op), false)
	}
	check(e7, "E7, show", call{method: "GET", path: "/provisioned-model-throughput/" + url.PathEscape(made1.ProvisionedModelARN)}, false)

	// AmazonBedrockReadOnly.
	read := h.user("read")
	h.iam("AttachUserPolicy", "UserName", "read", "PolicyArn", "arn:aws:iam::aws:policy/AmazonBedrockReadOnly")
	var refusedOnes int
	for key, w := range rows {
		name := strings.TrimPrefix(w.action, "bedrock:")
		reads := strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List")
		if made[key][0].Events {
			continue
		}
		got := read.refused(made[key][0], w.action)
		if got == reads {
			t.Errorf("AmazonBedrockReadOnly: %s is refused: %v", key, got)
		}
		if got {
			refusedOnes++
		}
	}
	if refusedOnes < 100 {
		t.Errorf("AmazonBedrockReadOnly refused %d operations", refusedOnes)
	}
}

// Tags of the caller and of the resource must meet; without the resource's tag the
// same call is refused.
func TestTagsOfCallerAndResourceMeet(t *testing.T) {
	h := open(t)
	admin := &caller{h, "admin", "", h.admin}
	_, body := admin.call(call{method: "POST", path: "/inference-profiles", body: `{"inferenceProfileName":"p","modelSource":{"copyFrom":"arn:aws:bedrock:us-east-1::foundation-model/` + haiku + `"},"tags":[{"key":"team","value":"rock"}]}`})
	var profile struct{ InferenceProfileARN string }
	if err := json.Unmarshal([]byte(body), &profile); err != nil || profile.InferenceProfileARN == "" {
		t.Fatal(body, err)
	}
	h.iam("CreateUser", "UserName", "rocky", "Tags.member.1.Key", "team", "Tags.member.1.Value", "rock")
	h.iam("CreateUser", "UserName", "sandy", "Tags.member.1.Key", "team", "Tags.member.1.Value", "sand")
	users := map[string]*caller{}
	for _, name := range []string{"rocky", "sandy"} {
		key := h.iam("CreateAccessKey", "UserName", name)
		u := &caller{h, name, "arn:aws:iam::" + account + ":user/" + name, sigv4.Credentials{AccessKeyID: key("AccessKeyId"), SecretAccessKey: key("SecretAccessKey")}}
		u.may(when(allow("bedrock:GetInferenceProfile", "*"), "StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
			statement{Effect: "Allow", Action: []string{"bedrock:CreateAgent"}, Resource: []string{"*"}, Condition: map[string]map[string]any{"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}, "ForAllValues:StringEquals": {"aws:TagKeys": []string{"team"}}}})
		users[name] = u
	}
	get := call{method: "GET", path: "/inference-profiles/" + url.PathEscape(profile.InferenceProfileARN)}
	ask := func(who string, want int) {
		t.Helper()
		if code, body := users[who].call(get); code != want {
			t.Errorf("%s: %d %s, want %d", who, code, body, want)
		}
	}
	ask("rocky", http.StatusOK)
	ask("sandy", http.StatusForbidden)
	if code, body := admin.call(call{method: "POST", path: "/untagResource", body: `{"resourceARN":"` + profile.InferenceProfileARN + `","tagKeys":["team"]}`}); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	ask("rocky", http.StatusForbidden)
	if code, body := admin.call(call{method: "POST", path: "/tagResource", body: `{"resourceARN":"` + profile.InferenceProfileARN + `","tags":[{"key":"team","value":"sand"}]}`}); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	ask("sandy", http.StatusOK)
	for tags, allowed := range map[string]bool{``: false, `,"tags":{"team":"rock"}`: true, `,"tags":{"team":"sand"}`: false, `,"tags":{"team":"rock","more":"x"}`: false} {
		code, body := users["rocky"].call(call{method: "PUT", path: "/agents/", body: `{"agentName":"a"` + tags + `}`})
		if denied := code == http.StatusForbidden && strings.Contains(body, "to perform: bedrock:CreateAgent"); denied == allowed {
			t.Errorf("CreateAgent%s: %d %s", tags, code, body)
		}
	}
}
