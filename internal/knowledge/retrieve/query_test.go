package retrieve_test

import (
	"context"
	"strings"
	"testing"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

func TestQueriesAreGeneratedForNoKnowledgeBase(t *testing.T) {
	h := newHouse(t)
	const base = "arn:aws:bedrock:us-east-1:" + account + ":knowledge-base/"
	for _, c := range []struct {
		name, arn string
		kind      apierr.Kind
		words     string
	}{
		{"a knowledge base of documents", base + baseID, apierr.Validation, "type SQL only"},
		{"an unknown one", base + "KB00000000", apierr.ResourceNotFound, ""},
		{"one of another account", strings.Replace(base, account, "999999999999", 1) + baseID, apierr.ResourceNotFound, ""},
		{"one of another Region", strings.Replace(base, "us-east-1", "eu-west-1", 1) + baseID, apierr.ResourceNotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := operation("GenerateQuery")
			in := op.NewInput().(*api.GenerateQueryInput)
			body := `{"queryGenerationInput":{"type":"TEXT","text":"How many rocks?"},"transformationConfiguration":{"mode":"TEXT_TO_SQL",` +
				`"textToSqlConfiguration":{"type":"KNOWLEDGE_BASE","knowledgeBaseConfiguration":{"knowledgeBaseArn":"` + c.arn + `"}}}}`
			if err := restjson.DecodeBody(&api.Service, op.Input, in, []byte(body)); err != nil {
				t.Fatal(err)
			}
			_, err := retrieve.Refusals{Room: h.room}.GenerateQuery(h.ctx(), in)
			h.wants(modelled(t, "GenerateQuery", err), c.kind, c.words)
		})
	}
	_, err := retrieve.Refusals{Room: h.room}.GenerateQuery(call.With(context.Background(), &call.Call{}), &api.GenerateQueryInput{})
	h.wants(err, apierr.Validation, "queryGenerationInput")
}
