"""Stability AI Stable Diffusion XL. Usage: r13_stable_diffusion.py SEED FILE [STYLE]"""

import base64
import json
import logging
import sys

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)
bedrock_runtime = boto3.client(service_name="bedrock-runtime", region_name="us-east-1")


def invoke_stable_diffusion(prompt, seed, style_preset=None):
    try:
        body = {"text_prompts": [{"text": prompt}], "seed": seed, "cfg_scale": 10, "steps": 30}
        if style_preset:
            body["style_preset"] = style_preset
        response = bedrock_runtime.invoke_model(modelId="stability.stable-diffusion-xl", body=json.dumps(body))
        return json.loads(response["body"].read())["artifacts"][0]["base64"]
    except ClientError:
        logger.error("Couldn't invoke Stable Diffusion XL")
        raise


if __name__ == "__main__":
    style = sys.argv[3] if len(sys.argv) > 3 else None
    image = invoke_stable_diffusion("stylized picture of a cute old steampunk robot", int(sys.argv[1]), style)
    with open(sys.argv[2], "wb") as file:
        file.write(base64.b64decode(image))
