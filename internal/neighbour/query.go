package neighbour

import (
	"errors"
	"mime"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/queryxml"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// queryWire is the query protocol.
type queryWire struct{ svc *api.Service }

func (q queryWire) find(x *request) (*api.Operation, error) {
	body := x.bytes
	switch x.R.Method {
	case http.MethodGet:
		body = nil
	case http.MethodPost:
		// Anything but a form (a program that sends JSON here) has no parameters.
		if t, _, err := mime.ParseMediaType(x.R.Header.Get("Content-Type")); len(body) > 0 && (err != nil || t != "application/x-www-form-urlencoded") {
			body = nil
		}
	default:
		return nil, apierr.New("InvalidHTTPMethod", "%s takes GET and POST.", q.svc.Name)
	}
	form, err := queryxml.Parse(x.R.URL.RawQuery, body)
	if err != nil {
		return nil, err
	}
	x.parsed = form
	name := form.Get("Action")
	if name == "" {
		return nil, apierr.New("MissingAction", "The request must contain the parameter Action.")
	}
	if v := form.Get("Version"); v != "" && v != q.svc.APIVersion {
		return nil, apierr.New("NoSuchVersion", "The requested version (%s) of service %s does not exist.", clip(v), q.svc.Name)
	}
	op := q.svc.Operation(name)
	if op == nil {
		return nil, unknown(q.svc, clip(name))
	}
	return op, nil
}

// clip bounds a stranger's word in a message.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func (q queryWire) decode(x *request) (any, error) {
	return x.parsed.(*queryxml.Form).Decode(q.svc, x.op)
}

func (q queryWire) encode(x *request, out any) (answer, error) {
	body, err := queryxml.Encode(q.svc, x.op, out, x.Call.RequestID)
	return answer{http.StatusOK, http.Header{"Content-Type": {queryxml.ContentType}}, body}, err
}

func (q queryWire) fault(x *request, e *apierr.Error, cause error) answer {
	f := queryxml.FaultOf(q.svc, e)
	if a, ok := errors.AsType[*sigv4.Error](cause); ok {
		f.Code, f.Status = a.Code(sigv4.Query)
	}
	return answer{f.Status, http.Header{"Content-Type": {queryxml.ContentType}}, queryxml.EncodeFault(q.svc, f, x.Call.RequestID)}
}
