package parse

import (
	"context"
	"errors"
	"strings"
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
