package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
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
