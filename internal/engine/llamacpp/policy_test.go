//go:build unix

package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestTheQueueIsFairBetweenAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 100)
		if err := q.acquire(t.Context(), "first", time.Hour); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		wait := func(account string) {
			wg.Go(func() {
				if err := q.acquire(context.Background(), account, time.Hour); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, account)
				mu.Unlock()
				q.release()
			})
			synctest.Wait()
		}
		for range 5 {
			wait("greedy")
		}
		wait("modest")
		q.release()
		wg.Wait()
		if at := slices.Index(order, "modest"); at != 1 || len(order) != 6 {
			t.Errorf("order %v", order)
		}
	})
}

func TestTheQueueIsBoundedAndImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 1)
		if err := q.acquire(t.Context(), "a", time.Hour); err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() { got <- q.acquire(context.Background(), "b", time.Second) }()
		synctest.Wait()
		if x := asError(t, q.acquire(t.Context(), "c", time.Second)); x.Kind != engine.Overloaded {
			t.Errorf("%v", x)
		}
		if x := asError(t, <-got); x.Kind != engine.TimedOut {
			t.Errorf("%v", x)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { got <- q.acquire(ctx, "d", time.Hour) }()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		// Who left takes no slot along.
		q.release()
		if err := q.acquire(t.Context(), "e", time.Second); err != nil {
			t.Error(err)
		}
		if q.n != 0 || len(q.waiting) != 0 || len(q.turn) != 0 {
			t.Errorf("leftovers: %+v", q)
		}
	})
}

func TestFreeMemoryIsWhatTheControlGroupsLeave(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known":  {nil, 0},
		"system alone":   {map[string]string{"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:  2048 kB\n"}, 2 * mb},
		"v2, page cache": {map[string]string{"proc/meminfo": "MemAvailable: 9999999 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.current": "62914560\n", "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 20971520\n"}, 60 * mb},
		"v2, container":  {map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "52428800\n", "sys/fs/cgroup/memory.current": "10485760\n"}, 40 * mb},
		"v1":             {map[string]string{"proc/meminfo": "MemAvailable: 9999999 kB\n", "proc/self/cgroup": "7:cpu:/x\n4:memory,other:/docker/1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "83886080\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "20971520\n", "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n"}, 60 * mb},
		"v1, unlimited":  {map[string]string{"proc/meminfo": "MemAvailable: 1024 kB\n", "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, mb},
	} {
		root := t.TempDir()
		for p, text := range c.files {
			p = filepath.Join(root, p)
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := available(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestWindowsCoverEverythingAndFit(t *testing.T) {
	f := frame{before: []int{1}, after: []int{2}}
	for n := range 200 {
		bare := make([]int, n)
		for i := range bare {
			bare[i] = 100 + i
		}
		var joined []int
		ws := split(bare, f, 20)
		for _, w := range ws {
			if len(w) > 20 || w[0] != 1 || w[len(w)-1] != 2 {
				t.Fatalf("%d tokens: window %v", n, w)
			}
			joined = append(joined, w[1:len(w)-1]...)
		}
		if !slices.Equal(joined, bare) || len(ws) != max(1, (n+17)/18) {
			t.Fatalf("%d tokens: %d windows of %v", n, len(ws), joined)
		}
	}
}

func TestTheRingKeepsTheEnd(t *testing.T) {
	var r ring
	for i := range 2000 {
		fmt.Fprintf(&r, "line %d\n", i)
	}
	s := r.String()
	if len(s) != ringSize || !strings.HasSuffix(s, "line 1999\n") {
		t.Errorf("%d bytes ending in %q", len(s), s[len(s)-20:])
	}
	if got := lastLines(s); got != "line 1995 | line 1996 | line 1997 | line 1998 | line 1999" {
		t.Error(got)
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	l := &loader{cfg: Config{BackoffFirst: time.Second, BackoffMost: 10 * time.Second}}
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 60: 10 * time.Second} {
		if got := l.backoff(n); got != want {
			t.Errorf("after %d failures: %s, want %s", n, got, want)
		}
	}
}

// What the engine adds to its child: one token, template included.
func BenchmarkGenerateOneToken(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "storyteller.gguf")
	t := &testing.T{}
	if err := os.Rename(modelFile(t, dir, "storyteller", false), path); err != nil {
		b.Fatal(err)
	}
	e, err := New(Config{CacheDir: dir, Program: fakeProgram(), Offline: true, ChatModel: path, EmbeddingModel: modelFile(t, dir, "embedder", true)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	req := &engine.Request{System: "You are brief.", Messages: []engine.Message{user("Tell me a story.")}, Sampling: engine.Sampling{MaxTokens: 1}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Generate(context.Background(), req, nil); err != nil {
			b.Fatal(err)
		}
	}
}
