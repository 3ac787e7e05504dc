package logs

import (
	"context"

	logsapi "github.com/outcrop-dev/outcrop/internal/api/logs"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// CreateLogStream makes a stream.
func (f *Face) CreateLogStream(ctx context.Context, in *logsapi.CreateLogStreamInput) (*logsapi.CreateLogStreamOutput, error) {
	return &logsapi.CreateLogStreamOutput{}, f.Logs.CreateStream(ctx, place(ctx), in.LogGroupName, in.LogStreamName)
}

// DeleteLogStream deletes a stream.
func (f *Face) DeleteLogStream(ctx context.Context, in *logsapi.DeleteLogStreamInput) (*logsapi.DeleteLogStreamOutput, error) {
	return &logsapi.DeleteLogStreamOutput{}, f.Logs.DeleteStream(ctx, place(ctx), in.LogGroupName, in.LogStreamName)
}

// DescribeLogStreams lists the streams of a group.
func (f *Face) DescribeLogStreams(ctx context.Context, in *logsapi.DescribeLogStreamsInput) (*logsapi.DescribeLogStreamsOutput, error) {
	at, name, err := group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	list, next, err := f.Logs.Streams(ctx, at, name, optional.Value(in.LogStreamNamePrefix), in.OrderBy == logsapi.OrderByLastEventTime, optional.Value(in.Descending), after, limit(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeLogStreamsOutput{LogStreams: []logsapi.LogStream{}, NextToken: token(next)}
	for _, s := range list {
		out.LogStreams = append(out.LogStreams, logsapi.LogStream{
			Arn: new(s.ARN), LogStreamName: new(s.Name), CreationTime: new(s.Created.UnixMilli()), FirstEventTimestamp: optional.Of(s.First),
			LastEventTimestamp: optional.Of(s.Last), LastIngestionTime: optional.Of(s.Ingested), StoredBytes: new(int64(0)), // AWS answers 0 since 2019
			UploadSequenceToken: new(sequence),
		})
	}
	return out, nil
}

// sequence is what once ordered the puts to a stream; clients may still send it.
const sequence = "49039859512512311516453254115811548915531510454851245485"

// PutLogEvents writes events; they are on disk when it answers.
func (f *Face) PutLogEvents(ctx context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	events := make([]logs.Event, len(in.LogEvents))
	for i, e := range in.LogEvents {
		events[i] = logs.Event{At: e.Timestamp, Message: e.Message}
	}
	r, err := f.Logs.Put(ctx, place(ctx), in.LogGroupName, in.LogStreamName, events)
	if err != nil {
		return nil, err
	}
	out := &logsapi.PutLogEventsOutput{NextSequenceToken: new(sequence)}
	if r.TooNew >= 0 || r.TooOld >= 0 || r.Expired >= 0 {
		out.RejectedLogEventsInfo = &logsapi.RejectedLogEventsInfo{
			TooNewLogEventStartIndex: index(r.TooNew), TooOldLogEventEndIndex: index(r.TooOld), ExpiredLogEventEndIndex: index(r.Expired),
		}
	}
	return out, nil
}

func index(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// GetLogEvents reads a stream.
func (f *Face) GetLogEvents(ctx context.Context, in *logsapi.GetLogEventsInput) (*logsapi.GetLogEventsOutput, error) {
	at, name, err := group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	g, err := f.Logs.Get(ctx, at, name, in.LogStreamName, logs.GetInput{
		Start: in.StartTime, End: in.EndTime, Limit: optional.Value(in.Limit), FromHead: optional.Value(in.StartFromHead), Token: optional.Value(in.NextToken),
	})
	if err != nil {
		return nil, err
	}
	out := &logsapi.GetLogEventsOutput{Events: []logsapi.OutputLogEvent{}, NextForwardToken: &g.Forward, NextBackwardToken: &g.Backward}
	for _, e := range g.Events {
		out.Events = append(out.Events, logsapi.OutputLogEvent{Timestamp: new(e.At), IngestionTime: new(e.Ingested), Message: new(e.Message)})
	}
	return out, nil
}

// FilterLogEvents reads what matches in a group.
func (f *Face) FilterLogEvents(ctx context.Context, in *logsapi.FilterLogEventsInput) (*logsapi.FilterLogEventsOutput, error) {
	at, name, err := group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	events, next, err := f.Logs.Filter(ctx, at, name, logs.FilterInput{
		Streams: in.LogStreamNames, Prefix: optional.Value(in.LogStreamNamePrefix), Start: in.StartTime, End: in.EndTime,
		Pattern: optional.Value(in.FilterPattern), Limit: optional.Value(in.Limit), Token: optional.Value(in.NextToken),
	})
	if err != nil {
		return nil, err
	}
	out := &logsapi.FilterLogEventsOutput{Events: []logsapi.FilteredLogEvent{}, SearchedLogStreams: []logsapi.SearchedLogStream{}, NextToken: optional.Of(next)}
	for _, e := range events {
		out.Events = append(out.Events, logsapi.FilteredLogEvent{
			EventId: new(e.ID), LogStreamName: new(e.Stream), Timestamp: new(e.At), IngestionTime: new(e.Ingested), Message: new(e.Message),
		})
	}
	return out, nil
}

// PutMetricFilter keeps a metric filter.
func (f *Face) PutMetricFilter(ctx context.Context, in *logsapi.PutMetricFilterInput) (*logsapi.PutMetricFilterOutput, error) {
	if optional.Value(in.ApplyOnTransformedLogs) || in.FieldSelectionCriteria != nil || len(in.EmitSystemFieldDimensions) > 0 {
		return nil, apierr.New(logs.InvalidParameter, "ApplyOnTransformedLogs, FieldSelectionCriteria and EmitSystemFieldDimensions are not built in Outcrop.")
	}
	m := logs.MetricFilter{Group: in.LogGroupName, Name: in.FilterName, Pattern: in.FilterPattern}
	for _, t := range in.MetricTransformations {
		m.Transformations = append(m.Transformations, logs.Transformation{
			Metric: t.MetricName, Namespace: t.MetricNamespace, Value: t.MetricValue, Unit: string(t.Unit), Default: t.DefaultValue, Dimensions: t.Dimensions,
		})
	}
	return &logsapi.PutMetricFilterOutput{}, f.Logs.PutMetricFilter(ctx, place(ctx), m)
}

// DeleteMetricFilter deletes one.
func (f *Face) DeleteMetricFilter(ctx context.Context, in *logsapi.DeleteMetricFilterInput) (*logsapi.DeleteMetricFilterOutput, error) {
	return &logsapi.DeleteMetricFilterOutput{}, f.Logs.DeleteMetricFilter(ctx, place(ctx), in.LogGroupName, in.FilterName)
}

// DescribeMetricFilters lists metric filters.
func (f *Face) DescribeMetricFilters(ctx context.Context, in *logsapi.DescribeMetricFiltersInput) (*logsapi.DescribeMetricFiltersOutput, error) {
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	list, next, err := f.Logs.MetricFilters(ctx, place(ctx), optional.Value(in.LogGroupName), optional.Value(in.FilterNamePrefix), optional.Value(in.MetricName), optional.Value(in.MetricNamespace), after, limit(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeMetricFiltersOutput{MetricFilters: []logsapi.MetricFilter{}, NextToken: token(next)}
	for _, m := range list {
		e := logsapi.MetricFilter{FilterName: new(m.Name), FilterPattern: new(m.Pattern), LogGroupName: new(m.Group), CreationTime: new(m.Created.UnixMilli())}
		for _, t := range m.Transformations {
			e.MetricTransformations = append(e.MetricTransformations, logsapi.MetricTransformation{
				MetricName: t.Metric, MetricNamespace: t.Namespace, MetricValue: t.Value, Unit: logsapi.StandardUnit(t.Unit), DefaultValue: t.Default, Dimensions: t.Dimensions,
			})
		}
		out.MetricFilters = append(out.MetricFilters, e)
	}
	return out, nil
}

// TestMetricFilter tries a pattern on messages.
func (f *Face) TestMetricFilter(_ context.Context, in *logsapi.TestMetricFilterInput) (*logsapi.TestMetricFilterOutput, error) {
	p, err := logs.Compile(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	out := &logsapi.TestMetricFilterOutput{Matches: []logsapi.MetricFilterMatchRecord{}}
	for i, m := range in.LogEventMessages {
		if values, ok := p.Match(m); ok {
			if values == nil {
				values = map[string]string{}
			}
			out.Matches = append(out.Matches, logsapi.MetricFilterMatchRecord{EventNumber: new(int64(i + 1)), EventMessage: new(m), ExtractedValues: values})
		}
	}
	return out, nil
}

// PutResourcePolicy keeps a resource policy of the account.
func (f *Face) PutResourcePolicy(ctx context.Context, in *logsapi.PutResourcePolicyInput) (*logsapi.PutResourcePolicyOutput, error) {
	if in.ResourceArn != nil || in.ExpectedRevisionId != nil {
		return nil, apierr.New(logs.InvalidParameter, "Resource policies of single log groups are not built in Outcrop: leave ResourceArn out.")
	}
	if in.PolicyName == nil || in.PolicyDocument == nil {
		return nil, apierr.New(logs.InvalidParameter, "policyName and policyDocument are required.")
	}
	p, err := f.Logs.PutPolicy(ctx, place(ctx), *in.PolicyName, *in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return &logsapi.PutResourcePolicyOutput{ResourcePolicy: new(resourcePolicy(p))}, nil
}

func resourcePolicy(p logs.ResourcePolicy) logsapi.ResourcePolicy {
	return logsapi.ResourcePolicy{PolicyName: new(p.Name), PolicyDocument: new(p.Document), LastUpdatedTime: new(p.Updated.UnixMilli()), PolicyScope: logsapi.PolicyScopeAccount}
}

// DeleteResourcePolicy deletes a resource policy of the account.
func (f *Face) DeleteResourcePolicy(ctx context.Context, in *logsapi.DeleteResourcePolicyInput) (*logsapi.DeleteResourcePolicyOutput, error) {
	if in.PolicyName == nil || in.ResourceArn != nil {
		return nil, apierr.New(logs.InvalidParameter, "policyName is required; resource policies of single log groups are not built in Outcrop.")
	}
	return &logsapi.DeleteResourcePolicyOutput{}, f.Logs.DeletePolicy(ctx, place(ctx), *in.PolicyName)
}

// DescribeResourcePolicies lists the resource policies of the account.
func (f *Face) DescribeResourcePolicies(ctx context.Context, in *logsapi.DescribeResourcePoliciesInput) (*logsapi.DescribeResourcePoliciesOutput, error) {
	if in.ResourceArn != nil || (in.PolicyScope != "" && in.PolicyScope != logsapi.PolicyScopeAccount) {
		return nil, apierr.New(logs.InvalidParameter, "Resource policies of single log groups are not built in Outcrop.")
	}
	after, err := untoken(in.NextToken)
	if err != nil {
		return nil, err
	}
	list, next, err := f.Logs.Policies(ctx, place(ctx), after, limit(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeResourcePoliciesOutput{ResourcePolicies: []logsapi.ResourcePolicy{}, NextToken: token(next)}
	for _, p := range list {
		out.ResourcePolicies = append(out.ResourcePolicies, resourcePolicy(p))
	}
	return out, nil
}
