package kms

import (
	"context"
	"strings"

	kmsapi "github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

const algorithm = kmsapi.EncryptionAlgorithmSpecSymmetricDefault

// checkCipher refuses what needs another kind of key, or an enclave.
func checkCipher(recipient *kmsapi.RecipientInfo, algorithms ...kmsapi.EncryptionAlgorithmSpec) error {
	if recipient != nil {
		return apierr.New(kms.Unsupported, "Recipient is for Nitro enclaves, which do not exist here.")
	}
	for _, a := range algorithms {
		if a != "" && a != algorithm {
			return apierr.New("InvalidKeyUsageException", "The encryption algorithm %s cannot be used with keys of the spec SYMMETRIC_DEFAULT.", a)
		}
	}
	return nil
}

// Encrypt encrypts.
func (f *Face) Encrypt(ctx context.Context, in *kmsapi.EncryptInput) (*kmsapi.EncryptOutput, error) {
	if err := checkCipher(nil, in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	b, k, err := f.Keys.Encrypt(ctx, kms.CallerOf(ctx), kms.Use{Key: in.KeyId, Context: in.EncryptionContext, Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun)}, in.Plaintext)
	if err != nil {
		return nil, err
	}
	return &kmsapi.EncryptOutput{CiphertextBlob: b, EncryptionAlgorithm: algorithm, KeyId: new(k.ARN())}, nil
}

// Decrypt decrypts.
func (f *Face) Decrypt(ctx context.Context, in *kmsapi.DecryptInput) (*kmsapi.DecryptOutput, error) {
	if err := checkCipher(in.Recipient, in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	if len(in.DryRunModifiers) > 0 {
		return nil, apierr.New(kms.Unsupported, "DryRunModifiers is not built.")
	}
	d, err := f.Keys.Decrypt(ctx, kms.CallerOf(ctx), kms.Use{Key: optional.Value(in.KeyId), Context: in.EncryptionContext, Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun)}, in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	return &kmsapi.DecryptOutput{Plaintext: d.Plain, EncryptionAlgorithm: algorithm, KeyId: new(d.Key.ARN()), KeyMaterialId: new(d.Material)}, nil
}

// ReEncrypt decrypts and encrypts.
func (f *Face) ReEncrypt(ctx context.Context, in *kmsapi.ReEncryptInput) (*kmsapi.ReEncryptOutput, error) {
	if err := checkCipher(nil, in.SourceEncryptionAlgorithm, in.DestinationEncryptionAlgorithm); err != nil {
		return nil, err
	}
	if len(in.DryRunModifiers) > 0 {
		return nil, apierr.New(kms.Unsupported, "DryRunModifiers is not built.")
	}
	from := kms.Use{Key: optional.Value(in.SourceKeyId), Context: in.SourceEncryptionContext, Tokens: in.GrantTokens}
	to := kms.Use{Key: in.DestinationKeyId, Context: in.DestinationEncryptionContext, Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun)}
	r, err := f.Keys.ReEncrypt(ctx, kms.CallerOf(ctx), from, in.CiphertextBlob, to)
	if err != nil {
		return nil, err
	}
	return &kmsapi.ReEncryptOutput{
		CiphertextBlob: r.Ciphertext, KeyId: new(r.To.ARN()), SourceKeyId: new(r.From.ARN()), SourceEncryptionAlgorithm: algorithm,
		DestinationEncryptionAlgorithm: algorithm, SourceKeyMaterialId: new(r.SourceMaterial), DestinationKeyMaterialId: new(r.To.MaterialID()),
	}, nil
}

// size is the length of a data key: of its spec, or in bytes.
func size(spec kmsapi.DataKeySpec, n *int) (int, error) {
	switch {
	case (spec == "") == (n == nil):
		return 0, apierr.New(apierr.Validation, "Please specify either number of bytes or key spec.")
	case n != nil:
		return *n, nil
	case spec == kmsapi.DataKeySpecAes128:
		return 16, nil
	}
	return 32, nil
}

// GenerateDataKey makes a data key.
func (f *Face) GenerateDataKey(ctx context.Context, in *kmsapi.GenerateDataKeyInput) (*kmsapi.GenerateDataKeyOutput, error) {
	n, err := size(in.KeySpec, in.NumberOfBytes)
	if err == nil {
		err = checkCipher(in.Recipient)
	}
	if err != nil {
		return nil, err
	}
	d, err := f.Keys.GenerateDataKey(ctx, kms.CallerOf(ctx), kms.Use{Key: in.KeyId, Context: in.EncryptionContext, Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun)}, n, false)
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyOutput{CiphertextBlob: d.Ciphertext, Plaintext: d.Plain, KeyId: new(d.Key.ARN()), KeyMaterialId: new(d.Key.MaterialID())}, nil
}

// GenerateDataKeyWithoutPlaintext makes a data key and keeps it shut.
func (f *Face) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kmsapi.GenerateDataKeyWithoutPlaintextInput) (*kmsapi.GenerateDataKeyWithoutPlaintextOutput, error) {
	n, err := size(in.KeySpec, in.NumberOfBytes)
	if err != nil {
		return nil, err
	}
	d, err := f.Keys.GenerateDataKey(ctx, kms.CallerOf(ctx), kms.Use{Key: in.KeyId, Context: in.EncryptionContext, Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun)}, n, true)
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyWithoutPlaintextOutput{CiphertextBlob: d.Ciphertext, KeyId: new(d.Key.ARN()), KeyMaterialId: new(d.Key.MaterialID())}, nil
}

// GenerateRandom answers random bytes.
func (f *Face) GenerateRandom(ctx context.Context, in *kmsapi.GenerateRandomInput) (*kmsapi.GenerateRandomOutput, error) {
	if err := checkCipher(in.Recipient); err != nil {
		return nil, err
	}
	if in.CustomKeyStoreId != nil {
		return nil, apierr.New(kms.Unsupported, "Custom key stores do not exist here.")
	}
	if in.NumberOfBytes == nil {
		return nil, apierr.New(apierr.Validation, "NumberOfBytes is required.")
	}
	b, err := f.Keys.GenerateRandom(ctx, kms.CallerOf(ctx), *in.NumberOfBytes)
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateRandomOutput{Plaintext: b}, nil
}

// CreateGrant makes a grant.
func (f *Face) CreateGrant(ctx context.Context, in *kmsapi.CreateGrantInput) (*kmsapi.CreateGrantOutput, error) {
	g := kms.CreateGrantInput{
		Key: in.KeyId, Name: optional.Value(in.Name), Grantee: in.GranteePrincipal, Retiring: optional.Value(in.RetiringPrincipal), Tokens: in.GrantTokens, DryRun: optional.Value(in.DryRun),
	}
	for _, o := range in.Operations {
		g.Operations = append(g.Operations, kms.Operation(o))
	}
	// A service is no grantee of a caller's: only the house makes such grants.
	for _, p := range []string{g.Grantee, g.Retiring} {
		if p != "" && !strings.HasPrefix(p, "arn:") {
			return nil, apierr.New(kms.InvalidArn, "%s is not a valid ARN of a principal.", p)
		}
	}
	if c := in.Constraints; c != nil {
		g.Equals, g.Subset = c.EncryptionContextEquals, c.EncryptionContextSubset
	}
	out, token, err := f.Keys.CreateGrant(ctx, kms.CallerOf(ctx), g)
	if err != nil {
		return nil, err
	}
	return &kmsapi.CreateGrantOutput{GrantId: new(out.ID()), GrantToken: &token}, nil
}

func grants(list []*kms.Grant, marker *string, limit *int) (*kmsapi.ListGrantsOutput, error) {
	out := &kmsapi.ListGrantsOutput{Grants: []kmsapi.GrantListEntry{}}
	name := func(g *kms.Grant) string { return g.Created().UTC().Format("20060102150405.000000") + g.ID() }
	list, next, truncated, err := page(list, name, marker, limit, 50)
	out.NextMarker, out.Truncated = next, truncated
	for _, g := range list {
		e := kmsapi.GrantListEntry{
			CreationDate: new(g.Created()), GrantId: new(g.ID()), GranteePrincipal: new(g.Grantee()), IssuingAccount: new(g.IssuerARN()),
			KeyId: new(g.KeyARN()), Name: new(g.Name()), RetiringPrincipal: optional.Of(g.Retiring()),
		}
		for _, o := range g.Operations() {
			e.Operations = append(e.Operations, kmsapi.GrantOperation(o))
		}
		if eq, sub := g.Constraints(); len(eq)+len(sub) > 0 {
			e.Constraints = &kmsapi.GrantConstraints{EncryptionContextEquals: eq, EncryptionContextSubset: sub}
		}
		out.Grants = append(out.Grants, e)
	}
	return out, err
}

// ListGrants lists the grants of a key.
func (f *Face) ListGrants(ctx context.Context, in *kmsapi.ListGrantsInput) (*kmsapi.ListGrantsOutput, error) {
	list, err := f.Keys.ListGrants(ctx, kms.CallerOf(ctx), in.KeyId, optional.Value(in.GrantId), optional.Value(in.GranteePrincipal))
	if err != nil {
		return nil, err
	}
	return grants(list, in.Marker, in.Limit)
}

// ListRetirableGrants lists the grants that a principal may retire.
func (f *Face) ListRetirableGrants(ctx context.Context, in *kmsapi.ListRetirableGrantsInput) (*kmsapi.ListRetirableGrantsOutput, error) {
	list, err := f.Keys.ListRetirableGrants(ctx, kms.CallerOf(ctx), in.RetiringPrincipal)
	if err != nil {
		return nil, err
	}
	return grants(list, in.Marker, in.Limit)
}

// RetireGrant takes a grant away.
func (f *Face) RetireGrant(ctx context.Context, in *kmsapi.RetireGrantInput) (*kmsapi.RetireGrantOutput, error) {
	return &kmsapi.RetireGrantOutput{}, f.Keys.RetireGrant(ctx, kms.CallerOf(ctx), optional.Value(in.GrantToken), optional.Value(in.KeyId), optional.Value(in.GrantId), optional.Value(in.DryRun))
}

// RevokeGrant takes a grant away.
func (f *Face) RevokeGrant(ctx context.Context, in *kmsapi.RevokeGrantInput) (*kmsapi.RevokeGrantOutput, error) {
	return &kmsapi.RevokeGrantOutput{}, f.Keys.RevokeGrant(ctx, kms.CallerOf(ctx), in.KeyId, in.GrantId, optional.Value(in.DryRun))
}
