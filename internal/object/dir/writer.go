package dir

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// op is one write to the index, waiting for the commit that carries it.
type op struct {
	do    func(*writer) error
	done  chan error
	freed []string // blobs that the op let go
}

// refused wraps an answer of the port that an op gave before it wrote anything;
// the others of its batch are not touched by it.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// maxBatch bounds how long the first of a batch waits for the others' work.
const maxBatch = 256

// writer is the only one that changes the index.
type writer struct {
	s  *Store
	tx *sql.Tx
	op *op

	putObject, putContent, putBlob, killBlob, getObject, getBucket *sql.Stmt               // of the connection
	stmts                                                          map[*sql.Stmt]*sql.Stmt // of the transaction
}

func (s *Store) newWriter(ctx context.Context) (*writer, error) {
	w := &writer{s: s}
	for _, p := range []struct {
		to **sql.Stmt
		q  string
	}{
		{&w.putObject, `INSERT INTO object(bucket, key, size, etag, modified, tags, record) VALUES(?,?,?,?,?,?,?)
			ON CONFLICT DO UPDATE SET size=excluded.size, etag=excluded.etag, modified=excluded.modified, tags=excluded.tags, record=excluded.record`},
		{&w.putContent, `INSERT INTO content(data) VALUES(?)`},
		{&w.putBlob, `INSERT INTO blob(name, dead) VALUES(?, 0)`},
		{&w.killBlob, `UPDATE blob SET dead = 1 WHERE name = ?`},
		{&w.getObject, `SELECT etag, modified, record FROM object WHERE bucket = ? AND key = ?`},
		{&w.getBucket, `SELECT id FROM bucket WHERE account = ? AND region = ? AND name = ?`},
	} {
		st, err := s.write.PrepareContext(ctx, p.q) //nolint:sqlclosecheck // it lives as long as the handle, whose Close ends it
		if err != nil {
			return nil, fmt.Errorf("prepare object index: %w", err)
		}
		*p.to = st
	}
	return w, nil
}

// do runs f in a transaction and returns when that is on stable storage. It does
// not give up early: an op once sent may be committed, and its caller must know.
func (s *Store) do(f func(*writer) error) error {
	o := &op{do: f, done: make(chan error, 1)}
	select {
	case s.ops <- o:
		return <-o.done
	case <-s.done:
		return object.ErrClosed
	}
}

func (w *writer) loop() {
	batch := make([]*op, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case o := <-w.s.ops:
			batch = append(batch, o)
		case <-w.s.done:
			w.flush()
			return
		}
	gather:
		for len(batch) < maxBatch {
			select {
			case o := <-w.s.ops:
				batch = append(batch, o)
			default:
				break gather
			}
		}
		w.commit(batch)
	}
}

// flush forgets the rows of blobs that are unlinked; a failure costs the next
// start a few look-ups and nothing else.
func (w *writer) flush() {
	if err := w.commitOne(nil); err != nil {
		w.s.cfg.Log.Warn("object folder: index not tidied", "err", err)
	}
}

func (w *writer) commit(batch []*op) {
	answers := make([]error, len(batch))
	err := w.commitBatch(batch, answers)
	if err != nil {
		// Whether a failed commit reached the disk is unknown, so no blob of it may
		// be removed now; the next start looks.
		w.s.unsure.Store(true)
		err = failed(err)
	}
	for i, o := range batch {
		if answers[i] == nil {
			answers[i] = err
			if err == nil {
				w.s.free(o.freed)
			}
		}
		o.done <- answers[i]
	}
}

func (w *writer) commitOne(o *op) error {
	if o == nil {
		return w.commitBatch(nil, nil)
	}
	return w.commitBatch([]*op{o}, make([]error, 1))
}

func (w *writer) commitBatch(batch []*op, answers []error) error {
	gone := w.gone(len(batch) == 0)
	if len(batch) == 0 && len(gone) == 0 {
		return nil
	}
	tx, err := w.s.write.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	w.tx, w.stmts = tx, map[*sql.Stmt]*sql.Stmt{}
	written := len(gone) > 0
	for i, o := range batch {
		w.op = o
		if err := o.do(w); err != nil {
			if r, ok := errors.AsType[refused](err); ok {
				answers[i] = r.error
				continue
			}
			return errors.Join(err, tx.Rollback())
		}
		written = true
	}
	if !written {
		return tx.Rollback()
	}
	for _, name := range gone {
		if _, err := tx.Exec(`DELETE FROM blob WHERE name = ?`, name); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := w.s.ask("commit", "index.db"); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// enoughGone is how many unlinked blobs make it worth to sync their folders.
const enoughGone = 1024

// gone takes the unlinked blobs whose rows can be forgotten: an unlink comes back
// with a power cut unless its folder was synced, and then the row must be there.
// Few of them wait for more, or for the end of the run.
func (w *writer) gone(all bool) []string {
	w.s.mu.Lock()
	names := w.s.gone
	if len(names) == 0 || (!all && len(names) < enoughGone) {
		w.s.mu.Unlock()
		return nil
	}
	w.s.gone = nil
	w.s.mu.Unlock()
	shards := map[string]error{}
	var out, again []string
	for _, n := range names {
		dir := filepath.Dir(w.s.path(n))
		err, ok := shards[dir]
		if !ok {
			if err = w.s.syncDir(dir); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
			shards[dir] = err
		}
		if err != nil {
			again = append(again, n)
			continue
		}
		out = append(out, n)
	}
	w.s.mu.Lock()
	w.s.gone = append(w.s.gone, again...)
	w.s.mu.Unlock()
	return out
}

// stmt is st within the transaction.
func (w *writer) stmt(st *sql.Stmt) *sql.Stmt {
	t, ok := w.stmts[st]
	if !ok {
		t = w.tx.Stmt(st)
		w.stmts[st] = t
	}
	return t
}

func (w *writer) exec(st *sql.Stmt, args ...any) (sql.Result, error) {
	return w.stmt(st).Exec(args...) //nolint:sqlclosecheck // the transaction's end closes it
}

func (w *writer) row(st *sql.Stmt, args ...any) *sql.Row {
	return w.stmt(st).QueryRow(args...) //nolint:sqlclosecheck // the transaction's end closes it
}

func (w *writer) bucket(b object.Bucket) (int64, error) {
	var id int64
	err := w.row(w.getBucket, b.Account, b.Region, b.Name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, refused{object.ErrNoBucket}
	}
	return id, err
}

// object reads the row as it is within the transaction.
func (w *writer) object(bucket int64, key string) (found bool, etag string, modified int64, rec record, err error) {
	var body []byte
	err = w.row(w.getObject, bucket, []byte(key)).Scan(&etag, &modified, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return false, "", 0, record{}, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &rec)
	}
	return err == nil, etag, modified, rec, err
}

// store writes content's segments; inline ones get their id here.
func (w *writer) store(segs []segment) error {
	for i := range segs {
		sg := &segs[i]
		switch {
		case sg.Blob != "":
			if _, err := w.exec(w.putBlob, sg.Blob); err != nil {
				return err
			}
		case sg.data != nil:
			res, err := w.exec(w.putContent, sg.data)
			if err != nil {
				return err
			}
			if sg.Inline, err = res.LastInsertId(); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop lets segments go: rows now, blobs after the commit.
func (w *writer) drop(segs []segment) error {
	for _, sg := range segs {
		if sg.Blob == "" {
			if _, err := w.tx.Exec(`DELETE FROM content WHERE id = ?`, sg.Inline); err != nil {
				return err
			}
			continue
		}
		if _, err := w.exec(w.killBlob, sg.Blob); err != nil {
			return err
		}
		w.op.freed = append(w.op.freed, sg.Blob)
	}
	return nil
}

// put writes the row of an object over what was there, and answers its time: now,
// but later than the time it replaces.
func (w *writer) put(bucket int64, key string, size int64, etag string, before int64, rec record) (int64, error) {
	at := max(w.s.cfg.Now().UnixMicro(), before+1)
	body, err := json.Marshal(rec)
	if err != nil {
		return 0, err
	}
	_, err = w.exec(w.putObject, bucket, []byte(key), size, etag, at, len(rec.Tags), body)
	return at, err
}

// free unlinks blobs whose rows are dead, or leaves that to their last reader.
func (s *Store) free(names []string) {
	if len(names) == 0 {
		return
	}
	s.view.Lock() // whoever read a row of before has pinned by now
	s.mu.Lock()
	var now []string
	for _, n := range names {
		if s.pins[n] > 0 {
			s.dead[n] = true
		} else {
			now = append(now, n)
		}
	}
	s.mu.Unlock()
	s.view.Unlock()
	for _, n := range now {
		s.unlink(n)
	}
}

func (s *Store) unlink(name string) {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.cfg.Log.Warn("object folder: freed blob stays until the next start", "blob", name, "err", err)
		return
	}
	s.mu.Lock()
	s.gone = append(s.gone, name)
	s.mu.Unlock()
}

func (s *Store) pin(segs []segment) {
	s.mu.Lock()
	for _, sg := range segs {
		if sg.Blob != "" {
			s.pins[sg.Blob]++
		}
	}
	s.mu.Unlock()
}

func (s *Store) unpin(segs []segment) {
	var now []string
	s.mu.Lock()
	for _, sg := range segs {
		if sg.Blob == "" {
			continue
		}
		if s.pins[sg.Blob]--; s.pins[sg.Blob] > 0 {
			continue
		}
		delete(s.pins, sg.Blob)
		if s.dead[sg.Blob] {
			delete(s.dead, sg.Blob)
			now = append(now, sg.Blob)
		}
	}
	s.mu.Unlock()
	for _, n := range now {
		s.unlink(n)
	}
}
