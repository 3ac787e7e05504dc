package restjson_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

func TestDecodeConverse(t *testing.T) {
	got, err := converse(t, `{"__type":"x","unheardOf":{"a":[1,{"b":null}]},"system":null,
		"messages":[{"role":"assistant","content":[]},{"content":[{"text":"a\u00e9\ud83d\ude00\/\"\\\b\f\n\r\t\ud800!"},
		  {"image":{"format":"png","source":{"bytes":"aGk="}}},
		  {"toolResult":{"toolUseId":"t","content":[{"json":{"b": [1.50, 2]}}]}}],"role":"user"}],
		"inferenceConfig":{"maxTokens":8.0,"temperature":1,"topP":5e-1,"stopSequences":[]},
		"requestMetadata":{"a":"1","b":"2","a":"3"}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &bedrockruntime.ConverseInput{
		ModelId: "anthropic.claude-3-haiku-20240307-v1:0",
		Messages: []bedrockruntime.Message{
			{Role: "assistant", Content: []bedrockruntime.ContentBlock{}},
			{Role: "user", Content: []bedrockruntime.ContentBlock{
				{Text: new("aé😀/\"\\\b\f\n\r\t\uFFFD!")},
				{Image: &bedrockruntime.ImageBlock{Format: "png", Source: &bedrockruntime.ImageSource{Bytes: []byte("hi")}}},
				{ToolResult: &bedrockruntime.ToolResultBlock{ToolUseId: "t", Content: []bedrockruntime.ToolResultContentBlock{
					{Json: []byte(`{"b": [1.50, 2]}`)},
				}}},
			}},
		},
		InferenceConfig: &bedrockruntime.InferenceConfiguration{MaxTokens: new(8), Temperature: new(1.0), TopP: new(0.5), StopSequences: []string{}},
		RequestMetadata: map[string]string{"a": "3", "b": "2"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestTheLastOfEqualKeysCounts(t *testing.T) {
	// The first value is wrong in two ways; neither may be reported.
	got, err := converse(t, `{"inferenceConfig":{"maxTokens":-1,"topP":7},"inferenceConfig":{"maxTokens":5}}`)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&bedrockruntime.InferenceConfiguration{MaxTokens: new(5)}, got.InferenceConfig); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got, err = converse(t, `{"inferenceConfig":{"maxTokens":5},"inferenceConfig":null}`); err != nil || got.InferenceConfig != nil {
		t.Errorf("null after a value: %+v, %v", got.InferenceConfig, err)
	}
	if _, err = converse(t, `{"messages":[{"role":"user","content":[{"text":"a","text":"b"}]}]}`); err != nil {
		t.Errorf("a union member twice is one member: %v", err)
	}
}

func TestDecodeLabelsQueryAndHeaders(t *testing.T) {
	const policy = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aautomated-reasoning-policy%2Fabcdefghijkl"
	tests := []struct {
		name   string
		svc    *api.Service
		op     string
		labels []string
		query  string
		header http.Header
		body   string
		want   any
		err    string
	}{
		{name: "escaped ARN and a time in the query", svc: &bedrock.Service, op: "DeleteAutomatedReasoningPolicyTestCase",
			labels: []string{policy, "ABCDEFGHIJ12"}, query: "x=1&updatedAt=2026-01-31T13%3A00%3A00%2B01%3A00&%zz",
			want: &bedrock.DeleteAutomatedReasoningPolicyTestCaseInput{LastUpdatedAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
				PolicyArn: "arn:aws:bedrock:us-east-1:123456789012:automated-reasoning-policy/abcdefghijkl", TestCaseId: "ABCDEFGHIJ12"}},
		{name: "seconds in the query", svc: &bedrock.Service, op: "DeleteAutomatedReasoningPolicyTestCase",
			labels: []string{policy, "ABCDEFGHIJ12"}, query: "updatedAt=1769860800.25",
			want: &bedrock.DeleteAutomatedReasoningPolicyTestCaseInput{LastUpdatedAt: time.Date(2026, 1, 31, 12, 0, 0, 250e6, time.UTC),
				PolicyArn: "arn:aws:bedrock:us-east-1:123456789012:automated-reasoning-policy/abcdefghijkl", TestCaseId: "ABCDEFGHIJ12"}},
		{name: "wrong time", svc: &bedrock.Service, op: "DeleteAutomatedReasoningPolicyTestCase", labels: []string{policy, "ABCDEFGHIJ12"}, query: "updatedAt=soon",
			err: `SerializationException: Invalid timestamp "soon" at 'lastUpdatedAt': expected ISO 8601 such as 2026-01-31T12:00:00Z, or seconds since 1970`},
		{name: "missing in the query", svc: &bedrock.Service, op: "DeleteAutomatedReasoningPolicyTestCase", labels: []string{policy, "ABCDEFGHIJ12"},
			err: "ValidationException: 1 validation error detected: Value null at 'lastUpdatedAt' failed to satisfy constraint: Member must not be null"},
		{name: "a label is decoded once", svc: &bedrockruntime.Service, op: "InvokeModel", labels: []string{"a%253Ab%2B+c"}, body: "{}",
			err: "ValidationException: 1 validation error detected: Value 'a%3Ab++c' at 'modelId' failed to satisfy constraint: Member must satisfy regular expression pattern: "},
		{name: "bad escape in a label", svc: &bedrockruntime.Service, op: "InvokeModel", labels: []string{"a%2"},
			err: "SerializationException: Invalid percent-encoding in the path at 'modelId'"},
		{name: "bad UTF-8 in a label", svc: &bedrockruntime.Service, op: "InvokeModel", labels: []string{"a%ff"},
			err: "SerializationException: Value at 'modelId' is not valid UTF-8"},
		{name: "empty label", svc: &bedrockagent.Service, op: "GetAgent", labels: []string{""},
			err: "ValidationException: 1 validation error detected: Value '' at 'agentId' failed to satisfy constraint: Member must "},
		{name: "blob body and headers", svc: &bedrockruntime.Service, op: "InvokeModel", labels: []string{"amazon.titan-text-express-v1"},
			header: http.Header{"Accept": {" */* "}, "X-Amzn-Bedrock-Trace": {"ENABLED"}}, body: "not JSON \xff",
			want: &bedrockruntime.InvokeModelInput{ModelId: "amazon.titan-text-express-v1", Accept: new("*/*"), Trace: "ENABLED", Body: []byte("not JSON \xff")}},
		{name: "wrong header", svc: &bedrockruntime.Service, op: "InvokeModel", labels: []string{"amazon.titan-text-express-v1"}, header: http.Header{"X-Amzn-Bedrock-Trace": {"on"}},
			err: "ValidationException: 1 validation error detected: Value 'on' at 'trace' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_FULL]"},
		{name: "list in the query", svc: &bedrockagent.Service, op: "UntagResource", labels: []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ"}, query: "tagKeys=b+c&tagKeys=a%2Bd",
			want: &bedrockagent.UntagResourceInput{ResourceArn: "arn:aws:bedrock:us-east-1:123456789012:agent/ABCDEFGHIJ", TagKeys: []string{"b c", "a+d"}}},
		{name: "wrong element of a list in the query", svc: &bedrockagent.Service, op: "UntagResource", labels: []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ"}, query: "tagKeys=b&tagKeys=%23",
			err: "ValidationException: 1 validation error detected: Value '[b, #]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-zA-Z0-9\\s._:/=+@-]*]"},
		{name: "the last of a repeated number counts", svc: &bedrockagent.Service, op: "ListFlows", query: "maxResults=0&maxResults=7",
			want: &bedrockagent.ListFlowsInput{MaxResults: new(7)}},
		{name: "number out of range", svc: &bedrockagent.Service, op: "ListFlows", query: "maxResults=5000",
			err: "ValidationException: 1 validation error detected: Value '5000' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{name: "no number", svc: &bedrockagent.Service, op: "ListFlows", query: "maxResults=ten",
			err: "SerializationException: STRING_VALUE can not be converted to an Integer at 'maxResults'"},
		{name: "boolean", svc: &bedrockagent.Service, op: "DeleteAgent", labels: []string{"ABCDEFGHIJ"}, query: "skipResourceInUseCheck=true",
			want: &bedrockagent.DeleteAgentInput{AgentId: "ABCDEFGHIJ", SkipResourceInUseCheck: new(true)}},
		{name: "no boolean", svc: &bedrockagent.Service, op: "DeleteAgent", labels: []string{"ABCDEFGHIJ"}, query: "skipResourceInUseCheck=yes",
			err: "SerializationException: STRING_VALUE can not be converted to a Boolean at 'skipResourceInUseCheck'"},
		{name: "a body where none is modelled is not read", svc: &bedrockagent.Service, op: "GetAgent", labels: []string{"ABCDEFGHIJ"}, body: "}{",
			want: &bedrockagent.GetAgentInput{AgentId: "ABCDEFGHIJ"}},
		{name: "map keys", svc: &bedrockagent.Service, op: "TagResource", labels: []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ"}, body: `{"tags":{"a#":"b"}}`,
			err: "ValidationException: 1 validation error detected: Value '{a#=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-zA-Z0-9\\s._:/=+@-]*]"},
		{name: "map values", svc: &bedrockagent.Service, op: "TagResource", labels: []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ"}, body: `{"tags":{"a":"b","c":"#"}}`,
			err: "ValidationException: 1 validation error detected: Value '{a=b, c=#}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: [a-zA-Z0-9\\s._:/=+@-]*]"},
		{name: "null as a map value", svc: &bedrockagent.Service, op: "TagResource", labels: []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FABCDEFGHIJ"}, body: `{"tags":{"a":null}}`,
			err: "ValidationException: 1 validation error detected: Value null at 'tags.a.member' failed to satisfy constraint: Member must not be null"},
		{name: "a sensitive value is not repeated", svc: &bedrockagent.Service, op: "CreateAgent", body: `{"agentName":"a","instruction":"secret"}`,
			err: "ValidationException: 1 validation error detected: Value at 'instruction' failed to satisfy constraint: Member must have length greater than or equal to 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := restjson.DecodeRequest(tt.svc, operation(t, tt.svc, tt.op), tt.labels, tt.query, tt.header, []byte(tt.body))
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v\n want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestLengthsCountCodePoints(t *testing.T) {
	op := operation(t, &bedrockagent.Service, "CreateAgent")
	for _, tt := range []struct {
		instruction string
		ok          bool
	}{
		{strings.Repeat("한", 40), true}, {strings.Repeat("😀", 40), true}, {strings.Repeat("😀", 39), false}, {strings.Repeat("a", 39), false},
		{strings.Repeat("😀", 4000), true}, {strings.Repeat("a", 4001), false},
	} {
		_, err := restjson.DecodeRequest(&bedrockagent.Service, op, nil, "", nil, []byte(`{"agentName":"a","instruction":"`+tt.instruction+`"}`))
		if (err == nil) != tt.ok {
			t.Errorf("%.8s × %d: %v", tt.instruction, len([]rune(tt.instruction)), err)
		}
	}
}

func TestViolationsAreCappedAndNamedInFields(t *testing.T) {
	in, err := converse(t, `{"messages":[`+strings.Repeat(`{"role":"nobody","content":[]},`, 999)+`{}]}`)
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || !strings.HasPrefix(e.Message, "100 validation errors detected: ") || len(e.Detail.Fields) != 100 {
		t.Fatalf("%.200v", err)
	}
	if f := e.Detail.Fields[1]; f.Name != "messages.2.member.role" || f.Message != "Member must satisfy enum value set: [user, assistant]" {
		t.Errorf("field %+v", f)
	}
	if in == nil || in.ModelId == "" {
		t.Error("the input as far as read is missing: a caller without permission could not be refused first")
	}
}
