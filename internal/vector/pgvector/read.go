package pgvector

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Search is exact, or as good as the table's index.
func (x *Index) Search(ctx context.Context, q vector.Query) ([]vector.Hit, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	if err := vector.CheckQuery(x.Definition(), x.store.Capabilities(), q); err != nil {
		return nil, err
	}
	c := condition{attributes: x.attributes}
	column := quoteColumn(x.store.cfg.Vector)
	distance := column + " <=> " + c.arg(format(q.Vector)) + "::vector"
	if x.Definition().Metric == vector.Euclidean {
		distance = column + " <-> $1::vector"
	}
	where := column + " IS NOT NULL"
	if q.Filter != nil {
		f, err := c.write(q.Filter)
		if err != nil {
			return nil, err
		}
		where += " AND " + f
	}
	query := `SELECT ` + x.columns() + `, (` + distance + `)::float8 FROM ` + x.table + ` WHERE ` + where + ` ORDER BY ` + distance + ` LIMIT ` + strconv.Itoa(q.K)
	hits, err := x.run(ctx, q.K, query, c.args)
	if err != nil {
		return nil, fmt.Errorf("search the table %s: %w", x.store.cfg.Table, translate(err))
	}
	slices.SortStableFunc(hits, func(a, b vector.Hit) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		default:
			return strings.Compare(a.Chunk.ID, b.Chunk.ID)
		}
	})
	return hits, nil
}

// run runs the query, with an index of the table if the planner likes one, and again
// without if that came back with too few.
func (x *Index) run(ctx context.Context, k int, query string, args []any) ([]vector.Hit, error) {
	tx, err := x.store.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	if x.iterates {
		_, err := tx.ExecContext(ctx, `SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('ivfflat.iterative_scan', 'relaxed_order', true),
			set_config('hnsw.ef_search', $1, true)`, strconv.Itoa(min(max(k, 100), 1000)))
		if err != nil {
			return nil, err
		}
	}
	hits, err := x.hits(ctx, tx, query, args)
	if err != nil || len(hits) == k {
		return hits, err
	}
	if _, err := tx.ExecContext(ctx, `SET LOCAL enable_indexscan = off`); err != nil {
		return nil, err
	}
	return x.hits(ctx, tx, query, args)
}

func (x *Index) hits(ctx context.Context, tx *sql.Tx, query string, args []any) ([]vector.Hit, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	metric := x.Definition().Metric
	var out []vector.Hit
	for rows.Next() {
		var distance float64
		c, err := x.scan(rows, &distance)
		if err != nil {
			return nil, err
		}
		h := vector.Hit{Chunk: c, Similarity: 1 - distance}
		if metric == vector.Euclidean {
			h.Similarity = distance * distance
		}
		h.Score = metric.Score(h.Similarity)
		out = append(out, h)
	}
	return out, rows.Err()
}

// columns are what scan reads.
func (x *Index) columns() string {
	c := x.store.cfg
	custom := "NULL"
	if c.CustomMetadata != "" {
		custom = quoteColumn(c.CustomMetadata) + "::text"
	}
	return quoteColumn(c.PrimaryKey) + "::text, " + quoteColumn(c.Text) + ", " + quoteColumn(c.Metadata) + "::text, " + custom
}

// scan reads a chunk and what comes after it. Rows that others wrote into the table
// are answered too, as far as they can be understood.
func (x *Index) scan(rows *sql.Rows, more ...any) (vector.Chunk, error) {
	var id string
	var text, meta, custom sql.NullString
	if err := rows.Scan(append([]any{&id, &text, &meta, &custom}, more...)...); err != nil {
		return vector.Chunk{}, err
	}
	var m managed
	if meta.Valid && json.Unmarshal([]byte(meta.String), &m) != nil {
		m = managed{}
	}
	if x.store.cfg.CustomMetadata != "" {
		m.Attributes = nil
		if custom.Valid && json.Unmarshal([]byte(custom.String), &m.Attributes) != nil {
			m.Attributes = nil
		}
		if len(m.Attributes) == 0 {
			m.Attributes = nil
		}
	}
	if m.ID == "" {
		m.ID = id
	}
	if m.Document == "" {
		m.Document = id
	}
	return vector.Chunk{ID: m.ID, Document: m.Document, Ordinal: m.Ordinal, Parent: m.Parent, Text: text.String, Metadata: m.Attributes, Source: m.Source}, nil
}

// Get answers the chunks with these ids.
func (x *Index) Get(ctx context.Context, ids []string, vectors bool) ([]vector.Chunk, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = uuid(id)
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("read chunks: %w", err)
	}
	embedding := "NULL"
	if vectors {
		embedding = quoteColumn(x.store.cfg.Vector) + "::text"
	}
	got := map[string]vector.Chunk{}
	err = x.each(ctx, `SELECT `+x.columns()+`, `+embedding+` FROM `+x.table+` WHERE `+quoteColumn(x.store.cfg.PrimaryKey)+
		` IN (SELECT v::uuid FROM jsonb_array_elements_text($1::jsonb) AS wanted(v))`, string(list), func(c vector.Chunk) { got[c.ID] = c })
	if err != nil {
		return nil, fmt.Errorf("read chunks: %w", translate(err))
	}
	out := make([]vector.Chunk, 0, len(got))
	for _, id := range ids {
		if c, ok := got[id]; ok {
			out = append(out, c)
		}
	}
	return out, nil
}

// Chunks answers the chunks of a document by their ordinal.
func (x *Index) Chunks(ctx context.Context, document string) ([]vector.Chunk, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	var out []vector.Chunk
	err := x.each(ctx, `SELECT `+x.columns()+`, NULL FROM `+x.table+` WHERE `+x.managed("document")+` = $1`, document, func(c vector.Chunk) { out = append(out, c) })
	if err != nil {
		return nil, fmt.Errorf("read document %q: %w", document, translate(err))
	}
	slices.SortFunc(out, func(a, b vector.Chunk) int {
		if a.Ordinal != b.Ordinal {
			return a.Ordinal - b.Ordinal
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

func (x *Index) each(ctx context.Context, query, arg string, f func(vector.Chunk)) error {
	rows, err := x.store.db.QueryContext(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var embedding sql.NullString
		c, err := x.scan(rows, &embedding)
		if err != nil {
			return err
		}
		if embedding.Valid {
			if c.Vector, err = parse(embedding.String); err != nil {
				return err
			}
		}
		f(c)
	}
	return rows.Err()
}

// Documents lists documents by id.
func (x *Index) Documents(ctx context.Context, prefix, after string, limit int) ([]vector.Document, error) {
	if err := x.usable(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, vector.Invalid("a list of %d documents", limit)
	}
	doc := x.managed("document")
	//nolint:gosec // names are quoted
	rows, err := x.store.db.QueryContext(ctx, `SELECT `+doc+`, COALESCE(max(`+x.managed("version")+`), ''), count(*) FROM `+x.table+`
		WHERE starts_with(`+doc+`, $1) AND `+doc+` COLLATE "C" > $2 GROUP BY 1 ORDER BY `+doc+` COLLATE "C" LIMIT $3`, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", translate(err))
	}
	defer rows.Close()
	var out []vector.Document
	for rows.Next() {
		var d vector.Document
		if err := rows.Scan(&d.ID, &d.Version, &d.Chunks); err != nil {
			return nil, fmt.Errorf("list documents: %w", translate(err))
		}
		out = append(out, d)
	}
	return out, translate(rows.Err())
}

// Stats counts rows; a table has no change sequence.
func (x *Index) Stats(ctx context.Context) (s vector.Stats, err error) {
	if err := x.usable(); err != nil {
		return s, err
	}
	err = x.store.db.QueryRowContext(ctx, `SELECT count(DISTINCT `+x.managed("document")+`), count(*), count(`+quoteColumn(x.store.cfg.Vector)+`),
		pg_total_relation_size($1::regclass) FROM `+x.table, x.table).Scan(&s.Documents, &s.Chunks, &s.Vectors, &s.DiskBytes)
	if err != nil {
		return vector.Stats{}, fmt.Errorf("count the table %s: %w", x.store.cfg.Table, translate(err))
	}
	return s, nil
}
