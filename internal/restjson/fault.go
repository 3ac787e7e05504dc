package restjson

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// edgeStatus is the HTTP status of the kinds that no service models: the edge
// answers them before an operation's own exceptions apply.
var edgeStatus = map[apierr.Kind]int{
	apierr.NotImplemented:        http.StatusNotImplemented,
	apierr.UnknownOperation:      http.StatusNotFound,
	apierr.Serialization:         http.StatusBadRequest,
	apierr.MissingAuth:           http.StatusForbidden,
	apierr.InvalidSignature:      http.StatusForbidden,
	apierr.IncompleteSignature:   http.StatusForbidden,
	apierr.UnrecognizedClient:    http.StatusForbidden,
	apierr.ExpiredToken:          http.StatusForbidden,
	apierr.RequestEntityTooLarge: http.StatusRequestEntityTooLarge,
}

// commonStatus is the status of kinds without a service, as every service has them.
var commonStatus = map[apierr.Kind]int{
	apierr.AccessDenied:       http.StatusForbidden,
	apierr.Throttling:         http.StatusTooManyRequests,
	apierr.InternalServer:     http.StatusInternalServerError,
	apierr.Validation:         http.StatusBadRequest,
	apierr.ResourceNotFound:   http.StatusNotFound,
	apierr.ServiceUnavailable: http.StatusServiceUnavailable,
}

// everywhere are the kinds that any operation may answer if its service models
// them, whatever the operation lists: CreateModelCopyJob, for one, has constraints
// but lists no ValidationException.
var everywhere = []apierr.Kind{apierr.AccessDenied, apierr.InternalServer, apierr.Throttling, apierr.Validation}

// instead says what is answered for a kind that the operation or stream does not
// model: the first of the row that it does. The rows keep whose fault it is, and
// whether a retry helps; each ends in a kind that is modelled everywhere.
var instead = map[apierr.Kind][]apierr.Kind{
	apierr.AccessDenied:         {apierr.Validation},
	apierr.BadGateway:           {apierr.DependencyFailed, apierr.ModelError, apierr.InternalServer},
	apierr.Conflict:             {apierr.Validation},
	apierr.DependencyFailed:     {apierr.BadGateway, apierr.ModelError, apierr.InternalServer},
	apierr.InternalServer:       {apierr.ServiceUnavailable},
	apierr.ModelError:           {apierr.ModelStreamError, apierr.DependencyFailed, apierr.InternalServer},
	apierr.ModelNotReady:        {apierr.ServiceUnavailable, apierr.Throttling, apierr.InternalServer},
	apierr.ModelStreamError:     {apierr.ModelError, apierr.DependencyFailed, apierr.InternalServer},
	apierr.ModelTimeout:         {apierr.ModelStreamError, apierr.DependencyFailed, apierr.ServiceUnavailable, apierr.InternalServer},
	apierr.ResourceInUse:        {apierr.Conflict, apierr.Validation},
	apierr.ResourceNotFound:     {apierr.Validation},
	apierr.ServiceQuotaExceeded: {apierr.Validation},
	apierr.ServiceUnavailable:   {apierr.InternalServer},
	apierr.Throttling:           {apierr.ServiceUnavailable, apierr.InternalServer},
	apierr.TooManyTags:          {apierr.ServiceQuotaExceeded, apierr.Validation},
	apierr.Validation:           {apierr.InternalServer},

	// Of the edge's kinds, only inside a stream: as HTTP answers they stay.
	apierr.NotImplemented:        {apierr.Validation},
	apierr.UnknownOperation:      {apierr.Validation},
	apierr.Serialization:         {apierr.Validation},
	apierr.MissingAuth:           {apierr.AccessDenied, apierr.Validation},
	apierr.InvalidSignature:      {apierr.AccessDenied, apierr.Validation},
	apierr.IncompleteSignature:   {apierr.AccessDenied, apierr.Validation},
	apierr.UnrecognizedClient:    {apierr.AccessDenied, apierr.Validation},
	apierr.ExpiredToken:          {apierr.AccessDenied, apierr.Validation},
	apierr.RequestEntityTooLarge: {apierr.Validation},
}

// modelled returns the kind that stands for kind where only some are known.
func modelled(kind apierr.Kind, known func(apierr.Kind) bool) (apierr.Kind, bool) {
	if known(kind) {
		return kind, true
	}
	row, ok := instead[kind]
	if !ok {
		row = []apierr.Kind{apierr.InternalServer}
	}
	for _, k := range row {
		if known(k) {
			return k, true
		}
	}
	return apierr.InternalServer, known(apierr.InternalServer)
}

// AnsweredKind returns the kind that a client of the operation sees for kind: kind
// itself where the operation models it or the edge owns it, else the nearest that
// it models. op may be nil, then the whole service is looked at; svc may be nil.
func AnsweredKind(svc *api.Service, op *api.Operation, kind apierr.Kind) apierr.Kind {
	if edgeStatus[kind] != 0 {
		return kind
	}
	k, _ := modelled(kind, func(k apierr.Kind) bool {
		switch {
		case svc == nil:
			return commonStatus[k] != 0
		case svc.Exception(string(k)) == nil:
			return false
		}
		return op == nil || slices.Contains(everywhere, k) || slices.Contains(op.Errors, string(k))
	})
	return k
}

// EncodeError returns the answer for an error: the status that the service gives
// the exception, x-amzn-ErrorType, and the message with the modelled members that
// err.Detail holds. A kind that the operation does not model becomes the nearest
// one that it does. svc and op may be nil when the request reached none; requestID
// may be empty.
func EncodeError(svc *api.Service, op *api.Operation, err *apierr.Error, requestID string) (status int, header http.Header, body []byte) {
	kind := AnsweredKind(svc, op, err.Kind)
	var x *api.Exception
	if svc != nil {
		x = svc.Exception(string(kind))
	}
	switch {
	case x != nil:
		status = x.Status
	case edgeStatus[kind] != 0:
		status = edgeStatus[kind]
	default:
		status = commonStatus[kind]
	}
	header = http.Header{
		"Content-Type":     {jsonType},
		"X-Amzn-Errortype": {string(kind)},
	}
	if requestID != "" {
		header["X-Amzn-Requestid"] = []string{requestID}
	}
	var members []api.Member
	if x != nil {
		members = x.Members
	}
	return status, header, appendError(nil, err, members)
}

// appendError appends the body of an exception that has the members.
func appendError(buf []byte, err *apierr.Error, members []api.Member) []byte {
	buf = append(buf, `{"message":`...)
	buf = appendString(buf, err.Message)
	d := &err.Detail
	for i := range members {
		switch m := &members[i]; {
		case m.Name == "fieldList" && len(d.Fields) > 0:
			buf = append(buf, `,"fieldList":[`...)
			for i, f := range d.Fields {
				if i > 0 {
					buf = append(buf, ',')
				}
				buf = appendString(append(buf, `{"name":`...), f.Name)
				buf = appendString(append(buf, `,"message":`...), f.Message)
				buf = append(buf, '}')
			}
			buf = append(buf, ']')
		case m.Name == "resourceName" && d.ResourceName != "":
			buf = appendString(append(buf, `,"resourceName":`...), d.ResourceName)
		case m.Name == "originalStatusCode" && d.OriginalStatus >= 100 && d.OriginalStatus <= 599:
			buf = strconv.AppendInt(append(buf, `,"originalStatusCode":`...), int64(d.OriginalStatus), 10)
		case m.Name == "originalMessage" && d.OriginalMessage != "":
			buf = appendString(append(buf, `,"originalMessage":`...), d.OriginalMessage)
		case m.Name == "reason" && d.Reason != "":
			buf = appendString(append(buf, `,"reason":`...), d.Reason)
		}
	}
	return append(buf, '}')
}
