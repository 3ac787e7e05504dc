package iam

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// maxVersions is how many versions a managed policy may have at once.
const maxVersions = 5

// PolicyInput is what a new managed policy is made of. Account, Name and
// Document are required.
type PolicyInput struct {
	Account     string
	Name        string
	Path        string // "/" when empty
	Description string
	Document    string
	Tags        map[string]string
}

// checkManaged parses a document of a managed policy, which may stand as
// identity-based policy and as boundary.
func checkManaged(document string) error {
	_, err := policy.Parse(document, policy.Boundary)
	return err
}

// CreatePolicy makes a managed policy with version v1.
func (i *Identity) CreatePolicy(ctx context.Context, in PolicyInput) (ManagedPolicy, error) {
	now := i.time()
	m := ManagedPolicy{
		Account: in.Account, Name: in.Name, Path: cmp.Or(in.Path, "/"), Description: in.Description, Created: now, Updated: now,
		Default: "v1", Made: 1, Versions: []PolicyVersion{{ID: "v1", Document: in.Document, Created: now}}, Tags: maps.Clone(in.Tags),
	}
	if !policyNamePattern.MatchString(m.Name) {
		return ManagedPolicy{}, fmt.Errorf("%w: policy name %q", ErrInvalid, m.Name)
	}
	if !isPath(m.Path) {
		return ManagedPolicy{}, fmt.Errorf("%w: path %q", ErrInvalid, m.Path)
	}
	if err := checkTags(m.Tags); err != nil {
		return ManagedPolicy{}, err
	}
	if err := checkManaged(in.Document); err != nil {
		return ManagedPolicy{}, fmt.Errorf("policy %s: %w", m.Name, err)
	}
	var err error
	if m.PolicyID, err = newUniqueID(i.random, prefixPolicy); err != nil {
		return ManagedPolicy{}, err
	}
	err = i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(m.Account); !ok {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, m.Account)
		}
		if _, ok := s.policies[keyOf(m.Account, m.Name)]; ok {
			return nil, fmt.Errorf("%w: A policy called %s already exists. Duplicate names are not allowed.", ErrExists, m.Name) //nolint:revive,staticcheck // AWS's sentence
		}
		return []Record{m.record()}, nil
	})
	if err != nil {
		return ManagedPolicy{}, err
	}
	return m, nil
}

// changePolicy lets change work on a copy of a customer's policy of the account.
func (i *Identity) changePolicy(ctx context.Context, account, arn string, change func(*ManagedPolicy) error) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		m, ok := s.byARN[arn]
		if !ok || m.Account != account {
			if _, aws := s.shipped[arn]; aws {
				return nil, fmt.Errorf("%w: %s is AWS's and cannot be changed", ErrInvalid, arn)
			}
			return nil, fmt.Errorf("%w: Policy %s was not found.", ErrNotFound, arn) //nolint:revive,staticcheck // AWS's sentence
		}
		m.Versions, m.Tags = slices.Clone(m.Versions), maps.Clone(m.Tags)
		if err := change(&m); err != nil {
			return nil, err
		}
		return []Record{m.record()}, nil
	})
}

// CreatePolicyVersion adds a version and, when told, puts it in force. A policy
// has at most five: the oldest must be deleted by its owner.
func (i *Identity) CreatePolicyVersion(ctx context.Context, account, arn, document string, setDefault bool) (PolicyVersion, error) {
	if err := checkManaged(document); err != nil {
		return PolicyVersion{}, fmt.Errorf("policy %s: %w", arn, err)
	}
	var v PolicyVersion
	err := i.changePolicy(ctx, account, arn, func(m *ManagedPolicy) error {
		if len(m.Versions) >= maxVersions {
			return fmt.Errorf("%w: A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", ErrLimit, maxVersions) //nolint:revive,staticcheck // AWS's sentence
		}
		m.Made++
		m.Updated = i.time()
		v = PolicyVersion{ID: fmt.Sprintf("v%d", m.Made), Document: document, Created: m.Updated}
		m.Versions = append(m.Versions, v)
		if setDefault {
			m.Default = v.ID
		}
		return nil
	})
	return v, err
}

// SetDefaultPolicyVersion puts a version in force.
func (i *Identity) SetDefaultPolicyVersion(ctx context.Context, account, arn, version string) error {
	return i.changePolicy(ctx, account, arn, func(m *ManagedPolicy) error {
		if _, ok := m.Version(version); !ok || version == "" {
			return noVersion(arn, version)
		}
		m.Default, m.Updated = version, i.time()
		return nil
	})
}

func noVersion(arn, version string) error {
	return fmt.Errorf("%w: Policy %s version %s does not exist or is not attachable.", ErrNotFound, arn, version) //nolint:revive,staticcheck // AWS's sentence
}

// DeletePolicyVersion removes a version that is not in force.
func (i *Identity) DeletePolicyVersion(ctx context.Context, account, arn, version string) error {
	return i.changePolicy(ctx, account, arn, func(m *ManagedPolicy) error {
		at := slices.IndexFunc(m.Versions, func(v PolicyVersion) bool { return v.ID == version })
		switch {
		case at < 0:
			return noVersion(arn, version)
		case version == m.Default:
			return fmt.Errorf("%w: Cannot delete the default version of a policy.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		}
		m.Versions = slices.Delete(m.Versions, at, at+1)
		return nil
	})
}

// DeletePolicy removes a customer's policy; ErrInUse while somebody has it, as
// policy or as boundary, or it has versions that are not in force.
func (i *Identity) DeletePolicy(ctx context.Context, account, arn string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		m, ok := s.byARN[arn]
		if !ok || m.Account != account {
			return nil, fmt.Errorf("%w: Policy %s was not found.", ErrNotFound, arn) //nolint:revive,staticcheck // AWS's sentence
		}
		attached, bounded := s.Holders(account, arn)
		switch {
		case len(attached)+len(bounded) > 0:
			return nil, fmt.Errorf("%w: Cannot delete a policy attached to entities.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		case len(m.Versions) > 1:
			return nil, fmt.Errorf("%w: This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		}
		return []Record{deletion(m.record())}, nil
	})
}

// TagPolicy sets tags of a customer's policy.
func (i *Identity) TagPolicy(ctx context.Context, account, arn string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return i.changePolicy(ctx, account, arn, func(m *ManagedPolicy) error {
		if m.Tags == nil {
			m.Tags = map[string]string{}
		}
		setTags(m.Tags, tags)
		return checkTags(m.Tags)
	})
}

// UntagPolicy removes tags of a customer's policy.
func (i *Identity) UntagPolicy(ctx context.Context, account, arn string, keys []string) error {
	return i.changePolicy(ctx, account, arn, func(m *ManagedPolicy) error {
		dropTags(m.Tags, keys)
		return nil
	})
}
