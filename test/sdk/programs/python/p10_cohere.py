"""Cohere Command with likelihoods, and Cohere Embed."""

import json

import boto3
from botocore.exceptions import ClientError

bedrock = boto3.client(service_name="bedrock-runtime")

body = json.dumps(
    {
        "prompt": "Summarize this dialogue: hello, hello.",
        "max_tokens": 200,
        "temperature": 0.6,
        "p": 1,
        "k": 0,
        "num_generations": 2,
        "return_likelihoods": "GENERATION",
    }
)
try:
    response = bedrock.invoke_model(body=body, modelId="cohere.command-text-v14", accept="application/json", contentType="application/json")
    response_body = json.loads(response.get("body").read())
    for index, generation in enumerate(response_body.get("generations")):
        print(f"Generation {index + 1}\n------------")
        print(f"Text:\n {generation['text']}\n")
        if "likelihood" in generation:
            print(f"Likelihood:\n {generation['likelihood']}\n")
        print(f"Reason: {generation['finish_reason']}\n\n")

    body = json.dumps({"texts": ["hello world", "this is a test"], "input_type": "search_document"})
    response = bedrock.invoke_model(body=body, modelId="cohere.embed-english-v3", accept="*/*", contentType="application/json")
    response_body = json.loads(response.get("body").read())
    print(f"ID: {response_body.get('id')}")
    print(f"Response type: {response_body.get('response_type')}")
    for i, embedding in enumerate(response_body.get("embeddings")):
        print(f"Embedding {i}: {len(embedding)} numbers")
    for i, text in enumerate(response_body.get("texts")):
        print(f"Text {i}: {text}")
except ClientError as err:
    print("A client error occured: " + err.response["Error"]["Message"])
else:
    print("Finished with the Cohere models.")
