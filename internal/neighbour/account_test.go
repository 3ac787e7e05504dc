package neighbour_test

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/iam"
)

func TestSTSAsksForNoPermission(t *testing.T) {
	h := open(t, nil)
	u := h.user(t, "denied", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	if got := h.query(t, u, "sts", "GetCallerIdentity"); got.status != 200 || !strings.Contains(got.body, "user/denied") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.query(t, u, "sts", "GetSessionToken"); got.status != 200 || !strings.Contains(got.body, "<SessionToken>") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.query(t, u, "sts", "GetAccessKeyInfo", "AccessKeyId", u.AccessKeyID); got.status != 403 || !strings.Contains(got.body, "with an explicit deny in an identity-based policy") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestThereAreNoMFADevices(t *testing.T) {
	h := open(t, nil)
	for _, got := range []reply{
		h.query(t, h.admin, "sts", "GetSessionToken", "SerialNumber", "arn:aws:iam::123456789012:mfa/x", "TokenCode", "123456"),
		h.query(t, h.admin, "sts", "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/whatever", "RoleSessionName", "s1", "SerialNumber", "arn:aws:iam::123456789012:mfa/x", "TokenCode", "123456"),
	} {
		if got.status != 403 || !strings.Contains(got.body, "MultiFactorAuthentication failed with invalid MFA one time pass code") {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

// A role that is not there and one that may not be assumed are answered alike.
func TestADenialDoesNotTellWhetherTheRoleIsThere(t *testing.T) {
	h := open(t, nil)
	if _, err := h.identity.CreateRole(t.Context(), iam.RoleInput{Account: iam.DefaultAccount, Name: "there", Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}}`}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"there", "gone"} {
		arn := "arn:aws:iam::123456789012:role/" + name
		got := h.query(t, h.admin, "sts", "AssumeRole", "RoleArn", arn, "RoleSessionName", "s1")
		want := "<Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/admin is not authorized to perform: sts:AssumeRole on resource: " + arn + "</Message>"
		if got.status != 403 || !strings.Contains(got.body, want) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

// A user who is made with a boundary that is not there is not made at all.
func TestAUserIsMadeWholeOrNot(t *testing.T) {
	h := open(t, nil)
	got := h.query(t, h.admin, "iam", "CreateUser", "UserName", "half", "PermissionsBoundary", "arn:aws:iam::123456789012:policy/none")
	if got.status != 404 || !strings.Contains(got.body, "<Code>NoSuchEntity</Code>") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, ok := h.identity.Snapshot().User(iam.DefaultAccount, "half"); ok {
		t.Error("the user is there")
	}
	got = h.query(t, h.admin, "iam", "CreateUser", "UserName", "twice", "Tags.member.1.Key", "a", "Tags.member.1.Value", "1", "Tags.member.2.Key", "A", "Tags.member.2.Value", "2")
	if got.status != 400 || !strings.Contains(got.body, "<Code>InvalidInput</Code>") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What one account has, another does not see.
func TestAccountsAreApart(t *testing.T) {
	h := open(t, nil)
	const other = "210987654321"
	if err := h.identity.EnsureAccount(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := h.identity.CreateUser(t.Context(), other, "stranger", "/"); err != nil {
		t.Fatal(err)
	}
	m, err := h.identity.CreatePolicy(t.Context(), iam.PolicyInput{Account: other, Name: "p", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`})
	if err != nil {
		t.Fatal(err)
	}
	arn := h.identity.Snapshot().PolicyARN(m)
	for _, got := range []reply{
		h.query(t, h.admin, "iam", "GetUser", "UserName", "stranger"), h.query(t, h.admin, "iam", "GetPolicy", "PolicyArn", arn),
		h.query(t, h.admin, "iam", "DeletePolicy", "PolicyArn", arn), h.query(t, h.admin, "iam", "AttachUserPolicy", "UserName", "admin", "PolicyArn", arn),
	} {
		if got.status != 404 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if got := h.query(t, h.admin, "iam", "ListUsers"); strings.Contains(got.body, "stranger") {
		t.Error(got.body)
	}
}
