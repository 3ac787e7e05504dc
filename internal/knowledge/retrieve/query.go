package retrieve

import (
	"context"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
)

// Refusals answers what only knowledge bases of a type can do that cannot be made
// here.
type Refusals struct{ *Room }

// GenerateQuery turns a question into SQL for a structured knowledge base. There are
// none: CreateKnowledgeBase refuses the type SQL. So any knowledge base that there is
// is one of the wrong type, as with AWS, and the refusal is the modelled one.
func (o Refusals) GenerateQuery(ctx context.Context, in *api.GenerateQueryInput) (*api.GenerateQueryOutput, error) {
	q, t := in.QueryGenerationInput, in.TransformationConfiguration
	const at = "transformationConfiguration"
	switch {
	case q == nil:
		return nil, invalid("queryGenerationInput", "is required")
	case q.Type != api.InputQueryTypeText:
		return nil, invalid("queryGenerationInput.type", "must be TEXT")
	case t == nil:
		return nil, invalid(at, "is required")
	case t.Mode != api.QueryTransformationModeTextToSql:
		return nil, invalid(at+".mode", "must be TEXT_TO_SQL")
	case t.TextToSqlConfiguration == nil:
		return nil, invalid(at+".textToSqlConfiguration", "is required when the mode is TEXT_TO_SQL")
	case t.TextToSqlConfiguration.Type != api.TextToSqlConfigurationTypeKnowledgeBase:
		return nil, invalid(at+".textToSqlConfiguration.type", "must be KNOWLEDGE_BASE")
	case t.TextToSqlConfiguration.KnowledgeBaseConfiguration == nil:
		return nil, invalid(at+".textToSqlConfiguration.knowledgeBaseConfiguration", "is required when the type is KNOWLEDGE_BASE")
	}
	a, err := arn.Parse(t.TextToSqlConfiguration.KnowledgeBaseConfiguration.KnowledgeBaseArn) // its pattern was checked
	if err != nil {
		return nil, invalid(at+".textToSqlConfiguration.knowledgeBaseConfiguration.knowledgeBaseArn", "must be the ARN of a knowledge base")
	}
	if c := call.From(ctx); a.Account != c.Account || a.Region != c.Region {
		return nil, apierr.New(apierr.ResourceNotFound, knowledge.TextMissing)
	}
	b, err := o.bases.Active(ctx, a.ID())
	if err != nil {
		return nil, public(err)
	}
	return nil, apierr.New(apierr.Validation,
		"The knowledge base %s holds documents, not tables: queries can be generated for knowledge bases of the type SQL only, which Outcrop does not support. Use Retrieve or RetrieveAndGenerate.", b.ID)
}
