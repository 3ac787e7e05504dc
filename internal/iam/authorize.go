package iam

import (
	"context"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/apierr"
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

// Authorize allows the root user and users with AdministratorAccess, and denies
// all others. Policies are not evaluated: a user who has, beside
// AdministratorAccess, a boundary or an inline policy that might forbid
// something is denied too, rather than allowed by mistake.
func (i *Identity) Authorize(_ context.Context, p *Principal, action, resourceARN string, _ map[string][]string) error {
	if p == nil {
		return Denied(p, action, resourceARN, NoIdentityPolicy)
	}
	switch p.Kind {
	case KindRoot:
		return nil
	case KindUser:
		s := i.current.Load()
		u, ok := s.User(p.Account, p.Name)
		if ok && u.UserID == p.UserID && u.Boundary == "" && len(u.Inline) == 0 && slices.Contains(u.Policies, s.admin) {
			return nil
		}
	case KindSession: // roles and their policies are not built
	}
	return Denied(p, action, resourceARN, NoIdentityPolicy)
}
