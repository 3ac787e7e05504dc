package iam

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// wireRole is a role as single answers show it; lists leave tags and boundary out.
// When a role was last used is not kept, and so never said.
func (v view) wireRole(r identity.Role, whole bool) iam.Role {
	out := iam.Role{
		Arn: v.RoleARN(r), AssumeRolePolicyDocument: new(encoded(r.Trust)), CreateDate: r.Created, Description: optional.Of(r.Description),
		MaxSessionDuration: seconds(r.MaxSession), Path: r.Path, RoleId: r.RoleID, RoleName: r.Name,
	}
	if whole {
		out.PermissionsBoundary = boundary(r.Boundary)
		out.RoleLastUsed = &iam.RoleLastUsed{}
		if len(r.Tags) > 0 {
			out.Tags = tagList(r.Tags)
		}
	}
	return out
}

// CreateRole makes a role.
func (f *Face) CreateRole(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	r, err := f.Identity.CreateRole(ctx, identity.RoleInput{
		Account: account(ctx), Name: in.RoleName, Path: optional.Value(in.Path), Description: optional.Value(in.Description), Trust: in.AssumeRolePolicyDocument,
		MaxSession: time.Duration(optional.Value(in.MaxSessionDuration)) * time.Second, Boundary: optional.Value(in.PermissionsBoundary), Tags: tags,
	})
	if err != nil {
		return nil, fault(err)
	}
	out := f.view(ctx).wireRole(r, true)
	out.RoleLastUsed = nil
	return &iam.CreateRoleOutput{Role: &out}, nil
}

// GetRole shows a role.
func (f *Face) GetRole(ctx context.Context, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	v := f.view(ctx)
	r, err := v.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRoleOutput{Role: new(v.wireRole(r, true))}, nil
}

// ListRoles lists the roles of the account.
func (f *Face) ListRoles(ctx context.Context, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	v := f.view(ctx)
	all := under(v.Roles(v.account), in.PathPrefix, func(r identity.Role) string { return r.Path })
	rs, more, next, err := page(all, in.Marker, in.MaxItems, func(r identity.Role) string { return r.Name })
	if err != nil {
		return nil, err
	}
	return &iam.ListRolesOutput{Roles: each(rs, func(r identity.Role) iam.Role { return v.wireRole(r, false) }), IsTruncated: more, Marker: next}, nil
}

// UpdateRole changes description and longest session. IAM sets what is left out
// back: no description, an hour.
func (f *Face) UpdateRole(ctx context.Context, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	life := identity.DefaultRoleSession
	if in.MaxSessionDuration != nil {
		life = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	if err := f.Identity.UpdateRole(ctx, account(ctx), in.RoleName, new(optional.Value(in.Description)), &life); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateRoleOutput{}, nil
}

// UpdateRoleDescription changes the description alone.
func (f *Face) UpdateRoleDescription(ctx context.Context, in *iam.UpdateRoleDescriptionInput) (*iam.UpdateRoleDescriptionOutput, error) {
	if err := f.Identity.UpdateRole(ctx, account(ctx), in.RoleName, &in.Description, nil); err != nil {
		return nil, fault(err)
	}
	v := f.view(ctx)
	r, err := v.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.UpdateRoleDescriptionOutput{Role: new(v.wireRole(r, false))}, nil
}

// UpdateAssumeRolePolicy replaces the trust policy.
func (f *Face) UpdateAssumeRolePolicy(ctx context.Context, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	if err := f.Identity.SetTrust(ctx, account(ctx), in.RoleName, in.PolicyDocument); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

// DeleteRole removes a role without policies.
func (f *Face) DeleteRole(ctx context.Context, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	if err := f.Identity.DeleteRole(ctx, account(ctx), in.RoleName); err != nil {
		return nil, fault(err)
	}
	return &iam.DeleteRoleOutput{}, nil
}

// ListInstanceProfilesForRole finds none: instance profiles are for EC2, and
// programs that delete a role ask first.
func (f *Face) ListInstanceProfilesForRole(ctx context.Context, in *iam.ListInstanceProfilesForRoleInput) (*iam.ListInstanceProfilesForRoleOutput, error) {
	if _, err := f.view(ctx).role(in.RoleName); err != nil {
		return nil, err
	}
	return &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: []iam.InstanceProfile{}, IsTruncated: new(false)}, nil
}
