"""Anthropic Claude 3 Sonnet, Messages API."""

import json

import boto3
from botocore.exceptions import ClientError


def invoke_claude_3_with_text(prompt):
    client = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")
    model_id = "anthropic.claude-3-sonnet-20240229-v1:0"
    try:
        response = client.invoke_model(
            modelId=model_id,
            body=json.dumps(
                {
                    "anthropic_version": "bedrock-2023-05-31",
                    "max_tokens": 1024,
                    "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
                }
            ),
        )
        result = json.loads(response.get("body").read())
        print(f"- The input length is {result['usage']['input_tokens']} tokens.")
        print(f"- The output length is {result['usage']['output_tokens']} tokens.")
        print(f"- The model returned {len(result.get('content', []))} response(s):")
        for output in result.get("content", []):
            print(output["text"])
        return result
    except ClientError as err:
        print(f"Couldn't invoke Claude 3 Sonnet. {err.response['Error']['Code']}: {err.response['Error']['Message']}")
        raise


if __name__ == "__main__":
    invoke_claude_3_with_text("Hi, write a short story about a lighthouse.")
