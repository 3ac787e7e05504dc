package iam

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// Authorizer decides whether a principal may do something.
type Authorizer interface {
	// Authorize returns nil when the principal may perform the action
	// ("bedrock:InvokeModel") on the resource (its ARN; "" for an action without
	// resource type) under the condition keys, else an *apierr.Error of kind
	// AccessDenied. Any other error means that no decision could be made.
	Authorize(ctx context.Context, p *Principal, action, resourceARN string, cond map[string][]string) error
}

var _ Authorizer = (*Identity)(nil)

// Why is the part of a denial that says which policy decided.
type Why string

// The reasons of a denial, in AWS's words. Verb phrases without "allows" are
// complete; the others are followed by the action.
const (
	NoIdentityPolicy Why = "because no identity-based policy allows the "
	NoSessionPolicy  Why = "because no session policy allows the "
	NoBoundary       Why = "because no permissions boundary allows the "
	NoResourcePolicy Why = "because no resource-based policy allows the "
	ExplicitIdentity Why = "with an explicit deny in an identity-based policy"
	ExplicitSession  Why = "with an explicit deny in a session policy"
	ExplicitBoundary Why = "with an explicit deny in a permissions boundary"
	ExplicitResource Why = "with an explicit deny in a resource-based policy"
)

// Denied builds the denial:
//
//	User: ARN is not authorized to perform: ACTION on resource: ARN because no identity-based policy allows the ACTION action
func Denied(p *Principal, action, resourceARN string, why Why) *apierr.Error {
	who := "anonymous"
	if p != nil {
		who = p.ARN
	}
	text := "User: " + who + " is not authorized to perform: " + action
	if resourceARN != "" {
		text += " on resource: " + resourceARN
	}
	switch why {
	case NoIdentityPolicy, NoSessionPolicy, NoBoundary, NoResourcePolicy:
		text += " " + string(why) + action + " action"
	case ExplicitIdentity, ExplicitSession, ExplicitBoundary, ExplicitResource:
		text += " " + string(why)
	}
	return &apierr.Error{Kind: apierr.AccessDenied, Message: text}
}

// Question asks whether a principal may do something, for rooms and faces whose
// resources have policies of their own.
type Question struct {
	Principal *Principal // nil: anonymous
	Action    string     // bedrock:InvokeModel
	Resource  string     // ARN; "" for an action without resource type
	Owner     string     // account of the resource; "" takes it from the ARN or else the principal's
	Keys      map[string][]string

	ResourcePolicies []*policy.Policy // of the resource: bucket, function, key …
	ResourceRules    bool             // only the resource's policy opens the way to identity-based ones: KMS keys, role trust
}

// Authorize asks without policies of the resource. The principal's own condition
// keys (aws:PrincipalArn, aws:PrincipalTag/…, aws:username …), the time and
// aws:ResourceAccount need not be in cond.
func (i *Identity) Authorize(_ context.Context, p *Principal, action, resourceARN string, cond map[string][]string) error {
	if action == "*" { // no request's action: the question is whether anything could be denied
		if i.Unrestricted(p) {
			return nil
		}
		return Denied(p, action, resourceARN, NoIdentityPolicy)
	}
	return i.Allow(&Question{Principal: p, Action: action, Resource: resourceARN, Keys: cond})
}

// Unrestricted reports whether the principal may do everything in its account:
// the root user, and whoever has an unconditional allow of all and neither a
// deny, a boundary nor a session policy.
func (i *Identity) Unrestricted(p *Principal) bool {
	if p == nil {
		return false
	}
	s := i.current.Load()
	f := s.factsOf(p)
	if f.broken != nil || len(f.session) > 0 {
		return false
	}
	if p.Kind == KindRoot {
		return true
	}
	a := s.accessOf(p, f)
	return a != nil && a.unrestricted
}

// Allow returns nil or the denial.
func (i *Identity) Allow(q *Question) error {
	d := i.Decide(q)
	if d.Allowed {
		return nil
	}
	reason := why(d)
	if q.Principal == nil && len(q.ResourcePolicies) == 0 {
		reason = NoIdentityPolicy
	}
	return Denied(q.Principal, q.Action, q.Resource, reason)
}

// AllowOne asks about one resource of which only possible names are known, an ID that
// several types share: one question that is allowed is enough, but an explicit deny of
// any decides. Name the true ARN and call Allow where it is known: a deny of one type
// refuses IDs of the others here.
func (i *Identity) AllowOne(questions []Question) error {
	var first error
	allowed := false
	for n := range questions {
		q := &questions[n]
		d := i.Decide(q)
		switch {
		case d.Allowed:
			allowed = true
		case d.Reason == policy.ExplicitDeny:
			return Denied(q.Principal, q.Action, q.Resource, why(d))
		case first == nil:
			first = Denied(q.Principal, q.Action, q.Resource, why(d))
		}
	}
	switch {
	case allowed:
		return nil
	case first == nil:
		return apierr.New(apierr.AccessDenied, "Nothing was asked for, so nothing is allowed.")
	}
	return first
}

func why(d policy.Decision) Why {
	switch d.Reason {
	case policy.ExplicitDeny:
		switch d.By.Kind {
		case policy.Session:
			return ExplicitSession
		case policy.Boundary:
			return ExplicitBoundary
		case policy.Resource, policy.Trust:
			return ExplicitResource
		case policy.Identity:
		}
		return ExplicitIdentity
	case policy.NoBoundaryAllows:
		return NoBoundary
	case policy.NoSessionAllows:
		return NoSessionPolicy
	case policy.NoResourceAllows, policy.NothingAllowsHere:
		return NoResourcePolicy
	case policy.NoIdentityAllows, policy.AllowedAsRoot, policy.AllowedByIdentity, policy.AllowedByResource:
	}
	return NoIdentityPolicy
}

// Decide answers a question. A principal whose user or role is gone, or one of
// whose documents cannot be read, may do nothing.
func (i *Identity) Decide(q *Question) policy.Decision {
	var r policy.Request
	var sets policy.Sets
	if _, err := i.prepare(q, &r, &sets); err != nil {
		return policy.Decision{Reason: policy.NoIdentityAllows}
	}
	return policy.Evaluate(&r, &sets)
}

// prepare gathers what applies to a question.
func (i *Identity) prepare(q *Question, r *policy.Request, sets *policy.Sets) (*access, error) {
	*r = policy.Request{Action: q.Action, Resource: q.Resource, ResourceAccount: q.Owner, Keys: q.Keys, Time: i.now()}
	*sets = policy.Sets{Resource: q.ResourcePolicies, ResourceRules: q.ResourceRules}
	p := q.Principal
	if p == nil {
		return &access{}, nil
	}
	s := i.current.Load()
	f := s.factsOf(p)
	if f.broken != nil {
		return nil, f.broken
	}
	r.Caller, r.CallerKeys, sets.Session = f.caller, f.keys, f.session
	if p.Kind == KindRoot {
		return &access{}, nil
	}
	a := s.accessOf(p, f)
	switch {
	case a == nil:
		return nil, noIdentity(p)
	case a.broken != nil:
		return nil, a.broken
	}
	sets.Identity, sets.Boundary = a.identity, a.boundary
	return a, nil
}

// Explanation is what one statement said to a question, with the name of its
// policy.
type Explanation struct {
	policy.Step

	Policy string // arn:… of user alice, inline policy x of role r, the boundary's ARN, session policy 1, resource policy 1
}

// Explain is Decide with what each statement said. The error says why nothing
// was evaluated.
func (i *Identity) Explain(q *Question) (policy.Decision, []Explanation, error) {
	var r policy.Request
	var sets policy.Sets
	a, err := i.prepare(q, &r, &sets)
	if err != nil {
		return policy.Decision{Reason: policy.NoIdentityAllows}, nil, err
	}
	d, steps := policy.Explain(&r, &sets)
	out := make([]Explanation, len(steps))
	name := map[*policy.Policy]string{}
	for n, p := range sets.Resource {
		name[p] = numbered("resource policy", n)
	}
	for n, p := range sets.Session {
		name[p] = numbered("session policy", n)
	}
	if a.boundary != nil {
		name[a.boundary] = a.boundaryName
	}
	for n, p := range a.identity {
		if name[p] != "" {
			name[p] += ", " // one text that stands in several places
		}
		name[p] += a.names[n]
	}
	for n, st := range steps {
		out[n] = Explanation{st, name[st.Source.Policy]}
	}
	return d, out, nil
}
