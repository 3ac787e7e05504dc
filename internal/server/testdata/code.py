"""The code interpreter of an inline agent, with an unchanged boto3 client."""
import sys

import boto3
from botocore.config import Config

endpoint, region, key, secret, model = sys.argv[1:6]
client = boto3.client(
    "bedrock-agent-runtime", endpoint_url=endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
    config=Config(retries={"total_max_attempts": 1}),
)


def ask(text, **state):
    answer = client.invoke_inline_agent(
        foundationModel=model, instruction="You compute things for people, with code where it helps.", sessionId="code-1", inputText=text, enableTrace=True,
        actionGroups=[{"actionGroupName": "code", "parentActionGroupSignature": "AMAZON.CodeInterpreter"}], **state,
    )
    said, files, ran, seen = "", [], [], []
    for event in answer["completion"]:
        if "chunk" in event:
            said += event["chunk"]["bytes"].decode()
        elif "files" in event:
            files += event["files"]["files"]
        elif "trace" in event:
            step = event["trace"]["trace"].get("orchestrationTrace", {})
            if "invocationInput" in step:
                ran.append(step["invocationInput"])
            if "observation" in step:
                seen.append(step["observation"])
    return said, files, ran, seen


said, files, ran, seen = ask("please compute", inlineSessionState={"files": [{
    "name": "in.csv", "useCase": "CODE_INTERPRETER", "source": {"sourceType": "BYTE_CONTENT", "byteContent": {"mediaType": "text/csv", "data": b"n\n40\n2\n"}},
}]})
assert said.startswith("The code said 42"), said
assert [(f["name"], f["type"], f["bytes"]) for f in files] == [("total.txt", "text/plain", b"42")], files
assert ran[0]["invocationType"] == "ACTION_GROUP_CODE_INTERPRETER" and "total.txt" in ran[0]["codeInterpreterInvocationInput"]["code"], ran
out = [o for o in seen if "codeInterpreterInvocationOutput" in o][0]["codeInterpreterInvocationOutput"]
assert out["executionOutput"].startswith("42") and not out.get("executionTimeout"), out

said, files, _, _ = ask("now again")  # the file is still there
assert said.startswith("The code said 42") and files == [], (said, files)
print("the code ran")
