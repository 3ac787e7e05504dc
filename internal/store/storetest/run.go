package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/migration"
)

// Opener makes a new, empty database and answers a function that opens it; that
// function is called again after a Close, for what must survive a restart.
type Opener func(t *testing.T) (open func(t *testing.T) store.Driver)

// Run is the conformance suite of a database adapter.
func Run(t *testing.T, newDatabase Opener) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"a created record reads back as it was", testCreateGet},
		{"a missing row is not found", testMissing},
		{"rows are scoped by account, region and parent", testScope},
		{"a global kind is the same in every region", testGlobal},
		{"a name is unique among live siblings", testNames},
		{"put demands the revision it read", testPut},
		{"concurrent puts lose no update", testConcurrentPut},
		{"times rise strictly within a row", testTimes},
		{"numbered versions are immutable and numbered once", testVersions},
		{"set status touches nothing else", testSetStatus},
		{"a deleted resource takes its versions along", testDelete},
		{"a failed or panicking transaction leaves nothing", testRollback},
		{"a view sees one instant and writes nothing", testView},
		{"concurrent transactions are serialisable", testSerialisable},
		{"a cancelled context ends the wait", testCancel},
		{"every list filter selects what it says", testFilters},
		{"pages hold each row once, whatever is inserted or deleted", testPaging},
		{"a cursor is bound to its query and cannot be forged", testCursor},
		{"bodies are sealed and tied to their row", testSealed},
		{"a disabled key leaves the clear columns", testDisabledKey},
		{"tags", testTags},
		{"references", testReferences},
		{"client tokens", testTokens},
		{"counters and topics", testCounters},
		{"all survives a restart", testRestart},
		{"another root key is refused", testWrongKey},
		{"a newer schema is refused", testNewer},
		{"own tables through one spelling of SQL", testOwnSQL},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{open: newDatabase(t), keys: newKeyring(t), now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
			b.start(t)
			c.run(t, b)
		})
	}
}

// bench is the set-up of one case: a store on a fresh database, its keys and clock.
type bench struct {
	*store.Store
	open func(*testing.T) store.Driver
	keys *keyring
	mu   sync.Mutex
	now  time.Time
}

func (b *bench) start(t *testing.T) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Driver: Checked(t, b.open(t)), Sealer: b.keys, Now: b.clock})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	b.Store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// update and view fail the test on an error.
func (b *bench) update(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := b.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func (b *bench) view(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := b.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// keyring is a Sealer with one key for each customer ARN, any of which can be
// disabled.
type keyring struct {
	local    *store.LocalSealer
	mu       sync.Mutex
	disabled map[string]bool
}

func newKeyring(t *testing.T) *keyring {
	t.Helper()
	local, err := store.OpenLocalSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &keyring{local: local, disabled: map[string]bool{}}
}

func (k *keyring) KeyID() string { return k.local.KeyID() }

func (k *keyring) check(keyARN string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.disabled[keyARN] {
		return fmt.Errorf("%w: %s is disabled", store.ErrSealed, keyARN)
	}
	return nil
}

func (k *keyring) Seal(ctx context.Context, keyARN string, aad, plain []byte) ([]byte, error) {
	if err := k.check(keyARN); err != nil {
		return nil, err
	}
	return k.local.Seal(ctx, "", append([]byte(keyARN), aad...), plain)
}

func (k *keyring) Open(ctx context.Context, keyARN string, aad, sealed []byte) ([]byte, error) {
	if err := k.check(keyARN); err != nil {
		return nil, err
	}
	return k.local.Open(ctx, "", append([]byte(keyARN), aad...), sealed)
}

// thing is the body of the suite's kinds.
type thing struct {
	Text  string
	Count int
	More  map[string]string `json:",omitempty"`
}

var (
	things  = store.Kind[thing]{Name: "thing"}
	worlds  = store.Kind[thing]{Name: "world", Global: true}
	doubles = store.Kind[thing]{Name: "double", SharedNames: true}
)

func key(id string) store.Key {
	return store.Key{Account: "111122223333", Region: "us-east-1", ID: id}
}

func create(t *testing.T, b *bench, k store.Key, body thing, c store.Columns) store.Record[thing] {
	t.Helper()
	var rec store.Record[thing]
	b.update(t, func(tx *store.Tx) (err error) {
		rec, err = things.Create(tx, k, body, c)
		return err
	})
	return rec
}

func get(t *testing.T, b *bench, k store.Key) (rec store.Record[thing], err error) {
	t.Helper()
	err = b.View(t.Context(), func(tx *store.Tx) error {
		rec, err = things.Get(tx, k)
		return err
	})
	return rec, err
}

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

func testRollback(t *testing.T, b *bench) {
	boom := errors.New("boom")
	ran := false
	err := b.Update(t.Context(), func(tx *store.Tx) error {
		tx.OnCommit(func() { ran = true })
		if _, err := things.Create(tx, key("a"), thing{}, store.Columns{}); err != nil {
			return err
		}
		if err := tx.PutTags("arn", []store.Tag{{Key: "k", Value: "v"}}); err != nil {
			return err
		}
		return boom
	})
	wantErr(t, err, boom)
	func() {
		defer func() {
			if r := recover(); r != boom { //nolint:errorlint // the very value that was thrown
				t.Errorf("recovered %v, want the panic to pass through", r)
			}
		}()
		_ = b.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := things.Create(tx, key("b"), thing{}, store.Columns{}); err != nil {
				return err
			}
			panic(boom)
		})
	}()
	ctx, cancel := context.WithCancel(t.Context())
	err = b.Update(ctx, func(tx *store.Tx) error {
		_, err := things.Create(tx, key("c"), thing{}, store.Columns{})
		cancel()
		return err
	})
	if err == nil {
		t.Error("a transaction whose context was cancelled was committed")
	}
	if ran {
		t.Error("OnCommit ran without a commit")
	}
	b.view(t, func(tx *store.Tx) error {
		n, err := things.Count(tx, store.Query{Everywhere: true})
		m, err2 := tx.CountTags("arn")
		if n != 0 || m != 0 {
			t.Errorf("%d rows and %d tags are left", n, m)
		}
		return errors.Join(err, err2)
	})
	var dead *store.Tx
	b.update(t, func(tx *store.Tx) error { dead = tx; tx.OnCommit(func() { ran = true }); return nil })
	if !ran {
		t.Error("OnCommit did not run after the commit")
	}
	if _, err := dead.Exec(`DELETE FROM tag`); err == nil {
		t.Error("a transaction that is over takes writes")
	}
}

func testView(t *testing.T, b *bench) {
	create(t, b, key("a"), thing{Count: 1}, store.Columns{})
	b.view(t, func(tx *store.Tx) error {
		if _, err := things.Get(tx, key("a")); err != nil {
			return err
		}
		create(t, b, key("b"), thing{}, store.Columns{}) // a writer goes on meanwhile
		n, err := things.Count(tx, store.Query{Everywhere: true})
		if n != 1 {
			t.Errorf("a view saw %d rows, want the 1 of its instant", n)
		}
		return err
	})
	err := b.View(t.Context(), func(tx *store.Tx) error {
		_, err := things.Create(tx, key("c"), thing{}, store.Columns{})
		return err
	})
	wantErr(t, err, store.ErrReadOnly)
	// The database refuses too, not only Tx: a write that looks like a query.
	err = b.View(t.Context(), func(tx *store.Tx) error {
		var arn string
		return tx.QueryRow(`INSERT INTO tag (arn, name, value) VALUES (?, ?, ?) RETURNING arn`, []any{"a", "b", "c"}, &arn)
	})
	wantErr(t, err, store.ErrReadOnly)
}

// testSerialisable lets transactions read two rows and write one of them, the
// write skew that snapshot isolation allows: at most one may ever be "on".
func testSerialisable(t *testing.T, b *bench) {
	for _, id := range []string{"x", "y"} {
		create(t, b, key(id), thing{}, store.Columns{Status: "off"})
	}
	for round := range 8 {
		var wg sync.WaitGroup
		start := make(chan struct{})
		for _, id := range []string{"x", "y"} {
			wg.Go(func() {
				<-start
				err := b.Update(t.Context(), func(tx *store.Tx) error {
					n, err := things.Count(tx, store.Query{Everywhere: true, Status: []string{"on"}})
					if err != nil || n > 0 {
						return err
					}
					time.Sleep(2 * time.Millisecond)
					return things.SetStatus(tx, key(id), "on")
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		b.update(t, func(tx *store.Tx) error {
			n, err := things.Count(tx, store.Query{Everywhere: true, Status: []string{"on"}})
			if n != 1 {
				t.Errorf("round %d: %d rows are on, want 1", round, n)
			}
			return errors.Join(err, things.SetStatus(tx, key("x"), "off"), things.SetStatus(tx, key("y"), "off"))
		})
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 10 {
				if err := b.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Advance("n"); return err }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.view(t, func(tx *store.Tx) error {
		n, err := tx.Counter("n")
		if n != 60 {
			t.Errorf("counter is %d after 60 concurrent advances", n)
		}
		return err
	})
}

func testCancel(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	for _, run := range []func(context.Context, func(*store.Tx) error) error{b.Update, b.View, b.UpdateLoose} {
		err := run(ctx, func(*store.Tx) error { ran = true; return nil })
		wantErr(t, err, context.Canceled)
	}
	if ran {
		t.Error("a transaction ran under a context that was over")
	}
	if b.Driver().Exclusive() { // one writer: the second waits for the first
		begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- b.Update(context.WithoutCancel(t.Context()), func(*store.Tx) error { close(begun); <-release; return nil })
		}()
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		wantErr(t, b.Update(ctx, func(*store.Tx) error { return nil }), context.DeadlineExceeded)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("waited %v for the writer after the deadline", d)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

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
