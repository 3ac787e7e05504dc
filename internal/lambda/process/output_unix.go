//go:build unix

package process

import (
	"errors"
	"syscall"
)

// read takes what is printed until the last writer has gone.
func (o *output) read() {
	c, err := o.reader.SyscallConn()
	if err != nil {
		return
	}
	// Reading and keeping happen under one lock, so that drain, which reads too,
	// cannot overtake.
	_ = c.Read(func(fd uintptr) (done bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.take(fd)
	})
}

// drain takes what lies in the pipe, without waiting.
func (o *output) drain() {
	c, err := o.reader.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.take(fd)
	})
}

// take reads until the pipe is empty (false) or at its end (true).
func (o *output) take(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), o.buf)
		switch {
		case n > 0:
			o.add(o.buf[:n])
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		default:
			return true
		}
	}
}
