package parse

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// Config of a Parser. The zero value works.
type Config struct {
	// Children is how many documents are read at once; default the number of
	// processors, at most 4.
	Children int
	// PerChild is how many documents of one scope a child reads before it is
	// replaced; default 64. One makes every document meet a fresh process.
	PerChild int
	// Idle is how long a child may wait for the next document; default 10 s.
	Idle time.Duration
	// Wall is how long one document may take; default and most 60 s.
	Wall time.Duration
	// Unsafe reads without a jail, where an operator asked for that: the limits of
	// time stay, those of memory become requests.
	Unsafe bool
	Log    *slog.Logger
	// Start makes a child; default sandbox.Start.
	Start func(context.Context, sandbox.Spec) (*sandbox.Process, error)
}

// Parser reads documents in children. Its methods may be called from any
// goroutine; Close ends all children.
type Parser struct {
	cfg   Config
	slots chan struct{} // one a document that is being read

	mu     sync.Mutex
	idle   []*child // the most recently used last
	closed bool
}

// New makes a parser. It starts nothing.
func New(cfg Config) *Parser {
	cfg.Children = cmp.Or(max(cfg.Children, 0), min(runtime.GOMAXPROCS(0), 4))
	cfg.PerChild = cmp.Or(max(cfg.PerChild, 0), 64)
	cfg.Idle = cmp.Or(max(cfg.Idle, 0), 10*time.Second)
	cfg.Wall = min(cmp.Or(max(cfg.Wall, 0), childWall), childWall)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Start == nil {
		cfg.Start = sandbox.Start
	}
	return &Parser{cfg: cfg, slots: make(chan struct{}, cfg.Children)}
}

// Parse reads a document. The error is an *Error with a reason, or the context's.
func (p *Parser) Parse(ctx context.Context, in Input) (*Document, error) {
	if err := in.admit(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-p.slots }()
	c, err := p.child(ctx, in.Scope)
	if err != nil {
		return nil, err
	}
	doc, again, err := c.parse(ctx, &in, p.cfg.Wall)
	if again && in.Scope != "" && c.read < p.cfg.PerChild {
		p.keep(c)
	} else {
		c.end()
	}
	return doc, err
}

// Text reads a document of a format for a prompt.
func (p *Parser) Text(ctx context.Context, format string, data []byte) (string, error) {
	d, err := p.Parse(ctx, Input{Format: Format(format), Data: data})
	if err != nil {
		return "", err
	}
	return d.Text, nil
}

// Close ends all children that wait; those at work end with their document.
func (p *Parser) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.timer.Stop()
		c.end()
	}
}

// child takes a waiting child of the scope, or makes one.
func (p *Parser) child(ctx context.Context, scope string) (*child, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errors.New("parse: the parser is closed")
	}
	for i := len(p.idle) - 1; i >= 0; i-- {
		c := p.idle[i]
		if c.scope == scope && scope != "" {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.mu.Unlock()
			c.timer.Stop()
			return c, nil
		}
	}
	// All slots that are not at work may hold a child that waits.
	var old *child
	if len(p.idle) >= p.cfg.Children {
		old, p.idle = p.idle[0], p.idle[1:]
	}
	p.mu.Unlock()
	if old != nil {
		old.timer.Stop()
		old.end()
	}
	return p.start(ctx, scope)
}

// keep lets a child wait for the next document of its scope.
func (p *Parser) keep(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		go c.end()
		return
	}
	c.timer = time.AfterFunc(p.cfg.Idle, func() {
		p.mu.Lock()
		found := false
		for i := range p.idle {
			if p.idle[i] == c {
				p.idle = append(p.idle[:i], p.idle[i+1:]...)
				found = true
				break
			}
		}
		p.mu.Unlock()
		if found {
			c.end()
		}
	})
	p.idle = append(p.idle, c)
}

// child is one process that reads.
type child struct {
	scope  string
	proc   *sandbox.Process
	in     *os.File // its input and output, our ends
	out    *os.File
	stderr *tail
	read   int
	timer  *time.Timer
	log    *slog.Logger
}

// inside is where a child finds this binary.
const inside = "/opt/outcrop/outcrop"

func (p *Parser) start(ctx context.Context, scope string) (*child, error) {
	// Not /proc/self/exe: a mount of another namespace cannot be shown in the jail.
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.Abs(self)
	}
	if err != nil {
		return nil, &Error{Reason: NoJail, Message: "no reader could be started", Err: err}
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, &Error{Reason: NoJail, Message: "no reader could be started", Err: err}
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		_, _ = theirIn.Close(), in.Close()
		return nil, &Error{Reason: NoJail, Message: "no reader could be started", Err: err}
	}
	c := &child{scope: scope, in: in, out: out, stderr: &tail{}, log: p.cfg.Log}
	command := inside
	if p.cfg.Unsafe {
		command = self
	}
	// The child outlives the call that made it; end and Parse's own watch on the
	// context bound its life.
	c.proc, err = p.cfg.Start(context.WithoutCancel(ctx), sandbox.Spec{
		Command: command, Args: []string{workerArg},
		Env:   []string{"GOMAXPROCS=2", "GOTRACEBACK=single", "GOGC=50"},
		Files: []sandbox.Bind{{Source: self, Target: inside}},
		Stdin: theirIn, Stdout: theirOut, Stderr: c.stderr,
		Scratch: 1 << 20, // readers write no files
		Limits:  sandbox.Limits{Memory: childMemory, Pids: childPids, OpenFiles: childFiles, FileSize: 1 << 20},
		Unsafe:  p.cfg.Unsafe,
	})
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		_, _ = in.Close(), out.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &Error{Reason: NoJail, Message: "this machine has no jail to read it in", Err: err}
	}
	return c, nil
}

// parse sends one document and waits for what the child says. again tells whether
// the child may read another.
func (c *child) parse(ctx context.Context, in *Input, wall time.Duration) (doc *Document, again bool, err error) {
	c.read++
	late := time.AfterFunc(wall, func() { c.proc.Kill() })
	defer late.Stop()
	gone := context.AfterFunc(ctx, func() { c.proc.Kill() })
	defer gone()
	begun := time.Now()

	head, err := json.Marshal(in)
	if err != nil {
		return nil, false, fmt.Errorf("parse: order: %w", err)
	}
	sent := make(chan error, 1)
	go func() {
		err := writeFrame(c.in, head)
		if err == nil {
			err = writeFrame(c.in, in.Data)
		}
		sent <- err
	}()
	// An answer is a line for each block, and the attributes of rows; the text comes
	// after it.
	var a answer
	var text []byte
	b, rerr := readFrame(c.out, 2*maxText+80*maxBlocks)
	if rerr == nil {
		if err := json.Unmarshal(b, &a); err != nil {
			c.proc.Kill()
			return nil, false, &Error{Reason: Crash, Message: "its reader gave no answer", Err: errors.Join(err, <-sent)}
		}
		if a.Document != nil {
			text, rerr = readFrame(c.out, maxText)
		}
	}
	if rerr != nil {
		c.proc.Kill()
		serr := <-sent
		exit := c.proc.Wait()
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		ferr := c.failure(exit, !late.Stop() || time.Since(begun) >= wall, wall)
		ferr.Err = errors.Join(rerr, serr)
		c.log.WarnContext(ctx, "document reader ended", "reason", string(ferr.Reason), "exit", exit.String(), "stderr", c.stderr.String())
		return nil, false, ferr
	}
	if err := <-sent; err != nil {
		c.proc.Kill()
		return nil, false, &Error{Reason: Crash, Message: "its reader answered before it had read all", Err: err}
	}
	again = a.Heap < childHeap/2
	switch {
	case a.Error != nil:
		return nil, again, a.Error.check()
	case a.Document == nil:
		return nil, false, &Error{Reason: Crash, Message: "its reader gave no answer"}
	}
	a.Document.Text = string(text)
	if err := a.Document.check(); err != nil {
		return nil, false, &Error{Reason: Crash, Message: "its reader gave no sound answer", Err: err}
	}
	return a.Document, again, nil
}

// failure tells why a child has ended.
func (c *child) failure(exit sandbox.Exit, late bool, wall time.Duration) *Error {
	said := c.stderr.String()
	switch {
	case exit.Cause == sandbox.Memory || !late && exit.Peak > childMemory*7/10 || strings.Contains(said, "out of memory") ||
		strings.Contains(said, "cannot allocate memory") || strings.Contains(said, "failed to allocate"): // the last is the race detector's
		return fail(Memory, "it needs more than the %d MB of memory that one file may", childMemory>>20)
	case late:
		return fail(Timeout, "it takes longer than the %s that one file may", wall)
	case strings.Contains(said, "stack overflow") || strings.Contains(said, "stack exceeds"):
		return fail(Bomb, "its parts nest too deeply")
	}
	return fail(Crash, "its reader ended in the middle")
}

// check holds what a child says of a failure against the closed list.
func (e *Error) check() *Error {
	for _, r := range Reasons() {
		if r == e.Reason && r != NoJail {
			return &Error{Reason: r, Message: oneLine(e.Message, 500)}
		}
	}
	return fail(Crash, "its reader gave no sound answer")
}

// end lets the child go: without input it ends by itself, and if not, at once.
func (c *child) end() {
	_ = c.in.Close()
	select {
	case <-c.proc.Done():
	case <-time.After(200 * time.Millisecond):
		c.proc.Kill()
		<-c.proc.Done()
	}
	_ = c.out.Close()
}

// tail keeps the beginning of what a child writes about itself: a runtime says
// first what happened.
type tail struct {
	mu sync.Mutex
	b  []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 2048 - len(t.b); room > 0 {
		t.b = append(t.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
