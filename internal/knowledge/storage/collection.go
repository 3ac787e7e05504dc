package storage

import (
	"context"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// collectionKey is the one key of the encryption context of an index behind a collection;
// its value is the collection's ARN.
const collectionKey = "aws:aoss:arn"

// place is ctx in which the embedded index of a knowledge base is sealed and opened. Its
// own index has the encryption context of the knowledge base, which ctx has already. One
// behind a collection is sealed for the collection, since all that share it open it.
func place(ctx context.Context, b *knowledge.Base) context.Context {
	if b.Storage == nil {
		return ctx
	}
	return kms.Within(ctx, map[string]string{collectionKey: b.Storage.OpensearchServerlessConfiguration.CollectionArn})
}

// placed is an index that is used in the place of its knowledge base.
type placed struct {
	vector.Index
	base *knowledge.Base
}

// in makes an index one that is used in its place.
func in(b *knowledge.Base, x vector.Index, err error) (vector.Index, error) {
	if err != nil || b.Storage == nil {
		return x, err
	}
	return &placed{Index: x, base: b}, nil
}

// Replace makes chunks the whole of the document.
func (p *placed) Replace(ctx context.Context, d vector.Document, chunks []vector.Chunk) error {
	return p.Index.Replace(place(ctx, p.base), d, chunks)
}

// Delete removes documents.
func (p *placed) Delete(ctx context.Context, documents ...string) error {
	return p.Index.Delete(place(ctx, p.base), documents...)
}

// Search answers hits.
func (p *placed) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	return p.Index.Search(place(ctx, p.base), q)
}

// Get answers chunks by id.
func (p *placed) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	return p.Index.Get(place(ctx, p.base), ids, vectors)
}

// Chunks answers the chunks of a document.
func (p *placed) Chunks(ctx context.Context, document string) ([]vector.Chunk, error) {
	return p.Index.Chunks(place(ctx, p.base), document)
}

// Documents lists documents.
func (p *placed) Documents(ctx context.Context, prefix, after string, limit int) ([]vector.Document, error) {
	return p.Index.Documents(place(ctx, p.base), prefix, after, limit)
}

// Stats says what the index holds.
func (p *placed) Stats(ctx context.Context) (vector.Stats, error) {
	return p.Index.Stats(place(ctx, p.base))
}

// Rekey seals the index with another key.
func (p *placed) Rekey(ctx context.Context, keyARN string) error {
	return rekey(place(ctx, p.base), p.Index, keyARN)
}

// rekey seals an embedded index with another key.
func rekey(ctx context.Context, x vector.Index, keyARN string) error {
	sealed, ok := x.(interface {
		Rekey(ctx context.Context, keyARN string) error
	})
	if !ok {
		return fmt.Errorf("BUG: %T cannot change its key", x)
	}
	return sealed.Rekey(ctx, keyARN)
}
