package server

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// owners is the table of who keeps the resources that can be tagged.
func owners(c *catalog.Catalog) []tag.Owner {
	profiles := &catalog.InferenceProfiles{Catalog: c}
	return []tag.Owner{
		{Type: "application-inference-profile", Exists: func(ctx context.Context, arn string) (bool, error) {
			_, err := profiles.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: arn})
			return there(err)
		}},
	}
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
