package tag

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Most is how many tags a resource may have.
const Most = 50

// An Owner keeps resources of a type.
type Owner struct {
	// Type is the resource type in ARNs, such as application-inference-profile.
	Type string
	// Exists reports whether the resource is there for the caller of ctx.
	Exists func(ctx context.Context, resourceARN string) (bool, error)
}

// Check returns why tags cannot stand at a resource that has the given tags
// already: keys that repeat, begin with aws: or are too many. What the service
// model says of keys and values, the edge has checked; the lengths are checked
// again for tags that reach a resource another way.
func Check(resource string, have, add []store.Tag) error {
	keys := make(map[string]bool, len(have)+len(add))
	for _, t := range have {
		keys[t.Key] = true
	}
	seen := make(map[string]bool, len(add))
	for _, t := range add {
		switch {
		case seen[t.Key]:
			return apierr.New(apierr.Validation, "Duplicate tag key %q: every key may be given once.", t.Key)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return apierr.New(apierr.Validation, "Tag key %q begins with aws:, which is reserved.", t.Key)
		case utf8.RuneCountInString(t.Key) > 128 || utf8.RuneCountInString(t.Value) > 256 || t.Key == "":
			return apierr.New(apierr.Validation, "Tag key %q: keys have 1 to 128 characters, values up to 256.", t.Key)
		}
		seen[t.Key], keys[t.Key] = true, true
	}
	if len(keys) > Most {
		return &apierr.Error{
			Kind: apierr.TooManyTags, Message: "The resource would have more than the 50 tags that it may have.",
			Detail: apierr.Detail{ResourceName: resource},
		}
	}
	return nil
}

// Config says where tags are kept and who owns what.
type Config struct {
	Store  *store.Store
	Owners []Owner
}

// ModelTags answers the tag operations of bedrock.
type ModelTags struct {
	store  *store.Store
	owners map[string]Owner
}

// New returns the operations.
func New(c Config) *ModelTags {
	t := &ModelTags{store: c.Store, owners: map[string]Owner{}}
	for _, o := range c.Owners {
		t.owners[o.Type] = o
	}
	return t
}

// find returns nil when the ARN names a resource of the caller that is there.
func (t *ModelTags) find(ctx context.Context, resource string) error {
	missing := apierr.New(apierr.ResourceNotFound, "The resource %s was not found.", resource)
	name, err := arn.Parse(resource)
	at := call.From(ctx)
	if err != nil || name.Service != "bedrock" || name.Account != at.Account || name.Region != at.Region {
		return missing
	}
	o, ok := t.owners[name.Type()]
	if !ok {
		return missing
	}
	there, err := o.Exists(ctx, resource)
	if err != nil {
		return err
	}
	if !there {
		return missing
	}
	return nil
}

// TagResource sets tags; a key that is there gets the new value.
func (t *ModelTags) TagResource(ctx context.Context, in *bedrock.TagResourceInput) (*bedrock.TagResourceOutput, error) {
	if err := t.put(ctx, in.ResourceARN, FromBedrock(in.Tags)); err != nil {
		return nil, err
	}
	return &bedrock.TagResourceOutput{}, nil
}

// UntagResource removes tags; a key that is not there is no error.
func (t *ModelTags) UntagResource(ctx context.Context, in *bedrock.UntagResourceInput) (*bedrock.UntagResourceOutput, error) {
	if err := t.remove(ctx, in.ResourceARN, in.TagKeys); err != nil {
		return nil, err
	}
	return &bedrock.UntagResourceOutput{}, nil
}

// ListTagsForResource lists the tags in the order of their keys.
func (t *ModelTags) ListTagsForResource(ctx context.Context, in *bedrock.ListTagsForResourceInput) (*bedrock.ListTagsForResourceOutput, error) {
	tags, err := t.list(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &bedrock.ListTagsForResourceOutput{Tags: make([]bedrock.Tag, 0, len(tags))}
	for _, g := range tags {
		out.Tags = append(out.Tags, bedrock.Tag{Key: g.Key, Value: g.Value})
	}
	return out, nil
}

// FromBedrock turns bedrock's list into the store's form.
func FromBedrock(tags []bedrock.Tag) []store.Tag {
	out := make([]store.Tag, 0, len(tags))
	for _, t := range tags {
		out = append(out, store.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}

// put sets tags of a resource that is there.
func (t *ModelTags) put(ctx context.Context, resource string, add []store.Tag) error {
	if err := t.find(ctx, resource); err != nil {
		return err
	}
	return t.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.Tags(resource)
		if err != nil {
			return err
		}
		if err := Check(resource, have, add); err != nil {
			return err
		}
		return tx.PutTags(resource, add)
	})
}

func (t *ModelTags) remove(ctx context.Context, resource string, keys []string) error {
	if err := t.find(ctx, resource); err != nil {
		return err
	}
	return t.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveTags(resource, keys) })
}

func (t *ModelTags) list(ctx context.Context, resource string) (tags []store.Tag, err error) {
	if err := t.find(ctx, resource); err != nil {
		return nil, err
	}
	err = t.store.View(ctx, func(tx *store.Tx) error {
		tags, err = tx.Tags(resource)
		return err
	})
	return tags, err
}
