package kms

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func (s *Service) bytes(n int) ([]byte, error) {
	out := make([]byte, n)
	if _, err := io.ReadFull(s.random, out); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return out, nil
}

func (s *Service) newID() (string, error) {
	b, err := s.bytes(keyIDLen)
	if err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, version 4
	return keyText([keyIDLen]byte(b)), nil
}

func (s *Service) newMaterial(now time.Time) (*Material, error) {
	b, err := s.bytes(materialLen + 32)
	if err != nil {
		return nil, err
	}
	return &Material{ID: hex.EncodeToString(b[:materialLen]), Key: b[materialLen:], Created: now, raw: [materialLen]byte(b)}, nil
}

// CreateKeyInput describes a symmetric key.
type CreateKeyInput struct {
	Description string
	Policy      string // "" is DefaultPolicy
	Tags        []Tag
	// Bypass makes a key whose policy the caller could not change.
	Bypass bool
}

// CreateKey makes a symmetric encryption key in the caller's account and Region.
func (s *Service) CreateKey(ctx context.Context, c Caller, in CreateKeyInput) (*Key, error) {
	cond := tagConditions(in.Tags)
	cond["kms:KeySpec"], cond["kms:KeyUsage"], cond["kms:KeyOrigin"] = []string{"SYMMETRIC_DEFAULT"}, []string{"ENCRYPT_DECRYPT"}, []string{"AWS_KMS"}
	cond["kms:MultiRegion"], cond["kms:BypassPolicyLockoutSafetyCheck"] = []string{"false"}, []string{fmt.Sprint(in.Bypass)}
	if err := s.allowIdentity(c, "kms:CreateKey", "", cond); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := s.allowIdentity(c, "kms:TagResource", "", cond); err != nil {
			return nil, err
		}
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if in.Policy == "" {
		in.Policy = DefaultPolicy(c.Account, c.Region)
	}
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	if err := s.checkPolicy(c, in.Policy, keyARN(c.Account, c.Region, id), in.Bypass); err != nil {
		return nil, err
	}
	var k *Key
	err = s.update(ctx, func(w *writer) error {
		m, err := s.newMaterial(w.tx.Now)
		if err != nil {
			return err
		}
		k, err = w.createKey(store.Key{Account: c.Account, Region: c.Region, ID: id}, keyBody{
			Description: in.Description, Policy: in.Policy, Tags: tags, Materials: []*Material{m},
		}, StateEnabled)
		return err
	})
	return k, err
}

// checkPolicy parses a key policy and refuses one that locks the caller out of
// changing it, unless bypass says so.
func (s *Service) checkPolicy(c Caller, document, arn string, bypass bool) error {
	p, err := policy.Parse(document, policy.Resource)
	if err != nil {
		return apierr.Wrap(MalformedPolicy, err, "%s", err)
	}
	for _, st := range p.Statements {
		for _, who := range []*policy.Principals{st.Principal, st.NotPrincipal} {
			if who != nil && slices.ContainsFunc(who.AWS, func(name string) bool { return !s.exists(name) }) {
				return apierr.New(MalformedPolicy, "Policy contains a statement with one or more invalid principals.")
			}
		}
	}
	if bypass {
		return nil
	}
	d := s.policies.Decide(&iam.Question{
		Principal: c.Principal, Action: "kms:PutKeyPolicy", Resource: arn, Owner: c.Account, Keys: s.conditions(c, &ask{}),
		ResourcePolicies: []*policy.Policy{p}, ResourceRules: true,
	})
	if !d.Allowed {
		return apierr.New(MalformedPolicy, "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

// DescribeKey answers a key. An alias of a managed key that is not there yet makes
// the key.
func (s *Service) DescribeKey(ctx context.Context, c Caller, keyID string, tokens ...string) (*Key, error) {
	if service, ok := strings.CutPrefix(keyID, reserved); ok && slices.Contains(managedServices, service) {
		if _, err := s.Managed(ctx, c.Account, c.Region, service); err != nil {
			return nil, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.tokens(tokens); err != nil {
		return nil, err
	}
	return s.look(c, keyID, "kms:DescribeKey", OpDescribeKey)
}

// look finds a key and asks for a permission on it; the caller holds s.mu or s.write.
func (s *Service) look(c Caller, keyID, action string, op Operation) (*Key, error) {
	k, err := s.state.find(c, keyID, s.now())
	if err != nil {
		return nil, err
	}
	if err := s.allowKey(c, ask{action: action, key: k, op: op, alias: keyID}); err != nil {
		return nil, err
	}
	return k, nil
}

// Look answers a key to a caller who has the permission action on it:
// kms:GetKeyPolicy, kms:GetKeyRotationStatus, kms:ListResourceTags …
func (s *Service) Look(_ context.Context, c Caller, keyID, action string) (*Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.look(c, keyID, action, "")
}

// ListKeys answers the keys of the caller's account and Region in the order of
// their ids.
func (s *Service) ListKeys(_ context.Context, c Caller) ([]*Key, error) {
	if err := s.allowIdentity(c, "kms:ListKeys", "", nil); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	var out []*Key
	for _, k := range s.state.keys {
		if k.Account() == c.Account && k.Region() == c.Region && !k.gone(now) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b *Key) int { return strings.Compare(a.ID(), b.ID()) })
	return out, nil
}

// change asks for the permission and writes what edit makes of the key's record.
func (s *Service) change(ctx context.Context, c Caller, keyID, action string, cond map[string][]string, edit func(w *writer, k *Key, rec *store.Record[keyBody]) error) (*Key, error) {
	if strings.Contains(keyID, "alias/") {
		return nil, apierr.New(NotFound, "Invalid keyId '%s'", keyID) // aliases name keys to use, not to change
	}
	var out *Key
	err := s.update(ctx, func(w *writer) error {
		k, err := s.state.find(c, keyID, s.now())
		if err != nil {
			return err
		}
		if err := s.allowKey(c, ask{action: action, key: k, keys: cond}); err != nil {
			return err
		}
		rec := k.clone()
		if err := edit(w, k, &rec); err != nil {
			return err
		}
		out, err = w.took(keys.Put(w.tx, rec))
		return err
	})
	return out, err
}

// SetEnabled enables or disables a key.
func (s *Service) SetEnabled(ctx context.Context, c Caller, keyID string, enabled bool) error {
	action, state := "kms:DisableKey", StateDisabled
	if enabled {
		action, state = "kms:EnableKey", StateEnabled
	}
	_, err := s.change(ctx, c, keyID, action, nil, func(_ *writer, k *Key, rec *store.Record[keyBody]) error {
		rec.Status = string(state)
		return k.changeable()
	})
	return err
}

// ScheduleDeletion has a key destroyed after days, MinWindow to MaxWindow; 0 is
// MaxWindow.
func (s *Service) ScheduleDeletion(ctx context.Context, c Caller, keyID string, days int) (*Key, error) {
	if days == 0 {
		days = MaxWindow
	}
	if days < MinWindow || days > MaxWindow {
		bound, limit := "greater than or equal to", MinWindow
		if days > MaxWindow {
			bound, limit = "less than or equal to", MaxWindow
		}
		return nil, apierr.New(apierr.Validation, "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value %s %d", days, bound, limit)
	}
	cond := map[string][]string{"kms:ScheduleKeyDeletionPendingWindowInDays": {fmt.Sprint(days)}}
	return s.change(ctx, c, keyID, "kms:ScheduleKeyDeletion", cond, func(w *writer, k *Key, rec *store.Record[keyBody]) error {
		rec.Status, rec.Body.Window, rec.Body.Deletion = string(StatePending), days, w.tx.Now.Add(time.Duration(days)*day)
		return k.changeable()
	})
}

// CancelDeletion keeps a key that was to be destroyed; it is disabled then.
func (s *Service) CancelDeletion(ctx context.Context, c Caller, keyID string) (*Key, error) {
	return s.change(ctx, c, keyID, "kms:CancelKeyDeletion", nil, func(_ *writer, k *Key, rec *store.Record[keyBody]) error {
		if k.State() != StatePending {
			return apierr.New(InvalidState, "%s is not pending deletion.", k.arn)
		}
		rec.Status, rec.Body.Window, rec.Body.Deletion = string(StateDisabled), 0, time.Time{}
		return nil
	})
}

// SetRotation turns the rotation of material on, every days days (0 is a year), or
// off.
func (s *Service) SetRotation(ctx context.Context, c Caller, keyID string, on bool, days int) error {
	action := "kms:DisableKeyRotation"
	cond := map[string][]string{}
	if on {
		action = "kms:EnableKeyRotation"
		if days == 0 {
			days = DefaultPeriod
		}
		cond["kms:RotationPeriodInDays"] = []string{fmt.Sprint(days)}
	}
	_, err := s.change(ctx, c, keyID, action, cond, func(w *writer, k *Key, rec *store.Record[keyBody]) error {
		rec.Body.Rotation = Rotation{}
		if on {
			rec.Body.Rotation = Rotation{true, days, w.tx.Now.Add(time.Duration(days) * day)}
		}
		return k.usable()
	})
	return err
}

// SetDescription replaces the description.
func (s *Service) SetDescription(ctx context.Context, c Caller, keyID, text string) error {
	_, err := s.change(ctx, c, keyID, "kms:UpdateKeyDescription", nil, func(_ *writer, k *Key, rec *store.Record[keyBody]) error {
		rec.Body.Description = text
		return k.changeable()
	})
	return err
}

// PutPolicy replaces the key policy.
func (s *Service) PutPolicy(ctx context.Context, c Caller, keyID, document string, bypass bool) error {
	cond := map[string][]string{"kms:BypassPolicyLockoutSafetyCheck": {fmt.Sprint(bypass)}}
	_, err := s.change(ctx, c, keyID, "kms:PutKeyPolicy", cond, func(_ *writer, k *Key, rec *store.Record[keyBody]) error {
		if err := k.changeable(); err != nil {
			return err
		}
		rec.Body.Policy = document
		return s.checkPolicy(c, document, k.arn, bypass)
	})
	return err
}

// TagKey sets tags; others stay.
func (s *Service) TagKey(ctx context.Context, c Caller, keyID string, tags []Tag) error {
	_, err := s.change(ctx, c, keyID, "kms:TagResource", tagConditions(tags), func(_ *writer, k *Key, rec *store.Record[keyBody]) (err error) {
		if err := k.changeable(); err != nil {
			return err
		}
		rec.Body.Tags, err = mergeTags(rec.Body.Tags, tags)
		return err
	})
	return err
}

// UntagKey removes tags by key.
func (s *Service) UntagKey(ctx context.Context, c Caller, keyID string, names []string) error {
	cond := map[string][]string{"aws:TagKeys": names}
	_, err := s.change(ctx, c, keyID, "kms:UntagResource", cond, func(_ *writer, k *Key, rec *store.Record[keyBody]) error {
		rec.Body.Tags = slices.DeleteFunc(rec.Body.Tags, func(t Tag) bool { return slices.Contains(names, t.Key) })
		return k.changeable()
	})
	return err
}

func tagConditions(tags []Tag) map[string][]string {
	out := map[string][]string{}
	for _, t := range tags {
		out["aws:RequestTag/"+t.Key] = []string{t.Value}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], t.Key)
	}
	return out
}

func mergeTags(have, more []Tag) ([]Tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range more {
		if seen[t.Key] {
			return nil, apierr.New(TagError, "Duplicate tag keys: %s", t.Key)
		}
		seen[t.Key] = true
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, apierr.New(TagError, "Tag keys must not start with aws:")
		}
		if i := slices.IndexFunc(out, func(h Tag) bool { return h.Key == t.Key }); i >= 0 {
			out[i] = t
			continue
		}
		out = append(out, t)
	}
	if len(out) > maxTags {
		return nil, apierr.New(LimitExceeded, "A key can have %d tags.", maxTags)
	}
	sortTags(out)
	return out, nil
}
