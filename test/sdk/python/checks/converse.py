"""Converse and ConverseStream: one form for all families."""

import boto3
from botocore.config import Config
from botocore.exceptions import EventStreamError

from client import Case, metric, runtime, unittest

FAMILIES = ("anthropic.claude-v2:1", "anthropic.claude-3-sonnet-20240229-v1:0", "amazon.titan-text-express-v1", "meta.llama2-13b-chat-v1",
            "mistral.mistral-7b-instruct-v0:2", "cohere.command-text-v14", "ai21.j2-ultra-v1")


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


def shape(v):
    """The structure of an answer without its values."""
    if isinstance(v, dict):
        return {k: shape(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(x) for x in v]
    return type(v).__name__


class Converse(Case):
    def test_one_structure_for_all_families(self):
        shapes = {}
        for model in FAMILIES:
            out = runtime.converse(modelId=model, messages=user("the same words"), inferenceConfig={"maxTokens": 100, "temperature": 0})
            self.assertTrue(out.pop("ResponseMetadata"))
            self.assertEqual("You said: the same words", out["output"]["message"]["content"][0]["text"].strip(), model)
            self.assertEqual("end_turn", out["stopReason"], model)
            u = out["usage"]
            self.assertEqual(u["totalTokens"], u["inputTokens"] + u["outputTokens"])
            self.assertGreater(min(u["inputTokens"], u["outputTokens"]), 0)
            shapes[model] = shape(out)
        for model in FAMILIES:
            self.assertEqual(shapes[FAMILIES[0]], shapes[model], model)

    def test_stream_equals_plain(self):
        for model in FAMILIES[:-1]:  # Jurassic-2 does not stream
            with self.subTest(model):
                kw = dict(modelId=model, messages=user("some words to be streamed"), inferenceConfig={"temperature": 0})
                events = list(runtime.converse_stream(**kw)["stream"])
                names = [next(iter(e)) for e in events]
                self.assertEqual("messageStart", names[0])
                self.assertEqual(["messageStop", "metadata"], names[-2:])
                text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
                plain = runtime.converse(**kw)
                self.assertEqual(plain["output"]["message"]["content"][0]["text"], text)
                self.assertEqual(plain["stopReason"], events[-2]["messageStop"]["stopReason"])
                self.assertEqual(plain["usage"]["outputTokens"], events[-1]["metadata"]["usage"]["outputTokens"])
        with self.refused():
            runtime.converse_stream(modelId="ai21.j2-ultra-v1", messages=user("x"))

    def test_tool_round_trip(self):
        tools = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}}}]}
        kw = dict(modelId=FAMILIES[1], toolConfig=tools)
        said = user("weather in Seattle?")
        out = runtime.converse(messages=said, **kw)
        self.assertEqual("tool_use", out["stopReason"])
        use = [b["toolUse"] for b in out["output"]["message"]["content"] if "toolUse" in b]
        self.assertEqual([("get_weather", {"city": "Seattle"})], [(u["name"], u["input"]) for u in use])
        said += [out["output"]["message"], {"role": "user", "content": [{"toolResult": {"toolUseId": use[0]["toolUseId"], "content": [{"text": "50 degrees"}]}}]}]
        self.assertEqual("It is 50 degrees.", runtime.converse(messages=said, **kw)["output"]["message"]["content"][0]["text"])
        events = list(runtime.converse_stream(messages=user("weather in Seattle?"), **kw)["stream"])
        self.assertIn("get_weather", [e["contentBlockStart"]["start"]["toolUse"]["name"] for e in events if "contentBlockStart" in e])
        self.assertEqual("tool_use", [e["messageStop"]["stopReason"] for e in events if "messageStop" in e][0])

    def test_stop_sequence_and_length(self):
        ask = lambda **c: runtime.converse(modelId=FAMILIES[1], messages=user("black holes in space"), inferenceConfig=c)
        out = ask(stopSequences=["holes"])
        self.assertEqual("stop_sequence", out["stopReason"])
        self.assertNotIn("holes", out["output"]["message"]["content"][0]["text"])
        out = ask(maxTokens=2)
        self.assertEqual(("max_tokens", 2), (out["stopReason"], out["usage"]["outputTokens"]))

    def test_korean_and_emoji(self):
        want = "안녕하세요, 세계! 🎉👩‍💻 좋은 하루 되세요."
        kw = dict(modelId=FAMILIES[1], messages=user("korean please"))
        self.assertEqual(want, runtime.converse(**kw)["output"]["message"]["content"][0]["text"])
        pieces = [e["contentBlockDelta"]["delta"]["text"] for e in runtime.converse_stream(**kw)["stream"] if "contentBlockDelta" in e]
        self.assertGreater(len(pieces), 5)
        self.assertEqual(want, "".join(pieces))

    def test_a_cut_engine_ends_the_stream_with_an_exception(self):
        seen = []
        with self.assertRaises(EventStreamError) as got:
            for e in runtime.converse_stream(modelId=FAMILIES[1], messages=user("crash"))["stream"]:
                seen.append(next(iter(e)))
        self.assertEqual("modelStreamErrorException", got.exception.response["Error"]["Code"])
        self.assertIn("contentBlockDelta", seen)
        self.assertNotIn("messageStop", seen)

    def test_count_tokens_is_what_is_charged(self):
        said = {"messages": user("count these words, please")}
        n = runtime.count_tokens(modelId=FAMILIES[1], input={"converse": said})["inputTokens"]
        self.assertEqual(n, runtime.converse(modelId=FAMILIES[1], **said)["usage"]["inputTokens"])

    def test_retries_of_an_overloaded_engine(self):
        for mode, want in (("legacy", 5), ("standard", 3)):
            with self.subTest(mode):
                client = boto3.client("bedrock-runtime", config=Config(retries={"mode": mode}))
                before = metric("outcrop_requests_total", operation="Converse", status="429")
                with self.refused(code="ThrottlingException", status=429):
                    client.converse(modelId=FAMILIES[1], messages=user("overload"))
                self.assertEqual(want, metric("outcrop_requests_total", operation="Converse", status="429") - before)


if __name__ == "__main__":
    unittest.main()
