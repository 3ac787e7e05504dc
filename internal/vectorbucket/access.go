package vectorbucket

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Name names a bucket, or with Index an index.
type Name struct{ Account, Region, Bucket, Index string }

// BucketARN is the bucket's.
func (n Name) BucketARN() string {
	return arn.New("s3vectors", n.Region, n.Account, "bucket/"+n.Bucket).String()
}

// ARN is the index's, or the bucket's without one.
func (n Name) ARN() string {
	if n.Index == "" {
		return n.BucketARN()
	}
	return n.BucketARN() + "/index/" + n.Index
}

func (n Name) bucketKey() store.Key {
	return store.Key{Account: n.Account, Region: n.Region, ID: n.Bucket}
}

func (n Name) indexKey() store.Key {
	return store.Key{Account: n.Account, Region: n.Region, Parent: n.Bucket, ID: n.Index}
}

// Parse reads the ARN of a bucket or of an index.
func Parse(text string) (Name, error) {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "s3vectors" {
		return Name{}, invalid("%s is not the ARN of a vector bucket or of a vector index", text)
	}
	parts := strings.Split(a.Resource, "/")
	n := Name{Account: a.Account, Region: a.Region}
	switch {
	case len(parts) == 2 && parts[0] == "bucket" && parts[1] != "":
		n.Bucket = parts[1]
	case len(parts) == 4 && parts[0] == "bucket" && parts[1] != "" && parts[2] == "index" && parts[3] != "":
		n.Bucket, n.Index = parts[1], parts[3]
	default:
		return Name{}, invalid("%s is not the ARN of a vector bucket or of a vector index", text)
	}
	return n, nil
}

// Ref is how a request names a bucket or an index: by names, or by an ARN.
type Ref struct{ Bucket, BucketARN, Index, IndexARN string }

// bucket resolves a Ref to a bucket.
func (r Ref) bucket(c kms.Caller) (Name, error) {
	switch {
	case (r.Bucket == "") == (r.BucketARN == ""):
		return Name{}, invalid("Must specify either vectorBucketName or vectorBucketArn but not both")
	case r.Bucket != "":
		return Name{Account: c.Account, Region: c.Region, Bucket: r.Bucket}, nil
	}
	n, err := Parse(r.BucketARN)
	if err == nil && n.Index != "" {
		err = invalid("%s is not the ARN of a vector bucket", r.BucketARN)
	}
	if err == nil && n.Region != c.Region {
		err = errNoBucket()
	}
	return n, err
}

// index resolves a Ref to an index: by its ARN, or by its name and that of its bucket.
func (r Ref) index(c kms.Caller) (Name, error) {
	if r.IndexARN == "" {
		if r.Index == "" || r.Bucket == "" && r.BucketARN == "" {
			return Name{}, invalid("Must specify either indexArn or both vectorBucketName and indexName")
		}
		n, err := r.bucket(c)
		n.Index = r.Index
		return n, err
	}
	if r.Index != "" || r.Bucket != "" || r.BucketARN != "" {
		return Name{}, invalid("Must specify either indexArn or both vectorBucketName and indexName but not both")
	}
	n, err := Parse(r.IndexARN)
	if err == nil && n.Index == "" {
		err = invalid("%s is not the ARN of a vector index", r.IndexARN)
	}
	if err == nil && n.Region != c.Region {
		err = errNoIndex()
	}
	return n, err
}

// ask puts the question about a bucket or an index that r's policy and tags belong
// to; r is nil where there is none.
func (s *Service) ask(tx *store.Tx, c kms.Caller, action string, n Name, r *store.Record[bucketBody]) error {
	if s.policies == nil {
		return nil
	}
	keys := map[string][]string{}
	if r != nil {
		tags, err := tx.Tags(n.BucketARN())
		if err != nil {
			return err
		}
		for _, t := range tags {
			keys["s3vectors:VectorBucketTag/"+t.Key] = []string{t.Value}
		}
		if n.Index != "" {
			if tags, err = tx.Tags(n.ARN()); err != nil {
				return err
			}
		}
		for _, t := range tags {
			keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
		}
	}
	return s.question(c, action, n, r, keys)
}

// askNew asks for what does not exist yet, and for tagging it if there are tags.
func (s *Service) askNew(c kms.Caller, action string, n Name, r *store.Record[bucketBody], e Encryption, tags Tags) error {
	if s.policies == nil {
		return nil
	}
	keys := requestTags(tags, nil)
	if e.Type != "" {
		keys["s3vectors:sseType"] = []string{string(e.Type)}
	}
	if e.Key != "" {
		keys["s3vectors:kmsKeyArn"] = []string{e.Key}
	}
	err := s.question(c, action, n, r, keys)
	if err != nil || len(tags) == 0 {
		return err
	}
	return s.question(c, "s3vectors:TagResource", n, r, keys)
}

func (s *Service) question(c kms.Caller, action string, n Name, r *store.Record[bucketBody], keys map[string][]string) error {
	q := iam.Question{Principal: c.Principal, Action: action, Resource: n.ARN(), Owner: n.Account, Keys: maps.Clone(c.Keys)}
	if q.Keys == nil {
		q.Keys = map[string][]string{}
	}
	maps.Copy(q.Keys, keys)
	if r != nil && r.Body.Policy != "" {
		p, err := policy.Parse(r.Body.Policy, policy.Resource)
		if err != nil {
			return fmt.Errorf("read the policy of vector bucket %s: %w", n.Bucket, err)
		}
		q.ResourcePolicies = []*policy.Policy{p}
	}
	return s.allow(&q)
}

func (s *Service) allow(q *iam.Question) error {
	if s.policies == nil {
		return nil
	}
	return s.policies.Allow(q)
}

func requestTags(tags Tags, removed []string) map[string][]string {
	out := map[string][]string{}
	for k, v := range tags {
		out["aws:RequestTag/"+k] = []string{v}
	}
	if keys := append(slices.Sorted(maps.Keys(tags)), removed...); len(keys) > 0 {
		out["aws:TagKeys"] = keys
	}
	return out
}

func list(tags Tags) []store.Tag {
	out := make([]store.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, store.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func checkTags(tags Tags) error {
	if len(tags) > maxTags {
		return invalid("A resource can have %d tags", maxTags)
	}
	for k := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalid("Tag keys must not begin with aws:")
		}
	}
	return nil
}

// NotFound is the kind of what is not there; the model has no ResourceNotFound.
const NotFound apierr.Kind = "NotFoundException"

func invalid(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Validation, format, args...)
}

func errNoBucket() *apierr.Error {
	return apierr.New(NotFound, "The specified vector bucket could not be found")
}

func errNoIndex() *apierr.Error {
	return apierr.New(NotFound, "The specified index could not be found")
}
