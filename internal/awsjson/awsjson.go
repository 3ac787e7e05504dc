package awsjson

import (
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// ContentType of a service's answers.
func ContentType(svc *api.Service) string { return "application/x-amz-json-" + svc.JSONVersion }

// Target takes the operation's name out of X-Amz-Target, PREFIX.OPERATION; false
// when the prefix is another service's.
func Target(svc *api.Service, header string) (operation string, ok bool) {
	prefix, name, ok := strings.Cut(header, ".")
	return name, ok && prefix == svc.TargetPrefix && name != ""
}

// Decode returns the input of an operation, a pointer to its Go struct. An empty
// body is an empty object. Its errors are those of restjson.DecodeRequest: with a
// ValidationException the input is returned as far as it was read.
func Decode(svc *api.Service, op *api.Operation, body []byte) (any, error) {
	in := op.NewInput()
	err := restjson.DecodeBody(svc, op.Input, in, body)
	if err != nil && apierr.KindOf(err) != apierr.Validation {
		return nil, err
	}
	return in, err
}

// Encode returns the body of a success; out is a pointer to the output struct. An
// operation without members answers {}. The error is never the caller's fault.
func Encode(svc *api.Service, op *api.Operation, out any) ([]byte, error) {
	return restjson.AppendBody(nil, svc, op.Output, out)
}

// Fault is an error as the protocol has it.
type Fault struct {
	Code    string
	Status  int
	Message string
}

// FaultOf finds the code and the status of an error: the service's own exception
// of that name (with or without its ending Exception), else the kind's own name.
// Whatever is the caller's fault is 400 in this protocol, permission and
// signature included.
func FaultOf(svc *api.Service, err *apierr.Error) Fault {
	name := string(err.Kind)
	for i := range svc.Exceptions {
		if x := &svc.Exceptions[i]; x.Name == name || x.Name == name+"Exception" {
			return Fault{x.Name, x.Status, err.Message}
		}
	}
	status := http.StatusBadRequest
	switch err.Kind {
	case apierr.InternalServer:
		status = http.StatusInternalServerError
	case apierr.ServiceUnavailable:
		status = http.StatusServiceUnavailable
	case apierr.NotImplemented:
		status = http.StatusNotImplemented
	case apierr.RequestEntityTooLarge:
		status = http.StatusRequestEntityTooLarge
	default: // the caller's fault
	}
	return Fault{name, status, err.Message}
}

// EncodeFault returns the body of an error.
func EncodeFault(f Fault) []byte {
	b := restjson.AppendString([]byte(`{"__type":`), f.Code)
	b = restjson.AppendString(append(b, `,"message":`...), f.Message)
	return append(b, '}')
}
