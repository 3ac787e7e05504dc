"""InvokeModel and its stream, whatever the family: envelope, counts, errors."""

import json

from client import METRICS, MALFORMED, Case, ClientError, I, S, runtime, unittest
from botocore.exceptions import EventStreamError

CLAUDE = "anthropic.claude-v2"
BODIES = {  # model: body, its text, its counts of input and output
    "anthropic.claude-v2": ({"prompt": "\n\nHuman: count these words\n\nAssistant:", "max_tokens_to_sample": 99, "temperature": 0}, None),
    "anthropic.claude-3-haiku-20240307-v1:0": (
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "count these words"}]},
        lambda o: (o["usage"]["input_tokens"], o["usage"]["output_tokens"])),
    "amazon.titan-text-express-v1": ({"inputText": "count these words"}, lambda o: (o["inputTextTokenCount"], o["results"][0]["tokenCount"])),
    "meta.llama2-13b-chat-v1": ({"prompt": "count these words"}, lambda o: (o["prompt_token_count"], o["generation_token_count"])),
    "mistral.mistral-7b-instruct-v0:2": ({"prompt": "[INST] count these words [/INST]"}, None),
    "cohere.command-text-v14": ({"prompt": "count these words", "max_tokens": 99}, None),
    "ai21.j2-mid-v1": ({"prompt": "count these words"}, None),
}


class Invoke(Case):
    def test_envelope(self):
        body = json.dumps(BODIES[CLAUDE][0])
        for kw in ({}, {"accept": "*/*"}, {"accept": "application/json", "contentType": "application/json"}, {"contentType": "application/octet-stream"}):
            with self.subTest(**kw):
                out = runtime.invoke_model(modelId=CLAUDE, body=body, **kw)
                self.assertEqual("application/json", out["contentType"])
                self.assertEqual(200, out["ResponseMetadata"]["HTTPStatusCode"])
                self.assertTrue(out["ResponseMetadata"]["RequestId"])
                self.assertTrue(out["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-model"])
                self.assertIn("count these words", json.loads(out["body"].read())["completion"])
        out = runtime.invoke_model_with_response_stream(modelId=CLAUDE, body=body)
        self.assertEqual("application/json", out["contentType"])
        self.assertGreaterEqual(len(list(out["body"])), 2)

    def test_arn_is_the_id(self):
        arn = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1"
        body = BODIES[CLAUDE][0]
        self.assertEqual(I("anthropic.claude-v2:1", body), I(arn, body))

    def test_counts_agree(self):
        for model, (body, counts) in BODIES.items():
            with self.subTest(model):
                out = runtime.invoke_model(modelId=model, body=json.dumps(body))
                h = out["ResponseMetadata"]["HTTPHeaders"]
                header = int(h["x-amzn-bedrock-input-token-count"]), int(h["x-amzn-bedrock-output-token-count"])
                self.assertGreater(min(header), 0)
                self.assertGreaterEqual(int(h["x-amzn-bedrock-invocation-latency"]), 0)
                answer = json.loads(out["body"].read())
                if counts:
                    self.assertEqual(header, counts(answer))
                if not model.startswith("ai21"):
                    m = self.assertMetrics(S(model, body)[-1])
                    self.assertEqual(header, (m["inputTokenCount"], m["outputTokenCount"]))

    def test_wrong_bodies(self):
        for model in BODIES:
            for raw in ("{", "[]", "null", ""):
                with self.subTest(model, raw=raw), self.refused(MALFORMED):
                    I(model, raw)
            with self.subTest(model), self.refused("extraneous key [nonsense] is not permitted"):
                I(model, {**BODIES[model][0], "nonsense": 1})
        with self.refused("required key [inputText] not found", "extraneous key [prompt] is not permitted"):
            I("amazon.titan-text-express-v1", {"prompt": "x"})
        with self.refused("required key [prompt] not found", "extraneous key [inputText] is not permitted"):
            I("meta.llama2-13b-chat-v1", {"inputText": "x"})

    def test_unknown_models(self):
        for model in ("anthropic.nope", "nope", "cohere.nope-v1:0"):
            with self.subTest(model), self.refused("The provided model identifier is invalid."):
                I(model, {})

    def test_too_large(self):
        with self.assertRaises(ClientError) as got:
            I(CLAUDE, b" " * 25_000_001 + b"{}")
        self.assertEqual(("ValidationException", 400), (got.exception.response["Error"]["Code"], got.exception.response["ResponseMetadata"]["HTTPStatusCode"]))

    def test_statelessness(self):
        self.assertNotIn("zirconium", I(CLAUDE, BODIES[CLAUDE][0])["completion"])
        I(CLAUDE, {"prompt": "\n\nHuman: remember zirconium\n\nAssistant:", "max_tokens_to_sample": 9})
        self.assertNotIn("zirconium", I(CLAUDE, BODIES[CLAUDE][0])["completion"])

    def test_faults_of_the_engine(self):
        def ask(what):
            return {"prompt": f"\n\nHuman: {what}\n\nAssistant:", "max_tokens_to_sample": 99}

        for what, code, status in (
            ("overload", "ThrottlingException", 429),
            ("not ready", "ModelNotReadyException", 429),
            ("time out", "ModelTimeoutException", 408),
            ("bad output", "ModelErrorException", 424),
            ("crash", "ModelErrorException", 424),
        ):
            with self.subTest(what), self.refused(code=code, status=status):
                I(CLAUDE, ask(what))

    def test_a_cut_engine_ends_the_stream_with_an_exception(self):
        for model, body in (
            (CLAUDE, {"prompt": "\n\nHuman: crash\n\nAssistant:", "max_tokens_to_sample": 99}),
            ("meta.llama2-13b-chat-v1", {"prompt": "crash"}),
            ("amazon.titan-text-express-v1", {"inputText": "crash"}),
        ):
            with self.subTest(model):
                out, seen = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(body)), []
                with self.assertRaises(EventStreamError) as got:
                    for e in out["body"]:
                        seen.append(e)
                self.assertEqual("modelStreamErrorException", got.exception.response["Error"]["Code"])
                self.assertTrue(got.exception.response["Error"]["Message"])
                self.assertGreater(len(seen), 0)
                self.assertFalse([e for e in seen if METRICS in e["chunk"]["bytes"].decode()])


if __name__ == "__main__":
    unittest.main()
