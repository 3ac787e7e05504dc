"""The IAM and Lambda part of the guide's create-and-invoke scenario: roles by the resource interface, a published function, permissions both ways, and all of it taken down."""

import random
import string

from lambda_kit import *

FUNCTION = """
import datetime
import json


def lambda_handler(event, context):
    now = datetime.datetime.now(datetime.timezone.utc)
    body = {"date": now.strftime("%Y-%m-%d"), "time": now.strftime("%H:%M:%S")}
    response = {"actionGroup": event["actionGroup"], "apiPath": event["apiPath"], "httpMethod": event["httpMethod"], "httpStatusCode": 200,
                "responseBody": {"application/json": {"body": json.dumps(body)}}}
    return {"messageVersion": "1.0", "response": response, "sessionAttributes": event["sessionAttributes"], "promptSessionAttributes": event["promptSessionAttributes"]}
"""
account = sts.get_caller_identity()["Account"]
postfix = "".join(random.choice(string.ascii_lowercase + "0123456789") for _ in range(8))
resource = boto3.resource("iam")
trust = lambda service: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})

# The agent's role, with its permission inline.
agent_role = resource.create_role(RoleName="AmazonBedrockExecutionRoleForAgents_" + postfix, AssumeRolePolicyDocument=trust("bedrock.amazonaws.com"))
agent_role.Policy("agent_permissions").put(PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Sid": "Model", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": f"arn:aws:bedrock:{region}::foundation-model/anthropic.claude-v2*"}]}))
agent_arn = f"arn:aws:bedrock:{region}:{account}:agent/AGENT12345"

# The function's role and the function.
lambda_role = resource.create_role(RoleName="AmazonBedrockExecutionRoleForLambda_" + postfix, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
lambda_role.attach_policy(PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
name = "AmazonBedrockExampleFunction_" + postfix
made = lam.create_function(FunctionName=name, Runtime="python3.11", Handler=f"{name}.lambda_handler", Role=lambda_role.arn, Code={"ZipFile": package(FUNCTION, name + ".py")}, Publish=True)
lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})

# The agent may call it, and it lets the agent in.
inline = agent_role.Policy("agent_permissions")
document = inline.policy_document
assert isinstance(document, dict) and document["Statement"][0]["Sid"] == "Model", document
document["Statement"].append({"Sid": "Function", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": made["FunctionArn"]})
inline.put(PolicyDocument=json.dumps(document))
lam.add_permission(FunctionName=name, SourceArn=agent_arn, StatementId="BedrockAccess", Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")
policy = json.loads(lam.get_policy(FunctionName=name)["Policy"])["Statement"]
assert [(s["Sid"], s["Principal"], s["Condition"]) for s in policy] == [("BedrockAccess", {"Service": "bedrock.amazonaws.com"}, {"ArnLike": {"AWS:SourceArn": agent_arn}})], policy

# It answers as the agent expects.
r, v = invoke(name, {"messageVersion": "1.0", "agent": {"name": "a", "id": "AGENT12345", "alias": "TSTALIASID", "version": "DRAFT"}, "inputText": "What time is it?", "sessionId": "0" * 32,
                     "actionGroup": "current_date_and_time", "apiPath": "/get-current-date-and-time", "httpMethod": "GET", "parameters": [], "sessionAttributes": {}, "promptSessionAttributes": {}})
body = json.loads(v["response"]["responseBody"]["application/json"]["body"])
assert abs(time.time() - time.mktime(time.strptime(body["date"] + " " + body["time"], "%Y-%m-%d %H:%M:%S")) + time.timezone) < 60, body
assert v["response"]["httpStatusCode"] == 200 and v["response"]["apiPath"] == "/get-current-date-and-time" and v["sessionAttributes"] == {}, v

# Taken down.
assert lam.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
agent_role.Policy("agent_permissions").delete()
agent_role.delete()
for attached in lambda_role.attached_policies.all():
    lambda_role.detach_policy(PolicyArn=attached.arn)
lambda_role.delete()
left = [x.name for x in resource.roles.all() if postfix in x.name]
assert left == [] and lam.list_functions()["Functions"] == [], left
print("done")
