package rag

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func countSessions(n *int) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM conversation`, nil, n) }
}

func external(text string, s api.ExternalSource) *api.RetrieveAndGenerateInput {
	return &api.RetrieveAndGenerateInput{
		Input: &api.RetrieveAndGenerateInputStructure{Text: text},
		RetrieveAndGenerateConfiguration: &api.RetrieveAndGenerateConfiguration{
			Type:                         api.RetrieveAndGenerateTypeExternalSources,
			ExternalSourcesConfiguration: &api.ExternalSourcesRetrieveAndGenerateConfiguration{ModelArn: haiku, Sources: []api.ExternalSource{s}},
		},
	}
}

func inline(name, kind, text string) api.ExternalSource {
	return api.ExternalSource{SourceType: api.ExternalSourceTypeByteContent, ByteContent: &api.ByteContentDoc{Identifier: name, ContentType: kind, Data: []byte(text)}}
}

func inBucket(uri string) api.ExternalSource {
	return api.ExternalSource{SourceType: api.ExternalSourceTypeS3, S3Location: &api.S3ObjectDoc{Uri: uri}}
}

func TestADocumentOfTheRequest(t *testing.T) {
	h := newHouse(t)
	h.says(9, "<answer>"+part("The Zarkon pump weighs 41.5 kg.", "1")+"</answer>")
	out := h.must(external("How much does the Zarkon pump weigh?", inline("pumps.txt", "text/plain", strings.Join(pumps, "\n"))))
	if len(out.Citations) != 1 || *out.Citations[0].RetrievedReferences[0].Location.CustomDocumentLocation.Id != "pumps.txt" {
		t.Fatalf("it answered %q, %v", out.Output.Text, out.Citations)
	}
	p := out.Citations[0].GeneratedResponsePart.TextResponsePart
	if *p.Span.Start != 0 || *p.Span.End != len("The Zarkon pump weighs 41.5 kg.")-1 {
		t.Errorf("the span is %v", p.Span)
	}
	for _, c := range h.checked {
		if strings.Contains(c, "Retrieve") {
			t.Errorf("it asked for %s", c)
		}
	}
	// A session of documents goes on with another document, never with a knowledge base.
	h.says(9, "<query>How heavy is the Velta compressor?</query>", "The Velta compressor weighs 212 kg.")
	next := external("And the Velta compressor?", inline("other.txt", "text/plain", pumps[1]))
	next.SessionId = &out.SessionId
	h.must(next)
	h.fails(ask("q?", inSession(out.SessionId)), apierr.Validation, "is one of type EXTERNAL_SOURCES")
}

// A document that the model cannot take whole is cut; the best passages are shown, in
// the order of the document, and citations point at them.
func TestALongDocument(t *testing.T) {
	h := newHouse(t)
	h.contexts = 4096
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "Item number %d is a wooden chair with four legs and a back, delivered in a box to the shop.\n", i)
		if i == 250 {
			b.WriteString("The Zarkon pump weighs 41.5 kg and was built in 1987.\n")
		}
	}
	h.says(9, "The Zarkon pump weighs 41.5 kg.")
	out := h.must(external("How much does the Zarkon pump weigh?", inline("long.txt", "text/plain", b.String())))
	prompt := h.prompt().System
	if estimate(prompt) > 4096 || !strings.Contains(prompt, "Zarkon pump weighs") {
		t.Errorf("the prompt has some %d tokens", estimate(prompt))
	}
	if len(out.Citations) != 1 || len(*out.Citations[0].RetrievedReferences[0].Content.Text) > 3000 {
		t.Errorf("the citations are %v", out.Citations)
	}
}

func TestADocumentInABucket(t *testing.T) {
	h := newHouse(t)
	h.objects = map[string]string{"s3://docs/pumps.txt": pumps[0], "s3://docs/secret.txt": "DENIED", "s3://docs/big.txt": strings.Repeat("x", maxDocument+1), "s3://docs/bad.txt": "BROKEN"}
	h.says(9, "The Zarkon pump weighs 41.5 kg.")
	out := h.must(external("How much does the Zarkon pump weigh?", inBucket("s3://docs/pumps.txt")))
	if len(out.Citations) != 1 || *out.Citations[0].RetrievedReferences[0].Location.S3Location.Uri != "s3://docs/pumps.txt" {
		t.Errorf("the citations are %v", out.Citations)
	}
	if as := h.readers[0]; as.Principal == nil || as.Principal.ARN != "arn:aws:iam::123456789012:user/u" || as.Service != "" {
		t.Errorf("the bucket was read as %+v", as)
	}
	h.fails(external("q?", inBucket("s3://docs/secret.txt")), apierr.AccessDenied, "may not read")
	h.fails(external("q?", inBucket("s3://docs/none.txt")), apierr.Validation, "is not there")
	h.fails(external("q?", inBucket("s3://docs/big.txt")), apierr.Validation, "larger")
	h.fails(external("q?", inBucket("s3://docs/bad.txt")), apierr.Validation, "it is damaged")
	h.fails(external("q?", inBucket("s3://docs/")), apierr.Validation, "not the URI of an object")
	h.fails(external("q?", inline("a.exe", "application/x-thing", "x")), apierr.Validation, "cannot be read")
	h.fails(external("q?", inline("a.txt", "text/plain", "")), apierr.Validation, "0 bytes")
	h.fails(external("q?", api.ExternalSource{SourceType: api.ExternalSourceTypeS3}), apierr.Validation, "s3Location")
}
