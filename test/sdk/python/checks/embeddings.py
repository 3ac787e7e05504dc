"""Text embeddings of Amazon and Cohere."""

import math

from client import Case, I, S, unittest

TITAN, ENGLISH, MANY = "amazon.titan-embed-text-v1", "cohere.embed-english-v3", "cohere.embed-multilingual-v3"


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def titan(text):
    return I(TITAN, {"inputText": text})["embedding"]


def cohere(*texts, model=ENGLISH, **kw):
    return I(model, {"texts": texts, "input_type": "search_document", **kw})


class Embeddings(Case):
    def test_titan(self):
        out = I(TITAN, {"inputText": "columnar jointing"})
        self.assertEqual({"embedding", "inputTextTokenCount"}, set(out))
        self.assertEqual(1536, len(out["embedding"]))
        self.assertEqual(out["embedding"], titan("columnar jointing"))
        with self.refused("extraneous key [maxTokenCount] is not permitted"):
            I(TITAN, {"inputText": "x", "maxTokenCount": 1})

    def test_cohere(self):
        out = I(ENGLISH, {"texts": ["Olivine!", "pyroxene"], "input_type": "search_document"}, accept="*/*")
        self.assertEqual([1024, 1024], [len(v) for v in out["embeddings"]])
        self.assertEqual("embeddings_floats", out["response_type"])
        self.assertEqual(["olivine!", "pyroxene"], out["texts"])
        self.assertEqual(["Olivine!"], cohere("Olivine!", model=MANY)["texts"])

    def test_cohere_bounds(self):
        with self.refused():
            cohere(*["x"] * 129)
        with self.refused("#/texts/0: expected maxLength: 2048, actual: 2049"):
            cohere("x" * 2049)

    def test_near_texts_are_near(self):
        for name, embed in (("titan", titan), ("cohere", lambda t: cohere(t)["embeddings"][0])):
            with self.subTest(name):
                a, b, c = (embed(t) for t in ("a cat on a mat", "a kitten on a rug", "quarterly tax report"))
                self.assertGreater(cosine(a, b), cosine(a, c))

    def test_no_stream(self):
        for model, body in (
            (TITAN, {"inputText": "x"}),
            (ENGLISH, {"texts": ["x"], "input_type": "search_query"}),
            ("amazon.titan-embed-image-v1", {"inputText": "x"}),
            ("ai21.j2-mid-v1", {"prompt": "x"}),
            ("ai21.j2-ultra-v1", {"prompt": "x"}),
            ("amazon.titan-image-generator-v1", {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "x"}}),
            ("stability.stable-diffusion-xl-v1", {"text_prompts": [{"text": "x"}]}),
        ):
            with self.subTest(model), self.refused("The model is unsupported for streaming."):
                S(model, body)


if __name__ == "__main__":
    unittest.main()
