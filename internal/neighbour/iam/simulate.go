package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// simulation is a question to policies that need not be in force.
type simulation struct {
	sets   policy.Sets
	source map[*policy.Policy]iam.Statement // where a policy comes from
	caller policy.Caller
	keys   map[string][]string // of the caller, in lower case
}

// add takes a document of the principal or of the request.
func (s *simulation) add(kind policy.Kind, document, id string, from iam.PolicySourceType) error {
	p, err := policy.Parse(document, kind)
	if err != nil {
		return fault(err)
	}
	s.source[p] = iam.Statement{SourcePolicyId: &id, SourcePolicyType: from}
	switch kind {
	case policy.Boundary:
		s.sets.Boundary = p
	case policy.Resource:
		s.sets.Resource = append(s.sets.Resource, p)
	case policy.Identity, policy.Trust, policy.Session:
		s.sets.Identity = append(s.sets.Identity, p)
	}
	return nil
}

// holder takes all policies of a user, group or role.
func (s *simulation) holder(v view, attached []string, inline map[string]string, from iam.PolicySourceType) error {
	for _, a := range attached {
		m, err := v.policy(a)
		if err != nil {
			return err
		}
		pv, _ := m.Version("")
		typ := iam.PolicySourceTypeUserManaged
		if m.Account == "aws" {
			typ = iam.PolicySourceTypeAwsManaged
		}
		if err := s.add(policy.Identity, pv.Document, m.Name, typ); err != nil {
			return err
		}
	}
	for _, name := range sortedNames(inline) {
		if err := s.add(policy.Identity, inline[name], name, from); err != nil {
			return err
		}
	}
	return nil
}

func sortedNames(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *simulation) bound(v view, boundary string) error {
	if boundary == "" {
		return nil
	}
	m, err := v.policy(boundary)
	if err != nil {
		return err
	}
	pv, _ := m.Version("")
	return s.add(policy.Boundary, pv.Document, m.Name, iam.PolicySourceTypeUserManaged)
}

// principal takes what the user, group or role of the ARN has.
func (s *simulation) principal(v view, source string) error {
	a, err := arn.Parse(source)
	if err != nil || a.Service != "iam" || a.Account != v.account {
		return apierr.New(invalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", source)
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	s.caller = policy.Caller{Account: v.account, ARN: source}
	switch a.Type() {
	case "user":
		u, err := v.user(&name)
		if err != nil {
			return err
		}
		s.caller.Kind, s.caller.UniqueID = policy.User, u.UserID
		s.facts("User", u.UserID, source, u.Tags)
		s.keys["aws:username"] = []string{u.Name}
		if err := s.holder(v, u.Policies, u.Inline, iam.PolicySourceTypeUser); err != nil {
			return err
		}
		for _, g := range u.Groups {
			if group, ok := v.Group(v.account, g); ok {
				if err := s.holder(v, group.Policies, group.Inline, iam.PolicySourceTypeGroup); err != nil {
					return err
				}
			}
		}
		return s.bound(v, u.Boundary)
	case "group":
		g, err := v.group(name)
		if err != nil {
			return err
		}
		s.caller.Kind = policy.User
		return s.holder(v, g.Policies, g.Inline, iam.PolicySourceTypeGroup)
	case "role":
		r, err := v.role(name)
		if err != nil {
			return err
		}
		s.caller.Kind, s.caller.RoleARN, s.caller.UniqueID = policy.RoleSession, source, r.RoleID
		s.facts("AssumedRole", r.RoleID, source, r.Tags)
		if err := s.holder(v, r.Policies, r.Inline, iam.PolicySourceTypeRole); err != nil {
			return err
		}
		return s.bound(v, r.Boundary)
	}
	return apierr.New(invalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", source)
}

func (s *simulation) facts(typ, id, principal string, tags map[string]string) {
	s.keys["aws:principaltype"], s.keys["aws:userid"], s.keys["aws:principalarn"] = []string{typ}, []string{id}, []string{principal}
	for k, v := range tags {
		s.keys["aws:principaltag/"+strings.ToLower(k)] = []string{v}
	}
}

// SimulatePrincipalPolicy says what the policies of a user, group or role amount
// to, together with those in the request.
func (f *Face) SimulatePrincipalPolicy(ctx context.Context, in *iam.SimulatePrincipalPolicyInput) (*iam.SimulatePrincipalPolicyOutput, error) {
	v := f.view(ctx)
	s := simulation{source: map[*policy.Policy]iam.Statement{}, keys: map[string][]string{}}
	if err := s.principal(v, in.PolicySourceArn); err != nil {
		return nil, err
	}
	s.keys["aws:principalaccount"] = []string{v.account}
	return s.run(v, &iam.SimulateCustomPolicyInput{
		ActionNames: in.ActionNames, CallerArn: in.CallerArn, ContextEntries: in.ContextEntries, Marker: in.Marker, MaxItems: in.MaxItems,
		PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList, PolicyInputList: in.PolicyInputList, ResourceArns: in.ResourceArns,
		ResourceHandlingOption: in.ResourceHandlingOption, ResourceOwner: in.ResourceOwner, ResourcePolicy: in.ResourcePolicy,
	})
}

// SimulateCustomPolicy says what the policies in the request amount to.
func (f *Face) SimulateCustomPolicy(ctx context.Context, in *iam.SimulateCustomPolicyInput) (*iam.SimulateCustomPolicyOutput, error) {
	v := f.view(ctx)
	s := simulation{source: map[*policy.Policy]iam.Statement{}, keys: map[string][]string{}, caller: policy.Caller{Kind: policy.User, Account: v.account}}
	return s.run(v, in)
}

func (s *simulation) run(v view, in *iam.SimulateCustomPolicyInput) (*iam.SimulatePolicyResponseStructure, error) {
	for i, d := range in.PolicyInputList {
		if err := s.add(policy.Identity, d, "PolicyInputList."+strconv.Itoa(i+1), iam.PolicySourceTypeNone); err != nil {
			return nil, err
		}
	}
	if l := in.PermissionsBoundaryPolicyInputList; len(l) > 1 {
		return nil, apierr.New(invalidInput, "Only one permissions boundary policy can be simulated.")
	} else if len(l) == 1 {
		if err := s.add(policy.Boundary, l[0], "PermissionsBoundaryPolicyInputList.1", iam.PolicySourceTypeNone); err != nil {
			return nil, err
		}
	}
	if in.CallerArn != nil {
		if err := s.as(v, *in.CallerArn); err != nil {
			return nil, err
		}
	}
	if in.ResourcePolicy != nil {
		if s.caller.ARN == "" || s.caller.Kind == policy.User && !strings.Contains(s.caller.ARN, ":user/") {
			return nil, apierr.New(invalidInput, "CallerArn is required when ResourcePolicy is given and the policies are no user's.")
		}
		if err := s.add(policy.Resource, *in.ResourcePolicy, "ResourcePolicy", iam.PolicySourceTypeResource); err != nil {
			return nil, err
		}
	}
	keys := map[string][]string{}
	for _, e := range in.ContextEntries {
		if e.ContextKeyName != nil {
			keys[*e.ContextKeyName] = e.ContextKeyValues
		}
	}
	owner := ""
	if in.ResourceOwner != nil {
		a, err := arn.Parse(*in.ResourceOwner)
		if err != nil {
			return nil, apierr.New(invalidInput, "ResourceOwner must be the ARN of an account.")
		}
		owner = a.Account
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var all []numbered
	for _, action := range in.ActionNames {
		if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(action, "*?") {
			return nil, apierr.New(invalidInput, "Invalid Action: %s is not SERVICE:ACTION.", action)
		}
		for _, r := range resources {
			all = append(all, numbered{len(all), s.ask(&policy.Request{
				Caller: s.caller, Action: action, Resource: r, ResourceAccount: owner, Keys: keys, CallerKeys: s.keys, Time: time.Now(),
			})})
		}
	}
	results, more, next, err := page(all, in.Marker, in.MaxItems, func(n numbered) string { return strconv.Itoa(1e6 + n.n) })
	if err != nil {
		return nil, err
	}
	return &iam.SimulatePolicyResponseStructure{IsTruncated: more, Marker: next, EvaluationResults: each(results, func(n numbered) iam.EvaluationResult { return n.result })}, nil
}

type numbered struct {
	n      int
	result iam.EvaluationResult
}

// as lets another user ask; the policies stay.
func (s *simulation) as(v view, caller string) error {
	a, err := arn.Parse(caller)
	if err != nil || a.Service != "iam" || a.Type() != "user" {
		return apierr.New(invalidInput, "CallerArn must be the ARN of an IAM user.")
	}
	s.caller = policy.Caller{Kind: policy.User, Account: a.Account, ARN: caller}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	s.keys = map[string][]string{"aws:principalaccount": {a.Account}, "aws:username": {name}}
	var tags map[string]string
	if u, ok := v.User(a.Account, name); ok && a.Account == v.account {
		s.caller.UniqueID, tags = u.UserID, u.Tags
	}
	s.facts("User", s.caller.UniqueID, caller, tags)
	return nil
}

// ask evaluates one action on one resource.
func (s *simulation) ask(r *policy.Request) iam.EvaluationResult {
	d, steps := policy.Explain(r, &s.sets)
	out := iam.EvaluationResult{EvalActionName: r.Action, EvalResourceName: &r.Resource, EvalDecision: iam.PolicyEvaluationDecisionTypeImplicitDeny, MatchedStatements: []iam.Statement{}, MissingContextValues: []string{}}
	effect := policy.Allow
	switch {
	case d.Allowed:
		out.EvalDecision = iam.PolicyEvaluationDecisionTypeAllowed
	case d.Reason == policy.ExplicitDeny:
		out.EvalDecision, effect = iam.PolicyEvaluationDecisionTypeExplicitDeny, policy.Deny
	}
	within, forbidden := false, false // what the boundary says
	for _, st := range steps {
		if st.Kind == policy.Boundary && st.Matched {
			within, forbidden = within || st.Effect == policy.Allow, forbidden || st.Effect == policy.Deny
		}
		if st.Matched && st.Effect == effect && st.Kind != policy.Boundary && out.EvalDecision != iam.PolicyEvaluationDecisionTypeImplicitDeny {
			m := s.source[st.Source.Policy]
			start, end := st.Span()
			m.StartPosition, m.EndPosition = &iam.Position{Line: &start.Line, Column: &start.Column}, &iam.Position{Line: &end.Line, Column: &end.Column}
			out.MatchedStatements = append(out.MatchedStatements, m)
		}
		if !st.Matched && strings.Contains(st.Why, "the request has no such key") {
			for _, c := range st.Source.Policy.Statements[st.Statement].Condition {
				if !given(r, c.Key) && !slices.Contains(out.MissingContextValues, c.Key) {
					out.MissingContextValues = append(out.MissingContextValues, c.Key)
				}
			}
		}
	}
	if s.sets.Boundary != nil {
		out.PermissionsBoundaryDecisionDetail = &iam.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: new(within && !forbidden)}
	}
	return out
}

func given(r *policy.Request, key string) bool {
	l := strings.ToLower(key)
	if _, ok := r.CallerKeys[l]; ok || l == "aws:currenttime" || l == "aws:epochtime" || l == "aws:resourceaccount" {
		return true
	}
	for k := range r.Keys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}
