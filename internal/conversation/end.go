package conversation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// sweepBatch is how many sessions the sweep looks at in one go.
const sweepBatch = 50

// End ends a session; one that is not there has ended. ErrBusy while a turn runs.
func (s *Sessions) End(ctx context.Context, k Key) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		clock, err := s.clock(tx)
		if err != nil {
			return err
		}
		r, err := find(tx, k)
		if r == nil || err != nil {
			return err
		}
		if s.busy(r, clock) {
			return ErrBusy
		}
		at := tx.Now
		if over := time.UnixMicro(r.expires).UTC(); over.Before(at) {
			at = over
		}
		return s.end(tx, r, at)
	})
}

// Forget removes the sessions of an owner, all of them or those of one alias, in
// the transaction that deletes it. Nobody is told. Turns that run notice with their
// next commit.
func Forget(tx *store.Tx, account, region, owner, alias string) error {
	where, args := ` WHERE account = ? AND region = ? AND owner = ?`, []any{account, region, owner}
	if alias != "" {
		where, args = where+` AND alias = ?`, append(args, alias)
	}
	for _, table := range []string{"conversation_step", "conversation_turn"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE conversation IN (SELECT id FROM conversation`+where+`)`, args...); err != nil {
			return fmt.Errorf("forget the sessions of %s: %w", owner, err)
		}
	}
	if _, err := tx.Exec(`DELETE FROM conversation`+where, args...); err != nil {
		return fmt.Errorf("forget the sessions of %s: %w", owner, err)
	}
	return nil
}

func (s *Sessions) end(tx *store.Tx, r *row, at time.Time) error {
	if s.ended != nil {
		e := &Ended{Key: r.key(), KeyARN: r.keyARN, Memory: r.memory, Created: time.UnixMicro(r.created).UTC(), At: at, id: r.id, tx: tx}
		if err := s.ended(tx, e); err != nil {
			return fmt.Errorf("end session %s: %w", r.session, err)
		}
	}
	for _, q := range []string{
		`DELETE FROM conversation_step WHERE conversation = ?`, `DELETE FROM conversation_turn WHERE conversation = ?`,
		`DELETE FROM conversation WHERE id = ?`,
	} {
		if _, err := tx.Exec(q, r.id); err != nil {
			return fmt.Errorf("end session %s: %w", r.session, err)
		}
	}
	return nil
}

// Sweep ends the sessions that are over and answers how many. A session that cannot
// be ended (its key is disabled) is left and tried again by the next sweep.
func (s *Sessions) Sweep(ctx context.Context) (n int, err error) {
	for after := ""; ; {
		var ids []string
		err := s.store.View(ctx, func(tx *store.Tx) error {
			ids = nil
			return tx.Query(`SELECT id FROM conversation WHERE expires <= ? AND id > ? ORDER BY id LIMIT ?`,
				[]any{tx.Now.UnixMicro(), after, sweepBatch}, func(row store.Row) error {
					var id string
					err := row.Scan(&id)
					ids = append(ids, id)
					return err
				})
		})
		if err != nil {
			return n, fmt.Errorf("look for expired sessions: %w", err)
		}
		for _, id := range ids {
			ended, err := s.sweep(ctx, id)
			switch {
			case ctx.Err() != nil:
				return n, ctx.Err()
			case err != nil: // the others must not wait for it
				s.log.WarnContext(ctx, "an expired session stays", "error", err)
			case ended:
				n++
			}
			after = id
		}
		if len(ids) < sweepBatch {
			return n, nil
		}
	}
}

// sweep ends one session if it is still over.
func (s *Sessions) sweep(ctx context.Context, id string) (ended bool, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		ended = false
		clock, err := s.clock(tx)
		if err != nil {
			return err
		}
		r := new(row)
		err = tx.QueryRow(`SELECT `+sessionColumns+` FROM conversation WHERE id = ? AND expires <= ?`, []any{id, tx.Now.UnixMicro()}, r.into()...)
		if errors.Is(err, store.ErrNotFound) || err == nil && s.busy(r, clock) {
			return nil
		}
		if err != nil {
			return err
		}
		ended = true
		return s.end(tx, r, time.UnixMicro(r.expires).UTC())
	})
	return ended, err
}

// Run sweeps until ctx ends.
func (s *Sessions) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "expired sessions were not swept", "error", err)
		}
	}
}
