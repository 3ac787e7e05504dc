# An ordinary program with vector buckets, through boto3 as it comes. It prints nothing
# when all is as it should be.
import json, math
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3v = boto3.client("s3vectors", config=Config(parameter_validation=False))
kms = boto3.client("kms")
region = s3v.meta.region_name
account = boto3.client("sts").get_caller_identity()["Account"]
B, X = {"vectorBucketName": "media"}, {"vectorBucketName": "media", "indexName": "movies"}
ARN = f"arn:aws:s3vectors:{region}:{account}:bucket/media"


def refused(code, status, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        got = e.response["Error"]
        assert got["Code"] == code, (code, got)
        assert text is None or text in got["Message"], (text, got)
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == status, e.response
        return
    raise AssertionError("not refused: " + code)


# buckets
assert s3v.create_vector_bucket(**B, tags={"team": "a"})["vectorBucketArn"] == ARN
refused("ConflictException", 409, "already exists", s3v.create_vector_bucket, **B)
refused("ValidationException", 400, "Invalid vector bucket name", s3v.create_vector_bucket, vectorBucketName="Not_OK")
refused("ValidationException", 400, "length", s3v.create_vector_bucket, vectorBucketName="ab")
refused("NotFoundException", 404, "The specified vector bucket could not be found", s3v.get_vector_bucket, vectorBucketName="nowhere")
refused("ValidationException", 400, None, s3v.get_vector_bucket)
b = s3v.get_vector_bucket(vectorBucketArn=ARN)["vectorBucket"]
assert b["vectorBucketName"] == "media" and b["encryptionConfiguration"] == {"sseType": "AES256"} and b["creationTime"].year >= 2024, b
for i in range(5):
    s3v.create_vector_bucket(vectorBucketName=f"more-{i}")
names = [b["vectorBucketName"] for p in s3v.get_paginator("list_vector_buckets").paginate(prefix="more", PaginationConfig={"PageSize": 2}) for b in p["vectorBuckets"]]
assert names == [f"more-{i}" for i in range(5)], names
assert len(s3v.list_vector_buckets()["vectorBuckets"]) == 6
refused("ValidationException", 400, "Invalid next token", s3v.list_vector_buckets, nextToken="forged")
policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "999999999999"}, "Action": "s3vectors:*", "Resource": "*"}]})
refused("NotFoundException", 404, "policy", s3v.get_vector_bucket_policy, **B)
refused("ValidationException", 400, "Invalid policy", s3v.put_vector_bucket_policy, **B, policy="{")
s3v.put_vector_bucket_policy(**B, policy=policy)
assert s3v.get_vector_bucket_policy(**B)["policy"] == policy
s3v.delete_vector_bucket_policy(**B)

# indexes
made = dict(dataType="float32", dimension=3, distanceMetric="cosine")
x = s3v.create_index(**X, **made, metadataConfiguration={"nonFilterableMetadataKeys": ["text"]}, tags={"a": "1"})
assert x["indexArn"] == ARN + "/index/movies"
refused("ConflictException", 409, "already exists", s3v.create_index, **X, **made)
refused("NotFoundException", 404, "bucket", s3v.create_index, vectorBucketName="nowhere", indexName="movies", **made)
refused("ValidationException", 400, None, s3v.create_index, **B, indexName="other", dataType="float32", dimension=5000, distanceMetric="cosine")
refused("ValidationException", 400, None, s3v.create_index, **B, indexName="other", dataType="float64", dimension=3, distanceMetric="cosine")
got = s3v.get_index(indexArn=x["indexArn"])["index"]
assert got["dimension"] == 3 and got["distanceMetric"] == "cosine" and got["dataType"] == "float32" and got["metadataConfiguration"] == {"nonFilterableMetadataKeys": ["text"]}, got
s3v.create_index(**B, indexName="plain", dataType="float32", dimension=2, distanceMetric="euclidean")
assert [i["indexName"] for p in s3v.get_paginator("list_indexes").paginate(**B, PaginationConfig={"PageSize": 1}) for i in p["indexes"]] == ["movies", "plain"]
refused("ConflictException", 409, "not empty", s3v.delete_vector_bucket, **B)

# vectors
put = lambda key, data, **meta: {"key": key, "data": {"float32": data}, "metadata": meta}
s3v.put_vectors(**X, vectors=[
    put("star-wars", [1, 0, 0], genre="scifi", year=1977, cast=["hamill", "ford"], text="A long time ago" * 200),
    put("alien", [0.9, 0.1, 0], genre="scifi", year=1979, good=True),
    put("jaws", [0, 1, 0], genre="horror", year=1975, stars=[4, 5]),
    {"key": "bare", "data": {"float32": [0, 0, 1.5]}},
])
refused("ValidationException", 400, "must have length 3, but has length 2", s3v.put_vectors, **X, vectors=[put("k", [1, 2])])
refused("ValidationException", 400, "Filterable metadata must have at most 2048 bytes", s3v.put_vectors, **X, vectors=[put("k", [1, 2, 3], a="a" * 3000)])
refused("ValidationException", 400, None, s3v.put_vectors, **X, vectors=[])
refused("ValidationException", 400, None, s3v.put_vectors, **X, vectors=[put(f"k{i}", [1, 2, 3]) for i in range(501)])
refused("NotFoundException", 404, "The specified index could not be found", s3v.put_vectors, **B, indexName="nowhere", vectors=[put("k", [1, 2, 3])])
v = s3v.get_vectors(**X, keys=["bare", "no", "alien"], returnData=True, returnMetadata=True)["vectors"]
assert [e["key"] for e in v] == ["bare", "alien"] and v[0]["data"]["float32"] == [0, 0, 1.5] and "metadata" not in v[0], v
assert v[1]["metadata"] == {"genre": "scifi", "year": 1979, "good": True} and abs(v[1]["data"]["float32"][0] - 0.9) < 1e-7, v
assert s3v.get_vectors(**X, keys=["alien"])["vectors"] == [{"key": "alien"}]
listed = [e for p in s3v.get_paginator("list_vectors").paginate(**X, returnMetadata=True, PaginationConfig={"PageSize": 3}) for e in p["vectors"]]
assert [e["key"] for e in listed] == ["alien", "bare", "jaws", "star-wars"] and listed[2]["metadata"]["stars"] == [4, 5], listed
parts = [e["key"] for i in range(3) for e in s3v.list_vectors(**X, segmentCount=3, segmentIndex=i)["vectors"]]
assert sorted(parts) == ["alien", "bare", "jaws", "star-wars"], parts
refused("ValidationException", 400, "together", s3v.list_vectors, **X, segmentCount=3)

# queries
def ask(filter=None, k=10, index=X, vector=(1, 0, 0), **kw):
    if filter is not None:
        kw["filter"] = filter
    return s3v.query_vectors(**index, topK=k, queryVector={"float32": list(vector)}, **kw)

q = ask(returnDistance=True, returnMetadata=True)
assert q["distanceMetric"] == "cosine" and [e["key"] for e in q["vectors"]][:2] == ["star-wars", "alien"], q
assert q["vectors"][0]["distance"] < 1e-7 and abs(q["vectors"][1]["distance"] - (1 - 0.9 / math.hypot(0.9, 0.1))) < 1e-6, q
assert q["vectors"][0]["metadata"]["text"].startswith("A long time"), q
assert ask(k=1)["vectors"] == [{"key": "star-wars"}]
for filter, want in [
    ({"genre": "scifi"}, {"star-wars", "alien"}), ({"genre": {"$ne": "scifi"}}, {"jaws", "bare"}), ({"year": {"$gt": 1975, "$lte": 1977}}, {"star-wars"}),
    ({"cast": {"$eq": "ford"}}, {"star-wars"}), ({"stars": {"$in": [1, 5]}}, {"jaws"}), ({"stars": {"$nin": [5]}}, {"star-wars", "alien", "bare"}),
    ({"good": {"$exists": True}}, {"alien"}), ({"year": {"$exists": False}}, {"bare"}), ({"good": True}, {"alien"}),
    ({"$or": [{"genre": "horror"}, {"$and": [{"genre": "scifi"}, {"year": {"$gte": 1978}}]}]}, {"jaws", "alien"}), ({"year": 1977, "genre": "scifi"}, {"star-wars"}),
]:
    got = {e["key"] for e in ask(filter)["vectors"]}
    assert got == want, (filter, got)
refused("ValidationException", 400, "Invalid filter", ask, filter={"genre": {"$like": "s"}})
refused("ValidationException", 400, "not filterable", ask, filter={"text": "x"})
refused("ValidationException", 400, "topK", ask, k=101)
refused("ValidationException", 400, "length", ask, vector=(1, 0))
P = {"indexArn": ARN + "/index/plain"}
s3v.put_vectors(**P, vectors=[put("a", [0, 0]), put("b", [3, 4])])
q = ask(index=P, vector=(0, 0), returnDistance=True)
assert q["distanceMetric"] == "euclidean" and [(e["key"], e["distance"]) for e in q["vectors"]] == [("a", 0), ("b", 5)], q
s3v.delete_vectors(**X, keys=["jaws", "no"])
assert [e["key"] for e in s3v.list_vectors(**X)["vectors"]] == ["alien", "bare", "star-wars"]

# keys
key = kms.create_key()["KeyMetadata"]
sealed = dict(vectorBucketName="sealed", indexName="index")
s3v.create_vector_bucket(vectorBucketName="sealed", encryptionConfiguration={"sseType": "aws:kms", "kmsKeyArn": key["Arn"]})
s3v.create_index(**sealed, **made)
assert s3v.get_index(**sealed)["index"]["encryptionConfiguration"] == {"sseType": "aws:kms", "kmsKeyArn": key["Arn"]}
s3v.put_vectors(**sealed, vectors=[put("a", [1, 2, 3])])
kms.disable_key(KeyId=key["KeyId"])
refused("KmsDisabledException", 400, None, ask, index=sealed)
kms.enable_key(KeyId=key["KeyId"])
assert len(ask(index=sealed)["vectors"]) == 1

# tags, and the end
s3v.tag_resource(resourceArn=x["indexArn"], tags={"b": "2"})
s3v.untag_resource(resourceArn=x["indexArn"], tagKeys=["a"])
assert s3v.list_tags_for_resource(resourceArn=x["indexArn"])["tags"] == {"b": "2"}
assert s3v.list_tags_for_resource(resourceArn=ARN)["tags"] == {"team": "a"}
for name in ["movies", "plain"]:
    s3v.delete_index(**B, indexName=name)
refused("NotFoundException", 404, None, ask)
s3v.delete_vector_bucket(**B)
refused("NotFoundException", 404, None, s3v.get_vector_bucket, **B)
