package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// Everything that can go wrong inside a function: what its caller gets, and what
// the log says. ID stands for the request's id.
func TestFaults(t *testing.T) {
	usual := newWorld(t, nil)
	hasty := newWorld(t, func(c *Config) { c.InitTimeout = 500 * time.Millisecond })
	for _, c := range []struct {
		name     string
		runtime  string
		code     string
		handler  string
		function lambda.Function
		kind     string
		message  string // "" is not looked at
		log      string // pattern that the tail must hold
		dead     bool   // the instance must not serve again
	}{
		{name: "exception", code: "def handler(e, c):\n    raise ValueError('boom')", kind: "ValueError", message: "boom",
			log: `\[ERROR\] ValueError: boom\nTraceback \(most recent call last\):\n  File "/var/task/app.py", line 2, in handler\n    raise ValueError\('boom'\)\nEND RequestId: ID\nREPORT RequestId: ID\tDuration: [\d.]+ ms\tBilled`},
		{name: "time-out", code: "import time\ndef handler(e, c):\n    print('going'); time.sleep(60)", function: lambda.Function{Timeout: time.Second}, dead: true,
			kind: "Sandbox.Timedout", message: "RequestId: ID Error: Task timed out after 1.00 seconds",
			log: `going\n\d{4}-\d\d-\d\dT[\d:.]+Z ID Task timed out after 1.00 seconds\nEND RequestId: ID\nREPORT RequestId: ID\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t.*Status: timeout`},
		{name: "busy time-out", code: "def handler(e, c):\n    while True: pass", function: lambda.Function{Timeout: time.Second}, dead: true,
			kind: "Sandbox.Timedout", message: "RequestId: ID Error: Task timed out after 1.00 seconds"},
		{name: "exit", code: "import sys\ndef handler(e, c):\n    sys.exit(1)", dead: true, kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: exit status 1",
			log: `RequestId: ID Error: Runtime exited with error: exit status 1\nRuntime.ExitError\nEND RequestId: ID\nREPORT .*\tStatus: error\tError Type: Runtime.ExitError`},
		{name: "exit 0", code: "import os\ndef handler(e, c):\n    print('bye'); os._exit(0)", dead: true, kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited without providing a reason", log: `RequestId: ID Error`},
		{name: "kills itself", code: "import os\ndef handler(e, c):\n    os.kill(os.getpid(), 9)", dead: true, kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: signal: killed"},
		{name: "segmentation fault", code: "import ctypes\ndef handler(e, c):\n    ctypes.string_at(0)", dead: true, kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: signal: segmentation fault"},
		{name: "memory", code: "def handler(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))", function: lambda.Function{Timeout: 30 * time.Second}, dead: true,
			kind: "Runtime.OutOfMemory", message: "RequestId: ID Error: Runtime exited with error: signal: killed", log: `Max Memory Used: 128 MB\t.*Error Type: Runtime.OutOfMemory`},
		{name: "huge response", code: "def handler(e, c):\n    return 'x' * (6 << 20 | 200)", kind: "Function.ResponseSizeTooLarge",
			message: "Response payload size exceeded maximum allowed payload size (6291556 bytes)."},
		{name: "response that is no JSON", code: "def handler(e, c):\n    return {1, 2}", kind: "Runtime.MarshalError", message: "Unable to marshal response: Object of type set is not JSON serializable"},
		{name: "endless response", code: "def handler(e, c):\n    a = []; a.append(a); return a", kind: "Runtime.MarshalError"},
		{name: "no module", code: "import no_such_module\ndef handler(e, c): pass", kind: "Runtime.ImportModuleError", message: "Unable to import module 'app': No module named 'no_such_module'", dead: true,
			log: `INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError|Runtime.ImportModuleError`},
		{name: "no file", code: "x = 1", handler: "other.handler", kind: "Runtime.ImportModuleError", message: "Unable to import module 'other': No module named 'other'", dead: true},
		{name: "no handler", code: "x = 1", kind: "Runtime.HandlerNotFound", message: "Handler 'handler' missing on module 'app'", dead: true},
		{name: "bad handler", code: "x = 1", handler: "app", kind: "Runtime.MalformedHandlerName", message: "Bad handler 'app': not enough values to unpack (expected 2, got 1)", dead: true},
		{name: "bad syntax", code: "def handler(e, c:\n  pass", kind: "Runtime.UserCodeSyntaxError", dead: true},
		{name: "exception at init", code: "raise KeyError('TABLE')", kind: "KeyError", message: "'TABLE'", dead: true},
		{name: "exit at init", code: "import os\nos._exit(3)", kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: exit status 3", dead: true},
		{name: "hanging init", code: "import time\ntime.sleep(600)", function: lambda.Function{Timeout: 2 * time.Second}, kind: "Sandbox.Timedout", dead: true,
			message: "RequestId: ID Error: Task timed out after 2.00 seconds", log: `Status: timeout`},
		{name: "node exception", runtime: "node", code: "export const handler = async () => { throw new TypeError('boom'); };", kind: "TypeError", message: "boom",
			log: `\tID\tERROR\tInvoke Error \t\{"errorType":"TypeError","errorMessage":"boom","stack":\["TypeError: boom",`},
		{name: "node callback error", runtime: "node", code: "export const handler = (e, c, cb) => cb(new Error('called'));", kind: "Error", message: "called"},
		{name: "node throws a word", runtime: "node", code: "export const handler = async () => { throw 'word'; };", kind: "string", message: "word"},
		{name: "node unhandled rejection", runtime: "node", code: "export const handler = (e, c, cb) => { Promise.reject(new Error('lost')); setTimeout(() => {}, 1000); };",
			kind: "Runtime.UnhandledPromiseRejection", message: "Error: lost"},
		{name: "node uncaught", runtime: "node", code: "export const handler = (e, c, cb) => { setTimeout(() => { throw new RangeError('far'); }, 1); };", kind: "RangeError", message: "far"},
		{name: "node memory", runtime: "node", code: "export const handler = async () => { const x = []; for (;;) x.push(Buffer.alloc(1 << 20, 1)); };", function: lambda.Function{Timeout: 30 * time.Second}, dead: true,
			kind: "Runtime.OutOfMemory", message: "RequestId: ID Error: Runtime exited with error: signal: killed"},
		{name: "node time-out", runtime: "node", code: "export const handler = () => new Promise((r) => setTimeout(r, 60000));", function: lambda.Function{Timeout: time.Second}, dead: true,
			kind: "Sandbox.Timedout", message: "RequestId: ID Error: Task timed out after 1.00 seconds"},
		{name: "node no module", runtime: "node", code: "import 'no-such-package';", kind: "Runtime.ImportModuleError", dead: true},
		{name: "node no file", runtime: "node", code: "", handler: "other.handler", kind: "Runtime.ImportModuleError", message: "Error: Cannot find module 'other'", dead: true},
		{name: "node no handler", runtime: "node", code: "export const x = 1;", kind: "Runtime.HandlerNotFound", message: "app.handler is undefined or not exported", dead: true},
		{name: "node bad syntax", runtime: "node", code: "export const handler = (;", kind: "Runtime.UserCodeSyntaxError", dead: true},
		{name: "node circular response", runtime: "node", code: "export const handler = async () => { const a = {}; a.a = a; return a; };", kind: "Runtime.MarshalError"},
		{name: "node exit", runtime: "node", code: "export const handler = async () => { process.exit(5); };", kind: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: exit status 5", dead: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.function
			w := usual
			if c.name == "hanging init" {
				w = hasty
			}
			var arn string
			switch {
			case c.runtime == "node":
				f.Runtime, f.Handler = "nodejs20.x", "app.handler"
				if c.handler != "" {
					f.Handler = c.handler
				}
				arn = w.add(files{"app.mjs": c.code}, f)
			default:
				f.Runtime, f.Handler = "python3.11", "app.handler"
				if c.handler != "" {
					f.Handler = c.handler
				}
				arn = w.add(files{"app.py": c.code}, f)
			}
			before := w.Warm()
			res := w.call(arn, `{}`)
			got, failed := res.Failure()
			if !failed || res.FunctionError != "Unhandled" || res.Status != 200 {
				t.Fatalf("status %d, error %q, payload %s", res.Status, res.FunctionError, res.Payload)
			}
			if got.Type != c.kind {
				t.Errorf("type %q, want %q; payload %s\n%s", got.Type, c.kind, res.Payload, res.LogTail)
			}
			if want := strings.ReplaceAll(c.message, "ID", res.RequestID); c.message != "" && got.Message != want {
				t.Errorf("message %q, want %q", got.Message, want)
			}
			if c.log != "" && !regexp.MustCompile(strings.ReplaceAll(c.log, "ID", regexp.QuoteMeta(res.RequestID))).Match(res.LogTail) {
				t.Errorf("log:\n%s\nwant %s", res.LogTail, c.log)
			}
			if !strings.Contains(string(res.LogTail), "END RequestId: "+res.RequestID) || !strings.Contains(string(res.LogTail), "REPORT RequestId: "+res.RequestID) {
				t.Errorf("the log has no END or no REPORT:\n%s", res.LogTail)
			}
			if c.dead && w.Warm() > before {
				t.Errorf("the instance is still there")
			}
			w.Forget(arn)
		})
	}
}

// A function that failed is replaced: the next call is served by a fresh process.
func TestAFailedInstanceIsReplaced(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python("import os\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    if e == 'die': os._exit(9)\n    if e == 'raise': raise ValueError\n    return n", lambda.Function{})
	if got := w.ok(arn, `1`); got != "1" {
		t.Fatal(got)
	}
	w.call(arn, `"raise"`)
	if got := w.ok(arn, `1`); got != "3" {
		t.Errorf("an exception lost the instance: %s", got)
	}
	w.call(arn, `"die"`)
	if got := w.ok(arn, `1`); got != "1" {
		t.Errorf("after the exit came %s", got)
	}
}

// A slow init is begun again inside the call and then served.
func TestASlowInitIsServedInTheCall(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.InitTimeout = 500 * time.Millisecond })
	arn := w.python("import time\ntime.sleep(1)\ndef handler(e, c): return 'late'", lambda.Function{Timeout: 30 * time.Second})
	res := w.call(arn, `{}`)
	if string(res.Payload) != `"late"` {
		t.Errorf("got %s\n%s", res.Payload, res.LogTail)
	}
	if !strings.Contains(w.logs.text(), "INIT_REPORT Init Duration: 500.00 ms\tPhase: init\tStatus: timeout") {
		t.Errorf("log:\n%s", w.logs.text())
	}
}

// When the caller goes, the function finishes its work and its instance serves on.
func TestTheFunctionOutlivesItsCaller(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python("import time\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    time.sleep(e)\n    print('done', n)\n    return n", lambda.Function{Timeout: 10 * time.Second})
	w.ok(arn, `0`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.Invoke(ctx, lambda.Invocation{FunctionARN: arn, Payload: []byte(`0.5`)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(w.logs.text(), "done 2\nEND") {
		if time.Now().After(deadline) {
			t.Fatalf("the work was not finished:\n%s", w.logs.text())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := w.ok(arn, `0`); got != "3" {
		t.Errorf("the instance was not kept: %s", got)
	}
	if _, err := w.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn, Payload: []byte(`5`), Deadline: time.Now().Add(50 * time.Millisecond)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline answers %v", err)
	}
}

// Without a jail nothing runs, and the answer says which part is missing.
func TestNoJailNoFunction(t *testing.T) {
	started := 0
	w := newWorld(t, func(c *Config) {
		c.Start = func(_ context.Context, s sandbox.Spec) (*sandbox.Process, error) {
			started++
			if s.Unsafe {
				t.Error("the runtime fell back to no jail")
			}
			return nil, &sandbox.PartError{Part: "landlock", Err: errors.New("switched off")}
		}
	})
	arn := w.python("def handler(e, c): return 1", lambda.Function{})
	_, err := w.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn})
	e, ok := errors.AsType[*lambda.Error](err)
	if !ok || e.Kind != lambda.NoJail || !strings.Contains(e.Error(), "landlock") || started != 1 {
		t.Errorf("got %v after %d starts", err, started)
	}
	if w.Warm() != 0 {
		t.Error("an instance is counted that never was")
	}
}

// With the operator's word functions run as plain children.
func TestUnsafe(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Unsafe = true })
	py := w.python("import os\ndef handler(e, c): return os.getcwd()", lambda.Function{})
	if got := w.ok(py, `{}`); !strings.Contains(got, "/run/code/") {
		t.Errorf("got %s", got)
	}
	node := w.node("export const handler = async () => process.env.LAMBDA_TASK_ROOT;", lambda.Function{})
	if got := w.ok(node, `{}`); !strings.Contains(got, "/run/code/") {
		t.Errorf("got %s", got)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	good := w.python("def handler(e, c): return 1", lambda.Function{})
	none := w.python("def handler(e, c): return 1", lambda.Function{Reserved: new(0)})
	pending := w.python("def handler(e, c): return 1", lambda.Function{Pending: "Pending"})
	ruby := w.add(files{"app.rb": ""}, lambda.Function{Runtime: "ruby3.3", Handler: "app.handler"})
	empty := w.add(files{"app.py": ""}, lambda.Function{Runtime: "provided.al2", Handler: "x"})
	broken := w.python("def handler(e, c): return 1", lambda.Function{})
	if err := os.WriteFile(w.functions[broken].Code.Location, []byte("not a zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	big := fmt.Appendf(nil, "%q", strings.Repeat("x", 6<<20))
	for _, c := range []struct {
		name string
		in   lambda.Invocation
		want lambda.Kind
	}{
		{"unknown", lambda.Invocation{FunctionARN: good + "x"}, lambda.NotFound},
		{"no JSON", lambda.Invocation{FunctionARN: good, Payload: []byte(`{"a":`)}, lambda.InvalidRequest},
		{"too large", lambda.Invocation{FunctionARN: good, Payload: big}, lambda.TooLarge},
		{"event too large", lambda.Invocation{FunctionARN: good, Type: lambda.Event, Payload: big[:1<<20+10]}, lambda.TooLarge},
		{"no such type", lambda.Invocation{FunctionARN: good, Type: "Later"}, lambda.InvalidValue},
		{"client context", lambda.Invocation{FunctionARN: good, ClientContext: []byte("{")}, lambda.InvalidRequest},
		{"reserve of none", lambda.Invocation{FunctionARN: none}, lambda.TooMany},
		{"pending", lambda.Invocation{FunctionARN: pending}, lambda.Conflict},
		{"runtime", lambda.Invocation{FunctionARN: ruby}, lambda.InvalidRuntime},
		{"no bootstrap", lambda.Invocation{FunctionARN: empty}, lambda.InvalidRuntime},
		{"stored code changed", lambda.Invocation{FunctionARN: broken}, lambda.InvalidZip},
		{"event without a queue", lambda.Invocation{FunctionARN: good, Type: lambda.Event}, lambda.Service},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.Invoke(t.Context(), c.in)
			if e, ok := errors.AsType[*lambda.Error](err); !ok || e.Kind != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	res, err := w.Invoke(t.Context(), lambda.Invocation{FunctionARN: good, Type: lambda.DryRun})
	if err != nil || res.Status != 204 || w.Warm() != 0 {
		t.Errorf("dry run: %+v, %v, %d instances", res, err, w.Warm())
	}
}
