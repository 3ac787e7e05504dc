package trace

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clear removes what the tester's own environment says.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, k := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"} {
		t.Setenv(k, "")
	}
}

type sink struct {
	mu     sync.Mutex
	spans  []*wire.Span
	attrs  map[string]string
	header http.Header
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	var m collector.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(b, &m) != nil {
		http.Error(w, "no", 400)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = r.Header
	for _, rs := range m.GetResourceSpans() {
		for _, a := range rs.GetResource().GetAttributes() {
			s.attrs[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, ss := range rs.GetScopeSpans() {
			s.spans = append(s.spans, ss.GetSpans()...)
		}
	}
}

func TestSpansArriveAtACollector(t *testing.T) {
	clearEnv(t)
	s := &sink{attrs: map[string]string{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment=test")
	tr, err := Setup(t.Context(), Config{Version: "1.2.3"})
	if err != nil || tr == nil {
		t.Fatalf("Setup = %v, %v", tr, err)
	}
	in := http.Header{"Traceparent": {"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}}
	ctx, end := tr.Start(tr.Extract(t.Context(), in), "bedrock-runtime.Converse")
	Set(ctx, "model", "m")
	Fail(ctx, "ThrottlingException")
	inner, endInner := tr.Start(ctx, "engine")
	out := http.Header{}
	tr.Inject(inner, out)
	endInner()
	end()
	if err := tr.Shutdown(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spans) != 2 {
		t.Fatalf("%d spans arrived", len(s.spans))
	}
	i := slices.IndexFunc(s.spans, func(p *wire.Span) bool { return p.GetName() == "bedrock-runtime.Converse" })
	outer, child := s.spans[i], s.spans[1-i]
	if child.GetName() != "engine" || string(child.GetParentSpanId()) != string(outer.GetSpanId()) {
		t.Errorf("child %v of %v", child, outer)
	}
	if outer.GetStatus().GetCode() != wire.Status_STATUS_CODE_ERROR || outer.GetStatus().GetMessage() != "ThrottlingException" || len(outer.GetAttributes()) != 1 {
		t.Errorf("outer span = %v", outer)
	}
	for _, p := range out["Traceparent"] {
		if !strings.HasPrefix(p, "00-0123456789abcdef0123456789abcdef-") || strings.Contains(p, "-0123456789abcdef-") {
			t.Errorf("passed on: %s", p)
		}
	}
	if len(out) == 0 || s.header.Get("X-Key") != "abc" || s.attrs["service.name"] != "outcrop" || s.attrs["service.version"] != "1.2.3" || s.attrs["deployment"] != "test" {
		t.Errorf("out %v, headers %v, resource %v", out, s.header, s.attrs)
	}
}

func TestOffWhenNothingAsks(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing set": {},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"},
		"none":        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			for k, v := range env {
				t.Setenv(k, v)
			}
			tr, err := Setup(t.Context(), Config{})
			if tr != nil || err != nil {
				t.Fatalf("Setup = %v, %v", tr, err)
			}
			h := http.Header{}
			tr.Inject(t.Context(), h)
			if len(h) != 0 || tr.Shutdown(t.Context(), time.Second) != nil {
				t.Error("an absent tracer does something")
			}
			ctx := tr.Extract(t.Context(), h)
			if n := testing.AllocsPerRun(100, func() {
				c, end := tr.Start(ctx, "x")
				Set(c, "a", "b")
				Fail(c, "e")
				end()
			}); n != 0 {
				t.Errorf("%v allocations a span while off", n)
			}
		})
	}
}

func TestWhatIsNotSupportedIsSaid(t *testing.T) {
	for k, v := range map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "zipkin"} {
		t.Run(k, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(k, v)
			if tr, err := Setup(t.Context(), Config{}); err == nil || tr != nil || !strings.Contains(err.Error(), v) {
				t.Errorf("Setup = %v, %v", tr, err)
			}
		})
	}
}

func TestAHungCollectorDoesNotHoldTheEnd(t *testing.T) {
	clearEnv(t)
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer srv.Close()
	defer close(stop)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL+"/v1/traces")
	tr, err := Setup(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, end := tr.Start(context.Background(), "x")
	end()
	start := time.Now()
	if err := tr.Shutdown(t.Context(), 300*time.Millisecond); err == nil {
		t.Error("spans were sent to a collector that never answered")
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("the end took %v", d)
	}
}

func BenchmarkStartOff(b *testing.B) {
	var tr *Tracer
	for b.Loop() {
		_, end := tr.Start(b.Context(), "x")
		end()
	}
}
