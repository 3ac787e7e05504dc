package store

import (
	"fmt"
	"slices"
	"strings"
)

// Tag is one tag of a resource.
type Tag struct{ Key, Value string }

// Tags answers the tags of a resource in order of their keys.
func (tx *Tx) Tags(arn string) ([]Tag, error) {
	var out []Tag
	err := tx.Query(`SELECT name, value FROM tag WHERE arn = ? ORDER BY name`, []any{arn}, func(row Row) error {
		var t Tag
		err := row.Scan(&t.Key, &t.Value)
		out = append(out, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", arn, err)
	}
	return out, nil
}

// PutTags sets tags of a resource; other tags stay. How many a resource may have
// is the caller's rule (CountTags in the same transaction).
func (tx *Tx) PutTags(arn string, tags []Tag) error {
	for _, t := range tags {
		_, err := tx.Exec(`INSERT INTO tag (arn, name, value) VALUES (?, ?, ?)
			ON CONFLICT (arn, name) DO UPDATE SET value = excluded.value`, arn, t.Key, t.Value)
		if err != nil {
			return fmt.Errorf("tag %s: %w", arn, err)
		}
	}
	return nil
}

// RemoveTags removes tags by key; keys that are not there are no error.
func (tx *Tx) RemoveTags(arn string, keys []string) error {
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM tag WHERE arn = ? AND name = ?`, arn, key); err != nil {
			return fmt.Errorf("untag %s: %w", arn, err)
		}
	}
	return nil
}

// CountTags answers how many tags a resource has.
func (tx *Tx) CountTags(arn string) (n int, err error) {
	if err := tx.QueryRow(`SELECT COUNT(*) FROM tag WHERE arn = ?`, []any{arn}, &n); err != nil {
		return 0, fmt.Errorf("count tags of %s: %w", arn, err)
	}
	return n, nil
}

// Forget removes the tags of a resource and all references it holds: the last step
// of a delete.
func (tx *Tx) Forget(arn string) error {
	if _, err := tx.Exec(`DELETE FROM tag WHERE arn = ?`, arn); err != nil {
		return fmt.Errorf("forget tags of %s: %w", arn, err)
	}
	return tx.DropReferences(arn)
}

// AddReference notes that the resource from needs the resource to, both ARNs (of a
// version where a version is meant). A second time does nothing.
func (tx *Tx) AddReference(from, to string) error {
	_, err := tx.Exec(`INSERT INTO reference (from_arn, to_arn) VALUES (?, ?) ON CONFLICT DO NOTHING`, from, to)
	if err != nil {
		return fmt.Errorf("add reference from %s to %s: %w", from, to, err)
	}
	return nil
}

// SetReferences replaces everything that from refers to.
func (tx *Tx) SetReferences(from string, to []string) error {
	if err := tx.DropReferences(from); err != nil {
		return err
	}
	for _, t := range to {
		if err := tx.AddReference(from, t); err != nil {
			return err
		}
	}
	return nil
}

// DropReferences forgets everything that from refers to.
func (tx *Tx) DropReferences(from string) error {
	if _, err := tx.Exec(`DELETE FROM reference WHERE from_arn = ?`, from); err != nil {
		return fmt.Errorf("drop references of %s: %w", from, err)
	}
	return nil
}

// ReferredBy answers the ARNs of what refers to a resource, in order.
func (tx *Tx) ReferredBy(to string) ([]string, error) {
	return tx.arns(`SELECT from_arn FROM reference WHERE to_arn = ? ORDER BY from_arn`, to)
}

// ReferencesOf answers the ARNs a resource refers to, in order.
func (tx *Tx) ReferencesOf(from string) ([]string, error) {
	return tx.arns(`SELECT to_arn FROM reference WHERE from_arn = ? ORDER BY to_arn`, from)
}

func (tx *Tx) arns(query, arn string) ([]string, error) {
	var out []string
	err := tx.Query(query, []any{arn}, func(row Row) error {
		var a string
		err := row.Scan(&a)
		out = append(out, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("references of %s: %w", arn, err)
	}
	return out, nil
}

// InUseError is ErrInUse and says who uses the resource.
type InUseError struct {
	ARN string
	By  []string
}

func (e *InUseError) Error() string {
	return "store: " + e.ARN + " is in use by " + strings.Join(e.By, ", ")
}

// Is makes errors.Is(err, ErrInUse) true.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// CheckUnused answers *InUseError when a resource other than those in except
// refers to this one.
func (tx *Tx) CheckUnused(arn string, except ...string) error {
	by, err := tx.ReferredBy(arn)
	if err != nil {
		return err
	}
	by = slices.DeleteFunc(by, func(a string) bool { return a == arn || slices.Contains(except, a) })
	if len(by) > 0 {
		return &InUseError{ARN: arn, By: by}
	}
	return nil
}
