package turn

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Whatever a function answers is an answer or an exception of the stream.
func FuzzReadReply(f *testing.F) {
	seed := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(replyTo(&event{ActionGroup: "g", APIPath: "/a", HTTPMethod: "GET"}, "x"))
	seed(replyTo(&event{ActionGroup: "g", Function: "f"}, "x"))
	f.Add([]byte(`{"response":{"actionGroup":"g","apiPath":"/a","httpMethod":"get","statusCode":"200","responseBody":{"application/json":{"body":"{}"}}},"knowledgeBasesConfiguration":[{"knowledgeBaseId":"KB","retrievalConfiguration":{"vectorSearchConfiguration":{"numberOfResults":3}}}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range []plan.Action{{Path: "/a", Verb: "GET"}, {Function: "f"}} {
			got, err := readReply(&a, "g", b, 1<<20)
			if err == nil && got == nil {
				t.Fatal("neither an answer nor an error")
			}
			if err != nil {
				e, ok := errors.AsType[*apierr.Error](err)
				if !ok || e.Kind != apierr.DependencyFailed {
					t.Fatalf("%v is no exception of the stream", err)
				}
			}
		}
	})
}

// Whatever a caller answers to a return of control is refused or fits every call.
func FuzzMatchResults(f *testing.F) {
	f.Add([]byte(`[{"FunctionResult":{"ActionGroup":"g","Function":"f","ResponseBody":{"TEXT":{"Body":"x"}}}},{"ApiResult":{"ActionGroup":"g","ApiPath":"/a","HttpMethod":"GET","ConfirmationState":"CONFIRM","ResponseBody":{"application/json":{"Body":"x"}}}}]`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []runtime.InvocationResultMember
		if json.Unmarshal(b, &list) != nil {
			return
		}
		w := &waiting{Calls: []awaited{
			{Kind: runtime.ActionInvocationTypeResult, Group: "g", Function: "f"},
			{Kind: runtime.ActionInvocationTypeUserConfirmationAndResult, Group: "g", Path: "/a", Verb: "GET"},
		}}
		got, err := match(w, list, "id")
		if err != nil {
			if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != apierr.Validation {
				t.Fatalf("%v is no ValidationException", err)
			}
			return
		}
		if len(got) != 2 || got[0] == nil || got[1] == nil || len(list) != 2 {
			t.Fatalf("%d results for 2 calls: %v", len(list), got)
		}
	})
}

// Whatever a model writes as the input of a call can be bound, sent and shown.
func FuzzBind(f *testing.F) {
	f.Add([]byte(`{"claimId":"x","days":3,"list":[1,2],"o":{"a":null}}`))
	f.Add([]byte(`[`))
	a := &plan.Action{Path: "/a/{claimId}", Verb: "POST", Parameters: []plan.Parameter{{Name: "claimId", Type: "string", Required: true}}, Body: []plan.Parameter{{Name: "list", Type: "array", Required: true}, {Name: "days", Type: "integer"}}}
	g := &plan.Group{Name: "g"}
	f.Fuzz(func(t *testing.T, b []byte) {
		args, err := bind(a, b)
		if err != nil {
			return
		}
		c := &call{ToolCall: engine.ToolCall{Name: "n", Arguments: b}, group: g, action: a}
		if _, err := json.Marshal(newEvent(c, &args, who{}, "", "", nil, nil)); err != nil {
			t.Fatal(err)
		}
		c.invocationInput(&args, "")
		c.returned(&args, runtime.ActionInvocationTypeResult, "", "")
		key(c.Name, b)
	})
}

// Whatever a custom orchestrator or a session's stored state holds is read or refused.
func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(`{"input":"a","answer":"b","reply":{"chunk":{"Bytes":"YQ=="}}}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ReadRecord(b) })
}
