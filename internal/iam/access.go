package iam

import (
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// compiled keeps compiled documents from snapshot to snapshot, so that a change
// compiles what is new only. What nobody has any more leaves with the next
// derivation.
type compiled struct {
	mu   sync.Mutex
	docs map[documentKey]*document
}

type documentKey struct {
	kind policy.Kind
	text string
}

type document struct {
	policy *policy.Policy
	err    error
	used   bool
}

func (c *compiled) get(kind policy.Kind, text string) (*policy.Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.docs[documentKey{kind, text}]
	if d == nil {
		if c.docs == nil {
			c.docs = map[documentKey]*document{}
		}
		d = &document{}
		d.policy, d.err = policy.Parse(text, kind)
		c.docs[documentKey{kind, text}] = d
	}
	d.used = true
	return d.policy, d.err
}

// sweep drops what was not asked for since the last sweep.
func (c *compiled) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, d := range c.docs {
		if !d.used {
			delete(c.docs, k)
		}
		d.used = false
	}
}

// access is what a user or role may do: its policies, compiled.
type access struct {
	kind         PrincipalKind
	identity     []*policy.Policy
	names        []string // of identity, for explanations
	boundary     *policy.Policy
	boundaryName string
	trust        *policy.Policy // of roles
	broken       error          // a document cannot be read or is gone: everything is denied
	unrestricted bool
}

// deriveAccess compiles what users and roles have.
func (s *Snapshot) deriveAccess() {
	s.byARN = make(map[string]ManagedPolicy, len(s.policies))
	for _, m := range s.policies {
		s.byARN[s.PolicyARN(m)] = m
	}
	s.roleARNs = make(map[string]userKey, len(s.roles))
	s.access = make(map[string]*access, len(s.users)+len(s.roles))
	for _, u := range s.users {
		a := &access{kind: KindUser}
		s.add(a, "user "+u.Name, u.Policies, u.Inline)
		for _, name := range u.Groups {
			if g, ok := s.groups[keyOf(u.Account, name)]; ok {
				s.add(a, "group "+g.Name, g.Policies, g.Inline)
			}
		}
		s.bound(a, u.Boundary)
		s.access[u.UserID] = a
	}
	for k, r := range s.roles {
		s.roleARNs[s.RoleARN(r)] = k
	}
	for _, r := range s.roles {
		a := &access{kind: KindSession}
		s.add(a, "role "+r.Name, r.Policies, r.Inline)
		s.bound(a, r.Boundary)
		var err error
		if a.trust, err = s.compiled.get(policy.Trust, s.TrustInForce(r)); err != nil {
			a.broken = err
		}
		s.access[r.RoleID] = a
	}
}

func (s *Snapshot) add(a *access, holder string, arns []string, inline map[string]string) {
	for _, arn := range arns {
		p, err := s.inForce(policy.Identity, arn)
		if err != nil {
			a.broken = err
			continue
		}
		a.identity, a.names = append(a.identity, p), append(a.names, arn+" of "+holder)
	}
	for _, name := range sortedKeys(inline) {
		p, err := s.compiled.get(policy.Identity, inline[name])
		if err != nil {
			a.broken = err
			continue
		}
		a.identity, a.names = append(a.identity, p), append(a.names, "inline policy "+name+" of "+holder)
	}
}

func (s *Snapshot) bound(a *access, boundary string) {
	if boundary != "" {
		p, err := s.inForce(policy.Boundary, boundary)
		if err != nil {
			a.broken = err
		}
		a.boundary, a.boundaryName = p, boundary
	}
	a.unrestricted = a.broken == nil && boundary == "" && policy.Unrestricted(a.identity)
}

// inForce compiles the default version of a managed policy.
func (s *Snapshot) inForce(kind policy.Kind, arn string) (*policy.Policy, error) {
	m, ok := s.Policy(arn)
	if !ok {
		return nil, noPolicy(arn)
	}
	v, ok := m.Version("")
	if !ok {
		return nil, noPolicy(arn)
	}
	return s.compiled.get(kind, v.Document)
}

// facts are what evaluation wants to know of a principal. They are made once for
// principals of a snapshot, and belong to one principal: a copy makes its own.
type facts struct {
	of      *Principal
	caller  policy.Caller
	unique  string // key of Snapshot.access
	keys    map[string][]string
	session []*policy.Policy
	broken  error
}

// learn makes the facts of a principal that no other goroutine has yet.
func (s *Snapshot) learn(p *Principal) { p.facts = s.newFacts(p) }

// accessOf returns what the user or role behind a principal may do, nil when it
// is gone.
func (s *Snapshot) accessOf(p *Principal, f *facts) *access {
	if a := s.access[f.unique]; a != nil && a.kind == p.Kind {
		return a
	}
	return nil
}

func (s *Snapshot) factsOf(p *Principal) *facts {
	if p.facts != nil && p.facts.of == p {
		return p.facts
	}
	return s.newFacts(p)
}

func (s *Snapshot) newFacts(p *Principal) *facts {
	unique, _, _ := strings.Cut(p.UserID, ":")
	f := &facts{of: p, unique: unique, caller: policy.Caller{Account: p.Account, ARN: p.ARN, UniqueID: unique, RoleARN: p.RoleARN}}
	f.keys = map[string][]string{
		"aws:principalarn": {p.ARN}, "aws:principalaccount": {p.Account}, "aws:userid": {p.UserID}, "aws:principalisawsservice": {"false"},
		"aws:principaltype": nil, "aws:username": nil, "aws:sourceidentity": nil, // a request cannot bring what the principal lacks
	}
	switch p.Kind {
	case KindRoot:
		f.caller.Kind = policy.Root
		f.keys["aws:principaltype"] = []string{"Account"}
	case KindUser:
		f.caller.Kind = policy.User
		f.keys["aws:principaltype"] = []string{"User"}
		f.keys["aws:username"] = []string{p.Name}
	case KindSession:
		f.caller.Kind = policy.RoleSession
		f.keys["aws:principaltype"] = []string{"AssumedRole"}
		f.keys["aws:multifactorauthpresent"] = []string{"false"}
		if p.RoleARN != "" {
			f.keys["aws:principalarn"] = []string{p.RoleARN}
		}
		if p.SourceIdentity != "" {
			f.keys["aws:sourceidentity"] = []string{p.SourceIdentity}
		}
	}
	for k, v := range p.Tags {
		f.keys["aws:principaltag/"+strings.ToLower(k)] = []string{v}
	}
	for _, d := range p.SessionPolicies {
		sp, err := s.compiled.get(policy.Session, d)
		if err != nil {
			// A managed policy may be longer than a session policy handed over.
			if sp, err = s.compiled.get(policy.Boundary, d); err != nil {
				f.broken = err
				continue
			}
		}
		f.session = append(f.session, sp)
	}
	return f
}
