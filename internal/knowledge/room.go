package knowledge

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Config says what the room works with. Store, Models and Indexes are needed.
type Config struct {
	Store      *store.Store
	Models     Models
	Indexes    Indexes
	Roles      Roles            // nil allows everything
	Now        func() time.Time // of the service clock; nil is time.Now
	Transition time.Duration    // how long states last that pass by themselves
	Quotas     Quotas
	// Forget drops what other packages keep of a data source (documents, jobs), in the
	// transaction that removes its row.
	Forget func(tx *store.Tx, account, region, base, source string) error
}

// Quotas are the limits of an account in a Region. Zero fields are AWS's of today.
type Quotas struct {
	Bases   int // 50
	Sources int // of one knowledge base: 5
}

// Room holds the knowledge bases and their data sources. The structs of operations
// embed it.
type Room struct {
	cfg Config
}

// New returns the room; it starts nothing.
func New(c Config) *Room { return &Room{cfg: c} }

var errUnbuilt = apierr.New(apierr.NotImplemented, "Knowledge bases are not built yet.")

// Base finds a knowledge base, whatever its state; ResourceNotFound when there is none.
func (r *Room) Base(ctx context.Context, account, region, id string) (*Base, error) {
	return nil, errUnbuilt
}

// Active finds a knowledge base of the caller of ctx that can be queried: it answers
// ValidationException for one in another state.
func (r *Room) Active(ctx context.Context, id string) (*Base, error) { return nil, errUnbuilt }

// Source finds a data source of a knowledge base.
func (r *Room) Source(ctx context.Context, b *Base, id string) (*Source, error) {
	return nil, errUnbuilt
}

// Acting takes the service role of a knowledge base: the principal for files and
// functions, and a context in which keys are used in its name.
func (r *Room) Acting(ctx context.Context, b *Base) (context.Context, *iam.Principal, error) {
	return nil, nil, errUnbuilt
}

// Index opens the index of a knowledge base. ctx is one of Acting; the caller closes.
func (r *Room) Index(ctx context.Context, b *Base) (vector.Index, error) { return nil, errUnbuilt }

// Embed embeds texts as p, the principal of Acting: it asks whether p may invoke the
// model. The vectors have the length that the index of b has.
func (r *Room) Embed(ctx context.Context, b *Base, p *iam.Principal, purpose Purpose, texts []string) ([][]float32, error) {
	return nil, errUnbuilt
}

// Models are those of the room.
func (r *Room) Models() Models { return r.cfg.Models }

// Capabilities are those of the store of a knowledge base; ok is false for one that is
// only kept and shown.
func (r *Room) Capabilities(b *Base) (vector.Capabilities, bool) {
	return r.cfg.Indexes.Capabilities(b)
}
