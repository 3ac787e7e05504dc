"""Amazon Titan Image Generator: sizes, seeds, masks, and its multimodal embedding neighbour."""

import base64

from client import Case, I, b64, pixels, png, size, unittest

MODEL = "amazon.titan-image-generator-v1"
SIZES = """1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384
896x1152 448x576 1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640"""


def paint(text="a basalt cliff", **config):
    return I(MODEL, {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": text}, "imageGenerationConfig": config})


def images(out):
    return [base64.b64decode(i, validate=True) for i in out["images"]]


SMALL = 64
PICTURE = png(SMALL, SMALL, lambda x, y: (x * 3, y * 3, 90))
MASK = png(SMALL, SMALL, lambda x, y: (0, 0, 0) if x < SMALL // 2 else (255, 255, 255))


class TitanImage(Case):
    def test_three_images(self):
        out = paint(numberOfImages=3, width=512, height=512)
        self.assertIsNone(out.get("error"))
        self.assertEqual([(512, 512)] * 3, [pixels(i)[:2] for i in images(out)])

    def test_seed(self):
        a, b, c = (paint(width=512, height=512, seed=s)["images"] for s in (7, 7, 8))
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_sizes(self):
        for wh in SIZES.split():
            w, h = map(int, wh.split("x"))
            with self.subTest(wh):
                self.assertEqual([(w, h)], [size(i) for i in images(paint(width=w, height=h))])

    def test_bounds(self):
        for config in ({"width": 700, "height": 700}, {"width": 640, "height": 1152}, {"numberOfImages": 6}, {"cfgScale": 1.0}):
            with self.subTest(config), self.refused():
                paint(**config)
        paint(width=512, height=512, quality="standard", cfgScale=8)
        paint(width=512, height=512, seed=2147483646)

    def inpaint(self, **params):
        return I(MODEL, {"taskType": "INPAINTING", "inPaintingParams": {"image": b64(PICTURE), "text": "moss", **params}})

    def test_inpainting_masks(self):
        mask = b64(MASK)
        with self.refused():
            self.inpaint(maskPrompt="windows", maskImage=mask)
        with self.refused():
            self.inpaint()
        for name, bad in (
            ("size", png(32, 32, lambda x, y: (0, 0, 0))),
            ("alpha", png(SMALL, SMALL, lambda x, y: (0, 0, 0, 255), alpha=True)),
            ("grey", png(SMALL, SMALL, lambda x, y: (128, 128, 128))),
        ):
            with self.subTest(name), self.refused():
                self.inpaint(maskImage=b64(bad))
        with self.refused():
            I(MODEL, {"taskType": "INPAINTING", "inPaintingParams": {"image": b64(PICTURE), "maskImage": mask}, "imageGenerationConfig": {"seed": 1}})

    def compare(self, out, keep_black):
        w, h, after = pixels(images(out)[0])
        self.assertEqual((SMALL, SMALL), (w, h))
        _, _, before = pixels(PICTURE)
        kept = changed = 0
        for y in range(h):
            for x in range(w):
                black = x < SMALL // 2
                if black == keep_black:
                    self.assertEqual(before[y][x], after[y][x], (x, y))
                    kept += 1
                elif before[y][x] != after[y][x]:
                    changed += 1
        self.assertEqual(SMALL * SMALL // 2, kept)
        self.assertGreater(changed, 0)

    def test_inpainting_keeps_white(self):
        self.compare(self.inpaint(maskImage=b64(MASK)), keep_black=False)

    def outpaint(self, **params):
        return I(MODEL, {"taskType": "OUTPAINTING", "outPaintingParams": {"image": b64(PICTURE), "maskImage": b64(MASK), **params}})

    def test_outpainting(self):
        self.compare(self.outpaint(text="a lava field", outPaintingMode="PRECISE"), keep_black=True)
        with self.refused():
            self.outpaint(outPaintingMode="PRECISE")
        with self.refused():
            self.outpaint(text="a lava field", outPaintingMode="precise")

    def test_variation(self):
        def vary(*pictures):
            return I(MODEL, {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [b64(p) for p in pictures], "text": "in watercolour"}})

        self.assertEqual(1, len(images(vary(PICTURE))))
        with self.refused():
            vary(PICTURE, PICTURE)


class Multimodal(Case):
    M = "amazon.titan-embed-image-v1"

    def test_lengths(self):
        for n in (256, 384):
            self.assertEqual(n, len(I(self.M, {"inputText": "an arch", "embeddingConfig": {"outputEmbeddingLength": n}})["embedding"]))
        out = I(self.M, {"inputText": "an arch"})
        self.assertEqual(1024, len(out["embedding"]))
        self.assertIsNone(out.get("message"))
        with self.refused("512 is not a valid enum value"):
            I(self.M, {"inputText": "an arch", "embeddingConfig": {"outputEmbeddingLength": 512}})
        with self.refused():
            I(self.M, {})

    def test_both_are_the_mean(self):
        image = b64(png(32, 32))
        text, picture, both = (I(self.M, b)["embedding"] for b in ({"inputText": "an arch"}, {"inputImage": image}, {"inputText": "an arch", "inputImage": image}))
        for t, p, m in zip(text, picture, both, strict=True):
            self.assertAlmostEqual((t + p) / 2, m, delta=1e-5)


if __name__ == "__main__":
    unittest.main()
