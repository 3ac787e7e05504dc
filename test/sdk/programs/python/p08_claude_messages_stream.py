"""Claude Messages: a question, a continued answer, and a stream whose every key is indexed."""

import json

import boto3

bedrock_runtime = boto3.client(service_name="bedrock-runtime")
MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"


def body_of(messages, max_tokens, system=""):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": max_tokens, "messages": messages}
    if system:
        body["system"] = system
    return json.dumps(body)


def generate_message(messages, max_tokens, system):
    response = bedrock_runtime.invoke_model(body=body_of(messages, max_tokens, system), modelId=MODEL)
    return json.loads(response.get("body").read())


def stream(messages, max_tokens):
    response = bedrock_runtime.invoke_model_with_response_stream(body=body_of(messages, max_tokens), modelId=MODEL)
    for event in response.get("body"):
        chunk = json.loads(event["chunk"]["bytes"])
        if chunk["type"] == "message_delta":
            print(f"\nStop reason: {chunk['delta']['stop_reason']}")
            print(f"Stop sequence: {chunk['delta']['stop_sequence']}")
            print(f"Output tokens: {chunk['usage']['output_tokens']}")
        if chunk["type"] == "content_block_delta":
            if chunk["delta"]["type"] == "text_delta":
                print(chunk["delta"]["text"], end="")


question = {"role": "user", "content": "Hello World"}
print("User turn only.")
print(json.dumps(generate_message([question], 1000, "Please respond only with emoji."), indent=4))
print("User turn and prefilled assistant response.")
print(json.dumps(generate_message([question, {"role": "assistant", "content": "You said: Hello"}], 1000, "Please respond only with emoji."), indent=4))
stream([question], 100)
