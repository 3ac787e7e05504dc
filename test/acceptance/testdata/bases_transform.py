"""A real function changes the chunks of documents on their way into a knowledge base; ends with "done"."""

import lambda_kit

from bases_kit import *

SOURCE = """
import json
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    out = []
    for f in event["inputFiles"]:
        if "fail" in f["originalFileLocation"]["s3_location"]["uri"]:
            raise ValueError("no such page today")
        batches = []
        for b in f["contentBatches"]:
            read = json.loads(s3.get_object(Bucket=event["bucketName"], Key=b["key"])["Body"].read())
            made = []
            for c in read["fileContents"]:
                if "secret" in c["contentBody"]:
                    continue
                c["contentBody"] = c["contentBody"].replace("tower", "TOWER")
                c["contentMetadata"]["length"] = len(c["contentBody"])
                made.append(c)
            key = "made/" + b["key"]
            s3.put_object(Bucket=event["bucketName"], Key=key, Body=json.dumps({"fileContents": made}).encode())
            batches.append({"key": key})
        f["fileMetadata"]["reviewed"] = True
        out.append({"originalFileLocation": f["originalFileLocation"], "fileMetadata": f["fileMetadata"], "contentBatches": batches})
    print(json.dumps({k: event[k] for k in ("version", "knowledgeBaseId", "dataSourceId", "ingestionJobId", "bucketName", "priorTask")}))
    return {"outputFiles": out}
"""
B, BETWEEN = "pages", "between"
for b in (B, BETWEEN):
    s3.create_bucket(Bucket=b)
lambda_kit.create("editor", SOURCE, Role=lambda_kit.role("editor", "AmazonS3FullAccess"), Timeout=60, MemorySize=512)
EDITOR = "arn:aws:lambda:us-east-1:123456789012:function:editor"
may = rights(B) + [("s3:GetObject", f"arn:aws:s3:::{BETWEEN}/*"), ("s3:PutObject", f"arn:aws:s3:::{BETWEEN}/*"), ("lambda:InvokeFunction", EDITOR + "*")]
ROLE = role("kb-role", may)
KB = base("edited", ROLE)


def edited(name, **chunking):
    return source(KB, name, B, vectorIngestionConfiguration={"chunkingConfiguration": chunking, "customTransformationConfiguration": {
        "intermediateStorage": {"s3Location": {"uri": f"s3://{BETWEEN}/work/"}},
        "transformations": [{"stepToApply": "POST_CHUNKING", "transformationFunction": {"transformationLambdaConfiguration": {"lambdaArn": EDITOR}}}]}})


DS = edited("fixed", chunkingStrategy="FIXED_SIZE", fixedSizeChunkingConfiguration={"maxTokens": 20, "overlapPercentage": 10})
got = build.get_data_source(knowledgeBaseId=KB, dataSourceId=DS)["dataSource"]["vectorIngestionConfiguration"]["customTransformationConfiguration"]
assert got["transformations"][0]["transformationFunction"]["transformationLambdaConfiguration"]["lambdaArn"] == EDITOR, got
TEXT = "\n\n".join([
    "The Karst tower is 312 metres tall and stands above the old harbour since the spring of 1931.",
    "This paragraph is secret and must be seen by nobody, so the function takes the whole of it away.",
    "The Marl bridge crosses the river Loess between the market and the mill, and it was built of granite."])
put(B, town__txt=TEXT, fail__txt="This page makes the function fail.")
put(B, town__txt__metadata__json=json.dumps({"metadataAttributes": {"genre": "guide"}}))
j = sync(KB, DS)
assert numbers(j) == (2, 1, 1, 0, 0, 0, 1), j
assert len(j["failureReasons"]) == 1 and "fail.txt" in j["failureReasons"][0] and "no such page today" in j["failureReasons"][0], j

# what it changed is found, with what it said of chunks and of the document; what it dropped is not
hits = find(KB, "How tall is the Karst TOWER?", n=100)
texts = [h["content"]["text"] for h in hits]
assert any("312" in t and "TOWER" in t for t in texts) and not any("tower" in t or "secret" in t for t in texts), texts
for h in hits:
    m = h["metadata"]
    assert m["length"] == len(h["content"]["text"]) and m["reviewed"] is True and m["genre"] == "guide" and uri(h) == f"s3://{B}/town.txt", h
most = max(h["metadata"]["length"] for h in hits)
few = find(KB, "tower", n=100, filter={"andAll": [{"equals": {"key": "length", "value": most}}, {"equals": {"key": "reviewed", "value": True}}]})
assert few and all(h["metadata"]["length"] == most for h in few), few

# the function was told what the guide says, by files in the intermediate bucket
said = lambda_kit.until("the function's log", lambda: [json.loads(m) for m in lambda_kit.log("editor") if m.startswith('{"version"')])
assert said[0] == {"version": "1.0", "knowledgeBaseId": KB, "dataSourceId": DS, "ingestionJobId": j["ingestionJobId"], "bucketName": BETWEEN, "priorTask": "CHUNKING"}, said
keys = [o["Key"] for o in s3.list_objects_v2(Bucket=BETWEEN)["Contents"]]
assert any(k.startswith(f"work/aws/bedrock/knowledge_bases/{KB}/{DS}/{j['ingestionJobId']}/") for k in keys), keys
s3.delete_object(Bucket=B, Key="fail.txt")

# a role that may not call it, and one that may not write between
for lacking, word in (("lambda:InvokeFunction", "lambda:InvokeFunction"), ("s3:PutObject", "intermediate storage")):
    allow("kb-role", [m for m in may if m[0] != lacking])
    put(B, more__txt=f"Another page, without {lacking}.")
    j = sync(KB, DS)
    assert numbers(j)[6] == 1 and word in " ".join(j["failureReasons"]), j
allow("kb-role", may)
j = sync(KB, DS)
assert numbers(j) == (2, 1, 1, 0, 0, 0, 0), j

# layers: the chunk that is found is small, what is shown is its parent without what was dropped
build.delete_data_source(knowledgeBaseId=KB, dataSourceId=DS)
until(lambda: build.list_data_sources(knowledgeBaseId=KB)["dataSourceSummaries"], lambda l: not l)
DS = edited("layers", chunkingStrategy="HIERARCHICAL", hierarchicalChunkingConfiguration={"levelConfigurations": [{"maxTokens": 200}, {"maxTokens": 20}], "overlapTokens": 2})
assert numbers(sync(KB, DS)) == (2, 1, 2, 0, 0, 0, 0)
top = find(KB, "How tall is the Karst TOWER?", n=1)[0]["content"]["text"]
assert "TOWER is 312 metres" in top and "Marl bridge" in top and "secret" not in top, top
print("done")
