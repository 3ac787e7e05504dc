package vectorbucket_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

func TestBucketsLive(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	n, err := h.CreateBucket(ctx, admin, "bbb", vectorbucket.Encryption{}, vectorbucket.Tags{"team": "a"})
	if err != nil || n.BucketARN() != arnOfB {
		t.Fatal(n, err)
	}
	for _, ref := range []vectorbucket.Ref{refB, {BucketARN: arnOfB}} {
		b, err := h.Bucket(ctx, admin, ref)
		if err != nil || b.Name.Bucket != "bbb" || b.Created.IsZero() || b.Encryption != (vectorbucket.Encryption{Type: vectorbucket.SSES3}) {
			t.Errorf("%+v, %v", b, err)
		}
	}
	_, err = h.CreateBucket(ctx, admin, "bbb", vectorbucket.Encryption{}, nil)
	want(t, "twice", err, apierr.Conflict, "A vector bucket with the specified name already exists")
	for _, name := range []string{"ab", "Abc", "-abc", "abc-", "a_c", "a.c", strings.Repeat("a", 64)} {
		_, err := h.CreateBucket(ctx, admin, name, vectorbucket.Encryption{}, nil)
		want(t, name, err, apierr.Validation, "Invalid vector bucket name")
	}
	_, err = h.CreateBucket(ctx, admin, "ccc", vectorbucket.Encryption{Type: vectorbucket.SSEKMS}, nil)
	want(t, "no key", err, apierr.Validation, "")
	_, err = h.CreateBucket(ctx, admin, "ccc", vectorbucket.Encryption{Key: "arn:aws:kms:us-east-1:123456789012:key/a"}, nil)
	want(t, "a key without its type", err, apierr.Validation, "")

	for what, c := range map[string]struct {
		ref  vectorbucket.Ref
		kind apierr.Kind
	}{
		"not there":              {vectorbucket.Ref{Bucket: "zzz"}, vectorbucket.NotFound},
		"by both":                {vectorbucket.Ref{Bucket: "bbb", BucketARN: arnOfB}, apierr.Validation},
		"by nothing":             {vectorbucket.Ref{}, apierr.Validation},
		"the ARN of an index":    {vectorbucket.Ref{BucketARN: arnOfX}, apierr.Validation},
		"another service":        {vectorbucket.Ref{BucketARN: "arn:aws:s3:::bbb"}, apierr.Validation},
		"no ARN":                 {vectorbucket.Ref{BucketARN: "bbb"}, apierr.Validation},
		"an ARN in another part": {vectorbucket.Ref{BucketARN: strings.Replace(arnOfB, region, "eu-west-1", 1)}, vectorbucket.NotFound},
	} {
		_, err := h.Bucket(ctx, admin, c.ref)
		want(t, what, err, c.kind, "")
	}

	h.index(nil)
	want(t, "not empty", h.DeleteBucket(ctx, admin, refB), apierr.Conflict, "The specified vector bucket is not empty")
	h.check(h.DeleteIndex(ctx, admin, refX))
	h.check(h.DeleteBucket(ctx, admin, refB))
	_, err = h.Bucket(ctx, admin, refB)
	want(t, "deleted", err, vectorbucket.NotFound, "The specified vector bucket could not be found")
	want(t, "deleted twice", h.DeleteBucket(ctx, admin, refB), vectorbucket.NotFound, "")
	// The tags went with it.
	if _, err = h.CreateBucket(ctx, admin, "bbb", vectorbucket.Encryption{}, nil); err != nil {
		t.Fatal(err)
	}
	if tags, err := h.TagsOf(ctx, admin, arnOfB); err != nil || len(tags) != 0 {
		t.Error(tags, err)
	}
}

func TestIndexesLive(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	_, err := h.CreateIndex(ctx, admin, vectorbucket.NewIndex{Bucket: refB, Name: "xxx", Dimension: 3, Metric: vector.Cosine})
	want(t, "no bucket", err, vectorbucket.NotFound, "The specified vector bucket could not be found")
	h.index(func(x *vectorbucket.NewIndex) { x.NonFilterable, x.Metric = []string{"text"}, vector.Euclidean })
	for _, ref := range []vectorbucket.Ref{refX, {IndexARN: arnOfX}, {BucketARN: arnOfB, Index: "xxx"}} {
		x, err := h.Index(ctx, admin, ref)
		if err != nil || x.ARN() != arnOfX || x.Dimension != 3 || x.Metric != vector.Euclidean || !slices.Equal(x.NonFilterable, []string{"text"}) || x.Encryption.Type != vectorbucket.SSES3 {
			t.Errorf("%+v, %v", x, err)
		}
	}
	for what, c := range map[string]struct {
		change func(*vectorbucket.NewIndex)
		kind   apierr.Kind
		text   string
	}{
		"twice":          {func(*vectorbucket.NewIndex) {}, apierr.Conflict, "An index with the specified name already exists"},
		"a name":         {func(x *vectorbucket.NewIndex) { x.Name = "Xx" }, apierr.Validation, "Invalid index name"},
		"no dimension":   {func(x *vectorbucket.NewIndex) { x.Name, x.Dimension = "yyy", 0 }, apierr.Validation, ""},
		"too wide":       {func(x *vectorbucket.NewIndex) { x.Name, x.Dimension = "yyy", 4097 }, apierr.Validation, ""},
		"a metric":       {func(x *vectorbucket.NewIndex) { x.Name, x.Metric = "yyy", "dot" }, apierr.Validation, ""},
		"a key twice":    {func(x *vectorbucket.NewIndex) { x.Name, x.NonFilterable = "yyy", []string{"a", "a"} }, apierr.Validation, ""},
		"a tag of AWS's": {func(x *vectorbucket.NewIndex) { x.Name, x.Tags = "yyy", vectorbucket.Tags{"aws:x": "1"} }, apierr.Validation, ""},
		"a key that is not there": {func(x *vectorbucket.NewIndex) {
			x.Name, x.Encryption = "yyy", vectorbucket.Encryption{Type: vectorbucket.SSEKMS, Key: "arn:aws:kms:us-east-1:123456789012:key/3c6f2c3e-0000-0000-0000-000000000000"}
		}, apierr.Validation, ""},
	} {
		in := vectorbucket.NewIndex{Bucket: refB, Name: "xxx", Dimension: 3, Metric: vector.Cosine}
		c.change(&in)
		_, err := h.CreateIndex(ctx, admin, in)
		want(t, what, err, c.kind, c.text)
	}
	for what, c := range map[string]struct {
		ref  vectorbucket.Ref
		kind apierr.Kind
	}{
		"not there":           {vectorbucket.Ref{Bucket: "bbb", Index: "zzz"}, vectorbucket.NotFound},
		"by both":             {vectorbucket.Ref{Bucket: "bbb", Index: "xxx", IndexARN: arnOfX}, apierr.Validation},
		"without its bucket":  {vectorbucket.Ref{Index: "xxx"}, apierr.Validation},
		"the ARN of a bucket": {vectorbucket.Ref{IndexARN: arnOfB}, apierr.Validation},
	} {
		_, err := h.Index(ctx, admin, c.ref)
		want(t, what, err, c.kind, "")
	}
	h.put(vec("a", `{"n":1}`, 1, 0, 0))
	h.check(h.DeleteIndex(ctx, admin, refX))
	_, err = h.Get(ctx, admin, refX, []string{"a"}, false, false)
	want(t, "deleted", err, vectorbucket.NotFound, "The specified index could not be found")
	// Made again, it holds nothing.
	h.index(nil)
	if got, err := h.Get(ctx, admin, refX, []string{"a"}, false, false); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestListsOfBucketsAndIndexes(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	names := []string{"aaa", "abc", "abd", "bbb", "xabc"}
	for _, n := range names {
		_, err := h.CreateBucket(ctx, admin, n, vectorbucket.Encryption{}, nil)
		h.check(err)
		_, err = h.CreateIndex(ctx, admin, vectorbucket.NewIndex{Bucket: refB, Name: n, Dimension: 2, Metric: vector.Cosine})
		if n < "bbb" {
			want(t, n, err, vectorbucket.NotFound, "")
			continue
		}
		h.check(err)
	}
	for prefix, all := range map[string][]string{"": names, "ab": {"abc", "abd"}, "q": nil} {
		for limit := range 4 {
			var got []string
			in := vectorbucket.List{Prefix: prefix, Limit: limit}
			for {
				page, next, err := h.Buckets(ctx, admin, in)
				h.check(err)
				for _, b := range page {
					got = append(got, b.Name.Bucket)
				}
				if limit > 0 && len(page) > limit {
					t.Errorf("a page of %d", len(page))
				}
				if in.Token = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, all) {
				t.Errorf("%q by %d: %v", prefix, limit, got)
			}
		}
	}
	_, _, err := h.Buckets(ctx, admin, vectorbucket.List{Token: "x"})
	want(t, "a token", err, apierr.Validation, "")
	page, next, err := h.Indexes(ctx, admin, refB, vectorbucket.List{Limit: 1})
	if err != nil || len(page) != 1 || page[0].Name.Index != "bbb" || next == "" {
		t.Error(page, next, err)
	}
	page, next, err = h.Indexes(ctx, admin, refB, vectorbucket.List{Limit: 1, Token: next})
	if err != nil || len(page) != 1 || page[0].Name.Index != "xabc" {
		t.Error(page, next, err)
	}
	_, _, err = h.Indexes(ctx, admin, vectorbucket.Ref{Bucket: "zzz"}, vectorbucket.List{})
	want(t, "no bucket", err, vectorbucket.NotFound, "")
}

func TestTags(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(func(x *vectorbucket.NewIndex) { x.Tags = vectorbucket.Tags{"a": "1"} })
	for _, resource := range []string{arnOfB, arnOfX} {
		h.check(h.Tag(ctx, admin, resource, vectorbucket.Tags{"b": "2", "a": "3"}))
		h.check(h.Untag(ctx, admin, resource, []string{"b", "none"}))
		got, err := h.TagsOf(ctx, admin, resource)
		if diff := cmp.Diff(vectorbucket.Tags{"a": "3"}, got); err != nil || diff != "" {
			t.Error(diff, err)
		}
		many := vectorbucket.Tags{}
		for i := range 50 {
			many[numbered(i)] = ""
		}
		want(t, "51 tags", h.Tag(ctx, admin, resource, many), apierr.Validation, "")
		if got, _ := h.TagsOf(ctx, admin, resource); len(got) != 1 {
			t.Error("tags of a refused call stay", got)
		}
	}
	want(t, "no bucket", h.Tag(ctx, admin, arnOfB+"x", nil), vectorbucket.NotFound, "")
	want(t, "no index", h.Tag(ctx, admin, arnOfX+"x", nil), vectorbucket.NotFound, "")
	want(t, "no ARN", h.Tag(ctx, admin, "x", nil), apierr.Validation, "")
}

func TestPermissions(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(func(x *vectorbucket.NewIndex) { x.Tags = vectorbucket.Tags{"stage": "test"} })
	h.check(h.Tag(ctx, admin, arnOfB, vectorbucket.Tags{"team": "a"}))
	h.put(vec("a", `{"n":1}`, 1, 0, 0))

	allow := func(actions, resource, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + actions + `,"Resource":"` + resource + `"` + condition + `}]}`
	}
	query := func(c kms.Caller, q vectorbucket.Question) error {
		q.Vector, q.TopK = []float32{1, 0, 0}, 1
		_, _, err := h.Query(ctx, c, vectorbucket.Ref{IndexARN: arnOfX}, q)
		return err
	}
	lists := func(c kms.Caller, in vectorbucket.ListVectors) error {
		_, _, err := h.List(ctx, c, vectorbucket.Ref{IndexARN: arnOfX}, in)
		return err
	}
	reader := h.user(account, "reader", allow(`["s3vectors:QueryVectors","s3vectors:ListVectors"]`, arnOfX, ""))
	nobody := h.user(account, "nobody", "")
	for _, c := range []struct {
		what  string
		err   error
		allow bool
	}{
		{"keys only", query(reader, vectorbucket.Question{Distance: true}), true},
		{"with metadata", query(reader, vectorbucket.Question{Metadata: true}), false},
		{"with a filter", query(reader, vectorbucket.Question{Filter: []byte(`{"n":1}`)}), false},
		{"nobody", query(nobody, vectorbucket.Question{}), false},
		{"a list of keys", lists(reader, vectorbucket.ListVectors{}), true},
		{"a list with data", lists(reader, vectorbucket.ListVectors{Data: true}), false},
		{"a write", h.Put(ctx, reader, refX, []vectorbucket.Vector{vec("b", "", 1, 0, 0)}), false},
		{"a delete", h.Delete(ctx, reader, refX, []string{"a"}), false},
		{"the index", h.DeleteIndex(ctx, reader, refX), false},
		{"the bucket", h.DeleteBucket(ctx, reader, refB), false},
		{"the policy", h.PutPolicy(ctx, reader, refB, "{}"), false},
		{"tags", h.Tag(ctx, reader, arnOfX, vectorbucket.Tags{"a": "b"}), false},
	} {
		if c.allow != (c.err == nil) || !c.allow && apierr.KindOf(c.err) != apierr.AccessDenied {
			t.Errorf("%s: %v", c.what, c.err)
		}
	}
	_, _, err := h.Buckets(ctx, reader, vectorbucket.List{})
	want(t, "buckets", err, apierr.AccessDenied, "")
	// What is not there is not told to who may not look.
	_, err = h.Bucket(ctx, reader, vectorbucket.Ref{Bucket: "zzz"})
	want(t, "a bucket that is not there", err, apierr.AccessDenied, "")

	// Tags of the index, of its bucket and of the request decide.
	tagged := h.user(account, "tagged", allow(`"s3vectors:*"`, "*", `,"Condition":{"StringEquals":{"aws:ResourceTag/stage":"test","s3vectors:VectorBucketTag/team":"a"}}`))
	if err := query(tagged, vectorbucket.Question{Metadata: true}); err != nil {
		t.Error(err)
	}
	h.check(h.Tag(ctx, admin, arnOfX, vectorbucket.Tags{"stage": "prod"}))
	want(t, "another tag", query(tagged, vectorbucket.Question{}), apierr.AccessDenied, "")
	creator := h.user(account, "creator", allow(`["s3vectors:CreateVectorBucket","s3vectors:TagResource"]`, "*", `,"Condition":{"StringEquals":{"aws:RequestTag/a":"1"}}`))
	_, err = h.CreateBucket(ctx, creator, "ccc", vectorbucket.Encryption{}, nil)
	want(t, "without the tag", err, apierr.AccessDenied, "")
	_, err = h.CreateBucket(ctx, creator, "ccc", vectorbucket.Encryption{}, vectorbucket.Tags{"a": "1"})
	want(t, "with the tag", err, "", "")

	// The bucket's policy lets in, also from another account, and denies.
	want(t, "nonsense", h.PutPolicy(ctx, admin, refB, `{"Statement":7}`), apierr.Validation, "")
	_, err = h.Policy(ctx, admin, refB)
	want(t, "no policy", err, vectorbucket.NotFound, "The specified vector bucket policy could not be found")
	document := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + nobody.Principal.ARN + `"},"Action":"s3vectors:QueryVectors","Resource":"` + arnOfB + `/index/*"},
		{"Effect":"Deny","Principal":{"AWS":"` + reader.Principal.ARN + `"},"Action":"s3vectors:*","Resource":"*"}]}`
	h.check(h.PutPolicy(ctx, admin, refB, document))
	if got, err := h.Policy(ctx, admin, refB); got != document {
		t.Error(got, err)
	}
	want(t, "let in", query(nobody, vectorbucket.Question{}), "", "")
	want(t, "denied", query(reader, vectorbucket.Question{}), apierr.AccessDenied, "")
	h.check(h.DeletePolicy(ctx, admin, refB))
	h.check(h.DeletePolicy(ctx, admin, refB))
	want(t, "without the policy", query(nobody, vectorbucket.Question{}), apierr.AccessDenied, "")
	if err := h.House().Put(ctx, kms.Caller{Account: account, Region: region}, refX, []vectorbucket.Vector{vec("h", "", 0, 1, 0)}); err != nil {
		t.Errorf("the house asks nobody: %v", err)
	}
}

func TestACustomerKeySealsAnIndex(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	admin := h.admin()
	ctx := t.Context()
	k, err := h.keys.CreateKey(ctx, admin, kms.CreateKeyInput{})
	h.check(err)
	_, err = h.CreateBucket(ctx, admin, "bbb", vectorbucket.Encryption{Type: vectorbucket.SSEKMS, Key: k.ARN()}, nil)
	h.check(err)
	_, err = h.CreateIndex(ctx, admin, vectorbucket.NewIndex{Bucket: refB, Name: "xxx", Dimension: 3, Metric: vector.Cosine})
	h.check(err)
	x, err := h.Index(ctx, admin, refX)
	if err != nil || x.Encryption.Key != k.ARN() {
		t.Fatalf("the bucket's key is not the index's: %+v, %v", x, err)
	}
	h.check(h.Put(ctx, admin, refX, []vectorbucket.Vector{vec("a", "", 1, 0, 0)}))
	reads := func() error {
		_, err := h.Get(ctx, admin, refX, []string{"a"}, true, true)
		return err
	}
	h.check(reads())
	h.check(h.keys.SetEnabled(ctx, admin, k.ID(), false))
	want(t, "disabled", reads(), vectorbucket.KmsDisabled, "")
	_, _, err = h.Query(ctx, admin, refX, vectorbucket.Question{Vector: []float32{1, 0, 0}, TopK: 1})
	want(t, "a query", err, vectorbucket.KmsDisabled, "")
	want(t, "a write", h.Put(ctx, admin, refX, []vectorbucket.Vector{vec("b", "", 1, 0, 0)}), vectorbucket.KmsDisabled, "")
	want(t, "a delete", h.Delete(ctx, admin, refX, []string{"a"}), vectorbucket.KmsDisabled, "")
	h.check(h.keys.SetEnabled(ctx, admin, k.ID(), true))
	h.check(reads())
	_, err = h.keys.ScheduleDeletion(ctx, admin, k.ID(), 7)
	h.check(err)
	want(t, "on its way out", reads(), vectorbucket.KmsInvalidState, "")
	// Who may read vectors still needs the key.
	_, err = h.keys.CancelDeletion(ctx, admin, k.ID())
	h.check(err)
	h.check(h.keys.SetEnabled(ctx, admin, k.ID(), true))
	u := h.user(account, "u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3vectors:*","Resource":"*"}]}`)
	_, err = h.Get(ctx, u, refX, []string{"a"}, true, true)
	want(t, "without the key", err, apierr.AccessDenied, "")
}

func TestARestartKeepsAllAndEndsDeletions(t *testing.T) {
	dir := t.TempDir()
	identity, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	h, ctx := open(t, dir, identity), t.Context()
	h.index(func(x *vectorbucket.NewIndex) { x.NonFilterable = []string{"text"} })
	h.put(vec("a", `{"n": 1, "text": "long"}`, 1, 2, 3))
	h.index(func(x *vectorbucket.NewIndex) { x.Name = "yyy" })
	// A process that died within a deletion has marked the record.
	err = h.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE resource SET status = 'DELETING' WHERE kind = 'vector-index' AND id = 'yyy'`)
		return err
	})
	h.check(err)
	_, err = h.Index(ctx, h.admin(), vectorbucket.Ref{Bucket: "bbb", Index: "yyy"})
	want(t, "marked", err, vectorbucket.NotFound, "")
	h.close()

	h = open(t, dir, identity)
	got, err := h.Get(ctx, h.admin(), refX, []string{"a"}, true, true)
	if diff := cmp.Diff([]vectorbucket.Vector{vec("a", `{"n":1,"text":"long"}`, 1, 2, 3)}, got); err != nil || diff != "" {
		t.Error(diff, err)
	}
	h.check(h.store.View(ctx, func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE kind = 'vector-index'`, nil, &n)
		if n != 1 {
			t.Errorf("%d records after the sweep", n)
		}
		return err
	}))
	h.index(func(x *vectorbucket.NewIndex) { x.Name = "yyy" })
}
