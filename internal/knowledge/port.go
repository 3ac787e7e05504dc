package knowledge

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Purpose is what a text is embedded for. Models that were trained on pairs tell
// questions from texts.
type Purpose string

// The purposes, named as Cohere's input_type names them.
const (
	ForSearch Purpose = "search_query"
	ForStore  Purpose = "search_document"
)

// Models are the embedding models and rerankers of the house.
type Models interface {
	// Embedding finds an embedding model by ARN or id. dimension is what the caller asks
	// for, 0 for the model's own. An error is an *apierr.Error.
	Embedding(ctx context.Context, model string, dimension int) (Embedding, error)
	// Embed answers one vector of e.Dimension numbers and unit length for each text, by
	// the very weights that e was made with; an *apierr.Error of kind Validation when
	// they have changed.
	Embed(ctx context.Context, e Embedding, purpose Purpose, texts []string) ([][]float32, error)
	// Ends answers for each text the bytes at which its tokens end (chunk.Tokenizer).
	Ends(ctx context.Context, e Embedding, texts []string) ([][]int, error)
	// Rerank answers how well each text fits the question, in [0,1]. An *apierr.Error
	// when nothing here can serve the model.
	Rerank(ctx context.Context, model, question string, texts []string) ([]float64, error)
}

// Indexes are the vector stores that storage configurations name.
type Indexes interface {
	// Check refuses a configuration that cannot serve the knowledge base, with an
	// *apierr.Error; it looks at the store where that is possible. A type that is only
	// kept and shown passes.
	Check(ctx context.Context, b *Base) error
	// Create makes the index of the knowledge base, or opens it when it is there.
	Create(ctx context.Context, b *Base) (vector.Index, error)
	// Open opens the index; an *apierr.Error when its store is one that is only kept and
	// shown, or cannot be reached.
	Open(ctx context.Context, b *Base) (vector.Index, error)
	// Capabilities of the store that the configuration names; ok is false for one that
	// is only kept and shown.
	Capabilities(b *Base) (c vector.Capabilities, ok bool)
	// Rekey seals the index with b.KeyARN from now on, where the index is the house's.
	Rekey(ctx context.Context, b *Base) error
	// Release is called when the row of the knowledge base is gone, and again after a
	// crash: the index that it had for itself goes with all that is in it, one behind a
	// collection when nobody else names it and no document was kept in it. The user's
	// own stores stay.
	Release(ctx context.Context, b *Base) error
}

// Roles act with the service roles of knowledge bases. Errors are *apierr.Errors.
type Roles interface {
	// Pass asks whether the caller of ctx may hand the role to Bedrock, and whether
	// Bedrock could take it for the knowledge base.
	Pass(ctx context.Context, role, baseARN string) error
	// Assume takes the role for the knowledge base.
	Assume(ctx context.Context, role, baseARN, account string) (*iam.Principal, error)
	// Allow asks whether p may do the action on the resource.
	Allow(ctx context.Context, p *iam.Principal, action, resource string) error
	// Invoke asks whether p may invoke the model: bedrock:InvokeModel on each resource
	// that the model's name stands for.
	Invoke(ctx context.Context, p *iam.Principal, model string) error
}
