package inference

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

const claudeBody = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`

func invokeStream(rt *Runtime, ctx context.Context, id, body string, w *wire) error {
	return rt.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: id, Body: []byte(body)},
		&bedrockruntime.InvokeModelWithResponseStreamWriter{Raw: w})
}

// log keeps records.
type recordings []*Record

func (l *recordings) Record(_ context.Context, r *Record) { *l = append(*l, r) }

func TestInvokeModelCountsAlike(t *testing.T) {
	f := &fake{result: answer("Quartz")}
	var log recordings
	rt := runtime(f, &log)
	ctx, c := invocation(t)
	out, err := rt.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{
		ModelId: titan, Body: []byte(`{"inputText":"hi"}`), Trace: "ENABLED",
		PerformanceConfigLatency: "optimized", ServiceTier: "flex",
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"inputTextTokenCount":11,"results":[{"tokenCount":5,"outputText":"Quartz","completionReason":"FINISH"}]}`
	if string(out.Body) != want || out.ContentType != "application/json" || out.PerformanceConfigLatency != "optimized" || out.ServiceTier != "flex" {
		t.Errorf("%+v %s", out, out.Body)
	}
	if header(c, inputHeader) != "11" || header(c, outputHeader) != "5" || header(c, latencyHeader) == "" || header(c, latencyHeader) == "0" || header(c, servedHeader) != "local-model" {
		t.Errorf("headers %v", c.Headers())
	}
	if len(log) != 1 || string(log[0].Input.([]byte)) != `{"inputText":"hi"}` || string(log[0].Output.([]byte)) != want || log[0].Metrics.OutputTokens != 5 {
		t.Errorf("recorded %+v", log)
	}
	w := &wire{}
	if err := invokeStream(rt, ctx, titan, `{"inputText":"hi"}`, w); err != nil {
		t.Fatal(err)
	}
	events := w.all()
	if !strings.Contains(events[len(events)-1], `"inputTokenCount":11,"outputTokenCount":5,`) {
		t.Errorf("metrics %s", events[len(events)-1])
	}
	if n, err := rt.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: titan, Input: &bedrockruntime.CountTokensInputUnion{
		InvokeModel: &bedrockruntime.InvokeModelTokensRequest{Body: []byte(`{"inputText":"hi"}`)}}}); err != nil || n.InputTokens != 11 {
		t.Errorf("counted %v, %v", n, err)
	}
	var kept []string
	for _, chunk := range log[1].Output.([][]byte) {
		kept = append(kept, string(chunk))
	}
	if diff := cmp.Diff(events, kept); diff != "" {
		t.Errorf("recorded chunks (-sent +recorded):\n%s", diff)
	}
}

func TestZeroTokensAskNothing(t *testing.T) {
	f := &fake{result: answer("never")}
	ctx, _ := invocation(t)
	out, err := runtime(f, nil).InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: titan, Body: []byte(`{"inputText":"hi","textGenerationConfig":{"maxTokenCount":0}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Body) != `{"inputTextTokenCount":11,"results":[{"tokenCount":0,"outputText":"","completionReason":"LENGTH"}]}` || len(f.requests) != 0 {
		t.Errorf("%s, %d requests", out.Body, len(f.requests))
	}
}

func TestInvokeEnvelope(t *testing.T) {
	for _, c := range []struct {
		name                             string
		contentType, accept, rail, railV *string
		model, body                      string
		want                             string // "" is served
	}{
		{name: "nothing"},
		{name: "octets", contentType: new("application/octet-stream")},
		{name: "any", contentType: new("application/json; charset=utf-8"), accept: new("*/*")},
		{name: "list", accept: new("text/plain, application/json;q=0.5")},
		{name: "text", contentType: new("text/plain"), want: `The content type "text/plain" is not supported: send the body as application/json.`},
		{name: "png", accept: new("image/png"), want: `The accept type "image/png" is not supported: answers are application/json.`},
		{name: "guardrail", rail: new("g"), railV: new("1"), want: "Guardrails are not built yet in Outcrop, so nothing was checked and nothing was invoked: leave guardrailIdentifier and guardrailVersion out."},
		{name: "no codec", model: jurass, want: "The body format of ai21.j2-mid-v1 (family jurassic2) is not built in Outcrop."},
		{name: "unknown", model: "nope", want: "The provided model identifier is invalid."},
		{name: "malformed", body: "{", want: "Malformed input request, please reformat your input and try again."},
		{name: "image on a blind local model", model: blind,
			body: `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}}]}]}`,
			want: "This model doesn't support the image content block that you provided. Update the content block and try again. (anthropic.claude-3-haiku-20240307-v1:0 is served by the local model local-model, which does not see images; map the id to a local model that does.)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{result: answer("x")}
			ctx, _ := invocation(t)
			in := &bedrockruntime.InvokeModelInput{ModelId: c.model, Body: []byte(c.body), ContentType: c.contentType, Accept: c.accept, GuardrailIdentifier: c.rail, GuardrailVersion: c.railV}
			if in.ModelId == "" {
				in.ModelId = sonnet
			}
			if c.body == "" {
				in.Body = []byte(claudeBody)
			}
			_, err := runtime(f, nil).InvokeModel(ctx, in)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, apierr.Validation, c.want)
			if len(f.requests) != 0 {
				t.Error("the engine was asked")
			}
		})
	}
}

func TestModelsThatDoNotStreamSaySoBeforeAnythingElse(t *testing.T) {
	for _, id := range []string{jurass, embedd} {
		w := &wire{}
		ctx, _ := invocation(t)
		wantError(t, invokeStream(runtime(&fake{}, nil), ctx, id, `{`, w), apierr.Validation, "The model is unsupported for streaming.")
		if w.opened() != 0 {
			t.Error("opened")
		}
	}
}

func TestClaudesStreamCountsThePromptFirst(t *testing.T) {
	f := &fake{result: answer("Quartz")}
	w := &wire{}
	ctx, _ := invocation(t)
	if err := invokeStream(runtime(f, nil), ctx, sonnet, claudeBody, w); err != nil {
		t.Fatal(err)
	}
	got := w.all()
	want := []string{
		`{"type":"message_start","message":{"id":"msg_bdrk_ID1","type":"message","role":"assistant","model":"claude-3-sonnet-20240229","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Quar"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"tz"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}`,
	}
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("chunks (-want +got):\n%s", diff)
	}
	if h := w.head.(*bedrockruntime.InvokeModelWithResponseStreamOutput); h.ContentType != "application/json" {
		t.Errorf("head %+v", h)
	}
}

func TestAToolsIdIsTheSameInStreamAndRecord(t *testing.T) {
	f := &fake{result: engine.Result{Parts: []engine.Part{{ToolCall: &engine.ToolCall{ID: "engine-id", Name: "a", Arguments: json.RawMessage(`{}`)}}}, Stop: engine.ToolUse}}
	var log recordings
	ctx, _ := invocation(t)
	w := &wire{}
	if err := stream(t, runtime(f, &log), ctx, w, nil); err != nil {
		t.Fatal(err)
	}
	out := log[0].Output.(*bedrockruntime.ConverseOutput)
	if id := out.Output.Message.Content[0].ToolUse.ToolUseId; id != "tooluse_ID1" || !strings.Contains(strings.Join(w.all(), ""), "ToolUseId:tooluse_ID1") {
		t.Errorf("recorded %s, sent %q", id, w.all())
	}
}

func TestFailuresAreRecorded(t *testing.T) {
	f := &fake{result: answer("one two"), failAt: 1, cut: &engine.Error{Kind: engine.Crashed, Message: "Died."}}
	var log recordings
	ctx, _ := invocation(t)
	if err := invokeStream(runtime(f, &log), ctx, sonnet, claudeBody, &wire{}); apierr.KindOf(err) != apierr.ModelStreamError {
		t.Errorf("got %v", err)
	}
	if len(log) != 1 || log[0].Err == nil || len(log[0].Output.([][]byte)) != 3 {
		t.Errorf("recorded %+v", log)
	}
}

func TestCountTokens(t *testing.T) {
	f := &fake{}
	f.count = func(r *engine.Request) (int, error) {
		if r.System != "S" || len(r.Tools) != 1 || r.Model != "local-model" || r.AWSModel != sonnet {
			t.Errorf("counted %+v", r)
		}
		return 42, nil
	}
	rt := runtime(f, nil)
	ctx, c := invocation(t)
	out, err := rt.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: sonnet, Input: &bedrockruntime.CountTokensInputUnion{
		Converse: &bedrockruntime.ConverseTokensRequest{Messages: hi(), System: []bedrockruntime.SystemContentBlock{{Text: new("S")}}, ToolConfig: toolConfig(nil, "a")},
	}})
	if err != nil || out.InputTokens != 42 || header(c, servedHeader) != "local-model" {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = rt.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: embedd, Input: &bedrockruntime.CountTokensInputUnion{
		InvokeModel: &bedrockruntime.InvokeModelTokensRequest{Body: []byte(`{"inputText":"x"}`)}}})
	wantError(t, err, apierr.Validation, "The provided model doesn't support counting tokens.")
	_, err = rt.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: sonnet, Input: &bedrockruntime.CountTokensInputUnion{}})
	wantError(t, err, apierr.Validation, "The input field holds neither invokeModel nor converse.")
}

func TestLongInputsAreEmbeddedInWindows(t *testing.T) {
	words := func(s string) []engine.Token {
		var out []engine.Token
		for _, w := range strings.SplitAfter(s, " ") {
			if w != "" {
				out = append(out, engine.Token{Text: w})
			}
		}
		return out
	}
	f := &fake{tokenize: words}
	f.embed = func(q *engine.EmbedRequest) (*engine.EmbedResult, error) {
		r := &engine.EmbedResult{Model: q.Model}
		for _, in := range q.Inputs {
			n := len(words(in))
			if n > 4 {
				return nil, &engine.Error{Kind: engine.TooLong, Limit: 4, Got: n}
			}
			v := []float32{0, 0}
			v[len(r.Vectors)%2] = 1
			r.Vectors, r.Tokens = append(r.Vectors, v), append(r.Tokens, n)
		}
		return r, nil
	}
	ctx, c := invocation(t)
	out, err := runtime(f, nil).InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: embedd, Body: []byte(`{"inputText":"a b c d e f g h"}`)})
	if err != nil {
		t.Fatal(err)
	}
	var r engine.EmbedResult
	if err := json.Unmarshal(out.Body, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Vectors) != 1 || r.Tokens[0] < 8 || r.Vectors[0][0] < 0.7 || r.Vectors[0][0] > 0.71 || r.Vectors[0][0] != r.Vectors[0][1] {
		t.Errorf("%+v", r)
	}
	if got := f.embeds[1].Inputs; !slices.Equal(got, []string{"a b c d ", "e f g h"}) {
		t.Errorf("windows %q", got)
	}
	if header(c, inputHeader) == "" || header(c, outputHeader) != "" {
		t.Errorf("headers %v", c.Headers())
	}
}

// Windows that were cut by proportion may be too long after all: they are halved.
func TestDenseWindowsAreHalved(t *testing.T) {
	f := &fake{tokenize: func(string) []engine.Token { return make([]engine.Token, 100) }}
	f.embed = func(q *engine.EmbedRequest) (*engine.EmbedResult, error) {
		r := &engine.EmbedResult{}
		for _, in := range q.Inputs {
			if len(in) > 20 {
				return nil, &engine.Error{Kind: engine.TooLong}
			}
			r.Vectors, r.Tokens = append(r.Vectors, []float32{1}), append(r.Tokens, len(in))
		}
		return r, nil
	}
	w := &work{rt: &Runtime{engine: f}, target: target(embedd, "", func(t *catalog.Target) { t.Info.Context = 72 })}
	r, err := w.embedWindows(t.Context(), &engine.EmbedRequest{Inputs: []string{strings.Repeat("a", 100)}}, nil, w.target.Info.Context)
	if err != nil || len(r.Vectors) != 1 || r.Tokens[0] != 100 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWindowsOfWordPiecesLoseNothing(t *testing.T) {
	text := strings.Repeat("한국어 텍스트 ", 50)
	tokens := make([]engine.Token, 700) // texts that do not join
	windows := cut(text, tokens, 100)
	if strings.Join(windows, "") != text || len(windows) < 7 {
		t.Errorf("%d windows", len(windows))
	}
}

func TestRandomIDs(t *testing.T) {
	a, b := randomID(24), randomID(24)
	if a == b || len(a) != 24 || strings.Trim(a, alphabet) != "" {
		t.Errorf("%q %q", a, b)
	}
}

// sink is a stream that only counts.
type sink struct{ events int }

func (s *sink) Open(any) error     { return nil }
func (s *sink) Send(any) error     { s.events++; return nil }
func (s *sink) Recv() (any, error) { return nil, io.EOF }

func BenchmarkConverseStreamDelta(b *testing.B) {
	s := newEvents(&bedrockruntime.ConverseStreamWriter{Raw: new(sink)})
	d := engine.Delta{Text: " token"}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.delta(d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConverse(b *testing.B) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f := &fake{result: answer("Quartz")}
	rt := runtime(f, nil)
	in := &input{ModelId: novaID, Messages: hi()}
	b.ReportAllocs()
	for b.Loop() {
		f.requests = f.requests[:0]
		if _, err := rt.Converse(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
