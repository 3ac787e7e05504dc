package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// pair is a file with the metadata file beside it, if there is one. Without a file it
// is a metadata file that belongs to none.
type pair struct {
	file, metadata *object.Info
}

// pairs joins the objects of a listing, which come in byte order, as they come. A file
// waits for its metadata only while the names that come begin with its own, because
// all names between X and X.metadata.json do: so those that wait are beginnings of one
// another, and never more than a key has bytes.
type pairs struct {
	waiting []object.Info // the shortest first
}

// next takes an object and hands on the pairs that are complete by it.
func (p *pairs) next(o object.Info, emit func(pair) error) error {
	if err := p.passed(o.Key, emit); err != nil {
		return err
	}
	if strings.HasSuffix(o.Key, "/") && o.Size == 0 {
		return nil // what consoles make to show a folder
	}
	of, ok := parse.MetadataFor(o.Key)
	if !ok {
		p.waiting = append(p.waiting, o)
		return nil
	}
	i := slices.IndexFunc(p.waiting, func(w object.Info) bool { return w.Key == of })
	if i < 0 {
		return emit(pair{metadata: &o})
	}
	file := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return emit(pair{&file, &o})
}

// passed hands on the files whose metadata cannot come any more.
func (p *pairs) passed(key string, emit func(pair) error) error {
	kept := p.waiting[:0]
	for i := range p.waiting {
		if w := p.waiting[i]; w.Key+parse.MetadataSuffix < key {
			if err := emit(pair{file: &w}); err != nil {
				return err
			}
		} else {
			kept = append(kept, w)
		}
	}
	p.waiting = kept
	return nil
}

// end hands on what still waits.
func (p *pairs) end(emit func(pair) error) error {
	for i := range p.waiting {
		if err := emit(pair{file: &p.waiting[i]}); err != nil {
			return err
		}
	}
	p.waiting = nil
	return nil
}

// walk is one walk over the files of a data source.
type walk struct {
	*line
	job  string // id of the ingestion job
	from bucket.Location

	scanned, metadata atomic.Int64 // read by whoever writes statistics
	seen              [][16]byte   // beginnings of the row ids, sorted when it has ended
	alone             reasons      // metadata files without a file
}

// feed lists all files and puts those on which there is something to do. One page of
// the listing is held against its rows in one look at the store.
func (w *walk) feed(ctx context.Context, put func(*task) error) error {
	var p pairs
	var found []pair
	emit := func(x pair) error { found = append(found, x); return nil }
	for token := ""; ; {
		as, who, err := w.acting(ctx)
		if err != nil {
			return err
		}
		page, err := w.r.cfg.Files.List(as, bucket.As(who), w.from, object.ListOptions{Token: token})
		if err != nil {
			return unlisted(w.from, err)
		}
		for _, o := range page.Objects {
			if err := p.next(o, emit); err != nil {
				return err
			}
		}
		if token = page.Next; token == "" {
			if err := p.end(emit); err != nil {
				return err
			}
		}
		if err := w.compare(ctx, found, put); err != nil {
			return err
		}
		if found = found[:0]; token == "" {
			break
		}
	}
	slices.SortFunc(w.seen, func(a, b [16]byte) int { return strings.Compare(string(a[:]), string(b[:])) })
	return nil
}

// unlisted is why a bucket cannot be listed, which fails the job.
func unlisted(from bucket.Location, err error) error {
	switch {
	case errors.Is(err, bucket.ErrDenied):
		return dead(err, "The service role of the knowledge base may not list the bucket %s: %s", from.Bucket, denial(err))
	case errors.Is(err, object.ErrNoBucket):
		return dead(err, "The bucket %s does not exist.", from.Bucket)
	}
	return grave("The bucket "+from.Bucket+" cannot be listed", err)
}

// compare finds out which of the pairs have to be worked on.
func (w *walk) compare(ctx context.Context, found []pair, put func(*task) error) error {
	h := homeOf(w.base, w.source)
	var tasks []*task
	for _, x := range found {
		if x.metadata != nil {
			w.metadata.Add(1)
			if x.file == nil {
				at := w.from
				at.Key = x.metadata.Key
				w.alone.add("metadata files", "no file of the data source has their name", at.URI())
				continue
			}
		}
		w.scanned.Add(1)
		t := w.task(x)
		id, err := hex.DecodeString(t.row)
		if err != nil || len(id) < 16 {
			return errors.New("BUG: a document id without a hash")
		}
		w.seen = append(w.seen, [16]byte(id[:16]))
		tasks = append(tasks, t)
	}
	var todo []*task
	err := w.r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		todo = todo[:0]
		for _, t := range tasks {
			rec, err := documentRows.Head(tx, h.key(t.row))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err != nil || w.due(t, &rec) {
				todo = append(todo, t)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range todo {
		if err := put(t); err != nil {
			return err
		}
	}
	return nil
}

// due says whether there is something to do about a document that has a row.
func (w *walk) due(t *task, rec *store.Record[documentRow]) bool {
	if rec.Target != w.plan.version(t.content, t.metadata) {
		return true
	}
	switch api.DocumentStatus(rec.Status) {
	case api.DocumentStatusIndexed, api.DocumentStatusMetadataPartiallyIndexed:
		return false
	default:
		// A failure is tried again by the next job, not by this one.
		return rec.Source != w.job
	}
}

// task is what a pair asks for.
func (w *walk) task(x pair) *task {
	at := w.from
	at.Key = x.file.Key
	t := newTask(w.source, knowledge.Place{S3: at.URI()})
	t.at, t.size, t.content = at, x.file.Size, mark(*x.file)
	if x.metadata != nil {
		beside := w.from
		beside.Key = x.metadata.Key
		t.beside, t.metadata = &beside, mark(*x.metadata)
	}
	if _, ok := parse.FormatOf(x.file.Key); !ok {
		t.refuse = whyUnsupported
	} else if x.file.Size > parse.MaxFile {
		t.refuse = whyTooLarge
	}
	return t
}

// saw says whether the walk, which has ended, came by a row.
func (w *walk) saw(row string) bool {
	id, err := hex.DecodeString(row)
	if err != nil || len(id) < 16 {
		return false
	}
	_, ok := slices.BinarySearchFunc(w.seen, string(id[:16]), func(a [16]byte, b string) int { return strings.Compare(string(a[:]), b) })
	return ok
}

// denial is what a refusal of IAM says.
func denial(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e.Message
	}
	return "access denied"
}
