package llamacpp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// Command is a program to run.
type Command struct {
	Path string
	Args []string
	Env  []string // added to this process's environment
	// Input is written to standard input, which then stays open for as long as
	// this process lives: its end tells the child that the parent is gone.
	Input []byte
}

// Runner runs one child, once.
type Runner struct {
	Command Command
	Logger  *slog.Logger
	// Started, when set, is called with the child's process id.
	Started func(pid int)
}

// Run starts the child and returns when it has ended, with all its descendants
// of the same process group. The result is nil only when ctx was cancelled;
// otherwise it is an *Exit, also when the child ended with status 0, for a server
// has no reason to end by itself.
func (r *Runner) Run(ctx context.Context) error {
	// The kernel sends the parent-death signal when the thread that forked ends,
	// so that thread is kept for as long as the child lives.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	tail := &ring{log: r.Logger}
	path, args := guarded(r.Command.Path, r.Command.Args)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), r.Command.Env...)
	cmd.Stdout, cmd.Stderr = tail, tail
	isolate(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = 2 * time.Second
	in, hold, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	defer hold.Close()
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		in.Close()
		if ctx.Err() != nil {
			return nil
		}
		return &Exit{Err: fmt.Errorf("start engine: %w", err)}
	}
	in.Close()
	if r.Started != nil {
		r.Started(cmd.Process.Pid)
	}
	if len(r.Command.Input) > 0 {
		// A child that dies at once must not block us on a full pipe.
		_ = hold.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(hold, bytes.NewReader(r.Command.Input)); err != nil && r.Logger != nil {
			r.Logger.Debug("engine takes no configuration", "err", err)
		}
	}
	err = cmd.Wait()
	_ = killGroup(cmd.Process) // whatever it left behind
	if ctx.Err() != nil {
		return nil
	}
	return &Exit{Err: err, State: cmd.ProcessState, Tail: tail.String()}
}

// Exit tells how a child ended on its own.
type Exit struct {
	Err   error // of starting or waiting; nil after status 0
	State *os.ProcessState
	Tail  string // the last it said
}

func (e *Exit) Error() string {
	s := "engine process ended"
	if e.State != nil {
		s += ": " + e.State.String()
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Exit) Unwrap() error { return e.Err }
