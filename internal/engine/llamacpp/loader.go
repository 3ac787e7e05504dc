package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
)

// loader decides which models are in memory. One mutex guards all its state and
// is never held while something is waited for.
type loader struct {
	cfg     Config
	starter *starter
	store   *weights.Store
	program func(ctx context.Context) (install.Program, error)
	memory  func() int64

	ctx    context.Context //nolint:containedctx // life of the loader: what it started ends with it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// turn has one slot: memory is decided for one model at a time. A channel,
	// so that waiting for it can be cancelled.
	turn chan struct{}

	mu      sync.Mutex
	units   map[string]*unit
	changed chan struct{} // closed and replaced when memory or users change
	budget  int64         // bytes for all children, measured while none runs
	closed  bool
}

// unit is what is known of one model, loaded or not.
type unit struct {
	name   string
	inst   *instance
	load   *load
	pinned bool

	failures int       // in a row
	retryAt  time.Time // no new start before
	lastErr  error     // of the last load; nil after one that worked

	adapters []AdapterFile
	epoch    int // changes with adapters
}

// load is a start under way.
type load struct {
	done chan struct{}
	err  error
}

func (l *loader) unit(name string) *unit {
	u := l.units[name]
	if u == nil {
		u = &unit{name: name, pinned: slices.Contains(l.cfg.Pinned, name)}
		l.units[name] = u
	}
	return u
}

// broadcast wakes everyone who waits for a change; the mutex is held.
func (l *loader) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// acquire returns a running instance of the model, which stays in memory until
// release is called. It waits for the load that this starts, no longer than
// LoadWait.
func (l *loader) acquire(ctx context.Context, name string) (*instance, func(), error) {
	patience := time.NewTimer(l.cfg.LoadWait)
	defer patience.Stop()
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return nil, nil, &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping"}
		}
		u := l.unit(name)
		var wait <-chan struct{}
		var pause time.Duration
		switch {
		case u.inst != nil && u.inst.alive() && u.inst.epoch == u.epoch:
			inst := u.inst
			inst.users++
			inst.lastUsed = l.cfg.Now()
			l.mu.Unlock()
			return inst, func() { l.release(inst) }, nil
		case u.inst != nil && u.inst.alive() && u.inst.users > 0:
			wait = l.changed // its adapters changed: it ends when its users have gone
		case u.load != nil:
			wait = u.load.done
		default:
			if left := u.retryAt.Sub(l.cfg.Now()); left > 0 {
				if u.lastErr != nil {
					err := u.lastErr
					l.mu.Unlock()
					return nil, nil, err
				}
				pause = left
				break
			}
			l.begin(u)
			wait = u.load.done
		}
		ld := u.load
		l.mu.Unlock()

		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-wait:
			if ld != nil && wait == ld.done && ld.err != nil {
				return nil, nil, ld.err
			}
		case <-timer:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-patience.C:
			return nil, nil, &engine.Error{Kind: engine.NotReady, Message: fmt.Sprintf("model %s is still being made ready", name), Hint: "try again in a moment; `outcrop models list` shows what is cached"}
		}
	}
}

func (l *loader) release(inst *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	inst.users--
	inst.lastUsed = l.cfg.Now()
	if u := l.units[inst.name]; u != nil && u.inst == inst {
		u.failures = 0 // it served somebody
	}
	l.broadcast()
}

// begin starts a load that belongs to the loader, not to the request that caused
// it; the mutex is held.
func (l *loader) begin(u *unit) {
	ld := &load{done: make(chan struct{})}
	u.load = ld
	epoch, adapters := u.epoch, slices.Clone(u.adapters)
	l.wg.Go(func() {
		inst, err := l.run(u, epoch, adapters)
		l.mu.Lock()
		u.load = nil
		u.lastErr = err
		if err == nil {
			u.inst = inst
			if !inst.alive() { // it died between ready and here
				u.inst = nil
			}
		} else {
			u.failures++
			u.retryAt = l.cfg.Now().Add(l.backoff(u.failures))
			l.cfg.Logger.Warn("model cannot be made ready", "model", u.name, "err", err)
		}
		ld.err = err
		close(ld.done)
		l.broadcast()
		l.mu.Unlock()
	})
}

func (l *loader) backoff(failures int) time.Duration {
	d := l.cfg.BackoffFirst
	for range failures - 1 {
		if d *= 2; d >= l.cfg.BackoffMost {
			return l.cfg.BackoffMost
		}
	}
	return d
}

// run makes one model ready: its program, its file, its memory, its child.
func (l *loader) run(u *unit, epoch int, adapters []AdapterFile) (*instance, error) {
	prog, err := l.program(l.ctx)
	if err != nil {
		return nil, &engine.Error{Kind: engine.Unavailable, Message: "no engine is installed", Hint: "run `outcrop doctor`", Err: err}
	}
	local, err := l.store.Find(u.name)
	if err == nil && !local.Cached {
		local, err = l.store.Pull(l.ctx, u.name)
	}
	switch {
	case errors.Is(err, weights.ErrUnknown):
		return nil, &engine.Error{Kind: engine.NoModel, Message: fmt.Sprintf("no such model: %s", u.name), Err: err}
	case errors.Is(err, gguf.ErrFormat):
		return nil, &engine.Error{Kind: engine.Unavailable, Message: "the model file is damaged or not a model", Hint: "give another file, or fetch the model again", Err: err}
	case errors.Is(err, os.ErrNotExist):
		return nil, &engine.Error{Kind: engine.NoModel, Message: "the model file is not there", Err: err}
	case err != nil:
		return nil, &engine.Error{Kind: engine.Unavailable, Message: fmt.Sprintf("model %s cannot be fetched", u.name), Hint: "run `outcrop doctor`, or give --chat-model a .gguf file", Err: err}
	}

	select { // one at a time
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-l.ctx.Done():
		return nil, &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping"}
	}
	l.dismiss(u)
	plan, est, err := l.plan(local)
	if err != nil {
		return nil, err
	}
	if err := l.makeRoom(u.name, est); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(adapters))
	for _, a := range adapters {
		plan.Adapters = append(plan.Adapters, a.Path)
		ids = append(ids, a.ID)
	}
	plan.Unit = u.name
	inst, err := l.starter.start(l.ctx, prog, plan, l.wg.Go, l.ended)
	if err != nil {
		return nil, err
	}
	inst.est, inst.epoch, inst.adapters = est, epoch, ids
	inst.lastUsed = l.cfg.Now()
	slots := plan.Slots
	if plan.Kind != engine.Chat {
		slots = 2 // batches: one computes while the next is read
	}
	inst.queue = newQueue(slots, l.cfg.QueueLimit)
	return inst, nil
}

// dismiss stops an instance of the unit that is there already but outdated.
func (l *loader) dismiss(u *unit) {
	l.mu.Lock()
	old := u.inst
	u.inst = nil
	l.mu.Unlock()
	if old != nil {
		old.stop()
	}
}

// plan sizes a child: the context that was asked for, halved until it fits.
func (l *loader) plan(m weights.Local) (launch, int64, error) {
	h, err := gguf.ReadFile(m.Path)
	if err != nil {
		return launch{}, 0, &engine.Error{Kind: engine.Unavailable, Message: "the model file is damaged or not a model", Hint: "fetch it again: `outcrop models rm NAME`, then `outcrop models pull NAME`", Err: err}
	}
	p := launch{Model: m.Path, Projector: m.Projector, Alias: m.Name, Kind: m.Kind, Threads: l.cfg.Threads, Slots: l.cfg.Parallel, CacheMB: l.cfg.PromptCacheMB, Context: l.cfg.ContextTokens}
	most := h.Context()
	if m.Context > 0 && (most == 0 || m.Context < most) {
		most = m.Context
	}
	if m.Kind != engine.Chat {
		p.CacheMB, p.Slots = 0, 8
		p.Context = min(p.Context, 8192)
	}
	if most > 0 {
		p.Context = min(p.Context, most)
	}
	budget := l.measure()
	for {
		est := estimate(h, &p)
		if budget == 0 || est <= budget || p.Context <= 2048 || h.KVBytes(1) == 0 {
			return p, est, nil
		}
		p.Context = max(2048, p.Context/2)
	}
}

// estimate is what a child takes in bytes: weights, key-value cache, prompt
// cache, and a fixed share for compute buffers.
func estimate(h *gguf.Header, p *launch) int64 {
	n := h.Size + h.KVBytes(p.Context*p.Slots) + int64(p.CacheMB)<<20
	if p.Projector != "" {
		n += 1 << 30
	}
	return n + h.Size/10 + 160<<20
}

// measure returns the budget for all children; 0 is none known. Weights are
// mapped and count as free to the system, so it is measured only while no child
// runs.
func (l *loader) measure() int64 {
	if l.cfg.MemoryLimit > 0 {
		return l.cfg.MemoryLimit
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range l.units {
		if u.inst != nil {
			return l.budget
		}
	}
	l.budget = l.memory() / 100 * 95
	return l.budget
}

// makeRoom unloads idle models, the longest unused first, until est fits. Busy
// ones are waited for; pinned ones stay.
func (l *loader) makeRoom(name string, est int64) error {
	for {
		budget := l.measure()
		l.mu.Lock()
		var used int64
		var victim *unit
		busy := false
		for _, u := range l.units {
			if u.inst == nil {
				continue
			}
			used += u.inst.est
			switch {
			case u.pinned:
			case u.inst.users > 0:
				busy = true
			case victim == nil || u.inst.lastUsed.Before(victim.inst.lastUsed):
				victim = u
			}
		}
		if budget == 0 || used+est <= budget {
			l.mu.Unlock()
			return nil
		}
		if victim != nil {
			inst := victim.inst
			victim.inst = nil
			l.mu.Unlock()
			l.cfg.Logger.Info("model unloaded to make room", "model", victim.name, "for", name)
			inst.stop()
			continue
		}
		changed := l.changed
		l.mu.Unlock()
		if !busy {
			return &engine.Error{
				Kind: engine.NoMemory, Message: fmt.Sprintf("model %s does not fit into memory", name),
				Hint: fmt.Sprintf("it needs about %d MB, %d of %d MB are taken by models that stay loaded: choose a smaller model, fewer context tokens, or raise the memory limit", est>>20, used>>20, budget>>20),
			}
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping"}
		}
	}
}

// ended is called when a child has ended. One that ended by itself is started
// again after a pause, so that the next request finds it ready.
func (l *loader) ended(inst *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.units[inst.name]
	l.broadcast()
	if u == nil || u.inst != inst {
		return // stopped by the loader, or never became ready
	}
	u.inst = nil
	if inst.exit == nil || l.closed {
		return
	}
	u.failures++
	pause := l.backoff(u.failures)
	u.retryAt = l.cfg.Now().Add(pause)
	l.cfg.Logger.Warn("engine ended by itself and is started again", "model", u.name, "pause", pause, "err", inst.exit)
	l.wg.Go(func() {
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed && u.inst == nil && u.load == nil {
			l.begin(u)
		}
	})
}

// tidy unloads what has been idle for long, until the loader is closed.
func (l *loader) tidy() {
	if l.cfg.IdleUnload < 0 {
		return
	}
	tick := time.NewTicker(max(10*time.Millisecond, min(l.cfg.IdleUnload/4, 30*time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		var idle []*instance
		l.mu.Lock()
		for _, u := range l.units {
			if u.inst != nil && !u.pinned && u.inst.users == 0 && l.cfg.Now().Sub(u.inst.lastUsed) >= l.cfg.IdleUnload {
				idle = append(idle, u.inst)
				u.inst = nil
			}
		}
		l.mu.Unlock()
		for _, inst := range idle {
			l.cfg.Logger.Info("idle model unloaded", "model", inst.name)
			inst.stop()
		}
	}
}

// loaded reports whether the model is in memory.
func (l *loader) loaded(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.units[name]
	return u != nil && u.inst != nil && u.inst.alive()
}

// setAdapters replaces the adapters of a model; a running child is replaced when
// it is next needed and nobody uses it.
func (l *loader) setAdapters(model string, adapters []AdapterFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.unit(model)
	u.adapters = adapters
	u.epoch++
	l.broadcast()
}

// close stops every child and returns when all have ended.
func (l *loader) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
}
