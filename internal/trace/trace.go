package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// Config of Setup.
type Config struct {
	Service string       // service.name where OTEL_SERVICE_NAME is not set; default outcrop
	Version string       // service.version
	Log     *slog.Logger // export errors; default: discard
}

// Tracer starts spans. A nil *Tracer is one that is off.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
}

// Enabled reports whether the environment asks for traces.
func Enabled() bool {
	on := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	return on && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

// Setup returns a tracer, nil when the environment asks for none, and an error when
// it asks for what is not there. It does not connect.
func Setup(ctx context.Context, cfg Config) (*Tracer, error) {
	if !Enabled() {
		return nil, nil //nolint:nilnil // a nil tracer is the zero-cost one
	}
	if e := os.Getenv("OTEL_TRACES_EXPORTER"); e != "" && e != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%s is not supported: use otlp or none", e)
	}
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if protocol != "http/protobuf" {
		return nil, fmt.Errorf("the OTLP protocol %s is not supported: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf (port 4318 of most collectors)", protocol)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("set up trace export: %w", err)
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", cmp.Or(cfg.Service, "outcrop")), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("describe the service for traces: %w", err), exporter.Shutdown(ctx))
	}
	if cfg.Log != nil {
		// The SDK has one place for errors, for the whole process.
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Log.Warn("traces not exported", "err", err) }))
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(res))
	return &Tracer{provider: p, tracer: p.Tracer("github.com/outcrop-dev/outcrop")}, nil
}

// Shutdown sends what is waiting and ends the tracer's goroutines, both within d.
func (t *Tracer) Shutdown(ctx context.Context, d time.Duration) error {
	if t == nil {
		return nil
	}
	c, stop := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer stop()
	if err := t.provider.Shutdown(c); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

func nothing() {}

// Start begins a span below that of ctx; end ends it.
func (t *Tracer) Start(ctx context.Context, name string) (_ context.Context, end func()) {
	if t == nil {
		return ctx, nothing
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func() { span.End() }
}

// Set adds attributes to the span of ctx, if there is one: pairs of name and value.
func Set(ctx context.Context, pairs ...string) {
	span := api.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		span.SetAttributes(attribute.String(pairs[i], pairs[i+1]))
	}
}

// Fail marks the span of ctx as failed with the name of an error, not its text,
// which may hold what users sent.
func Fail(ctx context.Context, name string) {
	if span := api.SpanFromContext(ctx); span.IsRecording() {
		span.SetStatus(codes.Error, name)
	}
}

var w3c propagation.TraceContext

// Extract continues the trace that a request's traceparent header names.
func (t *Tracer) Extract(ctx context.Context, h http.Header) context.Context {
	if t == nil {
		return ctx
	}
	return w3c.Extract(ctx, propagation.HeaderCarrier(h))
}

// Inject names the span of ctx to whoever is called.
func (t *Tracer) Inject(ctx context.Context, h http.Header) {
	if t != nil {
		w3c.Inject(ctx, propagation.HeaderCarrier(h))
	}
}
