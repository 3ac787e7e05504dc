package retrieve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// rerank gives hits the scores of a reranker, and their order.
func (r *Room) rerank(ctx context.Context, k *reranking, question string, hits []vector.Hit) ([]vector.Hit, error) {
	if len(hits) == 0 {
		return hits, nil
	}
	texts := make([]string, len(hits))
	for i := range hits {
		texts[i] = k.text(&hits[i].Chunk)
	}
	order, scores, err := r.order(ctx, k.model, question, texts)
	if err != nil {
		return nil, err
	}
	if k.number > 0 {
		order = order[:min(k.number, len(order))]
	}
	out := make([]vector.Hit, len(order))
	for i, at := range order {
		out[i] = hits[at]
		out[i].Score = scores[at]
	}
	return out, nil
}

// order asks a reranker and answers the texts' places, the best first; equal ones keep
// their order.
func (r *Room) order(ctx context.Context, model, question string, texts []string) (order []int, scores []float64, err error) {
	scores, err = r.bases.Models().Rerank(ctx, model, question, texts)
	if err != nil {
		return nil, nil, err
	}
	if len(scores) != len(texts) {
		return nil, nil, fmt.Errorf("BUG: %d scores for %d texts", len(scores), len(texts))
	}
	order = make([]int, len(scores))
	for i := range order {
		order[i] = i
		scores[i] = unit(scores[i])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order, scores, nil
}

// text is what the reranker sees of a chunk: lines of attributes, then the text.
func (k *reranking) text(c *vector.Chunk) string {
	if !k.all && k.include == nil {
		return c.Text
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c.Metadata)) {
		if !k.shows(key) {
			continue
		}
		b.WriteString(key)
		b.WriteString(": ")
		v := c.Metadata[key]
		switch v.Kind() {
		case vector.String:
			b.WriteString(v.Str())
		case vector.List:
			b.WriteString(strings.Join(v.Strings(), ", "))
		default:
			raw, _ := v.MarshalJSON() // a number or a Boolean has a form
			b.Write(raw)
		}
		b.WriteByte('\n')
	}
	b.WriteString(c.Text)
	return b.String()
}

func (k *reranking) shows(key string) bool {
	if k.include != nil {
		return k.include[key]
	}
	return !k.exclude[key] && !strings.HasPrefix(key, knowledge.AttributesReserved)
}

// lines writes a JSON document for a reranker, which reads words and not brackets: the
// members of an object as lines "key: value" in their order, anything else as it is.
func lines(raw json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	first, err := d.Token()
	if err != nil {
		return "", err
	}
	switch t := first.(type) {
	case string:
		return t, nil
	case json.Delim:
		if t != '{' {
			break
		}
		var b strings.Builder
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return "", err
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				return "", err
			}
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			fmt.Fprintf(&b, "%s: %s\n", key, text)
		}
		return strings.TrimSuffix(b.String(), "\n"), nil
	}
	return string(raw), nil
}
