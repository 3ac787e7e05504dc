package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

func TestMain(m *testing.M) {
	if sandbox.Main() {
		return
	}
	goleak.VerifyTestMain(m)
}

// sh runs a shell line in a jail and returns what it wrote.
func sh(t *testing.T, spec sandbox.Spec, line string) (string, sandbox.Exit) {
	t.Helper()
	var out bytes.Buffer
	spec.Command, spec.Args = "/bin/sh", []string{"-c", line}
	spec.Stdout, spec.Stderr = &out, &out
	if spec.Env == nil {
		spec.Env = []string{"PATH=/usr/bin:/bin"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	exit, err := sandbox.Run(ctx, spec)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String(), exit
}

func TestAProgramSeesItsOwnWorld(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "code.txt"), []byte("given"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{Files: []sandbox.Bind{{Source: dir, Target: "/var/task"}}, Dir: "/var/task", Env: []string{"PATH=/usr/bin:/bin", "A=b c"}}
	for _, c := range []struct{ name, line, want string }{
		{"its files", "cat code.txt; pwd", "given/var/task\n"},
		{"its environment and no more", "env | grep -v -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= | sort", "A=b c\nPATH=/usr/bin:/bin\n"},
		{"its own user", "id -u; id -g; id -G", "993\n990\n990\n"},
		{"its processes", "ls /proc | grep -c '^[0-9]'; echo $$", ""},
		{"its scratch", "echo hi > /tmp/x && cat /tmp/x && ls /tmp", "hi\nx\n"},
		{"its root", "ls /", "bin\ndev\netc\nlib\nlib64\nproc\nrun\nsbin\ntmp\nusr\nvar\n"},
		{"its devices", "ls /dev; head -c 4 /dev/zero | wc -c", "fd\nfull\nnull\nrandom\nstderr\nstdin\nstdout\nurandom\nzero\n4\n"},
		{"no capabilities", "grep -E '^Cap(Eff|Prm|Inh|Amb|Bnd)|^NoNew|^Seccomp:' /proc/self/status | awk '{print $2}' | tr '\\n' ' '",
			"0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 1 2 "},
		{"only its open files", "ls /proc/self/fd | wc -l", "4\n"}, // three and the folder itself
		{"no interface but loopback", "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '", "lo\n"},
		{"its host name", "cat /proc/sys/kernel/hostname 2>/dev/null; uname -n", "sandbox\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, exit := sh(t, spec, c.line)
			if exit.Code != 0 {
				t.Fatalf("%s; wrote %q", exit, got)
			}
			if c.want == "" {
				t.Log(got)
				return
			}
			if c.name == "its root" { // machines differ in lib32 and such
				for _, f := range []string{"home", "root", "work", "boot", "opt", "mnt", "sys", "srv"} {
					if strings.Contains("\n"+got, "\n"+f+"\n") {
						t.Errorf("the jail shows /%s", f)
					}
				}
				return
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHowAProgramEnds(t *testing.T) {
	for _, c := range []struct {
		name, line string
		spec       sandbox.Spec
		want       sandbox.Exit
		says       string
	}{
		{"status", "exit 3", sandbox.Spec{}, sandbox.Exit{Code: 3}, "exit status 3"},
		{"signal", "kill -9 $$", sandbox.Spec{}, sandbox.Exit{Code: -1, Signal: syscall.SIGKILL}, "signal: killed"},
		{"abort", "kill -ABRT $$", sandbox.Spec{}, sandbox.Exit{Code: -1, Signal: syscall.SIGABRT}, "signal: aborted"},
		{"wall", "sleep 60", sandbox.Spec{Limits: sandbox.Limits{Wall: 300 * time.Millisecond}}, sandbox.Exit{Code: -1, Signal: syscall.SIGKILL, Cause: sandbox.Wall}, "signal: killed"},
		{"processor time", "while :; do :; done", sandbox.Spec{Limits: sandbox.Limits{CPU: time.Second}}, sandbox.Exit{Code: -1, Signal: syscall.SIGKILL}, "signal: killed"},
		{"children end with it", "sleep 600 & sleep 600 & exit 0", sandbox.Spec{}, sandbox.Exit{}, "exit status 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := sh(t, c.spec, c.line)
			if got.String() != c.says {
				t.Errorf("says %q, want %q", got, c.says)
			}
			if got.CPU == 0 && c.name == "processor time" {
				t.Error("no processor time was counted")
			}
			got.CPU, got.Peak = 0, 0
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestMemoryHasAnEnd(t *testing.T) {
	// The shell itself holds what it substitutes.
	_, got := sh(t, sandbox.Spec{Limits: sandbox.Limits{Memory: 64 << 20}}, "x=$(head -c 300M /dev/zero | tr '\\0' x); echo ${#x}")
	if got.Cause != sandbox.Memory {
		t.Fatalf("%s, cause %q, peak %d MB: 300 MB passed a limit of 64", got, got.Cause, got.Peak>>20)
	}
	_, got = sh(t, sandbox.Spec{Limits: sandbox.Limits{Memory: 512 << 20}}, "head -c 100M /dev/zero | tail -c 90M > /dev/null")
	if got.Code != 0 || got.Cause != "" || got.Peak < 1<<20 {
		t.Fatalf("%s, cause %q, peak %d MB: 90 MB did not pass a limit of 512", got, got.Cause, got.Peak>>20)
	}
}

func TestSocketsOfTheJailAreServedFromOutside(t *testing.T) {
	var out bytes.Buffer
	p, err := sandbox.Start(t.Context(), sandbox.Spec{
		Command: "/bin/bash", Args: []string{"-c", `exec 5<>/dev/tcp/127.0.0.1/9001; read -r line <&5; echo "$line $API"; exec 6<>/dev/tcp/127.0.0.1/9002 || echo refused`},
		Env:    []string{"PATH=/usr/bin:/bin"},
		Listen: []sandbox.Listen{{Port: 9001, Env: "API", Format: "http://%s"}}, Stdout: &out, Stderr: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Listeners[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("hello\n"))
	_ = c.Close()
	p.Wait()
	if got, want := out.String(), "hello http://127.0.0.1:9001\nrefused\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := p.Listeners[0].Accept(); err == nil {
		t.Error("the listener outlives the jail")
	}
}

func TestTheContextEndsAJail(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := sandbox.Start(ctx, sandbox.Spec{Command: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		t.Fatal(err)
	}
	if ids := p.PIDs(); len(ids) != 1 {
		t.Errorf("inside are %v, want one", ids)
	}
	cancel()
	if e := p.Wait(); e.Cause != sandbox.Stopped {
		t.Errorf("ended by %q", e.Cause)
	}
	if _, err := sandbox.Start(ctx, sandbox.Spec{Command: "/bin/true"}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context starts a jail: %v", err)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	_, err := sandbox.Run(t.Context(), sandbox.Spec{Command: "/usr/bin/no-such-program"})
	if !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*sandbox.PartError](err); ok {
		t.Error("a missing program is told as a missing wall")
	}
	_, err = sandbox.Run(t.Context(), sandbox.Spec{Command: "/bin/true", Files: []sandbox.Bind{{Source: "/no/such/folder"}}})
	if p, ok := errors.AsType[*sandbox.PartError](err); !ok || p.Part != "mounts" {
		t.Errorf("a missing folder answers %v", err)
	}
}

// When the server is killed, nothing of a jail is left.
func TestNoOrphans(t *testing.T) {
	if os.Getenv("SANDBOX_TEST_SERVER") != "" {
		p, err := sandbox.Start(t.Context(), sandbox.Spec{Command: "/bin/sh", Args: []string{"-c", "sleep 600 & sleep 601"}, Env: []string{"PATH=/usr/bin:/bin"}})
		if err != nil {
			t.Fatal(err)
		}
		for len(p.PIDs()) < 3 {
			time.Sleep(time.Millisecond)
		}
		for _, id := range p.PIDs() {
			os.Stdout.WriteString("pid=" + strconv.Itoa(id) + "\n")
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNoOrphans$", "-test.v")
	cmd.Env = append(os.Environ(), "SANDBOX_TEST_SERVER=1")
	out, _ := cmd.CombinedOutput()
	var pids []int
	for line := range strings.Lines(string(out)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "pid="); ok {
			id, _ := strconv.Atoi(n)
			pids = append(pids, id)
		}
	}
	if len(pids) != 3 {
		t.Fatalf("the server told %v:\n%s", pids, out)
	}
	deadline := time.Now().Add(5 * time.Second)
	for _, id := range pids {
		for syscall.Kill(id, 0) == nil && !zombie(id) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d outlives the server", id)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestCheckSeesAJailHere(t *testing.T) {
	f := sandbox.Check(t.Context())
	for _, x := range f {
		t.Logf("%-11s %-8s %s", x.Part, x.State, x.Detail)
	}
	if !sandbox.Usable(f) {
		t.Error("no jail can be made on this machine")
	}
}

func TestUnsafeRunsWithoutAJail(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	p, err := sandbox.Start(t.Context(), sandbox.Spec{
		Unsafe: true, Command: "/bin/sh", Args: []string{"-c", `pwd; echo "$API"; ls "$TMPDIR"; sleep 600 & exit 4`}, Dir: "/var/task",
		Files:  []sandbox.Bind{{Source: dir, Target: "/var/task"}},
		Listen: []sandbox.Listen{{Port: 9001, Env: "API"}}, Env: []string{"PATH=/usr/bin:/bin"}, Stdout: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := p.Listeners[0].Addr().String()
	if e := p.Wait(); e.Code != 4 {
		t.Errorf("ended with %s", e)
	}
	if got, want := out.String(), dir+"\n"+addr+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// BenchmarkStart compares the way to the first instruction of a program, jailed
// and plain: the difference is what the jail costs a cold start.
func BenchmarkStart(b *testing.B) {
	run := func(b *testing.B, spec sandbox.Spec) {
		spec.Command, spec.Args = "/bin/sh", []string{"-c", "echo; read -r x"}
		var took []time.Duration
		for b.Loop() {
			first, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			in, hold, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			spec.Stdout, spec.Stdin = w, in
			from := time.Now()
			p, err := sandbox.Start(b.Context(), spec)
			if err != nil {
				b.Fatal(err)
			}
			_ = w.Close()
			_, _ = first.Read(make([]byte, 1))
			took = append(took, time.Since(from))
			_ = hold.Close()
			p.Wait()
			_, _ = in.Close(), first.Close()
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-to-first-byte")
	}
	b.Run("jail", func(b *testing.B) { run(b, sandbox.Spec{}) })
	b.Run("plain", func(b *testing.B) { run(b, sandbox.Spec{Unsafe: true}) })
}
