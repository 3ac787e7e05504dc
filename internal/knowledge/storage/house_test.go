package storage_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/kms/kmstest"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/storage"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account    = iam.DefaultAccount
	region     = "us-east-1"
	collection = "arn:aws:aoss:us-east-1:" + account + ":collection/abc123"
	bad        = "The knowledge base storage configuration provided is invalid... "
)

// house is real stores in a folder, and the indexes over them.
type house struct {
	*storage.Indexes
	t        *testing.T
	identity *iam.Identity
	keys     *kms.Service
	store    *store.Store
	vectors  *embedded.Store
	buckets  *vectorbucket.Service
	room     *knowledge.Room
	bases    []*knowledge.Base // that are there
	now      time.Time
}

func open(t *testing.T, dir string, change func(*storage.Config)) *house {
	t.Helper()
	ctx := t.Context()
	h := &house{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	k := kmstest.Open(t, dir, nil)
	h.identity, h.keys, h.store = k.Identity, k.Keys, k.Store
	var err error
	h.vectors, err = embedded.New(embedded.Config{Dir: filepath.Join(dir, "vectors"), Sealer: k.Sealer})
	h.check(err)
	h.buckets, err = vectorbucket.New(ctx, vectorbucket.Config{Store: h.store, Vectors: h.vectors, Policies: h.identity, Keys: true})
	h.check(err)
	c := storage.Config{
		Embedded: h.vectors, Tables: tables{}, Buckets: h.buckets, Policies: h.identity, Now: func() time.Time { return h.now },
		Bases: func(context.Context, string, string) ([]*knowledge.Base, error) { return h.bases, nil },
	}
	if change != nil {
		change(&c)
	}
	h.Indexes, err = storage.New(c)
	h.check(err)
	h.room = knowledge.New(knowledge.Config{Store: h.store, Indexes: h.Indexes, Roles: roles{h.identity}})
	t.Cleanup(h.close)
	return h
}

func (h *house) close() {
	h.check(h.Close())
	h.check(h.vectors.Close())
	h.check(h.store.Close())
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// tables are what package server puts around pgvector.
type tables struct{}

func (tables) Capabilities() vector.Capabilities { return (*pgvector.Store)(nil).Capabilities() }

func (tables) Store(t storage.Table) (vector.Store, error) {
	return pgvector.New(pgvector.Config{
		DSN: t.DSN, Definition: t.Definition, Table: t.Name, PrimaryKey: t.PrimaryKey, Vector: t.Vector, Text: t.Text, Metadata: t.Metadata, CustomMetadata: t.CustomMetadata,
	})
}

// roles are users here: who acts is all that the stores look at.
type roles struct{ identity *iam.Identity }

func (r roles) Pass(context.Context, string, string) error { return nil }

func (r roles) Assume(_ context.Context, role, _, _ string) (*iam.Principal, error) {
	c, ok := r.identity.Credential(role)
	if !ok {
		return nil, errors.New("no such role")
	}
	return c.Principal, nil
}

func (r roles) Allow(ctx context.Context, p *iam.Principal, action, resource string) error {
	return r.identity.Authorize(ctx, p, action, resource, nil)
}

func (r roles) Invoke(context.Context, *iam.Principal, string) error { return nil }

// role makes who may do what the document says, and answers its name.
func (h *house) role(name, actions, resource string) string {
	h.t.Helper()
	ctx := h.t.Context()
	_, err := h.identity.CreateUser(ctx, account, name, "/")
	h.check(err)
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + actions + `,"Resource":"` + resource + `"}]}`
	h.check(h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: account, Name: name}, "p", document))
	k, err := h.identity.CreateAccessKey(ctx, account, name)
	h.check(err)
	return k.ID
}

// admin acts for nobody but the administrator.
func (h *house) admin() kms.Caller {
	k, _ := h.identity.AdminKey()
	c, _ := h.identity.Credential(k.ID)
	return kms.Caller{Principal: c.Principal, Account: account, Region: region}
}

// acting is a context of a knowledge base's role; "" is the administrator.
func (h *house) acting(b *knowledge.Base, role string) context.Context {
	h.t.Helper()
	if role == "" {
		k, _ := h.identity.AdminKey()
		role = k.ID
	}
	as := *b
	as.Role = role
	ctx, _, err := h.room.Acting(h.t.Context(), &as)
	h.check(err)
	return ctx
}

// search opens the index of a knowledge base as a role and counts what it finds.
func (h *house) search(kb *knowledge.Base, role string) (int, error) {
	h.t.Helper()
	ctx := h.acting(kb, role)
	x, err := h.Open(ctx, kb)
	if err != nil {
		return 0, err
	}
	defer x.Close()
	hits, err := x.Search(ctx, vector.Query{Vector: []float32{1, 2, 3}, K: 9, Model: "hash"})
	return len(hits), err
}

func base(id string, s *api.StorageConfiguration) *knowledge.Base {
	return &knowledge.Base{
		Account: account, Region: region, ID: id, Name: id, Storage: s,
		Model: knowledge.Embedding{ARN: "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0", Hash: "hash", Dimension: 3, Wire: 5},
	}
}

func aoss(index string) *api.StorageConfiguration {
	return &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeOpensearchServerless, OpensearchServerlessConfiguration: &api.OpenSearchServerlessConfiguration{
		CollectionArn: collection, VectorIndexName: index, FieldMapping: &api.OpenSearchServerlessFieldMapping{VectorField: "v", TextField: "t", MetadataField: "m"},
	}}
}

func document(id string, data ...float32) (vector.Document, []vector.Chunk) {
	return vector.Document{ID: id, Version: "1"}, []vector.Chunk{{ID: id + "#0", Text: "text of " + id, Vector: data, Source: []byte(`{"page":1}`),
		Metadata: vector.Metadata{"year": vector.NumberValue(2024)}}}
}

// want compares the kind and the beginning of an error's text; "" is none.
func want(t *testing.T, what string, err error, kind apierr.Kind, text string) {
	t.Helper()
	got := ""
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		got = e.Message
	}
	if apierr.KindOf(err) != kind || !strings.HasPrefix(got, text) {
		t.Errorf("%s: %v, want %s %q", what, err, kind, text)
	}
}
