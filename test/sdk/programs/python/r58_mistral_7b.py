"""Mistral 7B Instruct."""

import json
import logging

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_mistral_7b(prompt):
    try:
        body = {"prompt": f"<s>[INST] {prompt} [/INST]", "max_tokens": 200, "temperature": 0.5}
        response = bedrock_runtime.invoke_model(modelId="mistral.mistral-7b-instruct-v0:2", body=json.dumps(body))
        response_body = json.loads(response["body"].read())
        return [output["text"] for output in response_body["outputs"]]
    except ClientError:
        logger.error("Couldn't invoke mistral.mistral-7b-instruct-v0:2")
        raise


if __name__ == "__main__":
    print(invoke_mistral_7b("In one paragraph, who are you?"))
