package sandbox

import (
	"os"
	"os/exec"
	"syscall"
)

// group does nothing: Windows knows no process groups of this kind.
func group(*exec.Cmd) {}

func killGroup(p *os.Process) { _ = p.Kill() }

func signalOf(*os.ProcessState) syscall.Signal { return 0 }
