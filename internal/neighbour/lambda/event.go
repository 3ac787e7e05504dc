package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/job"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// EventsConfig of NewEvents. Store and Invoker are required.
type EventsConfig struct {
	Store   *store.Store
	Invoker fn.Invoker // runs the attempts
	// Plan is how often and how long events of a function are tried; nil: as Retry
	// says for all.
	Plan  func(ctx context.Context, functionARN string) (fn.Retry, error)
	Retry fn.Retry // what Plan leaves open; AWS's plan when zero
	// AtOnce bounds the attempts of this process side by side; default 12.
	AtOnce int
	// Grace is how long attempts go on after the server was told to stop; default 5 s.
	Grace time.Duration
	// GivenUp, when set, hears of each event that no attempt succeeded for.
	GivenUp func(fn.Delivery, *fn.Result, error)
	Logger  *slog.Logger
	Now     func() time.Time // wall clock, for the age of events
}

// Events is the queue of Event invocations on the job table: what was accepted is
// on disk, and is tried until an attempt succeeds or the plan is at its end, in
// the next process too.
//
// An attempt that ended with its process is made again and not counted: nobody
// knows what came of it. So a function sees an event at least once, and more than
// once only after a failure, an unclean end of the server, or a stop that lasted
// longer than the grace.
type Events struct{ c EventsConfig }

var _ fn.Queue = (*Events)(nil)

// NewEvents makes a queue; a job.Runner with its Kind works it off.
func NewEvents(c EventsConfig) (*Events, error) {
	if c.Store == nil || c.Invoker == nil {
		return nil, errors.New("lambda: EventsConfig.Store and Invoker are required")
	}
	c.AtOnce = cmp.Or(c.AtOnce, eventsAtOnce)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Events{c}, nil
}

const (
	// EventKind is the name of the jobs.
	EventKind = "lambda-event"

	eventsAtOnce = 12

	// An attempt that ended this often together with its process is suspected of
	// ending it.
	mostCrashes = 5
)

// event is what the table keeps of an invocation.
type event struct {
	ARN       string
	Payload   []byte `json:",omitempty"`
	Client    []byte `json:",omitempty"`
	TraceID   string `json:",omitempty"`
	RequestID string
	Accepted  time.Time
}

// tries is the cursor: what has become of an event so far.
type tries struct {
	Made    int       // attempts that reached the function
	Refused int       // in a row that did not
	Next    time.Time // not before
}

// Accept implements fn.Queue. An event with the request id of one that waits is
// that one.
func (e *Events) Accept(ctx context.Context, d fn.Delivery) error {
	in := &d.Invocation
	t, ok := targetOf(in.FunctionARN)
	if !ok {
		return &fn.Error{Kind: fn.InvalidValue, Message: fmt.Sprintf("%q is no function ARN", in.FunctionARN)}
	}
	spec := job.Spec{Kind: EventKind, ID: in.RequestID, Account: t.account, Region: t.region, Args: event{
		ARN: in.FunctionARN, Payload: in.Payload, Client: in.ClientContext, TraceID: in.TraceID, RequestID: in.RequestID, Accepted: d.Accepted,
	}}
	err := e.c.Store.Update(ctx, func(tx *store.Tx) error {
		_, _, err := job.Enqueue(tx, spec)
		return err
	})
	switch {
	case errors.Is(err, store.ErrExists):
		return nil
	case err != nil:
		return &fn.Error{Kind: fn.Service, Message: "The event could not be stored", Err: err}
	}
	return nil
}

// Kind is the work for a job.Runner.
func (e *Events) Kind() job.Kind { return EventJobs(func() *Events { return e }) }

// EventJobs is Kind for runners that are made before their Events. The queue is
// asked for when a job runs.
func EventJobs(queue func() *Events) job.Kind {
	return job.Kind{
		Name: EventKind, Limit: eventsAtOnce, MaxAttempts: mostCrashes, Forget: true,
		Run: func(ctx context.Context, h *job.Handle) error { return queue().deliver(ctx, h) },
		Done: func(_ *store.Tx, j job.Job, _ job.State, cause error) error {
			if errors.Is(cause, job.ErrTooManyAttempts) {
				queue().c.Logger.Error("event given up: the server ended during each of its attempts", "request", j.ID)
			}
			return nil
		},
	}
}

// deliver makes the next attempt of an event.
func (e *Events) deliver(ctx context.Context, h *job.Handle) error {
	var v event
	if err := h.Args(&v); err != nil {
		return job.Discard(err)
	}
	var at tries
	if _, err := h.Cursor(&at); err != nil {
		return job.Discard(err)
	}
	log := h.Log.With("function", v.ARN, "request", v.RequestID)
	if wait := at.Next.Sub(e.c.Now()); wait > 0 {
		return job.Snooze(wait) // a stop gave it back before its time
	}
	plan, err := e.plan(ctx, v.ARN)
	if err != nil {
		return err
	}
	d := fn.Delivery{Accepted: v.Accepted, Attempt: at.Made, Invocation: fn.Invocation{
		FunctionARN: v.ARN, Type: fn.RequestResponse, Payload: v.Payload, ClientContext: v.Client, TraceID: v.TraceID, RequestID: v.RequestID,
	}}
	if age := e.c.Now().Sub(v.Accepted); age > plan.MaxAge {
		return e.giveUp(log, d, nil, fmt.Errorf("it is %v old, the limit is %v", age.Round(time.Second), plan.MaxAge))
	}
	if h.Attempt > 1 {
		log.WarnContext(ctx, "an attempt of an event ended with its process; it is made again")
	}
	res, err := e.attempt(ctx, d.Invocation)
	if err != nil && ctx.Err() != nil {
		return err // it goes on in the next process
	}
	if err == nil {
		d.Attempt++
	}
	again, after := plan.Next(d, res, err, at.Refused, e.c.Now())
	at.Made = d.Attempt
	if at.Refused++; err == nil {
		at.Refused = 0
	}
	switch {
	case again:
		at.Next = e.c.Now().Add(after)
		log.InfoContext(ctx, "event will be tried again", "attempts", d.Attempt, "after", after, "error", reason(res, err))
		// The attempt is over and must be counted, whatever ends meanwhile.
		if err := h.Checkpoint(context.WithoutCancel(ctx), at, nil); err != nil {
			return err
		}
		return job.Snooze(after)
	case err != nil || res.FunctionError != "":
		return e.giveUp(log, d, res, reason(res, err))
	}
	return nil
}

func (e *Events) plan(ctx context.Context, arn string) (fn.Retry, error) {
	var p fn.Retry
	if e.c.Plan != nil {
		var err error
		if p, err = e.c.Plan(ctx, arn); err != nil {
			return p, fmt.Errorf("how often to try %s: %w", arn, err)
		}
	}
	p.Most, p.MaxAge, p.NotReady = cmp.Or(p.Most, e.c.Retry.Most), cmp.Or(p.MaxAge, e.c.Retry.MaxAge), cmp.Or(p.NotReady, e.c.Retry.NotReady)
	if len(p.Delays) == 0 {
		p.Delays = e.c.Retry.Delays
	}
	return p.Defaults(), nil
}

// attempt calls the function. A stop of the server lets it go on for the grace.
func (e *Events) attempt(ctx context.Context, in fn.Invocation) (*fn.Result, error) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		defer cancel()
		if !errors.Is(context.Cause(ctx), job.ErrShutdown) {
			return
		}
		t := time.NewTimer(e.c.Grace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-work.Done():
		}
	})
	defer stop()
	return e.c.Invoker.Invoke(work, in)
}

// giveUp ends an event that no attempt succeeded for. Its job stays for a while,
// with the reason.
func (e *Events) giveUp(log *slog.Logger, d fn.Delivery, res *fn.Result, why error) error {
	log.Warn("event given up", "attempts", d.Attempt, "error", why)
	if e.c.GivenUp != nil {
		e.c.GivenUp(d, res, why)
	}
	return job.Discard(fmt.Errorf("event of %s given up: %w", d.Invocation.FunctionARN, why))
}

// reason is what was wrong with an attempt.
func reason(res *fn.Result, err error) error {
	if err != nil || res == nil {
		return err
	}
	f, _ := res.Failure()
	return fmt.Errorf("%s: %s", f.Type, f.Message)
}
