package lambda_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const arn = "arn:aws:lambda:us-east-1:123456789012:function:weather"

func TestSplitARN(t *testing.T) {
	for _, c := range []struct {
		in, base, qualifier string
		ok                  bool
	}{
		{arn, arn, "", true},
		{arn + ":$LATEST", arn, "$LATEST", true},
		{arn + ":live", arn, "live", true},
		{"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:1", "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f", "1", true},
		{arn + ":", "", "", false},
		{"weather", "", "", false},
		{"arn:aws:s3:us-east-1:1:function:f", "", "", false},
		{"arn:aws:lambda:us-east-1:1:layer:f", "", "", false},
		{"arn:aws:lambda:us-east-1:1:function:", "", "", false},
	} {
		base, q, ok := lambda.SplitARN(c.in)
		if base != c.base || q != c.qualifier || ok != c.ok {
			t.Errorf("%s: %q %q %v", c.in, base, q, ok)
		}
	}
}

type invoker func(context.Context, lambda.Invocation) (*lambda.Result, error)

func (f invoker) Invoke(ctx context.Context, in lambda.Invocation) (*lambda.Result, error) {
	return f(ctx, in)
}

func named(name string) lambda.Invoker {
	return invoker(func(context.Context, lambda.Invocation) (*lambda.Result, error) {
		return &lambda.Result{Payload: []byte(name)}, nil
	})
}

func TestRoutes(t *testing.T) {
	r := &lambda.Routes{Routes: []lambda.Route{{Pattern: "weather", To: named("one")}, {Pattern: "debug-*", To: named("many")}, {Pattern: "arn:aws:lambda:eu-*", To: named("region")}}, Default: named("rest")}
	for in, want := range map[string]string{
		arn: "one", arn + ":live": "one", arn + "s": "rest",
		"arn:aws:lambda:us-east-1:123456789012:function:debug-x":  "many",
		"arn:aws:lambda:eu-west-1:123456789012:function:anything": "region",
	} {
		res, err := r.Invoke(t.Context(), lambda.Invocation{FunctionARN: in})
		if err != nil || string(res.Payload) != want {
			t.Errorf("%s goes to %v, %v; want %s", in, res, err, want)
		}
	}
	r.Default = nil
	_, err := r.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn + "s"})
	if e, ok := errors.AsType[*lambda.Error](err); !ok || e.Kind != lambda.NotFound {
		t.Errorf("got %v", err)
	}
	if _, err := r.Invoke(t.Context(), lambda.Invocation{FunctionARN: "weather"}); err == nil {
		t.Error("a bare name is taken")
	}
}

type queue func(lambda.Delivery) error

func (q queue) Accept(_ context.Context, d lambda.Delivery) error { return q(d) }

// Events end at the routes, unless a route takes them itself; what would be refused
// later is refused at once.
func TestEventsAreQueuedBeforeTheRoute(t *testing.T) {
	var kept []lambda.Delivery
	var seen []lambda.Type
	to := invoker(func(_ context.Context, in lambda.Invocation) (*lambda.Result, error) {
		seen = append(seen, in.Type)
		if strings.HasSuffix(in.FunctionARN, "gone") {
			return nil, lambda.ErrNotFound(in.FunctionARN)
		}
		return &lambda.Result{Status: 204, Version: "7", RequestID: cmp.Or(in.RequestID, "made")}, nil
	})
	at := time.Unix(1700000000, 0)
	full := errors.New("full")
	r := &lambda.Routes{
		Routes: []lambda.Route{{Pattern: "own", To: to, Queues: true}}, Default: to, Now: func() time.Time { return at },
		Queue: queue(func(d lambda.Delivery) error {
			if len(kept) == 1 {
				return full
			}
			kept = append(kept, d)
			return nil
		}),
	}
	event := func(name, payload string) (*lambda.Result, error) {
		return r.Invoke(t.Context(), lambda.Invocation{FunctionARN: "arn:aws:lambda:us-east-1:1:function:" + name, Type: lambda.Event, Payload: []byte(payload), LogTail: true})
	}
	res, err := event("f", `1`)
	if err != nil || res.Status != 202 || res.RequestID != "made" || res.Version != "7" || len(kept) != 1 {
		t.Fatalf("%+v, %v, %d kept", res, err, len(kept))
	}
	if d := kept[0]; d.Invocation.Type != lambda.RequestResponse || d.Invocation.RequestID != "made" || d.Invocation.LogTail || !d.Accepted.Equal(at) || string(d.Invocation.Payload) != "1" {
		t.Errorf("kept %+v", d)
	}
	if _, err := event("f", `2`); !errors.Is(err, full) {
		t.Errorf("a queue that takes nothing: %v", err)
	}
	for name, payload := range map[string]string{"gone": "1", "f": "{", "g": `"` + strings.Repeat("x", 1<<20) + `"`} {
		if _, err := event(name, payload); err == nil || errors.Is(err, full) {
			t.Errorf("an event for %s: %v", name, err)
		}
	}
	if res, err := event("own", `1`); err != nil || res.Status != 204 {
		t.Errorf("%+v, %v", res, err)
	}
	if diff := gocmp.Diff([]lambda.Type{lambda.DryRun, lambda.DryRun, lambda.DryRun, lambda.Event}, seen); diff != "" {
		t.Error(diff)
	}
	r.Queue = nil
	if _, err := event("f", `1`); err == nil {
		t.Error("an event is taken without a queue")
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{}`), "Event")
	f.Add([]byte(`{"a":`), []byte(``), "")
	f.Fuzz(func(t *testing.T, payload, client []byte, kind string) {
		in := lambda.Invocation{Payload: payload, ClientContext: client, Type: lambda.Type(kind)}
		if err := in.Check(); err != nil {
			if _, ok := errors.AsType[*lambda.Error](err); !ok {
				t.Errorf("%v is no error of the port", err)
			}
		}
	})
}
