package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = DefaultAccount

func open(t testing.TB, s IdentityStore) *Identity {
	t.Helper()
	i, err := New(t.Context(), Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTheFirstStartMakesAnAdministrator(t *testing.T) {
	s := &MemoryStore{}
	i := open(t, s)
	u, ok := i.Snapshot().User(account, "admin")
	if !ok || len(u.Policies) != 1 || u.Policies[0] != "arn:aws:iam::aws:policy/AdministratorAccess" {
		t.Fatalf("%+v", u)
	}
	k, ok := i.AdminKey()
	if !ok || !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(k.ID) || len(k.Secret) != 40 {
		t.Fatalf("key %s, secret of %d characters", k.ID, len(k.Secret))
	}
	if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(u.UserID) {
		t.Fatal(u.UserID)
	}
	if a, ok := AccountOf(k.ID); !ok || a != account {
		t.Fatalf("the key says account %s", a)
	}
	root, ok := i.Snapshot().Root(account)
	if !ok || root.ARN != "arn:aws:iam::123456789012:root" || root.Kind != KindRoot {
		t.Fatalf("%+v", root)
	}
	// A second start finds them and makes nothing.
	v := i.Snapshot().Version
	again := open(t, s)
	if k2, _ := again.AdminKey(); k2 != k || again.Snapshot().Version != v {
		t.Fatalf("the second start made %+v", k2)
	}
	// An administrator who is deleted does not come back.
	if err := i.DetachUserPolicy(t.Context(), account, "admin", i.AdministratorAccess()); err != nil {
		t.Fatal(err)
	}
	if err := i.DeleteAccessKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if err := i.DeleteUser(t.Context(), account, "admin"); err != nil {
		t.Fatal(err)
	}
	if _, ok := open(t, s).AdminKey(); ok {
		t.Fatal("admin is back")
	}
}

func TestPartitionsAndAccounts(t *testing.T) {
	i, err := New(t.Context(), Config{Store: &MemoryStore{}, Region: "cn-north-1", Account: "000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := i.AdminKey()
	c, _ := i.Credential(k.ID)
	if c.Principal.ARN != "arn:aws-cn:iam::000000000001:user/admin" || i.AdministratorAccess() != "arn:aws-cn:iam::aws:policy/AdministratorAccess" {
		t.Fatalf("%+v", c.Principal)
	}
	if a, ok := AccountOf(k.ID); !ok || a != "000000000001" {
		t.Fatal(a)
	}
	if err := i.Authorize(t.Context(), c.Principal, "bedrock:InvokeModel", "*", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Config{Store: &MemoryStore{}, Account: "12"}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Config{}); err == nil {
		t.Fatal("no store")
	}
}

func TestUsersAndKeys(t *testing.T) {
	ctx := t.Context()
	i := open(t, &MemoryStore{})
	u, err := i.CreateUser(ctx, account, "Alice", "/team/")
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Snapshot().UserARN(u); got != "arn:aws:iam::123456789012:user/team/Alice" {
		t.Fatal(got)
	}
	k1, err := i.CreateAccessKey(ctx, account, "alice")
	if err != nil {
		t.Fatal(err)
	}
	c, ok := i.Credential(k1.ID)
	if !ok || c.Secret != k1.Secret || c.Principal.Name != "Alice" || c.Principal.UserID != u.UserID || c.Temporary || c.Bearer {
		t.Fatalf("%+v", c)
	}
	if _, err := i.CreateAccessKey(ctx, account, "Alice"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"third key":       {second(i.CreateAccessKey(ctx, account, "Alice")), ErrLimit},
		"same name":       {second(i.CreateUser(ctx, account, "ALICE", "")), ErrExists},
		"bad name":        {second(i.CreateUser(ctx, account, "a b", "")), ErrInvalid},
		"empty name":      {second(i.CreateUser(ctx, account, "", "")), ErrInvalid},
		"bad path":        {second(i.CreateUser(ctx, account, "x", "team")), ErrInvalid},
		"other account":   {second(i.CreateUser(ctx, "999999999999", "x", "")), ErrNotFound},
		"key of nobody":   {second(i.CreateAccessKey(ctx, account, "bob")), ErrNotFound},
		"user with keys":  {i.DeleteUser(ctx, account, "Alice"), ErrInUse},
		"no user":         {i.DeleteUser(ctx, account, "bob"), ErrNotFound},
		"no key":          {i.DeleteAccessKey(ctx, "AKIAX"), ErrNotFound},
		"switch no key":   {i.SetAccessKeyActive(ctx, "AKIAX", true), ErrNotFound},
		"not attached":    {i.DetachUserPolicy(ctx, account, "Alice", "arn:x"), ErrNotFound},
		"attach nobody":   {i.AttachUserPolicy(ctx, account, "bob", "arn:x"), ErrNotFound},
		"no bearer key":   {i.DeleteBearerKey(ctx, "x"), ErrNotFound},
		"no account name": {i.EnsureAccount(ctx, "x"), ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if err := i.SetAccessKeyActive(ctx, k1.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, ok := i.Credential(k1.ID); ok {
		t.Fatal("an inactive key is a credential")
	}
	if err := i.SetAccessKeyActive(ctx, k1.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, ok := i.Credential(k1.ID); !ok {
		t.Fatal("the key did not come back")
	}
	for _, k := range i.Snapshot().AccessKeys(account, "Alice") {
		if err := i.DeleteAccessKey(ctx, k.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.DeleteUser(ctx, account, "alice"); err != nil {
		t.Fatal(err)
	}
	if us := i.Snapshot().Users(account); len(us) != 1 || us[0].Name != "admin" {
		t.Fatalf("%+v", us)
	}
}

func second[T any](_ T, err error) error { return err }

func TestSessions(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	store := &MemoryStore{}
	i, err := New(t.Context(), Config{Store: store, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := i.AdminKey()
	admin, _ := i.Credential(k.ID)
	s, err := i.CreateSession(t.Context(), *admin.Principal, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := i.Credential(s.AccessKeyID)
	if !ok || !c.Temporary || !c.Expires.Equal(now.Add(time.Hour)) || c.Principal.ARN != admin.Principal.ARN || !strings.HasPrefix(s.AccessKeyID, "ASIA") {
		t.Fatalf("%+v", c)
	}
	role := Principal{Kind: KindSession, Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/R/S", UserID: "AROAX:S", Name: "R", SessionName: "S", Tags: map[string]string{"a": "b"}}
	rs, err := i.CreateSession(t.Context(), role, 15*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	role.Tags["a"] = "changed by the caller"
	c, _ = i.Credential(rs.AccessKeyID)
	if c.Principal.SessionName != "S" || c.Principal.Tags["a"] != "b" {
		t.Fatalf("%+v", c.Principal)
	}
	for _, life := range []time.Duration{time.Minute, 37 * time.Hour} {
		if _, err := i.CreateSession(t.Context(), role, life); !errors.Is(err, ErrInvalid) {
			t.Error(life, err)
		}
	}
	root, _ := i.Snapshot().Root(account)
	if _, err := i.CreateSession(t.Context(), *root, time.Hour); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	// A token is kept as a hash, and a session ends with its user.
	_, records, err := store.LoadAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if bytes.Contains(r.Body, []byte(s.Token.Reveal())) {
			t.Fatal("the session token is kept in clear")
		}
	}
	// Ended sessions go with the next one that is made, an hour after their end.
	now = now.Add(2*time.Hour + time.Minute)
	if _, err := i.CreateSession(t.Context(), role, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, ok := i.Credential(s.AccessKeyID); ok {
		t.Fatal("the ended session is still there")
	}
	if n := len(i.Snapshot().sessions); n != 1 {
		t.Fatalf("%d sessions", n)
	}
}

func TestASessionOfADeletedUserIsNone(t *testing.T) {
	ctx := t.Context()
	i := open(t, &MemoryStore{})
	if _, err := i.CreateUser(ctx, account, "bob", ""); err != nil {
		t.Fatal(err)
	}
	k, err := i.CreateAccessKey(ctx, account, "bob")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := i.Credential(k.ID)
	s, err := i.CreateSession(ctx, *c.Principal, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.DeleteAccessKey(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	if err := i.DeleteUser(ctx, account, "bob"); err != nil {
		t.Fatal(err)
	}
	if _, ok := i.Credential(s.AccessKeyID); ok {
		t.Fatal("the session outlived its user")
	}
	// A new user of the same name is another user.
	if _, err := i.CreateUser(ctx, account, "bob", ""); err != nil {
		t.Fatal(err)
	}
	if _, ok := i.Credential(s.AccessKeyID); ok {
		t.Fatal("the session moved to another user")
	}
}

func TestBearerKeys(t *testing.T) {
	ctx := t.Context()
	i := open(t, &MemoryStore{})
	k, token, err := i.CreateBearerKey(ctx, account, AdminUser, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	// The form that secret scanners look for.
	if !regexp.MustCompile(`^ABSK[A-Za-z0-9+/]{109,269}={0,2}$`).MatchString(token.Reveal()) {
		t.Fatalf("%d characters: %.20s…", len(token), token.Reveal())
	}
	c, ok := i.Credential(k.ID)
	if !ok || !c.Bearer || c.Secret != "" || c.Principal.Name != AdminUser || !strings.HasSuffix(k.ID, "-at-"+account) {
		t.Fatalf("%+v", c)
	}
	if _, _, err := i.CreateBearerKey(ctx, account, AdminUser, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.CreateBearerKey(ctx, account, AdminUser, time.Time{}); !errors.Is(err, ErrLimit) {
		t.Fatal(err)
	}
	if _, _, err := i.CreateBearerKey(ctx, account, "bob", time.Time{}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}

func TestAuthorize(t *testing.T) {
	ctx := t.Context()
	i := open(t, &MemoryStore{})
	key, _ := i.AdminKey()
	admin, _ := i.Credential(key.ID)
	if _, err := i.CreateUser(ctx, account, "mateo", ""); err != nil {
		t.Fatal(err)
	}
	k, err := i.CreateAccessKey(ctx, account, "mateo")
	if err != nil {
		t.Fatal(err)
	}
	mateo, _ := i.Credential(k.ID)
	root, _ := i.Snapshot().Root(account)
	const action, resource = "bedrock:GetGuardrail", "arn:aws:bedrock:us-east-1:123456789012:guardrail/g"
	for _, p := range []*Principal{admin.Principal, root} {
		if err := i.Authorize(ctx, p, action, resource, nil); err != nil {
			t.Errorf("%s: %v", p.ARN, err)
		}
	}
	role := &Principal{Kind: KindSession, Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/R/S", Name: AdminUser, UserID: admin.Principal.UserID}
	forged := *admin.Principal
	forged.UserID = "AIDAOTHER"
	for want, c := range map[string]struct {
		p        *Principal
		resource string
	}{
		"User: arn:aws:iam::123456789012:user/mateo is not authorized to perform: bedrock:GetGuardrail on resource: " + resource + " because no identity-based policy allows the bedrock:GetGuardrail action":       {mateo.Principal, resource},
		"User: arn:aws:iam::123456789012:user/mateo is not authorized to perform: bedrock:GetGuardrail because no identity-based policy allows the bedrock:GetGuardrail action":                                     {mateo.Principal, ""},
		"User: arn:aws:sts::123456789012:assumed-role/R/S is not authorized to perform: bedrock:GetGuardrail on resource: " + resource + " because no identity-based policy allows the bedrock:GetGuardrail action": {role, resource},
		"User: anonymous is not authorized to perform: bedrock:GetGuardrail on resource: " + resource + " because no identity-based policy allows the bedrock:GetGuardrail action":                                  {nil, resource},
		"User: arn:aws:iam::123456789012:user/admin is not authorized to perform: bedrock:GetGuardrail on resource: " + resource + " because no identity-based policy allows the bedrock:GetGuardrail action":       {&forged, resource},
	} {
		err := i.Authorize(ctx, c.p, action, c.resource, nil)
		e, ok := errors.AsType[*apierr.Error](err)
		if !ok || e.Kind != apierr.AccessDenied || e.Message != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if got := Denied(mateo.Principal, action, resource, ExplicitIdentity).Message; !strings.HasSuffix(got, resource+" with an explicit deny in an identity-based policy") {
		t.Error(got)
	}
	if err := i.AttachUserPolicy(ctx, account, "mateo", i.AdministratorAccess()); err != nil {
		t.Fatal(err)
	}
	if err := i.Authorize(ctx, mateo.Principal, action, resource, nil); err != nil {
		t.Error(err)
	}
	if err := i.DetachUserPolicy(ctx, account, "mateo", i.AdministratorAccess()); err != nil {
		t.Fatal(err)
	}
	if err := i.Authorize(ctx, mateo.Principal, action, resource, nil); err == nil {
		t.Error("still allowed after the policy was detached")
	}
	// What cannot be read or is gone might narrow an administrator, so it denies.
	for _, change := range []func(*holding){
		func(n *holding) { n.inline = map[string]string{"p": "{}"} },
		func(n *holding) { n.inline, n.boundary = nil, "arn:aws:iam::123456789012:policy/gone" },
	} {
		if err := i.change(ctx, Holder{UserHolder, account, AdminUser}, func(_ *Snapshot, n *holding) (bool, error) { change(n); return true, nil }); err != nil {
			t.Fatal(err)
		}
		if err := i.Authorize(ctx, admin.Principal, action, resource, nil); err == nil {
			t.Error("a narrowed administrator is allowed all")
		}
	}
}

func TestReplicasSeeEachOtherWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		a, b := open(t, store), open(t, store)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		k, err := a.CreateAccessKey(ctx, account, AdminUser)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := a.Credential(k.ID); !ok {
			t.Fatal("the own process does not see its write")
		}
		if _, ok := b.Credential(k.ID); ok {
			t.Fatal("the other replica cannot have seen it")
		}
		time.Sleep(PollInterval)
		synctest.Wait()
		if _, ok := b.Credential(k.ID); !ok {
			t.Fatal("the other replica has not seen it after a second")
		}
		if err := a.DeleteAccessKey(ctx, k.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(PollInterval)
		synctest.Wait()
		if _, ok := b.Credential(k.ID); ok {
			t.Fatal("the deleted key still opens")
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

type brokenStore struct {
	IdentityStore
	err error
}

func (b *brokenStore) Version(ctx context.Context) (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.IdentityStore.Version(ctx)
}

func TestAFailingPollKeepsTheIdentitiesAndIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &brokenStore{IdentityStore: &MemoryStore{}}
		var log bytes.Buffer
		i, err := New(t.Context(), Config{Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		s.err = errors.New("database gone")
		go func() { done <- i.Run(ctx) }()
		time.Sleep(5 * PollInterval)
		synctest.Wait()
		if _, ok := i.AdminKey(); !ok {
			t.Fatal("the identities are lost")
		}
		if n := strings.Count(log.String(), "database gone"); n != 1 {
			t.Fatalf("logged %d times:\n%s", n, log.String())
		}
		stop()
		<-done
	})
}

func TestManyWritersLoseNothing(t *testing.T) {
	for name, store := range map[string]IdentityStore{"memory": &MemoryStore{}, "table": NewTable(storetest.New(t))} {
		t.Run(name, func(t *testing.T) {
			replicas := []*Identity{open(t, store), open(t, store)}
			const each = 5
			var wg sync.WaitGroup
			for r, i := range replicas {
				for n := range each {
					wg.Go(func() {
						if _, err := i.CreateUser(t.Context(), account, fmt.Sprintf("user-%d-%d", r, n), ""); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			for _, i := range replicas {
				if err := i.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := len(i.Snapshot().Users(account)); n != 2*each+1 {
					t.Fatalf("%d users", n)
				}
			}
		})
	}
}

func TestStores(t *testing.T) {
	for name, s := range map[string]IdentityStore{"memory": &MemoryStore{}, "table": NewTable(storetest.New(t))} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if v, rs, err := s.LoadAll(ctx); v != 0 || len(rs) != 0 || err != nil {
				t.Fatal(v, rs, err)
			}
			var all []Record
			for _, kind := range RecordKinds() {
				for n := range 3 {
					all = append(all, Record{Kind: kind, Account: account, ID: fmt.Sprint("id-", n), Body: []byte(`{"n":1}`)})
				}
			}
			v, err := s.Apply(ctx, 0, all)
			if err != nil || v != 1 {
				t.Fatal(v, err)
			}
			if _, err := s.Apply(ctx, 0, all); !errors.Is(err, ErrStale) {
				t.Fatal(err)
			}
			changed := all[0]
			changed.Body = []byte(`{"n":2}`)
			other := all[0]
			other.Account = "999999999999"
			if v, err = s.Apply(ctx, 1, []Record{changed, other, deletion(all[1]), deletion(Record{Kind: UserRecord, Account: account, ID: "never"})}); err != nil || v != 2 {
				t.Fatal(v, err)
			}
			if v, err := s.Version(ctx); v != 2 || err != nil {
				t.Fatal(v, err)
			}
			v, rs, err := s.LoadAll(ctx)
			if err != nil || v != 2 || len(rs) != len(all) {
				t.Fatal(v, len(rs), err)
			}
			got := map[recordKey]string{}
			for _, r := range rs {
				got[r.key()] = string(r.Body)
			}
			if got[changed.key()] != `{"n":2}` || got[other.key()] != `{"n":1}` || got[all[1].key()] != "" || got[all[2].key()] != `{"n":1}` {
				t.Fatalf("%v", got)
			}
		})
	}
}

func TestIdentitiesSurviveARestartAndAreSealed(t *testing.T) {
	dir := t.TempDir()
	s := storetest.OpenDir(t, dir, nil)
	i := open(t, NewTable(s))
	key, _ := i.AdminKey()
	admin, _ := i.Credential(key.ID)
	session, err := i.CreateSession(t.Context(), *admin.Principal, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	// More than one page of a list.
	for n := range 30 {
		if _, err := i.CreateUser(t.Context(), account, fmt.Sprint("user-", n), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{key.Secret.Reveal(), session.Secret.Reveal(), session.Token.Reveal()} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds a secret in clear", filepath.Base(f))
			}
		}
	}
	table := NewTable(storetest.OpenDir(t, dir, nil))
	table.page = 7
	i2 := open(t, table)
	if k2, ok := i2.AdminKey(); !ok || k2 != key {
		t.Fatal("another admin key after the restart")
	}
	if c, ok := i2.Credential(session.AccessKeyID); !ok || c.Secret != session.Secret || c.Principal.Name != AdminUser {
		t.Fatal("the session is lost")
	}
	if n := len(i2.Snapshot().Users(account)); n != 31 {
		t.Fatalf("%d users", n)
	}
}

func TestSecretsDoNotReachALog(t *testing.T) {
	i := open(t, &MemoryStore{})
	k, _ := i.AdminKey()
	c, _ := i.Credential(k.ID)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", k.Secret, "key", k, "credential", c, "session", Session{Secret: k.Secret}, "credentials", SessionCredentials{Secret: k.Secret})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "credential", c)
	fmt.Fprintf(&log, "%v %+v %#v %s", k, c, k, k.Secret)
	if strings.Contains(log.String(), k.Secret.Reveal()) {
		t.Fatal(log.String())
	}
	b, err := json.Marshal(k)
	if err != nil || !strings.Contains(string(b), `"Secret":`) {
		t.Fatal(err)
	}
}

func TestDamagedRecordsAreNotSkipped(t *testing.T) {
	for _, r := range []Record{{Kind: UserRecord, Account: account, ID: "x", Body: []byte("{")}, {Kind: "iam-unknown", Account: account, ID: "x", Body: []byte("{}")}} {
		s := &MemoryStore{}
		if _, err := s.Apply(t.Context(), 0, []Record{r}); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), Config{Store: s}); err == nil {
			t.Errorf("%s was passed over", r.Kind)
		}
	}
}

func BenchmarkCredential(b *testing.B) {
	i := open(b, &MemoryStore{})
	k, _ := i.AdminKey()
	b.ReportAllocs()
	for b.Loop() {
		c, ok := i.Credential(k.ID)
		if !ok || i.Authorize(b.Context(), c.Principal, "bedrock:InvokeModel", "*", nil) != nil {
			b.Fatal("denied")
		}
	}
}
