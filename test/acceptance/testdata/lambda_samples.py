"""The functions that people deploy behind an agent, made from zips by boto3 and the CLI and called with an agent's events."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from lambda_kit import *

GUIDE = """
def lambda_handler(event, context):
    parts = {"application/json": {"body": "sample response"}}
    answer = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "statusCode": 200, "responseBody": parts}
    return {"messageVersion": "1.0", "response": answer, "sessionAttributes": event["sessionAttributes"],
            "promptSessionAttributes": event["promptSessionAttributes"]}
"""
WEATHER = """
import json

def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    if (event["apiPath"], event["httpMethod"]) == ("/getWeather", "GET"):
        status, body = 200, {"city": given["city"], "temperature": 25, "condition": "맑음"}
    else:
        status, body = 404, {"error": "no such path"}
    return {"messageVersion": "1.0",
            "response": {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "httpStatusCode": status,
                         "responseBody": {"application/json": {"body": json.dumps(body, ensure_ascii=False)}}},
            "sessionAttributes": {"userId": "user-001"}, "promptSessionAttributes": {}}
"""
JAVASCRIPT = """
exports.handler = async (event) => {
  const { actionGroup, apiPath, httpMethod } = event;
  const claim = event.parameters.find((p) => p.name === "claimId")?.value;
  const wanted = event.requestBody?.content?.["application/json"]?.properties ?? [];
  console.log("claim", claim);
  const body = JSON.stringify({ claimId: claim, pendingDocuments: wanted.map((p) => p.value) });
  return { messageVersion: "1.0", response: { actionGroup, apiPath, httpMethod, httpStatusCode: 200, responseBody: { "application/json": { body } } },
    sessionAttributes: { ...event.sessionAttributes, lastClaim: claim }, promptSessionAttributes: event.promptSessionAttributes };
};
"""


def event(group, path, verb, parameters=(), properties=None, attributes=None):
    """What an agent sends: every value a string, the attributes always there, a body only where the operation has one."""
    e = {"messageVersion": "1.0", "agent": {"name": "insurance", "id": "AGENT12345", "alias": "TSTALIASID", "version": "DRAFT"}, "inputText": "무엇이 빠졌나요?",
         "sessionId": "s-1", "actionGroup": group, "apiPath": path, "httpMethod": verb, "parameters": [{"name": n, "type": "string", "value": v} for n, v in parameters],
         "sessionAttributes": attributes or {}, "promptSessionAttributes": {}}
    if properties is not None:
        e["requestBody"] = {"content": {"application/json": {"properties": [{"name": n, "type": "string", "value": v} for n, v in properties]}}}
    return e


def by_cli(name, file, source, runtime, handler):
    """The same through `aws lambda`, from a zip on disk."""
    with tempfile.TemporaryDirectory() as d:
        (pathlib.Path(d) / "f.zip").write_bytes(package(source, file))
        aws = os.path.join(os.path.dirname(sys.executable), "aws")
        run = lambda *a: subprocess.run([aws, *a], cwd=d, check=True, capture_output=True, text=True).stdout
        made = json.loads(run("lambda", "create-function", "--function-name", name, "--runtime", runtime, "--handler", handler, "--role", role(), "--zip-file", "fileb://f.zip", "--timeout", "30"))
        assert made["State"] == "Pending", made
        run("lambda", "wait", "function-active-v2", "--function-name", name)

        def call(e):
            (pathlib.Path(d) / "event.json").write_text(json.dumps(e))
            said = json.loads(run("lambda", "invoke", "--function-name", name, "--payload", "file://event.json", "answer.json"))
            assert said["StatusCode"] == 200 and "FunctionError" not in said, said
            return json.loads((pathlib.Path(d) / "answer.json").read_text())

        yield call


def by_boto(name, file, source, runtime, handler):
    create(name, source, runtime, file, handler)
    yield lambda e: invoke(name, e)[1]


for way in (by_boto, by_cli):
    suffix = way.__name__
    for call in way("guide-" + suffix, "insurance.py", GUIDE, "python3.8", "insurance.lambda_handler"):
        a = call(event("ClaimManagementActionGroup", "/claims/{claimId}/identify-missing-documents", "GET", [("claimId", "claim-857")], attributes={"userId": "u"}))
        assert a == {"messageVersion": "1.0", "sessionAttributes": {"userId": "u"}, "promptSessionAttributes": {}, "response": {
            "actionGroup": "ClaimManagementActionGroup", "apiPath": "/claims/{claimId}/identify-missing-documents", "httpMethod": "GET", "statusCode": 200,
            "responseBody": {"application/json": {"body": "sample response"}}}}, a
    for call in way("weather-" + suffix, "weather.py", WEATHER, "python3.11", "weather.lambda_handler"):
        a = call(event("WeatherActionGroup", "/getWeather", "GET", [("city", "서울")]))
        r = a["response"]
        assert r["httpStatusCode"] == 200 and json.loads(r["responseBody"]["application/json"]["body"]) == {"city": "서울", "temperature": 25, "condition": "맑음"}, a
        assert a["sessionAttributes"] == {"userId": "user-001"}
        assert call(event("WeatherActionGroup", "/getTime", "GET"))["response"]["httpStatusCode"] == 404
    for call in way("javascript-" + suffix, "index.js", JAVASCRIPT, "nodejs20.x", "index.handler"):
        a = call(event("Claims", "/send-reminders", "POST", [("claimId", "claim-006")], [("pendingDocuments", "운전면허증"), ("pendingDocuments", "VehicleRegistration")], {"userId": "u"}))
        assert json.loads(a["response"]["responseBody"]["application/json"]["body"]) == {"claimId": "claim-006", "pendingDocuments": ["운전면허증", "VehicleRegistration"]}, a
        assert a["sessionAttributes"] == {"userId": "u", "lastClaim": "claim-006"} and a["response"]["httpMethod"] == "POST", a
until("the JavaScript one logs", lambda: any("\tINFO\tclaim claim-006" in m for m in log("javascript-by_cli")))
print("done")
