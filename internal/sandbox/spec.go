package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Network says what a program can reach.
type Network int

const (
	// Isolated has a loopback of its own with nothing on it but Spec.Listen.
	Isolated Network = iota
	// Host shares the machine's network. Every other wall of the jail stays.
	Host
)

// Bind shows a file or folder of the machine inside the jail, read-only.
type Bind struct {
	Source string // absolute, on the machine; links are followed
	Target string // absolute, inside; default Source
}

// Listen asks for a TCP socket on the jail's loopback. The caller accepts on
// Process.Listeners, in the order of Spec.Listen.
type Listen struct {
	Port int // inside; 0 takes a free one
	// Env names a variable that tells the program the address; Format is a
	// fmt format for it with one %s, default "%s".
	Env, Format string
}

// Limits of a program and all it starts. Zero takes the default.
type Limits struct {
	Memory    int64         // bytes; default 512 MiB
	CPU       time.Duration // processor time of one process; default none
	Wall      time.Duration // default none
	Pids      int           // processes and threads; default 64
	OpenFiles int           // default 1024
	FileSize  int64         // bytes of one file; default the size of the scratch
}

// Spec is one program and its jail.
type Spec struct {
	Command string    // absolute path, inside the jail
	Args    []string  // without the program's own name
	Env     []string  // the whole environment, NAME=VALUE
	Dir     string    // default /
	Files   []Bind    // shown beside the system's programs
	Scratch int64     // bytes of the private /tmp; default 64 MiB
	Listen  []Listen  // sockets served by the caller
	Network Network   // default Isolated
	Limits  Limits    //
	Stdin   io.Reader // default nothing
	Stdout  io.Writer // default thrown away
	Stderr  io.Writer // default thrown away

	// Unsafe runs the program as an ordinary child without any wall: files,
	// network and processes of the user who runs the server are open to it, and
	// of the Limits only Wall holds. Bind targets other than their source cannot
	// be kept.
	Unsafe bool
}

func (s Spec) withDefaults() (Spec, error) {
	if !path.IsAbs(s.Command) {
		return s, fmt.Errorf("sandbox: command %q is no absolute path", s.Command)
	}
	s.Dir = cmp.Or(s.Dir, "/")
	s.Scratch = cmp.Or(s.Scratch, 64<<20)
	s.Limits.Memory = cmp.Or(s.Limits.Memory, 512<<20)
	s.Limits.Pids = cmp.Or(s.Limits.Pids, 64)
	s.Limits.OpenFiles = cmp.Or(s.Limits.OpenFiles, 1024)
	s.Limits.FileSize = cmp.Or(s.Limits.FileSize, s.Scratch)
	l := s.Limits
	if s.Scratch < 0 || l.Memory < 0 || l.CPU < 0 || l.Wall < 0 || l.Pids < 0 || l.OpenFiles < 0 || l.FileSize < 0 {
		return s, errors.New("sandbox: a negative limit makes no sense")
	}
	if len(s.Listen) > 16 {
		return s, errors.New("sandbox: more than 16 sockets")
	}
	files := make([]Bind, len(s.Files))
	for i, b := range s.Files {
		b.Target = path.Clean(cmp.Or(b.Target, b.Source))
		if !path.IsAbs(b.Source) || !path.IsAbs(b.Target) || b.Target == "/" {
			return s, fmt.Errorf("sandbox: bind %q at %q: both must be absolute, and not the root", b.Source, b.Target)
		}
		for _, own := range []string{"/proc", "/dev", "/tmp"} {
			if b.Target == own || strings.HasPrefix(b.Target, own+"/") && own != "/tmp" {
				return s, fmt.Errorf("sandbox: bind at %s: that folder is the jail's own", b.Target)
			}
		}
		files[i] = b
	}
	s.Files = files
	for _, e := range s.Env {
		if strings.IndexByte(e, 0) >= 0 || strings.IndexByte(e, '=') <= 0 {
			return s, fmt.Errorf("sandbox: environment entry %.40q is not NAME=VALUE", e)
		}
	}
	return s, nil
}

// Cause says who ended a program.
type Cause string

// The causes.
const (
	Itself  Cause = ""        // exited, or a signal of its own making
	Memory  Cause = "memory"  // went over Limits.Memory
	Wall    Cause = "wall"    // went over Limits.Wall
	Stopped Cause = "stopped" // Kill, or the context ended
)

// Exit is how a program ended.
type Exit struct {
	Code   int            // exit status; -1 when a signal ended it
	Signal syscall.Signal // 0 when it exited
	Cause  Cause
	Peak   int64         // highest resident memory seen, bytes; 0 unknown
	CPU    time.Duration // processor time of the program and what it waited for
}

// String speaks as a shell does: "exit status 3", "signal: killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// PartError is a wall that could not be built, so nothing was run.
type PartError struct {
	Part string // a name of the list that Check gives
	Err  error
}

func (e *PartError) Error() string {
	return fmt.Sprintf("sandbox: no jail can be made here, nothing was run: %s: %v", e.Part, e.Err)
}

func (e *PartError) Unwrap() error { return e.Err }

// ErrUnsupported is the cause of a PartError on systems that have no jail.
var ErrUnsupported = errors.New("this system has no jail; only Linux has")

// State of a part of the jail on this machine.
type State string

// The states.
const (
	OK      State = "ok"
	Weaker  State = "weaker"  // works with less; Start succeeds
	Missing State = "missing" // Start fails
)

// Finding is one part of the jail as it is on this machine.
type Finding struct {
	Part   string
	State  State
	Detail string // what was found, and what to do about it
}

// Usable reports whether Start can make a jail.
func Usable(findings []Finding) bool {
	for _, f := range findings {
		if f.State == Missing {
			return false
		}
	}
	return len(findings) > 0
}

// Process is a running program. All methods may be called from any goroutine.
type Process struct {
	// Listeners answer Spec.Listen, one each. They close with the process.
	Listeners []net.Listener

	kill   func()                   // ends everything inside
	memory func() (now, peak int64) // nil when unknown
	inside func() ([]int, error)    // nil when unknown
	done   chan struct{}            // closed when nothing inside lives
	exit   Exit                     // written before done is closed

	mu      sync.Mutex
	cause   Cause  // the first that came
	release func() // ends the timers of Start
}

// Done is closed when the program and all it started have ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns how the program ended.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Kill ends the program and all it started at once. It does not wait.
func (p *Process) Kill() { p.end(Stopped) }

func (p *Process) end(c Cause) {
	select {
	case <-p.done:
		return
	default:
	}
	p.mu.Lock()
	if p.cause == Itself {
		p.cause = c
	}
	p.mu.Unlock()
	p.kill()
}

// finish records the end; the starter's own goroutine calls it once.
func (p *Process) finish(e Exit) {
	p.mu.Lock()
	if e.Cause == Itself {
		e.Cause = p.cause
	}
	release := p.release
	p.release = nil
	p.exit = e
	close(p.done)
	p.mu.Unlock()
	if release != nil {
		release()
	}
	for _, l := range p.Listeners {
		_ = l.Close()
	}
}

// Memory returns the resident bytes of all processes inside, now and at most so
// far; zeros where the system does not say.
func (p *Process) Memory() (now, peak int64) {
	if p.memory == nil {
		return 0, 0
	}
	return p.memory()
}

// PIDs lists the machine's ids of the processes inside, for those who show them.
func (p *Process) PIDs() []int {
	if p.inside == nil {
		return nil
	}
	ids, err := p.inside()
	if err != nil {
		return nil
	}
	return ids
}

// Start runs a program in its jail. The end of ctx ends it.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{})}
	if spec.Unsafe {
		err = startUnsafe(spec, p)
	} else {
		err = start(ctx, spec, p)
	}
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.end(Stopped) })
	var wall *time.Timer
	if spec.Limits.Wall > 0 {
		wall = time.AfterFunc(spec.Limits.Wall, func() { p.end(Wall) })
	}
	release := func() {
		stop()
		if wall != nil {
			wall.Stop()
		}
	}
	p.mu.Lock()
	select {
	case <-p.done:
		p.mu.Unlock()
		release()
	default:
		p.release = release
		p.mu.Unlock()
	}
	return p, nil
}

// Run starts a program and waits for its end.
func Run(ctx context.Context, spec Spec) (Exit, error) {
	p, err := Start(ctx, spec)
	if err != nil {
		return Exit{}, err
	}
	return p.Wait(), nil
}
