package storetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

func scope() store.Query {
	return store.Query{Account: key("").Account, Region: key("").Region}
}

func testFilters(t *testing.T, b *bench) {
	start := b.clock()
	b.update(t, func(tx *store.Tx) error {
		for i, c := range []store.Columns{
			{Name: "alpha", Status: "READY", Class: "x", Target: "t1", Source: "s1"},
			{Name: "beta_1", Status: "FAILED", Class: "x", Target: "t2"},
			{Name: "Beta%2", Status: "READY", Class: "y", Target: "t1"},
			{Name: "gamma", Status: "CREATING", Class: "y", Source: "s1"},
		} {
			tx.Now = start.Add(time.Duration(i) * time.Second)
			if _, err := things.Create(tx, key(fmt.Sprint("id", i)), thing{Count: i}, c); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		name string
		q    store.Query
		want string
	}{
		{"all", store.Query{}, "0 1 2 3"},
		{"descending", store.Query{Desc: true}, "3 2 1 0"},
		{"by name, byte order", store.Query{Sort: store.ByName}, "2 0 1 3"},
		{"by name descending", store.Query{Sort: store.ByName, Desc: true}, "3 1 0 2"},
		{"one status", store.Query{Status: []string{"READY"}}, "0 2"},
		{"two statuses", store.Query{Status: []string{"FAILED", "CREATING"}}, "1 3"},
		{"name equals", store.Query{NameEquals: "alpha"}, "0"},
		{"name contains is case-sensitive", store.Query{NameContains: "eta"}, "1 2"},
		{"name contains B", store.Query{NameContains: "B"}, "2"},
		{"percent is a letter", store.Query{NameContains: "%"}, "2"},
		{"underscore is a letter", store.Query{NameContains: "_"}, "1"},
		{"class", store.Query{Class: "y"}, "2 3"},
		{"target", store.Query{Target: "t1"}, "0 2"},
		{"source", store.Query{Source: "s1"}, "0 3"},
		{"after excludes its instant", store.Query{CreatedAfter: start.Add(time.Second)}, "2 3"},
		{"before excludes its instant", store.Query{CreatedBefore: start.Add(time.Second)}, "0"},
		{"range", store.Query{CreatedAfter: start, CreatedBefore: start.Add(3 * time.Second)}, "1 2"},
		{"all together", store.Query{Status: []string{"READY"}, Class: "x", NameContains: "a", CreatedBefore: start.Add(time.Hour)}, "0"},
		{"nothing", store.Query{NameEquals: "no"}, ""},
		{"limit", store.Query{Limit: 2}, "0 1"},
		{"bodies shut", store.Query{Clear: true, NameEquals: "gamma"}, "0"},
	} {
		c.q.Account, c.q.Region = key("").Account, key("").Region
		b.view(t, func(tx *store.Tx) error {
			p, err := things.List(tx, c.q)
			if got := ids(p, func(r store.Record[thing]) string { return fmt.Sprint(r.Body.Count) }); got != c.want {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
			n, err2 := things.Count(tx, c.q)
			if c.q.Limit == 0 && n != len(p.Records) {
				t.Errorf("%s: Count says %d of %d", c.name, n, len(p.Records))
			}
			if (p.Next != "") != (c.q.Limit == 2) {
				t.Errorf("%s: next page %q", c.name, p.Next)
			}
			return errors.Join(err, err2)
		})
	}
}

// testPaging walks lists in every order while rows come and go, and holds the walk
// to the promise: each row that was there all the while is seen exactly once, no
// row is seen twice, and the order holds.
func testPaging(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(7, 11))
	for _, sort := range []store.Sort{store.ByCreated, store.ByName} {
		for _, desc := range []bool{false, true} {
			b.update(t, func(tx *store.Tx) error { _, err := things.DeleteIn(tx, key("")); return err })
			serial := 0
			add := func(tx *store.Tx) string {
				serial++
				id := fmt.Sprintf("%s-%05d", string(rune('a'+rng.IntN(26))), serial)
				// Few distinct instants: ties must be broken by identity.
				tx.Now = time.Date(2026, 1, 1, 0, 0, rng.IntN(5), 0, time.UTC)
				if _, err := doubles.Create(tx, key(id), thing{Text: id}, store.Columns{Name: string(rune('a' + rng.IntN(4)))}); err != nil {
					t.Fatal(err)
				}
				return id
			}
			steady, loose := map[string]bool{}, []string{}
			b.update(t, func(tx *store.Tx) error {
				if _, err := doubles.DeleteIn(tx, key("")); err != nil {
					return err
				}
				for i := range 60 {
					if id := add(tx); i%3 == 0 {
						loose = append(loose, id)
					} else {
						steady[id] = true
					}
				}
				return nil
			})
			q := scope()
			q.Sort, q.Desc = sort, desc
			seen := map[string]bool{}
			var order []string
			for pages := 0; ; pages++ {
				if pages > 200 {
					t.Fatal("the list does not end")
				}
				q.Limit = 1 + rng.IntN(9) // may change from page to page
				var p store.Page[thing]
				b.view(t, func(tx *store.Tx) (err error) { p, err = doubles.List(tx, q); return err })
				for _, r := range p.Records {
					if seen[r.ID] {
						t.Errorf("%s desc=%v: %s twice", sort, desc, r.ID)
					}
					seen[r.ID] = true
					at := r.Name
					if sort == store.ByCreated {
						at = r.Created.Format(time.RFC3339Nano)
					}
					order = append(order, at+" "+r.ID)
				}
				if q.Cursor = p.Next; p.Next == "" {
					break
				}
				b.update(t, func(tx *store.Tx) error {
					add(tx)
					// The last row of the page may go as well: its cursor still marks the place.
					victims := loose
					if last := p.Records[len(p.Records)-1].ID; !steady[last] && slices.Contains(loose, last) {
						victims = []string{last}
					}
					if len(victims) == 0 {
						return nil
					}
					id := victims[rng.IntN(len(victims))]
					loose = slices.DeleteFunc(loose, func(s string) bool { return s == id })
					return doubles.Delete(tx, key(id))
				})
			}
			for id := range steady {
				if !seen[id] {
					t.Errorf("%s desc=%v: %s was there all the while and is missing", sort, desc, id)
				}
			}
			sorted := slices.IsSortedFunc(order, strings.Compare)
			if desc {
				sorted = slices.IsSortedFunc(order, func(a, b string) int { return strings.Compare(b, a) })
			}
			if !sorted {
				t.Errorf("%s desc=%v: out of order: %v", sort, desc, order)
			}
		}
	}
}

func testCursor(t *testing.T, b *bench) {
	for i := range 4 {
		create(t, b, key(fmt.Sprint(i)), thing{}, store.Columns{Name: fmt.Sprint("n", i), Status: "READY"})
	}
	q := scope()
	q.Limit, q.Status = 2, []string{"READY", "FAILED"}
	list := func(q store.Query) (p store.Page[thing], err error) {
		err = b.View(t.Context(), func(tx *store.Tx) error { p, err = things.List(tx, q); return err })
		return p, err
	}
	first, err := list(q)
	if err != nil || first.Next == "" {
		t.Fatalf("first page: %q, %v", first.Next, err)
	}
	q.Cursor = first.Next
	if p, err := list(q); err != nil || len(p.Records) != 2 || p.Next != "" {
		t.Fatalf("second page: %v, %v", p, err)
	}
	q.Status = []string{"FAILED", "READY"} // the same set
	if _, err := list(q); err != nil {
		t.Fatalf("the order of statuses broke the cursor: %v", err)
	}
	for name, change := range map[string]func(*store.Query){
		"account":  func(q *store.Query) { q.Account = "444455556666" },
		"region":   func(q *store.Query) { q.Region = "eu-west-1" },
		"parent":   func(q *store.Query) { q.Parent = "p" },
		"id":       func(q *store.Query) { q.ID = "1" },
		"versions": func(q *store.Query) { q.Versions = store.Numbered },
		"status":   func(q *store.Query) { q.Status = nil },
		"name":     func(q *store.Query) { q.NameEquals = "n1" },
		"contains": func(q *store.Query) { q.NameContains = "n" },
		"class":    func(q *store.Query) { q.Class = "c" },
		"target":   func(q *store.Query) { q.Target = "c" },
		"source":   func(q *store.Query) { q.Source = "c" },
		"after":    func(q *store.Query) { q.CreatedAfter = time.Unix(1, 0) },
		"before":   func(q *store.Query) { q.CreatedBefore = time.Unix(1<<33, 0) },
		"sort":     func(q *store.Query) { q.Sort = store.ByName },
		"order":    func(q *store.Query) { q.Desc = true },
		"any":      func(q *store.Query) { q.AnyParent = true },
		"all":      func(q *store.Query) { q.Everywhere = true },
	} {
		other := q
		change(&other)
		if _, err := list(other); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("a cursor was taken by a query of another %s: %v", name, err)
		}
	}
	if err := b.View(t.Context(), func(tx *store.Tx) error { _, err := doubles.List(tx, q); return err }); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("a cursor was taken by another kind: %v", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(first.Next)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 1
		q.Cursor = base64.RawURLEncoding.EncodeToString(forged)
		if _, err := list(q); !errors.Is(err, store.ErrBadCursor) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for _, bad := range []string{"x", "!!", first.Next + "A", first.Next[1:], strings.Repeat("A", 2048)} {
		q.Cursor = bad
		if _, err := list(q); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("cursor %.20q: %v", bad, err)
		}
	}
}

func testSealed(t *testing.T, b *bench) {
	const secret = "the-secret-sentence"
	create(t, b, key("a"), thing{Text: secret}, store.Columns{Name: "n"})
	create(t, b, key("b"), thing{Text: "other"}, store.Columns{Name: "m"})
	raw := func(id string) (body []byte) {
		b.view(t, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT body FROM resource WHERE id = ?`, []any{id}, &body)
		})
		return body
	}
	if len(raw("a")) < len(secret) || strings.Contains(string(raw("a")), secret) {
		t.Errorf("the body lies in the table as %q", raw("a"))
	}
	first := raw("a")
	b.update(t, func(tx *store.Tx) error {
		rec, err := things.Get(tx, key("a"))
		if err != nil {
			return err
		}
		_, err = things.Put(tx, rec)
		return err
	})
	if string(first) == string(raw("a")) {
		t.Error("equal bodies seal to equal bytes")
	}
	b.update(t, func(tx *store.Tx) error { // a body moved to another row does not open
		_, err := tx.Exec(`UPDATE resource SET body = ? WHERE id = ?`, raw("a"), "b")
		return err
	})
	if rec, err := get(t, b, key("b")); err == nil {
		t.Errorf("a body of another row opened: %q", rec.Body.Text)
	}
	b.update(t, func(tx *store.Tx) error {
		sealed, err := tx.Seal("", []string{"own", "1"}, []byte("plain"))
		if err != nil {
			return err
		}
		plain, err := tx.Unseal("", []string{"own", "1"}, sealed)
		if string(plain) != "plain" {
			t.Errorf("unsealed %q", plain)
		}
		if _, err := tx.Unseal("", []string{"own1", ""}, sealed); err == nil {
			t.Error("opened under another identity")
		}
		return err
	})
}

func testDisabledKey(t *testing.T, b *bench) {
	const arn = "arn:aws:kms:us-east-1:111122223333:key/1"
	create(t, b, key("a"), thing{Text: "x"}, store.Columns{Name: "n", Status: "READY", KeyARN: arn})
	create(t, b, key("b"), thing{Text: "y"}, store.Columns{Name: "m"})
	b.keys.disabled[arn] = true
	rec, err := get(t, b, key("a"))
	wantErr(t, err, store.ErrSealed)
	if rec.Name != "n" || rec.Status != "READY" || rec.Body.Text != "" || rec.Sealed == nil {
		t.Errorf("sealed record: %+v", rec)
	}
	b.view(t, func(tx *store.Tx) error {
		p, err := things.List(tx, scope())
		if len(p.Records) != 2 || p.Records[0].Sealed == nil || p.Records[1].Sealed != nil || p.Records[1].Body.Text != "y" {
			t.Errorf("list with a disabled key: %+v", p)
		}
		q := scope()
		q.Clear = true
		p, err2 := things.List(tx, q)
		if len(p.Records) != 2 || p.Records[0].Sealed != nil {
			t.Errorf("clear list with a disabled key: %+v", p)
		}
		return errors.Join(err, err2)
	})
	err = b.Update(t.Context(), func(tx *store.Tx) error { _, err := things.Put(tx, rec); return err })
	wantErr(t, err, store.ErrSealed) // an empty body is never written over a sealed one
	b.keys.disabled[arn] = false
	b.update(t, func(tx *store.Tx) error { // a change of key reseals
		rec, err := things.Get(tx, key("a"))
		if err != nil {
			return err
		}
		rec.KeyARN = ""
		_, err = things.Put(tx, rec)
		return err
	})
	b.keys.disabled[arn] = true
	if rec, err := get(t, b, key("a")); err != nil || rec.Body.Text != "x" {
		t.Errorf("after the change of key: %+v, %v", rec, err)
	}
}
