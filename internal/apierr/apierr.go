package apierr

import (
	"errors"
	"fmt"
)

// Kind is the name of an exception as the service models spell it.
type Kind string

// The exceptions of the four service models. Do not add to this list: a client
// can only understand what its model names.
const (
	AccessDenied         Kind = "AccessDeniedException"
	BadGateway           Kind = "BadGatewayException"
	Conflict             Kind = "ConflictException"
	DependencyFailed     Kind = "DependencyFailedException"
	InternalServer       Kind = "InternalServerException"
	ModelError           Kind = "ModelErrorException"
	ModelNotReady        Kind = "ModelNotReadyException"
	ModelStreamError     Kind = "ModelStreamErrorException"
	ModelTimeout         Kind = "ModelTimeoutException"
	ResourceInUse        Kind = "ResourceInUseException"
	ResourceNotFound     Kind = "ResourceNotFoundException"
	ServiceQuotaExceeded Kind = "ServiceQuotaExceededException"
	ServiceUnavailable   Kind = "ServiceUnavailableException"
	Throttling           Kind = "ThrottlingException"
	TooManyTags          Kind = "TooManyTagsException"
	Validation           Kind = "ValidationException"
)

// Exceptions that every AWS endpoint answers before an operation's own model
// applies: authentication, framing, and what is not built yet.
const (
	NotImplemented        Kind = "NotImplementedException"             // 501
	UnknownOperation      Kind = "UnknownOperationException"           // 404
	Serialization         Kind = "SerializationException"              // 400
	MissingAuth           Kind = "MissingAuthenticationTokenException" // 403
	InvalidSignature      Kind = "InvalidSignatureException"           // 403
	IncompleteSignature   Kind = "IncompleteSignatureException"        // 403 or 400
	UnrecognizedClient    Kind = "UnrecognizedClientException"         // 403
	ExpiredToken          Kind = "ExpiredTokenException"               // 403
	RequestEntityTooLarge Kind = "RequestEntityTooLargeException"      // 413
)

// Field names one member that failed validation, for the services whose
// ValidationException models a fieldList.
type Field struct {
	Name    string
	Message string
}

// Error is a failure that a caller may see.
type Error struct {
	Kind    Kind
	Message string // shown to the caller: say what is wrong and what to do
	Detail  Detail // modelled extra members; the codec sends those that the exception has
	Err     error  // cause; goes to the log only
}

// Detail holds the extra members that some exceptions model.
type Detail struct {
	Fields          []Field // ValidationException.fieldList
	ResourceName    string  // ModelError, DependencyFailed, BadGateway, TooManyTags
	OriginalStatus  int     // ModelError, ModelStreamError
	OriginalMessage string  // ModelStreamError
	Reason          string  // InternalServer in bedrock-agent-runtime
}

func (e *Error) Error() string {
	s := string(e.Kind) + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the kind with a formatted message for the caller.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the kind whose cause goes to the log only.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: cause}
}

// KindOf returns the kind of err, InternalServer for any error that is not an
// *Error, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return InternalServer
}
