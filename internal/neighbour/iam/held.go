package iam

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
)

// PutUserPolicy writes an inline policy of a user.
func (f *Face) PutUserPolicy(ctx context.Context, in *iam.PutUserPolicyInput) (*iam.PutUserPolicyOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.put(ctx, p, err, in.PolicyName, in.PolicyDocument); err != nil {
		return nil, err
	}
	return &iam.PutUserPolicyOutput{}, nil
}

// GetUserPolicy shows an inline policy of a user.
func (f *Face) GetUserPolicy(ctx context.Context, in *iam.GetUserPolicyInput) (*iam.GetUserPolicyOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	d, err := p.document(err, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &iam.GetUserPolicyOutput{UserName: p.holder.Name, PolicyName: in.PolicyName, PolicyDocument: d}, nil
}

// ListUserPolicies lists the names of the inline policies of a user.
func (f *Face) ListUserPolicies(ctx context.Context, in *iam.ListUserPoliciesInput) (*iam.ListUserPoliciesOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	names, more, next, err := p.names(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListUserPoliciesOutput{PolicyNames: names, IsTruncated: more, Marker: next}, nil
}

// DeleteUserPolicy removes an inline policy of a user.
func (f *Face) DeleteUserPolicy(ctx context.Context, in *iam.DeleteUserPolicyInput) (*iam.DeleteUserPolicyOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.drop(ctx, p, err, in.PolicyName); err != nil {
		return nil, err
	}
	return &iam.DeleteUserPolicyOutput{}, nil
}

// AttachUserPolicy gives a managed policy to a user.
func (f *Face) AttachUserPolicy(ctx context.Context, in *iam.AttachUserPolicyInput) (*iam.AttachUserPolicyOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.attach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.AttachUserPolicyOutput{}, nil
}

// DetachUserPolicy takes a managed policy from a user.
func (f *Face) DetachUserPolicy(ctx context.Context, in *iam.DetachUserPolicyInput) (*iam.DetachUserPolicyOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.detach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.DetachUserPolicyOutput{}, nil
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (f *Face) ListAttachedUserPolicies(ctx context.Context, in *iam.ListAttachedUserPoliciesInput) (*iam.ListAttachedUserPoliciesOutput, error) {
	v := f.view(ctx)
	p, err := v.ofUser(in.UserName)
	ps, more, next, err := v.attachments(p, err, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListAttachedUserPoliciesOutput{AttachedPolicies: ps, IsTruncated: more, Marker: next}, nil
}

// PutUserPermissionsBoundary sets the boundary of a user.
func (f *Face) PutUserPermissionsBoundary(ctx context.Context, in *iam.PutUserPermissionsBoundaryInput) (*iam.PutUserPermissionsBoundaryOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.bound(ctx, p, err, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return &iam.PutUserPermissionsBoundaryOutput{}, nil
}

// DeleteUserPermissionsBoundary removes the boundary of a user.
func (f *Face) DeleteUserPermissionsBoundary(ctx context.Context, in *iam.DeleteUserPermissionsBoundaryInput) (*iam.DeleteUserPermissionsBoundaryOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.bound(ctx, p, err, ""); err != nil {
		return nil, err
	}
	return &iam.DeleteUserPermissionsBoundaryOutput{}, nil
}

// TagUser sets tags of a user.
func (f *Face) TagUser(ctx context.Context, in *iam.TagUserInput) (*iam.TagUserOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.tag(ctx, p, err, in.Tags); err != nil {
		return nil, err
	}
	return &iam.TagUserOutput{}, nil
}

// UntagUser removes tags of a user.
func (f *Face) UntagUser(ctx context.Context, in *iam.UntagUserInput) (*iam.UntagUserOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	if err := f.untag(ctx, p, err, in.TagKeys); err != nil {
		return nil, err
	}
	return &iam.UntagUserOutput{}, nil
}

// ListUserTags lists the tags of a user.
func (f *Face) ListUserTags(ctx context.Context, in *iam.ListUserTagsInput) (*iam.ListUserTagsOutput, error) {
	p, err := f.view(ctx).ofUser(in.UserName)
	tags, more, next, err := p.tagPage(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListUserTagsOutput{Tags: tags, IsTruncated: more, Marker: next}, nil
}

// PutGroupPolicy writes an inline policy of a group.
func (f *Face) PutGroupPolicy(ctx context.Context, in *iam.PutGroupPolicyInput) (*iam.PutGroupPolicyOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	if err := f.put(ctx, p, err, in.PolicyName, in.PolicyDocument); err != nil {
		return nil, err
	}
	return &iam.PutGroupPolicyOutput{}, nil
}

// GetGroupPolicy shows an inline policy of a group.
func (f *Face) GetGroupPolicy(ctx context.Context, in *iam.GetGroupPolicyInput) (*iam.GetGroupPolicyOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	d, err := p.document(err, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &iam.GetGroupPolicyOutput{GroupName: p.holder.Name, PolicyName: in.PolicyName, PolicyDocument: d}, nil
}

// ListGroupPolicies lists the names of the inline policies of a group.
func (f *Face) ListGroupPolicies(ctx context.Context, in *iam.ListGroupPoliciesInput) (*iam.ListGroupPoliciesOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	names, more, next, err := p.names(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListGroupPoliciesOutput{PolicyNames: names, IsTruncated: more, Marker: next}, nil
}

// DeleteGroupPolicy removes an inline policy of a group.
func (f *Face) DeleteGroupPolicy(ctx context.Context, in *iam.DeleteGroupPolicyInput) (*iam.DeleteGroupPolicyOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	if err := f.drop(ctx, p, err, in.PolicyName); err != nil {
		return nil, err
	}
	return &iam.DeleteGroupPolicyOutput{}, nil
}

// AttachGroupPolicy gives a managed policy to a group.
func (f *Face) AttachGroupPolicy(ctx context.Context, in *iam.AttachGroupPolicyInput) (*iam.AttachGroupPolicyOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	if err := f.attach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.AttachGroupPolicyOutput{}, nil
}

// DetachGroupPolicy takes a managed policy from a group.
func (f *Face) DetachGroupPolicy(ctx context.Context, in *iam.DetachGroupPolicyInput) (*iam.DetachGroupPolicyOutput, error) {
	p, err := f.view(ctx).ofGroup(in.GroupName)
	if err := f.detach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.DetachGroupPolicyOutput{}, nil
}

// ListAttachedGroupPolicies lists the managed policies of a group.
func (f *Face) ListAttachedGroupPolicies(ctx context.Context, in *iam.ListAttachedGroupPoliciesInput) (*iam.ListAttachedGroupPoliciesOutput, error) {
	v := f.view(ctx)
	p, err := v.ofGroup(in.GroupName)
	ps, more, next, err := v.attachments(p, err, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListAttachedGroupPoliciesOutput{AttachedPolicies: ps, IsTruncated: more, Marker: next}, nil
}

// PutRolePolicy writes an inline policy of a role.
func (f *Face) PutRolePolicy(ctx context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.put(ctx, p, err, in.PolicyName, in.PolicyDocument); err != nil {
		return nil, err
	}
	return &iam.PutRolePolicyOutput{}, nil
}

// GetRolePolicy shows an inline policy of a role.
func (f *Face) GetRolePolicy(ctx context.Context, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	d, err := p.document(err, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRolePolicyOutput{RoleName: p.holder.Name, PolicyName: in.PolicyName, PolicyDocument: d}, nil
}

// ListRolePolicies lists the names of the inline policies of a role.
func (f *Face) ListRolePolicies(ctx context.Context, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	names, more, next, err := p.names(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListRolePoliciesOutput{PolicyNames: names, IsTruncated: more, Marker: next}, nil
}

// DeleteRolePolicy removes an inline policy of a role.
func (f *Face) DeleteRolePolicy(ctx context.Context, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.drop(ctx, p, err, in.PolicyName); err != nil {
		return nil, err
	}
	return &iam.DeleteRolePolicyOutput{}, nil
}

// AttachRolePolicy gives a managed policy to a role.
func (f *Face) AttachRolePolicy(ctx context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.attach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.AttachRolePolicyOutput{}, nil
}

// DetachRolePolicy takes a managed policy from a role.
func (f *Face) DetachRolePolicy(ctx context.Context, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.detach(ctx, p, err, in.PolicyArn); err != nil {
		return nil, err
	}
	return &iam.DetachRolePolicyOutput{}, nil
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (f *Face) ListAttachedRolePolicies(ctx context.Context, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	v := f.view(ctx)
	p, err := v.ofRole(in.RoleName)
	ps, more, next, err := v.attachments(p, err, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: ps, IsTruncated: more, Marker: next}, nil
}

// PutRolePermissionsBoundary sets the boundary of a role.
func (f *Face) PutRolePermissionsBoundary(ctx context.Context, in *iam.PutRolePermissionsBoundaryInput) (*iam.PutRolePermissionsBoundaryOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.bound(ctx, p, err, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return &iam.PutRolePermissionsBoundaryOutput{}, nil
}

// DeleteRolePermissionsBoundary removes the boundary of a role.
func (f *Face) DeleteRolePermissionsBoundary(ctx context.Context, in *iam.DeleteRolePermissionsBoundaryInput) (*iam.DeleteRolePermissionsBoundaryOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.bound(ctx, p, err, ""); err != nil {
		return nil, err
	}
	return &iam.DeleteRolePermissionsBoundaryOutput{}, nil
}

// TagRole sets tags of a role.
func (f *Face) TagRole(ctx context.Context, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.tag(ctx, p, err, in.Tags); err != nil {
		return nil, err
	}
	return &iam.TagRoleOutput{}, nil
}

// UntagRole removes tags of a role.
func (f *Face) UntagRole(ctx context.Context, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	if err := f.untag(ctx, p, err, in.TagKeys); err != nil {
		return nil, err
	}
	return &iam.UntagRoleOutput{}, nil
}

// ListRoleTags lists the tags of a role.
func (f *Face) ListRoleTags(ctx context.Context, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
	p, err := f.view(ctx).ofRole(in.RoleName)
	tags, more, next, err := p.tagPage(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListRoleTagsOutput{Tags: tags, IsTruncated: more, Marker: next}, nil
}

// TagPolicy sets tags of a managed policy.
func (f *Face) TagPolicy(ctx context.Context, in *iam.TagPolicyInput) (*iam.TagPolicyOutput, error) {
	tags, err := tagMap(in.Tags)
	if err == nil {
		err = f.view(ctx).own(in.PolicyArn)
	}
	if err == nil {
		err = fault(f.Identity.TagPolicy(ctx, account(ctx), in.PolicyArn, tags))
	}
	if err != nil {
		return nil, err
	}
	return &iam.TagPolicyOutput{}, nil
}

// UntagPolicy removes tags of a managed policy.
func (f *Face) UntagPolicy(ctx context.Context, in *iam.UntagPolicyInput) (*iam.UntagPolicyOutput, error) {
	err := f.view(ctx).own(in.PolicyArn)
	if err == nil {
		err = fault(f.Identity.UntagPolicy(ctx, account(ctx), in.PolicyArn, in.TagKeys))
	}
	if err != nil {
		return nil, err
	}
	return &iam.UntagPolicyOutput{}, nil
}

// ListPolicyTags lists the tags of a managed policy.
func (f *Face) ListPolicyTags(ctx context.Context, in *iam.ListPolicyTagsInput) (*iam.ListPolicyTagsOutput, error) {
	m, err := f.view(ctx).policy(in.PolicyArn)
	tags, more, next, err := policies{tags: m.Tags}.tagPage(err, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &iam.ListPolicyTagsOutput{Tags: tags, IsTruncated: more, Marker: next}, nil
}
