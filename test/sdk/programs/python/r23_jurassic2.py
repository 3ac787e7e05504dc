"""AI21 Labs Jurassic-2."""

import json
import logging

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_jurassic2(prompt):
    try:
        body = {"prompt": prompt, "temperature": 0.5, "maxTokens": 200}
        response = bedrock_runtime.invoke_model(modelId="ai21.j2-mid-v1", body=json.dumps(body))
        response_body = json.loads(response["body"].read())
        return response_body["completions"][0]["data"]["text"]
    except ClientError:
        logger.error("Couldn't invoke ai21.j2-mid-v1")
        raise


if __name__ == "__main__":
    print(invoke_jurassic2("In one paragraph, who are you?"))
