package vectorbucket_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/kms/kmstest"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = iam.DefaultAccount
	region  = "us-east-1"
	arnOfB  = "arn:aws:s3vectors:us-east-1:" + account + ":bucket/bbb"
	arnOfX  = arnOfB + "/index/xxx"
)

// house is the service over real stores in a folder.
type house struct {
	*vectorbucket.Service
	t        testing.TB
	identity *iam.Identity
	keys     *kms.Service
	store    *store.Store
	vectors  *embedded.Store
}

func open(t testing.TB, dir string, identity *iam.Identity) *house {
	t.Helper()
	k := kmstest.Open(t, dir, identity)
	h := &house{t: t, identity: k.Identity, keys: k.Keys, store: k.Store}
	var err error
	h.vectors, err = embedded.New(embedded.Config{Dir: filepath.Join(dir, "vectors"), Sealer: k.Sealer})
	h.check(err)
	h.Service, err = vectorbucket.New(t.Context(), vectorbucket.Config{Store: h.store, Vectors: h.vectors, Policies: h.identity, Keys: true})
	h.check(err)
	t.Cleanup(h.close)
	return h
}

func (h *house) close() {
	h.check(h.vectors.Close())
	h.check(h.store.Close())
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// admin may do everything.
func (h *house) admin() kms.Caller {
	k, _ := h.identity.AdminKey()
	c, ok := h.identity.Credential(k.ID)
	if !ok {
		h.t.Fatal("no administrator")
	}
	return kms.Caller{Principal: c.Principal, Account: account, Region: region}
}

// user has an inline policy, "" for none.
func (h *house) user(in, name, document string) kms.Caller {
	h.t.Helper()
	ctx := h.t.Context()
	_, err := h.identity.CreateUser(ctx, in, name, "/")
	h.check(err)
	if document != "" {
		h.check(h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: in, Name: name}, "p", document))
	}
	k, err := h.identity.CreateAccessKey(ctx, in, name)
	h.check(err)
	c, ok := h.identity.Credential(k.ID)
	if !ok {
		h.t.Fatal("no such key")
	}
	return kms.Caller{Principal: c.Principal, Account: in, Region: region}
}

var (
	refB = vectorbucket.Ref{Bucket: "bbb"}
	refX = vectorbucket.Ref{Bucket: "bbb", Index: "xxx"}
)

// index makes the bucket bbb, if need be, and the index xxx in it.
func (h *house) index(change func(*vectorbucket.NewIndex)) {
	h.t.Helper()
	ctx := h.t.Context()
	if _, err := h.CreateBucket(ctx, h.admin(), "bbb", vectorbucket.Encryption{}, nil); err != nil && apierr.KindOf(err) != apierr.Conflict {
		h.t.Fatal(err)
	}
	in := vectorbucket.NewIndex{Bucket: refB, Name: "xxx", Dimension: 3, Metric: vector.Cosine}
	if change != nil {
		change(&in)
	}
	_, err := h.CreateIndex(ctx, h.admin(), in)
	h.check(err)
}

func (h *house) put(vectors ...vectorbucket.Vector) {
	h.t.Helper()
	h.check(h.Put(h.t.Context(), h.admin(), refX, vectors))
}

func vec(key, metadata string, data ...float32) vectorbucket.Vector {
	v := vectorbucket.Vector{Key: key, Data: data}
	if metadata != "" {
		v.Metadata = json.RawMessage(metadata)
	}
	return v
}

// want compares the kind and the text of an error; "" is none.
func want(t *testing.T, what string, err error, kind apierr.Kind, text string) {
	t.Helper()
	if err == nil && kind == "" {
		return
	}
	got := ""
	if err != nil {
		got = err.Error()
		if len(text) > 0 {
			if e := new(apierr.Error); asError(err, &e) {
				got = e.Message
			}
		}
	}
	if apierr.KindOf(err) != kind || text != "" && got != text {
		t.Errorf("%s: %v, want %s %q", what, err, kind, text)
	}
}

func asError(err error, to **apierr.Error) bool {
	e, ok := err.(*apierr.Error) //nolint:errorlint // the service answers them bare
	if ok {
		*to = e
	}
	return ok
}

func keysOf(vectors []vectorbucket.Vector) string {
	out := ""
	for i, v := range vectors {
		if i > 0 {
			out += " "
		}
		out += v.Key
	}
	return out
}

func numbered(n int) string { return fmt.Sprintf("k%04d", n) }
