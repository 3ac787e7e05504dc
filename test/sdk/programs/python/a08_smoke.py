"""The two calls that a new user makes first."""

import json

import boto3

bedrock = boto3.client(service_name="bedrock-runtime")
body = json.dumps(
    {
        "prompt": "\n\nHuman:explain black holes to 8th graders\n\nAssistant:",
        "max_tokens_to_sample": 300,
        "temperature": 0.1,
        "top_p": 0.9,
    }
)
response = bedrock.invoke_model(body=body, modelId="anthropic.claude-v2", accept="application/json", contentType="application/json")
print(json.loads(response.get("body").read()).get("completion"))

control = boto3.client("bedrock")
print(control.get_foundation_model(modelIdentifier="anthropic.claude-v2")["modelDetails"]["modelName"])
