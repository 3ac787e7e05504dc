//go:build unix

package storage_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge/storage"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector/pgvectortest"
)

const (
	cluster = "arn:aws:rds:us-east-1:123456789012:cluster:pg"
	secret  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pg-AbCdEf"
)

func rds(database, table string) *api.StorageConfiguration {
	return &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeRds, RdsConfiguration: &api.RdsConfiguration{
		ResourceArn: cluster, CredentialsSecretArn: secret, DatabaseName: database, TableName: table,
		FieldMapping: &api.RdsFieldMapping{PrimaryKeyField: "id", VectorField: "embedding", TextField: "chunks", MetadataField: "metadata"},
	}}
}

// database is a database with the extension, and where its server is.
type database struct {
	*sql.DB
	t                    *testing.T
	address, name, login string
}

func postgres(t *testing.T) *database {
	t.Helper()
	dsn := storetest.NewDatabase(t, pgvectortest.Start(t))
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	d := &database{t: t, name: strings.TrimPrefix(u.Path, "/"), login: u.User.Username()}
	if d.DB, err = sql.Open("pgx", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	// The address that an operator gives: no user, no password, no database.
	q := u.Query()
	q.Set("application_name", "outcrop-storage")
	u.User, u.Path, u.RawQuery = nil, "/", q.Encode()
	d.address = u.String()
	d.exec(`CREATE EXTENSION vector`)
	for dimension := range 6 {
		d.exec(fmt.Sprintf(`CREATE TABLE kb%d (id uuid PRIMARY KEY, embedding vector(%d), chunks text, metadata json)`, dimension, max(dimension, 1)))
	}
	return d
}

func (d *database) exec(statement string) {
	d.t.Helper()
	if _, err := d.ExecContext(d.t.Context(), statement); err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
}

// users are those who are connected through the address.
func (d *database) users() (out []string) {
	d.t.Helper()
	rows, err := d.QueryContext(d.t.Context(), `SELECT usename FROM pg_stat_activity WHERE application_name = 'outcrop-storage' ORDER BY 1`)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var u string
		if err := rows.Scan(&u); err != nil {
			d.t.Fatal(err)
		}
		out = append(out, u)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// connected waits until those users are connected, and no others.
func (d *database) connected(users ...string) {
	d.t.Helper()
	var got []string
	for range 600 {
		if got = d.users(); strings.Join(got, " ") == strings.Join(users, " ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.t.Fatalf("connected: %v, want %v", got, users)
}

func TestAClusterIsATableOfThePeople(t *testing.T) {
	d := postgres(t)
	login := fmt.Sprintf(`{"username":%q,"password":"p@ss/word","engine":"postgres"}`, d.login)
	refuse := false
	h := open(t, t.TempDir(), func(c *storage.Config) {
		c.Clusters = map[string]string{cluster: d.address}
		c.Secrets = func(_ context.Context, arn string) ([]byte, error) {
			if refuse || arn != secret {
				return nil, apierr.New(apierr.AccessDenied, "User: x is not authorized")
			}
			return []byte(login), nil
		}
		c.Idle = 200 * time.Millisecond
	})
	for table, dimension := range map[string]int{"kb5": 5, "public.kb3": 3} {
		b := base("KBA", rds(d.name, table))
		x := h.create(b)
		if def := x.Definition(); def.Dimension != dimension || def.Model != "hash" {
			t.Errorf("%s: %+v", table, def)
		}
		v := make([]float32, dimension)
		v[0] = 1
		doc, chunks := document("d", v...)
		h.check(x.Replace(t.Context(), doc, chunks))
		b.Width = dimension
		y, err := h.Open(h.acting(b, ""), b)
		h.check(err)
		hits, err := y.Search(t.Context(), vector.Query{Vector: v, K: 3, Model: "hash"})
		if err != nil || len(hits) != 1 || hits[0].Chunk.Text != "text of d" {
			t.Error(hits, err)
		}
		h.check(y.Close())
		h.check(x.Close())
		h.check(x.Close()) // twice is once
		if n := len(h.OpenPools()); n == 0 {
			t.Error("the pool was not kept")
		}
		// Releasing leaves what the user made.
		h.check(h.Release(t.Context(), b))
		var rows int
		if err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&rows); err != nil || rows != 1 {
			t.Error(rows, err)
		}
	}
	d.connected() // idle pools end by themselves

	b := base("KBA", rds(d.name, "kb5"))
	if c, ok := h.Capabilities(b); !ok || c.Hybrid || c.Store != "PostgreSQL" {
		t.Errorf("%+v", c)
	}
	// A held index keeps its pool; a secret that changed makes another one.
	x := h.create(b)
	d.exec(`CREATE ROLE second LOGIN SUPERUSER PASSWORD 'x'`)
	login = `{"username":"second","password":"x"}`
	y, err := h.Open(h.acting(b, ""), b)
	h.check(err)
	time.Sleep(300 * time.Millisecond)
	d.connected(append([]string{d.login}, "second")...)
	h.check(x.Close())
	d.connected("second")
	h.check(y.Close())
	d.connected()

	for what, c := range map[string]struct {
		database, table string
		text            string
	}{
		"another dimension": {d.name, "kb4", bad + "the index was made with another definition: the column \"embedding\" of kb4 is vector(4), and should be vector(5)"},
		"no table":          {d.name, "nowhere", bad + "no such index: the database has no table nowhere"},
		"no database":       {"nowhere", "kb5", bad + "The database behind " + cluster + " cannot be used"},
	} {
		b := base("KBA", rds(c.database, c.table))
		want(t, what, h.Check(h.acting(b, ""), b), apierr.Validation, c.text)
		_, err := h.Create(h.acting(b, ""), b)
		want(t, what, err, apierr.Validation, c.text)
	}
	for _, text := range []string{`x`, `{}`, `{"username":1}`, `{"password":"x"}`} {
		login = text
		want(t, text, h.Check(h.acting(b, ""), b), apierr.Validation, bad+"The secret "+secret+" must be JSON")
	}
	refuse = true
	want(t, "the secret is refused", h.Check(h.acting(b, ""), b), apierr.Validation, bad+"User: x")
	_, err = h.Open(h.acting(b, ""), b)
	want(t, "the secret is refused", err, apierr.AccessDenied, "User: x")
	if n := len(h.OpenPools()); n != 0 {
		t.Errorf("%d pools that never served are kept", n)
	}
}

func TestAClusterThatNobodyNamed(t *testing.T) {
	secrets := func(context.Context, string) ([]byte, error) {
		return []byte(`{"username":"u","password":"topsecret"}`), nil
	}
	h := open(t, t.TempDir(), func(c *storage.Config) { c.Secrets = secrets })
	b := base("KBA", rds("db", "kb"))
	want(t, "no flag", h.Check(h.acting(b, ""), b), apierr.Validation, bad+"Outcrop does not know which database is behind "+cluster+". Start it with --cluster "+cluster+"=postgres://")
	// Permissions come first.
	role := h.role("role", `["rds:DescribeDBClusters","rds-data:ExecuteStatement"]`, cluster)
	want(t, "half the permissions", h.Check(h.acting(b, role), b), apierr.Validation, bad+"User: ")
	_, err := h.Open(h.acting(b, h.role("none", `"rds:*"`, cluster)), b)
	want(t, "no permission", err, apierr.AccessDenied, "User: ")

	h = open(t, t.TempDir(), func(c *storage.Config) {
		c.Secrets, c.Clusters = secrets, map[string]string{cluster: "postgres://127.0.0.1:1/?sslmode=disable&connect_timeout=2"}
	})
	_, err = h.Open(h.acting(b, ""), b)
	want(t, "nobody listens", err, apierr.Validation, bad+"The database behind "+cluster+" cannot be used")
	if strings.Contains(err.Error(), "topsecret") {
		t.Error("the password is told:", err)
	}
	ctx, cancel := context.WithCancel(h.acting(b, ""))
	cancel()
	if _, err := h.Open(ctx, b); apierr.KindOf(err) == apierr.Validation {
		t.Error("who goes away is told that the configuration is wrong:", err)
	}
	h.check(h.Close())
	if _, err := h.Open(h.acting(b, ""), b); err == nil {
		t.Error("opened after Close")
	}
}
