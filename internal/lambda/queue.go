package lambda

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Delivery is one accepted Event on its way.
type Delivery struct {
	Invocation Invocation // Type is RequestResponse: what an attempt does
	Attempt    int        // attempts that reached the function
	Accepted   time.Time
}

// Queue takes Event invocations. Accept returns when the event will not be lost
// as far as the queue can promise that.
type Queue interface {
	Accept(ctx context.Context, d Delivery) error
}

// Retry is AWS's plan for events: a function that fails is called twice more; one
// that could not be called is tried again for some hours.
type Retry struct {
	Most     int             // further attempts after a function error; default 2, negative none
	Delays   []time.Duration // before them; default 1 min, 2 min
	MaxAge   time.Duration   // default 6 h
	NotReady time.Duration   // first wait when the function could not be called, doubled up to 5 min; default 1 s
}

func (r Retry) withDefaults() Retry {
	if r.Most == 0 {
		r.Most = 2
	}
	if len(r.Delays) == 0 {
		r.Delays = []time.Duration{time.Minute, 2 * time.Minute}
	}
	r.MaxAge = cmp.Or(r.MaxAge, 6*time.Hour)
	r.NotReady = cmp.Or(r.NotReady, time.Second)
	return r
}

// Next says whether a delivery that ended so is tried again and after how long.
// refused counts the tries in a row that did not reach the function. A durable
// queue uses it as Memory does.
func (r Retry) Next(d Delivery, res *Result, err error, refused int, now time.Time) (again bool, after time.Duration) {
	r = r.withDefaults()
	switch {
	case err == nil && (res == nil || res.FunctionError == ""):
		return false, 0
	case err != nil:
		if e, ok := errors.AsType[*Error](err); ok {
			switch e.Kind {
			case TooMany, Service, NotReady, Conflict:
			default:
				return false, 0 // gone, malformed: time does not heal it
			}
		}
		after = min(r.NotReady<<min(refused, 16), 5*time.Minute)
	default:
		if d.Attempt > r.Most {
			return false, 0
		}
		after = r.Delays[min(max(d.Attempt-1, 0), len(r.Delays)-1)]
	}
	if now.Add(after).Sub(d.Accepted) > r.MaxAge {
		return false, 0
	}
	return true, after
}

// MemoryConfig of a Memory queue.
type MemoryConfig struct {
	Invoker Invoker // runs the attempts; required
	Retry   Retry
	Workers int // attempts at once; default 16
	Limit   int // events waiting; default 10,000
	// Given, when set, hears of events that are given up, after their last attempt.
	Given  func(Delivery, *Result, error)
	Logger *slog.Logger
	Now    func() time.Time
}

// Memory is a Queue that lives as long as the process: what waits is lost when
// the server ends.
type Memory struct {
	cfg   MemoryConfig
	slots chan struct{}

	mu      sync.Mutex
	waiting int
	pending []Delivery // accepted before Run
	start   func(Delivery)
	ended   bool
}

var _ Queue = (*Memory)(nil)

// NewMemory makes a queue; Run works it off.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.Invoker == nil {
		return nil, errors.New("lambda: an event queue needs an invoker")
	}
	cfg.Workers = cmp.Or(cfg.Workers, 16)
	cfg.Limit = cmp.Or(cfg.Limit, 10_000)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Retry = cfg.Retry.withDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Memory{cfg: cfg, slots: make(chan struct{}, cfg.Workers)}, nil
}

// Accept implements Queue.
func (m *Memory) Accept(_ context.Context, d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
		return &Error{Kind: Service, Message: "The server is stopping"}
	case m.waiting >= m.cfg.Limit:
		return &Error{Kind: TooMany, Message: "Rate Exceeded.", Reason: AccountLimit}
	}
	m.waiting++
	d.Accepted = cmp.Or(d.Accepted, m.cfg.Now())
	if m.start == nil {
		m.pending = append(m.pending, d)
		return nil
	}
	m.start(d)
	return nil
}

// Waiting is the number of events accepted and not done with.
func (m *Memory) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// Run works the queue off until ctx ends, and returns when its attempts have.
func (m *Memory) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	m.mu.Lock()
	m.start = func(d Delivery) { wg.Go(func() { m.deliver(ctx, d) }) }
	for _, d := range m.pending {
		m.start(d)
	}
	m.pending = nil
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	wg.Wait()
	return nil
}

func (m *Memory) deliver(ctx context.Context, d Delivery) {
	defer func() {
		m.mu.Lock()
		m.waiting--
		m.mu.Unlock()
	}()
	log := m.cfg.Logger.With("function", d.Invocation.FunctionARN, "request", d.Invocation.RequestID)
	for refused := 0; ; {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			log.Warn("event lost: the server ends before it was run")
			return
		}
		res, err := m.cfg.Invoker.Invoke(ctx, d.Invocation)
		<-m.slots
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			d.Attempt++
			refused = 0
		}
		again, after := m.cfg.Retry.Next(d, res, err, refused, m.cfg.Now())
		if err != nil {
			refused++
		}
		if !again {
			if err != nil || res.FunctionError != "" {
				log.Warn("event given up", "attempts", d.Attempt, "error", err)
				if m.cfg.Given != nil {
					m.cfg.Given(d, res, err)
				}
			}
			return
		}
		t := time.NewTimer(after)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			log.Warn("event lost: the server ends before its next attempt")
			return
		}
	}
}
