package catalog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// The life of access to one model in one account and Region:
//
//	NOT_AVAILABLE ── agreement created ──▶ PENDING ── transition ──▶ AVAILABLE
//	      ▲                                                             │
//	      └── transition (access still honoured) ◀── agreement deleted ─┘
//
// Only the last change is kept, with its instant and what held before it: the
// state is computed from the clock, so no timer can be lost.

// agreement is the record of the last change of access to a base model. Its id
// is the model's; its status, time and class say all that Resolve needs.
type agreement struct {
	OfferToken string    `json:"offerToken,omitempty"`
	At         time.Time `json:"at"`
}

var agreements = store.Kind[agreement]{Name: "model-agreement", SharedNames: true}

// Values of a row's Status and Class.
const (
	agreed      = "agreed"
	ended       = "ended"
	hadAccess   = "had-access" // Class: access held before this change
	hadNoAccess = "had-no-access"
)

// useCase is the form that Anthropic models ask for.
type useCase struct {
	FormData []byte `json:"formData"`
}

var useCases = store.Kind[useCase]{Name: "model-use-case", SharedNames: true}

// theUseCase is the id of an account's one form.
const theUseCase = "form"

// access is what holds for a model now.
type access struct {
	entitled bool // it may be called
	pending  bool // an agreement was made and does not hold yet
	agreed   bool // there is an agreement, pending or not
	explicit bool // somebody made or ended an agreement
}

// accessOf computes what holds from the last change.
func (c *Catalog) accessOf(row accessRow, now time.Time) access {
	if row.status == "" {
		return access{entitled: !c.locked, agreed: !c.locked}
	}
	a := access{explicit: true, agreed: row.status == agreed, entitled: row.status == agreed}
	if now.Before(row.at.Add(c.transition)) {
		a.entitled = row.class == hadAccess
		a.pending = a.agreed && !a.entitled
	}
	return a
}

// entitled reports whether the account may call a model in a Region.
func (c *Catalog) entitled(ctx context.Context, account, region string, e *entry) (bool, error) {
	a, err := c.accessNow(ctx, account, region, e)
	return a.entitled, err
}

func (c *Catalog) accessNow(ctx context.Context, account, region string, e *entry) (access, error) {
	if c.store == nil {
		return c.accessOf(accessRow{}, c.now()), nil
	}
	row, err := c.access.get(ctx, c.store, accessKey{account, region, baseOf(e).ID})
	if err != nil {
		return access{}, err
	}
	return c.accessOf(row, c.now()), nil
}

func baseOf(e *entry) *entry {
	if e.variantOf != nil {
		return e.variantOf
	}
	return e
}

type accessKey struct{ account, region, model string }

// accessRow is the clear part of an agreement's row; zero when there is none.
type accessRow struct {
	status, class string
	at            time.Time
}

// accessTrust is how long a row is believed without looking again: the bound
// within which other replicas see a change.
const accessTrust = time.Second

// accessCache spares Resolve a database read for each call.
type accessCache struct {
	mu   sync.RWMutex
	gen  int // grows with every change of this process
	rows map[accessKey]cachedRow
}

type cachedRow struct {
	accessRow
	read time.Time
}

func (a *accessCache) get(ctx context.Context, s *store.Store, k accessKey) (accessRow, error) {
	a.mu.RLock()
	row, ok := a.rows[k]
	gen := a.gen
	a.mu.RUnlock()
	if ok && time.Since(row.read) < accessTrust {
		return row.accessRow, nil
	}
	row = cachedRow{read: time.Now()}
	err := s.View(ctx, func(tx *store.Tx) error {
		r, err := readAccess(tx, k)
		row.accessRow = r
		return err
	})
	if err != nil {
		return accessRow{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gen == gen { // nothing changed while we read
		if a.rows == nil || len(a.rows) >= maxFound {
			a.rows = map[accessKey]cachedRow{}
		}
		a.rows[k] = row
	}
	return row.accessRow, nil
}

func (a *accessCache) forget(k accessKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gen++
	delete(a.rows, k)
}

func readAccess(tx *store.Tx, k accessKey) (accessRow, error) {
	rec, err := agreements.Head(tx, store.Key{Account: k.account, Region: k.region, ID: k.model})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return accessRow{}, nil
	case err != nil:
		return accessRow{}, err
	}
	return accessRow{status: rec.Status, class: rec.Class, at: rec.Updated}, nil
}

// change writes a change of access and makes Resolve see it at once.
func (c *Catalog) change(tx *store.Tx, k accessKey, status string, before access, body agreement) error {
	cols := store.Columns{Name: k.model, Status: status, Class: hadNoAccess}
	if before.entitled {
		cols.Class = hadAccess
	}
	key := store.Key{Account: k.account, Region: k.region, ID: k.model}
	rec, err := agreements.Get(tx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		_, err = agreements.Create(tx, key, body, cols)
	case err == nil:
		rec.Columns, rec.Body = cols, body
		_, err = agreements.Put(tx, rec)
	}
	if err != nil {
		return err
	}
	tx.OnCommit(func() { c.access.forget(k) })
	return nil
}

// keeps refuses what needs a store when there is none.
func (c *Catalog) keeps() error {
	if c.store == nil {
		return apierr.New(apierr.InternalServer, "This server was started without a store and cannot keep model access or inference profiles.")
	}
	return nil
}

// failure turns an error of the store into what the caller sees; errors that are
// ready for the wire pass.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrTokenMismatch):
		return apierr.Wrap(apierr.Conflict, err, "The client request token was used before with different parameters. Use another token.")
	case errors.Is(err, store.ErrBadCursor):
		return apierr.Wrap(apierr.Validation, err, "The provided nextToken is invalid. Start again without it.")
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrBusy):
		return apierr.Wrap(apierr.Throttling, err, "The resource is being changed by another request. Try again.")
	}
	return err
}
