package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// state is every record in memory. The maps are guarded by Service.mu; what they
// hold never changes.
type state struct {
	version int64
	keys    map[string]*Key              // by id
	aliases map[string]*Alias            // by ARN
	named   map[string][]*Alias          // by key id, in the order of their names
	grants  map[string]map[string]*Grant // by key id, then grant id
	tokens  map[string]*Grant            // by token
}

func newState(version int64) state {
	return state{version, map[string]*Key{}, map[string]*Alias{}, map[string][]*Alias{}, map[string]map[string]*Grant{}, map[string]*Grant{}}
}

func (st *state) addGrant(g *Grant) {
	id := g.KeyID()
	if st.grants[id] == nil {
		st.grants[id] = map[string]*Grant{}
	}
	if old := st.grants[id][g.ID()]; old != nil {
		st.removeGrant(old)
	}
	if st.grants[id] == nil {
		st.grants[id] = map[string]*Grant{}
	}
	st.grants[id][g.ID()] = g
	for _, t := range g.rec.Body.Tokens {
		st.tokens[t] = g
	}
}

func (st *state) removeGrant(g *Grant) {
	delete(st.grants[g.KeyID()], g.ID())
	if len(st.grants[g.KeyID()]) == 0 {
		delete(st.grants, g.KeyID())
	}
	for _, t := range g.rec.Body.Tokens {
		delete(st.tokens, t)
	}
}

func (st *state) addAlias(a *Alias) {
	if old := st.aliases[a.ARN()]; old != nil {
		st.removeAlias(old)
	}
	st.aliases[a.ARN()] = a
	list := append(slices.Clone(st.named[a.KeyID()]), a)
	slices.SortFunc(list, func(a, b *Alias) int { return strings.Compare(a.Name(), b.Name()) })
	st.named[a.KeyID()] = list
}

func (st *state) removeAlias(a *Alias) {
	delete(st.aliases, a.ARN())
	list := slices.DeleteFunc(slices.Clone(st.named[a.KeyID()]), func(b *Alias) bool { return b.Name() == a.Name() })
	if len(list) == 0 {
		delete(st.named, a.KeyID())
		return
	}
	st.named[a.KeyID()] = list
}

// load reads all records; the caller holds s.write or is New.
func (s *Service) load(ctx context.Context) error {
	var st state
	err := s.store.View(ctx, func(tx *store.Tx) error {
		v, err := tx.Counter(counter)
		if err != nil {
			return err
		}
		st = newState(v)
		err = all(tx, keys, func(r store.Record[keyBody]) error {
			k, err := newKey(r)
			if err == nil {
				st.keys[k.ID()] = k
			}
			return err
		})
		if err != nil {
			return err
		}
		err = all(tx, aliases, func(r store.Record[aliasBody]) error {
			st.addAlias(newAlias(r))
			return nil
		})
		if err != nil {
			return err
		}
		return all(tx, grants, func(r store.Record[grantBody]) error {
			st.addGrant(newGrant(r))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("load keys: %w", err)
	}
	s.mu.Lock()
	s.state = st
	s.mu.Unlock()
	return nil
}

// all reads every row of a kind, in every account and Region.
func all[T any](tx *store.Tx, kind store.Kind[T], each func(store.Record[T]) error) error {
	q := store.Query{Everywhere: true, Limit: 1000}
	for {
		page, err := kind.List(tx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if r.Sealed != nil {
				return r.Sealed
			}
			if err := each(r); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// errStale: another replica wrote since the state was loaded.
var errStale = errors.New("kms: keys changed by another replica")

// update runs fn in one transaction on a state that is current, and takes over
// what it wrote. fn may run more than once. It reads s.state without the lock,
// since only holders of s.write change it.
func (s *Service) update(ctx context.Context, fn func(w *writer) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	const attempts = 10
	for range attempts {
		w := &writer{s: s}
		var v int64
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			w.tx, w.apply, w.wrote = tx, nil, false
			if v, err = tx.Counter(counter); err != nil {
				return err
			}
			if v != s.state.version {
				return errStale
			}
			if err := fn(w); err != nil || !w.wrote {
				return err
			}
			v, err = tx.Advance(counter)
			return err
		})
		if errors.Is(err, errStale) {
			if err := s.load(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			// A commit that failed may stand all the same; what is in memory must be
			// what is on disk.
			if w.wrote {
				err = errors.Join(err, s.load(context.WithoutCancel(ctx)))
			}
			return err
		}
		s.mu.Lock()
		for _, f := range w.apply {
			f(&s.state)
		}
		s.state.version = v
		s.mu.Unlock()
		return nil
	}
	return fmt.Errorf("write keys: %w %d times", errStale, attempts)
}

// writer writes records and remembers what the state has to take over.
type writer struct {
	s     *Service
	tx    *store.Tx
	wrote bool
	apply []func(*state)
}

func (w *writer) did(f func(*state)) { w.wrote, w.apply = true, append(w.apply, f) }

func (w *writer) createKey(key store.Key, body keyBody, status State) (*Key, error) {
	rec, err := keys.Create(w.tx, key, body, store.Columns{Status: string(status)})
	return w.took(rec, err)
}

func (w *writer) putKey(rec store.Record[keyBody]) error {
	_, err := w.took(keys.Put(w.tx, rec))
	return err
}

func (w *writer) took(rec store.Record[keyBody], err error) (*Key, error) {
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	k, err := newKey(rec)
	if err != nil {
		return nil, err
	}
	w.did(func(st *state) { st.keys[k.ID()] = k })
	return k, nil
}

func (w *writer) dropKey(k *Key) error {
	if err := keys.Delete(w.tx, k.rec.Key); err != nil {
		return fmt.Errorf("destroy key: %w", err)
	}
	w.did(func(st *state) { delete(st.keys, k.ID()) })
	return nil
}

func (w *writer) tookAlias(rec store.Record[aliasBody], err error) error {
	if err != nil {
		return fmt.Errorf("write alias: %w", err)
	}
	a := newAlias(rec)
	w.did(func(st *state) { st.addAlias(a) })
	return nil
}

func (w *writer) dropAlias(a *Alias) error {
	if err := aliases.Delete(w.tx, a.rec.Key); err != nil {
		return fmt.Errorf("delete alias: %w", err)
	}
	w.did(func(st *state) { st.removeAlias(a) })
	return nil
}

func (w *writer) tookGrant(rec store.Record[grantBody], err error) error {
	if err != nil {
		return fmt.Errorf("write grant: %w", err)
	}
	g := newGrant(rec)
	w.did(func(st *state) { st.addGrant(g) })
	return nil
}

func (w *writer) dropGrant(g *Grant) error {
	if err := grants.Delete(w.tx, g.rec.Key); err != nil {
		return fmt.Errorf("delete grant: %w", err)
	}
	w.did(func(st *state) { st.removeGrant(g) })
	return nil
}
