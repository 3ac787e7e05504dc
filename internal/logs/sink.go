package logs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// Sink takes what functions log. Groups and streams are made as they are named.
// A line is sealed when Log returns and on disk within the flush interval; Log
// blocks while the writer is behind.
type Sink struct {
	Logs *Service
	// Allow, when not nil, asks whether a function's role may do action to resource
	// (logs:CreateLogGroup, logs:CreateLogStream, logs:PutLogEvents). What it may not
	// is not logged, as with AWS.
	Allow func(ctx context.Context, f *lambda.Function, action, resource string) error

	mu    sync.Mutex
	known map[target]ready
}

type target struct {
	place         Place
	group, stream string
}

// ready is a stream that is known to be there, and its group's key. It is believed
// for a while, and not after a group of this process got another key.
type ready struct {
	key   string
	epoch int64
	until time.Time
}

var _ lambda.Sink = (*Sink)(nil)

// maxKnown bounds what the sink remembers, believe how long.
const (
	maxKnown = 10000
	believe  = 5 * time.Second
)

// Log implements lambda.Sink.
func (k *Sink) Log(f *lambda.Function, group, stream string, lines []lambda.Line) {
	ctx := context.Background() // a function's log outlives its call
	if err := k.put(ctx, f, group, stream, lines); err != nil {
		k.Logs.log.LogAttrs(ctx, slog.LevelWarn, "a function's log is lost", slog.String("function", f.ARN), slog.String("group", group),
			slog.Int("lines", len(lines)), slog.Any("error", err))
	}
}

func (k *Sink) put(ctx context.Context, f *lambda.Function, group, stream string, lines []lambda.Line) error {
	if len(lines) == 0 {
		return nil
	}
	p := Place{f.Account, f.Region}
	if k.Allow != nil {
		if err := k.Allow(ctx, f, "logs:PutLogEvents", p.StreamARN(group, stream)); err != nil {
			return err
		}
	}
	key, err := k.ready(ctx, p, f, group, stream)
	if err != nil {
		return err
	}
	events := make([]Event, len(lines))
	for i, l := range lines {
		events[i] = Event{millis(l.Time), strings.ToValidUTF8(l.Message, "\uFFFD")}
	}
	e := &entry{place: p, group: group, stream: stream, failed: func(error) { k.forget(p, group, stream) }}
	if e.rows, err = k.Logs.sealAll(ctx, p, group, stream, key, events); err != nil {
		k.forget(p, group, stream)
		return err
	}
	return k.Logs.send(ctx, e)
}

// ready makes group and stream when they are not there and answers the group's key.
func (k *Sink) ready(ctx context.Context, p Place, f *lambda.Function, group, stream string) (string, error) {
	t, epoch, now := target{p, group, stream}, k.Logs.epoch.Load(), time.Now()
	k.mu.Lock()
	r, ok := k.known[t]
	k.mu.Unlock()
	if ok && r.epoch == epoch && now.Before(r.until) {
		return r.key, nil
	}
	g, err := k.Logs.Group(ctx, p, group)
	if isNotFound(err) {
		if k.Allow != nil {
			if err := k.Allow(ctx, f, "logs:CreateLogGroup", p.GroupARN(group)); err != nil {
				return "", err
			}
		}
		err = ignoreExisting(k.Logs.CreateGroup(ctx, p, GroupInput{Name: group}))
	}
	if err != nil {
		return "", err
	}
	if err := k.Logs.must(ctx, p, group, stream); isNotFound(err) {
		if k.Allow != nil {
			if err := k.Allow(ctx, f, "logs:CreateLogStream", p.StreamARN(group, stream)); err != nil {
				return "", err
			}
		}
		if err := ignoreExisting(k.Logs.CreateStream(ctx, p, group, stream)); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnown {
		k.known = map[target]ready{}
	}
	k.known[t] = ready{g.Key, epoch, now.Add(believe)}
	return g.Key, nil
}

func (k *Sink) forget(p Place, group, stream string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, target{p, group, stream})
}

func isNotFound(err error) bool { return err != nil && apierr.KindOf(err) == apierr.ResourceNotFound }

func ignoreExisting(err error) error {
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == AlreadyExists {
		return nil
	}
	return err
}
