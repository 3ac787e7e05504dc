package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// keepRemoved is how many removals the file remembers for those who follow it; who
// is further behind loads anew.
const keepRemoved = 100_000

// Replace makes chunks the whole of the document. Texts are analysed and all is
// sealed before the transaction begins, which then only writes.
func (x *Index) Replace(ctx context.Context, d vector.Document, chunks []vector.Chunk) error {
	return x.ReplaceAll(ctx, vector.Whole{Document: d, Chunks: chunks})
}

// ReplaceAll is Replace for several documents, in one transaction: all of them are
// written or none. Of two with the same id the later one stays.
func (x *Index) ReplaceAll(ctx context.Context, documents ...vector.Whole) error {
	if err := x.usable(); err != nil {
		return err
	}
	for _, d := range documents {
		if err := vector.CheckReplace(x.Definition(), d.Document, d.Chunks); err != nil {
			return err
		}
	}
	_, v, err := x.now(ctx)
	if err != nil {
		return err
	}
	sealed := make([][]part, len(documents))
	for i, d := range documents {
		if sealed[i], err = encode(v, x.analyser, d.Document.ID, d.Chunks); err != nil {
			return err
		}
	}
	err = x.write(ctx, func(tx *sql.Tx, c *change) error {
		for i, d := range documents {
			if err := c.replace(ctx, tx, x, d.Document, sealed[i]); err != nil {
				return fmt.Errorf("write document %q: %w", safeName(d.Document.ID), err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index %s: %w", x.name, err)
	}
	return x.hook(HookAfterCommit)
}

func (c *change) replace(ctx context.Context, tx *sql.Tx, x *Index, d vector.Document, parts []part) error {
	if err := c.remove(ctx, tx, d.ID); err != nil {
		return err
	}
	if err := x.hook(HookRemoved); err != nil {
		return err
	}
	return c.insert(ctx, tx, d, parts)
}

// Delete removes documents in one transaction.
func (x *Index) Delete(ctx context.Context, documents ...string) error {
	if err := x.usable(); err != nil {
		return err
	}
	if len(documents) == 0 {
		return nil
	}
	if _, _, err := x.now(ctx); err != nil { // who may not open the key may not delete
		return err
	}
	err := x.write(ctx, func(tx *sql.Tx, c *change) error {
		for _, d := range documents {
			if err := c.remove(ctx, tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete documents of index %s: %w", x.name, err)
	}
	return x.hook(HookAfterCommit)
}

func (x *index) hook(point string) error {
	if x.store.cfg.Hook == nil {
		return nil
	}
	return x.store.cfg.Hook(point)
}

// change is the counters of meta while a transaction changes them.
type change struct {
	nextChunk, nextSegment, nextRemoved, pruned int64
	documents, chunks, vectors                  int
	changed                                     bool
}

func (x *index) write(ctx context.Context, f func(*sql.Tx, *change) error) error {
	return x.file.update(ctx, func(tx *sql.Tx) error {
		if err := x.hook(HookBegun); err != nil {
			return err
		}
		var c change
		err := tx.QueryRowContext(ctx, `SELECT next_chunk, next_segment, next_removed, pruned, documents, chunks, vectors FROM meta`).
			Scan(&c.nextChunk, &c.nextSegment, &c.nextRemoved, &c.pruned, &c.documents, &c.chunks, &c.vectors)
		if err != nil {
			return err
		}
		if err := f(tx, &c); err != nil {
			return err
		}
		if !c.changed {
			return nil
		}
		if floor := c.nextRemoved - keepRemoved; floor > c.pruned+keepRemoved/10 {
			if _, err := tx.ExecContext(ctx, `DELETE FROM removed WHERE id < ?`, floor); err != nil {
				return err
			}
			c.pruned = floor - 1
		}
		_, err = tx.ExecContext(ctx, `UPDATE meta SET sequence = sequence + 1, next_chunk = ?, next_segment = ?, next_removed = ?, pruned = ?,
			documents = ?, chunks = ?, vectors = ?`, c.nextChunk, c.nextSegment, c.nextRemoved, c.pruned, c.documents, c.chunks, c.vectors)
		if err != nil {
			return err
		}
		return x.hook(HookBeforeCommit)
	})
}

// remove takes a document out and writes its segments down as removed.
func (c *change) remove(ctx context.Context, tx *sql.Tx, document string) error {
	done, err := tx.ExecContext(ctx, `DELETE FROM document WHERE id = ?`, document)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	c.changed = true
	c.documents--
	type seg struct {
		id, first    int64
		chunks, rows int
	}
	var segs []seg
	rows, err := tx.QueryContext(ctx, `SELECT id, first, chunks, rows FROM segment WHERE document = ?`, document)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s seg
		if err := rows.Scan(&s.id, &s.first, &s.chunks, &s.rows); err != nil {
			return err
		}
		segs = append(segs, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, s := range segs {
		for _, stmt := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM chunk WHERE key >= ? AND key < ?`, []any{s.first, s.first + int64(s.chunks)}},
			{`DELETE FROM terms WHERE segment = ?`, []any{s.id}},
			{`DELETE FROM segment WHERE id = ?`, []any{s.id}},
			{`INSERT INTO removed VALUES (?, ?)`, []any{c.nextRemoved, s.id}},
		} {
			if _, err := tx.ExecContext(ctx, stmt.query, stmt.args...); err != nil {
				return err
			}
		}
		c.nextRemoved++
		c.chunks -= s.chunks
		c.vectors -= s.rows
	}
	return nil
}

func (c *change) insert(ctx context.Context, tx *sql.Tx, d vector.Document, parts []part) error {
	c.changed = true
	c.documents++
	total := 0
	for _, p := range parts {
		total += len(p.ids)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO document VALUES (?, ?, ?)`, d.ID, d.Version, total); err != nil {
		return err
	}
	chunk, err := tx.PrepareContext(ctx, `INSERT INTO chunk VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer chunk.Close()
	for i, p := range parts {
		_, err := tx.ExecContext(ctx, `INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			c.nextSegment, d.ID, i, c.nextChunk, len(p.ids), p.rows, p.columns, p.vectors)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO terms VALUES (?, ?)`, c.nextSegment, p.terms); err != nil {
			return err
		}
		for j, id := range p.ids {
			if _, err := chunk.ExecContext(ctx, c.nextChunk+int64(j), id, p.bodies[j]); err != nil {
				if taken(err) {
					return vector.Invalid("the chunk id %q belongs to another document", id)
				}
				return err
			}
		}
		c.nextSegment++
		c.nextChunk += int64(len(p.ids))
		c.chunks += len(p.ids)
		c.vectors += p.rows
	}
	return nil
}

// Rekey seals the data key with another customer key (the house's own if empty) and
// overwrites where it lay. What was sealed stays: it was never sealed with more than
// the data key.
func (x *Index) Rekey(ctx context.Context, keyARN string) error {
	if err := x.usable(); err != nil {
		return err
	}
	s, err := scanState(x.file.state.QueryRowContext(ctx))
	if err != nil {
		return err
	}
	key, err := x.store.cfg.Sealer.Open(ctx, s.keyARN, keyAAD(x.name), s.dataKey)
	if err != nil {
		return fmt.Errorf("open the data key of index %s: %w", x.name, err)
	}
	defer clear(key)
	wrapped, err := x.store.cfg.Sealer.Seal(ctx, keyARN, keyAAD(x.name), slices.Clone(key))
	if err != nil {
		return fmt.Errorf("seal the data key of index %s: %w", x.name, err)
	}
	err = x.file.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE meta SET key_arn = ?, data_key = ?`, keyARN, wrapped)
		return err
	})
	if err != nil {
		return fmt.Errorf("change the key of index %s: %w", x.name, err)
	}
	d := x.Definition()
	d.KeyARN = keyARN
	x.def.Store(&d)
	var busy, frames, moved int
	if err := x.file.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil || busy != 0 {
		return fmt.Errorf("the key of index %s has changed, but the log still holds the old one: %w", x.name, vector.ErrBusy)
	}
	return nil
}
