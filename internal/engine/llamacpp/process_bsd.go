//go:build unix && !linux

package llamacpp

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

func signalOf(s *os.ProcessState) int {
	w, ok := s.Sys().(syscall.WaitStatus)
	switch {
	case ok && w.Signaled():
		return int(w.Signal())
	case ok && w.ExitStatus() > 128: // how the guarding shell tells it
		return w.ExitStatus() - 128
	}
	return 0
}

// guardScript starts its arguments and watches a pipe of its own. The program
// keeps the standard input, which the Python script watches itself.
const guardScript = `"$@" 3<&- <&0 &
child=$!
parent=$PPID
while kill -0 "$child" 2>/dev/null; do
	if ! kill -0 "$parent" 2>/dev/null; then kill -9 "$child"; fi
	sleep 1
done
wait "$child"`

// guarded wraps a command in a shell that kills it when this process is
// gone: here the kernel has no parent-death signal.
func guarded(path string, args []string) (string, []string) {
	return "/bin/sh", append([]string{"-c", guardScript, "guard", path}, args...)
}
