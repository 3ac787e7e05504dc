"""A model before and after its end of life; argument: the server's date."""

import sys

from client import Case, I, control, unittest

OLD = "stability.stable-diffusion-xl-v0"
BODY = {"text_prompts": [{"text": "a cliff"}]}
after = False


class LifeCycle(Case):
    def test_end_of_life(self):
        listed = {m["modelId"]: m["modelLifecycle"]["status"] for m in control.list_foundation_models()["modelSummaries"]}
        self.assertEqual("ACTIVE", listed["stability.stable-diffusion-xl-v1"])
        if after:
            self.assertNotIn(OLD, listed)
            with self.refused(code="ResourceNotFoundException", status=404):
                I(OLD, BODY)
            with self.refused(code="ResourceNotFoundException", status=404):
                control.get_foundation_model(modelIdentifier=OLD)
            return
        self.assertEqual("LEGACY", listed[OLD])
        self.assertEqual("LEGACY", control.get_foundation_model(modelIdentifier=OLD)["modelDetails"]["modelLifecycle"]["status"])
        self.assertTrue(I(OLD, BODY)["artifacts"])


if __name__ == "__main__":
    after = sys.argv.pop() == "after"
    unittest.main()
