package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

type note struct{ Text string }

var notes = store.Kind[note]{Name: "agent"}

// asAdmin is a request of the administrator.
func (h *house) asAdmin() context.Context {
	return call.With(h.t.Context(), &call.Call{Account: account, Region: region, Caller: h.admin.Principal, Service: "bedrock-agent"})
}

func (h *house) write(ctx context.Context, id, keyARN, text string) error {
	return h.store.Update(ctx, func(tx *store.Tx) error {
		_, err := notes.Create(tx, store.Key{Account: account, Region: region, ID: id}, note{text}, store.Columns{Name: id, KeyARN: keyARN})
		return err
	})
}

func (h *house) read(ctx context.Context, id string) (store.Record[note], error) {
	var rec store.Record[note]
	err := h.store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = notes.Get(tx, store.Key{Account: account, Region: region, ID: id})
		return err
	})
	return rec, err
}

func TestSealerUnderACustomerKey(t *testing.T) {
	h := open(t)
	k := h.key(kms.CreateKeyInput{})
	canary := "canary-3b1f-plain"
	if err := h.write(h.asAdmin(), "A", k.ARN(), canary); err != nil {
		t.Fatal(err)
	}
	if rec, err := h.read(h.asAdmin(), "A"); err != nil || rec.Body.Text != canary {
		t.Fatal(rec, err)
	}
	as := func(c kms.Caller) context.Context { return kms.As(t.Context(), kms.Asking{Caller: c}) }
	agent := "arn:aws:bedrock:us-east-1:123456789012:agent/A"
	right := h.user("right", allow("kms:*", k.ARN(), `{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"`+agent+`"}}`))
	wrong := h.user("wrong", allow("kms:*", k.ARN(), `{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"`+agent+`2"}}`))
	if _, err := h.read(as(right), "A"); err != nil {
		t.Errorf("with the agent's context: %v", err)
	}
	sealed := func(what string, err error, want string) {
		t.Helper()
		if !errors.Is(err, store.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", what, err)
			return
		}
		if r := kms.Refusal(err); r == nil || r.Kind != apierr.AccessDenied || r.Message != want {
			t.Errorf("%s: the caller is told %v, want %q", what, r, want)
		}
	}
	_, err := h.read(as(wrong), "A")
	sealed("another agent's context", err, "User: "+wrong.Principal.ARN+" is not authorized to perform: kms:Decrypt on resource: "+k.ARN()+" because no identity-based policy allows the kms:Decrypt action")
	_, err = h.read(t.Context(), "A")
	if !errors.Is(err, store.ErrSealed) {
		t.Errorf("nobody asks: %v", err)
	}
	sealed("a seal without permission", h.write(as(wrong), "B", k.ARN(), "x"), "User: "+wrong.Principal.ARN+" is not authorized to perform: kms:GenerateDataKey on resource: "+k.ARN()+" because no identity-based policy allows the kms:GenerateDataKey action")
	// Without a principal As keeps the request's, through the service that was called.
	through := h.user("through", allow("kms:*", k.ARN(), `{"StringEquals":{"kms:ViaService":"bedrock.us-east-1.amazonaws.com","kms:EncryptionContext:session":"s"}}`))
	asked := call.With(t.Context(), &call.Call{Account: account, Region: region, Caller: through.Principal, Service: "bedrock-agent-runtime"})
	if err := h.write(kms.As(asked, kms.Asking{Context: map[string]string{"session": "s"}}), "S", k.ARN(), "x"); err != nil {
		t.Errorf("with a context of its own: %v", err)
	}
	if _, err := h.read(asked, "S"); err != nil {
		t.Errorf("the context is kept with the record: %v", err)
	}
	if err := h.write(asked, "T", k.ARN(), "x"); !errors.Is(err, store.ErrSealed) {
		t.Errorf("with the row's context: %v", err)
	}
	house := kms.As(t.Context(), kms.Asking{House: true})
	if rec, err := h.read(house, "A"); err != nil || rec.Body.Text != canary {
		t.Errorf("the house: %v %v", rec, err)
	}
	if err := h.SetEnabled(t.Context(), h.admin, k.ID(), false); err != nil {
		t.Fatal(err)
	}
	rec, err := h.read(h.asAdmin(), "A")
	sealed("disabled", err, k.ARN()+" is disabled.")
	if rec.Name != "A" || rec.Sealed == nil {
		t.Errorf("clear columns %+v", rec)
	}
	_, err = h.read(house, "A")
	sealed("disabled, for the house", err, k.ARN()+" is disabled.")
	sealed("a new record", h.write(h.asAdmin(), "C", k.ARN(), "x"), k.ARN()+" is disabled.")
	if err := h.SetEnabled(t.Context(), h.admin, k.ID(), true); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if rec, err := h.read(h.asAdmin(), "A"); err != nil || rec.Body.Text != canary {
		t.Error(rec, err)
	}
	search(t, h.dir, []string{canary}, []string{"agent"}) // the kind is a clear column, so the search does find things
	if _, err := h.ScheduleDeletion(t.Context(), h.admin, k.ID(), 7); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(8 * 24 * time.Hour)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = h.read(house, "A")
	sealed("destroyed", err, "Key '"+k.ARN()+"' does not exist")
}

// A service that the key does not allow uses it for its caller, and the other way round;
// where neither may, nobody reads.
func TestAKeyOfAServiceOrOfItsCaller(t *testing.T) {
	h := open(t)
	k := h.key(kms.CreateKeyInput{})
	guest, owner := h.user("guest", allow("s3:ListBuckets", "*", "{}")), h.user("owner", allow("kms:*", k.ARN(), "{}"))
	as := func(c kms.Caller) context.Context {
		return kms.As(t.Context(), kms.Asking{Caller: kms.Caller{Service: "bedrock.amazonaws.com", Account: account, Region: region}, Else: &c})
	}
	if err := h.write(as(guest), "A", k.ARN(), "x"); kms.Refusal(err) == nil {
		t.Fatalf("neither may: %v", err)
	}
	if err := h.write(as(owner), "A", k.ARN(), "x"); err != nil {
		t.Fatalf("the caller may: %v", err)
	}
	if _, err := h.read(as(owner), "A"); err != nil {
		t.Errorf("the caller may: %v", err)
	}
	if _, err := h.read(as(guest), "A"); kms.Refusal(err) == nil {
		t.Errorf("neither may: %v", err)
	}
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"},` +
		`{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"` + account + `"}}}]}`
	if err := h.PutPolicy(t.Context(), h.admin, k.ID(), document, false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.read(as(guest), "A"); err != nil {
		t.Errorf("the service may: %v", err)
	}
}

// A record under a customer key must be lost with the key, even to somebody who has
// the root key and every file: the material may not linger in the WAL or in a free
// page.
func TestDestroyedMaterialLeavesTheFiles(t *testing.T) {
	h := open(t)
	k := h.key(kms.CreateKeyInput{Description: "doomed"})
	sealed := rowBytes(t, h, k.ID())
	if len(sealed) < 100 || !found(t, h.dir, sealed) {
		t.Fatal("the sealed record of the key is not in the files: the search proves nothing")
	}
	must[*kms.Key](t)(h.ScheduleDeletion(t.Context(), h.admin, k.ID(), 7))
	later := rowBytes(t, h, k.ID())
	h.clock.Advance(8 * 24 * time.Hour)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"first": sealed, "last": later} {
		if found(t, h.dir, b) {
			t.Errorf("the %s record of a destroyed key is still in the files", name)
		}
	}
}

func rowBytes(t *testing.T, h *house, id string) (body []byte) {
	t.Helper()
	err := h.store.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT body FROM resource WHERE kind = 'kms-key' AND id = ?`, []any{id}, &body)
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// found looks for the middle of b, which lies in one page of the database.
func found(t *testing.T, dir string, b []byte) bool {
	t.Helper()
	hit := false
	each(t, dir, func(_ string, content []byte) {
		hit = hit || bytes.Contains(content, b[40:90])
	})
	return hit
}

func each(t *testing.T, dir string, f func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			f(path, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// search fails when a file of dir holds one of never, or none holds one of always.
func search(t *testing.T, dir string, never, always []string) {
	t.Helper()
	seen := map[string]bool{}
	each(t, dir, func(path string, content []byte) {
		for _, s := range never {
			if bytes.Contains(content, []byte(s)) {
				t.Errorf("%s holds %q", path, s)
			}
		}
		for _, s := range always {
			seen[s] = seen[s] || bytes.Contains(content, []byte(s))
		}
	})
	for _, s := range always {
		if !seen[s] {
			t.Errorf("no file holds %q: the search proves nothing", s)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	h := open(f)
	k := h.key(kms.CreateKeyInput{})
	ctx := kms.As(context.Background(), kms.Asking{Caller: h.admin, Context: map[string]string{"a": "1"}})
	good, err := h.sealer.Seal(ctx, k.ARN(), []byte("row"), []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{2, 0, 0})
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := h.sealer.Open(ctx, k.ARN(), []byte("row"), b)
		if (err == nil) != bytes.Equal(b, good) {
			t.Fatalf("%x opens to %q, %v", b, plain, err)
		}
	})
	if _, err := h.sealer.Open(ctx, k.ARN(), []byte("another row"), good); err == nil || errors.Is(err, store.ErrSealed) {
		f.Errorf("another row: %v", err)
	}
}

func BenchmarkSealUnderACustomerKey(b *testing.B) {
	h := open(b)
	k := h.key(kms.CreateKeyInput{})
	ctx := h.asAdmin()
	for _, n := range []int{1 << 10, 1 << 20} {
		plain := make([]byte, n)
		sealed, err := h.sealer.Seal(ctx, k.ARN(), []byte("row"), plain)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("seal/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.sealer.Seal(ctx, k.ARN(), []byte("row"), plain); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("open/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.sealer.Open(ctx, k.ARN(), []byte("row"), sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
