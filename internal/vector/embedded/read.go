package embedded

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Search follows the file, scans memory and reads the bodies of the hits. A hit whose
// body is gone was removed meanwhile: then all is done again on the newer state.
func (x *Index) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	if err := vector.CheckQuery(x.Definition(), x.store.Capabilities(), q); err != nil {
		return nil, err
	}
	prepared := question{Query: q}
	if q.Mode == vector.Hybrid {
		prepared.terms = x.analyser.Question(q.Text)
	}
	words := len(prepared.terms) > 0
	for attempt := 0; ; attempt++ {
		v, err := x.follow(ctx, words)
		if err != nil {
			return nil, err
		}
		found, ok := x.scan(&prepared)
		switch {
		case ok:
		case x.gone.Load():
			return nil, vector.ErrClosed
		case attempt < 10:
			continue // evicted between the two
		default:
			return nil, fmt.Errorf("search index %s: %w", x.name, vector.ErrBusy)
		}
		hits, whole, err := x.hits(ctx, v, found)
		if err != nil || whole || attempt >= 3 {
			return hits, err
		}
	}
}

func (x *index) scan(q *question) (_ []found, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.memory == nil {
		return nil, false
	}
	return x.memory.search(q, x.store.cfg.ExactBelow), true
}

// hits reads the bodies; whole is false when one is missing.
func (x *index) hits(ctx context.Context, v *vault, found []found) (hits []vector.Hit, whole bool, err error) {
	chunks := make(map[int64]vector.Chunk, len(found))
	for group := range slices.Chunk(found, 500) {
		var keys []byte
		for i, f := range group {
			if i > 0 {
				keys = append(keys, ',')
			}
			keys = strconv.AppendInt(keys, f.key, 10)
		}
		err := x.bodies(ctx, v, `SELECT key, id, body FROM chunk WHERE key IN (`+string(keys)+`)`, nil, func(key int64, c vector.Chunk) { chunks[key] = c })
		if err != nil {
			return nil, false, fmt.Errorf("read hits of index %s: %w", x.name, err)
		}
	}
	hits = make([]vector.Hit, 0, len(found))
	for _, f := range found {
		if c, ok := chunks[f.key]; ok {
			hits = append(hits, vector.Hit{Chunk: c, Score: f.score, Similarity: f.similarity, Words: f.words})
		}
	}
	return hits, len(hits) == len(found), nil
}

func (x *index) bodies(ctx context.Context, v *vault, query string, args []any, f func(key int64, c vector.Chunk)) error {
	rows, err := x.file.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return translate(err)
	}
	defer rows.Close()
	var buf []byte
	for rows.Next() {
		var key int64
		var id string
		var raw sql.RawBytes
		if err := rows.Scan(&key, &id, &raw); err != nil {
			return translate(err)
		}
		if buf, err = v.open(buf, raw, bodyBlock, id, 0); err != nil {
			return err
		}
		var b body
		if err := json.Unmarshal(buf, &b); err != nil {
			return fmt.Errorf("%w: chunk %q: %w", vector.ErrCorrupt, safeName(id), err)
		}
		f(key, b.chunk(id))
	}
	return translate(rows.Err())
}

// Get answers the chunks with these ids.
func (x *Index) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	_, v, err := x.now(ctx)
	if err != nil {
		return nil, err
	}
	got := make(map[string]vector.Chunk, len(ids))
	keys := make(map[string]int64, len(ids))
	for group := range slices.Chunk(ids, 200) {
		args := make([]any, len(group))
		for i, id := range group {
			args[i] = id
		}
		query := `SELECT key, id, body FROM chunk WHERE id IN (?` + strings.Repeat(",?", len(group)-1) + `)`
		err := x.bodies(ctx, v, query, args, func(key int64, c vector.Chunk) { got[c.ID], keys[c.ID] = c, key })
		if err != nil {
			return nil, fmt.Errorf("read chunks of index %s: %w", x.name, err)
		}
	}
	parts := partCache{}
	out := make([]vector.Chunk, 0, len(got))
	for _, id := range ids {
		c, ok := got[id]
		if !ok {
			continue
		}
		if vectors {
			if c.Vector, err = x.vector(ctx, v, parts, keys[id]); err != nil {
				return nil, fmt.Errorf("read vectors of index %s: %w", x.name, err)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// partCache is the opened segments of one Get.
type partCache map[int64]struct {
	first, end int64
	offsets    []int
	floats     []byte
}

func (x *index) vector(ctx context.Context, v *vault, parts partCache, key int64) ([]float32, error) {
	dim := x.Definition().Dimension
	for _, p := range parts {
		if key >= p.first && key < p.end {
			return vectorAt(p.offsets, p.floats, int(key-p.first), dim), nil
		}
	}
	var id, first, chunks int64
	var document string
	var part int
	var sealed []byte
	err := x.file.reader.QueryRowContext(ctx, `SELECT id, document, part, first, chunks, vectors FROM segment WHERE first <= ? ORDER BY first DESC LIMIT 1`, key).
		Scan(&id, &document, &part, &first, &chunks, &sealed)
	if err != nil {
		return nil, translate(err)
	}
	plain, err := v.open(nil, sealed, vectorsBlock, document, part)
	if err != nil {
		return nil, err
	}
	p := parts[id]
	p.first, p.end = first, first+chunks
	if p.offsets, p.floats, err = decodeVectors(plain, dim); err != nil {
		return nil, err
	}
	parts[id] = p
	return vectorAt(p.offsets, p.floats, int(key-first), dim), nil
}

func vectorAt(offsets []int, floats []byte, offset, dim int) []float32 {
	i, ok := slices.BinarySearch(offsets, offset)
	if !ok {
		return nil
	}
	out := make([]float32, dim)
	for j := range out {
		out[j] = math.Float32frombits(binary.LittleEndian.Uint32(floats[4*(i*dim+j):]))
	}
	return out
}

// Chunks answers the chunks of a document by their ordinal.
func (x *Index) Chunks(ctx context.Context, document string) ([]vector.Chunk, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	_, v, err := x.now(ctx)
	if err != nil {
		return nil, err
	}
	var out []vector.Chunk
	err = x.bodies(ctx, v, `SELECT key, c.id, body FROM segment s JOIN chunk c ON key >= first AND key < first + s.chunks WHERE document = ? ORDER BY key`,
		[]any{document}, func(_ int64, c vector.Chunk) { out = append(out, c) })
	if err != nil {
		return nil, fmt.Errorf("read document %q of index %s: %w", safeName(document), x.name, err)
	}
	slices.SortStableFunc(out, func(a, b vector.Chunk) int { return a.Ordinal - b.Ordinal })
	return out, nil
}

// Documents lists documents by id.
func (x *Index) Documents(ctx context.Context, prefix, after string, limit int) ([]vector.Document, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, vector.Invalid("a list of %d documents", limit)
	}
	// SQLite compares text byte by byte, so what begins with the prefix lies together.
	rows, err := x.file.reader.QueryContext(ctx, `SELECT id, version, chunks FROM document WHERE id > ? AND id >= ? ORDER BY id LIMIT ?`, after, prefix, limit)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var out []vector.Document
	for rows.Next() {
		var d vector.Document
		if err := rows.Scan(&d.ID, &d.Version, &d.Chunks); err != nil {
			return nil, translate(err)
		}
		if !strings.HasPrefix(d.ID, prefix) {
			break
		}
		out = append(out, d)
	}
	return out, translate(rows.Err())
}

// Stats counts.
func (x *Index) Stats(ctx context.Context) (vector.Stats, error) {
	if err := x.usable(); err != nil {
		return vector.Stats{}, err
	}
	s, err := scanState(x.file.state.QueryRowContext(ctx))
	if err != nil {
		return vector.Stats{}, err
	}
	out := vector.Stats{Documents: s.documents, Chunks: s.chunks, Vectors: s.vectors, Sequence: s.sequence}
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(x.file.path + suffix); err == nil {
			out.DiskBytes += info.Size()
		}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if m := x.memory; m != nil {
		out.Loaded, out.MemoryBytes = true, m.size()
		if m.stage.Rescored > 0 && m.alive() > x.store.cfg.ExactBelow {
			out.Recall, out.Rescored = m.stage.Recall, m.stage.Rescored
		}
	}
	return out, nil
}
