package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Limits of PutLogEvents.
const (
	maxPutEvents = 10000
	maxPutBytes  = 1 << 20 // messages in UTF-8 and 26 bytes each
	maxSpan      = 24 * time.Hour
	maxFuture    = 2 * time.Hour
	maxPast      = 14 * 24 * time.Hour
)

// Event is a line of a log as it comes.
type Event struct {
	At      int64 // ms since 1970
	Message string
}

// Rejected says which events of a batch were not taken, as the API has it: those
// before TooOld or Expired, and those from TooNew on; -1 for none.
type Rejected struct{ TooNew, TooOld, Expired int }

// row is an event as it is written.
type row struct {
	at      int64 // ms
	size    int64
	message []byte
}

// entry is one batch on its way to the writer.
type entry struct {
	place         Place
	group, stream string
	rows          []row
	// result gets the outcome of the commit; nil: nobody waits.
	result chan error
	failed func(error) // of what nobody waits for; may be nil
}

// Put writes events to a stream and returns when they are on disk.
func (s *Service) Put(ctx context.Context, p Place, group, stream string, events []Event) (Rejected, error) {
	rejected := Rejected{-1, -1, -1}
	var body groupBody
	err := s.store.View(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, stream); err != nil {
			return err
		}
		rec, err := groups.Get(tx, p.key(group))
		body = rec.Body
		return err
	})
	if err != nil {
		return rejected, err
	}
	if rejected, events, err = s.check(events, body.Retention); err != nil {
		return rejected, err
	}
	if len(events) == 0 {
		return rejected, nil
	}
	e := &entry{place: p, group: group, stream: stream, result: make(chan error, 1)}
	if e.rows, err = s.sealAll(ctx, p, group, stream, body.Key, events); err != nil {
		return rejected, kms.Public(err)
	}
	if err := s.send(ctx, e); err != nil {
		return rejected, err
	}
	select {
	case err = <-e.result:
	case <-ctx.Done():
		// The writer has it and may write it still, as with any request that is given up.
		err = context.Cause(ctx)
	}
	return rejected, err
}

func (s *Service) sealAll(ctx context.Context, p Place, group, stream, key string, events []Event) ([]row, error) {
	ctx = p.as(ctx, group)
	rows := make([]row, len(events))
	for i, ev := range events {
		b, err := s.seal(ctx, p, group, stream, key, ev.Message)
		if err != nil {
			return nil, err
		}
		rows[i] = row{ev.At, int64(len(ev.Message)) + eventOverhead, b}
	}
	return rows, nil
}

// check applies the rules of PutLogEvents and answers the events that are taken.
func (s *Service) check(events []Event, retention int) (Rejected, []Event, error) {
	r := Rejected{-1, -1, -1}
	if len(events) > maxPutEvents {
		return r, nil, apierr.New(InvalidParameter, "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to %d", maxPutEvents)
	}
	size, last := 0, int64(0)
	for i, ev := range events {
		if size += len(ev.Message) + eventOverhead; size > maxPutBytes {
			return r, nil, apierr.New(InvalidParameter, "Upload too large: a batch of log events can have %d bytes, counting %d for each event.", maxPutBytes, eventOverhead)
		}
		if i > 0 && ev.At < last {
			return r, nil, apierr.New(InvalidParameter, "Log events in a single PutLogEvents request must be in chronological order.")
		}
		last = ev.At
	}
	if n := len(events); n > 0 && events[n-1].At-events[0].At > maxSpan.Milliseconds() {
		return r, nil, apierr.New(InvalidParameter, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	now := millis(s.now())
	from, to := 0, len(events)
	for from < to && events[from].At < now-maxPast.Milliseconds() {
		from++
	}
	if from > 0 {
		r.TooOld = from
	}
	if retention > 0 {
		limit, n := s.expiry(retention)/1000, 0
		for n < to && events[n].At < limit {
			n++
		}
		if n > 0 {
			r.Expired = n
		}
		from = max(from, n)
	}
	for to > from && events[to-1].At > now+maxFuture.Milliseconds() {
		to--
	}
	if to < len(events) {
		r.TooNew = to
	}
	return r, events[from:to], nil
}

// errClosed: the service takes nothing more.
var errClosed = apierr.New(apierr.ServiceUnavailable, "The log service is stopping.")

// send gives an entry to the writer and blocks while it is behind.
func (s *Service) send(ctx context.Context, e *entry) error {
	s.put.RLock()
	defer s.put.RUnlock()
	if s.closed {
		return errClosed
	}
	select {
	case s.queue <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write is the one goroutine that writes events. While it commits, the next batch
// gathers in the queue; what nobody waits for waits for company.
func (s *Service) write() {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var first *entry
		select {
		case first = <-s.queue:
		case <-s.stop:
			s.drain()
			return
		}
		batch, n, waited := []*entry{first}, len(first.rows), first.result != nil
		timer.Reset(s.flush)
	gather:
		for n < s.batch {
			if waited { // take what is there, and go
				select {
				case e := <-s.queue:
					batch, n = append(batch, e), n+len(e.rows)
					continue
				default:
					break gather
				}
			}
			select {
			case e := <-s.queue:
				batch, n, waited = append(batch, e), n+len(e.rows), e.result != nil
			case <-timer.C:
				break gather
			case <-s.stop:
				break gather
			}
		}
		s.commit(batch)
	}
}

// drain writes what is left when nothing more can come.
func (s *Service) drain() {
	var batch []*entry
	for {
		select {
		case e := <-s.queue:
			batch = append(batch, e)
		default:
			if len(batch) > 0 {
				s.commit(batch)
			}
			return
		}
	}
}

// commit writes entries in one transaction and tells each its outcome. A stream
// that is gone meanwhile fails its own entries only.
func (s *Service) commit(batch []*entry) {
	results := make([]error, len(batch))
	ctx := context.Background() // the writer ends with its last batch, whoever waits
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		clear(results)
		for i, e := range batch {
			err := s.insert(tx, e)
			if _, known := errors.AsType[*apierr.Error](err); known {
				results[i] = err
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	for i, e := range batch {
		out := results[i]
		if err != nil {
			out = fmt.Errorf("write log events: %w", err)
		}
		switch {
		case e.result != nil:
			e.result <- out
		case out != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "log events lost", slog.String("group", e.group), slog.String("stream", e.stream),
				slog.Int("events", len(e.rows)), slog.Any("error", out))
			if e.failed != nil {
				e.failed(out)
			}
		}
	}
}

// inserts are multi-row statements: many rows at once, and one.
const many = 50

var (
	insertMany = insertOf(many)
	insertOne  = insertOf(1)
)

func insertOf(n int) string {
	return `INSERT INTO log_event (account, region, log_group, stream, at, ingested, message) VALUES ` +
		strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?, ?), `, n), ", ")
}

func (s *Service) insert(tx *store.Tx, e *entry) error {
	p := e.place
	group, err := groups.Get(tx, p.key(e.group))
	if errors.Is(err, store.ErrNotFound) {
		return noGroup()
	} else if err != nil {
		return err
	}
	stream, err := streams.Get(tx, p.inside(e.group, e.stream))
	if errors.Is(err, store.ErrNotFound) {
		return noStream()
	} else if err != nil {
		return err
	}
	now := tx.Now.UnixMilli()
	for rows := e.rows; len(rows) > 0; {
		n, query := 1, insertOne
		if len(rows) >= many {
			n, query = many, insertMany
		}
		args := make([]any, 0, 7*n)
		for _, r := range rows[:n] {
			args = append(args, p.Account, p.Region, e.group, e.stream, r.at*1000, now*1000, r.message)
		}
		if _, err := tx.Exec(query, args...); err != nil {
			return fmt.Errorf("insert log events: %w", err)
		}
		rows = rows[n:]
	}
	b := &stream.Body
	for _, r := range e.rows {
		if b.First == 0 || r.at < b.First {
			b.First = r.at
		}
		b.Last = max(b.Last, r.at)
		group.Body.Bytes += r.size
	}
	b.Ingested = now
	if _, err := streams.Put(tx, stream); err != nil {
		return err
	}
	_, err = groups.Put(tx, group)
	return err
}
