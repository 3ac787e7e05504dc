package conversation

import (
	"context"
	"sync"
)

// attempt is a turn that runs in this process: a client that sends its call again waits
// for it.
type attempt struct {
	call string
	done chan struct{}
}

// attempts are the turns of this process, by their sessions.
type attempts struct {
	mu      sync.Mutex
	running map[Key]*attempt
}

// Enter is Begin for clients that send a call again while its first try still runs: such
// a try waits, and then goes on or is answered. Another call is told ErrBusy. Without an
// error leave is set, and is called once when the turn has ended.
func (s *Sessions) Enter(ctx context.Context, o Opening) (turn *Turn, record []byte, leave func(), err error) {
	a := &s.attempts
	for {
		a.mu.Lock()
		run := a.running[o.Key]
		if run == nil {
			run = &attempt{call: o.Call, done: make(chan struct{})}
			if a.running == nil {
				a.running = make(map[Key]*attempt)
			}
			a.running[o.Key] = run
			a.mu.Unlock()
			leave := func() {
				a.mu.Lock()
				delete(a.running, o.Key)
				a.mu.Unlock()
				close(run.done)
			}
			turn, record, err := s.Begin(ctx, o)
			if err != nil {
				leave()
				return nil, nil, nil, err
			}
			return turn, record, leave, nil
		}
		a.mu.Unlock()
		if o.Call == "" || run.call != o.Call {
			return nil, nil, nil, ErrBusy
		}
		select {
		case <-run.done:
		case <-ctx.Done():
			return nil, nil, nil, ctx.Err()
		}
	}
}
