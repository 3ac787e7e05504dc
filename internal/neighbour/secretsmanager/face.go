package secretsmanager

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	smapi "github.com/outcrop-dev/outcrop/internal/api/secretsmanager"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/secret"
)

// Face answers Secrets Manager. Secrets is required.
type Face struct{ Secrets *secret.Service }

var (
	_ smapi.API           = (*Face)(nil)
	_ neighbour.Authority = (*Face)(nil)
)

// Authorize leaves it to the operations: a secret's policy is known once it is found.
func (*Face) Authorize(context.Context, *api.Operation, any, *gateway.Permission) error { return nil }

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func token(t string) *string {
	if t == "" {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(t)))
}

func untoken(t *string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(optional.Value(t))
	if err != nil {
		return "", apierr.New("InvalidNextTokenException", "The NextToken value is invalid.")
	}
	return string(b), nil
}

func tags(list []smapi.Tag) []secret.Tag {
	var out []secret.Tag
	for _, t := range list {
		out = append(out, secret.Tag{Key: optional.Value(t.Key), Value: optional.Value(t.Value)})
	}
	return out
}

func tagList(list []secret.Tag) []smapi.Tag {
	var out []smapi.Tag
	for _, t := range list {
		out = append(out, smapi.Tag{Key: new(t.Key), Value: new(t.Value)})
	}
	return out
}

// CreateSecret makes a secret.
func (f *Face) CreateSecret(ctx context.Context, in *smapi.CreateSecretInput) (*smapi.CreateSecretOutput, error) {
	if len(in.AddReplicaRegions) > 0 {
		return nil, apierr.New(secret.InvalidParameter, "Replicas of secrets are not built in Outcrop: leave AddReplicaRegions out.")
	}
	s, version, err := f.Secrets.Create(ctx, kms.CallerOf(ctx), secret.CreateInput{
		Name: in.Name, Description: optional.Value(in.Description), Type: optional.Value(in.Type), Key: optional.Value(in.KmsKeyId), Token: optional.Value(in.ClientRequestToken),
		Value: secret.Value{Text: in.SecretString, Binary: in.SecretBinary}, Tags: tags(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &smapi.CreateSecretOutput{ARN: &s.ARN, Name: &s.Name, VersionId: optional.Of(version)}, nil
}

// GetSecretValue reads a version.
func (f *Face) GetSecretValue(ctx context.Context, in *smapi.GetSecretValueInput) (*smapi.GetSecretValueOutput, error) {
	g, err := f.Secrets.Value(ctx, kms.CallerOf(ctx), in.SecretId, optional.Value(in.VersionId), optional.Value(in.VersionStage))
	if err != nil {
		return nil, err
	}
	return &smapi.GetSecretValueOutput{
		ARN: &g.Secret.ARN, Name: &g.Secret.Name, CreatedDate: &g.Version.Created, SecretString: g.Value.Text, SecretBinary: g.Value.Binary,
		VersionId: &g.Version.ID, VersionStages: g.Version.Stages,
	}, nil
}

// PutSecretValue adds a version.
func (f *Face) PutSecretValue(ctx context.Context, in *smapi.PutSecretValueInput) (*smapi.PutSecretValueOutput, error) {
	if in.RotationToken != nil {
		return nil, apierr.New(secret.InvalidParameter, "Rotation of secrets is not built in Outcrop: leave RotationToken out.")
	}
	s, v, err := f.Secrets.Put(ctx, kms.CallerOf(ctx), in.SecretId, optional.Value(in.ClientRequestToken), secret.Value{Text: in.SecretString, Binary: in.SecretBinary}, in.VersionStages)
	if err != nil {
		return nil, err
	}
	return &smapi.PutSecretValueOutput{ARN: &s.ARN, Name: &s.Name, VersionId: &v.ID, VersionStages: v.Stages}, nil
}

// UpdateSecret changes a secret.
func (f *Face) UpdateSecret(ctx context.Context, in *smapi.UpdateSecretInput) (*smapi.UpdateSecretOutput, error) {
	s, v, err := f.Secrets.Update(ctx, kms.CallerOf(ctx), in.SecretId, secret.UpdateInput{
		Description: in.Description, Key: in.KmsKeyId, Type: in.Type, Token: optional.Value(in.ClientRequestToken),
		Value: secret.Value{Text: in.SecretString, Binary: in.SecretBinary},
	})
	if err != nil {
		return nil, err
	}
	return &smapi.UpdateSecretOutput{ARN: &s.ARN, Name: &s.Name, VersionId: optional.Of(v.ID)}, nil
}

// UpdateSecretVersionStage moves a stage.
func (f *Face) UpdateSecretVersionStage(ctx context.Context, in *smapi.UpdateSecretVersionStageInput) (*smapi.UpdateSecretVersionStageOutput, error) {
	s, err := f.Secrets.MoveStage(ctx, kms.CallerOf(ctx), in.SecretId, in.VersionStage, optional.Value(in.RemoveFromVersionId), optional.Value(in.MoveToVersionId))
	if err != nil {
		return nil, err
	}
	return &smapi.UpdateSecretVersionStageOutput{ARN: &s.ARN, Name: &s.Name}, nil
}

// DescribeSecret answers all but the values.
func (f *Face) DescribeSecret(ctx context.Context, in *smapi.DescribeSecretInput) (*smapi.DescribeSecretOutput, error) {
	s, err := f.Secrets.Describe(ctx, kms.CallerOf(ctx), in.SecretId)
	if err != nil {
		return nil, err
	}
	return &smapi.DescribeSecretOutput{
		ARN: &s.ARN, Name: &s.Name, Description: optional.Of(s.Description), Type: optional.Of(s.Type), KmsKeyId: optional.Of(s.Key), CreatedDate: &s.Created,
		LastChangedDate: instant(s.Changed), LastAccessedDate: instant(s.Accessed), DeletedDate: instant(s.Deleted), Tags: tagList(s.Tags), VersionIdsToStages: s.Stages,
	}, nil
}

// DeleteSecret has a secret deleted.
func (f *Face) DeleteSecret(ctx context.Context, in *smapi.DeleteSecretInput) (*smapi.DeleteSecretOutput, error) {
	s, err := f.Secrets.Delete(ctx, kms.CallerOf(ctx), in.SecretId, in.RecoveryWindowInDays, optional.Value(in.ForceDeleteWithoutRecovery))
	if err != nil {
		return nil, err
	}
	return &smapi.DeleteSecretOutput{ARN: &s.ARN, Name: &s.Name, DeletionDate: instant(s.Due)}, nil
}

// RestoreSecret keeps a secret.
func (f *Face) RestoreSecret(ctx context.Context, in *smapi.RestoreSecretInput) (*smapi.RestoreSecretOutput, error) {
	s, err := f.Secrets.Restore(ctx, kms.CallerOf(ctx), in.SecretId)
	if err != nil {
		return nil, err
	}
	return &smapi.RestoreSecretOutput{ARN: &s.ARN, Name: &s.Name}, nil
}

// ListSecrets lists the secrets of the account and Region.
func (f *Face) ListSecrets(ctx context.Context, in *smapi.ListSecretsInput) (*smapi.ListSecretsOutput, error) {
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	q := secret.ListInput{Deleted: optional.Value(in.IncludePlannedDeletion), SortBy: string(in.SortBy), Desc: in.SortOrder != smapi.SortOrderTypeAsc, After: after, Limit: optional.Value(in.MaxResults)}
	for _, x := range in.Filters {
		q.Filters = append(q.Filters, secret.Filter{Field: string(x.Key), Values: x.Values})
	}
	list, next, err := f.Secrets.List(ctx, kms.CallerOf(ctx), q)
	if err != nil {
		return nil, err
	}
	out := &smapi.ListSecretsOutput{NextToken: token(next), SecretList: []smapi.SecretListEntry{}}
	for _, s := range list {
		out.SecretList = append(out.SecretList, smapi.SecretListEntry{
			ARN: &s.ARN, Name: &s.Name, Description: optional.Of(s.Description), Type: optional.Of(s.Type), KmsKeyId: optional.Of(s.Key), CreatedDate: &s.Created,
			LastChangedDate: instant(s.Changed), LastAccessedDate: instant(s.Accessed), DeletedDate: instant(s.Deleted), Tags: tagList(s.Tags), SecretVersionsToStages: s.Stages,
		})
	}
	return out, nil
}

// ListSecretVersionIds lists the versions of a secret, newest first.
func (f *Face) ListSecretVersionIds(ctx context.Context, in *smapi.ListSecretVersionIdsInput) (*smapi.ListSecretVersionIdsOutput, error) {
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	s, err := f.Secrets.Look(ctx, kms.CallerOf(ctx), in.SecretId, "secretsmanager:ListSecretVersionIds")
	if err != nil {
		return nil, err
	}
	out := &smapi.ListSecretVersionIdsOutput{ARN: &s.ARN, Name: &s.Name, Versions: []smapi.SecretVersionsListEntry{}}
	limit, seen := 100, after == ""
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	for i := len(s.Versions) - 1; i >= 0; i-- {
		v := s.Versions[i]
		if !seen {
			seen = v.ID == after
			continue
		}
		if len(v.Stages) == 0 && !optional.Value(in.IncludeDeprecated) {
			continue
		}
		if n := len(out.Versions); n == limit {
			out.NextToken = token(*out.Versions[n-1].VersionId)
			break
		}
		key := v.Key
		if key == "" {
			key = "DefaultEncryptionKey"
		}
		out.Versions = append(out.Versions, smapi.SecretVersionsListEntry{
			VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created, LastAccessedDate: instant(v.Accessed), KmsKeyIds: []string{key},
		})
	}
	return out, nil
}

// TagResource tags a secret.
func (f *Face) TagResource(ctx context.Context, in *smapi.TagResourceInput) (*smapi.TagResourceOutput, error) {
	return &smapi.TagResourceOutput{}, f.Secrets.Tag(ctx, kms.CallerOf(ctx), in.SecretId, tags(in.Tags))
}

// UntagResource removes tags.
func (f *Face) UntagResource(ctx context.Context, in *smapi.UntagResourceInput) (*smapi.UntagResourceOutput, error) {
	return &smapi.UntagResourceOutput{}, f.Secrets.Untag(ctx, kms.CallerOf(ctx), in.SecretId, in.TagKeys)
}

// GetResourcePolicy answers a secret's policy.
func (f *Face) GetResourcePolicy(ctx context.Context, in *smapi.GetResourcePolicyInput) (*smapi.GetResourcePolicyOutput, error) {
	s, err := f.Secrets.Look(ctx, kms.CallerOf(ctx), in.SecretId, "secretsmanager:GetResourcePolicy")
	if err != nil {
		return nil, err
	}
	return &smapi.GetResourcePolicyOutput{ARN: &s.ARN, Name: &s.Name, ResourcePolicy: optional.Of(s.Policy)}, nil
}

// PutResourcePolicy gives a secret a policy.
func (f *Face) PutResourcePolicy(ctx context.Context, in *smapi.PutResourcePolicyInput) (*smapi.PutResourcePolicyOutput, error) {
	s, err := f.Secrets.PutPolicy(ctx, kms.CallerOf(ctx), in.SecretId, in.ResourcePolicy, optional.Value(in.BlockPublicPolicy))
	if err != nil {
		return nil, err
	}
	return &smapi.PutResourcePolicyOutput{ARN: &s.ARN, Name: &s.Name}, nil
}

// DeleteResourcePolicy takes the policy away.
func (f *Face) DeleteResourcePolicy(ctx context.Context, in *smapi.DeleteResourcePolicyInput) (*smapi.DeleteResourcePolicyOutput, error) {
	s, err := f.Secrets.DeletePolicy(ctx, kms.CallerOf(ctx), in.SecretId)
	if err != nil {
		return nil, err
	}
	return &smapi.DeleteResourcePolicyOutput{ARN: &s.ARN, Name: &s.Name}, nil
}
