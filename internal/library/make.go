package library

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// DefaultModel embeds where nothing else is asked for: the id of AWS's model, which
// the server's default embedding model stands for.
const DefaultModel = "amazon.titan-embed-text-v2:0"

// Library works with the knowledge bases of a server.
type Library struct {
	region  string
	s3      *s3.Client
	iam     *iam.Client
	agents  *bedrockagent.Client
	runtime *bedrockagentruntime.Client
	poll    time.Duration
}

// New returns the library behind an SDK's configuration.
func New(cfg aws.Config) *Library {
	return &Library{
		region: cfg.Region, iam: iam.NewFromConfig(cfg), agents: bedrockagent.NewFromConfig(cfg), runtime: bedrockagentruntime.NewFromConfig(cfg),
		s3:   s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
		poll: 100 * time.Millisecond,
	}
}

// Base is a knowledge base with its data source and its bucket.
type Base struct {
	Name, ID, Source, Bucket string
	Made                     bool // now, not before
}

// Spec says what to make.
type Spec struct {
	Name  string // letters, digits, '-' and '_'
	Model string // id of the embedding model; DefaultModel when empty
	// Chunks of so many tokens with an overlap in percent; 0 is the service's default.
	Tokens, Overlap int
}

// Name makes a name for a knowledge base of any word, such as that of a folder.
func Name(word string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			return r
		}
		return '-'
	}, word)
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' }), "-")
	if len(name) > 90 {
		name = strings.TrimRight(name[:90], "-")
	}
	return cmp.Or(name, "documents")
}

// bucketName is the bucket of a knowledge base. A name that a bucket cannot have is
// told from others by its hash.
func bucketName(name string) string {
	b := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	if b != name || len(b) > 40 {
		sum := sha256.Sum256([]byte(name))
		b = b[:min(len(b), 40)] + "-" + hex.EncodeToString(sum[:4])
	}
	return "outcrop-kb-" + b
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// Make finds the knowledge base of a name, or makes it with all that it needs. What a
// run that was broken off has made is found again.
func (l *Library) Make(ctx context.Context, spec Spec) (*Base, error) {
	b := &Base{Name: spec.Name, Bucket: bucketName(spec.Name)}
	model := "arn:aws:bedrock:" + l.region + "::foundation-model/" + cmp.Or(spec.Model, DefaultModel)
	if err := l.bucket(ctx, b.Bucket); err != nil {
		return nil, fmt.Errorf("make the bucket %s: %w", b.Bucket, err)
	}
	id, err := l.find(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	if id == "" {
		role, err := l.role(ctx, b.Bucket, model)
		if err != nil {
			return nil, fmt.Errorf("make the role %s: %w", b.Bucket, err)
		}
		out, err := l.agents.CreateKnowledgeBase(ctx, &bedrockagent.CreateKnowledgeBaseInput{
			Name: &spec.Name, RoleArn: &role,
			KnowledgeBaseConfiguration: &types.KnowledgeBaseConfiguration{
				Type: types.KnowledgeBaseTypeVector, VectorKnowledgeBaseConfiguration: &types.VectorKnowledgeBaseConfiguration{EmbeddingModelArn: &model},
			},
		})
		if err != nil {
			return nil, fmt.Errorf("create the knowledge base: %w", err)
		}
		id, b.Made = *out.KnowledgeBase.KnowledgeBaseId, true
	}
	b.ID = id
	if err := l.settle(ctx, id); err != nil {
		return nil, err
	}
	b.Source, err = l.source(ctx, b, spec)
	return b, err
}

// find answers the id of the knowledge base of a name, "" when there is none.
func (l *Library) find(ctx context.Context, name string) (string, error) {
	pages := bedrockagent.NewListKnowledgeBasesPaginator(l.agents, &bedrockagent.ListKnowledgeBasesInput{})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, s := range p.KnowledgeBaseSummaries {
			if aws.ToString(s.Name) == name {
				return *s.KnowledgeBaseId, nil
			}
		}
	}
	return "", nil
}

// Find answers the id of a knowledge base by name; what is no name is taken for an id.
func (l *Library) Find(ctx context.Context, name string) (string, error) {
	id, err := l.find(ctx, name)
	return cmp.Or(id, name), err
}

func (l *Library) bucket(ctx context.Context, name string) error {
	_, err := l.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: constraint(l.region)})
	if _, mine := errors.AsType[*s3types.BucketAlreadyOwnedByYou](err); mine {
		return nil
	}
	return err
}

// constraint is where a bucket lies; us-east-1 is where no place is named.
func constraint(region string) *s3types.CreateBucketConfiguration {
	if region == "us-east-1" {
		return nil
	}
	return &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
}

// role makes the role by which Bedrock reads the bucket and embeds its files.
func (l *Library) role(ctx context.Context, bucket, model string) (string, error) {
	name, policy := aws.String(bucket), aws.String("documents")
	var arn string
	out, err := l.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	if _, there := errors.AsType[*iamtypes.EntityAlreadyExistsException](err); there {
		var old *iam.GetRoleOutput
		if old, err = l.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: name}); err == nil {
			arn = *old.Role.Arn
		}
	} else if err == nil {
		arn = *out.Role.Arn
	}
	if err != nil {
		return "", err
	}
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": model},
		map[string]any{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::" + bucket},
		map[string]any{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + bucket + "/*"},
	}})
	if err != nil {
		return "", err
	}
	_, err = l.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: policy, PolicyDocument: aws.String(string(document))})
	return arn, err
}

// settle waits until a knowledge base can be used.
func (l *Library) settle(ctx context.Context, id string) error {
	return l.until(ctx, func() (bool, error) {
		out, err := l.agents.GetKnowledgeBase(ctx, &bedrockagent.GetKnowledgeBaseInput{KnowledgeBaseId: &id})
		if err != nil {
			return false, err
		}
		switch k := out.KnowledgeBase; k.Status {
		case types.KnowledgeBaseStatusActive:
			return true, nil
		case types.KnowledgeBaseStatusCreating, types.KnowledgeBaseStatusUpdating:
			return false, nil
		default:
			return false, fmt.Errorf("the knowledge base %s is %s: %s", id, k.Status, cmp.Or(strings.Join(k.FailureReasons, "; "), "no reason given"))
		}
	})
}

// until polls, as programs do where there is no waiter.
func (l *Library) until(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.poll):
		}
	}
}

// source finds or makes the data source of the bucket.
func (l *Library) source(ctx context.Context, b *Base, spec Spec) (string, error) {
	const name = "folder"
	pages := bedrockagent.NewListDataSourcesPaginator(l.agents, &bedrockagent.ListDataSourcesInput{KnowledgeBaseId: &b.ID})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, s := range p.DataSourceSummaries {
			if aws.ToString(s.Name) == name {
				return *s.DataSourceId, nil
			}
		}
	}
	in := &bedrockagent.CreateDataSourceInput{
		KnowledgeBaseId: &b.ID, Name: aws.String(name),
		DataSourceConfiguration: &types.DataSourceConfiguration{
			Type: types.DataSourceTypeS3, S3Configuration: &types.S3DataSourceConfiguration{BucketArn: aws.String("arn:aws:s3:::" + b.Bucket)},
		},
	}
	if spec.Tokens > 0 {
		in.VectorIngestionConfiguration = &types.VectorIngestionConfiguration{ChunkingConfiguration: &types.ChunkingConfiguration{
			ChunkingStrategy: types.ChunkingStrategyFixedSize,
			FixedSizeChunkingConfiguration: &types.FixedSizeChunkingConfiguration{
				MaxTokens: aws.Int32(int32(spec.Tokens)), OverlapPercentage: aws.Int32(int32(cmp.Or(spec.Overlap, 20))),
			},
		}}
	}
	out, err := l.agents.CreateDataSource(ctx, in)
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "ConflictException" {
		return "", fmt.Errorf("the knowledge base %s is being changed; try again in a moment: %w", b.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("create the data source: %w", err)
	}
	return *out.DataSource.DataSourceId, nil
}
