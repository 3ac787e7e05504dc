package process

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// settle is how long a call waits for an instance that has answered and is about
// to ask for its next event, before another one is started for it.
const settle = 25 * time.Millisecond

// pool is the instances of one version of a function. Runtime.mu guards it.
type pool struct {
	arn      string // of the function, without the version
	revision string
	all      map[*instance]bool
	idle     []*instance // the last used is at the end
	settling int         // answered, not yet asking
	waiters  []*waiter
}

// waiter is a call without an instance. It hears once: an instance, or nil to
// look again.
type waiter struct{ ch chan *instance }

// retire gives every instance up and returns those that can be killed now.
func (p *pool) retire() []*instance {
	gone := p.idle
	p.idle = nil
	for i := range p.all {
		i.retired = true
	}
	return gone
}

// take finds or starts an instance for a call. started is set when it was
// started for this call and has not finished its init.
func (r *Runtime) take(ctx context.Context, f *lambda.Function) (i *instance, started bool, err error) {
	deadline := r.cfg.Now().Add(r.cfg.QueueTimeout)
	settled := false
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil, false, &lambda.Error{Kind: lambda.Service, Message: "The server is stopping"}
		}
		key := f.QualifiedARN()
		p := r.pools[key]
		if p == nil {
			p = &pool{arn: f.ARN, revision: f.Revision, all: map[*instance]bool{}}
			r.pools[key] = p
		}
		var gone []*instance
		if p.revision != f.Revision {
			gone = p.retire()
			p.revision = f.Revision
		}
		now := r.cfg.Now()
		for len(p.idle) > 0 && i == nil {
			i = p.idle[len(p.idle)-1]
			p.idle = p.idle[:len(p.idle)-1]
			if i.stale(now, f.Timeout) {
				i.retired = true
				gone = append(gone, i)
				i = nil
			}
		}
		var w *waiter
		patience := deadline.Sub(now)
		switch {
		case i != nil:
		case p.settling > len(p.waiters) && !settled:
			w, settled, patience = &waiter{make(chan *instance, 1)}, true, settle
			p.waiters = append(p.waiters, w)
		case r.total < r.cfg.Instances || r.evict(&gone):
			i, started = r.newInstance(p, f), true //nolint:contextcheck // an instance lives as long as the runtime, not as the call
		case patience <= 0:
			r.mu.Unlock()
			r.killAll(gone)
			return nil, false, &lambda.Error{Kind: lambda.TooMany, Message: "Rate Exceeded.", Reason: lambda.AccountLimit,
				Err: fmt.Errorf("all %d instances of this machine stayed busy", r.cfg.Instances)}
		default:
			w = &waiter{make(chan *instance, 1)}
			p.waiters = append(p.waiters, w)
			r.queue = append(r.queue, w)
		}
		r.mu.Unlock()
		r.killAll(gone)
		if i != nil {
			return i, started, nil
		}

		timer := time.NewTimer(patience)
		select {
		case i = <-w.ch:
		case <-timer.C:
			i = r.leave(p, w)
		case <-ctx.Done():
			if i = r.leave(p, w); i != nil {
				r.idle(i)
			}
			timer.Stop()
			return nil, false, ctx.Err()
		}
		timer.Stop()
		if i != nil {
			return i, false, nil
		}
	}
}

func (r *Runtime) killAll(gone []*instance) {
	for _, i := range gone {
		i.kill()
	}
}

// leave takes a waiter out of the lists; an instance that came in the same moment
// is returned.
func (r *Runtime) leave(p *pool, w *waiter) *instance {
	r.mu.Lock()
	p.waiters = without(p.waiters, w)
	r.queue = without(r.queue, w)
	r.mu.Unlock()
	select {
	case i := <-w.ch:
		return i
	default:
		return nil
	}
}

func without(list []*waiter, w *waiter) []*waiter {
	if k := slices.Index(list, w); k >= 0 {
		return slices.Delete(list, k, k+1)
	}
	return list
}

// evict makes room by letting the idle instance of another function go that has
// been idle longest. Runtime.mu is held.
func (r *Runtime) evict(gone *[]*instance) bool {
	var from *pool
	for _, p := range r.pools {
		if len(p.idle) > 0 && (from == nil || p.idle[0].idleSince.Before(from.idle[0].idleSince)) {
			from = p
		}
	}
	if from == nil {
		return false
	}
	i := from.idle[0]
	from.idle = from.idle[1:]
	i.retired, i.counted = true, false
	r.total-- // its room is given away now, not when it is dead
	*gone = append(*gone, i)
	return true
}

// idle takes an instance back that asks for its next event: a waiting call gets
// it, else it is kept.
func (r *Runtime) idle(i *instance) {
	r.mu.Lock()
	p := i.pool
	if i.settling {
		i.settling = false
		p.settling--
	}
	switch {
	case r.closed || !p.all[i] || i.stale(r.cfg.Now(), i.f.Timeout):
		i.retired = true
		r.mu.Unlock()
		i.kill()
		return
	case len(p.waiters) > 0:
		w := p.waiters[0]
		p.waiters = p.waiters[1:]
		r.queue = without(r.queue, w)
		w.ch <- i
	default:
		i.idleSince = r.cfg.Now()
		p.idle = append(p.idle, i)
		if r.janitor == nil {
			r.janitor = time.AfterFunc(r.cfg.Idle, r.sweep)
		}
		// A call of another function may wait for room that this one can give.
		if len(r.queue) > 0 && r.total >= r.cfg.Instances {
			r.wake()
		}
	}
	r.mu.Unlock()
}

// answered marks an instance that will ask for its next event in a moment.
func (r *Runtime) answered(i *instance) {
	r.mu.Lock()
	if !i.settling && !i.retired {
		i.settling = true
		i.pool.settling++
	}
	r.mu.Unlock()
}

// wake lets the call that waits longest look again. Runtime.mu is held.
func (r *Runtime) wake() {
	if len(r.queue) == 0 {
		return
	}
	w := r.queue[0]
	r.queue = r.queue[1:]
	for _, p := range r.pools {
		p.waiters = without(p.waiters, w)
	}
	w.ch <- nil
}

// gone forgets an instance that has ended.
func (r *Runtime) gone(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := i.pool
	if i.settling {
		i.settling = false
		p.settling--
	}
	delete(p.all, i)
	if k := slices.Index(p.idle, i); k >= 0 {
		p.idle = slices.Delete(p.idle, k, k+1)
	}
	if i.counted {
		i.counted = false
		r.total--
	}
	for key, q := range r.pools {
		if q == p && len(p.all) == 0 && len(p.waiters) == 0 {
			delete(r.pools, key)
		}
	}
	// Somebody who waits for this very instance must not wait for ever.
	if len(p.waiters) > 0 {
		w := p.waiters[0]
		p.waiters = p.waiters[1:]
		r.queue = without(r.queue, w)
		w.ch <- nil
		return
	}
	r.wake()
}

// sweep lets instances go that have been idle too long.
func (r *Runtime) sweep() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	now := r.cfg.Now()
	var gone []*instance
	var next time.Duration
	for _, p := range r.pools {
		for len(p.idle) > 0 {
			left := r.cfg.Idle - now.Sub(p.idle[0].idleSince)
			if left > 0 {
				if next == 0 || left < next {
					next = left
				}
				break
			}
			p.idle[0].retired = true
			gone = append(gone, p.idle[0])
			p.idle = p.idle[1:]
		}
	}
	if next > 0 {
		r.janitor.Reset(max(next, 10*time.Millisecond))
	} else {
		r.janitor = nil
	}
	r.mu.Unlock()
	r.killAll(gone)
}

// admit counts a call against the limit that it falls under; the returned
// function gives its place back.
func (r *Runtime) admit(f *lambda.Function) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Reserved != nil {
		if r.running[f.ARN] >= *f.Reserved {
			return nil, &lambda.Error{Kind: lambda.TooMany, Message: "Rate Exceeded.", Reason: lambda.ReservedLimit}
		}
	} else {
		if r.calls >= r.cfg.Concurrency {
			return nil, &lambda.Error{Kind: lambda.TooMany, Message: "Rate Exceeded.", Reason: lambda.AccountLimit}
		}
		r.calls++
	}
	r.running[f.ARN]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if f.Reserved == nil {
			r.calls--
		}
		if r.running[f.ARN]--; r.running[f.ARN] == 0 {
			delete(r.running, f.ARN)
		}
	}, nil
}
