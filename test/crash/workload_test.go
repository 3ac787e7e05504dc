//go:build unix

package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// stone is the body of the workload's resources. Seq counts the writes to one row.
type stone struct {
	Seq  int
	Fill string
}

var (
	stones = store.Kind[stone]{Name: "stone"}
	// tallies count the checkpoints of a job in a way that is not idempotent.
	tallies = store.Kind[stone]{Name: "tally"}
)

const (
	account, region = "111122223333", "us-east-1"
	recordsPerJob   = 12
	rounds          = "rounds" // counter of committed operations
)

func key(id string) store.Key { return store.Key{Account: account, Region: region, ID: id} }

func arn(id string) string { return "arn:aws:bedrock:" + region + ":" + account + ":stone/" + id }

// op is one operation of the workload; its text form goes over the pipe.
type op struct {
	Kind string // create, put, delete, token, job
	ID   string
	Seq  int
}

func (o op) String() string { return fmt.Sprintf("%s %s %d", o.Kind, o.ID, o.Seq) }

func parseOp(fields []string) (op, bool) {
	if len(fields) != 3 {
		return op{}, false
	}
	n, err := strconv.Atoi(fields[2])
	return op{fields[0], fields[1], n}, err == nil
}

// apply does an operation in one transaction: the row, a tag that repeats its
// sequence number, a reference, and the counter of all operations.
func apply(ctx context.Context, s *store.Store, o op) error {
	err := s.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Advance(rounds); err != nil {
			return err
		}
		body := stone{Seq: o.Seq, Fill: strings.Repeat("gneiss ", o.Seq*37%900)}
		tag := []store.Tag{{Key: "seq", Value: strconv.Itoa(o.Seq)}}
		switch o.Kind {
		case "create":
			_, err := stones.Create(tx, key(o.ID), body, store.Columns{Name: o.ID, Status: "READY"})
			return errors.Join(err, tx.PutTags(arn(o.ID), tag), tx.AddReference(arn(o.ID), "arn:bed"))
		case "put":
			rec, err := stones.Get(tx, key(o.ID))
			if err != nil {
				return err
			}
			rec.Body = body
			_, err = stones.Put(tx, rec)
			return errors.Join(err, tx.PutTags(arn(o.ID), tag))
		case "delete":
			return errors.Join(stones.Delete(tx, key(o.ID)), tx.Forget(arn(o.ID)))
		case "token":
			_, err := callWithToken(tx, o)
			return err
		case "job":
			_, _, err := job.Enqueue(tx, job.Spec{Kind: "quarry", ID: o.ID, Args: o.Seq})
			if err != nil {
				return err
			}
			_, err = tallies.Create(tx, key(o.ID), stone{}, store.Columns{Status: "Running"})
			return err
		}
		return fmt.Errorf("unknown operation %s", o)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	return nil
}

func callWithToken(tx *store.Tx, o op) (string, error) {
	return store.Idempotent(tx, store.Token{Account: account, Region: region, Operation: "Quarry", Value: o.ID}, o.Seq,
		func() (string, error) { return "first answer " + o.ID, nil })
}

// quarry is the workload's job: one record and one count a checkpoint.
func quarry(hook func(string) error) job.Kind {
	return job.Kind{
		Name: "quarry", MaxAttempts: 1000,
		Run: func(ctx context.Context, h *job.Handle) error {
			next := 0
			if _, err := h.Cursor(&next); err != nil {
				return err
			}
			for ; next < recordsPerJob; next++ {
				err := h.Checkpoint(ctx, next+1, func(tx *store.Tx) error {
					if _, err := h.Record(tx, fmt.Sprintf("%04d", next), next); err != nil {
						return err
					}
					if err := hook("job.in-checkpoint"); err != nil {
						return err
					}
					rec, err := tallies.Get(tx, key(h.ID))
					if err != nil {
						return err
					}
					rec.Body.Seq++
					_, err = tallies.Put(tx, rec)
					return err
				})
				if err != nil {
					return err
				}
				if err := hook("job.after-checkpoint"); err != nil {
					return err
				}
			}
			return nil
		},
		Done: func(tx *store.Tx, j job.Job, state job.State, _ error) error {
			if err := tallies.SetStatus(tx, key(j.ID), string(state)); err != nil {
				return err
			}
			return hook("job.in-done")
		},
	}
}

// generator makes operations that are valid after all of its earlier ones.
type generator struct {
	rng   *rand.Rand
	salt  string // makes ids of one writer different from those of all others
	n     int
	alive []op
}

func (g *generator) next() op {
	g.n++
	fresh := fmt.Sprintf("%s-%d", g.salt, g.n)
	switch p := g.rng.IntN(100); {
	case p < 6:
		return op{"token", fresh, g.n}
	case p < 12:
		return op{"job", fresh, g.n}
	case p < 40 || len(g.alive) == 0:
		o := op{"create", fresh, 1}
		g.alive = append(g.alive, o)
		return o
	case p < 75 || len(g.alive) < 5:
		o := &g.alive[g.rng.IntN(len(g.alive))]
		o.Kind, o.Seq = "put", o.Seq+1
		return *o
	}
	i := g.rng.IntN(len(g.alive))
	o := g.alive[i]
	g.alive = append(g.alive[:i], g.alive[i+1:]...)
	return op{"delete", o.ID, o.Seq}
}

// open opens the store of a data folder as the server does.
func open(ctx context.Context, dir string, noSync bool, hook func(string) error) (*store.Store, error) {
	d, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, UnsafeNoSync: noSync})
	if err != nil {
		return nil, err
	}
	sealer, err := store.OpenLocalSealer(dir)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return store.Open(ctx, store.Config{Driver: d, Sealer: sealer, Hook: hook})
}

// model is what the test knows of a data folder from the pipe.
type model struct {
	// Rows is the last acknowledged sequence number of each row; 0 is deleted.
	Rows   map[string]int
	Tokens map[string]int
	Jobs   map[string]int
	// Acked counts acknowledged operations, and those found applied by a check.
	Acked int64
	// Open is the operation that was begun and not acknowledged, if any.
	Open *op
}

func newModel() *model {
	return &model{Rows: map[string]int{}, Tokens: map[string]int{}, Jobs: map[string]int{}}
}

func (m *model) apply(o op) {
	m.Acked++
	switch o.Kind {
	case "create", "put":
		m.Rows[o.ID] = o.Seq
	case "delete":
		m.Rows[o.ID] = 0
	case "token":
		m.Tokens[o.ID] = o.Seq
	case "job":
		m.Jobs[o.ID] = o.Seq
	}
}

// line takes one line of the pipe; anything that is not of the protocol is told.
func (m *model) line(text string) error {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil
	}
	o, ok := parseOp(fields[1:])
	switch {
	case !ok:
		return fmt.Errorf("the writer says %q", text)
	case fields[0] == "begin":
		m.Open = &o
	case fields[0] == "ack" && m.Open != nil && *m.Open == o:
		m.apply(o)
		m.Open = nil
	default:
		return fmt.Errorf("out of step: %q", text)
	}
	return nil
}

// follow reads the pipe until it closes. A last line without an end was cut by the
// kill and does not count.
func (m *model) follow(r io.Reader) error {
	b := bufio.NewReader(r)
	for {
		text, err := b.ReadString('\n')
		if err != nil {
			return nil
		}
		if err := m.line(text); err != nil {
			return err
		}
	}
}

// findings are what a check found wrong.
type findings struct {
	Lost    []string // acknowledged and not there
	Wrong   []string // half-visible, doubled, corrupt
	Applied bool     // the open operation is in place
	Reopen  time.Duration
}

func (f *findings) lost(format string, a ...any) { f.Lost = append(f.Lost, fmt.Sprintf(format, a...)) }
func (f *findings) wrong(format string, a ...any) {
	f.Wrong = append(f.Wrong, fmt.Sprintf(format, a...))
}

// errUndo rolls a checking transaction back.
var errUndo = errors.New("undo")

// check opens a data folder and holds it to a model. An error is a folder that
// cannot be opened or read at all.
func check(ctx context.Context, dir string, m *model) (f findings, err error) {
	began := time.Now()
	s, err := open(ctx, dir, false, nil)
	if err != nil {
		return f, fmt.Errorf("reopen: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f.Reopen = time.Since(began)
	if err := s.Driver().(*sqlite.Driver).Check(ctx); err != nil {
		return f, err
	}
	return f, inspect(ctx, s, m, &f)
}

// inspect compares an open store with a model.
func inspect(ctx context.Context, s *store.Store, m *model, f *findings) error {
	err := s.View(ctx, func(tx *store.Tx) error {
		n, err := tx.Counter(rounds)
		if err != nil {
			return err
		}
		switch {
		case n == m.Acked:
		case n == m.Acked+1 && m.Open != nil:
			f.Applied = true
		case n < m.Acked:
			f.lost("%d operations acknowledged, %d counted", m.Acked, n)
		default:
			f.wrong("%d operations acknowledged, %d counted", m.Acked, n)
		}
		want := *m
		if f.Applied {
			want = *newModel()
			for _, p := range []struct{ to, from map[string]int }{{want.Rows, m.Rows}, {want.Tokens, m.Tokens}, {want.Jobs, m.Jobs}} {
				for id, seq := range p.from {
					p.to[id] = seq
				}
			}
			want.apply(*m.Open)
		}
		return compare(tx, &want, f)
	})
	if err != nil {
		return err
	}
	return tokens(ctx, s, m, f)
}

func compare(tx *store.Tx, want *model, f *findings) error {
	seen := map[string]bool{}
	q := store.Query{Account: account, Region: region, Limit: 500}
	for {
		p, err := stones.List(tx, q)
		if err != nil {
			return err
		}
		for _, r := range p.Records {
			seen[r.ID] = true
			seq, known := want.Rows[r.ID]
			switch {
			case !known:
				f.wrong("row %s nobody wrote", r.ID)
			case seq == 0:
				f.lost("delete of %s", r.ID)
			case r.Body.Seq < seq:
				f.lost("row %s is at %d, acknowledged %d", r.ID, r.Body.Seq, seq)
			case r.Body.Seq > seq:
				f.wrong("row %s is at %d, acknowledged %d", r.ID, r.Body.Seq, seq)
			}
			tags, err := tx.Tags(arn(r.ID))
			if err != nil {
				return err
			}
			if len(tags) != 1 || tags[0].Value != strconv.Itoa(r.Body.Seq) {
				f.wrong("row %s at %d has tags %v: half a transaction", r.ID, r.Body.Seq, tags)
			}
		}
		if q.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	for id, seq := range want.Rows {
		if seq > 0 && !seen[id] {
			f.lost("row %s", id)
		}
	}
	refs, err := tx.ReferredBy("arn:bed")
	if err != nil {
		return err
	}
	if len(refs) != len(seen) {
		f.wrong("%d rows and %d references: half a transaction", len(seen), len(refs))
	}
	for id := range want.Jobs {
		if err := compareJob(tx, id, f); err != nil {
			return err
		}
	}
	return nil
}

// compareJob holds a job to "each record exactly once": records, the count beside
// them and the state must agree at any moment.
func compareJob(tx *store.Tx, id string, f *findings) error {
	j, err := job.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		f.lost("job %s", id)
		return nil
	}
	if err != nil {
		return err
	}
	tally, err := tallies.Get(tx, key(id))
	if err != nil {
		return fmt.Errorf("tally of a job that exists: %w", err)
	}
	n := 0
	err = job.Records(tx, id, func(name string, body []byte) error {
		if name != fmt.Sprintf("%04d", n) || string(body) != strconv.Itoa(n) {
			f.wrong("job %s: record %d is %s=%s", id, n, name, body)
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	if n != tally.Body.Seq {
		f.wrong("job %s: %d records, count %d", id, n, tally.Body.Seq)
	}
	if done := j.State == job.Completed; done != (tally.Status == "completed") || done && n != recordsPerJob {
		f.wrong("job %s is %s, its resource %s, %d records", id, j.State, tally.Status, n)
	}
	if j.State == job.Discarded || j.State == job.Cancelled {
		f.wrong("job %s ended %s", id, j.State)
	}
	return nil
}

// tokens repeats acknowledged calls with their tokens: the first answer must come
// back, and nothing stays of the repeat.
func tokens(ctx context.Context, s *store.Store, m *model, f *findings) error {
	err := s.Update(ctx, func(tx *store.Tx) error {
		for id, seq := range m.Tokens {
			got, err := store.Idempotent(tx, store.Token{Account: account, Region: region, Operation: "Quarry", Value: id}, seq,
				func() (string, error) { return "second answer", nil })
			if err != nil {
				return err
			}
			if got != "first answer "+id {
				f.lost("client token %s", id)
			}
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// settle takes what a check found out about the open operation into the model.
func (m *model) settle(f findings) {
	if f.Applied && m.Open != nil {
		m.apply(*m.Open)
	}
	m.Open = nil
}

// env reads a number from the environment, for longer runs by hand and by night.
func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}
