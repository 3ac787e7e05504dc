"""AI21 Jurassic-2, Cohere Command, Meta Llama, Mistral."""

from client import METRICS, Case, I, S, unittest

J2, COMMAND, LLAMA = "ai21.j2-mid-v1", "cohere.command-text-v14", "meta.llama2-13b-chat-v1"
M7, M8 = "mistral.mistral-7b-instruct-v0:2", "mistral.mixtral-8x7b-instruct-v0:1"
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty more"


class Jurassic(Case):
    def test_answer(self):
        out = I(J2, {"prompt": "hello", "maxTokens": 200})
        self.assertIn("You said: hello", out["completions"][0]["data"]["text"])
        self.assertIs(int, type(out["id"]))
        self.assertEqual({"reason": "endoftext"}, out["completions"][0]["finishReason"])
        cut = I(J2, {"prompt": LONG, "maxTokens": 5})
        self.assertEqual("length", cut["completions"][0]["finishReason"]["reason"])

    def test_penalties(self):
        I(J2, {"prompt": "x", "presencePenalty": {"scale": 5}, "countPenalty": {"scale": 1, "applyToNumbers": False}})
        with self.refused():
            I(J2, {"prompt": "x", "countPenalty": {"scale": 1.1}})
        with self.refused("expected type: Boolean, found: String"):
            I(J2, {"prompt": "x", "countPenalty": {"scale": 0.1, "applyToEmojis": "yes"}})


class Command(Case):
    def test_generations(self):
        out = I(COMMAND, {"prompt": "hello", "max_tokens": 200, "temperature": 0.6, "p": 1, "k": 0, "num_generations": 2, "return_likelihoods": "GENERATION"})
        self.assertEqual(2, len(out["generations"]))
        for g in out["generations"]:
            self.assertIn("hello", g["text"])
            self.assertEqual("COMPLETE", g["finish_reason"])
            self.assertIs(float, type(g["likelihood"]))
        self.assertEqual("hello", out["prompt"])
        none = I(COMMAND, {"prompt": "hello", "return_likelihoods": "NONE"})["generations"][0]
        self.assertNotIn("likelihood", none)

    def test_default_length(self):
        out = I(COMMAND, {"prompt": LONG})["generations"][0]
        self.assertEqual("MAX_TOKENS", out["finish_reason"])
        self.assertIn("twelve", out["text"])
        self.assertNotIn("more", out["text"])

    def test_stream(self):
        chunks = S(COMMAND, {"prompt": "hello there", "max_tokens": 50})
        self.assertEqual(1, len(chunks))
        self.assertIn("hello there", chunks[0]["generations"][0]["text"])
        self.assertMetrics(chunks[0])
        chunks = S(COMMAND, {"prompt": "hello there", "max_tokens": 50, "stream": True})
        self.assertGreater(len(chunks), 2)
        self.assertEqual([False] * (len(chunks) - 1) + [True], [c["is_finished"] for c in chunks])
        self.assertIn("You said: hello there", "".join(c.get("text", "") for c in chunks))
        self.assertEqual("COMPLETE", chunks[-1]["finish_reason"])
        self.assertMetrics(chunks[-1])

    def test_bounds(self):
        for bad in ({"num_generations": 6}, {"stop_sequences": list("abcde")}, {"logit_bias": {"1": 11}}, {"max_tokens": 4097}, {"temperature": 5.1}):
            with self.subTest(**bad), self.refused():
                I(COMMAND, {"prompt": "x", **bad})

    def test_truncate(self):
        prompt = "word " * 140_000  # more than the local model takes
        with self.refused():
            I(COMMAND, {"prompt": prompt, "truncate": "NONE"})
        for where in ("START", "END"):
            with self.subTest(where):
                I(COMMAND, {"prompt": prompt, "truncate": where})


class Llama(Case):
    def test_answer(self):
        out = I(LLAMA, {"prompt": "hello", "max_gen_len": 512, "temperature": 0.5, "top_p": 0.9})
        self.assertIn("You said: hello", out["generation"])
        self.assertEqual("stop", out["stop_reason"])
        self.assertGreater(min(out["prompt_token_count"], out["generation_token_count"]), 0)
        cut = I(LLAMA, {"prompt": LONG, "max_gen_len": 5})
        self.assertEqual((5, "length"), (cut["generation_token_count"], cut["stop_reason"]))
        with self.refused("extraneous key [stop_sequences] is not permitted"):
            I(LLAMA, {"prompt": "x", "stop_sequences": []})

    def test_template_is_not_doubled(self):
        out = I(LLAMA, {"prompt": "<s>[INST] hello [/INST]"})
        self.assertEqual("You said: hello", out["generation"].strip())

    def test_stream(self):
        body = {"prompt": LONG, "temperature": 0}
        chunks = S(LLAMA, body)
        self.assertIs(int, type(chunks[0]["prompt_token_count"]))
        self.assertEqual({None}, {c["prompt_token_count"] for c in chunks[1:]})
        counts = [c["generation_token_count"] for c in chunks]
        self.assertEqual(sorted(counts), counts)
        self.assertEqual(I(LLAMA, body)["generation"], "".join(c["generation"] for c in chunks))
        self.assertEqual(counts[-1], self.assertMetrics(chunks[-1])["outputTokenCount"])


class Mistral(Case):
    def test_stop(self):
        out = I(M7, {"prompt": "<s>[INST] one. two [/INST]", "stop": ["."]})["outputs"][0]
        self.assertEqual("stop", out["stop_reason"])
        self.assertIn("one", out["text"])
        self.assertNotIn(".", out["text"])

    def test_forms(self):
        for prompt in ("hello", "[INST] hello [/INST]", "<s>[INST] hello [/INST]", "<s>[INST] q [/INST]\na</s>\n[INST] hello [/INST]"):
            with self.subTest(prompt):
                self.assertEqual("You said: hello", I(M7, {"prompt": prompt})["outputs"][0]["text"].strip())

    def test_bounds(self):
        for model, bad in ((M7, {"stop": list("abcdefghijk")}), (M7, {"top_k": 0}), (M7, {"top_k": 201}), (M7, {"max_tokens": 8193}), (M8, {"max_tokens": 4097})):
            with self.subTest(model, **bad), self.refused():
                I(model, {"prompt": "x", **bad})
        I(M7, {"prompt": "x", "max_tokens": 8192})

    def test_stream(self):
        body = {"prompt": "[INST] " + LONG + " [/INST]", "temperature": 0}
        chunks = S(M7, body)
        self.assertGreater(len(chunks), 2)
        self.assertEqual(I(M7, body)["outputs"][0]["text"], "".join(c["outputs"][0]["text"] for c in chunks))
        self.assertEqual([c for c in chunks if METRICS in c], chunks[-1:])
        self.assertEqual("stop", chunks[-1]["outputs"][0]["stop_reason"])


if __name__ == "__main__":
    unittest.main()
