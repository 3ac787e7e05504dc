package crash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/outcrop-dev/outcrop/test/crash/powerfs"
)

// TestFaults puts an error at the n-th call to the disk, for every n that opening a
// store and a script of 40 operations make. Every case must end in a sentinel of
// store or be absorbed, lose nothing, and leave a store that works when the fault
// is over.
func TestFaults(t *testing.T) {
	needsFUSE(t)
	for _, c := range []struct {
		errno  syscall.Errno
		sticky bool
		allow  string // sentinels that may come of it
	}{
		{syscall.EIO, false, "io"},
		{syscall.EIO, true, "io"},
		{syscall.ENOSPC, true, "full"},
		{syscall.EROFS, true, "read-only io"}, // a write to an open file answers SQLITE_IOERR
	} {
		for _, phase := range []string{"open", "script"} {
			name := fmt.Sprintf("%s sticky=%v %s", c.errno, c.sticky, phase)
			t.Run(name, func(t *testing.T) { faults(t, powerfs.Fault{Errno: c.errno, Sticky: c.sticky}, phase, c.allow) })
		}
	}
}

func faults(t *testing.T, fault powerfs.Fault, phase, allow string) {
	r := &rig{dir: t.TempDir()}
	r.on(t)
	defer r.off(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=faulty", envDir+"="+r.dir, envCase+"="+phase)
	errs := &strings.Builder{}
	cmd.Stderr = errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the worker ended: %v\n%s", err, errs)
		}
	}()
	cases, absorbed, struck := 0, 0, true
	kinds := map[string]int{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		answer := "go"
		switch {
		case strings.HasPrefix(line, "case "):
			if !struck { // the script has no n-th call any more
				answer = "stop"
				break
			}
			if _, err := fmt.Sscanf(line, "case %d", &fault.At); err != nil {
				t.Fatalf("worker says %q", line)
			}
			r.fs.Inject(fault)
		case line == "heal":
			struck = r.fs.Heal()
		default:
			var got report
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("worker says %q", line)
			}
			for _, b := range got.Bad {
				t.Errorf("call %d (%s): %s", got.Case, got.Error, b)
			}
			switch {
			case !struck && got.Error != "":
				t.Errorf("call %d: an error without a fault: %s", got.Case, got.Error)
			case !struck:
			case got.Error == "":
				absorbed++
			case got.Sentinel == "" || !strings.Contains(allow, got.Sentinel):
				t.Errorf("call %d: %q is %q, want one of %s", got.Case, got.Error, got.Sentinel, allow)
			default:
				kinds[got.Sentinel]++
			}
			cases++
			continue
		}
		if _, err := fmt.Fprintln(in, answer); err != nil {
			t.Fatalf("the worker left: %v\n%s", err, errs)
		}
	}
	if struck || cases < 20 || len(kinds) == 0 {
		t.Errorf("%d cases, errors %v: the script was not gone through", cases, kinds)
	}
	t.Logf("%d cases: %v, %d absorbed", cases, kinds, absorbed)
}
