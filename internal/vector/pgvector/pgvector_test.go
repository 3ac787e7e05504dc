//go:build unix

package pgvector

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector/pgvectortest"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table makes a database with a table as the documentation tells users to.
func table(t *testing.T, dsn string, d vector.Definition, more string) Config {
	t.Helper()
	c := Config{
		DSN: storetest.NewDatabase(t, dsn), Definition: d, Table: "kb.Chunks",
		PrimaryKey: "id", Vector: "embedding", Text: "chunks", Metadata: "metadata",
	}
	run(t, c.DSN, `CREATE EXTENSION vector`, `CREATE SCHEMA kb`,
		fmt.Sprintf(`CREATE TABLE kb."Chunks" (id uuid PRIMARY KEY, embedding vector(%d), chunks text, metadata json %s)`, d.Dimension, more))
	return c
}

func run(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func open(t *testing.T, c Config) vector.Index {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	x, err := s.Open(t.Context(), c.Definition.Name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func define(dim int) vector.Definition {
	return vector.Definition{Name: vector.Name{Account: "1", Region: "r", ID: "KB"}, Dimension: dim, Metric: vector.Cosine, Model: "m"}
}

func TestPostgres(t *testing.T) {
	dsn := pgvectortest.Start(t)
	for name, more := range map[string]string{"metadata in one column": "", "attributes in a column of their own": ", custom jsonb"} {
		t.Run(name, func(t *testing.T) {
			vectortest.Run(t, func(t *testing.T, d vector.Definition) vectortest.Place {
				c := table(t, dsn, d, more)
				if more != "" {
					c.CustomMetadata = "custom"
				}
				return func(t *testing.T) vector.Store {
					s, err := New(c)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
			})
		})
	}
	t.Run("a graph index does not lose what the filter lets through", func(t *testing.T) { graphIndex(t, dsn) })
	t.Run("columns named after attributes are filled", func(t *testing.T) { ownColumns(t, dsn) })
	t.Run("a table that is not as it was said to be is refused", func(t *testing.T) { wrongTable(t, dsn) })
}

func graphIndex(t *testing.T, dsn string) {
	c := table(t, dsn, define(16), "")
	run(t, c.DSN, `CREATE INDEX ON kb."Chunks" USING hnsw (embedding vector_cosine_ops)`)
	x := open(t, c)
	random := rand.New(rand.NewPCG(1, 1))
	var chunks []vector.Chunk
	for i := range 3000 {
		chunks = append(chunks, vector.Chunk{
			ID: vectortest.ID("c", i), Text: "t", Vector: vectortest.Isotropic(random, 16),
			Metadata: vector.Metadata{"n": vector.NumberValue(float64(i % 100))},
		})
	}
	if err := x.Replace(t.Context(), vector.Document{ID: "d"}, chunks); err != nil {
		t.Fatal(err)
	}
	run(t, c.DSN, `ANALYZE kb."Chunks"`)
	for n := range 6 {
		// An old extension does not go on when the filter has left too little.
		x.(*Index).iterates = n%2 == 0
		f := &vector.Filter{Op: vector.Equals, Key: "n", Values: []vector.Value{vector.NumberValue(float64(n))}}
		for _, k := range []int{10, 30, 100} {
			hits, err := x.Search(t.Context(), vector.Query{Vector: vectortest.Isotropic(random, 16), K: k, Filter: f})
			if err != nil || len(hits) != min(k, 30) {
				t.Errorf("%d of 30 chunks for k = %d, %v", len(hits), k, err)
			}
		}
	}
}

func ownColumns(t *testing.T, dsn string) {
	c := table(t, dsn, define(2), `, genre text, year numeric, "Draft" boolean, pages integer`)
	x := open(t, c)
	one := []float32{1, 0}
	err := x.Replace(t.Context(), vector.Document{ID: "d"}, []vector.Chunk{
		{ID: "1", Text: "t", Vector: one, Metadata: vector.Metadata{
			"genre": vector.StringValue("x"), "year": vector.NumberValue(2024.5), "Draft": vector.BoolValue(true), "pages": vector.NumberValue(7), "more": vector.StringValue("y"),
		}},
		{ID: "2", Text: "t", Vector: one, Metadata: vector.Metadata{"genre": vector.NumberValue(1), "pages": vector.NumberValue(1.5)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	err = db.QueryRowContext(t.Context(), `SELECT string_agg(concat_ws(' ', genre, year, "Draft", pages), '|' ORDER BY year) FROM kb."Chunks"`).Scan(&got)
	if err != nil || got != "x 2024.5 t 7|" {
		t.Errorf("columns hold %q, %v", got, err)
	}
}

func wrongTable(t *testing.T, dsn string) {
	good := table(t, dsn, define(3), "")
	for name, c := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"another dimension": {func(c *Config) { c.Definition.Dimension = 4 }, vector.ErrMismatch},
		"no such table":     {func(c *Config) { c.Table = "kb.chunks" }, vector.ErrNotFound},
		"no such column":    {func(c *Config) { c.Text = "text" }, vector.ErrMismatch},
		"a column's type":   {func(c *Config) { c.Metadata = "chunks" }, vector.ErrMismatch},
		"an evil name":      {func(c *Config) { c.Table = `x"; DROP TABLE kb."Chunks"; --` }, vector.ErrNotFound},
	} {
		cfg := good
		c.change(&cfg)
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), cfg.Definition); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	open(t, good)
	if _, err := New(Config{DSN: good.DSN, Definition: good.Definition}); !errors.Is(err, vector.ErrInvalid) {
		t.Errorf("a store without a table: %v", err)
	}
}

func TestUUID(t *testing.T) {
	id := "0197f2a4-1b2c-7d3e-8f40-0123456789ab"
	if got := uuid(id); got != id {
		t.Errorf("%s became %s", id, got)
	}
	if a, b := uuid("a"), uuid("b"); a == b || !uuidForm.MatchString(a) {
		t.Errorf("%s and %s", a, b)
	}
}
