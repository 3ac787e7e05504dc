package kms

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	kmsapi "github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Face answers KMS. Keys is required.
type Face struct{ Keys *kms.Service }

var (
	_ kmsapi.API          = (*Face)(nil)
	_ neighbour.Authority = (*Face)(nil)
)

// Authorize leaves it to the operations: who may use a key is known once the key is.
func (*Face) Authorize(context.Context, *api.Operation, any, *gateway.Permission) error { return nil }

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// page answers the part of a list behind marker, and the marker of the next part.
// Lists are in the order of their names.
func page[T any](list []T, name func(T) string, marker *string, limit *int, usual int) (out []T, next *string, truncated *bool, err error) {
	size := usual
	if limit != nil {
		size = *limit
	}
	if m := optional.Value(marker); m != "" {
		after, err := base64.RawURLEncoding.DecodeString(m)
		i := slices.IndexFunc(list, func(t T) bool { return name(t) == string(after) })
		if err != nil || (i < 0 && len(after) == 0) {
			return nil, nil, nil, apierr.New(kms.InvalidMarker, "The marker is not valid.")
		}
		if i < 0 { // gone meanwhile: go on where it was
			i, _ = slices.BinarySearchFunc(list, string(after), func(t T, n string) int { return strings.Compare(name(t), n) })
			i--
		}
		list = list[i+1:]
	}
	if len(list) <= size {
		return list, nil, new(false), nil
	}
	list = list[:size]
	return list, new(base64.RawURLEncoding.EncodeToString([]byte(name(list[size-1])))), new(true), nil
}

func metadata(k *kms.Key) *kmsapi.KeyMetadata {
	out := &kmsapi.KeyMetadata{
		AWSAccountId: new(k.Account()), Arn: new(k.ARN()), CreationDate: new(k.Created()), CurrentKeyMaterialId: new(k.MaterialID()),
		CustomerMasterKeySpec: kmsapi.CustomerMasterKeySpecSymmetricDefault, KeySpec: kmsapi.KeySpecSymmetricDefault,
		Description: new(k.Description()), Enabled: new(k.State() == kms.StateEnabled), KeyId: k.ID(), KeyState: kmsapi.KeyState(k.State()),
		EncryptionAlgorithms: []kmsapi.EncryptionAlgorithmSpec{kmsapi.EncryptionAlgorithmSpecSymmetricDefault},
		KeyManager:           kmsapi.KeyManagerTypeCustomer, KeyUsage: kmsapi.KeyUsageTypeEncryptDecrypt, Origin: kmsapi.OriginTypeAwsKms,
		MultiRegion: new(false), DeletionDate: instant(k.Deletion()),
	}
	if k.Managed() {
		out.KeyManager = kmsapi.KeyManagerTypeAws
	}
	return out
}

// CreateKey makes a symmetric encryption key; other kinds are refused.
func (f *Face) CreateKey(ctx context.Context, in *kmsapi.CreateKeyInput) (*kmsapi.CreateKeyOutput, error) {
	refuse := func(what string) error {
		return apierr.New(kms.Unsupported, "Outcrop has symmetric encryption keys of one Region with material of its own: %s is not built.", what)
	}
	switch {
	case in.KeySpec != "" && in.KeySpec != kmsapi.KeySpecSymmetricDefault:
		return nil, refuse("KeySpec " + string(in.KeySpec))
	case in.CustomerMasterKeySpec != "" && in.CustomerMasterKeySpec != kmsapi.CustomerMasterKeySpecSymmetricDefault:
		return nil, refuse("CustomerMasterKeySpec " + string(in.CustomerMasterKeySpec))
	case in.KeyUsage != "" && in.KeyUsage != kmsapi.KeyUsageTypeEncryptDecrypt:
		return nil, refuse("KeyUsage " + string(in.KeyUsage))
	case in.Origin != "" && in.Origin != kmsapi.OriginTypeAwsKms:
		return nil, refuse("Origin " + string(in.Origin))
	case optional.Value(in.MultiRegion):
		return nil, refuse("MultiRegion")
	case in.CustomKeyStoreId != nil || in.XksKeyId != nil:
		return nil, refuse("a custom key store")
	}
	k, err := f.Keys.CreateKey(ctx, kms.CallerOf(ctx), kms.CreateKeyInput{
		Description: optional.Value(in.Description), Policy: optional.Value(in.Policy), Bypass: optional.Value(in.BypassPolicyLockoutSafetyCheck), Tags: tags(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.CreateKeyOutput{KeyMetadata: metadata(k)}, nil
}

func tags(list []kmsapi.Tag) []kms.Tag {
	var out []kms.Tag
	for _, t := range list {
		out = append(out, kms.Tag{Key: t.TagKey, Value: t.TagValue})
	}
	return out
}

// DescribeKey answers what is known of a key.
func (f *Face) DescribeKey(ctx context.Context, in *kmsapi.DescribeKeyInput) (*kmsapi.DescribeKeyOutput, error) {
	k, err := f.Keys.DescribeKey(ctx, kms.CallerOf(ctx), in.KeyId, in.GrantTokens...)
	if err != nil {
		return nil, err
	}
	return &kmsapi.DescribeKeyOutput{KeyMetadata: metadata(k)}, nil
}

// ListKeys lists the keys of the account and Region.
func (f *Face) ListKeys(ctx context.Context, in *kmsapi.ListKeysInput) (*kmsapi.ListKeysOutput, error) {
	list, err := f.Keys.ListKeys(ctx, kms.CallerOf(ctx))
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListKeysOutput{Keys: []kmsapi.KeyListEntry{}}
	list, out.NextMarker, out.Truncated, err = page(list, (*kms.Key).ID, in.Marker, in.Limit, 100)
	for _, k := range list {
		out.Keys = append(out.Keys, kmsapi.KeyListEntry{KeyArn: new(k.ARN()), KeyId: new(k.ID())})
	}
	return out, err
}

// EnableKey enables a key.
func (f *Face) EnableKey(ctx context.Context, in *kmsapi.EnableKeyInput) (*kmsapi.EnableKeyOutput, error) {
	return &kmsapi.EnableKeyOutput{}, f.Keys.SetEnabled(ctx, kms.CallerOf(ctx), in.KeyId, true)
}

// DisableKey disables a key.
func (f *Face) DisableKey(ctx context.Context, in *kmsapi.DisableKeyInput) (*kmsapi.DisableKeyOutput, error) {
	return &kmsapi.DisableKeyOutput{}, f.Keys.SetEnabled(ctx, kms.CallerOf(ctx), in.KeyId, false)
}

// ScheduleKeyDeletion has a key destroyed after a waiting period.
func (f *Face) ScheduleKeyDeletion(ctx context.Context, in *kmsapi.ScheduleKeyDeletionInput) (*kmsapi.ScheduleKeyDeletionOutput, error) {
	k, err := f.Keys.ScheduleDeletion(ctx, kms.CallerOf(ctx), in.KeyId, optional.Value(in.PendingWindowInDays))
	if err != nil {
		return nil, err
	}
	return &kmsapi.ScheduleKeyDeletionOutput{
		DeletionDate: instant(k.Deletion()), KeyId: new(k.ARN()), KeyState: kmsapi.KeyState(k.State()), PendingWindowInDays: new(k.Window()),
	}, nil
}

// CancelKeyDeletion keeps a key.
func (f *Face) CancelKeyDeletion(ctx context.Context, in *kmsapi.CancelKeyDeletionInput) (*kmsapi.CancelKeyDeletionOutput, error) {
	k, err := f.Keys.CancelDeletion(ctx, kms.CallerOf(ctx), in.KeyId)
	if err != nil {
		return nil, err
	}
	return &kmsapi.CancelKeyDeletionOutput{KeyId: new(k.ARN())}, nil
}

// EnableKeyRotation has the material changed every period.
func (f *Face) EnableKeyRotation(ctx context.Context, in *kmsapi.EnableKeyRotationInput) (*kmsapi.EnableKeyRotationOutput, error) {
	return &kmsapi.EnableKeyRotationOutput{}, f.Keys.SetRotation(ctx, kms.CallerOf(ctx), in.KeyId, true, optional.Value(in.RotationPeriodInDays))
}

// DisableKeyRotation keeps the material.
func (f *Face) DisableKeyRotation(ctx context.Context, in *kmsapi.DisableKeyRotationInput) (*kmsapi.DisableKeyRotationOutput, error) {
	return &kmsapi.DisableKeyRotationOutput{}, f.Keys.SetRotation(ctx, kms.CallerOf(ctx), in.KeyId, false, 0)
}

// GetKeyRotationStatus answers whether and when the material changes.
func (f *Face) GetKeyRotationStatus(ctx context.Context, in *kmsapi.GetKeyRotationStatusInput) (*kmsapi.GetKeyRotationStatusOutput, error) {
	k, err := f.Keys.Look(ctx, kms.CallerOf(ctx), in.KeyId, "kms:GetKeyRotationStatus")
	if err != nil {
		return nil, err
	}
	r := k.Rotation()
	out := &kmsapi.GetKeyRotationStatusOutput{KeyId: new(k.ARN()), KeyRotationEnabled: new(r.Enabled)}
	if r.Enabled {
		out.NextRotationDate, out.RotationPeriodInDays = instant(r.Next), new(r.Days)
	}
	return out, nil
}

// UpdateKeyDescription replaces the description.
func (f *Face) UpdateKeyDescription(ctx context.Context, in *kmsapi.UpdateKeyDescriptionInput) (*kmsapi.UpdateKeyDescriptionOutput, error) {
	return &kmsapi.UpdateKeyDescriptionOutput{}, f.Keys.SetDescription(ctx, kms.CallerOf(ctx), in.KeyId, in.Description)
}

// defaultPolicy is the only name that a key policy can have.
const defaultPolicy = "default"

func checkName(name *string) error {
	if name != nil && *name != defaultPolicy {
		return apierr.New(kms.NotFound, "No such policy exists")
	}
	return nil
}

// GetKeyPolicy answers the key policy.
func (f *Face) GetKeyPolicy(ctx context.Context, in *kmsapi.GetKeyPolicyInput) (*kmsapi.GetKeyPolicyOutput, error) {
	k, err := f.Keys.Look(ctx, kms.CallerOf(ctx), in.KeyId, "kms:GetKeyPolicy")
	if err != nil {
		return nil, err
	}
	if err := checkName(in.PolicyName); err != nil {
		return nil, err
	}
	return &kmsapi.GetKeyPolicyOutput{Policy: new(k.Policy()), PolicyName: new(defaultPolicy)}, nil
}

// ListKeyPolicies answers the one name there is.
func (f *Face) ListKeyPolicies(ctx context.Context, in *kmsapi.ListKeyPoliciesInput) (*kmsapi.ListKeyPoliciesOutput, error) {
	if _, err := f.Keys.Look(ctx, kms.CallerOf(ctx), in.KeyId, "kms:ListKeyPolicies"); err != nil {
		return nil, err
	}
	return &kmsapi.ListKeyPoliciesOutput{PolicyNames: []string{defaultPolicy}, Truncated: new(false)}, nil
}

// PutKeyPolicy replaces the key policy.
func (f *Face) PutKeyPolicy(ctx context.Context, in *kmsapi.PutKeyPolicyInput) (*kmsapi.PutKeyPolicyOutput, error) {
	if err := checkName(in.PolicyName); err != nil {
		return nil, err
	}
	return &kmsapi.PutKeyPolicyOutput{}, f.Keys.PutPolicy(ctx, kms.CallerOf(ctx), in.KeyId, in.Policy, optional.Value(in.BypassPolicyLockoutSafetyCheck))
}

// TagResource tags a key.
func (f *Face) TagResource(ctx context.Context, in *kmsapi.TagResourceInput) (*kmsapi.TagResourceOutput, error) {
	return &kmsapi.TagResourceOutput{}, f.Keys.TagKey(ctx, kms.CallerOf(ctx), in.KeyId, tags(in.Tags))
}

// UntagResource removes tags.
func (f *Face) UntagResource(ctx context.Context, in *kmsapi.UntagResourceInput) (*kmsapi.UntagResourceOutput, error) {
	return &kmsapi.UntagResourceOutput{}, f.Keys.UntagKey(ctx, kms.CallerOf(ctx), in.KeyId, in.TagKeys)
}

// ListResourceTags answers the tags of a key.
func (f *Face) ListResourceTags(ctx context.Context, in *kmsapi.ListResourceTagsInput) (*kmsapi.ListResourceTagsOutput, error) {
	k, err := f.Keys.Look(ctx, kms.CallerOf(ctx), in.KeyId, "kms:ListResourceTags")
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListResourceTagsOutput{Tags: []kmsapi.Tag{}}
	list, next, truncated, err := page(k.Tags(), func(t kms.Tag) string { return t.Key }, in.Marker, in.Limit, 50)
	out.NextMarker, out.Truncated = next, truncated
	for _, t := range list {
		out.Tags = append(out.Tags, kmsapi.Tag{TagKey: t.Key, TagValue: t.Value})
	}
	return out, err
}

// CreateAlias names a key.
func (f *Face) CreateAlias(ctx context.Context, in *kmsapi.CreateAliasInput) (*kmsapi.CreateAliasOutput, error) {
	return &kmsapi.CreateAliasOutput{}, f.Keys.CreateAlias(ctx, kms.CallerOf(ctx), in.AliasName, in.TargetKeyId)
}

// UpdateAlias gives an alias to another key.
func (f *Face) UpdateAlias(ctx context.Context, in *kmsapi.UpdateAliasInput) (*kmsapi.UpdateAliasOutput, error) {
	return &kmsapi.UpdateAliasOutput{}, f.Keys.UpdateAlias(ctx, kms.CallerOf(ctx), in.AliasName, in.TargetKeyId)
}

// DeleteAlias takes an alias away.
func (f *Face) DeleteAlias(ctx context.Context, in *kmsapi.DeleteAliasInput) (*kmsapi.DeleteAliasOutput, error) {
	return &kmsapi.DeleteAliasOutput{}, f.Keys.DeleteAlias(ctx, kms.CallerOf(ctx), in.AliasName)
}

// ListAliases lists aliases.
func (f *Face) ListAliases(ctx context.Context, in *kmsapi.ListAliasesInput) (*kmsapi.ListAliasesOutput, error) {
	list, err := f.Keys.ListAliases(ctx, kms.CallerOf(ctx), optional.Value(in.KeyId))
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListAliasesOutput{Aliases: []kmsapi.AliasListEntry{}}
	list, out.NextMarker, out.Truncated, err = page(list, (*kms.Alias).Name, in.Marker, in.Limit, 50)
	for _, a := range list {
		out.Aliases = append(out.Aliases, kmsapi.AliasListEntry{
			AliasArn: new(a.ARN()), AliasName: new(a.Name()), CreationDate: new(a.Created()), LastUpdatedDate: new(a.Updated()), TargetKeyId: new(a.KeyID()),
		})
	}
	return out, err
}
