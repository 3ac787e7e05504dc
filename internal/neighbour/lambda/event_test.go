package lambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/job"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

type invoker func(context.Context, fn.Invocation) (*fn.Result, error)

func (f invoker) Invoke(ctx context.Context, in fn.Invocation) (*fn.Result, error) { return f(ctx, in) }

// work runs the queue of a store in a process of its own, until the returned
// function ends it. Start it in the bubble.
func work(t testing.TB, c EventsConfig) (*Events, func()) {
	t.Helper()
	e, err := NewEvents(c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := job.New(job.Config{Store: c.Store, Kinds: []job.Kind{e.Kind()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return e, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func send(t testing.TB, e *Events, payload string) {
	t.Helper()
	err := e.Accept(t.Context(), fn.Delivery{Accepted: time.Now(), Invocation: fn.Invocation{FunctionARN: testARN, Payload: []byte(payload), RequestID: "id-" + payload}})
	if err != nil {
		t.Fatal(err)
	}
}

// waiting counts the events that are not at their end.
func waiting(t testing.TB, s *store.Store) (n int) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM job WHERE kind = ? AND finished = 0`, []any{EventKind}, &n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	failed = &fn.Result{FunctionError: fn.UnhandledError, Payload: []byte(`{"errorType":"E","errorMessage":"m"}`)}
	busy   = &fn.Error{Kind: fn.TooMany}
)

// The plan of attempts, in hours that pass in no time, on the job table.
func TestEventsAreTriedAsAWSDoes(t *testing.T) {
	set := func(retries, age int) fn.Retry { return eventConfig{Retries: &retries, Age: &age}.retry() }
	for _, c := range []struct {
		name     string
		plan     fn.Retry // of the function's settings
		house    fn.Retry // of the server's
		answer   func(n int) (*fn.Result, error)
		calls    int
		took     time.Duration
		attempts int // of the delivery that is given up; -1 for none that reached the function, 0 for not given up
	}{
		{"at once", fn.Retry{}, fn.Retry{}, func(int) (*fn.Result, error) { return &fn.Result{}, nil }, 1, 0, 0},
		{"at the second try", fn.Retry{}, fn.Retry{}, func(n int) (*fn.Result, error) {
			if n == 1 {
				return failed, nil
			}
			return &fn.Result{}, nil
		}, 2, time.Minute, 0},
		{"never", fn.Retry{}, fn.Retry{}, func(int) (*fn.Result, error) { return failed, nil }, 3, 3 * time.Minute, 3},
		{"never, in a hurry", fn.Retry{}, fn.Retry{Delays: []time.Duration{time.Second, 2 * time.Second}}, func(int) (*fn.Result, error) { return failed, nil }, 3, 3 * time.Second, 3},
		{"after being refused", fn.Retry{}, fn.Retry{}, func(n int) (*fn.Result, error) {
			if n <= 3 {
				return nil, busy
			}
			return &fn.Result{}, nil
		}, 4, 7 * time.Second, 0},
		{"refused between failures", fn.Retry{}, fn.Retry{}, func(n int) (*fn.Result, error) {
			if n%2 == 0 {
				return nil, busy
			}
			return failed, nil
		}, 5, time.Minute + time.Second + 2*time.Minute + time.Second, 3},
		{"deleted", fn.Retry{}, fn.Retry{}, func(int) (*fn.Result, error) { return nil, fn.ErrNotFound(testARN) }, 1, 0, -1},
		{"no retries", set(0, 21600), fn.Retry{}, func(int) (*fn.Result, error) { return failed, nil }, 1, 0, 1},
		{"one retry", set(1, 21600), fn.Retry{}, func(int) (*fn.Result, error) { return failed, nil }, 2, time.Minute, 2},
		{"too old for the third", set(2, 150), fn.Retry{}, func(int) (*fn.Result, error) { return failed, nil }, 2, time.Minute, 2},
		{"refused for hours", fn.Retry{}, fn.Retry{}, func(int) (*fn.Result, error) { return nil, busy }, 0, 6 * time.Hour, -1},
		{"refused for two minutes", set(2, 120), fn.Retry{}, func(int) (*fn.Result, error) { return nil, busy }, 0, 2 * time.Minute, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storetest.New(t)
				calls, given := 0, 0
				var last time.Time
				e, end := work(t, EventsConfig{
					Store: s, Retry: c.house,
					Plan: func(_ context.Context, arn string) (fn.Retry, error) {
						if arn != testARN {
							t.Errorf("the plan of %s is asked for", arn)
						}
						return c.plan, nil
					},
					Invoker: invoker(func(context.Context, fn.Invocation) (*fn.Result, error) {
						calls++
						last = time.Now()
						return c.answer(calls)
					}),
					GivenUp: func(d fn.Delivery, _ *fn.Result, _ error) {
						if given = d.Attempt; given == 0 {
							given = -1
						}
					},
				})
				from := time.Now()
				send(t, e, `"x"`)
				time.Sleep(7 * time.Hour)
				took := last.Sub(from).Truncate(time.Second)
				switch {
				case c.calls == 0: // doubling waits of up to five minutes
					if calls < 5 || took > c.took || took < c.took/2 {
						t.Errorf("%d calls in %v of %v", calls, took, c.took)
					}
				case calls != c.calls || took != c.took:
					t.Errorf("%d calls, the last after %v; want %d, %v", calls, took, c.calls, c.took)
				}
				if given != c.attempts {
					t.Errorf("given up after %d attempts, want %d", given, c.attempts)
				}
				if n := waiting(t, s); n != 0 {
					t.Errorf("%d events wait", n)
				}
				end()
			})
		})
	}
}

// An event is what it was after a stop in the middle of its plan: its attempts are
// counted on, and its next one does not come early.
func TestAnEventGoesOnInTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		var at []time.Duration
		var seen []fn.Invocation
		from := time.Now()
		c := EventsConfig{Store: s, Invoker: invoker(func(_ context.Context, in fn.Invocation) (*fn.Result, error) {
			at = append(at, time.Since(from).Truncate(time.Second))
			seen = append(seen, in)
			return failed, nil
		})}
		e, end := work(t, c)
		in := fn.Invocation{FunctionARN: testARN + ":live", Payload: []byte(`{ "a" : "<&>" }`), ClientContext: []byte(`{"custom":1}`), TraceID: "Root=1-1-1", RequestID: "the-id"}
		for range 2 { // the second is the same event
			if err := e.Accept(t.Context(), fn.Delivery{Accepted: time.Now(), Invocation: in}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		end()
		time.Sleep(10 * time.Second)
		_, end = work(t, c)
		time.Sleep(30 * time.Second)
		end()
		time.Sleep(time.Hour)
		_, end = work(t, c)
		time.Sleep(time.Hour)
		end()
		if want := []time.Duration{0, 3650 * time.Second, 3770 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		in.Type = fn.RequestResponse
		for _, got := range seen {
			if diff := cmp.Diff(in, got); diff != "" {
				t.Error(diff)
			}
		}
		if n := waiting(t, s); n != 0 {
			t.Errorf("%d events wait", n)
		}
	})
}

// An event that waited through a long stop is not run when it is too old.
func TestAnOldEventIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		e, err := NewEvents(EventsConfig{Store: s, Invoker: invoker(nil)})
		if err != nil {
			t.Fatal(err)
		}
		send(t, e, `1`)
		time.Sleep(7 * time.Hour)
		var why error
		_, end := work(t, EventsConfig{
			Store:   s,
			Invoker: invoker(func(context.Context, fn.Invocation) (*fn.Result, error) { t.Error("it is run"); return nil, nil }),
			GivenUp: func(_ fn.Delivery, _ *fn.Result, err error) { why = err },
		})
		time.Sleep(time.Minute)
		end()
		if why == nil || waiting(t, s) != 0 {
			t.Errorf("given up: %v", why)
		}
	})
}

// A stop lets attempts end that are quick about it, and leaves the others to the
// next process, once.
func TestAStopLetsAttemptsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		ended := map[string]int{}
		var mu sync.Mutex
		c := EventsConfig{Store: s, Grace: 5 * time.Second, Invoker: invoker(func(ctx context.Context, in fn.Invocation) (*fn.Result, error) {
			var d time.Duration
			_, _ = fmt.Sscanf(string(in.Payload), "%d", &d)
			select {
			case <-time.After(d * time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			ended[string(in.Payload)]++
			return &fn.Result{}, nil
		})}
		e, end := work(t, c)
		send(t, e, `4`)
		send(t, e, `20`)
		time.Sleep(time.Second)
		stopped := time.Now()
		end()
		if took := time.Since(stopped); took != 5*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if diff := cmp.Diff(map[string]int{"4": 1}, ended); diff != "" {
			t.Error(diff)
		}
		_, end = work(t, c)
		time.Sleep(time.Minute)
		end()
		if diff := cmp.Diff(map[string]int{"4": 1, "20": 1}, ended); diff != "" || waiting(t, s) != 0 {
			t.Errorf("%s%d wait", diff, waiting(t, s))
		}
	})
}

// An attempt that fails while the server stops is counted, and the next one waits
// its time in the next process.
func TestAFailureDuringAStopIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		from := time.Now()
		var at []time.Duration
		c := EventsConfig{Store: s, Plan: func(context.Context, string) (fn.Retry, error) { return fn.Retry{Most: 1}, nil }, Invoker: invoker(func(context.Context, fn.Invocation) (*fn.Result, error) {
			at = append(at, time.Since(from).Truncate(time.Second))
			time.Sleep(3 * time.Second)
			return failed, nil
		})}
		e, end := work(t, c)
		send(t, e, `1`)
		time.Sleep(time.Second)
		end()
		_, end = work(t, c)
		time.Sleep(time.Hour)
		end()
		if want := []time.Duration{0, 63 * time.Second}; !slices.Equal(at, want) || waiting(t, s) != 0 {
			t.Errorf("attempts at %v, want %v; %d wait", at, want, waiting(t, s))
		}
	})
}

// An attempt that ends with its process is made again; one that ends it each time
// is given up.
func TestAnAttemptThatEndsTheProcessIsBounded(t *testing.T) {
	s := storetest.New(t)
	calls := 0
	e, err := NewEvents(EventsConfig{Store: s, Invoker: invoker(func(context.Context, fn.Invocation) (*fn.Result, error) { calls++; return &fn.Result{}, nil })})
	if err != nil {
		t.Fatal(err)
	}
	crash := func(n int) { // what a claim leaves behind whose process was killed
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE job SET state = 'running', owner = 'dead', fence = fence + 1, attempt = ?, lease_until = 1`, n)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	finish := func() {
		_, end := work(t, e.c)
		defer end()
		for deadline := time.Now().Add(20 * time.Second); waiting(t, s) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the event stays")
			}
		}
	}
	send(t, e, `1`)
	crash(mostCrashes - 1)
	finish()
	if calls != 1 {
		t.Errorf("%d calls after the last crash that is borne", calls)
	}
	send(t, e, `2`)
	crash(mostCrashes)
	finish()
	if calls != 1 {
		t.Errorf("an event that ended %d processes was run again", mostCrashes)
	}
}

// Many at once: each is run once, and no more side by side than may be.
func TestManyEvents(t *testing.T) {
	s := storetest.New(t)
	var mu sync.Mutex
	seen := map[string]int{}
	now, most := 0, 0
	e, end := work(t, EventsConfig{Store: s, Invoker: invoker(func(_ context.Context, in fn.Invocation) (*fn.Result, error) {
		mu.Lock()
		now++
		most = max(most, now)
		seen[string(in.Payload)]++
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return &fn.Result{}, nil
	})})
	defer end()
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() { send(t, e, fmt.Sprint(n)) })
	}
	wg.Wait()
	for deadline := time.Now().Add(60 * time.Second); waiting(t, s) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events wait", waiting(t, s))
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for n := range 200 {
		if seen[fmt.Sprint(n)] != 1 {
			t.Errorf("event %d was run %d times", n, seen[fmt.Sprint(n)])
		}
	}
	if most > eventsAtOnce || most < 2 {
		t.Errorf("%d at once", most)
	}
	var rows int
	err := s.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM job`, nil, &rows) })
	if err != nil || rows != 0 {
		t.Errorf("%d rows of done events are left, %v", rows, err)
	}
}

func TestAStoreThatTakesNothingIsSaid(t *testing.T) {
	s := storetest.New(t)
	e, err := NewEvents(EventsConfig{Store: s, Invoker: invoker(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err = e.Accept(t.Context(), fn.Delivery{Invocation: fn.Invocation{FunctionARN: testARN, RequestID: "x"}})
	if f, ok := errors.AsType[*fn.Error](err); !ok || f.Kind != fn.Service {
		t.Errorf("got %v", err)
	}
	if err := e.Accept(t.Context(), fn.Delivery{}); err == nil {
		t.Error("an event for no function is taken")
	}
}

func BenchmarkAcceptAndRunAnEvent(b *testing.B) {
	s := storetest.New(b)
	ran := make(chan struct{}, 1)
	e, end := work(b, EventsConfig{Store: s, Invoker: invoker(func(context.Context, fn.Invocation) (*fn.Result, error) {
		ran <- struct{}{}
		return &fn.Result{}, nil
	})})
	defer end()
	n := 0
	for b.Loop() {
		n++
		send(b, e, fmt.Sprint(n))
		<-ran
	}
}
