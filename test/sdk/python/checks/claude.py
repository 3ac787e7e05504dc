"""Anthropic Claude: text completions and Messages, plain and streamed."""

import json

from client import METRICS, Case, I, S, b64, png, unittest

V2, V21, INSTANT = "anthropic.claude-v2", "anthropic.claude-v2:1", "anthropic.claude-instant-v1"
SONNET, HAIKU = "anthropic.claude-3-sonnet-20240229-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"


def completion(prompt, tokens=200, **kw):
    return {"prompt": prompt, "max_tokens_to_sample": tokens, **kw}


def messages(content="hello", tokens=200, **kw):
    said = content if isinstance(content, list) and content and "role" in content[0] else [{"role": "user", "content": content}]
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": tokens, "messages": said, **kw}


HUMAN = "\n\nHuman: {}\n\nAssistant:"


class Completions(Case):
    def test_both_versions(self):
        for model in (V2, V21, INSTANT):
            with self.subTest(model):
                out = I(model, completion(HUMAN.format("hello"), temperature=0.1, top_p=0.9), accept="application/json", contentType="application/json")
                self.assertIn("You said: hello", out["completion"])
                self.assertEqual(("completion", "stop_sequence", "\n\nHuman:"), (out["type"], out["stop_reason"], out["stop"]))

    def test_stop_sequence(self):
        out = I(V2, completion(HUMAN.format("black holes in space"), stop_sequences=["holes"]))
        self.assertTrue(out["completion"].endswith("black "), out)
        self.assertEqual(("stop_sequence", "holes"), (out["stop_reason"], out["stop"]))

    def test_prompt_forms(self):
        for prompt in (
            "Human: x\n\nAssistant:",
            "Human: x Assistant:",
            "\n\nHuman: x\n\nAssistant:",
            "\n\nHuman:\nx\n\nAssistant:\n",
            "You are terse.\n\nHuman: y\n\nAssistant: z\n\nHuman: x\n\nAssistant:",
        ):
            with self.subTest(prompt):
                self.assertEqual("You said: x", I(V21, completion(prompt, stop_sequences=[]))["completion"].strip())
        with self.refused("Human:"):
            I(V2, completion("tell me a joke"))

    def test_length(self):
        with self.refused("required key [max_tokens_to_sample] not found"):
            I(V2, {"prompt": HUMAN.format("x")})
        out = I(V2, completion(HUMAN.format("x"), 1))
        self.assertEqual(("max_tokens", None), (out["stop_reason"], out["stop"]))

    def test_prefill_is_continued(self):
        out = I(V2, completion("\n\nHuman: pick a film\n\nAssistant: My choice is ("))
        self.assertNotIn("My choice", out["completion"])
        self.assertTrue(out["completion"].lstrip().startswith("2)"), out)

    def test_stream(self):
        body = completion(HUMAN.format("some words to be streamed"), temperature=0)
        chunks = S(V2, body)
        self.assertGreater(len(chunks), 2)
        for c in chunks:
            self.assertIs(str, type(c["completion"]))
        self.assertEqual([c for c in chunks if c["stop_reason"] is not None], chunks[-1:])
        self.assertEqual([c for c in chunks if METRICS in c], chunks[-1:])
        self.assertMetrics(chunks[-1])
        self.assertEqual(I(V2, body)["completion"], "".join(c["completion"] for c in chunks))


class Messages(Case):
    def test_keys(self):
        out = I(SONNET, messages())
        self.assertLessEqual({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}, set(out))
        self.assertEqual(("message", "assistant", "end_turn", None), (out["type"], out["role"], out["stop_reason"], out["stop_sequence"]))
        block = I(SONNET, messages([{"type": "text", "text": "hello"}]))
        self.assertEqual(out["content"], block["content"])
        self.assertEqual([{"type": "text", "text": "You said: hello"}], out["content"])
        self.assertEqual(out["usage"], block["usage"])
        self.assertGreater(min(out["usage"]["input_tokens"], out["usage"]["output_tokens"]), 0)

    def test_both_forms_on_one_id(self):
        for model in (V2, INSTANT):
            with self.subTest(model):
                self.assertEqual("You said: hello", I(model, messages())["content"][0]["text"])
                self.assertIn("You said: hello", I(model, completion(HUMAN.format("hello")))["completion"])
        with self.refused("Please use the Messages API instead."):
            I(HAIKU, completion(HUMAN.format("hello")))

    def test_refusals(self):
        user, assistant = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
        bad = {
            "no version": {"max_tokens": 9, "messages": [user]},
            "other version": messages() | {"anthropic_version": "2023-06-01"},
            "system role": messages([{"role": "system", "content": "x"}, user]),
            "assistant first": messages([assistant, user]),
            "stops": messages(stop_sequences=["x"] * 8192),
        }
        for name, body in bad.items():
            with self.subTest(name), self.refused():
                I(SONNET, body)

    def test_prefill(self):
        prefill = "Here is my JSON description:\n{"
        out = I(SONNET, messages([{"role": "user", "content": "describe the cat"}, {"role": "assistant", "content": prefill}]))
        text = out["content"][0]["text"]
        self.assertFalse(text.startswith("Here is"), text)
        self.assertEqual("cat", json.loads("{" + text)["name"])

    def test_images(self):
        def picture(width=32, kind="image/png"):
            return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": b64(png(width, 8))}}

        text = {"type": "text", "text": "Which rock is this?"}
        without, one = I(SONNET, messages([text])), I(SONNET, messages([picture(), text]))
        self.assertGreater(one["usage"]["input_tokens"], without["usage"]["input_tokens"])
        self.assertTrue(one["content"][0]["text"])
        user = {"role": "user", "content": "a"}
        for name, body in {
            "21 images": messages([picture()] * 21 + [text]),
            "assistant": messages([user, {"role": "assistant", "content": [picture()]}, user]),
            "bmp": messages([picture(kind="image/bmp"), text]),
            "8001 pixels": messages([picture(8001), text]),
        }.items():
            with self.subTest(name), self.refused():
                I(SONNET, body)

    def test_stream(self):
        body = messages("some words to be streamed", temperature=0)
        chunks = S(HAIKU, body)
        kinds = [c["type"] for c in chunks]
        deltas = kinds.count("content_block_delta")
        self.assertGreater(deltas, 1)
        self.assertEqual(["message_start", "content_block_start"] + ["content_block_delta"] * deltas + ["content_block_stop", "message_delta", "message_stop"], kinds)
        text = "".join(c["delta"]["text"] for c in chunks if c["type"] == "content_block_delta")
        plain = I(HAIKU, body)
        self.assertEqual(plain["content"][0]["text"], text)
        last = chunks[-2]
        self.assertEqual({"stop_reason": "end_turn", "stop_sequence": None}, last["delta"])
        self.assertEqual(plain["usage"]["output_tokens"], last["usage"]["output_tokens"])
        self.assertMetrics(chunks[-1])

    def test_tools(self):
        tools = [{"name": "get_weather", "description": "weather of a city", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
        first = messages("What is the weather in Seattle?", tools=tools)
        out = I(SONNET, first)
        self.assertEqual("tool_use", out["stop_reason"])
        use = [b for b in out["content"] if b["type"] == "tool_use"]
        self.assertEqual([("get_weather", {"city": "Seattle"})], [(u["name"], u["input"]) for u in use])
        second = messages(
            [first["messages"][0], {"role": "assistant", "content": out["content"]},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use[0]["id"], "content": "50 degrees"}]}], tools=tools)
        self.assertEqual("It is 50 degrees.", I(SONNET, second)["content"][0]["text"])

        chunks = S(SONNET, first)
        start = [c for c in chunks if c["type"] == "content_block_start" and c["content_block"]["type"] == "tool_use"]
        self.assertEqual(1, len(start))
        self.assertEqual({}, start[0]["content_block"]["input"])
        parts = [c["delta"]["partial_json"] for c in chunks if c["type"] == "content_block_delta" and c["delta"]["type"] == "input_json_delta"]
        self.assertEqual({"city": "Seattle"}, json.loads("".join(parts)))
        self.assertEqual("tool_use", chunks[-2]["delta"]["stop_reason"])


if __name__ == "__main__":
    unittest.main()
