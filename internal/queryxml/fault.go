package queryxml

import (
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Fault is an error as the protocol has it.
type Fault struct {
	Code    string
	Status  int
	Message string
}

// edge are the codes of what any service answers before its own exceptions apply.
var edge = map[apierr.Kind]Fault{
	apierr.AccessDenied:          {"AccessDenied", http.StatusForbidden, ""},
	apierr.Validation:            {"ValidationError", http.StatusBadRequest, ""},
	apierr.Throttling:            {"Throttling", http.StatusBadRequest, ""},
	apierr.InternalServer:        {"InternalFailure", http.StatusInternalServerError, ""},
	apierr.ServiceUnavailable:    {"ServiceUnavailable", http.StatusServiceUnavailable, ""},
	apierr.NotImplemented:        {"NotImplemented", http.StatusNotImplemented, ""},
	apierr.UnknownOperation:      {"InvalidAction", http.StatusBadRequest, ""},
	apierr.Serialization:         {"MalformedInput", http.StatusBadRequest, ""},
	apierr.MissingAuth:           {"MissingAuthenticationToken", http.StatusForbidden, ""},
	apierr.InvalidSignature:      {"SignatureDoesNotMatch", http.StatusForbidden, ""},
	apierr.IncompleteSignature:   {"IncompleteSignature", http.StatusBadRequest, ""},
	apierr.UnrecognizedClient:    {"InvalidClientTokenId", http.StatusForbidden, ""},
	apierr.ExpiredToken:          {"ExpiredToken", http.StatusForbidden, ""},
	apierr.RequestEntityTooLarge: {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, ""},
}

// FaultOf finds the code and the status of an error: the service's own exception
// of that name (NoSuchEntity and NoSuchEntityException are the same), else the
// common one. A kind that is neither is answered under its name as 400.
func FaultOf(svc *api.Service, err *apierr.Error) Fault {
	name := string(err.Kind)
	for i := range svc.Exceptions {
		x := &svc.Exceptions[i]
		if x.Name == name || x.Code == name || strings.TrimSuffix(x.Name, "Exception") == name {
			code := x.Code
			if code == "" {
				code = x.Name
			}
			return Fault{code, x.Status, err.Message}
		}
	}
	if f, ok := edge[err.Kind]; ok {
		f.Message = err.Message
		return f
	}
	return Fault{strings.TrimSuffix(name, "Exception"), http.StatusBadRequest, err.Message}
}

// EncodeFault returns the body of an error.
func EncodeFault(svc *api.Service, f Fault, requestID string) []byte {
	e := encoder{svc: svc}
	e.open("ErrorResponse", svc.XMLNamespace)
	e.open("Error", "")
	if f.Status >= http.StatusInternalServerError {
		e.text("Type", "Receiver")
	} else {
		e.text("Type", "Sender")
	}
	e.text("Code", f.Code)
	e.text("Message", f.Message)
	e.close("Error")
	e.text("RequestId", requestID)
	e.close("ErrorResponse")
	return []byte(e.b.String())
}
