package model_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/test/model"
)

var services = []*api.Service{&bedrock.Service, &bedrockruntime.Service, &bedrockagent.Service, &bedrockagentruntime.Service}

func find(svc *api.Service, name string) *api.Operation {
	for i := range svc.Operations {
		if svc.Operations[i].Name == name {
			return &svc.Operations[i]
		}
	}
	return nil
}

func decode(svc *api.Service, c model.Case) (any, error) {
	return restjson.DecodeRequest(svc, find(svc, c.Operation), c.Labels, c.Query, c.Header, c.Body)
}

func TestValidRequestsDecodeAndComeBackEqual(t *testing.T) {
	operations := map[string]bool{}
	for _, svc := range services {
		for c := range model.Valid(svc) {
			operations[c.Service+"."+c.Operation] = true
			in, err := decode(svc, c)
			if err != nil {
				t.Errorf("%s: %v\n%s", c, err, c.Body)
				continue
			}
			// Encoded as if the input were an output, it must decode to the same.
			op := *find(svc, c.Operation)
			op.Output, op.EventsOut, op.Status = op.Input, api.NoShape, http.StatusOK
			_, header, body, err := restjson.EncodeResponse(svc, &op, in, nil)
			if err != nil {
				t.Errorf("%s: %v", c, err)
				continue
			}
			again, err := restjson.DecodeRequest(svc, &op, c.Labels, c.Query, header, body)
			if err != nil {
				t.Errorf("%s again: %v\n%s", c, err, body)
				continue
			}
			for _, h := range []string{"ContentType"} { // set by the encoder where the model has it as a header
				if f := reflect.ValueOf(in).Elem().FieldByName(h); f.IsValid() && f.IsZero() {
					reflect.ValueOf(again).Elem().FieldByName(h).SetZero()
				}
			}
			if d := cmp.Diff(in, again); d != "" {
				t.Errorf("%s: (-first +again)\n%s", c, d)
			}
		}
	}
	if len(operations) != 219 {
		t.Errorf("%d operations, want 219", len(operations))
	}
}

func TestBrokenRequestsAnswerTheirException(t *testing.T) {
	total, alone := 0, 0
	skips := map[string]int{}
	for _, svc := range services {
		count := 0
		for c := range model.Broken(svc, func(s model.Skip) { skips[s.Constraint+": "+s.Why]++ }) {
			count++
			_, err := decode(svc, c)
			e, ok := errors.AsType[*apierr.Error](err)
			if !ok {
				t.Errorf("%s: error %v, want %s\n%.500s", c, err, c.Want, c.Body)
				continue
			}
			if e.Kind != c.Want || !strings.Contains(e.Message, "'"+c.At+"'") || !strings.Contains(e.Message, c.Says) {
				t.Errorf("%s: %.700s\nwant %s at '%s' %s\n%.500s", c, e, c.Want, c.At, c.Says, c.Body)
			}
			if e.Kind == apierr.Serialization || strings.HasPrefix(e.Message, "1 validation error detected: ") {
				alone++
			}
			if t.Failed() && count > 3000 {
				t.FailNow()
			}
		}
		t.Logf("%s: %d broken requests", svc.Name, count)
		total += count
	}
	t.Logf("%d broken requests, %d of them with one violation only; not broken: %v", total, alone, skips)
	if total < 9000 {
		t.Errorf("%d broken requests, want at least 9000", total)
	}
}
