"""Bedrock's API keys. boto3 sends them over TLS only, so the server needs a certificate (--tls auto)."""

import base64
import os

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from client import Case, once, unittest

COLON = "anthropic.claude-3-haiku-20240307-v1:0"
HELLO = [{"role": "user", "content": [{"text": "hello"}]}]


def short_term_key(expires=3600):
    """A short-term API key, made from the access key on this side alone, as AWS's token generator makes it."""
    c = boto3.Session().get_credentials().get_frozen_credentials()
    r = AWSRequest("POST", "https://bedrock.amazonaws.com/", headers={"host": "bedrock.amazonaws.com"}, params={"Action": "CallWithBearerToken"})
    SigV4QueryAuth(Credentials(c.access_key, c.secret_key), "bedrock", "us-east-1", expires=expires).add_auth(r)
    return "bedrock-api-key-" + base64.b64encode((r.url.removeprefix("https://") + "&Version=1").encode()).decode()


class ApiKeys(Case):
    def client(self, service, key):
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
        self.addCleanup(os.environ.pop, "AWS_BEARER_TOKEN_BEDROCK", None)
        return boto3.client(service, config=once)

    def test_both_services_take_a_key(self):
        key = short_term_key()
        self.assertTrue(self.client("bedrock", key).list_foundation_models()["modelSummaries"])
        seen = []
        c = self.client("bedrock-runtime", key)
        c.meta.events.register("before-send.bedrock-runtime", lambda request, **_: seen.append(request.headers["Authorization"]) and None)
        self.assertEqual("end_turn", c.converse(modelId=COLON, messages=HELLO)["stopReason"])
        self.assertIn(key, str(seen[0]))  # it was the key that was sent, not a signature

    def test_wrong_keys(self):
        good = short_term_key()
        raw = base64.b64decode(good.removeprefix("bedrock-api-key-")).decode()
        flipped = raw.replace("X-Amz-Signature=", "X-Amz-Signature=0")
        for name, key in (
            ("nonsense", "x"),
            ("other signature", "bedrock-api-key-" + base64.b64encode(flipped.encode()).decode()),
            ("other action", "bedrock-api-key-" + base64.b64encode(raw.replace("CallWith", "ListWith").encode()).decode()),
        ):
            with self.subTest(name):
                c = self.client("bedrock-runtime", key)
                with self.assertRaises(c.exceptions.ClientError) as got:
                    c.converse(modelId=COLON, messages=HELLO)
                self.assertEqual(403, got.exception.response["ResponseMetadata"]["HTTPStatusCode"])

    def test_agents_stay_with_signatures(self):
        c = self.client("bedrock-agent", short_term_key())
        with self.assertRaises(c.exceptions.ClientError) as got:
            c.list_flows()
        self.assertEqual(501, got.exception.response["ResponseMetadata"]["HTTPStatusCode"])  # signed, authorised, not built


if __name__ == "__main__":
    unittest.main()
