"""A server on which models must be requested first (--model-access locked)."""

import json
import time

from client import Case, I, control, unittest

CLAUDE, TITAN, LLAMA = "anthropic.claude-3-haiku-20240307-v1:0", "amazon.titan-text-express-v1", "meta.llama2-13b-chat-v1"
BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def status(model):
    return control.get_foundation_model_availability(modelId=model)["agreementAvailability"]["status"]


def agree(model):
    offer = control.list_foundation_model_agreement_offers(modelId=model)["offers"][0]
    return control.create_foundation_model_agreement(modelId=model, offerToken=offer["offerToken"])


class Locked(Case):
    def wait(self, model, want):
        for _ in range(200):
            if status(model) == want:
                return
            time.sleep(0.05)
        self.fail(f"{model} is {status(model)}, not {want}")

    def test_access(self):
        denied = self.refused("You don't have access to the model with the specified model ID.", code="AccessDeniedException", status=403)
        self.assertEqual("NOT_AVAILABLE", status(LLAMA))
        with denied:
            I(LLAMA, {"prompt": "hello"})
        agree(LLAMA)
        self.wait(LLAMA, "AVAILABLE")
        self.assertIn("hello", I(LLAMA, {"prompt": "hello"})["generation"])
        control.delete_foundation_model_agreement(modelId=LLAMA)
        self.wait(LLAMA, "NOT_AVAILABLE")

    def test_anthropic_wants_the_use_case(self):
        with self.refused(code="AccessDeniedException", status=403):
            I(CLAUDE, BODY)
        with self.refused(status=None, code=self.code_of(lambda: agree(CLAUDE))):
            agree(CLAUDE)
        form = json.dumps({"companyName": "Example", "useCases": "tests of a client program"}).encode()
        control.put_use_case_for_model_access(formData=form)
        self.assertEqual(form, control.get_use_case_for_model_access()["formData"])
        agree(CLAUDE)
        self.wait(CLAUDE, "AVAILABLE")
        self.assertTrue(I(CLAUDE, BODY)["content"][0]["text"])

    def code_of(self, call):
        from client import ClientError
        with self.assertRaises(ClientError) as got:
            call()
        code = got.exception.response["Error"]["Code"]
        self.assertIn(code, ("ValidationException", "AccessDeniedException", "ConflictException"))
        return code

    def test_titan_stays(self):
        agree(TITAN)
        self.wait(TITAN, "AVAILABLE")
        self.code_of(lambda: control.delete_foundation_model_agreement(modelId=TITAN))
        self.assertEqual("AVAILABLE", status(TITAN))
        self.assertTrue(I(TITAN, {"inputText": "hello"})["results"][0]["outputText"])


if __name__ == "__main__":
    unittest.main()
