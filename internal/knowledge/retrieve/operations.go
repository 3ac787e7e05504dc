package retrieve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
)

// Operations answers Retrieve and Rerank.
type Operations struct{ *Room }

// textNoPage refuses a token: none was ever given (see the package's comment).
const textNoPage = "is not one of this service: an answer has no further page. Ask for a larger numberOfResults, up to %d"

// Retrieve answers the passages of a knowledge base that fit a question.
func (o Operations) Retrieve(ctx context.Context, in *api.RetrieveInput) (*api.RetrieveOutput, error) {
	q := in.RetrievalQuery
	switch {
	case in.NextToken != nil:
		return nil, invalid("nextToken", textNoPage, maxResults)
	case in.GuardrailConfiguration != nil:
		return nil, unsupported("guardrailConfiguration", "guardrails on retrieval are not built yet")
	case q == nil:
		return nil, invalid("retrievalQuery", "is required")
	case q.Image != nil || q.Type == api.KnowledgeBaseQueryTypeImage:
		return nil, unsupported("retrievalQuery.image", "knowledge bases hold texts, and the local embedding models do not see images")
	case q.Type != "" && q.Type != api.KnowledgeBaseQueryTypeText:
		return nil, invalid("retrievalQuery.type", "must be TEXT or IMAGE")
	case q.Text == nil:
		return nil, invalid("retrievalQuery.text", "is required")
	}
	b, err := o.bases.Active(ctx, in.KnowledgeBaseId)
	if err != nil {
		return nil, public(err)
	}
	found, err := o.Search(ctx, b, Question{Text: *q.Text, Config: in.RetrievalConfiguration})
	if err != nil {
		return nil, err
	}
	return &api.RetrieveOutput{RetrievalResults: Wire(found)}, nil
}

// maxSources is how many documents one Rerank takes.
const maxSources = 1000

// Rerank scores documents that come with the request against one question. The
// results name the documents by their places; their texts, which the caller has, are
// not sent back.
func (o Operations) Rerank(ctx context.Context, in *api.RerankInput) (*api.RerankOutput, error) {
	const at = "rerankingConfiguration"
	c := in.RerankingConfiguration
	switch {
	case in.NextToken != nil:
		return nil, invalid("nextToken", textNoPage, maxSources)
	case c == nil:
		return nil, invalid(at, "is required")
	case c.Type != api.RerankingConfigurationTypeBedrockRerankingModel:
		return nil, invalid(at+".type", "must be BEDROCK_RERANKING_MODEL")
	case c.BedrockRerankingConfiguration == nil || c.BedrockRerankingConfiguration.ModelConfiguration == nil:
		return nil, invalid(at+".bedrockRerankingConfiguration.modelConfiguration", "is required")
	case len(c.BedrockRerankingConfiguration.ModelConfiguration.AdditionalModelRequestFields) > 0:
		return nil, unsupported(at+".bedrockRerankingConfiguration.modelConfiguration.additionalModelRequestFields", "further fields of a reranker")
	}
	number := len(in.Sources)
	if n := c.BedrockRerankingConfiguration.NumberOfResults; n != nil {
		if *n < 1 || *n > maxSources {
			return nil, invalid(at+".bedrockRerankingConfiguration.numberOfResults", "must be from 1 to %d", maxSources)
		}
		number = min(number, *n)
	}
	question, err := questionOf(in.Queries)
	if err != nil {
		return nil, err
	}
	texts, err := textsOf(in.Sources)
	if err != nil {
		return nil, err
	}
	model := c.BedrockRerankingConfiguration.ModelConfiguration.ModelArn
	if err := o.invoke(ctx, model); err != nil {
		return nil, public(err)
	}
	order, scores, err := o.order(ctx, model, question, texts)
	if err != nil {
		return nil, public(err)
	}
	out := &api.RerankOutput{Results: make([]api.RerankResult, number)}
	for i, at := range order[:number] {
		out.Results[i] = api.RerankResult{Index: at, RelevanceScore: scores[at]}
	}
	return out, nil
}

// invoke asks whether the caller may invoke the model: AWS wants it beside
// bedrock:Rerank, which the gateway has asked for.
func (o Operations) invoke(ctx context.Context, model string) error {
	if o.roles == nil {
		return nil
	}
	caller, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok {
		return errors.New("BUG: a call without a caller reached Rerank")
	}
	return o.roles.Invoke(ctx, caller, model)
}

func questionOf(queries []api.RerankQuery) (string, error) {
	if len(queries) != 1 {
		return "", invalid("queries", "must have exactly one member")
	}
	q := queries[0]
	switch {
	case q.Type != api.RerankQueryContentTypeText:
		return "", invalid("queries[0].type", "must be TEXT")
	case q.TextQuery == nil || q.TextQuery.Text == nil || strings.TrimSpace(*q.TextQuery.Text) == "":
		return "", invalid("queries[0].textQuery.text", "must not be empty")
	}
	return *q.TextQuery.Text, nil
}

func textsOf(sources []api.RerankSource) ([]string, error) {
	if len(sources) < 1 || len(sources) > maxSources {
		return nil, invalid("sources", "must have 1 to %d members", maxSources)
	}
	texts := make([]string, len(sources))
	for i := range sources {
		s := &sources[i]
		at := fmt.Sprintf("sources[%d]", i)
		d := s.InlineDocumentSource
		switch {
		case s.Type != api.RerankSourceTypeInline:
			return nil, invalid(at+".type", "must be INLINE")
		case d == nil:
			return nil, invalid(at+".inlineDocumentSource", "is required")
		}
		at += ".inlineDocumentSource"
		switch d.Type {
		case api.RerankDocumentTypeText:
			switch {
			case d.TextDocument == nil || d.TextDocument.Text == nil || *d.TextDocument.Text == "":
				return nil, invalid(at+".textDocument.text", "must not be empty when the type is TEXT")
			case d.JsonDocument != nil:
				return nil, invalid(at+".jsonDocument", "cannot be given when the type is TEXT")
			}
			texts[i] = *d.TextDocument.Text
		case api.RerankDocumentTypeJson:
			if d.TextDocument != nil {
				return nil, invalid(at+".textDocument", "cannot be given when the type is JSON")
			}
			text, err := lines(d.JsonDocument)
			if err != nil || strings.TrimSpace(text) == "" || text == "null" {
				return nil, invalid(at+".jsonDocument", "must hold a JSON value when the type is JSON")
			}
			texts[i] = text
		default:
			return nil, invalid(at+".type", "must be TEXT or JSON")
		}
	}
	return texts, nil
}
