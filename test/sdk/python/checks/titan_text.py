"""Amazon Titan Text: bounds, defaults, stop sequences, stream."""

from client import MALFORMED, Case, I, S, unittest

MODEL = "amazon.titan-text-express-v1"


def body(text="hi", **config):
    return {"inputText": text, "textGenerationConfig": config} if config else {"inputText": text}


class TitanText(Case):
    def test_answer(self):
        out = I(MODEL, body())
        self.assertGreater(out["inputTextTokenCount"], 0)
        self.assertIsNone(out.get("error"))
        self.assertEqual(1, len(out["results"]))
        self.assertEqual({"tokenCount", "outputText", "completionReason"}, set(out["results"][0]))
        self.assertIn("hi", out["results"][0]["outputText"])
        self.assertEqual("FINISH", out["results"][0]["completionReason"])

    def test_length(self):
        r = I(MODEL, body(maxTokenCount=1))["results"][0]
        self.assertEqual(("LENGTH", 1), (r["completionReason"], r["tokenCount"]))
        self.assertEqual("", I(MODEL, body(maxTokenCount=0))["results"][0]["outputText"])

    def test_bounds(self):
        for config, bound in (({"temperature": 1.1}, "1"), ({"topP": 0}, "is not greater"), ({"maxTokenCount": 8001}, "8000")):
            with self.subTest(config), self.refused(MALFORMED, bound):
                I(MODEL, body(**config))
        with self.refused():
            I(MODEL, body("x" * 42001))

    def test_stop_sequences(self):
        with self.refused("string [Human:] does not match pattern"):
            I(MODEL, body(stopSequences=["Human:"]))
        for stops in (["|"], ["User:"], []):
            with self.subTest(stops):
                I(MODEL, body(stopSequences=stops))
        self.assertNotIn("|", I(MODEL, body("left | right", stopSequences=["|"]))["results"][0]["outputText"])

    def test_stream(self):
        b = body("a list of seven words to be streamed", temperature=0)
        chunks = S(MODEL, b)
        self.assertGreater(len(chunks), 1)
        self.assertEqual(I(MODEL, b)["results"][0]["outputText"], "".join(c["outputText"] for c in chunks))
        self.assertEqual([c for c in chunks if c["completionReason"]], chunks[-1:])
        self.assertMetrics(chunks[-1])
        for c in chunks:
            self.assertLessEqual({"index", "inputTextTokenCount", "totalOutputTextTokenCount", "outputText", "completionReason"}, set(c))

    def test_numbers_as_other_languages_write_them(self):
        for raw in (
            '{"inputText":"hi","textGenerationConfig":{"temperature":0,"topP":1,"maxTokenCount":512.0}}',
            '{"textGenerationConfig":{"topP":1.0,"temperature":0.0},"inputText":"hi"}',
            '{\n  "inputText": "h\\u0069",\n  "textGenerationConfig": {\n    "stopSequences": []\n  }\n}',
            '{"inputText":"a\\/b"}',
        ):
            with self.subTest(raw):
                I(MODEL, raw)


if __name__ == "__main__":
    unittest.main()
