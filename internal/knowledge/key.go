package knowledge

import (
	"context"
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// sealKey is the customer key of an index, given the data sources of its knowledge base
// from the oldest on.
//
// The built-in index has one data key, which one customer key can wrap, but each data
// source may name a customer key. The rule: the index is sealed with the key of the
// oldest data source that names one, and with the house's own when none does. When data
// sources with keys come, change or go, the index is sealed anew in the name of the
// service role, which so needs kms:Decrypt under the old key and kms:GenerateDataKey
// under the new one; what the role is refused refuses the change.
func sealKey(list []store.Record[sourceRow]) string {
	for i := range list {
		if key := list[i].Body.key(); key != "" {
			return key
		}
	}
	return ""
}

// change is a change of the data sources of a knowledge base.
type change struct {
	base   store.Key
	source string // its id, for texts
	// after answers the data sources as they will be; it may change list.
	after func(list []store.Record[sourceRow]) []store.Record[sourceRow]
	// write does it.
	write func(tx *store.Tx, base *store.Record[baseRow]) error
	// commit runs a transaction; nil is Update of the store.
	commit func(ctx context.Context, fn func(tx *store.Tx) error) error
}

// apply does a change, and before it seals the index anew where the change makes another
// key the one of sealKey: no chunk is ever under a weaker key than the rows say.
func (r *Room) apply(ctx context.Context, c change) error {
	b, want, err := r.foresee(ctx, c)
	if err != nil {
		return err
	}
	resealed := false
	if want != b.KeyARN {
		r.sealing.Lock()
		defer r.sealing.Unlock()
		if b, want, err = r.foresee(ctx, c); err != nil {
			return err
		}
		if resealed = want != b.KeyARN; resealed {
			if err := r.reseal(ctx, b, want); err != nil {
				return sealFailed(b, want, c.source, err)
			}
		}
	}
	if c.commit == nil {
		c.commit = r.cfg.Store.Update
	}
	err = c.commit(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, c.base)
		if err != nil {
			return err
		}
		if err := c.write(tx, &rec); err != nil {
			return err
		}
		list, err := sourcesOf(tx, c.base)
		if err != nil {
			return err
		}
		if sealKey(list) != want { // others came in between
			return errEdited
		}
		if rec.Body.Key == want {
			return nil
		}
		rec.Body.Key = want
		_, err = bases.Put(tx, rec)
		return err
	})
	if err != nil && resealed {
		r.unseal(context.WithoutCancel(ctx), c.base)
	}
	return err
}

// foresee answers the knowledge base and the key that its index has after the change.
func (r *Room) foresee(ctx context.Context, c change) (b *Base, want string, err error) {
	err = r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		rec, err := bases.Get(tx, c.base)
		if err != nil {
			return err
		}
		list, err := sourcesOf(tx, c.base)
		if err != nil {
			return err
		}
		b, want = r.baseOf(&rec, tx.Now), sealKey(c.after(list))
		return nil
	})
	return b, want, err
}

// reseal seals the index of b with another key, in the name of its role.
func (r *Room) reseal(ctx context.Context, b *Base, key string) error {
	if _, served := r.cfg.Indexes.Capabilities(b); !served {
		return nil // there is no index
	}
	ctx, _, err := r.Acting(ctx, b)
	if err != nil {
		return err
	}
	next := *b
	next.KeyARN = key
	return r.cfg.Indexes.Rekey(ctx, &next)
}

// unseal takes a change of key back that led to no row.
func (r *Room) unseal(ctx context.Context, base store.Key) {
	b, err := r.Base(ctx, base.Account, base.Region, base.ID)
	if err == nil {
		err = r.reseal(ctx, b, b.KeyARN)
	}
	if err != nil && apierr.KindOf(err) != apierr.ResourceNotFound {
		r.cfg.Log.WarnContext(ctx, "an index stays sealed with a key that its data sources do not name", "base", base.ID, "error", err)
	}
}

// sealFailed says why a key of a data source concerns the whole index.
func sealFailed(b *Base, want, source string, err error) error {
	kind, cause := apierr.Validation, ""
	if refused := kms.Refusal(err); refused != nil {
		kind, cause = refused.Kind, refused.Message
	} else if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Kind == apierr.AccessDenied {
			kind = e.Kind
		}
		cause = e.Message
	} else {
		return fmt.Errorf("seal the index of knowledge base %s with key %q: %w", b.ID, want, err)
	}
	to := "the key " + want
	if want == "" {
		to = "the key of the house"
	}
	return apierr.Wrap(kind, err, "The index of the knowledge base %s could not be sealed with %s. An index is sealed with the key of the oldest data source that names one, in the name of the role %s, and the change of the data source %s changes which key that is: %s", b.ID, to, b.Role, source, cause)
}
