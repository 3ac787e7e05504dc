package engine

import "fmt"

// ErrorKind is the closed list of ways in which an engine fails.
type ErrorKind string

// The ways in which an engine fails.
const (
	NotReady    ErrorKind = "not_ready"   // the model is loading or the engine restarting; try again
	Overloaded  ErrorKind = "overloaded"  // the queue is full; try again later
	TimedOut    ErrorKind = "timed_out"   // no answer within the engine's own limit
	TooLong     ErrorKind = "too_long"    // the input does not fit the context; see Limit and Got
	BadRequest  ErrorKind = "bad_request" // the request cannot be served as it stands
	Unsupported ErrorKind = "unsupported" // this model or engine lacks the ability
	NoModel     ErrorKind = "no_model"    // no such model
	Crashed     ErrorKind = "crashed"     // the engine died or cut the stream
	BadOutput   ErrorKind = "bad_output"  // the engine answered something unusable
	NoMemory    ErrorKind = "no_memory"   // the model does not fit into memory
	Unavailable ErrorKind = "unavailable" // no engine is installed or reachable; Hint says what to do
)

// Error is a failure of an engine.
type Error struct {
	Kind    ErrorKind
	Message string // for the caller of the API, without local paths or addresses
	Hint    string // for the operator: what to do about it
	Status  int    // HTTP status the engine answered, 0 when none
	Limit   int    // for TooLong: tokens that fit
	Got     int    // for TooLong: tokens that were sent
	Err     error  // cause, for the log
}

func (e *Error) Error() string {
	s := fmt.Sprintf("engine: %s: %s", e.Kind, e.Message)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
