package lambda

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Delivery is one accepted Event on its way.
type Delivery struct {
	Invocation Invocation // Type is RequestResponse: what an attempt does
	Attempt    int        // attempts that reached the function
	Accepted   time.Time
}

// Queue takes Event invocations. Accept returns when the event will not be lost
// as far as the queue can promise that.
type Queue interface {
	Accept(ctx context.Context, d Delivery) error
}

// Retry is AWS's plan for events: a function that fails is called twice more; one
// that could not be called is tried again for some hours.
type Retry struct {
	Most     int             // further attempts after a function error; default 2, negative none
	Delays   []time.Duration // before them; default 1 min, 2 min
	MaxAge   time.Duration   // default 6 h
	NotReady time.Duration   // first wait when the function could not be called, doubled up to 5 min; default 1 s
}

// Defaults returns the plan with its gaps filled.
func (r Retry) Defaults() Retry {
	if r.Most == 0 {
		r.Most = 2
	}
	if len(r.Delays) == 0 {
		r.Delays = []time.Duration{time.Minute, 2 * time.Minute}
	}
	r.MaxAge = cmp.Or(r.MaxAge, 6*time.Hour)
	r.NotReady = cmp.Or(r.NotReady, time.Second)
	return r
}

// Next says whether a delivery that ended so is tried again and after how long.
// refused counts the tries in a row that did not reach the function.
func (r Retry) Next(d Delivery, res *Result, err error, refused int, now time.Time) (again bool, after time.Duration) {
	r = r.Defaults()
	switch {
	case err == nil && (res == nil || res.FunctionError == ""):
		return false, 0
	case err != nil:
		if e, ok := errors.AsType[*Error](err); ok {
			switch e.Kind {
			case TooMany, Service, NotReady, Conflict, NoJail:
			default:
				return false, 0 // gone, malformed: time does not heal it
			}
		}
		after = min(r.NotReady<<min(refused, 16), 5*time.Minute)
	default:
		if d.Attempt > r.Most {
			return false, 0
		}
		after = r.Delays[min(max(d.Attempt-1, 0), len(r.Delays)-1)]
	}
	if now.Add(after).Sub(d.Accepted) > r.MaxAge {
		return false, 0
	}
	return true, after
}
