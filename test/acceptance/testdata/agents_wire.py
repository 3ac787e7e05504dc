"""What clients of agents rely on, beside the walk-throughs: states and tokens, pieces of
text, connections, functions' events and answers, limits, routes, Regions; ends with "done"."""

import sys

import botocore.config
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from agents_kit import *

FIRST = "You are the first instruction, and you follow it in everything."
KOREAN = "오늘은 날씨가 참 좋습니다. 산책을 하시겠어요? 🌤️ 한강을 따라 걷다 보면 바람이 시원하고 하늘이 맑아서 마음까지 가벼워집니다. 저녁에는 조금 쌀쌀해질 수 있으니 겉옷을 챙기시고, 돌아오는 길에는 따뜻한 차 한 잔도 잊지 마세요. 즐거운 하루 되세요! 👋"
GUIDE = '''
def lambda_handler(event, context):
    parts = {"application/json": {"body": "sample response"}}
    answer = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "statusCode": 200, "responseBody": parts}
    return {"messageVersion": "1.0", "response": answer, "sessionAttributes": event["sessionAttributes"],
            "promptSessionAttributes": event["promptSessionAttributes"]}
'''
ECHO = '''
import json
def lambda_handler(event, context):
    form = event["sessionAttributes"].get("form", "event")
    body = {"event": json.dumps(event), "object": {"ok": 1}}.get(form, json.dumps({"ok": form}))
    r = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "responseBody": {"application/json": {"body": body}}}
    r["statusCode" if form == "statusCode" else "httpStatusCode"] = 200
    if form == "path":
        r["apiPath"] = "/other"
    if form == "raise":
        raise RuntimeError("no")
    return {"messageVersion": "1.0", "response": r, "sessionAttributes": {"kept": "yes"}, "promptSessionAttributes": {"gone": "next time"}}
'''


def schema(operation, verb, about):
    return json.dumps({"openapi": "3.0.0", "info": {"title": operation, "version": "1"}, "paths": {"/" + operation: {verb: dict(
        about, operationId=operation, description=operation, responses={"200": {"description": "an answer"}})}}})


mine, other = role("AmazonBedrockExecutionRoleForAgents_wire"), role("for-functions", "lambda.amazonaws.com", ())

# --- creation and update: instants and the token
token = "t" * 33
made = build.create_agent(agentName="wire", foundationModel=CLAUDE, instruction=FIRST, agentResourceRoleArn=mine, clientToken=token)["agent"]
id = made["agentId"]
assert made["createdAt"] == made["updatedAt"] and made["createdAt"].tzinfo and "clientToken" not in made, made
assert not {"description", "preparedAt"} & set(made), made
assert settle(id, "NOT_PREPARED")[0] in ("CREATING", "NOT_PREPARED")
up = build.update_agent(agentId=id, agentName="wire", foundationModel=CLAUDE, instruction=FIRST, agentResourceRoleArn=mine)["agent"]
assert up["clientToken"] == token and up["createdAt"] == made["createdAt"] and up["updatedAt"] > made["updatedAt"] and up["agentStatus"] == "UPDATING", up
assert build.get_agent(agentId=id)["agent"]["clientToken"] == token
settle(id, "NOT_PREPARED")

# --- instructions: too short is the client's to say, too long the server's
try:
    build.create_agent(agentName="short", instruction="x" * 39)
    raise AssertionError("the client lets 39 characters through")
except botocore.exceptions.ParamValidationError:
    pass
r = refused("ValidationException", "instruction", build.create_agent, agentName="long", instruction="x" * 4001)
assert r["ResponseMetadata"]["HTTPStatusCode"] == 400
assert len(build.create_agent(agentName="longest", instruction="x" * 4000)["agent"]["instruction"]) == 4000

# --- functions: the guide's handler, an echo of the event, what may not be answered
group = dict(agentId=id, agentVersion="DRAFT")
place = {"name": "place", "in": "query", "description": "where", "required": True, "schema": {"type": "string"}}
body = {"required": True, "content": {"application/json": {"schema": {"type": "object", "required": ["days"], "properties": {"days": {"type": "integer", "description": "how many"}}}}}}
build.create_agent_action_group(actionGroupName="guide", actionGroupExecutor={"lambda": function("guide", GUIDE, other)},
                                apiSchema={"payload": schema("look", "get", {"parameters": [place]})}, **group)
build.create_agent_action_group(actionGroupName="echo", actionGroupExecutor={"lambda": function("echo", ECHO, other)},
                                apiSchema={"payload": schema("tell", "post", {"parameters": [place], "requestBody": body})}, **group)
prepare(id)
test = (id, "TSTALIASID")
assert Turn(*test, "g1", "the guide").answer == "The guide says: sample response"
said = json.loads(Turn(*test, "e1", "echo this", sessionState={"promptSessionAttributes": {"p": "1"}}).answer)
assert said == {
    "messageVersion": "1.0", "agent": {"name": "wire", "id": id, "alias": "TSTALIASID", "version": "DRAFT"}, "inputText": "echo this", "sessionId": "e1",
    "actionGroup": "echo", "apiPath": "/tell", "httpMethod": "POST", "parameters": [{"name": "place", "type": "string", "value": "서울"}],
    "requestBody": {"content": {"application/json": {"properties": [{"name": "days", "type": "integer", "value": "3"}]}}},
    "sessionAttributes": {}, "promptSessionAttributes": {"p": "1"}}, said
said = json.loads(Turn(*test, "e1", "echo again").answer)  # the session's stay, the prompt's are gone
assert said["sessionAttributes"] == {"kept": "yes"} and said["promptSessionAttributes"] == {}, said
for form in ("statusCode", "httpStatusCode"):
    assert Turn(*test, "f-" + form, "echo", sessionState={"sessionAttributes": {"form": form}}).answer == 'Done: {"ok": "%s"}' % form
for form, text in {"object": "error processing the Lambda response", "raise": "error processing the Lambda response", "path": "APIPath in Lambda response doesn't match input"}.items():
    broken("dependencyFailedException", text, *test, "f-" + form, "echo", sessionState={"sessionAttributes": {"form": form}})

# --- the final answer in pieces, each of them text
t = Turn(*test, "k1", "한국어로", streamingConfigurations={"streamFinalResponse": True})
pieces = [p.decode("utf-8") for p in t.pieces]
assert len(pieces) > 3 and "".join(pieces) == KOREAN, pieces
assert len(Turn(*test, "k2", "한국어로").pieces) == 1

# --- the stream ends by itself, and its connection serves the next call
pools = run._endpoint.http_session._manager.pools
count = lambda: sum(pools[k].num_connections for k in pools.keys())
before = count()  # more than one: streams that ended with an exception were left as they were
for n in range(3):
    assert Turn(*test, "again", f"call {n}").answer == f"You said: call {n}"
assert count() == before, (before, count())

# --- aliases: ten beside the test alias
alias(id, "a0")
for n in range(1, 10):
    build.create_agent_alias(agentId=id, agentAliasName=f"a{n}", routingConfiguration=[{"agentVersion": "1"}])
r = refused("ServiceQuotaExceededException", "10", build.create_agent_alias, agentId=id, agentAliasName="a10", routingConfiguration=[{"agentVersion": "1"}])
assert r["ResponseMetadata"]["HTTPStatusCode"] == 402, r
assert len([a for p in build.get_paginator("list_agent_aliases").paginate(agentId=id) for a in p["agentAliasSummaries"]]) == 11
build.delete_agent_alias(agentId=id, agentAliasId=next(a["agentAliasId"] for a in build.list_agent_aliases(agentId=id)["agentAliasSummaries"] if a["agentAliasName"] == "a9"))
build.create_agent_alias(agentId=id, agentAliasName="a10", routingConfiguration=[{"agentVersion": "1"}])

# --- one slash tells a preparation from an inline agent, on one port
session = boto3.Session()


def post(path, body):
    r = AWSRequest("POST", run.meta.endpoint_url + path, data=body, headers={"Content-Type": "application/json"} if body else {})
    SigV4Auth(session.get_credentials(), "bedrock", session.region_name).add_auth(r)
    out = URLLib3Session().send(r.prepare())
    return out.status_code, out.headers.get("x-amzn-ErrorType", ""), out.content


status, kind, content = post("/agents/XXXXXXXXXX/", b"")
assert (status, kind) == (404, "ResourceNotFoundException"), (status, kind, content)
status, kind, content = post("/agents/some-session", b"{}")
assert (status, kind) == (400, "ValidationException") and b"foundationModel" in content, (status, kind, content)
status, _, content = post("/agents/XXXXXXXXXX", json.dumps({"foundationModel": CLAUDE, "instruction": FIRST, "inputText": "inline"}).encode())
assert status == 200 and b"chunk" in content, (status, content)
status, _, content = post(f"/agents/{id}/", b"")
assert status == 202 and json.loads(content)["agentStatus"] == "PREPARING", (status, content)
settle(id, "PREPARED")

# --- an agent lives in its Region
east, far = boto3.client("bedrock-agent", region_name="us-east-1"), boto3.client("bedrock-agent", region_name="ap-northeast-1")
there = agent("far", mine, FIRST, client=far)
assert there["agentArn"].split(":")[3] == "ap-northeast-1", there
assert far.get_agent(agentId=there["agentId"])["agent"]["agentName"] == "far"
assert [a["agentName"] for a in far.list_agents()["agentSummaries"]] == ["far"]
assert "far" not in [a["agentName"] for a in east.list_agents()["agentSummaries"]]
refused("ResourceNotFoundException", "", east.get_agent, agentId=there["agentId"])
refused("ResourceNotFoundException", "", east.prepare_agent, agentId=there["agentId"])
prepare(there["agentId"], far)
refused("ResourceNotFoundException", "Failed to retrieve resource", run.invoke_agent, agentId=there["agentId"], agentAliasId="TSTALIASID", sessionId="s-1", inputText="hi")
print("done")
