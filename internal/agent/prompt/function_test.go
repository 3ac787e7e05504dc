package prompt

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
)

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
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{},"invocationType":"FINISH","agentFinalResponse":{"responseText":"x"}}}`, &Parsed{Final: &Answer{Text: "x"}}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"ASK_USER"},"agentAskUser":{"responseText":"Which?","id":"t"}}}`, &Parsed{Ask: "Which?", AskID: "t"}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"AGENT_COLLABORATOR","agentCollaboratorInvocation":{"agentCollaboratorName":"n","input":{"text":"hi"}}}}}`,
			&Parsed{Calls: []Call{{Collaborator: "n", Input: map[string]string{"text": "hi"}}}}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"KNOWLEDGE_BASE","agentKnowledgeBase":{"knowledgeBaseId":"K","searchQuery":"bare"},"actionGroupInvocation":{"actionGroupName":"g"}}}}`,
			&Parsed{Calls: []Call{{Knowledge: "K", Input: map[string]string{"searchQuery": "bare"}}}}},
		{plan.Orchestrate, `{"orchestrationParsedResponse":{"responseDetails":{}}}`, nil},
		{plan.Summarize, `{"promptType":"MEMORY_SUMMARIZATION","topicwiseSummaries":[{"topic":"a","summary":"b"},{"topic":"c","summary":""}]}`, &Parsed{Topics: []Topic{{"a", "b"}}}},
		{plan.Summarize, `{"memorySummarizationParsedResponse":{"topicwiseSummaries":[{"topic":"a","summary":"b"}]}}`, &Parsed{Topics: []Topic{{"a", "b"}}}},
		{plan.Summarize, `{}`, nil},
		{plan.Classify, `{"routingClassifierParsedResponse":{"responseDetails":{"type":"UNDECIDED"}}}`, &Parsed{}},
		{plan.Classify, `{"routingClassifierParsedResponse":{"responseDetails":{"type":"AGENT"}}}`, nil},
		{plan.Classify, `{"routingClassifierParsedResponse":{"parsingErrorDetails":{"repromptResponse":"again"}}}`, &Parsed{Reprompt: "again"}},
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

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"orchestrationParsedResponse":{"responseDetails":{"invocationType":"FINISH","agentFinalResponse":{"responseText":"x"}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []plan.Step{plan.PreProcessing, plan.Orchestrate, plan.KnowledgeReply, plan.PostProcessing, plan.Classify, plan.Summarize} {
			if p, err := Read(s, b); (p == nil) == (err == nil) {
				t.Fatalf("%v %v", p, err)
			}
		}
	})
}
