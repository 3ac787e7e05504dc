package store

import (
	"errors"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// all is the size of the pages by which All reads.
const all = 1000

// All reads every row that a query selects, whatever its limit; a row whose key refuses
// is an error. It is for what a quota keeps few.
func (k Kind[T]) All(tx *Tx, q Query) ([]Record[T], error) {
	q.Limit = all
	var out []Record[T]
	for {
		p, err := k.List(tx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range p.Records {
			if r.Sealed != nil {
				return nil, r.Sealed
			}
			out = append(out, r)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

// Failure words for the wire what a store answered about a resource, nil for an error
// that is no answer about one. missing is the text for one that is not there, busy for
// one that somebody else is changing.
func Failure(err error, missing, busy string) *apierr.Error {
	switch {
	case errors.Is(err, ErrNotFound):
		return apierr.New(apierr.ResourceNotFound, "%s", missing)
	case errors.Is(err, ErrTokenMismatch):
		return apierr.Wrap(apierr.Conflict, err, "The client token was used before with different parameters. Use another token.")
	case errors.Is(err, ErrBadCursor):
		return apierr.Wrap(apierr.Validation, err, "The provided nextToken is invalid. Start again without it.")
	case errors.Is(err, ErrInUse):
		return apierr.Wrap(apierr.Conflict, err, "The resource is in use by another one. Remove the reference first.")
	case errors.Is(err, ErrConflict), errors.Is(err, ErrBusy):
		return apierr.Wrap(apierr.Conflict, err, "%s", busy)
	}
	return nil
}
