package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// ParseCluster reads ARN=ADDRESS of the flag --cluster: the ARN of a cluster of RDS and
// where the database behind it listens, as postgres://HOST:PORT/?sslmode=MODE. User,
// password and database are the knowledge base's.
func ParseCluster(s string) (cluster, address string, err error) {
	cluster, address, ok := strings.Cut(s, "=")
	a, err := arn.Parse(cluster)
	if !ok || err != nil || a.Service != "rds" || a.Type() != "cluster" {
		return "", "", errors.New("a cluster is written arn:aws:rds:REGION:ACCOUNT:cluster:NAME=postgres://HOST:PORT/?sslmode=MODE")
	}
	return cluster, address, checkAddress(address)
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
		return errors.New("the address is no postgres://HOST:PORT/?sslmode=MODE") // its text may hold a password
	}
	return nil
}

// Table names a table and its columns; two that are equal share a pool.
type Table struct {
	DSN        string // of the database, with user and password
	Definition vector.Definition
	Name       string // may be qualified with its schema

	PrimaryKey, Vector, Text, Metadata, CustomMetadata string // columns; the last may be empty
}

// Tables open tables of databases: an adapter over vector/pgvector.
type Tables interface {
	// Capabilities are those of any table.
	Capabilities() vector.Capabilities
	// Store makes a store of one table. It connects with the first operation; Open of
	// its index checks the table and answers vector.ErrMismatch where it is another.
	Store(t Table) (vector.Store, error)
}

// openTable opens the table of a knowledge base.
func (i *Indexes) openTable(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	c := b.Storage.RdsConfiguration
	if err := i.may(ctx, "rds-data:ExecuteStatement", c.ResourceArn); err != nil {
		return nil, err
	}
	address := i.cfg.Clusters[c.ResourceArn]
	if address == "" || i.cfg.Secrets == nil || i.cfg.Tables == nil {
		return nil, refusal("Outcrop does not know which database is behind %s. Start it with --cluster %s=postgres://HOST:PORT/?sslmode=MODE.", c.ResourceArn, c.ResourceArn)
	}
	dsn, err := i.dsn(ctx, address, c.CredentialsSecretArn, c.DatabaseName)
	if err != nil {
		return nil, err
	}
	t := Table{
		DSN: dsn, Name: c.TableName, PrimaryKey: c.FieldMapping.PrimaryKeyField, Vector: c.FieldMapping.VectorField,
		Text: c.FieldMapping.TextField, Metadata: c.FieldMapping.MetadataField,
		Definition: vector.Definition{
			Name: vector.Name{Account: b.Account, Region: b.Region, ID: b.ID}, Metric: vector.Cosine, Model: b.Model.Hash,
		},
	}
	if c.FieldMapping.CustomMetadataField != nil {
		t.CustomMetadata = *c.FieldMapping.CustomMetadataField
	}
	var first error // it names the dimension that is tried first
	for _, dimension := range dimensions(b) {
		t.Definition.Dimension = dimension
		x, err := i.pools.index(ctx, t)
		if err == nil {
			return x, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, vector.ErrMismatch) {
			break
		}
	}
	return nil, unreachable(ctx, c.ResourceArn, first)
}

// dimensions are those that a table may have: what it had when it was looked at first,
// AWS's, the model's own.
func dimensions(b *knowledge.Base) []int {
	var out []int
	for _, d := range []int{b.Width, b.Model.Wire, b.Model.Dimension} {
		if d != 0 && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// unreachable words the errors of a database that no sentinel tells apart.
func unreachable(ctx context.Context, cluster string, err error) error {
	switch {
	case errors.Is(err, vector.ErrMismatch), errors.Is(err, vector.ErrNotFound), errors.Is(err, vector.ErrInvalid), errors.Is(err, vector.ErrClosed):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return apierr.Wrap(apierr.Validation, err, "%sThe database behind %s cannot be used: %s", prefix, cluster, err)
}

// dsn completes the address of a cluster for one database, with the credentials of a
// secret.
func (i *Indexes) dsn(ctx context.Context, address, secret, database string) (string, error) {
	text, err := i.cfg.Secrets(ctx, secret)
	if err != nil {
		return "", err
	}
	var login struct{ Username, Password string }
	if json.Unmarshal(text, &login) != nil || login.Username == "" {
		return "", refusal("The secret %s must be JSON with username and password.", secret)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", refusal("The address of the database cannot be read.") // New has checked it
	}
	u.User = url.UserPassword(login.Username, login.Password)
	u.Path = "/" + database
	return u.String(), nil
}

// pools are the connections to databases, kept while they are used and a while after.
// A table's credentials are part of what it is found by, so a secret that changed makes
// another pool.
type pools struct {
	tables Tables
	idle   time.Duration
	log    *slog.Logger

	mu     sync.Mutex
	open   map[Table]*pool
	closed bool
}

type pool struct {
	store vector.Store
	users int
	timer *time.Timer // set while nobody uses it
	gone  bool        // closed, or about to be
}

// index opens a table over the pool of its configuration.
func (p *pools) index(ctx context.Context, t Table) (vector.Index, error) {
	l, err := p.borrow(t)
	if err != nil {
		return nil, err
	}
	x, err := l.store.Open(ctx, t.Definition.Name)
	if err != nil {
		// A pool that never served is not worth keeping.
		p.giveBack(t, l, true)
		return nil, err
	}
	return &table{Index: x, done: sync.OnceFunc(func() { p.giveBack(t, l, false) })}, nil
}

func (p *pools) borrow(t Table) (*pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, vector.ErrClosed
	}
	l := p.open[t]
	if l == nil {
		s, err := p.tables.Store(t)
		if err != nil {
			return nil, err
		}
		l = &pool{store: s}
		p.open[t] = l
	}
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.users++
	return l, nil
}

// giveBack ends one use; the last one starts the timer, or with now closes the pool.
func (p *pools) giveBack(key Table, l *pool, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.users--
	switch {
	case l.users > 0 || l.gone:
	case now:
		p.end(key, l)
	default:
		l.timer = time.AfterFunc(p.idle, func() { p.reap(key, l) })
	}
}

// reap closes a pool that nobody has used since its timer began.
func (p *pools) reap(key Table, l *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.users == 0 && !l.gone {
		p.end(key, l)
	}
}

// end takes a pool out and closes it. Nobody uses it, so that no query is waited for;
// p.mu is held.
func (p *pools) end(key Table, l *pool) {
	l.gone = true
	delete(p.open, key)
	if err := l.store.Close(); err != nil {
		p.log.Warn("close the connections to a database", "table", key.Name, "error", err)
	}
}

func (p *pools) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for key, l := range p.open {
		if l.timer != nil {
			l.timer.Stop()
		}
		l.gone = true
		delete(p.open, key)
		if err := l.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the connections to table %s: %w", key.Name, err))
		}
	}
	return errors.Join(errs...)
}

// table is an index that gives its pool back.
type table struct {
	vector.Index
	done func()
}

// Close gives the index and its pool back.
func (t *table) Close() error {
	err := t.Index.Close()
	t.done()
	return err
}
