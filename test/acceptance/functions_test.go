package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// An unchanged boto3 program makes, calls, changes and removes functions; what it
// leaves is there after a restart.
func TestProgramsLiveWithFunctions(t *testing.T) {
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, program := range []string{"functions.py", "functions_after.py"} {
		s, err := outcroptest.Launch(dir)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), py, filepath.Join("testdata", program))
		cmd.Env = append(s.Home(t), "AWS_MAX_ATTEMPTS=1")
		out, err := cmd.CombinedOutput()
		code := s.Stop()
		if err != nil || strings.TrimSpace(string(out)) != "done" {
			t.Fatalf("%s: %v\n%s\nlog of the server:\n%s", program, err, out, s.Log())
		}
		if code != 0 {
			t.Errorf("the server ended with status %d", code)
		}
		// Nothing of the instances and their code is left.
		if left, err := os.ReadDir(filepath.Join(s.Data, "lambda", "code")); err == nil && len(left) > 0 {
			t.Errorf("%d folders of unpacked code are left", len(left))
		}
	}
}
