"""Parser functions as people write them for the text contract of agents.

One handler for each step, with the patterns and the shapes of answers that are
common: no messageVersion, bare booleans, references as a list of sourceId. Run as a
program, it is called with the name of a handler, reads an event and prints the
answer, or {"errorMessage": ...} when the handler raised.
"""
import json
import re
import sys
import xml.etree.ElementTree as tree

THINKING = re.compile("<thinking>(.*?)</thinking>", re.DOTALL)
CATEGORY = re.compile("<category>(.*?)</category>", re.DOTALL)
FINAL = re.compile(r"<final_response>([\s\S]*?)</final_response>", re.DOTALL)
PART = re.compile(r"<answer_part\s?>(.*?)</answer_part\s?>", re.DOTALL)
TEXT = re.compile(r"<text\s?>(.*?)</text\s?>", re.DOTALL)
SOURCE = re.compile(r"<source\s?>(.*?)</source\s?>", re.DOTALL)
ANSWER = re.compile("(?<=<answer>)(.*)", re.DOTALL)
PREFIX = "x_amz_knowledgebase_"


def newlines(text):
    return re.sub(r"(\\n*)", "\n", text)


def first(pattern, text):
    found = pattern.search(text)
    return found.group(1) if found else None


def answer_parts(text):
    parts = []
    for found in PART.finditer(text):
        inner = TEXT.search(found.group(1).strip())
        if not inner:
            raise ValueError("Could not parse generated response")
        parts.append({
            "text": inner.group(1).strip(),
            "references": [{"sourceId": s.group(1).strip()} for s in SOURCE.finditer(found.group(1))],
        })
    return parts


def pre_processing(event, context):
    text = newlines(event["invokeModelRawResponse"])
    category = first(CATEGORY, text)  # a missing one raises, as in the widespread original
    return {
        "promptType": "PRE_PROCESSING",
        "preProcessingParsedResponse": {
            "rationale": first(THINKING, text),
            "isValidInput": category.strip().upper() in ("D", "E"),
        },
    }


def knowledge(event, context):
    return {
        "promptType": "KNOWLEDGE_BASE_RESPONSE_GENERATION",
        "knowledgeBaseResponseGenerationParsedResponse": {
            "generatedResponse": {"generatedResponseParts": answer_parts(event["invokeModelRawResponse"])},
        },
    }


def post_processing(event, context):
    text = first(FINAL, event["invokeModelRawResponse"])
    if text is None:
        raise Exception("Could not parse raw LLM output")
    return {"promptType": "POST_PROCESSING", "postProcessingParsedResponse": {"responseText": text.strip()}}


def rationale(text, call_tag):
    for end in (call_tag, "<answer>"):
        head, found, _ = text.partition(end)
        if not found:
            continue
        head = head.strip()
        inner = re.search("<scratchpad>(.*?)</scratchpad>", head, re.DOTALL) or re.search("(.*?)</scratchpad>", head, re.DOTALL)
        return inner.group(1).strip() if inner else head
    return None


def orchestration(event, call_tag, ask, call):
    text = newlines(event["invokeModelRawResponse"])
    body = {"rationale": rationale(text, call_tag)}
    out = {"promptType": "ORCHESTRATION", "orchestrationParsedResponse": body}
    try:
        parts = answer_parts(text)
        final = " ".join(p["text"] for p in parts) or None
        if final is None and text.rfind("<answer>") > text.rfind(call_tag):
            final = ANSWER.search(text).group(0).strip()
        if final:
            body["responseDetails"] = {"invocationType": "FINISH", "agentFinalResponse": {"responseText": final}}
            if parts:
                body["responseDetails"]["agentFinalResponse"]["citations"] = {"generatedResponseParts": parts}
            return out
        question = ask(text)
        if question:
            body["responseDetails"] = {"invocationType": "ASK_USER", "agentAskUser": {"responseText": question}}
            return out
        verb, group, name, given = call(text)
    except ValueError as wrong:
        body["parsingErrorDetails"] = {"repromptResponse": str(wrong)}
        return out
    if group.lower().startswith(PREFIX):
        body["responseDetails"] = {
            "invocationType": "KNOWLEDGE_BASE",
            "agentKnowledgeBase": {"searchQuery": given["searchQuery"], "knowledgeBaseId": group.replace(PREFIX, "")},
        }
        return out
    body["responseDetails"] = {
        "invocationType": "ACTION_GROUP",
        "actionGroupInvocation": {"verb": verb, "actionGroupName": group, "apiName": name, "actionGroupInput": given},
    }
    return out


def claude2(event, context):
    def ask(text):
        found = re.search(r"(<function_call>user::askuser)(.*)\)", text, re.DOTALL)
        if not found:
            return None
        question = re.search(r'(?<=askuser=")(.*?)"', found.group(2), re.DOTALL)
        if not question:
            raise ValueError("Missing the argument askuser for user::askuser function call. Please try again with the correct argument added")
        return question.group(1).strip()

    def call(text):
        found = re.search(r"<function_call>(\w+)::(\w+)::(.+)\((.+)\)", text)
        if not found:
            raise ValueError("The function call format is incorrect.")
        given = {}
        for pair in found.group(4).split(","):
            name, value = pair.split("=")
            given[name.strip()] = {"value": value.strip('" ')}
        return found.group(1), found.group(2), found.group(3), given

    return orchestration(event, "<function_call>", ask, call)


def claude21(event, context):
    def parameters(text):
        return re.search(r"<parameters>((.|\n)*?)</parameters>", text, re.DOTALL).group(1).strip()

    def ask(text):
        if "<tool_name>user::askuser</tool_name>" not in text:
            return None
        question = re.search(r"<question>((.|\n)*?)</question>", parameters(text), re.DOTALL)
        if not question:
            raise ValueError("Missing the parameter 'question' for user::askuser function call. Please try again with the correct argument added.")
        return question.group(1)

    def call(text):
        if not re.search(r"(?<=<function_calls>)(.*)", text, re.DOTALL):
            raise ValueError("The function call format is incorrect.")
        verb, group, name = re.search(r"<tool_name>((.|\n)*?)</tool_name>", text).group(1).split("::")
        given = {}
        for element in tree.fromstring("<parameters>{}</parameters>".format(parameters(text))).iter():
            if element.text:
                given[element.tag] = {"value": element.text.strip(" ")}
        return verb.strip(), group.strip(), name.strip(), given

    return orchestration(event, "<function_calls>", ask, call)


def tool_use(event, context):
    answer = json.loads(event["invokeModelRawResponse"])
    body = {}
    calls = [b for b in answer["content"] if b["type"] == "tool_use"]
    text = " ".join(b["text"] for b in answer["content"] if b["type"] == "text")
    if answer["stop_reason"] != "tool_use" or not calls:
        body["responseDetails"] = {"invocationType": "FINISH", "agentFinalResponse": {"responseText": text}}
        return {"messageVersion": "1.0", "promptType": "ORCHESTRATION", "orchestrationParsedResponse": body}
    body["rationale"] = text
    verb, group, name = calls[0]["name"].split("__")
    body["responseDetails"] = {
        "invocationType": "ACTION_GROUP",
        "actionGroupInvocation": {
            "id": calls[0]["id"], "verb": verb, "actionGroupName": group, "apiName": name,
            "actionGroupInput": {k: {"value": v} for k, v in calls[0]["input"].items()},
        },
    }
    return {"messageVersion": "1.0", "promptType": "ORCHESTRATION", "orchestrationParsedResponse": body}


if __name__ == "__main__":
    try:
        print(json.dumps(globals()[sys.argv[1]](json.load(sys.stdin), None)))
    except Exception as wrong:  # as the service reports a function that failed
        print(json.dumps({"errorMessage": str(wrong), "errorType": type(wrong).__name__}))
