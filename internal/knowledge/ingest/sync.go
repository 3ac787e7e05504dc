package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// patience is how long a job waits for the turn of its data source before it asks again.
const patience = 250 * time.Millisecond

// ended makes of an error what the runner needs: a fatal one ends the job for good.
func ended(err error) error {
	if f, ok := errors.AsType[*fatal](err); ok {
		return job.Discard(f)
	}
	return err
}

// broken ends an attempt that had the turn. After an error that may pass the job tries
// again later, and others need not wait for that.
func broken(ctx context.Context, h *job.Handle, at home, done progress, err error) error {
	if _, final := errors.AsType[*fatal](err); !final && ctx.Err() == nil {
		if rerr := h.Checkpoint(ctx, done, func(tx *store.Tx) error { return release(tx, at, h.ID) }); rerr != nil {
			h.Log.WarnContext(ctx, "the turn of the data source stays taken", "error", rerr)
		}
	}
	return ended(err)
}

// progress is the cursor of a job: it only moves, so that attempts without progress
// are counted.
type progress struct {
	Settled int64 `json:"settled"`
}

// syncing is a running ingestion job.
type syncing struct {
	r    *Room
	h    *job.Handle
	home home
	id   string
	done progress
	last counts // as the row has them
}

// errGone ends a job whose row is gone, with its data source.
var errGone = &fatal{reason: "The data source was deleted."}

// sync is the work of an ingestion job.
func (r *Room) sync(ctx context.Context, h *job.Handle) error {
	home, id, err := worked(h.Job)
	if err != nil {
		return job.Discard(err)
	}
	s := &syncing{r: r, h: h, home: home, id: id}
	if _, err := h.Cursor(&s.done); err != nil {
		return job.Discard(err)
	}
	ctx = r.inside(ctx, h.Account, h.Region, "StartIngestionJob")
	mine, err := s.begin(ctx)
	if err != nil {
		return ended(err)
	}
	if !mine {
		return job.Snooze(patience)
	}
	if err := r.cfg.At(AtTurn); err != nil {
		return err
	}
	if err := s.work(ctx); err != nil {
		return broken(ctx, h, home, s.done, err)
	}
	return r.cfg.At(AtEnd)
}

// begin takes the turn and moves the row.
func (s *syncing) begin(ctx context.Context) (mine bool, err error) {
	err = s.h.Checkpoint(ctx, s.done, func(tx *store.Tx) error {
		rec, err := jobRows.Get(tx, s.home.key(s.id))
		if errors.Is(err, store.ErrNotFound) {
			return errGone
		}
		if err != nil {
			return err
		}
		if mine, err = take(tx, s.home, s.h.ID); err != nil || !mine {
			return err
		}
		s.last = rec.Body.Counts
		next, err := Lifecycle.Next(api.IngestionJobStatus(rec.Status), Begin)
		if err != nil {
			return err
		}
		if rec.Status != string(next) {
			rec.Status = string(next)
			_, err = jobRows.Put(tx, rec)
		}
		return err
	})
	return mine, err
}

// alive reads what the job works on, and ends it when that is being deleted.
func (r *Room) alive(ctx context.Context, h home) (*knowledge.Base, *knowledge.Source, error) {
	b, err := r.cfg.Knowledge.Base(ctx, h.Account, h.Region, h.Base)
	if err != nil {
		return nil, nil, gone("knowledge base", err)
	}
	s, err := r.cfg.Knowledge.Source(ctx, b, h.Source)
	if err != nil {
		return nil, nil, gone("data source", err)
	}
	if b.Status == api.KnowledgeBaseStatusDeleting || b.Status == api.KnowledgeBaseStatusDeleteUnsuccessful {
		return nil, nil, dead(nil, "The knowledge base is being deleted.")
	}
	if s.Status != api.DataSourceStatusAvailable {
		return nil, nil, dead(nil, "The data source is being deleted.")
	}
	return b, s, nil
}

func gone(what string, err error) error {
	if apierr.KindOf(err) == apierr.ResourceNotFound || errors.Is(err, store.ErrNotFound) {
		return dead(err, "The %s was deleted.", what)
	}
	return grave("The "+what+" cannot be read", err)
}

// work does all of it.
func (s *syncing) work(ctx context.Context) error {
	b, src, err := s.r.alive(ctx, s.home)
	if err != nil {
		return err
	}
	p, err := planOf(b, src)
	if err != nil {
		return grave("The data source cannot be used", err)
	}
	from, err := bucketOf(src)
	if err != nil {
		return grave("The data source cannot be used", err)
	}
	if err := s.here(ctx, b, from.Bucket); err != nil {
		return err
	}
	as, _, err := s.r.cfg.Knowledge.Acting(ctx, b)
	if err != nil {
		return grave("The service role of the knowledge base cannot be taken", err)
	}
	index, err := s.r.cfg.Knowledge.Index(as, b)
	if err != nil {
		return grave("The vector index cannot be opened", err)
	}
	defer func() {
		if err := index.Close(); err != nil {
			s.h.Log.WarnContext(ctx, "the index was not closed", "error", err)
		}
	}()
	w := &walk{line: s.r.line(b, src, p, index, s.id), job: s.id, from: from}
	if err := w.run(ctx, w.feed, func(o []outcome) error { return s.settle(ctx, w, o) }); err != nil {
		return err
	}
	if err := s.r.cfg.At(AtWalked); err != nil {
		return err
	}
	if err := s.remove(ctx, w); err != nil {
		return err
	}
	return s.close(ctx, w)
}

// here holds the bucket's Region against the knowledge base's.
func (s *syncing) here(ctx context.Context, b *knowledge.Base, name string) error {
	region, err := s.r.cfg.Region(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // a bucket that cannot be found is told by its listing
	}
	if region != "" && region != b.Region {
		return dead(nil, "The bucket %s is in the Region %s. A data source must be in the Region of its knowledge base, %s.", name, region, b.Region)
	}
	return nil
}

// settle writes what became of documents, with the statistics, in one transaction.
func (s *syncing) settle(ctx context.Context, w *walk, batch []outcome) error {
	scanned, metadata := w.scanned.Load(), w.metadata.Load()
	if len(batch) == 0 && scanned <= s.last.Scanned && metadata <= s.last.MetadataScanned {
		return nil
	}
	if _, _, err := s.r.alive(ctx, s.home); err != nil {
		return err
	}
	if err := s.r.cfg.At(AtCheckpoint); err != nil {
		return err
	}
	return s.write(ctx, int64(len(batch)), func(tx *store.Tx, c *counts) error {
		// A walk that began anew does not count backwards.
		c.Scanned, c.MetadataScanned = max(c.Scanned, scanned), max(c.MetadataScanned, metadata)
		for _, o := range batch {
			if err := s.put(tx, o, w.plan.version(o.content, o.metadata), c); err != nil {
				return err
			}
		}
		return nil
	})
}

// write is one checkpoint: rows by fn, and the statistics as fn changes them.
func (s *syncing) write(ctx context.Context, settled int64, fn func(tx *store.Tx, c *counts) error) error {
	next := progress{s.done.Settled + settled}
	var now counts
	err := s.h.Checkpoint(ctx, next, func(tx *store.Tx) error {
		rec, err := jobRows.Get(tx, s.home.key(s.id))
		if errors.Is(err, store.ErrNotFound) {
			return errGone
		}
		if err != nil {
			return err
		}
		before := rec.Body.Counts
		if err := fn(tx, &rec.Body.Counts); err != nil {
			return err
		}
		if now = rec.Body.Counts; now != before {
			_, err = jobRows.Put(tx, rec)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.done, s.last = next, now
	return s.r.cfg.At(AtCommitted)
}

// put writes the row of one document and counts it. Both are of one transaction, which
// is why a document is counted once.
func (s *syncing) put(tx *store.Tx, o outcome, tried string, c *counts) error {
	rec, err := documentRows.Get(tx, s.home.key(o.row))
	fresh := errors.Is(err, store.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	d := &rec.Body
	if fresh {
		rec.Key = s.home.key(o.row)
		d.Place = o.place
	}
	status := api.DocumentStatusIndexed
	if o.reason != "" {
		status = api.DocumentStatusFailed
		c.Failed++
	} else {
		switch changed := d.Content != o.content; {
		case !d.indexed():
			c.New++
		case changed:
			c.Modified++
		}
		if d.indexed() && d.Metadata != o.metadata {
			c.MetadataChanged++
		}
		d.Version, d.Content, d.Metadata = o.version, o.content, o.metadata
	}
	if o.warning != "" && o.reason == "" {
		status = api.DocumentStatusMetadataPartiallyIndexed
	}
	d.Reason, d.Warning, d.About, d.Ended = o.reason, o.warning, o.about, ""
	rec.Target, rec.Source = tried, s.id
	if d.Wish == nil { // what is asked for directly keeps its state until it is done
		rec.Status = string(status)
	}
	if fresh {
		_, err = documentRows.Create(tx, rec.Key, *d, rec.Columns)
	} else {
		_, err = documentRows.Put(tx, rec)
	}
	return err
}

// remove takes what the bucket no longer has out of the index, and then its rows.
func (s *syncing) remove(ctx context.Context, w *walk) error {
	q := s.home.query()
	q.Clear, q.Limit = true, 1000
	for {
		var page store.Page[documentRow]
		err := s.r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			page, err = documentRows.List(tx, q)
			return err
		})
		if err != nil {
			return err
		}
		var gone []string
		for _, rec := range page.Records {
			if !w.saw(rec.ID) {
				gone = append(gone, rec.ID)
			}
		}
		for len(gone) > 0 {
			n := min(len(gone), batchOf)
			if err := s.drop(ctx, w, gone[:n]); err != nil {
				return err
			}
			gone = gone[n:]
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// drop removes documents.
func (s *syncing) drop(ctx context.Context, w *walk, rows []string) error {
	// Those that were given directly meanwhile stay: they come again after this job.
	var docs, kept []string
	err := s.r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		docs, kept = docs[:0], kept[:0]
		for _, id := range rows {
			rec, err := documentRows.Get(tx, s.home.key(id))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if rec.Body.Wish == nil {
				docs, kept = append(docs, s.home.Source+"/"+id), append(kept, id)
			}
		}
		return nil
	})
	if err != nil || len(kept) == 0 {
		return err
	}
	if err := s.r.cfg.At(AtDelete); err != nil {
		return err
	}
	as, _, err := w.acting(ctx)
	if err != nil {
		return err
	}
	if err := w.index.Delete(as, docs...); err != nil {
		return grave("Documents cannot be removed from the vector index", err)
	}
	if err := s.r.cfg.At(AtDeleted); err != nil {
		return err
	}
	return s.write(ctx, int64(len(kept)), func(tx *store.Tx, c *counts) error {
		for _, id := range kept {
			rec, err := documentRows.Get(tx, s.home.key(id))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if rec.Body.indexed() {
				c.Deleted++
				if rec.Body.Metadata != "" {
					c.MetadataChanged++
				}
			}
			if rec.Body.Wish != nil { // it was asked for while the index forgot it
				rec.Body.Version, rec.Body.Content, rec.Body.Metadata, rec.Target = "", "", "", ""
				if _, err := documentRows.Put(tx, rec); err != nil {
					return err
				}
				continue
			}
			if err := documentRows.Delete(tx, rec.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// close writes the reasons of what failed, and the statistics of the whole walk.
func (s *syncing) close(ctx context.Context, w *walk) error {
	why := w.alone
	q := s.home.query()
	q.Source, q.Limit = s.id, 1000
	q.Status = []string{string(api.DocumentStatusFailed), string(api.DocumentStatusMetadataPartiallyIndexed)}
	for {
		var page store.Page[documentRow]
		err := s.r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			page, err = documentRows.List(tx, q)
			return err
		})
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			if d := rec.Body; d.Reason != "" {
				why.add("files", d.Reason, address(d.Place))
			} else if d.Warning != "" {
				why.add("metadata files", d.Warning, d.About)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	sentences := why.sentences()
	return s.write(ctx, 1, func(tx *store.Tx, c *counts) error {
		c.Scanned, c.MetadataScanned = w.scanned.Load(), w.metadata.Load()
		return putReasons(tx, s.home, s.id, sentences)
	})
}

// putReasons writes the failure reasons of a job.
func putReasons(tx *store.Tx, h home, id string, sentences []string) error {
	rec, err := reasonsRows.Get(tx, h.key(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		if len(sentences) > 0 {
			_, err = reasonsRows.Create(tx, h.key(id), reasonsRow{Reasons: sentences}, store.Columns{})
			return err
		}
		return nil
	case err != nil:
		return err
	}
	rec.Body.Reasons = sentences
	_, err = reasonsRows.Put(tx, rec)
	return err
}

// synced ends the ingestion job with its job.Job.
func (r *Room) synced(tx *store.Tx, j job.Job, state job.State, cause error) error {
	h, id, err := worked(j)
	if err != nil {
		return err
	}
	if err := release(tx, h, j.ID); err != nil {
		return err
	}
	rec, err := jobRows.Get(tx, h.key(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil // forgotten with its data source
	}
	if err != nil {
		return err
	}
	on := map[job.State]Event{job.Completed: Finish, job.Discarded: GiveUp, job.Cancelled: Halted}[state]
	next, err := Lifecycle.Next(api.IngestionJobStatus(rec.Status), on)
	if err != nil {
		return fmt.Errorf("end of ingestion job %s: %w", id, err)
	}
	rec.Status = string(next)
	if _, err := jobRows.Put(tx, rec); err != nil {
		return err
	}
	if err := r.enqueueRest(tx, h); err != nil {
		return err
	}
	if state != job.Discarded {
		return nil
	}
	r.cfg.Log.Warn("an ingestion job failed", "job", id, "knowledge base", h.Base, "error", cause)
	return putReasons(tx, h, id, []string{cut(strings.TrimSpace(told(cause)), maxReason)})
}
