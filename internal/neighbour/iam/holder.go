package iam

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
)

// What users, groups and roles share: inline policies, attached policies,
// boundaries and tags. Each operation is one of three of the same form.

// policies is what a holder has.
type policies struct {
	holder   identity.Holder
	attached []string
	inline   map[string]string
	tags     map[string]string
}

func (v view) ofUser(name string) (policies, error) {
	u, err := v.user(&name)
	return policies{identity.Holder{Kind: identity.UserHolder, Account: v.account, Name: u.Name}, u.Policies, u.Inline, u.Tags}, err
}

func (v view) ofGroup(name string) (policies, error) {
	g, err := v.group(name)
	return policies{identity.Holder{Kind: identity.GroupHolder, Account: v.account, Name: g.Name}, g.Policies, g.Inline, nil}, err
}

func (v view) ofRole(name string) (policies, error) {
	r, err := v.role(name)
	return policies{identity.Holder{Kind: identity.RoleHolder, Account: v.account, Name: r.Name}, r.Policies, r.Inline, r.Tags}, err
}

// The writes below take a holder and the error that it is not there.
func (f *Face) put(ctx context.Context, p policies, err error, name, document string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.PutInlinePolicy(ctx, p.holder, name, document))
}

func (f *Face) drop(ctx context.Context, p policies, err error, name string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.DeleteInlinePolicy(ctx, p.holder, name))
}

func (f *Face) attach(ctx context.Context, p policies, err error, arn string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.AttachPolicy(ctx, p.holder, arn))
}

func (f *Face) detach(ctx context.Context, p policies, err error, arn string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.DetachPolicy(ctx, p.holder, arn))
}

// document finds an inline policy.
func (p policies) document(err error, name string) (string, error) {
	if err != nil {
		return "", err
	}
	d, ok := p.inline[name]
	if !ok {
		return "", apierr.New(noSuchEntity, "The %s policy with name %s cannot be found.", p.holder.Kind, name)
	}
	return encoded(d), nil
}

func (p policies) names(err error, marker *string, size *int) ([]string, *bool, *string, error) {
	if err != nil {
		return nil, nil, nil, err
	}
	all := make([]string, 0, len(p.inline))
	for name := range p.inline {
		all = append(all, name)
	}
	return page(all, marker, size, func(s string) string { return s })
}

// attachments are the managed policies of a holder under a path.
func (v view) attachments(p policies, err error, prefix, marker *string, size *int) ([]iam.AttachedPolicy, *bool, *string, error) {
	if err != nil {
		return nil, nil, nil, err
	}
	var all []identity.ManagedPolicy
	for _, arn := range p.attached {
		if m, ok := v.Policy(arn); ok {
			all = append(all, m)
		}
	}
	all = under(all, prefix, func(m identity.ManagedPolicy) string { return m.Path })
	ms, more, next, err := page(all, marker, size, v.PolicyARN)
	if err != nil {
		return nil, nil, nil, err
	}
	return each(ms, v.attachedPolicy), more, next, nil
}

func (v view) attachedPolicy(m identity.ManagedPolicy) iam.AttachedPolicy {
	return iam.AttachedPolicy{PolicyArn: new(v.PolicyARN(m)), PolicyName: &m.Name}
}

func (p policies) tagPage(err error, marker *string, size *int) ([]iam.Tag, *bool, *string, error) {
	if err != nil {
		return nil, nil, nil, err
	}
	return page(tagList(p.tags), marker, size, func(t iam.Tag) string { return t.Key })
}

func (f *Face) tag(ctx context.Context, p policies, err error, tags []iam.Tag) error {
	if err != nil {
		return err
	}
	m, err := tagMap(tags)
	if err != nil {
		return err
	}
	return fault(f.Identity.Tag(ctx, p.holder, m))
}

func (f *Face) untag(ctx context.Context, p policies, err error, keys []string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.Untag(ctx, p.holder, keys))
}

func (f *Face) bound(ctx context.Context, p policies, err error, arn string) error {
	if err != nil {
		return err
	}
	return fault(f.Identity.SetBoundary(ctx, p.holder, arn))
}
