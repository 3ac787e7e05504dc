"""The life of an agent from role to removal, in the order and with the waits of the
guide's end-to-end scenario; it ends with "done"."""

import io
import json
import random
import string
import time
import uuid
import zipfile

import boto3
from botocore.exceptions import ClientError

NAME, MODEL = "scenario_agent", "anthropic.claude-v2"
postfix = "".join(random.choice(string.ascii_lowercase + string.digits) for _ in range(8))
iam = boto3.resource("iam")
lam, build, run = (boto3.client(n, region_name="us-east-1") for n in ("lambda", "bedrock-agent", "bedrock-agent-runtime"))


def trust(service):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})


def wait(status):
    while build.get_agent(agentId=agent["agentId"])["agent"]["agentStatus"] != status:
        time.sleep(0.1)


names = [a["agentName"].lower() for p in build.get_paginator("list_agents").paginate(PaginationConfig={"PageSize": 10}) for a in p["agentSummaries"]]
assert NAME not in names
agent_role = iam.create_role(RoleName=f"AmazonBedrockExecutionRoleForAgents_{postfix}", AssumeRolePolicyDocument=trust("bedrock.amazonaws.com"))
agent_role.Policy("agent_permissions").put(PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}*"}]}))
agent = build.create_agent(agentName=NAME, foundationModel=MODEL, agentResourceRoleArn=agent_role.arn, instruction="""
            You have a function that tells the current date and the current time. Answer what people ask
            about date and time with it, and always add that the time zone is UTC.
            """)["agent"]
wait("NOT_PREPARED")
prepared = build.prepare_agent(agentId=agent["agentId"])
wait("PREPARED")

lambda_role = iam.create_role(RoleName=f"AmazonBedrockExecutionRoleForLambda_{postfix}", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
lambda_role.attach_policy(PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as z:
    z.writestr("clock.py", '''
import datetime, json
def lambda_handler(event, context):
    now = datetime.datetime.now(datetime.timezone.utc)
    body = {"date": now.strftime("%Y-%m-%d"), "time": now.strftime("%H:%M:%S")}
    return {"messageVersion": "1.0", "response": {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"],
            "httpStatusCode": 200, "responseBody": {"application/json": {"body": json.dumps(body)}}},
            "sessionAttributes": event["sessionAttributes"], "promptSessionAttributes": event["promptSessionAttributes"]}
''')
function = lam.create_function(FunctionName=f"AmazonBedrockExampleFunction_{postfix}", Runtime="python3.11", Handler="clock.lambda_handler",
                               Role=lambda_role.arn, Code={"ZipFile": code.getvalue()}, Publish=True)
lam.get_waiter("function_active_v2").wait(FunctionName=function["FunctionName"])
policy = agent_role.Policy("agent_permissions")
document = policy.policy_document
document["Statement"].append({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function["FunctionArn"]})
policy.put(PolicyDocument=json.dumps(document))
lam.add_permission(FunctionName=function["FunctionName"], SourceArn=agent["agentArn"], StatementId="BedrockAccess", Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")

schema = {"openapi": "3.0.0", "info": {"title": "Clock", "version": "1.0.0", "description": "Date and time"}, "paths": {"/get-current-date-and-time": {"get": {
    "summary": "Current date and time", "description": "Gets the current date and time.", "operationId": "getDateAndTime",
    "responses": {"200": {"description": "Date and time.", "content": {"application/json": {"schema": {"type": "object", "properties": {
        "date": {"type": "string", "description": "The date"}, "time": {"type": "string", "description": "The time"}}}}}}}}}}}
build.create_agent_action_group(actionGroupName="current_date_and_time", agentId=agent["agentId"], agentVersion=prepared["agentVersion"],
                                actionGroupExecutor={"lambda": function["FunctionArn"]}, description="Gets the current date and time.", apiSchema={"payload": json.dumps(schema)})
changed = [build.get_agent(agentId=agent["agentId"])["agent"]["updatedAt"]]
for op, key in (("list_agent_action_groups", "actionGroupSummaries"), ("list_agent_knowledge_bases", "agentKnowledgeBaseSummaries")):
    for p in build.get_paginator(op).paginate(agentId=agent["agentId"], agentVersion="DRAFT", PaginationConfig={"PageSize": 10}):
        changed += [s["updatedAt"] for s in p[key]]
assert max(changed) > prepared["preparedAt"], "the new action group does not show"
build.prepare_agent(agentId=agent["agentId"])
wait("PREPARED")
alias = build.create_agent_alias(agentAliasName="test_agent_alias", agentId=agent["agentId"])["agentAlias"]
wait("PREPARED")

session = uuid.uuid4().hex


def ask(prompt):
    text = ""
    for event in run.invoke_agent(agentId=agent["agentId"], agentAliasId=alias["agentAliasId"], sessionId=session, inputText=prompt)["completion"]:
        text += event["chunk"]["bytes"].decode()
    return text


year = time.strftime("%Y-", time.gmtime())
answer = ask("What is the date today?")
assert year in answer and "UTC" in answer, answer

build.delete_agent_alias(agentId=agent["agentId"], agentAliasId=alias["agentAliasId"])
status = build.delete_agent(agentId=agent["agentId"], skipResourceInUseCheck=False)["agentStatus"]
while status == "DELETING":
    time.sleep(0.1)
    try:
        status = build.get_agent(agentId=agent["agentId"])["agent"]["agentStatus"]
    except ClientError as e:
        if e.response["Error"]["Code"] == "ResourceNotFoundException":
            status = "DELETED"
lam.delete_function(FunctionName=function["FunctionName"])
agent_role.Policy("agent_permissions").delete()
agent_role.delete()
for p in lambda_role.attached_policies.all():
    lambda_role.detach_policy(PolicyArn=p.arn)
lambda_role.delete()
print("done")
