package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

// Policies decide what service roles may do with stores.
type Policies interface {
	// Allow answers nil, or the denial in AWS's words.
	Allow(q *iam.Question) error
}

var _ Policies = (*iam.Identity)(nil)

// DefaultIdle is how long a pool of connections outlives its last user.
const DefaultIdle = 5 * time.Minute

// Config says which stores there are. Embedded is required.
type Config struct {
	// Embedded holds the house's own indexes, of vector/embedded; its sealer should be
	// kms's. Rekey needs indexes that have a Rekey.
	Embedded vector.Store
	// Buckets are the S3 vector buckets; nil refuses configurations of S3_VECTORS.
	Buckets *vectorbucket.Service
	// Clusters are the databases behind clusters of RDS, by ARN: addresses as of
	// ParseCluster, without user, password and database.
	Clusters map[string]string
	// Tables opens tables of these databases; nil: there are no clusters.
	Tables Tables
	// Secrets reads a secret as the role that ctx acts for; an error is an
	// *apierr.Error. nil: there are no secrets, and so no clusters.
	Secrets func(ctx context.Context, arn string) ([]byte, error)
	// Policies are asked for what roles may do; nil allows everything.
	Policies Policies
	// Bases lists the knowledge bases of an account in a Region, those that are being
	// deleted among them. It says whether an index is shared; nil: such an index is
	// never dropped, and may be given another key.
	Bases func(ctx context.Context, account, region string) ([]*knowledge.Base, error)
	// Idle is how long a pool of connections outlives its last user; 0 is DefaultIdle.
	Idle time.Duration
	// Now is the wall clock; nil is time.Now.
	Now    func() time.Time
	Logger *slog.Logger // discards when nil
}

// Indexes are the stores of knowledge bases. It is safe for concurrent use.
type Indexes struct {
	cfg   Config
	log   *slog.Logger
	pools pools

	life   sync.Mutex // makes and drops embedded indexes
	claims map[vector.Name]map[string]time.Time
}

var _ knowledge.Indexes = (*Indexes)(nil)

// New makes Indexes; Close closes its pools, not the stores of Config.
func New(c Config) (*Indexes, error) {
	if c.Embedded == nil {
		return nil, errors.New("storage: Config.Embedded is required")
	}
	for arn, address := range c.Clusters {
		if err := checkAddress(address); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", arn, err)
		}
	}
	c.Idle = cmp.Or(c.Idle, DefaultIdle)
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Indexes{cfg: c, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)), claims: map[vector.Name]map[string]time.Time{}}
	i.pools = pools{tables: c.Tables, idle: c.Idle, open: map[Table]*pool{}, log: i.log}
	return i, nil
}

// Close closes the connections to databases; indexes that are open in them end.
func (i *Indexes) Close() error { return i.pools.close() }

// typeOf is the type of a configuration; none stands for the built-in index, which is
// treated as a collection of its own.
func typeOf(b *knowledge.Base) api.KnowledgeBaseStorageType {
	if b.Storage == nil {
		return builtIn
	}
	return b.Storage.Type
}

// builtIn is the type of a knowledge base without a configuration.
const builtIn api.KnowledgeBaseStorageType = ""

// Check refuses a configuration that cannot serve the knowledge base.
func (i *Indexes) Check(ctx context.Context, b *knowledge.Base) error {
	if err := whole(b); err != nil {
		return err
	}
	var x vector.Index
	var err error
	switch typeOf(b) {
	case builtIn:
		return nil
	case api.KnowledgeBaseStorageTypeOpensearchServerless:
		x, err = i.openEmbedded(ctx, b)
		if errors.Is(err, vector.ErrNotFound) {
			return nil // Create makes it
		}
	case api.KnowledgeBaseStorageTypeRds:
		for _, action := range []string{"rds:DescribeDBClusters", "rds-data:BatchExecuteStatement"} {
			if err := i.may(ctx, action, b.Storage.RdsConfiguration.ResourceArn); err != nil {
				return wrong(err)
			}
		}
		x, err = i.openTable(ctx, b)
	case api.KnowledgeBaseStorageTypeS3Vectors:
		x, err = i.openBucket(ctx, b)
	default:
		return nil
	}
	if err != nil {
		return wrong(err)
	}
	return x.Close()
}

// Create makes the embedded index of a knowledge base if it is not there, and opens it;
// what the user makes must be there.
func (i *Indexes) Create(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	if err := i.served(b); err != nil {
		return nil, err
	}
	switch typeOf(b) {
	case api.KnowledgeBaseStorageTypeRds, api.KnowledgeBaseStorageTypeS3Vectors:
		x, err := i.Open(ctx, b)
		return x, wrong(err)
	default:
		x, err := i.createEmbedded(ctx, b)
		return x, wrong(err)
	}
}

// Open opens the index of a knowledge base.
func (i *Indexes) Open(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	if err := i.served(b); err != nil {
		return nil, err
	}
	var x vector.Index
	var err error
	switch typeOf(b) {
	case api.KnowledgeBaseStorageTypeRds:
		x, err = i.openTable(ctx, b)
	case api.KnowledgeBaseStorageTypeS3Vectors:
		x, err = i.openBucket(ctx, b)
	default:
		x, err = i.openEmbedded(ctx, b)
	}
	if apierr.KindOf(err) == apierr.AccessDenied {
		return nil, err
	}
	if err != nil {
		return nil, wrong(err)
	}
	return x, nil
}

// Capabilities of the store that the configuration names.
func (i *Indexes) Capabilities(b *knowledge.Base) (vector.Capabilities, bool) {
	if i.served(b) != nil {
		return vector.Capabilities{}, false
	}
	switch typeOf(b) {
	case api.KnowledgeBaseStorageTypeRds:
		if i.cfg.Tables == nil {
			return vector.Capabilities{}, false
		}
		return i.cfg.Tables.Capabilities(), true
	case api.KnowledgeBaseStorageTypeS3Vectors:
		return vectorbucket.Capabilities(), true
	default:
		return i.cfg.Embedded.Capabilities(), true
	}
}

// served refuses what is only kept and shown.
func (i *Indexes) served(b *knowledge.Base) error {
	if err := whole(b); err != nil {
		return err
	}
	switch t := typeOf(b); t {
	case builtIn, api.KnowledgeBaseStorageTypeOpensearchServerless, api.KnowledgeBaseStorageTypeRds, api.KnowledgeBaseStorageTypeS3Vectors:
		return nil
	default:
		return apierr.New(apierr.Validation, "Outcrop keeps storage configurations of the type %s and shows them, but cannot reach such a store. Knowledge bases can be used here with OPENSEARCH_SERVERLESS, S3_VECTORS, RDS or no storage configuration.", t)
	}
}

// whole refuses a configuration whose type lacks its part.
func whole(b *knowledge.Base) error {
	s, lacks := b.Storage, false
	switch typeOf(b) {
	case builtIn:
		return nil
	case api.KnowledgeBaseStorageTypeOpensearchServerless:
		lacks = s.OpensearchServerlessConfiguration == nil
	case api.KnowledgeBaseStorageTypeRds:
		lacks = s.RdsConfiguration == nil || s.RdsConfiguration.FieldMapping == nil
	case api.KnowledgeBaseStorageTypeS3Vectors:
		lacks = s.S3VectorsConfiguration == nil
	default:
	}
	if lacks {
		return refusal("The configuration of the type %s is missing.", s.Type)
	}
	return nil
}

const prefix = "The knowledge base storage configuration provided is invalid... "

func refusal(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Validation, prefix+format, args...)
}

// wrong turns an error of a store into what the caller is told of the configuration.
// Refusals of keys pass: the room words them.
func wrong(err error) error {
	if err == nil || errors.Is(err, store.ErrSealed) {
		return err
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Kind == apierr.Validation && len(e.Message) > len(prefix) && e.Message[:len(prefix)] == prefix {
			return e
		}
		return apierr.Wrap(apierr.Validation, err, "%s%s", prefix, e.Message)
	}
	switch {
	case errors.Is(err, vector.ErrNotFound), errors.Is(err, vector.ErrMismatch), errors.Is(err, vector.ErrInvalid):
		return apierr.Wrap(apierr.Validation, err, "%s%s", prefix, reason(err))
	}
	return err
}

// may asks whether the role that ctx acts for may do something; the house may.
func (i *Indexes) may(ctx context.Context, action, resource string) error {
	p := knowledge.ActingAs(ctx)
	if p == nil || i.cfg.Policies == nil {
		return nil
	}
	return i.cfg.Policies.Allow(&iam.Question{Principal: p, Action: action, Resource: resource})
}

// caller is the role that ctx acts for, in the place of the knowledge base.
func caller(ctx context.Context, b *knowledge.Base) kms.Caller {
	return kms.Caller{Principal: knowledge.ActingAs(ctx), Account: b.Account, Region: b.Region}
}
