package inference

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// phase is how far an operation has got, which decides what its model lets it say.
type phase int

const (
	plain        phase = iota // nothing was sent: any exception of InvokeModel and Converse
	counting                  // CountTokens, which models no exception of the model itself
	invokeFrames              // inside the stream of InvokeModelWithResponseStream
	chatFrames                // inside the stream of ConverseStream, which knows no time-out
)

// faults is the one place where the ways an engine fails become exceptions, one
// column for each phase.
var faults = map[engine.ErrorKind][4]apierr.Kind{
	engine.NotReady:    {apierr.ModelNotReady, apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable},
	engine.Overloaded:  {apierr.Throttling, apierr.Throttling, apierr.Throttling, apierr.Throttling},
	engine.TimedOut:    {apierr.ModelTimeout, apierr.ServiceUnavailable, apierr.ModelTimeout, apierr.ModelStreamError},
	engine.TooLong:     {apierr.Validation, apierr.Validation, apierr.Validation, apierr.Validation},
	engine.BadRequest:  {apierr.Validation, apierr.Validation, apierr.Validation, apierr.Validation},
	engine.Unsupported: {apierr.Validation, apierr.Validation, apierr.Validation, apierr.Validation},
	engine.NoModel:     {apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable},
	engine.Crashed:     {apierr.ModelError, apierr.ServiceUnavailable, apierr.ModelStreamError, apierr.ModelStreamError},
	engine.BadOutput:   {apierr.ModelError, apierr.InternalServer, apierr.ModelStreamError, apierr.ModelStreamError},
	engine.NoMemory:    {apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable},
	engine.Unavailable: {apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable, apierr.ServiceUnavailable},
}

// originalStatus is what the model's own server would have answered, for the
// kinds where the engine saw no status.
var originalStatus = map[engine.ErrorKind]int{
	engine.Crashed:   http.StatusBadGateway,
	engine.BadOutput: http.StatusBadGateway,
	engine.TimedOut:  http.StatusGatewayTimeout,
}

// throttled is the service's own text for a full queue.
const throttled = "Too many requests, please wait before trying again."

// fault turns an error of the engine into what the caller sees. Errors that are
// not the engine's, such as the end of ctx, pass unchanged.
func fault(err error, p phase, t *catalog.Target, codec family.Codec) error {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return err
	}
	kinds, known := faults[e.Kind]
	if !known {
		return apierr.Wrap(apierr.InternalServer, err, "The engine failed in a way that Outcrop does not know.")
	}
	out := &apierr.Error{Kind: kinds[p], Message: e.Message, Err: err}
	switch e.Kind {
	case engine.TooLong:
		if codec != nil {
			out.Message = codec.TooLong(modelOf(t), e.Limit, e.Got)
		}
	case engine.Overloaded:
		out.Message = throttled
	default: // the engine's own words
	}
	out.Message = cmp.Or(out.Message, "The model could not answer.")
	if e.Hint != "" && out.Kind != apierr.Validation && out.Kind != apierr.Throttling {
		out.Message += " " + e.Hint
	}
	if out.Kind == apierr.ModelError || out.Kind == apierr.ModelStreamError {
		out.Detail.OriginalStatus = cmp.Or(e.Status, originalStatus[e.Kind], http.StatusInternalServerError)
		out.Detail.ResourceName = t.ARN
		if p != plain {
			out.Detail.OriginalMessage = e.Message
		}
	}
	return out
}

// another reports whether a failure is the served model's own, so that the next
// model of a chain may be asked.
func another(err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return false
	}
	switch e.Kind {
	case engine.NotReady, engine.TimedOut, engine.Crashed, engine.NoModel, engine.NoMemory, engine.Unavailable:
		return true
	case engine.BadOutput, engine.Overloaded:
		return e.Status >= http.StatusInternalServerError
	default: // the caller's own errors
		return false
	}
}

func invalid(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }
