package conversation

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// house is a database and a service clock, and whoever works on it.
type house struct {
	store *store.Store
	mu    sync.Mutex
	at    time.Time
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func newHouse() *house { return &house{at: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)} }

func TestOnSQLite(t *testing.T) {
	suite(t, func(t *testing.T) *house {
		h := newHouse()
		h.store = storetest.NewAt(t, h.now)
		return h
	})
}

func TestOnPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	suite(t, func(t *testing.T) *house {
		h := newHouse()
		d, err := postgres.Open(t.Context(), postgres.Config{DSN: storetest.NewDatabase(t, server)})
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := store.OpenLocalSealer(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if h.store, err = store.Open(t.Context(), store.Config{Driver: d, Sealer: sealer, Now: h.now, Hot: Statements()}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.store.Close() })
		return h
	})
}

func suite(t *testing.T, open func(*testing.T) *house) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"a turn finds what the one before left", testTurns},
		{"a session has one turn at a time", testBusy},
		{"of many that begin at once one wins", testRace},
		{"the try of a call that runs waits for its answer", testEnter},
		{"a turn of a dead process goes on after its last result", testResume},
		{"a step without a result fails the turn and is never repeated", testUnsure},
		{"another request gives an interrupted turn up", testGiveUp},
		{"a request that is answered once is answered the same", testOnce},
		{"an attempt that comes again is answered the same", testCall},
		{"a stopped turn goes on, one without a step is forgotten", testStop},
		{"many sessions at once disturb each other in nothing", testMany},
		{"a turn that was taken over writes nothing", testLost},
		{"a session ends when it was idle for its time", testExpiry},
		{"the sweep ends what is over and tells its owner", testSweep},
		{"an owner who is deleted takes the sessions along", testForget},
		{"accounts, Regions, owners and aliases do not meet", testScope},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

var alice = Key{"123456789012", "us-east-1", "AGENT00001", "TSTALIASID", "alice"}

func ask(request string) Opening {
	return Opening{Key: alice, TTL: 10 * time.Minute, Request: request}
}

func begin(t *testing.T, s *Sessions, o Opening) *Turn {
	t.Helper()
	turn, record, err := s.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if record != nil {
		t.Fatalf("answered %q, want a turn", record)
	}
	return turn
}

func finish(t *testing.T, turn *Turn, state, record string) {
	t.Helper()
	if err := turn.Finish(t.Context(), []byte(state), []byte(record)); err != nil {
		t.Fatal(err)
	}
}

func step(t *testing.T, turn *Turn, intent, result string) {
	t.Helper()
	n, err := turn.Intent(t.Context(), []byte(intent))
	if err != nil {
		t.Fatal(err)
	}
	if result == "" {
		return
	}
	if err := turn.Result(t.Context(), n, []byte(result)); err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func testTurns(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	turn := begin(t, s, ask("one"))
	if !turn.Session.Fresh || turn.Number != 1 {
		t.Fatalf("first turn: %+v", turn)
	}
	step(t, turn, "call", "answer")
	finish(t, turn, "s1", "r1")
	for i, want := range []struct{ state, record string }{{"s1", "r1"}, {"s2", "r2"}} {
		turn = begin(t, s, ask("next"))
		if turn.Session.Fresh || turn.Resumed || string(turn.Session.State) != want.state || turn.Number != int64(i+2) {
			t.Fatalf("turn %d: %+v", i+2, turn)
		}
		if got := string(turn.Session.History[i]); got != want.record || len(turn.Session.History) != i+1 {
			t.Fatalf("history of turn %d: %q", i+2, turn.Session.History)
		}
		finish(t, turn, fmt.Sprintf("s%d", i+2), fmt.Sprintf("r%d", i+2))
	}
	o := ask("last")
	o.History = 2
	turn = begin(t, s, o)
	if got := fmt.Sprintf("%s", turn.Session.History); got != "[r2 r3]" {
		t.Fatalf("newest two: %s", got)
	}
	finish(t, turn, "", "")
}

func testEnter(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	o := ask("one")
	o.Call = "call-1"
	turn, record, leave, err := s.Enter(t.Context(), o)
	if err != nil || record != nil {
		t.Fatal(record, err)
	}
	other := o
	other.Call = "call-2"
	_, _, _, err = s.Enter(t.Context(), other)
	is(t, err, ErrBusy)
	other.Call = ""
	_, _, _, err = s.Enter(t.Context(), other)
	is(t, err, ErrBusy)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err = s.Enter(impatient, o)
	is(t, err, context.Canceled)
	type answer struct {
		record []byte
		err    error
	}
	again := make(chan answer, 1)
	go func() {
		_, record, leave, err := s.Enter(t.Context(), o)
		if err == nil {
			leave()
		}
		again <- answer{record, err}
	}()
	select {
	case a := <-again:
		t.Fatalf("it did not wait: %q %v", a.record, a.err)
	case <-time.After(30 * time.Millisecond):
	}
	finish(t, turn, "state", "said")
	leave()
	if a := <-again; a.err != nil || string(a.record) != "said" {
		t.Errorf("the second try was told %q, %v", a.record, a.err)
	}
	// One that fails to begin leaves the session free.
	held := begin(t, s, ask("elsewhere"))
	o.Call = "call-3"
	_, _, _, err = s.Enter(t.Context(), o)
	is(t, err, ErrBusy)
	finish(t, held, "", "")
	o.Call = "call-4"
	turn, _, leave, err = s.Enter(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, turn, "", "")
	leave()
}

func testBusy(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	turn := begin(t, s, ask("one"))
	_, _, err := s.Begin(t.Context(), ask("two"))
	is(t, err, ErrBusy)
	_, _, err = s.Begin(t.Context(), ask("one"))
	is(t, err, ErrBusy)
	is(t, s.End(t.Context(), alice), ErrBusy)
	finish(t, turn, "", "")
	if err := turn.Result(t.Context(), 1, nil); err == nil {
		t.Fatal("a turn that has ended took a result")
	}
	finish(t, begin(t, s, ask("two")), "", "")
}

func testRace(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	var won, busy int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			turn, _, err := s.Begin(t.Context(), ask("x"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
				t.Cleanup(func() { _ = turn.Close(t.Context()) })
				turn.quiet()
			case errors.Is(err, ErrBusy) || errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrExists):
				busy++
			default:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	all.Wait()
	if won != 1 || busy != 7 {
		t.Fatalf("%d began, %d were refused", won, busy)
	}
}

// dead is a process that began turns and is gone.
func dead(h *house) *Sessions {
	return New(Config{Store: h.store, Holder: "dead", Lease: time.Microsecond})
}

func die(turn *Turn) { turn.quiet(); time.Sleep(2 * time.Millisecond) }

func testResume(t *testing.T, h *house) {
	turn := begin(t, dead(h), ask("one"))
	step(t, turn, "call 1", "answer 1")
	step(t, turn, "call 2", "answer 2")
	die(turn)
	s := New(Config{Store: h.store})
	turn = begin(t, s, ask("one"))
	want := []Step{{1, []byte("call 1"), []byte("answer 1")}, {2, []byte("call 2"), []byte("answer 2")}}
	if d := cmp.Diff(want, turn.Steps); d != "" || !turn.Resumed || turn.Number != 1 {
		t.Fatalf("resumed %v:\n%s", turn.Resumed, d)
	}
	step(t, turn, "call 3", "answer 3")
	finish(t, turn, "s", "r")
	turn = begin(t, s, ask("one"))
	if turn.Resumed || len(turn.Steps) != 0 || turn.Number != 2 {
		t.Fatalf("after the end: %+v", turn)
	}
	finish(t, turn, "", "")
}

func testUnsure(t *testing.T, h *house) {
	first := begin(t, dead(h), ask("zero"))
	finish(t, first, "before", "r")
	o := ask("one")
	o.Once = true
	turn := begin(t, dead(h), o)
	step(t, turn, "call 1", "answer 1")
	step(t, turn, "call 2", "")
	die(turn)
	s := New(Config{Store: h.store})
	_, _, err := s.Begin(t.Context(), o)
	is(t, err, ErrUnsure)
	for range 2 { // the request has had its answer
		_, _, err = s.Begin(t.Context(), o)
		if _, ok := errors.AsType[*FailedError](err); !ok {
			t.Fatalf("asked again: %v", err)
		}
	}
	turn = begin(t, s, ask("two"))
	if string(turn.Session.State) != "before" || len(turn.Session.History) != 1 || turn.Number != 3 {
		t.Fatalf("after the failed turn: %+v", turn)
	}
	finish(t, turn, "", "")
}

func testGiveUp(t *testing.T, h *house) {
	turn := begin(t, dead(h), ask("one"))
	step(t, turn, "call", "")
	die(turn)
	s := New(Config{Store: h.store})
	turn = begin(t, s, ask("two"))
	if turn.Resumed || len(turn.Steps) != 0 {
		t.Fatalf("%+v", turn)
	}
	step(t, turn, "other", "answer") // the number of the old step is free again
	finish(t, turn, "", "")
}

func testOnce(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	o := ask("invocation 1")
	o.Once = true
	finish(t, begin(t, s, o), "s", "the answer")
	finish(t, begin(t, s, ask("other")), "s", "x")
	for range 2 {
		turn, record, err := s.Begin(t.Context(), o)
		if err != nil || turn != nil || string(record) != "the answer" {
			t.Fatalf("%v %q %v", turn, record, err)
		}
	}
	o.Request = "invocation 2"
	turn := begin(t, s, o)
	if err := turn.Fail(t.Context(), []byte("why")); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Begin(t.Context(), o)
	if f, ok := errors.AsType[*FailedError](err); !ok || string(f.Record) != "why" {
		t.Fatalf("%v", err)
	}
}

func testCall(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	o := ask("yes")
	o.Call = "call 1"
	finish(t, begin(t, s, o), "s", "the answer")
	_, record, err := s.Begin(t.Context(), o) // the client did not get it
	if err != nil || string(record) != "the answer" {
		t.Fatalf("%q %v", record, err)
	}
	o.Call = "call 2" // the user says it again
	finish(t, begin(t, s, o), "s", "another")
	o.Request, o.Once, o.Call = "yes", true, "call 3"
	if _, record, err = s.Begin(t.Context(), o); err != nil || string(record) != "another" {
		t.Fatalf("%q %v", record, err)
	}
}

func testStop(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	turn := begin(t, s, ask("one"))
	if err := turn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn = begin(t, s, ask("one"))
	if turn.Resumed {
		t.Fatal("a turn without a step was resumed")
	}
	step(t, turn, "call", "answer")
	if err := turn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := turn.Close(t.Context()); err != nil {
		t.Fatal("second close:", err)
	}
	turn = begin(t, s, ask("one"))
	if !turn.Resumed || len(turn.Steps) != 1 {
		t.Fatalf("%+v", turn)
	}
	finish(t, turn, "", "")
}

// Writes share commits: one that is refused must not take its neighbours along, and
// what was answered must be there.
func testMany(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	taken := ask("held")
	taken.Key.ID = "taken"
	held := begin(t, s, taken)
	const n = 40
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			o := ask("x")
			o.Key.ID = fmt.Sprintf("many-%d", i)
			if i%5 == 0 {
				if _, _, err := s.Begin(t.Context(), taken); !errors.Is(err, ErrBusy) {
					t.Errorf("a busy session: %v", err)
				}
			}
			turn, _, err := s.Begin(t.Context(), o)
			if err != nil {
				t.Errorf("begin %d: %v", i, err)
				return
			}
			k, err := turn.Intent(t.Context(), []byte("i"))
			if err == nil {
				err = turn.Result(t.Context(), k, []byte("r"))
			}
			if err == nil && i%2 == 0 {
				err = turn.Finish(t.Context(), []byte(fmt.Sprint(i)), []byte("said"))
			} else if err == nil {
				err = turn.Stop(t.Context())
			}
			if err != nil {
				t.Errorf("turn %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i := range n {
		o := ask("x")
		o.Key.ID = fmt.Sprintf("many-%d", i)
		turn := begin(t, s, o)
		if i%2 == 0 && string(turn.Session.State) != fmt.Sprint(i) || i%2 == 1 && (!turn.Resumed || len(turn.Steps) != 1) {
			t.Errorf("session %d: %+v", i, turn)
		}
		if err := turn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	finish(t, held, "", "")
}

func testLost(t *testing.T, h *house) {
	old := begin(t, dead(h), ask("one"))
	step(t, old, "call", "answer")
	n, err := old.Intent(t.Context(), []byte("late"))
	if err != nil {
		t.Fatal(err)
	}
	die(old)
	s := New(Config{Store: h.store})
	turn := begin(t, s, ask("two"))
	is(t, old.Result(t.Context(), n, []byte("x")), ErrLost)
	_, err = old.Intent(t.Context(), []byte("x"))
	is(t, err, ErrLost)
	is(t, old.Finish(t.Context(), nil, nil), ErrLost)
	is(t, old.Stop(t.Context()), ErrLost)
	finish(t, turn, "kept", "r")
	turn = begin(t, s, ask("three"))
	if string(turn.Session.State) != "kept" {
		t.Fatalf("state %q", turn.Session.State)
	}
	finish(t, turn, "", "")
}

func testExpiry(t *testing.T, h *house) {
	var told []Ended
	s := New(Config{Store: h.store, Ended: func(_ *store.Tx, e *Ended) error {
		told = append(told, Ended{Key: e.Key, Memory: e.Memory, At: e.At})
		return nil
	}})
	o := ask("one")
	o.Memory = "alice's"
	finish(t, begin(t, s, o), "s", "r")
	h.pass(9 * time.Minute)
	finish(t, begin(t, s, ask("two")), "s2", "r2") // the time starts anew
	h.pass(9 * time.Minute)
	turn := begin(t, s, ask("three"))
	if turn.Session.Fresh || turn.Session.Memory != "alice's" {
		t.Fatalf("%+v", turn.Session)
	}
	finish(t, turn, "s3", "r3")
	over := h.now().Add(10 * time.Minute)
	h.pass(11 * time.Minute)
	turn = begin(t, s, ask("four"))
	if !turn.Session.Fresh || turn.Session.State != nil || len(turn.Session.History) != 0 {
		t.Fatalf("after its time: %+v", turn.Session)
	}
	finish(t, turn, "", "")
	if len(told) != 1 || !told[0].At.Equal(over) || told[0].Key != alice || told[0].Memory != "alice's" {
		t.Fatalf("told %+v, want the end at %v", told, over)
	}
}

func testSweep(t *testing.T, h *house) {
	var told []string
	fail := errors.New("no")
	var broken error
	s := New(Config{Store: h.store, Ended: func(_ *store.Tx, e *Ended) error {
		if e.ID == "s7" && broken != nil {
			return broken
		}
		records, err := e.Records()
		told = append(told, fmt.Sprintf("%s %s", e.ID, records))
		return err
	}})
	const n = sweepBatch + 5
	for i := range n {
		o := ask("x")
		o.Key.ID = fmt.Sprintf("s%d", i)
		finish(t, begin(t, s, o), "s", "said")
	}
	running := begin(t, s, ask("runs"))
	h.pass(11 * time.Minute)
	broken = fail
	if got, err := s.Sweep(t.Context()); err != nil || got != n-1 {
		t.Fatalf("swept %d, %v; want %d", got, err, n-1)
	}
	broken = nil
	if got, err := s.Sweep(t.Context()); err != nil || got != 1 {
		t.Fatalf("second sweep: %d, %v", got, err)
	}
	if len(told) != n || told[n-1] != "s7 [said]" {
		t.Fatalf("%d were told, last %q", len(told), told[len(told)-1])
	}
	finish(t, running, "still", "there")
	for _, table := range []string{"conversation", "conversation_turn", "conversation_step"} {
		if c := count(t, h, table); c > 1 {
			t.Errorf("%d rows left in %s", c, table)
		}
	}
}

func count(t *testing.T, h *house, table string) (n int) {
	t.Helper()
	err := h.store.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM `+table, nil, &n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testForget(t *testing.T, h *house) {
	s := New(Config{Store: h.store, Ended: func(*store.Tx, *Ended) error { t.Error("told of a session that was forgotten"); return nil }})
	for _, alias := range []string{"A", "B"} {
		o := ask("x")
		o.Key.Alias = alias
		turn := begin(t, s, o)
		step(t, turn, "a", "b")
		finish(t, turn, "s", "r")
		turn = begin(t, s, o)
		step(t, turn, "a", "b")
		if err := turn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		alias string
		left  int
	}{{"A", 1}, {"", 0}} {
		err := h.store.Update(t.Context(), func(tx *store.Tx) error { return Forget(tx, alice.Account, alice.Region, alice.Owner, c.alias) })
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"conversation", "conversation_turn", "conversation_step"} {
			if got := count(t, h, table); got != c.left {
				t.Errorf("%d rows left in %s, want %d", got, table, c.left)
			}
		}
	}
}

func testScope(t *testing.T, h *house) {
	s := New(Config{Store: h.store})
	keys := []Key{alice, alice, alice, alice, alice, alice}
	keys[1].Account, keys[2].Region, keys[3].Owner, keys[4].Alias, keys[5].ID = "210987654321", "eu-west-1", "AGENT00002", "OTHERALIAS", "bob"
	for i, k := range keys {
		o := ask("x")
		o.Key = k
		turn := begin(t, s, o)
		if !turn.Session.Fresh {
			t.Errorf("session %d is another's", i)
		}
		finish(t, turn, fmt.Sprint(i), "r")
	}
	for i, k := range keys {
		o := ask("y")
		o.Key = k
		turn := begin(t, s, o)
		if got := string(turn.Session.State); got != fmt.Sprint(i) {
			t.Errorf("session %d has state %s", i, got)
		}
		if err := turn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.End(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
}

// A session that nobody talks to costs no memory at all.
func TestIdleSessionsLieOnDiskOnly(t *testing.T) {
	h := newHouse()
	h.store = storetest.NewAt(t, h.now)
	s := New(Config{Store: h.store})
	open := func(n, from int) {
		for i := range n {
			o := ask("x")
			o.Key.ID = fmt.Sprintf("idle-%d", from+i)
			finish(t, begin(t, s, o), "state", string(make([]byte, 4096)))
		}
	}
	open(50, 0) // warm
	before := heap()
	const n = 500
	open(n, 1000)
	if each := (heap() - before) / n; each > 1000 {
		t.Fatalf("an idle session costs %d bytes of memory", each)
	}
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkTurnWithOneStep(b *testing.B) {
	h := newHouse()
	h.store = storetest.NewAt(b, h.now)
	s := New(Config{Store: h.store})
	for b.Loop() {
		turn, _, err := s.Begin(b.Context(), Opening{Key: alice, TTL: time.Hour, Request: "x", History: 10})
		if err != nil {
			b.Fatal(err)
		}
		n, err := turn.Intent(b.Context(), make([]byte, 2000))
		if err != nil {
			b.Fatal(err)
		}
		if err := turn.Result(b.Context(), n, make([]byte, 2000)); err != nil {
			b.Fatal(err)
		}
		if err := turn.Finish(b.Context(), make([]byte, 500), make([]byte, 2000)); err != nil {
			b.Fatal(err)
		}
	}
}
