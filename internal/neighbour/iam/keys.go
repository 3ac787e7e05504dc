package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

func status(active bool) iam.StatusType {
	if active {
		return iam.StatusTypeActive
	}
	return iam.StatusTypeInactive
}

// CreateAccessKey makes a key; its secret is shown this once.
func (f *Face) CreateAccessKey(ctx context.Context, in *iam.CreateAccessKeyInput) (*iam.CreateAccessKeyOutput, error) {
	v := f.view(ctx)
	u, err := v.user(in.UserName)
	if err != nil {
		return nil, err
	}
	if n := len(v.AccessKeys(v.account, u.Name)); n >= 2 {
		return nil, apierr.New(limitExceeded, "Cannot exceed quota for AccessKeysPerUser: 2")
	}
	k, err := f.Identity.CreateAccessKey(ctx, v.account, u.Name)
	if err != nil {
		return nil, fault(err)
	}
	return &iam.CreateAccessKeyOutput{AccessKey: &iam.AccessKey{
		AccessKeyId: k.ID, SecretAccessKey: k.Secret.Reveal(), Status: status(k.Active), UserName: k.User, CreateDate: &k.Created,
	}}, nil
}

// ListAccessKeys lists a user's keys without their secrets.
func (f *Face) ListAccessKeys(ctx context.Context, in *iam.ListAccessKeysInput) (*iam.ListAccessKeysOutput, error) {
	v := f.view(ctx)
	u, err := v.user(in.UserName)
	if err != nil {
		return nil, err
	}
	ks, more, next, err := page(v.AccessKeys(v.account, u.Name), in.Marker, in.MaxItems, func(k identity.AccessKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	return &iam.ListAccessKeysOutput{IsTruncated: more, Marker: next, AccessKeyMetadata: each(ks, func(k identity.AccessKey) iam.AccessKeyMetadata {
		return iam.AccessKeyMetadata{AccessKeyId: &k.ID, CreateDate: &k.Created, Status: status(k.Active), UserName: &k.User}
	})}, nil
}

// key finds a key of a user; another user's key is not found.
func (v view) key(user *string, id string) (identity.AccessKey, error) {
	u, err := v.user(user)
	if err != nil {
		return identity.AccessKey{}, err
	}
	k, ok := v.AccessKey(id)
	if !ok || k.Account != v.account || k.User != u.Name {
		return k, apierr.New(noSuchEntity, "The Access Key with id %s cannot be found.", id)
	}
	return k, nil
}

// UpdateAccessKey switches a key on or off.
func (f *Face) UpdateAccessKey(ctx context.Context, in *iam.UpdateAccessKeyInput) (*iam.UpdateAccessKeyOutput, error) {
	if in.Status == iam.StatusTypeExpired {
		return nil, apierr.New(invalidInput, "The status must be Active or Inactive.")
	}
	k, err := f.view(ctx).key(in.UserName, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	if err := f.Identity.SetAccessKeyActive(ctx, k.ID, in.Status == iam.StatusTypeActive); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateAccessKeyOutput{}, nil
}

// DeleteAccessKey removes a key.
func (f *Face) DeleteAccessKey(ctx context.Context, in *iam.DeleteAccessKeyInput) (*iam.DeleteAccessKeyOutput, error) {
	k, err := f.view(ctx).key(in.UserName, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	if err := f.Identity.DeleteAccessKey(ctx, k.ID); err != nil {
		return nil, fault(err)
	}
	return &iam.DeleteAccessKeyOutput{}, nil
}

// GetAccessKeyLastUsed says when, for which service and where a key last signed a
// request. Whoever may not know a key is told nothing of it.
func (f *Face) GetAccessKeyLastUsed(ctx context.Context, in *iam.GetAccessKeyLastUsedInput) (*iam.GetAccessKeyLastUsedOutput, error) {
	v := f.view(ctx)
	k, ok := v.AccessKey(in.AccessKeyId)
	if !ok || k.Account != v.account {
		return nil, identity.Denied(v.caller, "iam:GetAccessKeyLastUsed", "access key "+in.AccessKeyId, "")
	}
	out := &iam.GetAccessKeyLastUsedOutput{UserName: &k.User, AccessKeyLastUsed: &iam.AccessKeyLastUsed{Region: "N/A", ServiceName: "N/A"}}
	if u := f.Identity.LastUse(k); !u.At.IsZero() {
		out.AccessKeyLastUsed = &iam.AccessKeyLastUsed{LastUsedDate: &u.At, Region: u.Region, ServiceName: u.Service}
	}
	return out, nil
}

// bedrockKeys is the service whose long-term API keys these credentials are.
const bedrockKeys = "bedrock.amazonaws.com"

// credentialID is the ID that IAM shows for a bearer key: its own holds
// characters that the ID of a credential may not.
func credentialID(k identity.BearerKey) string {
	sum := sha256.Sum256([]byte(k.ID))
	return "ACCA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func ends(k identity.BearerKey) *time.Time {
	if k.Expires.IsZero() {
		return nil
	}
	return &k.Expires
}

// CreateServiceSpecificCredential makes a long-term Bedrock API key; it is shown
// this once.
func (f *Face) CreateServiceSpecificCredential(ctx context.Context, in *iam.CreateServiceSpecificCredentialInput) (*iam.CreateServiceSpecificCredentialOutput, error) {
	if in.ServiceName != bedrockKeys {
		return nil, apierr.New("NotSupportedService", "No such service %s is supported for Service Specific Credentials", in.ServiceName)
	}
	v := f.view(ctx)
	u, err := v.user(&in.UserName)
	if err != nil {
		return nil, err
	}
	var expires time.Time
	if in.CredentialAgeDays != nil {
		expires = time.Now().UTC().Truncate(time.Second).AddDate(0, 0, *in.CredentialAgeDays)
	}
	k, token, err := f.Identity.CreateBearerKey(ctx, v.account, u.Name, expires)
	if err != nil {
		return nil, fault(err)
	}
	return &iam.CreateServiceSpecificCredentialOutput{ServiceSpecificCredential: shown(k, token)}, nil
}

// shown is a Bedrock API key with its secret.
func shown(k identity.BearerKey, token identity.Secret) *iam.ServiceSpecificCredential {
	return &iam.ServiceSpecificCredential{
		CreateDate: k.Created, ExpirationDate: ends(k), ServiceName: bedrockKeys, ServiceCredentialAlias: &k.ID, ServiceCredentialSecret: new(token.Reveal()),
		ServiceSpecificCredentialId: credentialID(k), Status: status(k.Active), UserName: k.User,
	}
}

// ListServiceSpecificCredentials lists a user's Bedrock API keys, or everybody's.
func (f *Face) ListServiceSpecificCredentials(ctx context.Context, in *iam.ListServiceSpecificCredentialsInput) (*iam.ListServiceSpecificCredentialsOutput, error) {
	v := f.view(ctx)
	var all []identity.BearerKey
	if optional.Value(in.AllUsers) {
		for _, u := range v.Users(v.account) {
			all = append(all, v.BearerKeys(v.account, u.Name)...)
		}
	} else {
		u, err := v.user(in.UserName)
		if err != nil {
			return nil, err
		}
		all = v.BearerKeys(v.account, u.Name)
	}
	if in.ServiceName != nil && *in.ServiceName != bedrockKeys {
		all = nil
	}
	ks, more, next, err := page(all, in.Marker, in.MaxItems, func(k identity.BearerKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	return &iam.ListServiceSpecificCredentialsOutput{IsTruncated: more, Marker: next, ServiceSpecificCredentials: each(ks, func(k identity.BearerKey) iam.ServiceSpecificCredentialMetadata {
		return iam.ServiceSpecificCredentialMetadata{
			CreateDate: k.Created, ExpirationDate: ends(k), ServiceName: bedrockKeys, ServiceCredentialAlias: &k.ID,
			ServiceSpecificCredentialId: credentialID(k), Status: status(k.Active), UserName: k.User,
		}
	})}, nil
}

// credential finds a Bedrock API key of a user by the ID that IAM shows.
func (v view) credential(user *string, id string) (identity.BearerKey, error) {
	u, err := v.user(user)
	if err != nil {
		return identity.BearerKey{}, err
	}
	for _, k := range v.BearerKeys(v.account, u.Name) {
		if credentialID(k) == id {
			return k, nil
		}
	}
	return identity.BearerKey{}, apierr.New(noSuchEntity, "The service specific credential with id %s cannot be found.", id)
}

// UpdateServiceSpecificCredential switches a Bedrock API key on or off.
func (f *Face) UpdateServiceSpecificCredential(ctx context.Context, in *iam.UpdateServiceSpecificCredentialInput) (*iam.UpdateServiceSpecificCredentialOutput, error) {
	if in.Status == iam.StatusTypeExpired {
		return nil, apierr.New(invalidInput, "The status must be Active or Inactive.")
	}
	k, err := f.view(ctx).credential(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	if err := f.Identity.SetBearerKeyActive(ctx, k.ID, in.Status == iam.StatusTypeActive); err != nil {
		return nil, fault(err)
	}
	return &iam.UpdateServiceSpecificCredentialOutput{}, nil
}

// ResetServiceSpecificCredential gives a Bedrock API key another secret; it is shown
// this once.
func (f *Face) ResetServiceSpecificCredential(ctx context.Context, in *iam.ResetServiceSpecificCredentialInput) (*iam.ResetServiceSpecificCredentialOutput, error) {
	k, err := f.view(ctx).credential(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	k, token, err := f.Identity.ResetBearerKey(ctx, k.ID)
	if err != nil {
		return nil, fault(err)
	}
	return &iam.ResetServiceSpecificCredentialOutput{ServiceSpecificCredential: shown(k, token)}, nil
}

// DeleteServiceSpecificCredential removes a Bedrock API key.
func (f *Face) DeleteServiceSpecificCredential(ctx context.Context, in *iam.DeleteServiceSpecificCredentialInput) (*iam.DeleteServiceSpecificCredentialOutput, error) {
	k, err := f.view(ctx).credential(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	if err := f.Identity.DeleteBearerKey(ctx, k.ID); err != nil {
		return nil, fault(err)
	}
	return &iam.DeleteServiceSpecificCredentialOutput{}, nil
}
