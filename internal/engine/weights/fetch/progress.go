package fetch

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// Progress shows how far transfers are.
type Progress interface {
	// Start announces a piece of work of total bytes; total 0 is unknown.
	Start(label string, total int64) Bar
}

// Bar is one piece of work. Its methods are safe for concurrent use.
type Bar interface {
	// Add counts n more bytes; a negative n takes back what was counted.
	Add(n int64)
	// Done ends the display, whether the work succeeded or not.
	Done()
}

// Start begins a bar on p, or a silent one when p is nil.
func Start(p Progress, label string, total int64) Bar {
	if p == nil {
		return silent{}
	}
	return p.Start(label, total)
}

type silent struct{}

func (silent) Add(int64) {}
func (silent) Done()     {}

// NewProgress returns bars when f is a terminal, and a line every few seconds
// otherwise.
func NewProgress(f *os.File) Progress {
	if isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) {
		return terminal{f}
	}
	return &Lines{W: f}
}

type terminal struct{ w io.Writer }

func (t terminal) Start(label string, total int64) Bar {
	if total <= 0 {
		total = -1
	}
	return &terminalBar{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(t.w),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(t.w) }),
	)}
}

type terminalBar struct {
	mu   sync.Mutex
	n    int64
	done bool
	bar  *progressbar.ProgressBar
}

func (b *terminalBar) Add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	if !b.done {
		_ = b.bar.Set64(b.n) // a display that fails must not stop a download
	}
}

func (b *terminalBar) Done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.done = true
		if !b.bar.IsFinished() {
			_ = b.bar.Exit()
		}
	}
}

// Lines writes plain lines: one at the start, one every Every, one at the end.
type Lines struct {
	W     io.Writer
	Every time.Duration    // default 5 s
	Now   func() time.Time // default time.Now

	mu sync.Mutex
}

// Start implements Progress.
func (l *Lines) Start(label string, total int64) Bar {
	b := &lineBar{l: l, label: label, total: total}
	b.begin, b.last = l.now(), l.now()
	l.print("%s: %s", label, size(total))
	return b
}

func (l *Lines) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

func (l *Lines) print(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.W, format+"\n", args...)
}

type lineBar struct {
	l     *Lines
	label string
	total int64

	mu          sync.Mutex
	n           int64
	begin, last time.Time
	done        bool
}

func (b *lineBar) Add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	every := b.l.Every
	if every == 0 {
		every = 5 * time.Second
	}
	now := b.l.now()
	if b.done || now.Sub(b.last) < every {
		return
	}
	b.last = now
	if b.total > 0 {
		b.l.print("%s: %3d %% of %s", b.label, min(100, b.n*100/b.total), size(b.total))
	} else {
		b.l.print("%s: %s", b.label, size(b.n))
	}
}

func (b *lineBar) Done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return
	}
	b.done = true
	took := b.l.now().Sub(b.begin).Round(100 * time.Millisecond)
	if b.total > 0 && b.n < b.total {
		b.l.print("%s: stopped at %s of %s after %s", b.label, size(b.n), size(b.total), took)
		return
	}
	b.l.print("%s: %s in %s", b.label, size(b.n), took)
}

func size(n int64) string {
	switch {
	case n <= 0:
		return "size unknown"
	case n < 1<<20:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
