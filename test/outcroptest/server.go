package outcroptest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/failpoint"
)

// Server is a running outcrop.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT
	Data     string // its data folder
	cmd      *exec.Cmd
	env      []string
	log      buffer
	exited   chan struct{}
	code     int
}

// startLimit is generous: a machine that compiles beside the tests is slow.
const startLimit = 60 * time.Second

// Start runs `outcrop serve` on a free port with a data folder of the test and
// the script engine, unless args say otherwise, and waits until it answers. It
// is stopped at the end of the test; when the test failed its log is shown.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Launch(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		code := s.Stop()
		if t.Failed() {
			t.Logf("log of the server (its end):\n%s", tail(s.Log(), 6000))
		}
		if code != 0 {
			t.Errorf("the server ended with status %d, want 0", code)
		}
	})
	return s
}

// Launch is Start for tests that are not testing's own; dir becomes the parent
// of the data folder. The caller stops the server.
func Launch(dir string, args ...string) (*Server, error) {
	bin, err := Binary()
	if err != nil {
		return nil, err
	}
	return launch(bin, dir, nil, args)
}

// LaunchMortal is Launch of a program that kills itself at a failpoint, NAME:N of
// package failpoint; with "" it lives.
func LaunchMortal(dir, point string, args ...string) (*Server, error) {
	bin, err := buildMortal()
	if err != nil {
		return nil, err
	}
	return launch(bin, dir, []string{failpoint.Variable + "=" + point}, args)
}

func launch(bin, dir string, env, args []string) (*Server, error) {
	s := &Server{Data: filepath.Join(dir, "data"), exited: make(chan struct{})}
	full := []string{"serve"}
	for _, d := range [][2]string{{"--listen", "127.0.0.1:0"}, {"--data", s.Data}, {"--engine", "script"}} {
		if v, ok := given(args, d[0]); !ok {
			full = append(full, d[0], d[1])
		} else if d[0] == "--data" {
			s.Data = v
		}
	}
	s.cmd = exec.Command(bin, append(full, args...)...)
	s.cmd.Env = append(withoutSettings(os.Environ()), env...)
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	line, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		r := bufio.NewReader(out)
		first, _ := r.ReadString('\n')
		line <- first
		_, _ = io.Copy(&s.log, r)
	}()
	go func() {
		<-read
		_ = s.cmd.Wait() // the status says it
		s.code = s.cmd.ProcessState.ExitCode()
		close(s.exited)
	}()
	select {
	case l := <-line:
		endpoint, ok := strings.CutPrefix(strings.TrimSpace(l), "outcrop ready on ")
		if !ok {
			code := s.Stop()
			return nil, fmt.Errorf("the server did not start: status %d, it printed %q and\n%s", code, l, s.Log())
		}
		s.Endpoint = endpoint
	case <-time.After(startLimit):
		s.Kill()
		return nil, fmt.Errorf("the server was not ready after %s:\n%s", startLimit, s.Log())
	}
	if s.env, err = variables(bin, s.Data); err != nil {
		return nil, errors.Join(err, fmt.Errorf("stop: status %d", s.Stop()))
	}
	return s, nil
}

func given(args []string, flag string) (string, bool) {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, flag+"="); ok {
			return v, true
		}
		if a == flag && i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}

// withoutSettings keeps variables of the person who runs the tests away from
// the programs under test.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		return strings.HasPrefix(kv, "OUTCROP_") && !strings.HasPrefix(kv, "OUTCROP_CACHE=") || strings.HasPrefix(kv, "AWS_")
	})
}

// variables asks `outcrop env` what a person would evaluate in a shell.
func variables(bin, data string) ([]string, error) {
	cmd := exec.Command(bin, "env", "--data", data)
	cmd.Env = withoutSettings(os.Environ())
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("outcrop env: %w", err)
	}
	var env []string
	for line := range strings.Lines(string(out)) {
		if kv, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			k, v, _ := strings.Cut(kv, "=")
			env = append(env, k+"="+strings.Trim(v, "'"))
		}
	}
	if len(env) < 5 {
		return nil, fmt.Errorf("outcrop env printed %q", out)
	}
	return env, nil
}

// Env returns the variables that `outcrop env` prints, as NAME=VALUE.
func (s *Server) Env() []string { return slices.Clone(s.env) }

// Getenv returns one of them.
func (s *Server) Getenv(name string) string {
	for _, kv := range s.env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// Home returns the whole environment of a person who has only what the AWS
// documentation tells them to have: a home folder with a [default] section in
// the shared credentials, a Region in the configuration, and the endpoint.
func (s *Server) Home(t testing.TB) []string {
	t.Helper()
	home := t.TempDir()
	aws := filepath.Join(home, ".aws")
	if err := os.MkdirAll(aws, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"credentials": "[default]\naws_access_key_id = " + s.Getenv("AWS_ACCESS_KEY_ID") + "\naws_secret_access_key = " + s.Getenv("AWS_SECRET_ACCESS_KEY") + "\n",
		"config":      "[default]\nregion = us-east-1\n",
	} {
		if err := os.WriteFile(filepath.Join(aws, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"HOME=" + home, "AWS_ENDPOINT_URL=" + s.Endpoint, "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}
	if ca := s.Getenv("AWS_CA_BUNDLE"); ca != "" {
		env = append(env, "AWS_CA_BUNDLE="+ca, "NODE_EXTRA_CA_CERTS="+ca)
	}
	for _, keep := range []string{"PATH", "TMPDIR", "LANG", "GOCACHE", "GOMODCACHE", "GOFLAGS"} {
		if v := os.Getenv(keep); v != "" {
			env = append(env, keep+"="+v)
		}
	}
	return env
}

// Log returns what the server wrote so far.
func (s *Server) Log() string { return s.log.String() }

// Stop asks the server to end, as a service manager does, and returns its exit
// status. A second call returns the same.
func (s *Server) Stop() int {
	select {
	case <-s.exited:
		return s.code
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.Kill()
	}
	select {
	case <-s.exited:
	case <-time.After(45 * time.Second): // more than the server's own grace
		s.Kill()
	}
	return s.code
}

// Died waits for the server to end by itself. It answers false when it lives on, or
// ended in another way than by a kill.
func (s *Server) Died(limit time.Duration) bool {
	select {
	case <-s.exited:
		return s.code == -1 // os.ProcessState: by a signal
	case <-time.After(limit):
		return false
	}
}

// Kill ends the server without notice.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // an error: it has ended
	<-s.exited
}

// Metric returns the sum of the series of a name that have all the labels, each
// as name="value".
func (s *Server) Metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	resp, err := http.Get(s.Endpoint + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
next:
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		f := strings.Fields(rest)
		v, err := strconv.ParseFloat(f[len(f)-1], 64)
		if err != nil {
			t.Fatalf("metric line %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// tail returns at most the last n bytes of s.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// buffer is a bytes.Buffer for a writer and readers in several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
