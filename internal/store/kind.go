package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Key names one row. Version is AWS's: empty for the resource itself (its DRAFT),
// "1", "2" … for its numbered versions.
type Key struct {
	Account, Region string
	// Parent is the id of what the resource lives in, empty at the top.
	Parent string
	ID     string
	// Version is empty for the head row.
	Version string
}

// Columns are the clear columns of a row: what lists filter and sort by without
// opening a body. What a user calls confidential belongs in the body.
type Columns struct {
	Name   string
	Status string
	// KeyARN is the customer key that seals the body; empty means the house's.
	KeyARN string
	// Class, Target and Source are for filters of a kind's own: a type, the ARN it
	// works on, the ARN it was made from. Their meaning is the room's.
	Class, Target, Source string
}

// Record is a row of a kind.
type Record[T any] struct {
	Key
	Columns
	// Rev grows with each change; Put refuses a record whose Rev is not the row's.
	Rev int64
	// Created and Updated rise strictly within a row, microseconds, UTC.
	Created, Updated time.Time
	// LastVersion is the highest version number ever given to the resource; numbers
	// of deleted versions do not come again. Always 0 in a numbered version's row.
	LastVersion int
	Body        T
	// Sealed is why Body is empty (it wraps ErrSealed), nil when Body was opened or
	// not asked for.
	Sealed error
}

// Kind is a kind of resource with bodies of type T, stored as JSON.
//
//	var guardrails = store.Kind[guardrailRow]{Name: "guardrail"}
type Kind[T any] struct {
	// Name is the kind's own word in the table; it never changes.
	Name string
	// Global kinds are the same in every Region: their rows have region ''.
	Global bool
	// SharedNames: two live siblings may have the same name.
	SharedNames bool
}

// ExistsError is ErrExists and says what is taken.
type ExistsError struct {
	Kind string
	// Field is "id" or "name".
	Field string
	// ID is the id of the row that holds the name or id.
	ID string
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("store: %s with this %s already exists (%s)", e.Kind, e.Field, e.ID)
}

// Is makes errors.Is(err, ErrExists) true.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

const (
	keyWhere = `account = ? AND region = ? AND kind = ? AND parent = ? AND id = ? AND version = ?`

	getSQL = `SELECT name, status, key_arn, class, target, source, rev, created, updated, last_version, body
		FROM resource WHERE ` + keyWhere

	insertSQL = `INSERT INTO resource (account, region, kind, parent, id, version, name, claim, status, key_arn,
		class, target, source, rev, created, updated, last_version, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, 0, ?) ON CONFLICT DO NOTHING`

	// updated rises strictly even when the clock stands still or goes back.
	putSQL = `UPDATE resource SET name = ?, claim = ?, status = ?, key_arn = ?, class = ?, target = ?, source = ?,
		rev = rev + 1, updated = CASE WHEN updated >= ? THEN updated + 1 ELSE ? END, body = ?
		WHERE ` + keyWhere + ` AND rev = ? RETURNING rev, created, updated, last_version`

	statusSQL = `UPDATE resource SET status = ?, rev = rev + 1,
		updated = CASE WHEN updated >= ? THEN updated + 1 ELSE ? END
		WHERE ` + keyWhere + ` RETURNING rev`
)

// hotStatements are prepared at Open: the first for readers too.
var hotStatements = []string{getSQL, insertSQL, putSQL, statusSQL}

// region is where the kind's rows lie for a caller in region r.
func (k Kind[T]) region(r string) string {
	if k.Global {
		return ""
	}
	return r
}

func (k Kind[T]) keyArgs(key Key) []any {
	return []any{key.Account, k.region(key.Region), k.Name, key.Parent, key.ID, key.Version}
}

func (k Kind[T]) aad(key Key) []byte {
	return bind("resource", key.Account, k.region(key.Region), k.Name, key.Parent, key.ID, key.Version)
}

// claim is the name a row holds against its siblings; nil holds none.
func (k Kind[T]) claim(key Key, name string) any {
	if k.SharedNames || key.Version != "" || name == "" {
		return nil
	}
	return name
}

func (k Kind[T]) seal(tx *Tx, key Key, keyARN string, body T) ([]byte, error) {
	plain, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", k.Name, key.ID, err)
	}
	sealed, err := tx.store.sealer.Seal(tx.ctx, keyARN, k.aad(key), plain)
	if err != nil {
		return nil, fmt.Errorf("seal %s %s: %w", k.Name, key.ID, err)
	}
	return sealed, nil
}

func (k Kind[T]) open(tx *Tx, rec *Record[T], sealed []byte) error {
	plain, err := tx.store.sealer.Open(tx.ctx, rec.KeyARN, k.aad(rec.Key), sealed)
	if err != nil {
		return fmt.Errorf("open %s %s: %w", k.Name, rec.ID, err)
	}
	if err := json.Unmarshal(plain, &rec.Body); err != nil {
		return fmt.Errorf("decode %s %s: %w", k.Name, rec.ID, err)
	}
	return nil
}

// Create inserts the head row of a resource. *ExistsError when the id, or the name
// among live siblings, is taken.
func (k Kind[T]) Create(tx *Tx, key Key, body T, c Columns) (Record[T], error) {
	if key.ID == "" || key.Version != "" {
		return Record[T]{}, fmt.Errorf("BUG: create %s needs an id and no version", k.Name)
	}
	return k.insert(tx, key, body, c)
}

func (k Kind[T]) insert(tx *Tx, key Key, body T, c Columns) (Record[T], error) {
	sealed, err := k.seal(tx, key, c.KeyARN, body)
	if err != nil {
		return Record[T]{}, err
	}
	now := micros(tx.Now)
	n, err := tx.Exec(insertSQL, append(k.keyArgs(key), c.Name, k.claim(key, c.Name), c.Status, c.KeyARN,
		c.Class, c.Target, c.Source, now, now, sealed)...)
	if err != nil {
		return Record[T]{}, fmt.Errorf("insert %s %s: %w", k.Name, key.ID, err)
	}
	if n == 0 {
		return Record[T]{}, k.taken(tx, key, c.Name)
	}
	key.Region = k.region(key.Region)
	return Record[T]{Key: key, Columns: c, Rev: 1, Created: tx.Now, Updated: tx.Now, Body: body}, nil
}

// taken says which of the two unique keys stood in the way of an insert.
func (k Kind[T]) taken(tx *Tx, key Key, name string) error {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE `+keyWhere, k.keyArgs(key), &n); err != nil {
		return err
	}
	if n > 0 {
		return &ExistsError{Kind: k.Name, Field: "id", ID: key.ID}
	}
	holder, err := k.holder(tx, key, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return &ExistsError{Kind: k.Name, Field: "name", ID: holder}
}

// holder is the id of the live sibling with this name, ErrNotFound if there is none.
func (k Kind[T]) holder(tx *Tx, key Key, name string) (id string, err error) {
	err = tx.QueryRow(`SELECT id FROM resource WHERE account = ? AND region = ? AND kind = ? AND parent = ? AND claim = ?`,
		[]any{key.Account, k.region(key.Region), k.Name, key.Parent, name}, &id)
	return id, err
}

// Get reads one row. When the body's key refuses, the record comes back with its
// clear columns together with an error that wraps ErrSealed.
func (k Kind[T]) Get(tx *Tx, key Key) (Record[T], error) {
	rec, sealed, err := k.row(tx, key)
	if err != nil {
		return rec, err
	}
	if err := k.open(tx, &rec, sealed); err != nil {
		if errors.Is(err, ErrSealed) {
			rec.Sealed = err
		}
		return rec, err
	}
	return rec, nil
}

// Head reads one row's clear columns and leaves the body shut.
func (k Kind[T]) Head(tx *Tx, key Key) (Record[T], error) {
	rec, _, err := k.row(tx, key)
	return rec, err
}

func (k Kind[T]) row(tx *Tx, key Key) (rec Record[T], sealed []byte, err error) {
	rec.Key = key
	rec.Region = k.region(key.Region)
	var created, updated int64
	err = tx.QueryRow(getSQL, k.keyArgs(key), &rec.Name, &rec.Status, &rec.KeyARN, &rec.Class, &rec.Target, &rec.Source,
		&rec.Rev, &created, &updated, &rec.LastVersion, &sealed)
	if err != nil {
		return Record[T]{}, nil, fmt.Errorf("get %s %s: %w", k.Name, key.ID, err)
	}
	rec.Created, rec.Updated = instant(created), instant(updated)
	return rec, sealed, nil
}

// ByName reads the live row of that name in a parent.
func (k Kind[T]) ByName(tx *Tx, parent Key, name string) (Record[T], error) {
	if k.SharedNames {
		return Record[T]{}, fmt.Errorf("BUG: names of %s are not unique", k.Name)
	}
	id, err := k.holder(tx, parent, name)
	if err != nil {
		return Record[T]{}, fmt.Errorf("get %s named %q: %w", k.Name, name, err)
	}
	parent.ID, parent.Version = id, ""
	return k.Get(tx, parent)
}

// Put writes a record back. The row must still have rec.Rev, else ErrConflict; a
// numbered version answers ErrImmutable. The returned record carries the new Rev
// and Updated. A changed KeyARN seals the body with the new key and removes the
// old bytes from the database's files.
func (k Kind[T]) Put(tx *Tx, rec Record[T]) (Record[T], error) {
	if rec.Version != "" {
		return rec, fmt.Errorf("put %s %s version %s: %w", k.Name, rec.ID, rec.Version, ErrImmutable)
	}
	if rec.Sealed != nil {
		return rec, fmt.Errorf("put %s %s: %w", k.Name, rec.ID, rec.Sealed)
	}
	old, _, err := k.row(tx, rec.Key)
	if err != nil {
		return rec, fmt.Errorf("put: %w", err)
	}
	if old.Rev != rec.Rev {
		return rec, fmt.Errorf("put %s %s: %w: have revision %d, row has %d", k.Name, rec.ID, ErrConflict, rec.Rev, old.Rev)
	}
	if claim := k.claim(rec.Key, rec.Name); claim != nil && rec.Name != old.Name {
		// Asked first: a failed UPDATE would end the whole transaction on PostgreSQL.
		if id, err := k.holder(tx, rec.Key, rec.Name); err == nil {
			return rec, &ExistsError{Kind: k.Name, Field: "name", ID: id}
		} else if !errors.Is(err, ErrNotFound) {
			return rec, err
		}
	}
	sealed, err := k.seal(tx, rec.Key, rec.KeyARN, rec.Body)
	if err != nil {
		return rec, err
	}
	tx.scrub = tx.scrub || old.KeyARN != rec.KeyARN
	now := micros(tx.Now)
	args := append([]any{rec.Name, k.claim(rec.Key, rec.Name), rec.Status, rec.KeyARN, rec.Class, rec.Target, rec.Source,
		now, now, sealed}, append(k.keyArgs(rec.Key), rec.Rev)...)
	var created, updated int64
	err = tx.QueryRow(putSQL, args, &rec.Rev, &created, &updated, &rec.LastVersion)
	if errors.Is(err, ErrNotFound) {
		return rec, fmt.Errorf("put %s %s: %w", k.Name, rec.ID, ErrConflict)
	}
	if err != nil {
		return rec, fmt.Errorf("put %s %s: %w", k.Name, rec.ID, err)
	}
	rec.Created, rec.Updated = instant(created), instant(updated)
	return rec, nil
}

// SetStatus moves only the status of a row, numbered versions included, whatever
// its revision and without opening the body. It raises the revision.
func (k Kind[T]) SetStatus(tx *Tx, key Key, status string) error {
	now := micros(tx.Now)
	var rev int64
	err := tx.QueryRow(statusSQL, append([]any{status, now, now}, k.keyArgs(key)...), &rev)
	if err != nil {
		return fmt.Errorf("set status of %s %s: %w", k.Name, key.ID, err)
	}
	return nil
}

// NewVersion writes an immutable numbered version of the resource key.ID and
// answers its record; key.Version in it is the number. Numbers rise by one and
// are never given twice. The head row's revision does not change.
func (k Kind[T]) NewVersion(tx *Tx, key Key, body T, c Columns) (Record[T], error) {
	key.Version = ""
	var n int
	err := tx.QueryRow(`UPDATE resource SET last_version = last_version + 1 WHERE `+keyWhere+` RETURNING last_version`,
		k.keyArgs(key), &n)
	if err != nil {
		return Record[T]{}, fmt.Errorf("number a version of %s %s: %w", k.Name, key.ID, err)
	}
	key.Version = strconv.Itoa(n)
	return k.insert(tx, key, body, c)
}

// Delete removes a row; the head row takes its numbered versions along. Children,
// tags and references are the caller's to remove (Tx.Forget).
func (k Kind[T]) Delete(tx *Tx, key Key) error {
	where, args := keyWhere, k.keyArgs(key)
	if key.Version == "" {
		if _, err := k.Head(tx, key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		where, args = `account = ? AND region = ? AND kind = ? AND parent = ? AND id = ?`, args[:5]
	}
	n, err := tx.Exec(`DELETE FROM resource WHERE `+where, args...)
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", k.Name, key.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("delete %s %s: %w", k.Name, key.ID, ErrNotFound)
	}
	return nil
}

// DeleteIn removes every row of the kind inside one parent, versions included, and
// answers how many there were.
func (k Kind[T]) DeleteIn(tx *Tx, parent Key) (int64, error) {
	n, err := tx.Exec(`DELETE FROM resource WHERE account = ? AND region = ? AND kind = ? AND parent = ?`,
		parent.Account, k.region(parent.Region), k.Name, parent.Parent)
	if err != nil {
		return 0, fmt.Errorf("delete all %s in %q: %w", k.Name, parent.Parent, err)
	}
	return n, nil
}
