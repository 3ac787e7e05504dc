package retrieve

import (
	"context"
	"log/slog"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Bases are the knowledge bases of the house; knowledge.Room is one.
type Bases interface {
	Active(ctx context.Context, id string) (*knowledge.Base, error)
	Acting(ctx context.Context, b *knowledge.Base) (context.Context, *iam.Principal, error)
	Index(ctx context.Context, b *knowledge.Base) (vector.Index, error)
	Embed(ctx context.Context, b *knowledge.Base, p *iam.Principal, purpose knowledge.Purpose, texts []string) ([][]float32, error)
	Models() knowledge.Models
	Capabilities(b *knowledge.Base) (vector.Capabilities, bool)
}

var _ Bases = (*knowledge.Room)(nil)

// Config says what the room works with. Bases is needed.
type Config struct {
	Bases Bases
	Roles knowledge.Roles // nil allows everything
	Log   *slog.Logger    // nil discards
}

// Room searches knowledge bases.
type Room struct {
	bases Bases
	roles knowledge.Roles
	log   *slog.Logger
}

// New returns the room; it starts nothing.
func New(c Config) *Room {
	r := &Room{bases: c.Bases, roles: c.Roles, log: c.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

// Question is one search.
type Question struct {
	Text string
	// Config is of the wire; nil is the defaults.
	Config *api.KnowledgeBaseRetrievalConfiguration
	// Permit asks whether the reranker that Config names may be used, and is asked
	// before anything is searched; nil asks the service role of the knowledge base.
	Permit func(ctx context.Context, model string) error
}

// Result is a passage that was found.
type Result struct {
	// Wire is the passage as the operations answer it.
	Wire api.KnowledgeBaseRetrievalResult

	ID       string // of the chunk in its index
	Document string // id of its document in the index
	Text     string
	Passage  knowledge.Passage // zero where the index was not filled by ingestion
	Metadata vector.Metadata
	Score    float64 // in [0,1]
}

// Wire are the results as the operations answer them; never nil.
func Wire(results []Result) []api.KnowledgeBaseRetrievalResult {
	out := make([]api.KnowledgeBaseRetrievalResult, len(results))
	for i := range results {
		out[i] = results[i].Wire
	}
	return out
}
