package logs

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// The exceptions of the CloudWatch Logs model that this package answers, beside
// ResourceNotFound and AccessDenied.
const (
	InvalidParameter apierr.Kind = "InvalidParameterException"
	AlreadyExists    apierr.Kind = "ResourceAlreadyExistsException"
	LimitExceeded    apierr.Kind = "LimitExceededException"
)

// Defaults of Config.
const (
	FlushInterval = 200 * time.Millisecond
	BatchEvents   = 1000
	SweepInterval = time.Minute
)

// Config configures a Service. Store and Sealer are required.
type Config struct {
	Store  *store.Store
	Sealer store.Sealer     // the store's own
	Keys   *kms.Service     // resolves keys of groups; nil: groups take no key
	Now    func() time.Time // service clock; time.Now when nil
	Logger *slog.Logger     // discards when nil

	Flush time.Duration // longest wait of an event that nobody waits for; FlushInterval when zero
	Batch int           // events in one transaction at most; BatchEvents when zero
}

// Service is the log service. It is safe for concurrent use.
type Service struct {
	store  *store.Store
	sealer store.Sealer
	keys   *kms.Service
	now    func() time.Time
	log    *slog.Logger
	flush  time.Duration
	batch  int

	epoch atomic.Int64 // raised when a group gets another key

	queue chan *entry
	stop  chan struct{} // closed by Close: nothing more is taken
	done  chan struct{} // closed when the writer has written all
	once  sync.Once

	put    sync.RWMutex // held to send to queue; Close takes it for writing
	closed bool
}

// New starts the writer; Close ends it.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Sealer == nil {
		return nil, errors.New("logs: Config.Store and Config.Sealer are required")
	}
	s := &Service{
		store: c.Store, sealer: c.Sealer, keys: c.Keys, now: c.Now, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		flush: cmp.Or(c.Flush, FlushInterval), batch: cmp.Or(c.Batch, BatchEvents),
		queue: make(chan *entry, 64), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	go s.write()
	return s, nil
}

// Close writes what is queued and ends the writer. Close it before the store.
func (s *Service) Close() error {
	s.once.Do(func() {
		s.put.Lock()
		s.closed = true
		s.put.Unlock()
		close(s.stop)
	})
	<-s.done
	return nil
}

// Run deletes expired events every SweepInterval until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(SweepInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "expired log events cannot be deleted", slog.Any("error", err))
		}
	}
}

// Place is an account in a Region.
type Place struct{ Account, Region string }

func (p Place) key(id string) store.Key {
	return store.Key{Account: p.Account, Region: p.Region, ID: id}
}

func (p Place) inside(group, id string) store.Key {
	return store.Key{Account: p.Account, Region: p.Region, Parent: group, ID: id}
}

// GroupARN names a group: arn:aws:logs:REGION:ACCOUNT:log-group:NAME.
func (p Place) GroupARN(group string) string {
	return arn.New("logs", p.Region, p.Account, "log-group:"+group).String()
}

// StreamARN names a stream.
func (p Place) StreamARN(group, stream string) string {
	return p.GroupARN(group) + ":log-stream:" + stream
}

// contextKey is the encryption context of a group's events; its value is the
// group's ARN. The key policy must let logs.REGION.amazonaws.com use the key in it.
const contextKey = "aws:logs:arn"

// as lets the log service itself use a group's key.
func (p Place) as(ctx context.Context, group string) context.Context {
	return kms.As(ctx, kms.Asking{
		Caller:  kms.Caller{Service: "logs." + p.Region + ".amazonaws.com", Account: p.Account, Region: p.Region},
		Context: map[string]string{contextKey: p.GroupARN(group)},
	})
}

// seal seals a message:
//
//	0 | sealed with the house's key
//	1 | length, ARN of the key | sealed with that key
func (s *Service) seal(ctx context.Context, p Place, group, stream, key, message string) ([]byte, error) {
	sealed, err := s.sealer.Seal(ctx, key, identity(p, group, stream), []byte(message))
	if err != nil {
		return nil, fmt.Errorf("seal a log event: %w", err)
	}
	if key == "" {
		return append([]byte{0}, sealed...), nil
	}
	out := binary.AppendUvarint([]byte{1}, uint64(len(key)))
	return append(append(out, key...), sealed...), nil
}

func (s *Service) open(ctx context.Context, p Place, group, stream string, b []byte) (string, error) {
	key, err := "", error(nil)
	switch {
	case len(b) > 0 && b[0] == 0:
		b = b[1:]
	case len(b) > 1 && b[0] == 1:
		n, w := binary.Uvarint(b[1:])
		if w <= 0 || n > uint64(len(b)-1-w) {
			return "", errDamaged
		}
		key, b = string(b[1+w:1+w+int(n)]), b[1+w+int(n):]
	default:
		return "", errDamaged
	}
	plain, err := s.sealer.Open(ctx, key, identity(p, group, stream), b)
	if err != nil {
		return "", fmt.Errorf("open a log event: %w", err)
	}
	return string(plain), nil
}

var errDamaged = errors.New("logs: the record of an event is damaged")

func identity(p Place, group, stream string) []byte {
	var out []byte
	for _, t := range []string{"log_event", p.Account, p.Region, group, stream} {
		out = binary.AppendUvarint(out, uint64(len(t)))
		out = append(out, t...)
	}
	return out
}

func noGroup() error {
	return apierr.New(apierr.ResourceNotFound, "The specified log group does not exist.")
}

func noStream() error {
	return apierr.New(apierr.ResourceNotFound, "The specified log stream does not exist.")
}

func millis(t time.Time) int64 { return t.UnixMilli() }
