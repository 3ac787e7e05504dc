package retrieve

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// invalid is a ValidationException that begins with the place in the request.
func invalid(at, format string, args ...any) *apierr.Error {
	e := apierr.New(apierr.Validation, format, args...)
	e.Message = at + " " + e.Message + "."
	return e
}

// unsupported refuses what Outcrop does not serve; what may go on with a hint.
func unsupported(at, what string) *apierr.Error {
	return apierr.New(apierr.Validation, "%s is not supported by Outcrop: %s.", at, what)
}

// Who failed, in an exception that names it.
const (
	storeName = "vector store"
	modelName = "model"
)

// searched turns an error of an index into an exception of the operations.
func searched(ctx context.Context, store string, err error) error {
	if refused := kms.Refusal(err); refused != nil {
		return refused
	}
	if _, ok := errors.AsType[*apierr.Error](err); ok || ctx.Err() != nil {
		return err
	}
	if e, ok := errors.AsType[*vector.UnsupportedError](err); ok {
		return apierr.Wrap(apierr.Validation, err, "The vector store of the knowledge base, %s, does not support %s.", e.Store, e.What)
	}
	depends := func(format string, args ...any) error {
		e := apierr.Wrap(apierr.DependencyFailed, err, format, args...)
		e.Detail.ResourceName = storeName
		return e
	}
	switch {
	case errors.Is(err, vector.ErrModel):
		return apierr.Wrap(apierr.Validation, err, "The vectors of the knowledge base were made by another embedding model than the one that is served now. Create the knowledge base anew.")
	case errors.Is(err, vector.ErrNotFound):
		return depends("The vector index of the knowledge base does not exist any more.")
	case errors.Is(err, vector.ErrBusy):
		return apierr.Wrap(apierr.Throttling, err, "The vector index of the knowledge base is busy. Try again.")
	case errors.Is(err, vector.ErrTooLarge):
		return depends("The vector index of the knowledge base needs more memory than this server may use.")
	case errors.Is(err, vector.ErrInvalid):
		return err // whatever a caller can do wrong was refused before: a fault of ours
	}
	return depends("The vector store of the knowledge base, %s, could not be searched.", store)
}

// public turns what a model answered into an exception that the operations have.
func public(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case apierr.AccessDenied, apierr.BadGateway, apierr.Conflict, apierr.DependencyFailed, apierr.InternalServer, apierr.NotImplemented,
		apierr.ResourceNotFound, apierr.ServiceQuotaExceeded, apierr.Throttling, apierr.Validation:
		return err
	default: // what only models answer
	}
	out := *e
	out.Kind = apierr.DependencyFailed
	if e.Kind == apierr.ServiceUnavailable {
		out.Kind = apierr.BadGateway
	}
	if out.Detail.ResourceName == "" {
		out.Detail.ResourceName = modelName
	}
	out.Err = err
	return &out
}
