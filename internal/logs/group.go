package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

type groupBody struct {
	Class     string `json:",omitempty"`
	Key       string `json:",omitempty"` // ARN; seals new events
	Retention int    `json:",omitempty"` // days; 0 keeps for ever
	Protected bool   `json:",omitempty"`
	Bytes     int64  `json:",omitempty"` // stored, as AWS counts: messages and 26 each
}

type streamBody struct {
	First, Last int64 // ms since 1970 of the oldest and the newest event; 0: none
	Ingested    int64 // ms
}

var (
	groups  = store.Kind[groupBody]{Name: "log-group"}
	streams = store.Kind[streamBody]{Name: "log-stream"}
)

// Group of streams.
type Group struct {
	Name, ARN string
	Class     string
	Key       string // ARN of the customer key, or ""
	Retention int    // days; 0: for ever
	Protected bool   // from deletion
	Bytes     int64  // stored
	Filters   int    // metric filters
	Created   time.Time
}

// Stream of events, of one source.
type Stream struct {
	Name, ARN string
	Created   time.Time
	// First, Last and Ingested are ms since 1970: of the oldest event, the newest
	// one, and when the last came. 0: none has come.
	First, Last, Ingested int64
}

// GroupInput describes a new group.
type GroupInput struct {
	Name      string
	Key       string // any spelling of a key
	Class     string // STANDARD when empty
	Protected bool
	Tags      map[string]string
}

const maxTags = 50

// CreateGroup makes a group.
func (s *Service) CreateGroup(ctx context.Context, p Place, in GroupInput) error {
	if strings.HasPrefix(in.Name, "aws/") {
		return apierr.New(InvalidParameter, "Log groups starting with AWS/ are reserved for AWS.")
	}
	if len(in.Tags) > maxTags {
		return apierr.New(InvalidParameter, "A log group can have %d tags.", maxTags)
	}
	key, err := s.keyOf(ctx, p, in.Name, in.Key)
	if err != nil {
		return err
	}
	if in.Class == "" {
		in.Class = "STANDARD"
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		_, err := groups.Create(tx, p.key(in.Name), groupBody{Class: in.Class, Key: key, Protected: in.Protected}, store.Columns{Name: in.Name, Class: in.Class})
		if errors.Is(err, store.ErrExists) {
			return apierr.New(AlreadyExists, "The specified log group already exists")
		}
		if err != nil {
			return err
		}
		return tx.PutTags(p.GroupARN(in.Name), tagList(in.Tags))
	})
}

// keyOf resolves the key of a group and tries it as the log service: what cannot
// be used is refused here, not at the first event.
func (s *Service) keyOf(ctx context.Context, p Place, group, key string) (string, error) {
	if key == "" {
		return "", nil
	}
	refused := apierr.New(apierr.AccessDenied, "The specified KMS key does not exist or is not allowed to be used with Arn '%s'", p.GroupARN(group))
	if s.keys == nil {
		return "", refused
	}
	c := kms.CallerOf(ctx)
	c.Account, c.Region = p.Account, p.Region
	k, err := s.keys.DescribeKey(ctx, c, key)
	if err != nil {
		refused.Err = err
		return "", refused
	}
	if _, err := s.seal(p.as(ctx, group), p, group, "", k.ARN(), ""); err != nil {
		refused.Err = err
		return "", refused
	}
	return k.ARN(), nil
}

// SetKey changes the key that seals events from now on; "" is the house's own.
// Earlier events stay under the key they came under.
func (s *Service) SetKey(ctx context.Context, p Place, group, key string) error {
	if err := s.must(ctx, p, group, ""); err != nil {
		return err
	}
	arn, err := s.keyOf(ctx, p, group, key)
	if err != nil {
		return err
	}
	defer s.epoch.Add(1)
	return s.edit(ctx, p, group, func(b *groupBody) error { b.Key = arn; return nil })
}

// Retentions are the numbers of days that AWS allows.
var Retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// KeepForever ends the retention of a group.
func (s *Service) KeepForever(ctx context.Context, p Place, group string) error {
	return s.edit(ctx, p, group, func(b *groupBody) error { b.Retention = 0; return nil })
}

// SetRetention keeps events for days, one of Retentions.
func (s *Service) SetRetention(ctx context.Context, p Place, group string, days int) error {
	if !slices.Contains(Retentions, days) {
		return apierr.New(InvalidParameter, "1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %s",
			days, strings.ReplaceAll(fmt.Sprint(Retentions), " ", ", "))
	}
	return s.edit(ctx, p, group, func(b *groupBody) error { b.Retention = days; return nil })
}

func (s *Service) edit(ctx context.Context, p Place, group string, change func(*groupBody) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		rec, err := groups.Get(tx, p.key(group))
		if errors.Is(err, store.ErrNotFound) {
			return noGroup()
		}
		if err != nil {
			return err
		}
		if err := change(&rec.Body); err != nil {
			return err
		}
		_, err = groups.Put(tx, rec)
		return err
	})
}

// must answers ResourceNotFound when the group, or the stream unless it is "", is
// not there.
func (s *Service) must(ctx context.Context, p Place, group, stream string) error {
	return s.store.View(ctx, func(tx *store.Tx) error { return s.exists(tx, p, group, stream) })
}

func (s *Service) exists(tx *store.Tx, p Place, group, stream string) error {
	if _, err := groups.Head(tx, p.key(group)); errors.Is(err, store.ErrNotFound) {
		return noGroup()
	} else if err != nil {
		return err
	}
	if stream == "" {
		return nil
	}
	if _, err := streams.Head(tx, p.inside(group, stream)); errors.Is(err, store.ErrNotFound) {
		return noStream()
	} else if err != nil {
		return err
	}
	return nil
}

// chunk is how many events one transaction deletes: others want to write too.
const chunk = 5000

// DeleteGroup deletes a group with its streams, events, filters and tags.
func (s *Service) DeleteGroup(ctx context.Context, p Place, group string) error {
	err := s.store.View(ctx, func(tx *store.Tx) error {
		rec, err := groups.Get(tx, p.key(group))
		if errors.Is(err, store.ErrNotFound) {
			return noGroup()
		}
		if err == nil && rec.Body.Protected {
			return apierr.New(apierr.Validation, "Log group %s is protected from deletion.", group)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.deleteEvents(ctx, p, group, "", 0); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := groups.Delete(tx, p.key(group)); errors.Is(err, store.ErrNotFound) {
			return noGroup()
		} else if err != nil {
			return err
		}
		if _, err := streams.DeleteIn(tx, p.inside(group, "")); err != nil {
			return err
		}
		if _, err := filters.DeleteIn(tx, p.inside(group, "")); err != nil {
			return err
		}
		// What came since the last chunk.
		if _, err := tx.Exec(`DELETE FROM log_event WHERE account = ? AND region = ? AND log_group = ?`, p.Account, p.Region, group); err != nil {
			return fmt.Errorf("delete events of %s: %w", group, err)
		}
		return tx.Forget(p.GroupARN(group))
	})
}

// deleteEvents deletes, chunk by chunk, the events of a group or a stream that are
// older than before (µs; 0: all).
func (s *Service) deleteEvents(ctx context.Context, p Place, group, stream string, before int64) error {
	where, args := `account = ? AND region = ? AND log_group = ?`, []any{p.Account, p.Region, group}
	if stream != "" {
		where, args = where+` AND stream = ?`, append(args, stream)
	}
	if before != 0 {
		where, args = where+` AND at < ?`, append(args, before)
	}
	args = append(args, chunk)
	for {
		var n int64
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.Exec(`DELETE FROM log_event WHERE id IN (SELECT id FROM log_event WHERE `+where+` ORDER BY at, id LIMIT ?)`, args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete events of %s: %w", group, err)
		}
		if n < chunk {
			return nil
		}
	}
}

// CreateStream makes a stream in a group.
func (s *Service) CreateStream(ctx context.Context, p Place, group, stream string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		_, err := streams.Create(tx, p.inside(group, stream), streamBody{}, store.Columns{Name: stream})
		if errors.Is(err, store.ErrExists) {
			return apierr.New(AlreadyExists, "The specified log stream already exists")
		}
		return err
	})
}

// DeleteStream deletes a stream with its events.
func (s *Service) DeleteStream(ctx context.Context, p Place, group, stream string) error {
	if err := s.must(ctx, p, group, stream); err != nil {
		return err
	}
	if err := s.deleteEvents(ctx, p, group, stream, 0); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := streams.Delete(tx, p.inside(group, stream)); errors.Is(err, store.ErrNotFound) {
			return noStream()
		} else if err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM log_event WHERE account = ? AND region = ? AND log_group = ? AND stream = ?`, p.Account, p.Region, group, stream)
		if err != nil {
			return fmt.Errorf("delete events of %s: %w", stream, err)
		}
		return s.recount(tx, p, group)
	})
}

// overhead of a message sealed with the house's key, and what AWS adds for each.
const (
	sealedOverhead = 1 + 1 + 8 + 24 + 16
	eventOverhead  = 26
)

// recount puts the stored bytes of a group right after events were deleted.
func (s *Service) recount(tx *store.Tx, p Place, group string) error {
	var n, size int64
	err := tx.QueryRow(`SELECT COUNT(*), COALESCE(SUM(LENGTH(message)), 0) FROM log_event WHERE account = ? AND region = ? AND log_group = ?`,
		[]any{p.Account, p.Region, group}, &n, &size)
	if err != nil {
		return fmt.Errorf("count the events of %s: %w", group, err)
	}
	rec, err := groups.Get(tx, p.key(group))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rec.Body.Bytes = max(0, size-n*(sealedOverhead-eventOverhead))
	_, err = groups.Put(tx, rec)
	return err
}

// Sweep deletes events whose retention is over.
func (s *Service) Sweep(ctx context.Context) error {
	var due []store.Record[groupBody]
	err := s.store.View(ctx, func(tx *store.Tx) error {
		due = nil
		q := store.Query{Everywhere: true, Limit: 1000}
		for {
			page, err := groups.List(tx, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				if r.Body.Retention == 0 {
					continue
				}
				var n int
				err := tx.QueryRow(`SELECT COUNT(*) FROM (SELECT 1 AS one FROM log_event WHERE account = ? AND region = ? AND log_group = ? AND at < ? LIMIT 1) AS old`,
					[]any{r.Account, r.Region, r.ID, s.expiry(r.Body.Retention)}, &n)
				if err != nil {
					return err
				}
				if n > 0 {
					due = append(due, r)
				}
			}
			if page.Next == "" {
				return nil
			}
			q.Cursor = page.Next
		}
	})
	if err != nil {
		return fmt.Errorf("look for expired events: %w", err)
	}
	var errs []error
	for _, r := range due {
		p := Place{r.Account, r.Region}
		err := s.deleteEvents(ctx, p, r.ID, "", s.expiry(r.Body.Retention))
		if err == nil {
			err = s.store.Update(ctx, func(tx *store.Tx) error { return s.recount(tx, p, r.ID) })
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// expiry is the instant (µs) before which events of that retention are gone; the
// smallest number when they never are.
func (s *Service) expiry(days int) int64 {
	if days == 0 {
		return -1 << 62
	}
	return s.now().Add(-time.Duration(days) * 24 * time.Hour).UnixMicro()
}

func tagList(tags map[string]string) []store.Tag {
	var out []store.Tag
	for k, v := range tags {
		out = append(out, store.Tag{Key: k, Value: v})
	}
	return out
}

// Tags answers the tags of a group.
func (s *Service) Tags(ctx context.Context, p Place, group string) (map[string]string, error) {
	out := map[string]string{}
	err := s.store.View(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		list, err := tx.Tags(p.GroupARN(group))
		for _, t := range list {
			out[t.Key] = t.Value
		}
		return err
	})
	return out, err
}

// Tag sets tags of a group; others stay.
func (s *Service) Tag(ctx context.Context, p Place, group string, tags map[string]string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		at := p.GroupARN(group)
		if err := tx.PutTags(at, tagList(tags)); err != nil {
			return err
		}
		n, err := tx.CountTags(at)
		if err == nil && n > maxTags {
			return apierr.New(apierr.TooManyTags, "A log group can have %d tags.", maxTags)
		}
		return err
	})
}

// Untag removes tags by key.
func (s *Service) Untag(ctx context.Context, p Place, group string, names []string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		return tx.RemoveTags(p.GroupARN(group), names)
	})
}
