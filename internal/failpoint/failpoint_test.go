package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/failpoint"
)

// TestMain is also the process that dies: it passes two points three times.
func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		hook := failpoint.FromEnvironment()
		for range 3 {
			for _, point := range []string{"a", "b"} {
				os.Stdout.WriteString(point)
				if err := hook(point); err != nil {
					os.Stdout.WriteString(err.Error())
					os.Exit(3)
				}
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAProcessDiesAtTheNamedPass(t *testing.T) {
	for _, c := range []struct{ variable, passed, end string }{
		{"", "ababab", "ok"},
		{"a:1", "a", "killed"},
		{"b:2", "abab", "killed"},
		{"c:1", "ababab", "ok"},
		{"a:9", "ababab", "ok"},
		{"a", "a", "failed"},
		{"a:0", "a", "failed"},
		{"a:x", "a", "failed"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "FAILPOINT_CHILD=1", failpoint.Variable+"="+c.variable)
		out, err := cmd.Output()
		passed, _, _ := strings.Cut(string(out), "failpoint:")
		end := "ok"
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			if end = "killed"; e.Exited() {
				end = "failed"
			}
		}
		if passed != c.passed || end != c.end {
			t.Errorf("%q: passed %q and ended %s, want %q and %s", c.variable, passed, end, c.passed, c.end)
		}
	}
}
