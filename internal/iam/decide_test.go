package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

const (
	region   = "arn:aws:bedrock:us-east-1:123456789012:"
	model    = "arn:aws:bedrock:us-east-1::foundation-model/"
	stranger = "999999999999"
)

// house is an Identity with short ways to fill it.
type house struct {
	*Identity
	t   *testing.T
	now time.Time
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	var err error
	if h.Identity, err = New(t.Context(), Config{Store: &MemoryStore{}, Now: func() time.Time { return h.now }}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func statement(effect string, actions, resources []string, condition string) string {
	quote := func(list []string) string { return `["` + strings.Join(list, `","`) + `"]` }
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Effect":%q,"Action":%s,"Resource":%s%s}`, effect, quote(actions), quote(resources), condition)
}

func document0(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(actions, resources string) string {
	return document0(statement("Allow", strings.Fields(actions), strings.Fields(resources), ""))
}

// user makes a user with inline policies and returns its principal.
func (h *house) user(name string, documents ...string) *Principal {
	h.t.Helper()
	_, err := h.CreateUser(h.t.Context(), account, name, "")
	h.must(err)
	for n, d := range documents {
		h.must(h.PutInlinePolicy(h.t.Context(), Holder{UserHolder, account, name}, fmt.Sprint("p", n), d))
	}
	_, err = h.CreateAccessKey(h.t.Context(), account, name)
	h.must(err)
	return h.principal(name)
}

// principal is the user as the newest snapshot has it.
func (h *house) principal(name string) *Principal {
	h.t.Helper()
	k := h.Snapshot().AccessKeys(account, name)
	if len(k) == 0 {
		h.t.Fatal(name, "has no key")
	}
	c, ok := h.Credential(k[0].ID)
	if !ok {
		h.t.Fatal(name, "has no credential")
	}
	return c.Principal
}

func (h *house) check(what string, p *Principal, action, resource string, cond map[string][]string, want bool) {
	h.t.Helper()
	err := h.Authorize(h.t.Context(), p, action, resource, cond)
	if (err == nil) != want {
		h.t.Errorf("%s: %s on %s: %v, want allowed=%v", what, action, resource, err, want)
	}
	if err != nil && apierr.KindOf(err) != apierr.AccessDenied {
		h.t.Errorf("%s: %v", what, err)
	}
}

// TestTheGuidesExamplePolicies is the decision table of each example.
// named asks for one model by its possible names.
func named(p *Principal, resources ...string) []Question {
	var out []Question
	for _, r := range resources {
		out = append(out, Question{Principal: p, Action: "bedrock:InvokeModel", Resource: r})
	}
	return out
}

func TestTheGuidesExamplePolicies(t *testing.T) {
	h := newHouse(t)
	// E1: one's own permissions.
	e1 := h.user("alice", document0(
		statement("Allow", []string{"iam:GetUserPolicy", "iam:ListGroupsForUser", "iam:ListAttachedUserPolicies", "iam:ListUserPolicies", "iam:GetUser"}, []string{"arn:aws:iam::*:user/${aws:username}"}, ""),
		statement("Allow", []string{"iam:GetPolicy", "iam:ListUsers"}, []string{"*"}, "")))
	h.check("E1 own", e1, "iam:GetUser", "arn:aws:iam::123456789012:user/alice", nil, true)
	h.check("E1 other", e1, "iam:GetUser", "arn:aws:iam::123456789012:user/bob", nil, false)
	h.check("E1 list", e1, "iam:ListUsers", "*", nil, true)
	h.check("E1 claims another name", e1, "iam:GetUser", "arn:aws:iam::123456789012:user/bob", map[string][]string{"aws:username": {"bob"}}, false)

	// E2: listed products.
	e2 := h.user("buyer", document0(statement("Allow", []string{"aws-marketplace:Subscribe"}, []string{"*"}, `{"ForAnyValue:StringEquals":{"aws-marketplace:ProductId":["prod-6dw3qvchef7zy","prod-ozonys2hmmpeu"]}}`)))
	h.check("E2 listed", e2, "aws-marketplace:Subscribe", "*", map[string][]string{"aws-marketplace:ProductId": {"prod-ozonys2hmmpeu"}}, true)
	h.check("E2 other", e2, "aws-marketplace:Subscribe", "*", map[string][]string{"aws-marketplace:ProductId": {"prod-2c2yc2s3guhqy"}}, false)
	h.check("E2 none", e2, "aws-marketplace:Subscribe", "*", nil, false)

	// E3: an administrator without one model. Converse asks for the same action.
	h.must(h.PutInlinePolicy(t.Context(), Holder{UserHolder, account, AdminUser}, "DenyInference",
		`{"Version":"2012-10-17","Statement":{"Sid":"DenyInference","Effect":"Deny","Action":["bedrock:InvokeModel","bedrock:InvokeModelWithResponseStream"],"Resource":"arn:aws:bedrock:*::foundation-model/anthropic.claude-v2"}}`))
	e3 := h.principal(AdminUser)
	for _, action := range []string{"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"} {
		h.check("E3", e3, action, model+"anthropic.claude-v2", nil, false)
		h.check("E3 another Region", e3, action, strings.Replace(model, "us-east-1", "eu-west-1", 1)+"anthropic.claude-v2", nil, false)
		h.check("E3 another model", e3, action, model+"anthropic.claude-v2:1", nil, true)
	}
	// Of several possible resources a deny of one decides.
	maybe := []string{region + "provisioned-model/anthropic.claude-v2", model + "anthropic.claude-v2"}
	if err := h.AllowOne(named(e3, maybe...)); err == nil || !strings.HasSuffix(err.Error(), model+"anthropic.claude-v2 with an explicit deny in an identity-based policy") {
		t.Error(err)
	}
	if h.Unrestricted(e3) || h.Authorize(t.Context(), e3, "*", "*", nil) == nil {
		t.Error("an administrator with a deny is unrestricted")
	}
	h.must(h.DeleteInlinePolicy(t.Context(), Holder{UserHolder, account, AdminUser}, "DenyInference"))
	if e3 = h.principal(AdminUser); !h.Unrestricted(e3) || h.Authorize(t.Context(), e3, "*", "*", nil) != nil {
		t.Error("the administrator is restricted")
	}

	// E4: agents.
	names := strings.Fields("ListFoundationModels GetFoundationModel TagResource UntagResource ListTagsForResource CreateAgent UpdateAgent GetAgent ListAgents DeleteAgent CreateAgentActionGroup UpdateAgentActionGroup GetAgentActionGroup ListAgentActionGroups DeleteAgentActionGroup GetAgentVersion ListAgentVersions DeleteAgentVersion CreateAgentAlias UpdateAgentAlias GetAgentAlias ListAgentAliases DeleteAgentAlias AssociateAgentKnowledgeBase DisassociateAgentKnowledgeBase GetKnowledgeBase ListKnowledgeBases PrepareAgent InvokeAgent")
	if len(names) != 29 {
		t.Fatal(len(names))
	}
	e4 := h.user("builder", allow("bedrock:"+strings.Join(names, " bedrock:"), "*"))
	for _, n := range names {
		h.check("E4", e4, "bedrock:"+n, region+"agent/AGENT12345", nil, true)
	}
	h.check("E4 outside", e4, "bedrock:CreateKnowledgeBase", "*", nil, false)

	// E5: one agent and one alias.
	e5 := h.user("fixer", document0(
		statement("Allow", []string{"bedrock:GetAgent", "bedrock:UpdateAgent"}, []string{region + "agent/AGENT12345"}, ""),
		statement("Allow", []string{"bedrock:InvokeAgent"}, []string{region + "agent-alias/AGENT12345/ALIAS12345"}, "")))
	h.check("E5 alias", e5, "bedrock:InvokeAgent", region+"agent-alias/AGENT12345/ALIAS12345", nil, true)
	h.check("E5 test alias", e5, "bedrock:InvokeAgent", region+"agent-alias/AGENT12345/TSTALIASID", nil, false)
	h.check("E5 agent", e5, "bedrock:UpdateAgent", region+"agent/AGENT12345", nil, true)
	h.check("E5 other agent", e5, "bedrock:UpdateAgent", region+"agent/AGENT99999", nil, false)

	// A pair that cannot meet grants nothing.
	pair := h.user("pair", allow("bedrock:InvokeAgent", region+"agent/AGENT12345"))
	h.check("alias action on an agent", pair, "bedrock:InvokeAgent", region+"agent-alias/AGENT12345/ALIAS12345", nil, false)

	// E7: one provisioned model.
	e7 := h.user("tenant", allow("bedrock:InvokeModel bedrock:InvokeModelWithResponseStream", region+"provisioned-model/abcdefghijkl"))
	h.check("E7", e7, "bedrock:InvokeModel", region+"provisioned-model/abcdefghijkl", nil, true)
	if err := h.AllowOne(named(e7, model+"abcdefghijkl", region+"provisioned-model/abcdefghijkl")); err != nil {
		t.Error(err)
	}
	if err := h.AllowOne(named(e7, model+"x", region+"provisioned-model/x")); err == nil || !strings.Contains(err.Error(), "on resource: "+model+"x because") {
		t.Error(err)
	}
	if err := h.AllowOne(nil); err == nil {
		t.Error("nothing was asked and allowed")
	}
	h.check("E7 manage", e7, "bedrock:GetProvisionedModelThroughput", region+"provisioned-model/abcdefghijkl", nil, false)
	h.check("E7 base model", e7, "bedrock:InvokeModel", model+"anthropic.claude-v2", nil, false)

	// Two resources: both must pass, and the missing one is named.
	both := h.user("joiner", allow("bedrock:AssociateAgentKnowledgeBase", region+"agent/A"))
	h.check("agent", both, "bedrock:AssociateAgentKnowledgeBase", region+"agent/A", nil, true)
	err := h.Authorize(t.Context(), both, "bedrock:AssociateAgentKnowledgeBase", region+"knowledge-base/K", nil)
	want := "User: arn:aws:iam::123456789012:user/joiner is not authorized to perform: bedrock:AssociateAgentKnowledgeBase on resource: " + region + "knowledge-base/K because no identity-based policy allows the bedrock:AssociateAgentKnowledgeBase action"
	if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Message != want {
		t.Errorf("%v", err)
	}
}

func TestAttributesDecide(t *testing.T) {
	h := newHouse(t)
	h.user("dev", document0(
		statement("Allow", []string{"bedrock:GetAgent"}, []string{"*"}, `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`),
		statement("Allow", []string{"bedrock:CreateAgent"}, []string{"*"}, `{"StringEquals":{"aws:RequestTag/team":"red"},"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`)))
	dev := Holder{UserHolder, account, "dev"}
	tag := func(v string) map[string][]string { return map[string][]string{"aws:ResourceTag/team": {v}} }
	h.check("principal without tag", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", tag("red"), false)
	h.must(h.Tag(t.Context(), dev, map[string]string{"team": "red"}))
	h.check("same tag", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", tag("red"), true)
	h.check("another tag", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", tag("blue"), false)
	h.check("resource untagged", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", nil, false)
	h.must(h.Tag(t.Context(), dev, map[string]string{"Team": "blue"}))
	h.check("tagged anew in another case", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", tag("blue"), true)
	h.must(h.Untag(t.Context(), dev, []string{"team"}))
	h.check("principal untagged", h.principal("dev"), "bedrock:GetAgent", region+"agent/A", tag("red"), false)
	create := func(kv ...string) map[string][]string {
		m := map[string][]string{}
		for i := 0; i < len(kv); i += 2 {
			m["aws:RequestTag/"+kv[i]] = []string{kv[i+1]}
			m["aws:TagKeys"] = append(m["aws:TagKeys"], kv[i])
		}
		return m
	}
	h.check("create without tags", h.principal("dev"), "bedrock:CreateAgent", "*", nil, false)
	h.check("create with the tag", h.principal("dev"), "bedrock:CreateAgent", "*", create("team", "red", "cost", "1"), true)
	h.check("create with another key", h.principal("dev"), "bedrock:CreateAgent", "*", create("team", "red", "owner", "x"), false)
}

func TestManagedPoliciesThatAWSShips(t *testing.T) {
	h := newHouse(t)
	attach := func(name string, policies ...string) *Principal {
		h.user(name)
		for _, p := range policies {
			h.must(h.AttachPolicy(t.Context(), Holder{UserHolder, account, name}, "arn:aws:iam::aws:policy/"+p))
		}
		return h.principal(name)
	}
	full := attach("full", "AmazonBedrockFullAccess")
	h.check("full", full, "bedrock:CreateKnowledgeBase", "*", nil, true)
	h.check("full", full, "kms:DescribeKey", "arn:aws:kms:us-east-1:123456789012:key/k", nil, true)
	h.check("full", full, "s3:GetObject", "arn:aws:s3:::b/k", nil, false)
	read := attach("read", "AmazonBedrockReadOnly")
	h.check("read", read, "bedrock:GetAgent", region+"agent/A", nil, true)
	h.check("read", read, "bedrock:ListAgents", "*", nil, true)
	h.check("read", read, "bedrock:PutModelInvocationLoggingConfiguration", "*", nil, false)
	h.check("read", read, "bedrock:InvokeModel", model+"m", nil, false)

	// PassRole: CreateKnowledgeBase and its like ask this.
	const good, bad = "arn:aws:iam::123456789012:role/AmazonBedrockExecutionRoleForKnowledgeBase_x", "arn:aws:iam::123456789012:role/kb"
	nobody := h.user("nobody", allow("bedrock:*", "*"))
	err := h.PassRole(t.Context(), nobody, good, "bedrock.amazonaws.com")
	if e, ok := errors.AsType[*apierr.Error](err); !ok || !strings.HasPrefix(e.Message, "User: arn:aws:iam::123456789012:user/nobody is not authorized to perform: iam:PassRole on resource: "+good+" because no identity-based policy allows the iam:PassRole action") {
		t.Error(err)
	}
	for _, c := range []struct {
		role, service string
		want          bool
	}{{good, "bedrock.amazonaws.com", true}, {good, "lambda.amazonaws.com", false}, {bad, "bedrock.amazonaws.com", false}} {
		if err := h.PassRole(t.Context(), full, c.role, c.service); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := h.PassRole(t.Context(), h.principal(AdminUser), "arn:aws:iam::999999999999:role/AmazonBedrock", "bedrock.amazonaws.com"); err == nil {
		t.Error("a role of another account was passed")
	}

	for arn, m := range h.Snapshot().shipped {
		if err := checkManaged(m.Versions[0].Document); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
		if err := h.DeletePolicy(t.Context(), account, arn); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", arn, err)
		}
		if _, err := h.CreatePolicyVersion(t.Context(), account, arn, allow("*", "*"), true); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", arn, err)
		}
	}
	if ps := h.Snapshot().Policies("aws"); len(ps) != len(shipped) || ps[0].Name != "AWSLambdaBasicExecutionRole" {
		t.Error(len(ps))
	}
}

func TestGroupsBoundariesAndVersions(t *testing.T) {
	ctx := t.Context()
	h := newHouse(t)
	h.user("u")
	user, group := Holder{UserHolder, account, "u"}, Holder{GroupHolder, account, "Devs"}
	const agent = region + "agent/A"
	_, err := h.CreateGroup(ctx, account, "Devs", "/x/")
	h.must(err)
	h.must(h.PutInlinePolicy(ctx, group, "p", allow("bedrock:GetAgent", "*")))
	h.check("not a member", h.principal("u"), "bedrock:GetAgent", agent, nil, false)
	h.must(h.AddToGroup(ctx, account, "devs", "U"))
	h.must(h.AddToGroup(ctx, account, "Devs", "u"))
	h.check("member", h.principal("u"), "bedrock:GetAgent", agent, nil, true)
	if ms := h.Snapshot().Members(account, "DEVS"); len(ms) != 1 || len(ms[0].Groups) != 1 {
		t.Error(ms)
	}
	m, err := h.CreatePolicy(ctx, PolicyInput{Account: account, Name: "Narrow", Path: "/b/", Document: allow("bedrock:List*", "*")})
	h.must(err)
	arn := h.Snapshot().PolicyARN(m)
	if arn != "arn:aws:iam::123456789012:policy/b/Narrow" {
		t.Fatal(arn)
	}
	h.must(h.SetBoundary(ctx, user, arn))
	err = h.Authorize(ctx, h.principal("u"), "bedrock:GetAgent", agent, nil)
	if err == nil || !strings.Contains(err.Error(), "because no permissions boundary allows the bedrock:GetAgent action") {
		t.Error(err)
	}
	if err := h.DeletePolicy(ctx, account, arn); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "attached to entities") {
		t.Error("a boundary was deleted: ", err)
	}
	v2, err := h.CreatePolicyVersion(ctx, account, arn, allow("bedrock:Get*", "*"), false)
	h.must(err)
	h.check("not in force yet", h.principal("u"), "bedrock:GetAgent", agent, nil, false)
	h.must(h.SetDefaultPolicyVersion(ctx, account, arn, v2.ID))
	h.check("in force", h.principal("u"), "bedrock:GetAgent", agent, nil, true)
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"default version":      {h.DeletePolicyVersion(ctx, account, arn, "v2"), ErrInUse},
		"no version":           {h.DeletePolicyVersion(ctx, account, arn, "v9"), ErrNotFound},
		"default none":         {h.SetDefaultPolicyVersion(ctx, account, arn, "v9"), ErrNotFound},
		"boundary in use":      {h.DeletePolicy(ctx, account, arn), ErrInUse},
		"of another account":   {h.DeletePolicy(ctx, stranger, arn), ErrNotFound},
		"same name":            {second(h.CreatePolicy(ctx, PolicyInput{Account: account, Name: "NARROW", Document: allow("a:b", "*")})), ErrExists},
		"malformed":            {second(h.CreatePolicy(ctx, PolicyInput{Account: account, Name: "M", Document: `{}`})), policy.ErrMalformed},
		"malformed inline":     {h.PutInlinePolicy(ctx, user, "p", `"{}"`), policy.ErrMalformed},
		"inline too large":     {h.PutInlinePolicy(ctx, user, "p", allow("s3:*", "arn:aws:s3:::"+strings.Repeat("x", 2000))), ErrLimit},
		"group with members":   {h.DeleteGroup(ctx, account, "Devs"), ErrInUse},
		"group twice":          {second(h.CreateGroup(ctx, account, "DEVS", "")), ErrExists},
		"group has no tags":    {h.Tag(ctx, group, map[string]string{"a": "b"}), ErrInvalid},
		"group has no bound":   {h.SetBoundary(ctx, group, arn), ErrInvalid},
		"attach nothing":       {h.AttachPolicy(ctx, user, "arn:aws:iam::aws:policy/None"), ErrNotFound},
		"attach to nobody":     {h.AttachPolicy(ctx, Holder{RoleHolder, account, "x"}, arn), ErrNotFound},
		"detach what is not":   {h.DetachPolicy(ctx, user, arn), ErrNotFound},
		"inline of none":       {h.DeleteInlinePolicy(ctx, user, "none"), ErrNotFound},
		"user in a group":      {deleteUserWithoutKeys(h, "u"), ErrInUse},
		"duplicate tag keys":   {h.Tag(ctx, user, map[string]string{"a": "1", "A": "2"}), ErrInvalid},
		"reserved tag key":     {h.Tag(ctx, user, map[string]string{"aws:a": "1"}), ErrInvalid},
		"not in the group":     {h.RemoveFromGroup(ctx, account, "Devs", AdminUser), ErrNotFound},
		"policy name":          {second(h.CreatePolicy(ctx, PolicyInput{Account: account, Name: "a b", Document: allow("a:b", "*")})), ErrInvalid},
		"policy of no account": {second(h.CreatePolicy(ctx, PolicyInput{Account: stranger, Name: "a", Document: allow("a:b", "*")})), ErrNotFound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	for range 3 {
		_, err := h.CreatePolicyVersion(ctx, account, arn, allow("bedrock:Get*", "*"), false)
		h.must(err)
	}
	if _, err := h.CreatePolicyVersion(ctx, account, arn, allow("bedrock:Get*", "*"), false); !errors.Is(err, ErrLimit) {
		t.Error("a sixth version: ", err)
	}
	h.must(h.SetBoundary(ctx, Holder{UserHolder, account, AdminUser}, "arn:aws:iam::aws:policy/AdministratorAccess"))
	if p := h.principal(AdminUser); h.Unrestricted(p) || h.Authorize(ctx, p, "iam:GetPolicy", "arn:aws:iam::aws:policy/AdministratorAccess", nil) != nil {
		t.Error("an administrator with a boundary that allows all")
	}
	h.must(h.SetBoundary(ctx, Holder{UserHolder, account, AdminUser}, ""))
	if narrowed := (&Principal{Kind: KindRoot, Account: account, ARN: "x", UserID: account, SessionPolicies: []string{allow("a:b", "*")}}); h.Unrestricted(narrowed) {
		t.Error("a narrowed session is unrestricted")
	}
	h.must(h.SetBoundary(ctx, user, ""))
	if err := h.DeletePolicy(ctx, account, arn); !errors.Is(err, ErrInUse) {
		t.Error("deleted with versions: ", err)
	}
	for _, v := range []string{"v1", "v3", "v4", "v5"} {
		h.must(h.DeletePolicyVersion(ctx, account, arn, v))
	}
	h.must(h.AttachPolicy(ctx, group, arn))
	if err := h.DeletePolicy(ctx, account, arn); !errors.Is(err, ErrInUse) {
		t.Error("deleted while attached: ", err)
	}
	h.must(h.DetachPolicy(ctx, group, arn))
	h.must(h.DeletePolicy(ctx, account, arn))
	h.must(h.RemoveFromGroup(ctx, account, "Devs", "u"))
	if err := h.DeleteGroup(ctx, account, "Devs"); !errors.Is(err, ErrInUse) {
		t.Error("deleted with a policy: ", err)
	}
	h.must(h.DeleteInlinePolicy(ctx, group, "p"))
	h.must(h.DeleteGroup(ctx, account, "Devs"))
	h.must(h.DeleteUser(ctx, account, "u"))
	for n := range 11 {
		m, err := h.CreatePolicy(ctx, PolicyInput{Account: account, Name: fmt.Sprint("n", n), Document: allow("a:b", "*")})
		h.must(err)
		err = h.AttachPolicy(ctx, Holder{UserHolder, account, AdminUser}, h.Snapshot().PolicyARN(m))
		if want := n >= 9; errors.Is(err, ErrLimit) != want {
			t.Errorf("policy %d: %v", n, err)
		}
	}
}

func deleteUserWithoutKeys(h *house, name string) error {
	for _, k := range h.Snapshot().AccessKeys(account, name) {
		h.must(h.DeleteAccessKey(h.t.Context(), k.ID))
	}
	return h.DeleteUser(h.t.Context(), account, name)
}

func TestPoliciesOfResources(t *testing.T) {
	h := newHouse(t)
	h.must(h.EnsureAccount(t.Context(), stranger))
	alice := h.user("alice")
	bucket := func(principal string) []*policy.Policy {
		p, err := policy.Parse(document0(`{"Effect":"Allow","Principal":`+principal+`,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), policy.Resource)
		h.must(err)
		return []*policy.Policy{p}
	}
	q := func(owner string, ps []*policy.Policy) error {
		return h.Allow(&Question{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Owner: owner, ResourcePolicies: ps})
	}
	if err := q(account, bucket(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`)); err != nil {
		t.Error(err)
	}
	if err := q(stranger, bucket(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`)); err == nil || !strings.Contains(err.Error(), "no identity-based policy allows") {
		t.Error(err)
	}
	h.must(h.PutInlinePolicy(t.Context(), Holder{UserHolder, account, "alice"}, "p", allow("s3:*", "*")))
	if err := q(stranger, nil); err == nil || !strings.Contains(err.Error(), "because no resource-based policy allows the s3:GetObject action") {
		t.Error(err)
	}
	if err := q(stranger, bucket(`{"AWS":"123456789012"}`)); err != nil {
		t.Error(err)
	}
	if err := h.Allow(&Question{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Owner: account, ResourcePolicies: bucket(`"*"`)}); err != nil {
		t.Error("anonymous: ", err)
	}
	deny, err := policy.Parse(document0(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`), policy.Resource)
	h.must(err)
	if err := q(account, []*policy.Policy{deny}); err == nil || !strings.HasSuffix(err.Error(), " with an explicit deny in a resource-based policy") {
		t.Error(err)
	}
	d, steps, err := h.Explain(&Question{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourcePolicies: []*policy.Policy{deny}})
	if err != nil || d.Allowed || len(steps) != 2 || steps[0].Policy != "inline policy p of user alice" || steps[1].Policy != "resource policy 1" || !steps[1].Matched {
		t.Errorf("%+v %+v %v", d, steps, err)
	}
}

// TestWhatThePrincipalIs has one statement for each key that the principal
// brings: without the key it denies.
func TestWhatThePrincipalIs(t *testing.T) {
	h := newHouse(t)
	alice := h.user("alice")
	r := h.role("R", trustIn(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`, ""))
	a, err := h.AssumeRole(t.Context(), alice, AssumeRoleInput{RoleARN: r, SessionName: "s1", SourceIdentity: "me", Tags: map[string]string{"team": "blue"}})
	h.must(err)
	c, _ := h.Credential(a.AccessKeyID)
	u, _ := h.Snapshot().User(account, "alice")
	const issued = "2026-11-25T12:00:00Z"
	for _, c := range []struct {
		p               *Principal
		op, key, values string
	}{
		{alice, "ArnEquals", "aws:PrincipalArn", "arn:aws:iam::123456789012:user/alice"},
		{alice, "StringEquals", "aws:PrincipalAccount", account},
		{alice, "StringEquals", "aws:PrincipalType", "User"},
		{alice, "StringEquals", "aws:username", "alice"},
		{alice, "StringEquals", "aws:userid", u.UserID},
		{alice, "Bool", "aws:PrincipalIsAWSService", "false"},
		{alice, "Null", "aws:SourceIdentity", "true"},
		{alice, "StringEquals", "aws:ResourceAccount", account},
		{alice, "DateEquals", "aws:CurrentTime", issued},
		{alice, "NumericEquals", "aws:EpochTime", "1795608000"},
		{c.Principal, "ArnEquals", "aws:PrincipalArn", r},
		{c.Principal, "StringEquals", "aws:PrincipalType", "AssumedRole"},
		{c.Principal, "StringEquals", "aws:userid", a.RoleID},
		{c.Principal, "Null", "aws:username", "true"},
		{c.Principal, "StringEquals", "aws:PrincipalTag/TEAM", "blue"},
		{c.Principal, "StringEquals", "aws:SourceIdentity", "me"},
		{c.Principal, "DateEquals", "aws:TokenIssueTime", issued},
		{c.Principal, "Bool", "aws:MultiFactorAuthPresent", "false"},
	} {
		p, err := policy.Parse(document0(fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{%q:{%q:%q}}}`, c.op, c.key, c.values)), policy.Resource)
		h.must(err)
		// The request claims otherwise, which must not count.
		claims := map[string][]string{"AWS:PrincipalArn": {"x"}, "aws:PrincipalAccount": {"x"}, "aws:PrincipalType": {"x"}, "aws:username": {"x"}, "aws:userid": {"x"}, "aws:PrincipalIsAWSService": {"true"}, "aws:SourceIdentity": {"x"}}
		if err := h.Allow(&Question{Principal: c.p, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourcePolicies: []*policy.Policy{p}, Keys: claims}); err != nil {
			t.Errorf("%s %s %s: %v", c.p.Name, c.key, c.values, err)
		}
	}
	// A copy that was changed is judged by what it says itself.
	forged := *alice
	forged.Tags = map[string]string{"team": "red"}
	p, err := policy.Parse(document0(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}}`), policy.Resource)
	h.must(err)
	if err := h.Allow(&Question{Principal: &forged, Action: "a:b", ResourcePolicies: []*policy.Policy{p}}); err != nil {
		t.Error(err)
	}
}

func TestRolesAndPoliciesSurviveARestart(t *testing.T) {
	store := &MemoryStore{}
	i := open(t, store)
	h := &house{Identity: i, t: t}
	m, err := h.CreatePolicy(t.Context(), PolicyInput{Account: account, Name: "M", Document: allow("bedrock:GetAgent", "*"), Tags: map[string]string{"a": "b"}})
	h.must(err)
	h.user("alice")
	r := h.role("R", trustIn(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`, ""))
	h.must(h.AttachPolicy(t.Context(), Holder{RoleHolder, account, "R"}, h.Snapshot().PolicyARN(m)))
	_, err = h.CreateGroup(t.Context(), account, "G", "")
	h.must(err)
	h.must(h.AddToGroup(t.Context(), account, "G", "alice"))
	s, err := h.AssumeRole(t.Context(), h.principal("alice"), AssumeRoleInput{RoleARN: r, SessionName: "s1", Policy: allow("bedrock:*", "*")})
	h.must(err)
	again := &house{Identity: open(t, store), t: t}
	c, ok := again.Credential(s.AccessKeyID)
	if !ok {
		t.Fatal("the session is lost")
	}
	again.check("after the restart", c.Principal, "bedrock:GetAgent", region+"agent/A", nil, true)
	again.check("after the restart", c.Principal, "bedrock:CreateAgent", "*", nil, false)
	if len(again.Snapshot().Members(account, "G")) != 1 || len(again.Snapshot().Roles(account)) != 1 || len(again.Snapshot().Groups(account)) != 1 || again.Snapshot().Policies(account)[0].Tags["a"] != "b" {
		t.Error("something is lost")
	}
	// Compiled documents of what is gone do not stay.
	before := len(again.compiled())
	again.must(again.DetachPolicy(t.Context(), Holder{RoleHolder, account, "R"}, again.Snapshot().PolicyARN(m)))
	again.must(again.DeletePolicy(t.Context(), account, again.Snapshot().PolicyARN(m)))
	if after := len(again.compiled()); after >= before {
		t.Errorf("%d compiled documents, then %d", before, after)
	}
}

func (h *house) compiled() map[documentKey]*document { return h.Snapshot().compiled.docs }

func BenchmarkAuthorize(b *testing.B) {
	i := open(b, &MemoryStore{})
	if _, err := i.CreateUser(b.Context(), account, "u", "", "arn:aws:iam::aws:policy/AmazonBedrockFullAccess", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"); err != nil {
		b.Fatal(err)
	}
	k, err := i.CreateAccessKey(b.Context(), account, "u")
	if err != nil {
		b.Fatal(err)
	}
	c, _ := i.Credential(k.ID)
	cond := map[string][]string{"aws:SourceIp": {"127.0.0.1"}, "aws:UserAgent": {"x"}, "aws:RequestedRegion": {"us-east-1"}}
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Authorize(b.Context(), c.Principal, "bedrock:InvokeModel", model+"m", cond); err != nil {
			b.Fatal(err)
		}
	}
}
