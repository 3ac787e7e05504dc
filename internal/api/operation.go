package api

import (
	"context"
	"slices"
	"strings"
)

// Protocol is how a service's messages are written.
type Protocol uint8

// The protocols. S3's restXml is written by hand and has no tables.
const (
	ProtocolRestJSON Protocol = iota
	ProtocolQuery             // form in, XML out: sts, iam
	ProtocolAWSJSON           // X-Amz-Target and JSON: kms, logs, secretsmanager
)

// Service describes one service model.
type Service struct {
	Name       string // endpoint prefix: bedrock, bedrock-runtime, …, iam, kms
	Package    string // of the generated Go code
	APIVersion string
	Operations []Operation
	Shapes     []Shape
	Exceptions []Exception
	Bearer     bool // accepts bearer API keys

	Protocol     Protocol
	TargetPrefix string // of X-Amz-Target, before the dot
	JSONVersion  string // of awsJson: 1.0 or 1.1
	XMLNamespace string // of query answers
}

// Operation returns the named operation of the service, or nil.
func (s *Service) Operation(name string) *Operation {
	i, ok := slices.BinarySearchFunc(s.Operations, name, func(o Operation, name string) int { return strings.Compare(o.Name, name) })
	if !ok {
		return nil
	}
	return &s.Operations[i]
}

// Exception is an error shape of a service with its HTTP status there.
type Exception struct {
	Name    string
	Code    string // on the wire of the query protocol, where it is not Name
	Status  int
	Members []Member
	Shape   ShapeID
}

// Exception returns the named exception of the service, or nil.
func (s *Service) Exception(name string) *Exception {
	for i := range s.Exceptions {
		if s.Exceptions[i].Name == name {
			return &s.Exceptions[i]
		}
	}
	return nil
}

// Operation describes one operation: its route, its shapes and how to call it.
type Operation struct {
	Name     string
	Method   string
	Path     string // template, such as /agents/{agentId}/
	Segments []Segment
	Status   int // of success
	Input    ShapeID
	Output   ShapeID // of a stream: its head
	Result   string  // of the query protocol: the element around the output
	Errors   []string
	ReadOnly bool
	// Token is one more than the index of the input member that is the
	// idempotency token, 0 when there is none.
	Token     int
	EventsIn  ShapeID // NoShape when the request is no event stream
	EventsOut ShapeID // NoShape when the answer is no event stream
	Access    []Access
	// NewInput returns a pointer to a zero input.
	NewInput func() any
	// NewEventIn returns a pointer to a zero event of the request stream.
	NewEventIn func() any
	// Call runs a plain operation on impl, which implements the API interface
	// of the service. Nil for streams.
	Call func(ctx context.Context, impl, in any) (any, error)
	// Stream runs an event-stream operation. Nil for plain operations.
	Stream func(ctx context.Context, impl, in any, s Stream) error
}

// Segment is one part of a path template between slashes.
type Segment struct {
	Literal string // "" for a label
	Label   string
	Greedy  bool
	Member  int // index of the label in the input shape
}

// Access is one permission an operation needs before it runs.
type Access struct {
	Action string // such as bedrock:InvokeAgent
	Level  string // Read, Write, List, Tagging, Permissions management
	// Resources are the alternatives of what the action works on; empty means "*".
	Resources []Resource
	// Conditions are the condition keys of the service that apply.
	Conditions []string
}

// Resource is a resource type of an action.
type Resource struct {
	Type string
	// ARN is the template of the resource's ARN with ${Partition}, ${Region},
	// ${Account} and ${member} for members of the input; "" when the input does
	// not name the resource by itself and a resolver must.
	ARN string
	// Member is the input member that names the resource by id or ARN, "" when
	// several do.
	Member     string
	Required   bool
	Conditions []string
}

// Stream is the raw form of an event stream as the gateway provides it.
type Stream interface {
	// Open sends the status and the head, a pointer to the output struct.
	// Errors returned before Open are answered as plain HTTP.
	Open(head any) error
	// Send sends one event, a pointer to the event union.
	Send(event any) error
	// Recv returns the next event of the request stream, io.EOF at its end.
	Recv() (any, error)
}

// Writer is the typed form of an answer stream. Head is the output struct of the
// operation, Event its event union. Only one goroutine may use it.
type Writer[Head, Event any] struct{ Raw Stream }

// Open sends the head. It must be called once, before Send; errors that an
// operation returns before it become plain HTTP errors, after it exception frames.
func (w *Writer[Head, Event]) Open(head *Head) error { return w.Raw.Open(head) }

// Send sends one event and flushes it.
func (w *Writer[Head, Event]) Send(event *Event) error { return w.Raw.Send(event) }

// Reader is the typed form of a request stream.
type Reader[Event any] struct{ Raw Stream }

// Recv returns the next event, io.EOF at the end of the stream.
func (r *Reader[Event]) Recv() (*Event, error) {
	e, err := r.Raw.Recv()
	if err != nil {
		return nil, err
	}
	return e.(*Event), nil
}
