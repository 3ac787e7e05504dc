package iam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// versionCounter is the store's counter that rises with every change.
const versionCounter = "iam"

// Table is the IdentityStore over the state database: one row a record, its body
// sealed like every other.
type Table struct {
	store *store.Store
	page  int // records one query reads
}

var _ IdentityStore = (*Table)(nil)

// NewTable returns the identities kept in s.
func NewTable(s *store.Store) *Table { return &Table{store: s, page: 1000} }

// kindOf is the row kind of a record kind. Names are unique by the snapshot's
// rules, not the table's.
func kindOf(k RecordKind) store.Kind[json.RawMessage] {
	return store.Kind[json.RawMessage]{Name: string(k), Global: true, SharedNames: true}
}

// LoadAll reads all records in one transaction.
func (t *Table) LoadAll(ctx context.Context) (version int64, records []Record, err error) {
	err = t.store.View(ctx, func(tx *store.Tx) error {
		records = nil
		var err error
		if version, err = tx.Counter(versionCounter); err != nil {
			return err
		}
		for _, kind := range RecordKinds() {
			q := store.Query{Everywhere: true, AnyParent: true, Limit: t.page}
			for {
				page, err := kindOf(kind).List(tx, q)
				if err != nil {
					return err
				}
				for _, r := range page.Records {
					if r.Sealed != nil {
						return fmt.Errorf("open %s %s: %w", kind, r.ID, r.Sealed)
					}
					records = append(records, Record{Kind: kind, Account: r.Account, ID: r.ID, Body: r.Body})
				}
				if page.Next == "" {
					break
				}
				q.Cursor = page.Next
			}
		}
		return nil
	})
	return version, records, err
}

// Version reads the counter.
func (t *Table) Version(ctx context.Context) (version int64, err error) {
	err = t.store.View(ctx, func(tx *store.Tx) error {
		version, err = tx.Counter(versionCounter)
		return err
	})
	return version, err
}

// Apply writes the changes in one transaction, which the store makes durable
// before it returns.
func (t *Table) Apply(ctx context.Context, expect int64, changes []Record) (version int64, err error) {
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.Counter(versionCounter)
		if err != nil {
			return err
		}
		if have != expect {
			return ErrStale
		}
		for _, c := range changes {
			if err := applyOne(tx, c); err != nil {
				return fmt.Errorf("write %s %s: %w", c.Kind, c.ID, err)
			}
		}
		version, err = tx.Advance(versionCounter)
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

func applyOne(tx *store.Tx, c Record) error {
	kind, key := kindOf(c.Kind), store.Key{Account: c.Account, ID: c.ID}
	if c.Body == nil {
		if err := kind.Delete(tx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	}
	row, err := kind.Head(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		_, err = kind.Create(tx, key, c.Body, store.Columns{})
		return err
	}
	if err != nil {
		return err
	}
	row.Body = c.Body
	_, err = kind.Put(tx, row)
	return err
}
