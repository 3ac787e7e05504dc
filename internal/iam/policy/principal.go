package policy

import (
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/arn"
)

// CallerKind says what a caller is.
type CallerKind uint8

// The kinds of callers.
const (
	Anonymous   CallerKind = iota // unsigned
	Root                          // an account's root user
	User                          // an IAM user
	RoleSession                   // a session of a role
	Service                       // an AWS service acting by itself, bedrock.amazonaws.com
)

// Caller is who asks.
type Caller struct {
	Kind     CallerKind
	Account  string // twelve digits; "" for services and anonymous callers
	ARN      string // of the user or of the role session
	RoleARN  string // of role sessions
	UniqueID string // AIDA… of a user, AROA… of a session's role
	Service  string // of services
}

// principals is a compiled Principals element.
type principals struct {
	any       bool
	names     []string // account IDs, ARNs, unique IDs; sorted
	service   []string
	federated []string
}

func compilePrincipals(p *Principals) *principals {
	out := &principals{any: p.Any, service: p.Service, federated: p.Federated}
	for _, a := range p.AWS {
		if a == "*" {
			out.any = true
			continue
		}
		// The account's root user and the account are the same principal.
		if strings.HasSuffix(a, ":root") {
			if x, err := arn.Parse(a); err == nil {
				a = x.Account
			}
		}
		out.names = append(out.names, a)
	}
	slices.Sort(out.names)
	return out
}

func (p *principals) has(name string) bool {
	if name == "" {
		return false
	}
	_, ok := slices.BinarySearch(p.names, name)
	return ok
}

// grant says how near a principal element names the caller. What a resource-based
// policy may grant by itself depends on it.
type grant uint8

const (
	notNamed    grant = iota
	byAccount         // the account may hand it on by identity-based policies
	byRole            // the session's role: boundary and session policies still narrow it
	byAnybody         // "*": session policies still narrow it
	byPrincipal       // the user or the session itself, or a service
)

// grants returns the nearest way in which the element names the caller.
func (p *principals) grants(c *Caller) grant {
	switch c.Kind {
	case Service:
		if slices.Contains(p.service, c.Service) {
			return byPrincipal
		}
	case User:
		if p.has(c.ARN) || p.has(c.UniqueID) {
			return byPrincipal
		}
	case RoleSession:
		if p.has(c.ARN) {
			return byPrincipal
		}
		if p.any {
			return byAnybody
		}
		if p.has(c.RoleARN) || p.has(c.UniqueID) {
			return byRole
		}
	case Root:
		if p.has(c.Account) {
			return byPrincipal
		}
	case Anonymous:
	}
	switch {
	case p.any:
		return byAnybody
	case p.has(c.Account):
		return byAccount
	}
	return notNamed
}

// excludes reports whether a NotPrincipal element leaves the caller out. AWS
// looks at each thing that the caller is: whoever is to be left out must be named
// together with its account, and a session with its role too.
func (p *principals) excludes(c *Caller) bool {
	if p.any {
		return true
	}
	switch c.Kind {
	case Service:
		return slices.Contains(p.service, c.Service)
	case Root:
		return p.has(c.Account)
	case User:
		return p.has(c.Account) && (p.has(c.ARN) || p.has(c.UniqueID))
	case RoleSession:
		return p.has(c.Account) && (p.has(c.RoleARN) || p.has(c.UniqueID)) && p.has(c.ARN)
	case Anonymous:
	}
	return false
}
