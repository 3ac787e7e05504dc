package vectorbucket

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// tagged finds what an ARN names and asks for the action on it.
func (s *Service) tagged(tx *store.Tx, c kms.Caller, resource, action string, keys map[string][]string) (Name, error) {
	n, err := Parse(resource)
	if err != nil {
		return n, err
	}
	if n.Region != c.Region {
		return n, errNoBucket()
	}
	c.Keys = merge(c.Keys, keys)
	r, err := buckets.Get(tx, n.bucketKey())
	if errors.Is(err, store.ErrNotFound) {
		if err := s.ask(tx, c, action, n, nil); err != nil {
			return n, err
		}
		return n, errNoBucket()
	}
	if err != nil {
		return n, err
	}
	if err := s.ask(tx, c, action, n, &r); err != nil || n.Index == "" {
		return n, err
	}
	x, err := indexes.Head(tx, n.indexKey())
	if errors.Is(err, store.ErrNotFound) || err == nil && x.Status == deleting {
		return n, errNoIndex()
	}
	return n, err
}

func merge(a, b map[string][]string) map[string][]string {
	out := make(map[string][]string, len(a)+len(b))
	for _, m := range []map[string][]string{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// Tag sets tags of a bucket or an index; a key that is there gets the new value.
func (s *Service) Tag(ctx context.Context, c kms.Caller, resource string, tags Tags) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		n, err := s.tagged(tx, c, resource, "s3vectors:TagResource", requestTags(tags, nil))
		if err != nil {
			return err
		}
		if err := checkTags(tags); err != nil {
			return err
		}
		if err := tx.PutTags(n.ARN(), list(tags)); err != nil {
			return err
		}
		count, err := tx.CountTags(n.ARN())
		if err == nil && count > maxTags {
			err = invalid("A resource can have %d tags", maxTags)
		}
		return err
	})
}

// Untag removes tags; a key that is not there is no error.
func (s *Service) Untag(ctx context.Context, c kms.Caller, resource string, keys []string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		n, err := s.tagged(tx, c, resource, "s3vectors:UntagResource", requestTags(nil, keys))
		if err != nil {
			return err
		}
		return tx.RemoveTags(n.ARN(), keys)
	})
}

// TagsOf answers the tags of a bucket or an index.
func (s *Service) TagsOf(ctx context.Context, c kms.Caller, resource string) (Tags, error) {
	var out Tags
	err := s.store.View(ctx, func(tx *store.Tx) error {
		n, err := s.tagged(tx, c, resource, "s3vectors:ListTagsForResource", nil)
		if err != nil {
			return err
		}
		tags, err := tx.Tags(n.ARN())
		out = make(Tags, len(tags))
		for _, t := range tags {
			out[t.Key] = t.Value
		}
		return err
	})
	return out, err
}
