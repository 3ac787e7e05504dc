// Package trace sets up OpenTelemetry traces for operators from the standard
// environment, and starts spans.
//
//	OTEL_* ─▶ Setup ─▶ *Tracer ─ Start(ctx, name) ─▶ span ─▶ batches ─▶ OTLP over HTTP
//	            └ nothing configured: nil *Tracer, whose Start costs a comparison
//
// It is on when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is
// set, OTEL_SDK_DISABLED is not true and OTEL_TRACES_EXPORTER is not none. Headers,
// time-outs, sampling, batching and resource attributes follow OTEL_* as the SDK
// reads them.
//
// Floor 2. Spans carry names, ids and counts, never prompts or answers. These are
// not the traces of agents, which are part of Bedrock's answers.
package trace
