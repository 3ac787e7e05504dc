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

// putMap sets tags. Both agent services call too many of them a quota.
func putMap(ctx context.Context, keep *ModelTags, resource string, tags map[string]string) error {
	err := keep.put(ctx, resource, FromMap(tags))
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.TooManyTags {
		return apierr.Wrap(apierr.ServiceQuotaExceeded, err, "%s", e.Message)
	}
	return err
}

// listMap answers the tags as the agent services write them.
func listMap(ctx context.Context, keep *ModelTags, resource string) (map[string]string, error) {
	tags, err := keep.list(ctx, resource)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(tags))
	for _, g := range tags {
		out[g.Key] = g.Value
	}
	return out, nil
}

// TagResource sets tags; a key that is there gets the new value.
func (t *AgentTags) TagResource(ctx context.Context, in *bedrockagent.TagResourceInput) (*bedrockagent.TagResourceOutput, error) {
	if err := putMap(ctx, t.keep, in.ResourceArn, in.Tags); err != nil {
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
	tags, err := listMap(ctx, t.keep, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &bedrockagent.ListTagsForResourceOutput{Tags: tags}, nil
}

// TagResource sets tags; a key that is there gets the new value.
func (t *SessionTags) TagResource(ctx context.Context, in *bedrockagentruntime.TagResourceInput) (*bedrockagentruntime.TagResourceOutput, error) {
	if err := putMap(ctx, t.keep, in.ResourceArn, in.Tags); err != nil {
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
	tags, err := listMap(ctx, t.keep, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &bedrockagentruntime.ListTagsForResourceOutput{Tags: tags}, nil
}
