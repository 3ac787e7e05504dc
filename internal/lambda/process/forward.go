package process

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
)

// forward joins connections of the function to the one endpoint that it may
// call.
func (i *instance) forward(ctx context.Context, l net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	room := make(chan struct{}, maxForwards)
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case room <- struct{}{}:
		default: // its own connections are in its way, nobody else's
			_ = in.Close()
			continue
		}
		work.Go(func() {
			defer func() { <-room }()
			defer in.Close()
			stop := context.AfterFunc(ctx, func() { _ = in.Close() })
			defer stop()
			// A client speaks first. What it says chooses the protocol.
			first := bufio.NewReaderSize(in, 16)
			start, err := first.Peek(3)
			if err != nil {
				return
			}
			out, err := i.rt.cfg.Dial(ctx, string(start) == "PRI")
			if err != nil {
				i.rt.cfg.Logger.Warn("function cannot reach the endpoint", "function", i.f.ARN, "error", err)
				return
			}
			defer out.Close()
			stopOut := context.AfterFunc(ctx, func() { _ = out.Close() })
			defer stopOut()
			join(in, first, out)
		})
	}
}

// maxForwards are connections of one instance to the endpoint at once.
const maxForwards = 128

// join copies both ways until both have ended; one end of stream is passed on.
// first holds what was read of in already.
func join(in net.Conn, first *bufio.Reader, out net.Conn) {
	var other sync.WaitGroup
	other.Go(func() {
		head, _ := first.Peek(first.Buffered())
		if _, err := out.Write(head); err == nil {
			_, _ = io.Copy(out, in) // between sockets the kernel copies
		}
		closeWrite(out)
	})
	_, _ = io.Copy(in, out)
	closeWrite(in)
	other.Wait()
}

func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
		return
	}
	_ = c.Close()
}
