//go:build unix

package crash

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/failpoint"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// failpoints are where the writer kills itself, most of them inside the work, with
// the range of how many passes it makes first.
var failpoints = []struct {
	name string
	upTo int
}{
	{store.HookBegun, 150}, {store.HookBeforeCommit, 150}, {store.HookAfterCommit, 150},
	{"job.in-checkpoint", 60}, {"job.after-checkpoint", 60}, {"job.in-done", 5},
}

// spawn starts this binary under a role. Its standard error goes to the test's log
// when it ends.
func spawn(t *testing.T, role string, env ...string) (cmd *exec.Cmd, out io.ReadCloser, errs *strings.Builder) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), append(env, envRole+"="+role)...)
	errs = &strings.Builder{}
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, errs
}

// killed runs a writer on dir until it dies by SIGKILL: at the failpoint, or after
// a random time from its first acknowledged write on.
func killed(t *testing.T, dir string, seed int, m *model, rng *rand.Rand, point string, env ...string) {
	t.Helper()
	env = append(env, envDir+"="+dir, fmt.Sprintf("%s=%d", envSeed, seed), failpoint.Variable+"="+point)
	cmd, out, errs := spawn(t, "writer", env...)
	limit := 10 * time.Second // a failpoint that never comes
	if point == "" {
		limit = time.Duration(rng.Int64N(int64(120 * time.Millisecond)))
	}
	first := &firstByte{r: out, seen: make(chan struct{})}
	followed := make(chan error, 1)
	go func() { followed <- m.follow(first) }()
	gone, killer := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(killer)
		select {
		case <-first.seen:
		case <-time.After(10 * time.Second): // it does not start: the end below tells why
		}
		select {
		case <-gone:
		case <-time.After(limit):
			_ = cmd.Process.Signal(syscall.SIGKILL) // an error: it is dead already
		}
	}()
	err := <-followed
	_ = cmd.Wait() // its error is the signal, looked at below
	close(gone)
	<-killer
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err != nil || !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("writer ended by itself: %v, %v\n%s", err, cmd.ProcessState, errs)
	}
}

// firstByte tells when the first byte has come.
type firstByte struct {
	r    io.Reader
	seen chan struct{}
	done bool
}

func (f *firstByte) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if (n > 0 || err != nil) && !f.done {
		f.done = true
		close(f.seen)
	}
	return n, err
}

func TestKillLoop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	kills := env("OUTCROP_CRASH_KILLS", 50)
	rng := rand.New(rand.NewPCG(3, uint64(kills)))
	m := newModel()
	atPoints, applied := 0, 0
	var slowest time.Duration
	for i := range kills {
		point := ""
		if i%5 < 3 { // three of five inside the work
			p := failpoints[rng.IntN(len(failpoints))]
			point = fmt.Sprintf("%s:%d", p.name, 1+rng.IntN(p.upTo))
			atPoints++
		}
		killed(t, dir, i, m, rng, point)
		f, err := check(t.Context(), dir, m)
		if err != nil {
			t.Fatalf("kill %d (%q): %v", i, point, err)
		}
		if len(f.Lost)+len(f.Wrong) > 0 {
			t.Fatalf("kill %d (%q), %d acknowledged:\nlost %v\nwrong %v", i, point, m.Acked, f.Lost, f.Wrong)
		}
		slowest = max(slowest, f.Reopen)
		if f.Applied {
			applied++
		}
		m.settle(f)
	}
	if slowest > 2*time.Second {
		t.Errorf("slowest reopen took %v, bar 2 s", slowest)
	}
	if m.Acked < int64(kills)*10 || len(m.Jobs) == 0 || len(m.Tokens) == 0 {
		t.Errorf("only %d operations, %d jobs, %d tokens: the loop shows little", m.Acked, len(m.Jobs), len(m.Tokens))
	}
	if applied == 0 {
		t.Error("no kill hit an operation between its commit and its acknowledgement")
	}
	// What the killed processes left half done is finished, each record once.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=finisher", envDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("finish the jobs: %v\n%s", err, out)
	}
	f, err := check(t.Context(), dir, m)
	if err != nil || len(f.Lost)+len(f.Wrong) > 0 {
		t.Fatalf("after the jobs: %v, %+v", err, f)
	}
	unfinished(t, dir, m)
	t.Logf("%d kills (%d at failpoints): %d acknowledged, 0 lost; %d applied unacknowledged; %d jobs x %d records; slowest reopen %v",
		kills, atPoints, m.Acked, applied, len(m.Jobs), recordsPerJob, slowest.Round(time.Millisecond))
}
