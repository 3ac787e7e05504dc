package build

import (
	"context"
	"crypto/sha256"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// readPart reads what hangs on an agent: the rows of the draft, or what the package
// of a version holds.
func readPart[T any](ctx context.Context, r *Room, agentID, version string, k store.Kind[T], of func(*packageRow) []store.Record[T]) ([]store.Record[T], error) {
	_, key := at(ctx, agentID)
	var list []store.Record[T]
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		if version == draftVersion {
			if _, err := agents.Head(tx, key); err != nil {
				return err
			}
			list, err = all(tx, k, key)
			return err
		}
		key.Version = version
		rec, err := agents.Get(tx, key)
		if err != nil {
			return err
		}
		key.Version = ""
		p, err := packages.Get(tx, inside(key, rec.Body.Package))
		if err != nil {
			return err
		}
		list = of(&p.Body)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return list, nil
}

// cursors binds places in the short lists inside an agent to their query. A place is
// no secret and is checked when it comes back, so the key need not be one.
var cursors = func() page.Signer {
	key := sha256.Sum256([]byte("outcrop lists inside an agent"))
	s, err := page.NewSigner(key[:])
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}()

// listPart is one page of readPart. A place is the last row's creation and id, so
// that pages stay whole when rows come and go.
func listPart[T any](ctx context.Context, r *Room, agentID, version string, max *int, next *string, k store.Kind[T], of func(*packageRow) []store.Record[T]) ([]store.Record[T], *string, error) {
	list, err := readPart(ctx, r, agentID, version, k, of)
	if err != nil {
		return nil, nil, err
	}
	binding := []byte(strings.Join([]string{k.Name, agentID, version}, "\x00"))
	place := func(rec *store.Record[T]) string {
		return strconv.FormatInt(rec.Created.UnixMicro(), 10) + "/" + rec.ID
	}
	if next != nil {
		raw, err := cursors.Open(binding, *next)
		if err != nil {
			return nil, nil, failure(store.ErrBadCursor)
		}
		for len(list) > 0 && len(place(&list[0])) <= len(raw) && place(&list[0]) <= string(raw) {
			list = list[1:]
		}
	}
	size := page.Few(max)
	if len(list) <= size {
		return list, nil, nil
	}
	return list[:size], new(cursors.Seal(binding, []byte(place(&list[size-1])))), nil
}
