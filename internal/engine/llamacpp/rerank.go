package llamacpp

import (
	"context"
	"math"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Rerank implements engine.Engine: with a reranker where one is configured,
// named or cached, else by embeddings where the configuration says so.
func (e *Engine) Rerank(ctx context.Context, req *engine.RerankRequest) (*engine.RerankResult, error) {
	model := req.Model
	if model == "" {
		model = e.cfg.RerankModel
	}
	if model == "" {
		for _, l := range e.store.List() {
			if l.Kind == engine.Reranker && l.Cached {
				model = l.Name
				break
			}
		}
	}
	if model == "" {
		if e.cfg.RerankByEmbedding {
			return e.rerankByEmbedding(ctx, req)
		}
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "no reranking model is served", Hint: "run `outcrop models pull bge-reranker-v2-m3`, or allow reranking by embeddings"}
	}
	name, m, err := e.resolve(ctx, model, engine.Reranker)
	if err != nil {
		return nil, err
	}
	res := &engine.RerankResult{Model: m.Name, Scores: make([]float64, len(req.Documents))}
	if len(req.Documents) == 0 {
		return res, nil
	}
	inst, release, err := e.loader.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := inst.queue.acquire(ctx, req.Account, e.cfg.QueueTimeout); err != nil {
		return nil, err
	}
	defer inst.queue.release()
	var out struct {
		Results []struct {
			Index int     `json:"index"`
			Score float64 `json:"relevance_score"`
		} `json:"results"`
		Usage struct {
			Total int `json:"total_tokens"`
		} `json:"usage"`
	}
	body := map[string]any{"query": req.Query, "documents": req.Documents, "top_n": len(req.Documents)}
	if err := inst.client.call(ctx, http.MethodPost, "/v1/rerank", body, &out); err != nil {
		return nil, inst.fail(ctx, err)
	}
	seen := 0
	for _, r := range out.Results {
		if r.Index < 0 || r.Index >= len(res.Scores) {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the engine scored a document that nobody sent"}
		}
		res.Scores[r.Index] = 1 / (1 + math.Exp(-r.Score)) // the model's score is a logit
		seen++
	}
	if seen != len(res.Scores) {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the engine did not score every document"}
	}
	res.Tokens = out.Usage.Total
	return res, nil
}

// rerankByEmbedding maps the cosine from [-1,1] to [0,1].
func (e *Engine) rerankByEmbedding(ctx context.Context, req *engine.RerankRequest) (*engine.RerankResult, error) {
	emb, err := e.Embed(ctx, &engine.EmbedRequest{AWSModel: req.AWSModel, Account: req.Account, Inputs: append([]string{req.Query}, req.Documents...)})
	if err != nil {
		return nil, err
	}
	res := &engine.RerankResult{Model: emb.Model, Scores: make([]float64, len(req.Documents))}
	for _, n := range emb.Tokens {
		res.Tokens += n
	}
	query := emb.Vectors[0]
	for i, v := range emb.Vectors[1:] {
		var dot float64
		for k := range v {
			dot += float64(v[k]) * float64(query[k])
		}
		res.Scores[i] = min(1, max(0, (dot+1)/2))
	}
	return res, nil
}
