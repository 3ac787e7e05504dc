package turn

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// quick is a model and a function that take no time, so that what is measured is
// orchestration alone: three steps a turn, two actions, the trace on.
type quick struct{ steps atomic.Int64 }

func (q *quick) Generate(_ context.Context, _ string, r *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
	q.steps.Add(1)
	n := 0
	for i := range r.Messages {
		for j := range r.Messages[i].Parts {
			if r.Messages[i].Parts[j].ToolResult != nil {
				n++
			}
		}
	}
	switch n {
	case 0:
		return calls(toolClaims, `{}`)(r)
	case 1:
		return calls(toolMissing, `{"claimId":"c-1"}`)(r)
	default:
		return says("c-1 lacks photos.")(r)
	}
}

func (q *quick) Call(_ context.Context, _, _ string, payload []byte) ([]byte, bool, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, false, err
	}
	b, err := json.Marshal(replyTo(&e, `{"pendingDocuments":"photos"}`))
	return b, false, err
}

func (q *quick) Trace(*runtime.TracePart) error             { return nil }
func (q *quick) Chunk(*runtime.PayloadPart) error           { return nil }
func (q *quick) Return(*runtime.ReturnControlPayload) error { return nil }
func (q *quick) Files(*runtime.FilePart) error              { return nil }

func (q *quick) turn(ctx context.Context, r *Runner, s *conversation.Sessions, session string) error {
	p := insurer()
	j, _, err := s.Begin(ctx, conversation.Opening{Key: conversation.Key{Account: "1", Region: "r", Owner: "a", Alias: "b", ID: session}, TTL: time.Minute, Request: "x", History: 10})
	if err != nil {
		return err
	}
	t, err := r.Prepare(ctx, &Input{
		Agent: &Alias{ID: "TSTALIASID", ARN: aliasARN, Version: "DRAFT", Plan: p}, SessionID: session, Text: "What does c-1 lack?", Trace: true,
		State: j.Session.State, Records: j.Session.History, Journal: j,
	})
	if err != nil {
		return err
	}
	return t.Run(ctx, q)
}

// The bar is 5 ms a step, the commits to disk of its action included.
func BenchmarkStep(b *testing.B) {
	q := &quick{}
	r := New(Config{Models: q, Functions: q})
	s := conversation.New(conversation.Config{Store: shared})
	n := worlds.Add(1)
	i := 0
	for b.Loop() {
		i++
		if err := q.turn(b.Context(), r, s, fmt.Sprintf("bench-%d-%d", n, i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(q.steps.Load())/1000, "ms/step")
}

// A hundred sessions at once: the bar is no error, and a p99 under 50 ms of what a
// step adds.
func BenchmarkHundredTurnsAtOnce(b *testing.B) {
	q := &quick{}
	r := New(Config{Models: q, Functions: q})
	s := conversation.New(conversation.Config{Store: shared})
	n := worlds.Add(1)
	var mu sync.Mutex
	var took []time.Duration
	round := 0
	for b.Loop() {
		round++
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				start := time.Now()
				if err := q.turn(b.Context(), r, s, fmt.Sprintf("hundred-%d-%d-%d", n, round, i)); err != nil {
					b.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(start)/3)
			})
		}
		all.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms/step")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms/step")
}
