package kms

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/store"
)

type grantBody struct {
	Name       string `json:",omitempty"`
	Grantee    string
	Retiring   string `json:",omitempty"`
	Operations []Operation
	Equals     map[string]string `json:",omitempty"` // the encryption context must be this
	Subset     map[string]string `json:",omitempty"` // the encryption context must hold this
	Issuer     string
	Tokens     []string
}

// Grant lets a principal use a key without a policy.
type Grant struct{ rec store.Record[grantBody] }

var grants = store.Kind[grantBody]{Name: "kms-grant", SharedNames: true}

func newGrant(rec store.Record[grantBody]) *Grant { return &Grant{rec} }

// ID is 64 hexadecimal digits.
func (g *Grant) ID() string { return g.rec.ID }

// KeyID is the key's.
func (g *Grant) KeyID() string { return g.rec.Parent }

// Name that was given, or "".
func (g *Grant) Name() string { return g.rec.Body.Name }

// Grantee is the principal that may use the key.
func (g *Grant) Grantee() string { return g.rec.Body.Grantee }

// Retiring is the principal that may retire the grant, or "".
func (g *Grant) Retiring() string { return g.rec.Body.Retiring }

// Operations that the grant allows.
func (g *Grant) Operations() []Operation { return slices.Clone(g.rec.Body.Operations) }

// Constraints on the encryption context: exactly equals, or at least subset.
func (g *Grant) Constraints() (equals, subset map[string]string) {
	return maps.Clone(g.rec.Body.Equals), maps.Clone(g.rec.Body.Subset)
}

// IssuerARN names the account that made the grant by its root user.
func (g *Grant) IssuerARN() string { return rootARN(g.rec.Body.Issuer, g.rec.Region) }

// Created says when.
func (g *Grant) Created() time.Time { return g.rec.Created }

// CreateGrantInput describes a grant. Of Equals and Subset one may be set.
type CreateGrantInput struct {
	Key, Name, Grantee, Retiring string
	Operations                   []Operation
	Equals, Subset               map[string]string
	ForAWSResource               bool // made by a service for its resource: kms:GrantIsForAWSResource
	Tokens                       []string
	DryRun                       bool
}

// maxTokens is how many tokens of one grant stay good; the oldest goes first.
const maxTokens = 16

// CreateGrant makes a grant and answers it with its token. A second call with the
// same name and parameters answers the first grant with another token.
func (s *Service) CreateGrant(ctx context.Context, c Caller, in CreateGrantInput) (g *Grant, token string, err error) {
	if err := in.check(); err != nil {
		return nil, "", err
	}
	for _, who := range []string{in.Grantee, in.Retiring} {
		if !s.exists(who) {
			return nil, "", apierr.New(InvalidArn, "ARN does not refer to a valid principal: %s", who)
		}
	}
	raw, err := s.bytes(48)
	if err != nil {
		return nil, "", err
	}
	id, token := hex.EncodeToString(raw[:32]), base64.StdEncoding.EncodeToString(append([]byte{1}, raw...))
	slices.Sort(in.Operations)
	in.Operations = slices.Compact(in.Operations)
	err = s.update(ctx, func(w *writer) error {
		k, err := s.state.find(c, in.Key, s.now())
		if err != nil {
			return err
		}
		if err := s.tokens(in.Tokens); err != nil {
			return err
		}
		if err := s.allowKey(c, ask{action: "kms:CreateGrant", key: k, op: OpCreateGrant, alias: in.Key, grant: &in, keys: in.conditions()}); err != nil {
			return err
		}
		if err := k.usable(); err != nil {
			return err
		}
		if in.DryRun {
			return dryRun()
		}
		body := grantBody{
			Name: in.Name, Grantee: in.Grantee, Retiring: in.Retiring, Operations: in.Operations, Equals: in.Equals, Subset: in.Subset,
			Issuer: c.Account, Tokens: []string{token},
		}
		if in.Name != "" {
			for _, old := range s.state.grants[k.ID()] {
				if !old.same(&body) {
					continue
				}
				rec := old.rec
				rec.Body.Tokens = append(slices.Clone(rec.Body.Tokens), token)
				if n := len(rec.Body.Tokens) - maxTokens; n > 0 {
					rec.Body.Tokens = rec.Body.Tokens[n:]
				}
				rec, err := grants.Put(w.tx, rec)
				g = newGrant(rec)
				return w.tookGrant(rec, err)
			}
		}
		if len(s.state.grants[k.ID()]) >= maxGrants {
			return apierr.New(LimitExceeded, "The key has %d grants, which is the most it can have.", maxGrants)
		}
		rec, err := grants.Create(w.tx, store.Key{Account: k.Account(), Region: k.Region(), Parent: k.ID(), ID: id}, body, store.Columns{Name: in.Name, Class: in.Grantee, Target: in.Retiring})
		g = newGrant(rec)
		return w.tookGrant(rec, err)
	})
	if err != nil {
		return nil, "", err
	}
	return g, token, nil
}

func (g *Grant) same(b *grantBody) bool {
	a := &g.rec.Body
	return a.Name == b.Name && a.Grantee == b.Grantee && a.Retiring == b.Retiring && slices.Equal(a.Operations, b.Operations) &&
		maps.Equal(a.Equals, b.Equals) && maps.Equal(a.Subset, b.Subset)
}

func (in *CreateGrantInput) check() error {
	for _, p := range []string{in.Grantee, in.Retiring} {
		// A service (bedrock.amazonaws.com) is a grantee of the house's own grants.
		if p != "" && !strings.HasPrefix(p, "arn:") && !strings.HasSuffix(p, ".amazonaws.com") {
			return apierr.New(InvalidArn, "%s is not a valid ARN of a principal.", p)
		}
	}
	for _, o := range in.Operations {
		if !o.cryptographic() && o != OpCreateGrant && o != OpRetireGrant && o != OpDescribeKey {
			return apierr.New(apierr.Validation, "Grant operation %s is not supported by keys with key usage ENCRYPT_DECRYPT.", o)
		}
	}
	if len(in.Equals) > 0 && len(in.Subset) > 0 {
		return apierr.New(apierr.Validation, "A grant can have one of EncryptionContextEquals and EncryptionContextSubset.")
	}
	return nil
}

func (in *CreateGrantInput) conditions() map[string][]string {
	out := map[string][]string{"kms:GranteePrincipal": {in.Grantee}, "kms:GrantIsForAWSResource": {"false"}}
	for _, o := range in.Operations {
		out["kms:GrantOperations"] = append(out["kms:GrantOperations"], string(o))
	}
	if in.ForAWSResource {
		out["kms:GrantIsForAWSResource"] = []string{"true"}
	}
	if in.Retiring != "" {
		out["kms:RetiringPrincipal"] = []string{in.Retiring}
	}
	context := in.Equals
	switch {
	case len(in.Equals) > 0:
		out["kms:GrantConstraintType"] = []string{"EncryptionContextEquals"}
	case len(in.Subset) > 0:
		out["kms:GrantConstraintType"], context = []string{"EncryptionContextSubset"}, in.Subset
	}
	for k, v := range context {
		out["kms:EncryptionContext:"+k] = []string{v}
		out["kms:EncryptionContextKeys"] = append(out["kms:EncryptionContextKeys"], k)
	}
	return out
}

// tokens checks grant tokens. Grants hold at once here, so a token need not be
// used; one that belongs to no grant is refused.
func (s *Service) tokens(list []string) error {
	for _, t := range list {
		if s.state.tokens[t] == nil {
			return apierr.New(InvalidGrantToken, "The grant token is not valid: it belongs to no grant.")
		}
	}
	return nil
}

// ListGrants answers the grants of a key in the order of their making; grant and
// grantee narrow the list when they are not "".
func (s *Service) ListGrants(_ context.Context, c Caller, keyID, grant, grantee string) ([]*Grant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, err := s.state.find(c, keyID, s.now())
	if err != nil {
		return nil, err
	}
	if err := s.allowKey(c, ask{action: "kms:ListGrants", key: k, alias: keyID}); err != nil {
		return nil, err
	}
	if err := k.changeable(); err != nil {
		return nil, err
	}
	var out []*Grant
	for _, g := range s.state.grants[k.ID()] {
		if (grant == "" || g.ID() == grant) && (grantee == "" || g.Grantee() == grantee) {
			out = append(out, g)
		}
	}
	sortGrants(out)
	return out, nil
}

// ListRetirableGrants answers the grants that a principal may retire, in all keys
// of the caller's Region.
func (s *Service) ListRetirableGrants(_ context.Context, c Caller, principal string) ([]*Grant, error) {
	if err := s.allowIdentity(c, "kms:ListRetirableGrants", "", nil); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Grant
	for _, of := range s.state.grants {
		for _, g := range of {
			if g.Retiring() == principal && g.rec.Account == c.Account && g.rec.Region == c.Region {
				out = append(out, g)
			}
		}
	}
	sortGrants(out)
	return out, nil
}

func sortGrants(list []*Grant) {
	slices.SortFunc(list, func(a, b *Grant) int {
		if c := a.Created().Compare(b.Created()); c != 0 {
			return c
		}
		return strings.Compare(a.ID(), b.ID())
	})
}

// RevokeGrant takes a grant away: the key's administrators.
func (s *Service) RevokeGrant(ctx context.Context, c Caller, keyID, grant string, dry bool) error {
	return s.update(ctx, func(w *writer) error {
		k, err := s.state.find(c, keyID, s.now())
		if err != nil {
			return err
		}
		if err := s.allowKey(c, ask{action: "kms:RevokeGrant", key: k, alias: keyID, keys: map[string][]string{"kms:GrantIsForAWSResource": {"false"}}}); err != nil {
			return err
		}
		if err := k.changeable(); err != nil {
			return err
		}
		g := s.state.grants[k.ID()][grant]
		if g == nil {
			return noGrant(grant)
		}
		if dry {
			return dryRun()
		}
		return w.dropGrant(g)
	})
}

// RetireGrant takes a grant away that is not needed any more: its retiring
// principal, its grantee if the grant says so, and whoever has kms:RetireGrant in
// the key's account. The grant is named by its token, or by key and id.
func (s *Service) RetireGrant(ctx context.Context, c Caller, token, keyID, grant string, dry bool) error {
	return s.update(ctx, func(w *writer) error {
		var g *Grant
		switch {
		case token != "":
			if err := s.tokens([]string{token}); err != nil {
				return err
			}
			g = s.state.tokens[token]
		case keyID != "" && grant != "":
			k, err := s.state.find(c, keyID, s.now())
			if err != nil {
				return err
			}
			if g = s.state.grants[k.ID()][grant]; g == nil {
				return noGrant(grant)
			}
		default:
			return apierr.New(apierr.Validation, "Name the grant by its grant token, or by key ARN and grant ID.")
		}
		k := s.state.keys[g.KeyID()]
		mine := g.names(c, g.Retiring()) || (g.names(c, g.Grantee()) && slices.Contains(g.rec.Body.Operations, OpRetireGrant))
		if !mine {
			if c.Principal == nil || c.Principal.Account != k.Account() {
				return apierr.New(apierr.AccessDenied, "The grant can be retired by its retiring principal, or by its grantee when it allows RetireGrant.")
			}
			if err := s.allowIdentity(c, "kms:RetireGrant", k.arn, nil); err != nil {
				return err
			}
		}
		if err := k.changeable(); err != nil {
			return err
		}
		if dry {
			return dryRun()
		}
		return w.dropGrant(g)
	})
}

func noGrant(id string) error { return apierr.New(NotFound, "Grant ID %s not found", id) }

func dryRun() error {
	return apierr.New(DryRun, "The request would have succeeded, but the DryRun option is set.")
}

// KeyARN is the ARN of the grant's key.
func (g *Grant) KeyARN() string { return keyARN(g.rec.Account, g.rec.Region, g.rec.Parent) }
