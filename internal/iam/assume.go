package iam

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// Limits of sessions of roles.
const (
	maxChained        = time.Hour // of a session begun by a session
	maxSessionARNs    = 10
	actionAssumeRole  = "sts:AssumeRole"
	actionTagSession  = "sts:TagSession"
	actionSetIdentity = "sts:SetSourceIdentity"
	actionPassRole    = "iam:PassRole"
)

var sessionNamePattern = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// AssumeRoleInput is what a caller asks of STS. RoleARN and SessionName are
// required.
type AssumeRoleInput struct {
	RoleARN        string
	SessionName    string
	Policy         string   // session policy; "": none
	PolicyARNs     []string // managed policies that narrow the session too
	Duration       time.Duration
	ExternalID     string
	SourceIdentity string
	Tags           map[string]string
	TransitiveTags []string            // keys of Tags that go on with chained sessions
	Keys           map[string][]string // what the edge knows of the request: aws:SourceIp …
}

// AssumedRole is a session of a role.
type AssumedRole struct {
	SessionCredentials

	ARN    string // arn:aws:sts::A:assumed-role/ROLE/SESSION
	RoleID string // AROA…:SESSION
	// PackedPolicySize is how much of the room for session policies and tags is
	// taken, in percent; 0 without them.
	PackedPolicySize int
}

// AssumeRole begins a session of a role for a user or another session. What may
// not be is an *apierr.Error of kind AccessDenied, whether the role exists or
// not; what is asked wrongly is ErrInvalid or a *policy.SyntaxError.
func (i *Identity) AssumeRole(ctx context.Context, caller *Principal, in AssumeRoleInput) (AssumedRole, error) {
	if !sessionNamePattern.MatchString(in.SessionName) {
		return AssumedRole{}, fmt.Errorf("%w: session name %q", ErrInvalid, in.SessionName)
	}
	if err := checkTags(in.Tags); err != nil {
		return AssumedRole{}, err
	}
	if caller == nil || caller.Kind == KindRoot {
		return AssumedRole{}, apierr.New(apierr.AccessDenied, "Roles may not be assumed by root accounts.")
	}
	tags := maps.Clone(in.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	transitive := slices.Clone(in.TransitiveTags)
	if caller.Kind == KindSession { // what the session before handed on cannot be changed
		for _, k := range caller.TransitiveTags {
			if v, ok := caller.Tags[k]; ok {
				if containsFold(sortedKeys(in.Tags), k) {
					return AssumedRole{}, fmt.Errorf("%w: tag %s was handed on and cannot be set again", ErrInvalid, k)
				}
				tags[k] = v
				transitive = append(transitive, k)
			}
		}
	}
	s := i.current.Load()
	role, ok := s.RoleByARN(in.RoleARN)
	if !ok {
		return AssumedRole{}, Denied(caller, actionAssumeRole, in.RoleARN, "")
	}
	keys := maps.Clone(in.Keys)
	if keys == nil {
		keys = map[string][]string{}
	}
	keys["sts:RoleSessionName"] = []string{in.SessionName}
	if in.ExternalID != "" {
		keys["sts:ExternalId"] = []string{in.ExternalID}
	}
	if in.SourceIdentity != "" {
		keys["sts:SourceIdentity"] = []string{in.SourceIdentity}
	}
	if len(in.Tags) > 0 {
		keys["aws:TagKeys"] = sortedKeys(in.Tags)
		for k, v := range in.Tags {
			keys["aws:RequestTag/"+k] = []string{v}
		}
		if len(in.TransitiveTags) > 0 {
			keys["sts:TransitiveTagKeys"] = in.TransitiveTags
		}
	}
	actions := []string{actionAssumeRole}
	if len(in.Tags) > 0 {
		actions = append(actions, actionTagSession)
	}
	if in.SourceIdentity != "" {
		actions = append(actions, actionSetIdentity)
	}
	for _, action := range actions {
		if !i.trusts(s, role, &Question{Principal: caller, Action: action, Resource: in.RoleARN, Keys: keys}) {
			return AssumedRole{}, Denied(caller, action, in.RoleARN, "")
		}
	}
	life := cmp.Or(in.Duration, time.Hour)
	switch {
	case life < minSession:
		return AssumedRole{}, fmt.Errorf("%w: session of %v, want %v or more", ErrInvalid, life, minSession)
	case life > role.MaxSession:
		return AssumedRole{}, fmt.Errorf("%w: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", ErrInvalid) //nolint:revive,staticcheck // AWS's sentence
	case caller.Kind == KindSession && life > maxChained:
		return AssumedRole{}, fmt.Errorf("%w: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", ErrInvalid) //nolint:revive,staticcheck // AWS's sentence
	}
	narrowing, size, err := s.sessionPolicies(role.Account, in.Policy, in.PolicyARNs)
	if err != nil {
		return AssumedRole{}, err
	}
	p := s.session(role, in.SessionName)
	p.SessionPolicies, p.TransitiveTags = narrowing, transitive
	p.SourceIdentity = cmp.Or(in.SourceIdentity, caller.SourceIdentity)
	setTags(p.Tags, tags)
	c, err := i.CreateSession(ctx, *p, life)
	if err != nil {
		return AssumedRole{}, err
	}
	for k, v := range in.Tags {
		size += len(k) + len(v)
	}
	return AssumedRole{SessionCredentials: c, ARN: p.ARN, RoleID: p.UserID, PackedPolicySize: min(100, (size*100+policy.MaxSession-1)/policy.MaxSession)}, nil
}

// session is the principal of a session of the role, with the role's tags.
func (s *Snapshot) session(r Role, name string) *Principal {
	tags := maps.Clone(r.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	return &Principal{Kind: KindSession, Account: r.Account, ARN: s.SessionARN(r, name), UserID: r.RoleID + ":" + name, Name: r.Name,
		SessionName: name, RoleARN: s.RoleARN(r), Tags: tags}
}

// sessionPolicies gathers the documents that narrow a session; size is theirs in
// characters.
func (s *Snapshot) sessionPolicies(account, document string, arns []string) (out []string, size int, err error) {
	if document != "" {
		if _, err := policy.Parse(document, policy.Session); err != nil {
			return nil, 0, fmt.Errorf("session policy: %w", err)
		}
		out, size = append(out, document), policy.Size(document)
	}
	if len(arns) > maxSessionARNs {
		return nil, 0, fmt.Errorf("%w: %d session policies, at most %d", ErrInvalid, len(arns), maxSessionARNs)
	}
	for _, arn := range arns {
		if err := s.attachable(account, arn); err != nil {
			return nil, 0, err
		}
		m, _ := s.Policy(arn)
		v, _ := m.Version("")
		out, size = append(out, v.Document), size+len(arn)
	}
	return out, size, nil
}

// trusts asks the role's trust policy.
func (i *Identity) trusts(s *Snapshot, role Role, q *Question) bool {
	a := s.access[role.RoleID]
	if a == nil || a.trust == nil {
		return false
	}
	q.Owner, q.ResourcePolicies, q.ResourceRules = role.Account, []*policy.Policy{a.trust}, true
	return i.Decide(q).Allowed
}

// AssumeServiceInput is what a service asks when it acts for a resource. Service
// and RoleARN are required.
type AssumeServiceInput struct {
	Service     string // bedrock.amazonaws.com
	RoleARN     string
	SessionName string // the service's name without its domain when empty
	// SourceARN and SourceAccount are the resource that the service acts for and
	// its account, from what is stored: the confused-deputy keys.
	SourceARN     string
	SourceAccount string
}

// AssumeService begins a session of a role for a service, without a key: the
// principal is what the service then asks with. The denial does not say whether
// the role exists.
func (i *Identity) AssumeService(_ context.Context, in AssumeServiceInput) (*Principal, error) {
	denied := apierr.New(apierr.AccessDenied, "%s is not authorized to perform: %s on resource: %s", in.Service, actionAssumeRole, in.RoleARN)
	s := i.current.Load()
	role, ok := s.RoleByARN(in.RoleARN)
	a := s.access[role.RoleID]
	if !ok || a == nil || a.trust == nil || in.Service == "" {
		return nil, denied
	}
	r := policy.Request{
		Caller: policy.Caller{Kind: policy.Service, Service: in.Service}, Action: actionAssumeRole, Resource: in.RoleARN, ResourceAccount: role.Account, Time: i.now(),
		CallerKeys: serviceKeys(in.Service, in.SourceARN, in.SourceAccount),
	}
	if !policy.Evaluate(&r, &policy.Sets{Resource: []*policy.Policy{a.trust}, ResourceRules: true}).Allowed {
		return nil, denied
	}
	name := in.SessionName
	if name == "" {
		name, _, _ = strings.Cut(in.Service, ".")
	}
	if !sessionNamePattern.MatchString(name) {
		return nil, fmt.Errorf("%w: session name %q", ErrInvalid, name)
	}
	p := s.session(role, name)
	s.learn(p)
	return p, nil
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// PassRole returns nil when the caller may hand the role to the service
// (bedrock.amazonaws.com), else the denial. associated are the ARNs of what the
// role will act for, where they are known. A role of another account is refused,
// as everything of another account is that has no policy of its own.
func (i *Identity) PassRole(ctx context.Context, caller *Principal, roleARN, service string, associated ...string) error {
	keys := map[string][]string{"iam:PassedToService": {service}}
	if len(associated) > 0 {
		keys["iam:AssociatedResourceArn"] = associated
	}
	return i.Authorize(ctx, caller, actionPassRole, roleARN, keys)
}

// MayAssume reports whether a service could assume the role for the resource,
// as creations of resources check.
func (i *Identity) MayAssume(ctx context.Context, service, roleARN, sourceARN, sourceAccount string) bool {
	_, err := i.AssumeService(ctx, AssumeServiceInput{Service: service, RoleARN: roleARN, SourceARN: sourceARN, SourceAccount: sourceAccount})
	return err == nil
}

// ServiceQuestion asks whether a service may do something to a resource by
// itself, as the resource's own policy says: a Lambda function called by an
// agent.
type ServiceQuestion struct {
	Service          string // bedrock.amazonaws.com
	Action           string
	Resource         string // ARN
	SourceARN        string // the resource that the service acts for, as stored
	SourceAccount    string
	ResourcePolicies []*policy.Policy
	Keys             map[string][]string // further condition keys of the request
}

// AllowService returns nil or the denial.
func (i *Identity) AllowService(q ServiceQuestion) error {
	r := policy.Request{Caller: policy.Caller{Kind: policy.Service, Service: q.Service}, Action: q.Action, Resource: q.Resource, Keys: q.Keys, Time: i.now(),
		CallerKeys: serviceKeys(q.Service, q.SourceARN, q.SourceAccount)}
	if d := policy.Evaluate(&r, &policy.Sets{Resource: q.ResourcePolicies, ResourceRules: true}); !d.Allowed {
		return Denied(&Principal{ARN: q.Service}, q.Action, q.Resource, why(d))
	}
	return nil
}

func serviceKeys(service, sourceARN, sourceAccount string) map[string][]string {
	return map[string][]string{
		"aws:principalisawsservice": {"true"}, "aws:principalservicename": {service}, "aws:principalservicenameslist": {service},
		"aws:sourcearn": present(sourceARN), "aws:sourceaccount": present(sourceAccount),
	}
}
