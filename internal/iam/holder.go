package iam

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// HolderKind is what holds policies.
type HolderKind string

// The kinds of holders.
const (
	UserHolder  HolderKind = "user"
	GroupHolder HolderKind = "group"
	RoleHolder  HolderKind = "role"
)

// Holder names a user, group or role.
type Holder struct {
	Kind    HolderKind
	Account string
	Name    string
}

// String says it in words.
func (h Holder) String() string { return string(h.Kind) + " " + h.Name }

// AWS's limits per holder.
const (
	maxAttached = 10
	maxTags     = 50
	maxGroups   = 10
)

// inlineLimit is the size of all inline policies of a holder together, in
// characters that are no white space.
var inlineLimit = map[HolderKind]int{UserHolder: 2048, GroupHolder: 5120, RoleHolder: policy.MaxInline}

// holding is what can be changed of a holder, whatever its kind.
type holding struct {
	policies []string
	inline   map[string]string
	boundary string
	tags     map[string]string
}

// holding returns copies that may be written to.
func (s *Snapshot) holding(h Holder) (holding, func(holding) Record, error) {
	switch h.Kind {
	case UserHolder:
		if u, ok := s.User(h.Account, h.Name); ok {
			return newHolding(u.Policies, u.Inline, u.Boundary, u.Tags), func(n holding) Record {
				u.Policies, u.Inline, u.Boundary, u.Tags = n.policies, n.inline, n.boundary, n.tags
				return u.record()
			}, nil
		}
	case GroupHolder:
		if g, ok := s.Group(h.Account, h.Name); ok {
			return newHolding(g.Policies, g.Inline, "", nil), func(n holding) Record {
				g.Policies, g.Inline = n.policies, n.inline
				return g.record()
			}, nil
		}
	case RoleHolder:
		if r, ok := s.Role(h.Account, h.Name); ok {
			return newHolding(r.Policies, r.Inline, r.Boundary, r.Tags), func(n holding) Record {
				r.Policies, r.Inline, r.Boundary, r.Tags = n.policies, n.inline, n.boundary, n.tags
				return r.record()
			}, nil
		}
	}
	return holding{}, nil, fmt.Errorf("%w: The %s with name %s cannot be found.", ErrNotFound, h.Kind, h.Name) //nolint:revive,staticcheck // AWS's sentence
}

func newHolding(policies []string, inline map[string]string, boundary string, tags map[string]string) holding {
	h := holding{slices.Clone(policies), maps.Clone(inline), boundary, maps.Clone(tags)}
	if h.inline == nil {
		h.inline = map[string]string{}
	}
	if h.tags == nil {
		h.tags = map[string]string{}
	}
	return h
}

// change lets do work on a copy of what the holder has and writes it when do says
// that it changed.
func (i *Identity) change(ctx context.Context, h Holder, do func(*Snapshot, *holding) (bool, error)) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		n, record, err := s.holding(h)
		if err != nil {
			return nil, err
		}
		changed, err := do(s, &n)
		if err != nil || !changed {
			return nil, err
		}
		return []Record{record(n)}, nil
	})
}

func noPolicy(arn string) error {
	return fmt.Errorf("%w: Policy %s does not exist or is not attachable.", ErrNotFound, arn) //nolint:revive,staticcheck // AWS's sentence
}

func noIdentity(p *Principal) error { return fmt.Errorf("%w: %s", ErrNotFound, p.ARN) }

// attachable says whether the account may use the managed policy.
func (s *Snapshot) attachable(account, arn string) error {
	if m, ok := s.Policy(arn); !ok || m.Account != account && m.Account != "aws" {
		return noPolicy(arn)
	}
	return nil
}

// AttachPolicy attaches a managed policy; attaching it again changes nothing. A
// holder may have ten.
func (i *Identity) AttachPolicy(ctx context.Context, h Holder, policyARN string) error {
	return i.change(ctx, h, func(s *Snapshot, n *holding) (bool, error) {
		if slices.Contains(n.policies, policyARN) {
			return false, nil
		}
		if err := s.attachable(h.Account, policyARN); err != nil {
			return false, err
		}
		if len(n.policies) >= maxAttached {
			return false, fmt.Errorf("%w: Cannot exceed quota for PoliciesPer%s: %d", ErrLimit, title(string(h.Kind)), maxAttached)
		}
		n.policies = append(n.policies, policyARN)
		return true, nil
	})
}

// DetachPolicy takes a managed policy off; ErrNotFound when it is not attached.
func (i *Identity) DetachPolicy(ctx context.Context, h Holder, policyARN string) error {
	return i.change(ctx, h, func(_ *Snapshot, n *holding) (bool, error) {
		at := slices.Index(n.policies, policyARN)
		if at < 0 {
			return false, fmt.Errorf("%w: Policy %s was not found.", ErrNotFound, policyARN) //nolint:revive,staticcheck // AWS's sentence
		}
		n.policies = slices.Delete(n.policies, at, at+1)
		return true, nil
	})
}

var policyNamePattern = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// PutInlinePolicy writes an inline policy under a name. The document is checked:
// a *policy.SyntaxError tells what is wrong with it.
func (i *Identity) PutInlinePolicy(ctx context.Context, h Holder, name, document string) error {
	if !policyNamePattern.MatchString(name) {
		return fmt.Errorf("%w: policy name %q", ErrInvalid, name)
	}
	if _, err := policy.Parse(document, policy.Identity); err != nil {
		return fmt.Errorf("inline policy %s: %w", name, err)
	}
	return i.change(ctx, h, func(_ *Snapshot, n *holding) (bool, error) {
		n.inline[name] = document
		size := 0
		for _, d := range n.inline {
			size += policy.Size(d)
		}
		if limit := inlineLimit[h.Kind]; size > limit {
			return false, fmt.Errorf("%w: Maximum policy size of %d bytes exceeded for %s %s", ErrLimit, limit, h.Kind, h.Name)
		}
		return true, nil
	})
}

// DeleteInlinePolicy removes an inline policy.
func (i *Identity) DeleteInlinePolicy(ctx context.Context, h Holder, name string) error {
	return i.change(ctx, h, func(_ *Snapshot, n *holding) (bool, error) {
		if _, ok := n.inline[name]; !ok {
			return false, fmt.Errorf("%w: The %s policy with name %s cannot be found.", ErrNotFound, h.Kind, name) //nolint:revive,staticcheck // AWS's sentence
		}
		delete(n.inline, name)
		return true, nil
	})
}

// SetBoundary makes a managed policy the boundary of a user or role; "" removes
// it.
func (i *Identity) SetBoundary(ctx context.Context, h Holder, policyARN string) error {
	if h.Kind == GroupHolder {
		return fmt.Errorf("%w: a group has no boundary", ErrInvalid)
	}
	return i.change(ctx, h, func(s *Snapshot, n *holding) (bool, error) {
		if policyARN == "" && n.boundary == "" {
			return false, fmt.Errorf("%w: %s has no permissions boundary", ErrNotFound, h)
		}
		if policyARN != "" {
			if err := s.attachable(h.Account, policyARN); err != nil {
				return false, err
			}
		}
		n.boundary = policyARN
		return true, nil
	})
}

// tagText matches keys and values of tags. Their length is counted apart: a
// bounded repetition of Unicode classes costs megabytes and milliseconds at the
// start of every process.
var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func isTagText(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && tagText.MatchString(s)
}

// checkTags says whether they may be tags of an identity or a session.
func checkTags(tags map[string]string) error {
	seen := map[string]bool{}
	for k, v := range tags {
		switch l := strings.ToLower(k); {
		case !isTagText(k, 1, 128), strings.HasPrefix(l, "aws:"):
			return fmt.Errorf("%w: tag key %q", ErrInvalid, k)
		case !isTagText(v, 0, 256):
			return fmt.Errorf("%w: value of tag %s", ErrInvalid, k)
		case seen[l]:
			return fmt.Errorf("%w: Duplicate tag keys found. Please note that Tag keys are case insensitive.", ErrInvalid) //nolint:revive,staticcheck // AWS's sentence
		default:
			seen[l] = true
		}
	}
	if len(tags) > maxTags {
		return fmt.Errorf("%w: Cannot exceed quota for TagsPerResource: %d", ErrLimit, maxTags)
	}
	return nil
}

// setTags writes tags over others; a key in another case is the same key.
func setTags(have, tags map[string]string) {
	for k, v := range tags {
		dropTags(have, []string{k})
		have[k] = v
	}
}

func dropTags(have map[string]string, keys []string) {
	for k := range have {
		if containsFold(keys, k) {
			delete(have, k)
		}
	}
}

// Tag sets tags of a user or role, who may have fifty.
func (i *Identity) Tag(ctx context.Context, h Holder, tags map[string]string) error {
	if h.Kind == GroupHolder {
		return fmt.Errorf("%w: a group has no tags", ErrInvalid)
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	return i.change(ctx, h, func(_ *Snapshot, n *holding) (bool, error) {
		setTags(n.tags, tags)
		return true, checkTags(n.tags)
	})
}

// Untag removes tags; a key that is not there is passed over.
func (i *Identity) Untag(ctx context.Context, h Holder, keys []string) error {
	return i.change(ctx, h, func(_ *Snapshot, n *holding) (bool, error) {
		had := len(n.tags)
		dropTags(n.tags, keys)
		return len(n.tags) != had, nil
	})
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func numbered(what string, n int) string { return what + " " + strconv.Itoa(n+1) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
