package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
)

// FoundationModels holds the operations that describe foundation models.
type FoundationModels struct{ *Catalog }

// ListFoundationModels lists what the Region offers; filters combine with AND.
func (m *FoundationModels) ListFoundationModels(ctx context.Context, in *bedrock.ListFoundationModelsInput) (*bedrock.ListFoundationModelsOutput, error) {
	region := call.From(ctx).Region
	out := &bedrock.ListFoundationModelsOutput{ModelSummaries: []bedrock.FoundationModelSummary{}}
	for _, e := range m.listed {
		if m.state(e) == EndOfLife || !m.inRegion(e, region) {
			continue
		}
		if in.ByProvider != nil && !strings.EqualFold(*in.ByProvider, e.Provider) {
			continue
		}
		if w := string(in.ByCustomizationType); w != "" && !slices.Contains(e.customize, w) {
			continue
		}
		if w := string(in.ByOutputModality); w != "" && !slices.Contains(e.out, w) {
			continue
		}
		if w := string(in.ByInferenceType); w != "" && !slices.Contains(e.inferenceTypes(region), w) {
			continue
		}
		out.ModelSummaries = append(out.ModelSummaries, bedrock.FoundationModelSummary(m.details(e, region)))
	}
	return out, nil
}

// GetFoundationModel describes one model by id or foundation-model ARN.
func (m *FoundationModels) GetFoundationModel(ctx context.Context, in *bedrock.GetFoundationModelInput) (*bedrock.GetFoundationModelOutput, error) {
	region := call.From(ctx).Region
	id := in.ModelIdentifier
	if strings.HasPrefix(id, "arn:") {
		name, err := arn.Parse(id)
		if err != nil || name.Service != "bedrock" || name.Type() != "foundation-model" || name.Account != "" ||
			name.Region != region || name.Partition != arn.Partition(region) {
			return nil, errInvalid()
		}
		id = name.ID()
	}
	e := m.lookup(id)
	if e == nil || !m.inRegion(e, region) {
		// A name that could be a model's and is none is not found here, while
		// inference calls it invalid, as the service does.
		return nil, apierr.New(apierr.ResourceNotFound, "Could not resolve the foundation model from the provided model identifier.")
	}
	if m.state(e) == EndOfLife {
		return nil, apierr.New(apierr.ResourceNotFound, textEnded)
	}
	d := m.details(e, region)
	return &bedrock.GetFoundationModelOutput{ModelDetails: &d}, nil
}

// details is what both operations say of a model.
func (c *Catalog) details(e *entry, region string) bedrock.FoundationModelDetails {
	life := &bedrock.FoundationModelLifecycle{Status: bedrock.FoundationModelLifecycleStatusActive, StartOfLifeTime: instant(e.start)}
	if c.state(e) == LegacyNow {
		life.Status = bedrock.FoundationModelLifecycleStatusLegacy
	}
	if c.lifeCycle {
		life.LegacyTime, life.EndOfLifeTime = instant(e.legacy), instant(e.eol)
	}
	return bedrock.FoundationModelDetails{
		ModelArn:                   foundationARN(region, e.ID),
		ModelId:                    e.ID,
		ModelName:                  new(e.Name),
		ProviderName:               new(e.Provider),
		InputModalities:            words[bedrock.ModelModality](e.in),
		OutputModalities:           words[bedrock.ModelModality](e.out),
		ResponseStreamingSupported: new(e.stream),
		CustomizationsSupported:    words[bedrock.ModelCustomization](e.customize),
		InferenceTypesSupported:    words[bedrock.InferenceType](e.inferenceTypes(region)),
		ModelLifecycle:             life,
	}
}

// words makes a list of an enumeration, never nil: clients join these lists.
func words[T ~string](list []string) []T {
	out := make([]T, 0, len(list))
	for _, w := range list {
		out = append(out, T(w))
	}
	return out
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
