package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

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
