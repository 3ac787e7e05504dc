"""An unchanged boto3 program that builds agents and invokes them; it ends with "done"."""

import io
import json
import sys
import time
import zipfile

import boto3
import botocore.config
from botocore.exceptions import ClientError, EventStreamError

iam, lam, s3, build, run = (boto3.client(n) for n in ("iam", "lambda", "s3", "bedrock-agent", "bedrock-agent-runtime"))
raw = boto3.client("bedrock-agent", config=botocore.config.Config(parameter_validation=False))
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
SCHEMA = open(sys.argv[1]).read()


def refused(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code and text in e.response["Error"]["Message"], e
        return e
    raise AssertionError(f"{kw} is not refused")


def role(name, service, actions):
    doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(doc))["Role"]["Arn"]
    if actions:
        p = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(p))
    return arn


def agent_status(id, want):
    for _ in range(200):
        s = build.get_agent(agentId=id)["agent"]["agentStatus"]
        if s == want:
            return
        assert s not in ("FAILED",) or want == "FAILED", build.get_agent(agentId=id)["agent"]
        time.sleep(0.05)
    raise AssertionError(f"{id} is {s}, not {want}")


def alias_status(id, alias, want):
    for _ in range(200):
        a = build.get_agent_alias(agentId=id, agentAliasId=alias)["agentAlias"]
        if a["agentAliasStatus"] == want:
            return a
        time.sleep(0.05)
    raise AssertionError(f"{alias} is {a}, not {want}")


def ask(id, alias, session, text=None, trace=False, **kw):
    if text is not None:
        kw["inputText"] = text
    answer, traces, control = "", [], None
    for e in run.invoke_agent(agentId=id, agentAliasId=alias, sessionId=session, enableTrace=trace, **kw)["completion"]:
        if "chunk" in e:
            answer += e["chunk"]["bytes"].decode()
        elif "trace" in e:
            assert not answer, "a trace after the answer"
            traces.append(e["trace"])
        elif "returnControl" in e:
            control = e["returnControl"]
        else:
            raise AssertionError(e)
    if not trace:
        assert not traces
    return answer, traces, control


mine = role("AmazonBedrockExecutionRoleForAgents_a", "bedrock.amazonaws.com", ["bedrock:InvokeModel*", "s3:GetObject"])
other = role("for-functions", "lambda.amazonaws.com", None)
say = "You are the first instruction, and you follow it in everything."

# --- an agent, its states, its refusals
made = build.create_agent(agentName="first-agent", foundationModel=CLAUDE, instruction=say, agentResourceRoleArn=mine, description="kept?",
                          clientToken="c" * 36, tags={"team": "blue"})
agent = made["agent"]
assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
id = agent["agentId"]
assert len(id) == 10 and agent["agentStatus"] == "CREATING" and agent["idleSessionTTLInSeconds"] == 600, agent
assert agent["agentCollaboration"] == "DISABLED" and agent["orchestrationType"] == "DEFAULT" and agent["agentArn"].endswith("agent/" + id)
agent_status(id, "NOT_PREPARED")
again = build.create_agent(agentName="first-agent", foundationModel=CLAUDE, instruction=say, agentResourceRoleArn=mine, description="kept?",
                           clientToken="c" * 36, tags={"team": "blue"})
assert again["agent"]["agentId"] == id and len(build.list_agents()["agentSummaries"]) == 1
refused("ConflictException", "token", build.create_agent, agentName="other", clientToken="c" * 36)
e = refused("ValidationException", "agentName", build.create_agent, agentName="bad name!")
assert e.response.get("fieldList"), e.response
refused("ValidationException", "instruction", raw.create_agent, agentName="short", instruction="x" * 39)
refused("ValidationException", "cannot assume the role", build.create_agent, agentName="wrong-role", agentResourceRoleArn=other)
refused("ValidationException", "Guardrails are not built", build.create_agent, agentName="guarded", guardrailConfiguration={"guardrailIdentifier": "abcdefgh", "guardrailVersion": "1"})
twin = build.create_agent(agentName="first-agent")["agent"]["agentId"]
agent_status(twin, "FAILED")
assert "same name already exists" in build.get_agent(agentId=twin)["agent"]["failureReasons"][0]
build.delete_agent(agentId=twin)
prompts = build.get_agent(agentId=id)["agent"]["promptOverrideConfiguration"]["promptConfigurations"]
assert {"PRE_PROCESSING", "ORCHESTRATION", "KNOWLEDGE_BASE_RESPONSE_GENERATION", "POST_PROCESSING"} <= {p["promptType"] for p in prompts}

# --- prepare, and what needs it
refused("ValidationException", "not prepared", run.invoke_agent, agentId=id, agentAliasId="TSTALIASID", sessionId="s1", inputText="hi")
refused("ValidationException", "Not Prepared state", build.create_agent_alias, agentId=id, agentAliasName="early")
p = build.prepare_agent(agentId=id)
assert p["agentStatus"] == "PREPARING" and p["agentVersion"] == "DRAFT" and p["preparedAt"]
refused("ValidationException", "operation can't be performed on Agent when it is in Preparing state.", build.prepare_agent, agentId=id)
agent_status(id, "PREPARED")
assert ask(id, "TSTALIASID", "s1", "who are you")[0] == "I follow the first instruction."
assert ask(id, "TSTALIASID", "a:b.c_d-e", "안녕")[0] == "안녕하세요 🎉"
refused("ValidationException", "sessionId", run.invoke_agent, agentId=id, agentAliasId="TSTALIASID", sessionId="a b", inputText="hi")
refused("ResourceNotFoundException", "Failed to retrieve resource because it doesn't exist", run.invoke_agent, agentId=id, agentAliasId="ABCDEFGHIJ", sessionId="s1", inputText="hi")
assert ask(id, "TSTALIASID", "s1", endSession=True)[0] == "Session is terminated as 'endSession' flag is set in request."

# --- aliases and versions
al = build.create_agent_alias(agentId=id, agentAliasName="live", description="d")["agentAlias"]
assert al["agentAliasStatus"] == "CREATING" and al["routingConfiguration"] == [{}], al
one = al["agentAliasId"]
assert alias_status(id, one, "PREPARED")["routingConfiguration"] == [{"agentVersion": "1"}]
agent_status(id, "PREPARED")
before = build.get_agent(agentId=id)["agent"]
up = build.update_agent(agentId=id, agentName="first-agent", foundationModel=CLAUDE, agentResourceRoleArn=mine,
                        instruction="You are the second instruction, and you follow it in everything.")["agent"]
assert up["agentStatus"] == "UPDATING" and "description" not in up and up["createdAt"] == before["createdAt"] and up["updatedAt"] > before["updatedAt"]
agent_status(id, "PREPARED")
assert ask(id, one, "s2", "who")[0] == "I follow the first instruction."
assert ask(id, "TSTALIASID", "s2", "who")[0] == "I follow the first instruction."
two = build.create_agent_alias(agentId=id, agentAliasName="next")["agentAlias"]["agentAliasId"]
assert alias_status(id, two, "PREPARED")["routingConfiguration"] == [{"agentVersion": "2"}]
agent_status(id, "PREPARED")
assert ask(id, two, "s2", "who")[0] == "I follow the second instruction."
assert ask(id, "TSTALIASID", "s3", "who")[0] == "I follow the second instruction."
same = build.create_agent_alias(agentId=id, agentAliasName="pinned", routingConfiguration=[{"agentVersion": "1"}])["agentAlias"]["agentAliasId"]
alias_status(id, same, "PREPARED")
assert [v["agentVersion"] for v in build.list_agent_versions(agentId=id)["agentVersionSummaries"]] == ["2", "1", "DRAFT"]
assert build.get_agent_version(agentId=id, agentVersion="1")["agentVersion"]["instruction"] == say
refused("ResourceNotFoundException", "no version 9", build.create_agent_alias, agentId=id, agentAliasName="none", routingConfiguration=[{"agentVersion": "9"}])
build.update_agent_alias(agentId=id, agentAliasId=two, agentAliasName="next", routingConfiguration=[{"agentVersion": "1"}])
back = alias_status(id, two, "PREPARED")
assert [h["routingConfiguration"][0]["agentVersion"] for h in back["agentAliasHistoryEvents"]] == ["2", "1"], back
assert ask(id, two, "s4", "who")[0] == "I follow the first instruction."
build.update_agent_alias(agentId=id, agentAliasId=two, agentAliasName="next", routingConfiguration=[{"agentVersion": "1"}], aliasInvocationState="REJECT_INVOCATIONS")
alias_status(id, two, "PREPARED")
refused("ValidationException", "Alias is paused", run.invoke_agent, agentId=id, agentAliasId=two, sessionId="s5", inputText="hi")
build.update_agent_alias(agentId=id, agentAliasId=two, agentAliasName="next", routingConfiguration=[{"agentVersion": "1"}], aliasInvocationState="ACCEPT_INVOCATIONS")
alias_status(id, two, "PREPARED")
ask(id, two, "s5", "hi")
refused("ConflictException", "Version 1", build.delete_agent_version, agentId=id, agentVersion="1")
build.delete_agent_version(agentId=id, agentVersion="2")
assert {a["agentAliasId"] for a in build.list_agent_aliases(agentId=id)["agentAliasSummaries"]} == {"TSTALIASID", one, two, same}

# --- tags
arn, aarn = agent["agentArn"], al["agentAliasArn"]
assert build.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue"}
build.tag_resource(resourceArn=aarn, tags={"a": "1", "b": ""})
build.untag_resource(resourceArn=aarn, tagKeys=["a"])
assert build.list_tags_for_resource(resourceArn=aarn)["tags"] == {"b": ""}
refused("ResourceNotFoundException", "", build.list_tags_for_resource, resourceArn=arn[:-3] + "ABC")

# --- lists
ids = []
for n in range(23):
    ids.append(build.create_agent(agentName=f"many-{n}")["agent"]["agentId"])
sizes, token = [], None
while True:
    page = build.list_agents(maxResults=10, **({"nextToken": token} if token else {}))
    sizes.append(len(page["agentSummaries"]))
    token = page.get("nextToken")
    if not token:
        break
assert sizes == [10, 10, 4], sizes
assert len([a for p in build.get_paginator("list_agents").paginate() for a in p["agentSummaries"]]) == 24
time.sleep(0.3)
for i in ids:
    build.delete_agent(agentId=i)

# --- action groups: refusals
group = dict(agentId=id, agentVersion="DRAFT")
for broken, text in [
    ('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}}', "paths"),
    ('{"openapi": "2.0", "info": {"title": "x", "version": "1"}, "paths": {}}', "openapi"),
    ('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"post": {"description": "d", "operationId": "o"}}}}', "responses"),
    ('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {"x": {"get": {"description": "d", "operationId": "o", "responses": {}}}}}', "x"),
]:
    refused("ValidationException", text, build.create_agent_action_group, actionGroupName="broken", actionGroupExecutor={"customControl": "RETURN_CONTROL"}, apiSchema={"payload": broken}, **group)
refused("ValidationException", "Try providing either apiSchema or functionSchema", build.create_agent_action_group, actionGroupName="empty", **group)
refused("ValidationException", "description", build.create_agent_action_group, actionGroupName="asks", description="no", parentActionGroupSignature="AMAZON.UserInput", **group)
asks = build.create_agent_action_group(actionGroupName="asks", parentActionGroupSignature="AMAZON.UserInput", **group)["agentActionGroup"]
assert asks["parentActionSignature"] == "AMAZON.UserInput", asks
refused("ConflictException", "enabled", build.delete_agent_action_group, actionGroupId=asks["actionGroupId"], **group)
build.update_agent_action_group(actionGroupId=asks["actionGroupId"], actionGroupName="asks", parentActionGroupSignature="AMAZON.UserInput", actionGroupState="DISABLED", **group)
build.delete_agent_action_group(actionGroupId=asks["actionGroupId"], **group)

# --- a function in Lambda, the schema in S3
CODE = '''
import json
def handler(event, context):
    assert event["messageVersion"] == "1.0" and event["sessionId"] and event["agent"]["name"] == "first-agent"
    assert event["sessionAttributes"] is not None and event["promptSessionAttributes"] is not None
    if event["httpMethod"] == "GET":
        assert event["apiPath"] == "/claims/{claimId}/identify-missing-documents" and event["parameters"] == [{"name": "claimId", "type": "string", "value": "claim-77"}], event
        body = {"pendingDocuments": "PoliceReport"}
    else:
        got = {p["name"]: p["value"] for p in event["requestBody"]["content"]["application/json"]["properties"]}
        assert got == {"claimId": "claim-77", "pendingDocuments": "PoliceReport"}, event
        body = {"sendReminderTrackingId": "track-1", "seen": event["sessionAttributes"]}
    return {"messageVersion": "1.0", "response": {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"],
            "httpStatusCode": 200, "responseBody": {"application/json": {"body": json.dumps(body)}}},
            "sessionAttributes": dict(event["sessionAttributes"], seen=event["httpMethod"]), "promptSessionAttributes": event["promptSessionAttributes"]}
'''
z = io.BytesIO()
with zipfile.ZipFile(z, "w") as f:
    f.writestr("app.py", CODE)
fn = lam.create_function(FunctionName="claims", Runtime="python3.12", Handler="app.handler", Code={"ZipFile": z.getvalue()}, Role=other, Timeout=20)["FunctionArn"]
lam.get_waiter("function_active_v2").wait(FunctionName="claims")
s3.create_bucket(Bucket="schemas")
s3.put_object(Bucket="schemas", Key="claims.yaml", Body=SCHEMA.encode())
g = build.create_agent_action_group(actionGroupName="claims", description="claims", actionGroupExecutor={"lambda": fn}, apiSchema={"s3": {"s3BucketName": "schemas", "s3ObjectKey": "claims.yaml"}}, **group)["agentActionGroup"]
assert g["actionGroupState"] == "ENABLED" and g["apiSchema"]["s3"]["s3ObjectKey"] == "claims.yaml"
refused("ConflictException", "claims", build.create_agent_action_group, actionGroupName="claims", actionGroupExecutor={"lambda": fn}, apiSchema={"payload": SCHEMA}, **group)
build.prepare_agent(agentId=id)
agent_status(id, "PREPARED")
fresh = build.get_agent(agentId=id)["agent"]
assert fresh["preparedAt"] >= max(fresh["updatedAt"], build.get_agent_action_group(actionGroupId=g["actionGroupId"], **group)["agentActionGroup"]["updatedAt"])

# Bedrock may not call the function yet
try:
    ask(id, "TSTALIASID", "f1", "what is missing for claim-77", trace=True)
    raise AssertionError("the function's policy does not let Bedrock in")
except EventStreamError as e:
    assert "ccess" in str(e), e
lam.add_permission(FunctionName="claims", StatementId="b", Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com", SourceArn=arn)
answer, traces, _ = ask(id, "TSTALIASID", "f2", "what is missing for claim-77", trace=True, sessionState={"sessionAttributes": {"k": "v"}, "promptSessionAttributes": {"tz": "CET"}})
assert answer == "Still missing: PoliceReport.", answer
kinds = []
for t in traces:
    assert t["agentId"] == id and t["agentAliasId"] == "TSTALIASID" and t["sessionId"] == "f2"
    (member, o), = t["trace"].items()
    assert member == "orchestrationTrace", member
    (kind, v), = o.items()
    kinds.append(kind)
    if kind == "invocationInput":
        a = v["actionGroupInvocationInput"]
        assert a["apiPath"] == "/claims/{claimId}/identify-missing-documents" and a["verb"] == "get" and a["executionType"] == "LAMBDA", a
assert kinds == ["modelInvocationInput", "modelInvocationOutput", "invocationInput", "observation", "modelInvocationInput", "modelInvocationOutput", "observation"], kinds
answer, traces, _ = ask(id, "TSTALIASID", "f2", "now remind them", trace=True)
assert answer == "Reminder track-1 is on its way.", answer
seen = [t["trace"]["orchestrationTrace"]["observation"]["actionGroupInvocationOutput"]["text"] for t in traces
        if "actionGroupInvocationOutput" in t["trace"].get("orchestrationTrace", {}).get("observation", {})]
assert json.loads(seen[0])["seen"] == {"k": "v", "seen": "GET"}, seen

# --- return of control
build.create_agent_action_group(actionGroupName="outside", actionGroupExecutor={"customControl": "RETURN_CONTROL"}, functionSchema={"functions": [
    {"name": "getWeather", "description": "Weather of a place", "parameters": {"location": {"type": "string", "description": "place", "required": True}}}]}, **group)
build.prepare_agent(agentId=id)
agent_status(id, "PREPARED")
answer, _, control = ask(id, "TSTALIASID", "r1", "how is the weather")
assert not answer and control["invocationInputs"][0]["functionInvocationInput"]["parameters"] == [{"name": "location", "type": "string", "value": "seattle"}], control
state = {"invocationId": control["invocationId"], "returnControlInvocationResults": [{"functionResult": {"actionGroup": "outside", "function": "nope", "responseBody": {"TEXT": {"body": "rainy"}}}}]}
refused("ValidationException", "Unexpected actionGroup", run.invoke_agent, agentId=id, agentAliasId="TSTALIASID", sessionId="r1", sessionState=state)
print(json.dumps({"id": id, "alias": one, "invocation": control["invocationId"], "arn": arn}))
