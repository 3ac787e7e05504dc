package kms

import (
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// exists reports whether a principal element names somebody: a user or a role of an
// account of this house must be there. Accounts that are not here, services and
// everybody else are taken as they are.
func (s *Service) exists(principal string) bool {
	a, err := arn.Parse(principal)
	if err != nil || a.Service != "iam" {
		return true
	}
	snapshot := s.policies.Snapshot()
	if _, here := snapshot.Account(a.Account); !here {
		return true
	}
	switch a.Type() {
	case "role":
		_, ok := snapshot.RoleByARN(principal)
		return ok
	case "user":
		name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
		u, ok := snapshot.User(a.Account, name)
		return ok && snapshot.UserARN(u) == principal
	}
	return true
}

// Operation is what a grant can allow.
type Operation string

// The operations that a grant can allow and this package has.
const (
	OpDecrypt         Operation = "Decrypt"
	OpEncrypt         Operation = "Encrypt"
	OpGenerateDataKey Operation = "GenerateDataKey"
	OpGenerateWithout Operation = "GenerateDataKeyWithoutPlaintext"
	OpReEncryptFrom   Operation = "ReEncryptFrom"
	OpReEncryptTo     Operation = "ReEncryptTo"
	OpCreateGrant     Operation = "CreateGrant"
	OpRetireGrant     Operation = "RetireGrant"
	OpDescribeKey     Operation = "DescribeKey"
)

// cryptographic operations take an encryption context, which grants can constrain.
func (o Operation) cryptographic() bool {
	switch o {
	case OpDecrypt, OpEncrypt, OpGenerateDataKey, OpGenerateWithout, OpReEncryptFrom, OpReEncryptTo:
		return true
	case OpCreateGrant, OpRetireGrant, OpDescribeKey:
	}
	return false
}

// ask is one question about a key.
type ask struct {
	action  string // kms:Decrypt
	key     *Key
	op      Operation // "" when no grant can allow it
	context map[string]string
	alias   string              // the request named the key so
	keys    map[string][]string // further condition keys
	policy  *policy.Policy      // instead of the key's, nil: the key's
	grant   *CreateGrantInput   // of CreateGrant: what a grant may hand on is narrower
}

// allowKey decides as AWS does: the key policy opens the way, for the principals
// it names or, through the account, for IAM policies; a grant allows what neither
// does; an explicit deny wins over both. The caller holds s.mu or s.write.
func (s *Service) allowKey(c Caller, a ask) error {
	q := iam.Question{
		Principal: c.Principal, Action: a.action, Resource: a.key.arn, Owner: a.key.Account(), Keys: s.conditions(c, &a),
		ResourcePolicies: []*policy.Policy{a.key.policy}, ResourceRules: true,
	}
	if a.policy != nil {
		q.ResourcePolicies[0] = a.policy
	}
	if c.Principal == nil && c.Service != "" {
		return s.allowService(c, &a, &q)
	}
	d := s.policies.Decide(&q)
	switch {
	case d.Allowed:
		return nil
	case d.Reason == policy.ExplicitDeny || c.Principal == nil || a.policy != nil:
	case s.granted(c, &a):
		return nil
	}
	return s.policies.Allow(&q)
}

func (s *Service) allowService(c Caller, a *ask, q *iam.Question) error {
	r := policy.Request{
		Caller: policy.Caller{Kind: policy.Service, Service: c.Service},
		Action: q.Action, Resource: q.Resource, ResourceAccount: q.Owner, Keys: q.Keys,
		CallerKeys: map[string][]string{"aws:principalisawsservice": {"true"}, "aws:principalservicename": {c.Service}},
		Time:       s.now(),
	}
	d := policy.Evaluate(&r, &policy.Sets{Resource: q.ResourcePolicies, ResourceRules: true})
	if d.Allowed || (d.Reason != policy.ExplicitDeny && s.granted(c, a)) {
		return nil
	}
	why := iam.NoResourcePolicy
	if d.Reason == policy.ExplicitDeny {
		why = iam.ExplicitResource
	}
	return iam.Denied(&iam.Principal{ARN: c.Service}, q.Action, q.Resource, why)
}

// allowIdentity asks by IAM policies alone: what is about no key, or about an
// alias.
func (s *Service) allowIdentity(c Caller, action, resource string, keys map[string][]string) error {
	return s.policies.Allow(&iam.Question{
		Principal: c.Principal, Action: action, Resource: resource, Owner: c.Account, Keys: s.conditions(c, &ask{keys: keys}),
	})
}

func (s *Service) conditions(c Caller, a *ask) map[string][]string {
	out := make(map[string][]string, len(c.Keys)+len(a.keys)+len(a.context)+10)
	maps.Copy(out, c.Keys)
	maps.Copy(out, a.keys)
	if c.Principal != nil {
		out["kms:CallerAccount"] = []string{c.Principal.Account}
	} else if c.Account != "" {
		out["kms:CallerAccount"] = []string{c.Account}
		out["aws:SourceAccount"] = []string{c.Account}
	}
	if c.Via != "" {
		out["kms:ViaService"] = []string{c.Via}
	}
	if len(a.context) > 0 {
		out["kms:EncryptionContextKeys"] = slices.Sorted(maps.Keys(a.context))
		for k, v := range a.context {
			out["kms:EncryptionContext:"+k] = []string{v}
		}
	}
	if a.op.cryptographic() {
		out["kms:EncryptionAlgorithm"] = []string{"SYMMETRIC_DEFAULT"}
	}
	if strings.HasPrefix(a.alias, "alias/") {
		out["kms:RequestAlias"] = []string{a.alias}
	}
	if a.key != nil {
		out["kms:KeySpec"], out["kms:KeyUsage"], out["kms:KeyOrigin"] = []string{"SYMMETRIC_DEFAULT"}, []string{"ENCRYPT_DECRYPT"}, []string{"AWS_KMS"}
		out["kms:MultiRegion"] = []string{"false"}
		for _, al := range s.state.named[a.key.ID()] {
			out["kms:ResourceAliases"] = append(out["kms:ResourceAliases"], al.Name())
		}
		for _, t := range a.key.rec.Body.Tags {
			out["aws:ResourceTag/"+t.Key] = []string{t.Value}
		}
	}
	return out
}

// granted reports whether a grant on the key lets the caller do it.
func (s *Service) granted(c Caller, a *ask) bool {
	if a.op == "" {
		return false
	}
	for _, g := range s.state.grants[a.key.ID()] {
		if g.names(c, g.rec.Body.Grantee) && g.allows(a) {
			return true
		}
	}
	return false
}

// names reports whether a principal element of the grant is the caller: its ARN,
// its role's, the service, or the root user of the account.
func (g *Grant) names(c Caller, principal string) bool {
	if principal == "" {
		return false
	}
	p := c.Principal
	if p == nil {
		return principal == c.Service
	}
	return principal == p.ARN || (p.Kind == iam.KindSession && principal == p.RoleARN)
}

func (g *Grant) allows(a *ask) bool {
	b := &g.rec.Body
	if !slices.Contains(b.Operations, a.op) {
		return false
	}
	if a.op == OpCreateGrant {
		// A grant hands on no more than it has.
		return a.grant != nil && maps.Equal(a.grant.Equals, b.Equals) && maps.Equal(a.grant.Subset, b.Subset) &&
			!slices.ContainsFunc(a.grant.Operations, func(o Operation) bool { return !slices.Contains(b.Operations, o) })
	}
	if !a.op.cryptographic() {
		return true
	}
	if b.Equals != nil && !maps.Equal(b.Equals, a.context) {
		return false
	}
	for k, v := range b.Subset {
		if have, ok := a.context[k]; !ok || have != v {
			return false
		}
	}
	return true
}
