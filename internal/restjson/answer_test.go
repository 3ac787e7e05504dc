package restjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

func TestEncodeResponse(t *testing.T) {
	at := time.Date(2025, 7, 21, 14, 43, 52, 363215999, time.FixedZone("KST", 9*3600))
	tests := []struct {
		name   string
		svc    *api.Service
		op     string
		out    any
		status int
		header http.Header
		body   string
	}{
		{"structure, times, nil list", &bedrockagent.Service, "GetAgentAlias",
			&bedrockagent.GetAgentAliasOutput{AgentAlias: &bedrockagent.AgentAlias{AgentAliasArn: "a<>&\u2028\x01\"\\\xff\n", CreatedAt: at, UpdatedAt: at, FailureReasons: []string{}}},
			200, http.Header{"Content-Type": {"application/json"}},
			`{"agentAlias":{"agentAliasArn":"a<>&` + "\u2028" + `\u0001\"\\` + "\uFFFD" + `\n","agentAliasId":"","agentAliasName":"","agentAliasStatus":"","agentId":"","createdAt":"2025-07-21T05:43:52.363215Z","failureReasons":[],"routingConfiguration":[],"updatedAt":"2025-07-21T05:43:52.363215Z"}}`},
		{"blob body and headers", &bedrockruntime.Service, "InvokeModel",
			&bedrockruntime.InvokeModelOutput{Body: []byte(`{"x":1}`), ContentType: "application/json\r\nx: y"},
			200, http.Header{"Content-Type": {"application/json  x: y"}}, `{"x":1}`},
		{"head of a stream", &bedrockruntime.Service, "InvokeModelWithResponseStream",
			&bedrockruntime.InvokeModelWithResponseStreamOutput{ContentType: "application/json"},
			200, http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}, "X-Amzn-Bedrock-Content-Type": {"application/json"}}, ``},
		{"nothing to say", &bedrockagent.Service, "DeleteAgentActionGroup", &bedrockagent.DeleteAgentActionGroupOutput{}, 204, http.Header{}, ``},
		{"empty object", &bedrockagent.Service, "TagResource", &bedrockagent.TagResourceOutput{}, 200, http.Header{"Content-Type": {"application/json"}}, `{}`},
		{"union, document, numbers", &bedrockruntime.Service, "Converse",
			&bedrockruntime.ConverseOutput{
				Output: &bedrockruntime.ConverseOutputUnion{Message: &bedrockruntime.Message{Role: "assistant", Content: []bedrockruntime.ContentBlock{
					{ToolUse: &bedrockruntime.ToolUseBlock{Name: "n", ToolUseId: "t"}}}}},
				StopReason: "tool_use", Metrics: &bedrockruntime.ConverseMetrics{LatencyMs: math.MaxInt64}, Usage: &bedrockruntime.TokenUsage{CacheReadInputTokens: new(0)},
				AdditionalModelResponseFields: json.RawMessage(`{"a": 1}`)},
			200, http.Header{"Content-Type": {"application/json"}},
			`{"additionalModelResponseFields":{"a": 1},"metrics":{"latencyMs":9223372036854775807},"output":{"message":{"content":[{"toolUse":{"input":{},"name":"n","toolUseId":"t"}}],"role":"assistant"}},"stopReason":"tool_use","usage":{"cacheReadInputTokens":0,"inputTokens":0,"outputTokens":0,"totalTokens":0}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body, err := restjson.EncodeResponse(tt.svc, operation(t, tt.svc, tt.op), tt.out, []byte("old"))
			if err != nil {
				t.Fatal(err)
			}
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if d := cmp.Diff(tt.header, header); d != "" {
				t.Errorf("headers (-want +got)\n%s", d)
			}
			if d := cmp.Diff(tt.body, string(body)); d != "" {
				t.Errorf("body (-want +got)\n%s", d)
			}
		})
	}
}

func TestFloatsKeepTheirPoint(t *testing.T) {
	op := operation(t, &bedrockagentruntime.Service, "Rerank")
	for f, want := range map[float64]string{1: "1.0", 0: "0.0", 0.1: "0.1", 1.0 / 3: "0.3333333333333333", 1e-9: "1e-09", 1e21: "1e+21", 123456789: "123456789.0", math.Inf(-1): `"-Infinity"`} {
		_, _, body, err := restjson.EncodeResponse(&bedrockagentruntime.Service, op, &bedrockagentruntime.RerankOutput{
			Results: []bedrockagentruntime.RerankResult{{RelevanceScore: f}}}, nil)
		if err != nil || !strings.Contains(string(body), `"relevanceScore":`+want+"}") {
			t.Errorf("%v: %s, %v; want %s", f, body, err, want)
		}
	}
}

func TestBrokenAnswersAreBugs(t *testing.T) {
	converse := operation(t, &bedrockruntime.Service, "Converse")
	whole := func() *bedrockruntime.ConverseOutput {
		return &bedrockruntime.ConverseOutput{Metrics: &bedrockruntime.ConverseMetrics{}, Usage: &bedrockruntime.TokenUsage{},
			Output: &bedrockruntime.ConverseOutputUnion{Message: &bedrockruntime.Message{}}}
	}
	tests := []struct {
		name string
		out  any
		want string
	}{
		{"required structure", func() any { o := whole(); o.Usage = nil; return o }(), "BUG: ConverseResponse: required member usage is nil"},
		{"empty union", func() any { o := whole(); o.Output.Message = nil; return o }(), "BUG: ConverseOutput: union has 0 members set, not one"},
		{"two members", func() any {
			o := whole()
			o.Output.Message.Content = []bedrockruntime.ContentBlock{{Text: new("a"), CachePoint: &bedrockruntime.CachePointBlock{}}}
			return o
		}(), "BUG: ContentBlock: union has 2 members set, not one"},
		{"document", func() any { o := whole(); o.AdditionalModelResponseFields = json.RawMessage(`{"a":`); return o }(), "document is not JSON"},
		{"nil", (*bedrockruntime.ConverseOutput)(nil), "BUG: ConverseResponse of bedrock-runtime must be a pointer to a struct"},
		{"another type", &bedrockruntime.ConverseInput{}, "BUG: ConverseResponse of bedrock-runtime is bedrockruntime.ConverseOutput, not *bedrockruntime.ConverseInput"},
	}
	// The plan must know the right type before a wrong one comes.
	if _, _, _, err := restjson.EncodeResponse(&bedrockruntime.Service, converse, whole(), nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := restjson.EncodeResponse(&bedrockruntime.Service, converse, tt.out, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestEncodeError(t *testing.T) {
	full := apierr.Detail{Fields: []apierr.Field{{Name: "a.b", Message: "c"}}, ResourceName: "r", OriginalStatus: 502, OriginalMessage: "o", Reason: "w"}
	tests := []struct {
		name   string
		svc    *api.Service
		op     string
		kind   apierr.Kind
		status int
		as     apierr.Kind
		body   string
	}{
		{"conflict in bedrock", &bedrock.Service, "CreateGuardrail", apierr.Conflict, 400, "", `{"message":"m\"<"}`},
		{"conflict in bedrock-agent", &bedrockagent.Service, "CreateAgent", apierr.Conflict, 409, "", `{"message":"m\"<"}`},
		{"conflict that is not modelled", &bedrock.Service, "CreateProvisionedModelThroughput", apierr.Conflict, 400, apierr.Validation, `{"message":"m\"<"}`},
		{"validation that is not listed", &bedrock.Service, "CreateModelCopyJob", apierr.Validation, 400, "", `{"message":"m\"<"}`},
		{"validation with fields", &bedrockagent.Service, "CreateAgent", apierr.Validation, 400, "", `{"message":"m\"<","fieldList":[{"name":"a.b","message":"c"}]}`},
		{"validation without fields", &bedrockagentruntime.Service, "InvokeAgent", apierr.Validation, 400, "", `{"message":"m\"<"}`},
		{"quota in bedrock-agent", &bedrockagent.Service, "CreateAgent", apierr.ServiceQuotaExceeded, 402, "", `{"message":"m\"<"}`},
		{"not ready in bedrock-runtime", &bedrockruntime.Service, "Converse", apierr.ModelNotReady, 429, "", `{"message":"m\"<"}`},
		{"not ready in bedrock-agent-runtime", &bedrockagentruntime.Service, "InvokeAgent", apierr.ModelNotReady, 424, "", `{"message":"m\"<"}`},
		{"model error", &bedrockruntime.Service, "InvokeModel", apierr.ModelError, 424, "", `{"message":"m\"<","originalStatusCode":502,"resourceName":"r"}`},
		{"model error of an agent", &bedrockagentruntime.Service, "InvokeAgent", apierr.ModelError, 424, apierr.DependencyFailed, `{"message":"m\"<","resourceName":"r"}`},
		{"stream error", &bedrockruntime.Service, "InvokeModelWithResponseStream", apierr.ModelStreamError, 424, "", `{"message":"m\"<","originalMessage":"o","originalStatusCode":502}`},
		{"time-out", &bedrockruntime.Service, "Converse", apierr.ModelTimeout, 408, "", `{"message":"m\"<"}`},
		{"time-out in bedrock", &bedrock.Service, "ListFoundationModels", apierr.ModelTimeout, 500, apierr.InternalServer, `{"message":"m\"<"}`},
		{"internal with a reason", &bedrockagentruntime.Service, "InvokeAgent", apierr.InternalServer, 500, "", `{"message":"m\"<","reason":"w"}`},
		{"unavailable agent", &bedrockagent.Service, "GetAgent", apierr.ServiceUnavailable, 500, apierr.InternalServer, `{"message":"m\"<"}`},
		{"not built", &bedrock.Service, "CreateGuardrail", apierr.NotImplemented, 501, "", `{"message":"m\"<"}`},
		{"serialization", &bedrock.Service, "CreateGuardrail", apierr.Serialization, 400, "", `{"message":"m\"<"}`},
		{"no service", nil, "", apierr.UnknownOperation, 404, "", `{"message":"m\"<"}`},
		{"no service, but an access error", nil, "", apierr.AccessDenied, 403, "", `{"message":"m\"<"}`},
		{"no service, and a kind of one", nil, "", apierr.Conflict, 400, apierr.Validation, `{"message":"m\"<"}`},
		{"signature", nil, "", apierr.InvalidSignature, 403, "", `{"message":"m\"<"}`},
		{"body too large", &bedrock.Service, "CreateGuardrail", apierr.RequestEntityTooLarge, 413, "", `{"message":"m\"<"}`},
		{"a kind nobody knows", &bedrock.Service, "CreateGuardrail", "OddException", 500, apierr.InternalServer, `{"message":"m\"<"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var op *api.Operation
			if tt.op != "" {
				op = operation(t, tt.svc, tt.op)
			}
			status, header, body := restjson.EncodeError(tt.svc, op, &apierr.Error{Kind: tt.kind, Message: `m"<`, Detail: full, Err: errors.New("secret")}, "id-1")
			as := tt.as
			if as == "" {
				as = tt.kind
			}
			want := http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {string(as)}, "X-Amzn-Requestid": {"id-1"}}
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if d := cmp.Diff(want, header); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if string(body) != tt.body {
				t.Errorf("body %s\nwant %s", body, tt.body)
			}
		})
	}
}

var kinds = []apierr.Kind{
	apierr.AccessDenied, apierr.BadGateway, apierr.Conflict, apierr.DependencyFailed, apierr.InternalServer, apierr.ModelError,
	apierr.ModelNotReady, apierr.ModelStreamError, apierr.ModelTimeout, apierr.ResourceInUse, apierr.ResourceNotFound,
	apierr.ServiceQuotaExceeded, apierr.ServiceUnavailable, apierr.Throttling, apierr.TooManyTags, apierr.Validation,
	apierr.NotImplemented, apierr.UnknownOperation, apierr.Serialization, apierr.MissingAuth, apierr.InvalidSignature,
	apierr.IncompleteSignature, apierr.UnrecognizedClient, apierr.ExpiredToken, apierr.RequestEntityTooLarge,
}

func TestNoOperationAnswersAnUnmodelledKind(t *testing.T) {
	common := []apierr.Kind{apierr.AccessDenied, apierr.InternalServer, apierr.Throttling, apierr.Validation}
	for _, svc := range services {
		for i := range svc.Operations {
			op := &svc.Operations[i]
			for _, kind := range kinds[:16] {
				got := restjson.AnsweredKind(svc, op, kind)
				if svc.Exception(string(got)) == nil || !slices.Contains(common, got) && !slices.Contains(op.Errors, string(got)) {
					t.Errorf("%s.%s answers %s for %s", svc.Name, op.Name, got, kind)
				}
				if slices.Contains(op.Errors, string(kind)) && got != kind {
					t.Errorf("%s.%s answers %s for %s, which it models", svc.Name, op.Name, got, kind)
				}
			}
			for _, kind := range kinds[16:] {
				if got := restjson.AnsweredKind(svc, op, kind); got != kind {
					t.Errorf("%s.%s answers %s for the edge's %s", svc.Name, op.Name, got, kind)
				}
			}
			if op.EventsOut == api.NoShape {
				continue
			}
			for _, kind := range append(kinds, "OddException") {
				name, payload := restjson.EncodeExceptionEvent(svc, op.EventsOut, apierr.New(kind, "m"))
				if !slices.ContainsFunc(svc.Shapes[op.EventsOut].Exceptions, func(m api.Member) bool { return m.Wire == name }) {
					t.Errorf("stream of %s.%s answers %s for %s", svc.Name, op.Name, name, kind)
				}
				if string(payload) != `{"message":"m"}` {
					t.Errorf("payload %s", payload)
				}
			}
		}
	}
}

func TestExceptionEvents(t *testing.T) {
	stream := operation(t, &bedrockruntime.Service, "ConverseStream").EventsOut
	for kind, want := range map[apierr.Kind]string{
		apierr.Throttling: "throttlingException", apierr.ModelTimeout: "modelStreamErrorException", apierr.ModelError: "modelStreamErrorException",
		apierr.AccessDenied: "validationException", apierr.NotImplemented: "validationException", apierr.ModelNotReady: "serviceUnavailableException",
	} {
		if got, _ := restjson.EncodeExceptionEvent(&bedrockruntime.Service, stream, apierr.New(kind, "m")); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	name, payload := restjson.EncodeExceptionEvent(&bedrockruntime.Service, stream, &apierr.Error{Kind: apierr.ModelStreamError, Message: "cut", Detail: apierr.Detail{OriginalStatus: 500, OriginalMessage: "eof"}})
	if got := name + string(payload); got != `modelStreamErrorException{"message":"cut","originalMessage":"eof","originalStatusCode":500}` {
		t.Error(got)
	}
}

func TestEvents(t *testing.T) {
	svc := &bedrockruntime.Service
	stream := operation(t, svc, "ConverseStream").EventsOut
	name, payload, err := restjson.EncodeEvent(svc, stream, &bedrockruntime.ConverseStreamEvent{ContentBlockDelta: &bedrockruntime.ContentBlockDeltaEvent{
		ContentBlockIndex: 0, Delta: &bedrockruntime.ContentBlockDelta{Text: new("서울")}}}, nil)
	if got := fmt.Sprintf("%s %s %v", name, payload, err); got != `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"서울"}} <nil>` {
		t.Error(got)
	}
	chunk := operation(t, svc, "InvokeModelWithResponseStream").EventsOut
	name, payload, err = restjson.EncodeEvent(svc, chunk, &bedrockruntime.InvokeModelWithResponseStreamEvent{Chunk: &bedrockruntime.PayloadPart{Bytes: []byte(`{"a":1}`)}}, nil)
	if got := fmt.Sprintf("%s %s %v", name, payload, err); got != `chunk {"bytes":"eyJhIjoxfQ=="} <nil>` {
		t.Error(got)
	}
	for _, bad := range []any{&bedrockruntime.ConverseStreamEvent{}, &bedrockruntime.ConverseStreamEvent{MessageStart: &bedrockruntime.MessageStartEvent{}, MessageStop: &bedrockruntime.MessageStopEvent{}}} {
		if _, _, err := restjson.EncodeEvent(svc, stream, bad, nil); err == nil || !strings.Contains(err.Error(), "BUG: ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	in := operation(t, svc, "InvokeModelWithBidirectionalStream").EventsIn
	event, err := restjson.DecodeEvent(svc, in, "chunk", []byte(`{"bytes":"aGk="}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&bedrockruntime.InvokeModelWithBidirectionalStreamInputEvent{Chunk: &bedrockruntime.BidirectionalInputPayloadPart{Bytes: []byte("hi")}}, event); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for _, tt := range [][3]string{
		{"chunk", `{"bytes":5}`, "SerializationException: NUMBER_VALUE can not be converted to a Blob at 'chunk.bytes'"},
		{"lump", `{}`, `ValidationException: Event type "lump" is unknown: the stream takes [chunk]`},
	} {
		if _, err := restjson.DecodeEvent(svc, in, tt[0], []byte(tt[1])); err == nil || err.Error() != tt[2] {
			t.Errorf("%v: %v", tt, err)
		}
	}
}

func TestRedactHidesWhatIsSensitive(t *testing.T) {
	op := operation(t, &bedrockagent.Service, "CreateAgent")
	in := &bedrockagent.CreateAgentInput{AgentName: "helper", Instruction: new("my secret plan"), Tags: map[string]string{"a": "b"}}
	got := slog.AnyValue(restjson.Redact(&bedrockagent.Service, op.Input, in)).Resolve().String()
	if got != `{"agentName":"helper","instruction":"***","tags":{"a":"b"}}` {
		t.Error(got)
	}
	if s := fmt.Sprintf("%v %+v", restjson.Redact(&bedrockagent.Service, op.Input, in), restjson.Redact(&bedrockagent.Service, op.Input, in)); strings.Contains(s, "secret") {
		t.Error(s)
	}
	chat := operation(t, &bedrockruntime.Service, "Converse")
	got = slog.AnyValue(restjson.Redact(&bedrockruntime.Service, chat.Input, &bedrockruntime.ConverseInput{ModelId: "m", AdditionalModelRequestFields: json.RawMessage(`{"secret":1}`),
		Messages: []bedrockruntime.Message{{Role: "user", Content: []bedrockruntime.ContentBlock{{Text: new("secret")}}}}})).Resolve().String()
	if got != `{"additionalModelRequestFields":"***","messages":[{"content":[{"text":"***"}],"role":"user"}],"modelId":"m"}` {
		t.Error(got)
	}
	invoke := operation(t, &bedrockruntime.Service, "InvokeModel")
	got = slog.AnyValue(restjson.Redact(&bedrockruntime.Service, invoke.Input, &bedrockruntime.InvokeModelInput{ModelId: "m", Body: []byte("secret")})).Resolve().String()
	if got != `{"body":"***","modelId":"m"}` {
		t.Error(got)
	}
}
