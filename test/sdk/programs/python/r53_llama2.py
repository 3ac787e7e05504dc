"""Meta Llama 2 Chat."""

import json
import logging

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_llama2(prompt):
    try:
        body = {"prompt": prompt, "temperature": 0.5, "top_p": 0.9, "max_gen_len": 512}
        response = bedrock_runtime.invoke_model(modelId="meta.llama2-13b-chat-v1", body=json.dumps(body))
        response_body = json.loads(response["body"].read())
        return response_body["generation"]
    except ClientError:
        logger.error("Couldn't invoke meta.llama2-13b-chat-v1")
        raise


if __name__ == "__main__":
    print(invoke_llama2("In one paragraph, who are you?"))
