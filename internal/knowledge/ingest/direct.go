package ingest

import (
	"context"
	"errors"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// directing is a running job that does what is wished for in a data source.
type directing struct {
	r    *Room
	h    *job.Handle
	home home
	done progress
}

// direct is the work of such a job: until no document has a wish.
func (r *Room) direct(ctx context.Context, h *job.Handle) error {
	home, _, err := worked(h.Job)
	if err != nil {
		return job.Discard(err)
	}
	d := &directing{r: r, h: h, home: home}
	if _, err := h.Cursor(&d.done); err != nil {
		return job.Discard(err)
	}
	ctx = r.inside(ctx, h.Account, h.Region, "IngestKnowledgeBaseDocuments")
	mine := false
	err = h.Checkpoint(ctx, d.done, func(tx *store.Tx) (err error) {
		mine, err = take(tx, home, h.ID)
		return err
	})
	if err != nil {
		return err
	}
	if !mine {
		return nil // a sync runs, and its end enqueues another one
	}
	if err := r.cfg.At(AtTurn); err != nil {
		return err
	}
	if err := d.work(ctx); err != nil {
		return broken(ctx, h, home, d.done, err)
	}
	return r.cfg.At(AtEnd)
}

// wishes answers some documents that wait. After the first ones a sync that waits comes
// first.
func (d *directing) wishes(ctx context.Context, first bool) (out []store.Record[documentRow], err error) {
	q := d.home.query()
	q.Status, q.Sort, q.Limit = waiting, store.ByCreated, batchOf
	err = d.r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		if busy, err := synchronizing(tx, d.home); err != nil || busy && !first {
			return err
		}
		p, err := documentRows.List(tx, q)
		out = p.Records
		return err
	})
	return out, err
}

func (d *directing) work(ctx context.Context) error {
	var l *line
	for {
		some, err := d.wishes(ctx, l == nil)
		if err != nil || len(some) == 0 {
			return err
		}
		b, s, err := d.r.alive(ctx, d.home)
		if err != nil {
			return err
		}
		if l == nil {
			p, err := planOf(b, s)
			if err != nil {
				return grave("The data source cannot be used", err)
			}
			as, _, err := d.r.cfg.Knowledge.Acting(ctx, b)
			if err != nil {
				return grave("The service role of the knowledge base cannot be taken", err)
			}
			index, err := d.r.cfg.Knowledge.Index(as, b)
			if err != nil {
				return grave("The vector index cannot be opened", err)
			}
			defer func() {
				if err := index.Close(); err != nil {
					d.h.Log.WarnContext(ctx, "the index was not closed", "error", err)
				}
			}()
			l = d.r.line(b, s, p, index, "DIRECT")
		}
		var tasks []*task
		var going []string
		for i := range some {
			if w := some[i].Body.Wish; w != nil && w.Delete {
				going = append(going, some[i].ID)
			} else if w != nil {
				tasks = append(tasks, taskOf(s, some[i].Body.Place, w))
			}
		}
		if err := d.begin(ctx, some); err != nil {
			return err
		}
		if len(going) > 0 {
			if err := d.drop(ctx, l, some, going); err != nil {
				return err
			}
		}
		if len(tasks) == 0 {
			continue
		}
		err = l.run(ctx, func(_ context.Context, put func(*task) error) error {
			for _, t := range tasks {
				if err := put(t); err != nil {
					return err
				}
			}
			return nil
		}, func(o []outcome) error { return d.settle(ctx, l, o) })
		if err != nil {
			return err
		}
	}
}

// taskOf is the task that a wish asks for.
func taskOf(s *knowledge.Source, p knowledge.Place, w *wish) *task {
	t := newTask(s, p)
	t.seq, t.inline, t.attributed, t.mediaType, t.metadata = w.Seq, w.Inline, w.Attributed, w.MediaType, w.Metadata
	if !w.Inline {
		at, err := bucket.ParseURI(w.URI)
		if err != nil {
			t.refuse = "their address is not valid"
		}
		at.Owner = w.Owner
		t.at = at
	}
	if w.MetadataURI != "" {
		at, err := bucket.ParseURI(w.MetadataURI)
		if err != nil {
			t.refuse = "the address of their metadata is not valid"
		}
		at.Owner = w.MetadataOwner
		t.beside = &at
	}
	return t
}

// begin shows that documents are being worked on. A wish that changed meanwhile has its
// own state.
func (d *directing) begin(ctx context.Context, some []store.Record[documentRow]) error {
	return d.h.Checkpoint(ctx, d.done, func(tx *store.Tx) error {
		for i := range some {
			rec, err := documentRows.Get(tx, some[i].Key)
			if errors.Is(err, store.ErrNotFound) || err == nil && (rec.Body.Wish == nil || some[i].Body.Wish == nil || rec.Body.Wish.Seq != some[i].Body.Wish.Seq) {
				continue
			}
			if err != nil {
				return err
			}
			status := api.DocumentStatusInProgress
			if rec.Body.Wish.Delete {
				status = api.DocumentStatusDeleteInProgress
			}
			if rec.Status == string(status) {
				continue
			}
			if err := documentRows.SetStatus(tx, rec.Key, string(status)); err != nil {
				return err
			}
		}
		return nil
	})
}

// drop removes documents whose wish it is.
func (d *directing) drop(ctx context.Context, l *line, some []store.Record[documentRow], going []string) error {
	seq := map[string]string{}
	for i := range some {
		if w := some[i].Body.Wish; w != nil {
			seq[some[i].ID] = w.Seq
		}
	}
	docs := make([]string, 0, len(going))
	for _, id := range going {
		docs = append(docs, d.home.Source+"/"+id)
	}
	if err := d.r.cfg.At(AtDelete); err != nil {
		return err
	}
	as, _, err := l.acting(ctx)
	if err != nil {
		return err
	}
	if err := l.index.Delete(as, docs...); err != nil {
		return grave("Documents cannot be removed from the vector index", err)
	}
	if err := d.r.cfg.At(AtDeleted); err != nil {
		return err
	}
	return d.write(ctx, int64(len(going)), func(tx *store.Tx) error {
		for _, id := range going {
			rec, err := documentRows.Get(tx, d.home.key(id))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if w := rec.Body.Wish; w != nil && w.Seq != seq[id] {
				// It was given anew meanwhile, and the index has nothing of it now.
				rec.Body.Version, rec.Body.Content, rec.Body.Metadata, rec.Target = "", "", "", ""
				_, err = documentRows.Put(tx, rec)
			} else {
				err = documentRows.Delete(tx, rec.Key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// settle writes what became of documents.
func (d *directing) settle(ctx context.Context, l *line, batch []outcome) error {
	if len(batch) == 0 {
		return nil
	}
	if _, _, err := d.r.alive(ctx, d.home); err != nil {
		return err
	}
	if err := d.r.cfg.At(AtCheckpoint); err != nil {
		return err
	}
	return d.write(ctx, int64(len(batch)), func(tx *store.Tx) error {
		for _, o := range batch {
			rec, err := documentRows.Get(tx, d.home.key(o.row))
			if errors.Is(err, store.ErrNotFound) {
				return errGone
			}
			if err != nil {
				return err
			}
			body := &rec.Body
			if o.reason == "" {
				body.Version, body.Content, body.Metadata = o.version, o.content, o.metadata
			}
			rec.Target, rec.Source = l.plan.version(o.content, o.metadata), d.h.ID
			if body.Wish != nil && body.Wish.Seq == o.seq {
				status := api.DocumentStatusIndexed
				switch {
				case o.reason != "":
					status = api.DocumentStatusFailed
				case o.warning != "":
					status = api.DocumentStatusMetadataPartiallyIndexed
				}
				body.Wish, rec.Status = nil, string(status)
				body.Reason, body.Warning, body.About, body.Ended = o.reason, o.warning, o.about, ""
				if err := contentRows.Delete(tx, rec.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			if _, err := documentRows.Put(tx, rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// write is one checkpoint.
func (d *directing) write(ctx context.Context, settled int64, fn func(tx *store.Tx) error) error {
	next := progress{d.done.Settled + settled}
	if err := d.h.Checkpoint(ctx, next, fn); err != nil {
		return err
	}
	d.done = next
	return d.r.cfg.At(AtCommitted)
}

// directed ends such a job. What came while it ended gets another one; what it could
// not do has failed.
func (r *Room) directed(tx *store.Tx, j job.Job, state job.State, cause error) error {
	h, _, err := worked(j)
	if err != nil {
		return err
	}
	if err := release(tx, h, j.ID); err != nil {
		return err
	}
	switch state {
	case job.Completed:
		return r.enqueueRest(tx, h)
	case job.Discarded:
		r.cfg.Log.Warn("documents were not ingested", "data source", h.Source, "knowledge base", h.Base, "error", cause)
		return r.abandon(tx, h, told(cause))
	default:
		return r.abandon(tx, h, "The work was stopped.")
	}
}

// abandon makes everything that waits fail.
func (r *Room) abandon(tx *store.Tx, h home, why string) error {
	q := h.query()
	q.Status, q.Limit = waiting, 1000
	for {
		page, err := documentRows.List(tx, q)
		if err != nil || len(page.Records) == 0 {
			return err
		}
		for _, rec := range page.Records {
			rec.Body.Wish, rec.Body.Ended, rec.Status = nil, cut(why, maxReason), string(api.DocumentStatusFailed)
			if _, err := documentRows.Put(tx, rec); err != nil {
				return err
			}
			if err := contentRows.Delete(tx, rec.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
}
