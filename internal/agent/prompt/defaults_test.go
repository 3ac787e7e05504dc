package prompt

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestFormsOfModels(t *testing.T) {
	for model, want := range map[string]Form{
		"anthropic.claude-v2": Call20, "anthropic.claude-v2:1": Invoke, "anthropic.claude-instant-v1": Call20, "anthropic.claude-v2:1:18k": Invoke, "anthropic.claude-v2:0:100k": Call20,
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1": Invoke, "anthropic.claude-3-haiku-20240307-v1:0": Messages,
		"us.anthropic.claude-3-5-sonnet-20241022-v2:0": Messages, "amazon.nova-micro-v1:0": Messages, "": Messages, "qwen": Messages,
	} {
		if got := FormOf(model); got != want {
			t.Errorf("%s: %s", model, got)
		}
	}
}

func TestBuiltInPrompts(t *testing.T) {
	for model, orchestrationStop := range map[string][]string{
		"amazon.nova-micro-v1:0": {"</invoke>", "</answer>", "</error>"},
		"anthropic.claude-v2:1":  {"</invoke>", "</answer>", "</error>"},
		"anthropic.claude-v2":    {"</function_call>", "</answer>", "</error>"},
	} {
		enabled := map[plan.Step]bool{plan.PreProcessing: false, plan.Orchestrate: true, plan.KnowledgeReply: true, plan.PostProcessing: false, plan.Summarize: true}
		list := Defaults(model)
		if len(list) != len(enabled) {
			t.Fatalf("%d prompts", len(list))
		}
		for _, p := range append(list, Classifier(model)) {
			on, build := enabled[p.Step]
			if build && p.Enabled != on || p.Creation != plan.Default || p.Parser != plan.Default {
				t.Errorf("%s %s: %+v", model, p.Step, p)
			}
			want := plan.Inference{Temperature: new(float32(0)), TopP: new(float32(1)), TopK: new(250), MaxTokens: new(2048), Stop: []string{"\n\nHuman:"}}
			if p.Step == plan.Orchestrate {
				want.Stop = orchestrationStop
			}
			if d := cmp.Diff(want, p.Inference); d != "" {
				t.Errorf("%s %s:\n%s", model, p.Step, d)
			}
			if err := Check(p.Step, p.Template); err != nil {
				t.Errorf("%s %s: %v", model, p.Step, err)
			}
			if FormOf(model) == Messages {
				if want := p.Step != plan.KnowledgeReply && p.Step != plan.Summarize; json.Valid([]byte(p.Template)) != want {
					t.Errorf("%s: %s", p.Step, p.Template)
				}
			} else if !strings.HasSuffix(p.Template, "Assistant:") && p.Step != plan.Orchestrate {
				t.Errorf("%s: %s", p.Step, p.Template)
			}
			r, err := Render(&p, &Values{Plan: full(), Question: "Q?", Asked: "Q?", Query: "Q?", Results: "1: r", Latest: "l", History: talk("before", "answer"), Past: "p"})
			if err != nil {
				t.Fatal(err)
			}
			if i := strings.Index(r.Text(), "$"); i >= 0 {
				t.Errorf("%s %s leaves %.40s", model, p.Step, r.Text()[i:])
			}
			if p.Step != plan.Summarize && p.Step != plan.PostProcessing && !strings.Contains(r.Text(), "Q?") {
				t.Errorf("%s %s does not ask: %s", model, p.Step, r.Text())
			}
			if last := r.Messages[len(r.Messages)-1]; last.Role != engine.User {
				t.Errorf("%s %s ends with %+v", model, p.Step, last)
			}
		}
	}
}

func TestTemplatesThatCannotBeRead(t *testing.T) {
	for template, place := range map[string]string{
		`{"messages":[`: "it is not JSON", `{"system":"x"}`: "it has no messages", `{"messages":[{"role":"tool","content":"x"}]}`: "messages[0].role",
		`{"messages":[{"role":"user","content":3}]}`: "messages[0].content", `{"messages":[{"role":"user","content":[{"type":"image"}]}]}`: "block 0 is not text",
		`{"system":{},"messages":[]}`: "system", "": "it is empty",
	} {
		err := Check(plan.Orchestrate, template)
		if apierr.KindOf(err) != apierr.Validation || !strings.HasPrefix(err.Error(), textTemplateRefused) && !strings.Contains(err.Error(), textTemplateRefused) || !strings.Contains(err.Error(), place) {
			t.Errorf("%s: %v", template, err)
		}
	}
	for _, template := range []string{"Answer $query$", "{not json} $search_results$", `{"messages":[{"role":"user","content":"a` + "\n\t" + `b \"c\" $query$"}]}`} {
		if err := Check(plan.KnowledgeReply, template); err != nil {
			t.Errorf("%s: %v", template, err)
		}
	}
}

// Each step must find the one before in the engine's prefix cache.
func TestPromptsGrowAtTheirEnd(t *testing.T) {
	for _, model := range []string{"amazon.nova-micro-v1:0", "anthropic.claude-v2"} {
		var p plan.Prompt
		for _, d := range Defaults(model) {
			if d.Step == plan.Orchestrate {
				p = d
			}
		}
		v := &Values{Plan: full(), Question: "Which claims are open?", History: talk("Hello", "Hi"), PromptAttributes: map[string]string{"zone": "CET"}, Memory: []string{"Likes tea."}}
		first, err := Render(&p, v)
		if err != nil {
			t.Fatal(err)
		}
		call := engine.Message{Role: engine.Assistant, Parts: []engine.Part{{ToolCall: &engine.ToolCall{ID: "1", Name: "get__g__a_b", Arguments: []byte(`{}`)}}}}
		result := engine.Message{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "1", Name: "get__g__a_b", Parts: []engine.Part{{Text: "c-1"}}}}}}
		v.Scratchpad = []engine.Message{call, result}
		second, err := Render(&p, v)
		if err != nil {
			t.Fatal(err)
		}
		if second.System != first.System || len(second.Messages) != len(first.Messages)+2 || second.InText {
			t.Fatalf("%+v", second)
		}
		if d := cmp.Diff(first.Messages, second.Messages[:len(first.Messages)], cmp.AllowUnexported()); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(v.Scratchpad, second.Messages[len(first.Messages):]); d != "" {
			t.Error(d)
		}
		// The next turn: what it was told in this one's question must not change the system text.
		v.Scratchpad, v.PromptAttributes, v.Question = nil, nil, "And now?"
		third, err := Render(&p, v)
		if err != nil {
			t.Fatal(err)
		}
		if third.System != first.System || strings.Contains(third.System, "CET") || !strings.Contains(first.Messages[2].Parts[0].Text, "CET") {
			t.Errorf("%q became %q", first.System, third.System)
		}
		if got := third.Messages[2].Parts[0].Text; got != "And now?" {
			t.Errorf("placeholders that stand for nothing leave %q", got)
		}
		if !strings.Contains(first.System, "Likes tea.") || !strings.Contains(first.System, textKnowledge) {
			t.Error(first.System)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	p := Defaults("amazon.nova-micro-v1:0")[1]
	v := &Values{Plan: full(), Question: "Which claims are open?"}
	for range 10 {
		v.History = append(v.History, talk("A question of some length about a claim.", "An answer of some length about a claim.")...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(&p, v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewBook(b *testing.B) {
	p := full()
	b.ReportAllocs()
	for b.Loop() {
		NewBook(p)
	}
}
