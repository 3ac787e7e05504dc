package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/migration"
)

func testRestart(t *testing.T, b *bench) {
	q := store.Query{Account: key("").Account, Region: key("").Region, Limit: 1}
	create(t, b, key("a"), thing{Text: "kept"}, store.Columns{Name: "n"})
	create(t, b, key("b"), thing{}, store.Columns{Name: "m"})
	var first store.Page[thing]
	b.view(t, func(tx *store.Tx) (err error) { first, err = things.List(tx, q); return err })
	b.update(t, func(tx *store.Tx) error {
		_, err := tx.Advance("x")
		return errors.Join(err, tx.PutTags("arn", tags("k", "v")))
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.View(t.Context(), func(*store.Tx) error { return nil }); err == nil {
		t.Error("a closed store answers")
	}
	b.start(t)
	if rec, err := get(t, b, key("a")); err != nil || rec.Body.Text != "kept" {
		t.Errorf("after a restart: %+v, %v", rec, err)
	}
	b.view(t, func(tx *store.Tx) error {
		n, err := tx.Counter("x")
		tags, err2 := tx.Tags("arn")
		q.Cursor = first.Next
		p, err3 := things.List(tx, q) // cursors outlive the process
		if n != 1 || len(tags) != 1 || len(p.Records) != 1 {
			t.Errorf("after a restart: counter %d, tags %v, next page %v", n, tags, p)
		}
		return errors.Join(err, err2, err3)
	})
}

func testWrongKey(t *testing.T, b *bench) {
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Config{Driver: b.open(t), Sealer: newKeyring(t)})
	wantErr(t, err, store.ErrWrongKey)
	b.start(t) // and the right key still opens it
}

func testNewer(t *testing.T, b *bench) {
	d := b.Driver().Dialect()
	newest, err := migration.Newest(d.Name)
	if err != nil {
		t.Fatal(err)
	}
	have, err := migration.Version(t.Context(), b.Driver().Writer(), d.Name)
	if err != nil || have != newest {
		t.Fatalf("schema version %d, %v; want %d", have, err, newest)
	}
	create(t, b, key("a"), thing{}, store.Columns{})
	b.update(t, func(tx *store.Tx) error {
		applied := "1"
		if d.Name == "postgres" {
			applied = "true"
		}
		_, err := tx.Exec(`INSERT INTO `+migration.Table+` (version_id, is_applied) VALUES (?, `+applied+`)`, newest+1)
		return err
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Config{Driver: b.open(t), Sealer: b.keys})
	wantErr(t, err, store.ErrNewerSchema)
	if want := fmt.Sprintf("version %d", newest+1); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not name %s", err, want)
	}
}

func testOwnSQL(t *testing.T, b *bench) {
	b.update(t, func(tx *store.Tx) error {
		for i := range 3 {
			n, err := tx.Exec(`INSERT INTO log_event (account, region, log_group, stream, at, ingested, message)
				VALUES (?, ?, 'why? "no"', ?, ?, ?, ?)`, "1", "r", "s", i, i, []byte{byte(i), 0, 255})
			if err != nil || n != 1 {
				return fmt.Errorf("%d rows: %w", n, err)
			}
		}
		_, err := tx.Exec(`INSERT INTO metric (account, region, namespace, name, dimensions, unit, at, count, sum, min, max)
			VALUES ('1', 'r', 'n', 'm', '{}', 'None', 0, 2, 1.5, 0.25, 1.25)`)
		return err
	})
	b.view(t, func(tx *store.Tx) error {
		var got []string
		err := tx.Query(`SELECT at, message FROM log_event WHERE log_group = 'why? "no"' AND at > ? ORDER BY id`, []any{0}, func(row store.Row) error {
			var at int64
			var message []byte
			err := row.Scan(&at, &message)
			got = append(got, fmt.Sprint(at, message))
			return err
		})
		if strings.Join(got, " ") != "1[1 0 255] 2[2 0 255]" && strings.Join(got, " ") != "1 [1 0 255] 2 [2 0 255]" {
			t.Errorf("rows: %v", got)
		}
		var sum float64
		err2 := tx.QueryRow(`SELECT sum FROM metric WHERE name = ?`, []any{"m"}, &sum)
		if sum != 1.5 {
			t.Errorf("sum = %v", sum)
		}
		stop := errors.New("enough")
		err3 := tx.Query(`SELECT at FROM log_event`, nil, func(store.Row) error { return stop })
		if !errors.Is(err3, stop) {
			t.Errorf("scan's error came back as %v", err3)
		}
		return errors.Join(err, err2)
	})
}
