package metric

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Sample is one value of a series that is not by invocation, such as the delivery
// of logs (spec 9.2).
type Sample struct {
	Account, Region string
	Name, Unit      string // Unit default: Count
	Dimensions      []Dimension
	Value           float64
	At              time.Time // zero: now
}

// samples keeps the series of Put; they are written seldom.
type samples struct {
	mu sync.Mutex
	m  map[string]*custom
}

type custom struct {
	head Datapoint // all but time and numbers
	ring []minute
}

type minute struct {
	at int64
	stat
	hist map[int]uint64
}

// Put counts one sample.
func (r *Registry) Put(s Sample) {
	if s.At.IsZero() {
		s.At = r.now()
	}
	var id strings.Builder
	for _, p := range []string{s.Account, s.Region, s.Name} {
		id.WriteString(p)
		id.WriteByte(0)
	}
	for _, d := range s.Dimensions {
		id.WriteString(d.Name + "\x00" + d.Value + "\x00")
	}
	r.samples.mu.Lock()
	defer r.samples.mu.Unlock()
	c := r.samples.m[id.String()]
	if c == nil {
		if r.samples.m == nil {
			r.samples.m = map[string]*custom{}
		}
		c = &custom{head: Datapoint{Account: s.Account, Region: s.Region, Name: s.Name, Unit: cmp.Or(s.Unit, unitCount), Dimensions: slices.Clone(s.Dimensions)}}
		r.samples.m[id.String()] = c
	}
	at := s.At.Unix() / 60
	i, ok := slices.BinarySearchFunc(c.ring, at, func(m minute, t int64) int { return cmp.Compare(m.at, t) })
	if !ok {
		c.ring = slices.Insert(c.ring, i, minute{at: at, hist: map[int]uint64{}})
	}
	c.ring[i].add(s.Value)
	c.ring[i].hist[index(s.Value)]++
	newest := c.ring[len(c.ring)-1].at
	c.ring = slices.DeleteFunc(c.ring, func(m minute) bool { return m.at <= newest-r.keep })
}

func (s *samples) points(q Query, first, last int64) (out []Datapoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.m))
	for id := range s.m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c := s.m[id]
		if (q.Account != "" && q.Account != c.head.Account) || (q.Region != "" && q.Region != c.head.Region) {
			continue
		}
		for _, m := range c.ring {
			if m.at < first || m.at > last {
				continue
			}
			d := c.head
			d.Time = time.Unix(m.at*60, 0).UTC()
			var b []Bucket
			for i, n := range m.hist {
				b = mergeBuckets(b, []Bucket{{middle(i), n}})
			}
			d.merge(m.stat, b)
			out = append(out, d)
		}
	}
	return out
}
