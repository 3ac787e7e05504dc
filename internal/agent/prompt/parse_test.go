package prompt

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPreProcessingVectors(t *testing.T) {
	got := PreProcessing(" <thinking>\nThe user asks about the tools.\n</thinking>\n\n<category>B</category>")
	if got.Valid || got.Thought != "\nThe user asks about the tools.\n" {
		t.Errorf("%+v", got)
	}
	for raw, want := range map[string]bool{"<category>D</category>": true, "<category> e\n</category>": true, "<category>A</category>": false, "D": false, "": false} {
		if got := PreProcessing(raw); got.Valid != want {
			t.Errorf("%q: %v", raw, got.Valid)
		}
	}
}

func TestOrchestrationVectors(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      Parsed
	}{
		{"knowledge base, old call", "I look it up.</scratchpad>\n\n<function_call>GET::x_amz_knowledgebase_KBID123456::Search(searchQuery=\"What is the phone number I can call?\")",
			Parsed{Thought: "I look it up.", Calls: []Call{{Knowledge: "KBID123456", Input: map[string]string{"searchQuery": "What is the phone number I can call?"}}}}},
		{"old call with commas and a name with a dash", `<function_call>post::send-mail::/mail/{to}(to="a, b", n=3)</function_call>`,
			Parsed{Calls: []Call{{Verb: "post", Group: "send-mail", Name: "/mail/{to}", Input: map[string]string{"to": "a, b", "n": "3"}}}}},
		{"old question", `<function_call>user::askuser(askuser="Which claim?")`, Parsed{Ask: "Which claim?"}},
		{"old question without argument", `<function_call>user::askuser()`, Parsed{Reprompt: RepromptOldAsk}},
		{"old call that is none", `<function_call>nothing`, Parsed{Reprompt: RepromptOldCall}},
		{"invoke", "<scratchpad>Hm.</scratchpad>\n<function_calls>\n<invoke>\n<tool_name>GET::claims::/claims/{claimId}</tool_name>\n<parameters>\n<claimId>c-1</claimId>\n<empty></empty>\n</parameters>",
			Parsed{Thought: "Hm.", Calls: []Call{{Verb: "GET", Group: "claims", Name: "/claims/{claimId}", Input: map[string]string{"claimId": "c-1"}}}}},
		{"invoke of a function", "<function_calls><invoke><tool_name>weather::getWeather</tool_name><parameters><location>Köln &amp; Bonn</location></parameters></invoke>",
			Parsed{Calls: []Call{{Group: "weather", Name: "getWeather", Input: map[string]string{"location": "Köln & Bonn"}}}}},
		{"invoke without a name", "<function_calls><invoke><parameters></parameters>", Parsed{Reprompt: RepromptCall}},
		{"invoke with a broken block", "<function_calls><invoke><tool_name>a::b</tool_name><parameters><x></parameters>", Parsed{Reprompt: RepromptCall}},
		{"question", "<thinking>Which?</thinking><function_calls><invoke><tool_name>user::askuser</tool_name><parameters><question>Which\nclaim?</question></parameters>", Parsed{Thought: "Which?", Ask: "Which\nclaim?"}},
		{"question without text", "<function_calls><invoke><tool_name>user::askuser</tool_name><parameters></parameters>", Parsed{Reprompt: RepromptQuestion}},
		{"answer", "<thinking>ok</thinking>\n<answer>\nDone.", Parsed{Thought: "ok", Final: &Answer{Text: "Done."}}},
		{"answer before a call is none", "<answer>x</answer><function_calls><invoke><tool_name>a::b</tool_name>", Parsed{Calls: []Call{{Group: "a", Name: "b", Input: map[string]string{}}}}},
		{"answer with sources", "<answer><answer_part><text>One.</text><sources><source>1</source><source>2</source></sources></answer_part><answer_part><text>Two.</text></answer_part>",
			Parsed{Final: &Answer{Text: "One. Two.", Parts: []Part{{"One.", []string{"1", "2"}}, {"Two.", nil}}}}},
		{"answer part without text", "<answer><answer_part>One.</answer_part>", Parsed{Reprompt: "Could not parse generated response"}},
		{"nothing", "Hello.", Parsed{Thought: "Hello.", Reprompt: RepromptParse}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(&c.want, Orchestration(c.raw)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestKnowledgeAndPostProcessingVectors(t *testing.T) {
	a := Knowledge("<answer>\n<answer_part>\n<text>\nCall 555.\n</text>\n<sources>\n<source>a</source>\n<source>b</source>\n<source>c</source>\n</sources>\n</answer_part>\n</answer>")
	if d := cmp.Diff(&Answer{Text: "Call 555.", Parts: []Part{{"Call 555.", []string{"a", "b", "c"}}}}, a); d != "" {
		t.Error(d)
	}
	got, err := PostProcessing("<thinking>x</thinking>\n<final_response>\nBased on your request …\n</final_response>")
	if err != nil || got != "Based on your request …" {
		t.Error(got, err)
	}
	if _, err := PostProcessing("x"); !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
}

func FuzzOrchestration(f *testing.F) {
	f.Add("<function_calls><invoke><tool_name>a::b</tool_name><parameters><x>1</x></parameters>")
	f.Add(`<function_call>user::askuser(askuser="x")`)
	f.Add("<answer_part><text>x</text><source>1</source></answer_part>")
	f.Fuzz(func(t *testing.T, raw string) {
		p := Orchestration(raw)
		n := 0
		for _, on := range []bool{p.Reprompt != "", p.Ask != "", p.Final != nil, len(p.Calls) > 0} {
			if on {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%q means %d things: %+v", raw, n, p)
		}
		PreProcessing(raw)
		Knowledge(raw)
		_, _ = PostProcessing(raw)
		Routing(raw)
	})
}
