package secret_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/clock"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/secret"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = iam.DefaultAccount
	region  = "us-east-1"
)

type house struct {
	*secret.Service

	t        testing.TB
	dir      string
	clock    clock.Clock
	identity *iam.Identity
	store    *store.Store
	keys     *kms.Service
	admin    kms.Caller
}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	var err error
	if h.identity, err = iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}}); err != nil {
		t.Fatal(err)
	}
	k, _ := h.identity.AdminKey()
	c, _ := h.identity.Credential(k.ID)
	h.admin = kms.Caller{Principal: c.Principal, Account: account, Region: region}
	h.start()
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) start() {
	h.t.Helper()
	d, err := sqlite.Open(h.t.Context(), sqlite.Config{Dir: h.dir})
	h.ok(err)
	local, err := store.OpenLocalSealer(h.dir)
	h.ok(err)
	sealer := kms.NewSealer(local, nil)
	h.store, err = store.Open(h.t.Context(), store.Config{Driver: d, Sealer: sealer, Now: h.clock.Now})
	h.ok(err)
	h.keys, err = kms.New(h.t.Context(), kms.Config{Store: h.store, Policies: h.identity, Now: h.clock.Now})
	h.ok(err)
	sealer.Use(h.keys)
	h.Service, err = secret.New(secret.Config{Store: h.store, Policies: h.identity, Keys: h.keys})
	h.ok(err)
}

func (h *house) restart() {
	h.t.Helper()
	h.ok(h.store.Close())
	h.start()
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) user(name, policy string) kms.Caller {
	h.t.Helper()
	ctx := h.t.Context()
	_, err := h.identity.CreateUser(ctx, account, name, "/")
	h.ok(err)
	if policy != "" {
		h.ok(h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: account, Name: name}, "p", policy))
	}
	k, err := h.identity.CreateAccessKey(ctx, account, name)
	h.ok(err)
	c, _ := h.identity.Credential(k.ID)
	return kms.Caller{Principal: c.Principal, Account: account, Region: region}
}

func allow(actions, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%s,"Resource":%q}]}`, actions, resource)
}

func text(s string) secret.Value { return secret.Value{Text: &s} }

func (h *house) create(name, value string) secret.Secret {
	h.t.Helper()
	s, _, err := h.Create(h.t.Context(), h.admin, secret.CreateInput{Name: name, Value: text(value)})
	h.ok(err)
	return s
}

func (h *house) read(id, version, stage string) string {
	h.t.Helper()
	g, err := h.Value(h.t.Context(), h.admin, id, version, stage)
	h.ok(err)
	return *g.Value.Text
}

func kind(t testing.TB, err error, want string) {
	t.Helper()
	name, text, _ := strings.Cut(want, ": ")
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || string(e.Kind) != name || (text != "" && e.Message != text) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestStagesMove(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	s := h.create("db/pw", "one")
	first := s.Versions[0].ID
	if !strings.HasPrefix(s.ARN, "arn:aws:secretsmanager:us-east-1:123456789012:secret:db/pw-") || len(s.ARN) != len("arn:aws:secretsmanager:us-east-1:123456789012:secret:db/pw-")+6 {
		t.Errorf("ARN %s", s.ARN)
	}
	_, second, err := h.Put(ctx, h.admin, "db/pw", "", text("two"), nil)
	h.ok(err)
	if !slices.Equal(second.Stages, []string{secret.Current}) {
		t.Errorf("stages of the second: %v", second.Stages)
	}
	h.restart()
	for _, id := range []string{"db/pw", s.ARN, strings.TrimSuffix(s.ARN, s.ARN[len(s.ARN)-7:])} {
		if h.read(id, "", "") != "two" || h.read(id, "", secret.Previous) != "one" || h.read(id, first, "") != "one" {
			t.Errorf("by %s: wrong values", id)
		}
	}
	_, pending, err := h.Put(ctx, h.admin, s.ARN, "11111111-1111-4111-8111-111111111111", text("three"), []string{"AWSPENDING"})
	h.ok(err)
	if h.read("db/pw", "", "") != "two" || h.read("db/pw", "", "AWSPENDING") != "three" {
		t.Error("a pending version became the current one")
	}
	_, err = h.MoveStage(ctx, h.admin, "db/pw", secret.Current, "", pending.ID)
	kind(t, err, "InvalidParameterException")
	_, err = h.MoveStage(ctx, h.admin, "db/pw", secret.Current, second.ID, pending.ID)
	h.ok(err)
	if h.read("db/pw", "", "") != "three" || h.read("db/pw", "", secret.Previous) != "two" {
		t.Error("AWSPREVIOUS did not follow")
	}
	// The same token with the same value is the same call; with another it is a mistake.
	_, again, err := h.Put(ctx, h.admin, "db/pw", pending.ID, text("three"), []string{"AWSPENDING"})
	if err != nil || again.ID != pending.ID {
		t.Error(again, err)
	}
	_, _, err = h.Put(ctx, h.admin, "db/pw", pending.ID, text("four"), nil)
	kind(t, err, "ResourceExistsException: You can't use ClientRequestToken "+pending.ID+" because that value is already in use for a version of secret "+s.ARN+".")
	_, err = h.Value(ctx, h.admin, "db/pw", "", "nope")
	kind(t, err, "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: nope")
	_, err = h.Value(ctx, h.admin, "db/pw", first, secret.Current)
	kind(t, err, "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId.")
	_, err = h.Value(ctx, h.admin, "none", "", "")
	kind(t, err, "ResourceNotFoundException: Secrets Manager can't find the specified secret.")
	_, _, err = h.Create(ctx, h.admin, secret.CreateInput{Name: "db/pw", Value: text("x")})
	kind(t, err, "ResourceExistsException: The operation failed because the secret db/pw already exists.")
	_, _, err = h.Put(ctx, h.admin, "db/pw", "", secret.Value{}, nil)
	kind(t, err, "InvalidParameterException")
	_, _, err = h.Put(ctx, h.admin, "db/pw", "", secret.Value{Text: new("x"), Binary: []byte("x")}, nil)
	kind(t, err, "InvalidParameterException")
	_, v, err := h.Update(ctx, h.admin, "db/pw", secret.UpdateInput{Description: new("d")})
	if err != nil || v.ID != "" || h.read("db/pw", "", "") != "three" {
		t.Error("an update of the description made a version", v, err)
	}
	if d, err := h.Describe(ctx, h.admin, "db/pw"); err != nil || d.Description != "d" || d.Accessed.IsZero() || len(d.Versions) != 3 {
		t.Errorf("%+v %v", d, err)
	}
}

func TestOldVersionsGo(t *testing.T) {
	h := open(t)
	h.create("s", "0")
	for i := range 110 {
		_, _, err := h.Put(t.Context(), h.admin, "s", "", text(fmt.Sprint(i+1)), nil)
		h.ok(err)
	}
	s, err := h.Describe(t.Context(), h.admin, "s")
	h.ok(err)
	if len(s.Versions) > 102 || h.read("s", "", "") != "110" || h.read("s", "", secret.Previous) != "109" {
		t.Errorf("%d versions", len(s.Versions))
	}
}

func TestRecoveryWindow(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	s := h.create("s", "canary-551-secret")
	_, err := h.Delete(ctx, h.admin, "s", new(int64(6)), false)
	kind(t, err, "InvalidParameterException: The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	_, err = h.Delete(ctx, h.admin, "s", new(int64(7)), true)
	kind(t, err, "InvalidParameterException")
	gone, err := h.Delete(ctx, h.admin, "s", new(int64(7)), false)
	h.ok(err)
	if d := gone.Due.Sub(h.clock.Now()); d > 7*24*time.Hour || d < 7*24*time.Hour-time.Minute {
		t.Errorf("due in %v", d)
	}
	_, err = h.Value(ctx, h.admin, "s", "", "")
	kind(t, err, "InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.")
	_, _, err = h.Put(ctx, h.admin, "s", "", text("x"), nil)
	kind(t, err, "InvalidRequestException")
	_, _, err = h.Create(ctx, h.admin, secret.CreateInput{Name: "s"})
	kind(t, err, "InvalidRequestException: You can't create this secret because a secret with this name is already scheduled for deletion.")
	if list, _, _ := h.List(ctx, h.admin, secret.ListInput{}); len(list) != 0 {
		t.Error("listed although it was deleted")
	}
	if list, _, _ := h.List(ctx, h.admin, secret.ListInput{Deleted: true}); len(list) != 1 {
		t.Error("not listed with the deleted ones")
	}
	_, err = h.Restore(ctx, h.admin, s.ARN)
	h.ok(err)
	if h.read("s", "", "") != "canary-551-secret" {
		t.Error("another value after the restore")
	}
	_, err = h.Delete(ctx, h.admin, "s", nil, false)
	h.ok(err)
	h.clock.Advance(31 * 24 * time.Hour)
	_, err = h.Restore(ctx, h.admin, "s")
	kind(t, err, "ResourceNotFoundException")
	h.ok(h.Sweep(ctx))
	var n int
	h.ok(h.store.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE kind IN ('secret', 'secret-version')`, nil, &n)
	}))
	if n != 0 {
		t.Errorf("%d rows after the sweep", n)
	}
	h.create("s", "new") // the name is free
	if _, err := h.Delete(ctx, h.admin, "s", nil, true); err != nil {
		t.Fatal(err)
	}
	_, err = h.Describe(ctx, h.admin, "s")
	kind(t, err, "ResourceNotFoundException")
}

func TestWhoMayRead(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	s := h.create("s", "x")
	h.ok(h.Tag(ctx, h.admin, "s", []secret.Tag{{Key: "team", Value: "a"}}))
	reader, nobody := h.user("reader", allow(`"secretsmanager:GetSecretValue"`, "arn:aws:secretsmanager:*:*:secret:s-*")), h.user("nobody", "")
	tagged := h.user("tagged", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"StringEquals":{"secretsmanager:ResourceTag/team":"b"}}}]}`)
	staged := h.user("staged", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}}]}`)
	denied := "AccessDeniedException: User: " + nobody.Principal.ARN + " is not authorized to perform: secretsmanager:GetSecretValue on resource: " + s.ARN + " because no identity-based policy allows the secretsmanager:GetSecretValue action"
	get := func(c kms.Caller, id string) error { _, err := h.Value(ctx, c, id, "", ""); return err }
	h.ok(get(reader, "s"))
	h.ok(get(staged, "s"))
	kind(t, get(nobody, "s"), denied)
	kind(t, get(tagged, "s"), "AccessDeniedException")
	// Who may not is not told that there is nothing.
	kind(t, get(nobody, "none"), "AccessDeniedException")
	h.ok(h.Tag(ctx, h.admin, "s", []secret.Tag{{Key: "team", Value: "b"}}))
	h.ok(get(tagged, "s"))
	grant := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + nobody.Principal.ARN + `"},"Action":"secretsmanager:GetSecretValue","Resource":"*"},{"Effect":"Deny","Principal":{"AWS":"` + reader.Principal.ARN + `"},"Action":"*","Resource":"*"}]}`
	_, err := h.PutPolicy(ctx, h.admin, "s", grant, true)
	h.ok(err)
	h.restart()
	h.ok(get(nobody, "s"))
	kind(t, get(reader, "s"), "AccessDeniedException: User: "+reader.Principal.ARN+" is not authorized to perform: secretsmanager:GetSecretValue on resource: "+s.ARN+" with an explicit deny in a resource-based policy")
	_, err = h.DeletePolicy(ctx, h.admin, "s")
	h.ok(err)
	kind(t, get(nobody, "s"), denied)
	_, err = h.PutPolicy(ctx, h.admin, "s", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"}]}`, true)
	kind(t, err, "PublicPolicyException")
	_, err = h.PutPolicy(ctx, h.admin, "s", `{`, false)
	kind(t, err, "MalformedPolicyDocumentException")
}

func TestCustomerKey(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	k, err := h.keys.CreateKey(ctx, h.admin, kms.CreateKeyInput{})
	h.ok(err)
	h.ok(h.keys.CreateAlias(ctx, h.admin, "alias/secrets", k.ID()))
	const canary = "canary-7731-secret"
	s, version, err := h.Create(ctx, h.admin, secret.CreateInput{Name: "s", Key: "alias/secrets", Value: text(canary)})
	h.ok(err)
	if s.Key != k.ARN() || s.Versions[0].Key != k.ARN() {
		t.Errorf("keys %q and %q", s.Key, s.Versions[0].Key)
	}
	if h.read("s", "", "") != canary {
		t.Error("another value")
	}
	noKey := h.user("nokey", allow(`"secretsmanager:*"`, "*"))
	_, err = h.Value(ctx, noKey, "s", "", "")
	kind(t, err, "AccessDeniedException: Access to KMS is not allowed")
	_, _, err = h.Put(ctx, noKey, "s", "", text("x"), nil)
	kind(t, err, "AccessDeniedException: Access to KMS is not allowed")
	bound := h.user("bound", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"},{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com","kms:EncryptionContext:SecretARN":"`+s.ARN+`","kms:EncryptionContext:SecretVersionId":"`+version+`"}}}]}`)
	if _, err := h.Value(ctx, bound, "s", "", ""); err != nil {
		t.Errorf("with the documented context: %v", err)
	}
	h.ok(h.keys.SetEnabled(ctx, h.admin, k.ID(), false))
	_, err = h.Value(ctx, h.admin, "s", "", "")
	kind(t, err, "DecryptionFailure: Secrets Manager can't decrypt the protected secret text using the provided KMS key. "+k.ARN()+" is disabled.")
	_, _, err = h.Put(ctx, h.admin, "s", "", text("x"), nil)
	kind(t, err, "EncryptionFailure")
	if _, err := h.Describe(ctx, h.admin, "s"); err != nil {
		t.Errorf("what is no secret of it: %v", err)
	}
	// Under the house's key from now on; the old version stays where it is.
	_, v, err := h.Update(ctx, h.admin, "s", secret.UpdateInput{Key: new("alias/aws/secretsmanager"), Value: text("plain key")})
	h.ok(err)
	if v.Key != "" || h.read("s", "", "") != "plain key" {
		t.Errorf("version %+v", v)
	}
	h.ok(h.keys.SetEnabled(ctx, h.admin, k.ID(), true))
	h.restart()
	if h.read("s", version, "") != canary {
		t.Error("the old version is lost")
	}
	never, always := false, false
	h.ok(filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		never, always = never || bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte("plain key")), always || bytes.Contains(b, []byte(k.ARN()))
		return err
	}))
	if never || !always {
		t.Errorf("plain text in a file: %v; the key's ARN in one, so that the search means something: %v", never, always)
	}
	_, _, err = h.Create(ctx, h.admin, secret.CreateInput{Name: "s2", Key: "alias/none", Value: text("x")})
	kind(t, err, "EncryptionFailure")
}

func TestListPages(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	for i := range 7 {
		_, _, err := h.Create(ctx, h.admin, secret.CreateInput{Name: fmt.Sprintf("app/s%d", i), Tags: []secret.Tag{{Key: "n", Value: fmt.Sprint(i % 2)}}})
		h.ok(err)
	}
	h.create("other", "x")
	all := func(in secret.ListInput) string {
		t.Helper()
		var out []string
		for range 20 {
			list, next, err := h.List(ctx, h.admin, in)
			h.ok(err)
			for _, s := range list {
				out = append(out, strings.TrimPrefix(s.Name, "app/"))
			}
			if in.After = next; next == "" {
				return strings.Join(out, " ")
			}
		}
		t.Fatal("no end")
		return ""
	}
	for _, c := range []struct {
		in   secret.ListInput
		want string
	}{
		{secret.ListInput{Limit: 3}, "s0 s1 s2 s3 s4 s5 s6 other"},
		{secret.ListInput{Limit: 2, SortBy: "name", Desc: true}, "other s6 s5 s4 s3 s2 s1 s0"},
		{secret.ListInput{Filters: []secret.Filter{{Field: "name", Values: []string{"app/"}}, {Field: "tag-value", Values: []string{"1"}}}}, "s1 s3 s5"},
		{secret.ListInput{Filters: []secret.Filter{{Field: "name", Values: []string{"!app/"}}}}, "other"},
		{secret.ListInput{Filters: []secret.Filter{{Field: "all", Values: []string{"S3"}}}}, "s3"},
	} {
		if got := all(c.in); got != c.want {
			t.Errorf("%+v: %s", c.in, got)
		}
	}
}

func TestValuesAreNotPrinted(t *testing.T) {
	v := text("canary")
	if s := fmt.Sprintf("%v %+v %#v %s", v, v, v, v); strings.Contains(s, "canary") {
		t.Error(s)
	}
}

func BenchmarkValueUnderACustomerKey(b *testing.B) {
	h := open(b)
	k, err := h.keys.CreateKey(b.Context(), h.admin, kms.CreateKeyInput{})
	h.ok(err)
	_, _, err = h.Create(b.Context(), h.admin, secret.CreateInput{Name: "s", Key: k.ID(), Value: text("x")})
	h.ok(err)
	for b.Loop() {
		if _, err := h.Value(context.Background(), h.admin, "s", "", ""); err != nil {
			b.Fatal(err)
		}
	}
}
