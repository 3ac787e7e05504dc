package audit

import (
	"context"
	"strconv"
	"sync"
	"time"
)

var _ Sink = (*Ring)(nil)

// Ring keeps the newest records in memory: the event history until a store does.
type Ring struct {
	mu   sync.RWMutex
	all  []*Record
	next int // where the next one goes, once all is full
}

// NewRing returns a ring of n records.
func NewRing(n int) *Ring { return &Ring{all: make([]*Record, 0, max(n, 1))} }

// Write implements Sink.
func (g *Ring) Write(_ context.Context, batch []*Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range batch {
		if len(g.all) < cap(g.all) {
			g.all = append(g.all, r)
			continue
		}
		g.all[g.next] = r
		g.next = (g.next + 1) % len(g.all)
	}
	return nil
}

// Attribute is one of the names that LookupEvents filters by.
type Attribute string

// The attributes.
const (
	EventID      Attribute = "EventId"
	EventName    Attribute = "EventName"
	ReadOnly     Attribute = "ReadOnly" // "true" or "false"
	Username     Attribute = "Username"
	ResourceType Attribute = "ResourceType"
	ResourceName Attribute = "ResourceName" // its ARN
	EventSource  Attribute = "EventSource"
	AccessKeyID  Attribute = "AccessKeyId"
)

// Query chooses records; zero fields choose all.
type Query struct {
	Account, Region string
	From, To        time.Time // both included
	Attribute       Attribute
	Value           string
	Limit           int // default: all
}

// Lookup returns matching records, newest first.
func (g *Ring) Lookup(q Query) (out []*Record) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i := range g.all {
		// next is the oldest; go backwards from the one before it.
		r := g.all[(g.next-1-i+2*len(g.all))%len(g.all)]
		if !q.matches(r) {
			continue
		}
		if out = append(out, r); len(out) == q.Limit {
			break
		}
	}
	return out
}

func (q Query) matches(r *Record) bool {
	if (q.Account != "" && q.Account != r.Account) || (q.Region != "" && q.Region != r.Region) ||
		(!q.From.IsZero() && r.Time.Before(q.From)) || (!q.To.IsZero() && r.Time.After(q.To)) {
		return false
	}
	switch q.Attribute {
	case "":
		return true
	case EventID:
		return r.ID == q.Value
	case EventName:
		return r.Operation == q.Value
	case ReadOnly:
		return strconv.FormatBool(r.ReadOnly) == q.Value
	case Username:
		return r.Identity.UserName == q.Value
	case EventSource:
		return r.Source == q.Value
	case AccessKeyID:
		return r.Identity.AccessKeyID == q.Value
	case ResourceType, ResourceName:
		for _, x := range r.Resources {
			if (q.Attribute == ResourceType && x.Type == q.Value) || (q.Attribute == ResourceName && x.ARN == q.Value) {
				return true
			}
		}
	}
	return false
}
