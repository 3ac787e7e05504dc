package vectorbucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Limits of the service, of an account in a Region, of a bucket, of a vector and of
// a call (S3 user guide, limitations of S3 Vectors).
const (
	MaxBuckets  = 10_000
	MaxIndexes  = 10_000
	MaxTopK     = 100
	MaxMetadata = 40 << 10 // bytes of a vector's metadata as JSON
	MaxFilter   = 2 << 10  // of these, bytes of filterable metadata
	MaxKeys     = 50       // of a vector's metadata

	maxTags   = 50
	maxPolicy = 20 << 10 // bytes
	pageSize  = 500      // of lists where the caller says nothing, and the largest of buckets and indexes
	pageBytes = 1 << 20  // a page of vectors ends after as much
)

// Policies decides by identities and by the policies of buckets.
type Policies interface {
	// Allow answers nil, or the denial in AWS's words.
	Allow(q *iam.Question) error
}

var _ Policies = (*iam.Identity)(nil)

// Index is what the indexes of Config.Vectors are; those of vector/embedded are.
type Index interface {
	vector.Index
	// ReplaceAll is Replace for several documents, all of them or none.
	ReplaceAll(ctx context.Context, documents ...vector.Whole) error
}

// Config configures a Service. Store and Vectors are required.
type Config struct {
	Store    *store.Store
	Vectors  vector.Store // the built-in one: its indexes must be Index. Its sealer must be kms's, or indexes take no key
	Policies Policies     // nil: everything is allowed, --auth off
	Keys     bool         // customer keys can be used
	Logger   *slog.Logger // discards when nil
}

// Service is the service of vector buckets. It is safe for concurrent use.
type Service struct {
	store    *store.Store
	vectors  vector.Store
	policies Policies
	keys     bool
	log      *slog.Logger
}

// New makes a Service and ends the deletions that a crash has interrupted. It does not
// own the stores.
func New(ctx context.Context, c Config) (*Service, error) {
	if c.Store == nil || c.Vectors == nil {
		return nil, errors.New("vectorbucket: Config.Store and Config.Vectors are required")
	}
	s := &Service{store: c.Store, vectors: c.Vectors, policies: c.Policies, keys: c.Keys, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler))}
	if err := s.finish(ctx); err != nil {
		return nil, fmt.Errorf("end the deletion of vector indexes: %w", err)
	}
	return s, nil
}

// House is the service as the house's own work uses it: nobody asks, so nothing is
// asked of policies.
func (s *Service) House() *Service {
	h := *s
	h.policies = nil
	return &h
}

// SSE is how an index is sealed at rest.
type SSE string

// The two ways, as the API names them.
const (
	SSES3  SSE = "AES256"
	SSEKMS SSE = "aws:kms"
)

// Encryption of a bucket's new indexes, or of an index. The zero value leaves it to
// the bucket, and there to SSES3.
type Encryption struct {
	Type SSE    `json:",omitempty"`
	Key  string `json:",omitempty"` // ARN, with SSEKMS
}

// bucketBody is a bucket's record.
type bucketBody struct {
	Encryption Encryption
	Policy     string `json:",omitempty"`
}

// indexBody is an index's record.
type indexBody struct {
	Vectors       string // id of the embedded index
	Dimension     int
	Metric        vector.Metric
	NonFilterable []string `json:",omitempty"`
	Encryption    Encryption
}

var (
	buckets = store.Kind[bucketBody]{Name: "vector-bucket"}
	indexes = store.Kind[indexBody]{Name: "vector-index"} // parent: the bucket
)

// deleting is the status of an index whose vectors are about to go.
const deleting = "DELETING"

// Bucket is a vector bucket.
type Bucket struct {
	Name
	Created    time.Time
	Encryption Encryption
}

// Tags are the tags of a bucket or of an index.
type Tags map[string]string

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// CreateBucket makes a bucket and answers its name.
func (s *Service) CreateBucket(ctx context.Context, c kms.Caller, name string, e Encryption, tags Tags) (Name, error) {
	n := Name{Account: c.Account, Region: c.Region, Bucket: name}
	if !bucketName.MatchString(name) {
		return n, invalid("Invalid vector bucket name")
	}
	if err := s.askNew(c, "s3vectors:CreateVectorBucket", n, nil, e, tags); err != nil {
		return n, err
	}
	if err := s.checkEncryption(&e); err != nil {
		return n, err
	}
	e.Type = cmp.Or(e.Type, SSES3)
	if err := checkTags(tags); err != nil {
		return n, err
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		count, err := buckets.Count(tx, store.Query{Account: n.Account, Region: n.Region})
		if err != nil {
			return err
		}
		if count >= MaxBuckets {
			return apierr.New(apierr.ServiceQuotaExceeded, "An account can have %d vector buckets in a Region", MaxBuckets)
		}
		if _, err := buckets.Create(tx, n.bucketKey(), bucketBody{Encryption: e}, store.Columns{Name: name}); err != nil {
			return err
		}
		return tx.PutTags(n.BucketARN(), list(tags))
	})
	if errors.Is(err, store.ErrExists) {
		return n, apierr.New(apierr.Conflict, "A vector bucket with the specified name already exists")
	}
	return n, err
}

func (s *Service) checkEncryption(e *Encryption) error {
	switch {
	case e.Type == SSEKMS && e.Key == "":
		return invalid("kmsKeyArn must be specified with the sseType aws:kms")
	case e.Type != SSEKMS && e.Key != "":
		return invalid("kmsKeyArn can be specified with the sseType aws:kms only")
	case e.Key != "" && !s.keys:
		return invalid("Vector indexes cannot have keys of their own here: the key service is not there")
	}
	return nil
}

// bucketOf is the answer for a record.
func bucketOf(r *store.Record[bucketBody]) Bucket {
	return Bucket{Name: Name{Account: r.Account, Region: r.Region, Bucket: r.ID}, Created: r.Created, Encryption: r.Body.Encryption}
}

// Bucket answers a bucket.
func (s *Service) Bucket(ctx context.Context, c kms.Caller, ref Ref) (Bucket, error) {
	var out Bucket
	err := s.withBucket(ctx, c, ref, "s3vectors:GetVectorBucket", func(_ *store.Tx, r *store.Record[bucketBody]) error {
		out = bucketOf(r)
		return nil
	})
	return out, err
}

// withBucket finds a bucket for an action that only reads, or asks in vain.
func (s *Service) withBucket(ctx context.Context, c kms.Caller, ref Ref, action string, f func(*store.Tx, *store.Record[bucketBody]) error) error {
	n, err := ref.bucket(c)
	if err != nil {
		return err
	}
	return s.store.View(ctx, func(tx *store.Tx) error {
		r, err := s.findBucket(tx, c, n, action)
		if err != nil {
			return err
		}
		return f(tx, r)
	})
}

// changeBucket is withBucket for an action that writes.
func (s *Service) changeBucket(ctx context.Context, c kms.Caller, ref Ref, action string, f func(*store.Tx, *store.Record[bucketBody]) error) error {
	n, err := ref.bucket(c)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		r, err := s.findBucket(tx, c, n, action)
		if err != nil {
			return err
		}
		return f(tx, r)
	})
}

// findBucket reads a bucket and asks for the action on it.
func (s *Service) findBucket(tx *store.Tx, c kms.Caller, n Name, action string) (*store.Record[bucketBody], error) {
	r, err := buckets.Get(tx, n.bucketKey())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	missing := err != nil
	var there *store.Record[bucketBody]
	if !missing {
		there = &r
	}
	if err := s.ask(tx, c, action, n, there); err != nil {
		return nil, err
	}
	if missing {
		return nil, errNoBucket()
	}
	return &r, nil
}

// List is what a list is asked for. The zero value is the first page of all.
type List struct {
	Prefix string
	Token  string
	Limit  int // 0 is 500
}

// Buckets lists the buckets of the caller's account and Region by name.
func (s *Service) Buckets(ctx context.Context, c kms.Caller, in List) (out []Bucket, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if err := s.allow(&iam.Question{Principal: c.Principal, Action: "s3vectors:ListVectorBuckets", Resource: "*", Owner: c.Account, Keys: c.Keys}); err != nil {
			return err
		}
		recs, token, err := byName(tx, buckets, store.Query{Account: c.Account, Region: c.Region}, in)
		next = token
		for i := range recs {
			out = append(out, bucketOf(&recs[i]))
		}
		return err
	})
	return out, next, err
}

// byName is a page of a kind in the order of names, of those that begin with a prefix.
func byName[T any](tx *store.Tx, k store.Kind[T], q store.Query, in List) (out []store.Record[T], next string, err error) {
	limit := cmp.Or(in.Limit, pageSize)
	q.Sort, q.NameContains, q.Cursor = store.ByName, in.Prefix, in.Token
	for len(out) < limit {
		q.Limit = limit - len(out)
		page, err := k.List(tx, q)
		if errors.Is(err, store.ErrBadCursor) {
			return nil, "", invalid("Invalid next token")
		}
		if err != nil {
			return nil, "", err
		}
		for _, r := range page.Records {
			if strings.HasPrefix(r.Name, in.Prefix) && r.Status != deleting {
				out = append(out, r)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return out, q.Cursor, nil
}

// DeleteBucket deletes a bucket without indexes.
func (s *Service) DeleteBucket(ctx context.Context, c kms.Caller, ref Ref) error {
	return s.changeBucket(ctx, c, ref, "s3vectors:DeleteVectorBucket", func(tx *store.Tx, r *store.Record[bucketBody]) error {
		n, err := indexes.Count(tx, store.Query{Account: r.Account, Region: r.Region, Parent: r.ID})
		if err != nil {
			return err
		}
		if n > 0 {
			return apierr.New(apierr.Conflict, "The specified vector bucket is not empty")
		}
		if err := tx.Forget(bucketOf(r).BucketARN()); err != nil {
			return err
		}
		return buckets.Delete(tx, r.Key)
	})
}

// PutPolicy gives a bucket a policy.
func (s *Service) PutPolicy(ctx context.Context, c kms.Caller, ref Ref, document string) error {
	return s.changeBucket(ctx, c, ref, "s3vectors:PutVectorBucketPolicy", func(tx *store.Tx, r *store.Record[bucketBody]) error {
		if len(document) > maxPolicy {
			return invalid("Invalid policy: it has %d bytes; %d are possible", len(document), maxPolicy)
		}
		if _, err := policy.Parse(document, policy.Resource); err != nil {
			return invalid("Invalid policy: %s", err)
		}
		r.Body.Policy = document
		_, err := buckets.Put(tx, *r)
		return err
	})
}

// Policy answers the policy of a bucket.
func (s *Service) Policy(ctx context.Context, c kms.Caller, ref Ref) (string, error) {
	var out string
	err := s.withBucket(ctx, c, ref, "s3vectors:GetVectorBucketPolicy", func(_ *store.Tx, r *store.Record[bucketBody]) error {
		if out = r.Body.Policy; out == "" {
			return apierr.New(NotFound, "The specified vector bucket policy could not be found")
		}
		return nil
	})
	return out, err
}

// DeletePolicy takes the policy of a bucket away; without one it does nothing.
func (s *Service) DeletePolicy(ctx context.Context, c kms.Caller, ref Ref) error {
	return s.changeBucket(ctx, c, ref, "s3vectors:DeleteVectorBucketPolicy", func(tx *store.Tx, r *store.Record[bucketBody]) error {
		if r.Body.Policy == "" {
			return nil
		}
		r.Body.Policy = ""
		_, err := buckets.Put(tx, *r)
		return err
	})
}
