package process

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

const echoPython = `
import os
def handler(event, context):
    print("seen", event)
    return {"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
            "version": context.function_version, "memory": context.memory_limit_in_mb, "group": context.log_group_name,
            "left": 0 < context.get_remaining_time_in_millis() <= 30000, "env": os.environ.get("GREETING"), "uid": os.getuid(),
            "cwd": os.getcwd(), "client": context.client_context and context.client_context.custom}
`

const echoNode = `
export const handler = async (event, context) => {
  console.log("seen", JSON.stringify(event));
  return { event, id: context.awsRequestId, arn: context.invokedFunctionArn, name: context.functionName, version: context.functionVersion,
    memory: context.memoryLimitInMB, group: context.logGroupName, left: context.getRemainingTimeInMillis() > 0, env: process.env.GREETING,
    uid: process.getuid(), cwd: process.cwd(), client: context.clientContext?.custom ?? null };
};
`

func TestAFunctionSeesItsEventAndContext(t *testing.T) {
	w := newWorld(t, nil)
	f := lambda.Function{Environment: map[string]string{"GREETING": "grüß dich", "AWS_LAMBDA_FUNCTION_NAME": "forged"}, MemoryMB: 256, Name: ""}
	for _, c := range []struct{ name, arn string }{
		{"python", w.python(echoPython, f)}, {"node", w.node(echoNode, f)},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := w.Invoke(t.Context(), lambda.Invocation{
				FunctionARN: c.arn + ":$LATEST", Payload: []byte(`{"a":[1,"ü"]}`), LogTail: true, RequestID: "11111111-2222-4333-8444-555555555555",
				ClientContext: []byte("{\n\"custom\": {\"k\": \"v\"}}"),
			})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(res.Payload, &got); err != nil {
				t.Fatalf("%s: %v", res.Payload, err)
			}
			name := c.arn[strings.LastIndexByte(c.arn, ':')+1:]
			for k, want := range map[string]any{
				"id": "11111111-2222-4333-8444-555555555555", "arn": c.arn + ":$LATEST", "name": name, "version": "$LATEST", "memory": "256",
				"group": "/aws/lambda/" + name, "left": true, "env": "grüß dich", "uid": 993.0, "cwd": "/var/task",
			} {
				if got[k] != want {
					t.Errorf("%s is %v, want %v", k, got[k], want)
				}
			}
			if b, _ := json.Marshal(got["event"]); string(b) != `{"a":[1,"ü"]}` {
				t.Errorf("event arrived as %s", b)
			}
			if b, _ := json.Marshal(got["client"]); string(b) != `{"k":"v"}` {
				t.Errorf("client context arrived as %s", b)
			}
			if res.Status != 200 || res.Version != "$LATEST" || res.Init <= 0 || res.Billed < res.Duration || res.MaxMemoryMB < 1 {
				t.Errorf("result %+v", res)
			}
			id := regexp.QuoteMeta(res.RequestID)
			want := regexp.MustCompile(`(?s)^START RequestId: ` + id + ` Version: \$LATEST\n.*seen.*\nEND RequestId: ` + id + `\nREPORT RequestId: ` + id +
				`\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t\n$`)
			if !want.Match(res.LogTail) {
				t.Errorf("log tail:\n%s", res.LogTail)
			}
			again := w.call(c.arn, `{}`)
			if again.Init != 0 || strings.Contains(string(again.LogTail), "Init Duration") {
				t.Errorf("the second call was cold: %s", again.LogTail)
			}
		})
	}
}

func TestAGoBootstrap(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.add(files{"bootstrap*": self(t)}, lambda.Function{Runtime: "provided.al2023", Handler: "go.test", MemoryMB: 256, Timeout: 20 * time.Second})
	got := w.ok(arn, `{"Do":"echo","Echo":{"x":1}}`)
	if !strings.Contains(got, `"echo":{"x":1}`) || !strings.Contains(got, `"left":true`) || !strings.Contains(got, arn) {
		t.Errorf("got %s", got)
	}
	res := w.call(arn, `{"Do":"fail"}`)
	if f, _ := res.Failure(); f.Message != "go says no" || f.Type != "errorString" {
		t.Errorf("error arrived as %s", res.Payload)
	}
	res = w.call(arn, `{"Do":"panic"}`)
	if f, _ := res.Failure(); f.Message != "go gives up" || f.Type != "string" {
		t.Errorf("panic arrived as %s", res.Payload)
	}
	res = w.call(arn, `{"Do":"exit"}`)
	if f, _ := res.Failure(); f.Type != "Runtime.ExitError" || !strings.HasSuffix(f.Message, "Error: Runtime exited with error: exit status 7") {
		t.Errorf("exit arrived as %s", res.Payload)
	}
	w.ok(arn, `{"Do":"echo"}`)
}

func TestNodeHandlersOfEveryKind(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name, file, code, handler, want string
	}{
		{"module, async", "app.mjs", `export const handler = async (e) => e.n + 1;`, "app.handler", "2"},
		{"commonjs, async", "app.js", `exports.handler = async (e) => e.n + 1;`, "app.handler", "2"},
		{"commonjs, callback", "app.js", `exports.handler = (e, c, cb) => setTimeout(() => cb(null, e.n + 2), 5);`, "app.handler", "3"},
		{"callback waits for the loop", "app.js", `exports.handler = (e, c, cb) => { const r = []; setTimeout(() => r.push("late"), 20); cb(null, r); };`, "app.handler", `["late"]`},
		{"callback that does not wait", "app.js", `exports.handler = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; const r = []; setTimeout(() => r.push("late"), 20); cb(null, r); };`, "app.handler", `[]`},
		{"nothing at all", "app.js", `exports.handler = () => { setTimeout(() => {}, 5); };`, "app.handler", "null"},
		{"context.succeed", "app.js", `exports.handler = (e, c) => c.succeed("yes");`, "app.handler", `"yes"`},
		{"in a folder, nested", "src/app.cjs", `exports.a = { b: async () => "deep" };`, "src/app.a.b", `"deep"`},
		{"default export object", "app.mjs", `export default { handler: async () => "d" };`, "app.handler", `"d"`},
		{"undefined", "app.mjs", `export const handler = async () => {};`, "app.handler", "null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			arn := w.add(files{c.file: c.code}, lambda.Function{Runtime: "nodejs22.x", Handler: c.handler, MemoryMB: 256})
			for range 2 {
				if got := w.ok(arn, `{"n":1}`); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestPythonLogging(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python(`
import logging, sys
log = logging.getLogger()
log.setLevel(logging.INFO)
def handler(event, context):
    log.info("two\nlines")
    print("plain")
    print("to stderr", file=sys.stderr)
    sys.stdout.write("no end")
    return None
`, lambda.Function{})
	res := w.call(arn, `{}`)
	id := regexp.QuoteMeta(res.RequestID)
	want := regexp.MustCompile(`\n\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t` + id + `\ttwo\nlines\nplain\nto stderr\nno end\nEND RequestId`)
	if !want.Match(res.LogTail) {
		t.Errorf("log tail:\n%s", res.LogTail)
	}
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	found := false
	for _, l := range w.logs.lines {
		found = found || strings.HasSuffix(l, "two\nlines")
	}
	if !found {
		t.Errorf("the record of two lines is not one event: %q", w.logs.lines)
	}
	stream := regexp.MustCompile(`^/aws/lambda/f\d+ \d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`)
	for where := range w.logs.where {
		if !stream.MatchString(where) {
			t.Errorf("logged to %q", where)
		}
	}
}

// Lambda's tail is its last 4 KB.
func TestTheTailIsCut(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.python("def handler(e, c):\n    for i in range(3000): print('line', i)\n", lambda.Function{})
	res := w.call(arn, `{}`)
	if len(res.LogTail) != lambda.MaxLogTail || !strings.Contains(string(res.LogTail), "line 2999\nEND") {
		t.Errorf("%d bytes: %.200s", len(res.LogTail), res.LogTail)
	}
	if n := strings.Count(w.logs.text(), "line "); n != 3000 {
		t.Errorf("the log has %d lines of 3000", n)
	}
}
