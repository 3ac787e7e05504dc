package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// settings are the body of a bucket's row.
type settings struct {
	Policy     string          `json:",omitempty"`
	CORS       []corsRule      `json:",omitempty"`
	Tags       []tag           `json:",omitempty"`
	Encryption *encryptionRule `json:",omitempty"`
	Block      *block          `json:",omitempty"`
	Ownership  string          `json:",omitempty"`
	Suspended  bool            `json:",omitempty"` // versioning
}

// rows are the buckets. Names are unique in the server, so the key has no account;
// the owner is the class and the Region the source.
var rows = store.Kind[settings]{Name: "bucket", Global: true}

func rowKey(name string) store.Key { return store.Key{ID: name} }

// bucket is a row ready for use. It is shared between requests and never changes.
type bucket struct {
	settings

	Name, Account, Region string
	Created               time.Time

	policy *policy.Policy
	public bool
	broken error // the policy cannot be read: nobody gets in by it or past it
	loaded time.Time
}

func (b *bucket) address() object.Bucket {
	return object.Bucket{Account: b.Account, Region: b.Region, Name: b.Name}
}

func bucketOf(r *store.Record[settings]) *bucket {
	b := &bucket{settings: r.Body, Name: r.ID, Account: r.Class, Region: r.Source, Created: r.Created}
	if b.Policy != "" {
		if b.policy, b.broken = policy.Parse(b.Policy, policy.Resource); b.broken != nil {
			b.broken = fmt.Errorf("policy of bucket %s: %w", b.Name, b.broken)
		} else {
			b.public = public(b.policy)
		}
	}
	return b
}

// directory knows the buckets. What it has read stays good for the refresh time;
// its own changes are seen at once.
type directory struct {
	rows    *store.Store
	objects object.Store
	refresh time.Duration

	shape sync.Mutex // one bucket is made or removed at a time

	mu    sync.RWMutex
	known map[string]*bucket
	turn  int // rises with each change: what was read before it is not kept
}

// maxKnown bounds the cache; beyond it all of it goes.
const maxKnown = 10_000

func newDirectory(c Config) *directory {
	return &directory{rows: c.Rows, objects: c.Objects, refresh: c.Refresh, known: map[string]*bucket{}}
}

// get returns a bucket, or an error that wraps object.ErrNoBucket.
func (d *directory) get(ctx context.Context, name string) (*bucket, error) {
	d.mu.RLock()
	b, turn := d.known[name], d.turn
	d.mu.RUnlock()
	now := time.Now()
	if b != nil && now.Sub(b.loaded) < d.refresh {
		return b, nil
	}
	var rec store.Record[settings]
	err := d.rows.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = rows.Get(tx, rowKey(name))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		d.mu.Lock()
		delete(d.known, name)
		d.mu.Unlock()
		return nil, fmt.Errorf("bucket %s: %w", name, object.ErrNoBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", name, err)
	}
	b = bucketOf(&rec)
	b.loaded = now
	d.mu.Lock()
	if d.turn == turn {
		if len(d.known) >= maxKnown {
			clear(d.known)
		}
		d.known[name] = b
	}
	d.mu.Unlock()
	return b, nil
}

// forget drops what is known of a bucket that was changed.
func (d *directory) forget(name string) {
	d.mu.Lock()
	delete(d.known, name)
	d.turn++
	d.mu.Unlock()
}

// create makes a bucket. It answers errBucketExists or errBucketOwned.
func (d *directory) create(ctx context.Context, at object.Bucket, s settings) (*bucket, error) {
	d.shape.Lock()
	defer d.shape.Unlock()
	b, err := d.get(ctx, at.Name)
	switch {
	case err == nil && b.Account != at.Account:
		return nil, fail(errBucketExists, "BucketName", at.Name)
	case err == nil:
		// A crash between the two steps of a removal leaves a row alone.
		if err := d.objects.CreateBucket(ctx, b.address()); err != nil && !errors.Is(err, object.ErrExists) {
			return nil, fmt.Errorf("make bucket %s: %w", at.Name, err)
		}
		return b, fail(errBucketOwned, "BucketName", at.Name)
	case !errors.Is(err, object.ErrNoBucket):
		return nil, err
	}
	// A crash before the row leaves an empty bucket in the object store: it is taken.
	if err := d.objects.CreateBucket(ctx, at); err != nil && !errors.Is(err, object.ErrExists) {
		return nil, fmt.Errorf("make bucket %s: %w", at.Name, err)
	}
	var rec store.Record[settings]
	err = d.rows.Update(ctx, func(tx *store.Tx) (err error) {
		rec, err = rows.Create(tx, rowKey(at.Name), s, store.Columns{Name: at.Name, Class: at.Account, Source: at.Region})
		return err
	})
	d.forget(at.Name)
	if errors.Is(err, store.ErrExists) { // another replica was first
		return nil, fail(errBucketExists, "BucketName", at.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("record bucket %s: %w", at.Name, err)
	}
	return bucketOf(&rec), nil
}

// remove deletes an empty bucket.
func (d *directory) remove(ctx context.Context, b *bucket) error {
	d.shape.Lock()
	defer d.shape.Unlock()
	err := d.objects.DeleteBucket(ctx, b.address())
	if errors.Is(err, object.ErrNotEmpty) {
		// Uploads that were never completed do not keep a bucket.
		if err = d.abort(ctx, b); err == nil {
			err = d.objects.DeleteBucket(ctx, b.address())
		}
	}
	if err != nil && !errors.Is(err, object.ErrNoBucket) {
		return err
	}
	err = d.rows.Update(ctx, func(tx *store.Tx) error { return rows.Delete(tx, rowKey(b.Name)) })
	d.forget(b.Name)
	if errors.Is(err, store.ErrNotFound) {
		return object.ErrNoBucket
	}
	return err
}

// abort ends the uploads of a bucket without objects.
func (d *directory) abort(ctx context.Context, b *bucket) error {
	p, err := d.objects.List(ctx, b.address(), object.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	if len(p.Objects) > 0 {
		return object.ErrNotEmpty
	}
	for {
		uploads, more, err := d.objects.ListUploads(ctx, b.address(), "", object.UploadInfo{}, object.MaxList)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			err := d.objects.AbortUpload(ctx, object.Upload{Address: object.Address{Bucket: b.address(), Key: u.Key}, ID: u.ID})
			if err != nil && !errors.Is(err, object.ErrNoUpload) {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// change writes a bucket's settings.
func (d *directory) change(ctx context.Context, name string, f func(*settings)) error {
	err := d.rows.Update(ctx, func(tx *store.Tx) error {
		rec, err := rows.Get(tx, rowKey(name))
		if err != nil {
			return err
		}
		f(&rec.Body)
		_, err = rows.Put(tx, rec)
		return err
	})
	d.forget(name)
	if errors.Is(err, store.ErrNotFound) {
		return object.ErrNoBucket
	}
	return err
}

// of returns the buckets of an account in order of their names.
func (d *directory) of(ctx context.Context, account string) ([]store.Record[settings], error) {
	var out []store.Record[settings]
	err := d.rows.View(ctx, func(tx *store.Tx) error {
		out = nil
		q := store.Query{Class: account, Sort: store.ByName, Limit: 1000, Clear: true}
		for {
			p, err := rows.List(tx, q)
			if err != nil {
				return err
			}
			out = append(out, p.Records...)
			if q.Cursor = p.Next; q.Cursor == "" {
				return nil
			}
		}
	})
	return out, err
}
