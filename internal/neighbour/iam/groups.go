package iam

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

func (v view) wireGroup(g identity.Group) iam.Group {
	return iam.Group{Arn: v.GroupARN(g), CreateDate: g.Created, GroupId: g.GroupID, GroupName: g.Name, Path: g.Path}
}

// CreateGroup makes a group.
func (f *Face) CreateGroup(ctx context.Context, in *iam.CreateGroupInput) (*iam.CreateGroupOutput, error) {
	g, err := f.Identity.CreateGroup(ctx, account(ctx), in.GroupName, optional.Value(in.Path))
	if err != nil {
		return nil, fault(err)
	}
	return &iam.CreateGroupOutput{Group: new(f.view(ctx).wireGroup(g))}, nil
}

// GetGroup shows a group and its members.
func (f *Face) GetGroup(ctx context.Context, in *iam.GetGroupInput) (*iam.GetGroupOutput, error) {
	v := f.view(ctx)
	g, err := v.group(in.GroupName)
	if err != nil {
		return nil, err
	}
	us, more, next, err := page(v.Members(v.account, g.Name), in.Marker, in.MaxItems, func(u identity.User) string { return u.Name })
	if err != nil {
		return nil, err
	}
	return &iam.GetGroupOutput{Group: new(v.wireGroup(g)), Users: each(us, func(u identity.User) iam.User { return v.wireUser(u, false) }), IsTruncated: more, Marker: next}, nil
}

// ListGroups lists the groups of the account.
func (f *Face) ListGroups(ctx context.Context, in *iam.ListGroupsInput) (*iam.ListGroupsOutput, error) {
	v := f.view(ctx)
	all := under(v.Groups(v.account), in.PathPrefix, func(g identity.Group) string { return g.Path })
	gs, more, next, err := page(all, in.Marker, in.MaxItems, func(g identity.Group) string { return g.Name })
	if err != nil {
		return nil, err
	}
	return &iam.ListGroupsOutput{Groups: each(gs, v.wireGroup), IsTruncated: more, Marker: next}, nil
}

// ListGroupsForUser lists the groups a user is in.
func (f *Face) ListGroupsForUser(ctx context.Context, in *iam.ListGroupsForUserInput) (*iam.ListGroupsForUserOutput, error) {
	v := f.view(ctx)
	u, err := v.user(&in.UserName)
	if err != nil {
		return nil, err
	}
	var all []identity.Group
	for _, name := range u.Groups {
		if g, ok := v.Group(v.account, name); ok {
			all = append(all, g)
		}
	}
	gs, more, next, err := page(all, in.Marker, in.MaxItems, func(g identity.Group) string { return g.Name })
	if err != nil {
		return nil, err
	}
	return &iam.ListGroupsForUserOutput{Groups: each(gs, v.wireGroup), IsTruncated: more, Marker: next}, nil
}

// UpdateGroup gives a group another name or path; its members go along.
func (f *Face) UpdateGroup(ctx context.Context, in *iam.UpdateGroupInput) (*iam.UpdateGroupOutput, error) {
	if err := f.Identity.UpdateGroup(ctx, account(ctx), in.GroupName, optional.Value(in.NewGroupName), optional.Value(in.NewPath)); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateGroupOutput{}, nil
}

// DeleteGroup removes a group without members and policies.
func (f *Face) DeleteGroup(ctx context.Context, in *iam.DeleteGroupInput) (*iam.DeleteGroupOutput, error) {
	if err := f.Identity.DeleteGroup(ctx, account(ctx), in.GroupName); err != nil {
		return nil, fault(err)
	}
	return &iam.DeleteGroupOutput{}, nil
}

// AddUserToGroup makes a user a member.
func (f *Face) AddUserToGroup(ctx context.Context, in *iam.AddUserToGroupInput) (*iam.AddUserToGroupOutput, error) {
	v := f.view(ctx)
	if _, err := v.group(in.GroupName); err != nil {
		return nil, err
	}
	if _, err := v.user(&in.UserName); err != nil {
		return nil, err
	}
	if err := f.Identity.AddToGroup(ctx, v.account, in.GroupName, in.UserName); err != nil {
		return nil, fault(err)
	}
	return &iam.AddUserToGroupOutput{}, nil
}

// RemoveUserFromGroup ends a membership.
func (f *Face) RemoveUserFromGroup(ctx context.Context, in *iam.RemoveUserFromGroupInput) (*iam.RemoveUserFromGroupOutput, error) {
	v := f.view(ctx)
	if _, err := v.group(in.GroupName); err != nil {
		return nil, err
	}
	if _, err := v.user(&in.UserName); err != nil {
		return nil, err
	}
	if err := f.Identity.RemoveFromGroup(ctx, v.account, in.GroupName, in.UserName); err != nil {
		return nil, fault(err)
	}
	return &iam.RemoveUserFromGroupOutput{}, nil
}
