package vectorbucket

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"math"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// use finds an index, asks for the actions on it and opens its vectors for f, in whose
// context keys are used in the caller's name.
func (s *Service) use(ctx context.Context, c kms.Caller, ref Ref, f func(context.Context, *indexBody, Index) error, actions ...string) error {
	r, err := s.lookup(ctx, c, ref, actions...)
	if err != nil {
		return err
	}
	x, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }() // gives a handle back, which cannot fail
	return fault(f(as(ctx, c, nil), &r.Body, x), "")
}

// Put writes vectors, all of them or none; a key that is there gets the new vector.
func (s *Service) Put(ctx context.Context, c kms.Caller, ref Ref, vectors []Vector) error {
	return s.use(ctx, c, ref, func(ctx context.Context, b *indexBody, x Index) error {
		all := make([]vector.Whole, 0, len(vectors))
		for i := range vectors {
			c, err := b.record(&vectors[i])
			if err != nil {
				return err
			}
			all = append(all, vector.Whole{Document: vector.Document{ID: c.ID}, Chunks: []vector.Chunk{c}})
		}
		return x.ReplaceAll(ctx, all...)
	}, "s3vectors:PutVectors")
}

// Get answers the vectors with these keys that exist, in the order of keys.
func (s *Service) Get(ctx context.Context, c kms.Caller, ref Ref, keys []string, data, meta bool) (out []Vector, err error) {
	err = s.use(ctx, c, ref, func(ctx context.Context, _ *indexBody, x Index) error {
		chunks, err := x.Get(ctx, keys, true)
		for i := range chunks {
			if chunks[i].Vector != nil { // a parent around chunks is no vector
				out = append(out, shown(&chunks[i], data, meta))
			}
		}
		return err
	}, "s3vectors:GetVectors")
	return out, err
}

func shown(c *vector.Chunk, data, meta bool) Vector {
	v := Vector{Key: c.ID}
	if data {
		v.Data = c.Vector
	}
	if meta {
		v.Metadata = metadata(c)
	}
	return v
}

// Delete removes vectors; keys that are not there are passed over.
func (s *Service) Delete(ctx context.Context, c kms.Caller, ref Ref, keys []string) error {
	return s.use(ctx, c, ref, func(ctx context.Context, _ *indexBody, x Index) error {
		chunks, err := x.Get(ctx, keys, false)
		if err != nil {
			return err
		}
		var documents []string
		parts := map[string][]string{}
		for i := range chunks {
			if c := &chunks[i]; own(c) {
				documents = append(documents, c.Document)
			} else {
				parts[c.Document] = append(parts[c.Document], c.ID)
			}
		}
		for document, ids := range parts {
			if err := without(ctx, x, document, ids); err != nil {
				return err
			}
		}
		return x.Delete(ctx, documents...)
	}, "s3vectors:DeleteVectors")
}

// without writes a document of a knowledge base again, without some of its chunks.
func without(ctx context.Context, x Index, document string, ids []string) error {
	docs, err := x.Documents(ctx, document, "", 1) // the shortest that begins so is itself
	if err != nil || len(docs) == 0 || docs[0].ID != document {
		return err
	}
	chunks, err := x.Chunks(ctx, document)
	if err != nil {
		return err
	}
	var keep []string
	for i := range chunks {
		if !slices.Contains(ids, chunks[i].ID) {
			keep = append(keep, chunks[i].ID)
		}
	}
	left, err := x.Get(ctx, keep, true)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return x.Delete(ctx, document)
	}
	return x.Replace(ctx, docs[0], left)
}

// Question is a query of an index.
type Question struct {
	Vector []float32
	TopK   int             // 1 to MaxTopK
	Filter json.RawMessage // S3 Vectors' own JSON, nil for none
	// Metadata and Distance say what is answered beside the keys.
	Metadata, Distance bool
}

// Query answers the nearest vectors, nearest first, and the metric.
func (s *Service) Query(ctx context.Context, c kms.Caller, ref Ref, q Question) (out []Vector, metric vector.Metric, err error) {
	actions := []string{"s3vectors:QueryVectors"}
	if q.Metadata || q.Filter != nil {
		actions = append(actions, "s3vectors:GetVectors")
	}
	err = s.use(ctx, c, ref, func(ctx context.Context, b *indexBody, x Index) error {
		metric = b.Metric
		if q.TopK < 1 || q.TopK > MaxTopK {
			return invalid("topK must be between 1 and %d", MaxTopK)
		}
		if len(q.Vector) != b.Dimension {
			return invalid("Invalid query vector: vector must have length %d, but has length %d", b.Dimension, len(q.Vector))
		}
		f, err := b.parseFilter(q.Filter)
		if err != nil {
			return err
		}
		hits, err := x.Search(ctx, vector.Query{Vector: q.Vector, K: q.TopK, Filter: f})
		if err != nil {
			return err
		}
		for i := range hits {
			out = append(out, shown(&hits[i].Chunk, false, q.Metadata))
		}
		if q.Distance {
			return measure(ctx, x, b.Metric, q.Vector, out)
		}
		return nil
	}, actions...)
	return out, metric, err
}

// measure sets the distances, from the vectors as they were put: the search itself
// rounds them.
func measure(ctx context.Context, x Index, m vector.Metric, question []float32, found []Vector) error {
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].Key
	}
	chunks, err := x.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	at := make(map[string][]float32, len(chunks))
	for i := range chunks {
		at[chunks[i].ID] = chunks[i].Vector
	}
	for i := range found {
		if v := at[found[i].Key]; v != nil { // else deleted meanwhile
			found[i].Distance = new(distance(m, question, v))
		}
	}
	slices.SortStableFunc(found, func(a, b Vector) int {
		if a.Distance == nil || b.Distance == nil {
			return 0
		}
		return cmp.Compare(*a.Distance, *b.Distance)
	})
	return nil
}

// distance is 1 - cos(a, b), or the length of a - b.
func distance(m vector.Metric, a, b []float32) float64 {
	var dot, aa, bb, dd float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, dd = dot+x*y, aa+x*x, bb+y*y, dd+(x-y)*(x-y)
	}
	if m == vector.Euclidean {
		return math.Sqrt(dd)
	}
	return max(0, 1-dot/math.Sqrt(aa*bb))
}

// ListVectors is what a list of vectors is asked for.
type ListVectors struct {
	Token string
	Limit int // 0 is 500
	// Segments lists that are taken side by side hold each vector once; 0 is 1.
	Segments, Segment int
	Data, Metadata    bool
}

// place is where the next page begins: behind a chunk of a document.
type place struct {
	Document string `json:"d"`
	// Ordinal and Chunk are those of the last chunk that was shown of a document that
	// has more than one; empty: the document is done.
	Ordinal int    `json:"o,omitempty"`
	Chunk   string `json:"c,omitempty"`
}

func (p place) token() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func placeOf(token string) (p place, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && token != "" {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return place{}, invalid("Invalid next token")
	}
	return p, nil
}

// List answers a page of the vectors of an index, and the token of the next one.
func (s *Service) List(ctx context.Context, c kms.Caller, ref Ref, in ListVectors) (out []Vector, next string, err error) {
	actions := []string{"s3vectors:ListVectors"}
	if in.Data || in.Metadata {
		actions = append(actions, "s3vectors:GetVectors")
	}
	err = s.use(ctx, c, ref, func(ctx context.Context, _ *indexBody, x Index) error {
		if in.Segments = max(in.Segments, 1); in.Segment >= in.Segments {
			return invalid("segmentIndex must be less than segmentCount")
		}
		from, err := placeOf(in.Token)
		if err != nil {
			return err
		}
		w := walk{x: x, in: in, limit: cmp.Or(in.Limit, pageSize)}
		if err := w.run(ctx, from); err != nil {
			return err
		}
		out, next = w.out, w.next
		return nil
	}, actions...)
	return out, next, err
}

// walk gathers one page.
type walk struct {
	x     Index
	in    ListVectors
	limit int
	bytes int
	out   []Vector
	last  place
	next  string
}

func (w *walk) run(ctx context.Context, from place) error {
	if from.Chunk != "" {
		if full, err := w.document(ctx, from.Document, &from); err != nil || full {
			return err
		}
	}
	for after := from.Document; ; {
		docs, err := w.x.Documents(ctx, "", after, w.limit)
		if err != nil || len(docs) == 0 {
			return err
		}
		ids := make([]string, len(docs))
		for i, d := range docs {
			ids[i] = d.ID
		}
		singles, err := w.x.Get(ctx, ids, w.in.Data)
		if err != nil {
			return err
		}
		byID := make(map[string]*vector.Chunk, len(singles))
		for i := range singles {
			if own(&singles[i]) {
				byID[singles[i].ID] = &singles[i]
			}
		}
		for _, d := range docs {
			if c := byID[d.ID]; c != nil {
				if w.add(c, place{Document: d.ID}) {
					return nil
				}
			} else if full, err := w.document(ctx, d.ID, nil); err != nil || full {
				return err
			}
		}
		after = docs[len(docs)-1].ID
	}
}

// document shows the chunks of a document of a knowledge base, behind a place.
func (w *walk) document(ctx context.Context, id string, from *place) (full bool, err error) {
	chunks, err := w.x.Chunks(ctx, id)
	if err != nil {
		return false, err
	}
	var ids []string
	for i := range chunks {
		c := &chunks[i]
		if from == nil || c.Ordinal > from.Ordinal || c.Ordinal == from.Ordinal && c.ID > from.Chunk {
			ids = append(ids, c.ID)
		}
	}
	// Which of them are vectors is known with the vectors only.
	if chunks, err = w.x.Get(ctx, ids, true); err != nil {
		return false, err
	}
	for i := range chunks {
		if c := &chunks[i]; c.Vector != nil && w.add(c, place{id, c.Ordinal, c.ID}) {
			return true, nil
		}
	}
	return false, nil
}

// add shows a vector, and says that the page ended before it.
func (w *walk) add(c *vector.Chunk, at place) (full bool) {
	if w.in.Segments > 1 {
		h := fnv.New32a()
		_, _ = h.Write([]byte(c.ID)) // never fails
		if int(h.Sum32()%uint32(w.in.Segments)) != w.in.Segment {
			return false
		}
	}
	if len(w.out) == w.limit || w.bytes >= pageBytes {
		w.next = w.last.token()
		return true
	}
	v := shown(c, w.in.Data, w.in.Metadata)
	w.out, w.last = append(w.out, v), at
	w.bytes += len(v.Key) + 4*len(v.Data) + len(v.Metadata)
	return false
}
