package kms

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// reserved begins the aliases that only AWS's services make.
const reserved = "alias/aws/"

// managedServices have an AWS managed key that comes to be when it is first
// described or used.
var managedServices = []string{"s3", "secretsmanager", "lambda", "ssm"}

type aliasBody struct {
	KeyID string
}

// Alias is another name of a key.
type Alias struct{ rec store.Record[aliasBody] }

var aliases = store.Kind[aliasBody]{Name: "kms-alias"}

func newAlias(rec store.Record[aliasBody]) *Alias { return &Alias{rec} }

// Name begins with alias/.
func (a *Alias) Name() string { return a.rec.ID }

// ARN names the alias.
func (a *Alias) ARN() string { return aliasARN(a.rec.Account, a.rec.Region, a.rec.ID) }

// KeyID is the key that the alias stands for.
func (a *Alias) KeyID() string { return a.rec.Body.KeyID }

// Created and Updated say when.
func (a *Alias) Created() time.Time { return a.rec.Created }

// Updated says when the alias last got a key.
func (a *Alias) Updated() time.Time { return a.rec.Updated }

var aliasPattern = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

func checkAlias(name string) error {
	switch {
	case !strings.HasPrefix(name, "alias/"):
		return apierr.New(InvalidAliasName, "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	case strings.HasPrefix(name, reserved):
		return &apierr.Error{Kind: NotAuthorized} // AWS says no more
	case !aliasPattern.MatchString(name):
		return apierr.New(InvalidAliasName, "Alias contains invalid characters: letters, digits, /, _ and - are allowed.")
	}
	return nil
}

// CreateAlias gives a key another name.
func (s *Service) CreateAlias(ctx context.Context, c Caller, name, keyID string) error {
	if err := checkAlias(name); err != nil {
		return err
	}
	return s.update(ctx, func(w *writer) error {
		k, err := s.target(c, keyID)
		if err != nil {
			return err
		}
		at := aliasARN(c.Account, c.Region, name)
		if err := s.allowAlias(c, "kms:CreateAlias", at, k); err != nil {
			return err
		}
		if err := k.changeable(); err != nil {
			return err
		}
		if s.state.aliases[at] != nil {
			return apierr.New(AlreadyExists, "An alias with the name %s already exists", at)
		}
		if len(s.state.named[k.ID()]) >= maxAliases {
			return apierr.New(LimitExceeded, "The key has %d aliases, which is the most it can have.", maxAliases)
		}
		return w.tookAlias(aliases.Create(w.tx, store.Key{Account: c.Account, Region: c.Region, ID: name}, aliasBody{k.ID()}, store.Columns{Name: name}))
	})
}

// UpdateAlias lets an alias stand for another key. AWS asks for the permission on
// the alias, on the old key and on the new one.
func (s *Service) UpdateAlias(ctx context.Context, c Caller, name, keyID string) error {
	if err := checkAlias(name); err != nil {
		return err
	}
	return s.update(ctx, func(w *writer) error {
		a, old, err := s.alias(c, name)
		if err != nil {
			return err
		}
		k, err := s.target(c, keyID)
		if err != nil {
			return err
		}
		if err := s.allowAlias(c, "kms:UpdateAlias", a.ARN(), old, k); err != nil {
			return err
		}
		if err := k.changeable(); err != nil {
			return err
		}
		rec := a.rec
		rec.Body.KeyID = k.ID()
		return w.tookAlias(aliases.Put(w.tx, rec))
	})
}

// DeleteAlias takes the name away; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, c Caller, name string) error {
	if err := checkAlias(name); err != nil {
		return err
	}
	return s.update(ctx, func(w *writer) error {
		a, k, err := s.alias(c, name)
		if err != nil {
			return err
		}
		if err := s.allowAlias(c, "kms:DeleteAlias", a.ARN(), k); err != nil {
			return err
		}
		return w.dropAlias(a)
	})
}

// alias finds an alias of the caller's account and Region; the caller holds s.write.
func (s *Service) alias(c Caller, name string) (*Alias, *Key, error) {
	at := aliasARN(c.Account, c.Region, name)
	a := s.state.aliases[at]
	if a == nil {
		return nil, nil, noAlias(at)
	}
	return a, s.state.keys[a.KeyID()], nil
}

// target finds the key of an alias operation, which takes no alias for it.
func (s *Service) target(c Caller, keyID string) (*Key, error) {
	if strings.Contains(keyID, "alias/") {
		return nil, apierr.New(apierr.Validation, "Aliases must refer to keys. Not aliases")
	}
	return s.state.find(c, keyID, s.now())
}

func (s *Service) allowAlias(c Caller, action, at string, keys ...*Key) error {
	if err := s.allowIdentity(c, action, at, nil); err != nil {
		return err
	}
	for _, k := range keys {
		if k == nil {
			continue
		}
		if err := s.allowKey(c, ask{action: action, key: k}); err != nil {
			return err
		}
	}
	return nil
}

// ListAliases answers the aliases of the caller's account and Region in the order
// of their names; keyID narrows to those of one key.
func (s *Service) ListAliases(_ context.Context, c Caller, keyID string) ([]*Alias, error) {
	if err := s.allowIdentity(c, "kms:ListAliases", "", nil); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var only string
	if keyID != "" {
		k, err := s.state.find(c, keyID, s.now())
		if err != nil {
			return nil, err
		}
		only = k.ID()
	}
	var out []*Alias
	for _, a := range s.state.aliases {
		if a.rec.Account == c.Account && a.rec.Region == c.Region && (only == "" || a.KeyID() == only) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *Alias) int { return cmp.Compare(a.Name(), b.Name()) })
	return out, nil
}

func noAlias(at string) error { return apierr.New(NotFound, "Alias %s is not found.", at) }

// find resolves the four spellings of a key: id, key ARN, alias name, alias ARN.
// A key whose waiting period is over is gone although no sweep has come by.
func (st *state) find(c Caller, name string, now time.Time) (*Key, error) {
	account, id := c.Account, name
	if strings.HasPrefix(name, "arn:") {
		a, err := arn.Parse(name)
		if err != nil || a.Service != "kms" {
			return nil, apierr.New(InvalidArn, "%s is not a valid ARN of a key or an alias.", name)
		}
		if a.Region != c.Region {
			return nil, apierr.New(NotFound, "Invalid arn %s", a.Region)
		}
		account = a.Account
		if id = a.Resource; !strings.HasPrefix(id, "alias/") {
			rest, ok := strings.CutPrefix(id, "key/")
			if !ok {
				return nil, apierr.New(InvalidArn, "%s is not a valid ARN of a key or an alias.", name)
			}
			id = rest
		}
	}
	if strings.HasPrefix(id, "alias/") {
		at := aliasARN(account, c.Region, id)
		a := st.aliases[at]
		if a == nil {
			return nil, noAlias(at)
		}
		id = a.KeyID()
	} else if _, ok := keyBytes(id); !ok {
		return nil, apierr.New(NotFound, "Invalid keyId '%s'", name)
	}
	k := st.keys[id]
	if k == nil || k.Account() != account || k.Region() != c.Region || k.gone(now) {
		return nil, noKey(keyARN(account, c.Region, id))
	}
	return k, nil
}

func (k *Key) gone(now time.Time) bool { return k.State() == StatePending && !k.Deletion().After(now) }

// Managed answers the AWS managed key of a service (s3, secretsmanager …) in an
// account and Region and makes it when there is none.
func (s *Service) Managed(ctx context.Context, account, region, service string) (*Key, error) {
	name := reserved + service
	if !slices.Contains(managedServices, service) {
		return nil, noAlias(aliasARN(account, region, name))
	}
	find := func(st *state) *Key {
		if a := st.aliases[aliasARN(account, region, name)]; a != nil {
			return st.keys[a.KeyID()]
		}
		return nil
	}
	s.mu.RLock()
	k := find(&s.state)
	s.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	err := s.update(ctx, func(w *writer) (err error) {
		if k = find(&s.state); k != nil {
			return nil
		}
		m, err := s.newMaterial(w.tx.Now)
		if err != nil {
			return err
		}
		id, err := s.newID()
		if err != nil {
			return err
		}
		k, err = w.createKey(store.Key{Account: account, Region: region, ID: id}, keyBody{
			Description: "Default key that protects my data in " + service + " when no other key is defined",
			Policy:      managedPolicy(account, region, service), Managed: service, Materials: []*Material{m},
			Rotation: Rotation{Enabled: true, Days: DefaultPeriod, Next: w.tx.Now.Add(DefaultPeriod * day)},
		}, StateEnabled)
		if err != nil {
			return err
		}
		return w.tookAlias(aliases.Create(w.tx, store.Key{Account: account, Region: region, ID: name}, aliasBody{id}, store.Columns{Name: name}))
	})
	return k, err
}
