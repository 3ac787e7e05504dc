package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startUnsafe runs the program beside the server, because its operator asked for
// that. It keeps what an ordinary child can keep: its own scratch folder, the
// sockets, the wall clock, and that its process group ends with it.
func startUnsafe(spec Spec, p *Process) error {
	scratch, err := os.MkdirTemp("", "outcrop-unsafe-*")
	if err != nil {
		return fmt.Errorf("sandbox: scratch folder: %w", err)
	}
	env := append([]string{"TMPDIR=" + scratch, "TMP=" + scratch, "TEMP=" + scratch}, spec.Env...)
	fail := func(err error) error {
		for _, l := range p.Listeners {
			_ = l.Close()
		}
		_ = os.RemoveAll(scratch)
		return err
	}
	for _, want := range spec.Listen {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return fail(fmt.Errorf("sandbox: listen on loopback: %w", err))
		}
		p.Listeners = append(p.Listeners, l)
		if want.Env != "" {
			env = append(env, want.Env+"="+fmt.Sprintf(cmp.Or(want.Format, "%s"), l.Addr()))
		}
	}
	cmd := exec.Command(hostPath(spec.Files, spec.Command), spec.Args...)
	cmd.Env = env
	cmd.Dir = hostPath(spec.Files, spec.Dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Stdin, spec.Stdout, spec.Stderr
	cmd.WaitDelay = time.Second
	group(cmd)
	if err := cmd.Start(); err != nil {
		return fail(fmt.Errorf("sandbox: start %s: %w", spec.Command, err))
	}
	p.kill = func() { killGroup(cmd.Process) }
	go func() {
		err := cmd.Wait()
		killGroup(cmd.Process) // what it left behind
		_ = os.RemoveAll(scratch)
		e := Exit{Code: -1}
		if s := cmd.ProcessState; s != nil {
			e.Code, e.Signal, e.CPU = s.ExitCode(), signalOf(s), s.UserTime()+s.SystemTime()
		} else if !errors.Is(err, exec.ErrWaitDelay) {
			e.Cause = Stopped
		}
		p.finish(e)
	}()
	return nil
}

// hostPath turns a path of the jail into one of the machine.
func hostPath(files []Bind, name string) string {
	best := Bind{}
	for _, b := range files {
		if within(b.Target, name) && len(b.Target) > len(best.Target) {
			best = b
		}
	}
	if best.Target == "" {
		return filepath.FromSlash(name)
	}
	rest, err := filepath.Rel(filepath.FromSlash(best.Target), filepath.FromSlash(name))
	if err != nil {
		return name
	}
	return filepath.Join(best.Source, rest)
}

// within reports whether name is dir or lies in it.
func within(dir, name string) bool {
	rel, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(name))
	return err == nil && filepath.IsLocal(rel)
}
