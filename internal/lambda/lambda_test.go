package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	r := &lambda.Routes{Routes: []lambda.Route{{"weather", named("one")}, {"debug-*", named("many")}, {"arn:aws:lambda:eu-*", named("region")}}, Default: named("rest")}
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

// The plan of attempts, in hours that pass in no time.
func TestTheQueueTriesAsAWSDoes(t *testing.T) {
	failed := &lambda.Result{FunctionError: lambda.UnhandledError, Payload: []byte(`{}`)}
	busy := &lambda.Error{Kind: lambda.TooMany}
	for _, c := range []struct {
		name     string
		answer   func(n int) (*lambda.Result, error)
		calls    int
		took     time.Duration
		attempts int // of the delivery that is given up; 0 for none
	}{
		{"at once", func(int) (*lambda.Result, error) { return &lambda.Result{}, nil }, 1, 0, 0},
		{"at the second try", func(n int) (*lambda.Result, error) {
			if n == 1 {
				return failed, nil
			}
			return &lambda.Result{}, nil
		}, 2, time.Minute, 0},
		{"never", func(int) (*lambda.Result, error) { return failed, nil }, 3, 3 * time.Minute, 3},
		{"after being refused", func(n int) (*lambda.Result, error) {
			if n <= 3 {
				return nil, busy
			}
			return &lambda.Result{}, nil
		}, 4, 7 * time.Second, 0},
		{"deleted", func(int) (*lambda.Result, error) { return nil, lambda.ErrNotFound(arn) }, 1, 0, -1},
		{"refused for hours", func(int) (*lambda.Result, error) { return nil, busy }, 80, 0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				var last time.Time
				given := 0
				q, err := lambda.NewMemory(lambda.MemoryConfig{
					Invoker: invoker(func(context.Context, lambda.Invocation) (*lambda.Result, error) {
						calls++
						last = time.Now()
						return c.answer(calls)
					}),
					Given: func(d lambda.Delivery, _ *lambda.Result, _ error) {
						if given = d.Attempt; given == 0 {
							given = -1
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				from := time.Now()
				if err := q.Accept(t.Context(), lambda.Delivery{Invocation: lambda.Invocation{FunctionARN: arn}}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); _ = q.Run(ctx) }()
				time.Sleep(7 * time.Hour)
				synctest.Wait()
				if c.name == "refused for hours" {
					if calls < 60 || last.Sub(from) > 6*time.Hour || last.Sub(from) < 5*time.Hour {
						t.Errorf("%d calls in %v", calls, last.Sub(from))
					}
				} else if calls != c.calls || last.Sub(from) != c.took {
					t.Errorf("%d calls, the last after %v; want %d, %v", calls, last.Sub(from), c.calls, c.took)
				}
				if given != c.attempts {
					t.Errorf("given up after %d attempts, want %d", given, c.attempts)
				}
				if q.Waiting() != 0 {
					t.Errorf("%d wait", q.Waiting())
				}
				cancel()
				<-done
				if err := q.Accept(context.Background(), lambda.Delivery{}); err == nil {
					t.Error("a queue that has ended accepts")
				}
			})
		})
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		q, err := lambda.NewMemory(lambda.MemoryConfig{Workers: 3, Limit: 10, Invoker: invoker(func(ctx context.Context, _ lambda.Invocation) (*lambda.Result, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return &lambda.Result{}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			err := q.Accept(t.Context(), lambda.Delivery{Invocation: lambda.Invocation{RequestID: fmt.Sprint(n)}})
			if (err != nil) != (n >= 10) {
				t.Errorf("event %d: %v", n, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = q.Run(ctx) }()
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 3 || q.Waiting() != 0 {
			t.Errorf("%d at once, %d wait", most, q.Waiting())
		}
		cancel()
		<-done
	})
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
