package restjson_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/test/model"
)

// TestEveryOutputSurvivesTheWire reads a full answer of each operation into its Go
// type, writes it, and reads it again.
func TestEveryOutputSurvivesTheWire(t *testing.T) {
	apis := map[*api.Service]reflect.Type{
		&bedrock.Service: reflect.TypeFor[bedrock.API](), &bedrockruntime.Service: reflect.TypeFor[bedrockruntime.API](),
		&bedrockagent.Service: reflect.TypeFor[bedrockagent.API](), &bedrockagentruntime.Service: reflect.TypeFor[bedrockagentruntime.API](),
	}
	count := 0
	for _, svc := range services {
		for i := range svc.Operations {
			op := &svc.Operations[i]
			if op.Call == nil || svc.Shapes[op.Output].Payload > 0 {
				continue // heads and blobs have golden tests
			}
			method, ok := apis[svc].MethodByName(op.Name)
			if !ok {
				t.Fatalf("no method %s", op.Name)
			}
			typ := method.Type.Out(0).Elem()
			// The output as if it were an input.
			as := api.Operation{Name: op.Name, Input: op.Output, Output: op.Output, EventsIn: api.NoShape, EventsOut: api.NoShape, Status: http.StatusOK,
				NewInput: func() any { return reflect.New(typ).Interface() }}
			first, err := restjson.DecodeRequest(svc, &as, nil, "", nil, model.Value(svc, op.Output, 9))
			if err != nil {
				t.Errorf("%s.%s: %v", svc.Name, op.Name, err)
				continue
			}
			_, header, body, err := restjson.EncodeResponse(svc, &as, first, nil)
			if err != nil {
				t.Errorf("%s.%s: %v", svc.Name, op.Name, err)
				continue
			}
			again, err := restjson.DecodeRequest(svc, &as, nil, "", header, body)
			if err != nil {
				t.Errorf("%s.%s again: %v", svc.Name, op.Name, err)
				continue
			}
			if d := cmp.Diff(first, again); d != "" {
				t.Errorf("%s.%s (-first +again)\n%s", svc.Name, op.Name, d)
			}
			count++
		}
	}
	t.Logf("%d outputs", count)
	if count < 195 {
		t.Errorf("only %d outputs", count)
	}
}
