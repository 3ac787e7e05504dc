package tag

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// AgentTags answers the tag operations of bedrock-agent.
type AgentTags struct{ keep *ModelTags }

// SessionTags answers the tag operations of bedrock-agent-runtime.
type SessionTags struct{ keep *ModelTags }

// NewAgent returns the operations of bedrock-agent over the given owners.
func NewAgent(c Config) *AgentTags { return &AgentTags{New(c)} }

// NewSession returns the operations of bedrock-agent-runtime over the given owners.
func NewSession(c Config) *SessionTags { return &SessionTags{New(c)} }

// FromMap is the tags of the agent services, which write them as a map.
func FromMap(tags map[string]string) []store.Tag {
	out := make([]store.Tag, 0, len(tags))
	for k, v := range tags {
		out = append(out, store.Tag{Key: k, Value: v})
	}
	return out
}

// put sets tags. Both agent services call too many of them a quota.
func (t *ModelTags) put(ctx context.Context, resource string, tags map[string]string) error {
	if err := t.find(ctx, resource); err != nil {
		return err
	}
	add := FromMap(tags)
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.Tags(resource)
		if err != nil {
			return err
		}
		if err := Check(resource, have, add); err != nil {
			return err
		}
		return tx.PutTags(resource, add)
	})
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.TooManyTags {
		return apierr.Wrap(apierr.ServiceQuotaExceeded, err, "%s", e.Message)
	}
	return err
}

func (t *ModelTags) remove(ctx context.Context, resource string, keys []string) error {
	if err := t.find(ctx, resource); err != nil {
		return err
	}
	return t.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveTags(resource, keys) })
}

func (t *ModelTags) list(ctx context.Context, resource string) (map[string]string, error) {
	if err := t.find(ctx, resource); err != nil {
		return nil, err
	}
	out := map[string]string{}
	err := t.store.View(ctx, func(tx *store.Tx) error {
		tags, err := tx.Tags(resource)
		for _, g := range tags {
			out[g.Key] = g.Value
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// TagResource sets tags; a key that is there gets the new value.
func (t *AgentTags) TagResource(ctx context.Context, in *bedrockagent.TagResourceInput) (*bedrockagent.TagResourceOutput, error) {
	if err := t.keep.put(ctx, in.ResourceArn, in.Tags); err != nil {
		return nil, err
	}
	return &bedrockagent.TagResourceOutput{}, nil
}

// UntagResource removes tags; a key that is not there is no error.
func (t *AgentTags) UntagResource(ctx context.Context, in *bedrockagent.UntagResourceInput) (*bedrockagent.UntagResourceOutput, error) {
	if err := t.keep.remove(ctx, in.ResourceArn, in.TagKeys); err != nil {
		return nil, err
	}
	return &bedrockagent.UntagResourceOutput{}, nil
}

// ListTagsForResource answers all tags of a resource.
func (t *AgentTags) ListTagsForResource(ctx context.Context, in *bedrockagent.ListTagsForResourceInput) (*bedrockagent.ListTagsForResourceOutput, error) {
	tags, err := t.keep.list(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &bedrockagent.ListTagsForResourceOutput{Tags: tags}, nil
}

// TagResource sets tags; a key that is there gets the new value.
func (t *SessionTags) TagResource(ctx context.Context, in *bedrockagentruntime.TagResourceInput) (*bedrockagentruntime.TagResourceOutput, error) {
	if err := t.keep.put(ctx, in.ResourceArn, in.Tags); err != nil {
		return nil, err
	}
	return &bedrockagentruntime.TagResourceOutput{}, nil
}

// UntagResource removes tags; a key that is not there is no error.
func (t *SessionTags) UntagResource(ctx context.Context, in *bedrockagentruntime.UntagResourceInput) (*bedrockagentruntime.UntagResourceOutput, error) {
	if err := t.keep.remove(ctx, in.ResourceArn, in.TagKeys); err != nil {
		return nil, err
	}
	return &bedrockagentruntime.UntagResourceOutput{}, nil
}

// ListTagsForResource answers all tags of a resource.
func (t *SessionTags) ListTagsForResource(ctx context.Context, in *bedrockagentruntime.ListTagsForResourceInput) (*bedrockagentruntime.ListTagsForResourceOutput, error) {
	tags, err := t.keep.list(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &bedrockagentruntime.ListTagsForResourceOutput{Tags: tags}, nil
}
