package restjson_test

import (
	"errors"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// large are the operations with the deepest inputs of each service.
var large = []struct {
	svc *api.Service
	op  string
}{
	{&bedrockruntime.Service, "Converse"},
	{&bedrock.Service, "CreateGuardrail"},
	{&bedrock.Service, "CreateEvaluationJob"},
	{&bedrock.Service, "StartAutomatedReasoningPolicyBuildWorkflow"},
	{&bedrockagent.Service, "CreateFlow"},
	{&bedrockagent.Service, "CreateDataSource"},
	{&bedrockagent.Service, "TagResource"},
	{&bedrockagentruntime.Service, "InvokeInlineAgent"},
	{&bedrockagentruntime.Service, "RetrieveAndGenerate"},
}

// allowed fails the test unless err is nil or one that a client may see.
func allowed(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.Validation && e.Kind != apierr.Serialization || e.Message == "" || !utf8.ValidString(e.Message) {
		t.Fatalf("error %v", err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(uint8(0), "a", "", chat)
	f.Add(uint8(1), "", "x=%", []byte(`{"name":"a","blockedInputMessaging":"b","blockedOutputsMessaging":"c","topicPolicyConfig":{"topicsConfig":[{"name":"x","definition":"y","type":"DENY","examples":["z",null]}]}}`))
	f.Add(uint8(3), "arn%3Aaws%3Abedrock", "", []byte(`{"workflowContent":{"documents":[{"document":"aGk=","documentContentType":"pdf","documentName":"d"}]}}`))
	f.Add(uint8(4), "", "", []byte(`{"name":"f","definition":{"nodes":[{"name":"n","type":"Input","configuration":{"input":{}},"outputs":[{"name":"o","type":"String"}]}]},"tags":{"a":"b","a":1e400}}`))
	f.Add(uint8(6), "", "", []byte(`{"tags":{"\ud83d\ude00":"\u0000","a":null,"a":[{}]}}`))
	f.Add(uint8(8), "", "", []byte(`{"input":{"text":"q"},"retrieveAndGenerateConfiguration":{"type":"KNOWLEDGE_BASE","knowledgeBaseConfiguration":{"retrievalConfiguration":{"vectorSearchConfiguration":{"filter":{"andAll":[{"equals":{"key":"a","value":1}}]}}}}}}`))
	f.Fuzz(func(t *testing.T, which uint8, label, query string, body []byte) {
		c := large[int(which)%len(large)]
		op := operation(t, c.svc, c.op)
		labels := []string{label, label, label}
		in, err := restjson.DecodeRequest(c.svc, op, labels, query, http.Header{}, body)
		allowed(t, err)
		if err != nil {
			return
		}
		// What was accepted is encoded and means the same when it comes back.
		back := *op
		back.Output, back.EventsOut, back.Status = op.Input, api.NoShape, http.StatusOK
		_, header, text, err := restjson.EncodeResponse(c.svc, &back, in, nil)
		if err != nil {
			t.Fatalf("accepted but not encodable: %v", err)
		}
		again, err := restjson.DecodeRequest(c.svc, op, labels, query, header, text)
		if err != nil {
			t.Fatalf("encoded but not accepted: %v\n%s", err, text)
		}
		if d := cmp.Diff(in, again); d != "" {
			t.Fatalf("(-first +again)\n%s", d)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	svc := &bedrockruntime.Service
	f.Add("chunk", []byte(`{"bytes":"aGk="}`))
	f.Add("chunk", []byte(``))
	f.Add("other", []byte(`{"bytes":[`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		id := operation(t, svc, "InvokeModelWithBidirectionalStream").EventsIn
		_, err := restjson.DecodeEvent(svc, id, name, payload)
		allowed(t, err)
	})
}
