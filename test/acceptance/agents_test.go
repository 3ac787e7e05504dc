package acceptance

import (
	"bytes"
	"io/fs"
	"os"
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

// What an agent under a customer key says, is told and answers, and the files of its
// code interpreter, is nowhere in the data
// folder in plain bytes, write-ahead log included, while the server runs and after.
func TestAnAgentUnderACustomerKeyCannotBeRead(t *testing.T) {
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join("testdata", "agents_walk.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := outcroptest.Launch(t.TempDir(), "--engine", "script:"+rules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), py, filepath.Join("testdata", "agents_key.py"))
	cmd.Env = append(s.Home(t), "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	running := search(t, s.Data, "zebra-crossing", "secret-agent")
	s.Stop()
	if err != nil || strings.TrimSpace(string(out)) != "done" {
		t.Fatalf("%v\n%s\nlog of the server:\n%s", err, out, s.Log())
	}
	for when, found := range map[string]map[string][]string{"running": running, "stopped": search(t, s.Data, "zebra-crossing", "secret-agent")} {
		if files := found["zebra-crossing"]; len(files) > 0 {
			t.Errorf("%s: plain text of the agent stands in %s", when, strings.Join(files, ", "))
		}
		if len(found["secret-agent"]) == 0 {
			t.Errorf("%s: the search does not even find the agent's name, a clear column", when)
		}
	}
}

// search returns the files below dir that hold each of the words.
func search(t *testing.T, dir string, words ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				found[w] = append(found[w], path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
