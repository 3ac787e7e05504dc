package acceptance

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// An unchanged boto3 program builds agents, prepares, versions and invokes them; a
// turn that returned control goes on after a restart.
func TestProgramsLiveWithAgents(t *testing.T) {
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	root, err := outcroptest.Root()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join("testdata", "agents.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := func(name string, args ...string) string {
		s, err := outcroptest.Launch(dir, "--engine", "script:"+rules)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), py, append([]string{filepath.Join("testdata", name)}, args...)...)
		cmd.Env = append(s.Home(t), "AWS_MAX_ATTEMPTS=1")
		var said, complaints strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &complaints
		err = cmd.Run()
		code := s.Stop()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s\nlog of the server:\n%s", name, err, said.String(), complaints.String(), s.Log())
		}
		if code != 0 {
			t.Errorf("the server ended with status %d", code)
		}
		return strings.TrimSpace(said.String())
	}
	if said := program("scenario.py"); said != "done" {
		t.Errorf("the scenario said %q", said)
	}
	left := program("agents.py", filepath.Join(root, "internal", "demo", "insurance", "claims.yaml"))
	if said := program("agents_after.py", left); said != "done" {
		t.Errorf("the second program said %q", said)
	}
}
