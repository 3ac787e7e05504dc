package script

import (
	"context"
	"math"
	"strings"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Embed hashes the words of each input into a vector of unit length: texts that
// share words are near. An image is near itself only.
func (e *Engine) Embed(ctx context.Context, req *engine.EmbedRequest) (*engine.EmbedResult, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	local, err := e.model(req.Model, EmbedModel)
	if err != nil {
		return nil, err
	}
	res := &engine.EmbedResult{Model: local}
	for _, in := range req.Inputs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		res.Vectors = append(res.Vectors, e.hashed(in))
		res.Tokens = append(res.Tokens, len(tokenize(in)))
	}
	for i := range req.Images {
		res.Vectors = append(res.Vectors, e.noise(hash64(string(req.Images[i].Data))))
		res.Tokens = append(res.Tokens, 1)
	}
	return res, nil
}

// Rerank scores each document by the cosine of its vector with the query's, zero
// where they point apart.
func (e *Engine) Rerank(ctx context.Context, req *engine.RerankRequest) (*engine.RerankResult, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	local, err := e.model(req.Model, RerankModel)
	if err != nil {
		return nil, err
	}
	res := &engine.RerankResult{Model: local}
	q := e.hashed(req.Query)
	own := len(tokenize(req.Query))
	for _, d := range req.Documents {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var dot float64
		for i, x := range e.hashed(d) {
			dot += float64(x) * float64(q[i])
		}
		res.Scores = append(res.Scores, min(max(dot, 0), 1))
		res.Tokens += own + len(tokenize(d))
	}
	return res, nil
}

// hashed is a bag of hashed features. Repeated ones count with the square root
// of their number; words of up to three letters count less, for most of them say
// little.
func (e *Engine) hashed(text string) []float32 {
	bag := map[string]float64{}
	for _, f := range features(text) {
		bag[f]++
	}
	sum := make([]float64, e.cfg.Dimension)
	for f, n := range bag {
		weight := math.Sqrt(n)
		if len(f) <= 3 && f[0] < 0x80 && !unicode.IsDigit(rune(f[0])) {
			weight *= 0.3
		}
		h := hash64(f)
		if h>>63 == 1 { // a sign keeps words that meet in one place from adding up
			weight = -weight
		}
		sum[h%uint64(len(sum))] += weight
	}
	return unit(sum)
}

// features are the lower-case words of a text and, where words are not set apart,
// pairs of characters.
func features(text string) []string {
	var out []string
	var word, run []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, string(word))
			word = word[:0]
		}
		if len(run) == 1 {
			out = append(out, string(run))
		}
		for i := 0; i+1 < len(run); i++ {
			out = append(out, string(run[i:i+2]))
		}
		run = run[:0]
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case cjk(r):
			if len(word) > 0 {
				flush()
			}
			run = append(run, r)
		case wordly(r):
			if len(run) > 0 {
				flush()
			}
			word = append(word, r)
		default:
			flush()
		}
	}
	flush()
	return out
}

// noise is a vector that depends on a seed only.
func (e *Engine) noise(seed uint64) []float32 {
	v := make([]float64, e.cfg.Dimension)
	for i := range v {
		seed = seed*6364136223846793005 + 1442695040888963407
		v[i] = float64(int32(seed>>32)) / math.MaxInt32
	}
	return unit(v)
}

// unit scales to length one; nothing becomes the first axis.
func unit(v []float64) []float32 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	out := make([]float32, len(v))
	if sum == 0 {
		out[0] = 1
		return out
	}
	scale := 1 / math.Sqrt(sum)
	for i, x := range v {
		out[i] = float32(x * scale)
	}
	return out
}
