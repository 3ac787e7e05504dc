package outcroptest

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Program is a client program that runs while the test looks at what it prints.
type Program struct {
	cmd   *exec.Cmd
	lines chan string
	errs  buffer
	out   buffer
}

// Run runs a client program in dir to its end and returns what it printed on
// its two outputs. A status other than want fails the test.
func Run(t testing.TB, want int, dir string, env []string, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s %s: status %d, want %d; it printed\n%s\nand on standard error\n%s", name, strings.Join(args, " "), got, want,
			tail(out.String(), 8000), tail(errs.String(), 8000))
	}
	return out.String(), errs.String()
}

// Begin starts a client program whose lines the test takes one by one.
func Begin(t testing.TB, dir string, env []string, name string, args ...string) *Program {
	t.Helper()
	p := &Program{cmd: exec.CommandContext(t.Context(), name, args...), lines: make(chan string, 1024)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, env, &p.errs
	p.cmd.WaitDelay = 5 * time.Second
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for r := bufio.NewScanner(io.TeeReader(out, &p.out)); r.Scan(); {
			p.lines <- r.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended when the test went well
		for range p.lines {      // lets the reader end
		}
		<-read
		_ = p.cmd.Wait()
	})
	return p
}

// Line returns the next line of the program's output, "" and false at its end.
func (p *Program) Line(t testing.TB, limit time.Duration) (string, bool) {
	t.Helper()
	select {
	case l, ok := <-p.lines:
		return l, ok
	case <-time.After(limit):
		t.Fatalf("the program printed nothing for %s; before:\n%s\nstandard error:\n%s", limit, p.out.String(), tail(p.errs.String(), 4000))
		return "", false
	}
}

// Silent fails the test when the program prints something within the time.
func (p *Program) Silent(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case l, ok := <-p.lines:
		if ok {
			t.Fatalf("the program printed %q before it could know it", l)
		}
		t.Fatalf("the program ended early; standard error:\n%s", tail(p.errs.String(), 4000))
	case <-time.After(d):
	}
}

// Errors returns what the program wrote on its standard error so far.
func (p *Program) Errors() string { return p.errs.String() }

// Kill ends the program at once.
func (p *Program) Kill() { _ = p.cmd.Process.Kill() } // an error: it has ended
