package process

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// The functions that people deploy behind an agent, written here anew after the
// contracts of spec/01 §16, spec/06 §6 and spec/09 §7.1: same events in, same
// answers out.
func TestSampleFunctions(t *testing.T) {
	apiEvent := `{"messageVersion":"1.0","agent":{"name":"A","id":"AGENT12345","alias":"TSTALIASID","version":"DRAFT"},"inputText":"what time is it?","sessionId":"s-1",
		"actionGroup":"current_date_and_time","apiPath":"/get-current-date-and-time","httpMethod":"GET","parameters":[],
		"sessionAttributes":{"userId":"user-001"},"promptSessionAttributes":{}}`
	weatherEvent := `{"messageVersion":"1.0","agent":{"name":"MyWeatherAgent","id":"AGENT123456","alias":"TSTALIASID","version":"2"},"inputText":"서울 날씨","sessionId":"s-1",
		"actionGroup":"WeatherActionGroup","apiPath":"/getWeather","httpMethod":"GET","parameters":[{"name":"city","type":"string","value":"서울"}],
		"requestBody":{"content":{"application/json":{"properties":[]}}},"sessionAttributes":{"userId":"user-001"},"promptSessionAttributes":{}}`
	functionEvent := `{"messageVersion":"1.0","agent":{"name":"A","id":"AGENT12345","alias":"TSTALIASID","version":"DRAFT"},"inputText":"x","sessionId":"s-1",
		"actionGroup":"math","function":"add","parameters":[{"name":"a","type":"number","value":"2"},{"name":"b","type":"number","value":"3"}],
		"sessionAttributes":{},"promptSessionAttributes":{}}`
	parserEvent := `{"messageVersion":"1.0","agent":{"name":"A","id":"AGENT12345","alias":"TSTALIASID","version":"DRAFT"},"invokeModelRawResponse":"<thinking>ok</thinking><category>D</category>","promptType":"PRE_PROCESSING","overrideType":"OUTPUT_PARSER"}`

	for _, c := range []struct {
		name, runtime, file, handler, code, event string
		look                                      func(t *testing.T, answer map[string]any)
	}{
		{
			name: "date and time of the end-to-end scenario", runtime: "python3.11", file: "AmazonBedrockExampleFunction.py", handler: "AmazonBedrockExampleFunction.lambda_handler", event: apiEvent,
			code: `
import datetime, json

def lambda_handler(event, context):
    now = datetime.datetime.now(datetime.timezone.utc)
    body = {"date": now.strftime("%Y-%m-%d"), "time": now.strftime("%H:%M:%S")}
    response = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "httpStatusCode": 200,
                "responseBody": {"application/json": {"body": json.dumps(body)}}}
    return {"messageVersion": "1.0", "response": response, "sessionAttributes": event["sessionAttributes"],
            "promptSessionAttributes": event["promptSessionAttributes"]}
`,
			look: func(t *testing.T, a map[string]any) {
				r := a["response"].(map[string]any)
				body := r["responseBody"].(map[string]any)["application/json"].(map[string]any)["body"].(string)
				var when struct{ Date, Time string }
				if err := json.Unmarshal([]byte(body), &when); err != nil || len(when.Date) != 10 || len(when.Time) != 8 {
					t.Errorf("body %q", body)
				}
				if diff := cmp.Diff(map[string]any{"userId": "user-001"}, a["sessionAttributes"]); diff != "" {
					t.Error(diff)
				}
			},
		},
		{
			name: "handler of the guide, with statusCode", runtime: "python3.8", file: "index.py", handler: "index.lambda_handler", event: apiEvent,
			code: `
def lambda_handler(event, context):
    parts = {"application/json": {"body": "sample response"}}
    answer = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "statusCode": 200, "responseBody": parts}
    return {"messageVersion": "1.0", "response": answer, "sessionAttributes": event["sessionAttributes"], "promptSessionAttributes": event["promptSessionAttributes"]}
`,
			look: func(t *testing.T, a map[string]any) {
				want := map[string]any{"actionGroup": "current_date_and_time", "apiPath": "/get-current-date-and-time", "httpMethod": "GET", "statusCode": 200.0,
					"responseBody": map[string]any{"application/json": map[string]any{"body": "sample response"}}}
				if diff := cmp.Diff(want, a["response"]); diff != "" {
					t.Error(diff)
				}
			},
		},
		{
			name: "weather in Node, Korean text", runtime: "nodejs20.x", file: "index.mjs", handler: "index.handler", event: weatherEvent,
			code: `
export const handler = async (event) => {
  const value = (n) => event.parameters.find((p) => p.name === n)?.value;
  const body = JSON.stringify({ city: value("city"), temperature: 25, condition: "맑음" });
  return { messageVersion: "1.0",
    response: { actionGroup: event.actionGroup, apiPath: event.apiPath, httpMethod: event.httpMethod, httpStatusCode: 200, responseBody: { "application/json": { body } } },
    sessionAttributes: event.sessionAttributes, promptSessionAttributes: event.promptSessionAttributes };
};
`,
			look: func(t *testing.T, a map[string]any) {
				body := a["response"].(map[string]any)["responseBody"].(map[string]any)["application/json"].(map[string]any)["body"]
				if body != `{"city":"서울","temperature":25,"condition":"맑음"}` {
					t.Errorf("body %v", body)
				}
			},
		},
		{
			name: "function schema, with the AWS SDK's absence and /tmp", runtime: "python3.13", file: "app/main.py", handler: "app/main.handle", event: functionEvent,
			code: `
import json, os
def handle(event, context):
    p = {x["name"]: float(x["value"]) for x in event["parameters"]}
    with open("/tmp/last", "w") as f:
        f.write(str(p["a"] + p["b"]))
    total = open("/tmp/last").read()
    return {"messageVersion": "1.0", "response": {"actionGroup": event["actionGroup"], "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": total}}}}}
`,
			look: func(t *testing.T, a map[string]any) {
				want := map[string]any{"actionGroup": "math", "function": "add", "functionResponse": map[string]any{"responseBody": map[string]any{"TEXT": map[string]any{"body": "5.0"}}}}
				if diff := cmp.Diff(want, a["response"]); diff != "" {
					t.Error(diff)
				}
			},
		},
		{
			name: "parser", runtime: "python3.12", file: "parser.py", handler: "parser.lambda_handler", event: parserEvent,
			code: `
import logging, re
logger = logging.getLogger()
logger.setLevel("INFO")
def lambda_handler(event, context):
    logger.info("Lambda input: " + str(event))
    found = re.search(r"<category>(.*?)</category>", event["invokeModelRawResponse"], re.DOTALL)
    return {"promptType": event["promptType"], "preProcessingParsedResponse": {"rationale": "ok", "isValidInput": found.group(1) in ("D", "E")}}
`,
			look: func(t *testing.T, a map[string]any) {
				if a["preProcessingParsedResponse"].(map[string]any)["isValidInput"] != true {
					t.Errorf("answered %v", a)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			arn := w.add(files{c.file: c.code}, lambda.Function{Runtime: c.runtime, Handler: c.handler})
			var a map[string]any
			if err := json.Unmarshal([]byte(w.ok(arn, c.event)), &a); err != nil {
				t.Fatal(err)
			}
			c.look(t, a)
			if !strings.Contains(w.logs.text(), "INIT_START Runtime Version: "+c.runtime+" (host ") {
				t.Errorf("the log does not say what ran: %s", w.logs.text())
			}
		})
	}
}

// /tmp is a function's own and lives as long as its instance.
func TestTheScratchIsAFunctionsOwn(t *testing.T) {
	w := newWorld(t, nil)
	code := `
import os
def handler(event, context):
    seen = sorted(os.listdir("/tmp"))
    open("/tmp/" + event, "w").close()
    try:
        open("/var/task/x", "w")
        return "wrote into the code"
    except OSError:
        return seen
`
	a, b := w.python(code, lambda.Function{}), w.python(code, lambda.Function{})
	if got := w.ok(a, `"one"`) + w.ok(a, `"two"`) + w.ok(b, `"three"`); got != `[]["one"][]` {
		t.Errorf("got %s", got)
	}
}
