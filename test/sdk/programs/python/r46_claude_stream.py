"""Anthropic Claude 2, text completions, streamed by an asynchronous generator."""

import asyncio
import json
import logging
import sys

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)


class BedrockRuntimeWrapper:
    def __init__(self, client):
        self.bedrock_runtime_client = client

    async def invoke_model_with_response_stream(self, prompt):
        try:
            body = {
                "prompt": "Human: " + prompt + "\n\nAssistant:",
                "max_tokens_to_sample": 1024,
                "temperature": 0.5,
                "stop_sequences": ["\n\nHuman:"],
            }
            response = self.bedrock_runtime_client.invoke_model_with_response_stream(
                modelId="anthropic.claude-v2", body=json.dumps(body)
            )
            for event in response.get("body"):
                yield json.loads(event["chunk"]["bytes"])["completion"]
        except ClientError:
            logger.error("Couldn't invoke Anthropic Claude v2")
            raise


async def main():
    wrapper = BedrockRuntimeWrapper(boto3.client(service_name="bedrock-runtime", region_name="us-east-1"))
    pieces = 0
    async for completion in wrapper.invoke_model_with_response_stream("In one paragraph, who are you?"):
        pieces += 1
        print(completion, end="", flush=True)
    print(f"\npieces: {pieces}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
