"""Who may call: signatures."""

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from client import Case, once, runtime, unittest

COLON = "anthropic.claude-3-haiku-20240307-v1:0"
HELLO = [{"role": "user", "content": [{"text": "hello"}]}]


class Signatures(Case):
    def test_a_colon_in_the_id(self):
        self.assertEqual("end_turn", runtime.converse(modelId=COLON, messages=HELLO)["stopReason"])

    def test_a_flipped_byte_of_the_secret(self):
        secret = boto3.Session().get_credentials().secret_key
        for at in (0, len(secret) // 2, len(secret) - 1):
            flipped = secret[:at] + chr(ord(secret[at]) ^ 1) + secret[at + 1 :]
            c = boto3.client("bedrock-runtime", aws_secret_access_key=flipped, aws_access_key_id=boto3.Session().get_credentials().access_key, config=once)
            with self.subTest(at=at), self.assertRaises(c.exceptions.ClientError) as got:
                c.converse(modelId=COLON, messages=HELLO)
            self.assertEqual(403, got.exception.response["ResponseMetadata"]["HTTPStatusCode"])
            self.assertIn(got.exception.response["Error"]["Code"], ("InvalidSignatureException", "AccessDeniedException"))

    def test_unknown_key_and_no_signature(self):
        c = boto3.client("bedrock", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x" * 40, config=once)
        with self.assertRaises(c.exceptions.ClientError) as got:
            c.list_foundation_models()
        self.assertEqual(403, got.exception.response["ResponseMetadata"]["HTTPStatusCode"])
        self.assertEqual("UnrecognizedClientException", got.exception.response["Error"]["Code"])
        c = boto3.client("bedrock", config=once.merge(Config(signature_version=UNSIGNED)))
        with self.assertRaises(c.exceptions.ClientError) as got:
            c.list_foundation_models()
        self.assertEqual(403, got.exception.response["ResponseMetadata"]["HTTPStatusCode"])


if __name__ == "__main__":
    unittest.main()
