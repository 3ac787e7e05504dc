package process

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// Config of a Runtime.
type Config struct {
	Functions lambda.Functions // required
	Archive   lambda.Archive   // default lambda.Files
	// Dir is a folder for unpacked code, emptied at New and removed at Close;
	// default a temporary one.
	Dir         string
	Credentials lambda.Credentials // nil: functions have none
	Logs        lambda.Sink        // nil: what functions print goes into the log tail only
	// Endpoint answers host:port of the server that functions may call, in their
	// AWS_ENDPOINT_URL; nil or "" gives them nothing to call.
	Endpoint func() string
	// Dial connects to the endpoint; default plain TCP to Endpoint. http2 says that
	// the function begins with HTTP/2 by prior knowledge, for those who must agree
	// on a protocol first. The connection has CloseWrite where its kind can.
	Dial func(ctx context.Context, http2 bool) (net.Conn, error)
	// Network Host lets functions reach all that this machine reaches.
	Network sandbox.Network
	// Unsafe runs functions without a jail, because the operator says so.
	Unsafe bool

	Concurrency  int           // calls at once of all functions without a reserve; default 1000, as an AWS account
	Instances    int           // processes at once; calls beyond wait; default 64
	QueueTimeout time.Duration // how long a call waits for an instance; default 1 min
	Idle         time.Duration // after which an instance is let go; default 10 min
	InitTimeout  time.Duration // default 10 s
	Logger       *slog.Logger
	Now          func() time.Time
	NewID        func() string                                                             // request ids; default random UUIDs
	Start        func(context.Context, sandbox.Spec) (*sandbox.Process, error)             // default sandbox.Start
	Lookup       func(ctx context.Context, runtime string) (interpreter string, err error) // the program of a runtime; default: the PATH
}

// Runtime is an Invoker that runs functions as processes of this machine. Close
// ends them all.
type Runtime struct {
	cfg    Config
	code   *codeCache
	boot   string // folder of the bootstraps
	inters *interpreters
	ownDir string // removed at Close

	life context.Context //nolint:containedctx // the runtime's own life, not a call's: it ends at Close, and instances, which outlive the call that started them, hang on it
	end  context.CancelFunc
	work sync.WaitGroup // every goroutine of the runtime

	mu      sync.Mutex
	closed  bool
	pools   map[string]*pool // by qualified ARN
	running map[string]int   // calls at once, by unqualified ARN
	calls   int              // of functions without a reserve
	total   int              // instances that live or start
	queue   []*waiter        // calls that wait because of Config.Instances
	janitor *time.Timer
}

var _ lambda.Invoker = (*Runtime)(nil)

// New makes a runtime. It does not look whether a jail can be made: the first
// start of an instance says so when not.
func New(cfg Config) (*Runtime, error) {
	if cfg.Functions == nil {
		return nil, errors.New("lambda: a runtime needs to know its functions")
	}
	if cfg.Archive == nil {
		cfg.Archive = lambda.Files{}
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, 1000)
	cfg.Instances = cmp.Or(cfg.Instances, 64)
	cfg.QueueTimeout = cmp.Or(cfg.QueueTimeout, time.Minute)
	cfg.Idle = cmp.Or(cfg.Idle, 10*time.Minute)
	cfg.InitTimeout = cmp.Or(cfg.InitTimeout, 10*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = newID
	}
	if cfg.Start == nil {
		cfg.Start = sandbox.Start
	}
	if cfg.Endpoint == nil {
		cfg.Endpoint = func() string { return "" }
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, _ bool) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", cfg.Endpoint())
		}
	}
	r := &Runtime{cfg: cfg, pools: map[string]*pool{}, running: map[string]int{}}
	if cfg.Dir == "" {
		dir, err := os.MkdirTemp("", "outcrop-lambda-*")
		if err != nil {
			return nil, fmt.Errorf("lambda: folder for code: %w", err)
		}
		r.cfg.Dir, r.ownDir = dir, dir
	}
	var err error
	if r.code, err = newCodeCache(r.cfg.Dir, cfg.Archive); err != nil {
		return nil, err
	}
	if r.boot, err = writeBootstraps(r.cfg.Dir); err != nil {
		return nil, err
	}
	r.inters = &interpreters{lookup: cfg.Lookup}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// newID is a random (version 4) UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Close ends every instance and waits until nothing of them is left.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if r.janitor != nil {
		r.janitor.Stop()
	}
	waiters := r.queue
	r.queue = nil
	for _, p := range r.pools {
		waiters = append(waiters, p.waiters...)
		p.waiters = nil
	}
	r.mu.Unlock()
	r.end()
	for _, w := range waiters {
		w.ch <- nil
	}
	r.work.Wait()
	if err := r.code.close(); err != nil {
		return err
	}
	if r.ownDir != "" {
		return os.RemoveAll(r.ownDir)
	}
	return nil
}

// Invoke implements lambda.Invoker. When ctx or the Deadline ends first, the
// function goes on working, as on AWS; only the wait ends.
func (r *Runtime) Invoke(ctx context.Context, in lambda.Invocation) (*lambda.Result, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	f, err := r.cfg.Functions.Function(ctx, in.FunctionARN)
	if err != nil {
		return nil, err
	}
	f = withDefaults(f)
	in.RequestID = cmp.Or(in.RequestID, r.cfg.NewID())
	switch in.Type {
	case lambda.DryRun:
		return &lambda.Result{Status: 204, Version: f.Version, RequestID: in.RequestID}, nil
	case lambda.Event:
		return nil, &lambda.Error{Kind: lambda.Service, Message: "events are queued before they come here, see lambda.Routes"}
	case lambda.RequestResponse: // goes on below, as no type at all does
	}
	if f.Pending != "" {
		return nil, &lambda.Error{Kind: lambda.Conflict, Message: "The operation cannot be performed at this time. The function is currently in the following state: " + f.Pending}
	}
	if !in.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, in.Deadline)
		defer cancel()
	}
	return r.call(ctx, f, &in)
}

// withDefaults copies a function with its gaps filled.
func withDefaults(f *lambda.Function) *lambda.Function {
	c := *f
	c.Timeout = cmp.Or(c.Timeout, lambda.DefaultTimeout)
	c.MemoryMB = cmp.Or(c.MemoryMB, lambda.DefaultMemoryMB)
	c.TmpMB = cmp.Or(c.TmpMB, lambda.DefaultTmpMB)
	c.Version = cmp.Or(c.Version, lambda.LatestVersion)
	c.LogGroup = cmp.Or(c.LogGroup, "/aws/lambda/"+c.Name)
	return &c
}

// Warm counts the instances that live, for those who show the state.
func (r *Runtime) Warm() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// Forget lets every instance of a function go: its idle ones at once, the others
// after their call. The wire face calls it when a function is deleted.
func (r *Runtime) Forget(functionARN string) {
	r.mu.Lock()
	var gone []*instance
	for _, p := range r.pools {
		if p.arn == functionARN {
			gone = append(gone, p.retire()...)
		}
	}
	r.mu.Unlock()
	for _, i := range gone {
		i.kill()
	}
}
