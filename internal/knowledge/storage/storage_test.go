package storage_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/storage"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

func (h *house) create(b *knowledge.Base) vector.Index {
	h.t.Helper()
	ctx := h.acting(b, "")
	h.check(h.Check(ctx, b))
	x, err := h.Create(ctx, b)
	h.check(err)
	h.t.Cleanup(func() { _ = x.Close() })
	return x
}

func TestABuiltInIndexLivesWithItsKnowledgeBase(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	b := base("KB00000001", nil)
	ctx := h.acting(b, "")
	_, err := h.Open(ctx, b)
	want(t, "not made yet", err, apierr.Validation, bad)
	x := h.create(b)
	if d := x.Definition(); d.Dimension != 3 || d.Model != "hash" || d.Metric != vector.Cosine || d.ID != "kb-KB00000001" {
		t.Errorf("%+v", d)
	}
	if c, ok := h.Capabilities(b); !ok || !c.Hybrid || !c.Sealed {
		t.Errorf("%+v", c)
	}
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(ctx, d, chunks))
	h.check(x.Close())
	h.close()

	h = open(t, dir, nil)
	ctx = h.acting(b, "")
	x, err = h.Open(ctx, b)
	h.check(err)
	hits, err := x.Search(ctx, vector.Query{Vector: []float32{1, 2, 3}, K: 1, Model: "hash"})
	if err != nil || len(hits) != 1 || hits[0].Chunk.Text != "text of d" {
		t.Error(hits, err)
	}
	// Gone with its knowledge base, whose id nobody has again, with all that it holds.
	h.check(x.Close())
	h.now = h.now.Add(time.Hour)
	h.check(h.Release(t.Context(), b))
	_, err = h.Open(ctx, b)
	want(t, "released", err, apierr.Validation, bad)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, "kb-"+b.ID) {
			t.Errorf("%s is left", path)
		}
		return err
	})
	h.check(err)
	h.check(h.Release(t.Context(), b))
}

func TestACollectionsIndexIsSharedByOneModel(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	a, b, c := base("KBA", aoss("one")), base("KBB", aoss("one")), base("KBC", aoss("two"))
	x := h.create(a)
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(h.acting(a, ""), d, chunks))
	y := h.create(b)
	if docs, err := y.Documents(t.Context(), "", "", 9); err != nil || len(docs) != 1 {
		t.Errorf("not shared: %v, %v", docs, err)
	}
	z := h.create(c)
	if docs, err := z.Documents(t.Context(), "", "", 9); err != nil || len(docs) != 0 {
		t.Errorf("another name, the same index: %v, %v", docs, err)
	}
	for what, change := range map[string]func(*knowledge.Embedding){
		"another dimension": func(e *knowledge.Embedding) { e.Dimension = 4 },
		"another model":     func(e *knowledge.Embedding) { e.Hash = "other" },
	} {
		o := base("KBO", aoss("one"))
		change(&o.Model)
		want(t, what+" is checked", h.Check(h.acting(o, ""), o), apierr.Validation, bad)
		_, err := h.Create(h.acting(o, ""), o)
		want(t, what, err, apierr.Validation, bad)
		if !errors.Is(err, vector.ErrMismatch) {
			t.Error(err)
		}
	}

	// It goes when nobody names it and it is empty.
	h.now = h.now.Add(time.Hour) // what holds it are the rows, no longer that it was just made
	h.check(h.Release(t.Context(), a))
	if _, err := h.Open(h.acting(b, ""), b); err != nil {
		t.Errorf("dropped with documents that were to be kept: %v", err)
	}
	h.bases = []*knowledge.Base{b, c}
	h.check(h.Release(t.Context(), a))
	h.check(y.Delete(h.acting(b, ""), "d"))
	h.check(h.Release(t.Context(), a))
	if _, err := h.Open(h.acting(b, ""), b); err != nil {
		t.Errorf("dropped under another: %v", err)
	}
	h.bases = []*knowledge.Base{c}
	h.check(h.Release(t.Context(), b))
	_, err := h.Open(h.acting(b, ""), b)
	want(t, "the last one", err, apierr.Validation, bad)
	if _, err := h.Open(h.acting(c, ""), c); err != nil {
		t.Errorf("another name: %v", err)
	}
}

// An index that was made for a knowledge base without a row yet is not taken from it.
func TestAnIndexInTheMakingIsKept(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	a, b := base("KBA", aoss("one")), base("KBB", aoss("one"))
	h.create(a)
	h.create(b) // neither has a row
	h.check(h.Release(t.Context(), a))
	if _, err := h.Open(h.acting(b, ""), b); err != nil {
		t.Fatalf("dropped: %v", err)
	}
	h.now = h.now.Add(time.Hour) // b never got one
	h.check(h.Release(t.Context(), a))
	_, err := h.Open(h.acting(b, ""), b)
	want(t, "an old claim", err, apierr.Validation, bad)

	// Without a list of knowledge bases nobody knows who shares it.
	h = open(t, t.TempDir(), func(c *storage.Config) { c.Bases = nil })
	h.create(a)
	h.check(h.Release(t.Context(), a))
	if _, err := h.Open(h.acting(a, ""), a); err != nil {
		t.Errorf("dropped: %v", err)
	}
}

func TestRekey(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	ctx := t.Context()
	key, err := h.keys.CreateKey(ctx, h.admin(), kms.CreateKeyInput{})
	h.check(err)
	a := base("KBA", aoss("one"))
	x := h.create(a)
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(h.acting(a, ""), d, chunks))
	a.KeyARN = key.ARN()
	h.check(h.Rekey(h.acting(a, ""), a))
	h.check(h.Rekey(h.acting(a, ""), a))
	search := func() error {
		_, err := x.Search(h.acting(a, ""), vector.Query{Vector: []float32{1, 2, 3}, K: 1})
		return err
	}
	h.check(search())
	h.check(h.keys.SetEnabled(ctx, h.admin(), key.ID(), false))
	if err := search(); kms.Refusal(err) == nil {
		t.Errorf("the key does not rule: %v", err)
	}
	h.check(h.keys.SetEnabled(ctx, h.admin(), key.ID(), true))

	b := base("KBB", aoss("one"))
	b.KeyARN = ""
	h.bases = []*knowledge.Base{a, b}
	keyIs := func(want string) {
		t.Helper()
		x, err := h.Open(h.acting(a, ""), a)
		h.check(err)
		defer x.Close()
		if got := x.Definition().KeyARN; got != want {
			t.Errorf("the index has the key %q, want %q", got, want)
		}
	}
	h.check(h.Rekey(h.acting(b, ""), b)) // it names none
	keyIs(key.ARN())
	second, err := h.keys.CreateKey(ctx, h.admin(), kms.CreateKeyInput{})
	h.check(err)
	b.KeyARN = second.ARN()
	want(t, "shared, with another key", h.Rekey(h.acting(b, ""), b), apierr.Validation, bad)
	keyIs(key.ARN())
	a.KeyARN = "" // the first one leaves its key, and the second one may come to its own
	h.check(h.Rekey(h.acting(b, ""), b))
	keyIs(second.ARN())
	b.KeyARN = ""
	h.check(h.Rekey(h.acting(a, ""), a))
	keyIs("")
	// The encryption context is that of the knowledge base: its role's policy may say so.
	only := h.role("only", `["kms:GenerateDataKey","kms:Decrypt","aoss:APIAccessAll"]`, "*")
	c := base("KBC", nil)
	h.create(c)
	c.KeyARN = key.ARN()
	h.check(h.Rekey(h.acting(c, only), c))
	none := h.role("none", `["aoss:APIAccessAll"]`, "*")
	c.KeyARN = ""
	if err := h.Rekey(h.acting(c, none), c); kms.Refusal(err) == nil {
		t.Errorf("without the old key: %v", err)
	}
	// Stores that are not the house's have no key of a knowledge base.
	s3 := base("KBS", vectors("arn:aws:s3vectors:us-east-1:123456789012:bucket/bbb/index/xxx"))
	h.check(h.Rekey(h.acting(s3, ""), s3))
}

// Knowledge bases that share an index share its key: its encryption context is the
// collection's, which they have in common.
func TestASharedIndexIsOpenedByAllThatMayUseItsKey(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	key, err := h.keys.CreateKey(t.Context(), h.admin(), kms.CreateKeyInput{})
	h.check(err)
	a, b := base("KBA", aoss("one")), base("KBB", aoss("one"))
	a.KeyARN, b.KeyARN = key.ARN(), key.ARN()
	h.bases = []*knowledge.Base{a, b}
	fill := func(kb *knowledge.Base, id string) error {
		ctx := h.acting(kb, "")
		x, err := h.Create(ctx, kb)
		if err != nil {
			return err
		}
		defer x.Close()
		h.check(h.Rekey(ctx, kb))
		d, chunks := document(id, 1, 2, 3)
		return x.Replace(ctx, d, chunks)
	}
	h.check(fill(a, "da"))
	h.check(fill(b, "db"))
	for _, kb := range h.bases {
		if n, err := h.search(kb, ""); err != nil || n != 2 {
			t.Errorf("%s finds %d, %v", kb.ID, n, err)
		}
	}
	// A policy may speak of the encryption context.
	ctx := t.Context()
	grant := func(name, value string) string {
		_, err := h.identity.CreateUser(ctx, account, name, "/")
		h.check(err)
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"aoss:APIAccessAll","Resource":"*"},{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*",` +
			`"Condition":{"StringEquals":{"kms:EncryptionContext:aws:aoss:arn":"` + value + `"}}}]}`
		h.check(h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: account, Name: name}, "p", document))
		k, err := h.identity.CreateAccessKey(ctx, account, name)
		h.check(err)
		return k.ID
	}
	if n, err := h.search(b, grant("this-one", collection)); err != nil || n != 2 {
		t.Errorf("with the collection's context %d, %v", n, err)
	}
	if _, err := h.search(b, grant("another-one", collection+"x")); kms.Refusal(err) == nil {
		t.Errorf("with another collection's context: %v", err)
	}
	if _, err := h.search(b, h.role("keyless", `["aoss:APIAccessAll"]`, "*")); kms.Refusal(err) == nil {
		t.Errorf("without the key: %v", err)
	}
	h.check(h.keys.SetEnabled(ctx, h.admin(), key.ID(), false))
	for _, kb := range h.bases {
		if _, err := h.search(kb, ""); kms.Refusal(err) == nil {
			t.Errorf("the key does not rule %s: %v", kb.ID, err)
		}
	}
}

// What is sealed says its own encryption context, so that an index which was sealed for
// one knowledge base before it was for the collection opens all the same.
func TestAnIndexThatWasSealedForItsKnowledgeBaseStillOpens(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	key, err := h.keys.CreateKey(t.Context(), h.admin(), kms.CreateKeyInput{})
	h.check(err)
	a, b := base("KBA", aoss("one")), base("KBB", aoss("one"))
	a.KeyARN, b.KeyARN = key.ARN(), key.ARN()
	h.bases = []*knowledge.Base{a, b}
	ctx := h.acting(a, "")
	name, _ := storage.Name(a)
	x, err := h.vectors.Create(ctx, vector.Definition{Name: name, Dimension: 3, Metric: vector.Cosine, Model: "hash", KeyARN: key.ARN()})
	h.check(err)
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(ctx, d, chunks))
	h.check(x.Close())
	for _, kb := range h.bases {
		if n, err := h.search(kb, ""); err != nil || n != 1 {
			t.Errorf("%s finds %d, %v", kb.ID, n, err)
		}
	}
}

func TestStoresThatAreOnlyKept(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	for _, typ := range []api.KnowledgeBaseStorageType{
		api.KnowledgeBaseStorageTypePinecone, api.KnowledgeBaseStorageTypeRedisEnterpriseCloud, api.KnowledgeBaseStorageTypeMongoDbAtlas,
		api.KnowledgeBaseStorageTypeOpensearchManagedCluster, api.KnowledgeBaseStorageTypeNeptuneAnalytics,
	} {
		b := base("KBA", &api.StorageConfiguration{Type: typ})
		ctx := h.acting(b, "")
		h.check(h.Check(ctx, b))
		if _, ok := h.Capabilities(b); ok {
			t.Errorf("%s can do something", typ)
		}
		_, err := h.Create(ctx, b)
		want(t, string(typ), err, apierr.Validation, "Outcrop keeps storage configurations of the type "+string(typ))
		_, err = h.Open(ctx, b)
		want(t, string(typ), err, apierr.Validation, "Outcrop keeps storage configurations of the type "+string(typ))
		h.check(h.Rekey(ctx, b))
		h.check(h.Release(ctx, b))
	}
	for _, typ := range []api.KnowledgeBaseStorageType{api.KnowledgeBaseStorageTypeOpensearchServerless, api.KnowledgeBaseStorageTypeRds, api.KnowledgeBaseStorageTypeS3Vectors} {
		b := base("KBA", &api.StorageConfiguration{Type: typ})
		want(t, "no "+string(typ), h.Check(h.acting(b, ""), b), apierr.Validation, bad)
		_, err := h.Open(h.acting(b, ""), b)
		want(t, "no "+string(typ), err, apierr.Validation, bad)
	}
}

func TestRolesNeedWhatTheyNeedOnAWS(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	b := base("KBA", aoss("one"))
	other := h.role("other", `"aoss:APIAccessAll"`, collection+"x")
	good := h.role("good", `"aoss:APIAccessAll"`, collection)
	want(t, "check", h.Check(h.acting(b, other), b), apierr.Validation, bad+"User: ")
	_, err := h.Create(h.acting(b, other), b)
	want(t, "create", err, apierr.Validation, bad+"User: ")
	h.check(h.Check(h.acting(b, good), b))
	x, err := h.Create(h.acting(b, good), b)
	h.check(err)
	h.check(x.Close())
	_, err = h.Open(h.acting(b, other), b)
	want(t, "open", err, apierr.AccessDenied, "User: ")
	if x, err = h.Open(t.Context(), b); err != nil {
		t.Errorf("the house's own work: %v", err)
	} else {
		h.check(x.Close())
	}
	// The built-in index needs none.
	c := base("KBC", nil)
	x, err = h.Create(h.acting(c, other), c)
	h.check(err)
	h.check(x.Close())
}

func vectors(index string) *api.StorageConfiguration {
	return &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeS3Vectors, S3VectorsConfiguration: &api.S3VectorsConfiguration{IndexArn: &index}}
}

func TestAnIndexOfAVectorBucket(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	ctx := t.Context()
	n, err := h.buckets.CreateBucket(ctx, h.admin(), "bbb", vectorbucket.Encryption{}, nil)
	h.check(err)
	make := func(name string, dimension int, metric vector.Metric) string {
		t.Helper()
		x, err := h.buckets.CreateIndex(ctx, h.admin(), vectorbucket.NewIndex{Bucket: vectorbucket.Ref{Bucket: "bbb"}, Name: name, Dimension: dimension, Metric: metric})
		h.check(err)
		return x.ARN()
	}
	wire, native, wrong := make("wire", 5, vector.Euclidean), make("native", 3, vector.Cosine), make("wrong", 4, vector.Cosine)
	named := &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeS3Vectors, S3VectorsConfiguration: &api.S3VectorsConfiguration{VectorBucketArn: new(n.BucketARN()), IndexName: new("wire")}}
	for what, c := range map[string]struct {
		s         *api.StorageConfiguration
		dimension int
		metric    vector.Metric
	}{"AWS's dimension": {vectors(wire), 5, vector.Euclidean}, "the model's": {vectors(native), 3, vector.Cosine}, "by name": {named, 5, vector.Euclidean}} {
		b := base("KBA", c.s)
		x := h.create(b)
		if d := x.Definition(); d.Dimension != c.dimension || d.Metric != c.metric || d.Model != "hash" {
			t.Errorf("%s: %+v", what, d)
		}
	}
	for what, s := range map[string]*api.StorageConfiguration{
		"another dimension": vectors(wrong), "not there": vectors(wire + "x"), "no index": vectors(n.BucketARN()), "no bucket": vectors("arn:aws:s3vectors:us-east-1:123456789012:bucket/zzz/index/xxx"),
		"half a name": {Type: api.KnowledgeBaseStorageTypeS3Vectors, S3VectorsConfiguration: &api.S3VectorsConfiguration{IndexName: new("wire")}},
	} {
		b := base("KBA", s)
		want(t, what, h.Check(h.acting(b, ""), b), apierr.Validation, bad)
		_, err := h.Create(h.acting(b, ""), b)
		want(t, what, err, apierr.Validation, bad)
	}
	b := base("KBA", vectors(native))
	if c, ok := h.Capabilities(b); !ok || c.Hybrid || c.Operators == nil {
		t.Errorf("%+v", c)
	}
	x := h.create(b)
	acting := h.acting(b, "")
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(acting, d, chunks))
	hits, err := x.Search(acting, vector.Query{Vector: []float32{1, 2, 3}, K: 5, Model: "hash"})
	if err != nil || len(hits) != 1 || hits[0].Chunk.Text != "text of d" || string(hits[0].Chunk.Source) != `{"page":1}` {
		t.Errorf("%+v, %v", hits, err)
	}
	if _, err := x.Search(acting, vector.Query{Vector: []float32{1, 2, 3}, K: 5, Model: "other"}); !errors.Is(err, vector.ErrModel) {
		t.Error(err)
	}
	if _, err := x.Search(acting, vector.Query{Vector: []float32{1, 2, 3}, K: 5, Mode: vector.Hybrid}); !errors.Is(err, vector.ErrUnsupported) {
		t.Error(err)
	}
	// Programs see the chunk.
	got, err := h.buckets.Get(ctx, h.admin(), vectorbucket.Ref{IndexARN: native}, []string{"d#0"}, true, true)
	if err != nil || len(got) != 1 || len(got[0].Data) != 3 {
		t.Error(got, err)
	}
	// The role needs the actions that the work takes on AWS.
	reader := h.role("reader", `["s3vectors:GetIndex","s3vectors:QueryVectors","s3vectors:GetVectors"]`, native)
	y, err := h.Open(h.acting(b, reader), b)
	h.check(err)
	if _, err := y.Search(h.acting(b, reader), vector.Query{Vector: []float32{1, 2, 3}, K: 5}); err != nil {
		t.Error(err)
	}
	want(t, "a write", y.Replace(h.acting(b, reader), d, chunks), apierr.AccessDenied, "User: ")
	h.check(y.Close())
	_, err = h.Open(h.acting(b, h.role("nobody", `"s3vectors:PutVectors"`, native)), b)
	want(t, "open", err, apierr.AccessDenied, "User: ")
	// Releasing leaves what the user made.
	h.check(x.Delete(acting, "d"))
	h.check(h.Release(t.Context(), b))
	if _, err := h.buckets.Index(ctx, h.admin(), vectorbucket.Ref{IndexARN: native}); err != nil {
		t.Error(err)
	}
	// An index that goes away is a wrong configuration.
	h.check(h.buckets.DeleteIndex(ctx, h.admin(), vectorbucket.Ref{IndexARN: native}))
	_, err = x.Search(acting, vector.Query{Vector: []float32{1, 2, 3}, K: 5})
	want(t, "deleted", err, apierr.Validation, bad)

	h = open(t, t.TempDir(), func(c *storage.Config) { c.Buckets = nil })
	want(t, "not served", h.Check(h.acting(b, ""), b), apierr.Validation, bad)
}

// A sealed index of a vector bucket whose key is off refuses as Bedrock does.
func TestAKeyOfAVectorBucketRules(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	ctx := t.Context()
	key, err := h.keys.CreateKey(ctx, h.admin(), kms.CreateKeyInput{})
	h.check(err)
	_, err = h.buckets.CreateBucket(ctx, h.admin(), "bbb", vectorbucket.Encryption{Type: vectorbucket.SSEKMS, Key: key.ARN()}, nil)
	h.check(err)
	n, err := h.buckets.CreateIndex(ctx, h.admin(), vectorbucket.NewIndex{Bucket: vectorbucket.Ref{Bucket: "bbb"}, Name: "xxx", Dimension: 3, Metric: vector.Cosine})
	h.check(err)
	b := base("KBA", vectors(n.ARN()))
	x := h.create(b)
	d, chunks := document("d", 1, 2, 3)
	h.check(x.Replace(h.acting(b, ""), d, chunks))
	h.check(h.keys.SetEnabled(ctx, h.admin(), key.ID(), false))
	_, err = x.Search(h.acting(b, ""), vector.Query{Vector: []float32{1, 2, 3}, K: 5})
	want(t, "disabled", err, apierr.AccessDenied, "The KMS key of the vector index cannot be used")
	if !errors.Is(err, store.ErrSealed) {
		t.Error("the cause is lost")
	}
}

func TestWhatNamesAnIndex(t *testing.T) {
	a, ok := storage.Name(base("KBA", aoss("one")))
	if err := a.Check(); !ok || err != nil {
		t.Error(a, err)
	}
	seen := map[vector.Name]bool{a: true}
	for _, b := range []*knowledge.Base{base("KBA", aoss("two")), base("KBA", nil), base("KBB", nil)} {
		n, ok := storage.Name(b)
		if !ok || seen[n] {
			t.Error(n)
		}
		seen[n] = true
	}
	if n, _ := storage.Name(base("KBB", aoss("one"))); n != a {
		t.Error(n)
	}
	if _, ok := storage.Name(base("KBA", vectors("x"))); ok {
		t.Error("S3 Vectors has an embedded name")
	}
}

func TestConfig(t *testing.T) {
	if _, err := storage.New(storage.Config{}); err == nil {
		t.Error("no store")
	}
	const cluster = "arn:aws:rds:us-east-1:123456789012:cluster:pg"
	for s, ok := range map[string]bool{
		cluster + "=postgres://127.0.0.1:5432/?sslmode=disable": true, cluster + "=postgresql://db": true, cluster + "=postgres:///?host=/run/pg": true,
		cluster: false, cluster + "=": false, cluster + "=host=a": false, cluster + "=postgres://": false, cluster + "=http://a": false, "x=postgres://a": false,
		"arn:aws:rds:us-east-1:123456789012:db:pg=postgres://a": false, cluster + "=postgres://a b:%zz": false,
	} {
		arn, address, err := storage.ParseCluster(s)
		if (err == nil) != ok || ok && (arn != cluster || address != s[len(cluster)+1:]) {
			t.Errorf("%s: %q, %q, %v", s, arn, address, err)
		}
	}
}
