package restjson_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

var services = []*api.Service{&bedrock.Service, &bedrockruntime.Service, &bedrockagent.Service, &bedrockagentruntime.Service}

func operation(t testing.TB, svc *api.Service, name string) *api.Operation {
	t.Helper()
	for i := range svc.Operations {
		if svc.Operations[i].Name == name {
			return &svc.Operations[i]
		}
	}
	t.Fatalf("no operation %s", name)
	return nil
}

const haiku = "anthropic.claude-3-haiku-20240307-v1%3A0"

// converse decodes a Converse body.
func converse(t testing.TB, body string) (*bedrockruntime.ConverseInput, error) {
	t.Helper()
	in, err := restjson.DecodeRequest(&bedrockruntime.Service, operation(t, &bedrockruntime.Service, "Converse"), []string{haiku}, "", http.Header{}, []byte(body))
	c, _ := in.(*bedrockruntime.ConverseInput)
	return c, err
}

func TestDecodeErrorTexts(t *testing.T) {
	user := `{"role":"user","content":[{"text":"hi"}]}`
	tests := []struct {
		name, body string
		kind       apierr.Kind
		want       string
	}{
		{"missing members of a list element", `{"messages":[{"role":"user"}]}`, apierr.Validation,
			"1 validation error detected: Value null at 'messages.1.member.content' failed to satisfy constraint: Member must not be null"},
		{"null is absence", `{"messages":[{"role":"user","content":null}]}`, apierr.Validation,
			"1 validation error detected: Value null at 'messages.1.member.content' failed to satisfy constraint: Member must not be null"},
		{"enum", `{"messages":[` + user + `,{"role":"system","content":[]}]}`, apierr.Validation,
			"1 validation error detected: Value 'system' at 'messages.2.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]"},
		{"numbers, in the order of the model", `{"inferenceConfig":{"topP":1.5,"maxTokens":0,"temperature":-0.25},"messages":[` + user + `]}`, apierr.Validation,
			"3 validation errors detected: Value '0' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
				"Value '-0.25' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value greater than or equal to 0; " +
				"Value '1.5' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have value less than or equal to 1"},
		{"pattern and length", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"no blank","inputSchema":{"json":{}}}}]}}`, apierr.Validation,
			"1 validation error detected: Value 'no blank' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"},
		{"union without a member", `{"messages":[{"role":"user","content":[{"txt":"hi"}]}]}`, apierr.Validation,
			"1 validation error detected: Value at 'messages.1.member.content.1.member' failed to satisfy constraint: Member must have exactly one of the following members set: [audio, cachePoint, citationsContent, document, guardContent, image, reasoningContent, searchResult, text, toolResult, toolUse, video]"},
		{"empty body", ``, "", ""},
		{"wrong type, string for number", `{"inferenceConfig":{"maxTokens":"5"}}`, apierr.Serialization,
			"STRING_VALUE can not be converted to an Integer at 'inferenceConfig.maxTokens'"},
		{"wrong type, number for string", `{"messages":[{"role":"user","content":[{"text":5}]}]}`, apierr.Serialization,
			"NUMBER_VALUE can not be converted to a String at 'messages.1.member.content.1.member.text'"},
		{"wrong type, object for string", `{"messages":[{"role":{}}]}`, apierr.Serialization,
			"Start of structure or map found where not expected at 'messages.1.member.role'"},
		{"wrong type, list for structure", `{"inferenceConfig":[]}`, apierr.Serialization,
			"Start of list found where not expected at 'inferenceConfig'"},
		{"wrong type, string for list", `{"messages":"x"}`, apierr.Serialization,
			"STRING_VALUE can not be converted to a list at 'messages'"},
		{"fraction for integer", `{"inferenceConfig":{"maxTokens":1.5}}`, apierr.Serialization,
			"NUMBER_VALUE 1.5 can not be converted to an Integer at 'inferenceConfig.maxTokens'"},
		{"integer of more than 32 bits", `{"inferenceConfig":{"maxTokens":2147483648}}`, apierr.Serialization,
			"NUMBER_VALUE 2147483648 can not be converted to an Integer at 'inferenceConfig.maxTokens'"},
		{"float out of range", `{"inferenceConfig":{"topP":1e999}}`, apierr.Serialization,
			"NUMBER_VALUE 1e999 can not be converted to a Float at 'inferenceConfig.topP'"},
		{"body is a list", `[]`, apierr.Serialization, "Start of list found where not expected"},
		{"text after the end", `{} x`, apierr.Serialization, "Unexpected character 'x' at offset 3 of the JSON text"},
		{"cut text", `{"messages":[`, apierr.Serialization, "Unexpected end of JSON text"},
		{"bad UTF-8", "{\"messages\":\"\xff\"}", apierr.Serialization, "The request body is not valid UTF-8"},
		{"bad base64", `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"a?=="}}}]}]}`, apierr.Serialization,
			"Invalid base64 encoded string at 'messages.1.member.content.1.member.image.source.bytes'"},
		{"nesting in an unknown member", `{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, apierr.Serialization,
			"JSON text is nested deeper than 512 levels"},
		{"nesting in a document", `{"additionalModelRequestFields":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat("}", 5000) + `}`, apierr.Serialization,
			"JSON text is nested deeper than 512 levels"},
		{"long values are cut", `{"messages":[` + user + `],"additionalModelResponseFieldPaths":["` + strings.Repeat("s", 300) + `"]}`, apierr.Validation,
			"1 validation error detected: Value '[" + strings.Repeat("s", 255) + "...' at 'additionalModelResponseFieldPaths' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := converse(t, tt.body)
			var e *apierr.Error
			if !errors.As(err, &e) {
				if tt.want != "" || err != nil {
					t.Fatalf("error %v, want %s", err, tt.want)
				}
				return
			}
			if e.Kind != tt.kind || e.Message != tt.want {
				t.Errorf("%s: %s\nwant %s: %s", e.Kind, e.Message, tt.kind, tt.want)
			}
		})
	}
}
