package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mrand "math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// Config says what a runner runs. Store and Kinds are required.
type Config struct {
	Store *store.Store
	Kinds []Kind
	// Owner names this process in leases; empty means host, process id and a random part.
	Owner string
	// Slots is how many jobs run at once; 0 means 16.
	Slots int
	// Lease and Heartbeat are 15 s and 5 s when 0. A heartbeat is at most a third of
	// the lease, so that one that fails is made up for.
	Lease, Heartbeat time.Duration
	// Poll is how often other replicas' jobs are looked for; 0 means 1 s.
	Poll time.Duration
	// Retain is how long finished jobs can be read; 0 means 7 days.
	Retain time.Duration
	Logger *slog.Logger
}

// Runner takes jobs from the store and runs them.
type Runner struct {
	Config
	queue queue
	kinds map[string]Kind
	log   *slog.Logger
}

// New checks a configuration and answers a runner for it.
func New(c Config) (*Runner, error) {
	if c.Store == nil {
		return nil, errors.New("job: Config.Store is required")
	}
	return newRunner(c, &table{c.Store})
}

func newRunner(c Config, q queue) (*Runner, error) {
	host, _ := os.Hostname() // only a name for people
	c.Owner = cmp.Or(c.Owner, fmt.Sprintf("%s/%d/%s", host, os.Getpid(), strings.ToLower(rand.Text()[:6])))
	c.Slots = cmp.Or(c.Slots, 16)
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 5*time.Second)
	c.Poll = cmp.Or(c.Poll, time.Second)
	c.Retain = cmp.Or(c.Retain, 7*24*time.Hour)
	if c.Heartbeat*3 > c.Lease {
		return nil, fmt.Errorf("job: heartbeat %v is more than a third of the lease %v", c.Heartbeat, c.Lease)
	}
	r := &Runner{Config: c, queue: q, kinds: map[string]Kind{}, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler))}
	for _, k := range c.Kinds {
		if k.Name == "" || k.Run == nil {
			return nil, fmt.Errorf("job: kind %q needs a name and a Run", k.Name)
		}
		if _, twice := r.kinds[k.Name]; twice {
			return nil, fmt.Errorf("job: kind %q is registered twice", k.Name)
		}
		k.Limit = cmp.Or(k.Limit, c.Slots)
		k.MaxAttempts = cmp.Or(k.MaxAttempts, 5)
		if k.Backoff == nil {
			k.Backoff = backoff
		}
		if k.Done == nil {
			k.Done = func(*store.Tx, Job, State, error) error { return nil }
		}
		r.kinds[k.Name] = k
	}
	return r, nil
}

// backoff doubles from one second to five minutes, give or take a tenth.
func backoff(attempt int) time.Duration {
	s := math.Min(math.Pow(2, float64(attempt-1)), 300)
	return time.Duration(s * (0.9 + 0.2*mrand.Float64()) * float64(time.Second))
}

// running is what the loop keeps of a job that runs.
type running struct {
	kind string
	poke chan struct{} // one slot: look for a stop now
}

// Run takes up jobs until ctx ends. It then cancels what runs with ErrShutdown,
// waits until all of it has returned and is given back, and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	fresh, stop, end := r.queue.subscribe()
	defer end()
	if len(r.kinds) == 0 {
		<-ctx.Done()
		return nil
	}
	n, err := r.queue.free(ctx, true)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if n > 0 {
		r.log.InfoContext(ctx, "jobs of an ended process go on", "jobs", n)
	}
	// By run and not by job: a job whose lease was lost may begin again here while
	// the run that lost it still winds down.
	active := map[*running]bool{}
	ended := make(chan *running)
	defer func() {
		for len(active) > 0 {
			delete(active, <-ended)
		}
	}()
	sweep := time.NewTimer(time.Minute)
	defer sweep.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-ended:
			delete(active, a)
		case <-fresh:
		case <-stop:
			for a := range active {
				select {
				case a.poke <- struct{}{}:
				default:
				}
			}
			continue
		case <-sweep.C:
			if err := r.queue.sweep(ctx, r.Retain); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "old jobs stay", "error", err)
			}
			sweep.Reset(time.Hour)
			continue
		case <-look.C:
		}
		look.Reset(r.fill(ctx, active, ended))
	}
}

// fill takes up as many jobs as there is room for and answers when to look again.
func (r *Runner) fill(ctx context.Context, active map[*running]bool, ended chan<- *running) time.Duration {
	if _, err := r.queue.free(ctx, false); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "jobs of dead owners stay", "error", err)
		return r.Poll
	}
	for {
		if ctx.Err() != nil { // do not take up again what the shutdown gives back
			return r.Poll
		}
		busy := map[string]int{}
		for a := range active {
			busy[a.kind]++
		}
		// Kinds that share a bound are claimed together; a kind near its own limit is
		// claimed alone, so that it cannot take more than that.
		room := r.Slots - len(active)
		if room <= 0 {
			return time.Hour // until a slot is free
		}
		var open []string
		groups := map[string]int{}
		for name, k := range r.kinds {
			switch left := k.Limit - busy[name]; {
			case left <= 0:
			case left < room:
				groups[name] = left
			default:
				open = append(open, name)
			}
		}
		next, again := r.Poll, false
		if r.queue.alone() { // nobody else enqueues: wake-ups and due times tell all
			next = time.Minute
		}
		take := func(kinds []string, n int) bool {
			jobs, wait, err := r.queue.claim(ctx, r.Owner, kinds, n, r.Lease)
			if err != nil {
				if ctx.Err() == nil {
					r.log.WarnContext(ctx, "no jobs can be taken up", "error", err)
				}
				return false
			}
			for _, h := range jobs {
				a := &running{kind: h.Kind, poke: make(chan struct{}, 1)}
				active[a] = true
				go func() { r.work(ctx, h, a.poke); ended <- a }()
			}
			again = again || len(jobs) > 0
			if wait >= 0 {
				next = min(next, wait)
			}
			return true
		}
		if len(open) > 0 && !take(open, room) {
			return r.Poll
		}
		for name, left := range groups {
			if left = min(left, r.Slots-len(active)); left > 0 && !take([]string{name}, left) {
				return r.Poll
			}
		}
		if !again {
			return max(next, time.Millisecond)
		}
	}
}

// work runs one job to an outcome and writes it.
func (r *Runner) work(ctx context.Context, h *Handle, poke <-chan struct{}) {
	k := r.kinds[h.Kind]
	if h.MaxAttempts == 0 {
		h.MaxAttempts = k.MaxAttempts
	}
	h.Log = r.log.With("job", h.ID, "kind", h.Kind)
	// The work's context does not hang on ctx directly: its cause must tell a
	// shutdown from a stop.
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(ErrShutdown) })()
	if h.Stop {
		cancel(ErrStopped)
	}
	over, beaten := make(chan struct{}), make(chan struct{})
	leased := h.Job // checkpoints write to the handle meanwhile
	go func() { defer close(beaten); r.heartbeat(run, cancel, leased, poke, over) }()
	defer func() { close(over); <-beaten }()

	var err error
	switch {
	case h.Stop:
		err = ErrStopped
	case h.Attempt > h.MaxAttempts:
		err = Discard(ErrTooManyAttempts)
	case h.failed != nil:
		err = fmt.Errorf("open the job: %w", h.failed)
	default:
		err = call(run, k.Run, h)
	}
	o, ok := judge(k, h.Job, err, context.Cause(run))
	if !ok {
		h.Log.WarnContext(ctx, "another runner has the job; this run's end is not written")
		return
	}
	r.finish(ctx, k, h, o)
}

// call turns a panic into an error, so that one bad job does not end the server.
func call(ctx context.Context, run func(context.Context, *Handle) error, h *Handle) (err error) {
	defer func() {
		if v := recover(); v != nil {
			h.Log.ErrorContext(ctx, "job panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return run(ctx, h)
}

// heartbeat renews the lease until over closes, also while work that was told to
// stop takes its time: without a lease another runner would begin beside it. It ends
// the work with the reason when a stop was asked for or the lease is gone.
func (r *Runner) heartbeat(ctx context.Context, cancel context.CancelCauseFunc, j Job, poke, over <-chan struct{}) {
	tick := time.NewTicker(r.Heartbeat)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		case <-poke:
		}
		limit, end := context.WithTimeout(context.WithoutCancel(ctx), r.Lease)
		stop, err := r.queue.beat(limit, j, r.Lease)
		end()
		switch {
		case err == nil:
			renewed = time.Now()
		case errors.Is(err, ErrLost):
			cancel(ErrLost)
			return
		case !r.queue.alone() && time.Since(renewed) > r.Lease:
			// The database cannot be reached and another replica may have the job by now.
			cancel(ErrLost)
			return
		default:
			r.log.WarnContext(ctx, "lease not renewed", "job", j.ID, "error", err)
		}
		if stop {
			cancel(ErrStopped)
		}
	}
}

// finish writes the end of a run, again and again while the disk or the database
// refuses: the work is done, and only this process knows. At shutdown it gives up
// soon; the next process then goes on from the last checkpoint.
func (r *Runner) finish(ctx context.Context, k Kind, h *Handle, o outcome) {
	for attempt := 1; ; attempt++ {
		limit, end := context.WithTimeout(context.WithoutCancel(ctx), r.Lease)
		err := r.queue.finish(limit, h.Job, o, func(tx *store.Tx, state State) error {
			if err := k.Done(tx, h.Job, state, o.err); err != nil || !k.Forget || state != Completed {
				return err
			}
			return forget(tx, h.ID)
		})
		end()
		switch {
		case err == nil:
			if o.err != nil {
				h.Log.InfoContext(ctx, "job did not complete", "event", o.event, "attempt", h.Attempt, "error", o.err)
			}
			return
		case errors.Is(err, ErrLost):
			h.Log.WarnContext(ctx, "another runner has the job; this run's end is not written")
			return
		}
		h.Log.ErrorContext(ctx, "end of job not written", "event", o.event, "error", err)
		if ctx.Err() != nil && attempt >= 3 {
			return
		}
		time.Sleep(min(50*time.Millisecond<<min(attempt, 10), r.Heartbeat))
	}
}
