package knowledge

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// All answers the knowledge bases of an account in a Region, those that are being deleted
// among them, as far as their rows can be read: what stores ask that share an index.
func (r *Room) All(ctx context.Context, account, region string) ([]*Base, error) {
	var out []*Base
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		list, err := bases.All(tx, store.Query{Account: account, Region: region})
		for i := range list {
			out = append(out, r.baseOf(&list[i], tx.Now))
		}
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}
