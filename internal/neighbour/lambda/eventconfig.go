package lambda

import (
	"context"
	"maps"
	"slices"
	"time"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// eventConfig is what a function, version or alias says of its events; nil leaves
// it to the service.
type eventConfig struct {
	Retries  *int `json:",omitempty"` // further attempts after a function error
	Age      *int `json:",omitempty"` // seconds
	Modified time.Time
}

func (c eventConfig) retry() (r fn.Retry) {
	if c.Retries != nil {
		if r.Most = *c.Retries; r.Most == 0 {
			r.Most = -1
		}
	}
	if c.Age != nil {
		r.MaxAge = time.Duration(*c.Age) * time.Second
	}
	return r
}

// Retry is the plan for events of a function, as its own settings have it; what
// they leave open is zero. The qualifier chooses them: a version or an alias does
// not have those of $LATEST. A function that is not there has none.
func (r *Registry) Retry(ctx context.Context, arn string) (fn.Retry, error) {
	t, ok := targetOf(arn)
	if !ok {
		return fn.Retry{}, nil
	}
	b, err := r.head(ctx, t)
	if err != nil {
		return fn.Retry{}, err
	}
	return b.Events[t.latest().qualifier].retry(), nil
}

// latest names $LATEST where the target names no version.
func (t target) latest() target {
	if t.qualifier == "" {
		t.qualifier = fn.LatestVersion
	}
	return t
}

func describeEvents(t target, c eventConfig) *lambdaapi.FunctionEventInvokeConfigStructure {
	return &lambdaapi.FunctionEventInvokeConfigStructure{
		DestinationConfig: &lambdaapi.DestinationConfig{OnSuccess: &lambdaapi.OnSuccess{}, OnFailure: &lambdaapi.OnFailure{}},
		FunctionArn:       new(t.qualified()), LastModified: new(c.Modified), MaximumEventAgeInSeconds: c.Age, MaximumRetryAttempts: c.Retries,
	}
}

func noEvents(t target) error {
	return apierr.New(notFound, "The function %s doesn't have an EventInvokeConfig", t.qualified())
}

// noDestination refuses destinations: nothing here takes what was asked to be sent.
func noDestination(d *lambdaapi.DestinationConfig) error {
	if d != nil && (d.OnSuccess != nil && optional.Value(d.OnSuccess.Destination) != "" || d.OnFailure != nil && optional.Value(d.OnFailure.Destination) != "") {
		return apierr.New(invalid, "Destinations of event invocations are not built in Outcrop: leave DestinationConfig empty.")
	}
	return nil
}

// changeEvents edits the settings of the version or alias that a request names.
func (f *Face) changeEvents(ctx context.Context, name string, qualifier *string, edit func(t target, c eventConfig, there bool) (eventConfig, bool, error)) (target, eventConfig, error) {
	t, err := aim(ctx, name, qualifier)
	if err != nil {
		return t, eventConfig{}, err
	}
	plain := t
	t = t.latest()
	var c eventConfig
	_, err = f.change(ctx, plain, func(tx *store.Tx, head *store.Record[record]) error {
		if _, err := resolve(tx, *head, t); err != nil {
			return err
		}
		old, there := head.Body.Events[t.qualifier]
		var keep bool
		var err error
		if c, keep, err = edit(t, old, there); err != nil {
			return err
		}
		if !keep {
			delete(head.Body.Events, t.qualifier)
			return nil
		}
		c.Modified = f.c.Registry.now()
		if head.Body.Events == nil {
			head.Body.Events = map[string]eventConfig{}
		}
		head.Body.Events[t.qualifier] = c
		return nil
	})
	return t, c, err
}

// PutFunctionEventInvokeConfig replaces the settings for events.
func (f *Face) PutFunctionEventInvokeConfig(ctx context.Context, in *lambdaapi.PutFunctionEventInvokeConfigInput) (*lambdaapi.PutFunctionEventInvokeConfigOutput, error) {
	if err := noDestination(in.DestinationConfig); err != nil {
		return nil, err
	}
	if in.MaximumEventAgeInSeconds == nil && in.MaximumRetryAttempts == nil && in.DestinationConfig == nil {
		return nil, apierr.New(invalid, "You must specify at least one of error handling or destination setting.")
	}
	t, c, err := f.changeEvents(ctx, in.FunctionName, in.Qualifier, func(target, eventConfig, bool) (eventConfig, bool, error) {
		return eventConfig{Retries: in.MaximumRetryAttempts, Age: in.MaximumEventAgeInSeconds}, true, nil
	})
	if err != nil {
		return nil, err
	}
	return describeEvents(t, c), nil
}

// UpdateFunctionEventInvokeConfig changes those settings that the request names.
func (f *Face) UpdateFunctionEventInvokeConfig(ctx context.Context, in *lambdaapi.UpdateFunctionEventInvokeConfigInput) (*lambdaapi.UpdateFunctionEventInvokeConfigOutput, error) {
	if err := noDestination(in.DestinationConfig); err != nil {
		return nil, err
	}
	t, c, err := f.changeEvents(ctx, in.FunctionName, in.Qualifier, func(t target, c eventConfig, there bool) (eventConfig, bool, error) {
		if !there {
			return c, false, noEvents(t)
		}
		if in.MaximumRetryAttempts != nil {
			c.Retries = in.MaximumRetryAttempts
		}
		if in.MaximumEventAgeInSeconds != nil {
			c.Age = in.MaximumEventAgeInSeconds
		}
		return c, true, nil
	})
	if err != nil {
		return nil, err
	}
	return describeEvents(t, c), nil
}

// DeleteFunctionEventInvokeConfig takes the settings away.
func (f *Face) DeleteFunctionEventInvokeConfig(ctx context.Context, in *lambdaapi.DeleteFunctionEventInvokeConfigInput) (*lambdaapi.DeleteFunctionEventInvokeConfigOutput, error) {
	_, _, err := f.changeEvents(ctx, in.FunctionName, in.Qualifier, func(t target, c eventConfig, there bool) (eventConfig, bool, error) {
		if !there {
			return c, false, noEvents(t)
		}
		return c, false, nil
	})
	if err != nil {
		return nil, err
	}
	return &lambdaapi.DeleteFunctionEventInvokeConfigOutput{}, nil
}

// GetFunctionEventInvokeConfig answers the settings of a function, version or alias.
func (f *Face) GetFunctionEventInvokeConfig(ctx context.Context, in *lambdaapi.GetFunctionEventInvokeConfigInput) (*lambdaapi.GetFunctionEventInvokeConfigOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	head, _, err := f.at(ctx, t)
	if err != nil {
		return nil, err
	}
	t = t.latest()
	c, ok := head.Body.Events[t.qualifier]
	if !ok {
		return nil, noEvents(t)
	}
	return describeEvents(t, c), nil
}

// ListFunctionEventInvokeConfigs lists the settings of a function with those of
// its versions and aliases, by qualifier.
func (f *Face) ListFunctionEventInvokeConfigs(ctx context.Context, in *lambdaapi.ListFunctionEventInvokeConfigsInput) (*lambdaapi.ListFunctionEventInvokeConfigsOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &lambdaapi.ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []lambdaapi.FunctionEventInvokeConfigStructure{}}
	size := pageSize(in.MaxItems)
	last := ""
	for _, q := range slices.Sorted(maps.Keys(head.Body.Events)) {
		if q <= optional.Value(in.Marker) {
			continue
		}
		if len(out.FunctionEventInvokeConfigs) == size {
			out.NextMarker = new(last) // qualifiers are the order
			break
		}
		t.qualifier, last = q, q
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *describeEvents(t, head.Body.Events[q]))
	}
	return out, nil
}
