package policy

import "strings"

// statement is a compiled Statement.
type statement struct {
	deny         bool
	notAction    bool
	notResource  bool
	notPrincipal bool
	actions      []actionGlob
	resources    []arnGlob
	principals   *principals // nil: applies to everybody
	conditions   []condition
}

// actionGlob is an action in lower case.
type actionGlob struct {
	all    bool
	vendor string
	name   glob
}

func (a *actionGlob) match(vendor, name string) bool {
	if a.all {
		return true
	}
	if a.vendor != vendor {
		return false
	}
	ok, _ := a.name.match(name, nil)
	return ok
}

// compile returns an error whose path begins within the statement.
func compile(p *Policy, s *Statement) (statement, *SyntaxError) {
	var r rules
	if p.Version == Version2012 {
		r = variables
	}
	out := statement{deny: s.Effect == Deny, notAction: s.NotAction != nil, notResource: s.NotResource != nil, notPrincipal: s.NotPrincipal != nil}
	actions, resources, who := s.Action, s.Resource, s.Principal
	if out.notAction {
		actions = s.NotAction
	}
	if out.notResource {
		resources = s.NotResource
	}
	if out.notPrincipal {
		who = s.NotPrincipal
	}
	for _, a := range actions {
		if a == "*" || a == "*:*" {
			out.actions = append(out.actions, actionGlob{all: true})
			continue
		}
		vendor, name, _ := strings.Cut(strings.ToLower(a), ":")
		out.actions = append(out.actions, actionGlob{vendor: vendor, name: newGlob(name, wildcards)})
	}
	for _, t := range resources {
		g, _ := newARNGlob(t, r|wildcards, true)
		out.resources = append(out.resources, g)
	}
	if p.Kind == Trust {
		out.resources = []arnGlob{{all: true}}
	}
	if who != nil {
		out.principals = compilePrincipals(who)
	}
	for _, c := range s.Condition {
		cc, msg := compileCondition(c, r)
		if msg != "" {
			return statement{}, &SyntaxError{Message: msg, Path: "Condition." + c.Operator + "." + c.Key}
		}
		out.conditions = append(out.conditions, cc)
	}
	return out, nil
}

// unrestricted reports whether the statement allows everything to everybody.
func (s *statement) unrestricted() bool {
	return !s.deny && !s.notAction && !s.notResource && !s.notPrincipal && len(s.conditions) == 0 &&
		anyOf(s.actions, func(a *actionGlob) bool { return a.all }) && anyOf(s.resources, func(a *arnGlob) bool { return a.all })
}

func anyOf[T any](list []T, f func(*T) bool) bool {
	for i := range list {
		if f(&list[i]) {
			return true
		}
	}
	return false
}

// Unrestricted reports whether identity-based policies allow everything under no
// condition and deny nothing: whatever is asked, they allow.
func Unrestricted(identity []*Policy) bool {
	allowed := false
	for _, p := range identity {
		for i := range p.program {
			if p.program[i].deny {
				return false
			}
			allowed = allowed || p.program[i].unrestricted()
		}
	}
	return allowed
}
