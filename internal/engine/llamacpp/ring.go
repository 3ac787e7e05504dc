package llamacpp

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// ringSize is how much of what a child said is kept for its obituary.
const ringSize = 4 << 10

// ring keeps the last bytes written to it and passes whole lines to the debug
// log. It is safe for concurrent use.
type ring struct {
	log  *slog.Logger
	mu   sync.Mutex
	buf  []byte
	line []byte
}

func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	if over := len(r.buf) - ringSize; over > 0 {
		r.buf = append(r.buf[:0], r.buf[over:]...)
	}
	if r.log != nil && r.log.Enabled(context.Background(), slog.LevelDebug) {
		r.line = append(r.line, p...)
		for {
			i := bytes.IndexByte(r.line, '\n')
			if i < 0 {
				break
			}
			r.log.Debug("engine says", "line", string(bytes.TrimRight(r.line[:i], "\r")))
			r.line = r.line[i+1:]
		}
		if len(r.line) > ringSize {
			r.line = r.line[:0]
		}
	}
	return len(p), nil
}

// String returns what is kept.
func (r *ring) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.buf)
}
