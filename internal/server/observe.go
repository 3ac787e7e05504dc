package server

import (
	"context"
	"iter"
	"maps"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/metric"
	"github.com/outcrop-dev/outcrop/internal/quota"
)

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// countRequests counts every request for the operator, and those for a model
// as the service's own metrics.
func countRequests(reg *metric.Registry) func(*gateway.Observation) {
	total := reg.Counter("outcrop_requests_total", "Requests by service, operation and status.", "service", "operation", "status")
	took := reg.Histogram("outcrop_request_seconds", "Time from the first to the last byte of a request.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}, "service", "operation")
	return func(o *gateway.Observation) {
		total.With(o.Call.Service, o.Call.Operation, status(o.Status)).Add(1)
		took.With(o.Call.Service, o.Call.Operation).Observe(o.Duration.Seconds())
		id := modelID(o.In)
		if id == "" {
			return
		}
		s := o.Call.Served()
		reg.Record(&metric.Invocation{
			Account: o.Call.Account, Region: o.Call.Region, Model: id, Outcome: outcome(o),
			Refused: !o.Accepted,
			Latency: o.Duration, FirstToken: s.FirstToken,
			InputTokens: int64(s.InputTokens), OutputTokens: int64(s.OutputTokens), Images: int64(s.Images),
		})
	}
}

// status avoids formatting the few numbers that occur.
func status(n int) string {
	if s := statuses[n]; s != "" {
		return s
	}
	return "other"
}

var statuses = map[int]string{
	200: "200", 201: "201", 202: "202", 204: "204", 400: "400", 402: "402", 403: "403", 404: "404", 408: "408", 409: "409",
	413: "413", 424: "424", 429: "429", 499: "499", 500: "500", 501: "501", 502: "502", 503: "503",
}

func outcome(o *gateway.Observation) metric.Outcome {
	switch {
	case o.Error == nil:
		return metric.OK
	case o.Error.Kind == apierr.Throttling:
		return metric.Throttled
	case o.Status >= 500 || o.Streamed && o.Status == 200:
		return metric.ServerError
	}
	return metric.ClientError
}

// modelID returns the model that an inference operation names, "" for others.
func modelID(in any) string {
	switch in := in.(type) {
	case *bedrockruntime.ConverseInput:
		return in.ModelId
	case *bedrockruntime.ConverseStreamInput:
		return in.ModelId
	case *bedrockruntime.InvokeModelInput:
		return in.ModelId
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		return in.ModelId
	}
	return ""
}

// throttle applies the quotas of models: one bucket for InvokeModel, Converse
// and their streams.
type throttle struct{ limiter *quota.Limiter }

// settle charges the tokens that a call turned out to use.
func (t throttle) settle(o *gateway.Observation) {
	if s := o.Call.Served(); o.Accepted && s.Inference {
		t.limiter.Settle(quota.Key{Account: o.Call.Account, Region: o.Call.Region, Model: modelID(o.In)}, int64(s.InputTokens+s.OutputTokens))
	}
}

func (t throttle) Admit(_ context.Context, c *call.Call, in any) error {
	id := modelID(in)
	if id == "" {
		return nil
	}
	return t.limiter.Admit(quota.Key{Account: c.Account, Region: c.Region, Model: id}, 0)
}
