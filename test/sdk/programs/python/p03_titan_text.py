"""Titan Text: action items of a meeting."""

import json

import boto3
from botocore.exceptions import ClientError


class TextError(Exception):
    pass


def generate_text(model_id, body):
    bedrock = boto3.client(service_name="bedrock-runtime")
    response = bedrock.invoke_model(body=body, modelId=model_id, accept="application/json", contentType="application/json")
    response_body = json.loads(response.get("body").read())
    error = response_body.get("error")
    if error is not None:
        raise TextError(f"Text generation error. Error is {error}")
    return response_body


def main():
    prompt = "Meeting transcript:\nMiguel: I'll write the report.\nBrant: I'll ask for the budget.\n\nCreate a list of action items for each person."
    body = json.dumps(
        {"inputText": prompt, "textGenerationConfig": {"maxTokenCount": 4096, "stopSequences": [], "temperature": 0, "topP": 1}}
    )
    try:
        response_body = generate_text("amazon.titan-text-express-v1", body)
        print(f"Input token count: {response_body['inputTextTokenCount']}")
        for result in response_body["results"]:
            print(f"Token count: {result['tokenCount']}")
            print(f"Output text: {result['outputText']}")
            print(f"Completion reason: {result['completionReason']}")
    except ClientError as err:
        print("A client error occured: " + err.response["Error"]["Message"])
    else:
        print("Finished generating text with the Titan Text Express model.")


if __name__ == "__main__":
    main()
