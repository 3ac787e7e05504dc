"""Prints each event of a stream at once, as a line of JSON with the time since the call.

Usage: events.py converse|invoke PROMPT
"""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

how, prompt = sys.argv[1:]
client = boto3.client("bedrock-runtime")
model = "anthropic.claude-3-haiku-20240307-v1:0"
start = time.monotonic()


def say(kind, text=""):
    print(json.dumps({"kind": kind, "text": text, "ms": round((time.monotonic() - start) * 1000)}), flush=True)


try:
    if how == "converse":
        out = client.converse_stream(modelId=model, messages=[{"role": "user", "content": [{"text": prompt}]}])
        say("open")
        for event in out["stream"]:
            if "contentBlockDelta" in event:
                say("text", event["contentBlockDelta"]["delta"]["text"])
            elif "messageStop" in event:
                say("stop", event["messageStop"]["stopReason"])
    else:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": [{"role": "user", "content": prompt}]}
        out = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
        say("open")
        for event in out["body"]:
            chunk = json.loads(event["chunk"]["bytes"])
            if chunk["type"] == "content_block_delta":
                say("text", chunk["delta"]["text"])
            elif chunk["type"] == "message_delta":
                say("stop", chunk["delta"]["stop_reason"])
    say("end")
except ClientError as err:
    say("error", err.response["Error"]["Code"])
