package knowledge

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/optional"
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
	// Quiet asks the work on a data source to stop and says whether some still runs: its
	// documents are deleted when none does. nil when nobody works on any.
	Quiet func(tx *store.Tx, account, region, base, source string) (busy bool, err error)
	// Forget drops what other packages keep of a data source (documents, jobs), in the
	// transaction that removes its row; nil when nobody keeps anything.
	Forget func(tx *store.Tx, account, region, base, source string) error
	Log    *slog.Logger // nil discards
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
	// sealing is held while the key of an index and the row that names it change
	// together.
	sealing sync.Mutex
}

// New returns the room; it starts nothing.
func New(c Config) *Room {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Forget == nil {
		c.Forget = func(*store.Tx, string, string, string, string) error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Quotas.Bases == 0 {
		c.Quotas.Bases = 50
	}
	if c.Quotas.Sources == 0 {
		c.Quotas.Sources = 5
	}
	return &Room{cfg: c}
}

// KnowledgeBases answers the operations on knowledge bases.
type KnowledgeBases struct{ *Room } //nolint:revive // the API names this group of operations so, and the desk embeds it beside others

// DataSources answers the operations on data sources.
type DataSources struct{ *Room }

// at is the call and the key of one of the caller's knowledge bases.
func at(ctx context.Context, id string) (*call.Call, store.Key) {
	c := call.From(ctx)
	return c, store.Key{Account: c.Account, Region: c.Region, ID: id}
}

// baseOf is a knowledge base as work is done with it.
func (r *Room) baseOf(rec *store.Record[baseRow], now time.Time) *Base {
	b := &rec.Body
	return &Base{
		Account: rec.Account, Region: rec.Region, Partition: b.Partition, ID: rec.ID,
		Name: b.Name, Role: b.Role, Status: b.State.At(now, r.cfg.Transition), Config: optional.Value(b.Config), Storage: b.Storage,
		Model: b.Model, Width: b.Width, KeyARN: b.Key,
	}
}

func sourceOf(rec *store.Record[sourceRow]) *Source {
	s := &rec.Body
	return &Source{
		Base: rec.Parent, ID: rec.ID, Name: s.Name, Status: s.Status, Config: optional.Value(s.Config), Ingestion: s.Ingestion,
		Deletion: s.Deletion, KeyARN: s.key(),
	}
}

// Base finds a knowledge base, whatever its state; ResourceNotFound when there is none.
func (r *Room) Base(ctx context.Context, account, region, id string) (*Base, error) {
	var b *Base
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, store.Key{Account: account, Region: region, ID: id})
		if err != nil {
			return err
		}
		b = r.baseOf(&rec, tx.Now)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return b, nil
}

// Active finds a knowledge base of the caller of ctx that can be queried: it answers
// ValidationException for one in another state.
func (r *Room) Active(ctx context.Context, id string) (*Base, error) {
	c := call.From(ctx)
	b, err := r.Base(ctx, c.Account, c.Region, id)
	if err != nil {
		return nil, err
	}
	if b.Status != api.KnowledgeBaseStatusActive {
		return nil, apierr.New(apierr.Validation, "The knowledge base %s is in the state %s and cannot be queried. Retry your request when it is ACTIVE.", id, b.Status)
	}
	return b, nil
}

// Source finds a data source of a knowledge base.
func (r *Room) Source(ctx context.Context, b *Base, id string) (*Source, error) {
	var s *Source
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		rec, err := sources.Get(tx, store.Key{Account: b.Account, Region: b.Region, Parent: b.ID, ID: id})
		if err != nil {
			return err
		}
		s = sourceOf(&rec)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return s, nil
}

// Sources reads all data sources of a knowledge base, oldest first.
func (r *Room) Sources(ctx context.Context, b *Base) ([]*Source, error) {
	var out []*Source
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		list, err := sourcesOf(tx, store.Key{Account: b.Account, Region: b.Region, ID: b.ID})
		for i := range list {
			out = append(out, sourceOf(&list[i]))
		}
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

type actingKey struct{}

// ActingAs is the principal of a context of Acting, nil in any other: for a store that
// asks what the role may do, and is given nothing but the context.
func ActingAs(ctx context.Context) *iam.Principal {
	p, _ := ctx.Value(actingKey{}).(*iam.Principal)
	return p
}

// Acting takes the service role of a knowledge base: the principal for files and
// functions, and a context in which keys are used in its name, with the ARN of the
// knowledge base as encryption context. Where nothing is asked of roles the principal
// is nil and keys are used in the house's name.
func (r *Room) Acting(ctx context.Context, b *Base) (context.Context, *iam.Principal, error) {
	if r.cfg.Roles == nil {
		return house(ctx, b), nil, nil
	}
	p, err := r.cfg.Roles.Assume(ctx, b.Role, b.ARN(), b.Account)
	if err != nil {
		return nil, nil, err
	}
	ctx = kms.As(ctx, kms.Asking{
		Caller:  kms.Caller{Principal: p, Account: b.Account, Region: b.Region, Via: "bedrock." + b.Region + ".amazonaws.com"},
		Context: encryption(b),
	})
	return context.WithValue(ctx, actingKey{}, p), p, nil
}

// encryption is the encryption context of what belongs to a knowledge base.
func encryption(b *Base) map[string]string { return map[string]string{kms.AgentContextKey: b.ARN()} }

// house is ctx in which the house itself works on the index of a knowledge base.
func house(ctx context.Context, b *Base) context.Context {
	return kms.As(ctx, kms.Asking{House: true, Context: encryption(b)})
}

// Index opens the index of a knowledge base. ctx is one of Acting; the caller closes.
func (r *Room) Index(ctx context.Context, b *Base) (vector.Index, error) {
	x, err := r.cfg.Indexes.Open(ctx, b)
	if err != nil {
		return nil, kms.Public(err)
	}
	return x, nil
}

// Embed embeds texts as p, the principal of Acting: it asks whether p may invoke the
// model. The vectors have the length that the index of b has: those of a model with
// fewer numbers than the index's are filled up with zeros, which changes no angle
// between two of them.
func (r *Room) Embed(ctx context.Context, b *Base, p *iam.Principal, purpose Purpose, texts []string) ([][]float32, error) {
	if err := r.MayEmbed(ctx, b, p); err != nil {
		return nil, err
	}
	vectors, err := r.cfg.Models.Embed(ctx, b.Model, purpose, texts)
	if err != nil {
		return nil, err
	}
	for i, v := range vectors {
		if len(v) < b.Width {
			vectors[i] = append(make([]float32, 0, b.Width), v...)[:b.Width]
		}
	}
	return vectors, nil
}

// MayEmbed asks whether p, the principal of Acting, may invoke the embedding model, and
// words a refusal as AWS does. An error that is none, such as a model that is not there,
// passes.
func (r *Room) MayEmbed(ctx context.Context, b *Base, p *iam.Principal) error {
	if r.cfg.Roles == nil {
		return nil
	}
	err := r.cfg.Roles.Invoke(ctx, p, b.Model.ARN)
	refused, ok := errors.AsType[*apierr.Error](err)
	if !ok || refused.Kind != apierr.AccessDenied {
		return err
	}
	return apierr.Wrap(apierr.Validation, err, "Knowledge base role %s is not able to call specified bedrock embedding model %s: %s", b.Role, b.Model.ARN, refused.Message)
}

// Models are those of the room.
func (r *Room) Models() Models { return r.cfg.Models }

// Capabilities are those of the store of a knowledge base; ok is false for one that is
// only kept and shown.
func (r *Room) Capabilities(b *Base) (vector.Capabilities, bool) {
	return r.cfg.Indexes.Capabilities(b)
}

// Exists reports whether the knowledge base of an ARN is there for the caller: what
// tags ask.
func (r *Room) Exists(ctx context.Context, name string) (bool, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Type() != "knowledge-base" || call.From(ctx).ARN("knowledge-base/"+a.ID()) != name {
		return false, nil
	}
	return r.known(ctx, a.ID())
}

func (r *Room) known(ctx context.Context, id string) (bool, error) {
	_, key := at(ctx, id)
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := bases.Head(tx, key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ByID knows the knowledge bases of the caller by their ids, for those who refer to
// them.
type ByID struct{ *Room }

// Exists reports whether the caller has a knowledge base with the id.
func (b ByID) Exists(ctx context.Context, id string) (bool, error) { return b.known(ctx, id) }

// later is now, or just after an earlier instant that is not before it: what changed
// must be seen to have changed.
func later(now, earlier time.Time) time.Time {
	if now.After(earlier) {
		return now
	}
	return earlier.Add(time.Microsecond)
}

// message is what a caller is told of an error.
func message(err error) string {
	if e, ok := errors.AsType[*apierr.Error](kms.Public(err)); ok && strings.TrimSpace(e.Message) != "" {
		return e.Message
	}
	return "An internal error occurred. Retry your request."
}
