package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// tags makes tags of keys and values in turn.
func tags(pairs ...string) (out []store.Tag) {
	for p := range slices.Chunk(pairs, 2) {
		out = append(out, store.Tag{Key: p[0], Value: p[1]})
	}
	return out
}

func testTags(t *testing.T, b *bench) {
	want := func(arn string, want map[string]string) {
		t.Helper()
		b.view(t, func(tx *store.Tx) error {
			tags, err := tx.Tags(arn)
			got := map[string]string{}
			last := ""
			for _, tag := range tags {
				if tag.Key < last {
					t.Errorf("tags are out of order: %v", tags)
				}
				last = tag.Key
				got[tag.Key] = tag.Value
			}
			n, err2 := tx.CountTags(arn)
			if !maps.Equal(got, want) || n != len(want) {
				t.Errorf("tags of %s: %v (%d), want %v", arn, got, n, want)
			}
			return errors.Join(err, err2)
		})
	}
	b.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.PutTags("arn:a", tags("z", "1", "b", "", "Ä", "2")),
			tx.PutTags("arn:b", tags("z", "other")),
			tx.PutTags("arn:a", tags("z", "3")))
	})
	want("arn:a", map[string]string{"z": "3", "b": "", "Ä": "2"})
	b.update(t, func(tx *store.Tx) error { return tx.RemoveTags("arn:a", []string{"b", "not there"}) })
	want("arn:a", map[string]string{"z": "3", "Ä": "2"})
	b.update(t, func(tx *store.Tx) error { return tx.Forget("arn:a") })
	want("arn:a", map[string]string{})
	want("arn:b", map[string]string{"z": "other"})
}

func testReferences(t *testing.T, b *bench) {
	b.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.AddReference("agent/1", "kb/1"), tx.AddReference("agent/1", "kb/1"), tx.AddReference("agent/2", "kb/1"),
			tx.AddReference("kb/1", "kb/1"))
	})
	check := func(want string, except ...string) {
		t.Helper()
		b.view(t, func(tx *store.Tx) error {
			err := tx.CheckUnused("kb/1", except...)
			if want == "" {
				return err
			}
			e, ok := errors.AsType[*store.InUseError](err)
			if !ok || !errors.Is(err, store.ErrInUse) || strings.Join(e.By, " ") != want {
				t.Errorf("CheckUnused: %v, want in use by %s", err, want)
			}
			return nil
		})
	}
	check("agent/1 agent/2")
	check("agent/2", "agent/1")
	b.update(t, func(tx *store.Tx) error { return tx.SetReferences("agent/2", []string{"kb/2", "kb/3"}) })
	check("agent/1")
	b.view(t, func(tx *store.Tx) error {
		to, err := tx.ReferencesOf("agent/2")
		if strings.Join(to, " ") != "kb/2 kb/3" {
			t.Errorf("agent/2 refers to %v", to)
		}
		return err
	})
	b.update(t, func(tx *store.Tx) error { return tx.Forget("agent/1") })
	check("")
}

func testTokens(t *testing.T, b *bench) {
	type request struct{ Name string }
	runs := 0
	call := func(token store.Token, req request, fail error) (string, error) {
		var out string
		err := b.Update(t.Context(), func(tx *store.Tx) (err error) {
			out, err = store.Idempotent(tx, token, req, func() (string, error) {
				runs++
				return fmt.Sprint("result ", runs), fail
			})
			return err
		})
		return out, err
	}
	token := store.Token{Account: "1", Region: "r", Operation: "CreateThing", Value: "tok"}
	boom := errors.New("boom")
	if _, err := call(token, request{"a"}, boom); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := call(token, request{"a"}, nil); err != nil || got != "result 2" {
			t.Fatalf("got %q, %v; want the stored first result", got, err)
		}
	}
	_, err := call(token, request{"b"}, nil)
	wantErr(t, err, store.ErrTokenMismatch)
	other := []store.Token{token, token, token, token}
	other[0].Account, other[1].Region, other[2].Operation, other[3].Value = "2", "s", "DeleteThing", "tok2"
	for i, tok := range other {
		if got, err := call(tok, request{"b"}, nil); err != nil || got != fmt.Sprint("result ", i+3) {
			t.Errorf("token %+v: %q, %v; want a run of its own", tok, got, err)
		}
	}
	before := runs
	for range 2 {
		if _, err := call(store.Token{Operation: "CreateThing"}, request{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if runs != before+2 {
		t.Error("calls without a token were taken for one")
	}
	b.advance(store.TokenLife - time.Microsecond)
	if got, _ := call(token, request{"a"}, nil); got != "result 2" {
		t.Errorf("just before the end of its life the token gives %q", got)
	}
	b.advance(time.Microsecond)
	if got, err := call(token, request{"other"}, nil); err != nil || got == "result 2" {
		t.Errorf("an expired token gives %q, %v", got, err)
	}
	for _, want := range []int64{3, 1, 0} { // of the four other tokens; the renewed one stays
		b.update(t, func(tx *store.Tx) error {
			n, err := tx.SweepTokens(3)
			if n != want {
				t.Errorf("swept %d tokens, want %d", n, want)
			}
			return err
		})
	}
	_, err = call(token, request{"a"}, nil)
	wantErr(t, err, store.ErrTokenMismatch)
}

func testCounters(t *testing.T, b *bench) {
	wake, end := b.Subscribe("counter.x")
	defer end()
	b.update(t, func(tx *store.Tx) error {
		_, err := tx.Advance("x")
		select {
		case <-wake:
			t.Error("woken before the commit")
		default:
		}
		return err
	})
	select {
	case <-wake:
	case <-time.After(5 * time.Second):
		t.Error("not woken after the commit")
	}
	b.view(t, func(tx *store.Tx) error {
		n, err := tx.Counter("x")
		m, err2 := tx.Counter("never")
		us, err3 := tx.Clock()
		if n != 1 || m != 0 {
			t.Errorf("counters %d and %d, want 1 and 0", n, m)
		}
		if d := time.Since(time.UnixMicro(us)); d.Abs() > time.Minute {
			t.Errorf("the lease clock is off by %v", d)
		}
		return errors.Join(err, err2, err3)
	})
}
