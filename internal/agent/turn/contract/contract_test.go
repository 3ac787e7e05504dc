package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
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

func TestWhatParserFunctionsAnswer(t *testing.T) {
	for _, c := range []struct {
		step    plan.Step
		payload string
		want    *Parsed // nil: refused
	}{
		{plan.PreProcessing, `{"promptType":"PRE_PROCESSING","preProcessingParsedResponse":{"isValidInput":false,"rationale":"no"}}`, &Parsed{Thought: "no"}},
		{plan.PreProcessing, `{"preProcessingParsedResponse":{"isValidInput":"True"}}`, &Parsed{Valid: true}},
		{plan.PreProcessing, `{"preProcessingParsedResponse":{}}`, nil},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"rationale":"r","responseDetails":{"invocationType":"ACTION_GROUP","actionGroupInvocation":{"actionGroupName":"g","apiName":"a","verb":"get","id":"t","actionGroupInput":{"p":{"value":"v"},"n":{"value":3}}}}}}`,
			&Parsed{Thought: "r", Calls: []Call{{ID: "t", Verb: "get", Group: "g", Name: "a", Input: map[string]string{"p": "v", "n": "3"}}}}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{},"invocationType":"FINISH","agentFinalResponse":{"responseText":"x"}}}`, nil},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"invocationType":"FINISH","agentFinalResponse":{"responseText":"x","citations":{"generatedResponseParts":[{"text":"x","references":[{"sourceId":"1"}]}]}}}}`,
			&Parsed{Final: &Answer{Text: "x", Parts: []Part{{"x", []string{"1"}}}}}},
		{plan.Orchestrate, `{"messageVersion":"2.0","orchestrationParsedResponse":{"responseDetails":{"invocationType":"ACTION_GROUP","actionGroupInvocations":[{"actionGroupName":"g","functionName":"f"},{"actionGroupName":"g","functionName":"h"}],"agentKnowledgeBases":[{"knowledgeBaseId":"K","searchQuery":{"value":"q"}}]}}}`,
			&Parsed{Calls: []Call{{Group: "g", Name: "f", Input: map[string]string{}}, {Group: "g", Name: "h", Input: map[string]string{}}, {Knowledge: "K", Input: map[string]string{"searchQuery": "q"}}}}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"parsingErrorDetails":{"repromptResponse":"again"}}}`, &Parsed{Reprompt: "again"}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"ASK_USER","agentAskUser":{"responseText":"Which?"}}}}`, &Parsed{Ask: "Which?"}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"ASK_USER","agentFinalResponse":{"responseText":"x"}}}}`, nil},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"DANCE"}}}`, nil},
		{plan.Orchestrate, `[]`, nil},
		{plan.KnowledgeReply, `{"knowledgeBaseResponseGenerationParsedResponse":{"generatedResponse":{"generatedResponseParts":[{"text":"a","references":[{"sourceId":"1"},{"sourceId":"2"}]}]}}}`,
			&Parsed{Final: &Answer{Text: "a", Parts: []Part{{"a", []string{"1", "2"}}}}}},
		{plan.PostProcessing, `{"postProcessingParsedResponse":{"responseText":"final"}}`, &Parsed{Final: &Answer{Text: "final"}}},
		{plan.PostProcessing, `{"orchestrationParsedResponse":{}}`, nil},
		{plan.Classify, `{"routingClassifierParsedResponse":{"responseDetails":{"type":"AGENT","agentCollaboratorInvocation":{"agentCollaboratorName":"x"}}}}`, &Parsed{Agent: "x"}},
		{plan.Classify, `{"routingClassifierParsedResponse":{"responseDetails":{"type":"LAST_AGENT"}}}`, &Parsed{Agent: KeepPrevious}},
	} {
		got, err := Read(c.step, []byte(c.payload))
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: %s was read as %+v", c.step, c.payload, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s:\n%s", c.payload, d)
		}
	}
	b, err := Event(Agent{"n", "i", "a", "DRAFT"}, plan.Orchestrate, "raw")
	if err != nil || string(b) != `{"messageVersion":"1.0","agent":{"name":"n","id":"i","alias":"a","version":"DRAFT"},"invokeModelRawResponse":"raw","promptType":"ORCHESTRATION","overrideType":"OUTPUT_PARSER"}` {
		t.Errorf("%s %v", b, err)
	}
}

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
			if !json.Valid([]byte(r.Text)) {
				t.Errorf("text %q", r.Text)
			}
		})
	}
	for _, bad := range []string{`{"messages":`, `{"a":1}`, `{"messages":[{"role":"system","content":"x"}]}`, `{"messages":[{"role":"user","content":[{"image":1}]}]}`, `{"messages":[]}`} {
		if _, err := Render(&plan.Prompt{Step: plan.KnowledgeReply, Template: bad}, v); !errors.Is(err, ErrTemplate) {
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
	for _, want := range []string{"<tool_name>GET::claims::/claims</tool_name>", "<is_required>True</is_required>", "<tool_name>user::askuser</tool_name>", textAskMissing, "User: before\nAssistant: answer", "Q?"} {
		if !strings.Contains(r.Messages[0].Parts[0].Text, want) {
			t.Errorf("%q is not in %s", want, r.Messages[0].Parts[0].Text)
		}
	}
	if got := r.Messages[1].Parts[0].Text; got != "<function_calls>…</function_calls>\n<function_results>\n<result>\n<tool_name>GET::claims::/claims</tool_name>\n<stdout>c-1</stdout>\n</result>\n</function_results> thinking" {
		t.Error(got)
	}
	v.Plan.Groups = v.Plan.Groups[:1]
	if r, err = Render(&plan.Prompt{Step: plan.Orchestrate, Template: "$tools$|$ask_user_function$|$ask_user_missing_parameters$|$question$"}, v); err != nil || !strings.HasSuffix(r.Messages[0].Parts[0].Text, "|||Q?") {
		t.Errorf("%+v %v", r, err)
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

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"FINISH","agentFinalResponse":{"responseText":"x"}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []plan.Step{plan.PreProcessing, plan.Orchestrate, plan.KnowledgeReply, plan.PostProcessing, plan.Classify} {
			if p, err := Read(s, b); (p == nil) == (err == nil) {
				t.Fatalf("%v %v", p, err)
			}
		}
	})
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
