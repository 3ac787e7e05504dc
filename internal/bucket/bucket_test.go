package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/object/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account  = "123456789012"
	stranger = "999999999999"
	agent    = "arn:aws:bedrock:us-east-1:123456789012:agent/A1"
)

// shelf is a Directory of what a test puts there.
type shelf map[string]Record

func (s shelf) Lookup(_ context.Context, name string) (Record, error) {
	r, ok := s[name]
	if !ok {
		return r, object.ErrNoBucket
	}
	return r, nil
}

type house struct {
	*View

	t        *testing.T
	identity *iam.Identity
	objects  object.Store
	shelf    shelf
}

func open(t *testing.T) *house {
	t.Helper()
	identity, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}, Account: account})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.EnsureAccount(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	objects, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, identity: identity, objects: objects, shelf: shelf{}}
	if h.View, err = New(Config{Objects: objects, Directory: h.shelf, Decider: identity}); err != nil {
		t.Fatal(err)
	}
	return h
}

// bucket makes a bucket with a policy ("" for none) and files whose content is
// their key.
func (h *house) bucket(owner, name, document string, keys ...string) {
	h.t.Helper()
	r := Record{Place: object.Bucket{Account: owner, Region: "us-east-1", Name: name}}
	if document != "" {
		var err error
		if r.Policy, err = policy.Parse(document, policy.Resource); err != nil {
			h.t.Fatal(err)
		}
	}
	h.shelf[name] = r
	if err := h.objects.CreateBucket(h.t.Context(), r.Place); err != nil {
		h.t.Fatal(err)
	}
	for _, k := range keys {
		if _, err := h.objects.Put(h.t.Context(), object.Address{Bucket: r.Place, Key: k}, strings.NewReader(k), object.PutOptions{}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// role is a session of a role that Bedrock assumed, with one inline policy of
// these statements.
func (h *house) role(owner, name string, statements ...string) Caller {
	h.t.Helper()
	r, err := h.identity.CreateRole(h.t.Context(), iam.RoleInput{Account: owner, Name: name,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(statements) > 0 {
		holder := iam.Holder{Kind: iam.RoleHolder, Account: owner, Name: name}
		if err := h.identity.PutInlinePolicy(h.t.Context(), holder, "p", document(statements...)); err != nil {
			h.t.Fatal(err)
		}
	}
	p, err := h.identity.AssumeService(h.t.Context(), iam.AssumeServiceInput{
		Service: "bedrock.amazonaws.com", RoleARN: h.identity.Snapshot().RoleARN(r), SourceARN: agent, SourceAccount: owner,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return As(p)
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(action, resource, more string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q%s}`, action, resource, more)
}

func (h *house) want(what string, err, target error) {
	h.t.Helper()
	if !errors.Is(err, target) {
		h.t.Errorf("%s: error %v, want %v", what, err, target)
	}
	if errors.Is(target, ErrDenied) && apierr.KindOf(err) != apierr.AccessDenied {
		h.t.Errorf("%s: kind %s of %v, want AccessDeniedException", what, apierr.KindOf(err), err)
	}
}

func TestARoleReadsWhatItsPolicyAllows(t *testing.T) {
	h := open(t)
	h.bucket(account, "files", "", "schemas/a.yaml", "secret")
	as := h.role(account, "reader", allow("s3:GetObject", "arn:aws:s3:::files/schemas/*", ""))
	at := Location{Bucket: "files", Key: "schemas/a.yaml"}
	b, info, err := ReadAll(t.Context(), h, as, at, 100)
	if err != nil || string(b) != at.Key || info.Size != int64(len(b)) || info.ETag == "" || info.Modified.IsZero() {
		t.Fatalf("ReadAll = %q, %+v, %v", b, info, err)
	}
	if _, _, err := ReadAll(t.Context(), h, as, at, 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an object over the limit: %v", err)
	}
	i, err := h.Stat(t.Context(), as, at)
	if err != nil || i.ETag != info.ETag {
		t.Errorf("Stat = %+v, %v", i, err)
	}
	c, err := h.Get(t.Context(), as, at, object.Range{Offset: 2, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	part, err := io.ReadAll(c.Body)
	if err := errors.Join(err, c.Body.Close()); err != nil || string(part) != "hem" || c.Offset != 2 || c.Length != 3 {
		t.Errorf("range = %q at %d of %d, %v", part, c.Offset, c.Length, err)
	}
	_, err = h.Get(t.Context(), as, at, object.Range{Offset: 99})
	h.want("a range past the end", err, object.ErrRange)
	_, err = h.Stat(t.Context(), as, Location{Bucket: "files", Key: "secret"})
	h.want("another key", err, ErrDenied)
	if !strings.Contains(err.Error(), "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::files/secret because no identity-based policy allows the s3:GetObject action") {
		t.Errorf("the denial says %v", err)
	}
	_, err = h.List(t.Context(), as, Location{Bucket: "files"}, object.ListOptions{})
	h.want("list", err, ErrDenied)
	_, err = h.Put(t.Context(), as, at, strings.NewReader("x"), object.PutOptions{})
	h.want("put", err, ErrDenied)
	h.want("delete", h.Delete(t.Context(), as, at), ErrDenied)
	_, err = h.Stat(t.Context(), as, Location{Bucket: "nowhere", Key: "k"})
	h.want("no bucket", err, object.ErrNoBucket)
	_, err = h.Stat(t.Context(), Caller{}, at)
	h.want("nobody", err, ErrDenied)
}

func TestOnlyWhoMayListLearnsThatAKeyIsMissing(t *testing.T) {
	h := open(t)
	h.bucket(account, "files", "")
	gone := Location{Bucket: "files", Key: "gone"}
	blind := h.role(account, "blind", allow("s3:GetObject", "arn:aws:s3:::files/*", ""))
	_, err := h.Get(t.Context(), blind, gone, object.Range{})
	h.want("without ListBucket", err, ErrDenied)
	seeing := h.role(account, "seeing", allow("s3:GetObject", "arn:aws:s3:::files/*", ""), allow("s3:ListBucket", "arn:aws:s3:::files", ""))
	_, err = h.Get(t.Context(), seeing, gone, object.Range{})
	h.want("with ListBucket", err, object.ErrNotFound)
}

func TestListingIsPagedAndBoundToAPrefix(t *testing.T) {
	h := open(t)
	var want []string
	for i := range 1100 {
		want = append(want, fmt.Sprintf("docs/%04d", i))
	}
	h.bucket(account, "files", "", append([]string{"a", "docs", "z"}, want...)...)
	as := h.role(account, "lister", allow("s3:ListBucket", "arn:aws:s3:::files", `,"Condition":{"StringLike":{"s3:prefix":"docs/*"}}`))
	in := Location{Bucket: "files", Key: "docs/"}
	var got []string
	for o, err := range All(t.Context(), h, as, in) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
	p, err := h.List(t.Context(), as, Location{Bucket: "files", Key: "docs/"}, object.ListOptions{Limit: 2, After: "docs/0004"})
	if err != nil || len(p.Objects) != 2 || p.Objects[0].Key != "docs/0005" || p.Next == "" || p.Objects[0].Size == 0 || p.Objects[0].ETag == "" {
		t.Errorf("page = %+v, %v", p, err)
	}
	for _, err := range All(t.Context(), h, as, Location{Bucket: "files"}) {
		h.want("another prefix", err, ErrDenied)
	}
}

func TestTheBucketsPolicyDecidesAcrossAccounts(t *testing.T) {
	h := open(t)
	h.bucket(account, "files", document(allow("s3:GetObject", "arn:aws:s3:::files/shared/*", `,"Principal":{"AWS":"`+stranger+`"}`),
		`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::files","arn:aws:s3:::files/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`),
		"shared/a", "own/a")
	theirs := h.role(stranger, "theirs", allow("s3:*", "*", ""))
	if _, err := h.Stat(t.Context(), theirs, Location{Bucket: "files", Key: "shared/a"}); err != nil {
		t.Errorf("shared with the account: %v", err)
	}
	_, err := h.Stat(t.Context(), theirs, Location{Bucket: "files", Key: "own/a"})
	h.want("not shared", err, ErrDenied)
	if e, ok := errors.AsType[*apierr.Error](err); !ok || strings.Contains(e.Message, "because") {
		t.Errorf("a stranger is told why: %v", e)
	}
	powerless := h.role(stranger, "powerless")
	_, err = h.Stat(t.Context(), powerless, Location{Bucket: "files", Key: "shared/a"})
	h.want("a role without the right on its side", err, ErrDenied)

	own := h.role(account, "own", allow("s3:*", "*", ""))
	_, err = h.Stat(t.Context(), own, Location{Bucket: "files", Key: "own/a", Owner: stranger})
	h.want("another owner expected", err, ErrDenied)
	if _, err = h.Stat(t.Context(), own, Location{Bucket: "files", Key: "own/a", Owner: account}); err != nil {
		t.Errorf("the owner expected: %v", err)
	}
}

func TestAServiceIsLetInByTheBucketsPolicyAlone(t *testing.T) {
	h := open(t)
	h.bucket(account, "logs", document(`{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/AWSLogs/*",
		"Condition":{"StringEquals":{"aws:SourceAccount":"`+account+`","s3:x-amz-acl":"bucket-owner-full-control"},"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:`+account+`:*"}}}`))
	h.bucket(account, "plain", "")
	at := Location{Bucket: "logs"}.Join("AWSLogs", account, "x.json.gz")
	put := func(as Caller, at Location) error {
		_, err := h.Put(t.Context(), as, at, strings.NewReader("log"), object.PutOptions{})
		return err
	}
	if err := put(AsService("bedrock.amazonaws.com", agent, account), at); err != nil {
		t.Errorf("the service for the account: %v", err)
	}
	h.want("for another account", put(AsService("bedrock.amazonaws.com", agent, stranger), at), ErrDenied)
	h.want("for another resource", put(AsService("bedrock.amazonaws.com", "arn:aws:bedrock:eu-west-1:123456789012:agent/A1", account), at), ErrDenied)
	h.want("for nothing", put(Caller{Service: "bedrock.amazonaws.com"}, at), ErrDenied)
	h.want("another service", put(AsService("lambda.amazonaws.com", agent, account), at), ErrDenied)
	h.want("another prefix", put(AsService("bedrock.amazonaws.com", agent, account), Location{Bucket: "logs", Key: "x"}), ErrDenied)
	h.want("no policy", put(AsService("bedrock.amazonaws.com", agent, account), Location{Bucket: "plain", Key: "x"}), ErrDenied)
	_, err := h.Stat(t.Context(), AsService("bedrock.amazonaws.com", agent, account), at)
	h.want("another action", err, ErrDenied)
}

func TestWritingNeedsItsRights(t *testing.T) {
	h := open(t)
	h.bucket(account, "out", "")
	r := h.shelf["out"]
	r.System = map[string]string{"sse": "AES256"}
	h.shelf["out"] = r
	as := h.role(account, "writer", allow("s3:PutObject", "arn:aws:s3:::out/*", ""), allow("s3:DeleteObject", "arn:aws:s3:::out/tmp/*", ""))
	at := Location{Bucket: "out", Key: "k"}
	i, err := h.Put(t.Context(), as, at, strings.NewReader("hello"), object.PutOptions{Attributes: object.Attributes{ContentType: "application/json"}})
	if err != nil || i.Size != 5 {
		t.Fatalf("Put = %+v, %v", i, err)
	}
	if i, err = h.objects.Head(t.Context(), object.Address{Bucket: r.Place, Key: "k"}); err != nil || i.Attributes.System["sse"] != "AES256" || i.Attributes.ContentType != "application/json" {
		t.Errorf("stored %+v, %v; want the bucket's default encryption remembered", i, err)
	}
	_, err = h.Put(t.Context(), as, at, strings.NewReader("x"), object.PutOptions{Tags: map[string]string{"a": "b"}})
	h.want("with tags", err, ErrDenied)
	_, err = h.Put(t.Context(), as, at, strings.NewReader("x"), object.PutOptions{If: object.If{Absent: true}})
	h.want("a condition", err, object.ErrPrecondition)
	h.want("delete", h.Delete(t.Context(), as, at), ErrDenied)
	if err := h.Delete(t.Context(), as, Location{Bucket: "out", Key: "tmp/none"}); err != nil {
		t.Errorf("delete of a missing key: %v", err)
	}
}

func TestTagsOfAnObjectAreConditions(t *testing.T) {
	h := open(t)
	h.bucket(account, "files", "", "open", "closed")
	for k, v := range map[string]string{"open": "public", "closed": "private"} {
		if err := h.objects.SetTags(t.Context(), object.Address{Bucket: h.shelf["files"].Place, Key: k}, map[string]string{"class": v}); err != nil {
			t.Fatal(err)
		}
	}
	as := h.role(account, "tagged", allow("s3:GetObject", "arn:aws:s3:::files/*", `,"Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"public"}}`))
	if _, err := h.Stat(t.Context(), as, Location{Bucket: "files", Key: "open"}); err != nil {
		t.Errorf("an object with the tag: %v", err)
	}
	_, err := h.Stat(t.Context(), as, Location{Bucket: "files", Key: "closed"})
	h.want("an object with another value", err, ErrDenied)
}

func TestThePublicAccessBlockKeepsStrangersOut(t *testing.T) {
	h := open(t)
	h.bucket(account, "site", document(allow("s3:GetObject", "arn:aws:s3:::site/*", `,"Principal":"*"`)), "index")
	at := Location{Bucket: "site", Key: "index"}
	theirs := h.role(stranger, "theirs", allow("s3:*", "*", ""))
	for _, as := range []Caller{theirs, {}, h.role(account, "ours")} {
		if _, err := h.Stat(t.Context(), as, at); err != nil {
			t.Errorf("public bucket: %v", err)
		}
	}
	r := h.shelf["site"]
	r.Restricted = true
	h.shelf["site"] = r
	for _, as := range []Caller{theirs, {}} {
		_, err := h.Stat(t.Context(), as, at)
		h.want("restricted", err, ErrDenied)
	}
	if _, err := h.Stat(t.Context(), AsService("bedrock.amazonaws.com", agent, account), at); err != nil {
		t.Errorf("a service that the policy lets in: %v", err)
	}
}

// refusing is an endpoint that does not know the credentials.
type refusing struct{ object.Store }

func (refusing) Head(context.Context, object.Address) (object.Info, error) {
	return object.Info{}, fmt.Errorf("head: %w", object.ErrDenied)
}

func TestBucketsElsewhereAreDecidedOnBothSides(t *testing.T) {
	h := open(t)
	place := object.Bucket{Account: account, Region: "us-east-1", Name: "remote"}
	if err := h.objects.CreateBucket(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	if _, err := h.objects.Put(t.Context(), object.Address{Bucket: place, Key: "k"}, strings.NewReader("there"), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{Objects: h.objects, Directory: Elsewhere{Account: account, Region: "us-east-1"}, Decider: h.identity})
	if err != nil {
		t.Fatal(err)
	}
	at := Location{Bucket: "remote", Key: "k"}
	b, _, err := ReadAll(t.Context(), v, h.role(stranger, "reader", allow("s3:GetObject", "arn:aws:s3:::remote/*", "")), at, 100)
	if err != nil || string(b) != "there" {
		t.Errorf("a role with the right: %q, %v", b, err)
	}
	_, err = v.Stat(t.Context(), h.role(account, "powerless"), at)
	h.want("a role without", err, ErrDenied)
	_, err = v.Stat(t.Context(), Caller{}, at)
	h.want("nobody", err, ErrDenied)
	if _, err = v.Stat(t.Context(), AsService("bedrock.amazonaws.com", agent, account), at); err != nil {
		t.Errorf("a service, of whom the other endpoint decides: %v", err)
	}
	v.c.Objects = refusing{h.objects}
	_, err = v.Stat(t.Context(), AsService("bedrock.amazonaws.com", agent, account), at)
	h.want("the endpoint refuses", err, ErrDenied)
}

func TestURIs(t *testing.T) {
	for uri, want := range map[string]Location{
		"s3://files/a/b.yaml":         {Bucket: "files", Key: "a/b.yaml"},
		"s3://files":                  {Bucket: "files"},
		"s3://files/":                 {Bucket: "files"},
		"s3://my.files-1/a b%20+?c//": {Bucket: "my.files-1", Key: "a b%20+?c//"},
	} {
		got, err := ParseURI(uri)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	for _, uri := range []string{"", "files/a", "https://files/a", "S3://files/a", "s3://", "s3:///a", "s3://ab/c", "s3://Files/a", "s3://-files/a", "s3://files./a", "s3://files/" + strings.Repeat("k", 1025), "s3://files/\xff"} {
		if _, err := ParseURI(uri); !errors.Is(err, ErrURI) {
			t.Errorf("%q: error %v, want ErrURI", uri, err)
		}
	}
	if got := (Location{Bucket: "b", Key: "out"}).Join("job", "part").URI(); got != "s3://b/out/job/part" {
		t.Errorf("Join = %s", got)
	}
}

func BenchmarkStat(b *testing.B) {
	identity, err := iam.New(b.Context(), iam.Config{Store: &iam.MemoryStore{}, Account: account})
	if err != nil {
		b.Fatal(err)
	}
	objects, err := dir.Open(b.Context(), dir.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = objects.Close() }()
	place := object.Bucket{Account: account, Region: "us-east-1", Name: "files"}
	if err := objects.CreateBucket(b.Context(), place); err != nil {
		b.Fatal(err)
	}
	if _, err := objects.Put(b.Context(), object.Address{Bucket: place, Key: "k"}, strings.NewReader("x"), object.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	v, err := New(Config{Objects: objects, Directory: shelf{"files": {Place: place}}, Decider: identity})
	if err != nil {
		b.Fatal(err)
	}
	root, _ := identity.Snapshot().Root(account)
	for b.Loop() {
		if _, err := v.Stat(b.Context(), As(root), Location{Bucket: "files", Key: "k"}); err != nil {
			b.Fatal(err)
		}
	}
}
