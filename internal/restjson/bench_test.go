package restjson_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// chat is a Converse body of 2 kB: system text, four turns, a tool and its result.
var chat = []byte(`{"system":[{"text":"You are a helpful travel assistant. Answer briefly, ask when unsure, and never make up prices."}],` +
	`"messages":[{"role":"user","content":[{"text":"` + strings.Repeat("What is the weather like in Seattle this weekend? ", 8) + `"}]},` +
	`{"role":"assistant","content":[{"text":"I will look it up."},{"toolUse":{"toolUseId":"tooluse_kZJMlvQmRJ6eAyJE5GIl7Q","name":"getWeather","input":{"city":"Seattle","days":2}}}]},` +
	`{"role":"user","content":[{"toolResult":{"toolUseId":"tooluse_kZJMlvQmRJ6eAyJE5GIl7Q","content":[{"json":{"saturday":{"high":14.5,"low":8,"rain":0.2},"sunday":{"high":16,"low":9,"rain":0.1}}}],"status":"success"}}]},` +
	`{"role":"assistant","content":[{"text":"Mild, with little rain: 14 degrees on Saturday and 16 on Sunday."}]},` +
	`{"role":"user","content":[{"text":"Thank you! And \"Portland\"?\nPlease in Celsius \u2014 서울도 알려 주세요."}]}],` +
	`"inferenceConfig":{"maxTokens":512,"temperature":0.5,"topP":0.9,"stopSequences":["END"]},` +
	`"toolConfig":{"tools":[{"toolSpec":{"name":"getWeather","description":"Current weather and forecast of a city","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},"days":{"type":"integer","minimum":1,"maximum":10}},"required":["city"]}}}}],"toolChoice":{"auto":{}}},` +
	`"requestMetadata":{"team":"travel","stage":"test"}}`)

func answer() *bedrockruntime.ConverseOutput {
	long := strings.Repeat("Mild, with little rain; \"bring\" a coat.\n", 40)
	return &bedrockruntime.ConverseOutput{
		Metrics: &bedrockruntime.ConverseMetrics{LatencyMs: 812},
		Output: &bedrockruntime.ConverseOutputUnion{Message: &bedrockruntime.Message{Role: "assistant", Content: []bedrockruntime.ContentBlock{
			{Text: &long},
			{ToolUse: &bedrockruntime.ToolUseBlock{ToolUseId: "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", Name: "getWeather", Input: json.RawMessage(`{"city":"Portland","days":2}`)}},
		}}},
		StopReason: "tool_use",
		Usage:      &bedrockruntime.TokenUsage{InputTokens: 411, OutputTokens: 207, TotalTokens: 618},
	}
}

func BenchmarkDecodeConverse(b *testing.B) {
	op := operation(b, &bedrockruntime.Service, "Converse")
	labels, header := []string{haiku}, http.Header{"Content-Type": {"application/json"}}
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := restjson.DecodeRequest(&bedrockruntime.Service, op, labels, "", header, chat); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeConverseStandardLibrary(b *testing.B) {
	// For comparison: no checks, no unions, into maps.
	b.SetBytes(int64(len(chat)))
	for b.Loop() {
		var v any
		if err := json.Unmarshal(chat, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeConverse(b *testing.B) {
	op, out := operation(b, &bedrockruntime.Service, "Converse"), answer()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		_, _, body, err := restjson.EncodeResponse(&bedrockruntime.Service, op, out, buf)
		if err != nil {
			b.Fatal(err)
		}
		buf = body
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkEncodeEvent(b *testing.B) {
	op, text := operation(b, &bedrockruntime.Service, "ConverseStream"), "word "
	event := &bedrockruntime.ConverseStreamEvent{ContentBlockDelta: &bedrockruntime.ContentBlockDeltaEvent{Delta: &bedrockruntime.ContentBlockDelta{Text: &text}}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		_, payload, err := restjson.EncodeEvent(&bedrockruntime.Service, op.EventsOut, event, buf)
		if err != nil {
			b.Fatal(err)
		}
		buf = payload
	}
}
