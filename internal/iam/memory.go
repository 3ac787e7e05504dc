package iam

import (
	"bytes"
	"context"
	"slices"
	"sync"
)

// MemoryStore keeps identities as long as the process lives. The zero value is
// ready; several Identities may share one, as replicas share a database.
type MemoryStore struct {
	mu      sync.Mutex
	version int64
	records map[recordKey]Record
}

var _ IdentityStore = (*MemoryStore)(nil)

// LoadAll returns all records, in order.
func (m *MemoryStore) LoadAll(context.Context) (int64, []Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Record, 0, len(m.records))
	for _, r := range m.records {
		r.Body = bytes.Clone(r.Body)
		out = append(out, r)
	}
	slices.SortFunc(out, compareRecords)
	return m.version, out, nil
}

// Version returns the number of changes so far.
func (m *MemoryStore) Version(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, nil
}

// Apply writes the changes.
func (m *MemoryStore) Apply(_ context.Context, expect int64, changes []Record) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version != expect {
		return 0, ErrStale
	}
	if m.records == nil {
		m.records = map[recordKey]Record{}
	}
	for _, r := range changes {
		if r.Body == nil {
			delete(m.records, r.key())
			continue
		}
		r.Body = bytes.Clone(r.Body)
		m.records[r.key()] = r
	}
	m.version++
	return m.version, nil
}
