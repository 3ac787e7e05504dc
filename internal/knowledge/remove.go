package knowledge

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

const (
	deletionJob = "knowledge-deletion"
	releaseJob  = "knowledge-release"

	// releaseDelay is how long an index may take to get a knowledge base.
	releaseDelay = 15 * time.Minute
	// batch is how many documents go from an index in one transaction.
	batch = 200
	// quietAfter is how long work that was asked to end is given before it is asked for
	// again.
	quietAfter = 200 * time.Millisecond
)

// Jobs are the kinds of work by which knowledge bases and data sources go. The runner is
// made before the room is, so it is asked for when a job runs.
//
//	knowledge-deletion   DELETING ─ documents ─ row of each data source ─ row of the knowledge base ─▶ gone, or DELETE_UNSUCCESSFUL
//	knowledge-release    the index of a knowledge base that has no row, any more or after all
func Jobs(of func() *Room) []job.Kind {
	return []job.Kind{
		{
			Name: deletionJob, Forget: true, Limit: 4, MaxAttempts: 3,
			Run: func(ctx context.Context, h *job.Handle) error { return of().runDeletion(ctx, h) },
			Done: func(tx *store.Tx, j job.Job, s job.State, cause error) error {
				return of().deletionEnded(tx, j, s, cause)
			},
		},
		{
			Name: releaseJob, Forget: true, Limit: 2,
			Run: func(ctx context.Context, h *job.Handle) error { return of().runRelease(ctx, h) },
		},
	}
}

// enqueueDeletion begins the deletion of a data source, or of a whole knowledge base for
// source "". The state DELETING is to be seen, as all that pass.
func (r *Room) enqueueDeletion(tx *store.Tx, c *call.Call, base store.Key, source string) error {
	_, _, err := job.Enqueue(tx, job.Spec{
		Kind: deletionJob, Account: c.Account, Region: c.Region, Unique: base.ID + "." + source, Delay: r.cfg.Transition,
		// The end of a job knows no more of it than its id.
		ID: strings.Join([]string{base.ID, source, rand.Text()}, "."),
	})
	return err
}

// doomed is what the id of a job of deletion says.
func doomed(j *job.Job) (base store.Key, source string) {
	parts := strings.SplitN(j.ID, ".", 3)
	if len(parts) < 3 {
		parts = []string{j.ID, "", ""}
	}
	return store.Key{Account: j.Account, Region: j.Region, ID: parts[0]}, parts[1]
}

// erased is the cursor of a deletion: the data sources whose rows are gone and whose
// documents must not be there.
type erased struct {
	Sources []string `json:"sources"`
}

// runDeletion is one job of deletion. What is refused is not tried again: whoever asked
// learns why, and asks again.
func (r *Room) runDeletion(ctx context.Context, h *job.Handle) error {
	err := r.erase(ctx, h)
	if e, ok := errors.AsType[*apierr.Error](kms.Public(err)); ok && e.Kind != apierr.InternalServer && e.Kind != apierr.Conflict && e.Kind != apierr.Throttling {
		return job.Discard(e)
	}
	return err
}

func (r *Room) erase(ctx context.Context, h *job.Handle) error {
	key, source := doomed(&h.Job)
	b, err := r.Base(ctx, key.Account, key.Region, key.ID)
	if apierr.KindOf(err) == apierr.ResourceNotFound {
		return nil // it went with all it had
	}
	if err != nil {
		return err
	}
	ctx = call.With(ctx, &call.Call{Account: b.Account, Region: b.Region, Partition: b.Partition, Service: "bedrock-agent", Time: r.cfg.Now()})
	var done erased
	if _, err := h.Cursor(&done); err != nil {
		return job.Discard(err)
	}
	list, err := r.Sources(ctx, b)
	if err != nil {
		return err
	}
	for _, s := range list {
		if source != "" && s.ID != source {
			continue
		}
		if err := r.eraseSource(ctx, h, b, s, source == "", &done); err != nil {
			return err
		}
	}
	// A sync that was under way may have written a last document before it saw that its
	// data source is gone.
	if err := r.purge(ctx, b, done.Sources...); err != nil {
		return err
	}
	if source != "" {
		return nil
	}
	return h.Checkpoint(ctx, done, func(tx *store.Tx) error {
		if err := bases.Delete(tx, key); err != nil {
			return err
		}
		if _, err := sources.DeleteIn(tx, key); err != nil {
			return err
		}
		if err := tx.Forget(b.ARN()); err != nil {
			return err
		}
		_, _, err := job.Enqueue(tx, releaseSpec(b, 0))
		return err
	})
}

// eraseSource removes the documents of a data source, and then its row. With the whole
// knowledge base the key of the index stays as it is: the index goes too, or keeps what
// a policy retains under the key it was sealed with.
func (r *Room) eraseSource(ctx context.Context, h *job.Handle, b *Base, s *Source, whole bool, done *erased) error {
	if busy, err := r.quiet(ctx, b, s); err != nil || busy {
		return cmp.Or(err, job.Snooze(quietAfter))
	}
	if s.Deletion == api.DataDeletionPolicyDelete {
		if err := r.purge(ctx, b, s.ID); err != nil {
			return err
		}
	}
	key := store.Key{Account: b.Account, Region: b.Region, ID: b.ID}
	next := erased{Sources: slices.Clone(done.Sources)}
	if s.Deletion == api.DataDeletionPolicyDelete {
		next.Sources = append(next.Sources, s.ID)
	}
	commit := func(ctx context.Context, fn func(tx *store.Tx) error) error { return h.Checkpoint(ctx, next, fn) }
	drop := func(tx *store.Tx) error {
		err := sources.Delete(tx, inside(key, s.ID))
		if errors.Is(err, store.ErrNotFound) {
			return nil // another deletion was faster
		}
		if err != nil {
			return err
		}
		return r.cfg.Forget(tx, b.Account, b.Region, b.ID, s.ID)
	}
	var err error
	if whole {
		err = commit(ctx, drop)
	} else {
		err = r.apply(ctx, change{
			base: key, source: s.ID, commit: commit,
			after: func(list []store.Record[sourceRow]) []store.Record[sourceRow] {
				return slices.DeleteFunc(list, func(rec store.Record[sourceRow]) bool { return rec.ID == s.ID })
			},
			write: func(tx *store.Tx, _ *store.Record[baseRow]) error { return drop(tx) },
		})
	}
	if err != nil {
		return err
	}
	*done = next
	return nil
}

// quiet asks the work on a data source to end.
func (r *Room) quiet(ctx context.Context, b *Base, s *Source) (busy bool, err error) {
	if r.cfg.Quiet == nil {
		return false, nil
	}
	err = r.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		busy, err = r.cfg.Quiet(tx, b.Account, b.Region, b.ID, s.ID)
		return err
	})
	return busy, err
}

// purge removes all documents of data sources from the index of a knowledge base, as its
// role. A store that is only kept and shown, or whose index is gone, has none.
func (r *Room) purge(ctx context.Context, b *Base, list ...string) error {
	if _, served := r.cfg.Indexes.Capabilities(b); !served || len(list) == 0 {
		return nil
	}
	ctx, _, err := r.Acting(ctx, b)
	if err != nil {
		return err
	}
	x, err := r.Index(ctx, b)
	if errors.Is(err, vector.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer x.Close()
	for _, id := range list {
		for after := ""; ; {
			docs, err := x.Documents(ctx, id+"/", after, batch)
			if err != nil {
				return fmt.Errorf("list the documents of data source %s: %w", id, err)
			}
			if len(docs) == 0 {
				break
			}
			ids := make([]string, len(docs))
			for i := range docs {
				ids[i] = docs[i].ID
			}
			if err := x.Delete(ctx, ids...); err != nil {
				return fmt.Errorf("delete documents of data source %s: %w", id, err)
			}
			after = ids[len(ids)-1]
		}
	}
	return nil
}

// deletionEnded marks what could not be deleted, with the reason.
func (r *Room) deletionEnded(tx *store.Tx, j job.Job, s job.State, cause error) error {
	if s == job.Completed {
		return nil
	}
	key, source := doomed(&j)
	r.cfg.Log.Warn("a knowledge base or a data source could not be deleted", "base", key.ID, "source", source, "error", cause)
	reasons := []string{message(cause)}
	list, err := sourcesOf(tx, key)
	if err != nil {
		return err
	}
	for _, rec := range list {
		next, err := sourceStates.Next(rec.Body.Status, fail)
		if source != "" && rec.ID != source || err != nil {
			continue
		}
		rec.Body.Status, rec.Body.Reasons = next, reasons
		if _, err := sources.Put(tx, rec); err != nil {
			return err
		}
	}
	if source != "" {
		return nil
	}
	rec, err := bases.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b := &rec.Body
	if b.State, err = passing(b.State.At(tx.Now, r.cfg.Transition), fail, tx.Now); err != nil {
		return nil //nolint:nilerr // it is in another state: somebody has seen to it
	}
	b.Reasons, b.Changed = reasons, later(tx.Now, b.Changed)
	_, err = bases.Put(tx, rec)
	return err
}

// releaseSpec is the work of letting the index of a knowledge base go.
func releaseSpec(b *Base, delay time.Duration) job.Spec {
	return job.Spec{Kind: releaseJob, Account: b.Account, Region: b.Region, Args: b, Delay: delay}
}

// runRelease lets an index go when its knowledge base is not there. It is the house's
// work: the role may be gone as well.
func (r *Room) runRelease(ctx context.Context, h *job.Handle) error {
	var b Base
	if err := h.Args(&b); err != nil {
		return job.Discard(err)
	}
	_, err := r.Base(ctx, b.Account, b.Region, b.ID)
	if err == nil {
		return nil
	}
	if apierr.KindOf(err) != apierr.ResourceNotFound {
		return err
	}
	return r.cfg.Indexes.Release(house(ctx, &b), &b)
}
