package kms

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// PollInterval is how often Run looks for what other replicas have written, for
// keys that are due to be destroyed and for material that is due to be rotated.
const PollInterval = time.Second

// counter is raised by every change of keys, aliases and grants.
const counter = "kms"

// Policies decides by key policies and by the policies of identities.
type Policies interface {
	// Decide answers the question, Allow with the denial in AWS's words.
	Decide(q *iam.Question) policy.Decision
	Allow(q *iam.Question) error
	// Snapshot has the users and roles that policies and grants may name.
	Snapshot() *iam.Snapshot
}

var _ Policies = (*iam.Identity)(nil)

// Config configures a Service. Store and Policies are required.
type Config struct {
	Store    *store.Store
	Policies Policies
	Now      func() time.Time // service clock; time.Now when nil. It should be the store's
	Random   io.Reader        // of keys, ids and salts; crypto/rand when nil
	Logger   *slog.Logger     // discards when nil
}

// Service is the key service. It is safe for concurrent use.
type Service struct {
	store    *store.Store
	policies Policies
	now      func() time.Time
	random   io.Reader
	log      *slog.Logger

	write sync.Mutex // one writer of this process at a time
	mu    sync.RWMutex
	state state
}

// New loads the keys. Give the result to Sealer.Use, and run Run.
func New(ctx context.Context, c Config) (*Service, error) {
	if c.Store == nil || c.Policies == nil {
		return nil, errors.New("kms: Config.Store and Config.Policies are required")
	}
	s := &Service{
		store: c.Store, policies: c.Policies, now: c.Now, random: c.Random,
		log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Caller is who asks, and from where.
type Caller struct {
	Principal *iam.Principal
	// Service is the principal when Principal is nil: bedrock.amazonaws.com works
	// for itself, as far as a key policy or a grant allows.
	Service         string
	Account, Region string
	// Via is the service that uses the key for the caller, kms:ViaService:
	// s3.us-east-1.amazonaws.com. Empty for direct calls.
	Via string
	// Keys are further condition keys, such as aws:SourceIp.
	Keys map[string][]string
}

// CallerOf is the caller of the running request. Outside of a request it is
// nobody, who may do nothing.
func CallerOf(ctx context.Context) Caller {
	c := call.From(ctx)
	p, _ := c.Caller.(*iam.Principal)
	out := Caller{Principal: p, Account: c.Account, Region: c.Region}
	if c.SourceIP != "" {
		out.Keys = map[string][]string{"aws:SourceIp": {c.SourceIP}, "aws:UserAgent": {c.UserAgent}, "aws:RequestedRegion": {c.Region}}
	}
	return out
}

// Run polls until ctx ends: it takes in what other replicas wrote, destroys keys
// whose time has come and rotates material. A round that fails is logged and tried
// again.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(PollInterval)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := errors.Join(s.Refresh(ctx), s.Sweep(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing {
			s.log.LogAttrs(ctx, slog.LevelError, "keys cannot be refreshed", slog.Any("error", err))
		}
		failing = err != nil
	}
}

// Refresh loads the keys when another replica has changed them.
func (s *Service) Refresh(ctx context.Context) error {
	var v int64
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		v, err = tx.Counter(counter)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the version of the keys: %w", err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.RLock()
	known := s.state.version
	s.mu.RUnlock()
	if v == known {
		return nil
	}
	return s.load(ctx)
}

// Sweep destroys the keys whose waiting period is over, with their grants and
// aliases, and rotates material that is due, by the service clock.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	var due, stale []*Key
	s.mu.RLock()
	for _, k := range s.state.keys {
		switch {
		case k.State() == StatePending && !k.Deletion().After(now):
			due = append(due, k)
		case k.State() == StateEnabled && k.Rotation().Enabled && !k.Rotation().Next.After(now):
			stale = append(stale, k)
		}
	}
	s.mu.RUnlock()
	var errs []error
	for _, k := range due {
		errs = append(errs, s.destroy(ctx, k.ID()))
	}
	for _, k := range stale {
		errs = append(errs, s.rotate(ctx, k.ID()))
	}
	return errors.Join(errs...)
}

func (s *Service) destroy(ctx context.Context, id string) error {
	gone := false
	err := s.update(ctx, func(w *writer) error {
		k := w.s.state.keys[id]
		if gone = k != nil && k.State() == StatePending && !k.Deletion().After(w.tx.Now); !gone {
			return nil // cancelled meanwhile
		}
		for _, a := range w.s.state.named[id] {
			if err := w.dropAlias(a); err != nil {
				return err
			}
		}
		for _, g := range w.s.state.grants[id] {
			if err := w.dropGrant(g); err != nil {
				return err
			}
		}
		return w.dropKey(k)
	})
	if err != nil || !gone {
		return err
	}
	// The sealed material must not outlive the key in the database's files.
	if err := s.store.Driver().Scrub(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("destroy key %s: %w", id, err)
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "key destroyed", slog.String("key", id))
	return nil
}

func (s *Service) rotate(ctx context.Context, id string) error {
	return s.update(ctx, func(w *writer) error {
		k := w.s.state.keys[id]
		if k == nil || k.State() != StateEnabled || !k.Rotation().Enabled || k.Rotation().Next.After(w.tx.Now) {
			return nil
		}
		rec := k.clone()
		m, err := s.newMaterial(w.tx.Now)
		if err != nil {
			return err
		}
		rec.Body.Materials = append(rec.Body.Materials, m)
		rec.Body.Rotation.Next = w.tx.Now.Add(time.Duration(rec.Body.Rotation.Days) * day)
		return w.putKey(rec)
	})
}
