package rag

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// gate holds back the head of a stream until the model's first words, so that what
// fails before them is a plain HTTP error; but not for long, because clients give up
// on a silent connection. The timer's goroutine and the request's may both want to
// open: the lock makes sure that they never write at once.
type gate struct {
	mu      sync.Mutex
	to      audience
	session string
	timer   *time.Timer
	opened  bool
	closed  bool
	err     error
}

func newGate(after time.Duration, to audience, session string) *gate {
	g := &gate{to: to, session: session}
	if to.Streamed() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = time.AfterFunc(after, g.late)
	}
	return g
}

func (g *gate) late() {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() {
		if p := recover(); p != nil { // on this goroutine nobody else catches it
			g.err = fmt.Errorf("BUG: opening a stream panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if !g.closed {
		g.pass()
	}
}

// enter is called before anything is told. It opens the stream at the first call.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
	return g.err
}

func (g *gate) pass() {
	if !g.opened {
		g.opened = true
		g.err = g.to.Open(g.session)
	}
}

// close ends the timer's part: after it nobody but the caller writes.
func (g *gate) close() {
	if g.timer != nil {
		g.timer.Stop()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}
