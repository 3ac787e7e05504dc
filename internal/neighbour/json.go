package neighbour

import (
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/awsjson"
)

// jsonWire is awsJson 1.0 and 1.1.
type jsonWire struct{ svc *api.Service }

func (j jsonWire) find(x *request) (*api.Operation, error) {
	target := x.R.Header.Get("X-Amz-Target")
	name, ok := awsjson.Target(j.svc, target)
	if !ok || x.R.Method != http.MethodPost {
		return nil, apierr.New(apierr.UnknownOperation, "Send a POST with X-Amz-Target: %s.OPERATION.", j.svc.TargetPrefix)
	}
	op := j.svc.Operation(name)
	if op == nil {
		return nil, unknown(j.svc, clip(name))
	}
	return op, nil
}

func (j jsonWire) decode(x *request) (any, error) { return awsjson.Decode(j.svc, x.op, x.bytes) }

func (j jsonWire) encode(x *request, out any) (answer, error) {
	a := answer{http.StatusOK, http.Header{"Content-Type": {awsjson.ContentType(j.svc)}}, nil}
	if len(j.svc.Shapes[x.op.Output].Members) == 0 {
		return a, nil // AWS's servers send nothing, not {}
	}
	var err error
	a.body, err = awsjson.Encode(j.svc, x.op, out)
	return a, err
}

func (j jsonWire) fault(_ *request, e *apierr.Error, _ error) answer {
	f := awsjson.FaultOf(j.svc, e)
	return answer{f.Status, http.Header{"Content-Type": {awsjson.ContentType(j.svc)}, "X-Amzn-Errortype": {f.Code}}, awsjson.EncodeFault(f)}
}
