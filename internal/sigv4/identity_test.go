package sigv4

import (
	"context"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
)

// iamKeys is the joint that the server makes between the two packages.
type iamKeys struct{ *iam.Identity }

func (k iamKeys) Lookup(_ context.Context, id string) (Key, error) {
	c, ok := k.Credential(id)
	if !ok {
		return Key{}, ErrUnknownKey
	}
	return Key{Secret: c.Secret.Reveal(), Temporary: c.Temporary, TokenSHA256: c.TokenSHA256, Bearer: c.Bearer, Expires: c.Expires, Principal: c.Principal}, nil
}

func TestKeysOfIAMOpenTheDoor(t *testing.T) {
	id, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{Keys: iamKeys{id}})
	if err != nil {
		t.Fatal(err)
	}
	key, ok := id.AdminKey()
	if !ok {
		t.Fatal("no admin key")
	}
	now := time.Now()
	sign := func(c Credentials) (Result, error) {
		r := newTestRequest(t, "GET", "http://localhost/guardrails", "")
		Sign(r, c, "us-east-1", "bedrock", now, "")
		return v.Verify(served(t, r), Payload{})
	}
	long := Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret.Reveal()}
	res, err := sign(long)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := res.Principal.(*iam.Principal)
	if !ok || p.ARN != "arn:aws:iam::123456789012:user/admin" {
		t.Fatalf("%+v", res.Principal)
	}
	s, err := id.CreateSession(t.Context(), *p, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session := Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.Secret.Reveal(), SessionToken: s.Token.Reveal()}
	if res, err = sign(session); err != nil || !res.Temporary {
		t.Fatalf("%v %+v", err, res)
	}
	if res, err = v.Verify(bearer(t, NewShortTermKey(session, "us-west-2", now, time.Hour)), Payload{}); err != nil || res.Principal.(*iam.Principal).Name != "admin" {
		t.Fatalf("%v %+v", err, res)
	}
	b, token, err := id.CreateBearerKey(t.Context(), p.Account, p.Name, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if res, err = v.Verify(bearer(t, token.Reveal()), Payload{}); err != nil || res.Form != FormLongTerm || res.AccessKeyID != b.ID {
		t.Fatalf("%v %+v", err, res)
	}
	if err := id.DeleteBearerKey(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err = v.Verify(bearer(t, token.Reveal()), Payload{}); err == nil {
		t.Fatal("a deleted bearer key opens")
	}
	if err := id.SetAccessKeyActive(t.Context(), key.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err = sign(long); err == nil {
		t.Fatal("an inactive key opens")
	}
}
