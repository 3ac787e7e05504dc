"""Amazon Titan Image Generator. Usage: r08_titan_image.py SEED FILE"""

import base64
import json
import logging
import sys

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_titan_image(prompt, seed):
    try:
        request = json.dumps(
            {
                "taskType": "TEXT_IMAGE",
                "textToImageParams": {"text": prompt},
                "imageGenerationConfig": {
                    "numberOfImages": 1,
                    "quality": "standard",
                    "cfgScale": 8.0,
                    "height": 512,
                    "width": 512,
                    "seed": seed,
                },
            }
        )
        response = bedrock_runtime.invoke_model(modelId="amazon.titan-image-generator-v1", body=request)
        return json.loads(response["body"].read())["images"][0]
    except ClientError:
        logger.error("Couldn't invoke Titan Image Generator Model")
        raise


if __name__ == "__main__":
    image = invoke_titan_image("stylized picture of a cute old steampunk robot", int(sys.argv[1]))
    with open(sys.argv[2], "wb") as file:
        file.write(base64.b64decode(image))
