package llamacpp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
)

// instance is one running child.
type instance struct {
	name     string
	launch   launch
	est      int64 // bytes it is thought to take
	pid      int
	client   *client
	queue    *queue
	context  int // tokens of one slot, as the child says
	cancel   context.CancelCauseFunc
	dead     chan struct{} // closed when the process has ended and exit is set
	exit     *engine.Error // nil when it was stopped on purpose
	adapters []string      // ids, by their number in the child
	epoch    int           // of the unit's adapters
	grace    time.Duration // how long a broken connection waits for an obituary

	frame atomic.Pointer[frame] // the marks of the model, once they are learned

	// Guarded by the loader's mutex.
	users    int
	lastUsed time.Time
}

var (
	errStopped = errors.New("stopped on purpose")
	errHung    = errors.New("it does not answer")
)

// alive reports whether the process has not ended.
func (i *instance) alive() bool {
	select {
	case <-i.dead:
		return false
	default:
		return true
	}
}

// stop ends the child and waits until it has ended.
func (i *instance) stop() {
	i.cancel(errStopped)
	<-i.dead
}

// starter starts children: the mechanism beneath the loader's policy.
type starter struct {
	cfg    Config
	socket string // folder of Unix sockets, "" for loopback ports
	seq    func() int
}

// address finds where the next child listens.
func (s *starter) address() (host string, port int, network, dial string, err error) {
	if s.socket != "" {
		path := filepath.Join(s.socket, strconv.Itoa(s.seq())+".sock")
		return path, 0, "unix", path, nil
	}
	// The port is free now; should another program take it before the child
	// does, the child says so and another one is tried.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", 0, "", "", fmt.Errorf("find a free port: %w", err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	return "127.0.0.1", port, "tcp", l.Addr().String(), l.Close()
}

// start runs a child until it is ready. The child ends with ctx. ended is called
// once, after the process has ended and inst.exit is set, from a goroutine that
// wait counts.
func (s *starter) start(ctx context.Context, prog install.Program, l launch, wait func(func()), ended func(*instance)) (*instance, error) {
	const ports = 3
	for try := 1; ; try++ {
		inst, err := s.once(ctx, prog, l, wait, ended)
		if err == nil || !errors.Is(err, errPortTaken) || try == ports {
			return inst, err
		}
		s.cfg.Logger.Info("engine port was taken, trying another", "model", l.Alias)
	}
}

func (s *starter) once(ctx context.Context, prog install.Program, l launch, wait func(func()), ended func(*instance)) (*instance, error) {
	host, port, network, dial, err := s.address()
	if err != nil {
		return nil, err
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	l.Host, l.Port, l.Key = host, port, hex.EncodeToString(key)
	cmd, err := l.command(prog)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	inst := &instance{name: l.Unit, launch: l, cancel: cancel, dead: make(chan struct{}), grace: s.cfg.obituary, client: newClient(network, dial, l.Key)}
	pids := make(chan int, 1)
	log := s.cfg.Logger.With("model", l.Alias)
	runner := &Runner{Command: cmd, Logger: log, Started: func(pid int) { pids <- pid }}
	var loading = make(chan struct{}) // closed when it is ready
	wait(func() {
		err := runner.Run(ctx)
		cause := context.Cause(ctx)
		switch {
		case err != nil:
			isLoading := true
			select {
			case <-loading:
				isLoading = false
			default:
			}
			inst.exit = diagnose(err, isLoading)
		case errors.Is(cause, errHung):
			inst.exit = &engine.Error{Kind: engine.TimedOut, Message: "the engine stopped answering and was restarted", Err: cause}
		}
		cancel(errStopped)
		inst.client.http.CloseIdleConnections()
		if network == "unix" {
			_ = os.Remove(dial) // a killed child leaves its socket behind
		}
		close(inst.dead)
		ended(inst)
	})

	begin := s.cfg.Now()
	if err := s.ready(ctx, inst); err != nil {
		cancel(errStopped)
		<-inst.dead
		if inst.exit != nil {
			return nil, inst.exit
		}
		return nil, err
	}
	inst.pid = <-pids
	close(loading)
	if err := s.identify(ctx, inst); err != nil {
		inst.stop()
		return nil, err
	}
	log.Info("engine is ready", "pid", inst.pid, "context", inst.context, "slots", l.Slots, "took", s.cfg.Now().Sub(begin).Round(time.Millisecond))
	wait(func() { s.watch(ctx, inst) })
	return inst, nil
}

// ready polls until the child says that it is.
func (s *starter) ready(ctx context.Context, inst *instance) error {
	deadline := time.NewTimer(s.cfg.LoadTimeout)
	defer deadline.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		select {
		case <-inst.dead:
			return cmpErr(inst.exit)
		case <-ctx.Done():
			return &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping", Err: context.Cause(ctx)}
		case <-deadline.C:
			return &engine.Error{Kind: engine.TimedOut, Message: "the engine took too long to load the model", Hint: "raise the load time-out or choose a smaller model"}
		case <-time.After(pause):
		}
		if s.healthy(ctx, inst) == nil {
			return nil
		}
	}
}

func cmpErr(e *engine.Error) error {
	if e == nil {
		return &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping"}
	}
	return e
}

func (s *starter) healthy(ctx context.Context, inst *instance) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HealthTimeout)
	defer cancel()
	return inst.client.call(ctx, http.MethodGet, "/health", nil, nil)
}

// identify makes sure that the child serves what it was told to.
func (s *starter) identify(ctx context.Context, inst *instance) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var m struct {
		Data []struct {
			ID   string `json:"id"`
			Meta struct {
				Context int `json:"n_ctx"`
				Train   int `json:"n_ctx_train"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := inst.client.call(ctx, http.MethodGet, "/v1/models", nil, &m); err != nil {
		return inst.fail(ctx, err)
	}
	if len(m.Data) == 0 || m.Data[0].ID != inst.launch.Alias {
		return &engine.Error{Kind: engine.Unavailable, Message: "the engine serves another model than it was told to", Hint: "make sure that OUTCROP_LLAMA_SERVER names a llama-server of llama.cpp"}
	}
	inst.context = inst.launch.Context
	var props struct {
		Slots    int `json:"total_slots"`
		Defaults struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	if err := inst.client.call(ctx, http.MethodGet, "/props", nil, &props); err == nil {
		if props.Defaults.Context > 0 {
			inst.context = props.Defaults.Context
		}
	}
	return nil
}

// watch asks after the child's health and kills one that hangs.
func (s *starter) watch(ctx context.Context, inst *instance) {
	tick := time.NewTicker(s.cfg.HealthEvery)
	defer tick.Stop()
	fails := 0
	for {
		select {
		case <-inst.dead:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.healthy(ctx, inst) == nil {
			fails = 0
			continue
		}
		if fails++; fails >= s.cfg.HealthFails {
			s.cfg.Logger.Warn("engine does not answer and is killed", "model", inst.name, "pid", inst.pid)
			inst.cancel(errHung)
			return
		}
	}
}
