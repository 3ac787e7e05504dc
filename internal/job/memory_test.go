package job

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// memory is the queue in memory, with the same rules as the table, for tests of
// timers in virtual time.
type memory struct {
	mu      sync.Mutex
	jobs    map[string]*row
	single  bool          // one process, as SQLite
	broken  error         // every call fails with it
	fresh   chan struct{} // wake-ups
	stops   chan struct{}
	beats   int
	sweeps  int
	history []string
}

type row struct {
	Job
	lease  time.Time
	cursor []byte
}

var _ queue = (*memory)(nil)

func newMemory() *memory {
	return &memory{jobs: map[string]*row{}, fresh: make(chan struct{}, 1), stops: make(chan struct{}, 1)}
}

func (m *memory) add(id, kind string, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[id] = &row{Job: Job{ID: id, Kind: kind, State: Available, Scheduled: time.Now().Add(after)}}
	wake(m.fresh)
}

func (m *memory) stop(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[id].Stop = true
	m.jobs[id].Scheduled = time.Now()
	wake(m.fresh)
	wake(m.stops)
}

func (m *memory) state(id string) State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.jobs[id].State
}

func (m *memory) breakWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (m *memory) alone() bool { return m.single }

func (m *memory) free(_ context.Context, first bool) (n int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.single && !first {
		return 0, m.broken
	}
	for _, j := range m.jobs {
		if j.State == Running && (m.single || j.lease.Before(time.Now())) {
			j.State, j.Scheduled = Available, time.Now()
			n++
		}
	}
	return n, m.broken
}

func (m *memory) claim(_ context.Context, owner string, kinds []string, n int, lease time.Duration) (out []*Handle, wait time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, -1, m.broken
	}
	wait = -1
	for _, j := range m.jobs {
		if (j.State != Available && j.State != Retryable) || !slices.Contains(kinds, j.Kind) {
			continue
		}
		if left := time.Until(j.Scheduled); left > 0 {
			if wait < 0 || left < wait {
				wait = left
			}
			continue
		}
		if len(out) < n {
			j.State, j.owner, j.lease = Running, owner, time.Now().Add(lease)
			j.fence++
			j.Attempt++
			out = append(out, &Handle{Job: j.Job, queue: m, now: j.cursor, plain: []byte("null")})
			m.history = append(m.history, "claim "+j.ID)
		}
	}
	return out, wait, nil
}

func (m *memory) held(j Job) (*row, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	r := m.jobs[j.ID]
	if r == nil || r.State != Running || r.fence != j.fence {
		return nil, ErrLost
	}
	return r, nil
}

func (m *memory) beat(_ context.Context, j Job, lease time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beats++
	r, err := m.held(j)
	if err != nil {
		return false, err
	}
	r.lease = time.Now().Add(lease)
	return r.Stop, nil
}

func (m *memory) checkpoint(_ context.Context, j Job, cursor []byte, progress bool, fn func(*store.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.held(j)
	if err != nil {
		return err
	}
	if fn != nil {
		if err := fn(nil); err != nil {
			return err
		}
	}
	if r.cursor = cursor; progress {
		r.Attempt = 1
	}
	return nil
}

func (m *memory) finish(_ context.Context, j Job, o outcome, done func(*store.Tx, State) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.held(j)
	if err != nil {
		return err
	}
	to, err := Lifecycle.Next(Running, o.event)
	if err != nil {
		return err
	}
	if Lifecycle.Final(to) {
		if err := done(nil, to); err != nil {
			return err
		}
	}
	if r.State, r.Scheduled = to, time.Now().Add(o.wait); o.keep {
		r.Attempt--
	}
	m.history = append(m.history, string(o.event)+" "+j.ID)
	wake(m.fresh)
	return nil
}

func (m *memory) sweep(context.Context, time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweeps++
	return m.broken
}

func (m *memory) subscribe() (fresh, stop <-chan struct{}, end func()) {
	return m.fresh, m.stops, func() {}
}

// in runs a runner over q in a bubble of virtual time; the returned function ends
// it and waits.
func in(t *testing.T, q *memory, c Config) (end func()) {
	t.Helper()
	r, err := newRunner(c, q)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestRetriesBackOffAndGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, start := newMemory(), time.Now()
		var at []time.Duration
		var final State
		end := in(t, q, Config{Kinds: []Kind{{
			Name: "k", MaxAttempts: 4,
			Backoff: func(n int) time.Duration { return time.Hour << (n - 1) },
			Run: func(context.Context, *Handle) error {
				at = append(at, time.Since(start))
				return errors.New("no")
			},
			Done: func(_ *store.Tx, _ Job, s State, _ error) error { final = s; return nil },
		}}})
		q.add("a", "k", 10*time.Minute)
		time.Sleep(48 * time.Hour)
		end()
		m := 10 * time.Minute
		if d := cmp.Diff([]time.Duration{m, m + time.Hour, m + 3*time.Hour, m + 7*time.Hour}, at); d != "" {
			t.Errorf("attempts at (-want +got):\n%s", d)
		}
		if final != Discarded || q.state("a") != Discarded {
			t.Errorf("ended %s, Done saw %q; want discarded", q.state("a"), final)
		}
	})
}

func TestDefaultBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: 256 * time.Second, 10: 300 * time.Second, 5000: 300 * time.Second} {
		for range 50 {
			if got := backoff(attempt); got < want*9/10 || got > want*11/10 {
				t.Errorf("backoff(%d) = %v, want %v give or take a tenth", attempt, got, want)
			}
		}
	}
}

func TestLeaseIsRenewedWhileWorkLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		runs := 0
		kinds := []Kind{{Name: "k", Run: func(context.Context, *Handle) error {
			runs++
			time.Sleep(10 * time.Hour)
			return nil
		}}}
		end, end2 := in(t, q, Config{Kinds: kinds, Owner: "one"}), in(t, q, Config{Kinds: kinds, Owner: "two"})
		q.add("a", "k", 0)
		time.Sleep(11 * time.Hour)
		end()
		end2()
		if runs != 1 || q.state("a") != Completed {
			t.Errorf("%d runs, state %s; want one run by one of two runners", runs, q.state("a"))
		}
		if want := int(10 * time.Hour / (5 * time.Second)); q.beats < want-1 || q.beats > want+1 {
			t.Errorf("%d heartbeats in ten hours, want about %d", q.beats, want)
		}
	})
}

func TestExpiredLeaseGoesToAnotherRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		// The dead owner: claimed and never heard of again.
		q.add("a", "k", 0)
		dead, _, err := q.claim(t.Context(), "dead", []string{"k"}, 1, 15*time.Second)
		if err != nil || len(dead) != 1 {
			t.Fatal(err)
		}
		start, took := time.Now(), time.Duration(0)
		end := in(t, q, Config{Kinds: []Kind{{Name: "k", Run: func(context.Context, *Handle) error { took = time.Since(start); return nil }}}})
		time.Sleep(time.Minute)
		end()
		if took < 15*time.Second || took > 17*time.Second {
			t.Errorf("taken over after %v, want just after the lease of 15 s", took)
		}
		if err := dead[0].Checkpoint(t.Context(), 1, nil); !errors.Is(err, ErrLost) {
			t.Errorf("the dead owner's checkpoint: %v, want ErrLost", err)
		}
	})
}

func TestUnreachableDatabaseEndsTheWorkOfAReplica(t *testing.T) {
	for _, single := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			q := newMemory()
			q.single = single
			var cause error
			var lasted time.Duration
			end := in(t, q, Config{Kinds: []Kind{{Name: "k", Run: func(ctx context.Context, _ *Handle) error {
				began := time.Now()
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				cause, lasted = context.Cause(ctx), time.Since(began)
				return context.Cause(ctx)
			}}}})
			q.add("a", "k", 0)
			time.Sleep(time.Second)
			q.breakWith(errors.New("no route to host"))
			time.Sleep(2 * time.Hour)
			q.breakWith(nil)
			time.Sleep(time.Minute)
			if single {
				// Nobody else can have it: the work goes on and its end is written later.
				if cause != nil || q.state("a") != Completed {
					t.Errorf("alone: cause %v, state %s; want the end to be written when the disk is back", cause, q.state("a"))
				}
			} else if !errors.Is(cause, ErrLost) || lasted > 30*time.Second {
				t.Errorf("replica: cause %v after %v; want ErrLost soon after the lease", cause, lasted)
			}
			end()
		})
	}
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		causes := map[string]error{}
		var final []State
		end := in(t, q, Config{Kinds: []Kind{{
			Name: "k",
			Run: func(ctx context.Context, h *Handle) error {
				<-ctx.Done()
				causes[h.ID] = context.Cause(ctx)
				time.Sleep(time.Minute) // longer than a lease: cleaning up
				return ctx.Err()
			},
			Done: func(_ *store.Tx, _ Job, s State, _ error) error { final = append(final, s); return nil },
		}}})
		q.add("running", "k", 0)
		q.add("waiting", "k", 24*time.Hour)
		time.Sleep(time.Second)
		q.stop("running")
		q.stop("waiting")
		time.Sleep(100 * time.Millisecond)
		if q.state("waiting") != Cancelled {
			t.Errorf("a waiting job is %s after Stop", q.state("waiting"))
		}
		time.Sleep(30 * time.Second)
		if q.state("running") != Running {
			t.Errorf("while it cleans up the job is %s: another runner could begin", q.state("running"))
		}
		time.Sleep(time.Minute)
		if q.state("running") != Cancelled || !errors.Is(causes["running"], ErrStopped) {
			t.Errorf("state %s, cause %v; want cancelled by ErrStopped", q.state("running"), causes["running"])
		}
		if _, ran := causes["waiting"]; ran {
			t.Error("a waiting job ran to be stopped")
		}
		if d := cmp.Diff([]State{Cancelled, Cancelled}, final); d != "" {
			t.Errorf("Done: %s", d)
		}
		end()
	})
}

func TestStopIsSeenByHeartbeatWithoutAWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		end := in(t, q, Config{Kinds: []Kind{{Name: "k", Run: func(ctx context.Context, _ *Handle) error { <-ctx.Done(); return ctx.Err() }}}})
		q.add("a", "k", 0)
		time.Sleep(time.Second)
		q.mu.Lock()
		q.jobs["a"].Stop = true // another replica's Stop
		q.mu.Unlock()
		time.Sleep(6 * time.Second)
		if q.state("a") != Cancelled {
			t.Errorf("state %s one heartbeat after the stop", q.state("a"))
		}
		end()
	})
}

func TestShutdownGivesJobsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var cause error
		runs := 0
		kinds := []Kind{{Name: "k", Run: func(ctx context.Context, h *Handle) error {
			runs++
			var at int
			if found, err := h.Cursor(&at); found {
				if at != 7 {
					t.Errorf("cursor %d, %v", at, err)
				}
				return nil
			}
			if err := h.Checkpoint(ctx, 7, nil); err != nil {
				return err
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}}}
		end := in(t, q, Config{Kinds: kinds})
		q.add("a", "k", 0)
		time.Sleep(time.Second)
		end() // returns only when the work has
		if !errors.Is(cause, ErrShutdown) || q.state("a") != Available || q.jobs["a"].Attempt != 0 {
			t.Errorf("cause %v, state %s, attempt %d; want it given back uncounted", cause, q.state("a"), q.jobs["a"].Attempt)
		}
		end = in(t, q, Config{Kinds: kinds})
		time.Sleep(time.Second)
		end()
		if runs != 2 || q.state("a") != Completed {
			t.Errorf("%d runs, %s", runs, q.state("a"))
		}
	})
}

func TestSnoozeDiscardPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		runs := map[string]int{}
		causes := map[string]error{}
		boom := errors.New("boom")
		end := in(t, q, Config{Slots: 1, Kinds: []Kind{{
			Name: "k", MaxAttempts: 2,
			Run: func(_ context.Context, h *Handle) error {
				runs[h.ID]++
				switch h.ID {
				case "snooze":
					if runs[h.ID] < 5 { // more often than attempts allow
						return Snooze(time.Hour)
					}
				case "discard":
					return Discard(boom)
				case "panic":
					panic("at the disco")
				}
				return nil
			},
			Done: func(_ *store.Tx, j Job, _ State, cause error) error { causes[j.ID] = cause; return nil },
		}}})
		for _, id := range []string{"snooze", "discard", "panic"} {
			q.add(id, "k", 0)
		}
		time.Sleep(5 * time.Hour)
		end()
		for id, want := range map[string]struct {
			runs  int
			state State
		}{"snooze": {5, Completed}, "discard": {1, Discarded}, "panic": {2, Discarded}} {
			if runs[id] != want.runs || q.state(id) != want.state {
				t.Errorf("%s: %d runs, %s; want %d, %s", id, runs[id], q.state(id), want.runs, want.state)
			}
		}
		if !errors.Is(causes["discard"], boom) || causes["panic"] == nil || causes["snooze"] != nil {
			t.Errorf("causes: %v", causes)
		}
	})
}

func TestProgressResetsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		end := in(t, q, Config{Kinds: []Kind{{
			Name: "k", MaxAttempts: 2, Backoff: func(int) time.Duration { return time.Second },
			Run: func(ctx context.Context, h *Handle) error {
				var at int
				if _, err := h.Cursor(&at); err != nil {
					return err
				}
				if at == 9 {
					return nil
				}
				if h.ID == "stuck" {
					at = -1 // the same cursor again is no progress
				}
				if err := h.Checkpoint(ctx, at+1, nil); err != nil {
					return err
				}
				return errors.New("fails after each step")
			},
		}}})
		q.add("moves", "k", 0)
		q.add("stuck", "k", 0)
		time.Sleep(time.Hour)
		end()
		if q.state("moves") != Completed || q.state("stuck") != Discarded {
			t.Errorf("moving job %s, stuck job %s", q.state("moves"), q.state("stuck"))
		}
	})
}

func TestSlotsAndLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var mu sync.Mutex
		now, most := map[string]int{}, map[string]int{}
		run := func(_ context.Context, h *Handle) error {
			mu.Lock()
			now[h.Kind]++
			now["all"]++
			most[h.Kind], most["all"] = max(most[h.Kind], now[h.Kind]), max(most["all"], now["all"])
			mu.Unlock()
			time.Sleep(time.Minute)
			mu.Lock()
			now[h.Kind]--
			now["all"]--
			mu.Unlock()
			return nil
		}
		end := in(t, q, Config{Slots: 4, Kinds: []Kind{{Name: "narrow", Limit: 1, Run: run}, {Name: "wide", Run: run}}})
		for i := range 10 {
			q.add("n"+string(rune('0'+i)), "narrow", 0)
			q.add("w"+string(rune('0'+i)), "wide", 0)
		}
		time.Sleep(20 * time.Minute)
		end()
		if most["narrow"] != 1 || most["all"] != 4 || most["wide"] < 3 {
			t.Errorf("at most at once: %v; want narrow 1, all 4", most)
		}
		for id, j := range q.jobs {
			if j.State != Completed {
				t.Errorf("%s is %s", id, j.State)
			}
		}
	})
}

func TestUnwrittenEndIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		q.single = true
		var refuse atomic.Bool
		refuse.Store(true)
		end := in(t, q, Config{Kinds: []Kind{{
			Name: "k", Run: func(context.Context, *Handle) error { return nil },
			Done: func(*store.Tx, Job, State, error) error {
				if refuse.Load() {
					return errors.New("disk full")
				}
				return nil
			},
		}}})
		q.add("a", "k", 0)
		time.Sleep(time.Minute)
		if q.state("a") != Running {
			t.Errorf("state %s although the end could not be written", q.state("a"))
		}
		refuse.Store(false)
		time.Sleep(time.Minute)
		if q.state("a") != Completed {
			t.Errorf("state %s after the disk has room again", q.state("a"))
		}
		end()
	})
}

func TestTooManyCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		q.add("a", "k", 0)
		for range 3 { // three processes die with it
			if _, _, err := q.claim(t.Context(), "dead", []string{"k"}, 1, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if n, err := q.free(t.Context(), false); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		ran := false
		var cause error
		end := in(t, q, Config{Kinds: []Kind{{
			Name: "k", MaxAttempts: 3, Run: func(context.Context, *Handle) error { ran = true; return nil },
			Done: func(_ *store.Tx, _ Job, _ State, err error) error { cause = err; return nil },
		}}})
		time.Sleep(time.Second)
		end()
		if ran || q.state("a") != Discarded || !errors.Is(cause, ErrTooManyAttempts) {
			t.Errorf("ran %v, state %s, cause %v", ran, q.state("a"), cause)
		}
	})
}

func TestSweepEachHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		end := in(t, q, Config{Kinds: []Kind{{Name: "k", Run: func(context.Context, *Handle) error { return nil }}}})
		time.Sleep(24*time.Hour + 2*time.Minute)
		end()
		if q.sweeps != 25 {
			t.Errorf("%d sweeps in a day, want 25", q.sweeps)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	run := func(context.Context, *Handle) error { return nil }
	for name, c := range map[string]Config{
		"no run":    {Kinds: []Kind{{Name: "k"}}},
		"no name":   {Kinds: []Kind{{Run: run}}},
		"twice":     {Kinds: []Kind{{Name: "k", Run: run}, {Name: "k", Run: run}}},
		"heartbeat": {Lease: time.Second, Heartbeat: time.Second / 2},
	} {
		if _, err := newRunner(c, newMemory()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no store: no error")
	}
}

func TestLifecycleIsDrawn(t *testing.T) {
	got := Lifecycle.Mermaid()
	if d := cmp.Diff(`stateDiagram-v2
    [*] --> available
    available --> running: claim
    running --> completed: complete
    running --> retryable: fail
    running --> discarded: give up
    running --> cancelled: cancel
    running --> available: snooze
    running --> available: release
    retryable --> running: claim
    completed --> [*]
    discarded --> [*]
    cancelled --> [*]
`, got); d != "" {
		t.Error(d)
	}
}
