package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// These tests run on both databases, with real time and short leases.

func TestOnSQLite(t *testing.T) {
	suite(t, func(t *testing.T) func() *store.Store {
		dir := t.TempDir()
		return func() *store.Store { return storetest.OpenDir(t, dir, nil) }
	})
}

func TestOnPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	suite(t, func(t *testing.T) func() *store.Store {
		dsn, keys := storetest.NewDatabase(t, server), t.TempDir()
		return func() *store.Store {
			d, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
			if err != nil {
				t.Fatal(err)
			}
			sealer, err := store.OpenLocalSealer(keys)
			if err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), store.Config{Driver: d, Sealer: sealer})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}

func suite(t *testing.T, newDatabase func(*testing.T) (open func() *store.Store)) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, func() *store.Store)
	}{
		{"a job runs after its transaction and only then", testCommit},
		{"a unique key holds while the job is not finished", testUnique},
		{"done commits with the end of the job", testDone},
		{"records are written once however often the work crashes", testRecords},
		{"a stale fence writes nothing", testFence},
		{"stop ends waiting and running jobs", testStopTable},
		{"jobs of a dead process go on", testDeadProcess},
		{"two runners share jobs and run each once", testShare},
		{"what a job holds is sealed", testSealed},
		{"old jobs are swept", testSweep},
		{"a kind forgets what it completed", testForget},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newDatabase(t)) })
	}
}

func enqueue(t *testing.T, s *store.Store, spec Spec) string {
	t.Helper()
	var id string
	err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
		id, _, err = Enqueue(tx, spec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func read(t *testing.T, s *store.Store, id string) (j Job, failure string) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) (err error) {
		if j, err = Get(tx, id); err == nil {
			failure, err = j.Failure(tx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, failure
}

// start runs a runner with short times; end stops it and waits.
func start(t *testing.T, s *store.Store, kinds ...Kind) (end func()) {
	t.Helper()
	r, err := New(Config{Store: s, Kinds: kinds, Lease: 600 * time.Millisecond, Heartbeat: 100 * time.Millisecond, Poll: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(end)
	return end
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: did not happen in 15 s", what)
		}
	}
}

func finished(t *testing.T, s *store.Store, id string, want State) {
	t.Helper()
	var j Job
	eventually(t, "end of job "+id, func() bool { j, _ = read(t, s, id); return !j.Finished.IsZero() })
	if j.State != want {
		_, failure := read(t, s, id)
		t.Fatalf("job ended %s (%s), want %s", j.State, failure, want)
	}
}

func testCommit(t *testing.T, open func() *store.Store) {
	s := open()
	ran := make(chan string, 10)
	start(t, s, Kind{Name: "k", Run: func(_ context.Context, h *Handle) error {
		var args struct{ Text string }
		err := h.Args(&args)
		ran <- args.Text
		return err
	}})
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if _, _, err := Enqueue(tx, Spec{Kind: "k", Args: map[string]string{"Text": "rolled back"}}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	began := time.Now()
	id := enqueue(t, s, Spec{Kind: "k", Account: "1", Region: "r", Args: map[string]string{"Text": "committed"}})
	if got := <-ran; got != "committed" {
		t.Errorf("ran %q", got)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("from commit to start: %v", d)
	}
	finished(t, s, id, Completed)
	if j, failure := read(t, s, id); j.Attempt != 1 || failure != "" || j.Account != "1" || j.Region != "r" {
		t.Errorf("job %+v, failure %q", j, failure)
	}
	later := enqueue(t, s, Spec{Kind: "k", Delay: 300 * time.Millisecond, Args: map[string]string{"Text": "later"}})
	began = time.Now()
	if got := <-ran; got != "later" || time.Since(began) < 200*time.Millisecond {
		t.Errorf("ran %q after %v, want it put off by 300 ms", got, time.Since(began))
	}
	finished(t, s, later, Completed)
	err = s.Update(t.Context(), func(tx *store.Tx) error { _, _, err := Enqueue(tx, Spec{Kind: "k", ID: id}); return err })
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("an id a second time: %v", err)
	}
	err = s.View(t.Context(), func(tx *store.Tx) error { _, err := Get(tx, "none"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
}

func testUnique(t *testing.T, open func() *store.Store) {
	s := open()
	try := func(spec Spec) (id string, fresh bool) {
		t.Helper()
		err := s.Update(t.Context(), func(tx *store.Tx) (err error) { id, fresh, err = Enqueue(tx, spec); return err })
		if err != nil {
			t.Fatal(err)
		}
		return id, fresh
	}
	spec := Spec{Kind: "k", Account: "1", Region: "r", Unique: "u"}
	first, fresh := try(spec)
	if again, f := try(spec); again != first || f || !fresh {
		t.Errorf("second enqueue: %s fresh %v, want the first %s", again, f, first)
	}
	other := spec
	other.Account = "2"
	if id, f := try(other); id == first || !f {
		t.Error("another account shares the key")
	}
	start(t, s, Kind{Name: "k", Run: func(context.Context, *Handle) error { return nil }})
	finished(t, s, first, Completed)
	if id, f := try(spec); id == first || !f {
		t.Error("a finished job still holds its key")
	}
}

type status struct{ Text string }

var resources = store.Kind[status]{Name: "resource"}

func testDone(t *testing.T, open func() *store.Store) {
	s := open()
	key := store.Key{Account: "1", Region: "r", ID: "x"}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := resources.Create(tx, key, status{}, store.Columns{Status: "InProgress"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	failures := 2
	start(t, s, Kind{
		Name: "k", MaxAttempts: 2, Backoff: func(int) time.Duration { return time.Millisecond },
		Run: func(context.Context, *Handle) error { return errors.New("the model is gone") },
		Done: func(tx *store.Tx, j Job, state State, cause error) error {
			if err := resources.SetStatus(tx, key, string(state)+": "+cause.Error()); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if failures--; failures >= 0 {
				return errors.New("not yet") // what was written above must not stay
			}
			return nil
		},
	})
	id := enqueue(t, s, Spec{Kind: "k"})
	check := func() string {
		var rec store.Record[status]
		var j Job
		err := s.View(t.Context(), func(tx *store.Tx) (err error) { // one instant
			if rec, err = resources.Head(tx, key); err == nil {
				j, err = Get(tx, id)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if j.Finished.IsZero() != (rec.Status == "InProgress") {
			t.Errorf("job %s, resource %s: not one transaction", j.State, rec.Status)
		}
		return rec.Status
	}
	eventually(t, "end", func() bool { return check() != "InProgress" })
	if got := check(); got != "discarded: the model is gone" {
		t.Errorf("status %q", got)
	}
	if j, failure := read(t, s, id); failure != "the model is gone" || j.Attempt != 2 {
		t.Errorf("failure %q after %d attempts", failure, j.Attempt)
	}
}

// testRecords crashes a job of 40 records at every kind of place and looks at what
// it wrote in the end.
func testRecords(t *testing.T, open func() *store.Store) {
	s := open()
	const total = 40
	crashes := 0
	start(t, s, Kind{
		Name: "k", MaxAttempts: 3, Backoff: func(int) time.Duration { return 0 },
		Run: func(ctx context.Context, h *Handle) error {
			next := 0
			if _, err := h.Cursor(&next); err != nil {
				return err
			}
			for next < total {
				end := min(next+4, total)
				err := h.Checkpoint(ctx, end, func(tx *store.Tx) error {
					for i := max(0, next-1); i < end; i++ { // one too early: a repeated name
						fresh, err := h.Record(tx, fmt.Sprintf("%03d", i), map[string]int{"n": i, "attempt": h.Attempt})
						if err != nil {
							return err
						}
						if fresh == (i < next) {
							return fmt.Errorf("record %d fresh: %v", i, fresh)
						}
					}
					if crashes++; crashes%3 == 0 {
						panic("in the middle of the transaction")
					}
					return nil
				})
				if err != nil {
					return err
				}
				if next = end; crashes%2 == 0 {
					return errors.New("after the transaction")
				}
			}
			return nil
		},
	})
	id := enqueue(t, s, Spec{Kind: "k"})
	finished(t, s, id, Completed)
	if crashes <= total/4 {
		t.Fatalf("only %d transactions: nothing crashed", crashes)
	}
	var names []string
	err := s.View(t.Context(), func(tx *store.Tx) error {
		return Records(tx, id, func(name string, body []byte) error {
			names = append(names, name)
			var v map[string]int
			if err := json.Unmarshal(body, &v); err != nil || fmt.Sprintf("%03d", v["n"]) != name {
				t.Errorf("record %s holds %s", name, body)
			}
			return nil
		})
	})
	if err != nil || len(names) != total || !slices.IsSorted(names) {
		t.Errorf("%d records, %v", len(names), err)
	}
}

func testFence(t *testing.T, open func() *store.Store) {
	s := open()
	q := &table{s}
	id := enqueue(t, s, Spec{Kind: "k"})
	claim := func(owner string) *Handle {
		t.Helper()
		jobs, _, err := q.claim(t.Context(), owner, []string{"k"}, 1, time.Millisecond)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("claim: %d jobs, %v", len(jobs), err)
		}
		return jobs[0]
	}
	old := claim("old")
	if jobs, wait, err := q.claim(t.Context(), "thief", []string{"k"}, 1, time.Second); len(jobs) > 0 || wait >= 0 || err != nil {
		t.Fatalf("a running job was claimed again: %v, %v, %v", jobs, wait, err)
	}
	time.Sleep(10 * time.Millisecond)
	if n, err := q.free(t.Context(), true); n != 1 || err != nil {
		t.Fatalf("freed %d, %v", n, err)
	}
	fresh := claim("new")
	write := func(h *Handle) error {
		return h.Checkpoint(t.Context(), 1, func(tx *store.Tx) error { _, err := h.Record(tx, "r", h.owner); return err })
	}
	if err := write(old); !errors.Is(err, ErrLost) {
		t.Errorf("checkpoint under the old fence: %v", err)
	}
	if _, err := q.beat(t.Context(), old.Job, time.Second); !errors.Is(err, ErrLost) {
		t.Errorf("heartbeat under the old fence: %v", err)
	}
	none := func(*store.Tx, State) error { t.Error("Done under the old fence"); return nil }
	if err := q.finish(t.Context(), old.Job, outcome{event: Complete}, none); !errors.Is(err, ErrLost) {
		t.Errorf("finish under the old fence: %v", err)
	}
	if err := write(fresh); err != nil {
		t.Fatal(err)
	}
	if err := q.finish(t.Context(), fresh.Job, outcome{event: Complete}, func(*store.Tx, State) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := write(fresh); !errors.Is(err, ErrLost) {
		t.Errorf("checkpoint of a finished job: %v", err)
	}
	err := s.View(t.Context(), func(tx *store.Tx) error {
		return Records(tx, id, func(_ string, body []byte) error {
			if string(body) != `"new"` {
				t.Errorf("record by %s", body)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testStopTable(t *testing.T, open func() *store.Store) {
	s := open()
	running := make(chan string, 4)
	start(t, s, Kind{Name: "k", Run: func(ctx context.Context, h *Handle) error {
		running <- h.ID
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	busy := enqueue(t, s, Spec{Kind: "k"})
	waiting := enqueue(t, s, Spec{Kind: "k", Delay: time.Hour})
	<-running
	stop := func(id string) (asked bool) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *store.Tx) (err error) { asked, err = Stop(tx, id); return err }); err != nil {
			t.Fatal(err)
		}
		return asked
	}
	for _, id := range []string{busy, waiting} {
		if !stop(id) {
			t.Errorf("stop of %s was not asked", id)
		}
		finished(t, s, id, Cancelled)
		if stop(id) {
			t.Errorf("a finished job was asked to stop")
		}
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := Stop(tx, "none"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stop of an unknown job: %v", err)
	}
	if len(running) > 0 {
		t.Error("a waiting job ran to be stopped")
	}
}

func testDeadProcess(t *testing.T, open func() *store.Store) {
	s := open()
	id := enqueue(t, s, Spec{Kind: "k"})
	q := &table{s}
	jobs, _, err := q.claim(t.Context(), "dead", []string{"k"}, 1, 700*time.Millisecond)
	if err != nil || len(jobs) != 1 {
		t.Fatal(err)
	}
	if err := jobs[0].Checkpoint(t.Context(), 41, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	began := time.Now()
	start(t, s, Kind{Name: "k", Run: func(_ context.Context, h *Handle) error {
		var at int
		if found, err := h.Cursor(&at); !found || at != 41 {
			t.Errorf("cursor %d, %v, %v", at, found, err)
		}
		return nil
	}})
	finished(t, s, id, Completed)
	took := time.Since(began)
	if s.Driver().Exclusive() && took > 500*time.Millisecond {
		t.Errorf("the only process waited %v for a lease of its predecessor", took)
	}
	if !s.Driver().Exclusive() && took < 300*time.Millisecond {
		t.Errorf("a replica took the job after %v, before its lease ran out", took)
	}
}

func testShare(t *testing.T, open func() *store.Store) {
	s := open()
	const total = 120
	var mu sync.Mutex
	runs, by := map[string]int{}, map[int]int{}
	kind := func(n int) Kind {
		return Kind{Name: "k", Limit: 4, Run: func(_ context.Context, h *Handle) error {
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			runs[h.ID]++
			by[n]++
			return nil
		}}
	}
	runners := 1
	if !s.Driver().Exclusive() {
		runners = 3
	}
	var ids []string
	for range total {
		ids = append(ids, enqueue(t, s, Spec{Kind: "k"}))
	}
	for n := range runners {
		start(t, s, kind(n))
	}
	for _, id := range ids {
		finished(t, s, id, Completed)
	}
	for _, id := range ids {
		if runs[id] != 1 {
			t.Errorf("job %s ran %d times", id, runs[id])
		}
	}
	if len(by) != runners {
		t.Errorf("%d of %d runners had work: %v", len(by), runners, by)
	}
}

func testSealed(t *testing.T, open func() *store.Store) {
	s := open()
	const secret = "the-secret-sentence"
	start(t, s, Kind{Name: "k", Run: func(ctx context.Context, h *Handle) error {
		err := h.Checkpoint(ctx, secret, func(tx *store.Tx) error { _, err := h.Record(tx, "r", secret); return err })
		return Discard(errors.Join(errors.New(secret), err))
	}})
	id := enqueue(t, s, Spec{Kind: "k", Args: secret})
	finished(t, s, id, Discarded)
	err := s.View(t.Context(), func(tx *store.Tx) error {
		var columns [4][]byte
		err := tx.QueryRow(`SELECT args, cursor, error, (SELECT body FROM job_record WHERE job_id = job.id) FROM job WHERE id = ?`,
			[]any{id}, &columns[0], &columns[1], &columns[2], &columns[3])
		for i, c := range columns {
			if len(c) == 0 || strings.Contains(string(c), secret) {
				t.Errorf("column %d holds %q", i, c)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, failure := read(t, s, id); failure != secret {
		t.Errorf("failure %q", failure)
	}
}

func testSweep(t *testing.T, open func() *store.Store) {
	s := open()
	q := &table{s}
	start(t, s, Kind{Name: "k", Run: func(ctx context.Context, h *Handle) error {
		return h.Checkpoint(ctx, 1, func(tx *store.Tx) error { _, err := h.Record(tx, "r", 1); return err })
	}})
	id := enqueue(t, s, Spec{Kind: "k"})
	waiting := enqueue(t, s, Spec{Kind: "k", Delay: time.Hour})
	finished(t, s, id, Completed)
	if err := q.sweep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	read(t, s, id) // still there
	if err := q.sweep(t.Context(), -time.Minute); err != nil {
		t.Fatal(err)
	}
	read(t, s, waiting)
	err := s.View(t.Context(), func(tx *store.Tx) error {
		var records int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM job_record`, nil, &records); err != nil {
			return err
		}
		if records != 0 {
			t.Errorf("%d records of a swept job are left", records)
		}
		_, err := Get(tx, id)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a swept job: %v", err)
	}
}

func testForget(t *testing.T, open func() *store.Store) {
	s := open()
	start(t, s, Kind{Name: "k", Forget: true, MaxAttempts: 1, Run: func(ctx context.Context, h *Handle) error {
		var bad bool
		if err := h.Args(&bad); err != nil || bad {
			return errors.Join(err, errors.New("on purpose"))
		}
		return h.Checkpoint(ctx, 1, func(tx *store.Tx) error { _, err := h.Record(tx, "r", 1); return err })
	}})
	good, bad := enqueue(t, s, Spec{Kind: "k", Args: false}), enqueue(t, s, Spec{Kind: "k", Args: true})
	finished(t, s, bad, Discarded)
	eventually(t, "the completed one is gone", func() bool {
		err := s.View(t.Context(), func(tx *store.Tx) error { _, err := Get(tx, good); return err })
		return errors.Is(err, store.ErrNotFound)
	})
}
