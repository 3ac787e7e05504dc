package openai

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// batch is how many inputs one request holds.
const batch = 64

// Embed implements engine.Engine. An input that the endpoint finds too long is
// halved until it fits, and the vectors of the pieces are averaged by length.
func (e *Engine) Embed(ctx context.Context, req *engine.EmbedRequest) (*engine.EmbedResult, error) {
	if len(req.Images) > 0 {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint's embedding model does not see images"}
	}
	model, err := e.pick(ctx, req.Model, engine.Embedding, e.cfg.EmbeddingModel)
	if err != nil {
		return nil, err
	}
	res := &engine.EmbedResult{Model: model}
	for at := 0; at < len(req.Inputs); at += batch {
		inputs := req.Inputs[at:min(at+batch, len(req.Inputs))]
		vectors, tokens, err := e.embed(ctx, model, inputs)
		if x, ok := errors.AsType[*engine.Error](err); ok && x.Kind == engine.TooLong {
			vectors, tokens = nil, nil
			for _, text := range inputs {
				v, n, err := e.embedLong(ctx, model, text, 0)
				if err != nil {
					return nil, err
				}
				vectors, tokens = append(vectors, v), append(tokens, n)
			}
		} else if err != nil {
			return nil, err
		}
		res.Vectors = append(res.Vectors, vectors...)
		res.Tokens = append(res.Tokens, tokens...)
	}
	return res, nil
}

// embed asks for the vectors of inputs. The endpoint counts the tokens of all
// together; each input gets its share by length.
func (e *Engine) embed(ctx context.Context, model string, inputs []string) ([][]float32, []int, error) {
	var doc struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float64 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		} `json:"usage"`
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.StallTimeout, errStalled)
	defer cancel()
	if err := e.call(ctx, http.MethodPost, "/embeddings", map[string]any{"model": model, "input": inputs, "encoding_format": "float"}, &doc); err != nil {
		return nil, nil, err
	}
	vectors := make([][]float32, len(inputs))
	for _, d := range doc.Data {
		if d.Index < 0 || d.Index >= len(inputs) {
			return nil, nil, &engine.Error{Kind: engine.BadOutput, Message: "the endpoint returned a vector that nobody asked for"}
		}
		v, err := unit(d.Embedding)
		if err != nil {
			return nil, nil, err
		}
		vectors[d.Index] = v
	}
	var size int
	for i, text := range inputs {
		if v := vectors[i]; v == nil || len(v) != len(vectors[0]) {
			return nil, nil, &engine.Error{Kind: engine.BadOutput, Message: fmt.Sprintf("the endpoint returned no usable vector for input %d", i)}
		}
		size += len(text) + 1
	}
	total := doc.Usage.Prompt
	if total == 0 {
		total = doc.Usage.Total
	}
	if total == 0 {
		total = (size + 3) / 4
	}
	tokens := make([]int, len(inputs))
	done, upTo := 0, 0
	for i := range inputs {
		upTo += len(inputs[i]) + 1
		n := total * upTo / size
		tokens[i] = n - done
		done = n
	}
	return vectors, tokens, nil
}

func unit(v []float64) ([]float32, error) {
	var norm float64
	for _, x := range v {
		norm += x * x
	}
	norm = math.Sqrt(norm)
	if norm == 0 || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the endpoint returned a vector without length"}
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / norm)
	}
	return out, nil
}

// maxHalvings bounds the cutting of one input: a text a thousand times too long.
const maxHalvings = 10

func (e *Engine) embedLong(ctx context.Context, model, text string, depth int) ([]float32, int, error) {
	v, n, err := e.embed(ctx, model, []string{text})
	if err == nil {
		return v[0], n[0], nil
	}
	x, ok := errors.AsType[*engine.Error](err)
	if !ok || x.Kind != engine.TooLong || depth == maxHalvings || len(text) < 2 {
		return nil, 0, err
	}
	half := len(text) / 2
	for half > 0 && !utf8.RuneStart(text[half]) {
		half--
	}
	a, an, err := e.embedLong(ctx, model, text[:half], depth+1)
	if err != nil {
		return nil, 0, err
	}
	b, bn, err := e.embedLong(ctx, model, text[half:], depth+1)
	if err != nil {
		return nil, 0, err
	}
	sum := make([]float64, len(a))
	for i := range a {
		sum[i] = float64(a[i])*float64(an) + float64(b[i])*float64(bn)
	}
	m, err := unit(sum)
	return m, an + bn, err
}

// Rerank implements engine.Engine with the route that vLLM, llama-server and
// others share.
func (e *Engine) Rerank(ctx context.Context, req *engine.RerankRequest) (*engine.RerankResult, error) {
	model, err := e.pick(ctx, req.Model, engine.Reranker, e.cfg.RerankModel)
	if err != nil {
		if x, ok := errors.AsType[*engine.Error](err); ok && x.Kind == engine.NoModel {
			return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint serves no reranking model", Err: err}
		}
		return nil, err
	}
	res := &engine.RerankResult{Model: model, Scores: make([]float64, len(req.Documents))}
	if len(req.Documents) == 0 {
		return res, nil
	}
	var doc struct {
		Results []struct {
			Index int     `json:"index"`
			Score float64 `json:"relevance_score"`
		} `json:"results"`
		Usage struct {
			Total int `json:"total_tokens"`
		} `json:"usage"`
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.StallTimeout, errStalled)
	defer cancel()
	body := map[string]any{"model": model, "query": req.Query, "documents": req.Documents, "top_n": len(req.Documents)}
	if err := e.call(ctx, http.MethodPost, "/rerank", body, &doc); err != nil {
		return nil, err
	}
	logits := e.flavour(ctx) == "llamacpp"
	seen := 0
	for _, r := range doc.Results {
		if r.Index < 0 || r.Index >= len(res.Scores) {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the endpoint scored a document that nobody sent"}
		}
		logits = logits || r.Score < 0 || r.Score > 1
		seen++
	}
	if seen != len(res.Scores) {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the endpoint did not score every document"}
	}
	for _, r := range doc.Results {
		if res.Scores[r.Index] = r.Score; logits {
			res.Scores[r.Index] = 1 / (1 + math.Exp(-r.Score))
		}
	}
	res.Tokens = doc.Usage.Total
	return res, nil
}
