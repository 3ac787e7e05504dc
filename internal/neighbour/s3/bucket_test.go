package s3

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func TestBucketsComeAndGo(t *testing.T) {
	h := open(t, options{})
	c := h.root()
	h.bucket(t, "things")
	west := h.client(h.admin, "us-west-2")
	for _, bad := range []struct {
		c        *s3.Client
		name     string
		location types.BucketLocationConstraint
		code     string
	}{
		{c, "Things", "", "InvalidBucketName"},
		{c, "th", "", "InvalidBucketName"},
		{c, "healthz", "", "InvalidBucketName"},
		{c, "192.168.1.1", "", "InvalidBucketName"},
		{c, "a..b", "", "InvalidBucketName"},
		{c, "-ab", "", "InvalidBucketName"},
		{c, "xn--ab", "", "InvalidBucketName"},
		{c, "here", "us-east-1", "InvalidLocationConstraint"},
		{c, "here", "nowhere", "InvalidLocationConstraint"},
		{west, "here", "", "IllegalLocationConstraintException"},
		{west, "here", "eu-west-1", "IllegalLocationConstraintException"},
		{c, "things", "", ""}, // the first Region takes it for a success
	} {
		in := &s3.CreateBucketInput{Bucket: &bad.name}
		if bad.location != "" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: bad.location}
		}
		if _, err := bad.c.CreateBucket(t.Context(), in); codeOf(err) != bad.code {
			t.Errorf("%s in %q: %v, want %s", bad.name, bad.location, err, bad.code)
		}
	}
	in := &s3.CreateBucketInput{Bucket: new("western"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "us-west-2"}}
	if _, err := west.CreateBucket(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if _, err := west.CreateBucket(t.Context(), in); codeOf(err) != "BucketAlreadyOwnedByYou" {
		t.Errorf("again: %v", err)
	}
	head, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: new("western")}) // from another Region
	if err != nil || *head.BucketRegion != "us-west-2" {
		t.Errorf("head: %+v, %v", head, err)
	}
	for name, want := range map[string]string{"things": "", "western": "us-west-2"} {
		l, err := c.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: &name})
		if err != nil || string(l.LocationConstraint) != want {
			t.Errorf("location of %s: %q, %v", name, l.LocationConstraint, err)
		}
	}
	l, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(l.Buckets) != 2 || *l.Buckets[1].Name != "western" || l.Buckets[0].CreationDate == nil {
		t.Errorf("buckets: %+v, %v", l, err)
	}
	p, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{MaxBuckets: new(int32(1))})
	if err != nil || len(p.Buckets) != 1 || p.ContinuationToken == nil {
		t.Fatalf("one bucket: %+v, %v", p, err)
	}
	if p, err = c.ListBuckets(t.Context(), &s3.ListBucketsInput{ContinuationToken: p.ContinuationToken}); err != nil || len(p.Buckets) != 1 || *p.Buckets[0].Name != "western" {
		t.Errorf("the other: %+v, %v", p, err)
	}
	h.send(t, true, "PUT", "/things/k", "x")
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: new("things")}); codeOf(err) != "BucketNotEmpty" {
		t.Errorf("delete: %v", err)
	}
	h.send(t, true, "DELETE", "/things/k", "")
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: new("things")}); err != nil {
		t.Error(err)
	}
	for _, r := range []struct{ method, path, body string }{{"GET", "/things/k", ""}, {"PUT", "/things/k", "x"}, {"GET", "/things", ""}, {"DELETE", "/things", ""}, {"GET", "/things?policy", ""}} {
		if got := h.send(t, true, r.method, r.path, r.body); got.code() != "NoSuchBucket" || !strings.Contains(got.body, "<BucketName>things</BucketName>") {
			t.Errorf("%s %s: %d %s", r.method, r.path, got.status, got.body)
		}
	}
	if at, err := h.face.Bucket(t.Context(), "western"); err != nil || at.Region != "us-west-2" || at.Account != iam.DefaultAccount {
		t.Errorf("for rooms: %+v, %v", at, err)
	}
}

func TestBucketsOfTwoAccountsHaveOneNamespace(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	if err := h.identity.EnsureAccount(t.Context(), "210987654321"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.identity.CreateUser(t.Context(), "210987654321", "other", "/", h.identity.AdministratorAccess()); err != nil {
		t.Fatal(err)
	}
	key, err := h.identity.CreateAccessKey(t.Context(), "210987654321", "other")
	if err != nil {
		t.Fatal(err)
	}
	other := h.client(key, "us-east-1")
	if _, err := other.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("things")}); codeOf(err) != "BucketAlreadyExists" {
		t.Errorf("create: %v", err)
	}
	h.send(t, true, "PUT", "/things/k", "x")
	if _, err := other.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: new("k")}); codeOf(err) != "AccessDenied" {
		t.Errorf("an administrator of another account: %v", err)
	}
	grant := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:user/other"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::things/*"}]}`
	if got := h.send(t, true, "PUT", "/things?policy", grant); got.status != 204 {
		t.Fatalf("policy: %d %s", got.status, got.body)
	}
	if got, err := other.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: new("k")}); err != nil {
		t.Errorf("granted: %v", err)
	} else {
		got.Body.Close()
	}
	if _, err := other.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: new("k"), ExpectedBucketOwner: new("210987654321")}); codeOf(err) != "AccessDenied" {
		t.Errorf("another owner expected: %v", err)
	}
	if l, err := other.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err != nil || len(l.Buckets) != 0 {
		t.Errorf("buckets of the other: %+v, %v", l, err)
	}
}

func TestPermissionsDecide(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.send(t, true, "PUT", "/things/mine/k", "x", "x-amz-tagging", "open=yes")
	h.send(t, true, "PUT", "/things/other/k", "x")
	reader := h.client(h.user(t, "reader", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::things/mine/*"},
		{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::things","Condition":{"StringLike":{"s3:prefix":"mine/*"}}},
		{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::things/in/*","Condition":{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}}]}`), "us-east-1")
	tagged := h.client(h.user(t, "tagged", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/open":"yes"}}}]}`), "us-east-1")
	get := func(c *s3.Client, key string) error {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: &key})
		if err == nil {
			out.Body.Close()
		}
		return err
	}
	put := func(key string, sse types.ServerSideEncryption) error {
		_, err := reader.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("things"), Key: &key, Body: strings.NewReader("x"), ServerSideEncryption: sse})
		return err
	}
	list := func(prefix string) error {
		_, err := reader.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: new("things"), Prefix: &prefix})
		return err
	}
	for _, c := range []struct {
		what string
		err  error
		code string
	}{
		{"get mine", get(reader, "mine/k"), ""},
		{"get other", get(reader, "other/k"), "AccessDenied"},
		{"get absent", get(reader, "mine/absent"), "AccessDenied"}, // who may not list everything learns nothing
		{"list mine", list("mine/"), ""},
		{"list all", list(""), "AccessDenied"},
		{"put encrypted", put("in/k", "AES256"), ""},
		{"put plain", put("in/k", ""), "AccessDenied"},
		{"get tagged", get(tagged, "mine/k"), ""},
		{"get untagged", get(tagged, "other/k"), "AccessDenied"},
	} {
		if codeOf(c.err) != c.code {
			t.Errorf("%s: %v, want %q", c.what, c.err, c.code)
		}
	}
	if err := get(reader, "other/k"); !strings.Contains(err.Error(), `User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::things/other/k" because no identity-based policy allows the s3:GetObject action`) {
		t.Errorf("message: %v", err)
	}
	out, err := reader.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: new("things"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: new("mine/k")}}}})
	if err != nil || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("delete many: %+v, %v", out, err)
	}
	if _, err := reader.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: new("things"), Key: new("in/c"), CopySource: new("things/other/k"), ServerSideEncryption: "AES256"}); codeOf(err) != "AccessDenied" {
		t.Errorf("copy of what may not be read: %v", err)
	}
	// The bucket's own deny is stronger than an administrator.
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::things/mine/*"}]}`
	if got := h.send(t, true, "PUT", "/things?policy", deny); got.status != 204 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := h.send(t, true, "GET", "/things/mine/k", ""); got.code() != "AccessDenied" || !strings.Contains(got.body, "explicit deny in a resource-based policy") {
		t.Errorf("denied by the bucket: %s", got.body)
	}
	if got := h.send(t, true, "DELETE", "/things?policy", ""); got.status != 204 {
		t.Error(got.body)
	}
	if got := h.send(t, true, "GET", "/things/mine/k", ""); got.status != 200 {
		t.Errorf("the policy is gone: %s", got.body)
	}
}

func TestStrangersComeInByPolicyOnly(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.send(t, true, "PUT", "/things/k", "hello")
	grant := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::things/*"}]}`
	if got := h.send(t, false, "GET", "/things/k", ""); got.code() != "AccessDenied" || got.status != 403 {
		t.Errorf("without a policy: %d %s", got.status, got.body)
	}
	if got := h.send(t, true, "PUT", "/things?policy", grant); got.code() != "AccessDenied" || !strings.Contains(got.body, "BlockPublicPolicy") {
		t.Errorf("a public policy behind the block: %s", got.body)
	}
	if got := h.send(t, true, "DELETE", "/things?publicAccessBlock", ""); got.status != 204 {
		t.Fatal(got.body)
	}
	if got := h.send(t, true, "PUT", "/things?policy", grant); got.status != 204 {
		t.Fatal(got.body)
	}
	if got := h.send(t, true, "GET", "/things?policyStatus", ""); !strings.Contains(got.body, "<IsPublic>true</IsPublic>") {
		t.Error(got.body)
	}
	if got := h.send(t, false, "GET", "/things/k", ""); got.body != "hello" {
		t.Errorf("by the policy: %d %s", got.status, got.body)
	}
	for _, r := range []struct{ method, path, body string }{{"PUT", "/things/k", "x"}, {"DELETE", "/things/k", ""}, {"GET", "/things", ""}, {"GET", "/things/absent", ""}, {"GET", "/", ""}, {"PUT", "/mine-now", ""}} {
		if got := h.send(t, false, r.method, r.path, r.body); got.code() != "AccessDenied" {
			t.Errorf("%s %s: %d %s", r.method, r.path, got.status, got.body)
		}
	}
	if got := h.send(t, false, "GET", "/things/k?response-content-type=a", ""); got.code() != "InvalidRequest" {
		t.Errorf("a stranger's override: %s", got.body)
	}
	if got := h.send(t, true, "PUT", "/things?publicAccessBlock", `<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`); got.status != 200 {
		t.Fatal(got.body)
	}
	if got := h.send(t, false, "GET", "/things/k", ""); got.code() != "AccessDenied" {
		t.Errorf("restricted: %s", got.body)
	}
}

func TestPresignedRequests(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	p := s3.NewPresignClient(h.root())
	put, err := p.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: new("things"), Key: new("a b"), ContentType: new("x/y")}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), put.Method, put.URL, strings.NewReader("hello"))
	for k, v := range put.SignedHeader {
		if k != "Host" && k != "Content-Length" {
			r.Header[k] = v
		}
	}
	r.Close = true
	if got := do(t, r); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	get, err := p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: new("a b"), ResponseContentType: new("z/z")})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string) answer {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		r.Close = true
		return do(t, r)
	}
	if got := ask(get.URL); got.body != "hello" || got.header.Get("Content-Type") != "z/z" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	got := ask(strings.Replace(get.URL, "z%2Fz", "a%2Fa", 1))
	if got.code() != "SignatureDoesNotMatch" || !strings.Contains(got.body, "<StringToSign>AWS4-HMAC-SHA256\n") || !strings.Contains(got.body, "<CanonicalRequest>GET\n") {
		t.Errorf("changed: %d %s", got.status, got.body)
	}
	old, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/things/a%20b", nil)
	url := sigv4.Presign(old, sigv4.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: h.admin.Secret.Reveal()}, "us-east-1", "s3", time.Now().Add(-time.Hour), time.Minute, "")
	if got := ask(url); got.status != 403 || !strings.Contains(got.body, "<Message>Request has expired</Message>") {
		t.Errorf("late: %d %s", got.status, got.body)
	}
	if got := h.send(t, false, "GET", "/things/a%20b", "", "Authorization", "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00", "X-Amz-Date", "20260101T000000Z", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"); got.status != 403 {
		t.Errorf("nobody: %d %s", got.status, got.body)
	}
}

func TestCrossOriginRequests(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.send(t, true, "PUT", "/things/k", "hello")
	ask := []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "X-Amz-Date, content-type"}
	if got := h.send(t, false, "OPTIONS", "/things/k", "", ask...); got.status != 403 || got.code() != "AccessForbidden" {
		t.Errorf("without rules: %d %s", got.status, got.body)
	}
	// The configuration that the evaluation chapter asks of buckets.
	rules := types.CORSConfiguration{CORSRules: []types.CORSRule{{
		AllowedHeaders: []string{"*"}, AllowedMethods: []string{"GET", "PUT", "POST", "DELETE"}, AllowedOrigins: []string{"https://*.example.com"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: new(int32(30)), ID: new("r"),
	}}}
	c := h.root()
	if _, err := c.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: new("things"), CORSConfiguration: &rules}); err != nil {
		t.Fatal(err)
	}
	back, err := c.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: new("things")})
	if err != nil || len(back.CORSRules) != 1 || *back.CORSRules[0].MaxAgeSeconds != 30 || back.CORSRules[0].AllowedOrigins[0] != "https://*.example.com" {
		t.Errorf("%+v, %v", back, err)
	}
	got := h.send(t, false, "OPTIONS", "/things/k", "", ask...)
	if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || got.header.Get("Access-Control-Allow-Headers") != "x-amz-date, content-type" || got.header.Get("Access-Control-Max-Age") != "30" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	ask[1] = "https://example.org"
	if got := h.send(t, false, "OPTIONS", "/things/k", "", ask...); got.status != 403 {
		t.Errorf("another origin: %d", got.status)
	}
	if got := h.send(t, true, "GET", "/things/k", "", "Origin", "https://a.example.com"); got.header.Get("Access-Control-Allow-Origin") == "" || got.header.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Errorf("the answer itself: %v", got.header)
	}
	if got := h.send(t, true, "GET", "/things/k", "", "Origin", "https://a.example.org"); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the answer to another origin: %v", got.header)
	}
	if _, err := c.DeleteBucketCors(t.Context(), &s3.DeleteBucketCorsInput{Bucket: new("things")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: new("things")}); codeOf(err) != "NoSuchCORSConfiguration" {
		t.Error(err)
	}
}

func TestSettingsOfABucket(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	ns := ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // code, or a piece of the answer
	}{
		{"GET", "policy", "", 404, "NoSuchBucketPolicy"},
		{"PUT", "policy", "x", 400, "MalformedPolicy"},
		{"PUT", "policy", "{}", 400, "MalformedPolicy"},
		{"PUT", "policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::elsewhere/*"}]}`, 400, "Policy has invalid resource"},
		{"PUT", "policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"iam:GetUser","Resource":"arn:aws:s3:::things/*"}]}`, 400, "Policy has invalid action"},
		// What invocation logging asks for.
		{"PUT", "policy", `{"Version":"2012-10-17","Statement":[{"Sid":"AmazonBedrockLogsWrite","Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":["s3:PutObject"],"Resource":["arn:aws:s3:::things/p/AWSLogs/123456789012/BedrockModelInvocationLogs/*"],"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:*"}}}]}`, 204, ""},
		{"GET", "policy", "", 200, "AmazonBedrockLogsWrite"},
		{"GET", "policyStatus", "", 200, "<IsPublic>false</IsPublic>"},
		{"DELETE", "policy", "", 204, ""},
		{"GET", "policyStatus", "", 404, "NoSuchBucketPolicy"},
		{"GET", "tagging", "", 404, "NoSuchTagSet"},
		{"PUT", "tagging", "<Tagging" + ns + "><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>", 204, ""},
		{"GET", "tagging", "", 200, "<Key>a</Key><Value>1</Value>"},
		{"PUT", "tagging", "<Tagging><TagSet><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></TagSet></Tagging>", 400, "InvalidTag"},
		{"PUT", "tagging", "<Tagging><TagSet><Tag><Key></Key></Tag></TagSet></Tagging>", 400, "InvalidTag"},
		{"PUT", "tagging", "<Other/>", 400, "MalformedXML"},
		{"PUT", "tagging", "<Tagging/><Tagging/>", 400, "MalformedXML"},
		{"DELETE", "tagging", "", 204, ""},
		{"GET", "tagging", "", 404, "NoSuchTagSet"},
		{"GET", "encryption", "", 200, "<SSEAlgorithm>AES256</SSEAlgorithm>"},
		{"PUT", "encryption", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>", 200, ""},
		{"GET", "encryption", "", 200, "<BucketKeyEnabled>true</BucketKeyEnabled>"},
		{"PUT", "encryption", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>", 501, "--neighbour s3=URL"},
		{"DELETE", "encryption", "", 204, ""},
		{"GET", "versioning", "", 200, "VersioningConfiguration"},
		{"PUT", "versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", 501, "NotImplemented"},
		{"GET", "acl", "", 200, "<Permission>FULL_CONTROL</Permission>"},
		{"PUT", "acl", "", 400, "AccessControlListNotSupported"},
		{"GET", "publicAccessBlock", "", 200, "<BlockPublicPolicy>true</BlockPublicPolicy>"},
		{"DELETE", "publicAccessBlock", "", 204, ""},
		{"GET", "publicAccessBlock", "", 404, "NoSuchPublicAccessBlockConfiguration"},
		{"GET", "ownershipControls", "", 200, "BucketOwnerEnforced"},
		{"PUT", "ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>Nobody</ObjectOwnership></Rule></OwnershipControls>", 400, "MalformedXML"},
		{"DELETE", "ownershipControls", "", 204, ""},
		{"GET", "ownershipControls", "", 404, "OwnershipControlsNotFoundError"},
		{"PUT", "cors", "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod></CORSRule></CORSConfiguration>", 400, "Unsupported method is PATCH"},
		{"PUT", "cors", "<CORSConfiguration><CORSRule><AllowedOrigin>*.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>", 400, "InvalidRequest"},
		{"PUT", "cors", "<CORSConfiguration/>", 400, "MalformedXML"},
		{"PUT", "versioning", "<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>", 400, "MalformedXML"},
		{"PUT", "versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", 200, ""},
		{"GET", "versioning", "", 200, "<Status>Suspended</Status>"},
		{"PUT", "lifecycle", "", 501, "Lifecycle configuration is not served by this Outcrop. Start it with --neighbour s3=URL"},
		{"GET", "lifecycle", "", 404, "NoSuchLifecycleConfiguration"},
		{"DELETE", "lifecycle", "", 204, ""},
		{"GET", "replication", "", 404, "ReplicationConfigurationNotFoundError"},
		{"GET", "website", "", 404, "NoSuchWebsiteConfiguration"},
		{"GET", "object-lock", "", 404, "ObjectLockConfigurationNotFoundError"},
		{"GET", "logging", "", 200, "BucketLoggingStatus"},
		{"GET", "notification", "", 200, "NotificationConfiguration"},
		{"GET", "accelerate", "", 200, "AccelerateConfiguration"},
		{"GET", "requestPayment", "", 200, "<Payer>BucketOwner</Payer>"},
		{"GET", "analytics", "", 200, "<IsTruncated>false</IsTruncated>"},
		{"GET", "inventory&id=a", "", 404, "NoSuchConfiguration"},
		{"POST", "", "no form", 412, "PreconditionFailed"},
		{"PUT", "website", "", 501, "--neighbour s3=URL"},
		{"PATCH", "", "", 405, "MethodNotAllowed"},
	} {
		path := "/things"
		if c.path != "" {
			path += "?" + c.path
		}
		got := h.send(t, true, c.method, path, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.want) || c.want == "" && got.body != "" {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, got.status, got.body, c.status, c.want)
		}
		if got.header.Get("X-Amz-Request-Id") == "" {
			t.Errorf("%s %s has no request id", c.method, c.path)
		}
	}
}

func TestHostsAndPathsNameBuckets(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.bucket(t, "dotted.name")
	h.send(t, true, "PUT", "/things/k/x", "hello")
	h.send(t, true, "PUT", "/dotted.name/k/x", "hello")
	for _, c := range []struct{ host, path string }{
		{"things.s3.localhost:8080", "/k/x"}, {"things.localhost", "/k/x"}, {"dotted.name.localhost", "/k/x"}, {"THINGS.localhost", "/k/x"},
		{"things.s3.amazonaws.com", "/k/x"}, {"things.s3.eu-west-1.amazonaws.com", "/k/x"}, {"s3.us-west-2.amazonaws.com", "/things/k/x"},
		{"s3.localhost", "/things/k/x"}, {"localhost:1", "/things/k/x"}, {"127.0.0.1", "/things/k/x"}, {"[::1]:80", "/things/k/x"}, {"127.0.0.1", "/s3/things/k/x"},
	} {
		if got := h.send(t, true, "GET", c.path, "", "Host", c.host); got.body != "hello" {
			t.Errorf("%s%s: %d %s", c.host, c.path, got.status, got.body)
		}
	}
	virtual := h.client(h.admin, "us-east-1", func(o *s3.Options) {
		o.UsePathStyle = false
		o.BaseEndpoint = new(strings.Replace(h.url, "127.0.0.1", "localhost", 1))
		o.HTTPClient = localNames(t)
	})
	if got, err := virtual.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: new("things"), Key: new("k/x")}); err != nil || *got.ContentLength != 5 {
		t.Errorf("virtual host style: %+v, %v", got, err)
	}
	for _, c := range []struct {
		host, path string
		want       bool
	}{
		{"localhost", "/things/k", false}, {"things.localhost:80", "/k", true}, {"s3.localhost", "/", true}, {"127.0.0.1", "/s3/things/k", true}, {"127.0.0.1", "/s3", true},
		{"127.0.0.1", "/s3x/k", false}, {"127.0.0.1", "/things/k?AWSAccessKeyId=A&Signature=B&Expires=1", true}, {"127.0.0.1", "/things/k?AWSAccessKeyId=A", false}, {"things.s3.amazonaws.com", "/k", true}, {"example.com", "/k", false},
	} {
		r := httptest.NewRequest("GET", "http://"+c.host+c.path, nil)
		if got := h.face.Claims(r); got != c.want {
			t.Errorf("claims %s%s: %v", c.host, c.path, got)
		}
	}
	if got := h.send(t, true, "GET", "/things/"+strings.Repeat("x", 1025), ""); got.code() != "KeyTooLongError" {
		t.Errorf("long key: %s", got.body)
	}
	if got := h.send(t, true, "GET", "/things/%FF", ""); got.code() != "InvalidURI" {
		t.Errorf("no UTF-8: %s", got.body)
	}
}

func TestARequestIsObservedOnce(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	<-h.seen
	h.send(t, true, "PUT", "/things/k", "hello")
	h.send(t, true, "GET", "/things/absent", "")
	put, get := <-h.seen, <-h.seen
	if put.Call.Operation != "PutObject" || put.Status != 200 || put.BytesIn != 5 || put.Call.Account != iam.DefaultAccount || !put.Accepted {
		t.Errorf("put: %+v %+v", put, put.Call)
	}
	if get.Call.Operation != "GetObject" || get.Status != 404 || get.Error == nil || get.Error.Kind != "NoSuchKey" || get.BytesOut == 0 {
		t.Errorf("get: %+v", get)
	}
	select {
	case more := <-h.seen:
		t.Errorf("another: %+v", more)
	default:
	}
}

// The signature is made here from its published recipe; boto3 and the CLI make
// theirs in clients_test.go.
func TestPresignedRequestsOfVersion2(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.send(t, true, "PUT", "/things/a%20b", "hello")
	sign := func(secret, id, method, resource string, expires int64, more string) string {
		mac := hmac.New(sha1.New, []byte(secret))
		mac.Write([]byte(method + "\n\n\n" + strconv.FormatInt(expires, 10) + "\n" + resource))
		u := resource
		if !strings.Contains(u, "?") {
			u += "?"
		} else {
			u += "&"
		}
		return u + "AWSAccessKeyId=" + id + "&Expires=" + strconv.FormatInt(expires, 10) + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) + more
	}
	soon, secret := time.Now().Add(time.Minute).Unix(), h.admin.Secret.Reveal()
	for _, c := range []struct {
		name, method, path string
		status             int
		code               string
	}{
		{"good", "GET", sign(secret, h.admin.ID, "GET", "/things/a%20b", soon, ""), 200, ""},
		{"with a subresource", "GET", sign(secret, h.admin.ID, "GET", "/things/a%20b?tagging", soon, ""), 200, ""},
		{"another method", "DELETE", sign(secret, h.admin.ID, "GET", "/things/a%20b", soon, ""), 403, "SignatureDoesNotMatch"},
		{"another key", "GET", sign(secret, h.admin.ID, "GET", "/things/c", soon, "")[:8] + strings.TrimPrefix(sign(secret, h.admin.ID, "GET", "/things/a%20b", soon, ""), "/things/") + "x", 403, "SignatureDoesNotMatch"},
		{"a subresource added", "GET", sign(secret, h.admin.ID, "GET", "/things/a%20b", soon, "&acl"), 403, "SignatureDoesNotMatch"},
		{"a header added", "PUT", sign(secret, h.admin.ID, "PUT", "/things/n", soon, "&x-amz-meta-a=1"), 403, "SignatureDoesNotMatch"},
		{"another secret", "GET", sign("x"+secret, h.admin.ID, "GET", "/things/a%20b", soon, ""), 403, "SignatureDoesNotMatch"},
		{"an unknown key", "GET", sign(secret, "AKIANOBODY", "GET", "/things/a%20b", soon, ""), 403, "InvalidAccessKeyId"},
		{"late", "GET", sign(secret, h.admin.ID, "GET", "/things/a%20b", time.Now().Add(-time.Second).Unix()-1, ""), 403, "AccessDenied"},
		{"a token too much", "GET", "/things/a%20b?AWSAccessKeyId=" + h.admin.ID + "&Signature=x&Expires=x", 403, "AccessDenied"},
	} {
		if got := h.send(t, false, c.method, c.path, ""); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
}

func TestABodyThatFallsSilentIsEnded(t *testing.T) {
	h := open(t, options{change: func(c *Config) { c.Idle = 300 * time.Millisecond }})
	h.bucket(t, "things")
	r, w := io.Pipe()
	defer w.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/things/slow", r)
	req.ContentLength = 10
	req.Close = true
	sigv4.Sign(req, sigv4.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: h.admin.Secret.Reveal()}, "us-east-1", "s3", time.Now(), sigv4.UnsignedPayload)
	go func() { _, _ = w.Write([]byte("hello")) }()
	start := time.Now()
	got := do(t, req)
	if got.code() != "RequestTimeout" || time.Since(start) > 20*time.Second {
		t.Errorf("after %v: %d %s", time.Since(start), got.status, got.body)
	}
}

func TestASignatureForAnotherServiceOpensNothing(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	r, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/things", nil)
	r.Close = true
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: h.admin.Secret.Reveal()}, "us-east-1", "bedrock", time.Now(), sigv4.HashPayload(nil))
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	if got := do(t, r); got.code() != "AuthorizationHeaderMalformed" || !strings.Contains(got.body, `service &quot;bedrock&quot;`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The object store may take a body that ends early for a whole one.
func TestContentShorterThanAnnouncedIsRefused(t *testing.T) {
	in := &integrity{length: 5}
	if err := in.verify(4, object.Sums{}); err == nil {
		t.Error("four of five bytes were taken")
	}
	if err := in.verify(5, object.Sums{}); err != nil {
		t.Error(err)
	}
}
