package s3vectors

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api"
	vapi "github.com/outcrop-dev/outcrop/internal/api/s3vectors"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

// Face answers S3 Vectors. Vectors is required.
type Face struct{ Vectors *vectorbucket.Service }

var (
	_ vapi.API            = (*Face)(nil)
	_ neighbour.Authority = (*Face)(nil)
)

// Authorize leaves it to the operations: a bucket's policy is known once it is found.
func (*Face) Authorize(context.Context, *api.Operation, any, *gateway.Permission) error { return nil }

func bucket(name, arn *string) vectorbucket.Ref {
	return vectorbucket.Ref{Bucket: optional.Value(name), BucketARN: optional.Value(arn)}
}

func index(bucket, name, arn *string) vectorbucket.Ref {
	return vectorbucket.Ref{Bucket: optional.Value(bucket), Index: optional.Value(name), IndexARN: optional.Value(arn)}
}

func encryption(in *vapi.EncryptionConfiguration) vectorbucket.Encryption {
	if in == nil {
		return vectorbucket.Encryption{}
	}
	return vectorbucket.Encryption{Type: vectorbucket.SSE(in.SseType), Key: optional.Value(in.KmsKeyArn)}
}

func encrypted(e vectorbucket.Encryption) *vapi.EncryptionConfiguration {
	return &vapi.EncryptionConfiguration{SseType: vapi.SseType(e.Type), KmsKeyArn: optional.Of(e.Key)}
}

// CreateVectorBucket makes a bucket.
func (f *Face) CreateVectorBucket(ctx context.Context, in *vapi.CreateVectorBucketInput) (*vapi.CreateVectorBucketOutput, error) {
	n, err := f.Vectors.CreateBucket(ctx, kms.CallerOf(ctx), in.VectorBucketName, encryption(in.EncryptionConfiguration), in.Tags)
	if err != nil {
		return nil, err
	}
	return &vapi.CreateVectorBucketOutput{VectorBucketArn: n.BucketARN()}, nil
}

// GetVectorBucket answers a bucket.
func (f *Face) GetVectorBucket(ctx context.Context, in *vapi.GetVectorBucketInput) (*vapi.GetVectorBucketOutput, error) {
	b, err := f.Vectors.Bucket(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn))
	if err != nil {
		return nil, err
	}
	return &vapi.GetVectorBucketOutput{VectorBucket: &vapi.VectorBucket{
		VectorBucketName: b.Name.Bucket, VectorBucketArn: b.BucketARN(), CreationTime: b.Created, EncryptionConfiguration: encrypted(b.Encryption),
	}}, nil
}

// ListVectorBuckets lists the buckets of the account and Region.
func (f *Face) ListVectorBuckets(ctx context.Context, in *vapi.ListVectorBucketsInput) (*vapi.ListVectorBucketsOutput, error) {
	list, next, err := f.Vectors.Buckets(ctx, kms.CallerOf(ctx), vectorbucket.List{Prefix: optional.Value(in.Prefix), Token: optional.Value(in.NextToken), Limit: optional.Value(in.MaxResults)})
	if err != nil {
		return nil, err
	}
	out := &vapi.ListVectorBucketsOutput{NextToken: optional.Of(next), VectorBuckets: []vapi.VectorBucketSummary{}}
	for _, b := range list {
		out.VectorBuckets = append(out.VectorBuckets, vapi.VectorBucketSummary{VectorBucketName: b.Name.Bucket, VectorBucketArn: b.BucketARN(), CreationTime: b.Created})
	}
	return out, nil
}

// DeleteVectorBucket deletes an empty bucket.
func (f *Face) DeleteVectorBucket(ctx context.Context, in *vapi.DeleteVectorBucketInput) (*vapi.DeleteVectorBucketOutput, error) {
	return &vapi.DeleteVectorBucketOutput{}, f.Vectors.DeleteBucket(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn))
}

// PutVectorBucketPolicy gives a bucket a policy.
func (f *Face) PutVectorBucketPolicy(ctx context.Context, in *vapi.PutVectorBucketPolicyInput) (*vapi.PutVectorBucketPolicyOutput, error) {
	return &vapi.PutVectorBucketPolicyOutput{}, f.Vectors.PutPolicy(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn), in.Policy)
}

// GetVectorBucketPolicy answers the policy of a bucket.
func (f *Face) GetVectorBucketPolicy(ctx context.Context, in *vapi.GetVectorBucketPolicyInput) (*vapi.GetVectorBucketPolicyOutput, error) {
	p, err := f.Vectors.Policy(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn))
	if err != nil {
		return nil, err
	}
	return &vapi.GetVectorBucketPolicyOutput{Policy: &p}, nil
}

// DeleteVectorBucketPolicy takes the policy away.
func (f *Face) DeleteVectorBucketPolicy(ctx context.Context, in *vapi.DeleteVectorBucketPolicyInput) (*vapi.DeleteVectorBucketPolicyOutput, error) {
	return &vapi.DeleteVectorBucketPolicyOutput{}, f.Vectors.DeletePolicy(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn))
}

// CreateIndex makes an index.
func (f *Face) CreateIndex(ctx context.Context, in *vapi.CreateIndexInput) (*vapi.CreateIndexOutput, error) {
	x := vectorbucket.NewIndex{
		Bucket: bucket(in.VectorBucketName, in.VectorBucketArn), Name: in.IndexName, Dimension: in.Dimension, Metric: vector.Metric(in.DistanceMetric),
		Encryption: encryption(in.EncryptionConfiguration), Tags: in.Tags,
	}
	if m := in.MetadataConfiguration; m != nil {
		x.NonFilterable = m.NonFilterableMetadataKeys
	}
	n, err := f.Vectors.CreateIndex(ctx, kms.CallerOf(ctx), x)
	if err != nil {
		return nil, err
	}
	return &vapi.CreateIndexOutput{IndexArn: n.ARN()}, nil
}

// GetIndex answers an index.
func (f *Face) GetIndex(ctx context.Context, in *vapi.GetIndexInput) (*vapi.GetIndexOutput, error) {
	x, err := f.Vectors.Index(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn))
	if err != nil {
		return nil, err
	}
	out := &vapi.Index{
		VectorBucketName: x.Name.Bucket, IndexName: x.Name.Index, IndexArn: x.ARN(), CreationTime: x.Created, DataType: vapi.DataTypeFloat32,
		Dimension: x.Dimension, DistanceMetric: vapi.DistanceMetric(x.Metric), EncryptionConfiguration: encrypted(x.Encryption),
	}
	if len(x.NonFilterable) > 0 {
		out.MetadataConfiguration = &vapi.MetadataConfiguration{NonFilterableMetadataKeys: x.NonFilterable}
	}
	return &vapi.GetIndexOutput{Index: out}, nil
}

// ListIndexes lists the indexes of a bucket.
func (f *Face) ListIndexes(ctx context.Context, in *vapi.ListIndexesInput) (*vapi.ListIndexesOutput, error) {
	list, next, err := f.Vectors.Indexes(ctx, kms.CallerOf(ctx), bucket(in.VectorBucketName, in.VectorBucketArn),
		vectorbucket.List{Prefix: optional.Value(in.Prefix), Token: optional.Value(in.NextToken), Limit: optional.Value(in.MaxResults)})
	if err != nil {
		return nil, err
	}
	out := &vapi.ListIndexesOutput{NextToken: optional.Of(next), Indexes: []vapi.IndexSummary{}}
	for _, x := range list {
		out.Indexes = append(out.Indexes, vapi.IndexSummary{VectorBucketName: x.Name.Bucket, IndexName: x.Name.Index, IndexArn: x.ARN(), CreationTime: x.Created})
	}
	return out, nil
}

// DeleteIndex deletes an index with its vectors.
func (f *Face) DeleteIndex(ctx context.Context, in *vapi.DeleteIndexInput) (*vapi.DeleteIndexOutput, error) {
	return &vapi.DeleteIndexOutput{}, f.Vectors.DeleteIndex(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn))
}

// floats narrows numbers to the 32 bits that an index keeps.
func floats(d *vapi.VectorData) []float32 {
	if d == nil {
		return nil
	}
	out := make([]float32, len(d.Float32))
	for i, x := range d.Float32 {
		out[i] = float32(x)
	}
	return out
}

func data(v []float32) *vapi.VectorData {
	if v == nil {
		return nil
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return &vapi.VectorData{Float32: out}
}

// PutVectors writes vectors.
func (f *Face) PutVectors(ctx context.Context, in *vapi.PutVectorsInput) (*vapi.PutVectorsOutput, error) {
	vectors := make([]vectorbucket.Vector, len(in.Vectors))
	for i, v := range in.Vectors {
		vectors[i] = vectorbucket.Vector{Key: v.Key, Data: floats(v.Data), Metadata: v.Metadata}
	}
	return &vapi.PutVectorsOutput{}, f.Vectors.Put(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn), vectors)
}

// GetVectors answers vectors by key.
func (f *Face) GetVectors(ctx context.Context, in *vapi.GetVectorsInput) (*vapi.GetVectorsOutput, error) {
	got, err := f.Vectors.Get(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn), in.Keys, optional.Value(in.ReturnData), optional.Value(in.ReturnMetadata))
	if err != nil {
		return nil, err
	}
	out := &vapi.GetVectorsOutput{Vectors: []vapi.GetOutputVector{}}
	for _, v := range got {
		out.Vectors = append(out.Vectors, vapi.GetOutputVector{Key: v.Key, Data: data(v.Data), Metadata: v.Metadata})
	}
	return out, nil
}

// ListVectors lists the vectors of an index.
func (f *Face) ListVectors(ctx context.Context, in *vapi.ListVectorsInput) (*vapi.ListVectorsOutput, error) {
	if (in.SegmentCount == nil) != (in.SegmentIndex == nil) {
		return nil, apierr.New(apierr.Validation, "segmentCount and segmentIndex must be specified together")
	}
	list, next, err := f.Vectors.List(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn), vectorbucket.ListVectors{
		Token: optional.Value(in.NextToken), Limit: optional.Value(in.MaxResults), Segments: optional.Value(in.SegmentCount), Segment: optional.Value(in.SegmentIndex),
		Data: optional.Value(in.ReturnData), Metadata: optional.Value(in.ReturnMetadata),
	})
	if err != nil {
		return nil, err
	}
	out := &vapi.ListVectorsOutput{NextToken: optional.Of(next), Vectors: []vapi.ListOutputVector{}}
	for _, v := range list {
		out.Vectors = append(out.Vectors, vapi.ListOutputVector{Key: v.Key, Data: data(v.Data), Metadata: v.Metadata})
	}
	return out, nil
}

// DeleteVectors removes vectors.
func (f *Face) DeleteVectors(ctx context.Context, in *vapi.DeleteVectorsInput) (*vapi.DeleteVectorsOutput, error) {
	return &vapi.DeleteVectorsOutput{}, f.Vectors.Delete(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn), in.Keys)
}

// QueryVectors answers the nearest vectors.
func (f *Face) QueryVectors(ctx context.Context, in *vapi.QueryVectorsInput) (*vapi.QueryVectorsOutput, error) {
	found, metric, err := f.Vectors.Query(ctx, kms.CallerOf(ctx), index(in.VectorBucketName, in.IndexName, in.IndexArn), vectorbucket.Question{
		Vector: floats(in.QueryVector), TopK: in.TopK, Filter: in.Filter, Metadata: optional.Value(in.ReturnMetadata), Distance: optional.Value(in.ReturnDistance),
	})
	if err != nil {
		return nil, err
	}
	out := &vapi.QueryVectorsOutput{DistanceMetric: vapi.DistanceMetric(metric), Vectors: []vapi.QueryOutputVector{}}
	for _, v := range found {
		out.Vectors = append(out.Vectors, vapi.QueryOutputVector{Key: v.Key, Distance: v.Distance, Metadata: v.Metadata})
	}
	return out, nil
}

// TagResource sets tags of a bucket or an index.
func (f *Face) TagResource(ctx context.Context, in *vapi.TagResourceInput) (*vapi.TagResourceOutput, error) {
	return &vapi.TagResourceOutput{}, f.Vectors.Tag(ctx, kms.CallerOf(ctx), in.ResourceArn, in.Tags)
}

// UntagResource removes tags.
func (f *Face) UntagResource(ctx context.Context, in *vapi.UntagResourceInput) (*vapi.UntagResourceOutput, error) {
	return &vapi.UntagResourceOutput{}, f.Vectors.Untag(ctx, kms.CallerOf(ctx), in.ResourceArn, in.TagKeys)
}

// ListTagsForResource answers the tags of a bucket or an index.
func (f *Face) ListTagsForResource(ctx context.Context, in *vapi.ListTagsForResourceInput) (*vapi.ListTagsForResourceOutput, error) {
	tags, err := f.Vectors.TagsOf(ctx, kms.CallerOf(ctx), in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &vapi.ListTagsForResourceOutput{Tags: tags}, nil
}
