package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// 200 calls at once through a few instances: every event is worked on exactly
// once and every caller gets the answer to its own.
func TestTwoHundredCallsAtOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Instances = 8 })
	arn := w.python("import time\ndef handler(e, c):\n    time.sleep(0.002)\n    print('event', e)\n    return [e, c.aws_request_id]", lambda.Function{Timeout: 30 * time.Second})
	const calls = 200
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for n := range calls {
		wg.Go(func() {
			id := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
			res, err := w.Invoke(context.Background(), lambda.Invocation{FunctionARN: arn, Payload: fmt.Appendf(nil, "%d", n), RequestID: id, LogTail: n%2 == 0})
			if err != nil || string(res.Payload) != fmt.Sprintf("[%d, %q]", n, id) || n%2 == 0 && !strings.Contains(string(res.LogTail), fmt.Sprintf("event %d\n", n)) {
				wrong.Add(1)
				t.Logf("call %d: %+v, %v", n, res, err)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d calls got no or another's answer", wrong.Load())
	}
	seen := map[string]int{}
	for line := range strings.Lines(w.logs.text() + "\n") {
		if strings.HasPrefix(line, "event ") {
			seen[line]++
		}
	}
	if len(seen) != calls {
		t.Errorf("%d events were seen of %d", len(seen), calls)
	}
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%q was worked on %d times", strings.TrimSpace(line), n)
		}
	}
	if n := w.Warm(); n > 8 {
		t.Errorf("%d instances", n)
	}
	t.Logf("%d instances served %d calls", w.Warm(), calls)
}

// Calls while instances die: none is lost, none is answered with another's.
func TestCallsAmongDyingInstances(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Instances = 4 })
	arn := w.python("import os\ndef handler(e, c):\n    if e % 7 == 3: os._exit(1)\n    return e", lambda.Function{Timeout: 30 * time.Second})
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() {
			res, err := w.Invoke(context.Background(), lambda.Invocation{FunctionARN: arn, Payload: fmt.Appendf(nil, "%d", n)})
			switch {
			case err != nil:
				t.Errorf("call %d: %v", n, err)
			case n%7 == 3:
				if f, ok := res.Failure(); !ok || f.Type != "Runtime.ExitError" {
					t.Errorf("call %d: %s", n, res.Payload)
				}
			case string(res.Payload) != fmt.Sprint(n):
				t.Errorf("call %d got %s", n, res.Payload)
			}
		})
	}
	wg.Wait()
}

func TestOneEventAtATimeAndTheReserve(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python("import time\nbusy = 0\ndef handler(e, c):\n    global busy\n    busy += 1\n    time.sleep(0.3)\n    busy -= 1\n    return busy", lambda.Function{Reserved: new(2), Timeout: 30 * time.Second})
	w.ok(arn, `1`)
	var wg sync.WaitGroup
	var good, refused atomic.Int64
	for range 6 {
		wg.Go(func() {
			res, err := w.Invoke(context.Background(), lambda.Invocation{FunctionARN: arn})
			if e, ok := errors.AsType[*lambda.Error](err); ok && e.Kind == lambda.TooMany && e.Reason == lambda.ReservedLimit {
				refused.Add(1)
			} else if err == nil && string(res.Payload) == "0" {
				good.Add(1)
			} else {
				t.Errorf("%v, %v", res, err)
			}
		})
		time.Sleep(5 * time.Millisecond)
	}
	wg.Wait()
	if good.Load() != 2 || refused.Load() != 4 {
		t.Errorf("%d served, %d refused", good.Load(), refused.Load())
	}
	w.ok(arn, `1`)
}

// One instance serves calls one after the other: none is started because the last
// answer was a moment ago.
func TestCallsInARowNeedOneInstance(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python("n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n", lambda.Function{})
	for n := range 300 {
		if got := w.ok(arn, `{}`); got != fmt.Sprint(n+1) {
			t.Fatalf("call %d was answered by another instance: %s", n+1, got)
		}
	}
	if w.Warm() != 1 {
		t.Errorf("%d instances", w.Warm())
	}
}

func TestInstancesAreLetGo(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Idle = 200 * time.Millisecond })
		w.ok(w.python("def handler(e, c): return 1", lambda.Function{}), `{}`)
		waitFor(t, "the idle instance goes", func() bool { return w.Warm() == 0 })
	})
	t.Run("changed function", func(t *testing.T) {
		w := newWorld(t, nil)
		arn := w.python("def handler(e, c): return 1", lambda.Function{Name: "same"})
		w.ok(arn, `{}`)
		w.python("def handler(e, c): return 2", lambda.Function{Name: "same"})
		if got := w.ok(arn, `{}`); got != "2" {
			t.Errorf("the old code answers: %s", got)
		}
		waitFor(t, "the old instance goes", func() bool { return w.Warm() == 1 })
	})
	t.Run("credentials end", func(t *testing.T) {
		keys := &turningKeys{}
		w := newWorld(t, func(c *Config) { c.Credentials = keys })
		arn := w.python("import os\ndef handler(e, c): return [os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SESSION_TOKEN']]", lambda.Function{Timeout: 10 * time.Second, Role: "arn:aws:iam::123456789012:role/r"})
		if got := w.ok(arn, `{}`); got != `["AKID1", "token"]` {
			t.Errorf("got %s", got)
		}
		if got := w.ok(arn, `{}`); got != `["AKID2", "token"]` {
			t.Errorf("an instance with credentials that end in a second was used: %s", got)
		}
	})
	t.Run("room for another function", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Instances = 1 })
		a := w.python("def handler(e, c): return 'a'", lambda.Function{})
		b := w.python("def handler(e, c): return 'b'", lambda.Function{})
		for range 2 {
			if got := w.ok(a, `{}`) + w.ok(b, `{}`); got != `"a""b"` {
				t.Errorf("got %s", got)
			}
		}
	})
}

type turningKeys struct{ n atomic.Int64 }

func (k *turningKeys) Keys(context.Context, *lambda.Function) (*lambda.Keys, error) {
	return &lambda.Keys{AccessKeyID: fmt.Sprintf("AKID%d", k.n.Add(1)), SecretAccessKey: "s", SessionToken: "token", Expires: time.Now().Add(time.Second)}, nil
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in 10 s: %s", what)
		}
	}
}

// A function reaches the endpoint that it is given, and nothing else, although
// something listens.
func TestTheEndpointIsAllThatIsReached(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%s from outside", r.URL.Path)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w := newWorld(t, func(c *Config) { c.Endpoint = func() string { return l.Addr().String() } })
	arn := w.python(`
import os, socket, urllib.request
def handler(event, context):
    out = [urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/hello").read().decode()]
    for port in event:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            out.append("reached")
        except OSError as e:
            out.append(type(e).__name__)
    return out
`, lambda.Function{Timeout: 10 * time.Second})
	_, direct, _ := net.SplitHostPort(l.Addr().String())
	_, second, _ := net.SplitHostPort(other.Addr().String())
	for range 2 {
		if got := w.ok(arn, "["+direct+","+second+"]"); got != `["/hello from outside", "ConnectionRefusedError", "ConnectionRefusedError"]` {
			t.Errorf("got %s", got)
		}
	}
}
