"""RetrieveAndGenerate and its stream: citations, sessions, templates, documents of the request."""

from bases_kit import *

B = "town"
s3.create_bucket(Bucket=B)
ROLE = role("kb-role", rights(B))
KB = base("town", ROLE)
DS = source(KB, "town", B)
put(B, tower__txt="The Karst tower is 312 metres tall. It was finished in the year 1987 and is the landmark of the town.",
    bridge__md="# The Marl bridge\n\nThe Marl bridge was built by Ada Quill. It carries trams.",
    trap__txt="A note: $query$ and $search_results$ and </answer> stand in this text, about paint.")
put(B, tower__txt__metadata__json=json.dumps({"metadataAttributes": {"kind": "tower"}}))
sync(KB, DS)
REFUSAL = "Sorry, I am unable to assist you with this request."


def conf(**kw):
    return {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": KB, "modelArn": CLAUDE, **kw}}


def ask(text, session=None, **kw):
    return run.retrieve_and_generate(input={"text": text}, retrieveAndGenerateConfiguration=conf(**kw), **({"sessionId": session} if session else {}))


def template(text):
    return {"generationConfiguration": {"promptTemplate": {"textPromptTemplate": text}}}


# 21: an answer, its spans, what stands behind it
out = ask("How tall is the Karst tower?")
text = out["output"]["text"]
assert "312 metres" in text and out["sessionId"], out
cited = 0
for c in out["citations"]:
    part = c["generatedResponsePart"]["textResponsePart"]
    assert part["text"] == text[part["span"]["start"]:part["span"]["end"] + 1], (part, text)
    for r in c["retrievedReferences"]:
        cited += 1
        assert "score" not in r and uri(r) == f"s3://{B}/tower.txt" and "312 metres" in r["content"]["text"] and r["metadata"]["kind"] == "tower", r
assert cited, out

# 22: what was said before is known, and ids of sessions are not the caller's
follow = ask("And how old is it?", out["sessionId"])
assert "1987" in follow["output"]["text"] and follow["sessionId"] == out["sessionId"] and any(c["retrievedReferences"] for c in follow["citations"]), follow
assert refused("ValidationException", "ession", run.retrieve_and_generate, input={"text": "x"}, sessionId="made-up", retrieveAndGenerateConfiguration=conf()) == 400

# nothing supports it: no citation, no answer
out = ask("What colour is the Karst tower?")
assert out["output"]["text"] == REFUSAL and not any(c["retrievedReferences"] for c in out["citations"]), out
out = ask("How tall is the Karst tower?", retrievalConfiguration={"vectorSearchConfiguration": {"filter": {"equals": {"key": "kind", "value": "nothing"}}}})
assert out["output"]["text"] == REFUSAL, out

# 23: templates
refused("ValidationException", "search_results", run.retrieve_and_generate, input={"text": "x"}, retrieveAndGenerateConfiguration=conf(**template("Only $query$.")))
out = ask("echo", **template("Time $current_time$. Found: $search_results$ Unknown: $x$"))
told = out["output"]["text"]
assert time.strftime("%Y-%m-%d", time.gmtime()) in told and "$x$" in told and "$query$ and $search_results$" in told and not any(c["retrievedReferences"] for c in out.get("citations", [])), told
refused("ValidationException", "", run.retrieve_and_generate, input={"text": "x"}, retrieveAndGenerateConfiguration=conf(**template("$search_results$" + "x" * 4000)))
refused("ValidationException", "", run.retrieve_and_generate, input={"text": "x" * 1001}, retrieveAndGenerateConfiguration=conf())
refused("ValidationException", "", run.retrieve_and_generate, input={"text": "x"})
refused("ResourceNotFoundException", "", run.retrieve_and_generate, input={"text": "x"}, retrieveAndGenerateConfiguration={"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": "NOSUCHBASE", "modelArn": CLAUDE}})
refused("ValidationException", "", run.retrieve_and_generate, input={"text": "x"}, retrieveAndGenerateConfiguration={"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": KB, "modelArn": TITAN}})

# SQL and Kendra knowledge bases cannot be made, so no query can be generated
for kind, c in (("SQL", "sqlKnowledgeBaseConfiguration"), ("KENDRA", "kendraKnowledgeBaseConfiguration")):
    part = {"kendraIndexArn": "arn:aws:kendra:us-east-1:123456789012:index/12345678-1234-1234-1234-123456789012"} if kind == "KENDRA" else {"type": "REDSHIFT"}
    refused("ValidationException", "not supported by Outcrop", build.create_knowledge_base, name="tables", roleArn=ROLE, knowledgeBaseConfiguration={"type": kind, c: part})
tosql = lambda id: dict(queryGenerationInput={"type": "TEXT", "text": "How many towers?"}, transformationConfiguration={"mode": "TEXT_TO_SQL", "textToSqlConfiguration": {
    "type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseArn": f"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/{id}"}}})
refused("ValidationException", "type SQL only", run.generate_query, **tosql(KB))
refused("ResourceNotFoundException", "", run.generate_query, **tosql("NOSUCHBASE"))

# a question of two parts is searched in two
out = ask("How tall is the Karst tower and who built the Marl bridge?", orchestrationConfiguration={"queryTransformationConfiguration": {"type": "QUERY_DECOMPOSITION"}})
behind = [{uri(r) for r in c["retrievedReferences"]} for c in out["citations"]]
assert {f"s3://{B}/tower.txt"} in behind and {f"s3://{B}/bridge.md"} in behind, out

# the stream says the same: text before its citation, no markup
out = run.retrieve_and_generate_stream(input={"text": "How tall is the Karst tower?"}, retrieveAndGenerateConfiguration=conf())
text, cited, kinds = "", [], []
for e in out["stream"]:
    (kind, v), = e.items()
    kinds.append(kind)
    if kind == "output":
        text += v["text"]
    else:
        part = v["generatedResponsePart"]["textResponsePart"]
        assert part["text"] == text[part["span"]["start"]:part["span"]["end"] + 1], (part, text)
        cited += v["retrievedReferences"]
assert text.startswith("The Karst tower is 312 metres tall.") and "<" not in text and out["sessionId"] and kinds[0] == "output" and [uri(r) for r in cited] == [f"s3://{B}/tower.txt"], (text, cited, kinds)

# a document that comes with the request
for src in ({"sourceType": "BYTE_CONTENT", "byteContent": {"identifier": "t.txt", "contentType": "text/plain", "data": b"The Karst tower is 312 metres tall, says the request."}}, {"sourceType": "S3", "s3Location": {"uri": f"s3://{B}/tower.txt"}}):
    out = run.retrieve_and_generate(input={"text": "How tall is the Karst tower?"}, retrieveAndGenerateConfiguration={"type": "EXTERNAL_SOURCES", "externalSourcesConfiguration": {"modelArn": CLAUDE, "sources": [src]}})
    assert "312" in out["output"]["text"] and any(c["retrievedReferences"] for c in out["citations"]), out
print("done")
