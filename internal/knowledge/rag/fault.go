package rag

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// modelFault is why a model did not answer, in the exceptions that these operations
// model. resource names the model.
func modelFault(err error, resource string) error {
	if errors.Is(err, errEnough) {
		return err
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return err
	}
	if x, ok := errors.AsType[*engine.Error](err); ok && x.Kind == engine.TooLong && x.Limit > 0 {
		return apierr.Wrap(apierr.Validation, err, "The prompt has %d tokens and the model takes at most %d. Nothing was cut: use a smaller numberOfResults, smaller chunks in the data source, "+
			"a shorter prompt template or a shorter question.", x.Got, x.Limit)
	}
	out := *e
	switch e.Kind {
	case apierr.ModelError, apierr.ModelTimeout, apierr.ModelStreamError:
		out.Kind = apierr.BadGateway
	case apierr.ModelNotReady, apierr.ServiceUnavailable:
		out.Kind = apierr.DependencyFailed
	default:
		return err
	}
	out.Detail = apierr.Detail{ResourceName: resource}
	return &out
}

// storeFault is why a search did not answer.
func storeFault(ctx context.Context, err error, resource string) error {
	if ctx.Err() != nil {
		return err
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		out := apierr.Wrap(apierr.DependencyFailed, err, "The vector store of the knowledge base could not be searched.")
		out.Detail.ResourceName = resource
		return out
	}
	switch e.Kind {
	case apierr.ServiceUnavailable, apierr.ModelNotReady, apierr.ModelError, apierr.ModelTimeout:
		return modelFault(err, resource)
	default:
		return err
	}
}

// sessionFault words a refusal of a session.
func sessionFault(err error, id string) error {
	switch {
	case errors.Is(err, conversation.ErrBusy), errors.Is(err, store.ErrBusy):
		return apierr.Wrap(apierr.Conflict, err, "A turn of session %s is running. Retry the request when it has ended.", id)
	case errors.Is(err, store.ErrSealed):
		return apierr.Wrap(apierr.AccessDenied, err, "The customer key of the session cannot be used: %v", err)
	}
	return err
}
