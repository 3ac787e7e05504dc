package corpus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// watched is a parser whose children are remembered.
type watched struct {
	*parse.Parser
	mu    sync.Mutex
	procs []*sandbox.Process
}

func watch(cfg parse.Config) *watched {
	w := &watched{}
	cfg.Start = func(ctx context.Context, s sandbox.Spec) (*sandbox.Process, error) {
		p, err := sandbox.Start(ctx, s)
		if err == nil {
			w.mu.Lock()
			w.procs = append(w.procs, p)
			w.mu.Unlock()
		}
		return p, err
	}
	w.Parser = parse.New(cfg)
	return w
}

// end returns how many children there were, and the most memory that one had.
func (w *watched) end() (n int, peak int64) {
	w.Close()
	for _, p := range w.procs {
		peak = max(peak, p.Wait().Peak)
	}
	return len(w.procs), peak
}

// outcome holds a parser to what it promises for any input at all.
func outcome(t *testing.T, err error) parse.Reason {
	t.Helper()
	if err == nil {
		return "read"
	}
	e, ok := errors.AsType[*parse.Error](err)
	if !ok {
		t.Fatalf("an error without a reason: %v", err)
	}
	if !slices.Contains(parse.Reasons(), e.Reason) || e.Message == "" || e.Reason == parse.NoJail {
		t.Fatalf("reason %q, message %q, cause %v", e.Reason, e.Message, e.Err)
	}
	return e.Reason
}

const memoryWall = 512<<20 + 64<<20 // with what the kernel counts a moment late

func TestDamagedFilesEndWithAReason(t *testing.T) {
	n := 200
	if all {
		n = 2000
	}
	sources := files(t)
	w := watch(parse.Config{})
	reasons := map[parse.Reason]int{}
	slowest, which := time.Duration(0), ""
	for i := range n {
		f := sources[(i*37)%len(sources)]
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		bad, how := Damage(data, f.Format, uint64(i))
		start := time.Now()
		_, err = w.Parse(t.Context(), parse.Input{Name: filepath.Base(f.Path), Scope: "damaged", Data: bad})
		if took := time.Since(start); took > slowest {
			slowest, which = took, filepath.Base(f.Path)+": "+how
		}
		r := outcome(t, err)
		reasons[r]++
		if r == parse.Crash || r == parse.Timeout || r == parse.Memory {
			t.Errorf("%d: %s, %s: %v", i, filepath.Base(f.Path), how, err)
		}
	}
	children, peak := w.end()
	t.Logf("%d files: %v; slowest %s (%s); %d children, at most %d MB", n, reasons, slowest.Round(time.Millisecond), which, children, peak>>20)
	if reasons[parse.Damaged] == 0 || reasons["read"] == 0 {
		t.Error("the damage damages nothing, or everything")
	}
	if slowest > 65*time.Second || peak > memoryWall {
		t.Errorf("slowest %s, most memory %d bytes", slowest, peak)
	}
}

func TestBombsEndWithAReason(t *testing.T) {
	by := 4
	if all {
		by = 1
	}
	w := watch(parse.Config{})
	for _, b := range Bombs(by) {
		start := time.Now()
		_, err := w.Parse(t.Context(), parse.Input{Name: b.Name, Data: b.Data})
		took := time.Since(start)
		r := outcome(t, err)
		t.Logf("%-24s %8d bytes %8s %s", b.Name, len(b.Data), took.Round(time.Millisecond), r)
		if took > 65*time.Second {
			t.Errorf("%s took %s", b.Name, took)
		}
		if r == parse.Crash {
			t.Errorf("%s: %v: %v", b.Name, err, errors.Unwrap(err))
		}
	}
	if _, peak := w.end(); peak > memoryWall {
		t.Errorf("a child had %d bytes", peak)
	} else {
		t.Logf("at most %d MB", peak>>20)
	}
}

// Here, and not beside the parser, because the race detector alone takes more memory
// than a child may have.
func TestALargeTextComesThrough(t *testing.T) {
	p := parse.New(parse.Config{})
	defer p.Close()
	text := strings.Repeat(strings.Repeat("All the words of a long text. ", 30)+"\n\n", parse.MaxFile/902)
	d, err := p.Parse(t.Context(), parse.Input{Name: "a.txt", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Text) < parse.MaxFile*9/10 {
		t.Errorf("%d of %d bytes", len(d.Text), len(text))
	}
}
