package s3

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestThePublicSuite runs the integration tests that versitygw carries in its
// binary (Go module github.com/versity/versitygw, v1.8.0), each against a server
// of its own. testdata/suite.txt names those that hold here; each must. Of its 860
// tests of S3 the others ask for object locks (103), versioning (56), users that
// program makes by itself (45), a full stop after S3's own texts (75), or else for
// access control lists, websites, public policies on new buckets, its file-system
// rules, ETags of its own, or NotImplemented where S3 and this face have an answer.
//
// OUTCROP_S3_SUITE is the path of the binary. The run takes about a minute.
func TestThePublicSuite(t *testing.T) {
	suite := os.Getenv("OUTCROP_S3_SUITE")
	if suite == "" {
		t.Skip("OUTCROP_S3_SUITE names no versitygw binary: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	}
	b, err := os.ReadFile("testdata/suite.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(b))
	if len(all) < 320 {
		t.Fatalf("the list has %d names", len(all))
	}
	names := make(chan string)
	var lanes sync.WaitGroup
	for range 3 {
		lanes.Go(func() {
			for name := range names {
				t.Run(name, func(t *testing.T) { suiteTest(t, suite, name) })
			}
		})
	}
	for _, name := range all {
		names <- name
	}
	close(names)
	lanes.Wait()
}

func suiteTest(t *testing.T, suite, name string) {
	h := open(t, options{})
	cmd := exec.CommandContext(t.Context(), suite, "test", "-a", h.admin.ID, "-s", h.admin.Secret.Reveal(), "-e", h.url, name)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") { // its client takes no certificates from there
			cmd.Env = append(cmd.Env, e)
		}
	}
	out, err := cmd.CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, "FAIL") || !strings.Contains(text, "PASS") {
		t.Errorf("%v\n%s", err, text)
	}
}
