package iam

import (
	"context"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
)

// entity is one item of GetAccountAuthorizationDetails; exactly one field is set.
type entity struct {
	user   *identity.User
	group  *identity.Group
	role   *identity.Role
	policy *identity.ManagedPolicy
}

// key orders kinds, then names.
func (e entity) key() string {
	switch {
	case e.user != nil:
		return "1/" + e.user.Name
	case e.group != nil:
		return "2/" + e.group.Name
	case e.role != nil:
		return "3/" + e.role.Name
	}
	return "4/" + e.policy.Account + "/" + e.policy.Name
}

// GetAccountAuthorizationDetails shows all users, groups, roles and policies of
// the account with what they hold. Of AWS's policies it shows those in use, as
// AWS does.
func (f *Face) GetAccountAuthorizationDetails(ctx context.Context, in *iam.GetAccountAuthorizationDetailsInput) (*iam.GetAccountAuthorizationDetailsOutput, error) {
	v := f.view(ctx)
	wanted := func(t iam.EntityType) bool { return len(in.Filter) == 0 || slices.Contains(in.Filter, t) }
	var all []entity
	if wanted(iam.EntityTypeUser) {
		for _, u := range v.Users(v.account) {
			all = append(all, entity{user: &u})
		}
	}
	if wanted(iam.EntityTypeGroup) {
		for _, g := range v.Groups(v.account) {
			all = append(all, entity{group: &g})
		}
	}
	if wanted(iam.EntityTypeRole) {
		for _, r := range v.Roles(v.account) {
			all = append(all, entity{role: &r})
		}
	}
	if wanted(iam.EntityTypeLocalManagedPolicy) {
		for _, m := range v.Policies(v.account) {
			all = append(all, entity{policy: &m})
		}
	}
	if wanted(iam.EntityTypeAWSManagedPolicy) {
		for _, m := range v.Policies("aws") {
			if attached, bounded := v.Holders(v.account, v.PolicyARN(m)); len(attached)+len(bounded) > 0 {
				all = append(all, entity{policy: &m})
			}
		}
	}
	items, more, next, err := page(all, in.Marker, in.MaxItems, entity.key)
	if err != nil {
		return nil, err
	}
	out := &iam.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []iam.UserDetail{}, GroupDetailList: []iam.GroupDetail{}, RoleDetailList: []iam.RoleDetail{}, Policies: []iam.ManagedPolicyDetail{},
		IsTruncated: more, Marker: next,
	}
	for _, e := range items {
		switch {
		case e.user != nil:
			out.UserDetailList = append(out.UserDetailList, v.userDetail(e.user))
		case e.group != nil:
			out.GroupDetailList = append(out.GroupDetailList, v.groupDetail(e.group))
		case e.role != nil:
			out.RoleDetailList = append(out.RoleDetailList, v.roleDetail(e.role))
		default:
			out.Policies = append(out.Policies, v.policyDetail(e.policy))
		}
	}
	return out, nil
}

func (v view) attachedList(arns []string) []iam.AttachedPolicy {
	out := make([]iam.AttachedPolicy, 0, len(arns))
	for _, a := range arns {
		if m, ok := v.Policy(a); ok {
			out = append(out, v.attachedPolicy(m))
		}
	}
	return out
}

func inlineList(inline map[string]string) []iam.PolicyDetail {
	return each(sortedNames(inline), func(name string) iam.PolicyDetail {
		return iam.PolicyDetail{PolicyName: &name, PolicyDocument: new(encoded(inline[name]))}
	})
}

func (v view) userDetail(u *identity.User) iam.UserDetail {
	return iam.UserDetail{
		Arn: new(v.UserARN(*u)), UserId: &u.UserID, UserName: &u.Name, Path: &u.Path, CreateDate: &u.Created, PermissionsBoundary: boundary(u.Boundary),
		AttachedManagedPolicies: v.attachedList(u.Policies), UserPolicyList: inlineList(u.Inline), GroupList: append([]string{}, u.Groups...), Tags: tagList(u.Tags),
	}
}

func (v view) groupDetail(g *identity.Group) iam.GroupDetail {
	return iam.GroupDetail{
		Arn: new(v.GroupARN(*g)), GroupId: &g.GroupID, GroupName: &g.Name, Path: &g.Path, CreateDate: &g.Created,
		AttachedManagedPolicies: v.attachedList(g.Policies), GroupPolicyList: inlineList(g.Inline),
	}
}

func (v view) roleDetail(r *identity.Role) iam.RoleDetail {
	return iam.RoleDetail{
		Arn: new(v.RoleARN(*r)), RoleId: &r.RoleID, RoleName: &r.Name, Path: &r.Path, CreateDate: &r.Created, PermissionsBoundary: boundary(r.Boundary),
		AssumeRolePolicyDocument: new(encoded(r.Trust)), AttachedManagedPolicies: v.attachedList(r.Policies), RolePolicyList: inlineList(r.Inline),
		InstanceProfileList: []iam.InstanceProfile{}, RoleLastUsed: &iam.RoleLastUsed{}, Tags: tagList(r.Tags),
	}
}

func (v view) policyDetail(m *identity.ManagedPolicy) iam.ManagedPolicyDetail {
	p := v.wirePolicy(*m, true)
	return iam.ManagedPolicyDetail{
		Arn: p.Arn, AttachmentCount: p.AttachmentCount, CreateDate: p.CreateDate, DefaultVersionId: p.DefaultVersionId, Description: p.Description,
		IsAttachable: p.IsAttachable, Path: p.Path, PermissionsBoundaryUsageCount: p.PermissionsBoundaryUsageCount, PolicyId: p.PolicyId, PolicyName: p.PolicyName, UpdateDate: p.UpdateDate,
		PolicyVersionList: each(m.Versions, func(pv identity.PolicyVersion) iam.PolicyVersion { return wireVersion(m, pv, true) }),
	}
}

// GetAccountSummary counts what is here, beside the limits that hold.
func (f *Face) GetAccountSummary(ctx context.Context, _ *iam.GetAccountSummaryInput) (*iam.GetAccountSummaryOutput, error) {
	v := f.view(ctx)
	versions := 0
	local := v.Policies(v.account)
	for i := range local {
		versions += len(local[i].Versions)
	}
	return &iam.GetAccountSummaryOutput{SummaryMap: map[iam.SummaryKeyType]int{
		iam.SummaryKeyTypeUsers: len(v.Users(v.account)), iam.SummaryKeyTypeGroups: len(v.Groups(v.account)), "Roles": len(v.Roles(v.account)),
		iam.SummaryKeyTypePolicies: len(local), iam.SummaryKeyTypePolicyVersionsInUse: versions,
		iam.SummaryKeyTypeAccessKeysPerUserQuota: 2, iam.SummaryKeyTypeVersionsPerPolicyQuota: 5, iam.SummaryKeyTypeGroupsPerUserQuota: 10,
		iam.SummaryKeyTypeAttachedPoliciesPerUserQuota: 10, iam.SummaryKeyTypeAttachedPoliciesPerGroupQuota: 10, iam.SummaryKeyTypeAttachedPoliciesPerRoleQuota: 10,
		iam.SummaryKeyTypeAccountMFAEnabled: 0, iam.SummaryKeyTypeMFADevices: 0, iam.SummaryKeyTypeAccountAccessKeysPresent: 0,
	}}, nil
}

// ListAccountAliases finds none: an alias names the sign-in page of the console.
func (f *Face) ListAccountAliases(context.Context, *iam.ListAccountAliasesInput) (*iam.ListAccountAliasesOutput, error) {
	return &iam.ListAccountAliasesOutput{AccountAliases: []string{}, IsTruncated: new(false)}, nil
}
