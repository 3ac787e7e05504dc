package dir

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// partRecord is what a part's row holds.
type partRecord struct {
	Part     object.Part `json:"p"`
	Segments []segment   `json:"c,omitempty"`
}

// writeToken makes a position in a listing safe to travel as text.
func writeToken(from string) string { return base64.RawURLEncoding.EncodeToString([]byte("1" + from)) }

func readToken(token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != '1' {
		return "", fmt.Errorf("%w: listing token", object.ErrInvalid)
	}
	return string(b[1:]), nil
}

// StartUpload implements object.Store.
func (s *Store) StartUpload(_ context.Context, a object.Address, attrs object.Attributes, tags map[string]string) (object.Upload, error) {
	if err := errors.Join(a.Check(), attrs.Check(), object.CheckTags(tags)); err != nil {
		return object.Upload{}, err
	}
	body, err := json.Marshal(record{Attributes: attrs, Tags: tags})
	if err != nil {
		return object.Upload{}, fmt.Errorf("start upload: %w", err)
	}
	u := object.Upload{Address: a, ID: s.cfg.NewID()}
	return u, s.do(func(w *writer) error {
		id, err := w.bucket(a.Bucket)
		if err != nil {
			return err
		}
		_, err = w.tx.Exec(`INSERT INTO upload(id, bucket, key, started, record) VALUES(?,?,?,?,?)`,
			u.ID, id, []byte(a.Key), w.s.cfg.Now().UnixMicro(), body)
		return err
	})
}

// upload checks within the transaction that u is under way.
func (w *writer) upload(bucket int64, u object.Upload) (record, error) {
	var body []byte
	err := w.tx.QueryRow(`SELECT record FROM upload WHERE id = ? AND bucket = ? AND key = ?`, u.ID, bucket, []byte(u.Address.Key)).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, refused{object.ErrNoUpload}
	}
	var rec record
	if err == nil {
		err = json.Unmarshal(body, &rec)
	}
	return rec, err
}

// started answers nil when the upload is under way.
func (s *Store) started(ctx context.Context, u object.Upload) error {
	_, err := s.HeadUpload(ctx, u)
	return err
}

// HeadUpload implements object.Store.
func (s *Store) HeadUpload(ctx context.Context, u object.Upload) (object.UploadInfo, error) {
	if err := u.Address.Check(); err != nil {
		return object.UploadInfo{}, err
	}
	id, err := s.bucket(ctx, u.Address.Bucket)
	if err != nil {
		return object.UploadInfo{}, err
	}
	var (
		us   int64
		body []byte
		rec  record
	)
	err = s.read.QueryRowContext(ctx, `SELECT started, record FROM upload WHERE id = ? AND bucket = ? AND key = ?`, u.ID, id, []byte(u.Address.Key)).Scan(&us, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return object.UploadInfo{}, object.ErrNoUpload
	}
	if err == nil {
		err = json.Unmarshal(body, &rec)
	}
	if err != nil {
		return object.UploadInfo{}, fmt.Errorf("read object index: %w", failed(err))
	}
	return object.UploadInfo{Key: u.Address.Key, ID: u.ID, Started: time.UnixMicro(us).UTC(), Attributes: rec.Attributes}, nil
}

// PutPart implements object.Store.
func (s *Store) PutPart(ctx context.Context, u object.Upload, n int, r io.Reader, verify func(int64, object.Sums) error) (object.Part, error) {
	if n < 1 || n > object.MaxPart {
		return object.Part{}, fmt.Errorf("%w: part number %d", object.ErrInvalid, n)
	}
	if err := s.started(ctx, u); err != nil {
		return object.Part{}, err
	}
	segs, size, sums, err := s.ingest(ctx, r, verify)
	if err != nil {
		return object.Part{}, err
	}
	p := object.Part{Number: n, Size: size, ETag: sums.MD5, Sums: sums}
	err = s.do(func(w *writer) error {
		id, err := w.bucket(u.Address.Bucket)
		if err != nil {
			return err
		}
		if _, err := w.upload(id, u); err != nil {
			return err
		}
		old, err := w.parts(u.ID, n-1, 1)
		if err != nil {
			return err
		}
		if err := w.store(segs); err != nil {
			return err
		}
		p.Modified = time.UnixMicro(w.s.cfg.Now().UnixMicro()).UTC()
		body, err := json.Marshal(partRecord{Part: p, Segments: segs})
		if err != nil {
			return err
		}
		if _, err := w.tx.Exec(`INSERT OR REPLACE INTO part(upload, n, record) VALUES(?,?,?)`, u.ID, n, body); err != nil {
			return err
		}
		if len(old) == 1 && old[0].Part.Number == n {
			return w.drop(old[0].Segments)
		}
		return nil
	})
	if err != nil {
		s.discardAfter(err, segs)
		return object.Part{}, err
	}
	return p, nil
}

type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

func queryParts(ctx context.Context, db querier, upload string, after, limit int) ([]partRecord, error) {
	rows, err := db.QueryContext(ctx, `SELECT record FROM part WHERE upload = ? AND n > ? ORDER BY n LIMIT ?`, upload, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []partRecord
	for rows.Next() {
		var (
			body []byte
			p    partRecord
		)
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

func (w *writer) parts(upload string, after, limit int) ([]partRecord, error) {
	return queryParts(context.Background(), w.tx, upload, after, limit)
}

// ListParts implements object.Store.
func (s *Store) ListParts(ctx context.Context, u object.Upload, after, limit int) ([]object.Part, bool, error) {
	if err := s.started(ctx, u); err != nil {
		return nil, false, err
	}
	if limit <= 0 || limit > object.MaxList {
		limit = object.MaxList
	}
	found, err := queryParts(ctx, s.read, u.ID, after, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("read object index: %w", failed(err))
	}
	var out []object.Part
	for _, p := range found[:min(limit, len(found))] {
		out = append(out, p.Part)
	}
	return out, len(found) > limit, nil
}

// CompleteUpload implements object.Store.
func (s *Store) CompleteUpload(_ context.Context, u object.Upload, refs []object.PartRef, c object.If) (object.Info, error) {
	if err := errors.Join(u.Address.Check(), object.CheckParts(refs)); err != nil {
		return object.Info{}, err
	}
	var info object.Info
	err := s.do(func(w *writer) error {
		id, err := w.bucket(u.Address.Bucket)
		if err != nil {
			return err
		}
		rec, err := w.upload(id, u)
		if err != nil {
			return err
		}
		all, err := w.parts(u.ID, 0, object.MaxPart)
		if err != nil {
			return err
		}
		var unused []segment
		if rec.Parts, rec.Segments, unused, err = choose(all, refs, w.s.cfg.MinPart); err != nil {
			return refused{err}
		}
		found, old, before, oldRec, err := w.object(id, u.Address.Key)
		if err != nil {
			return err
		}
		if err := c.Check(found, old); err != nil {
			return refused{err}
		}
		var size int64
		for _, p := range rec.Parts {
			size += p.Size
		}
		rec.Sums = object.CombineParts(rec.Parts)
		etag := object.PartsETag(rec.Parts)
		at, err := w.put(id, u.Address.Key, size, etag, before, rec)
		if err != nil {
			return err
		}
		info = rec.info(u.Address.Key, size, etag, at)
		if err := w.forget(u.ID); err != nil {
			return err
		}
		return errors.Join(w.drop(unused), w.drop(oldRec.Segments))
	})
	if err != nil {
		return object.Info{}, err
	}
	return info, nil
}

// choose picks the named parts of those stored.
func choose(all []partRecord, refs []object.PartRef, minPart int64) (parts []object.Part, segs, unused []segment, err error) {
	i := 0
	for j, ref := range refs {
		for i < len(all) && all[i].Part.Number < ref.Number {
			unused = append(unused, all[i].Segments...)
			i++
		}
		if i == len(all) || all[i].Part.Number != ref.Number || (ref.ETag != "" && ref.ETag != all[i].Part.ETag) {
			return nil, nil, nil, fmt.Errorf("%w: number %d", object.ErrPart, ref.Number)
		}
		if j < len(refs)-1 && all[i].Part.Size < minPart {
			return nil, nil, nil, fmt.Errorf("%w: number %d has %d bytes", object.ErrTooSmall, ref.Number, all[i].Part.Size)
		}
		parts, segs = append(parts, all[i].Part), append(segs, all[i].Segments...)
		i++
	}
	for ; i < len(all); i++ {
		unused = append(unused, all[i].Segments...)
	}
	return parts, segs, unused, nil
}

func (w *writer) forget(upload string) error {
	if _, err := w.tx.Exec(`DELETE FROM part WHERE upload = ?`, upload); err != nil {
		return err
	}
	_, err := w.tx.Exec(`DELETE FROM upload WHERE id = ?`, upload)
	return err
}

// AbortUpload implements object.Store.
func (s *Store) AbortUpload(_ context.Context, u object.Upload) error {
	if err := u.Address.Check(); err != nil {
		return err
	}
	return s.do(func(w *writer) error {
		id, err := w.bucket(u.Address.Bucket)
		if err != nil {
			return err
		}
		if _, err := w.upload(id, u); err != nil {
			return err
		}
		all, err := w.parts(u.ID, 0, object.MaxPart)
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := w.drop(p.Segments); err != nil {
				return err
			}
		}
		return w.forget(u.ID)
	})
}

// ListUploads implements object.Store.
func (s *Store) ListUploads(ctx context.Context, b object.Bucket, prefix string, after object.UploadInfo, limit int) ([]object.UploadInfo, bool, error) {
	id, err := s.bucket(ctx, b)
	if err != nil {
		return nil, false, err
	}
	if limit <= 0 || limit > object.MaxList {
		limit = object.MaxList
	}
	var at int64
	if !after.Started.IsZero() {
		at = after.Started.UnixMicro()
	}
	rows, err := s.read.QueryContext(ctx, `SELECT key, id, started, record FROM upload
		WHERE bucket = ? AND key >= ? AND key < ? AND (key, started, id) > (?, ?, ?) ORDER BY key, started, id LIMIT ?`,
		id, []byte(prefix), []byte(prefix+beyond), []byte(after.Key), at, after.ID, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("read object index: %w", failed(err))
	}
	defer rows.Close()
	var out []object.UploadInfo
	for rows.Next() {
		var (
			key, body []byte
			rec       record
			i         object.UploadInfo
			us        int64
		)
		if err := rows.Scan(&key, &i.ID, &us, &body); err != nil {
			return nil, false, fmt.Errorf("read object index: %w", failed(err))
		}
		if err := json.Unmarshal(body, &rec); err != nil {
			return nil, false, fmt.Errorf("read object index: %w", failed(err))
		}
		i.Key, i.Started, i.Attributes = string(key), time.UnixMicro(us).UTC(), rec.Attributes
		out = append(out, i)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read object index: %w", failed(err))
	}
	return out[:min(limit, len(out))], len(out) > limit, nil
}
