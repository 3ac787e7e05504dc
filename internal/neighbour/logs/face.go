package logs

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	logsapi "github.com/outcrop-dev/outcrop/internal/api/logs"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Face answers CloudWatch Logs. Logs is required.
type Face struct{ Logs *logs.Service }

var (
	_ logsapi.API       = (*Face)(nil)
	_ neighbour.Refiner = (*Face)(nil)
)

// Refine names the group, or the stream, that an operation is about: inputs name
// groups in three ways, and policies by arn:aws:logs:REGION:ACCOUNT:log-group:NAME
// with :* or :log-stream:NAME behind it.
func (f *Face) Refine(ctx context.Context, op *api.Operation, in any, _ []string, p *gateway.Permission) {
	at := place(ctx)
	group, stream := named(in)
	if group == "" {
		// DescribeLogGroups and the account's resource policies.
		switch op.Name {
		case "DescribeLogGroups":
			p.Resources = []string{at.GroupARN(":log-stream:")}
		case "DescribeMetricFilters":
			p.Resources = []string{at.GroupARN("*") + ":*"}
		default:
			p.Resources = []string{"*"}
		}
		return
	}
	name, err := groupOf(at, group)
	if err != nil {
		return // refused by the operation
	}
	switch {
	case stream != "":
		p.Resources = []string{at.StreamARN(name, stream)}
	case op.Name == "TagResource" || op.Name == "UntagResource" || op.Name == "ListTagsForResource":
		p.Resources = []string{at.GroupARN(name)}
	default:
		p.Resources = []string{at.GroupARN(name) + ":*", at.GroupARN(name)}
	}
	if tags, err := f.Logs.Tags(ctx, at, name); err == nil {
		for k, v := range tags {
			p.Conditions["aws:ResourceTag/"+k] = []string{v}
		}
	}
}

// named answers the group and the stream of an input, in whatever spelling.
func named(in any) (group, stream string) {
	switch in := in.(type) {
	case *logsapi.AssociateKmsKeyInput:
		return either(in.LogGroupName, in.ResourceIdentifier), ""
	case *logsapi.DisassociateKmsKeyInput:
		return either(in.LogGroupName, in.ResourceIdentifier), ""
	case *logsapi.CreateLogGroupInput:
		return in.LogGroupName, ""
	case *logsapi.DeleteLogGroupInput:
		return in.LogGroupName, ""
	case *logsapi.CreateLogStreamInput:
		return in.LogGroupName, "" // AWS asks for the group
	case *logsapi.DeleteLogStreamInput:
		return in.LogGroupName, in.LogStreamName
	case *logsapi.DescribeLogStreamsInput:
		return either(in.LogGroupName, in.LogGroupIdentifier), ""
	case *logsapi.FilterLogEventsInput:
		return either(in.LogGroupName, in.LogGroupIdentifier), ""
	case *logsapi.GetLogEventsInput:
		return either(in.LogGroupName, in.LogGroupIdentifier), in.LogStreamName
	case *logsapi.PutLogEventsInput:
		return in.LogGroupName, in.LogStreamName
	case *logsapi.PutMetricFilterInput:
		return in.LogGroupName, ""
	case *logsapi.DeleteMetricFilterInput:
		return in.LogGroupName, ""
	case *logsapi.DescribeMetricFiltersInput:
		return optional.Value(in.LogGroupName), ""
	case *logsapi.PutRetentionPolicyInput:
		return in.LogGroupName, ""
	case *logsapi.DeleteRetentionPolicyInput:
		return in.LogGroupName, ""
	case *logsapi.TagLogGroupInput:
		return in.LogGroupName, ""
	case *logsapi.UntagLogGroupInput:
		return in.LogGroupName, ""
	case *logsapi.ListTagsLogGroupInput:
		return in.LogGroupName, ""
	case *logsapi.TagResourceInput:
		return in.ResourceArn, ""
	case *logsapi.UntagResourceInput:
		return in.ResourceArn, ""
	case *logsapi.ListTagsForResourceInput:
		return in.ResourceArn, ""
	}
	return "", ""
}

func either(a, b *string) string {
	if a != nil {
		return *a
	}
	return optional.Value(b)
}

func place(ctx context.Context) logs.Place {
	c := call.From(ctx)
	return logs.Place{Account: c.Account, Region: c.Region}
}

// group finds the place and the name of a group that is named by itself or by ARN.
func group(ctx context.Context, name, identifier *string) (logs.Place, string, error) {
	at := place(ctx)
	if name != nil && identifier != nil {
		return at, "", apierr.New(logs.InvalidParameter, "Name the log group either by its name or by its identifier, not by both.")
	}
	id := either(name, identifier)
	if id == "" {
		return at, "", apierr.New(logs.InvalidParameter, "Name the log group by its name or by its identifier.")
	}
	n, err := groupOf(at, id)
	return at, n, err
}

// groupOf takes the name out of an ARN; a name stays as it is.
func groupOf(at logs.Place, id string) (string, error) {
	if !strings.HasPrefix(id, "arn:") {
		return id, nil
	}
	a, err := arn.Parse(id)
	name, ok := strings.CutPrefix(a.Resource, "log-group:")
	if err != nil || !ok || a.Service != "logs" {
		return "", apierr.New(logs.InvalidParameter, "%s is not the ARN of a log group.", id)
	}
	if a.Account != at.Account || a.Region != at.Region {
		return "", apierr.New(apierr.ResourceNotFound, "The specified log group does not exist.")
	}
	name, _, _ = strings.Cut(name, ":")
	return name, nil
}

// token hides what a list goes on behind; untoken reads it.
func token(t string) *string {
	if t == "" {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(t)))
}

func untoken(t *string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(optional.Value(t))
	if err != nil {
		return "", apierr.New(logs.InvalidParameter, "The specified nextToken is invalid.")
	}
	return string(b), nil
}

func limit(n *int) int {
	if n == nil {
		return 50
	}
	return *n
}

// CreateLogGroup makes a group.
func (f *Face) CreateLogGroup(ctx context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	return &logsapi.CreateLogGroupOutput{}, f.Logs.CreateGroup(ctx, place(ctx), logs.GroupInput{
		Name: in.LogGroupName, Key: optional.Value(in.KmsKeyId), Class: string(in.LogGroupClass), Protected: optional.Value(in.DeletionProtectionEnabled), Tags: in.Tags,
	})
}

// DeleteLogGroup deletes a group.
func (f *Face) DeleteLogGroup(ctx context.Context, in *logsapi.DeleteLogGroupInput) (*logsapi.DeleteLogGroupOutput, error) {
	return &logsapi.DeleteLogGroupOutput{}, f.Logs.DeleteGroup(ctx, place(ctx), in.LogGroupName)
}

// DescribeLogGroups lists groups.
func (f *Face) DescribeLogGroups(ctx context.Context, in *logsapi.DescribeLogGroupsInput) (*logsapi.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, apierr.New(logs.InvalidParameter, "LogGroupNamePrefix and LogGroupNamePattern are mutually exclusive parameters.")
	}
	if len(in.LogGroupIdentifiers) > 0 || len(in.AccountIdentifiers) > 0 {
		return nil, apierr.New(logs.InvalidParameter, "LogGroupIdentifiers and AccountIdentifiers are not built in Outcrop.")
	}
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	list, next, err := f.Logs.Groups(ctx, place(ctx), optional.Value(in.LogGroupNamePrefix), optional.Value(in.LogGroupNamePattern), string(in.LogGroupClass), after, limit(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeLogGroupsOutput{LogGroups: []logsapi.LogGroup{}, NextToken: token(next)}
	for _, g := range list {
		out.LogGroups = append(out.LogGroups, logsapi.LogGroup{
			Arn: new(g.ARN + ":*"), LogGroupArn: new(g.ARN), LogGroupName: new(g.Name), LogGroupClass: logsapi.LogGroupClass(g.Class),
			CreationTime: new(g.Created.UnixMilli()), KmsKeyId: optional.Of(g.Key), RetentionInDays: optional.Of(g.Retention), StoredBytes: new(g.Bytes),
			MetricFilterCount: new(g.Filters), DeletionProtectionEnabled: new(g.Protected),
		})
	}
	return out, nil
}

// PutRetentionPolicy sets how long events are kept.
func (f *Face) PutRetentionPolicy(ctx context.Context, in *logsapi.PutRetentionPolicyInput) (*logsapi.PutRetentionPolicyOutput, error) {
	return &logsapi.PutRetentionPolicyOutput{}, f.Logs.SetRetention(ctx, place(ctx), in.LogGroupName, in.RetentionInDays)
}

// DeleteRetentionPolicy keeps events for ever.
func (f *Face) DeleteRetentionPolicy(ctx context.Context, in *logsapi.DeleteRetentionPolicyInput) (*logsapi.DeleteRetentionPolicyOutput, error) {
	return &logsapi.DeleteRetentionPolicyOutput{}, f.Logs.KeepForever(ctx, place(ctx), in.LogGroupName)
}

// AssociateKmsKey gives a group a key.
func (f *Face) AssociateKmsKey(ctx context.Context, in *logsapi.AssociateKmsKeyInput) (*logsapi.AssociateKmsKeyOutput, error) {
	at, name, err := group(ctx, in.LogGroupName, in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	return &logsapi.AssociateKmsKeyOutput{}, f.Logs.SetKey(ctx, at, name, in.KmsKeyId)
}

// DisassociateKmsKey takes the key of a group away.
func (f *Face) DisassociateKmsKey(ctx context.Context, in *logsapi.DisassociateKmsKeyInput) (*logsapi.DisassociateKmsKeyOutput, error) {
	at, name, err := group(ctx, in.LogGroupName, in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	return &logsapi.DisassociateKmsKeyOutput{}, f.Logs.SetKey(ctx, at, name, "")
}

// TagLogGroup tags a group, the old way.
func (f *Face) TagLogGroup(ctx context.Context, in *logsapi.TagLogGroupInput) (*logsapi.TagLogGroupOutput, error) {
	return &logsapi.TagLogGroupOutput{}, f.Logs.Tag(ctx, place(ctx), in.LogGroupName, in.Tags)
}

// UntagLogGroup removes tags, the old way.
func (f *Face) UntagLogGroup(ctx context.Context, in *logsapi.UntagLogGroupInput) (*logsapi.UntagLogGroupOutput, error) {
	return &logsapi.UntagLogGroupOutput{}, f.Logs.Untag(ctx, place(ctx), in.LogGroupName, in.Tags)
}

// ListTagsLogGroup lists tags, the old way.
func (f *Face) ListTagsLogGroup(ctx context.Context, in *logsapi.ListTagsLogGroupInput) (*logsapi.ListTagsLogGroupOutput, error) {
	t, err := f.Logs.Tags(ctx, place(ctx), in.LogGroupName)
	if err != nil {
		return nil, err
	}
	return &logsapi.ListTagsLogGroupOutput{Tags: t}, nil
}

// TagResource tags a group.
func (f *Face) TagResource(ctx context.Context, in *logsapi.TagResourceInput) (*logsapi.TagResourceOutput, error) {
	at, name, err := group(ctx, &in.ResourceArn, nil)
	if err != nil {
		return nil, err
	}
	return &logsapi.TagResourceOutput{}, f.Logs.Tag(ctx, at, name, in.Tags)
}

// UntagResource removes tags.
func (f *Face) UntagResource(ctx context.Context, in *logsapi.UntagResourceInput) (*logsapi.UntagResourceOutput, error) {
	at, name, err := group(ctx, &in.ResourceArn, nil)
	if err != nil {
		return nil, err
	}
	return &logsapi.UntagResourceOutput{}, f.Logs.Untag(ctx, at, name, in.TagKeys)
}

// ListTagsForResource lists tags.
func (f *Face) ListTagsForResource(ctx context.Context, in *logsapi.ListTagsForResourceInput) (*logsapi.ListTagsForResourceOutput, error) {
	at, name, err := group(ctx, &in.ResourceArn, nil)
	if err != nil {
		return nil, err
	}
	t, err := f.Logs.Tags(ctx, at, name)
	if err != nil {
		return nil, err
	}
	return &logsapi.ListTagsForResourceOutput{Tags: t}, nil
}
