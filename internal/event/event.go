package event

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Source of all events of the house.
const Source = "aws.bedrock"

// Detail types (spec 08, 10).
const (
	CustomizationJob = "Model Customization Job State Change"
	BatchJob         = "Batch Inference Job State Change"
)

// Event is one happening.
type Event struct {
	ID         string // v4 UUID, the same over redelivery
	DetailType string // CustomizationJob …
	Source     string // default Source
	Account    string
	Region     string
	Time       time.Time       // of the change
	Resources  []string        // ARNs
	Detail     json.RawMessage // an object; default {}
}

// MarshalJSON writes the event as EventBridge delivers it.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Version    string          `json:"version"`
		ID         string          `json:"id"`
		DetailType string          `json:"detail-type"`
		Source     string          `json:"source"`
		Account    string          `json:"account"`
		Time       string          `json:"time"`
		Region     string          `json:"region"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}{
		"0", e.ID, e.DetailType, cmp.Or(e.Source, Source), e.Account, e.Time.UTC().Format("2006-01-02T15:04:05Z"), e.Region,
		append([]string{}, e.Resources...), append(json.RawMessage{}, cmp.Or(string(e.Detail), "{}")...),
	})
}

// Bus carries events. Publish never waits for a listener.
type Bus interface {
	// Publish hands the event to all who listen now, in one order for all of them.
	Publish(ctx context.Context, e Event) error
	// Subscribe listens to the events that match says (nil: all), holding up to
	// buffer of them. The caller closes the subscription.
	Subscribe(match func(*Event) bool, buffer int) *Subscription
	// Recent returns up to n of the last events, newest first.
	Recent(n int) []Event
}

var (
	_ Bus = (*Memory)(nil)

	// ErrInvalid is an event without type, account, time or ID.
	ErrInvalid = errors.New("event: no id, detail type, account or time")
)

// Memory is a Bus within the process. The zero value keeps the last 1,000 events.
type Memory struct {
	Keep int // events for Recent; default 1,000

	mu   sync.Mutex
	subs []*Subscription
	last []Event
}

// Subscription is a listener's queue.
type Subscription struct {
	C <-chan Event // closed by Close

	bus     *Memory
	c       chan Event
	match   func(*Event) bool
	dropped atomic.Int64
}

// Publish implements Bus.
func (m *Memory) Publish(_ context.Context, e Event) error {
	if e.ID == "" || e.DetailType == "" || e.Account == "" || e.Time.IsZero() {
		return ErrInvalid
	}
	if len(e.Detail) > 0 && !json.Valid(e.Detail) {
		return errors.New("event: detail is not JSON")
	}
	e.Source = cmp.Or(e.Source, Source)
	m.mu.Lock()
	defer m.mu.Unlock()
	if keep := cmp.Or(m.Keep, 1000); len(m.last) >= 2*keep {
		m.last = append(m.last[:0], m.last[len(m.last)-keep+1:]...)
	}
	m.last = append(m.last, e)
	for _, s := range m.subs {
		if s.match != nil && !s.match(&e) {
			continue
		}
		select {
		case s.c <- e:
		default:
			s.dropped.Add(1)
		}
	}
	return nil
}

// Subscribe implements Bus.
func (m *Memory) Subscribe(match func(*Event) bool, buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	s := &Subscription{C: c, bus: m, c: c, match: match}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subs = append(m.subs, s)
	return s
}

// Recent implements Bus.
func (m *Memory) Recent(n int) []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = max(0, min(n, cmp.Or(m.Keep, 1000), len(m.last)))
	out := slices.Clone(m.last[len(m.last)-n:])
	slices.Reverse(out)
	return out
}

// Dropped is the number of events that found the queue full.
func (s *Subscription) Dropped() int64 { return s.dropped.Load() }

// Close ends the subscription; what is queued can still be read.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if i := slices.Index(s.bus.subs, s); i >= 0 {
		s.bus.subs = slices.Delete(s.bus.subs, i, i+1)
		close(s.c)
	}
}
