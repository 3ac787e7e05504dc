package s3

import (
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

const (
	enforced  = "BucketOwnerEnforced"
	maxPolicy = 20 << 10 // bytes, S3's limit
)

// put writes a part of the settings.
func (x *request) put(status int, f func(*settings)) error {
	if err := x.f.buckets.change(x.ctx, x.name, f); err != nil {
		return err
	}
	return x.empty(status)
}

func (x *request) getPolicy() error {
	if x.bucket.Policy == "" {
		return fail(errNoSuchPolicy, "BucketName", x.name)
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", itoa(len(x.bucket.Policy)))
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write([]byte(x.bucket.Policy)) // nothing is left to tell a client that has gone
	return nil
}

func (x *request) putPolicy() error {
	b, err := x.gather(maxDocument)
	if err != nil {
		return err
	}
	p, err := parsePolicy(string(b), x.arn(x.name, ""))
	if err != nil {
		return err
	}
	if bl := x.bucket.Block; bl != nil && bl.BlockPublicPolicy && public(p) {
		return say(errAccessDenied, "User: "+x.Call.Principal+` is not authorized to perform: s3:PutBucketPolicy on resource: "`+x.arn(x.name, "")+
			`" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.`)
	}
	return x.put(http.StatusNoContent, func(s *settings) { s.Policy = string(b) })
}

// parsePolicy reads the policy of the bucket that has the ARN.
func parsePolicy(text, bucketARN string) (*policy.Policy, error) {
	if len(text) > maxPolicy {
		return nil, say(errMalformedPolicy, "Normalized policy document exceeds the maximum allowed size of 20480 bytes.")
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, fail(errMalformedPolicy)
	}
	p, err := policy.Parse(text, policy.Resource)
	if err != nil {
		return nil, say(errMalformedPolicy, err.Error())
	}
	for i := range p.Statements {
		for _, a := range append(p.Statements[i].Action, p.Statements[i].NotAction...) {
			if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
				return nil, say(errMalformedPolicy, "Policy has invalid action", "Detail", a)
			}
		}
		for _, r := range append(p.Statements[i].Resource, p.Statements[i].NotResource...) {
			whole, _, _ := strings.Cut(r, "/")
			if r != "*" && !glob(whole, bucketARN) {
				return nil, say(errMalformedPolicy, "Policy has invalid resource", "Detail", r)
			}
		}
	}
	return p, nil
}

// glob matches a pattern with stars and question marks.
func glob(pattern, s string) bool {
	star, mark, i, j := -1, 0, 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

func (x *request) deletePolicy() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.Policy = "" })
}

func (x *request) getPolicyStatus() error {
	if x.bucket.Policy == "" {
		return fail(errNoSuchPolicy, "BucketName", x.name)
	}
	var d document
	d.begin("PolicyStatus", true)
	d.boolean("IsPublic", x.bucket.public)
	d.end("PolicyStatus")
	return x.answer(&d)
}

// block is a public access block. Access control lists do not exist here, so two
// of the four change nothing but are kept.
type block struct {
	BlockPublicAcls       bool `xml:"BlockPublicAcls"`
	IgnorePublicAcls      bool `xml:"IgnorePublicAcls"`
	BlockPublicPolicy     bool `xml:"BlockPublicPolicy"`
	RestrictPublicBuckets bool `xml:"RestrictPublicBuckets"`
}

type blockDocument struct {
	XMLName xml.Name `xml:"PublicAccessBlockConfiguration"`
	block
}

func (x *request) getBlock() error {
	b := x.bucket.Block
	if b == nil {
		return fail(errNoSuchBlock, "BucketName", x.name)
	}
	var d document
	d.begin("PublicAccessBlockConfiguration", true)
	d.boolean("BlockPublicAcls", b.BlockPublicAcls)
	d.boolean("IgnorePublicAcls", b.IgnorePublicAcls)
	d.boolean("BlockPublicPolicy", b.BlockPublicPolicy)
	d.boolean("RestrictPublicBuckets", b.RestrictPublicBuckets)
	d.end("PublicAccessBlockConfiguration")
	return x.answer(&d)
}

func (x *request) putBlock() error {
	c, err := read[blockDocument](x, maxDocument)
	if err != nil {
		return err
	}
	return x.put(http.StatusOK, func(s *settings) { s.Block = &c.block })
}

func (x *request) deleteBlock() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.Block = nil })
}

type ownershipDocument struct {
	XMLName xml.Name `xml:"OwnershipControls"`
	Rules   []string `xml:"Rule>ObjectOwnership"`
}

func (x *request) getOwnership() error {
	if x.bucket.Ownership == "" {
		return fail(errNoSuchOwnership, "BucketName", x.name)
	}
	var d document
	d.begin("OwnershipControls", true)
	d.begin("Rule", false)
	d.text("ObjectOwnership", x.bucket.Ownership)
	d.end("Rule")
	d.end("OwnershipControls")
	return x.answer(&d)
}

func (x *request) putOwnership() error {
	c, err := read[ownershipDocument](x, maxDocument)
	if err != nil {
		return err
	}
	if len(c.Rules) != 1 {
		return fail(errMalformedXML)
	}
	switch c.Rules[0] {
	case enforced, "BucketOwnerPreferred", "ObjectWriter":
	default:
		return fail(errMalformedXML)
	}
	return x.put(http.StatusOK, func(s *settings) { s.Ownership = c.Rules[0] })
}

func (x *request) deleteOwnership() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.Ownership = "" })
}

// encryptionRule is the default encryption of a bucket.
type encryptionRule struct {
	Algorithm string
	BucketKey bool
}

type encryptionDocument struct {
	XMLName xml.Name `xml:"ServerSideEncryptionConfiguration"`
	Rules   []struct {
		Algorithm string `xml:"ApplyServerSideEncryptionByDefault>SSEAlgorithm"`
		Key       string `xml:"ApplyServerSideEncryptionByDefault>KMSMasterKeyID"`
		BucketKey bool   `xml:"BucketKeyEnabled"`
	} `xml:"Rule"`
}

// getEncryption answers AES256 where nothing was set, as S3 does since 2023.
func (x *request) getEncryption() error {
	e := x.bucket.Encryption
	if e == nil {
		e = &encryptionRule{Algorithm: aes256}
	}
	var d document
	d.begin("ServerSideEncryptionConfiguration", true)
	d.begin("Rule", false)
	d.begin("ApplyServerSideEncryptionByDefault", false)
	d.text("SSEAlgorithm", e.Algorithm)
	d.end("ApplyServerSideEncryptionByDefault")
	d.boolean("BucketKeyEnabled", e.BucketKey)
	d.end("Rule")
	d.end("ServerSideEncryptionConfiguration")
	return x.answer(&d)
}

func (x *request) putEncryption() error {
	c, err := read[encryptionDocument](x, maxDocument)
	if err != nil {
		return err
	}
	if len(c.Rules) != 1 {
		return fail(errMalformedXML)
	}
	r := c.Rules[0]
	if err := checkEncryption(r.Algorithm); err != nil {
		return err
	}
	if r.Key != "" {
		return say(errInvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse", "ArgumentName", "ApplyServerSideEncryptionByDefault")
	}
	return x.put(http.StatusOK, func(s *settings) { s.Encryption = &encryptionRule{r.Algorithm, r.BucketKey} })
}

func (x *request) deleteEncryption() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.Encryption = nil })
}

const aes256 = "AES256"

func checkEncryption(algorithm string) error {
	switch algorithm {
	case "", aes256:
		return nil
	case "aws:kms", "aws:kms:dsse":
		return notBuilt("Encryption with KMS keys")
	}
	return fail(errInvalidSSE, "ArgumentName", "x-amz-server-side-encryption", "ArgumentValue", algorithm)
}

func (x *request) getVersioning() error {
	var d document
	d.begin("VersioningConfiguration", true)
	if x.bucket.Suspended {
		d.text("Status", "Suspended")
	}
	d.end("VersioningConfiguration")
	return x.answer(&d)
}

type versioningDocument struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	Status    string   `xml:"Status"`
	MFADelete string   `xml:"MfaDelete"`
}

// putVersioning takes Suspended: a bucket whose versioning is suspended before it
// ever had any behaves like one without, but for this answer.
func (x *request) putVersioning() error {
	c, err := read[versioningDocument](x, maxDocument)
	if err != nil {
		return err
	}
	switch {
	case c.MFADelete == "Enabled", c.Status == "Enabled":
		return notBuilt("Versioning")
	case c.Status != "Suspended":
		return fail(errMalformedXML)
	}
	return x.put(http.StatusOK, func(s *settings) { s.Suspended = true })
}

// noACL refuses headers that set an access control list other than the one that
// everything has.
func (x *request) noACL() error {
	switch x.R.Header.Get("X-Amz-Acl") {
	case "", "private", "bucket-owner-full-control":
	default:
		return fail(errACL)
	}
	for name := range x.R.Header {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return fail(errACL)
		}
	}
	return nil
}

func (x *request) getACL() error {
	if x.key != "" {
		if _, err := x.f.objects.Head(x.ctx, x.address()); err != nil {
			return x.missing(err)
		}
	}
	var d document
	d.begin("AccessControlPolicy", true)
	d.person("Owner", x.bucket.Account)
	d.begin("AccessControlList", false)
	d.begin("Grant", false)
	d.b = append(d.b, `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`...)
	d.text("ID", owner(x.bucket.Account))
	d.text("DisplayName", x.bucket.Account)
	d.end("Grantee")
	d.text("Permission", "FULL_CONTROL")
	d.end("Grant")
	d.end("AccessControlList")
	d.end("AccessControlPolicy")
	return x.answer(&d)
}

func (x *request) putACL() error { return fail(errACL) }
