//go:build unix

package acceptance

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx

	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector/pgvectortest"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// A knowledge base of the type RDS keeps its chunks in a table that a person made, in a
// real PostgreSQL with the vector extension.
func TestAKnowledgeBaseInPostgreSQL(t *testing.T) {
	u, err := url.Parse(storetest.NewDatabase(t, pgvectortest.Start(t)))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		`CREATE EXTENSION vector`,
		`CREATE TABLE bedrock_kb (id uuid PRIMARY KEY, embedding vector(1536), chunks text, metadata json, genre text)`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	user, database := u.User.Username(), strings.TrimPrefix(u.Path, "/")
	u.User, u.Path = nil, "/"
	s := outcroptest.Start(t, "--engine", "script", "--cluster", "arn:aws:rds:us-east-1:123456789012:cluster:docs="+u.String())
	program(t, s, "bases_postgres.py", user, database)
	var rows, wide int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), min(vector_dims(embedding)) FROM bedrock_kb WHERE genre = 'films'`).Scan(&rows, &wide); err != nil || rows != 1 || wide != 1536 {
		t.Errorf("%d rows of films of %d numbers in the table, %v", rows, wide, err)
	}
}
