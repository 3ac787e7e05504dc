package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// Limits of the exchange with a custom transformation function.
const (
	contentsOf = 1_000    // chunks in one file
	maxBatch   = 64 << 20 // bytes of a file of the function
	maxPieces  = 100_000  // chunks that it may make of a document
)

// transform lets the user's function change the chunks of a document. Files in the
// intermediate bucket carry them to and fro, read and written as the service role.
// What goes wrong is the document's failure: the function is the user's.
func (l *line) transform(ctx context.Context, t *task, in []piece, meta *parse.Metadata) (out []piece, why string, err error) {
	if l.r.cfg.Functions == nil {
		return nil, "", dead(nil, "Custom transformations are not possible here: this server runs no functions.")
	}
	event := chunk.Event{
		KnowledgeBaseID: l.base.ID, DataSourceID: l.source.ID, IngestionJobID: l.job, Bucket: l.plan.between.Bucket,
		Files: []chunk.EventFile{{
			Original: chunk.Location{Type: "S3", S3: chunk.S3Location{URI: t.address()}}, Metadata: raw(meta.Attributes),
		}},
	}
	file := &event.Files[0]
	prefix := strings.TrimSuffix(l.plan.between.Key, "/")
	if prefix != "" {
		prefix += "/"
	}
	prefix += fmt.Sprintf("aws/bedrock/knowledge_bases/%s/%s/%s/%s", l.base.ID, l.source.ID, l.job, t.row)
	for n := 0; n*contentsOf < len(in); n++ {
		var b chunk.Batch
		for _, p := range in[n*contentsOf : min((n+1)*contentsOf, len(in))] {
			own := raw(p.attributes)
			if t.at.Bucket != "" {
				own[knowledge.AttributeURI] = encode(t.at.URI())
			}
			if p.Page > 0 {
				own[knowledge.AttributePage] = encode(p.Page)
			}
			if p.Parent >= 0 {
				own[attributeParent] = encode(p.Parent)
			}
			b.Contents = append(b.Contents, chunk.Content{Body: p.Text, Type: "TEXT", Metadata: own})
		}
		data, err := chunk.EncodeBatch(b)
		if err != nil {
			return nil, "", err
		}
		at := l.plan.between
		at.Key = fmt.Sprintf("%s_%d.JSON", prefix, n+1)
		as, p, err := l.acting(ctx)
		if err != nil {
			return nil, "", err
		}
		if _, err := l.r.cfg.Files.Put(as, bucket.As(p), at, bytes.NewReader(data), object.PutOptions{}); err != nil {
			return intermediate("written", err)
		}
		file.Batches = append(file.Batches, chunk.BatchKey{Key: at.Key})
	}
	payload, err := chunk.EncodeEvent(event)
	if err != nil {
		return nil, "", err
	}
	as, p, err := l.acting(ctx)
	if err != nil {
		return nil, "", err
	}
	answer, failed, err := l.r.cfg.Functions.CallAs(as, p, l.plan.function, payload)
	switch e, ok := errors.AsType[*apierr.Error](err); {
	case ok && !(passing(e) && e.Kind != apierr.DependencyFailed):
		return nil, "the transformation function could not be called: " + e.Message, nil
	case err != nil:
		return nil, "", fmt.Errorf("call the transformation function: %w", err)
	case failed:
		return nil, "the transformation function failed: " + cut(strings.ToValidUTF8(string(answer), "\ufffd"), 300), nil
	}
	got, err := chunk.DecodeAnswer(answer, event)
	if err != nil {
		return nil, err.Error(), nil //nolint:nilerr // it is the document's failure
	}
	said := got.Files[0]
	if len(said.Metadata) > 0 { // the function may have changed what is said of the whole document
		shared, err := attributes(said.Metadata)
		if err != nil {
			return nil, "the transformation function answered metadata that cannot be used: " + err.Error(), nil
		}
		keep := meta.Attributes
		meta.Attributes = maps.Clone(shared)
		if meta.Attributes == nil {
			meta.Attributes = map[string]parse.Value{}
		}
		for k, v := range keep {
			if _, set := meta.Attributes[k]; !set {
				meta.Attributes[k] = v
			}
		}
	}
	for _, key := range said.Batches {
		at := l.plan.between
		at.Key = key.Key
		as, p, err := l.acting(ctx)
		if err != nil {
			return nil, "", err
		}
		data, _, err := bucket.ReadAll(as, l.r.cfg.Files, bucket.As(p), at, maxBatch)
		if err != nil {
			return intermediate("read", err)
		}
		b, err := chunk.DecodeBatch(data)
		if err != nil {
			return nil, err.Error(), nil //nolint:nilerr // it is the document's failure
		}
		for _, c := range b.Contents {
			if len(out) >= maxPieces {
				return nil, fmt.Sprintf("the transformation function made more than %d chunks of one document", maxPieces), nil
			}
			own, err := attributes(c.Metadata)
			if err != nil {
				return nil, "the transformation function wrote metadata that cannot be used: " + err.Error(), nil
			}
			n := len(out)
			next := piece{Chunk: chunk.Chunk{Text: c.Body, Parent: -1, Record: -1}, attributes: own}
			if n < len(in) && in[n].Text == c.Body { // that one, as it was
				next.Chunk = in[n].Chunk
			}
			if page, ok := own[knowledge.AttributePage]; ok && page.Type == parse.NumberValue && page.Number >= 1 && next.Page == 0 {
				next.Page, next.LastPage = int(page.Number), int(page.Number)
			}
			out = append(out, next)
		}
	}
	if len(out) == 0 {
		return nil, "the transformation function left no text of them", nil
	}
	return l.recount(ctx, out)
}

// recount holds texts that a function wrote to what the model takes.
func (l *line) recount(ctx context.Context, out []piece) ([]piece, string, error) {
	texts := make([]string, len(out))
	for i := range out {
		texts[i] = out[i].Text
	}
	for at := 0; at < len(texts); at += contentsOf {
		end := min(at+contentsOf, len(texts))
		ends, err := tokens{l}.Ends(ctx, texts[at:end])
		if err != nil {
			return nil, "", grave("The tokens of the documents cannot be counted", err)
		}
		for i, e := range ends {
			out[at+i].Tokens = len(e)
			if l.plan.limit > 0 && len(e) > l.plan.limit {
				return nil, tooLong(l.plan.limit), nil
			}
		}
	}
	return out, "", nil
}

// intermediate tells a bucket that cannot be used from a fault of the store.
func intermediate(doing string, err error) ([]piece, string, error) {
	why, err := unread(err)
	switch {
	case err != nil:
		return nil, "", err
	case why == whyDenied:
		why = "the service role may not use it"
	case why == whyRemoved:
		why = "there is no such file"
	}
	return nil, "the files of the transformation function in the intermediate storage could not be " + doing + ": " + why, nil
}

func raw(attributes map[string]parse.Value) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(attributes))
	for k, v := range attributes {
		out[k] = v.JSON()
	}
	return out
}

// attributes reads metadata that a function wrote, by the rules of metadata files.
func attributes(m map[string]json.RawMessage) (map[string]parse.Value, error) {
	if len(m) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(map[string]any{"metadataAttributes": m})
	if err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	got, err := parse.ReadMetadata(data)
	if err != nil {
		return nil, err
	}
	return got.Attributes, nil
}
