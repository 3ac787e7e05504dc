package retrieve

import (
	"context"
	"errors"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Search finds the passages of a knowledge base that fit a question, the best first;
// b is one of Active. It works as the service role of b: neither the caller of ctx nor
// the house opens the index. Errors are *apierr.Errors that Retrieve and
// RetrieveAndGenerate have, or the end of ctx.
func (r *Room) Search(ctx context.Context, b *knowledge.Base, q Question) ([]Result, error) {
	out, err := r.search(ctx, b, q)
	if err != nil {
		return nil, public(err)
	}
	return out, nil
}

func (r *Room) search(ctx context.Context, b *knowledge.Base, q Question) ([]Result, error) {
	if err := checkText(q.Text); err != nil {
		return nil, err
	}
	p, err := planOf(q.Config)
	if err != nil {
		return nil, err
	}
	can, _ := r.bases.Capabilities(b) // a store that is only kept refuses in Index, in its own words
	if p.filter != nil {
		if err := can.CheckFilter(p.filter); err != nil {
			return nil, searched(ctx, can.Store, err)
		}
	}
	as, role, err := r.bases.Acting(ctx, b)
	if err != nil {
		return nil, err
	}
	if p.rerank != nil {
		if err := r.permit(as, b, role, q, p.rerank.model); err != nil {
			return nil, err
		}
	}
	index, err := r.bases.Index(as, b)
	if err != nil {
		return nil, searched(ctx, can.Store, err)
	}
	defer index.Close()
	vectors, err := r.bases.Embed(as, b, role, knowledge.ForSearch, []string{q.Text})
	if e, ok := errors.AsType[*engine.Error](err); ok && e.Kind == engine.TooLong {
		return nil, apierr.Wrap(apierr.Validation, err, "retrievalQuery.text has %d tokens or more, and the local model that embeds it, %s, takes %d. Ask a shorter question.", e.Got, b.Model.Local, e.Limit)
	}
	if err != nil {
		return nil, err
	}
	hits, err := find(as, index, vector.Query{
		Vector: vectors[0], Model: b.Model.Hash, Text: q.Text, Mode: r.modeOf(ctx, b.ID, p, can), K: p.number, Filter: p.filter,
	})
	if err != nil {
		return nil, searched(ctx, can.Store, err)
	}
	if p.rerank != nil {
		if hits, err = r.rerank(as, p.rerank, q.Text, hits); err != nil {
			return nil, err
		}
	}
	results := make([]Result, len(hits))
	for i := range hits {
		results[i] = resultOf(&hits[i])
	}
	return results, nil
}

// permit asks whether the reranker may be used: by the service role, where nobody else
// is named. AWS asks for both actions.
func (r *Room) permit(ctx context.Context, b *knowledge.Base, role *iam.Principal, q Question, model string) error {
	if q.Permit != nil {
		return q.Permit(ctx, model)
	}
	if r.roles == nil {
		return nil
	}
	err := r.roles.Allow(ctx, role, "bedrock:Rerank", "*")
	if err == nil {
		err = r.roles.Invoke(ctx, role, model)
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.AccessDenied {
		// In the words for a role that may not call the embedding model.
		return apierr.Wrap(apierr.Validation, err, "Knowledge base role %s is not able to call specified bedrock reranking model %s: %s", b.Role, model, e.Message)
	}
	return err
}

// A search for n parents asks for so many times more children as the answers before
// let expect, at least twice as many each time.
const (
	moreChildren = 2
	attempts     = 3 // until a parent is not replaced between search and read
)

// find searches, and answers for each child its parent.
func find(ctx context.Context, index vector.Index, q vector.Query) ([]vector.Hit, error) {
	want := q.K
	tries := 0
	for {
		hits, err := index.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		heads, parents := collapse(hits)
		if len(heads) < want && len(hits) == q.K && q.K < vector.MaxResults {
			share := (q.K*want + len(heads) - 1) / len(heads) // children, if all parents have as many
			q.K = min(max(moreChildren*q.K, share+share/2), vector.MaxResults)
			continue
		}
		heads = heads[:min(want, len(heads))]
		if len(parents) == 0 {
			return heads, nil
		}
		whole, err := raise(ctx, index, heads)
		if err != nil {
			return nil, err
		}
		if whole {
			return heads, nil
		}
		// A document was replaced between search and read: look again. One that is
		// replaced all the time is answered with what was found of it.
		if tries++; tries == attempts {
			return heads, nil
		}
		q.K = want
	}
}

// collapse leaves of the children of one parent the best. parents are those of what
// was left.
func collapse(hits []vector.Hit) (heads []vector.Hit, parents map[string]bool) {
	if !slices.ContainsFunc(hits, func(h vector.Hit) bool { return h.Chunk.Parent != "" }) {
		return hits, nil
	}
	parents = make(map[string]bool, len(hits))
	for _, h := range hits {
		if id := h.Chunk.Parent; id != "" {
			if parents[id] {
				continue
			}
			parents[id] = true
		}
		heads = append(heads, h)
	}
	return heads, parents
}

// raise puts parents in the places of their children. It answers false when one was
// not there.
func raise(ctx context.Context, index vector.Index, heads []vector.Hit) (bool, error) {
	var ids []string
	for i := range heads {
		if id := heads[i].Chunk.Parent; id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return true, nil
	}
	chunks, err := index.Get(ctx, ids, false)
	if err != nil {
		return false, err
	}
	byID := make(map[string]vector.Chunk, len(chunks))
	for _, c := range chunks {
		byID[c.ID] = c
	}
	whole := true
	for i := range heads {
		id := heads[i].Chunk.Parent
		if id == "" {
			continue
		}
		if c, ok := byID[id]; ok {
			heads[i].Chunk = c
		} else {
			whole = false
		}
	}
	return whole, nil
}
