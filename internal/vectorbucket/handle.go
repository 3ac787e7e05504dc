package vectorbucket

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Capabilities are what a knowledge base can do in an index: what it can do on AWS,
// where S3 Vectors has no words for it, no startsWith and no stringContains.
func Capabilities() vector.Capabilities {
	lacks := []vector.Op{vector.StartsWith, vector.StringContains}
	return vector.Capabilities{
		Store: "Amazon S3 Vectors", Sealed: true, EmptyDocuments: true,
		Operators: slices.DeleteFunc(vector.Operators(), func(op vector.Op) bool { return slices.Contains(lacks, op) }),
	}
}

// Handle is an index opened for a knowledge base. Each operation asks for the
// permissions that it takes on AWS, in the name of the caller that opened it.
type Handle struct {
	IndexInfo
	service *Service
	caller  kms.Caller
	x       Index
}

var _ vector.Index = (*Handle)(nil)

// Open opens an index for a knowledge base. It needs s3vectors:GetIndex.
func (s *Service) Open(ctx context.Context, c kms.Caller, ref Ref) (*Handle, error) {
	r, err := s.lookup(ctx, c, ref, "s3vectors:GetIndex")
	if err != nil {
		return nil, err
	}
	x, err := s.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Handle{IndexInfo: infoOf(r), service: s, caller: c, x: x}, nil
}

// Definition is the index's own; it has no model.
func (h *Handle) Definition() vector.Definition { return h.x.Definition() }

func (h *Handle) ask(ctx context.Context, actions ...string) error {
	return h.service.store.View(ctx, func(tx *store.Tx) error {
		_, err := h.service.findIndex(tx, h.caller, h.Name, actions...)
		return err // one that was deleted and made again has other vectors: x is closed
	})
}

// Replace needs s3vectors:PutVectors, and without chunks s3vectors:DeleteVectors.
func (h *Handle) Replace(ctx context.Context, d vector.Document, chunks []vector.Chunk) error {
	action := "s3vectors:PutVectors"
	if len(chunks) == 0 {
		action = "s3vectors:DeleteVectors"
	}
	if err := h.ask(ctx, action); err != nil {
		return err
	}
	return fault(h.x.Replace(ctx, d, chunks), "")
}

// Delete needs s3vectors:DeleteVectors.
func (h *Handle) Delete(ctx context.Context, documents ...string) error {
	if err := h.ask(ctx, "s3vectors:DeleteVectors"); err != nil {
		return err
	}
	return fault(h.x.Delete(ctx, documents...), "")
}

// Search needs s3vectors:QueryVectors and s3vectors:GetVectors.
func (h *Handle) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	if err := vector.CheckQuery(h.Definition(), Capabilities(), q); err != nil {
		return nil, err
	}
	if err := h.filterable(q.Filter); err != nil {
		return nil, err
	}
	if err := h.ask(ctx, "s3vectors:QueryVectors", "s3vectors:GetVectors"); err != nil {
		return nil, err
	}
	hits, err := h.x.Search(ctx, q)
	for i := range hits {
		hits[i].Chunk = chunk(hits[i].Chunk)
	}
	return hits, fault(err, "")
}

// filterable refuses keys that the index was told not to filter by.
func (h *Handle) filterable(f *vector.Filter) error {
	if f == nil {
		return nil
	}
	if slices.Contains(h.NonFilterable, f.Key) || strings.HasPrefix(f.Key, elements) {
		return &vector.UnsupportedError{Store: "Index " + h.Index, What: fmt.Sprintf("a filter on the metadata key %q, which is not filterable", f.Key)}
	}
	for i := range f.Of {
		if err := h.filterable(&f.Of[i]); err != nil {
			return err
		}
	}
	return nil
}

// Get needs s3vectors:GetVectors.
func (h *Handle) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	if err := h.ask(ctx, "s3vectors:GetVectors"); err != nil {
		return nil, err
	}
	chunks, err := h.x.Get(ctx, ids, vectors)
	for i := range chunks {
		chunks[i] = chunk(chunks[i])
	}
	return chunks, fault(err, "")
}

// Chunks needs s3vectors:GetVectors.
func (h *Handle) Chunks(ctx context.Context, document string) ([]vector.Chunk, error) {
	if err := h.ask(ctx, "s3vectors:GetVectors"); err != nil {
		return nil, err
	}
	chunks, err := h.x.Chunks(ctx, document)
	for i := range chunks {
		chunks[i] = chunk(chunks[i])
	}
	return chunks, fault(err, "")
}

// Documents is the knowledge base's own bookkeeping and needs no more than Open.
func (h *Handle) Documents(ctx context.Context, prefix, after string, limit int) ([]vector.Document, error) {
	docs, err := h.x.Documents(ctx, prefix, after, limit)
	return docs, fault(err, "")
}

// Stats needs no more than Open. It counts vectors of others, too.
func (h *Handle) Stats(ctx context.Context) (vector.Stats, error) {
	stats, err := h.x.Stats(ctx)
	return stats, fault(err, "")
}

// Close gives the handle back.
func (h *Handle) Close() error { return h.x.Close() }
