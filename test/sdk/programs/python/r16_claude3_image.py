"""Anthropic Claude 3 with a picture, Messages API. Usage: r16_claude3_image.py IMAGE.png"""

import base64
import json
import sys

import boto3
from botocore.exceptions import ClientError


def invoke_claude_3_multimodal(prompt, base64_image_data):
    client = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")
    request_body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 2048,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": prompt},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64_image_data}},
                ],
            }
        ],
    }
    try:
        response = client.invoke_model(modelId="anthropic.claude-3-sonnet-20240229-v1:0", body=json.dumps(request_body))
        result = json.loads(response.get("body").read())
        print(f"- The input length is {result['usage']['input_tokens']} tokens.")
        print(f"- The output length is {result['usage']['output_tokens']} tokens.")
        for output in result.get("content", []):
            print(output["text"])
        return result
    except ClientError as err:
        print(f"Couldn't invoke Claude 3. {err.response['Error']['Code']}: {err.response['Error']['Message']}")
        raise


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as image:
        invoke_claude_3_multimodal("What is in this image?", base64.b64encode(image.read()).decode("utf8"))
