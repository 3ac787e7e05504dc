package matrix

import (
	"net/http"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// The text of a refusal names the kind of policy that decided.
func TestARefusalNamesTheKindOfPolicy(t *testing.T) {
	h := open(t)
	bounded := h.user("bounded")
	bounded.may(allow("*", "*"))
	h.iam("CreatePolicy", "PolicyName", "boundary", "PolicyDocument", document(allow("iam:*", "*")))
	const boundary = "arn:aws:iam::" + account + ":policy/boundary"
	h.iam("PutUserPermissionsBoundary", "UserName", "bounded", "PermissionsBoundary", boundary)
	h.iam("CreateRole", "RoleName", "worker", "AssumeRolePolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}]}`)
	h.iam("PutRolePolicy", "RoleName", "worker", "PolicyName", "p", "PolicyDocument", document(allow("bedrock:*", "*")))
	session := func(policy string) *caller {
		t.Helper()
		in := []string{"RoleArn", "arn:aws:iam::" + account + ":role/worker", "RoleSessionName", "job"}
		if policy != "" {
			in = append(in, "Policy", policy)
		}
		got := h.query("sts", "2011-06-15", "AssumeRole", in...)
		return &caller{h, "worker", got("Arn"), sigv4.Credentials{AccessKeyID: got("AccessKeyId"), SecretAccessKey: got("SecretAccessKey"), SessionToken: got("SessionToken")}}
	}
	if got := session("").arn; got != "arn:aws:sts::"+account+":assumed-role/worker/job" {
		t.Fatal(got)
	}
	made := requests(t)
	rows := map[string]*row{}
	for _, r := range readList(t) {
		rows[r.key()] = &r
	}
	for _, key := range []string{"bedrock.ListFoundationModels", "bedrock-runtime.InvokeModel", "bedrock-runtime.ConverseStream", "bedrock-agent.GetAgent", "bedrock-agent.AssociateAgentKnowledgeBase", "bedrock-agent-runtime.InvokeAgent"} {
		w, r := rows[key], made[key][0]
		var resource string
		deny := statement{Effect: "Deny", Action: []string{w.action}, Resource: []string{"*"}}
		if all := r.resources(w); len(all) > 0 {
			resource = all[0][0]
			deny.Resource = []string{resource}
		}
		for _, c := range []struct {
			name string
			who  func() *caller
			why  string
		}{
			{"a boundary that does not allow", func() *caller { return bounded }, "because no permissions boundary allows the " + w.action + " action"},
			{"a session policy that does not allow", func() *caller {
				return session(document(statement{Effect: "Allow", NotAction: []string{w.action}, Resource: []string{"*"}}))
			}, "because no session policy allows the " + w.action + " action"},
			{"a session policy that denies", func() *caller { return session(document(allow("*", "*"), deny)) }, "with an explicit deny in a session policy"},
		} {
			who := c.who()
			code, kind, msg := who.ask(r)
			if want := refusal(who.arn, w.action, resource, c.why); code != http.StatusForbidden || kind != "AccessDeniedException" || msg != want {
				t.Errorf("%s, %s:\n got %d %s %q\nwant %q", key, c.name, code, kind, msg, want)
			}
		}
		if code, _, msg := session("").ask(r); code == http.StatusForbidden {
			t.Errorf("%s in a session without a policy: %s", key, msg)
		}
	}
	// A boundary that denies.
	h.iam("CreatePolicyVersion", "PolicyArn", boundary, "SetAsDefault", "true", "PolicyDocument", document(allow("*", "*"), statement{Effect: "Deny", Action: []string{"bedrock:GetAgent"}, Resource: []string{"*"}}))
	w, r := rows["bedrock-agent.GetAgent"], made["bedrock-agent.GetAgent"][0]
	if code, _, msg := bounded.ask(r); code != http.StatusForbidden || msg != refusal(bounded.arn, w.action, r.resources(w)[0][0], "with an explicit deny in a permissions boundary") {
		t.Errorf("a boundary that denies: %d %s", code, msg)
	}
	if code, _, msg := bounded.ask(made["bedrock.ListFoundationModels"][0]); code != http.StatusOK {
		t.Errorf("a boundary that allows: %d %s", code, msg)
	}
}
