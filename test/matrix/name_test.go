package matrix

import (
	"net/http"
	"strings"
	"testing"
)

// A policy names resources by ARN; a request that uses a name instead is decided by
// the ARN that the name stands for, and by the tags of that.
func TestANameLeadsNotAroundAPolicy(t *testing.T) {
	h := open(t)
	admin := &caller{h, "admin", "", h.admin}
	code, body := admin.call(call{method: "POST", path: "/provisioned-model-throughput", body: `{"provisionedModelName":"mine","modelUnits":1,"modelId":"anthropic.claude-3-haiku-20240307-v1:0:48k","tags":[{"key":"team","value":"rock"}]}`})
	if code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	_, arn, _ := strings.Cut(body, `"provisionedModelArn":"`)
	arn, _, _ = strings.Cut(arn, `"`)
	u := h.user("u")
	const action = "bedrock:GetProvisionedModelThroughput"
	get := call{method: "GET", path: "/provisioned-model-throughput/mine"}
	u.may(allow(action, arn))
	if code, body := u.call(get); code != http.StatusOK {
		t.Errorf("allowed by ARN, asked by name: %d %s", code, body)
	}
	u.may(allow("*", "*"), statement{Effect: "Deny", Action: []string{"bedrock:*"}, Resource: []string{arn}})
	if code, body := u.call(get); code != http.StatusForbidden || !strings.Contains(body, refusal(u.arn, action, arn, explicit)) {
		t.Errorf("denied by ARN, asked by name: %d %s", code, body)
	}
	if code, body := u.call(call{method: "POST", path: "/model/mine/converse", body: `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`}); code != http.StatusForbidden {
		t.Errorf("denied by ARN, invoked by name: %d %s", code, body)
	}
	for team, want := range map[string]int{"rock": http.StatusOK, "sand": http.StatusForbidden} {
		u.may(when(allow(action, "*"), "StringEquals", "aws:ResourceTag/team", team))
		if code, body := u.call(get); code != want {
			t.Errorf("tagged rock, allowed for %s, asked by name: %d %s", team, code, body)
		}
	}
}
