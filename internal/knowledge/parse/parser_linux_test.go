package parse

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

func TestMain(m *testing.M) {
	if sandbox.Main() || Main() {
		return
	}
	goleak.VerifyTestMain(m)
}

func newParser(t testing.TB, cfg Config) *Parser {
	t.Helper()
	p := New(cfg)
	t.Cleanup(p.Close)
	return p
}

func TestADocumentIsReadInAChild(t *testing.T) {
	p := newParser(t, Config{})
	for _, scope := range []string{"kb", "kb", ""} {
		d, err := p.Parse(t.Context(), Input{Name: "a.md", Scope: scope, Data: []byte("# Rocks\n\nSand and *rocks*.\n")})
		if err != nil {
			t.Fatalf("%v: %v", err, errors.Unwrap(err))
		}
		if d.Title != "Rocks" || d.Text != "# Rocks\n\nSand and *rocks*." || len(d.Blocks) != 2 || d.Format != Markdown {
			t.Errorf("got %+v", d)
		}
	}
}

func TestWaitingForADocumentEndsWithItsContext(t *testing.T) {
	p := newParser(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := p.Parse(ctx, Input{Name: "a.txt", Data: []byte(strings.Repeat("word ", 1<<20))})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, scope := range []string{"", "kb"} {
		name := "fresh child"
		if scope != "" {
			name = "kept child"
		}
		b.Run(name, func(b *testing.B) {
			p := newParser(b, Config{PerChild: 1 << 30})
			data := []byte(strings.Repeat("A sentence of some length, as people write them. ", 200))
			for b.Loop() {
				if _, err := p.Parse(b.Context(), Input{Name: "a.txt", Scope: scope, Data: data}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAChildThatFailsIsReplacedAndSaysWhy(t *testing.T) {
	var procs []*sandbox.Process
	p := newParser(t, Config{Wall: time.Second, Start: func(ctx context.Context, s sandbox.Spec) (*sandbox.Process, error) {
		pr, err := sandbox.Start(ctx, s)
		if err == nil {
			procs = append(procs, pr)
		}
		return pr, err
	}})
	read := func(want string) {
		t.Helper()
		_, err := p.Parse(t.Context(), Input{Name: "a.txt", Scope: "kb", Data: []byte("text")})
		got := ""
		if e, ok := errors.AsType[*Error](err); ok {
			got = string(e.Reason)
		}
		if got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	read("")
	procs[0].Kill()
	<-procs[0].Done()
	read(string(Crash))
	read("")
	if len(procs) != 2 {
		t.Errorf("%d children", len(procs))
	}
	// A child that takes too long: one that is stopped does.
	for _, pid := range procs[1].PIDs() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	read(string(Timeout))
	read("")
}

func TestDocumentsOfTwoScopesNeverMeet(t *testing.T) {
	n := 0
	p := newParser(t, Config{Children: 2, Start: func(ctx context.Context, s sandbox.Spec) (*sandbox.Process, error) {
		n++
		return sandbox.Start(ctx, s)
	}})
	for _, c := range []struct {
		scope string
		want  int
	}{{"a", 1}, {"a", 1}, {"b", 2}, {"a", 2}, {"", 3}, {"", 4}} {
		if _, err := p.Parse(t.Context(), Input{Name: "a.txt", Scope: c.scope, Data: []byte("text")}); err != nil {
			t.Fatal(err)
		}
		if n != c.want {
			t.Errorf("scope %q: %d children so far, want %d", c.scope, n, c.want)
		}
	}
}

func TestWithoutAJailNothingIsRead(t *testing.T) {
	p := newParser(t, Config{Start: func(context.Context, sandbox.Spec) (*sandbox.Process, error) {
		return nil, &sandbox.PartError{Part: "landlock", Err: errors.New("switched off")}
	}})
	_, err := p.Parse(t.Context(), Input{Name: "a.txt", Data: []byte("text")})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Reason != NoJail {
		t.Fatalf("got %v", err)
	}
	if part, ok := errors.AsType[*sandbox.PartError](err); !ok || part.Part != "landlock" {
		t.Errorf("the missing part is not named: %v", err)
	}
}

// What a child may not do, tried in a child: the jail is really round it.
func TestAChildIsInAJail(t *testing.T) {
	var spec sandbox.Spec
	p := newParser(t, Config{Start: func(ctx context.Context, s sandbox.Spec) (*sandbox.Process, error) {
		spec = s
		return sandbox.Start(ctx, s)
	}})
	if _, err := p.Parse(t.Context(), Input{Name: "a.txt", Data: []byte("text")}); err != nil {
		t.Fatal(err)
	}
	if spec.Unsafe || spec.Network != sandbox.Isolated || len(spec.Listen) != 0 || len(spec.Files) != 1 || spec.Limits.Memory > 512<<20 || spec.Limits.OpenFiles > 64 || spec.Limits.Pids > 64 {
		t.Errorf("the child's jail is %+v", spec)
	}
}

func TestAChildEndsWithItsMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector does not fit into the limit of a child; run without it")
	}
	p := newParser(t, Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	// Twenty million empty cells in one row.
	_, err := p.Parse(t.Context(), Input{Name: "a.csv", Data: bytes.Repeat([]byte("a,"), 20<<20)})
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Memory {
		t.Errorf("got %v", err)
	}
}

func TestUnsafeReadsWithoutAJail(t *testing.T) {
	p := newParser(t, Config{Unsafe: true})
	if _, err := p.Parse(t.Context(), Input{Name: "a.txt", Data: []byte("text")}); err != nil {
		t.Fatal(err)
	}
}
