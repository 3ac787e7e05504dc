package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

// openBucket opens an index of a vector bucket.
func (i *Indexes) openBucket(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	c := b.Storage.S3VectorsConfiguration
	if i.cfg.Buckets == nil {
		return nil, refusal("S3 Vectors is not served here.")
	}
	var ref vectorbucket.Ref
	if c.IndexArn != nil {
		ref.IndexARN = *c.IndexArn
	} else {
		if c.IndexName == nil || c.VectorBucketArn == nil {
			return nil, refusal("An index of S3 Vectors is named by indexArn, or by vectorBucketArn and indexName.")
		}
		ref.BucketARN, ref.Index = *c.VectorBucketArn, *c.IndexName
	}
	service := i.cfg.Buckets
	if knowledge.ActingAs(ctx) == nil {
		service = service.House()
	}
	h, err := service.Open(ctx, caller(ctx, b), ref)
	if err != nil {
		return nil, translated(err)
	}
	d := h.Definition()
	if err := fits(b, d.Dimension); err != nil {
		_ = h.Close() // gives a handle back, which cannot fail
		return nil, err
	}
	d.Model = b.Model.Hash
	return &modelled{Index: h, def: d}, nil
}

// fits refuses an index that the user made whose vectors are of neither length.
func fits(b *knowledge.Base, dimension int) error {
	if dimension == b.Model.Dimension || dimension == b.Model.Wire {
		return nil
	}
	want := fmt.Sprint(b.Model.Dimension)
	if b.Model.Wire != 0 && b.Model.Wire != b.Model.Dimension {
		want = fmt.Sprintf("%d or %d", b.Model.Wire, b.Model.Dimension)
	}
	return refusal("The vectors of the index have %d numbers; the embedding model %s needs %s.", dimension, b.Model.ARN, want)
}

// modelled is an index of a vector bucket, which knows no model, with the model of the
// knowledge base. Its errors are none that only S3 Vectors knows.
type modelled struct {
	vector.Index
	def vector.Definition
}

// Definition is the index's, with the model.
func (m *modelled) Definition() vector.Definition { return m.def }

// Search compares the model and leaves it out of the question.
func (m *modelled) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	if q.Model != "" && q.Model != m.def.Model {
		return nil, fmt.Errorf("%w: %s", vector.ErrModel, m.def.Model)
	}
	q.Model = ""
	hits, err := m.Index.Search(ctx, q)
	return hits, translated(err)
}

// Replace makes chunks the whole of the document.
func (m *modelled) Replace(ctx context.Context, d vector.Document, chunks []vector.Chunk) error {
	return translated(m.Index.Replace(ctx, d, chunks))
}

// Delete removes documents.
func (m *modelled) Delete(ctx context.Context, documents ...string) error {
	return translated(m.Index.Delete(ctx, documents...))
}

// Get answers chunks by id.
func (m *modelled) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	c, err := m.Index.Get(ctx, ids, vectors)
	return c, translated(err)
}

// Chunks answers the chunks of a document.
func (m *modelled) Chunks(ctx context.Context, document string) ([]vector.Chunk, error) {
	c, err := m.Index.Chunks(ctx, document)
	return c, translated(err)
}

// Documents lists documents.
func (m *modelled) Documents(ctx context.Context, prefix, after string, limit int) ([]vector.Document, error) {
	docs, err := m.Index.Documents(ctx, prefix, after, limit)
	return docs, translated(err)
}

// Stats says what the index holds.
func (m *modelled) Stats(ctx context.Context) (vector.Stats, error) {
	s, err := m.Index.Stats(ctx)
	return s, translated(err)
}

// translated makes Bedrock's errors of those of S3 Vectors.
func translated(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return err
	}
	switch e.Kind { //nolint:exhaustive // of kinds there are many
	case vectorbucket.NotFound:
		return refusal("%s.", e.Message)
	case vectorbucket.KmsDisabled, vectorbucket.KmsInvalidState, vectorbucket.KmsInvalidKeyUsage, vectorbucket.KmsNotFound:
		return apierr.Wrap(apierr.AccessDenied, err, "%s", e.Message)
	case apierr.ServiceUnavailable:
		if e.Err != nil {
			return e.Err
		}
	}
	return err
}
