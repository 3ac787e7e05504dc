package kmstest

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// House is a store with a key service and the identities that it asks.
type House struct {
	Identity *iam.Identity
	Store    *store.Store
	Sealer   *kms.Sealer
	Keys     *kms.Service
}

// Open opens a House in a folder, which may be one that was used before. Without an
// identity it makes one. Its store is closed when the test ends; closing it before does
// no harm.
func Open(t testing.TB, dir string, identity *iam.Identity) *House {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	h := &House{Identity: identity}
	var err error
	if identity == nil {
		h.Identity, err = iam.New(ctx, iam.Config{Store: &iam.MemoryStore{}})
		check(err)
	}
	d, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	check(err)
	local, err := store.OpenLocalSealer(dir)
	check(err)
	h.Sealer = kms.NewSealer(local, kms.Contexts())
	h.Store, err = store.Open(ctx, store.Config{Driver: d, Sealer: h.Sealer})
	check(err)
	t.Cleanup(func() {
		if err := h.Store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	h.Keys, err = kms.New(ctx, kms.Config{Store: h.Store, Policies: h.Identity})
	check(err)
	h.Sealer.Use(h.Keys)
	return h
}

// Admin is the administrator in a Region.
func (h *House) Admin(region string) kms.Caller {
	k, _ := h.Identity.AdminKey()
	c, _ := h.Identity.Credential(k.ID)
	return kms.Caller{Principal: c.Principal, Account: iam.DefaultAccount, Region: region}
}
