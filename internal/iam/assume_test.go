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

func trustIn(principal, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return document0(fmt.Sprintf(`{"Effect":"Allow","Principal":%s,"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]%s}`, principal, condition))
}

func (h *house) role(name, trust string, documents ...string) string {
	h.t.Helper()
	r, err := h.CreateRole(h.t.Context(), RoleInput{Account: account, Name: name, Path: "/p/", Trust: trust, Tags: map[string]string{"team": "red"}})
	h.must(err)
	for n, d := range documents {
		h.must(h.PutInlinePolicy(h.t.Context(), Holder{RoleHolder, account, name}, fmt.Sprint("p", n), d))
	}
	return h.Snapshot().RoleARN(r)
}

func TestAssumeRole(t *testing.T) {
	ctx := t.Context()
	h := newHouse(t)
	alice := h.user("alice")
	bob := h.user("bob", allow("sts:AssumeRole sts:TagSession sts:SetSourceIdentity", "*"))
	direct := h.role("direct", trustIn(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`, ""), allow("bedrock:*", "*"))
	byAccount := h.role("account", trustIn(`{"AWS":"123456789012"}`, `{"StringEquals":{"sts:ExternalId":"x1"}}`))
	in := func(role string) AssumeRoleInput { return AssumeRoleInput{RoleARN: role, SessionName: "job"} }

	got, err := h.AssumeRole(ctx, alice, in(direct))
	h.must(err)
	if got.ARN != "arn:aws:sts::123456789012:assumed-role/direct/job" || !strings.HasPrefix(got.RoleID, "AROA") || !strings.HasSuffix(got.RoleID, ":job") || !got.Expires.Equal(h.now.Add(time.Hour)) || got.PackedPolicySize != 0 {
		t.Errorf("%+v", got)
	}
	c, ok := h.Credential(got.AccessKeyID)
	if !ok || c.Principal.RoleARN != direct {
		t.Fatalf("%+v", c)
	}
	h.check("session", c.Principal, "bedrock:InvokeModel", model+"m", nil, true)
	h.check("session, not in the policy", c.Principal, "s3:GetObject", "arn:aws:s3:::b/k", nil, false)
	if err := h.Authorize(ctx, c.Principal, "s3:GetObject", "", nil); err == nil || !strings.Contains(err.Error(), "User: arn:aws:sts::123456789012:assumed-role/direct/job is not") {
		t.Error(err)
	}

	denied := func(what string, p *Principal, in AssumeRoleInput, action string) {
		t.Helper()
		_, err := h.AssumeRole(ctx, p, in)
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != apierr.AccessDenied || action != "" && e.Message != "User: "+p.ARN+" is not authorized to perform: "+action+" on resource: "+in.RoleARN {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied("not in the trust policy", bob, in(direct), "sts:AssumeRole")
	denied("no such role", bob, in("arn:aws:iam::123456789012:role/none"), "sts:AssumeRole")
	denied("no external ID", bob, in(byAccount), "sts:AssumeRole")
	ext := in(byAccount)
	ext.ExternalID = "x1"
	if _, err := h.AssumeRole(ctx, bob, ext); err != nil {
		t.Error(err)
	}
	denied("trusted by account, no permission of one's own", alice, ext, "sts:AssumeRole")
	root, _ := h.Snapshot().Root(account)
	denied("root", root, in(direct), "")

	// Session policies narrow; the role's tags and the session's meet.
	narrow := in(direct)
	narrow.Policy = allow("bedrock:InvokeModel", "*")
	narrow.PolicyARNs = []string{"arn:aws:iam::aws:policy/AmazonBedrockReadOnly"}
	narrow.Tags = map[string]string{"Cost": "7"}
	narrow.TransitiveTags = []string{"Cost"}
	narrow.SourceIdentity = "alice@example.com"
	got, err = h.AssumeRole(ctx, alice, narrow)
	h.must(err)
	c, _ = h.Credential(got.AccessKeyID)
	h.check("inline session policy", c.Principal, "bedrock:InvokeModel", model+"m", nil, true)
	h.check("managed session policy", c.Principal, "bedrock:GetAgent", region+"agent/A", nil, true)
	err = h.Authorize(ctx, c.Principal, "bedrock:CreateAgent", "*", nil)
	if err == nil || !strings.Contains(err.Error(), "because no session policy allows the bedrock:CreateAgent action") {
		t.Error(err)
	}
	if got.PackedPolicySize < 1 || c.Principal.Tags["team"] != "red" || c.Principal.Tags["Cost"] != "7" || c.Principal.SourceIdentity != "alice@example.com" {
		t.Errorf("%+v %+v", got, c.Principal)
	}
	// Tags and a source identity need permissions of their own.
	h.must(h.SetTrust(ctx, account, "direct", document0(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"sts:AssumeRole"}`)))
	tagged, known := in(direct), in(direct)
	tagged.Tags, known.SourceIdentity = map[string]string{"a": "b"}, "me"
	denied("tags", alice, tagged, "sts:TagSession")
	denied("source identity", alice, known, "sts:SetSourceIdentity")
	if _, err := h.AssumeRole(ctx, alice, in(direct)); err != nil {
		t.Error(err)
	}
	// A chained session inherits what is transitive and lasts an hour at most.
	next := h.role("next", trustIn(fmt.Sprintf(`{"AWS":%q}`, direct), `{"StringEquals":{"aws:PrincipalTag/cost":"7","aws:SourceIdentity":"alice@example.com"}}`))
	chained, err := h.AssumeRole(ctx, c.Principal, in(next))
	if err == nil {
		t.Error("the session policy does not allow sts:AssumeRole and the trust policy names the role only")
	}
	h.must(h.SetTrust(ctx, account, "next", trustIn(fmt.Sprintf(`{"AWS":%q}`, c.Principal.ARN), `{"StringEquals":{"aws:PrincipalTag/cost":"7","aws:SourceIdentity":"alice@example.com"}}`)))
	chained, err = h.AssumeRole(ctx, c.Principal, in(next))
	h.must(err)
	cc, _ := h.Credential(chained.AccessKeyID)
	if cc.Principal.Tags["Cost"] != "7" || cc.Principal.SourceIdentity != "alice@example.com" || len(cc.Principal.TransitiveTags) != 1 {
		t.Errorf("%+v", cc.Principal)
	}

	two := 2 * time.Hour
	for name, change := range map[string]func(*AssumeRoleInput){
		"session name": func(in *AssumeRoleInput) { in.SessionName = "a b" },
		"too short":    func(in *AssumeRoleInput) { in.Duration = time.Minute },
		"too long":     func(in *AssumeRoleInput) { in.Duration = two },
		"tags":         func(in *AssumeRoleInput) { in.Tags = map[string]string{"aws:x": "y"} },
		"too many":     func(in *AssumeRoleInput) { in.PolicyARNs = make([]string, 11) },
	} {
		x := in(direct)
		change(&x)
		if _, err := h.AssumeRole(ctx, alice, x); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := in(direct)
	x.Policy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*"}}`
	if _, err := h.AssumeRole(ctx, alice, x); !errors.Is(err, policy.ErrMalformed) {
		t.Error(err)
	}
	h.must(h.UpdateRole(ctx, account, "direct", new("text"), &two))
	x = in(direct)
	x.Duration = two
	if _, err := h.AssumeRole(ctx, alice, x); err != nil {
		t.Error(err)
	}
	h.must(h.UpdateRole(ctx, account, "next", nil, &two))
	x.RoleARN = next
	if _, err := h.AssumeRole(ctx, c.Principal, x); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "role chaining") {
		t.Error(err)
	}

	// A role that is changed changes its sessions; one that is gone has none that
	// may do anything.
	c, _ = h.Credential(got.AccessKeyID)
	h.must(h.DeleteInlinePolicy(ctx, Holder{RoleHolder, account, "direct"}, "p0"))
	h.check("policy gone", c.Principal, "bedrock:InvokeModel", model+"m", nil, false)
	h.must(h.DeleteRole(ctx, account, "direct"))
	h.check("role gone", c.Principal, "bedrock:InvokeModel", model+"m", nil, false)
	for name, err := range map[string]error{
		"deleted twice": h.DeleteRole(ctx, account, "direct"), "no role": h.SetTrust(ctx, account, "direct", trustIn(`"*"`, "")),
		"account": second(h.CreateRole(ctx, RoleInput{Account: stranger, Name: "x", Trust: trustIn(`"*"`, "")})),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		in   RoleInput
		want error
	}{
		"same name":       {RoleInput{Account: account, Name: "NEXT", Trust: trustIn(`"*"`, "")}, ErrExists},
		"name":            {RoleInput{Account: account, Name: "a b", Trust: trustIn(`"*"`, "")}, ErrInvalid},
		"session":         {RoleInput{Account: account, Name: "a", Trust: trustIn(`"*"`, ""), MaxSession: time.Minute}, ErrInvalid},
		"trust":           {RoleInput{Account: account, Name: "a", Trust: "{}"}, policy.ErrMalformed},
		"unknown user":    {RoleInput{Account: account, Name: "a", Trust: trustIn(`{"AWS":"arn:aws:iam::123456789012:user/none"}`, "")}, policy.ErrMalformed},
		"unknown role":    {RoleInput{Account: account, Name: "a", Trust: trustIn(`{"AWS":"arn:aws:iam::123456789012:role/none"}`, "")}, policy.ErrMalformed},
		"boundary":        {RoleInput{Account: account, Name: "a", Trust: trustIn(`"*"`, ""), Boundary: "arn:aws:iam::aws:policy/None"}, ErrNotFound},
		"role in another": {RoleInput{Account: account, Name: "ok", Trust: trustIn(`{"AWS":"arn:aws:iam::999999999999:role/any"}`, "")}, nil},
	} {
		if _, err := h.CreateRole(ctx, c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	h.must(h.PutInlinePolicy(ctx, Holder{RoleHolder, account, "ok"}, "p", allow("a:b", "*")))
	if err := h.DeleteRole(ctx, account, "ok"); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
}

func TestNamesChangeAndReturn(t *testing.T) {
	ctx := t.Context()
	h := newHouse(t)
	alice := h.user("alice")
	_, err := h.CreateGroup(ctx, account, "G", "")
	h.must(err)
	h.must(h.PutInlinePolicy(ctx, Holder{GroupHolder, account, "G"}, "p", allow("bedrock:GetAgent", "*")))
	h.must(h.AddToGroup(ctx, account, "G", "alice"))
	bk, _, err := h.CreateBearerKey(ctx, account, "alice", time.Time{})
	h.must(err)
	st, err := h.CreateSession(ctx, *alice, time.Hour)
	h.must(err)
	r := h.role("R", trustIn(`{"AWS":"arn:aws:iam::123456789012:user/alice"}`, ""))
	in := AssumeRoleInput{RoleARN: r, SessionName: "s1"}

	h.must(h.UpdateGroup(ctx, account, "g", "H", "/y/"))
	h.must(h.UpdateUser(ctx, account, "alice", "Anna", "/x/"))
	anna := h.principal("Anna")
	if anna.ARN != "arn:aws:iam::123456789012:user/x/Anna" {
		t.Fatal(anna.ARN)
	}
	h.check("by the renamed group", anna, "bedrock:GetAgent", region+"agent/A", nil, true)
	for _, id := range []string{bk.ID, st.AccessKeyID} {
		if c, ok := h.Credential(id); !ok || c.Principal.Name != "Anna" {
			t.Errorf("%s: %+v", id, c)
		}
	}
	if _, err := h.AssumeRole(ctx, anna, in); err != nil {
		t.Error("the trusted user has another name: ", err)
	}
	// A new alice is another alice.
	alice = h.user("alice")
	if _, err := h.AssumeRole(ctx, alice, in); apierr.KindOf(err) != apierr.AccessDenied {
		t.Error("the name was trusted: ", err)
	}
	role, _ := h.Snapshot().RoleByARN(r)
	if d := h.Snapshot().TrustInForce(role); !strings.Contains(d, `"AWS":"`+anna.UserID+`"`) {
		t.Error(d)
	}
	h.must(h.SetTrust(ctx, account, "R", role.Trust))
	if _, err := h.AssumeRole(ctx, alice, in); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ err, want error }{
		"taken user":  {h.UpdateUser(ctx, account, "anna", "ALICE", ""), ErrExists},
		"no user":     {h.UpdateUser(ctx, account, "none", "x", ""), ErrNotFound},
		"user name":   {h.UpdateUser(ctx, account, "anna", "a b", ""), ErrInvalid},
		"user path":   {h.UpdateUser(ctx, account, "anna", "", "x"), ErrInvalid},
		"no group":    {h.UpdateGroup(ctx, account, "G", "x", ""), ErrNotFound},
		"group name":  {h.UpdateGroup(ctx, account, "H", "a b", ""), ErrInvalid},
		"path only":   {h.UpdateGroup(ctx, account, "H", "", "/z/"), nil},
		"case only":   {h.UpdateGroup(ctx, account, "H", "h", ""), nil},
		"user's case": {h.UpdateUser(ctx, account, "anna", "ANNA", ""), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	h.check("after all", h.principal("anna"), "bedrock:GetAgent", region+"agent/A", nil, true)
}

// The trust policies that the guide gives for each feature let the service in for
// resources of that feature and of that account, and for nothing else.
func TestTrustPoliciesOfTheGuide(t *testing.T) {
	h := newHouse(t)
	const service = "bedrock.amazonaws.com"
	sources := map[string]string{
		"agent": region + "agent/AGENT00001", "knowledge-base": region + "knowledge-base/KB00000001",
		"model-customization-job": region + "model-customization-job/amazon.titan-text-lite-v1/abcdefghijkl",
		"model-invocation-job":    region + "model-invocation-job/abcdefghijkl", "model-evaluation-job": region + "model-evaluation-job/abcdefghijkl",
	}
	roles := map[string]string{}
	for feature, operator := range map[string]string{"agent": "ArnLike", "knowledge-base": "ArnLike", "model-customization-job": "ArnEquals", "model-invocation-job": "ArnEquals", "model-evaluation-job": "ArnEquals"} {
		roles[feature] = h.role(feature, trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"123456789012"},"`+operator+`":{"aws:SourceArn":"`+region+feature+`/*"}}`))
	}
	for feature, role := range roles {
		for of, source := range sources {
			for _, from := range []string{account, stranger} {
				want := of == feature && from == account
				if got := h.MayAssume(t.Context(), service, role, source, from); got != want {
					t.Errorf("role of %s, for %s of %s: %v", feature, source, from, got)
				}
			}
		}
		if h.MayAssume(t.Context(), service, role, strings.Replace(sources[feature], "us-east-1", "eu-west-1", 1), account) {
			t.Errorf("role of %s: assumed in another Region", feature)
		}
	}
	// Once the ID is known, the trust is narrowed to it.
	for feature, source := range sources {
		h.must(h.SetTrust(t.Context(), account, feature, trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"ArnEquals":{"aws:SourceArn":"`+source+`"}}`)))
		if !h.MayAssume(t.Context(), service, roles[feature], source, account) || h.MayAssume(t.Context(), service, roles[feature], source+"X", account) {
			t.Errorf("trust narrowed to %s does not hold", source)
		}
	}
	// The role that writes invocation logs trusts everything of the account.
	logs := h.role("logs", trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"`+region+`*"}}`))
	if !h.MayAssume(t.Context(), service, logs, region+"model-invocation-logging/x", account) || h.MayAssume(t.Context(), service, logs, "arn:aws:bedrock:us-east-1:"+stranger+":x", account) {
		t.Error("role of invocation logs")
	}
}

func TestServicesActForResources(t *testing.T) {
	h := newHouse(t)
	const service = "bedrock.amazonaws.com"
	kb := h.role("kb", trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"AWS:SourceArn":"`+region+`knowledge-base/*"}}`),
		allow("s3:GetObject", "arn:aws:s3:::docs/*"))
	one := h.role("one", trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"ArnEquals":{"aws:SourceArn":"`+region+`knowledge-base/KB1"}}`))
	foreign := h.role("foreign", trustIn(`{"Service":"bedrock.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"999999999999"}}`))
	for name, c := range map[string]struct {
		in   AssumeServiceInput
		want bool
	}{
		"its knowledge base":     {AssumeServiceInput{service, kb, "", region + "knowledge-base/KB1", account}, true},
		"an agent":               {AssumeServiceInput{service, kb, "", region + "agent/A", account}, false},
		"another account":        {AssumeServiceInput{service, kb, "", region + "knowledge-base/KB1", stranger}, false},
		"another service":        {AssumeServiceInput{"lambda.amazonaws.com", kb, "", region + "knowledge-base/KB1", account}, false},
		"for nothing":            {AssumeServiceInput{service, kb, "", "", ""}, false},
		"one knowledge base":     {AssumeServiceInput{service, one, "", region + "knowledge-base/KB1", account}, true},
		"a second one":           {AssumeServiceInput{service, one, "", region + "knowledge-base/KB2", account}, false},
		"trust of another":       {AssumeServiceInput{service, foreign, "", region + "knowledge-base/KB1", account}, false},
		"no such role":           {AssumeServiceInput{service, kb + "x", "", region + "knowledge-base/KB1", account}, false},
		"with the path left out": {AssumeServiceInput{service, strings.Replace(kb, "/p/", "/", 1), "", region + "knowledge-base/KB1", account}, false},
	} {
		p, err := h.AssumeService(t.Context(), c.in)
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && apierr.KindOf(err) != apierr.AccessDenied {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (p.ARN != "arn:aws:sts::123456789012:assumed-role/"+p.Name+"/bedrock" || p.RoleARN != c.in.RoleARN) {
			t.Errorf("%s: %+v", name, p)
		}
		if got := h.MayAssume(t.Context(), c.in.Service, c.in.RoleARN, c.in.SourceARN, c.in.SourceAccount); got != c.want {
			t.Errorf("%s: may assume is %v", name, got)
		}
	}
	// What the service does is asked of the role, and a permission that is taken
	// away stops it at the next access.
	p, err := h.AssumeService(t.Context(), AssumeServiceInput{service, kb, "ingest", region + "knowledge-base/KB1", account})
	h.must(err)
	h.check("role", p, "s3:GetObject", "arn:aws:s3:::docs/a.txt", nil, true)
	h.check("role, another bucket", p, "s3:GetObject", "arn:aws:s3:::other/a.txt", nil, false)
	h.must(h.DeleteInlinePolicy(t.Context(), Holder{RoleHolder, account, "kb"}, "p0"))
	h.check("role, policy gone", p, "s3:GetObject", "arn:aws:s3:::docs/a.txt", nil, false)

	// A function's own policy names the service and the agent.
	lambda, err := policy.Parse(document0(`{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Condition":{"StringEquals":{"AWS:SourceAccount":"123456789012"},"ArnLike":{"AWS:SourceArn":"`+region+`agent/A"}}}`), policy.Resource)
	h.must(err)
	for name, c := range map[string]struct {
		policies []*policy.Policy
		source   string
		want     bool
	}{"its agent": {[]*policy.Policy{lambda}, "agent/A", true}, "another agent": {[]*policy.Policy{lambda}, "agent/B", false}, "no policy": {nil, "agent/A", false}} {
		err := h.AllowService(ServiceQuestion{Service: service, Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:us-east-1:123456789012:function:f",
			SourceARN: region + c.source, SourceAccount: account, ResourcePolicies: c.policies})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
