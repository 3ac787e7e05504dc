package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// Errors of this package; the rest are of package object. Match with errors.Is.
var (
	ErrDenied   = errors.New("bucket: access denied")
	ErrTooLarge = errors.New("bucket: object is larger than allowed")
	ErrURI      = errors.New("bucket: not an S3 URI")
)

// Caller is in whose name a bucket is used. The zero value is nobody, who gets
// what a policy grants to everybody.
type Caller struct {
	// Principal is a role's session (iam.AssumeService) or whoever called the room.
	Principal *iam.Principal
	// Service asks for itself when there is no principal: bedrock.amazonaws.com. Only
	// the bucket's policy can let it in. Source and Account are the resource that it
	// works for and that resource's account, both from what is stored: the policy's
	// aws:SourceArn and aws:SourceAccount.
	Service, Source, Account string
}

// As is the caller that a principal is.
func As(p *iam.Principal) Caller { return Caller{Principal: p} }

// AsService is a service that works for the resource of the ARN in the account.
func AsService(service, sourceARN, sourceAccount string) Caller {
	return Caller{Service: service, Source: sourceARN, Account: sourceAccount}
}

// Location names an object, or with List the objects that begin with Key.
type Location struct {
	Bucket string
	Key    string

	// Owner is the account that the bucket must belong to, "" for any: bucketOwner of
	// many Bedrock members. It is not checked where the bucket is Elsewhere.
	Owner string
}

// Reader reads buckets. It is what most rooms need, and small enough to fake.
type Reader interface {
	// Stat describes an object without its content. It needs s3:GetObject.
	Stat(ctx context.Context, as Caller, at Location) (object.Info, error)
	// Get opens an object; the zero Range is all of it. The caller closes Body.
	Get(ctx context.Context, as Caller, at Location, r object.Range) (*object.Content, error)
	// List answers one page of the keys that begin with in.Key, which takes the
	// place of o.Prefix. It needs s3:ListBucket.
	List(ctx context.Context, as Caller, in Location, o object.ListOptions) (object.Page, error)
}

// Writer writes buckets.
type Writer interface {
	// Put reads r to its end and makes it the object's content, at once and whole.
	Put(ctx context.Context, as Caller, at Location, r io.Reader, o object.PutOptions) (object.Info, error)
	// Delete removes an object; a missing one is no error.
	Delete(ctx context.Context, as Caller, at Location) error
}

// Files is both.
type Files interface {
	Reader
	Writer
}

// Record is what a Directory knows of a bucket.
type Record struct {
	Place  object.Bucket  // where its objects lie; Account is the owner
	Policy *policy.Policy // nil: none
	// Restricted says that the policy opens the bucket to everybody while its public
	// access block keeps other accounts out (RestrictPublicBuckets).
	Restricted bool
	// System is what objects of this bucket carry by default: object.Attributes.System.
	System map[string]string
	// Elsewhere says that the bucket is another endpoint's: its policy and its owner
	// are not known here and are asked there.
	Elsewhere bool
}

// Directory finds buckets by their names, which are unique in a server. The S3
// face is one.
type Directory interface {
	// Lookup returns the bucket or an error that wraps object.ErrNoBucket.
	Lookup(ctx context.Context, name string) (Record, error)
}

// Elsewhere is the directory of another endpoint: any name may be a bucket there.
type Elsewhere struct{ Account, Region string }

var _ Directory = Elsewhere{}

// Lookup implements Directory.
func (e Elsewhere) Lookup(_ context.Context, name string) (Record, error) {
	return Record{Place: object.Bucket{Account: e.Account, Region: e.Region, Name: name}, Elsewhere: true}, nil
}

// All walks over everything that begins with in.Key, page after page, in byte
// order of the keys. After an error there is nothing more.
func All(ctx context.Context, r Reader, as Caller, in Location) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for token := ""; ; {
			p, err := r.List(ctx, as, in, object.ListOptions{Token: token})
			if err != nil {
				yield(object.Info{}, err)
				return
			}
			for _, o := range p.Objects {
				if !yield(o, nil) {
					return
				}
			}
			if token = p.Next; token == "" {
				return
			}
		}
	}
}

// ReadAll returns the content of an object of at most limit bytes, and
// ErrTooLarge without reading it when there are more.
func ReadAll(ctx context.Context, r Reader, as Caller, at Location, limit int64) ([]byte, object.Info, error) {
	c, err := r.Get(ctx, as, at, object.Range{})
	if err != nil {
		return nil, object.Info{}, err
	}
	b, err := read(c, at, limit)
	return b, c.Info, errors.Join(err, c.Body.Close())
}

func read(c *object.Content, at Location, limit int64) ([]byte, error) {
	if c.Length > limit {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", at.URI(), ErrTooLarge, c.Length, limit)
	}
	b := make([]byte, c.Length)
	if _, err := io.ReadFull(c.Body, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", at.URI(), err)
	}
	return b, nil
}
