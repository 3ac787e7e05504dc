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
		q := store.Query{Account: account, Region: region, Limit: 1000}
		for {
			page, err := bases.List(tx, q)
			if err != nil {
				return err
			}
			for i := range page.Records {
				out = append(out, r.baseOf(&page.Records[i], tx.Now))
			}
			if page.Next == "" {
				return nil
			}
			q.Cursor = page.Next
		}
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}
