package vectorbucket

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// IndexInfo is a vector index without its vectors.
type IndexInfo struct {
	Name
	Created       time.Time
	Dimension     int
	Metric        vector.Metric
	NonFilterable []string
	Encryption    Encryption
}

// NewIndex describes an index.
type NewIndex struct {
	Bucket        Ref
	Name          string
	Dimension     int // 1 to vector.MaxDimension
	Metric        vector.Metric
	NonFilterable []string   // metadata keys that no filter sees
	Encryption    Encryption // zero: the bucket's
	Tags          Tags
}

var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// contextKey is the one key of the encryption context of an index with a customer key.
const contextKey = "aws:s3vectors:arn"

// CreateIndex makes an index in a bucket.
func (s *Service) CreateIndex(ctx context.Context, c kms.Caller, in NewIndex) (Name, error) {
	n, err := in.Bucket.bucket(c)
	if err != nil {
		return n, err
	}
	n.Index = in.Name
	var bucket *store.Record[bucketBody]
	err = s.store.View(ctx, func(tx *store.Tx) error {
		r, err := buckets.Get(tx, n.bucketKey())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		bucket = &r
		return err
	})
	if err != nil {
		return n, err
	}
	if err := s.askNew(c, "s3vectors:CreateIndex", n, bucket, in.Encryption, in.Tags); err != nil {
		return n, err
	}
	if bucket == nil {
		return n, errNoBucket()
	}
	if err := s.checkIndex(&in); err != nil {
		return n, err
	}
	if in.Encryption.Type == "" {
		in.Encryption = bucket.Body.Encryption
	}
	body := indexBody{Dimension: in.Dimension, Metric: in.Metric, NonFilterable: in.NonFilterable, Encryption: in.Encryption, Vectors: drawID()}
	// The vectors' file comes first: what a crash leaves then is empty and named by nobody.
	x, err := s.vectors.Create(as(ctx, c, map[string]string{contextKey: n.ARN()}), body.definition(n))
	if err != nil {
		return n, fault(err, apierr.Validation)
	}
	if err := x.Close(); err != nil {
		return n, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := buckets.Head(tx, n.bucketKey()); err != nil {
			return err
		}
		count, err := indexes.Count(tx, store.Query{Account: n.Account, Region: n.Region, Parent: n.Bucket})
		if err != nil {
			return err
		}
		if count >= MaxIndexes {
			return apierr.New(apierr.ServiceQuotaExceeded, "A vector bucket can have %d indexes", MaxIndexes)
		}
		if _, err := indexes.Create(tx, n.indexKey(), body, store.Columns{Name: n.Index}); err != nil {
			return err
		}
		return tx.PutTags(n.ARN(), list(in.Tags))
	})
	if err != nil {
		err = errors.Join(err, s.vectors.Drop(context.WithoutCancel(ctx), body.name(n)))
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return n, errNoBucket()
	case errors.Is(err, store.ErrExists):
		return n, apierr.New(apierr.Conflict, "An index with the specified name already exists")
	}
	return n, err
}

func (s *Service) checkIndex(in *NewIndex) error {
	if !indexName.MatchString(in.Name) {
		return invalid("Invalid index name")
	}
	if in.Metric != vector.Cosine && in.Metric != vector.Euclidean {
		return invalid("distanceMetric must be cosine or euclidean")
	}
	if in.Dimension < 1 || in.Dimension > vector.MaxDimension {
		return invalid("dimension must be between 1 and %d", vector.MaxDimension)
	}
	seen := map[string]bool{}
	for _, k := range in.NonFilterable {
		if seen[k] {
			return invalid("nonFilterableMetadataKeys names %q twice", k)
		}
		seen[k] = true
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	return s.checkEncryption(&in.Encryption)
}

// as has the key of an index used in the caller's name, through S3 Vectors.
func as(ctx context.Context, c kms.Caller, encryption map[string]string) context.Context {
	c.Via = "s3vectors." + c.Region + ".amazonaws.com"
	return kms.As(ctx, kms.Asking{Caller: c, Context: encryption})
}

// drawID is the name of an embedded index.
func drawID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // crypto/rand never fails
	return "s3v-" + hex.EncodeToString(b)
}

func (b *indexBody) name(n Name) vector.Name {
	return vector.Name{Account: n.Account, Region: n.Region, ID: b.Vectors}
}

func (b *indexBody) definition(n Name) vector.Definition {
	return vector.Definition{Name: b.name(n), Dimension: b.Dimension, Metric: b.Metric, KeyARN: b.Encryption.Key}
}

func infoOf(r *store.Record[indexBody]) IndexInfo {
	return IndexInfo{
		Name:    Name{Account: r.Account, Region: r.Region, Bucket: r.Parent, Index: r.ID},
		Created: r.Created, Dimension: r.Body.Dimension, Metric: r.Body.Metric, NonFilterable: r.Body.NonFilterable, Encryption: r.Body.Encryption,
	}
}

// findIndex reads an index and asks for the actions on it.
func (s *Service) findIndex(tx *store.Tx, c kms.Caller, n Name, actions ...string) (*store.Record[indexBody], error) {
	bucket, err := buckets.Get(tx, n.bucketKey())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	there := &bucket
	if err != nil {
		there = nil
	}
	for _, a := range actions {
		if err := s.ask(tx, c, a, n, there); err != nil {
			return nil, err
		}
	}
	if there == nil {
		return nil, errNoBucket()
	}
	r, err := indexes.Get(tx, n.indexKey())
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Status == deleting {
		return nil, errNoIndex()
	}
	return &r, err
}

// Index answers what an index is.
func (s *Service) Index(ctx context.Context, c kms.Caller, ref Ref) (IndexInfo, error) {
	r, err := s.lookup(ctx, c, ref, "s3vectors:GetIndex")
	if err != nil {
		return IndexInfo{}, err
	}
	return infoOf(r), nil
}

func (s *Service) lookup(ctx context.Context, c kms.Caller, ref Ref, actions ...string) (r *store.Record[indexBody], err error) {
	n, err := ref.index(c)
	if err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = s.findIndex(tx, c, n, actions...)
		return err
	})
	return r, err
}

// Indexes lists the indexes of a bucket by name.
func (s *Service) Indexes(ctx context.Context, c kms.Caller, ref Ref, in List) (out []IndexInfo, next string, err error) {
	err = s.withBucket(ctx, c, ref, "s3vectors:ListIndexes", func(tx *store.Tx, r *store.Record[bucketBody]) error {
		recs, token, err := byName(tx, indexes, store.Query{Account: r.Account, Region: r.Region, Parent: r.ID}, in)
		next = token
		for i := range recs {
			out = append(out, infoOf(&recs[i]))
		}
		return err
	})
	return out, next, err
}

// DeleteIndex deletes an index with its vectors.
func (s *Service) DeleteIndex(ctx context.Context, c kms.Caller, ref Ref) error {
	n, err := ref.index(c)
	if err != nil {
		return err
	}
	var r *store.Record[indexBody]
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if r, err = s.findIndex(tx, c, n, "s3vectors:DeleteIndex"); err != nil {
			return err
		}
		return indexes.SetStatus(tx, r.Key, deleting)
	})
	if err != nil {
		return err
	}
	return s.drop(context.WithoutCancel(ctx), r)
}

// drop removes the vectors of a marked index, and then its record.
func (s *Service) drop(ctx context.Context, r *store.Record[indexBody]) error {
	n := infoOf(r).Name
	if err := s.vectors.Drop(ctx, r.Body.name(n)); err != nil {
		return fmt.Errorf("drop the vectors of %s: %w", n.ARN(), err)
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Forget(n.ARN()); err != nil {
			return err
		}
		err := indexes.Delete(tx, r.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
}

// finish drops the indexes that are marked as deleted.
func (s *Service) finish(ctx context.Context) error {
	var left []store.Record[indexBody]
	err := s.store.View(ctx, func(tx *store.Tx) error {
		left = nil
		q := store.Query{Everywhere: true, Status: []string{deleting}, Limit: 1000}
		for {
			page, err := indexes.List(tx, q)
			if err != nil {
				return err
			}
			left = append(left, page.Records...)
			if q.Cursor = page.Next; q.Cursor == "" {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	for i := range left {
		if err := s.drop(ctx, &left[i]); err != nil {
			return err
		}
		s.log.LogAttrs(ctx, slog.LevelInfo, "deletion of a vector index finished", slog.String("index", infoOf(&left[i]).Name.ARN()))
	}
	return nil
}

// open opens the vectors of a record; the caller closes.
func (s *Service) open(ctx context.Context, r *store.Record[indexBody]) (Index, error) {
	x, err := s.vectors.Open(ctx, r.Body.name(infoOf(r).Name))
	if err != nil {
		return nil, fault(err, "")
	}
	all, ok := x.(Index)
	if !ok {
		return nil, fmt.Errorf("BUG: %T cannot write several documents at once", x)
	}
	return all, nil
}

// The exceptions of the model for keys that cannot be used.
const (
	KmsDisabled        apierr.Kind = "KmsDisabledException"
	KmsInvalidState    apierr.Kind = "KmsInvalidStateException"
	KmsInvalidKeyUsage apierr.Kind = "KmsInvalidKeyUsageException"
	KmsNotFound        apierr.Kind = "KmsNotFoundException"
)

// fault makes the service's errors of those of the embedded index. What a key refuses
// becomes the kind instead, if one is given: not every operation has the four above.
func fault(err error, instead apierr.Kind) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrSealed) {
		return refused(err, instead)
	}
	switch {
	case errors.Is(err, vector.ErrInvalid), errors.Is(err, vector.ErrUnsupported):
		return apierr.Wrap(apierr.Validation, err, "%s", reason(err))
	case errors.Is(err, vector.ErrNotFound), errors.Is(err, vector.ErrClosed): // deleted meanwhile
		return errNoIndex()
	case errors.Is(err, vector.ErrBusy), errors.Is(err, vector.ErrTooLarge):
		return apierr.Wrap(apierr.ServiceUnavailable, err, "The vector index cannot be used now: %s", reason(err))
	}
	return err
}

func refused(err error, instead apierr.Kind) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return apierr.Wrap(apierr.AccessDenied, err, "The KMS key of the vector index cannot be used")
	}
	kind := KmsInvalidKeyUsage
	switch e.Kind { //nolint:exhaustive // of kinds there are many
	case apierr.AccessDenied:
		return apierr.Wrap(apierr.AccessDenied, err, "%s", e.Message)
	case kms.Disabled:
		kind = KmsDisabled
	case kms.InvalidState:
		kind = KmsInvalidState
	case kms.NotFound:
		kind = KmsNotFound
	}
	if instead != "" {
		kind = instead
	}
	return apierr.Wrap(kind, err, "The KMS key of the vector index cannot be used: %s", e.Message)
}
