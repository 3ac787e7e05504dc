package iam

import (
	"context"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// wireUser is a user as single answers show it; lists leave tags and boundary out.
func (v view) wireUser(u identity.User, whole bool) iam.User {
	out := iam.User{Arn: v.UserARN(u), CreateDate: u.Created, Path: u.Path, UserId: u.UserID, UserName: u.Name}
	if whole {
		out.PermissionsBoundary = boundary(u.Boundary)
		if len(u.Tags) > 0 {
			out.Tags = tagList(u.Tags)
		}
	}
	return out
}

func boundary(arn string) *iam.AttachedPermissionsBoundary {
	if arn == "" {
		return nil
	}
	return &iam.AttachedPermissionsBoundary{PermissionsBoundaryArn: &arn, PermissionsBoundaryType: "Policy"}
}

// CreateUser makes a user with its boundary and tags, or nothing.
func (f *Face) CreateUser(ctx context.Context, in *iam.CreateUserInput) (*iam.CreateUserOutput, error) {
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	v := f.view(ctx)
	if _, ok := v.User(v.account, in.UserName); ok {
		return nil, apierr.New(alreadyExists, "User with name %s already exists.", in.UserName)
	}
	h := identity.Holder{Kind: identity.UserHolder, Account: v.account, Name: in.UserName}
	u, err := f.Identity.CreateUser(ctx, v.account, in.UserName, optional.Value(in.Path))
	if err != nil {
		return nil, fault(err)
	}
	// Nothing can be allowed to the new user yet, so that its boundary comes in time.
	if in.PermissionsBoundary != nil {
		err = f.Identity.SetBoundary(ctx, h, *in.PermissionsBoundary)
	}
	if err == nil && len(tags) > 0 {
		err = f.Identity.Tag(ctx, h, tags)
	}
	if err != nil {
		if undo := f.Identity.DeleteUser(context.WithoutCancel(ctx), v.account, in.UserName); undo != nil {
			return nil, undo
		}
		return nil, fault(err)
	}
	v = f.view(ctx)
	if u, err = v.user(&u.Name); err != nil {
		return nil, err
	}
	return &iam.CreateUserOutput{User: new(v.wireUser(u, true))}, nil
}

// GetUser shows a user; the root user when it asks for itself.
func (f *Face) GetUser(ctx context.Context, in *iam.GetUserInput) (*iam.GetUserOutput, error) {
	v := f.view(ctx)
	if in.UserName == nil && v.caller != nil && v.caller.Kind == identity.KindRoot {
		a, _ := v.Account(v.account)
		return &iam.GetUserOutput{User: &iam.User{Arn: v.caller.ARN, UserId: v.caller.UserID, Path: "/", CreateDate: a.Created}}, nil
	}
	u, err := v.user(in.UserName)
	if err != nil {
		return nil, err
	}
	return &iam.GetUserOutput{User: new(v.wireUser(u, true))}, nil
}

// ListUsers lists the users of the account.
func (f *Face) ListUsers(ctx context.Context, in *iam.ListUsersInput) (*iam.ListUsersOutput, error) {
	v := f.view(ctx)
	all := under(v.Users(v.account), in.PathPrefix, func(u identity.User) string { return u.Path })
	us, more, next, err := page(all, in.Marker, in.MaxItems, func(u identity.User) string { return u.Name })
	if err != nil {
		return nil, err
	}
	return &iam.ListUsersOutput{Users: each(us, func(u identity.User) iam.User { return v.wireUser(u, false) }), IsTruncated: more, Marker: next}, nil
}

// UpdateUser gives a user another name or path; keys and memberships go along.
func (f *Face) UpdateUser(ctx context.Context, in *iam.UpdateUserInput) (*iam.UpdateUserOutput, error) {
	v := f.view(ctx)
	u, err := v.user(&in.UserName)
	if err != nil {
		return nil, err
	}
	if n := optional.Value(in.NewUserName); n != "" && !strings.EqualFold(n, u.Name) {
		if _, taken := v.User(v.account, n); taken {
			return nil, apierr.New(alreadyExists, "User with name %s already exists.", n)
		}
	}
	if err := f.Identity.UpdateUser(ctx, v.account, u.Name, optional.Value(in.NewUserName), optional.Value(in.NewPath)); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateUserOutput{}, nil
}

// DeleteUser removes a user that has nothing left.
func (f *Face) DeleteUser(ctx context.Context, in *iam.DeleteUserInput) (*iam.DeleteUserOutput, error) {
	if _, err := f.view(ctx).user(&in.UserName); err != nil {
		return nil, err
	}
	if err := f.Identity.DeleteUser(ctx, account(ctx), in.UserName); err != nil {
		return nil, fault(err)
	}
	return &iam.DeleteUserOutput{}, nil
}
