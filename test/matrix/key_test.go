package matrix

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/service"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func when(s statement, operator, key string, value any) statement {
	s.Condition = map[string]map[string]any{operator: {key: value}}
	return s
}

// call is a request written by hand.
type call struct {
	method, path, body string
	header             map[string]string
}

func (c *caller) call(q call) (int, string) {
	c.t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	for k, v := range q.header {
		header.Set(k, v)
	}
	code, _, body := c.send(c.keys, "bedrock", q.method, q.path, "", header, []byte(q.body))
	return code, string(body)
}

// Bedrock's own condition keys come from the members of requests. Each policy allows
// under one condition; the answer shows whether the request met it.
func TestConditionKeysComeFromRequests(t *testing.T) {
	h := open(t)
	u := h.user("u")
	const (
		hello     = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]`
		converse  = "/model/" + "anthropic.claude-3-haiku-20240307-v1%3A0" + "/converse"
		invoke    = "/model/" + "anthropic.claude-3-haiku-20240307-v1%3A0" + "/invoke"
		claude    = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}`
		guardrail = "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr1"
		router    = "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1"
	)
	plain := call{method: "POST", path: converse, body: hello + "}"}
	rail := func(id, version string) call {
		return call{method: "POST", path: converse, body: hello + `,"guardrailConfig":{"guardrailIdentifier":"` + id + `","guardrailVersion":"` + version + `"}}`}
	}
	tier := func(name string) call {
		return call{method: "POST", path: converse, body: hello + `,"serviceTier":{"type":"` + name + `"}}`}
	}
	inline := func(name string) call {
		body := `{"foundationModel":"anthropic.claude-3-haiku-20240307-v1:0","instruction":"You answer questions about rocks and minerals in short sentences.","inputText":"hello"`
		if name != "" {
			body += `,"agentName":"` + name + `"`
		}
		return call{method: "POST", path: "/agents/session1", body: body + "}"}
	}
	model := allow("bedrock:InvokeModel", "*")
	for _, c := range []struct {
		name   string
		policy statement
		yes    []call
		no     []call
	}{
		{
			"a guardrail and its version", when(model, "StringEquals", "bedrock:GuardrailIdentifier", guardrail+":1"),
			[]call{rail("gr1", "1"), rail(guardrail, "1"), {"POST", invoke, claude, map[string]string{"X-Amzn-Bedrock-GuardrailIdentifier": "gr1", "X-Amzn-Bedrock-GuardrailVersion": "1"}}},
			[]call{plain, rail("gr1", "2"), rail("gr1", "DRAFT"), rail("gr2", "1"), {"POST", invoke, claude, nil}},
		},
		{
			"the draft of a guardrail", when(model, "StringEquals", "bedrock:GuardrailIdentifier", guardrail),
			[]call{rail("gr1", "DRAFT")}, []call{plain, rail("gr1", "1")},
		},
		{"no guardrail", when(model, "Null", "bedrock:GuardrailIdentifier", "true"), []call{plain}, []call{rail("gr1", "1")}},
		{
			"a service tier", when(model, "StringEquals", "bedrock:ServiceTier", "flex"),
			[]call{tier("flex"), {"POST", invoke, claude, map[string]string{"X-Amzn-Bedrock-Service-Tier": "flex"}}}, []call{plain, tier("priority")},
		},
		{
			"a prompt router", when(model, "ArnEquals", "bedrock:PromptRouterArn", router),
			[]call{{"POST", "/model/" + url.PathEscape(router) + "/converse", hello + "}", nil}}, []call{plain, {"POST", "/model/" + url.PathEscape(router+"2") + "/converse", hello + "}", nil}},
		},
		{
			"the name of an inline agent", when(allow("bedrock:InvokeInlineAgent", "*"), "StringLike", "bedrock:InlineAgentName", "rock*"),
			[]call{inline("rocky")}, []call{inline(""), inline("sandy")},
		},
	} {
		u.may(c.policy)
		for _, q := range c.yes {
			if code, body := u.call(q); code == http.StatusForbidden {
				t.Errorf("%s: %s %s %v was refused: %s", c.name, q.path, q.body, q.header, body)
			}
		}
		for _, q := range c.no {
			if code, body := u.call(q); code != http.StatusForbidden || !strings.Contains(body, "no identity-based policy allows") {
				t.Errorf("%s: %s %s %v was not refused: %d %s", c.name, q.path, q.body, q.header, code, body)
			}
		}
	}
}

// API keys say what they are; the permission to use one is asked besides the
// operation's own.
func TestTheKindOfAnAPIKeyIsACondition(t *testing.T) {
	h := open(t)
	u := h.user("u")
	long := h.iam("CreateServiceSpecificCredential", "UserName", "u", "ServiceName", "bedrock.amazonaws.com")("ServiceCredentialSecret")
	short := func() string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://bedrock.amazonaws.com/?Action=CallWithBearerToken", nil)
		if err != nil {
			t.Fatal(err)
		}
		signed := sigv4.Presign(r, u.keys, region, "bedrock", time.Now(), time.Hour, "")
		return "bedrock-api-key-" + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(signed, "https://")+"&Version=1"))
	}()
	ask := func(key string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.conn.Endpoint+"/foundation-models", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := h.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	list := allow("bedrock:ListFoundationModels", "*")
	for _, c := range []struct {
		name        string
		policy      []statement
		long, short int
	}{
		{"without the permission", []statement{list}, 403, 403},
		{"any key", []statement{list, allow("bedrock:CallWithBearerToken", "*")}, 200, 200},
		{"short ones only", []statement{list, when(allow("bedrock:CallWithBearerToken", "*"), "StringEquals", "bedrock:BearerTokenType", "SHORT_TERM")}, 403, 200},
		{"long ones only", []statement{list, when(allow("bedrock:CallWithBearerToken", "*"), "StringEquals", "bedrock:BearerTokenType", "LONG_TERM")}, 200, 403},
		{"the permission alone", []statement{allow("bedrock:CallWithBearerToken", "*")}, 403, 403},
	} {
		u.may(c.policy...)
		for name, k := range map[string]struct {
			key  string
			want int
		}{"long-term": {long, c.long}, "short-term": {short, c.short}} {
			code, body := ask(k.key)
			if code != k.want {
				t.Errorf("%s, %s: %d %s", c.name, name, code, body)
			}
			if c.name == "without the permission" && !strings.Contains(body, refusal(u.arn, "bedrock:CallWithBearerToken", "", noPolicy("bedrock:CallWithBearerToken"))) {
				t.Errorf("%s, %s: %s", c.name, name, body)
			}
		}
	}
}

// How long an API key may live is a condition of making it.
func TestTheAgeOfAnAPIKeyIsACondition(t *testing.T) {
	h := open(t)
	u := h.user("u")
	u.may(when(allow("iam:CreateServiceSpecificCredential", "arn:aws:iam::*:user/${aws:username}"), "NumericLessThanEquals", "iam:ServiceSpecificCredentialAgeDays", "30"),
		when(allow("iam:DeleteServiceSpecificCredential", "*"), "StringEquals", "iam:ServiceSpecificCredentialServiceName", "bedrock.amazonaws.com"))
	ask := func(form url.Values) (int, string) {
		t.Helper()
		form.Set("Version", "2010-05-08")
		form.Set("UserName", "u")
		code, _, body := h.send(u.keys, "iam", http.MethodPost, "/", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
		return code, string(body)
	}
	for days, want := range map[string]int{"30": 200, "31": 403, "": 403} {
		form := url.Values{"Action": {"CreateServiceSpecificCredential"}, "ServiceName": {"bedrock.amazonaws.com"}}
		if days != "" {
			form.Set("CredentialAgeDays", days)
		}
		code, body := ask(form)
		if code != want {
			t.Errorf("a key of %q days: %d %s", days, code, body)
		}
		if want != 200 {
			continue
		}
		_, id, _ := strings.Cut(body, "<ServiceSpecificCredentialId>")
		id, _, _ = strings.Cut(id, "<")
		if code, body := ask(url.Values{"Action": {"DeleteServiceSpecificCredential"}, "ServiceSpecificCredentialId": {id}}); code != 200 {
			t.Errorf("delete: %d %s", code, body)
		}
	}
}

// Every operation that takes tags is decided by them, and by the keys of the tags
// alone; UntagResource by the keys.
func TestTagsOfRequestsAreConditions(t *testing.T) {
	h := open(t)
	u := h.user("u")
	made := requests(t)
	rows := map[string]*row{}
	for _, r := range readList(t) {
		rows[r.key()] = &r
	}
	count := 0
	for _, m := range service.Models {
		for i := range m.Service.Operations {
			op := &m.Service.Operations[i]
			if op.Input == api.NoShape {
				continue
			}
			key := m.Service.Name + "." + op.Name
			all := made[key]
			r := all[len(all)-1] // the full one
			tags := map[string]string{}
			var keys []string
			for path, values := range r.values {
				base, rest, _ := strings.Cut(path, ".")
				switch {
				case strings.HasSuffix(base, "ags[]") && rest == "key":
					for n, k := range values {
						tags[k] = r.values[base+".value"][n]
					}
				case base == "tags" && rest != "":
					tags[rest] = values[0]
				case base == "tagKeys[]", base == "tagKeys":
					keys = values
				}
			}
			takes := false
			for _, member := range m.Service.Shapes[op.Input].Members {
				takes = takes || strings.HasSuffix(strings.ToLower(member.Name), "tags") || member.Name == "tagKeys"
			}
			if takes != (len(tags)+len(keys) > 0) {
				t.Errorf("%s takes tags: %v, but the request has %v %v", key, takes, tags, keys)
			}
			if !takes {
				continue
			}
			count++
			for k := range tags {
				keys = append(keys, k)
			}
			for name, c := range map[string]struct {
				operator, key string
				good, bad     any
			}{
				"tag":  {"StringEquals", "aws:RequestTag/" + keys[0], tags[keys[0]], tags[keys[0]] + "OTHER"},
				"keys": {"ForAllValues:StringEquals", "aws:TagKeys", keys, []string{"OTHER"}},
				"need": {"Null", "aws:TagKeys", "false", "true"},
			} {
				if name == "tag" && len(tags) == 0 {
					continue
				}
				w := rows[key]
				u.may(when(allow(w.action, "*"), c.operator, c.key, c.good))
				code, _, msg := u.ask(r)
				if code == http.StatusForbidden && strings.HasPrefix(msg, refusal(u.arn, w.action, "", "")[:len(refusal(u.arn, w.action, "", ""))-1]) {
					t.Errorf("%s with %s %s: %s", key, c.key, c.good, msg)
				}
				u.may(when(allow(w.action, "*"), c.operator, c.key, c.bad))
				if code, _, msg = u.ask(r); code != http.StatusForbidden || !strings.Contains(msg, noPolicy(w.action)) {
					t.Errorf("%s with %s %s: %d %s", key, c.key, c.bad, code, msg)
				}
			}
		}
	}
	t.Logf("%d operations take tags", count)
	if count < 25 {
		t.Errorf("%d operations take tags, want at least 25", count)
	}
}

// The secret of a vector store elsewhere is a condition of a permission that rooms
// ask of a role; what a policy makes of it is the same everywhere.
func TestTheSecretOfAThirdPartyStoreIsACondition(t *testing.T) {
	h := open(t)
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pinecone-AbCdEf"
	h.iam("CreateRole", "RoleName", "kb", "AssumeRolePolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	h.iam("PutRolePolicy", "RoleName", "kb", "PolicyName", "p", "PolicyDocument",
		document(when(allow("bedrock:AssociateThirdPartyKnowledgeBase", "*"), "StringEquals", "bedrock:ThirdPartyKnowledgeBaseCredentialsSecretArn", secret)))
	for value, want := range map[string]string{secret: "allowed", secret + "X": "implicitDeny"} {
		got := h.iam("SimulatePrincipalPolicy", "PolicySourceArn", "arn:aws:iam::"+account+":role/kb", "ActionNames.member.1", "bedrock:AssociateThirdPartyKnowledgeBase",
			"ResourceArns.member.1", "arn:aws:bedrock:us-east-1:123456789012:knowledge-base/KB00000001",
			"ContextEntries.member.1.ContextKeyName", "bedrock:ThirdPartyKnowledgeBaseCredentialsSecretArn", "ContextEntries.member.1.ContextKeyType", "string", "ContextEntries.member.1.ContextKeyValues.member.1", value)("EvalDecision")
		if got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}
