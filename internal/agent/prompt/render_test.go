package prompt

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

func agent() *plan.Plan {
	return &plan.Plan{
		Instruction: "You cost $5, $question$ and \"quotes\".",
		Groups: []plan.Group{
			{Name: "claims", Actions: []plan.Action{{Path: "/claims", Verb: "get", Description: "List.", Parameters: []plan.Parameter{{Name: "n", Type: "integer", Required: true}}}}},
			{Name: "ask", Signature: plan.UserInput},
		},
	}
}

func talk(list ...string) (out []engine.Message) {
	for i, s := range list {
		role := engine.User
		if i%2 == 1 {
			role = engine.Assistant
		}
		out = append(out, engine.Message{Role: role, Parts: []engine.Part{{Text: s}}})
	}
	return out
}

func TestTemplatesBecomeMessages(t *testing.T) {
	v := &Values{Plan: agent(), Question: "Hi \"you\"\n$tools$", History: talk("before", "answer"), Scratchpad: talk("", "thought")[1:], PromptAttributes: map[string]string{"b": "2", "a": "1"}}
	for _, c := range []struct {
		name, template string
		system         string
		messages       []engine.Message
	}{
		{"messages without tools", "{\"anthropic_version\":\"x\",\"system\":\"A\n$instruction$ $prompt_session_attributes$\",\"messages\":[{\"role\":\"user\",\"content\":\"$question$\"},{\"role\":\"assistant\",\"content\":\"$agent_scratchpad$\"}]}",
			"A\nYou cost $5, $question$ and \"quotes\". <attribute name=\"a\">1</attribute>\n<attribute name=\"b\">2</attribute>", talk("before", "answer", "Hi \"you\"\n$tools$", "thought")},
		{"only an instruction", "$instruction$", "You cost $5, $question$ and \"quotes\".", talk("before", "answer", "Hi \"you\"\n$tools$", "thought")},
		{"turns of text", "Sys $instructions$ $unknown$\n\nHuman: Q: $question$\n\nAssistant: $agent_scratchpad$", "Sys You cost $5, $question$ and \"quotes\". $unknown$", talk("before", "answer", "Q: Hi \"you\"\n$tools$", "thought")},
		{"blocks", `{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"$conversation_history$"},{"text":"$question$"}]}]}`, "s", talk("before", "answer", "Hi \"you\"\n$tools$", "thought")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Render(&plan.Prompt{Step: plan.Orchestrate, Template: c.template}, v)
			if err != nil {
				t.Fatal(err)
			}
			if r.System != c.system || r.InText {
				t.Errorf("system %q", r.System)
			}
			if d := cmp.Diff(c.messages, r.Messages); d != "" {
				t.Error(d)
			}
			if strings.HasPrefix(c.template, "{") != json.Valid([]byte(r.Text())) || !strings.Contains(r.Text(), "thought") {
				t.Errorf("text %q", r.Text())
			}
		})
	}
	for _, bad := range []string{`{"messages":`, `{"a":1}`, `{"messages":[{"role":"system","content":"x"}]}`, `{"messages":[{"role":"user","content":[{"image":1}]}]}`, `{"messages":[]}`, " \n"} {
		if _, err := Render(&plan.Prompt{Step: plan.PreProcessing, Template: bad}, v); !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTemplatesWithToolsAreText(t *testing.T) {
	v := &Values{Plan: agent(), Question: "Q?", History: talk("before", "answer"), Scratchpad: []engine.Message{
		{Role: engine.Assistant, Parts: []engine.Part{{Text: "<function_calls>…</function_calls>"}}},
		{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{Name: "GET::claims::/claims", Parts: []engine.Part{{Text: "c-1"}}}}}},
	}}
	r, err := Render(&plan.Prompt{Step: plan.Orchestrate, Template: "\n\nHuman: $instruction$ $tools$ $ask_user_missing_information$ $conversation_history$ $question$\n\nAssistant: $agent_scratchpad$ $thought$"}, v)
	if err != nil {
		t.Fatal(err)
	}
	if !r.InText || len(r.Messages) != 2 || r.Messages[1].Role != engine.Assistant {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"<tool_name>GET::claims::/claims</tool_name>", "<is_required>True</is_required>", "<tool_name>user::askuser</tool_name>", textAskMissing + AskName, "User: before\nAssistant: answer", "Q?"} {
		if !strings.Contains(r.Messages[0].Parts[0].Text, want) {
			t.Errorf("%q is not in %s", want, r.Messages[0].Parts[0].Text)
		}
	}
	if got := r.Messages[1].Parts[0].Text; got != "<function_calls>…</function_calls>\n<function_results>\n<result>\n<tool_name>GET::claims::/claims</tool_name>\n<stdout>c-1</stdout>\n</result>\n</function_results> thinking" {
		t.Error(got)
	}
	v.Plan.Groups = v.Plan.Groups[:1]
	if r, err = Render(&plan.Prompt{Step: plan.Orchestrate, Template: "$tools$|$ask_user_function$|$ask_user_missing_parameters$|$question$"}, v); err != nil || len(r.Messages) != 4 || r.Messages[0].Parts[0].Text != "before" || !strings.HasSuffix(r.Messages[2].Parts[0].Text, "|||Q?") {
		t.Errorf("%+v %v", r, err)
	}
}

func FuzzRender(f *testing.F) {
	f.Add(`{"system":"$instruction$","messages":[{"role":"user","content":"$question$ $tools$"}]}`)
	f.Add("Human: $question$\n\nAssistant: $agent_scratchpad$")
	f.Fuzz(func(t *testing.T, template string) {
		for _, s := range []plan.Step{plan.Orchestrate, plan.KnowledgeReply} {
			r, err := Render(&plan.Prompt{Step: s, Template: template}, &Values{Plan: agent(), Question: "q", History: talk("a", "b")})
			if err != nil && !errors.Is(err, ErrTemplate) {
				t.Fatal(err)
			}
			if err == nil && len(r.Messages) == 0 {
				t.Fatal("no messages")
			}
		}
	})
}
