package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/clock"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = iam.DefaultAccount
	region  = "us-east-1"
)

// house is a store whose sealer works with the keys in it.
type house struct {
	*kms.Service

	t        testing.TB
	dir      string
	dsn      string
	clock    clock.Clock
	identity *iam.Identity
	sealer   *kms.Sealer
	store    *store.Store
	admin    kms.Caller
}

func open(t testing.TB) *house {
	t.Helper()
	return openOn(t, "")
}

// openOn is open on a PostgreSQL database; "" is SQLite.
func openOn(t testing.TB, dsn string) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), dsn: dsn}
	var err error
	if h.identity, err = iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}, Now: h.clock.Now}); err != nil {
		t.Fatal(err)
	}
	key, _ := h.identity.AdminKey()
	c, _ := h.identity.Credential(key.ID)
	h.admin = kms.Caller{Principal: c.Principal, Account: account, Region: region}
	h.start()
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) driver(ctx context.Context) (store.Driver, error) {
	if h.dsn != "" {
		return postgres.Open(ctx, postgres.Config{DSN: h.dsn})
	}
	return sqlite.Open(ctx, sqlite.Config{Dir: h.dir})
}

func (h *house) start() {
	h.t.Helper()
	d, err := h.driver(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	local, err := store.OpenLocalSealer(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	h.sealer = kms.NewSealer(local, kms.Contexts())
	if h.store, err = store.Open(h.t.Context(), store.Config{Driver: d, Sealer: h.sealer, Now: h.clock.Now}); err != nil {
		h.t.Fatal(err)
	}
	h.Service = h.replica()
	h.sealer.Use(h.Service)
}

// replica is another process on the same database.
func (h *house) replica() *kms.Service {
	h.t.Helper()
	s, err := kms.New(h.t.Context(), kms.Config{Store: h.store, Policies: h.identity, Now: h.clock.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) restart() {
	h.t.Helper()
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

func (h *house) key(in kms.CreateKeyInput) *kms.Key {
	h.t.Helper()
	k, err := h.CreateKey(h.t.Context(), h.admin, in)
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

// user makes a user with one inline policy; "" is none.
func (h *house) user(name, policy string) kms.Caller {
	h.t.Helper()
	ctx := h.t.Context()
	if _, err := h.identity.CreateUser(ctx, account, name, "/"); err != nil {
		h.t.Fatal(err)
	}
	if policy != "" {
		if err := h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: account, Name: name}, "p", policy); err != nil {
			h.t.Fatal(err)
		}
	}
	k, err := h.identity.CreateAccessKey(ctx, account, name)
	if err != nil {
		h.t.Fatal(err)
	}
	c, _ := h.identity.Credential(k.ID)
	return kms.Caller{Principal: c.Principal, Account: account, Region: region}
}

func allow(action, resource, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q%s}]}`, action, resource, condition)
}

// kind checks the exception, and the message when want has one after a colon.
func kind(t testing.TB, err error, want string) {
	t.Helper()
	name, text, _ := strings.Cut(want, ": ")
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || string(e.Kind) != name {
		t.Errorf("got %v, want %s", err, want)
		return
	}
	if text != "" && e.Message != text {
		t.Errorf("message %q, want %q", e.Message, text)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestCiphertextIsBoundToItsContextAndKey(t *testing.T) {
	h := open(t)
	a, b := h.key(kms.CreateKeyInput{}), h.key(kms.CreateKeyInput{})
	enc := map[string]string{"tenant": "1", "purpose": "x"}
	blob, k, err := h.Encrypt(t.Context(), h.admin, kms.Use{Key: a.ID(), Context: enc}, []byte("plain"))
	if err != nil || k.ARN() != a.ARN() {
		t.Fatal(k, err)
	}
	if bytes.Contains(blob, []byte("plain")) {
		t.Fatal("plain text in the ciphertext")
	}
	again, _, _ := h.Encrypt(t.Context(), h.admin, kms.Use{Key: a.ID(), Context: enc}, []byte("plain"))
	if bytes.Equal(again, blob) {
		t.Error("encrypting is deterministic")
	}
	altered := bytes.Clone(blob)
	altered[len(altered)-1] ^= 1
	moved := bytes.Clone(blob) // the same bytes under another key's name
	id := strings.ReplaceAll(b.ID(), "-", "")
	for i := range 16 {
		fmt.Sscanf(id[2*i:2*i+2], "%02x", &moved[1+i])
	}
	for name, c := range map[string]struct {
		use  kms.Use
		blob []byte
		want string
	}{
		"right":               {kms.Use{Context: enc}, blob, ""},
		"right with its key":  {kms.Use{Context: enc, Key: a.ARN()}, blob, ""},
		"no context":          {kms.Use{}, blob, "InvalidCiphertextException"},
		"another value":       {kms.Use{Context: map[string]string{"tenant": "2", "purpose": "x"}}, blob, "InvalidCiphertextException"},
		"one pair less":       {kms.Use{Context: map[string]string{"tenant": "1"}}, blob, "InvalidCiphertextException"},
		"pairs run together":  {kms.Use{Context: map[string]string{"purpose": "x\x06tenant\x011"}}, blob, "InvalidCiphertextException"},
		"another key":         {kms.Use{Context: enc, Key: b.ID()}, blob, "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation."},
		"altered":             {kms.Use{Context: enc}, altered, "InvalidCiphertextException"},
		"moved":               {kms.Use{Context: enc}, moved, "InvalidCiphertextException"},
		"cut":                 {kms.Use{Context: enc}, blob[:len(blob)-1], "InvalidCiphertextException"},
		"nothing":             {kms.Use{Context: enc}, nil, "InvalidCiphertextException"},
		"nothing with a key":  {kms.Use{Context: enc, Key: a.ID()}, nil, "InvalidCiphertextException"},
		"key not there":       {kms.Use{Context: enc, Key: "00000000-0000-4000-8000-000000000000"}, blob, "NotFoundException: Key 'arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000' does not exist"},
		"only a dry run":      {kms.Use{Context: enc, DryRun: true}, blob, "DryRunOperationException"},
		"token of no grant":   {kms.Use{Context: enc, Tokens: []string{"x"}}, blob, "InvalidGrantTokenException"},
		"not a key":           {kms.Use{Context: enc, Key: "nonsense"}, blob, "NotFoundException: Invalid keyId 'nonsense'"},
		"alias not there":     {kms.Use{Context: enc, Key: "alias/none"}, blob, "NotFoundException: Alias arn:aws:kms:us-east-1:123456789012:alias/none is not found."},
		"ARN of something":    {kms.Use{Context: enc, Key: "arn:aws:s3:::bucket"}, blob, "InvalidArnException"},
		"ARN elsewhere":       {kms.Use{Context: enc, Key: "arn:aws:kms:eu-west-1:123456789012:key/" + a.ID()}, blob, "NotFoundException: Invalid arn eu-west-1"},
		"key of nobody known": {kms.Use{Context: enc}, append(append([]byte{1}, make([]byte, 16)...), blob[17:]...), "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := h.Decrypt(t.Context(), h.admin, c.use, c.blob)
			if c.want != "" {
				kind(t, err, c.want)
				return
			}
			if err != nil || string(d.Plain) != "plain" || d.Key.ID() != a.ID() || d.Material != a.MaterialID() {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
	elsewhere := h.admin
	elsewhere.Region = "eu-west-1"
	_, err = h.Decrypt(t.Context(), elsewhere, kms.Use{Context: enc}, blob)
	kind(t, err, "AccessDeniedException")
}

func TestStatesOfAKey(t *testing.T) { statesOfAKey(t, open(t)) }

func statesOfAKey(t *testing.T, h *house) {
	k := h.key(kms.CreateKeyInput{})
	use := kms.Use{Key: k.ID()}
	blob, _, err := h.Encrypt(t.Context(), h.admin, use, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(want string) {
		t.Helper()
		_, _, err := h.Encrypt(t.Context(), h.admin, use, nil)
		kind(t, err, want)
		_, err = h.Decrypt(t.Context(), h.admin, kms.Use{}, blob)
		kind(t, err, want)
		_, err = h.GenerateDataKey(t.Context(), h.admin, use, 32, true)
		kind(t, err, want)
	}
	if err := h.SetEnabled(t.Context(), h.admin, k.ID(), false); err != nil {
		t.Fatal(err)
	}
	refused("DisabledException: " + k.ARN() + " is disabled.")
	h.restart()
	refused("DisabledException")
	if err := h.SetEnabled(t.Context(), h.admin, k.ID(), true); err != nil {
		t.Fatal(err)
	}
	if d, err := h.Decrypt(t.Context(), h.admin, kms.Use{}, blob); err != nil || string(d.Plain) != "x" {
		t.Fatal(d, err)
	}
	_, err = h.CancelDeletion(t.Context(), h.admin, k.ID())
	kind(t, err, "KMSInvalidStateException: "+k.ARN()+" is not pending deletion.")
	for _, days := range []int{6, 31} {
		_, err = h.ScheduleDeletion(t.Context(), h.admin, k.ID(), days)
		kind(t, err, "ValidationException")
	}
	out, err := h.ScheduleDeletion(t.Context(), h.admin, k.ID(), 7)
	if err != nil || out.State() != kms.StatePending || out.Window() != 7 {
		t.Fatal(out, err)
	}
	refused("KMSInvalidStateException: " + k.ARN() + " is pending deletion.")
	kind(t, h.SetEnabled(t.Context(), h.admin, k.ID(), true), "KMSInvalidStateException")
	if out, err = h.CancelDeletion(t.Context(), h.admin, k.ID()); err != nil || out.State() != kms.StateDisabled || !out.Deletion().IsZero() {
		t.Fatal(out, err)
	}
	if _, err = h.ScheduleDeletion(t.Context(), h.admin, k.ID(), 0); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(30*24*time.Hour + time.Second)
	// Gone by the clock before any sweep, and from the disk after it.
	_, err = h.Decrypt(t.Context(), h.admin, kms.Use{}, blob)
	kind(t, err, "AccessDeniedException")
	_, err = h.CancelDeletion(t.Context(), h.admin, k.ID())
	kind(t, err, "NotFoundException")
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(-40 * 24 * time.Hour) // turning the clock back brings nothing back
	_, err = h.DescribeKey(t.Context(), h.admin, k.ID())
	kind(t, err, "NotFoundException: Key '"+k.ARN()+"' does not exist")
	h.restart()
	_, err = h.DescribeKey(t.Context(), h.admin, k.ID())
	kind(t, err, "NotFoundException")
}

func TestRotationKeepsOldCiphertextsReadable(t *testing.T) {
	rotationKeepsOldCiphertextsReadable(t, open(t))
}

func rotationKeepsOldCiphertextsReadable(t *testing.T, h *house) {
	k := h.key(kms.CreateKeyInput{})
	if err := h.SetRotation(t.Context(), h.admin, k.ID(), true, 90); err != nil {
		t.Fatal(err)
	}
	old, _, err := h.Encrypt(t.Context(), h.admin, kms.Use{Key: k.ID()}, []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(91 * 24 * time.Hour)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.restart()
	now := must[*kms.Key](t)(h.DescribeKey(t.Context(), h.admin, k.ID()))
	if now.MaterialID() == k.MaterialID() {
		t.Fatal("the material is the same after the period")
	}
	if want := h.clock.Now().Add(90 * 24 * time.Hour); now.Rotation().Next.Sub(want).Abs() > time.Minute {
		t.Errorf("next rotation %v, want about %v", now.Rotation().Next, want)
	}
	d := must[kms.Decrypted](t)(h.Decrypt(t.Context(), h.admin, kms.Use{}, old))
	if string(d.Plain) != "old" || d.Material != k.MaterialID() {
		t.Errorf("%q of material %s", d.Plain, d.Material)
	}
	fresh, _, _ := h.Encrypt(t.Context(), h.admin, kms.Use{Key: k.ID()}, []byte("new"))
	if d := must[kms.Decrypted](t)(h.Decrypt(t.Context(), h.admin, kms.Use{}, fresh)); d.Material != now.MaterialID() {
		t.Errorf("new ciphertext of material %s", d.Material)
	}
}

func TestWhoMayUseAKey(t *testing.T) {
	h := open(t)
	k := h.key(kms.CreateKeyInput{Tags: []kms.Tag{{Key: "team", Value: "a"}}})
	if err := h.CreateAlias(t.Context(), h.admin, "alias/app", k.ID()); err != nil {
		t.Fatal(err)
	}
	named := h.user("named", "")
	only := h.key(kms.CreateKeyInput{Bypass: true, Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + named.Principal.ARN + `"},"Action":"kms:*","Resource":"*"}}`})
	denied := h.user("denied", "")
	if err := h.PutPolicy(t.Context(), named, only.ID(), only.Policy(), false); err != nil {
		t.Fatal(err)
	}
	service := h.key(kms.CreateKeyInput{Policy: strings.Replace(kms.DefaultPolicy(account, region), `"Statement":[`,
		`"Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":["kms:Encrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"arn:aws:bedrock:us-east-1:123456789012:agent/A"}}},`+
			`{"Effect":"Deny","Principal":{"AWS":"`+denied.Principal.ARN+`"},"Action":"kms:*","Resource":"*"},`, 1)})
	if err := h.identity.AttachUserPolicy(t.Context(), account, "denied", h.identity.AdministratorAccess()); err != nil {
		t.Fatal(err)
	}
	via := h.user("via", allow("kms:Encrypt", k.ARN(), `{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`))
	viaS3 := via
	viaS3.Via = "s3.us-east-1.amazonaws.com"
	ctx := func(v string) map[string]string { return map[string]string{"aws:bedrock:arn": v} }
	agent := "arn:aws:bedrock:us-east-1:123456789012:agent/A"
	bedrock := kms.Caller{Service: "bedrock.amazonaws.com", Account: account, Region: region}
	for name, c := range map[string]struct {
		who  kms.Caller
		use  kms.Use
		want string
	}{
		"administrator":            {h.admin, kms.Use{Key: k.ID()}, ""},
		"nobody":                   {kms.Caller{Account: account, Region: region}, kms.Use{Key: k.ID()}, "AccessDeniedException"},
		"without a policy":         {named, kms.Use{Key: k.ID()}, "AccessDeniedException: User: " + named.Principal.ARN + " is not authorized to perform: kms:Encrypt on resource: " + k.ARN() + " because no identity-based policy allows the kms:Encrypt action"},
		"named by the key policy":  {named, kms.Use{Key: only.ID()}, ""},
		"the policy opens no IAM":  {h.admin, kms.Use{Key: only.ID()}, "AccessDeniedException: User: " + h.admin.Principal.ARN + " is not authorized to perform: kms:Encrypt on resource: " + only.ARN() + " because no resource-based policy allows the kms:Encrypt action"},
		"denied by the key policy": {denied, kms.Use{Key: service.ID()}, "AccessDeniedException: User: " + denied.Principal.ARN + " is not authorized to perform: kms:Encrypt on resource: " + service.ARN() + " with an explicit deny in a resource-based policy"},
		"right context":            {h.user("context", allow("kms:Encrypt", k.ARN(), `{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"`+agent+`"}}`)), kms.Use{Key: k.ID(), Context: ctx(agent)}, ""},
		"wrong context":            {h.user("context2", allow("kms:Encrypt", k.ARN(), `{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"`+agent+`"}}`)), kms.Use{Key: k.ID(), Context: ctx(agent + "B")}, "AccessDeniedException"},
		"by the key's tag":         {h.user("tag", allow("kms:Encrypt", "*", `{"StringEquals":{"aws:ResourceTag/team":"a"}}`)), kms.Use{Key: k.ID()}, ""},
		"by another tag":           {h.user("tag2", allow("kms:Encrypt", "*", `{"StringEquals":{"aws:ResourceTag/team":"b"}}`)), kms.Use{Key: k.ID()}, "AccessDeniedException"},
		"by the alias asked for":   {h.user("alias", allow("kms:Encrypt", "*", `{"StringEquals":{"kms:RequestAlias":"alias/app"}}`)), kms.Use{Key: "alias/app"}, ""},
		"not by that alias":        {h.user("alias2", allow("kms:Encrypt", "*", `{"StringEquals":{"kms:RequestAlias":"alias/app"}}`)), kms.Use{Key: k.ID()}, "AccessDeniedException"},
		"by the key's alias":       {h.user("alias3", allow("kms:Encrypt", "*", `{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/app"}}`)), kms.Use{Key: k.ID()}, ""},
		"through S3":               {viaS3, kms.Use{Key: k.ID()}, ""},
		"not through S3":           {via, kms.Use{Key: k.ID()}, "AccessDeniedException"},
		"the service":              {bedrock, kms.Use{Key: service.ID(), Context: ctx(agent)}, ""},
		"the service for another":  {bedrock, kms.Use{Key: service.ID(), Context: ctx("x")}, "AccessDeniedException"},
		"a service not named":      {bedrock, kms.Use{Key: k.ID()}, "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := h.Encrypt(t.Context(), c.who, c.use, []byte("x"))
			if c.want != "" {
				kind(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a policy that locks its author out", func(t *testing.T) {
		kind(t, h.PutPolicy(t.Context(), h.admin, k.ID(), only.Policy(), false), "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.")
		kind(t, h.PutPolicy(t.Context(), h.admin, k.ID(), `{"Statement"`, false), "MalformedPolicyDocumentException")
	})
	t.Run("a policy or a grant for somebody who is not there", func(t *testing.T) {
		for _, who := range []string{"user/ghost", "user/elsewhere/named", "role/ghost"} {
			at := "arn:aws:iam::123456789012:" + who
			kind(t, h.PutPolicy(t.Context(), h.admin, k.ID(), strings.ReplaceAll(only.Policy(), named.Principal.ARN, at), true), "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.")
			_, _, err := h.CreateGrant(t.Context(), h.admin, kms.CreateGrantInput{Key: k.ID(), Grantee: at, Operations: []kms.Operation{kms.OpDecrypt}})
			kind(t, err, "InvalidArnException")
		}
	})
}

func TestGrants(t *testing.T) { grants(t, open(t)) }

func grants(t *testing.T, h *house) {
	ctx := t.Context()
	k := h.key(kms.CreateKeyInput{})
	bob, eve := h.user("bob", ""), h.user("eve", "")
	enc := map[string]string{"job": "1"}
	blob, _, _ := h.Encrypt(ctx, h.admin, kms.Use{Key: k.ID(), Context: enc}, []byte("x"))
	decrypt := func(c kms.Caller, enc map[string]string, tokens ...string) error {
		_, err := h.Decrypt(ctx, c, kms.Use{Context: enc, Tokens: tokens}, blob)
		return err
	}
	missing := "AccessDeniedException: User: " + bob.Principal.ARN + " is not authorized to perform: kms:Decrypt on resource: " + k.ARN() + " because no identity-based policy allows the kms:Decrypt action"
	kind(t, decrypt(bob, enc), missing)
	in := kms.CreateGrantInput{
		Key: k.ID(), Name: "n", Grantee: bob.Principal.ARN, Retiring: eve.Principal.ARN,
		Operations: []kms.Operation{kms.OpDecrypt, kms.OpCreateGrant}, Equals: enc,
	}
	_, _, err := h.CreateGrant(ctx, bob, in)
	kind(t, err, "AccessDeniedException")
	g, token, err := h.CreateGrant(ctx, h.admin, in)
	if err != nil {
		t.Fatal(err)
	}
	again, token2, err := h.CreateGrant(ctx, h.admin, in)
	if err != nil || again.ID() != g.ID() || token2 == token {
		t.Errorf("the same grant again: %v %v", again, err)
	}
	h.restart()
	if err := decrypt(bob, enc, token, token2); err != nil {
		t.Error(err)
	}
	kind(t, decrypt(eve, enc), "AccessDeniedException")
	_, _, err = h.Encrypt(ctx, bob, kms.Use{Key: k.ID(), Context: enc}, nil)
	kind(t, err, "AccessDeniedException") // not among the operations
	barred := h.user("barred", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}`)
	if _, _, err := h.CreateGrant(ctx, h.admin, kms.CreateGrantInput{Key: k.ID(), Grantee: barred.Principal.ARN, Operations: in.Operations}); err != nil {
		t.Fatal(err)
	}
	kind(t, decrypt(barred, enc), "AccessDeniedException: User: "+barred.Principal.ARN+" is not authorized to perform: kms:Decrypt on resource: "+k.ARN()+" with an explicit deny in an identity-based policy")
	more, _, _ := h.Encrypt(ctx, h.admin, kms.Use{Key: k.ID(), Context: map[string]string{"job": "1", "more": "1"}}, []byte("x"))
	_, err = h.Decrypt(ctx, bob, kms.Use{Context: map[string]string{"job": "1", "more": "1"}}, more)
	kind(t, err, "AccessDeniedException") // equals, not subset

	// Handing on: no more than one has.
	on := in
	on.Name, on.Grantee, on.Operations = "", eve.Principal.ARN, []kms.Operation{kms.OpDecrypt, kms.OpEncrypt}
	_, _, err = h.CreateGrant(ctx, bob, on)
	kind(t, err, "AccessDeniedException")
	on.Operations, on.Equals = []kms.Operation{kms.OpDecrypt}, nil
	_, _, err = h.CreateGrant(ctx, bob, on)
	kind(t, err, "AccessDeniedException")
	on.Equals = enc
	handed, _, err := h.CreateGrant(ctx, bob, on)
	if err != nil {
		t.Fatal(err)
	}
	if err := decrypt(eve, enc); err != nil {
		t.Error(err)
	}
	kind(t, h.RevokeGrant(ctx, eve, k.ID(), handed.ID(), false), "AccessDeniedException")
	if err := h.RevokeGrant(ctx, h.admin, k.ID(), handed.ID(), false); err != nil {
		t.Error(err)
	}
	kind(t, h.RevokeGrant(ctx, h.admin, k.ID(), handed.ID(), false), "NotFoundException: Grant ID "+handed.ID()+" not found")
	kind(t, decrypt(eve, enc), "AccessDeniedException")

	if list := must[[]*kms.Grant](t)(h.ListGrants(ctx, h.admin, k.ID(), "", bob.Principal.ARN)); len(list) != 1 || list[0].ID() != g.ID() {
		t.Errorf("listed %v", list)
	}
	if list := must[[]*kms.Grant](t)(h.ListRetirableGrants(ctx, h.admin, eve.Principal.ARN)); len(list) != 1 {
		t.Errorf("retirable %v", list)
	}
	kind(t, h.RetireGrant(ctx, bob, token, "", "", false), "AccessDeniedException") // the grantee, without RetireGrant
	kind(t, h.RetireGrant(ctx, eve, token, "", "", true), "DryRunOperationException")
	if err := h.RetireGrant(ctx, eve, token, "", "", false); err != nil {
		t.Error(err)
	}
	kind(t, decrypt(bob, enc), missing)
	kind(t, decrypt(bob, enc, token), "InvalidGrantTokenException")

	// A subset, and a service that holds the grant.
	sub := kms.CreateGrantInput{Key: k.ARN(), Grantee: "bedrock.amazonaws.com", Operations: []kms.Operation{kms.OpDecrypt}, Subset: enc}
	if _, _, err := h.CreateGrant(ctx, h.admin, sub); err != nil {
		t.Fatal(err)
	}
	svc := kms.Caller{Service: "bedrock.amazonaws.com", Account: account, Region: region}
	if _, err := h.Decrypt(ctx, svc, kms.Use{Context: map[string]string{"job": "1", "more": "1"}}, more); err != nil {
		t.Error(err)
	}
	other, _, _ := h.Encrypt(ctx, h.admin, kms.Use{Key: k.ID(), Context: map[string]string{"job": "2"}}, []byte("x"))
	_, err = h.Decrypt(ctx, svc, kms.Use{Context: map[string]string{"job": "2"}}, other)
	kind(t, err, "AccessDeniedException")
}

func TestAliases(t *testing.T) { aliases(t, open(t)) }

func aliases(t *testing.T, h *house) {
	ctx := t.Context()
	a, b := h.key(kms.CreateKeyInput{}), h.key(kms.CreateKeyInput{})
	for name, want := range map[string]string{
		"app": "InvalidAliasNameException", "alias/aws/x": "NotAuthorizedException", "alias/a b": "InvalidAliasNameException", "alias/app": "",
	} {
		if err := h.CreateAlias(ctx, h.admin, name, a.ID()); want != "" {
			kind(t, err, want)
		} else if err != nil {
			t.Error(err)
		}
	}
	kind(t, h.CreateAlias(ctx, h.admin, "alias/app", b.ID()), "AlreadyExistsException: An alias with the name arn:aws:kms:us-east-1:123456789012:alias/app already exists")
	kind(t, h.CreateAlias(ctx, h.user("u", allow("kms:CreateAlias", b.ARN(), "")), "alias/other", b.ID()), "AccessDeniedException")
	if err := h.CreateAlias(ctx, h.user("u2", allow("kms:CreateAlias", "*", "")), "alias/other", b.ID()); err != nil {
		t.Error(err)
	}
	if err := h.UpdateAlias(ctx, h.admin, "alias/app", b.ARN()); err != nil {
		t.Fatal(err)
	}
	h.restart()
	k := must[*kms.Key](t)(h.DescribeKey(ctx, h.admin, "arn:aws:kms:us-east-1:123456789012:alias/app"))
	if k.ID() != b.ID() {
		t.Errorf("alias stands for %s", k.ID())
	}
	if l := must[[]*kms.Alias](t)(h.ListAliases(ctx, h.admin, b.ID())); len(l) != 2 || l[0].Name() != "alias/app" {
		t.Errorf("aliases %v", l)
	}
	if err := h.DeleteAlias(ctx, h.admin, "alias/app"); err != nil {
		t.Fatal(err)
	}
	kind(t, h.DeleteAlias(ctx, h.admin, "alias/app"), "NotFoundException")
	m := must[*kms.Key](t)(h.DescribeKey(ctx, h.admin, "alias/aws/s3"))
	if !m.Managed() {
		t.Error("alias/aws/s3 is no managed key")
	}
	_, _, err := h.Encrypt(ctx, h.admin, kms.Use{Key: "alias/aws/s3"}, []byte("x"))
	kind(t, err, "AccessDeniedException") // only through S3
	through := h.admin
	through.Via = "s3.us-east-1.amazonaws.com"
	if _, _, err := h.Encrypt(ctx, through, kms.Use{Key: "alias/aws/s3"}, []byte("x")); err != nil {
		t.Error(err)
	}
	_, err = h.ScheduleDeletion(ctx, h.admin, m.ID(), 7)
	kind(t, err, "AccessDeniedException")
}

func TestReEncryptAndDataKeys(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	a, b := h.key(kms.CreateKeyInput{}), h.key(kms.CreateKeyInput{})
	dk := must[kms.DataKey](t)(h.GenerateDataKey(ctx, h.admin, kms.Use{Key: a.ID(), Context: map[string]string{"a": "1"}}, 32, false))
	if len(dk.Plain) != 32 {
		t.Fatal(len(dk.Plain))
	}
	out, err := h.ReEncrypt(ctx, h.admin, kms.Use{Context: map[string]string{"a": "1"}}, dk.Ciphertext, kms.Use{Key: b.ID(), Context: map[string]string{"b": "2"}})
	if err != nil || out.From.ID() != a.ID() || out.To.ID() != b.ID() {
		t.Fatal(out, err)
	}
	if d := must[kms.Decrypted](t)(h.Decrypt(ctx, h.admin, kms.Use{Context: map[string]string{"b": "2"}}, out.Ciphertext)); !bytes.Equal(d.Plain, dk.Plain) {
		t.Error("another plaintext")
	}
	_, err = h.Decrypt(ctx, h.admin, kms.Use{Context: map[string]string{"a": "1"}}, out.Ciphertext)
	kind(t, err, "InvalidCiphertextException")
	from := h.user("from", allow("kms:ReEncryptFrom", "*", ""))
	_, err = h.ReEncrypt(ctx, from, kms.Use{Context: map[string]string{"a": "1"}}, dk.Ciphertext, kms.Use{Key: b.ID()})
	kind(t, err, "AccessDeniedException: User: "+from.Principal.ARN+" is not authorized to perform: kms:ReEncryptTo on resource: "+b.ARN()+" because no identity-based policy allows the kms:ReEncryptTo action")
	if w := must[kms.DataKey](t)(h.GenerateDataKey(ctx, h.admin, kms.Use{Key: a.ID()}, 16, true)); w.Plain != nil || len(w.Ciphertext) == 0 {
		t.Error("plaintext of a key without plaintext")
	}
	_, _, err = h.Encrypt(ctx, h.admin, kms.Use{Key: a.ID()}, make([]byte, kms.MaxEncrypt+1))
	kind(t, err, "ValidationException")
}

func TestReplicasSeeEachOther(t *testing.T) { replicasSeeEachOther(t, open(t)) }

func replicasSeeEachOther(t *testing.T, h *house) {
	ctx := t.Context()
	other := h.replica()
	k := h.key(kms.CreateKeyInput{})
	_, err := other.DescribeKey(ctx, h.admin, k.ID())
	kind(t, err, "NotFoundException")
	if err := other.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	must[*kms.Key](t)(other.DescribeKey(ctx, h.admin, k.ID()))
	// A writer that does not know of the last change writes on top of it all the same.
	if err := h.SetDescription(ctx, h.admin, k.ID(), "first"); err != nil {
		t.Fatal(err)
	}
	if err := other.TagKey(ctx, h.admin, k.ID(), []kms.Tag{{Key: "a", Value: "1"}}); err != nil {
		t.Fatal(err)
	}
	got := must[*kms.Key](t)(other.DescribeKey(ctx, h.admin, k.ID()))
	if got.Description() != "first" || len(got.Tags()) != 1 {
		t.Errorf("a change was lost: %q %v", got.Description(), got.Tags())
	}
}

func TestRunSweeps(t *testing.T) {
	h := open(t)
	k := h.key(kms.CreateKeyInput{})
	must[*kms.Key](t)(h.ScheduleDeletion(t.Context(), h.admin, k.ID(), 7))
	h.clock.Advance(8 * 24 * time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var n int
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE kind = 'kms-key'`, nil, &n)
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.clock.Advance(-9 * 24 * time.Hour)
	_, err := h.DescribeKey(t.Context(), h.admin, k.ID())
	kind(t, err, "NotFoundException")
}

func TestTheCallerIsTheRequests(t *testing.T) {
	c := kms.CallerOf(call.With(t.Context(), &call.Call{Account: "1", Region: "r", SourceIP: "10.0.0.1"}))
	if c.Account != "1" || c.Region != "r" || c.Keys["aws:SourceIp"][0] != "10.0.0.1" {
		t.Errorf("%+v", c)
	}
	if c := kms.CallerOf(t.Context()); c.Principal != nil || c.Service != "" {
		t.Error("somebody asks outside of a request")
	}
}

// What SQL does is the same on both databases.
func TestOnPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"states of a key", statesOfAKey},
		{"rotation keeps old ciphertexts readable", rotationKeepsOldCiphertextsReadable},
		{"grants", grants},
		{"aliases", aliases},
		{"replicas see each other", replicasSeeEachOther},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, openOn(t, storetest.NewDatabase(t, server))) })
	}
}

func FuzzCiphertext(f *testing.F) {
	h := open(f)
	k := h.key(kms.CreateKeyInput{})
	enc := map[string]string{"a": "1"}
	good, _, _ := h.Encrypt(f.Context(), h.admin, kms.Use{Key: k.ID(), Context: enc}, []byte("plain"))
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add(append(bytes.Clone(good), 0))
	f.Add(good[:60])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := h.Decrypt(context.Background(), h.admin, kms.Use{Context: enc}, b)
		if (err == nil) != bytes.Equal(b, good) {
			t.Fatalf("%x opens to %q, %v", b, d.Plain, err)
		}
		if _, err := h.sealer.Open(kms.As(context.Background(), kms.Asking{Caller: h.admin}), k.ARN(), []byte("row"), b); err == nil {
			t.Fatalf("%x opens as a record", b)
		}
	})
}
