"""Stability SDXL: both versions, sizes, bounds, seeds, masks."""

import base64

from client import Case, I, b64, pixels, png, size, unittest

V1, V0, OLD = "stability.stable-diffusion-xl-v1", "stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl"
SIZES = "1024x1024 1152x896 1216x832 1344x768 1536x640 640x1536 768x1344 832x1216 896x1152"


def paint(model=V1, **kw):
    return I(model, {"text_prompts": [{"text": "a basalt cliff"}], **kw})


def picture(out):
    return base64.b64decode(out["artifacts"][0]["base64"], validate=True)


class Stability(Case):
    def test_ids(self):
        for model in (V1, V0, OLD):
            with self.subTest(model):
                out = paint(model, seed=5)
                self.assertEqual("success", out["result"])
                self.assertEqual((5, "SUCCESS"), (out["artifacts"][0]["seed"], out["artifacts"][0]["finishReason"]))
                size(picture(out))

    def test_sizes(self):
        for wh in SIZES.split():
            w, h = map(int, wh.split("x"))
            with self.subTest(wh):
                self.assertEqual((w, h), size(picture(paint(width=w, height=h))))
        with self.refused():
            paint(width=512, height=512)

    def test_bounds(self):
        for model, bad in ((V1, {"samples": 2}), (V1, {"steps": 51}), (V1, {"cfg_scale": 36}), (V0, {"cfg_scale": 31}), (V0, {"steps": 151}), (V1, {"seed": 4294967296})):
            with self.subTest(model, **bad), self.refused():
                paint(model, **bad)
        paint(V0, steps=150)
        paint(V1, seed=4294967295, cfg_scale=35, style_preset="photographic")

    def test_random_seed(self):
        a, b = paint(seed=0), paint(seed=0)
        self.assertNotEqual(picture(a), picture(b))
        for out in (a, b):
            self.assertEqual(picture(out), picture(paint(seed=out["artifacts"][0]["seed"])))

    def test_masks(self):
        w, h = 1024, 1024
        row = {}
        before = png(w, h, lambda x, y: row.setdefault(x, (x % 256, 90, 30)))
        mask = png(w, h, lambda x, y: (0, 0, 0) if x < w // 2 else (255, 255, 255))
        for source, black_changes in (("MASK_IMAGE_WHITE", False), ("MASK_IMAGE_BLACK", True)):
            with self.subTest(source):
                out = paint(init_image=b64(before), mask_source=source, mask_image=b64(mask), seed=3)
                ow, oh, rows = pixels(picture(out))
                self.assertEqual((w, h), (ow, oh))
                changed = {True: 0, False: 0}
                for y in range(0, h, 16):
                    for x in range(w):
                        if rows[y][x] != (x % 256, 90, 30):
                            changed[x < w // 2] += 1
                self.assertGreater(changed[black_changes], 0)
                self.assertEqual(0, changed[not black_changes])

    def test_alpha_needs_no_mask(self):
        before = png(1024, 1024, lambda x, y: (9, 9, 9, 0 if x < 512 else 255), alpha=True)
        paint(init_image=b64(before), mask_source="INIT_IMAGE_ALPHA", seed=3)


if __name__ == "__main__":
    unittest.main()
