package prompt

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// runParser runs a parser function in a Python process and reads what it answers.
func runParser(t *testing.T, handler string, step plan.Step, raw string) (*Parsed, error) {
	t.Helper()
	event, err := Event(Agent{"InsuranceAgent", "AGENTID123", "TSTALIASID", "DRAFT"}, step, raw)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "testdata/parsers.py", handler)
	cmd.Stdin = bytes.NewReader(event)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return Read(step, out)
}

const (
	vectorPre       = " <thinking>\nThe user asks what tools and instructions the assistant has. That is gathering information, so this input belongs in Category B.\n</thinking>\n\n\n<category>B</category>"
	vectorOldSearch = " To answer this question, I will:\n\n1. Call the GET::x_amz_knowledgebase_KBID123456::Search function to search for a phone number to call.\n\n</scratchpad>\n\n\n<function_call>GET::x_amz_knowledgebase_KBID123456::Search(searchQuery=\"What is the phone number I can call?\")"
	vectorKnowledge = " <answer>\n<answer_part>\n<text>\nPolicies differ in what they pay.\n</text>\n<sources>\n<source>1234567-1234-1234-1234-123456789abc</source>\n<source>2345678-2345-2345-2345-23456789abcd</source>\n<source>3456789-3456-3456-3456-3456789abcde</source>\n</sources>\n</answer_part>\n</answer>"
	vectorPost      = " <final_response>\n\nBased on your request, I looked into the insurance benefits.\nAsk if anything is unclear.\n</final_response>"
)

// What a parser function and the default parser make of an answer is the same.
func TestParserFunctionsAndDefaultParsersAgree(t *testing.T) {
	calls := func(c Call) *Parsed { return &Parsed{Calls: []Call{c}} }
	for _, c := range []struct {
		name, handler string
		step          plan.Step
		raw           string
		want          *Parsed
	}{
		{"input of category B", "pre_processing", plan.PreProcessing, vectorPre, &Parsed{Thought: "\nThe user asks what tools and instructions the assistant has. That is gathering information, so this input belongs in Category B.\n"}},
		{"input of category d", "pre_processing", plan.PreProcessing, "<thinking>ok</thinking><category> d\n</category>", &Parsed{Valid: true, Thought: "ok"}},
		{"search, old form", "claude2", plan.Orchestrate, vectorOldSearch, &Parsed{
			Thought: "To answer this question, I will:\n\n1. Call the GET::x_amz_knowledgebase_KBID123456::Search function to search for a phone number to call.",
			Calls:   []Call{{Knowledge: "KBID123456", Input: map[string]string{"searchQuery": "What is the phone number I can call?"}}},
		}},
		{"call, old form", "claude2", plan.Orchestrate, `<function_call>POST::reminders::/send-reminders(claimId="c-1", days="3")`,
			calls(Call{Verb: "POST", Group: "reminders", Name: "/send-reminders", Input: map[string]string{"claimId": "c-1", "days": "3"}})},
		{"question, old form", "claude2", plan.Orchestrate, `<scratchpad>I need it.</scratchpad><function_call>user::askuser(askuser="Which claim?")`, &Parsed{Thought: "I need it.", Ask: "Which claim?"}},
		{"question without text, old form", "claude2", plan.Orchestrate, `<function_call>user::askuser(x="Which claim?")`, &Parsed{Reprompt: RepromptOldAsk}},
		{"call", "claude21", plan.Orchestrate, "<scratchpad>Hm.</scratchpad>\n<function_calls>\n<invoke>\n<tool_name>GET::claims::/claims/{claimId}</tool_name>\n<parameters><claimId>c-1 &amp; 2</claimId></parameters>",
			&Parsed{Thought: "Hm.", Calls: []Call{{Verb: "GET", Group: "claims", Name: "/claims/{claimId}", Input: map[string]string{"claimId": "c-1 & 2"}}}}},
		{"search", "claude21", plan.Orchestrate, "<function_calls><invoke><tool_name>GET::x_amz_knowledgebase_KB12345678::Search</tool_name><parameters><searchQuery>what is paid</searchQuery></parameters>",
			calls(Call{Knowledge: "KB12345678", Input: map[string]string{"searchQuery": "what is paid"}})},
		{"question", "claude21", plan.Orchestrate, "<function_calls><invoke><tool_name>user::askuser</tool_name><parameters><question>Which one?</question></parameters>", &Parsed{Ask: "Which one?"}},
		{"answer", "claude21", plan.Orchestrate, "<scratchpad>Done.</scratchpad><answer>\nThere are two.", &Parsed{Thought: "Done.", Final: &Answer{Text: "There are two."}}},
		{"answer with sources", "claude21", plan.Orchestrate, "<answer><answer_part><text>One.</text><sources><source>1</source></sources></answer_part><answer_part><text>Two.</text></answer_part>",
			&Parsed{Final: &Answer{Text: "One. Two.", Parts: []Part{{"One.", []string{"1"}}, {Text: "Two."}}}}},
		{"answer part without text", "claude21", plan.Orchestrate, "<answer><answer_part>One.</answer_part>", &Parsed{Reprompt: RepromptPart}},
		{"answer from results", "knowledge", plan.KnowledgeReply, vectorKnowledge, &Parsed{Final: &Answer{Text: "Policies differ in what they pay.", Parts: []Part{{
			"Policies differ in what they pay.", []string{"1234567-1234-1234-1234-123456789abc", "2345678-2345-2345-2345-23456789abcd", "3456789-3456-3456-3456-3456789abcde"},
		}}}}},
		{"final response", "post_processing", plan.PostProcessing, vectorPost, &Parsed{Final: &Answer{Text: "Based on your request, I looked into the insurance benefits.\nAsk if anything is unclear."}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := runParser(t, c.handler, c.step, c.raw)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("the function:\n%s", d)
			}
			var own *Parsed
			switch c.step {
			case plan.PreProcessing:
				own = PreProcessing(c.raw)
			case plan.KnowledgeReply:
				own = &Parsed{Final: Knowledge(c.raw)}
			case plan.PostProcessing:
				text, err := PostProcessing(c.raw)
				if err != nil {
					t.Fatal(err)
				}
				own = &Parsed{Final: &Answer{Text: text}}
			default:
				own = Orchestration(c.raw)
			}
			if d := cmp.Diff(c.want, own); d != "" {
				t.Errorf("the default parser:\n%s", d)
			}
		})
	}
}

func TestAFunctionThatRaisesHasNoAnswer(t *testing.T) {
	for handler, step := range map[string]plan.Step{"pre_processing": plan.PreProcessing, "post_processing": plan.PostProcessing} {
		if got, err := runParser(t, handler, step, "no tags at all"); err == nil {
			t.Errorf("%s: %+v", handler, got)
		}
	}
}

// A local model's answer reaches the functions written for the model that the agent
// names, in that model's own form.
func TestAnswersInTheFormOfTheNamedModel(t *testing.T) {
	p := agent()
	p.Knowledge = []plan.KnowledgeBase{{ID: "KB12345678", Description: "policies"}}
	b := NewBook(p)
	get := &engine.ToolCall{ID: "t1", Name: "get__claims__claims", Arguments: json.RawMessage(`{"n": 3, "name": "A & \"B\""}`)}
	search := &engine.ToolCall{ID: "t2", Name: "get__x_amz_knowledgebase_KB12345678__Search", Arguments: json.RawMessage(`{"searchQuery":"what <is> paid"}`)}
	ask := &engine.ToolCall{ID: "t3", Name: "user__askuser", Arguments: json.RawMessage(`{"question":"Which?"}`)}
	text := engine.Part{Text: "I look."}
	for _, c := range []struct {
		name    string
		form    Form
		handler string
		parts   []engine.Part
		want    Parsed
	}{
		{"call of 2.1", Invoke, "claude21", []engine.Part{text, {ToolCall: get}}, Parsed{Thought: "I look.", Calls: []Call{{Verb: "GET", Group: "claims", Name: "/claims", Input: map[string]string{"n": "3", "name": `A & "B"`}}}}},
		{"search of 2.1", Invoke, "claude21", []engine.Part{{ToolCall: search}}, Parsed{Calls: []Call{{Knowledge: "KB12345678", Input: map[string]string{"searchQuery": "what <is> paid"}}}}},
		{"question of 2.1", Invoke, "claude21", []engine.Part{{ToolCall: ask}}, Parsed{Ask: "Which?"}},
		{"answer of 2.1", Invoke, "claude21", []engine.Part{{Text: "Two claims."}}, Parsed{Final: &Answer{Text: "Two claims."}}},
		{"call of 2.0", Call20, "claude2", []engine.Part{text, {ToolCall: get}}, Parsed{Thought: "I look.", Calls: []Call{{Verb: "GET", Group: "claims", Name: "/claims", Input: map[string]string{"n": "3", "name": "A & 'B'"}}}}},
		{"question of 2.0", Call20, "claude2", []engine.Part{{ToolCall: ask}}, Parsed{Ask: "Which?"}},
		{"answer of 2.0", Call20, "claude2", []engine.Part{{Text: "Two claims."}}, Parsed{Final: &Answer{Text: "Two claims."}}},
		{"call by name", Messages, "tool_use", []engine.Part{text, {ToolCall: get}}, Parsed{Thought: "I look.", Calls: []Call{{ID: "t1", Verb: "get", Group: "claims", Name: "claims", Input: map[string]string{"n": "3", "name": `A & "B"`}}}}},
		{"answer of messages", Messages, "tool_use", []engine.Part{{Text: "Two claims."}}, Parsed{Final: &Answer{Text: "Two claims."}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := &engine.Result{Parts: c.parts, Stop: engine.EndTurn}
			if c.parts[len(c.parts)-1].ToolCall != nil {
				res.Stop = engine.ToolUse
			}
			raw := Raw(c.form, false, b, res)
			got, err := runParser(t, c.handler, plan.Orchestrate, raw)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&c.want, got); d != "" {
				t.Errorf("the function, of %s:\n%s", raw, d)
			}
			own := Orchestration(raw)
			if c.form == Messages {
				own = OrchestrationMessages(raw)
			}
			if d := cmp.Diff(&c.want, own); d != "" {
				t.Errorf("the default parser, of %s:\n%s", raw, d)
			}
			for i := range got.Calls {
				if _, ok := b.ResolveCall(&got.Calls[i]); !ok {
					t.Errorf("nothing answers %+v", got.Calls[i])
				}
			}
		})
	}
	wrote := "<answer>As told."
	if got := Raw(Invoke, false, b, &engine.Result{Parts: []engine.Part{{Text: wrote}}}); got != wrote {
		t.Errorf("tags twice: %q", got)
	}
	if got := Raw(Messages, true, b, &engine.Result{Parts: []engine.Part{{Text: wrote}}}); got != wrote {
		t.Errorf("an answer to a prompt in text: %q", got)
	}
	if got := RawMessages(&engine.Result{Parts: []engine.Part{{Text: "x"}, {ToolCall: &engine.ToolCall{ID: "i", Name: "n", Arguments: []byte("{")}}}, Stop: engine.StopSequence, StopText: "</x>"}); !strings.Contains(got, `"input":{}`) || !strings.Contains(got, `"stop_sequence":"\u003c/x\u003e"`) {
		t.Error(got)
	}
}
