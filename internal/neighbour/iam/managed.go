package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// wirePolicy is a managed policy as single answers show it; lists leave
// description and tags out.
func (v view) wirePolicy(m identity.ManagedPolicy, whole bool) iam.Policy {
	arn := v.PolicyARN(m)
	attached, bounded := v.Holders(v.account, arn)
	out := iam.Policy{
		Arn: &arn, AttachmentCount: new(len(attached)), PermissionsBoundaryUsageCount: new(len(bounded)), CreateDate: &m.Created, UpdateDate: &m.Updated,
		DefaultVersionId: &m.Default, IsAttachable: new(true), Path: &m.Path, PolicyId: &m.PolicyID, PolicyName: &m.Name,
	}
	if whole {
		out.Description = optional.Of(m.Description)
		out.Tags = tagList(m.Tags)
	}
	return out
}

func wireVersion(m *identity.ManagedPolicy, pv identity.PolicyVersion, document bool) iam.PolicyVersion {
	out := iam.PolicyVersion{CreateDate: &pv.Created, IsDefaultVersion: new(pv.ID == m.Default), VersionId: &pv.ID}
	if document {
		out.Document = new(encoded(pv.Document))
	}
	return out
}

// CreatePolicy makes a managed policy.
func (f *Face) CreatePolicy(ctx context.Context, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	m, err := f.Identity.CreatePolicy(ctx, identity.PolicyInput{
		Account: account(ctx), Name: in.PolicyName, Path: optional.Value(in.Path), Description: optional.Value(in.Description), Document: in.PolicyDocument, Tags: tags,
	})
	if err != nil {
		return nil, fault(err)
	}
	return &iam.CreatePolicyOutput{Policy: new(f.view(ctx).wirePolicy(m, true))}, nil
}

// GetPolicy shows a managed policy.
func (f *Face) GetPolicy(ctx context.Context, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	v := f.view(ctx)
	m, err := v.policy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &iam.GetPolicyOutput{Policy: new(v.wirePolicy(m, true))}, nil
}

// ListPolicies lists managed policies: the account's, AWS's or both.
func (f *Face) ListPolicies(ctx context.Context, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, error) {
	v := f.view(ctx)
	var all []identity.ManagedPolicy
	if in.Scope != iam.PolicyScopeTypeAws {
		all = append(all, v.Policies(v.account)...)
	}
	if in.Scope != iam.PolicyScopeTypeLocal {
		all = append(all, v.Policies("aws")...)
	}
	all = under(all, in.PathPrefix, func(m identity.ManagedPolicy) string { return m.Path })
	if optional.Value(in.OnlyAttached) || in.PolicyUsageFilter != "" {
		all = slices.DeleteFunc(all, func(m identity.ManagedPolicy) bool {
			attached, bounded := v.Holders(v.account, v.PolicyARN(m))
			switch in.PolicyUsageFilter {
			case iam.PolicyUsageTypePermissionsBoundary:
				return len(bounded) == 0
			case iam.PolicyUsageTypePermissionsPolicy:
				return len(attached) == 0
			}
			return len(attached)+len(bounded) == 0
		})
	}
	ms, more, next, err := page(all, in.Marker, in.MaxItems, v.PolicyARN)
	if err != nil {
		return nil, err
	}
	return &iam.ListPoliciesOutput{Policies: each(ms, func(m identity.ManagedPolicy) iam.Policy { return v.wirePolicy(m, false) }), IsTruncated: more, Marker: next}, nil
}

// own returns why the account may not change a policy, nil when it may.
func (v view) own(arn string) error {
	m, err := v.policy(arn)
	if err == nil && m.Account == "aws" {
		return apierr.New(apierr.AccessDenied, "Cannot change %s: it is managed by AWS. Create a policy of your own from its document instead.", arn)
	}
	return err
}

// DeletePolicy removes a managed policy that nobody has.
func (f *Face) DeletePolicy(ctx context.Context, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	if err := f.view(ctx).own(in.PolicyArn); err != nil {
		return nil, err
	}
	if err := f.Identity.DeletePolicy(ctx, account(ctx), in.PolicyArn); err != nil {
		return nil, fault(err)
	}
	return &iam.DeletePolicyOutput{}, nil
}

// CreatePolicyVersion adds a version.
func (f *Face) CreatePolicyVersion(ctx context.Context, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, error) {
	if err := f.view(ctx).own(in.PolicyArn); err != nil {
		return nil, err
	}
	pv, err := f.Identity.CreatePolicyVersion(ctx, account(ctx), in.PolicyArn, in.PolicyDocument, optional.Value(in.SetAsDefault))
	if err != nil {
		return nil, fault(err)
	}
	return &iam.CreatePolicyVersionOutput{PolicyVersion: &iam.PolicyVersion{CreateDate: &pv.Created, IsDefaultVersion: new(optional.Value(in.SetAsDefault)), VersionId: &pv.ID}}, nil
}

// GetPolicyVersion shows a version with its document.
func (f *Face) GetPolicyVersion(ctx context.Context, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	m, err := f.view(ctx).policy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	pv, ok := m.Version(in.VersionId)
	if !ok {
		return nil, apierr.New(noSuchEntity, "Policy %s version %s does not exist or is not attachable.", in.PolicyArn, in.VersionId)
	}
	return &iam.GetPolicyVersionOutput{PolicyVersion: new(wireVersion(&m, pv, true))}, nil
}

// ListPolicyVersions lists the versions, newest first.
func (f *Face) ListPolicyVersions(ctx context.Context, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, error) {
	m, err := f.view(ctx).policy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	// At most five, so that the order of making is kept and pages are cut by place.
	all := slices.Clone(m.Versions)
	slices.Reverse(all)
	place := map[string]string{}
	for i, pv := range all {
		place[pv.ID] = string(rune('a' + i))
	}
	vs, more, next, err := page(all, in.Marker, in.MaxItems, func(pv identity.PolicyVersion) string { return place[pv.ID] })
	if err != nil {
		return nil, err
	}
	return &iam.ListPolicyVersionsOutput{Versions: each(vs, func(pv identity.PolicyVersion) iam.PolicyVersion { return wireVersion(&m, pv, false) }), IsTruncated: more, Marker: next}, nil
}

// DeletePolicyVersion removes a version that is not in force.
func (f *Face) DeletePolicyVersion(ctx context.Context, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, error) {
	if err := f.view(ctx).own(in.PolicyArn); err != nil {
		return nil, err
	}
	if err := f.Identity.DeletePolicyVersion(ctx, account(ctx), in.PolicyArn, in.VersionId); err != nil {
		return nil, fault(err)
	}
	return &iam.DeletePolicyVersionOutput{}, nil
}

// SetDefaultPolicyVersion puts a version in force.
func (f *Face) SetDefaultPolicyVersion(ctx context.Context, in *iam.SetDefaultPolicyVersionInput) (*iam.SetDefaultPolicyVersionOutput, error) {
	if err := f.view(ctx).own(in.PolicyArn); err != nil {
		return nil, err
	}
	if err := f.Identity.SetDefaultPolicyVersion(ctx, account(ctx), in.PolicyArn, in.VersionId); err != nil {
		return nil, fault(err)
	}
	return &iam.SetDefaultPolicyVersionOutput{}, nil
}

// ListEntitiesForPolicy lists who has the policy, as policy or as boundary.
func (f *Face) ListEntitiesForPolicy(ctx context.Context, in *iam.ListEntitiesForPolicyInput) (*iam.ListEntitiesForPolicyOutput, error) {
	v := f.view(ctx)
	if _, err := v.policy(in.PolicyArn); err != nil {
		return nil, err
	}
	all, bounded := v.Holders(v.account, in.PolicyArn)
	switch in.PolicyUsageFilter {
	case iam.PolicyUsageTypePermissionsBoundary:
		all = bounded
	case iam.PolicyUsageTypePermissionsPolicy:
	case "":
		for _, h := range bounded {
			if !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	if in.EntityFilter != "" { // User, Role, Group; the two kinds of policies hold nothing
		all = slices.DeleteFunc(all, func(h identity.Holder) bool { return string(h.Kind) != strings.ToLower(string(in.EntityFilter)) })
	}
	all = under(all, in.PathPrefix, v.pathOf)
	hs, more, next, err := page(all, in.Marker, in.MaxItems, func(h identity.Holder) string { return string(h.Kind) + "/" + h.Name })
	if err != nil {
		return nil, err
	}
	out := &iam.ListEntitiesForPolicyOutput{PolicyGroups: []iam.PolicyGroup{}, PolicyRoles: []iam.PolicyRole{}, PolicyUsers: []iam.PolicyUser{}, IsTruncated: more, Marker: next}
	for _, h := range hs {
		switch h.Kind {
		case identity.UserHolder:
			u, _ := v.User(h.Account, h.Name)
			out.PolicyUsers = append(out.PolicyUsers, iam.PolicyUser{UserId: &u.UserID, UserName: &u.Name})
		case identity.GroupHolder:
			g, _ := v.Group(h.Account, h.Name)
			out.PolicyGroups = append(out.PolicyGroups, iam.PolicyGroup{GroupId: &g.GroupID, GroupName: &g.Name})
		case identity.RoleHolder:
			r, _ := v.Role(h.Account, h.Name)
			out.PolicyRoles = append(out.PolicyRoles, iam.PolicyRole{RoleId: &r.RoleID, RoleName: &r.Name})
		}
	}
	return out, nil
}

func (v view) pathOf(h identity.Holder) string {
	switch h.Kind {
	case identity.UserHolder:
		u, _ := v.User(h.Account, h.Name)
		return u.Path
	case identity.GroupHolder:
		g, _ := v.Group(h.Account, h.Name)
		return g.Path
	case identity.RoleHolder:
		r, _ := v.Role(h.Account, h.Name)
		return r.Path
	}
	return ""
}
