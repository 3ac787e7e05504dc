package knowledge

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

func baseARN(c *call.Call, id string) string { return c.ARN("knowledge-base/" + id) }

// view is a knowledge base on the wire.
func (r *Room) view(c *call.Call, tx *store.Tx, rec *store.Record[baseRow]) *api.KnowledgeBase {
	b := &rec.Body
	return &api.KnowledgeBase{
		KnowledgeBaseId: rec.ID, KnowledgeBaseArn: baseARN(c, rec.ID), Name: b.Name, Description: optional.Of(b.Description), RoleArn: b.Role,
		KnowledgeBaseConfiguration: b.Config, StorageConfiguration: b.Storage, Status: b.State.At(tx.Now, r.cfg.Transition),
		FailureReasons: b.Reasons, CreatedAt: rec.Created, UpdatedAt: b.Changed,
	}
}

// errFresh ends a look for a client token that was not used before.
var errFresh = errors.New("knowledge: a new token")

// replay answers what a client token was answered with before; found is false for a new
// one and for a call without.
func replay[T any](ctx context.Context, r *Room, t store.Token, request any) (out T, found bool, err error) {
	if t.Value == "" {
		return out, false, nil
	}
	err = r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = store.Idempotent(tx, t, request, func() (T, error) {
			var none T
			return none, errFresh
		})
		return err
	})
	if errors.Is(err, errFresh) {
		return out, false, nil
	}
	return out, err == nil, err
}

// CreateKnowledgeBase makes a knowledge base and its index.
//
// A storageConfiguration that is left out means the built-in store, an extension of the
// API: its model does not require one, a machine of one's own has no store that could
// be named, and what programs for AWS name keeps its meaning.
//
// The index is made before the row, so that what the store refuses refuses the call and
// leaves nothing. A process that dies in between leaves an empty index, which the
// release that was planned first removes.
func (r KnowledgeBases) CreateKnowledgeBase(ctx context.Context, in *api.CreateKnowledgeBaseInput) (*api.CreateKnowledgeBaseOutput, error) {
	c, key := at(ctx, arn.NewID())
	if p, ok := c.Caller.(*iam.Principal); ok && p != nil && p.Kind == iam.KindRoot {
		return nil, apierr.New(apierr.AccessDenied, "A knowledge base cannot be created by the root user of an account. Use a user or a role.")
	}
	request := *in
	request.ClientToken = nil
	t := token(c, "CreateKnowledgeBase", in.ClientToken)
	if out, found, err := replay[*api.CreateKnowledgeBaseOutput](ctx, r.Room, t, request); err != nil || found {
		return out, failure(err)
	}
	if err := checkBase(in.KnowledgeBaseConfiguration, in.StorageConfiguration); err != nil {
		return nil, err
	}
	arn := baseARN(c, key.ID)
	if r.cfg.Roles != nil {
		if err := r.cfg.Roles.Pass(ctx, in.RoleArn, arn); err != nil {
			return nil, err
		}
	}
	model, err := r.cfg.Models.Embedding(ctx, in.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration.EmbeddingModelArn, dimensions(in.KnowledgeBaseConfiguration))
	if err != nil {
		return nil, err
	}
	row := baseRow{
		Partition: c.Partition, Name: in.Name, Description: optional.Value(in.Description), Role: in.RoleArn,
		Config: in.KnowledgeBaseConfiguration, Storage: in.StorageConfiguration, Model: model,
	}
	b := r.baseOf(&store.Record[baseRow]{Key: key, Body: row}, r.cfg.Now())
	b.Status = baseStates.Initial()
	if row.Width, err = r.raise(ctx, b); err != nil {
		return nil, failure(err)
	}
	var out *api.CreateKnowledgeBaseOutput
	err = r.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		out, err = store.Idempotent(tx, t, request, func() (*api.CreateKnowledgeBaseOutput, error) {
			if err := r.room(tx, key, in.Name); err != nil {
				return nil, err
			}
			row.State = lifecycle.Timed[api.KnowledgeBaseStatus]{Now: baseStates.Initial(), Since: tx.Now, Then: api.KnowledgeBaseStatusActive}
			row.Changed = tx.Now
			rec, err := bases.Create(tx, key, row, store.Columns{Name: in.Name})
			if err != nil {
				return nil, taken(err, "KnowledgeBase", in.Name)
			}
			if list := tag.FromMap(in.Tags); len(list) > 0 {
				if err := tag.Check(arn, nil, list); err != nil {
					return nil, err
				}
				if err := tx.PutTags(arn, list); err != nil {
					return nil, err
				}
			}
			return &api.CreateKnowledgeBaseOutput{KnowledgeBase: r.view(c, tx, &rec)}, nil
		})
		return err
	})
	if err != nil || out.KnowledgeBase.KnowledgeBaseId != key.ID { // another call with the token was faster
		r.lower(ctx, b)
	}
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// room refuses one knowledge base more than the quota, or a name that is taken.
func (r *Room) room(tx *store.Tx, key store.Key, name string) error {
	n, err := bases.Count(tx, store.Query{Account: key.Account, Region: key.Region})
	if err != nil {
		return err
	}
	if n >= r.cfg.Quotas.Bases {
		return beyond("knowledge bases in an account and Region", r.cfg.Quotas.Bases)
	}
	same, err := bases.Count(tx, store.Query{Account: key.Account, Region: key.Region, NameEquals: name})
	if err != nil {
		return err
	}
	if same > 0 {
		return taken(store.ErrExists, "KnowledgeBase", name)
	}
	return nil
}

// raise makes the index of a knowledge base that has no row yet, and answers how many
// numbers its vectors have.
func (r *Room) raise(ctx context.Context, b *Base) (width int, err error) {
	ctx, _, err = r.Acting(ctx, b)
	if err != nil {
		return 0, err
	}
	if err := r.cfg.Indexes.Check(ctx, b); err != nil {
		return 0, kms.Public(err)
	}
	if _, served := r.cfg.Indexes.Capabilities(b); !served {
		return 0, nil
	}
	key := store.Key{Account: b.Account, Region: b.Region, ID: b.ID}
	err = r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		if err := r.room(tx, key, b.Name); err != nil {
			return err
		}
		_, _, err := job.Enqueue(tx, releaseSpec(b, releaseDelay))
		return err
	})
	if err != nil {
		return 0, err
	}
	x, err := r.cfg.Indexes.Create(ctx, b)
	if err != nil {
		return 0, kms.Public(err)
	}
	defer x.Close()
	width = x.Definition().Dimension
	if width < b.Model.Dimension {
		r.lower(ctx, b)
		return 0, invalid("storageConfiguration", "The knowledge base storage configuration provided is invalid... The vectors of the index have %d numbers, those of the embedding model %s have %d.", width, b.Model.ARN, b.Model.Dimension)
	}
	return width, nil
}

// lower lets the index of a knowledge base go that was not made after all. Where it
// fails, the release that was planned tries again.
func (r *Room) lower(ctx context.Context, b *Base) {
	ctx = house(context.WithoutCancel(ctx), b)
	if err := r.cfg.Indexes.Release(ctx, b); err != nil {
		r.cfg.Log.WarnContext(ctx, "the index of a knowledge base that was not made stays for a while", "index", b.ID, "error", err)
	}
}

// GetKnowledgeBase reads a knowledge base.
func (r KnowledgeBases) GetKnowledgeBase(ctx context.Context, in *api.GetKnowledgeBaseInput) (*api.GetKnowledgeBaseOutput, error) {
	c, key := at(ctx, in.KnowledgeBaseId)
	var out *api.GetKnowledgeBaseOutput
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, key)
		if err != nil {
			return err
		}
		out = &api.GetKnowledgeBaseOutput{KnowledgeBase: r.view(c, tx, &rec)}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// ListKnowledgeBases lists the knowledge bases of the caller, newest first.
func (r KnowledgeBases) ListKnowledgeBases(ctx context.Context, in *api.ListKnowledgeBasesInput) (*api.ListKnowledgeBasesOutput, error) {
	c := call.From(ctx)
	var out *api.ListKnowledgeBasesOutput
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		p, err := bases.List(tx, store.Query{
			Account: c.Account, Region: c.Region, Sort: store.ByCreated, Desc: true, Limit: page.Few(in.MaxResults), Cursor: optional.Value(in.NextToken),
		})
		if err != nil {
			return err
		}
		out = &api.ListKnowledgeBasesOutput{KnowledgeBaseSummaries: make([]api.KnowledgeBaseSummary, 0, len(p.Records)), NextToken: optional.Of(p.Next)}
		for i := range p.Records {
			rec := &p.Records[i]
			if rec.Sealed != nil {
				return rec.Sealed
			}
			b := &rec.Body
			out.KnowledgeBaseSummaries = append(out.KnowledgeBaseSummaries, api.KnowledgeBaseSummary{
				KnowledgeBaseId: rec.ID, Name: b.Name, Description: optional.Of(b.Description), Status: b.State.At(tx.Now, r.cfg.Transition), UpdatedAt: b.Changed,
			})
		}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// UpdateKnowledgeBase replaces name, description and role: a description that is left
// out goes. Model and store are those of the chunks that are there, so they cannot
// change; only the ARN of the model may become another one of the same base model, as
// that of its provisioned throughput. A storageConfiguration that is left out is the
// one that is there, since it can be no other.
func (r KnowledgeBases) UpdateKnowledgeBase(ctx context.Context, in *api.UpdateKnowledgeBaseInput) (*api.UpdateKnowledgeBaseOutput, error) {
	c, key := at(ctx, in.KnowledgeBaseId)
	if err := checkBase(in.KnowledgeBaseConfiguration, in.StorageConfiguration); err != nil {
		return nil, err
	}
	old, err := r.Base(ctx, key.Account, key.Region, key.ID)
	if err != nil {
		return nil, err
	}
	if !baseStates.Can(old.Status, update) {
		return nil, baseBusy(key.ID, old.Status)
	}
	model, err := r.sameModel(ctx, old, in.KnowledgeBaseConfiguration)
	if err != nil {
		return nil, err
	}
	if in.StorageConfiguration != nil && !equal(in.StorageConfiguration, old.Storage) {
		return nil, invalid("storageConfiguration", "The storageConfiguration of a knowledge base cannot be changed. Send the one it has, or create another knowledge base.")
	}
	if in.RoleArn != old.Role && r.cfg.Roles != nil {
		if err := r.cfg.Roles.Pass(ctx, in.RoleArn, baseARN(c, key.ID)); err != nil {
			return nil, err
		}
	}
	var out *api.UpdateKnowledgeBaseOutput
	err = r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, key)
		if err != nil {
			return err
		}
		b := &rec.Body
		if b.Role != old.Role || b.Model != old.Model { // what was compared with is gone
			return errEdited
		}
		now := b.State.At(tx.Now, r.cfg.Transition)
		if b.State, err = passing(now, update, tx.Now); err != nil {
			return baseBusy(key.ID, now)
		}
		b.Name, b.Description, b.Role, b.Config, b.Model = in.Name, optional.Value(in.Description), in.RoleArn, in.KnowledgeBaseConfiguration, model
		b.Reasons, b.Changed = nil, later(tx.Now, b.Changed)
		rec.Name = in.Name
		if rec, err = bases.Put(tx, rec); err != nil {
			return taken(err, "KnowledgeBase", in.Name)
		}
		out = &api.UpdateKnowledgeBaseOutput{KnowledgeBase: r.view(c, tx, &rec)}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// sameModel is the model of a knowledge base under the name that an update gives it,
// or a refusal when it names another one.
func (r *Room) sameModel(ctx context.Context, old *Base, conf *api.KnowledgeBaseConfiguration) (Embedding, error) {
	model := old.Model
	want := *conf.VectorKnowledgeBaseConfiguration
	if have := old.Config.VectorKnowledgeBaseConfiguration; want.EmbeddingModelArn != have.EmbeddingModelArn {
		found, err := r.cfg.Models.Embedding(ctx, want.EmbeddingModelArn, dimensions(conf))
		if err != nil {
			return model, err
		}
		if found.ID != old.Model.ID {
			return model, invalid("knowledgeBaseConfiguration", "The embedding model of a knowledge base cannot be changed: it has %s, and %s is another model. Create another knowledge base.", have.EmbeddingModelArn, want.EmbeddingModelArn)
		}
		// Weights and dimension stay those of the chunks.
		model.ARN, want.EmbeddingModelArn = found.ARN, have.EmbeddingModelArn
	}
	rest := *conf
	rest.VectorKnowledgeBaseConfiguration = &want
	if !equal(&rest, &old.Config) {
		return model, invalid("knowledgeBaseConfiguration", "The knowledgeBaseConfiguration of a knowledge base cannot be changed. Send the one it has, or create another knowledge base.")
	}
	return model, nil
}

// equal compares configurations by what they say.
func equal[T any](a, b *T) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}

// DeleteKnowledgeBase begins to remove a knowledge base with its data sources. Agents
// that refer to it do not stand in the way; they keep a reference to nothing.
func (r KnowledgeBases) DeleteKnowledgeBase(ctx context.Context, in *api.DeleteKnowledgeBaseInput) (*api.DeleteKnowledgeBaseOutput, error) {
	c, key := at(ctx, in.KnowledgeBaseId)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, key)
		if err != nil {
			return err
		}
		b := &rec.Body
		now := b.State.At(tx.Now, r.cfg.Transition)
		if b.State, err = passing(now, remove, tx.Now); err != nil {
			return baseBusy(key.ID, now)
		}
		b.Reasons, b.Changed = nil, later(tx.Now, b.Changed)
		if _, err := bases.Put(tx, rec); err != nil {
			return err
		}
		list, err := sourcesOf(tx, key)
		if err != nil {
			return err
		}
		for _, s := range list { // nothing may be read into it any more
			if s.Body.Status == api.DataSourceStatusDeleting {
				continue
			}
			s.Body.Status, s.Body.Reasons = api.DataSourceStatusDeleting, nil
			if _, err := sources.Put(tx, s); err != nil {
				return err
			}
		}
		return r.enqueueDeletion(tx, c, key, "")
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteKnowledgeBaseOutput{KnowledgeBaseId: key.ID, Status: api.KnowledgeBaseStatusDeleting}, nil
}
