package neighbour

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// xmlWire writes the errors of services without tables, as S3 does. It reads
// nothing.
type xmlWire struct{}

func (xmlWire) find(*request) (*api.Operation, error) {
	return nil, apierr.New(apierr.NotImplemented, "not built")
}
func (xmlWire) decode(*request) (any, error) {
	return nil, apierr.New(apierr.NotImplemented, "not built")
}
func (xmlWire) encode(*request, any) (answer, error) {
	return answer{}, apierr.New(apierr.NotImplemented, "not built")
}

func (xmlWire) fault(x *request, e *apierr.Error, cause error) answer {
	code, status := strings.TrimSuffix(string(e.Kind), "Exception"), http.StatusBadRequest
	switch e.Kind {
	case apierr.AccessDenied, apierr.MissingAuth, apierr.UnrecognizedClient:
		status = http.StatusForbidden
	case apierr.ServiceUnavailable:
		status = http.StatusServiceUnavailable
	case apierr.InternalServer:
		code, status = "InternalError", http.StatusInternalServerError
	case apierr.RequestEntityTooLarge:
		code = "EntityTooLarge"
	default:
	}
	if a, ok := errors.AsType[*sigv4.Error](cause); ok {
		code, status = a.Code(sigv4.S3)
	}
	var b strings.Builder
	b.WriteString(xml.Header + "<Error>")
	for _, kv := range [...][2]string{{"Code", code}, {"Message", e.Message}, {"RequestId", x.Call.RequestID}} {
		b.WriteString("<" + kv[0] + ">")
		_ = xml.EscapeText(&b, []byte(kv[1])) // a Builder never fails
		b.WriteString("</" + kv[0] + ">")
	}
	b.WriteString("</Error>")
	return answer{status, http.Header{"Content-Type": {"application/xml"}}, []byte(b.String())}
}
