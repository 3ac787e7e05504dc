package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func testCreateGet(t *testing.T, b *bench) {
	k := key("a")
	k.Parent = "p/1"
	body := thing{Text: "bedrock 암반 🪨 \x01", Count: 1 << 40, More: map[string]string{"": "empty", "ü": "é"}}
	cols := store.Columns{Name: "n-ä", Status: "CREATING", KeyARN: "arn:aws:kms:k", Class: "c", Target: "t", Source: "s"}
	made := create(t, b, k, body, cols)
	if made.Rev != 1 || !made.Created.Equal(b.now) || !made.Updated.Equal(b.now) {
		t.Errorf("created with rev %d, times %v %v", made.Rev, made.Created, made.Updated)
	}
	got, err := get(t, b, k)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, got); d != "" {
		t.Errorf("record changed on its way (-made +read):\n%s", d)
	}
	if d := cmp.Diff(body, got.Body); d != "" {
		t.Error(d)
	}
	b.view(t, func(tx *store.Tx) error {
		head, err := things.Head(tx, k)
		if err == nil && (head.Name != "n-ä" || head.Body.Text != "") {
			t.Errorf("Head = %+v", head)
		}
		return err
	})
	err = b.Update(t.Context(), func(tx *store.Tx) error {
		_, err := things.Create(tx, k, body, store.Columns{Name: "another"})
		return err
	})
	wantErr(t, err, store.ErrExists)
	if e, ok := errors.AsType[*store.ExistsError](err); !ok || e.Field != "id" || e.ID != "a" {
		t.Errorf("got %+v, want the id to be taken", e)
	}
}

func testMissing(t *testing.T, b *bench) {
	k := key("none")
	for name, op := range map[string]func(tx *store.Tx) error{
		"get":         func(tx *store.Tx) error { _, err := things.Get(tx, k); return err },
		"head":        func(tx *store.Tx) error { _, err := things.Head(tx, k); return err },
		"by name":     func(tx *store.Tx) error { _, err := things.ByName(tx, k, "x"); return err },
		"put":         func(tx *store.Tx) error { _, err := things.Put(tx, store.Record[thing]{Key: k, Rev: 1}); return err },
		"status":      func(tx *store.Tx) error { return things.SetStatus(tx, k, "X") },
		"delete":      func(tx *store.Tx) error { return things.Delete(tx, k) },
		"new version": func(tx *store.Tx) error { _, err := things.NewVersion(tx, k, thing{}, store.Columns{}); return err },
	} {
		if err := b.Update(t.Context(), op); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
}

func testScope(t *testing.T, b *bench) {
	base := key("same")
	other := []store.Key{base, base, base}
	other[0].Account = "444455556666"
	other[1].Region = "eu-west-1"
	other[2].Parent = "p"
	for i, k := range append([]store.Key{base}, other...) {
		create(t, b, k, thing{Count: i}, store.Columns{Name: "same"})
	}
	for i, k := range append([]store.Key{base}, other...) {
		rec, err := get(t, b, k)
		if err != nil || rec.Body.Count != i {
			t.Errorf("%+v: got %d, %v; want %d", k, rec.Body.Count, err, i)
		}
		b.view(t, func(tx *store.Tx) error {
			p, err := things.List(tx, store.Query{Account: k.Account, Region: k.Region, Parent: k.Parent})
			if err == nil && (len(p.Records) != 1 || p.Records[0].Body.Count != i) {
				t.Errorf("list of %+v has %d rows", k, len(p.Records))
			}
			return err
		})
	}
	b.view(t, func(tx *store.Tx) error {
		n, err := things.Count(tx, store.Query{Everywhere: true})
		if n != 4 {
			t.Errorf("everywhere: %d rows, want 4", n)
		}
		m, err2 := things.Count(tx, store.Query{Account: base.Account, Region: base.Region, AnyParent: true})
		if m != 2 {
			t.Errorf("any parent: %d rows, want 2", m)
		}
		return errors.Join(err, err2)
	})
	b.update(t, func(tx *store.Tx) error {
		n, err := things.DeleteIn(tx, other[2])
		if n != 1 {
			t.Errorf("DeleteIn removed %d rows, want 1", n)
		}
		return err
	})
	if _, err := get(t, b, base); err != nil {
		t.Errorf("DeleteIn of a parent took a row outside it: %v", err)
	}
}

func testGlobal(t *testing.T, b *bench) {
	k := key("w")
	b.update(t, func(tx *store.Tx) error {
		rec, err := worlds.Create(tx, k, thing{Text: "one"}, store.Columns{Name: "w"})
		if rec.Region != "" {
			t.Errorf("a global record is in region %q", rec.Region)
		}
		return err
	})
	k.Region = "ap-northeast-2"
	b.update(t, func(tx *store.Tx) error {
		rec, err := worlds.Get(tx, k)
		if err != nil {
			return err
		}
		rec.Body.Text = "two"
		if _, err = worlds.Put(tx, rec); err != nil {
			return err
		}
		p, err := worlds.List(tx, store.Query{Account: k.Account, Region: "sa-east-1"})
		if len(p.Records) != 1 || p.Records[0].Body.Text != "two" {
			t.Errorf("list in another region: %+v", p)
		}
		return err
	})
}

func testNames(t *testing.T, b *bench) {
	create(t, b, key("a"), thing{}, store.Columns{Name: "n"})
	try := func(k store.Key, name string) error {
		return b.Update(t.Context(), func(tx *store.Tx) error {
			_, err := things.Create(tx, k, thing{}, store.Columns{Name: name})
			return err
		})
	}
	err := try(key("b"), "n")
	wantErr(t, err, store.ErrExists)
	if e, ok := errors.AsType[*store.ExistsError](err); !ok || e.Field != "name" || e.ID != "a" {
		t.Errorf("got %+v, want the name to be held by a", e)
	}
	if err := try(key("b"), "N"); err != nil { // names differ by case
		t.Fatal(err)
	}
	for range 2 { // no name is no claim
		if err := try(key("c"+fmt.Sprint(b.tick())), ""); err != nil {
			t.Fatal(err)
		}
	}
	// A failed create inside a transaction does not end it on either database.
	b.update(t, func(tx *store.Tx) error {
		if _, err := things.Create(tx, key("x"), thing{}, store.Columns{Name: "n"}); !errors.Is(err, store.ErrExists) {
			t.Errorf("got %v, want ErrExists", err)
		}
		_, err := things.Create(tx, key("y"), thing{}, store.Columns{Name: "y"})
		return err
	})
	rename := func(id, name string) error {
		return b.Update(t.Context(), func(tx *store.Tx) error {
			rec, err := things.Get(tx, key(id))
			if err != nil {
				return err
			}
			rec.Name = name
			if _, err = things.Put(tx, rec); errors.Is(err, store.ErrExists) {
				_, again := things.Get(tx, key(id)) // the transaction still lives
				return errors.Join(err, again)
			}
			return err
		})
	}
	wantErr(t, rename("y", "n"), store.ErrExists)
	if err := rename("a", "free"); err != nil {
		t.Fatal(err)
	}
	if err := rename("y", "n"); err != nil {
		t.Fatalf("a name given up by a rename is still held: %v", err)
	}
	b.update(t, func(tx *store.Tx) error { return things.Delete(tx, key("y")) })
	if err := try(key("z"), "n"); err != nil {
		t.Fatalf("a name given up by a delete is still held: %v", err)
	}
	b.view(t, func(tx *store.Tx) error {
		rec, err := things.ByName(tx, key(""), "n")
		if rec.ID != "z" {
			t.Errorf("ByName found %q, want z", rec.ID)
		}
		return err
	})
	b.update(t, func(tx *store.Tx) error {
		_, err1 := doubles.Create(tx, key("1"), thing{}, store.Columns{Name: "n"})
		_, err2 := doubles.Create(tx, key("2"), thing{}, store.Columns{Name: "n"})
		return errors.Join(err1, err2)
	})
}

// tick answers a new number each time.
func (b *bench) tick() int64 { b.advance(time.Microsecond); return b.clock().UnixMicro() }

func testPut(t *testing.T, b *bench) {
	first := create(t, b, key("a"), thing{Text: "0"}, store.Columns{Name: "n", Status: "READY"})
	b.advance(time.Second)
	var second store.Record[thing]
	b.update(t, func(tx *store.Tx) (err error) {
		rec := first
		rec.Body.Text, rec.Status, rec.Class = "1", "UPDATING", "new"
		second, err = things.Put(tx, rec)
		return err
	})
	if second.Rev != 2 || !second.Created.Equal(first.Created) || !second.Updated.Equal(b.clock()) {
		t.Errorf("after put: %+v", second)
	}
	got, err := get(t, b, key("a"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(second, got); d != "" {
		t.Error(d)
	}
	err = b.Update(t.Context(), func(tx *store.Tx) error {
		_, err := things.Put(tx, first) // stale
		return err
	})
	wantErr(t, err, store.ErrConflict)
	if got, _ := get(t, b, key("a")); got.Body.Text != "1" {
		t.Errorf("a refused put changed the row to %q", got.Body.Text)
	}
}

func testConcurrentPut(t *testing.T, b *bench) {
	create(t, b, key("a"), thing{}, store.Columns{})
	const writers, rounds = 6, 15
	var wg sync.WaitGroup
	conflicts := make(chan int, writers)
	for range writers {
		wg.Go(func() {
			n := 0
			for done := 0; done < rounds; {
				rec, err := get(t, b, key("a"))
				if err != nil {
					t.Error(err)
					return
				}
				err = b.Update(t.Context(), func(tx *store.Tx) error {
					rec.Body.Count++
					_, err := things.Put(tx, rec)
					rec.Body.Count-- // the function may run again
					return err
				})
				switch {
				case err == nil:
					done++
				case errors.Is(err, store.ErrConflict):
					n++
				default:
					t.Error(err)
					return
				}
			}
			conflicts <- n
		})
	}
	wg.Wait()
	close(conflicts)
	total := 0
	for n := range conflicts {
		total += n
	}
	rec, err := get(t, b, key("a"))
	if err != nil || rec.Body.Count != writers*rounds || rec.Rev != writers*rounds+1 {
		t.Errorf("count %d, rev %d, %v; want %d puts (%d conflicts)", rec.Body.Count, rec.Rev, err, writers*rounds, total)
	}
}

func testTimes(t *testing.T, b *bench) {
	rec := create(t, b, key("a"), thing{}, store.Columns{})
	last := rec.Updated
	for i := range 6 {
		switch i {
		case 2:
			b.advance(-time.Hour) // the clock was set back
		case 4:
			b.advance(3 * time.Hour)
		}
		b.update(t, func(tx *store.Tx) (err error) {
			if i%2 == 1 {
				if err := things.SetStatus(tx, key("a"), fmt.Sprint(i)); err != nil {
					return err
				}
				rec, err = things.Get(tx, key("a"))
				return err
			}
			rec, err = things.Put(tx, rec)
			return err
		})
		if !rec.Updated.After(last) {
			t.Errorf("step %d: updated went from %v to %v", i, last, rec.Updated)
		}
		last = rec.Updated
	}
	if !rec.Created.Equal(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("created moved to %v", rec.Created)
	}
}

func testVersions(t *testing.T, b *bench) {
	head := create(t, b, key("a"), thing{Text: "draft"}, store.Columns{Name: "n"})
	version := func(n string) store.Key { k := key("a"); k.Version = n; return k }
	publish := func(text string) (rec store.Record[thing]) {
		b.advance(time.Second)
		b.update(t, func(tx *store.Tx) (err error) {
			rec, err = things.NewVersion(tx, key("a"), thing{Text: text}, store.Columns{Name: "n", Status: "READY"})
			return err
		})
		return rec
	}
	for i, want := range []string{"1", "2", "3"} {
		if rec := publish(fmt.Sprint("v", i+1)); rec.Version != want {
			t.Errorf("version %q, want %q", rec.Version, want)
		}
	}
	rec, err := get(t, b, version("2"))
	if err != nil || rec.Body.Text != "v2" {
		t.Fatalf("version 2 reads %q, %v", rec.Body.Text, err)
	}
	err = b.Update(t.Context(), func(tx *store.Tx) error {
		rec.Body.Text = "changed"
		_, err := things.Put(tx, rec)
		return err
	})
	wantErr(t, err, store.ErrImmutable)
	b.update(t, func(tx *store.Tx) error { return things.Delete(tx, version("3")) })
	if rec := publish("again"); rec.Version != "4" {
		t.Errorf("after deleting version 3 the next is %q, want 4", rec.Version)
	}
	b.update(t, func(tx *store.Tx) error {
		head.Body.Text = "draft 2"
		got, err := things.Put(tx, head) // NewVersion did not move the revision
		if got.LastVersion != 4 {
			t.Errorf("LastVersion = %d, want 4", got.LastVersion)
		}
		return err
	})
	b.view(t, func(tx *store.Tx) error {
		q := store.Query{Account: head.Account, Region: head.Region, ID: "a", Versions: store.Numbered}
		p, err := things.List(tx, q)
		if got := ids(p, func(r store.Record[thing]) string { return r.Version + "=" + r.Body.Text }); got != "1=v1 2=v2 4=again" {
			t.Errorf("versions: %s", got)
		}
		q.Versions = store.HeadsAndNumbered
		n, err2 := things.Count(tx, q)
		q.Versions = store.Heads
		m, err3 := things.Count(tx, q)
		if n != 4 || m != 1 {
			t.Errorf("%d rows with and %d without versions, want 4 and 1", n, m)
		}
		return errors.Join(err, err2, err3)
	})
}

func ids(p store.Page[thing], f func(store.Record[thing]) string) string {
	var out []string
	for _, r := range p.Records {
		out = append(out, f(r))
	}
	return strings.Join(out, " ")
}

func testSetStatus(t *testing.T, b *bench) {
	made := create(t, b, key("a"), thing{Text: "x"}, store.Columns{Name: "n", Status: "CREATING", KeyARN: "k"})
	b.keys.disabled["k"] = true // the status moves while the key is off
	b.advance(time.Second)
	b.update(t, func(tx *store.Tx) error { return things.SetStatus(tx, key("a"), "READY") })
	b.keys.disabled["k"] = false
	got, err := get(t, b, key("a"))
	if err != nil {
		t.Fatal(err)
	}
	made.Status, made.Rev, made.Updated = "READY", 2, b.clock()
	if d := cmp.Diff(made, got); d != "" {
		t.Error(d)
	}
	b.update(t, func(tx *store.Tx) error {
		_, err := things.NewVersion(tx, key("a"), thing{}, store.Columns{Status: "CREATING"})
		if err != nil {
			return err
		}
		k := key("a")
		k.Version = "1"
		return things.SetStatus(tx, k, "READY")
	})
}

func testDelete(t *testing.T, b *bench) {
	create(t, b, key("a"), thing{}, store.Columns{Name: "n"})
	create(t, b, key("ab"), thing{}, store.Columns{Name: "m"})
	b.update(t, func(tx *store.Tx) error {
		_, err := things.NewVersion(tx, key("a"), thing{}, store.Columns{})
		return err
	})
	b.update(t, func(tx *store.Tx) error { return things.Delete(tx, key("a")) })
	b.view(t, func(tx *store.Tx) error {
		p, err := things.List(tx, store.Query{Account: key("").Account, Region: key("").Region, Versions: store.HeadsAndNumbered})
		if got := ids(p, func(r store.Record[thing]) string { return r.ID + r.Version }); got != "ab" {
			t.Errorf("left: %q, want ab", got)
		}
		return err
	})
}
