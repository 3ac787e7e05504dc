package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// call is one event on its way through an instance.
type call struct {
	in       *lambda.Invocation
	arn      string // as invoked
	deadline time.Time
	done     chan outcome // room for one
}

// outcome is what came of a call.
type outcome struct {
	payload []byte
	failed  bool
	kind    string // error type, for the REPORT line
	note    string // what the service itself logs about it
	dead    bool   // the instance is of no more use
}

// instance is one process of a function, in its jail.
type instance struct {
	rt     *Runtime
	pool   *pool
	f      *lambda.Function
	log    *output
	cancel context.CancelFunc // ends the process
	ready  chan struct{}      // closed at the first request for an event, or at the end
	ended  chan struct{}      // closed when the process and its connections are gone
	proc   *sandbox.Process   // nil until started; written before ready is closed

	expires time.Time // of its credentials

	// Guarded by Runtime.mu.
	retired, counted, settling bool
	idleSince                  time.Time

	mu       sync.Mutex
	parked   chan *call // the request for the next event that waits
	closing  bool       // the last call's END is not logged yet
	current  *call
	inited   bool
	startErr error    // nothing was run
	initErr  *outcome // the runtime's own report, or its end before it was ready
	initTook time.Duration
	dead     bool // the process has ended
	left     bool // nobody waits for it any more: keep it when it is ready
}

// newInstance registers an instance and starts it. Runtime.mu is held.
func (r *Runtime) newInstance(p *pool, f *lambda.Function) *instance {
	ctx, cancel := context.WithCancel(r.life)
	i := &instance{rt: r, pool: p, f: f, cancel: cancel, ready: make(chan struct{}), ended: make(chan struct{}), counted: true}
	p.all[i] = true
	r.total++
	r.work.Go(func() {
		defer cancel()
		i.live(ctx)
	})
	return i
}

// kill ends the instance; it does not wait.
func (i *instance) kill() { i.cancel() }

// stale reports whether the instance must not take a call that may last so long.
// Runtime.mu is held.
func (i *instance) stale(now time.Time, timeout time.Duration) bool {
	select {
	case <-i.ended:
		return true
	default:
	}
	return i.retired || !i.expires.IsZero() && i.expires.Before(now.Add(timeout))
}

// live starts the process, serves it, and returns when all of it is gone.
func (i *instance) live(ctx context.Context) {
	defer close(i.ended)
	defer i.rt.gone(i)
	release, err := i.start(ctx)
	if err != nil {
		i.mu.Lock()
		i.startErr = err
		i.mu.Unlock()
		close(i.ready)
		return
	}
	defer release()
	started := i.rt.cfg.Now()

	var conns sync.WaitGroup
	api := &api{seat: i, gone: make(chan struct{}), conns: map[net.Conn]bool{}}
	conns.Go(func() { api.serve(i.proc.Listeners[0]) })
	if len(i.proc.Listeners) > 1 {
		conns.Go(func() { i.forward(ctx, i.proc.Listeners[1]) })
	}
	reader := make(chan struct{})
	go func() { defer close(reader); i.log.read() }()

	exit := i.proc.Wait()
	// What the process sent before its end is still read; then its connections
	// are at their end by themselves.
	api.stop()
	for _, l := range i.proc.Listeners {
		_ = l.Close()
	}
	conns.Wait()
	<-reader
	i.log.flush()

	o := i.obituary(exit)
	i.mu.Lock()
	c := i.current
	i.current, i.parked, i.dead = nil, nil, true
	if !i.inited {
		i.inited = true
		if i.initErr == nil {
			i.initErr = &o
		}
		i.initTook = i.rt.cfg.Now().Sub(started)
		close(i.ready)
	}
	i.mu.Unlock()
	if c != nil {
		c.done <- o
	}
	i.log.close()
}

// obituary is what a call hears of the end of its process.
func (i *instance) obituary(exit sandbox.Exit) outcome {
	o := outcome{failed: true, dead: true, kind: "Runtime.ExitError"}
	switch {
	case exit.Cause == sandbox.Memory:
		o.kind = "Runtime.OutOfMemory"
		o.note = "Error: Runtime exited with error: signal: killed"
	case exit.Code == 0:
		o.note = "Error: Runtime exited without providing a reason"
	default:
		o.note = "Error: Runtime exited with error: " + exit.String()
	}
	return o
}

// start unpacks the code and starts the process in its jail. release gives the
// code back.
func (i *instance) start(ctx context.Context) (release func(), err error) {
	r, f := i.rt, i.f
	dir, drop, err := r.code.get(ctx, f.Code)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			drop()
		}
	}()
	taskRoot, runtimeDir := "/var/task", "/var/runtime"
	if r.cfg.Unsafe {
		taskRoot, runtimeDir = dir, r.boot
	}
	run, err := r.inters.find(ctx, f, runtimeDir, dir)
	if err != nil {
		return nil, err
	}
	var keys *lambda.Keys
	if r.cfg.Credentials != nil {
		if keys, err = r.cfg.Credentials.Keys(ctx, f); err != nil {
			return nil, fmt.Errorf("credentials of %s: %w", f.Role, err)
		}
		if keys != nil {
			i.expires = keys.Expires
		}
	}
	now := r.cfg.Now().UTC()
	var tag [16]byte
	_, _ = rand.Read(tag[:])
	stream := fmt.Sprintf("%s[%s]%x", now.Format("2006/01/02/"), f.Version, tag)
	if i.log, err = newOutput(f, stream, r.cfg.Logs, r.cfg.Now); err != nil {
		return nil, err
	}
	env := environment(f, keys, stream, taskRoot, runtimeDir)
	listen := []sandbox.Listen{{Port: 9001, Env: "AWS_LAMBDA_RUNTIME_API"}}
	if r.cfg.Endpoint() != "" {
		l := sandbox.Listen{Port: 9002, Env: "AWS_ENDPOINT_URL", Format: "http://%s"}
		if _, own := f.Environment["AWS_ENDPOINT_URL"]; own {
			l.Env = ""
		}
		listen = append(listen, l)
	}
	spec := sandbox.Spec{
		Command: run.command, Args: run.args, Env: env, Dir: "/var/task",
		Files:   append([]sandbox.Bind{{Source: dir, Target: "/var/task"}, {Source: r.boot, Target: "/var/runtime"}}, run.files...),
		Scratch: int64(f.TmpMB) << 20, Listen: listen, Network: r.cfg.Network,
		Limits: sandbox.Limits{Memory: int64(f.MemoryMB) << 20, Pids: 1024, OpenFiles: 1024, FileSize: int64(f.TmpMB) << 20},
		Stdout: i.log.writer, Stderr: i.log.writer, Unsafe: r.cfg.Unsafe,
	}
	i.log.service(fmt.Sprintf("INIT_START Runtime Version: %s", run.version))
	i.proc, err = r.cfg.Start(ctx, spec)
	_ = i.log.writer.Close()
	if err != nil {
		i.log.close()
		if p, ok := errors.AsType[*sandbox.PartError](err); ok {
			return nil, &lambda.Error{Kind: lambda.NoJail, Message: "Functions cannot run on this machine: " + p.Error(), Err: err}
		}
		return nil, err
	}
	return drop, nil
}

// The instance as the Runtime API sees it.

var _ seat = (*instance)(nil)

// next implements seat: it waits for the next event; nil means that there will be
// none on this connection.
func (i *instance) next(gone <-chan struct{}) (*call, error) {
	place := make(chan *call, 1)
	i.mu.Lock()
	if i.current != nil || i.dead {
		i.mu.Unlock()
		return nil, errBusy
	}
	again := i.parked != nil
	if again {
		close(i.parked) // a runtime that asks anew has given its old request up
	}
	i.parked = place
	first := !i.inited
	keep := i.left
	closing := i.closing
	if first {
		i.inited = true
		close(i.ready)
	}
	i.mu.Unlock()
	if !again && !closing && (!first || keep) {
		i.rt.idle(i)
	}
	select {
	case c := <-place:
		return c, nil
	case <-gone:
		return nil, nil
	}
}

// dispatch gives an event to a ready instance; false when it ended meanwhile.
func (i *instance) dispatch(c *call) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dead || i.parked == nil || i.current != nil {
		return false
	}
	i.current, i.closing = c, true
	i.parked <- c
	i.parked = nil
	return true
}

// closed says that a call is logged to its end; only then the instance, if it
// already asks for more, may take the next one.
func (i *instance) closed() {
	i.mu.Lock()
	free := i.closing && i.parked != nil
	i.closing = false
	i.mu.Unlock()
	if free {
		i.rt.idle(i)
	}
}

// settleCall ends the current call with an outcome; the error says why it cannot.
func (i *instance) settleCall(id string, o outcome) error {
	i.mu.Lock()
	c := i.current
	switch {
	case c == nil:
		i.mu.Unlock()
		return errIdle
	case c.in.RequestID != id:
		i.mu.Unlock()
		return errOtherID
	}
	i.current = nil
	i.mu.Unlock()
	i.rt.answered(i)
	c.done <- o
	return nil
}

func (i *instance) response(id string, body []byte) error {
	return i.settleCall(id, outcome{payload: body})
}

func (i *instance) tooLarge(id string, size int64) error {
	kind := "Function.ResponseSizeTooLarge"
	return i.settleCall(id, outcome{failed: true, kind: kind, payload: failure(kind,
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", lambda.MaxResponse))})
}

func (i *instance) fail(id, kind string, body []byte) error {
	return i.settleCall(id, outcome{failed: true, kind: kind, payload: body})
}

// initFail implements seat: the runtime could not load the function.
func (i *instance) initFail(kind string, body []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.inited || i.initErr != nil {
		return errBusy
	}
	i.initErr = &outcome{payload: body, failed: true, kind: kind, dead: true}
	// A runtime ends itself after this; one that does not is ended.
	i.rt.work.Go(func() {
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-t.C:
			i.kill()
		case <-i.ended:
		}
	})
	return nil
}

// abandon takes a call back from the instance; false when it has its outcome.
func (i *instance) abandon(c *call) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current != c {
		return false
	}
	i.current = nil
	return true
}
