package inference

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family/embedding"
)

// EmbeddingModel is an embedding model as a room depends on it that keeps vectors.
type EmbeddingModel struct {
	ARN       string // as the caller named it
	ID        string // of the base model
	Local     string // local model that serves it
	Hash      string // SHA-256 of its weights, or of its name where the engine does not tell
	Dimension int    // numbers of its vectors here: those of the local model, at most Wire
	Wire      int    // numbers of the advertised model's vectors, or how many were asked for
	// Limit is how many tokens of a text the local model takes, its own marks and
	// the words that are put before a text taken off; 0 when unknown.
	Limit int
	Quota int // longest input of the advertised model in tokens, 0 when unknown
}

// FindEmbedding finds the embedding model that an id or ARN names. dimension is what
// the caller asks for, 0 for the advertised model's own. Errors are *apierr.Errors.
func (rt *Runtime) FindEmbedding(ctx context.Context, model string, dimension int) (EmbeddingModel, error) {
	t, err := rt.resolveEmbedding(ctx, model)
	if err != nil {
		return EmbeddingModel{}, err
	}
	facts := t.Embedding
	wire := facts.Default
	if dimension != 0 {
		if !facts.Allows(dimension) {
			return EmbeddingModel{}, invalid("The model %s does not make vectors of %d numbers. It makes %s.", t.BaseID, dimension, counts(facts))
		}
		wire = dimension
	}
	native := t.Info.Dimension
	if native == 0 { // some endpoints do not tell
		r, err := rt.engine.Embed(ctx, &engine.EmbedRequest{Model: t.Local, AWSModel: t.BaseID, Account: call.From(ctx).Account, Inputs: []string{"dimension"}})
		if err != nil {
			return EmbeddingModel{}, fault(err, plain, t, nil)
		}
		native = len(r.Vectors[0])
	}
	limit := t.Info.Context
	if limit > 0 {
		limit = max(1, limit-embedMarks-promptsOf(t.Local).room())
	}
	return EmbeddingModel{
		ARN: model, ID: t.BaseID, Local: t.Local, Hash: hashOf(&t.Info),
		Dimension: min(native, wire), Wire: wire, Limit: limit, Quota: t.Context,
	}, nil
}

// embedMarks is how many marks an embedding model puts around a text: one before and
// one after it in the families of BERT and XLM-RoBERTa, one in those made of chat models.
const embedMarks = 2

func counts(f *catalog.EmbeddingFacts) string {
	sizes := f.Allowed
	if len(sizes) == 0 {
		sizes = []int{f.Default}
	}
	var b []byte
	for i, n := range sizes {
		if i > 0 {
			b = append(b, " or "...)
		}
		b = appendInt(b, n)
	}
	return string(b)
}

// hashOf names the weights of a local model.
func hashOf(i *engine.Info) string {
	if i.Hash != "" {
		return i.Hash
	}
	sum := sha256.Sum256([]byte(i.Name))
	return hex.EncodeToString(sum[:])
}

func (rt *Runtime) resolveEmbedding(ctx context.Context, model string) (*catalog.Target, error) {
	t, err := rt.resolver.Resolve(ctx, model)
	if err != nil {
		return nil, err
	}
	if t.Kind != engine.Embedding || t.Embedding == nil {
		return nil, invalid("The model %s makes no embeddings. Choose an embedding model.", t.BaseID)
	}
	return t, nil
}

// weights finds the local model that m was found with. When another one serves the id
// today, the engine may still have the old one under its own name; when it has not,
// vectors of both must not be compared, and the answer is a ValidationException.
func (rt *Runtime) weights(ctx context.Context, m *EmbeddingModel) (*catalog.Target, engine.Info, error) {
	t, err := rt.resolveEmbedding(ctx, m.ARN)
	if err != nil {
		return nil, engine.Info{}, err
	}
	if hashOf(&t.Info) == m.Hash {
		return t, t.Info, nil
	}
	list, err := rt.engine.Models(ctx)
	if err != nil {
		return nil, engine.Info{}, fault(err, plain, t, nil)
	}
	for i := range list {
		if list[i].Kind == engine.Embedding && hashOf(&list[i]) == m.Hash {
			return t, list[i], nil
		}
	}
	return nil, engine.Info{}, invalid("The embedding model %s is served by the local model %s now, whose vectors cannot be compared with those that %s made. "+
		"Map the id to %s again, or create the knowledge base anew.", m.ID, t.Local, m.Local, m.Local)
}

// EmbedTexts answers a vector of m.Dimension numbers and unit length for each text, in
// order, made by the very weights that m was found with. query says that the texts are
// questions rather than what is searched. A text that is longer than the local model
// takes is refused with a ValidationException that wraps an *engine.Error of the kind
// TooLong: unlike InvokeModel, nothing is cut into windows, because a vector of the
// mean of many is found for none of them. A question is cut: it may be far longer on
// AWS than a local model takes, and its mean direction is a fair one to look in.
func (rt *Runtime) EmbedTexts(ctx context.Context, m EmbeddingModel, query bool, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	t, info, err := rt.weights(ctx, &m)
	if err != nil {
		return nil, err
	}
	w := &work{rt: rt, call: call.From(ctx), target: t, model: modelOf(t), start: time.Now()}
	w.serve(info.Name)
	defer w.finish()
	before := promptsOf(info.Name).before(query)
	q := &engine.EmbedRequest{Model: info.Name, AWSModel: t.BaseID, Account: w.call.Account, Inputs: precede(before, texts)}
	r, err := w.embedTexts(ctx, &info, q)
	if e, ok := errors.AsType[*engine.Error](err); ok && e.Kind == engine.TooLong && query {
		q.Inputs = texts
		if r, err = w.embedWindows(ctx, q, slices.Repeat([]string{before}, len(texts)), info.Context); err != nil {
			err = fault(err, w.phase, t, nil)
		}
	}
	if err != nil {
		return nil, err
	}
	for i, v := range r.Vectors {
		if len(v) < m.Dimension {
			return nil, fault(&engine.Error{Kind: engine.BadOutput, Message: "the engine returned a vector that is shorter than those it made before"}, w.phase, t, nil)
		}
		r.Vectors[i] = embedding.Fit(v, m.Dimension)
	}
	return r.Vectors, nil
}

// embedTexts embeds texts that the model takes whole.
func (w *work) embedTexts(ctx context.Context, info *engine.Info, q *engine.EmbedRequest) (*engine.EmbedResult, error) {
	inputs := q.Inputs
	if info.Context > 0 {
		for i, s := range inputs {
			// Each word is one token at least: what is hopeless is not even sent.
			if n := words(s, info.Context); n > info.Context {
				return nil, tooLong(info, i, n)
			}
		}
	}
	r, err := w.rt.engine.Embed(ctx, q)
	if err != nil {
		return nil, fault(err, w.phase, w.target, nil)
	}
	if len(r.Vectors) != len(inputs) {
		return nil, fault(&engine.Error{Kind: engine.BadOutput, Message: "the engine returned another number of vectors than it got texts"}, w.phase, w.target, nil)
	}
	return r, w.checkLengths(ctx, info, q, r)
}

// checkLengths refuses what an engine cut into windows by itself. Some engines count
// the tokens of a batch and share them out by length, so a text that seems too long
// is asked for alone before it is refused.
func (w *work) checkLengths(ctx context.Context, info *engine.Info, q *engine.EmbedRequest, r *engine.EmbedResult) error {
	for i, n := range r.Tokens {
		w.metrics.InputTokens += n
		if info.Context == 0 || n <= info.Context {
			continue
		}
		if len(q.Inputs) > 1 {
			alone := *q
			alone.Inputs = q.Inputs[i : i+1]
			one, err := w.rt.engine.Embed(ctx, &alone)
			if err != nil {
				return fault(err, w.phase, w.target, nil)
			}
			n = one.Tokens[0]
		}
		if n > info.Context {
			return tooLong(info, i, n)
		}
	}
	return nil
}

func tooLong(info *engine.Info, text, got int) error {
	cause := &engine.Error{Kind: engine.TooLong, Message: "a text does not fit the embedding model", Limit: info.Context, Got: got}
	return apierr.Wrap(apierr.Validation, cause, "Text %d has %d tokens or more, and the local embedding model %s takes %d. "+
		"Use smaller chunks, or map the model id to a local model with a longer context.", text+1, got, info.Name, info.Context)
}

// words counts the words of a text up to one more than most.
func words(s string, most int) int {
	if len(s) <= 2*most {
		return 0 // not even words of one letter could be too many
	}
	n, inside := 0, false
	for _, r := range s {
		if unicode.IsSpace(r) {
			inside = false
		} else if !inside {
			inside = true
			if n++; n > most {
				break
			}
		}
	}
	return n
}

// RerankTexts answers how well each text fits the question, in [0,1], by the reranker
// that model names. Where the engine has none, the embedding model stands in: the
// cosine of question and text, brought from [-1,1] to [0,1] as vector searches do it.
// That orders by the same nearness as a semantic search, so it adds less than a
// cross-encoder would; the log and the header of the served model say when it happens.
func (rt *Runtime) RerankTexts(ctx context.Context, model, question string, texts []string) ([]float64, error) {
	t, err := rt.resolver.Resolve(ctx, model)
	if err != nil {
		if apierr.KindOf(err) != apierr.ServiceUnavailable || !strings.Contains(model, "rerank") {
			return nil, err
		}
		return rt.rerankByEmbedding(ctx, model, question, texts, err)
	}
	if t.Kind != engine.Reranker {
		return nil, invalid("The model %s does not rerank. Choose a reranking model.", t.BaseID)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	scores, err := rt.rerank(ctx, t, question, texts)
	if e, ok := errors.AsType[*engine.Error](err); ok && (e.Kind == engine.Unsupported || e.Kind == engine.NoModel) {
		return rt.rerankByEmbedding(ctx, model, question, texts, err)
	}
	return scores, err
}

func (rt *Runtime) rerank(ctx context.Context, t *catalog.Target, question string, texts []string) ([]float64, error) {
	w := &work{rt: rt, call: call.From(ctx), target: t, model: modelOf(t), start: time.Now()}
	w.serve(t.Local)
	defer w.finish()
	r, err := rt.engine.Rerank(ctx, &engine.RerankRequest{Model: t.Local, AWSModel: t.BaseID, Account: w.call.Account, Query: question, Documents: texts})
	if err != nil {
		return nil, fault(err, w.phase, t, nil)
	}
	if len(r.Scores) != len(texts) {
		return nil, fault(&engine.Error{Kind: engine.BadOutput, Message: "the engine did not score every text"}, w.phase, t, nil)
	}
	w.metrics.InputTokens = r.Tokens
	for i, s := range r.Scores {
		r.Scores[i] = unitScore(s)
	}
	return r.Scores, nil
}

// rerankByEmbedding scores with the engine's first embedding model. refusal is why no
// reranker served, and the answer when there is no embedding model either.
func (rt *Runtime) rerankByEmbedding(ctx context.Context, model, question string, texts []string, refusal error) ([]float64, error) {
	list, err := rt.engine.Models(ctx)
	if err != nil {
		return nil, refusal
	}
	var local *engine.Info
	for i := range list {
		if list[i].Kind == engine.Embedding {
			local = &list[i]
			break
		}
	}
	if local == nil {
		return nil, refusal
	}
	if len(texts) == 0 {
		return nil, nil
	}
	rt.log.WarnContext(ctx, "no reranker serves the model: texts are reranked by their embeddings", "model", model, "local", local.Name, "texts", len(texts), "err", refusal)
	t := &catalog.Target{ModelID: model, BaseID: model, ARN: model, Kind: engine.Reranker, Local: local.Name, Info: *local}
	w := &work{rt: rt, call: call.From(ctx), target: t, start: time.Now()}
	w.serve(local.Name)
	defer w.finish()
	p := promptsOf(local.Name)
	inputs := append(precede(p.query, []string{question}), precede(p.document, texts)...)
	q := &engine.EmbedRequest{Model: local.Name, AWSModel: model, Account: w.call.Account, Inputs: inputs}
	r, err := rt.engine.Embed(ctx, q)
	e, refused := errors.AsType[*engine.Error](err)
	// An engine that cuts long texts itself does not know the words before them.
	cut := err == nil && p.query+p.document != "" && local.Context > 0 && slices.ContainsFunc(r.Tokens, func(n int) bool { return n > local.Context })
	if cut || refused && e.Kind == engine.TooLong {
		q.Inputs = append([]string{question}, texts...)
		before := append([]string{p.query}, slices.Repeat([]string{p.document}, len(texts))...)
		r, err = w.embedWindows(ctx, q, before, local.Context)
	}
	if err != nil {
		return nil, fault(err, w.phase, t, nil)
	}
	if len(r.Vectors) != len(inputs) {
		return nil, fault(&engine.Error{Kind: engine.BadOutput, Message: "the engine returned another number of vectors than it got texts"}, w.phase, t, nil)
	}
	for _, n := range r.Tokens {
		w.metrics.InputTokens += n
	}
	scores := make([]float64, len(texts))
	asked := r.Vectors[0]
	for i, v := range r.Vectors[1:] {
		var dot float64
		for k := range min(len(v), len(asked)) {
			dot += float64(v[k]) * float64(asked[k])
		}
		scores[i] = unitScore((1 + dot) / 2)
	}
	return scores, nil
}

// unitScore keeps a score in [0,1]; what is no number fits nothing.
func unitScore(s float64) float64 {
	if !(s > 0) {
		return 0
	}
	return min(s, 1)
}
