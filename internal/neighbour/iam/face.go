package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
)

// Face answers IAM's operations.
type Face struct {
	iam.Unimplemented

	Identity *identity.Identity
}

var _ iam.API = (*Face)(nil)

// view is the identities of the caller's account at this moment.
type view struct {
	*identity.Snapshot

	account string
	caller  *identity.Principal
}

func (f *Face) view(ctx context.Context) view {
	c := call.From(ctx)
	p, _ := c.Caller.(*identity.Principal)
	return view{f.Identity.Snapshot(), c.Account, p}
}

func account(ctx context.Context) string { return call.From(ctx).Account }

// user finds a user by name, the caller himself when no name is given.
func (v view) user(name *string) (identity.User, error) {
	if name == nil {
		if v.caller == nil || v.caller.Kind != identity.KindUser {
			return identity.User{}, apierr.New(apierr.Validation, "Must specify userName when calling with non-User credentials")
		}
		name = &v.caller.Name
	}
	u, ok := v.User(v.account, *name)
	if !ok {
		return u, apierr.New(noSuchEntity, "The user with name %s cannot be found.", *name)
	}
	return u, nil
}

func (v view) group(name string) (identity.Group, error) {
	g, ok := v.Group(v.account, name)
	if !ok {
		return g, apierr.New(noSuchEntity, "The group with name %s cannot be found.", name)
	}
	return g, nil
}

func (v view) role(name string) (identity.Role, error) {
	r, ok := v.Role(v.account, name)
	if !ok {
		return r, apierr.New(noSuchEntity, "The role with name %s cannot be found.", name)
	}
	return r, nil
}

// policy finds a managed policy that the account can see.
func (v view) policy(arn string) (identity.ManagedPolicy, error) {
	m, ok := v.Policy(arn)
	if !ok || m.Account != v.account && m.Account != "aws" {
		return m, apierr.New(noSuchEntity, "Policy %s was not found.", arn)
	}
	return m, nil
}

// encoded is a policy document as IAM answers it: percent-encoded as RFC 3986 has it.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

func tagList(tags map[string]string) []iam.Tag {
	out := make([]iam.Tag, 0, len(tags))
	for k, v := range tags {
		out = append(out, iam.Tag{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b iam.Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// tagMap refuses a key that stands twice, in whatever case.
func tagMap(tags []iam.Tag) (map[string]string, error) {
	out := make(map[string]string, len(tags))
	seen := map[string]bool{}
	for _, t := range tags {
		l := strings.ToLower(t.Key)
		if seen[l] {
			return nil, apierr.New(invalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[l] = true
		out[t.Key] = t.Value
	}
	return out, nil
}

func seconds(d time.Duration) *int { return new(int(d / time.Second)) }

// IAM's exceptions.
const (
	noSuchEntity  apierr.Kind = "NoSuchEntity"
	alreadyExists apierr.Kind = "EntityAlreadyExists"
	limitExceeded apierr.Kind = "LimitExceeded"
	inConflict    apierr.Kind = "DeleteConflict"
	invalidInput  apierr.Kind = "InvalidInput"
	malformed     apierr.Kind = "MalformedPolicyDocument"
)
