package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// add writes a version and gives it stages; the caller puts r.
func add(tx *store.Tx, r *store.Record[body], id string, v Value, stages []string) error {
	key := store.Key{Account: r.Account, Region: r.Region, Parent: r.ID, ID: id}
	if _, err := versions.Create(tx, key, v, store.Columns{KeyARN: r.Body.Key}); err != nil {
		return err
	}
	if r.Body.Versions == nil {
		r.Body.Versions = map[string]*version{}
	}
	r.Body.Versions[id] = &version{Created: tx.Now, Key: r.Body.Key}
	r.Body.Changed = tx.Now
	for _, stage := range stages {
		move(&r.Body, stage, id)
	}
	return prune(tx, r)
}

// move gives a stage to a version; with AWSCURRENT the version that had it becomes
// AWSPREVIOUS.
func move(b *body, stage, to string) {
	if b.Stages == nil {
		b.Stages = map[string]string{}
	}
	from := b.Stages[stage]
	b.Stages[stage] = to
	if stage == Current && from != "" && from != to {
		b.Stages[Previous] = from
	}
	if stage == Current && b.Stages[Previous] == to {
		delete(b.Stages, Previous)
	}
}

// prune deletes the oldest versions without a stage beyond maxVersions.
func prune(tx *store.Tx, r *store.Record[body]) error {
	if len(r.Body.Versions) <= maxVersions {
		return nil
	}
	staged := map[string]bool{}
	for _, id := range r.Body.Stages {
		staged[id] = true
	}
	var loose []string
	for id := range r.Body.Versions {
		if !staged[id] {
			loose = append(loose, id)
		}
	}
	slices.SortFunc(loose, func(a, b string) int {
		return cmp.Or(r.Body.Versions[a].Created.Compare(r.Body.Versions[b].Created), strings.Compare(a, b))
	})
	for _, id := range loose[:max(0, len(loose)-maxVersions)] {
		delete(r.Body.Versions, id)
		if err := versions.Delete(tx, store.Key{Account: r.Account, Region: r.Region, Parent: r.ID, ID: id}); err != nil {
			return err
		}
	}
	return nil
}

// Got is a version that was read.
type Got struct {
	Secret  Secret
	Version Version
	Value   Value
}

// Value reads a version: by id, by stage, or both; neither is AWSCURRENT.
func (s *Service) Value(ctx context.Context, c kms.Caller, id, versionID, stage string) (Got, error) {
	if versionID == "" && stage == "" {
		stage = Current
	}
	cond := map[string][]string{}
	if stage != "" {
		cond["secretsmanager:VersionStage"] = []string{stage}
	}
	if versionID != "" {
		cond["secretsmanager:VersionId"] = []string{versionID}
	}
	var r store.Record[body]
	var v store.Record[Value]
	var now time.Time
	c.Via = via(c)
	err := s.store.View(kms.As(ctx, kms.Asking{Caller: c}), func(tx *store.Tx) (err error) {
		now = tx.Now
		if r, err = s.find(tx, c, id, "secretsmanager:GetSecretValue", cond); err != nil {
			return err
		}
		if err := marked(&r); err != nil {
			return err
		}
		at := versionID
		if at == "" {
			if at = r.Body.Stages[stage]; at == "" {
				return apierr.New(apierr.ResourceNotFound, "Secrets Manager can't find the specified secret value for staging label: %s", stage)
			}
		}
		if r.Body.Versions[at] == nil {
			return apierr.New(apierr.ResourceNotFound, "Secrets Manager can't find the specified secret value for VersionId: %s", at)
		}
		if stage != "" && r.Body.Stages[stage] != at {
			return apierr.New(InvalidRequest, "You provided a VersionStage that is not associated to the provided VersionId.")
		}
		v, err = versions.Get(tx, store.Key{Account: r.Account, Region: r.Region, Parent: r.ID, ID: at})
		return err
	})
	if err != nil {
		return Got{}, public(err, DecryptionFailure)
	}
	if today := now.Truncate(day); !r.Body.Accessed.Equal(today) || !r.Body.Versions[v.ID].Accessed.Equal(today) {
		if err := s.accessed(ctx, r.Key, v.ID, today); err != nil {
			return Got{}, err
		}
	}
	out := Got{Secret: of(r), Value: v.Body}
	for _, x := range out.Secret.Versions {
		if x.ID == v.ID {
			out.Version = x
		}
	}
	return out, nil
}

// accessed notes the day of a read: a write for the first read of a day.
func (s *Service) accessed(ctx context.Context, key store.Key, versionID string, today time.Time) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		r, err := secrets.Get(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Body.Accessed = today
		if v := r.Body.Versions[versionID]; v != nil {
			v.Accessed = today
		}
		_, err = secrets.Put(tx, r)
		return err
	})
}

// Put adds a version with stages, AWSCURRENT when there are none, and answers it.
func (s *Service) Put(ctx context.Context, c kms.Caller, id, token string, v Value, stages []string) (Secret, Version, error) {
	if !v.given() {
		return Secret{}, Version{}, apierr.New(InvalidParameter, "You must provide either SecretString or SecretBinary.")
	}
	return s.put(ctx, c, id, "secretsmanager:PutSecretValue", token, v, stages, nil)
}

// UpdateInput changes a secret; what is nil stays.
type UpdateInput struct {
	Description, Key, Type *string
	Token                  string
	Value                  Value // a new AWSCURRENT version when given
}

// Update changes a secret's description, key and current value. A new key seals
// the versions that come after; a version with a key of before stays under it.
func (s *Service) Update(ctx context.Context, c kms.Caller, id string, in UpdateInput) (Secret, Version, error) {
	var key string
	if in.Key != nil {
		var err error
		if key, err = s.keyOf(ctx, c, *in.Key); err != nil {
			return Secret{}, Version{}, err
		}
	}
	return s.put(ctx, c, id, "secretsmanager:UpdateSecret", in.Token, in.Value, nil, func(b *body) {
		if in.Description != nil {
			b.Description = *in.Description
		}
		if in.Type != nil {
			b.Type = *in.Type
		}
		if in.Key != nil {
			b.Key = key
		}
	})
}

func (s *Service) put(ctx context.Context, c kms.Caller, id, action, token string, v Value, stages []string, change func(*body)) (Secret, Version, error) {
	if err := v.check(); err != nil {
		return Secret{}, Version{}, err
	}
	if token == "" {
		b := make([]byte, 16)
		if _, err := io.ReadFull(s.random, b); err != nil {
			return Secret{}, Version{}, fmt.Errorf("read random bytes: %w", err)
		}
		token = uuid([16]byte(b))
	}
	if len(stages) == 0 {
		stages = []string{Current}
	}
	// The encryption context names the secret, which is known only by its name yet.
	at := ""
	err := s.store.View(ctx, func(tx *store.Tx) error {
		r, err := s.find(tx, c, id, action, nil)
		at = secretARN(r.Account, r.Region, r.ID)
		return err
	})
	if err != nil {
		return Secret{}, Version{}, err
	}
	var r store.Record[body]
	err = s.store.Update(as(ctx, c, at, token), func(tx *store.Tx) (err error) {
		if r, err = s.find(tx, c, id, action, nil); err != nil {
			return err
		}
		if err := marked(&r); err != nil {
			return err
		}
		if change != nil {
			change(&r.Body)
			r.Body.Changed = tx.Now
		}
		if v.given() {
			switch {
			case r.Body.Versions[token] == nil:
				if err := add(tx, &r, token, v, stages); err != nil {
					return err
				}
			case !same(tx, &r, token, v):
				return apierr.New(Exists, "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, at)
			}
		}
		if len(r.Body.Stages) > maxStages {
			return apierr.New(LimitExceeded, "A secret can have %d staging labels.", maxStages)
		}
		r, err = secrets.Put(tx, r)
		return err
	})
	if err != nil {
		return Secret{}, Version{}, public(err, EncryptionFailure)
	}
	out := of(r)
	for _, x := range out.Versions {
		if x.ID == token {
			return out, x, nil
		}
	}
	return out, Version{}, nil
}

// MoveStage moves a stage to a version and takes it from another; either may be
// "". The version that has the stage must be named in from when to is given.
func (s *Service) MoveStage(ctx context.Context, c kms.Caller, id, stage, from, to string) (Secret, error) {
	return s.edit(ctx, c, id, "secretsmanager:UpdateSecretVersionStage", map[string][]string{"secretsmanager:VersionStage": {stage}}, func(tx *store.Tx, r *store.Record[body]) error {
		if err := marked(r); err != nil {
			return err
		}
		for _, v := range []string{from, to} {
			if v != "" && r.Body.Versions[v] == nil {
				return apierr.New(apierr.ResourceNotFound, "Secrets Manager can't find the specified secret version: %s.", v)
			}
		}
		holder := r.Body.Stages[stage]
		if from != "" && from != holder {
			return apierr.New(InvalidParameter, "The staging label %s isn't attached to version %s.", stage, from)
		}
		switch {
		case to == "" && from == "":
			return apierr.New(InvalidParameter, "You must provide RemoveFromVersionId or MoveToVersionId.")
		case to == "" && stage == Current:
			return apierr.New(InvalidParameter, "You can only move staging label %s to a different secret version. It can't be completely removed.", Current)
		case to == "":
			delete(r.Body.Stages, stage)
		case holder != "" && holder != to && from == "":
			return apierr.New(InvalidParameter, "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", stage, holder)
		default:
			move(&r.Body, stage, to)
		}
		r.Body.Changed = tx.Now
		return nil
	})
}

// edit asks for action and writes what change makes of the secret.
func (s *Service) edit(ctx context.Context, c kms.Caller, id, action string, cond map[string][]string, change func(*store.Tx, *store.Record[body]) error) (Secret, error) {
	var r store.Record[body]
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if r, err = s.find(tx, c, id, action, cond); err != nil {
			return err
		}
		if err := change(tx, &r); err != nil {
			return err
		}
		r, err = secrets.Put(tx, r)
		return err
	})
	if err != nil {
		return Secret{}, err
	}
	return of(r), nil
}
