package llamacpp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// batchTokens is about how much is sent in one call: enough to fill the slots,
// little enough to cancel soon.
const (
	batchInputs = 16
	batchTokens = 4096
)

// frame is what a model puts before and after a text.
type frame struct {
	before, after []int
}

// frameOf learns the marks by comparing one text with and without them.
func (i *instance) frameOf(ctx context.Context) (frame, error) {
	if f := i.frame.Load(); f != nil {
		return *f, nil
	}
	bare, err := i.ids(ctx, "a", false)
	if err != nil {
		return frame{}, err
	}
	full, err := i.ids(ctx, "a", true)
	if err != nil {
		return frame{}, err
	}
	for at := 0; at+len(bare) <= len(full); at++ {
		if slices.Equal(full[at:at+len(bare)], bare) {
			f := frame{full[:at], full[at+len(bare):]}
			i.frame.Store(&f)
			return f, nil
		}
	}
	return frame{}, &engine.Error{Kind: engine.BadOutput, Message: "the engine's tokenizer contradicts itself"}
}

// split cuts a text's tokens (without marks) into as few pieces as fit, of
// nearly equal length, so that the mean does not favour a short rest.
func split(bare []int, f frame, context int) [][]int {
	room := max(1, context-len(f.before)-len(f.after))
	n := max(1, (len(bare)+room-1)/room)
	out := make([][]int, 0, n)
	for k := range n {
		w := bare[len(bare)*k/n : len(bare)*(k+1)/n]
		out = append(out, slices.Concat(f.before, w, f.after))
	}
	return out
}

// window is one piece of one input.
type window struct {
	input  int
	tokens []int
	vector []float32
}

// Embed implements engine.Engine. An input longer than the context is cut into
// windows, whose vectors are averaged by length and brought back to unit length.
func (e *Engine) Embed(ctx context.Context, req *engine.EmbedRequest) (*engine.EmbedResult, error) {
	if len(req.Images) > 0 {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the embedding model does not see images"}
	}
	name, m, err := e.resolve(ctx, req.Model, engine.Embedding)
	if err != nil {
		return nil, err
	}
	res := &engine.EmbedResult{Model: m.Name, Vectors: make([][]float32, len(req.Inputs)), Tokens: make([]int, len(req.Inputs))}
	if len(req.Inputs) == 0 {
		return res, nil
	}
	inst, release, err := e.loader.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	f, err := inst.frameOf(ctx)
	if err != nil {
		return nil, err
	}
	all, err := e.embedAll(ctx, inst, req, f, res.Tokens)
	if err != nil {
		return nil, err
	}
	for i := range req.Inputs {
		v, err := mean(all, i, m.Dimension)
		if err != nil {
			return nil, err
		}
		res.Vectors[i] = v
	}
	return res, nil
}

// embedAll cuts the inputs into windows and sends them in batches, two at a time. A
// batch is sent as soon as it is full, so that the next one is tokenized while the
// child computes: a call to the tokenizer takes longest when the processors are busy.
func (e *Engine) embedAll(ctx context.Context, inst *instance, req *engine.EmbedRequest, f frame, counts []int) ([]*window, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	lanes := make(chan struct{}, 2)
	var first error
	var once sync.Once
	fail := func(err error) { once.Do(func() { first = err; cancel(err) }) }
	var all, batch []*window
	tokens := 0
	send := func() {
		full := batch
		batch, tokens = nil, 0
		select {
		case lanes <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-lanes }()
			if err := e.embedBatch(ctx, inst, req.Account, full); err != nil {
				fail(err)
			}
		})
	}
	for i, text := range req.Inputs {
		bare, err := inst.ids(ctx, text, false)
		if err != nil {
			fail(err)
			break
		}
		counts[i] = len(bare) + len(f.before) + len(f.after)
		for _, w := range split(bare, f, inst.context) {
			if len(batch) == batchInputs || len(batch) > 0 && tokens+len(w) > batchTokens {
				send()
			}
			batch = append(batch, &window{input: i, tokens: w})
			all = append(all, batch[len(batch)-1])
			tokens += len(w)
		}
	}
	if len(batch) > 0 {
		send()
	}
	wg.Wait()
	if first != nil {
		return nil, first
	}
	return all, ctx.Err()
}

func (e *Engine) embedBatch(ctx context.Context, inst *instance, account string, batch []*window) error {
	if err := inst.queue.acquire(ctx, account, e.cfg.QueueTimeout); err != nil {
		return err
	}
	defer inst.queue.release()
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.StallTimeout, errStalled)
	defer cancel()
	input := make([][]int, len(batch))
	for i, w := range batch {
		input[i] = w.tokens
	}
	var out struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	err := inst.client.call(ctx, http.MethodPost, "/v1/embeddings", map[string]any{"input": input, "encoding_format": "float"}, &out)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			return &engine.Error{Kind: engine.TimedOut, Message: fmt.Sprintf("the engine gave no answer for %s", e.cfg.StallTimeout), Err: err}
		}
		return inst.fail(ctx, err)
	}
	for _, d := range out.Data {
		if d.Index < 0 || d.Index >= len(batch) {
			return &engine.Error{Kind: engine.BadOutput, Message: "the engine returned a vector that nobody asked for"}
		}
		batch[d.Index].vector = d.Embedding
	}
	return nil
}

// mean averages the windows of one input by length and scales to unit length.
func mean(all []*window, input, dimension int) ([]float32, error) {
	var sum []float64
	for _, w := range all {
		if w.input != input {
			continue
		}
		if len(w.vector) == 0 || dimension > 0 && len(w.vector) != dimension {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: fmt.Sprintf("the engine returned a vector of %d numbers", len(w.vector))}
		}
		if sum == nil {
			sum = make([]float64, len(w.vector))
		}
		for k, x := range w.vector {
			sum[k] += float64(x) * float64(len(w.tokens))
		}
	}
	var norm float64
	for _, x := range sum {
		norm += x * x
	}
	norm = math.Sqrt(norm)
	if norm == 0 || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the engine returned a vector without length"}
	}
	out := make([]float32, len(sum))
	for k, x := range sum {
		out[k] = float32(x / norm)
	}
	return out, nil
}
