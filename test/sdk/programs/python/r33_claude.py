"""Anthropic Claude 2, text completions."""

import json
import logging

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_claude(prompt):
    try:
        body = {
            "prompt": "Human: " + prompt + "\n\nAssistant:",
            "max_tokens_to_sample": 200,
            "temperature": 0.5,
            "stop_sequences": ["\n\nHuman:"],
        }
        response = bedrock_runtime.invoke_model(modelId="anthropic.claude-v2", body=json.dumps(body))
        response_body = json.loads(response["body"].read())
        return response_body["completion"]
    except ClientError:
        logger.error("Couldn't invoke anthropic.claude-v2")
        raise


if __name__ == "__main__":
    print(invoke_claude("In one paragraph, who are you?"))
