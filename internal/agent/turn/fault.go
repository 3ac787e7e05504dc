package turn

import (
	"context"
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// errGone ends a turn whose client has gone; errStop one whose server stops.
var errGone = errors.New("the client of the turn has gone")

// fault is the end of a turn by an exception, as it is kept.
type fault struct {
	Kind     apierr.Kind `json:"kind"`
	Message  string      `json:"message"`
	Resource string      `json:"resource,omitempty"`
}

func (f *fault) err() *apierr.Error {
	return &apierr.Error{Kind: f.Kind, Message: f.Message, Detail: apierr.Detail{ResourceName: f.Resource}}
}

func faultOf(e *apierr.Error) *fault {
	return &fault{Kind: e.Kind, Message: e.Message, Resource: e.Detail.ResourceName}
}

// codes are what a failureTrace calls the exceptions: their HTTP status in the
// runtime's service.
var codes = map[apierr.Kind]int{
	apierr.AccessDenied: 403, apierr.BadGateway: 502, apierr.Conflict: 409, apierr.DependencyFailed: 424, apierr.InternalServer: 500,
	apierr.ModelNotReady: 424, apierr.ResourceNotFound: 404, apierr.ServiceQuotaExceeded: 400, apierr.Throttling: 429, apierr.Validation: 400,
}

// Texts of the service itself.
const (
	textModelDenied = "Access denied when calling Bedrock. Check your request permissions and retry the request."
	textTemplate    = "The overridden prompt that you provided is incorrectly formatted. Check the format for errors, such as invalid JSON, and retry your request."
	textKnowledge   = "Invalid input or configuration provided. Check the input and Knowledge Base configuration and try your request again."
)

// public turns what a model, a function or a port answered into an exception that the
// stream of an agent knows.
func public(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return err
	}
	out := *e
	switch e.Kind {
	case apierr.AccessDenied, apierr.BadGateway, apierr.Conflict, apierr.DependencyFailed, apierr.InternalServer, apierr.ModelNotReady,
		apierr.ResourceNotFound, apierr.ServiceQuotaExceeded, apierr.Throttling, apierr.Validation:
		return &out
	case apierr.ServiceUnavailable:
		out.Kind = apierr.BadGateway
	default: // what only models answer
		out.Kind = apierr.DependencyFailed
	}
	if out.Detail.ResourceName == "" {
		out.Detail.ResourceName = modelName
	}
	out.Err = errors.Join(e, e.Err)
	return &out
}

// interrupted reports that a turn ended because nobody waits for it, not because of
// what it did.
func interrupted(ctx context.Context, err error) bool {
	return errors.Is(err, errGone) || ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err()))
}

func failed(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.DependencyFailed, format, args...)
}

func invalid(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Validation, format, args...)
}

func bug(format string, args ...any) error { return fmt.Errorf("BUG: "+format, args...) }

// passing reports whether the same request may do better when it comes again: what
// was done so far is kept for it then.
func passing(e *apierr.Error) bool {
	switch e.Kind {
	case apierr.Throttling, apierr.ModelNotReady, apierr.BadGateway, apierr.InternalServer, apierr.AccessDenied:
		return true
	default:
		return e.Detail.ResourceName == modelName
	}
}
