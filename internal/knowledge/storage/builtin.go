package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Name is the embedded index of a knowledge base; ok is false where it has none.
func Name(b *knowledge.Base) (n vector.Name, ok bool) {
	n = vector.Name{Account: b.Account, Region: b.Region, ID: "kb-" + b.ID}
	if b.Storage == nil {
		return n, true
	}
	c := b.Storage.OpensearchServerlessConfiguration
	if c == nil {
		return vector.Name{}, false
	}
	sum := sha256.Sum256([]byte(c.CollectionArn + "\x00" + c.VectorIndexName))
	n.ID = "aoss-" + hex.EncodeToString(sum[:20])
	return n, true
}

// definition is what the embedded index of a knowledge base is made with.
func definition(b *knowledge.Base) vector.Definition {
	n, _ := Name(b)
	return vector.Definition{Name: n, Dimension: b.Model.Dimension, Metric: vector.Cosine, Model: b.Model.Hash, KeyARN: b.KeyARN}
}

// mayCollection asks for what a role needs to reach its collection.
func (i *Indexes) mayCollection(ctx context.Context, b *knowledge.Base) error {
	if b.Storage == nil {
		return nil
	}
	return i.may(ctx, "aoss:APIAccessAll", b.Storage.OpensearchServerlessConfiguration.CollectionArn)
}

// openEmbedded opens the index of a knowledge base if it was made for the same model.
func (i *Indexes) openEmbedded(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	if err := i.mayCollection(ctx, b); err != nil {
		return nil, err
	}
	want := definition(b)
	x, err := i.cfg.Embedded.Open(place(ctx, b), want.Name)
	if x, err = in(b, x, err); err != nil {
		return nil, err
	}
	// The key is that of whoever shares it: Rekey changes it.
	have := x.Definition()
	switch {
	case have.Dimension != want.Dimension:
		err = fmt.Errorf("%w: its vectors have %d numbers, those of the embedding model %d", vector.ErrMismatch, have.Dimension, want.Dimension)
	case have.Model != want.Model:
		err = fmt.Errorf("%w: another embedding model than %s fills it", vector.ErrMismatch, b.Model.ARN)
	default:
		return x, nil
	}
	_ = x.Close() // gives a handle back, which cannot fail
	return nil, err
}

// claimed is how long an index that was made is kept for a knowledge base that has no
// row yet.
const claimed = 15 * time.Minute

func (i *Indexes) createEmbedded(ctx context.Context, b *knowledge.Base) (vector.Index, error) {
	i.life.Lock()
	defer i.life.Unlock()
	x, err := i.openEmbedded(ctx, b)
	if errors.Is(err, vector.ErrNotFound) {
		x, err = i.cfg.Embedded.Create(place(ctx, b), definition(b))
		x, err = in(b, x, err)
	}
	if err != nil {
		return nil, err
	}
	n := x.Definition().Name
	if i.claims[n] == nil {
		i.claims[n] = map[string]time.Time{}
	}
	i.claims[n][b.ID] = i.cfg.Now()
	return x, nil
}

// Rekey seals the embedded index with b.KeyARN from now on; others have no key of a
// knowledge base. An index that several share has the one key that any of them names:
// it goes when nobody names it any more, and a second one is refused.
func (i *Indexes) Rekey(ctx context.Context, b *knowledge.Base) error {
	n, ok := Name(b)
	if !ok || i.served(b) != nil {
		return nil
	}
	x, err := i.openEmbedded(ctx, b)
	if err != nil {
		return wrong(err)
	}
	defer func() { _ = x.Close() }() // gives a handle back, which cannot fail
	others, err := i.sharing(ctx, b, n)
	if err != nil {
		return err
	}
	want := b.KeyARN
	for _, o := range others {
		switch {
		case o.KeyARN == "" || o.KeyARN == want: // who names none takes that of the others
		case want == "":
			want = o.KeyARN
		default:
			return refusal("The knowledge base %s shares the index, and its data sources name another key: the index can have one key only.", o.ID)
		}
	}
	if x.Definition().KeyARN == want {
		return nil
	}
	return rekey(ctx, x, want)
}

// sharing are the other knowledge bases that name the same embedded index.
func (i *Indexes) sharing(ctx context.Context, b *knowledge.Base, n vector.Name) ([]*knowledge.Base, error) {
	if b.Storage == nil || i.cfg.Bases == nil {
		return nil, nil
	}
	all, err := i.cfg.Bases(ctx, b.Account, b.Region)
	if err != nil {
		return nil, fmt.Errorf("look for knowledge bases that share the index %s: %w", n, err)
	}
	var out []*knowledge.Base
	for _, o := range all {
		if at, ok := Name(o); ok && at == n && o.ID != b.ID {
			out = append(out, o)
		}
	}
	return out, nil
}

// Release drops the embedded index of a knowledge base that is gone: one of its own
// always, since nobody could name it any more; one that a configuration names if it is
// empty and nobody else names it. Documents that were kept (RETAIN) keep that index.
func (i *Indexes) Release(ctx context.Context, b *knowledge.Base) error {
	n, ok := Name(b)
	if !ok {
		return nil
	}
	i.life.Lock()
	defer i.life.Unlock()
	i.unclaim(n, b.ID)
	switch {
	case len(i.claims[n]) > 0:
		return nil
	case b.Storage == nil:
		return i.cfg.Embedded.Drop(ctx, n)
	case i.cfg.Bases == nil:
		return nil
	}
	others, err := i.sharing(ctx, b, n)
	if err != nil || len(others) > 0 {
		return err
	}
	ctx = place(ctx, b)
	x, err := i.cfg.Embedded.Open(ctx, n)
	if errors.Is(err, vector.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release the index %s: %w", n, err)
	}
	docs, err := x.Documents(ctx, "", "", 1)
	_ = x.Close() // gives a handle back, which cannot fail
	if err != nil {
		return fmt.Errorf("release the index %s: %w", n, err)
	}
	if len(docs) > 0 {
		i.log.InfoContext(ctx, "an index keeps the documents of a knowledge base that is gone", "index", n.String(), "base", b.ID)
		return nil
	}
	return i.cfg.Embedded.Drop(ctx, n)
}

// unclaim forgets who made an index, and who did so long ago that it has a row by now
// or never will. i.life is held.
func (i *Indexes) unclaim(n vector.Name, id string) {
	for who, at := range i.claims[n] {
		if who == id || i.cfg.Now().Sub(at) > claimed {
			delete(i.claims[n], who)
		}
	}
	if len(i.claims[n]) == 0 {
		delete(i.claims, n)
	}
}

// reason is an error's text from its sentinel on, without the paths around it.
func reason(err error) string {
	text := err.Error()
	for _, s := range []error{vector.ErrMismatch, vector.ErrInvalid, vector.ErrNotFound} {
		if errors.Is(err, s) {
			if at := strings.Index(text, s.Error()); at >= 0 {
				return strings.TrimPrefix(text[at:], "vector: ")
			}
		}
	}
	return text
}
