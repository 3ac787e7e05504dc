package rerank

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
)

const (
	maxDocuments = 1000
	apiVersion   = 2 // the lowest that Cohere's model takes
)

var common = []family.Field{
	family.Required("query", family.AString().Size(1, -1)),
	family.Required("documents", family.AnArray(family.AString().Size(1, -1)).Size(1, maxDocuments)),
	family.Optional("top_n", family.AnInteger(1, 1<<31)),
}

var (
	cohere = family.AnObject(append(slices.Clone(common), family.Required("api_version", family.AnInteger(apiVersion, 1<<31)))...)
	amazon = family.AnObject(append(slices.Clone(common), family.Optional("api_version", family.AnInteger(1, 1<<31)))...)
)

// Codec serves the rerankers. Its zero value is ready.
type Codec struct{ oneshot.Only }

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "rerank" }

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	schema := cohere
	if strings.HasPrefix(m.ID, "amazon.") {
		schema = amazon
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	q := &engine.RerankRequest{Query: v.Get("query").Text(), Documents: v.Get("documents").Texts()}
	return &family.Call{Model: m, Rerank: q, State: min(v.Get("top_n").IntOr(len(q.Documents)), len(q.Documents))}, nil
}

// Encode writes the best documents, the best first; equal ones keep their order.
func (Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	scores := out.Rerank.Scores
	if len(scores) != len(call.Rerank.Documents) {
		return nil, fmt.Errorf("rerank: %d scores for %d documents", len(scores), len(call.Rerank.Documents))
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	b := append([]byte(nil), `{"results":[`...)
	for i, at := range order[:call.State.(int)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = family.AppendInt(b, at)
		b = append(b, `,"relevance_score":`...)
		score := scores[at]
		if math.IsNaN(score) { // JSON has no word for it
			score = 0
		}
		b = strconv.AppendFloat(b, min(1, max(0, score)), 'g', -1, 64)
		b = append(b, '}')
	}
	return append(b, `]}`...), nil
}
