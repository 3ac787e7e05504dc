package server

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/tag"
	"github.com/outcrop-dev/outcrop/internal/throughput"
)

// owners is the table of who keeps the resources that can be tagged.
func owners(c *catalog.Catalog, t *throughput.ProvisionedModels) []tag.Owner {
	profiles := &catalog.InferenceProfiles{Catalog: c}
	return []tag.Owner{
		{Type: "application-inference-profile", Exists: func(ctx context.Context, arn string) (bool, error) {
			_, err := profiles.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: arn})
			return there(err)
		}},
		{Type: "provisioned-model", Exists: func(ctx context.Context, arn string) (bool, error) {
			_, err := t.GetProvisionedModelThroughput(ctx, &bedrock.GetProvisionedModelThroughputInput{ProvisionedModelId: arn})
			return there(err)
		}},
	}
}

// modelOwners is the table of who resolves which names in the place of a model id.
func (s *Server) modelOwners() []catalog.Owner {
	return []catalog.Owner{{
		Name: "provisioned-model", Match: throughput.Matches,
		Resolve:   func(ctx context.Context, id string) (*catalog.Target, error) { return s.throughput.Resolve(ctx, id) },
		Resources: func(ctx context.Context, id string) []string { return s.throughput.Resources(ctx, id) },
	}}
}

// there turns the outcome of a Get into whether the resource exists.
func there(err error) (bool, error) {
	switch apierr.KindOf(err) {
	case "":
		return true, nil
	case apierr.ResourceNotFound, apierr.Validation:
		return false, nil
	default:
		return false, err
	}
}
