"""A server with the guide's quotas: 100 requests a minute for the versions of Claude 2 together."""

import boto3
from botocore.config import Config

from client import Case, I, S, metric, runtime, unittest

V2, V21 = "anthropic.claude-v2", "anthropic.claude-v2:1"
BODY = {"prompt": "\n\nHuman: x\n\nAssistant:", "max_tokens_to_sample": 1}


class Quotas(Case):
    def test_request_101(self):
        for i in range(100):
            (I if i % 3 else S)(V2 if i % 2 else V21, BODY)
        with self.refused("Too many requests", code="ThrottlingException", status=429):
            I(V2, BODY)
        with self.refused(code="ThrottlingException", status=429):
            S(V21, BODY)
        with self.refused(code="ThrottlingException", status=429):
            runtime.converse(modelId=V21, messages=[{"role": "user", "content": [{"text": "x"}]}])
        I("anthropic.claude-instant-v1", BODY)  # another quota

        before = metric("outcrop_requests_total", status="429")
        standard = boto3.client("bedrock-runtime", config=Config(retries={"mode": "standard"}))
        with self.assertRaises(standard.exceptions.ThrottlingException) as got:
            standard.converse(modelId=V2, messages=[{"role": "user", "content": [{"text": "x"}]}])
        self.assertEqual(2, got.exception.response["ResponseMetadata"]["RetryAttempts"])
        self.assertEqual(3, metric("outcrop_requests_total", status="429") - before)


if __name__ == "__main__":
    unittest.main()
