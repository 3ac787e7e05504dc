"""Lists foundation models and shows the details of each: a class around a boto3 client."""

import logging
import sys

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)


class BedrockWrapper:
    def __init__(self, bedrock_client):
        self.bedrock_client = bedrock_client

    def get_foundation_model(self, model_identifier):
        try:
            return self.bedrock_client.get_foundation_model(modelIdentifier=model_identifier)["modelDetails"]
        except ClientError:
            logger.error("Couldn't get the details of %s", model_identifier)
            raise

    def list_foundation_models(self):
        try:
            models = self.bedrock_client.list_foundation_models()["modelSummaries"]
            logger.info("Got %s foundation models.", len(models))
            return models
        except ClientError:
            logger.error("Couldn't list foundation models.")
            raise


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    wrapper = BedrockWrapper(boto3.client(service_name="bedrock", region_name="us-east-1"))
    summaries = wrapper.list_foundation_models()
    for summary in summaries:
        details = wrapper.get_foundation_model(summary["modelId"])
        same = all(details.get(k) == v for k, v in summary.items())
        print(summary["modelId"], "same" if same else "DIFFERENT", sep="\t")
    for identifier in ("anthropic.nope", "no-dot"):
        try:
            wrapper.get_foundation_model(identifier)
        except ClientError as err:
            print(identifier, err.response["Error"]["Code"], sep="\t")
