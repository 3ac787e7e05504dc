package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// line is the work on documents of one data source, in steps that overlap:
//
//	feed ─▶ prepare (several) ─▶ embed (two calls at once) ─▶ write (several) ─▶ settle
//	   tasks              ready                       full      outcomes
//
// While the engine embeds, the next documents are read and cut and the last ones are
// written. All goroutines are run's, which returns when they have ended.
type line struct {
	r      *Room
	base   *knowledge.Base
	source *knowledge.Source
	plan   *plan
	index  vector.Index
	job    string // id that a transformation function is told
	budget *semaphore.Weighted
}

func (r *Room) line(b *knowledge.Base, s *knowledge.Source, p *plan, x vector.Index, job string) *line {
	return &line{r: r, base: b, source: s, plan: p, index: x, job: job, budget: semaphore.NewWeighted(r.cfg.Budget)}
}

// outcome is what became of a document.
type outcome struct {
	*task
	version string // what the index holds now, "" after a failure
	reason  string // why it failed, "" otherwise
	warning string // what of its metadata was ignored
	about   string // the file that the warning is about
}

// filled is a document between its steps.
type filled struct {
	outcome
	chunks []vector.Chunk
	texts  []string // to be embedded
	slots  []int    // the chunk of each text
	free   func()   // gives its share of the budget back
}

// batchOf is how many outcomes are written together at most.
const batchOf = 64

// writers is how many documents are written at once: the index analyses and seals one
// while another one waits for the disk.
const writers = 3

// run takes tasks from feed through all steps and hands what became of them to settle,
// on this goroutine, some together and at least every now and then (with none, when
// there is nothing new). The first error ends all.
func (l *line) run(ctx context.Context, feed func(ctx context.Context, put func(*task) error) error, settle func([]outcome) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, in := errgroup.WithContext(ctx)
	tasks := make(chan *task, 2*l.r.cfg.Readers)
	ready := make(chan *filled, l.r.cfg.Batch) // enough for a full batch of short documents
	full := make(chan *filled, 16)
	done := make(chan outcome, batchOf)
	g.Go(func() error {
		defer close(tasks)
		return feed(in, func(t *task) error { return send(in, tasks, t) })
	})
	several(g, l.r.cfg.Readers, func() error {
		for t := range tasks {
			f, out, err := l.prepare(in, t)
			switch {
			case err != nil:
				return err
			case out != nil:
				err = send(in, done, *out)
			default:
				err = send(in, ready, f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func() { close(ready) })
	several(g, l.r.cfg.Embedders, func() error { return l.embedAll(in, ready, full, done) }, func() { close(full) })
	several(g, writers, func() error {
		for f := range full {
			out, err := l.write(in, f)
			if err == nil {
				err = send(in, done, out)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	ended := make(chan error, 1)
	go func() { ended <- g.Wait(); close(done) }()

	tick := time.NewTicker(l.r.cfg.Every)
	defer tick.Stop()
	var batch []outcome
	flush := func() error {
		err := settle(batch)
		batch = batch[:0]
		return err
	}
	for {
		var err error
		select {
		case o, ok := <-done:
			if !ok {
				if err := <-ended; err != nil {
					if cause := context.Cause(ctx); cause != nil {
						return cause // the job was stopped, and the errors are of that
					}
					return err
				}
				return flush()
			}
			if batch = append(batch, o); len(batch) >= batchOf {
				err = flush()
			}
		case <-tick.C:
			err = flush()
		}
		if err != nil {
			stop()
			for range done { // until all have ended
			}
			if also := <-ended; also != nil && !errors.Is(also, context.Canceled) {
				l.r.cfg.Log.DebugContext(ctx, "the work on documents ended", "error", also)
			}
			return err
		}
	}
}

// several runs a step n times at once, and then last.
func several(g *errgroup.Group, n int, step func() error, last func()) {
	var all sync.WaitGroup
	all.Add(n)
	for range n {
		g.Go(func() error { defer all.Done(); return step() })
	}
	g.Go(func() error { all.Wait(); last(); return nil })
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// embedAll takes documents until they make a batch, or there are no more just now: a
// busy engine gets full batches, an idle one does not wait.
func (l *line) embedAll(ctx context.Context, ready <-chan *filled, full chan<- *filled, done chan<- outcome) error {
	var over *filled // did not fit into the last batch
	for {
		f := over
		if over = nil; f == nil {
			if f = <-ready; f == nil { // closed
				return nil
			}
		}
		batch, texts := []*filled{f}, len(f.texts)
		for texts < l.r.cfg.Batch && over == nil {
			var more *filled
			select {
			case more = <-ready:
			default:
			}
			switch {
			case more == nil:
			case texts+len(more.texts) > l.r.cfg.Batch:
				over = more
			default:
				batch, texts = append(batch, more), texts+len(more.texts)
				continue
			}
			break
		}
		if err := l.embed(ctx, batch); err != nil {
			return err
		}
		for _, f := range batch {
			var err error
			if f.reason != "" {
				f.free()
				err = send(ctx, done, f.outcome)
			} else {
				err = send(ctx, full, f)
			}
			if err != nil {
				return err
			}
		}
	}
}

// embed fills the vectors of documents. A text that the model refuses makes its
// document fail, and the others are embedded without it.
func (l *line) embed(ctx context.Context, batch []*filled) error {
	var texts []string
	var to []*vector.Chunk
	for _, f := range batch {
		for i, text := range f.texts {
			texts, to = append(texts, text), append(to, &f.chunks[f.slots[i]])
		}
	}
	if len(texts) == 0 { // all were known
		return nil
	}
	// Calls of one size: a full one and a small rest would waste the engine's width.
	calls := (len(texts) + l.r.cfg.Batch - 1) / l.r.cfg.Batch
	for n := range calls {
		at, end := n*len(texts)/calls, (n+1)*len(texts)/calls
		if err := l.r.cfg.At(AtEmbed); err != nil {
			return err
		}
		got, err := l.vectors(ctx, texts[at:end])
		if e, ok := refusal(err); ok {
			return l.refused(ctx, batch, e)
		}
		if err != nil {
			return grave("The documents cannot be embedded", err)
		}
		for i, v := range got {
			to[at+i].Vector = v
		}
		if err := l.r.cfg.At(AtEmbedded); err != nil {
			return err
		}
	}
	return nil
}

// vectors embeds texts as the service role.
func (l *line) vectors(ctx context.Context, texts []string) ([][]float32, error) {
	as, p, err := l.acting(ctx)
	if err != nil {
		return nil, err
	}
	got, err := l.r.cfg.Knowledge.Embed(as, l.base, p, knowledge.ForStore, texts)
	if err == nil && len(got) != len(texts) {
		err = fmt.Errorf("%d vectors for %d texts", len(got), len(texts))
	}
	return got, err
}

// refused tells the document that the model does not take from the model that takes
// none, which ends the job.
func (l *line) refused(ctx context.Context, batch []*filled, e *apierr.Error) error {
	if len(batch) > 1 {
		for _, f := range batch {
			if err := l.embed(ctx, []*filled{f}); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := l.vectors(ctx, []string{"."}); err != nil {
		return grave("The documents cannot be embedded", err)
	}
	batch[0].version, batch[0].reason = "", "the embedding model refuses their text: "+e.Message
	return nil
}

// write makes a document's chunks its whole in the index.
func (l *line) write(ctx context.Context, f *filled) (outcome, error) {
	defer f.free()
	if err := l.r.cfg.At(AtReplace); err != nil {
		return outcome{}, err
	}
	as, _, err := l.acting(ctx)
	if err != nil {
		return outcome{}, err
	}
	err = l.index.Replace(as, vector.Document{ID: f.doc, Version: f.version}, f.chunks)
	if errors.Is(err, vector.ErrInvalid) {
		l.r.cfg.Log.WarnContext(ctx, "the index refuses a document", "document", f.doc, "error", err)
		f.version, f.reason = "", "the vector index does not take them"
		return f.outcome, nil
	}
	if err != nil {
		return outcome{}, grave("The vector index cannot be written", err)
	}
	return f.outcome, l.r.cfg.At(AtReplaced)
}

// refusal says whether an error is about the texts that were embedded: not about the
// role or the work as a whole.
func refusal(err error) (*apierr.Error, bool) {
	if _, whole := errors.AsType[*fatal](err); whole {
		return nil, false
	}
	e, ok := errors.AsType[*apierr.Error](err)
	return e, ok && e.Kind == apierr.Validation
}
