"""What an agent left behind is there after a restart, and can be removed."""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

build, run = boto3.client("bedrock-agent"), boto3.client("bedrock-agent-runtime")
left = json.loads(sys.argv[1])
id = left["id"]

answer = ""
for e in run.invoke_agent(agentId=id, agentAliasId="TSTALIASID", sessionId="r1", sessionState={
        "invocationId": left["invocation"],
        "returnControlInvocationResults": [{"functionResult": {"actionGroup": "outside", "function": "getWeather", "responseBody": {"TEXT": {"body": "It's rainy"}}}}]})["completion"]:
    answer += e["chunk"]["bytes"].decode()
assert answer == "It is rainy.", answer

groups = build.list_agent_action_groups(agentId=id, agentVersion="DRAFT")["actionGroupSummaries"]
assert {g["actionGroupName"] for g in groups} == {"claims", "outside"}, groups
assert build.list_agent_action_groups(agentId=id, agentVersion="1")["actionGroupSummaries"] == []

try:
    build.delete_agent(agentId=id)
    raise AssertionError("an agent with aliases is deleted")
except ClientError as e:
    assert e.response["Error"]["Code"] == "ConflictException" and e.response["ResponseMetadata"]["HTTPStatusCode"] == 409, e
build.delete_agent_version(agentId=id, agentVersion="1", skipResourceInUseCheck=True)
a = build.get_agent_alias(agentId=id, agentAliasId=left["alias"])["agentAlias"]
assert a["agentAliasStatus"] == "DISSOCIATED" and a["routingConfiguration"] == [], a
for a in build.list_agent_aliases(agentId=id)["agentAliasSummaries"]:
    if a["agentAliasId"] != "TSTALIASID":
        assert build.delete_agent_alias(agentId=id, agentAliasId=a["agentAliasId"])["agentAliasStatus"] == "DELETING"
assert build.delete_agent(agentId=id)["agentStatus"] == "DELETING"
for _ in range(100):
    try:
        build.get_agent(agentId=id)
        time.sleep(0.05)
    except ClientError as e:
        assert e.response["Error"]["Code"] == "ResourceNotFoundException", e
        break
else:
    raise AssertionError("the agent is not gone")
print("done")
