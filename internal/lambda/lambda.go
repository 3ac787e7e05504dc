package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Limits of AWS Lambda that an Invoker keeps, in bytes.
const (
	MaxPayload      = 6 << 20     // of a synchronous request
	MaxEventPayload = 1 << 20     // of an asynchronous request
	MaxResponse     = 6<<20 + 100 // of an answer; the odd hundred is AWS's
	MaxLogTail      = 4 << 10     // of Result.LogTail
	MaxUnzipped     = 250 << 20   // of unpacked code
	MaxContext      = 3583        // of the client context, before base64
)

// What a function has that names nothing else.
const (
	DefaultTimeout  = 3 * time.Second
	DefaultMemoryMB = 128
	DefaultTmpMB    = 512
)

const (
	// LatestVersion is the version that can be changed.
	LatestVersion = "$LATEST"
	// UnhandledError is the Result.FunctionError of every function that fails.
	UnhandledError = "Unhandled"
)

// Code says where the zip of a function lies and what it must be.
type Code struct {
	SHA256   string // base64 of the zip's SHA-256, as CodeSha256 has it
	Size     int64  // bytes of the zip
	Location string // for the Archive: a file name, an object key
}

// Function is one version of a function as it runs.
type Function struct {
	ARN     string // without a version or alias
	Name    string
	Account string
	Region  string
	Version string // LatestVersion or a number
	// Revision changes whenever anything of the configuration or the code does;
	// running instances of another revision serve no more calls.
	Revision string

	Runtime     string // python3.11, nodejs20.x, provided.al2023 …
	Handler     string
	Code        Code
	Environment map[string]string
	Timeout     time.Duration // default DefaultTimeout
	MemoryMB    int           // default DefaultMemoryMB
	TmpMB       int           // size of /tmp, default DefaultTmpMB
	Role        string        // ARN of the execution role
	LogGroup    string        // default /aws/lambda/NAME
	// Reserved limits the calls at once; nil takes part in the account's limit,
	// 0 lets no call through.
	Reserved *int
	// Pending is why the function cannot be called yet or no more, "" when it can.
	Pending string
}

// QualifiedARN names the version, as a context and a log name it.
func (f *Function) QualifiedARN() string {
	return f.ARN + ":" + f.Version
}

// Functions finds functions by ARN, with a version, an alias or nothing behind
// the name. It resolves aliases (weighted ones by chance) and answers ErrNotFound
// as an *Error.
type Functions interface {
	Function(ctx context.Context, arn string) (*Function, error)
}

// Archive opens the zip of a function.
type Archive interface {
	Open(ctx context.Context, code Code) (Zip, error)
}

// Zip is an opened archive file; the opener closes it.
type Zip interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Keys are temporary credentials of a role.
type Keys struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time // zero: never
}

// Credentials gives a function the rights of its execution role. A nil Keys
// starts the function without credentials.
type Credentials interface {
	Keys(ctx context.Context, f *Function) (*Keys, error)
}

// Line is one event of a function's log, without its line end.
type Line struct {
	Time    time.Time
	Message string
}

// Sink takes what functions log. It must not keep lines after it returns; it may
// block, and then the function's output blocks too.
type Sink interface {
	Log(f *Function, group, stream string, lines []Line)
}

// Type is how a function is called.
type Type string

// The types of the X-Amz-Invocation-Type header.
const (
	RequestResponse Type = "RequestResponse" // wait for the answer
	Event           Type = "Event"           // accept and run later
	DryRun          Type = "DryRun"          // check only
)

// Invocation is one call.
type Invocation struct {
	FunctionARN   string // with or without a version or alias
	Type          Type   // default RequestResponse
	Payload       []byte // JSON; nothing is the same as null
	LogTail       bool   // return the end of the log
	ClientContext []byte // JSON, not base64; handed to the function
	TraceID       string // X-Amzn-Trace-Id; "" makes one
	RequestID     string // "" makes one; an Event keeps its own over its attempts
	// Deadline, when it comes before the function's own time-out, ends the wait
	// (not the function's work) with the context's error. Zero for none.
	Deadline time.Time
}

// Result is the answer of a call that reached the function.
type Result struct {
	Status        int    // 200, 202 of an accepted Event, 204 of a DryRun
	Payload       []byte // the function's answer, or the error's JSON
	FunctionError string // "" or UnhandledError
	LogTail       []byte // at most MaxLogTail bytes, not base64
	Version       string // that ran
	RequestID     string
	Duration      time.Duration // of the call
	Billed        time.Duration // whole milliseconds
	Init          time.Duration // of a cold start, else 0
	MaxMemoryMB   int           // 0 unknown
}

// Failure reads an error payload; ok is false when the call succeeded.
func (r *Result) Failure() (f Failure, ok bool) {
	if r.FunctionError == "" {
		return Failure{}, false
	}
	_ = json.Unmarshal(r.Payload, &f)
	return f, true
}

// Failure is the error shape of a function.
type Failure struct {
	Message string   `json:"errorMessage"`
	Type    string   `json:"errorType,omitempty"`
	Stack   []string `json:"stackTrace,omitempty"`
}

// Invoker calls functions. An error means that the function was not run, or that
// its answer is not known; it is an *Error for all that AWS has a name for, and
// the context's own error when ctx or the Deadline ended the wait. What goes wrong
// inside a function is a Result with a FunctionError.
type Invoker interface {
	Invoke(ctx context.Context, in Invocation) (*Result, error)
}

// Kind names an error of Invoke; its text is the name of AWS's exception.
type Kind string

// The kinds.
const (
	NotFound        Kind = "ResourceNotFoundException"
	InvalidRequest  Kind = "InvalidRequestContentException"
	InvalidValue    Kind = "InvalidParameterValueException"
	TooLarge        Kind = "RequestTooLargeException"
	TooMany         Kind = "TooManyRequestsException"
	NotReady        Kind = "ResourceNotReadyException"
	Conflict        Kind = "ResourceConflictException"
	InvalidRuntime  Kind = "InvalidRuntimeException"
	InvalidZip      Kind = "InvalidZipFileException"
	AccessDenied    Kind = "AccessDeniedException"
	Service         Kind = "ServiceException"
	NoJail          Kind = "ServiceUnavailable" // no wall round other people's code on this machine
	RecursionHalted Kind = "RecursiveInvocationException"
)

// Error is why a function was not run.
type Error struct {
	Kind    Kind
	Message string
	Reason  string // of TooMany: which limit
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Reasons of TooMany.
const (
	ReservedLimit = "ReservedFunctionConcurrentInvocationLimitExceeded"
	AccountLimit  = "ConcurrentInvocationLimitExceeded"
)

// ErrNotFound says that no function has the ARN.
func ErrNotFound(arn string) *Error {
	return &Error{Kind: NotFound, Message: "Function not found: " + arn}
}

// Check validates what every Invoker must refuse before it looks for the
// function.
func (in *Invocation) Check() error {
	switch in.Type {
	case "", RequestResponse, Event, DryRun:
	default:
		return &Error{Kind: InvalidValue, Message: fmt.Sprintf("Unknown invocation type %q", in.Type)}
	}
	limit := MaxPayload
	if in.Type == Event {
		limit = MaxEventPayload
	}
	if len(in.Payload) > limit {
		return &Error{Kind: TooLarge, Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit)}
	}
	if len(in.Payload) > 0 && !json.Valid(in.Payload) {
		return &Error{Kind: InvalidRequest, Message: "Could not parse request body into json: " + jsonFault(in.Payload)}
	}
	if len(in.ClientContext) > MaxContext {
		return &Error{Kind: TooLarge, Message: "Client context must be no more than 3,583 bytes"}
	}
	if len(in.ClientContext) > 0 && !json.Valid(in.ClientContext) {
		return &Error{Kind: InvalidRequest, Message: "Client context must be a valid Base64-encoded JSON object."}
	}
	return nil
}

// jsonFault says what is wrong with a text that is not JSON.
func jsonFault(b []byte) string {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err.Error()
	}
	return "not JSON"
}

// SplitARN cuts a function ARN into the ARN without a qualifier and the
// qualifier, "" for none; ok is false when it is no function ARN.
func SplitARN(arn string) (base, qualifier string, ok bool) {
	p := strings.SplitN(arn, ":", 8)
	if len(p) < 7 || p[0] != "arn" || p[2] != "lambda" || p[5] != "function" || p[6] == "" {
		return "", "", false
	}
	base = strings.Join(p[:7], ":")
	if len(p) == 8 {
		if p[7] == "" {
			return "", "", false
		}
		qualifier = p[7]
	}
	return base, qualifier, true
}
