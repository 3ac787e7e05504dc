package sts

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/sts"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// Face answers STS's operations.
type Face struct {
	sts.Unimplemented

	Identity *iam.Identity
}

var _ sts.API = (*Face)(nil)

// caller is the principal that the gateway's authenticator found.
func caller(ctx context.Context) (*iam.Principal, error) {
	p, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok || p == nil {
		return nil, errors.New("BUG: the request has no principal")
	}
	return p, nil
}

// GetCallerIdentity says who signed.
func (f *Face) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return &sts.GetCallerIdentityOutput{Account: &p.Account, Arn: &p.ARN, UserId: &p.UserID}, nil
}

// GetAccessKeyInfo reads the account from a key's ID.
func (f *Face) GetAccessKeyInfo(_ context.Context, in *sts.GetAccessKeyInfoInput) (*sts.GetAccessKeyInfoOutput, error) {
	account, ok := iam.AccountOf(in.AccessKeyId)
	if !ok {
		return nil, apierr.New(apierr.Validation, "Access key %s names no account.", in.AccessKeyId)
	}
	return &sts.GetAccessKeyInfoOutput{Account: &account}, nil
}

// Durations of GetSessionToken.
const (
	userSession = 12 * time.Hour
	textMFA     = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
)

// GetSessionToken makes a temporary key for the user who asks.
func (f *Face) GetSessionToken(ctx context.Context, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, apierr.New(apierr.AccessDenied, "%s", textMFA)
	}
	if p.Kind != iam.KindUser || strings.HasPrefix(call.From(ctx).AccessKey, "ASIA") {
		return nil, apierr.New(apierr.AccessDenied, "Cannot call GetSessionToken with session credentials")
	}
	life := userSession
	if in.DurationSeconds != nil {
		life = time.Duration(*in.DurationSeconds) * time.Second
	}
	c, err := f.Identity.CreateSession(ctx, *p, life)
	if err != nil {
		return nil, fault(err)
	}
	return &sts.GetSessionTokenOutput{Credentials: credentials(&c)}, nil
}

func credentials(c *iam.SessionCredentials) *sts.Credentials {
	return &sts.Credentials{AccessKeyId: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.Token.Reveal(), Expiration: c.Expires}
}

// AssumeRole makes a temporary key of a role.
func (f *Face) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case in.SerialNumber != nil || in.TokenCode != nil:
		return nil, apierr.New(apierr.AccessDenied, "%s", textMFA)
	case len(in.ProvidedContexts) > 0:
		return nil, apierr.New(apierr.Validation, "ProvidedContexts is not served: there is no identity context provider here.")
	}
	c := call.From(ctx)
	ask := iam.AssumeRoleInput{
		RoleARN: in.RoleArn, SessionName: in.RoleSessionName, TransitiveTags: in.TransitiveTagKeys,
		Keys: map[string][]string{"aws:SourceIp": {c.SourceIP}, "aws:UserAgent": {c.UserAgent}, "aws:RequestedRegion": {c.Region}},
	}
	for _, o := range []struct {
		from *string
		to   *string
	}{{in.Policy, &ask.Policy}, {in.ExternalId, &ask.ExternalID}, {in.SourceIdentity, &ask.SourceIdentity}} {
		if o.from != nil {
			*o.to = *o.from
		}
	}
	if in.DurationSeconds != nil {
		ask.Duration = time.Duration(*in.DurationSeconds) * time.Second
	}
	for _, d := range in.PolicyArns {
		if d.Arn != nil {
			ask.PolicyARNs = append(ask.PolicyARNs, *d.Arn)
		}
	}
	if len(in.Tags) > 0 {
		ask.Tags = make(map[string]string, len(in.Tags))
	}
	for _, t := range in.Tags {
		if _, twice := ask.Tags[t.Key]; twice {
			return nil, apierr.New("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		ask.Tags[t.Key] = t.Value
	}
	s, err := f.Identity.AssumeRole(ctx, p, ask)
	if err != nil {
		return nil, fault(err)
	}
	out := &sts.AssumeRoleOutput{
		AssumedRoleUser: &sts.AssumedRoleUser{Arn: s.ARN, AssumedRoleId: s.RoleID},
		Credentials:     credentials(&s.SessionCredentials), SourceIdentity: in.SourceIdentity,
	}
	if s.PackedPolicySize > 0 {
		out.PackedPolicySize = &s.PackedPolicySize
	}
	return out, nil
}

// fault gives a failure of the identities its name in STS.
func fault(err error) error {
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
		if e.Size {
			return apierr.New("PackedPolicyTooLarge", "%s", e.Message)
		}
		return apierr.New("MalformedPolicyDocument", "%s", e.Error())
	}
	for _, s := range []error{iam.ErrInvalid, iam.ErrLimit, iam.ErrNotFound} {
		if errors.Is(err, s) {
			return apierr.New(apierr.Validation, "%s", strings.TrimPrefix(err.Error(), s.Error()+": "))
		}
	}
	return err
}
