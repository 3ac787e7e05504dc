package retrieve

import (
	"context"
	"strings"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Bounds of the service model; the gateway checks them too, but not all that come
// here came by it.
const (
	defaultResults = 5
	maxResults     = 100
	maxQuestion    = 20_000 // characters
)

// plan is a retrieval configuration as the search uses it.
type plan struct {
	number int
	mode   vector.Mode // "" lets the store decide
	filter *vector.Filter
	rerank *reranking // nil: none
}

// reranking is what becomes of the found.
type reranking struct {
	model  string
	number int // of results, 0 for all
	// What of the attributes the reranker sees: all, all but some, or some.
	all     bool
	include map[string]bool
	exclude map[string]bool
}

const (
	atConfig = "retrievalConfiguration"
	atVector = atConfig + ".vectorSearchConfiguration"
	atRerank = atVector + ".rerankingConfiguration"
)

func planOf(c *api.KnowledgeBaseRetrievalConfiguration) (*plan, error) {
	p := &plan{number: defaultResults}
	if c == nil {
		return p, nil
	}
	v := c.VectorSearchConfiguration
	if v == nil {
		return nil, invalid(atVector, "is required")
	}
	if n := v.NumberOfResults; n != nil {
		if *n < 1 || *n > maxResults {
			return nil, invalid(atVector+".numberOfResults", "must be from 1 to %d", maxResults)
		}
		p.number = *n
	}
	switch v.OverrideSearchType {
	case "", api.SearchTypeHybrid, api.SearchTypeSemantic:
		p.mode = vector.Mode(v.OverrideSearchType)
	default:
		return nil, invalid(atVector+".overrideSearchType", "must be HYBRID or SEMANTIC")
	}
	if v.ImplicitFilterConfiguration != nil {
		return nil, unsupported(atVector+".implicitFilterConfiguration", "a filter that a model makes from the question. Give the conditions in filter")
	}
	if v.Filter != nil {
		f, err := filterOf(v.Filter, atVector+".filter")
		if err != nil {
			return nil, err
		}
		p.filter = f
	}
	if v.RerankingConfiguration != nil {
		k, err := rerankingOf(v.RerankingConfiguration)
		if err != nil {
			return nil, err
		}
		p.rerank = k
	}
	return p, nil
}

func rerankingOf(c *api.VectorSearchRerankingConfiguration) (*reranking, error) {
	if c.Type != api.VectorSearchRerankingConfigurationTypeBedrockRerankingModel {
		return nil, invalid(atRerank+".type", "must be BEDROCK_RERANKING_MODEL")
	}
	const at = atRerank + ".bedrockRerankingConfiguration"
	b := c.BedrockRerankingConfiguration
	if b == nil {
		return nil, invalid(at, "is required when the type is BEDROCK_RERANKING_MODEL")
	}
	m := b.ModelConfiguration
	switch {
	case m == nil || m.ModelArn == "":
		return nil, invalid(at+".modelConfiguration.modelArn", "is required")
	case len(m.AdditionalModelRequestFields) > 0:
		return nil, unsupported(at+".modelConfiguration.additionalModelRequestFields", "further fields of a reranker")
	}
	k := &reranking{model: m.ModelArn}
	if n := b.NumberOfRerankedResults; n != nil {
		if *n < 1 || *n > maxResults {
			return nil, invalid(at+".numberOfRerankedResults", "must be from 1 to %d", maxResults)
		}
		k.number = *n
	}
	return k, k.choose(b.MetadataConfiguration, at+".metadataConfiguration")
}

// choose reads which attributes the reranker sees.
func (k *reranking) choose(c *api.MetadataConfigurationForReranking, at string) error {
	if c == nil {
		return nil
	}
	s := c.SelectiveModeConfiguration
	switch c.SelectionMode {
	case api.RerankingMetadataSelectionModeAll:
		if s != nil {
			return invalid(at+".selectiveModeConfiguration", "cannot be given when the selectionMode is ALL")
		}
		k.all = true
		return nil
	case api.RerankingMetadataSelectionModeSelective:
	default:
		return invalid(at+".selectionMode", "must be SELECTIVE or ALL")
	}
	switch {
	case s == nil || len(s.FieldsToInclude) == 0 && len(s.FieldsToExclude) == 0:
		return invalid(at+".selectiveModeConfiguration", "must name fields when the selectionMode is SELECTIVE")
	case len(s.FieldsToInclude) > 0 && len(s.FieldsToExclude) > 0:
		return invalid(at+".selectiveModeConfiguration", "must have either fieldsToInclude or fieldsToExclude")
	}
	names := func(list []api.FieldForReranking) map[string]bool {
		m := make(map[string]bool, len(list))
		for _, f := range list {
			m[f.FieldName] = true
		}
		return m
	}
	if len(s.FieldsToInclude) > 0 {
		k.include = names(s.FieldsToInclude)
		return nil
	}
	k.all, k.exclude = true, names(s.FieldsToExclude)
	return nil
}

// checkText refuses what cannot be asked.
func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return invalid("retrievalQuery.text", "must not be empty")
	case len(text) > maxQuestion && utf8.RuneCountInString(text) > maxQuestion:
		return invalid("retrievalQuery.text", "must have at most %d characters", maxQuestion)
	}
	return nil
}

// modeOf decides how the store is searched.
func (r *Room) modeOf(ctx context.Context, base string, p *plan, c vector.Capabilities) vector.Mode {
	switch {
	case p.mode == vector.Semantic || p.mode == "" && !c.Hybrid:
		return vector.Semantic
	case c.Hybrid:
		return vector.Hybrid
	}
	r.log.InfoContext(ctx, "hybrid search was asked for where the store searches by vectors alone: searching so", "knowledgeBase", base, "store", c.Store)
	return vector.Semantic
}
