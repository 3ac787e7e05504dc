package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/page"
)

// Rows of the table meta. The schema's own version is kept by the migrations.
const (
	metaRootKey   = "root_key_id"
	metaCursorKey = "cursor_key"
	counterPrefix = "counter."
	// CounterIdentity is raised by every change of principals and policies; replicas
	// poll it and reload their snapshot when it moved.
	CounterIdentity = "identity"
)

// adopt ties the database to its root key and loads the key of its cursors.
func (s *Store) adopt(ctx context.Context) error {
	return s.Update(ctx, func(tx *Tx) error {
		if k, ok := s.sealer.(KeyIdentifier); ok {
			id, err := tx.metaOnce(metaRootKey, func() ([]byte, error) { return []byte(k.KeyID()), nil })
			if err != nil {
				return err
			}
			if string(id) != k.KeyID() {
				return fmt.Errorf("%w: it was sealed with key %s, %s holds key %s; put the right file back",
					ErrWrongKey, id, RootKeyFile, k.KeyID())
			}
		}
		identity := []string{"meta", metaCursorKey}
		sealed, err := tx.metaOnce(metaCursorKey, func() ([]byte, error) {
			key := make([]byte, page.KeySize)
			_, _ = rand.Read(key) // crypto/rand never fails
			return tx.Seal("", identity, key)
		})
		if err != nil {
			return err
		}
		key, err := tx.Unseal("", identity, sealed)
		if err != nil {
			return fmt.Errorf("open the cursor key: %w", err)
		}
		s.cursors, err = page.NewSigner(key)
		return err
	})
}

// metaOnce answers a meta row and writes it first if there is none.
func (tx *Tx) metaOnce(name string, make func() ([]byte, error)) ([]byte, error) {
	var value []byte
	err := tx.QueryRow(`SELECT value FROM meta WHERE name = ?`, []any{name}, &value)
	if err == nil {
		return value, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("read meta %s: %w", name, err)
	}
	if value, err = make(); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`INSERT INTO meta (name, value) VALUES (?, ?)`, name, value); err != nil {
		return nil, fmt.Errorf("write meta %s: %w", name, err)
	}
	return value, nil
}

// Counter answers a named counter; one never advanced is 0.
func (tx *Tx) Counter(name string) (int64, error) {
	var value []byte
	err := tx.QueryRow(`SELECT value FROM meta WHERE name = ?`, []any{counterPrefix + name}, &value)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read counter %s: %w", name, err)
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("counter %s is damaged: %w", name, err)
	}
	return n, nil
}

// Advance raises a named counter by one and answers its new value. Subscribers of
// the topic "counter.NAME" are woken after the commit.
func (tx *Tx) Advance(name string) (int64, error) {
	n, err := tx.Counter(name)
	if err != nil {
		return 0, err
	}
	n++
	_, err = tx.Exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		counterPrefix+name, []byte(strconv.FormatInt(n, 10)))
	if err != nil {
		return 0, fmt.Errorf("advance counter %s: %w", name, err)
	}
	tx.Publish(counterPrefix + name)
	return n, nil
}
