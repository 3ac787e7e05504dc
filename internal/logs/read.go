package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Limits of an answer.
const (
	maxEvents   = 10000
	maxBytes    = 1 << 20
	scanBudget  = 50000 // events that one page of a filter looks at
	scanAtATime = 1000
)

// Found is an event as it is read.
type Found struct {
	ID           string // 56 digits; unique, and rising with time
	Stream       string
	At, Ingested int64 // ms since 1970
	Message      string

	pos position
}

// position is a place in the order of events: time in µs, then id.
type position struct{ at, id int64 }

const positionDigits = 20 + 36

// String has 56 digits, as AWS's event ids.
func (p position) String() string { return fmt.Sprintf("%020d%036d", p.at, p.id) }

func parsePosition(s string) (position, bool) {
	if len(s) != positionDigits {
		return position{}, false
	}
	at, err := strconv.ParseInt(s[:20], 10, 64)
	id, err2 := strconv.ParseInt(s[20:], 10, 64)
	return position{at, id}, err == nil && err2 == nil && at >= 0 && id >= 0
}

// window selects events of a group, ascending or descending.
type window struct {
	place    Place
	group    string
	streams  []string // nil: all
	prefix   string
	from, to int64 // µs; from included, to not
	after    *position
	before   *position
	desc     bool
	limit    int
}

func (s *Service) events(tx *store.Tx, w window) ([]Found, [][]byte, error) {
	query := `SELECT id, stream, at, ingested, message FROM log_event WHERE account = ? AND region = ? AND log_group = ? AND at >= ? AND at < ?`
	args := []any{w.place.Account, w.place.Region, w.group, w.from, w.to}
	switch len(w.streams) {
	case 0:
	case 1:
		query, args = query+` AND stream = ?`, append(args, w.streams[0])
	default:
		query += ` AND stream IN (` + strings.TrimSuffix(strings.Repeat("?, ", len(w.streams)), ", ") + `)`
		for _, n := range w.streams {
			args = append(args, n)
		}
	}
	if w.prefix != "" {
		query, args = query+` AND SUBSTR(stream, 1, ?) = ?`, append(args, utf8.RuneCountInString(w.prefix), w.prefix)
	}
	if w.after != nil {
		query, args = query+` AND (at, id) > (?, ?)`, append(args, w.after.at, w.after.id)
	}
	if w.before != nil {
		query, args = query+` AND (at, id) < (?, ?)`, append(args, w.before.at, w.before.id)
	}
	order := ` ORDER BY at, id LIMIT ?`
	if w.desc {
		order = ` ORDER BY at DESC, id DESC LIMIT ?`
	}
	var out []Found
	var sealed [][]byte
	err := tx.Query(query+order, append(args, w.limit), func(r store.Row) error {
		var f Found
		var message []byte
		err := r.Scan(&f.pos.id, &f.Stream, &f.pos.at, &f.Ingested, &message)
		f.At, f.Ingested, f.ID = f.pos.at/1000, f.Ingested/1000, f.pos.String()
		out, sealed = append(out, f), append(sealed, message)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read log events: %w", err)
	}
	return out, sealed, nil
}

// GetInput selects events of one stream.
type GetInput struct {
	Start, End *int64 // ms; Start is included, End is not
	Limit      int    // 0: 10,000
	FromHead   bool   // oldest first; else the newest
	Token      string // of an earlier answer
}

// Got is a page of a stream, oldest event first. Forward and Backward continue it;
// at the end of the stream Forward comes back as it was given.
type Got struct {
	Events            []Found
	Forward, Backward string
}

// Get reads a stream.
func (s *Service) Get(ctx context.Context, p Place, group, stream string, in GetInput) (Got, error) {
	w := window{place: p, group: group, streams: []string{stream}, limit: limitOf(in.Limit), desc: !in.FromHead, to: 1<<63 - 1}
	var at position
	if in.Token != "" {
		dir, rest, _ := strings.Cut(in.Token, "/")
		digits, _ := strings.CutSuffix(rest, "/s")
		var ok bool
		if at, ok = parsePosition(digits); !ok || (dir != "f" && dir != "b") || in.Token != token(dir, at) {
			return Got{}, apierr.New(InvalidParameter, "The specified nextToken is invalid.")
		}
		if w.desc = dir == "b"; w.desc {
			w.before = &at
		} else {
			w.after = &at
		}
	}
	var out Got
	var sealed [][]byte
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if err := s.bounds(tx, &w, stream, in.Start, in.End); err != nil {
			return err
		}
		out.Events, sealed, err = s.events(tx, w)
		return err
	})
	if err != nil {
		return Got{}, err
	}
	size, ctx := 0, p.as(ctx, group)
	for i := range out.Events {
		e := &out.Events[i]
		if e.Message, err = s.open(ctx, p, group, stream, sealed[i]); err != nil {
			return Got{}, kms.Public(err)
		}
		if size += len(e.Message) + eventOverhead; size > maxBytes && i > 0 {
			out.Events = out.Events[:i]
			break
		}
	}
	if w.desc {
		slices.Reverse(out.Events)
	}
	first, last := at, at
	if n := len(out.Events); n > 0 {
		first, last = out.Events[0].pos, out.Events[n-1].pos
	}
	out.Forward, out.Backward = token("f", last), token("b", first)
	return out, nil
}

func token(dir string, p position) string { return dir + "/" + p.String() + "/s" }

// bounds checks that group and stream are there and sets the window's times, which
// leave out what has expired.
func (s *Service) bounds(tx *store.Tx, w *window, stream string, start, end *int64) error {
	if err := s.exists(tx, w.place, w.group, stream); err != nil {
		return err
	}
	rec, err := groups.Get(tx, w.place.key(w.group))
	if err != nil {
		return err
	}
	w.from = s.expiry(rec.Body.Retention)
	if start != nil {
		w.from = max(w.from, micro(*start))
	}
	if end != nil {
		w.to = micro(*end)
	}
	return nil
}

func micro(ms int64) int64 { return min(max(ms, 0), 1<<52) * 1000 }

func limitOf(n int) int {
	if n <= 0 || n > maxEvents {
		return maxEvents
	}
	return n
}

// FilterInput selects events of a group.
type FilterInput struct {
	Streams    []string
	Prefix     string // of streams; not together with Streams
	Start, End *int64 // ms, both included
	Pattern    string
	Limit      int
	Token      string
}

// Filter reads the events of a group that match a pattern, oldest first. A page
// can be short or empty and still have a next one: next is "" at the end.
func (s *Service) Filter(ctx context.Context, p Place, group string, in FilterInput) (events []Found, next string, err error) {
	pattern, err := Compile(in.Pattern)
	if err != nil {
		return nil, "", err
	}
	if in.Prefix != "" && len(in.Streams) > 0 {
		return nil, "", apierr.New(InvalidParameter, "You can specify either logStreamNames or logStreamNamePrefix, not both.")
	}
	w := window{place: p, group: group, streams: in.Streams, prefix: in.Prefix, limit: scanAtATime, to: 1<<63 - 1}
	if in.Token != "" {
		at, ok := parsePosition(in.Token)
		if !ok {
			return nil, "", apierr.New(InvalidParameter, "The specified nextToken is invalid.")
		}
		w.after = &at
	}
	if in.End != nil {
		in.End = new(*in.End + 1)
	}
	limit, size := limitOf(in.Limit), 0
	as := p.as(ctx, group)
	for scanned := 0; ; {
		var found []Found
		var sealed [][]byte
		err := s.store.View(ctx, func(tx *store.Tx) (err error) {
			if err := s.bounds(tx, &w, "", in.Start, in.End); err != nil {
				return err
			}
			for _, name := range in.Streams {
				if err := s.exists(tx, p, group, name); err != nil {
					return err
				}
			}
			found, sealed, err = s.events(tx, w)
			return err
		})
		if err != nil {
			return nil, "", err
		}
		for i := range found {
			e := &found[i]
			if e.Message, err = s.open(as, p, group, e.Stream, sealed[i]); err != nil {
				return nil, "", kms.Public(err)
			}
			w.after = &e.pos
			if _, ok := pattern.Match(e.Message); !ok {
				continue
			}
			events, size = append(events, *e), size+len(e.Message)+eventOverhead
			if len(events) == limit || size >= maxBytes {
				return events, e.pos.String(), nil
			}
		}
		scanned += len(found)
		switch {
		case len(found) < scanAtATime:
			return events, "", nil
		case scanned >= scanBudget:
			return events, w.after.String(), nil
		}
	}
}

// page answers one page of a list in the order of its names: at most limit of those
// behind after, and the name that the next page comes behind, "" at the end.
func page[T any](list []T, name func(T) string, after string, limit int) ([]T, string) {
	i, _ := slices.BinarySearchFunc(list, after, func(t T, a string) int {
		if after == "" || name(t) > a {
			return 1
		}
		return -1
	})
	list = list[i:]
	if len(list) <= limit {
		return list, ""
	}
	return list[:limit], name(list[limit-1])
}

// Groups answers the groups of a place in the order of their names, from behind
// the name after. prefix and contains narrow; next is the name to go on after.
func (s *Service) Groups(ctx context.Context, p Place, prefix, contains, class, after string, limit int) (out []Group, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		var all []store.Record[groupBody]
		err := every(tx, groups, store.Query{Account: p.Account, Region: p.Region, NameContains: contains, Class: class}, func(r store.Record[groupBody]) {
			if strings.HasPrefix(r.Name, prefix) {
				all = append(all, r)
			}
		})
		if err != nil {
			return err
		}
		all, next = page(all, func(r store.Record[groupBody]) string { return r.Name }, after, limit)
		out = nil
		for _, r := range all {
			n, err := filters.Count(tx, store.Query{Account: p.Account, Region: p.Region, Parent: r.Name})
			if err != nil {
				return err
			}
			out = append(out, Group{
				Name: r.Name, ARN: p.GroupARN(r.Name), Class: r.Body.Class, Key: r.Body.Key, Retention: r.Body.Retention,
				Protected: r.Body.Protected, Bytes: r.Body.Bytes, Filters: n, Created: r.Created,
			})
		}
		return nil
	})
	return out, next, err
}

// every calls f for each head row of a query, in the order of names.
func every[T any](tx *store.Tx, kind store.Kind[T], q store.Query, f func(store.Record[T])) error {
	q.Sort, q.Limit = store.ByName, 1000
	for {
		list, err := kind.List(tx, q)
		if err != nil {
			return err
		}
		for _, r := range list.Records {
			if r.Sealed != nil {
				return r.Sealed
			}
			f(r)
		}
		if list.Next == "" {
			return nil
		}
		q.Cursor = list.Next
	}
}

// Streams answers the streams of a group: by name, or by the time of their last
// event. after is the token of the page before.
func (s *Service) Streams(ctx context.Context, p Place, group, prefix string, byTime, desc bool, after string, limit int) (out []Stream, next string, err error) {
	if byTime && prefix != "" {
		return nil, "", apierr.New(InvalidParameter, "Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		return every(tx, streams, store.Query{Account: p.Account, Region: p.Region, Parent: group}, func(r store.Record[streamBody]) {
			if strings.HasPrefix(r.Name, prefix) {
				out = append(out, Stream{r.Name, p.StreamARN(group, r.Name), r.Created, r.Body.First, r.Body.Last, r.Body.Ingested})
			}
		})
	})
	if err != nil {
		return nil, "", err
	}
	order := func(t Stream) string {
		if byTime {
			return fmt.Sprintf("%020d/%s", t.Last, t.Name)
		}
		return t.Name
	}
	slices.SortFunc(out, func(a, b Stream) int {
		if desc {
			a, b = b, a
		}
		return strings.Compare(order(a), order(b))
	})
	if after != "" {
		i := slices.IndexFunc(out, func(t Stream) bool { return desc && order(t) < after || !desc && order(t) > after })
		if i < 0 {
			return nil, "", nil
		}
		out = out[i:]
	}
	if len(out) > limit {
		return out[:limit], order(out[limit-1]), nil
	}
	return out, "", nil
}

// Group answers one group.
func (s *Service) Group(ctx context.Context, p Place, name string) (Group, error) {
	var g Group
	err := s.store.View(ctx, func(tx *store.Tx) error {
		r, err := groups.Get(tx, p.key(name))
		if errors.Is(err, store.ErrNotFound) {
			return noGroup()
		}
		g = Group{Name: r.Name, ARN: p.GroupARN(name), Class: r.Body.Class, Key: r.Body.Key, Retention: r.Body.Retention, Protected: r.Body.Protected, Bytes: r.Body.Bytes, Created: r.Created}
		return err
	})
	return g, err
}
