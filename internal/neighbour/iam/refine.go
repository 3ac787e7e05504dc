package iam

import (
	"context"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
)

// Refine names users, groups, roles and policies with their paths, which an input
// does not hold unless it makes them, and adds IAM's condition keys and the tags
// of the resource.
func (f *Face) Refine(ctx context.Context, _ *api.Operation, in any, types []string, p *gateway.Permission) {
	v := f.view(ctx)
	q := questionOf(in)
	for _, t := range types {
		name, tags, bound := v.resource(t, q)
		if name == "" {
			continue
		}
		p.Resources = []string{name}
		for k, val := range tags {
			p.Conditions["aws:ResourceTag/"+k] = []string{val}
			p.Conditions["iam:ResourceTag/"+k] = []string{val}
		}
		if bound != "" && q.boundary == "" {
			q.boundary = bound
		}
	}
	if q.boundary != "" {
		p.Conditions["iam:PermissionsBoundary"] = []string{q.boundary}
	}
	if q.policyARN != "" {
		p.Conditions["iam:PolicyARN"] = []string{q.policyARN}
	}
	credentialKeys(in, p.Conditions)
}

// credentialKeys are the condition keys of Bedrock's API keys.
func credentialKeys(in any, keys map[string][]string) {
	service := bedrockKeys
	switch in := in.(type) {
	case *iam.CreateServiceSpecificCredentialInput:
		service = in.ServiceName
		if in.CredentialAgeDays != nil {
			keys["iam:ServiceSpecificCredentialAgeDays"] = []string{strconv.Itoa(*in.CredentialAgeDays)}
		}
	case *iam.UpdateServiceSpecificCredentialInput, *iam.ResetServiceSpecificCredentialInput, *iam.DeleteServiceSpecificCredentialInput:
	default:
		return
	}
	keys["iam:ServiceSpecificCredentialServiceName"] = []string{service}
}

// question is what an input says of the resource it is about.
type question struct {
	user, group, role, policy string
	self                      bool   // the input may leave the user out, and does
	key                       string // an access key, which stands for its user
	path                      *string
	boundary, policyARN       string
}

// resource names one type's resource with its tags and boundary; "" leaves what
// the templates made of the input.
func (v view) resource(typ string, q question) (name string, tags map[string]string, bound string) {
	switch typ {
	case "user":
		if q.self && v.caller != nil && v.caller.Kind == identity.KindUser {
			q.user = v.caller.Name
		}
		if k, ok := v.AccessKey(q.key); ok && k.Account == v.account {
			q.user = k.User
		}
		if u, ok := v.User(v.account, q.user); ok {
			return v.UserARN(u), u.Tags, u.Boundary
		}
		if q.user != "" && q.path != nil {
			return v.UserARN(identity.User{Account: v.account, Name: q.user, Path: *q.path}), nil, ""
		}
	case "group":
		if g, ok := v.Group(v.account, q.group); ok {
			return v.GroupARN(g), nil, ""
		}
		if q.group != "" && q.path != nil {
			return v.GroupARN(identity.Group{Account: v.account, Name: q.group, Path: *q.path}), nil, ""
		}
	case "role":
		if r, ok := v.Role(v.account, q.role); ok {
			return v.RoleARN(r), r.Tags, r.Boundary
		}
		if q.role != "" && q.path != nil {
			return v.RoleARN(identity.Role{Account: v.account, Name: q.role, Path: *q.path}), nil, ""
		}
	case "policy":
		if m, ok := v.Policy(q.policyARN); ok {
			return q.policyARN, m.Tags, ""
		}
		if q.policy != "" && q.path != nil {
			return v.PolicyARN(identity.ManagedPolicy{Account: v.account, Name: q.policy, Path: *q.path}), nil, ""
		}
	}
	return "", nil, ""
}

// questionOf reads the members that name resources out of any of IAM's inputs.
func questionOf(in any) (q question) {
	m := members(in)
	q.user, q.group, q.role, q.policy = m["UserName"], m["GroupName"], m["RoleName"], m["PolicyName"]
	q.boundary, q.policyARN = m["PermissionsBoundary"], m["PolicyArn"]
	if p, ok := m["Path"]; ok {
		q.path = &p
	}
	switch in := in.(type) {
	case *iam.GetAccessKeyLastUsedInput:
		q.key = in.AccessKeyId
	case *iam.GetUserInput, *iam.CreateAccessKeyInput, *iam.ListAccessKeysInput, *iam.UpdateAccessKeyInput, *iam.DeleteAccessKeyInput, *iam.ListServiceSpecificCredentialsInput, *iam.UpdateServiceSpecificCredentialInput,
		*iam.ResetServiceSpecificCredentialInput, *iam.DeleteServiceSpecificCredentialInput:
		q.self = q.user == ""
	}
	return q
}
