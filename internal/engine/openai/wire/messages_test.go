package wire

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestAConversationIsWrittenAsChatMessages(t *testing.T) {
	text := func(s string) engine.Part { return engine.Part{Text: s} }
	req := &engine.Request{
		System: "Be brief.",
		Messages: []engine.Message{
			{Role: engine.User, Parts: []engine.Part{text("one "), text("two"), {CachePoint: true}}},
			{Role: engine.User, Parts: []engine.Part{text("three")}},
			{Role: engine.Assistant, Parts: []engine.Part{{Reasoning: &engine.Reasoning{Text: "hm"}}, text("calling"), {ToolCall: &engine.ToolCall{ID: "a", Name: "f"}}}},
			{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "a", Name: "f", Error: true, Parts: []engine.Part{text("no such city")}}}, text("well?")}},
		},
	}
	msgs, err := Messages(req, Abilities{Rule: "Rule."})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(msgs)
	want := `[{"role":"system","content":"Be brief.\n\nRule."},{"role":"user","content":"one two\n\nthree"},` +
		`{"role":"assistant","content":"calling","reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
		`{"role":"tool","content":"Error: no such city","tool_call_id":"a","name":"f"},{"role":"user","content":"well?"}]`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

// What the model wrote stands for the whole of an answer with calls.
func TestCallsMayStandAsTheyWereWritten(t *testing.T) {
	text := func(s string) engine.Part { return engine.Part{Text: s} }
	req := &engine.Request{Messages: []engine.Message{
		{Role: engine.User, Parts: []engine.Part{text("both?")}},
		{Role: engine.Assistant, Parts: []engine.Part{text("I look. "), {ToolCall: &engine.ToolCall{ID: "a", Name: "f", Written: "I look. {{f}}\n{{g}}"}}, {ToolCall: &engine.ToolCall{ID: "b", Name: "g"}}}},
		{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "a", Name: "f", Parts: []engine.Part{text("1")}}}, {ToolResult: &engine.ToolResult{ID: "b", Name: "g", Parts: []engine.Part{text("2")}}}}},
	}}
	for written, want := range map[bool]string{
		true:  `{"role":"assistant","content":"I look. {{f}}\n{{g}}"}`,
		false: `{"role":"assistant","content":"I look. ","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`,
	} {
		msgs, err := Messages(req, Abilities{Written: written})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(msgs)
		all := `[{"role":"user","content":"both?"},` + want + `,{"role":"tool","content":"1","tool_call_id":"a","name":"f"},{"role":"tool","content":"2","tool_call_id":"b","name":"g"}]`
		if d := cmp.Diff(all, string(got)); d != "" {
			t.Error(d)
		}
	}
}

func TestImagesNeedEyes(t *testing.T) {
	req := &engine.Request{Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: "what is it?"}, {Image: &engine.Blob{MediaType: "image/png", Data: []byte("x")}}}}}}
	_, err := Messages(req, Abilities{})
	if x, ok := errors.AsType[*engine.Error](err); !ok || x.Kind != engine.Unsupported {
		t.Errorf("%v", err)
	}
	msgs, err := Messages(req, Abilities{Vision: true})
	got, _ := json.Marshal(msgs)
	if want := `[{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,eA=="}}]}]`; err != nil || string(got) != want {
		t.Errorf("%v %s", err, got)
	}
	if !HasImages(req) {
		t.Error("HasImages")
	}
}

func TestCallsComeTogetherFromPieces(t *testing.T) {
	for name, chunks := range map[string][]string{
		"in pieces":            {`{"choices":[{"delta":{"content":"so"}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{\"a\""}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"2","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`},
		"whole, no index":      {`{"choices":[{"delta":{"content":"so"}}]}`, `{"choices":[{"delta":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"id":"2","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"stop"}]}`},
		"arguments come first": {`{"choices":[{"delta":{"content":"so"}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"arguments":"{\"a\":1"}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"2","function":{"name":"g","arguments":""}}]},"finish_reason":"tool_calls"}]}`},
		"not streamed":         {`{"choices":[{"message":{"content":"so","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"2","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`},
	} {
		col := &Collector{}
		c := &Chat{Emit: col.Emit, Stops: NewStops([]string{"never"})}
		for _, raw := range chunks {
			var k Chunk
			if err := json.Unmarshal([]byte(raw), &k); err != nil {
				t.Fatal(err)
			}
			if err := c.Add(&k); err != nil {
				t.Fatal(err)
			}
		}
		stop, err := c.Close(0)
		want := []engine.Part{{Text: "so"}, {ToolCall: &engine.ToolCall{ID: "1", Name: "f", Arguments: json.RawMessage(`{"a":1}`)}}, {ToolCall: &engine.ToolCall{ID: "2", Name: "g", Arguments: json.RawMessage("{}")}}}
		if d := cmp.Diff(want, col.Parts()); d != "" || err != nil || stop != engine.ToolUse {
			t.Errorf("%s: %v, %s, %s", name, err, stop, d)
		}
	}
}
