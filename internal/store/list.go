package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/page"
)

// Sort is a column that a list can be ordered by.
type Sort string

// The orders of a list. Updated is left out on purpose: a row that moves while
// somebody pages would be seen twice or not at all.
const (
	ByCreated Sort = "created"
	ByName    Sort = "name"
)

// Versions says which rows of a resource a query sees.
type Versions int

// Heads are the resources themselves; Numbered are their versions.
const (
	Heads Versions = iota
	Numbered
	HeadsAndNumbered
)

// Query selects rows of a kind. Empty fields select everything.
type Query struct {
	Account, Region string
	// Everywhere passes over Account and Region: the house's own sweeps, never a
	// caller's list.
	Everywhere bool
	// Parent must match, also when empty, unless AnyParent is set.
	Parent    string
	AnyParent bool
	// ID narrows to one resource, for a list of its versions.
	ID       string
	Versions Versions

	// Status is a set of wanted states.
	Status []string
	// NameEquals and NameContains compare byte by byte.
	NameEquals, NameContains string
	Class, Target, Source    string
	// CreatedAfter and CreatedBefore exclude the instant itself.
	CreatedAfter, CreatedBefore time.Time

	Sort Sort
	Desc bool
	// Limit is the size of a page; 0 means page.Default. It may change from page to
	// page.
	Limit int
	// Cursor continues a list; it is bound to all of the query but the limit.
	Cursor string
	// Clear leaves the bodies shut, which is faster and needs no key.
	Clear bool
}

// Page is one page of a list; Next is empty on the last one.
type Page[T any] struct {
	Records []Record[T]
	Next    string
}

// position is the content of a cursor: the sort value and identity of the last row
// seen. A row that is gone meanwhile still marks a place in the order, and a new
// row falls on one side of it.
type position struct {
	Value   string `json:"v"`
	Account string `json:"a,omitempty"`
	Region  string `json:"r,omitempty"`
	Parent  string `json:"p,omitempty"`
	ID      string `json:"i"`
	Version string `json:"n,omitempty"`
}

// binding fingerprints what a cursor may continue. Order of statuses is no matter.
func (q Query) binding(kind, region string) []byte {
	status := slices.Clone(q.Status)
	slices.Sort(status)
	var after, before string
	if !q.CreatedAfter.IsZero() {
		after = strconv.FormatInt(micros(q.CreatedAfter), 10)
	}
	if !q.CreatedBefore.IsZero() {
		before = strconv.FormatInt(micros(q.CreatedBefore), 10)
	}
	return bind("list", kind, q.Account, region, strconv.FormatBool(q.Everywhere), q.Parent, strconv.FormatBool(q.AnyParent),
		q.ID, strconv.Itoa(int(q.Versions)), strings.Join(status, "\x00"), q.NameEquals, q.NameContains, q.Class, q.Target,
		q.Source, after, before, string(q.sort()), strconv.FormatBool(q.Desc))
}

func (q Query) sort() Sort {
	if q.Sort == "" {
		return ByCreated
	}
	return q.Sort
}

// where is the condition of a query and its arguments, the cursor left out.
func (q Query) where(d Dialect, kind, region string) (string, []any) {
	cond, args := []string{"kind = ?"}, []any{kind}
	and := func(c string, a ...any) { cond, args = append(cond, c), append(args, a...) }
	text := func(column, value string) {
		if value != "" {
			and(column+" = ?", value)
		}
	}
	if !q.Everywhere {
		and("account = ? AND region = ?", q.Account, region)
	}
	if !q.AnyParent && !q.Everywhere {
		and("parent = ?", q.Parent)
	}
	text("id", q.ID)
	switch q.Versions {
	case Heads:
		and("version = ''")
	case Numbered:
		and("version <> ''")
	case HeadsAndNumbered:
	}
	if len(q.Status) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(q.Status)), ", ")
		and("status IN (" + marks + ")")
		for _, s := range q.Status {
			args = append(args, s)
		}
	}
	text("name", q.NameEquals)
	if q.NameContains != "" {
		and(d.Contains("name"), q.NameContains)
	}
	text("class", q.Class)
	text("target", q.Target)
	text("source", q.Source)
	if !q.CreatedAfter.IsZero() {
		and("created > ?", micros(q.CreatedAfter))
	}
	if !q.CreatedBefore.IsZero() {
		and("created < ?", micros(q.CreatedBefore))
	}
	return strings.Join(cond, " AND "), args
}

// List answers one page of rows. Pages taken one after the other hold every row
// that was there all the while exactly once, whatever is inserted or deleted in
// between. A record whose key refuses has Sealed set and does not fail the list.
func (k Kind[T]) List(tx *Tx, q Query) (Page[T], error) {
	if q.sort() != ByCreated && q.sort() != ByName {
		return Page[T]{}, fmt.Errorf("BUG: list %s by %q", k.Name, q.Sort)
	}
	region := k.region(q.Region)
	binding := q.binding(k.Name, region)
	where, args := q.where(tx.store.dialect, k.Name, region)
	// Ties are broken by identity, so the order is total and a page can stop anywhere.
	order := []string{string(q.sort()), "id", "version"}
	if q.AnyParent || q.Everywhere {
		order = append(order, "parent", "account", "region")
	}
	if q.Cursor != "" {
		at, err := tx.store.position(binding, q.Cursor)
		if err != nil {
			return Page[T]{}, err
		}
		var value any = at.Value
		if q.sort() == ByCreated {
			if value, err = strconv.ParseInt(at.Value, 10, 64); err != nil {
				return Page[T]{}, ErrBadCursor
			}
		}
		past := ">"
		if q.Desc {
			past = "<"
		}
		where += " AND (" + strings.Join(order, ", ") + ") " + past + " (" + strings.TrimSuffix(strings.Repeat("?, ", len(order)), ", ") + ")"
		args = append(args, []any{value, at.ID, at.Version, at.Parent, at.Account, at.Region}[:len(order)]...)
	}
	dir := " ASC"
	if q.Desc {
		dir = " DESC"
	}
	limit := page.Clamp(q.Limit)
	body := "body"
	if q.Clear {
		body = "NULL"
	}
	query := `SELECT account, region, parent, id, version, name, status, key_arn, class, target, source, rev, created,
		updated, last_version, ` + body + ` FROM resource WHERE ` + where + ` ORDER BY ` + strings.Join(order, dir+", ") + dir +
		` LIMIT ?`
	// One more than asked for tells whether a next page exists.
	args = append(args, limit+1)

	var out Page[T]
	var bodies [][]byte
	err := tx.Query(query, args, func(row Row) error {
		var r Record[T]
		var created, updated int64
		var sealed []byte
		err := row.Scan(&r.Account, &r.Region, &r.Parent, &r.ID, &r.Version, &r.Name, &r.Status, &r.KeyARN, &r.Class,
			&r.Target, &r.Source, &r.Rev, &created, &updated, &r.LastVersion, &sealed)
		r.Created, r.Updated = instant(created), instant(updated)
		out.Records, bodies = append(out.Records, r), append(bodies, sealed)
		return err
	})
	if err != nil {
		return Page[T]{}, fmt.Errorf("list %s: %w", k.Name, err)
	}
	if len(out.Records) > limit {
		out.Records = out.Records[:limit]
		out.Next = tx.store.cursor(binding, positionOf(out.Records[limit-1], q))
	}
	if q.Clear {
		return out, nil
	}
	for i := range out.Records {
		r := &out.Records[i]
		if err := k.open(tx, r, bodies[i]); errors.Is(err, ErrSealed) {
			r.Sealed = err
		} else if err != nil {
			return Page[T]{}, err
		}
	}
	return out, nil
}

// Count answers how many rows a query selects; cursor and limit do not matter.
func (k Kind[T]) Count(tx *Tx, q Query) (int, error) {
	where, args := q.where(tx.store.dialect, k.Name, k.region(q.Region))
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE `+where, args, &n); err != nil {
		return 0, fmt.Errorf("count %s: %w", k.Name, err)
	}
	return n, nil
}

func positionOf[T any](r Record[T], q Query) position {
	at := position{ID: r.ID, Version: r.Version, Value: r.Name}
	if q.sort() == ByCreated {
		at.Value = strconv.FormatInt(micros(r.Created), 10)
	}
	if q.AnyParent || q.Everywhere {
		at.Parent, at.Account, at.Region = r.Parent, r.Account, r.Region
	}
	return at
}

func (s *Store) cursor(binding []byte, at position) string {
	b, err := json.Marshal(at)
	if err != nil {
		panic("BUG: a cursor position is strings only: " + err.Error())
	}
	return s.cursors.Seal(binding, b)
}

func (s *Store) position(binding []byte, cursor string) (position, error) {
	b, err := s.cursors.Open(binding, cursor)
	if err != nil {
		return position{}, ErrBadCursor
	}
	var at position
	if err := json.Unmarshal(b, &at); err != nil {
		return position{}, ErrBadCursor
	}
	return at, nil
}
