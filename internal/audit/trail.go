package audit

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Sink keeps records.
type Sink interface {
	// Write keeps all of the batch, or answers an error. The slice is the sink's
	// only until it returns. It should obey ctx.
	Write(ctx context.Context, batch []*Record) error
}

// Config of a Trail.
type Config struct {
	Sinks   []Sink
	Buffer  int           // records waiting for the sinks; default 8192
	Timeout time.Duration // for one batch at one sink, and for the last one; default 5 s
	Log     *slog.Logger  // default: discard
}

const maxBatch = 256

// Trail takes records from requests to the sinks. A nil *Trail takes none.
type Trail struct {
	cfg     Config
	queue   chan *Record
	dropped atomic.Int64
	failed  atomic.Int64
	ended   atomic.Bool
}

// New returns a trail; records wait until Run is called.
func New(cfg Config) *Trail {
	cfg.Buffer = cmp.Or(cfg.Buffer, 8192)
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Trail{cfg: cfg, queue: make(chan *Record, cfg.Buffer)}
}

// Record hands over a record, which the caller must not change any more. It never
// waits: with a full queue the record is dropped and counted.
func (t *Trail) Record(r *Record) {
	if t == nil {
		return
	}
	if t.ended.Load() {
		t.dropped.Add(1)
		return
	}
	select {
	case t.queue <- r:
	default:
		t.dropped.Add(1)
	}
}

// Dropped is the number of records that no sink was offered.
func (t *Trail) Dropped() int64 { return t.dropped.Load() }

// Failed is the number of records that a sink did not keep, counted once a sink.
func (t *Trail) Failed() int64 { return t.failed.Load() }

// Run feeds the sinks until ctx ends, then writes what is waiting, within Timeout
// for the whole of it, and returns nil.
func (t *Trail) Run(ctx context.Context) error {
	batch := make([]*Record, 0, maxBatch)
	for {
		select {
		case r := <-t.queue:
			batch = t.gather(append(batch[:0], r))
			t.write(context.WithoutCancel(ctx), batch)
		case <-ctx.Done():
			t.ended.Store(true)
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), t.cfg.Timeout)
			defer stop()
			for {
				batch = t.gather(batch[:0])
				if len(batch) == 0 {
					return nil
				}
				if last.Err() != nil {
					t.dropped.Add(int64(len(batch)))
					continue
				}
				t.write(last, batch)
			}
		}
	}
}

func (t *Trail) gather(batch []*Record) []*Record {
	for len(batch) < maxBatch {
		select {
		case r := <-t.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

func (t *Trail) write(ctx context.Context, batch []*Record) {
	for _, s := range t.cfg.Sinks {
		c, stop := context.WithTimeoutCause(ctx, t.cfg.Timeout, errors.New("audit sink took too long"))
		err := s.Write(c, batch)
		stop()
		if err != nil {
			t.failed.Add(int64(len(batch)))
			t.cfg.Log.Error("audit records not kept", "records", len(batch), "err", err)
		}
	}
}
