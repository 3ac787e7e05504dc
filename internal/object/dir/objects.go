package dir

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// CreateBucket implements object.Store.
func (s *Store) CreateBucket(_ context.Context, b object.Bucket) error {
	if err := b.Check(); err != nil {
		return err
	}
	return s.do(func(w *writer) error {
		if _, err := w.bucket(b); !errors.Is(err, object.ErrNoBucket) {
			if err == nil {
				err = refused{object.ErrExists}
			}
			return err
		}
		_, err := w.tx.Exec(`INSERT INTO bucket(account, region, name, created) VALUES(?,?,?,?)`,
			b.Account, b.Region, b.Name, w.s.cfg.Now().UnixMicro())
		return err
	})
}

// DeleteBucket implements object.Store.
func (s *Store) DeleteBucket(_ context.Context, b object.Bucket) error {
	if err := b.Check(); err != nil {
		return err
	}
	return s.do(func(w *writer) error {
		id, err := w.bucket(b)
		if err != nil {
			return err
		}
		var used bool
		err = w.tx.QueryRow(`SELECT EXISTS(SELECT 1 FROM object WHERE bucket = ?1) OR EXISTS(SELECT 1 FROM upload WHERE bucket = ?1)`, id).Scan(&used)
		if err != nil {
			return err
		}
		if used {
			return refused{object.ErrNotEmpty}
		}
		_, err = w.tx.Exec(`DELETE FROM bucket WHERE id = ?`, id)
		return err
	})
}

// HeadBucket implements object.Store.
func (s *Store) HeadBucket(ctx context.Context, b object.Bucket) error {
	_, err := s.bucket(ctx, b)
	return err
}

func (s *Store) bucket(ctx context.Context, b object.Bucket) (int64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	if s.isClosed() {
		return 0, object.ErrClosed
	}
	var id int64
	err := s.read.QueryRowContext(ctx, `SELECT id FROM bucket WHERE account = ? AND region = ? AND name = ?`, b.Account, b.Region, b.Name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, object.ErrNoBucket
	}
	if err != nil {
		return 0, fmt.Errorf("read object index: %w", failed(err))
	}
	return id, nil
}

func (s *Store) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Put implements object.Store.
func (s *Store) Put(ctx context.Context, a object.Address, r io.Reader, o object.PutOptions) (object.Info, error) {
	if err := errors.Join(a.Check(), o.Attributes.Check(), object.CheckTags(o.Tags)); err != nil {
		return object.Info{}, err
	}
	// Refuse before the content is read what can be refused; the commit asks again.
	if err := s.precheck(ctx, a, o.If); err != nil {
		return object.Info{}, err
	}
	segs, size, sums, err := s.ingest(ctx, r, o.Verify)
	if err != nil {
		return object.Info{}, err
	}
	rec := record{Attributes: o.Attributes, Tags: o.Tags, Sums: sums, Segments: segs}
	return s.commitObject(a, size, sums.MD5, rec, o.If, nil)
}

func (s *Store) precheck(ctx context.Context, a object.Address, c object.If) error {
	id, err := s.bucket(ctx, a.Bucket)
	if err != nil || c.Zero() {
		return err
	}
	found, err := s.lookup(ctx, id, a.Key)
	if err != nil {
		return err
	}
	return c.Check(found != nil, found.etagOr(""))
}

// commitObject makes rec the object at a. before runs in the same transaction,
// ahead of every write.
func (s *Store) commitObject(a object.Address, size int64, etag string, rec record, c object.If, before func(*writer, int64) error) (object.Info, error) {
	var at int64
	fresh := rec.Segments
	err := s.do(func(w *writer) error {
		id, err := w.bucket(a.Bucket)
		if err != nil {
			return err
		}
		found, old, modified, oldRec, err := w.object(id, a.Key)
		if err != nil {
			return err
		}
		if err := c.Check(found, old); err != nil {
			return refused{err}
		}
		if before != nil {
			if err := before(w, id); err != nil {
				return err
			}
		}
		if err := w.store(rec.Segments); err != nil {
			return err
		}
		if at, err = w.put(id, a.Key, size, etag, modified, rec); err != nil {
			return err
		}
		return w.drop(oldRec.Segments)
	})
	if err != nil {
		s.discardAfter(err, fresh)
		return object.Info{}, err
	}
	return rec.info(a.Key, size, etag, at), nil
}

func (r record) info(key string, size int64, etag string, at int64) object.Info {
	return object.Info{
		Key: key, Size: size, ETag: etag, Modified: time.UnixMicro(at).UTC(),
		Sums: r.Sums, Attributes: r.Attributes, Parts: r.Parts, TagCount: len(r.Tags),
	}
}

// row is an object as a reader found it.
type row struct {
	size, modified int64
	etag           string
	rec            record
}

func (r *row) etagOr(none string) string {
	if r == nil {
		return none
	}
	return r.etag
}

// lookup reads a row, nil when there is none.
func (s *Store) lookup(ctx context.Context, bucket int64, key string) (*row, error) {
	var (
		r    row
		body []byte
	)
	err := s.read.QueryRowContext(ctx, `SELECT size, etag, modified, record FROM object WHERE bucket = ? AND key = ?`, bucket, []byte(key)).
		Scan(&r.size, &r.etag, &r.modified, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &r.rec)
	}
	if err != nil {
		return nil, fmt.Errorf("read object index: %w", failed(err))
	}
	return &r, nil
}

// find reads a row that must be there.
func (s *Store) find(ctx context.Context, a object.Address) (*row, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	id, err := s.bucket(ctx, a.Bucket)
	if err != nil {
		return nil, err
	}
	r, err := s.lookup(ctx, id, a.Key)
	if err == nil && r == nil {
		err = object.ErrNotFound
	}
	return r, err
}

// hold finds a row and keeps its blobs until unpin; inline content is read.
func (s *Store) hold(ctx context.Context, a object.Address) (*row, error) {
	for {
		s.view.RLock()
		r, err := s.find(ctx, a)
		if err == nil {
			s.pin(r.rec.Segments)
		}
		s.view.RUnlock()
		if err != nil {
			return nil, err
		}
		gone := false
		for i := range r.rec.Segments {
			sg := &r.rec.Segments[i]
			if sg.Blob != "" {
				continue
			}
			err = s.read.QueryRowContext(ctx, `SELECT data FROM content WHERE id = ?`, sg.Inline).Scan(&sg.data)
			if gone = errors.Is(err, sql.ErrNoRows); gone || err != nil {
				break
			}
		}
		if err == nil {
			return r, nil
		}
		s.unpin(r.rec.Segments)
		if !gone {
			return nil, fmt.Errorf("read object index: %w", failed(err))
		}
		// Replaced between the two reads: look again. AUTOINCREMENT never reuses an
		// id, so bytes of another object cannot stand in.
	}
}

// Get implements object.Store.
func (s *Store) Get(ctx context.Context, a object.Address, r object.Range) (*object.Content, error) {
	found, err := s.hold(ctx, a)
	if err != nil {
		return nil, err
	}
	off, n, err := r.Resolve(found.size)
	if err != nil {
		s.unpin(found.rec.Segments)
		return nil, err
	}
	return &object.Content{
		Info:   found.rec.info(a.Key, found.size, found.etag, found.modified),
		Offset: off, Length: n,
		Body: &body{s: s, segs: found.rec.Segments, skip: off, left: n},
	}, nil
}

// Head implements object.Store.
func (s *Store) Head(ctx context.Context, a object.Address) (object.Info, error) {
	r, err := s.find(ctx, a)
	if err != nil {
		return object.Info{}, err
	}
	return r.rec.info(a.Key, r.size, r.etag, r.modified), nil
}

// Delete implements object.Store.
func (s *Store) Delete(_ context.Context, a object.Address, c object.If) error {
	if err := a.Check(); err != nil {
		return err
	}
	return s.do(func(w *writer) error {
		id, err := w.bucket(a.Bucket)
		if err != nil {
			return err
		}
		found, etag, _, rec, err := w.object(id, a.Key)
		if err != nil {
			return err
		}
		if err := c.Check(found, etag); err != nil {
			return refused{err}
		}
		if !found {
			return refused{}
		}
		if _, err := w.tx.Exec(`DELETE FROM object WHERE bucket = ? AND key = ?`, id, []byte(a.Key)); err != nil {
			return err
		}
		return w.drop(rec.Segments)
	})
}

// Copy implements object.Store.
func (s *Store) Copy(ctx context.Context, from, to object.Address, o object.CopyOptions) (object.Info, error) {
	if err := errors.Join(from.Check(), to.Check(), object.CheckTags(o.Tags)); err != nil {
		return object.Info{}, err
	}
	if o.Attributes != nil {
		if err := o.Attributes.Check(); err != nil {
			return object.Info{}, err
		}
	}
	if err := s.precheck(ctx, to, o.If); err != nil {
		return object.Info{}, err
	}
	src, err := s.hold(ctx, from)
	if err != nil {
		return object.Info{}, err
	}
	defer s.unpin(src.rec.Segments)
	if err := o.Source.Check(true, src.etag); err != nil {
		return object.Info{}, err
	}
	rec := src.rec
	if rec.Segments, err = s.duplicate(src.rec.Segments); err != nil {
		return object.Info{}, err
	}
	if o.Attributes != nil {
		rec.Attributes = *o.Attributes
	}
	if o.Tags != nil {
		rec.Tags = o.Tags
	}
	return s.commitObject(to, src.size, src.etag, rec, o.If, nil)
}

// duplicate makes new segments with the same content.
func (s *Store) duplicate(segs []segment) ([]segment, error) {
	var out []segment
	for _, sg := range segs {
		if sg.Blob == "" {
			out = append(out, segment{Size: sg.Size, data: sg.data})
			continue
		}
		linked, err := s.link([]segment{sg})
		if err != nil {
			s.discard(out)
			return nil, err
		}
		out = append(out, linked...)
	}
	return out, nil
}

// Tags implements object.Store.
func (s *Store) Tags(ctx context.Context, a object.Address) (map[string]string, error) {
	r, err := s.find(ctx, a)
	if err != nil {
		return nil, err
	}
	if r.rec.Tags == nil {
		return map[string]string{}, nil
	}
	return r.rec.Tags, nil
}

// SetTags implements object.Store.
func (s *Store) SetTags(_ context.Context, a object.Address, tags map[string]string) error {
	if err := errors.Join(a.Check(), object.CheckTags(tags)); err != nil {
		return err
	}
	tags = maps.Clone(tags)
	return s.do(func(w *writer) error {
		id, err := w.bucket(a.Bucket)
		if err != nil {
			return err
		}
		found, _, _, rec, err := w.object(id, a.Key)
		if err != nil {
			return err
		}
		if !found {
			return refused{object.ErrNotFound}
		}
		rec.Tags = tags
		body, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		_, err = w.tx.Exec(`UPDATE object SET record = ?, tags = ? WHERE bucket = ? AND key = ?`, body, len(tags), id, []byte(a.Key))
		return err
	})
}

// List implements object.Store.
func (s *Store) List(ctx context.Context, b object.Bucket, o object.ListOptions) (object.Page, error) {
	id, err := s.bucket(ctx, b)
	if err != nil {
		return object.Page{}, err
	}
	l := lister{prefix: o.Prefix, delimiter: o.Delimiter, limit: o.Limit, from: o.After}
	if l.limit <= 0 || l.limit > object.MaxList {
		l.limit = object.MaxList
	}
	if o.Token != "" {
		if l.from, err = readToken(o.Token); err != nil {
			return object.Page{}, err
		}
	}
	for {
		more, err := l.scan(ctx, s.read, id)
		if err != nil {
			return object.Page{}, fmt.Errorf("read object index: %w", failed(err))
		}
		if !more {
			return l.page, nil
		}
	}
}

// lister walks keys in order and jumps over what a delimiter folds.
type lister struct {
	prefix, delimiter string
	limit             int
	from              string // only keys above it
	page              object.Page
}

// foldScan is how many folded keys are read past before a new seek is cheaper.
const foldScan = 64

// scan reads on from l.from until the page is full, the keys end (more false), or
// a folded prefix is worth a jump (more true).
func (l *lister) scan(ctx context.Context, db *sql.DB, bucket int64) (more bool, err error) {
	q, args := `SELECT key, size, etag, modified, tags FROM object WHERE bucket = ? AND key > ?`, []any{bucket, []byte(l.from)}
	if l.prefix != "" {
		q, args = q+` AND key >= ? AND key < ?`, append(args, []byte(l.prefix), []byte(l.prefix+beyond))
	}
	rows, err := db.QueryContext(ctx, q+` ORDER BY key LIMIT ?`, append(args, l.limit+foldScan)...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	read, folded, skipped := 0, "", 0
	for rows.Next() {
		read++
		var (
			key []byte
			at  int64
			i   object.Info
		)
		if err := rows.Scan(&key, &i.Size, &i.ETag, &at, &i.TagCount); err != nil {
			return false, err
		}
		i.Key = string(key)
		if folded != "" && strings.HasPrefix(i.Key, folded) {
			if skipped++; skipped > foldScan {
				return true, nil // l.from is beyond the prefix
			}
			continue
		}
		if len(l.page.Objects)+len(l.page.Prefixes) == l.limit {
			l.page.Next = writeToken(l.from)
			return false, nil
		}
		if p, ok := l.fold(i.Key); ok {
			l.page.Prefixes = append(l.page.Prefixes, p)
			l.from, folded, skipped = p+beyond, p, 0
			continue
		}
		i.Modified = time.UnixMicro(at).UTC()
		l.page.Objects = append(l.page.Objects, i)
		l.from = i.Key
	}
	return read == l.limit+foldScan, rows.Err()
}

func (l *lister) fold(key string) (string, bool) {
	if l.delimiter == "" {
		return "", false
	}
	rest := key[len(l.prefix):]
	if i := strings.Index(rest, l.delimiter); i >= 0 {
		return key[:len(l.prefix)+i+len(l.delimiter)], true
	}
	return "", false
}

// beyond sorts after every continuation of a key: no UTF-8 text has this byte.
const beyond = "\xff"
