"""The catalogue as clients see it: list, filters, details, time stamps."""

import datetime

from client import Case, control, unittest

GUIDE = """amazon.titan-text-express-v1 amazon.titan-text-lite-v1 amazon.titan-embed-text-v1 amazon.titan-embed-image-v1
amazon.titan-image-generator-v1 anthropic.claude-v2 anthropic.claude-v2:1 anthropic.claude-3-sonnet-20240229-v1:0
anthropic.claude-3-haiku-20240307-v1:0 anthropic.claude-instant-v1 ai21.j2-mid-v1 ai21.j2-ultra-v1 cohere.command-text-v14
cohere.command-light-text-v14 cohere.embed-english-v3 cohere.embed-multilingual-v3 meta.llama2-13b-chat-v1 meta.llama2-70b-chat-v1
mistral.mistral-7b-instruct-v0:2 mistral.mixtral-8x7b-instruct-v0:1 stability.stable-diffusion-xl-v0 stability.stable-diffusion-xl-v1""".split()
MEMBERS = {"modelArn", "modelId", "modelName", "providerName", "inputModalities", "outputModalities", "responseStreamingSupported",
           "customizationsSupported", "inferenceTypesSupported", "modelLifecycle"}


def models(**kw):
    return control.list_foundation_models(**kw)["modelSummaries"]


class Models(Case):
    def test_members(self):
        every = models()
        for m in every:
            self.assertLessEqual(MEMBERS, set(m), m["modelId"])
            self.assertTrue(m["modelArn"].endswith(":foundation-model/" + m["modelId"]) or m["modelArn"].endswith("/" + m["modelId"]), m)
            self.assertIn(m["modelLifecycle"]["status"], ("ACTIVE", "LEGACY"))
            for k in ("inputModalities", "outputModalities", "customizationsSupported", "inferenceTypesSupported"):
                self.assertIsInstance(m[k], list)
            self.assertTrue(1 <= len(m["providerName"]) <= 20, m)
        ids = [m["modelId"] for m in every]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(set(), set(GUIDE) - set(ids))

    def test_streaming(self):
        guide = {m["modelId"]: m["responseStreamingSupported"] for m in models() if m["modelId"] in GUIDE and m["outputModalities"] == ["TEXT"]}
        self.assertEqual({k: not k.startswith("ai21.j2") for k in guide}, guide)
        self.assertIn("ai21.j2-mid-v1", guide)

    def test_filters(self):
        every = models()
        for name, key, value in (
            ("byProvider", "providerName", "Stability AI"),
            ("byProvider", "providerName", "Anthropic"),
            ("byOutputModality", "outputModalities", "EMBEDDING"),
            ("byOutputModality", "outputModalities", "IMAGE"),
            ("byInferenceType", "inferenceTypesSupported", "PROVISIONED"),
            ("byInferenceType", "inferenceTypesSupported", "ON_DEMAND"),
            ("byCustomizationType", "customizationsSupported", "CONTINUED_PRE_TRAINING"),
            ("byCustomizationType", "customizationsSupported", "FINE_TUNING"),
        ):
            with self.subTest(name, value=value):
                got = {m["modelId"] for m in models(**{name: value})}
                want = {m["modelId"] for m in every if value == m[key] or isinstance(m[key], list) and value in m[key]}
                self.assertEqual(want, got)
                self.assertTrue(got)
        guide = lambda **kw: {m["modelId"] for m in models(**kw)} & set(GUIDE)
        self.assertEqual({"amazon.titan-embed-text-v1", "amazon.titan-embed-image-v1", "cohere.embed-english-v3", "cohere.embed-multilingual-v3"}, guide(byOutputModality="EMBEDDING"))
        self.assertEqual({"amazon.titan-text-express-v1", "amazon.titan-text-lite-v1"},
                         {i.split(":")[0] for i in guide(byCustomizationType="CONTINUED_PRE_TRAINING")})
        self.assertEqual({"stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl-v1"}, guide(byProvider="Stability AI"))
        self.assertEqual([], models(byProvider="Nobody"))

    def test_id_and_arn(self):
        for model in ("anthropic.claude-v2:1", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1"):
            with self.subTest(model):
                self.assertEqual("anthropic.claude-v2:1", control.get_foundation_model(modelIdentifier=model)["modelDetails"]["modelId"])

    def test_refusals(self):
        with self.refused(code="ResourceNotFoundException", status=404):
            control.get_foundation_model(modelIdentifier="anthropic.nope")
        with self.refused():
            control.get_foundation_model(modelIdentifier="no-dot")
        with self.refused():
            models(byOutputModality="SMELL")

    def test_times_are_aware_and_exact(self):
        for p in control.list_inference_profiles(maxResults=3)["inferenceProfileSummaries"]:
            self.assertEqual(datetime.timedelta(0), p["createdAt"].utcoffset())
        source = {"copyFrom": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"}
        arn = control.create_inference_profile(inferenceProfileName="times", modelSource=source)["inferenceProfileArn"]
        try:
            got = control.get_inference_profile(inferenceProfileIdentifier=arn)
        finally:
            control.delete_inference_profile(inferenceProfileIdentifier=arn)
        for k in ("createdAt", "updatedAt"):
            self.assertEqual(datetime.timedelta(0), got[k].utcoffset())
            self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - got[k]), datetime.timedelta(minutes=5))
        self.assertNotEqual(0, got["createdAt"].microsecond)


if __name__ == "__main__":
    unittest.main()
