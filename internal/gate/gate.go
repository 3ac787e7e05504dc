package gate

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Gate is the head of one stream. The timer's goroutine and the caller's may both want to
// open it; the lock makes sure that they never write at once.
type Gate struct {
	mu     sync.Mutex
	open   func() error
	timer  *time.Timer
	opened bool
	closed bool
	err    error
}

// New returns a gate that open opens: it sends the head and what stands before the first
// event. The gate opens by itself after a time without one.
func New(after time.Duration, open func() error) *Gate {
	g := &Gate{open: open}
	g.mu.Lock() // until the timer is set, late must not look at it
	defer g.mu.Unlock()
	g.timer = time.AfterFunc(after, g.late)
	return g
}

// late opens the stream when no event has come for long. A panic becomes the error that
// the operation meets: on the timer's goroutine nobody else catches it.
func (g *Gate) late() {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			g.err = fmt.Errorf("BUG: opening a stream panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if !g.closed { // it may have waited for the lock while the operation ended
		_ = g.pass() // kept in g.err: the operation meets it at its next event
	}
}

// Enter is called before each event. It opens the stream at the first, and answers what
// open did.
func (g *Gate) Enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pass()
}

func (g *Gate) pass() error {
	if !g.opened {
		g.opened = true
		g.timer.Stop()
		g.err = g.open()
	}
	return g.err
}

// Close ends the timer's part and says whether the stream was opened. After it nobody but
// the caller writes.
func (g *Gate) Close() (opened bool) {
	g.timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.opened
}
