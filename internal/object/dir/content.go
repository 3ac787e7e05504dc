package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// segment is a stretch of an object's content: a blob, or bytes in the index.
type segment struct {
	Blob   string `json:"b,omitempty"` // RUN/NN/N below blobs/
	Inline int64  `json:"i,omitempty"` // content.id
	Size   int64  `json:"n"`

	data []byte // inline content on its way to the index
}

// record is what a row holds beside its columns.
type record struct {
	Attributes object.Attributes `json:"a"`
	Tags       map[string]string `json:"t,omitempty"`
	Sums       object.Sums       `json:"s"`
	Parts      []object.Part     `json:"p,omitempty"`
	Segments   []segment         `json:"c,omitempty"`
}

// folder is a shard folder, made durable once.
type folder struct {
	once sync.Once
	err  error
}

func (s *Store) path(blob string) string {
	return filepath.Join(s.cfg.Dir, "blobs", filepath.FromSlash(blob))
}

func (s *Store) ask(op, path string) error {
	if s.cfg.fault == nil {
		return nil
	}
	return s.cfg.fault(op, path)
}

// newBlob names a blob of this run whose folder exists durably.
func (s *Store) newBlob() (string, error) {
	n := s.next.Add(1)
	shard := s.run + "/" + strconv.FormatUint(n%64, 36)
	v, _ := s.folders.LoadOrStore(shard, &folder{})
	f := v.(*folder)
	f.once.Do(func() {
		path := s.path(shard)
		if f.err = os.MkdirAll(path, 0o700); f.err != nil {
			return
		}
		for _, d := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
			if f.err = s.syncDir(d); f.err != nil {
				return
			}
		}
	})
	if f.err != nil {
		s.folders.CompareAndDelete(shard, v) // a full disk may be emptied: try again next time
		return "", f.err
	}
	return shard + "/" + strconv.FormatUint(n, 36), nil
}

func (s *Store) syncDir(path string) error {
	if err := s.ask("syncdir", path); err != nil {
		return err
	}
	if s.cfg.unsynced {
		return nil
	}
	return syncDir(path)
}

// contextReader ends a copy when its caller is gone.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one call
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// ingest brings content to stable storage, where no reader sees it yet. On an
// error nothing stays; else the caller commits the segment or discards it.
func (s *Store) ingest(ctx context.Context, r io.Reader, verify func(int64, object.Sums) error) (segs []segment, size int64, sums object.Sums, err error) {
	h := object.NewHasher()
	head, err := io.ReadAll(io.LimitReader(contextReader{ctx, r}, int64(s.cfg.InlineLimit)+1))
	if err != nil {
		return nil, 0, sums, err
	}
	if len(head) <= s.cfg.InlineLimit {
		_, _ = h.Write(head)
		size, sums = h.Size(), h.Sums().Further(r)
		if size > 0 {
			segs = []segment{{Size: size, data: head}}
		}
	} else {
		blob, e := s.writeBlob(h, io.MultiReader(bytes.NewReader(head), contextReader{ctx, r}))
		if e != nil {
			return nil, 0, sums, e
		}
		size, sums = h.Size(), h.Sums().Further(r)
		segs = []segment{{Blob: blob, Size: size}}
	}
	if verify != nil {
		if err := verify(size, sums); err != nil {
			s.discard(segs)
			return nil, 0, sums, err
		}
	}
	return segs, size, sums, nil
}

// readFailed marks an error of the content's reader, which is no fault of the disk.
type readFailed struct{ error }

func (e readFailed) Unwrap() error { return e.error }

type markReader struct{ r io.Reader }

func (m markReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err != nil && err != io.EOF {
		err = readFailed{err}
	}
	return n, err
}

// early is how many bytes of a blob are handed to the disk at a time while the
// rest still comes, so that the sync at the end has little left to wait for.
const early = 8 << 20

type askWriter struct {
	s *Store
	f *os.File

	written, begun int64
}

func (w *askWriter) Write(p []byte) (int, error) {
	if err := w.s.ask("write", w.f.Name()); err != nil {
		return 0, err
	}
	n, err := w.f.Write(p)
	if w.written += int64(n); w.written-w.begun >= early && !w.s.cfg.unsynced {
		startWriteback(w.f, w.begun, w.written-w.begun)
		w.begun = w.written
	}
	return n, err
}

func (s *Store) writeBlob(h *object.Hasher, r io.Reader) (string, error) {
	blob, err := s.newBlob()
	if err != nil {
		return "", fmt.Errorf("make blob folder: %w", failed(err))
	}
	path := s.path(blob)
	if err := s.ask("create", path); err != nil {
		return "", fmt.Errorf("create blob: %w", failed(err))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("create blob: %w", failed(err))
	}
	_, err = h.CopyFrom(&askWriter{s: s, f: f}, markReader{r})
	if err == nil {
		if err = s.ask("sync", path); err == nil && !s.cfg.unsynced {
			err = f.Sync()
		}
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.syncDir(filepath.Dir(path))
	}
	if err == nil {
		return blob, nil
	}
	if e := os.Remove(path); e != nil {
		s.unsure.Store(true)
	}
	if rf, ok := errors.AsType[readFailed](err); ok {
		return "", rf.error
	}
	return "", fmt.Errorf("write blob: %w", failed(err))
}

// discard removes blobs that were never committed.
func (s *Store) discard(segs []segment) {
	for _, sg := range segs {
		if sg.Blob == "" {
			continue
		}
		if err := os.Remove(s.path(sg.Blob)); err != nil {
			s.unsure.Store(true)
		}
	}
}

// discardAfter removes blobs after an op that answered err, unless a commit of
// unknown outcome may name them.
func (s *Store) discardAfter(err error, segs []segment) {
	if errors.Is(err, object.ErrIO) || errors.Is(err, object.ErrFull) {
		s.unsure.Store(true)
		return
	}
	s.discard(segs)
}

// link gives the segments' blobs second names, for a copy.
func (s *Store) link(segs []segment) (out []segment, err error) {
	for _, sg := range segs {
		if sg.Blob == "" {
			return nil, errors.New("BUG: inline segment linked")
		}
		blob, err := s.linkBlob(sg.Blob)
		if err != nil {
			s.discard(out)
			return nil, err
		}
		out = append(out, segment{Blob: blob, Size: sg.Size})
	}
	return out, nil
}

func (s *Store) linkBlob(from string) (string, error) {
	blob, err := s.newBlob()
	if err != nil {
		return "", fmt.Errorf("make blob folder: %w", failed(err))
	}
	path := s.path(blob)
	err = s.ask("link", path)
	if err == nil {
		err = os.Link(s.path(from), path)
	}
	if err != nil {
		// A file system without hard links: copy.
		src, e := os.Open(s.path(from))
		if e != nil {
			return "", fmt.Errorf("open blob: %w", failed(e))
		}
		defer src.Close()
		return s.writeBlob(object.NewHasher(), src)
	}
	if err := s.syncDir(filepath.Dir(path)); err != nil {
		s.discard([]segment{{Blob: blob}})
		return "", fmt.Errorf("link blob: %w", failed(err))
	}
	return blob, nil
}

// body reads the segments of a pinned object.
type body struct {
	s     *Store
	segs  []segment // all of the object's
	skip  int64     // bytes to pass over before the next one
	left  int64     // bytes still to give
	next  int       // segment to open
	cur   io.Reader // what is open of it
	rest  int64     // bytes that cur must still have
	file  *os.File
	close sync.Once
}

var errShort = fmt.Errorf("%w: stored content is shorter than its record", object.ErrIO)

func (b *body) open() error {
	for b.next < len(b.segs) {
		sg := b.segs[b.next]
		b.next++
		if b.skip >= sg.Size {
			b.skip -= sg.Size
			continue
		}
		if sg.Blob == "" {
			b.cur = bytes.NewReader(sg.data[min(b.skip, int64(len(sg.data))):])
		} else {
			f, err := os.Open(b.s.path(sg.Blob))
			if err != nil {
				return fmt.Errorf("open blob: %w", failed(err))
			}
			if b.skip > 0 {
				if _, err := f.Seek(b.skip, io.SeekStart); err != nil {
					return fmt.Errorf("seek blob: %w", failed(errors.Join(err, f.Close())))
				}
			}
			b.file, b.cur = f, f
		}
		b.rest, b.skip = sg.Size-b.skip, 0
		return nil
	}
	return errShort
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.cur == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	p = p[:min(int64(len(p)), b.left, b.rest)]
	n, err := b.cur.Read(p)
	b.took(int64(n))
	if err == io.EOF {
		err = nil
		if n == 0 && len(p) > 0 {
			err = errShort
		}
	}
	return n, err
}

func (b *body) took(n int64) {
	b.left -= n
	if b.rest -= n; b.rest == 0 {
		b.end()
	}
}

// WriteTo hands whole files to w, so that a socket can take them by sendfile.
func (b *body) WriteTo(w io.Writer) (total int64, err error) {
	for b.left > 0 {
		if b.cur == nil {
			if err := b.open(); err != nil {
				return total, err
			}
		}
		want := min(b.left, b.rest)
		n, err := io.Copy(w, io.LimitReader(b.cur, want))
		total += n
		b.took(n)
		if err == nil && n < want {
			err = errShort
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (b *body) end() {
	if b.file != nil {
		_ = b.file.Close() // opened for reading
	}
	b.file, b.cur = nil, nil
}

func (b *body) Close() error {
	b.close.Do(func() {
		b.end()
		b.left = 0
		b.s.unpin(b.segs)
	})
	return nil
}
