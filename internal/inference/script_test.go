package inference

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/anthropic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/deepseek"
	"github.com/outcrop-dev/outcrop/internal/inference/family/gptoss"
	"github.com/outcrop-dev/outcrop/internal/inference/family/llama"
	"github.com/outcrop-dev/outcrop/internal/inference/family/mistral"
	"github.com/outcrop-dev/outcrop/internal/inference/family/nova"
	"github.com/outcrop-dev/outcrop/internal/inference/family/qwen"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titantext"
)

const rules = `
rules:
  - when: {user: holes}
    reply: {text: "Here is a simple explanation of black holes, 한국어 😀", chunks: 9}
  - when: {user: weather, turn: 1}
    reply: {text: "I look.", tool_calls: [{name: weather, arguments: {city: Seoul}}]}
  - when: {tool_result: "."}
    reply: {text: "It is {{.ToolResult}}."}
default: {text: "You said: {{.User}}"}
`

// textOf reads the text of a native body or chunk, by family.
var textOf = map[catalog.Family]func(v *family.Value) string{
	catalog.TitanText: func(v *family.Value) string {
		if v.Has("results") {
			return v.Get("results").Items()[0].Get("outputText").Text()
		}
		return v.Get("outputText").Text()
	},
	catalog.Claude: func(v *family.Value) string { return v.Get("completion").Text() },
	catalog.ClaudeMessages: func(v *family.Value) (s string) {
		for _, b := range v.Get("content").Items() {
			s += b.Get("text").Text()
		}
		return s + v.Get("delta").Get("text").Text()
	},
	catalog.Nova: func(v *family.Value) (s string) {
		for _, b := range v.Get("output").Get("message").Get("content").Items() {
			s += b.Get("text").Text()
		}
		return s + v.Get("contentBlockDelta").Get("delta").Get("text").Text()
	},
	catalog.Llama:    func(v *family.Value) string { return v.Get("generation").Text() },
	catalog.Mistral:  func(v *family.Value) string { return v.Get("outputs").Items()[0].Get("text").Text() },
	catalog.DeepSeek: func(v *family.Value) string { return v.Get("choices").Items()[0].Get("text").Text() },
	catalog.Qwen:     chatText,
	catalog.GPTOSS:   chatText,
}

func chatText(v *family.Value) string {
	c := v.Get("choices").Items()[0]
	return c.Get("message").Get("content").Text() + c.Get("delta").Get("content").Text()
}

func scripted(t *testing.T) *Runtime {
	t.Helper()
	e, err := script.New(script.Config{Reader: strings.NewReader(rules)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	models, err := e.Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	families := map[catalog.Family]family.Codec{
		catalog.TitanText: titantext.Codec{}, catalog.Claude: anthropic.Codec{}, catalog.ClaudeMessages: anthropic.Codec{},
		catalog.Nova: nova.Codec{}, catalog.Llama: llama.Codec{}, catalog.Mistral: mistral.New(),
		catalog.DeepSeek: deepseek.New(), catalog.Qwen: qwen.New(), catalog.GPTOSS: gptoss.New(),
	}
	ids := table{}
	for f, id := range scriptIDs {
		ids[id] = target(id, f, func(t *catalog.Target) { t.Local, t.Info = script.ChatModel, models[0] })
	}
	return New(Config{Engine: e, Resolver: ids, Families: families})
}

var scriptIDs = map[catalog.Family]string{
	catalog.TitanText: titan, catalog.Claude: claude, catalog.ClaudeMessages: sonnet, catalog.Nova: novaID,
	catalog.Llama: llama2, catalog.Mistral: m7, catalog.DeepSeek: "deepseek.r1-v1:0",
	catalog.Qwen: "qwen.qwen3-32b-v1:0", catalog.GPTOSS: "openai.gpt-oss-20b-1:0",
}

var scriptBodies = map[catalog.Family]string{
	catalog.TitanText:      `{"inputText":"Explain holes.","textGenerationConfig":{"temperature":0}}`,
	catalog.Claude:         `{"prompt":"\n\nHuman: Explain holes.\n\nAssistant:","max_tokens_to_sample":200}`,
	catalog.ClaudeMessages: `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"Explain holes."}]}`,
	catalog.Nova:           `{"messages":[{"role":"user","content":[{"text":"Explain holes."}]}]}`,
	catalog.Llama:          `{"prompt":"<s>[INST] Explain holes. [/INST]"}`,
	catalog.Mistral:        `{"prompt":"<s>[INST] Explain holes. [/INST]"}`,
	catalog.DeepSeek:       `{"prompt":"<｜User｜>Explain holes.<｜Assistant｜>"}`,
	catalog.Qwen:           `{"messages":[{"role":"user","content":"Explain holes."}]}`,
	catalog.GPTOSS:         `{"messages":[{"role":"user","content":"Explain holes."}]}`,
}

// For every family: the stream says what the body says, and header, metrics and
// CountTokens count alike. Converse says it too.
func TestEveryFamilySaysAndCountsAlike(t *testing.T) {
	rt := scripted(t)
	for f, id := range scriptIDs {
		t.Run(string(f), func(t *testing.T) {
			body := scriptBodies[f]
			ctx, c := invocation(t)
			out, err := rt.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: id, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			whole, err := family.Parse(out.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := textOf[f](&whole)
			if !strings.HasSuffix(want, "explanation of black holes, 한국어 😀") {
				t.Errorf("the body says %q", want)
			}
			w := &wire{}
			if err := invokeStream(rt, ctx, id, body, w); err != nil {
				t.Fatal(err)
			}
			var got string
			texts := 0
			events := w.all()
			for _, e := range events {
				chunk, err := family.Parse([]byte(e))
				if err != nil {
					t.Fatal(err)
				}
				s := textOf[f](&chunk)
				got += s
				if s != "" {
					texts++
				}
			}
			if got != want || texts < 5 {
				t.Errorf("the stream says %q in %d pieces, the body %q", got, texts, want)
			}
			last, _ := family.Parse([]byte(events[len(events)-1]))
			metrics := last.Get("amazon-bedrock-invocationMetrics")
			in, made := fmt.Sprint(metrics.Get("inputTokenCount").Int()), fmt.Sprint(metrics.Get("outputTokenCount").Int())
			if in != header(c, inputHeader) || made != header(c, outputHeader) || in == "0" || made == "0" {
				t.Errorf("metrics %s, headers %v", metrics.Raw, c.Headers())
			}
			n, err := rt.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: id, Input: &bedrockruntime.CountTokensInputUnion{
				InvokeModel: &bedrockruntime.InvokeModelTokensRequest{Body: []byte(body)}}})
			if err != nil || fmt.Sprint(n.InputTokens) != in {
				t.Errorf("CountTokens %v, %v; metrics %s", n, err, in)
			}
			chat, err := rt.Converse(ctx, &input{ModelId: id, Messages: []message{user(text("Explain holes."))}})
			if err != nil || *chat.Output.Message.Content[0].Text != want || fmt.Sprint(chat.Usage.OutputTokens) != made {
				t.Errorf("Converse %v, %v", squeeze(chat), err)
			}
		})
	}
}

func TestStopSequencesNeverShow(t *testing.T) {
	rt := scripted(t)
	ctx, _ := invocation(t)
	out, err := rt.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: claude,
		Body: []byte(`{"prompt":"Human: Explain holes. Assistant:","max_tokens_to_sample":200,"stop_sequences":["holes"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Body) != `{"type":"completion","completion":"Here is a simple explanation of black ","stop_reason":"stop_sequence","stop":"holes"}` {
		t.Errorf("%s", out.Body)
	}
	chat, err := rt.Converse(ctx, &input{ModelId: sonnet, Messages: []message{user(text("Explain holes."))},
		InferenceConfig:                   &bedrockruntime.InferenceConfiguration{StopSequences: []string{" simple"}},
		AdditionalModelResponseFieldPaths: []string{"/stop_sequence"}})
	if err != nil {
		t.Fatal(err)
	}
	if *chat.Output.Message.Content[0].Text != "Here is a" || chat.StopReason != "stop_sequence" || string(chat.AdditionalModelResponseFields) != `{"stop_sequence":" simple"}` {
		t.Errorf("%s", squeeze(chat))
	}
}

// A whole tool round trip, as a client does it: the call's id comes back with its
// result.
func TestToolRoundTrip(t *testing.T) {
	rt := scripted(t)
	ctx, _ := invocation(t)
	talk := []message{user(text("weather in Seoul?"))}
	out, err := rt.Converse(ctx, &input{ModelId: novaID, Messages: talk, ToolConfig: toolConfig(nil, "weather")})
	if err != nil {
		t.Fatal(err)
	}
	content := out.Output.Message.Content
	if out.StopReason != "tool_use" || len(content) != 2 || *content[0].Text != "I look." || string(content[1].ToolUse.Input) != `{"city":"Seoul"}` {
		t.Fatalf("%s", squeeze(out))
	}
	id := content[1].ToolUse.ToolUseId
	talk = append(talk, *out.Output.Message, user(result(id, resultText("12C"))))
	out, err = rt.Converse(ctx, &input{ModelId: novaID, Messages: talk, ToolConfig: toolConfig(nil, "weather")})
	if err != nil || out.StopReason != "end_turn" || *out.Output.Message.Content[0].Text != "It is 12C." {
		t.Fatalf("%s, %v", squeeze(out), err)
	}

	// The same in Claude's own form, streamed.
	w := &wire{}
	body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"tools":[{"name":"weather","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"weather?"}]}`
	if err := invokeStream(rt, ctx, sonnet, body, w); err != nil {
		t.Fatal(err)
	}
	var partial, toolID, stop string
	for _, e := range w.all() {
		v, _ := family.Parse([]byte(e))
		partial += v.Get("delta").Get("partial_json").Text()
		toolID += v.Get("content_block").Get("id").Text()
		stop += v.Get("delta").Get("stop_reason").Text()
	}
	if !json.Valid([]byte(partial)) || !strings.HasPrefix(toolID, "toolu_bdrk_") || stop != "tool_use" {
		t.Errorf("partial %q, id %q, stop %q", partial, toolID, stop)
	}
}

func TestTooLongInputsHaveTheFamilysText(t *testing.T) {
	e, err := script.New(script.Config{Context: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	long := strings.Repeat("word ", 50)
	ids := table{}
	for f, id := range scriptIDs {
		ids[id] = target(id, f, func(t *catalog.Target) { t.Local = script.ChatModel })
	}
	rt := New(Config{Engine: e, Resolver: ids, Families: map[catalog.Family]family.Codec{
		catalog.TitanText: titantext.Codec{}, catalog.Llama: llama.Codec{}, catalog.ClaudeMessages: anthropic.Codec{},
	}})
	for id, c := range map[string]struct{ body, want string }{
		titan:  {`{"inputText":"` + long + `"}`, "400 Bad Request: Too many input tokens. Max input tokens: 20, request input token count: "},
		llama2: {`{"prompt":"` + long + `"}`, "This model's maximum context length is 20 tokens. Please reduce the length of the prompt"},
		sonnet: {`{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"` + long + `"}]}`, "Input is too long for requested model."},
	} {
		ctx, _ := invocation(t)
		_, err := rt.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: id, Body: []byte(c.body)})
		if e := wantError(t, err, "ValidationException", ""); !strings.HasPrefix(e.Message, c.want) {
			t.Errorf("%s: %s", id, e.Message)
		}
	}
}

var _ engine.Engine = (*script.Engine)(nil)
