package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// program runs a boto3 program of testdata against a server; it must end with
// "done" as its last line. What it printed before is returned.
func program(t *testing.T, s *outcroptest.Server, name string, args ...string) []string {
	t.Helper()
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), py, append([]string{filepath.Join("testdata", name)}, args...)...)
	cmd.Env = s.Home(t)
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || lines[len(lines)-1] != "done" {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return lines[:len(lines)-1]
}

func TestFaultsOfFunctionsOverTheWire(t *testing.T) {
	t.Parallel()
	program(t, outcroptest.Start(t), "lambda_faults.py")
}

func TestEventsOverTheWire(t *testing.T) {
	t.Parallel()
	program(t, outcroptest.Start(t, "--lambda-retry-delay", "300ms"), "lambda_events.py")
}

// marks is a function that the test itself serves, as a hook: it counts what it is
// called with, and fails with every fifth event.
type marks struct {
	mu      sync.Mutex
	tries   map[string]int             // by event
	ids     map[string]map[string]bool // request ids, by event
	running int
	changed time.Time
	slow    time.Duration
}

func newMarks(t *testing.T, slow time.Duration) (*marks, string) {
	m := &marks{tries: map[string]int{}, ids: map[string]map[string]bool{}, slow: slow}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return m, s.URL
}

func (m *marks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	event := string(b)
	m.mu.Lock()
	m.tries[event]++
	if m.ids[event] == nil {
		m.ids[event] = map[string]bool{}
	}
	m.ids[event][r.Header.Get("Lambda-Runtime-Aws-Request-Id")] = true
	m.running++
	m.changed = time.Now()
	m.mu.Unlock()
	time.Sleep(m.slow)
	m.mu.Lock()
	m.running--
	m.mu.Unlock()
	if n, err := strconv.Atoi(event); err == nil && n%5 == 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, `"marked"`)
}

// Events that were accepted outlive kill -9: each is worked on, and again only if
// it was being worked on when the server died; failed attempts stay counted.
func TestEventsOutliveAKill(t *testing.T) {
	t.Parallel()
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	m, hook := newMarks(t, 100*time.Millisecond)
	dir := t.TempDir()
	args := []string{"--function", "marks=" + hook, "--lambda-retry-delay", "1s"}
	const kills, each = 4, 60
	accepted := map[string]string{} // request ids by event
	inside := 0                     // events that were being worked on at a kill
	for round := range kills {
		s, err := outcroptest.Launch(dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		p := outcroptest.Begin(t, "", s.Home(t), py, filepath.Join("testdata", "lambda_sender.py"), fmt.Sprint(round*each), fmt.Sprint((round+1)*each))
		killed := false
		for {
			line, ok := p.Line(t, time.Minute)
			if !ok {
				t.Fatalf("the sender failed: %s", p.Errors())
			}
			if line == "done" {
				break
			}
			f := strings.Fields(line)
			accepted[f[1]] = f[2]
			if !killed && len(accepted) >= round*each/2+each/2 {
				m.mu.Lock()
				inside += m.running
				m.mu.Unlock()
				s.Kill()
				killed = true
			}
		}
		if !killed {
			s.Kill()
		}
	}
	s, err := outcroptest.Launch(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if code := s.Stop(); code != 0 {
			t.Errorf("the server ended with status %d", code)
		}
	}()
	want := func(event string) int {
		if n, _ := strconv.Atoi(event); n%5 == 0 {
			return 3
		}
		return 1
	}
	settled := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for event := range accepted {
			if m.tries[event] < want(event) {
				return false
			}
		}
		return time.Since(m.changed) > 4*time.Second // longer than the wait for a third attempt
	}
	for deadline := time.Now().Add(2 * time.Minute); !settled(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := 0
	for event, id := range accepted {
		n := m.tries[event]
		switch {
		case n < want(event):
			t.Errorf("event %s was accepted and tried %d times, want %d", event, n, want(event))
		case n > want(event)+kills:
			t.Errorf("event %s was tried %d times in %d kills, want %d and one more a kill at most", event, n, kills, want(event))
		}
		more += n - want(event)
		if len(m.ids[event]) > 1 || !m.ids[event][id] {
			t.Errorf("event %s came with the ids %v, accepted as %s", event, m.ids[event], id)
		}
	}
	if inside == 0 || more > kills*12 {
		t.Errorf("%d events were inside at the kills, %d tries more than without them", inside, more)
	}
	t.Logf("%d events accepted, %d inside at %d kills, %d tries more", len(accepted), inside, kills, more)
}

// A function reaches this server whether that speaks TLS or not.
func TestFunctionsCallHome(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--tls", "auto"}} {
		t.Run(strings.Join(append(args, "plain"), " "), func(t *testing.T) { program(t, outcroptest.Start(t, args...), "lambda_inward.py") })
	}
}

func TestSampleFunctionsOverTheWire(t *testing.T) {
	t.Parallel()
	program(t, outcroptest.Start(t), "lambda_samples.py")
}

// The parts of the guide's end-to-end scenario that are no agent's.
func TestTheScenarioOverTheWire(t *testing.T) {
	t.Parallel()
	program(t, outcroptest.Start(t), "lambda_scenario.py")
}

// A hook and another endpoint stand in for functions; an event for a hook is
// queued here and tried again, one for an endpoint is handed on.
func TestFunctionsElsewhere(t *testing.T) {
	t.Parallel()
	var events atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch string(body) {
		case `"fail"`:
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, `{"errorType": "Mine", "errorMessage": "as the function says"}`)
		case `"text"`:
			_, _ = io.WriteString(w, "plain text")
		case `"an event"`:
			if events.Add(1) < 3 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{
				"path": r.URL.Path, "id": r.Header.Get("Lambda-Runtime-Aws-Request-Id"), "arn": r.Header.Get("Lambda-Runtime-Invoked-Function-Arn"),
				"auth": r.Header.Get("Authorization"), "event": json.RawMessage(body),
			})
		}
	}))
	defer hook.Close()
	there := outcroptest.Start(t)
	program(t, there, "lambda_there.py")
	keys := there.Getenv("AWS_ACCESS_KEY_ID") + ":" + url.QueryEscape(there.Getenv("AWS_SECRET_ACCESS_KEY")) + "@"
	host := strings.TrimPrefix(there.Endpoint, "http://")
	file := filepath.Join(t.TempDir(), "settings.yaml")
	settings := fmt.Sprintf("function:\n  team-*: http://%s%s/2015-03-31\n  team-unused: http://127.0.0.1:1\n", keys, host)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	s := outcroptest.Start(t, "--config", file, "--lambda-retry-delay", "100ms",
		"--function", "hooked="+strings.Replace(hook.URL, "://", "://user:pass@", 1)+"/hook/me", "--function", "nowhere=lambda+http://127.0.0.1:1")
	program(t, s, "lambda_elsewhere.py")
	program(t, there, "lambda_there_after.py")
	for deadline := time.Now().Add(30 * time.Second); events.Load() < 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the hook got the event %d times, want 3", events.Load())
		}
	}
	if strings.Contains(s.Log(), "user:pass") || strings.Contains(s.Log(), keys) {
		t.Error("the log shows the keys of an address")
	}
}
