"""An agent under a customer key: nothing of it can be read without the key; ends with "done"."""

import json
import time

import boto3
from botocore.exceptions import ClientError

iam, kms, build, run = (boto3.client(n) for n in ("iam", "kms", "bedrock-agent", "bedrock-agent-runtime"))
CANARY = "zebra-crossing-at-midnight"
key = kms.create_key()["KeyMetadata"]
doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
role = iam.create_role(RoleName="agents", AssumeRolePolicyDocument=json.dumps(doc))["Role"]["Arn"]
iam.put_role_policy(RoleName="agents", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "bedrock:InvokeModel*", "Resource": "*"}]}))
a = build.create_agent(agentName="secret-agent", agentResourceRoleArn=role, foundationModel="anthropic.claude-3-haiku-20240307-v1:0", description=CANARY + " d",
                       instruction=CANARY + " is what you must always keep to yourself.", customerEncryptionKeyArn=key["Arn"])["agent"]


def wait(status):
    for _ in range(200):
        if build.get_agent(agentId=a["agentId"])["agent"]["agentStatus"] == status:
            return
        time.sleep(0.05)
    raise AssertionError(status)


def ask(text):
    return b"".join(e["chunk"]["bytes"] for e in run.invoke_agent(agentId=a["agentId"], agentAliasId="TSTALIASID", sessionId="s-1", inputText=text)["completion"] if "chunk" in e).decode()


wait("NOT_PREPARED")
build.create_agent_action_group(agentId=a["agentId"], agentVersion="DRAFT", actionGroupName="g", description=CANARY + " g", actionGroupExecutor={"customControl": "RETURN_CONTROL"},
                                functionSchema={"functions": [{"name": "f", "description": CANARY + " f"}]})
build.create_agent_action_group(agentId=a["agentId"], agentVersion="DRAFT", actionGroupName="code", parentActionGroupSignature="AMAZON.CodeInterpreter")
build.prepare_agent(agentId=a["agentId"])
wait("PREPARED")
build.create_agent_alias(agentId=a["agentId"], agentAliasName="one", description=CANARY + " a")
wait("PREPARED")
assert CANARY in ask("say " + CANARY)
assert ask("print(open('kept.txt', 'w').write('" + CANARY + "'))  # run").startswith("The code said 26\n")
assert ask("print(len(open('kept.txt').read()) + 1)  # run").split() == "The code said 27".split()
assert build.get_agent(agentId=a["agentId"])["agent"]["customerEncryptionKeyArn"] == key["Arn"]

kms.disable_key(KeyId=key["KeyId"])
for call in (lambda: build.get_agent(agentId=a["agentId"]), lambda: ask("again"), lambda: build.prepare_agent(agentId=a["agentId"])):
    try:
        call()
        raise AssertionError("a disabled key opens the agent")
    except ClientError as e:
        assert e.response["Error"]["Code"] == "AccessDeniedException" and "disabled" in e.response["Error"]["Message"], e
assert [s["agentName"] for s in build.list_agents()["agentSummaries"]] == ["secret-agent"]
kms.enable_key(KeyId=key["KeyId"])
assert ask("print(len(open('kept.txt').read()) + 2)  # run").split() == "The code said 28".split()
assert CANARY in ask("say " + CANARY)
print("done")
