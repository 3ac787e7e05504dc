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

// TestFaults puts an error at the n-th call to the disk, n = 1, 1+stride, … through
// all calls that opening a store and a script of 40 operations make. Every case must end in a sentinel of
// store or be absorbed, lose nothing, and leave a store that works when the fault
// is over.
func TestFaults(t *testing.T) {
	needsFUSE(t)
	for _, c := range []struct {
		name  string
		fault powerfs.Fault
		allow string // sentinels that may come of it
	}{
		{"EIO once", powerfs.Fault{Errno: syscall.EIO}, "io"},
		{"EIO", powerfs.Fault{Errno: syscall.EIO, Sticky: true}, "io"},
		// SQLite tells a read that the disk refuses as damage (SQLITE_IOERR_CORRUPTFS
		// becomes SQLITE_CORRUPT).
		{"EIO of reads", powerfs.Fault{Errno: syscall.EIO, Reads: true}, "io corrupt"},
		// Files that SQLite cannot make or map answer CANTOPEN and IOERR, whatever the reason.
		{"ENOSPC", powerfs.Fault{Errno: syscall.ENOSPC, Sticky: true}, "full io"},
		// A write to a file that is open already answers SQLITE_IOERR.
		{"EROFS", powerfs.Fault{Errno: syscall.EROFS, Sticky: true}, "read-only io"},
	} {
		// The script makes some thousand calls. OUTCROP_FAULT_STRIDE=1 goes through all
		// of them, which takes minutes; each change is tested on every 11th. Reads are
		// few, thanks to the page cache.
		for phase, stride := range map[string]int{"open": 7, "script": 11} {
			if c.fault.Reads {
				stride = 1
			}
			t.Run(c.name+" "+phase, func(t *testing.T) {
				faults(t, c.fault, env("OUTCROP_FAULT_STRIDE", stride), phase, c.allow)
			})
		}
	}
}

func faults(t *testing.T, fault powerfs.Fault, stride int, phase, allow string) {
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
			fault.At = 1 + (fault.At-1)*stride
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
	if struck || cases < 10 || len(kinds) == 0 {
		t.Errorf("%d cases, errors %v: the script was not gone through", cases, kinds)
	}
	t.Logf("%d cases: %v, %d absorbed", cases, kinds, absorbed)
}
