package neighbour

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// restWire is restJson.
type restWire struct {
	svc    *api.Service
	routes map[string][]*api.Operation // by method, paths with fewer labels first
}

func newRestWire(svc *api.Service) restWire {
	w := restWire{svc, map[string][]*api.Operation{}}
	for i := range svc.Operations {
		op := &svc.Operations[i]
		w.routes[op.Method] = append(w.routes[op.Method], op)
	}
	return w
}

// find compares the escaped path part by part; a literal wins over a label. There
// are a few dozen operations at most. One slash at the end is forgiven, as the
// models write some paths with it and SDKs send them without.
func (w restWire) find(x *request) (*api.Operation, error) {
	path := x.R.URL.EscapedPath()
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
	var best *api.Operation
	var labels []string
	for _, op := range w.routes[x.R.Method] {
		l, ok := match(op.Segments, parts)
		if ok && (best == nil || len(l) < len(labels)) {
			best, labels = op, l
		}
	}
	if best == nil {
		return nil, unknown(w.svc, x.R.Method+" "+clip(path))
	}
	x.parsed = labels
	return best, nil
}

func match(segments []api.Segment, parts []string) (labels []string, ok bool) {
	if n := len(segments); n > 0 && segments[n-1].Label == "" && segments[n-1].Literal == "" {
		segments = segments[:n-1]
	}
	for i := range segments {
		s := &segments[i]
		switch {
		case i >= len(parts):
			return nil, false
		case s.Greedy:
			return append(labels, strings.Join(parts[i:], "/")), true
		case s.Label != "":
			if parts[i] == "" {
				return nil, false
			}
			labels = append(labels, parts[i])
		case s.Literal != parts[i]:
			return nil, false
		}
	}
	return labels, len(segments) == len(parts)
}

func (w restWire) decode(x *request) (any, error) {
	labels, _ := x.parsed.([]string)
	// A blob that is the whole body is kept, so it must not be the pool's.
	return restjson.DecodeRequest(w.svc, x.op, labels, x.R.URL.RawQuery, x.R.Header, bytes.Clone(x.bytes))
}

func (w restWire) encode(x *request, out any) (answer, error) {
	status, header, body, err := restjson.EncodeResponse(w.svc, x.op, out, nil)
	return answer{status, header, body}, err
}

// restKinds are the names that restJson neighbours have for common kinds, where
// their models spell them otherwise.
var restKinds = map[apierr.Kind]apierr.Kind{
	apierr.Validation:     "InvalidParameterValueException",
	apierr.Conflict:       "ResourceConflictException",
	apierr.Throttling:     "TooManyRequestsException",
	apierr.InternalServer: "ServiceException",
}

// fault answers with the service's exception of the kind, by any of its names. A
// ValidationException of the constraints stays one, as Lambda does, though no
// model lists it.
func (w restWire) fault(x *request, e *apierr.Error, _ error) answer {
	kind := e.Kind
	if w.svc.Exception(string(kind)) == nil && w.svc.Exception(string(kind)+"Exception") != nil {
		kind += "Exception"
	}
	if other := restKinds[kind]; kind != apierr.Validation && other != "" && w.svc.Exception(string(kind)) == nil && w.svc.Exception(string(other)) != nil {
		kind = other
	}
	status := 0
	switch xc := w.svc.Exception(string(kind)); {
	case xc != nil:
		status = xc.Status
	case kind == apierr.Validation:
		status = http.StatusBadRequest
	default:
		status, _, _ = restjson.EncodeError(nil, nil, e, "")
	}
	b := restjson.AppendString([]byte(`{"Type":`), faultType(status))
	b = restjson.AppendString(append(b, `,"Message":`...), e.Message)
	b = restjson.AppendString(append(b, `,"message":`...), e.Message)
	return answer{status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {string(kind)}}, append(b, '}')}
}

func faultType(status int) string {
	if status >= http.StatusInternalServerError {
		return "Service"
	}
	return "User"
}
