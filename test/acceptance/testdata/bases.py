"""Knowledge bases from their making to their end, as a program with boto3 lives with them."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from bases_kit import *

B = "documents"
s3.create_bucket(Bucket=B)
ROLE = role("kb-role", rights(B))

# 1: made, seen while it is made, and echoed as given
token = "33ecfe37-c087-4e23-ae53-6ea26c378def"
body = dict(name="kb1", description="first", roleArn=ROLE, knowledgeBaseConfiguration=vector(), storageConfiguration=opensearch("one"), clientToken=token, tags={"team": "rock"})
out = build.create_knowledge_base(**body)
made = out["knowledgeBase"]
KB = made["knowledgeBaseId"]
assert out["ResponseMetadata"]["HTTPStatusCode"] == 202 and made["status"] == "CREATING", out
assert len(KB) == 10 and KB.isalnum() and KB == KB.upper() and made["knowledgeBaseArn"] == f"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/{KB}", made
got = active(KB)
assert all(got[k] == body[k] for k in ("name", "description", "roleArn", "knowledgeBaseConfiguration", "storageConfiguration")), got

# 2: a name is taken once, a token answers what it made
assert refused("ConflictException", "KnowledgeBase with name kb1 already exists.", build.create_knowledge_base, **{**body, "clientToken": token.replace("3", "4")}) == 409
assert build.create_knowledge_base(**body)["knowledgeBase"]["knowledgeBaseId"] == KB
assert len(build.list_knowledge_bases()["knowledgeBaseSummaries"]) == 1

# 3, 4: what cannot be
plain = {k: v for k, v in body.items() if k not in ("clientToken", "tags")}
for bad in ({"name": "a--b"}, {"name": "-a"}, {"name": "a" * 101}, {"description": "d" * 201}, {"roleArn": "arn:aws:iam::123456789012:user/x"},
        {"storageConfiguration": {"type": "RDS", "pineconeConfiguration": {"connectionString": "https://x", "credentialsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x",
            "fieldMapping": {"textField": "t", "metadataField": "m"}}}},
        {"knowledgeBaseConfiguration": {"type": "KENDRA", "kendraKnowledgeBaseConfiguration": {"kendraIndexArn": "arn:aws:kendra:us-east-1:123456789012:index/0123456789-0123456789-0123456789-012345"}}},
        {"knowledgeBaseConfiguration": vector("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2")}):
    refused("ValidationException", "", build.create_knowledge_base, **{**plain, "name": "other", **bad})
refused("ValidationException", "role", build.create_knowledge_base, **{**plain, "name": "other", "roleArn": "arn:aws:iam::123456789012:role/nobody"})

# 6, 5: pages, and the last of fifty
ids = [KB] + [base(f"page-{i}", ROLE) for i in range(4)]
seen, calls, tok = [], 0, None
while True:
    p = build.list_knowledge_bases(maxResults=2, **({"nextToken": tok} if tok else {}))
    seen += [s["knowledgeBaseId"] for s in p["knowledgeBaseSummaries"]]
    calls, tok = calls + 1, p.get("nextToken")
    if not tok:
        break
assert calls == 3 and sorted(seen) == sorted(ids), (calls, seen)
assert len(list(build.get_paginator("list_knowledge_bases").paginate(PaginationConfig={"PageSize": 2}).search("knowledgeBaseSummaries"))) == 5
for i in range(45):
    build.create_knowledge_base(name=f"many-{i}", roleArn=ROLE, knowledgeBaseConfiguration=vector(), storageConfiguration=opensearch("many"))
assert refused("ServiceQuotaExceededException", "50", build.create_knowledge_base, **{**plain, "name": "fifty-first"}) == 402

# 7: an update replaces all, and not what chunks depend on
out = build.update_knowledge_base(knowledgeBaseId=KB, name="kb1-renamed", roleArn=ROLE, knowledgeBaseConfiguration=vector(), storageConfiguration=opensearch("one"))
assert out["ResponseMetadata"]["HTTPStatusCode"] == 202 and out["knowledgeBase"]["status"] == "UPDATING", out
assert "description" not in active(KB)
refused("ValidationException", "", build.update_knowledge_base, knowledgeBaseId=KB, name="kb1", roleArn=ROLE,
    knowledgeBaseConfiguration=vector("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-english-v3"), storageConfiguration=opensearch("one"))
refused("ValidationException", "", build.update_knowledge_base, knowledgeBaseId=KB, name="kb1", roleArn=ROLE, knowledgeBaseConfiguration=vector(), storageConfiguration=opensearch("two"))

# 8: data sources
fixed = lambda n, o: {"chunkingConfiguration": {"chunkingStrategy": "FIXED_SIZE", "fixedSizeChunkingConfiguration": {"maxTokens": n, "overlapPercentage": o}}}
conf = lambda *prefixes: {"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{B}", **({"inclusionPrefixes": list(prefixes)} if prefixes else {})}}
out = build.create_data_source(knowledgeBaseId=KB, name="ds1", dataSourceConfiguration=conf("fixed/"), vectorIngestionConfiguration=fixed(100, 20))
FIXED = out["dataSource"]["dataSourceId"]
assert out["ResponseMetadata"]["HTTPStatusCode"] == 200 and out["dataSource"]["status"] == "AVAILABLE" and out["dataSource"]["dataDeletionPolicy"] == "DELETE", out
assert build.get_data_source(knowledgeBaseId=KB, dataSourceId=FIXED)["dataSource"]["vectorIngestionConfiguration"] == fixed(100, 20)
assert build.update_data_source(knowledgeBaseId=KB, dataSourceId=FIXED, name="ds1-renamed", dataSourceConfiguration=conf("fixed/"), vectorIngestionConfiguration=fixed(100, 20))["ResponseMetadata"]["HTTPStatusCode"] == 200
refused("ValidationException", "", build.update_data_source, knowledgeBaseId=KB, dataSourceId=FIXED, name="ds1", dataSourceConfiguration=conf("fixed/"), vectorIngestionConfiguration=fixed(50, 20))
for over in (100, 1000):
    refused("ValidationException", "", build.create_data_source, knowledgeBaseId=KB, name="bad", dataSourceConfiguration=conf(), vectorIngestionConfiguration=fixed(100, over))
refused("ValidationException", "", build.create_data_source, knowledgeBaseId=KB, name="bad", dataSourceConfiguration=conf("a", "b"))
refused("ValidationException", "not", build.create_data_source, knowledgeBaseId=KB, name="bad", dataSourceConfiguration={"type": "WEB", "webConfiguration": {"sourceConfiguration": {"urlConfiguration": {"seedUrls": [{"url": "https://127.0.0.1/"}]}}}})

# 9: the first sync: one file of each kind, a metadata file, and two that cannot be
DS = build.create_data_source(knowledgeBaseId=KB, name="all", dataSourceConfiguration=conf("all/"))["dataSource"]["dataSourceId"]
office = shutil.which("soffice")
texts = {e: f"The {e} file tells of the {w}." for e, w in zip(("txt", "md", "html", "doc", "docx", "csv", "xls", "xlsx", "pdf"),
    ("aardvark", "buffalo", "cormorant", "dromedary", "echidna", "flamingo", "gazelle", "hedgehog", "ibis"))}
with tempfile.TemporaryDirectory() as d:
    made = {"txt": texts["txt"], "md": "# Beasts\n\n" + texts["md"], "html": f"<html><body><p>{texts['html']}</p></body></html>", "csv": "what,says\nbeast," + texts["csv"] + "\n"}
    if office:
        for ext, kind in (("doc", "txt"), ("docx", "txt"), ("pdf", "txt"), ("xls", "csv"), ("xlsx", "csv")):
            src = Path(d, f"a.{kind}")
            src.write_text(texts[ext] + "\n")
            subprocess.run([office, f"-env:UserInstallation=file://{d}/profile", "--headless", "--convert-to", ext, "--outdir", d, str(src)], check=True, capture_output=True, timeout=120)
            made[ext] = Path(d, f"a.{ext}").read_bytes()
    for ext, data in made.items():
        s3.put_object(Bucket=B, Key=f"all/file.{ext}", Body=data)
put(B, **{"all/file__txt__metadata__json": json.dumps({"metadataAttributes": {"genre": "beasts", "year": 2024, "draft": True}}), "all/setup__exe": b"MZ\x90\x00"})
s3.put_object(Bucket=B, Key="all/large.txt", Body=b"x" * (51 << 20))
n = len(made)
j = sync(KB, DS)
assert numbers(j) == (n + 2, 1, n, 0, 0, 0, 2), j
reasons = " ".join(j["failureReasons"])
assert f"s3://{B}/all/setup.exe" in reasons and f"s3://{B}/all/large.txt" in reasons and "1 file" in reasons, reasons
for ext in made:
    best = find(KB, texts[ext], n=1)[0]
    assert uri(best) == f"s3://{B}/all/file.{ext}" and texts[ext].split()[-1] in best["content"]["text"], best
meta = find(KB, texts["txt"], n=1)[0]["metadata"]
assert meta["genre"] == "beasts" and meta["year"] == 2024 and meta["draft"] is True and meta["x-amz-bedrock-kb-source-uri"] == f"s3://{B}/all/file.txt" and meta["x-amz-bedrock-kb-data-source-id"] == DS, meta

# 10, 11: what changed, and no more
assert numbers(sync(KB, DS)) == (n + 2, 1, 0, 0, 0, 0, 2)
put(B, **{"all/file__md": "The md file tells of the walrus now.", "all/file__txt__metadata__json": json.dumps({"metadataAttributes": {"genre": "birds"}})})
for k in ("all/file.html", "all/setup.exe", "all/large.txt"):
    s3.delete_object(Bucket=B, Key=k)
assert numbers(sync(KB, DS)) == (n - 1, 1, 0, 1, 1, 1, 0)
every = find(KB, "file", n=100)
assert not any("buffalo" in r["content"]["text"] or "cormorant" in r["content"]["text"] for r in every) and any("walrus" in r["content"]["text"] for r in every), every
assert [r["metadata"]["genre"] for r in find(KB, "file", n=100, filter={"equals": {"key": "genre", "value": "birds"}})] == ["birds"]

# 12: metadata that cannot be read is left out, the document is there
META = build.create_data_source(knowledgeBaseId=KB, name="meta", dataSourceConfiguration=conf("meta/"))["dataSource"]["dataSourceId"]
wrap = lambda v: json.dumps({"metadataAttributes": v})
put(B, **{f"meta/{x}__txt": f"Document {x} of odd attributes." for x in "abcd"})
put(B, **{"meta/a__txt__metadata__json": wrap({"k": "v" * (11 << 10)}), "meta/a__metadata__json": wrap({"k": "v"}), "meta/b__txt__metadata__json": "{not json", "meta/c__txt__metadata__json": wrap({"k": {"nested": 1}}), "meta/d__txt__metadata__json": wrap({"k": "good"})})
j = sync(KB, META)
assert j["statistics"]["numberOfNewDocumentsIndexed"] == 4 and j["failureReasons"], j
assert [uri(r) for r in find(KB, "odd attributes", n=100, filter={"notEquals": {"key": "k", "value": "x"}}) if r["metadata"].get("k")] == [f"s3://{B}/meta/d.txt"]

# 13, 14: jobs in order, and one at a time
jobs = build.list_ingestion_jobs(knowledgeBaseId=KB, dataSourceId=DS, filters=[{"attribute": "STATUS", "operator": "EQ", "values": ["COMPLETE"]}], sortBy={"attribute": "STARTED_AT", "order": "DESCENDING"}, maxResults=1)
assert len(jobs["ingestionJobSummaries"]) == 1 and jobs["nextToken"] and "failureReasons" not in jobs["ingestionJobSummaries"][0], jobs
assert jobs["ingestionJobSummaries"][0]["statistics"]["numberOfDocumentsDeleted"] == 1, jobs
put(B, **{f"fixed/{i}__txt": f"Number {i}. " * 300 for i in range(40)})
started = build.start_ingestion_job(knowledgeBaseId=KB, dataSourceId=FIXED)["ingestionJob"]
assert refused("ConflictException", "", build.start_ingestion_job, knowledgeBaseId=KB, dataSourceId=FIXED) == 409
until(lambda: job(KB, FIXED, started["ingestionJobId"]), lambda j: j["status"] == "COMPLETE")

# 15: how long chunks are; a token of this engine is a word or a sign
of = lambda name: [r["content"]["text"] for r in find(KB, "word", n=100, filter={"equals": {"key": "x-amz-bedrock-kb-source-uri", "value": f"s3://{B}/{name}"}})]
put(B, **{"all/thousand__txt": " ".join(f"word{i}" for i in range(1000)), "all/short__txt": " ".join(f"word{i}" for i in range(299)), "fixed/cut__txt": " ".join(f"word{i}" for i in range(500))})
NONE = build.create_data_source(knowledgeBaseId=KB, name="none", dataSourceConfiguration=conf("none/"), vectorIngestionConfiguration={"chunkingConfiguration": {"chunkingStrategy": "NONE"}})["dataSource"]["dataSourceId"]
put(B, **{"none/whole__txt": "word " * 400})
sync(KB, DS), sync(KB, FIXED), sync(KB, NONE)
long = of("all/thousand.txt")
assert len(long) >= 4 and all(len(t.split()) <= 300 for t in long) and len(of("all/short.txt")) == 1 and len(of("none/whole.txt")) == 1, [len(t.split()) for t in long]
cut = sorted(of("fixed/cut.txt"), key=lambda t: int(t.split()[0][4:]))
assert len(cut) >= 6 and all(len(t.split()) <= 100 for t in cut), [len(t.split()) for t in cut]
for a, b in zip(cut, cut[1:]):
    assert 10 <= len(set(a.split()) & set(b.split())) <= 30, (a, b)

# 16: how many
assert len(find(KB, "word")) == 5 and len(find(KB, "word", n=1)) == 1 and 5 < len(find(KB, "word", n=100)) <= 100
refused("ValidationException", "numberOfResults", run.retrieve, knowledgeBaseId=KB, retrievalQuery={"text": "x"}, retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 101}})
assert refused("ResourceNotFoundException", "", run.retrieve, knowledgeBaseId="NOSUCHBASE", retrievalQuery={"text": "x"}) == 404
assert find(ids[1], "anything") == []
refused("ValidationException", "", run.retrieve, knowledgeBaseId=KB, retrievalQuery={})

# 18: every operator against what it means
FILT = build.create_data_source(knowledgeBaseId=ids[2], name="films", dataSourceConfiguration=conf("films/"))["dataSource"]["dataSourceId"]
genres, docs = ["entertainment", "cooking", "sports"], {}
for i in range(30):
    a = {"year": 2010 + i % 12, "author": "ABCD"[i % 4] + f"-{i}", "draft": i % 2 == 0}
    if i % 5:
        a["genre"] = genres[i % 3]
    if i == 7:
        a["draft"] = "true"
    docs[f"s3://{B}/films/{i}.txt"] = a
    put(B, **{f"films/{i}__txt": f"A film, number {i}.", f"films/{i}__txt__metadata__json": wrap(a)})
sync(ids[2], FILT)
has = lambda k, f: lambda a: k in a and f(a[k])
g, y, au, dr = "genre", "year", "author", "draft"
op = lambda o, k, v: {o: {"key": k, "value": v}}
num = lambda f: lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and f(v)
form3 = {"orAll": [{"andAll": [op("equals", g, "entertainment"), op("greaterThan", y, 2018)]}, {"andAll": [op("in", g, ["cooking", "sports"]), op("startsWith", au, "C")]}]}
for f, want in (
        (op("equals", g, "cooking"), has(g, lambda v: v == "cooking")), (op("equals", dr, True), has(dr, lambda v: v is True)), (op("equals", dr, "true"), has(dr, lambda v: v == "true")),
        (op("equals", y, 2015.0), has(y, num(lambda v: v == 2015))), (op("notEquals", g, "cooking"), lambda a: a.get(g) != "cooking"), (op("greaterThan", y, 2018), has(y, num(lambda v: v > 2018))),
        (op("greaterThanOrEquals", y, 2018), has(y, num(lambda v: v >= 2018))), (op("lessThan", y, 2012), has(y, num(lambda v: v < 2012))), (op("lessThanOrEquals", y, 2012), has(y, num(lambda v: v <= 2012))),
        (op("in", g, ["cooking", "sports"]), has(g, lambda v: v in ("cooking", "sports"))), (op("notIn", g, ["cooking", "sports"]), lambda a: a.get(g) not in ("cooking", "sports")),
        (op("startsWith", au, "C"), has(au, lambda v: v.startswith("C"))), (op("stringContains", au, "-1"), has(au, lambda v: "-1" in v)),
        (form3, lambda a: a.get(g) == "entertainment" and a[y] > 2018 or a.get(g) in ("cooking", "sports") and a[au].startswith("C"))):
    got = sorted({uri(r) for r in find(ids[2], "A film", n=100, filter=f)})
    assert got == sorted(u for u, a in docs.items() if want(a)), (f, got)
assert len(find(ids[2], "number 1", n=3, filter=op("startsWith", au, "D-2"))) == 2  # 23 and 27
# 19: what is no filter
for f in ({**op("equals", g, "x"), **op("lessThan", y, 1)}, {"andAll": [op("equals", g, "x")]}, {"greaterThanOrEqualTo": {"key": y, "value": 1}}, op("greaterThan", y, "text"), op("in", g, "cooking")):
    got = raw(f"/knowledgebases/{ids[2]}/retrieve", {"retrievalQuery": {"text": "x"}, "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": f}}})
    assert got[0] == 400 and got[1].startswith("ValidationException"), (f, got)

# 20: words, and not words
put(B, **{"films/order__txt": "Your parcel left under the order number ZX-88123-Q, thank you."})
sync(ids[2], FILT)
assert uri(find(ids[2], "which film is ZX-88123-Q", overrideSearchType="HYBRID")[0]).endswith("order.txt")
assert find(ids[2], "A film, number 3.", overrideSearchType="SEMANTIC")
refused("ValidationException", "", run.retrieve, knowledgeBaseId=ids[2], retrievalQuery={"text": "x"}, retrievalConfiguration={"vectorSearchConfiguration": {"overrideSearchType": "FOO"}})

# documents one by one, without a bucket
CUSTOM = build.create_data_source(knowledgeBaseId=ids[3], name="own", dataSourceConfiguration={"type": "CUSTOM"})["dataSource"]["dataSourceId"]
one = lambda id, text: {"content": {"dataSourceType": "CUSTOM", "custom": {"customDocumentIdentifier": {"id": id}, "sourceType": "IN_LINE", "inlineContent": {"type": "TEXT", "textContent": {"data": text}}}},
    "metadata": {"type": "IN_LINE_ATTRIBUTE", "inlineAttributes": [{"key": "tags", "value": {"type": "STRING_LIST", "stringListValue": ["red", "blue"]}}]}}
out = build.ingest_knowledge_base_documents(knowledgeBaseId=ids[3], dataSourceId=CUSTOM, documents=[one("d-1", "The lighthouse keeper is called Orla."), one("d-2", "The ferry runs twice.")])
assert {d["status"] for d in out["documentDetails"]} <= {"STARTING", "PENDING", "IN_PROGRESS"}, out
ident = [{"dataSourceType": "CUSTOM", "custom": {"id": i}} for i in ("d-1", "d-2")]
until(lambda: build.get_knowledge_base_documents(knowledgeBaseId=ids[3], dataSourceId=CUSTOM, documentIdentifiers=ident)["documentDetails"], lambda l: [d["status"] for d in l] == ["INDEXED"] * 2)
best = find(ids[3], "who keeps the lighthouse", filter={"listContains": {"key": "tags", "value": "blue"}})[0]
assert "Orla" in best["content"]["text"] and best["location"] == {"type": "CUSTOM", "customDocumentLocation": {"id": "d-1"}}, best
assert len(build.list_knowledge_base_documents(knowledgeBaseId=ids[3], dataSourceId=CUSTOM)["documentDetails"]) == 2
build.delete_knowledge_base_documents(knowledgeBaseId=ids[3], dataSourceId=CUSTOM, documentIdentifiers=ident[:1])
until(lambda: find(ids[3], "lighthouse", n=10), lambda l: not any("Orla" in r["content"]["text"] for r in l))

# rerank, with no reranker here but the embedding model
out = run.rerank(queries=[{"type": "TEXT", "textQuery": {"text": "the ferry"}}], sources=[{"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": t}}} for t in ("a stone", "the ferry runs", "ferry")],
    rerankingConfiguration={"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"}}})
scores = [r["relevanceScore"] for r in out["results"]]
assert sorted(r["index"] for r in out["results"]) == [0, 1, 2] and scores == sorted(scores, reverse=True) and out["results"][-1]["index"] == 0, out

# 26: a source goes with its documents, or without
RET = build.create_data_source(knowledgeBaseId=ids[4], name="kept", dataDeletionPolicy="RETAIN", dataSourceConfiguration=conf("keep/"))["dataSource"]["dataSourceId"]
DEL = build.create_data_source(knowledgeBaseId=ids[4], name="gone", dataSourceConfiguration=conf("drop/"))["dataSource"]["dataSourceId"]
put(B, **{"keep/k__txt": "A kept word.", "drop/d__txt": "A dropped word."})
sync(ids[4], RET), sync(ids[4], DEL)
for ds in (RET, DEL):
    out = build.delete_data_source(knowledgeBaseId=ids[4], dataSourceId=ds)
    assert out["ResponseMetadata"]["HTTPStatusCode"] == 202 and out["status"] == "DELETING", out

    def gone():
        try:
            build.get_data_source(knowledgeBaseId=ids[4], dataSourceId=ds)
        except build.exceptions.ResourceNotFoundException:
            return True
    until(gone, bool)
assert [r["content"]["text"] for r in find(ids[4], "word", n=10)] == ["A kept word."]

# 27: tags
arn = f"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/{KB}"
assert build.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "rock"}
build.tag_resource(resourceArn=arn, tags={"a": "b"})
build.untag_resource(resourceArn=arn, tagKeys=["team"])
assert build.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
refused("ResourceNotFoundException", "", build.tag_resource, resourceArn=arn[:-10] + "ABCDEFGHIJ", tags={"a": "b"})

# deleted with all it has
out = build.delete_knowledge_base(knowledgeBaseId=ids[2])
assert out["ResponseMetadata"]["HTTPStatusCode"] == 202 and out["status"] == "DELETING", out


def away():
    try:
        build.get_knowledge_base(knowledgeBaseId=ids[2])
    except build.exceptions.ResourceNotFoundException:
        return True


until(away, bool)
assert refused("ResourceNotFoundException", "", run.retrieve, knowledgeBaseId=ids[2], retrievalQuery={"text": "x"}) == 404
print(KB, DS)
print("done")
