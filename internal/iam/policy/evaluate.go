package policy

import (
	"strconv"
	"strings"
	"time"
)

// Request is one question: may the caller do this?
type Request struct {
	Caller   Caller
	Action   string // bedrock:InvokeModel, in any case
	Resource string // ARN; "" or "*" for an action without resource type
	// ResourceAccount owns the resource; "" takes it from the ARN, and an ARN
	// without account (a bucket, a foundation model) is the caller's.
	ResourceAccount string
	// Keys are the condition keys, in any case, with their values. A key without
	// values is not there.
	Keys map[string][]string
	// CallerKeys are keys in lower case that win over Keys: what is known of the
	// caller cannot come from a request.
	CallerKeys map[string][]string
	Time       time.Time // aws:CurrentTime and aws:EpochTime; zero: not there
}

// Sets are the policies that apply to a request.
type Sets struct {
	Identity []*Policy
	Resource []*Policy
	Boundary *Policy   // nil: none
	Session  []*Policy // together; empty: none
	// ResourceRules says that the resource's policy alone decides whether
	// identity-based policies count, as with role trust policies and KMS keys:
	// without it they grant nothing.
	ResourceRules bool
}

// Source names a statement.
type Source struct {
	Kind      Kind
	Policy    *Policy
	Statement int
}

// Reason says why a decision came out as it did.
type Reason uint8

// The reasons, allowing and denying.
const (
	AllowedByIdentity Reason = iota + 1
	AllowedByResource
	AllowedAsRoot // the root user needs no policy

	ExplicitDeny      // By says where
	NoIdentityAllows  // implicit
	NoBoundaryAllows  // implicit
	NoSessionAllows   // implicit
	NoResourceAllows  // implicit
	NothingAllowsHere // implicit; a caller without identity-based policies
)

var reasons = [...]string{
	AllowedByIdentity: "allowed by an identity-based policy", AllowedByResource: "allowed by a resource-based policy", AllowedAsRoot: "allowed to the root user",
	ExplicitDeny: "explicitly denied", NoIdentityAllows: "no identity-based policy allows it", NoBoundaryAllows: "no permissions boundary allows it",
	NoSessionAllows: "no session policy allows it", NoResourceAllows: "no resource-based policy allows it", NothingAllowsHere: "no resource-based policy allows it to this caller",
}

// String says it in words.
func (r Reason) String() string { return reasons[r] }

// Decision is the answer.
type Decision struct {
	Allowed bool
	Reason  Reason
	// By is the statement that decided: the deny, or one that allows. Its Policy
	// is nil when no statement decided.
	By Source
}

// evaluator is one evaluation. It lives on the stack; lower is made when the
// first key is asked for.
type evaluator struct {
	*Request
	vendor, name string
	parts        [6]string
	isARN        bool
	account      string // of the resource
	bounded      bool   // the caller has a permissions boundary
	lower        map[string][]string

	// The keys last looked up: statements ask for the same few again and again.
	recent [4]struct {
		key    string
		values []string
	}
	next int
}

func newEvaluator(r *Request, s *Sets) evaluator {
	e := evaluator{Request: r, account: r.ResourceAccount, bounded: s.Boundary != nil}
	e.vendor, e.name, _ = strings.Cut(strings.ToLower(r.Action), ":")
	e.parts, e.isARN = cutARN(r.Resource)
	if e.account == "" && e.isARN {
		if a := e.parts[4]; a != "aws" {
			e.account = a
		}
	}
	if e.account == "" {
		e.account = r.Caller.Account
	}
	return e
}

// lookup returns the values of a key in lower case. A key without values is a key
// that the request does not have.
func (e *evaluator) lookup(key string) []string {
	for i := range e.recent {
		if r := &e.recent[i]; r.key == key {
			return r.values
		}
	}
	r := &e.recent[e.next%len(e.recent)]
	e.next++
	r.key = key
	r.values = e.find(key)
	return r.values
}

func (e *evaluator) find(key string) []string {
	if v, ok := e.CallerKeys[key]; ok {
		return v
	}
	switch key {
	case "aws:currenttime":
		if !e.Time.IsZero() {
			return []string{e.Time.UTC().Format(time.RFC3339)}
		}
	case "aws:epochtime":
		if !e.Time.IsZero() {
			return []string{strconv.FormatInt(e.Time.Unix(), 10)}
		}
	}
	if e.lower == nil {
		e.lower = make(map[string][]string, len(e.Keys))
		for k, v := range e.Keys {
			l := strings.ToLower(k)
			if have, twice := e.lower[l]; twice { // the same key in two spellings
				v = append(have[:len(have):len(have)], v...)
			}
			e.lower[l] = v
		}
	}
	v, ok := e.lower[key]
	if !ok && key == "aws:resourceaccount" && e.account != "" {
		return []string{e.account}
	}
	return v
}

// value resolves a variable: a key with one value.
func (e *evaluator) value(key string) (string, bool) {
	v := e.lookup(key)
	if len(v) != 1 {
		return "", false
	}
	return v[0], true
}

// step is how far a statement came.
type step uint8

const (
	otherPrincipal step = iota
	otherAction
	otherResource
	unresolvedResource
	otherCondition
	matched
)

// test applies a statement. failed is the condition that does not hold.
func (e *evaluator) test(s *statement) (st step, g grant, failed *condition) {
	m := false
	for i := range s.actions {
		if s.actions[i].match(e.vendor, e.name) {
			m = true
			break
		}
	}
	if m == s.notAction {
		return otherAction, notNamed, nil
	}
	g = byPrincipal
	if s.principals != nil {
		if s.notPrincipal {
			// AWS documents that a boundary makes such a deny apply whoever is left out.
			if s.principals.excludes(&e.Caller) && !(s.deny && e.bounded) {
				return otherPrincipal, notNamed, nil
			}
			g = byAnybody
		} else if g = s.principals.grants(&e.Caller); g == notNamed {
			return otherPrincipal, notNamed, nil
		}
	}
	m = false
	for i := range s.resources {
		r := &s.resources[i]
		if r.all {
			m = true
			break
		}
		if !e.isARN {
			continue
		}
		ok, resolved := r.match(&e.parts, e)
		if !resolved && s.notResource {
			return unresolvedResource, notNamed, nil
		}
		if ok {
			m = true
			break
		}
	}
	if m == s.notResource {
		return otherResource, notNamed, nil
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(e) {
			return otherCondition, notNamed, &s.conditions[i]
		}
	}
	return matched, g, nil
}

// verdict is what a group of policies says together.
type verdict struct {
	denied  bool
	grant   grant // nearest of the statements that allow
	deny    Source
	allow   Source
	reached bool // something allows
}

func (v *verdict) scan(e *evaluator, kind Kind, p *Policy) {
	if p == nil || v.denied {
		return
	}
	for i := range p.program {
		s := &p.program[i]
		// An allow that grants no more than what is known need not be looked at.
		if !s.deny && v.grant == byPrincipal {
			continue
		}
		st, g, _ := e.test(s)
		if st != matched {
			continue
		}
		if s.deny {
			v.denied, v.deny = true, Source{kind, p, i}
			return
		}
		if g > v.grant {
			v.grant, v.allow, v.reached = g, Source{kind, p, i}, true
		}
	}
}

// Evaluate decides. It changes nothing and makes at most a few small
// allocations.
func Evaluate(r *Request, s *Sets) Decision {
	e := newEvaluator(r, s)
	var identity, resource, boundary, session verdict
	for _, p := range s.Identity {
		identity.scan(&e, Identity, p)
	}
	for _, p := range s.Resource {
		resource.scan(&e, Resource, p)
	}
	boundary.scan(&e, Boundary, s.Boundary)
	for _, p := range s.Session {
		session.scan(&e, Session, p)
	}
	for _, v := range [...]*verdict{&identity, &resource, &boundary, &session} {
		if v.denied {
			return Decision{Reason: ExplicitDeny, By: v.deny}
		}
	}
	byResource := Decision{Allowed: true, Reason: AllowedByResource, By: resource.allow}
	if r.Caller.Kind == Service || r.Caller.Kind == Anonymous {
		if resource.reached {
			return byResource
		}
		return Decision{Reason: NothingAllowsHere}
	}
	root := r.Caller.Kind == Root
	bounded := s.Boundary == nil || boundary.reached || root
	narrowed := len(s.Session) == 0 || session.reached
	if own := e.account == r.Caller.Account; own {
		switch resource.grant {
		case byPrincipal:
			return byResource
		case byAnybody:
			if narrowed {
				return byResource
			}
		case byRole:
			if bounded && narrowed {
				return byResource
			}
		case byAccount, notNamed:
		}
		if s.ResourceRules && resource.grant == notNamed {
			return Decision{Reason: NoResourceAllows}
		}
	}
	switch {
	case !identity.reached && !root:
		return Decision{Reason: NoIdentityAllows}
	case e.account != r.Caller.Account && !resource.reached:
		return Decision{Reason: NoResourceAllows}
	case !bounded:
		return Decision{Reason: NoBoundaryAllows}
	case !narrowed:
		return Decision{Reason: NoSessionAllows}
	case root:
		return Decision{Allowed: true, Reason: AllowedAsRoot}
	}
	return Decision{Allowed: true, Reason: AllowedByIdentity, By: identity.allow}
}
