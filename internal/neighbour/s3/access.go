package s3

import (
	"errors"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// authorise asks for the operation's own action.
func (x *request) authorise() error {
	switch {
	case x.op.open || x.op.action == "":
		return nil
	case x.bucket == nil && x.name == "":
		return x.may(nil, x.op.action, "*", nil)
	case x.bucket == nil: // about to be made
		return x.may(nil, x.op.action, x.arn(x.name, ""), nil)
	}
	keys := map[string][]string{}
	switch x.op.action {
	case "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads":
		for _, name := range []string{"prefix", "delimiter", "max-keys"} {
			if v, ok := x.query[name]; ok {
				keys["s3:"+name] = v
			}
		}
	case "s3:PutObject":
		x.putKeys(keys)
	case "s3:PutObjectTagging", "s3:DeleteObjectTagging", "s3:GetObjectTagging", "s3:GetObject", "s3:GetObjectAcl":
		if !x.free(x.bucket) {
			x.tagKeys(keys, object.Address{Bucket: x.bucket.address(), Key: x.key})
		}
	}
	return x.may(x.bucket, x.op.action, x.arn(x.name, x.key), keys)
}

func (x *request) arn(bucket, key string) string {
	a := "arn:" + arn.Partition(x.Call.Region) + ":s3:::" + bucket
	if key != "" {
		a += "/" + key
	}
	return a
}

// free reports whether no question need be put: the caller may do everything in
// the account that owns the bucket, and no policy of the bucket speaks.
func (x *request) free(b *bucket) bool {
	switch {
	case x.f.c.Decider == nil:
		return true
	case x.caller == nil:
		return false
	case b != nil && (b.Policy != "" || b.Account != x.caller.Account):
		return false
	}
	return x.f.c.Decider.Unrestricted(x.caller)
}

// may returns nil or the refusal. b is the bucket whose policy speaks, if any.
func (x *request) may(b *bucket, action, resource string, keys map[string][]string) error {
	if x.free(b) {
		return nil
	}
	q := &iam.Question{Principal: x.caller, Action: action, Resource: resource, Keys: x.conditions(keys)}
	if b != nil {
		q.Owner = b.Account
		if b.broken != nil {
			return b.broken
		}
		if b.policy != nil {
			q.ResourcePolicies = []*policy.Policy{b.policy}
		}
		stranger := x.caller == nil || x.caller.Account != b.Account
		if stranger && b.public && b.Block != nil && b.Block.RestrictPublicBuckets {
			return fail(errAccessDenied)
		}
	}
	err := x.f.c.Decider.Allow(q)
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.AccessDenied {
		return err
	}
	if x.caller == nil || b != nil && x.caller.Account != b.Account {
		return fail(errAccessDenied) // strangers are not told why
	}
	return say(errAccessDenied, quoted(e.Message, resource))
}

// conditions are the keys of every request.
func (x *request) conditions(more map[string][]string) map[string][]string {
	keys := map[string][]string{
		"aws:SourceIp": {x.Call.SourceIP}, "aws:UserAgent": {x.Call.UserAgent}, "aws:RequestedRegion": {x.Call.Region},
		"aws:SecureTransport": {"false"}, "s3:signatureversion": {"AWS4-HMAC-SHA256"}, "s3:authType": {"REST-HEADER"},
	}
	if x.R.TLS != nil {
		keys["aws:SecureTransport"] = []string{"true"}
	}
	switch {
	case x.caller == nil:
		delete(keys, "s3:authType")
		delete(keys, "s3:signatureversion")
	case version2(x.query):
		keys["s3:authType"], keys["s3:signatureversion"] = []string{"REST-QUERY-STRING"}, []string{"AWS"}
	case x.query.Has("X-Amz-Signature"):
		keys["s3:authType"] = []string{"REST-QUERY-STRING"}
	}
	if v := x.R.Header.Get("Referer"); v != "" {
		keys["aws:Referer"] = []string{v}
	}
	if v := x.R.Header.Get("X-Amz-Content-Sha256"); v != "" {
		keys["s3:x-amz-content-sha256"] = []string{v}
	}
	for k, v := range more {
		keys[k] = v
	}
	return keys
}

// putKeys are the keys of writing an object.
func (x *request) putKeys(keys map[string][]string) {
	for _, name := range []string{
		"x-amz-acl", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-storage-class", "x-amz-copy-source", "x-amz-metadata-directive",
	} {
		if v := x.R.Header.Get(name); v != "" {
			keys["s3:"+name] = []string{v}
		}
	}
	if v := x.R.Header.Get("If-None-Match"); v != "" {
		keys["s3:if-none-match"] = []string{v}
	}
	if v := x.R.Header.Get("If-Match"); v != "" {
		keys["s3:if-match"] = []string{v}
	}
	if tags, err := headerTags(x.R.Header.Get("X-Amz-Tagging")); err == nil {
		requestTags(keys, tags)
	}
}

func requestTags(keys map[string][]string, tags map[string]string) {
	for k, v := range tags {
		keys["s3:RequestObjectTag/"+k] = []string{v}
		keys["s3:RequestObjectTagKeys"] = append(keys["s3:RequestObjectTagKeys"], k)
	}
}

// tagKeys are the tags that the object has. A missing object has none, and the
// operation says so itself.
func (x *request) tagKeys(keys map[string][]string, at object.Address) {
	tags, err := x.f.objects.Tags(x.ctx, at)
	if err != nil {
		return
	}
	for k, v := range tags {
		keys["s3:ExistingObjectTag/"+k] = []string{v}
	}
}

// missing decides what a caller is told about a key that is not there: whoever
// may not list the bucket learns nothing.
func (x *request) missing(err error) error {
	if !errors.Is(err, object.ErrNotFound) {
		return err
	}
	if denied := x.may(x.bucket, "s3:ListBucket", x.arn(x.name, ""), nil); denied != nil {
		return denied
	}
	return err
}

// public reports whether a policy opens the bucket to everybody: an allow for all
// principals that no condition ties to somebody. It follows S3's list of keys
// that tie.
func public(p *policy.Policy) bool {
	for i := range p.Statements {
		st := &p.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		all := st.NotPrincipal != nil
		if pr := st.Principal; pr != nil {
			all = all || pr.Any
			for _, a := range pr.AWS {
				all = all || strings.Contains(a, "*")
			}
		}
		if all && !tied(st.Condition) {
			return true
		}
	}
	return false
}

func tied(conditions []policy.Condition) bool {
	for _, c := range conditions {
		op := strings.ToLower(c.Operator)
		if strings.Contains(op, "not") || strings.HasSuffix(op, "ifexists") {
			continue
		}
		switch strings.ToLower(c.Key) {
		case "aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:userid",
			"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount":
			fixed := len(c.Values) > 0
			for _, v := range c.Values {
				fixed = fixed && !strings.ContainsAny(v, "*?$") && v != "0.0.0.0/0" && v != "::/0"
			}
			if fixed {
				return true
			}
		}
	}
	return false
}
