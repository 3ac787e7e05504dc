package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// logWriter gathers log lines and writes them in batches, so that a request
// does not wait for a write to a terminal or file. Lines are lost only when the
// process is killed; Run flushes them every 200 ms and at its end.
type logWriter struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	out   io.Writer
	full  chan struct{}
	limit int
}

func newLogWriter(out io.Writer) *logWriter {
	return &logWriter{out: out, full: make(chan struct{}, 1), limit: 64 << 10}
}

// Write keeps b. When far more is waiting than the output takes, the writer
// waits for it: a log that lags must slow the server, not fill its memory.
func (w *logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	switch n := w.buf.Len(); {
	case n > 16*w.limit:
		return len(b), w.flushLocked()
	case n > w.limit:
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
	return len(b), nil
}

func (w *logWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushLocked()
}

func (w *logWriter) flushLocked() error {
	_, err := w.buf.WriteTo(w.out)
	return err
}

// Run writes what is gathered until ctx ends, and then the rest.
func (w *logWriter) Run(ctx context.Context) error {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return w.flush()
		case <-t.C:
		case <-w.full:
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// logRequest writes one line for a request. Bodies are never logged here: they
// hold people's prompts.
func logRequest(log *slog.Logger) func(*gateway.Observation) {
	return func(o *gateway.Observation) {
		level := slog.LevelInfo
		if o.Status >= 500 && o.Status != 501 {
			level = slog.LevelError
		}
		ctx := context.Background()
		if !log.Enabled(ctx, level) {
			return
		}
		attrs := make([]slog.Attr, 0, 16)
		attrs = append(attrs,
			slog.String("operation", o.Call.Operation), slog.Int("status", o.Status), slog.Duration("took", o.Duration),
			slog.String("account", o.Call.Account), slog.String("region", o.Call.Region), slog.String("principal", o.Call.Principal),
			slog.String("request_id", o.Call.RequestID), slog.Int("in", o.BytesIn), slog.Int("out", o.BytesOut),
		)
		if o.Operation == nil {
			attrs = append(attrs, slog.String("method", o.Method), slog.String("path", o.Path))
		}
		if o.Error != nil {
			attrs = append(attrs, slog.String("error", string(o.Error.Kind)), slog.String("message", o.Error.Message))
		}
		if s := o.Call.Served(); s.Inference {
			attrs = append(attrs, slog.String("model_id", s.ModelID), slog.String("model", s.Model),
				slog.Int("input_tokens", s.InputTokens), slog.Int("output_tokens", s.OutputTokens))
		}
		if o.Attached {
			attrs = append(attrs, slog.Bool("attached", true))
		}
		log.LogAttrs(ctx, level, "request", attrs...)
	}
}
