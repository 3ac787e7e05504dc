"""A client that gives up after a second and asks again, as boto3 does; prints what it got and how often it asked."""

import boto3
from botocore.config import Config

client = boto3.client("bedrock-runtime", config=Config(read_timeout=1, retries={"max_attempts": 10, "mode": "standard"}))
asked = []
client.meta.events.register("before-send.bedrock-runtime.Converse", lambda request, **_: asked.append(request.headers["amz-sdk-invocation-id"]) and None)
out = client.converse(modelId="anthropic.claude-v2", messages=[{"role": "user", "content": [{"text": "pause"}]}])
print(out["output"]["message"]["content"][0]["text"])
print("asked", len(asked), "ids", len(set(asked)))
