package inference

import (
	"cmp"
	"context"
	"errors"
	"math"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// windowRoom is what an embedding model's own special tokens take of its context.
const windowRoom = 8

// embed runs an embedding call. An input that is longer than the local model's
// context is cut into windows and answered with the mean of their vectors: the
// models that AWS names take thousands of tokens, the local ones often 512.
func (w *work) embed(ctx context.Context, c *family.Call) (*family.Output, error) {
	q := c.Embed
	q.Model, q.AWSModel, q.Account = w.target.Local, w.target.BaseID, w.call.Account
	result, err := w.rt.engine.Embed(ctx, q)
	if e, ok := errors.AsType[*engine.Error](err); ok && e.Kind == engine.TooLong && len(q.Images) == 0 {
		result, err = w.embedWindows(ctx, q, nil, w.target.Info.Context)
	}
	if err != nil {
		return nil, fault(err, w.phase, w.target, w.codec)
	}
	for _, n := range result.Tokens {
		w.metrics.InputTokens += n
	}
	w.images = len(q.Images)
	return &family.Output{Embed: result}, nil
}

// embedWindows cuts inputs into windows that fit a model of so many tokens, 0 when
// unknown, and answers for each the mean of theirs. before holds, for each input, the
// words that each of its windows begins with; nil stands for none.
func (w *work) embedWindows(ctx context.Context, q *engine.EmbedRequest, before []string, context int) (*engine.EmbedResult, error) {
	size := cmp.Or(context, 512) - windowRoom - roomOf(longest(before))
	if size <= 0 {
		size = windowRoom
	}
	// Windows that were cut by proportion may still be too long: halve them.
	for {
		result, err := w.embedPieces(ctx, q, before, size)
		e, ok := errors.AsType[*engine.Error](err)
		if !ok || e.Kind != engine.TooLong || size < 2*windowRoom {
			return result, err
		}
		size /= 2
	}
}

func longest(texts []string) (most string) {
	for _, t := range texts {
		if len(t) > len(most) {
			most = t
		}
	}
	return most
}

func (w *work) embedPieces(ctx context.Context, q *engine.EmbedRequest, before []string, size int) (*engine.EmbedResult, error) {
	var pieces []string
	counts := make([]int, len(q.Inputs)) // windows of each input
	for i, input := range q.Inputs {
		tokens, err := w.rt.engine.Tokenize(ctx, q.Model, input)
		if err != nil {
			return nil, err
		}
		windows := cut(input, tokens, size)
		if before != nil {
			for k := range windows {
				windows[k] = before[i] + windows[k]
			}
		}
		counts[i] = len(windows)
		pieces = append(pieces, windows...)
	}
	all := *q
	all.Inputs = pieces
	r, err := w.rt.engine.Embed(ctx, &all)
	if err != nil {
		return nil, err
	}
	out := &engine.EmbedResult{Model: r.Model}
	at := 0
	for _, n := range counts {
		vector, tokens := mean(r.Vectors[at:at+n]), 0
		for _, t := range r.Tokens[at : at+n] {
			tokens += t
		}
		out.Vectors = append(out.Vectors, vector)
		out.Tokens = append(out.Tokens, tokens)
		at += n
	}
	return out, nil
}

// cut splits a text into windows of at most size tokens, on token borders. A
// tokenizer whose pieces do not join to the text (word pieces lose their spaces)
// is followed by proportion instead, on rune borders.
func cut(text string, tokens []engine.Token, size int) []string {
	if len(tokens) <= size {
		return []string{text}
	}
	var whole strings.Builder
	for i := range tokens {
		whole.WriteString(tokens[i].Text)
	}
	exact := whole.String() == text
	var windows []string
	if exact {
		for start := 0; start < len(tokens); start += size {
			var b strings.Builder
			for _, t := range tokens[start:min(start+size, len(tokens))] {
				b.WriteString(t.Text)
			}
			windows = append(windows, b.String())
		}
		return windows
	}
	runes := []rune(text)
	n := (len(tokens) + size - 1) / size
	n += n / 4 // tokens are not spread evenly: leave room
	step := (len(runes) + n) / (n + 1)
	for start := 0; start < len(runes); start += step {
		windows = append(windows, string(runes[start:min(start+step, len(runes))]))
	}
	return windows
}

// mean is the mean direction of unit vectors, of unit length itself.
func mean(vectors [][]float32) []float32 {
	if len(vectors) == 1 {
		return vectors[0]
	}
	sum := make([]float32, len(vectors[0]))
	for _, v := range vectors {
		for i, x := range v {
			sum[i] += x
		}
	}
	var square float64
	for _, x := range sum {
		square += float64(x) * float64(x)
	}
	if square == 0 {
		return sum
	}
	scale := float32(1 / math.Sqrt(square))
	for i := range sum {
		sum[i] *= scale
	}
	return sum
}
