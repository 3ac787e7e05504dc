package lambda

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Route sends the functions whose ARN matches to an Invoker.
type Route struct {
	// Pattern is a function name, a name with * at its end, or the same with a
	// whole ARN; * alone matches all.
	Pattern string
	To      Invoker
	// Queues says that To takes Event invocations itself; those of other routes go
	// into Routes.Queue.
	Queues bool
}

// Routes chooses an Invoker by the function's ARN: the first Route that matches,
// else Default. Events are queued before it: whoever works the queue off comes
// back with a RequestResponse.
type Routes struct {
	Routes  []Route
	Default Invoker          // nil: ResourceNotFoundException
	Queue   Queue            // nil refuses events
	Now     func() time.Time // when an event was accepted; default time.Now
}

var _ Invoker = (*Routes)(nil)

// Match finds the route of a function; nil: the default one has it.
func (r *Routes) Match(arn string) *Route {
	base, _, ok := SplitARN(arn)
	if !ok {
		return nil
	}
	name := base[strings.LastIndexByte(base, ':')+1:]
	for i := range r.Routes {
		if t := &r.Routes[i]; match(t.Pattern, base) || match(t.Pattern, name) {
			return t
		}
	}
	return nil
}

// Invoke implements Invoker.
func (r *Routes) Invoke(ctx context.Context, in Invocation) (*Result, error) {
	if _, _, ok := SplitARN(in.FunctionARN); !ok {
		return nil, &Error{Kind: InvalidValue, Message: fmt.Sprintf("%q is no function ARN", in.FunctionARN)}
	}
	t := r.Match(in.FunctionARN)
	if t == nil {
		t = &Route{To: r.Default}
	}
	switch {
	case t.To == nil:
		return nil, ErrNotFound(in.FunctionARN)
	case in.Type == Event && !t.Queues:
		return r.accept(ctx, t.To, in)
	}
	return t.To.Invoke(ctx, in)
}

// accept queues an event. What can be refused at once is: a dry run tells.
func (r *Routes) accept(ctx context.Context, to Invoker, in Invocation) (*Result, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	if r.Queue == nil {
		return nil, &Error{Kind: Service, Message: "no queue for events is configured"}
	}
	in.Type, in.LogTail, in.Deadline = DryRun, false, time.Time{}
	res, err := to.Invoke(ctx, in)
	if err != nil {
		return nil, err
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	in.Type, in.RequestID = RequestResponse, res.RequestID
	if err := r.Queue.Accept(ctx, Delivery{Invocation: in, Accepted: now()}); err != nil {
		return nil, err
	}
	return &Result{Status: 202, Version: res.Version, RequestID: in.RequestID}, nil
}

func match(pattern, s string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	return pattern == s
}
