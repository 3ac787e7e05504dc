package retrieve

import (
	"encoding/json"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// resultOf is a hit as it is answered.
func resultOf(h *vector.Hit) Result {
	c := &h.Chunk
	out := Result{ID: c.ID, Document: c.Document, Text: c.Text, Metadata: c.Metadata, Score: unit(h.Score)}
	if len(c.Source) > 0 && json.Unmarshal(c.Source, &out.Passage) != nil {
		out.Passage = knowledge.Passage{} // written by somebody else
	}
	out.Wire = api.KnowledgeBaseRetrievalResult{
		Content:  &api.RetrievalResultContent{Text: &c.Text, Type: api.RetrievalResultContentTypeText},
		Location: locationOf(out.Passage.Place),
		Metadata: wireMetadata(c.Metadata),
		Score:    new(out.Score),
	}
	return out
}

// unit keeps a score in [0,1]; what is no number is last.
func unit(s float64) float64 {
	if !(s > 0) {
		return 0
	}
	return min(s, 1)
}

// locationOf is nil where the place is unknown.
func locationOf(p knowledge.Place) *api.RetrievalResultLocation {
	switch {
	case p.Custom != "":
		return &api.RetrievalResultLocation{
			Type: api.RetrievalResultLocationTypeCustom, CustomDocumentLocation: &api.RetrievalResultCustomDocumentLocation{Id: new(p.Custom)},
		}
	case p.S3 != "":
		return &api.RetrievalResultLocation{
			Type: api.RetrievalResultLocationTypeS3, S3Location: &api.RetrievalResultS3Location{Uri: new(p.S3)},
		}
	}
	return nil
}

// wireMetadata is nil where there are no attributes: the model wants one at least.
func wireMetadata(m vector.Metadata) map[string]json.RawMessage {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]json.RawMessage, len(m))
	for k, v := range m {
		b, err := v.MarshalJSON()
		if err != nil {
			panic("BUG: " + err.Error()) // a Value is a string, a finite number, a Boolean or strings
		}
		out[k] = b
	}
	return out
}
