package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"
)

// A client that waits longer than its read time-out (60 s in boto3) gives up and
// sends the same call again, up to five times. Bytes cannot be sent early to
// keep it waiting, since status and headers would be out; so the retry, which
// carries the same amz-sdk-invocation-id, joins the call that is still running.
// Work is cancelled Linger after its last listener has left.

// calls holds the plain operations that are running now.
type calls struct {
	h  *Handler
	mu sync.Mutex
	by map[callKey]*work
}

// callKey names a call. The hash of the body and the principal are part of it,
// so that a guessed or reused id never shows one caller another's answer.
type callKey struct {
	id, principal, operation, path, body string
}

// work is a running call and those who wait for it.
type work struct {
	done      chan struct{}
	answer    answer
	listeners int
	cancel    context.CancelCauseFunc
	timer     *time.Timer // set while nobody listens
}

func (c *calls) init(h *Handler) { c.h, c.by = h, map[callKey]*work{} }

// plain runs an operation that answers once.
func (x *exchange) plain() error {
	id := x.r.Header.Get("Amz-Sdk-Invocation-Id")
	if id == "" || x.rt.op.ReadOnly {
		ctx, stop := context.WithCancelCause(x.ctx)
		defer stop(nil)
		defer context.AfterFunc(x.h.base, func() { stop(context.Cause(x.h.base)) })()
		x.h.running.Add(1)
		defer x.h.running.Done()
		x.write(x.run(ctx))
		return nil
	}
	hash := x.id.BodyHash
	if len(hash) != hex.EncodedLen(sha256.Size) { // not computed, or one of the words that stand for unsigned bodies
		sum := sha256.Sum256(x.body.Bytes())
		hash = string(sum[:])
	}
	key := callKey{id: id, principal: x.c.Principal, operation: x.rt.op.Name, path: x.r.URL.RequestURI(), body: hash}
	w := x.h.calls.join(key, x)
	select {
	case <-w.done:
		x.h.calls.leave(key, w, true)
		x.write(w.answer)
	case <-x.r.Context().Done():
		x.h.calls.leave(key, w, false)
		x.answered = true // nobody is there to answer
		x.obs.Status = 499
	}
	return nil
}

// join returns the running work of the key, or starts it.
func (c *calls) join(key callKey, x *exchange) *work {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.by[key]; w != nil {
		if w.timer != nil {
			w.timer.Stop()
			w.timer = nil
		}
		w.listeners++
		x.obs.Attached = true
		return w
	}
	w := &work{done: make(chan struct{}), listeners: 1}
	// The work outlives the connection that began it, but not the server.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.ctx))
	w.cancel = cancel
	stop := context.AfterFunc(c.h.base, func() { cancel(context.Cause(c.h.base)) })
	c.by[key] = w
	c.h.running.Add(1)
	body := x.body
	x.body = nil // the input may point into it until the work has ended
	go func() {
		defer c.h.running.Done()
		defer stop()
		w.answer = x.run(ctx)
		putBody(body)
		close(w.done)
		cancel(nil)
	}()
	return w
}

// leave takes a listener away. Work that has ended and been answered is
// forgotten; work that nobody waits for is kept for a retry until Linger is over.
func (c *calls) leave(key callKey, w *work, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.listeners--
	if w.listeners > 0 {
		return
	}
	if answered {
		c.forget(key, w)
		return
	}
	w.timer = time.AfterFunc(c.h.Linger, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if w.listeners == 0 {
			w.cancel(context.Canceled)
			c.forget(key, w)
		}
	})
}

func (c *calls) forget(key callKey, w *work) {
	if c.by[key] == w {
		delete(c.by, key)
	}
}
