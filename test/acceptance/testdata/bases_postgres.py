"""A knowledge base of the type RDS, whose table a person made."""

import sys

from bases_kit import *

USER, DATABASE = sys.argv[1:]
CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:docs"
secret = boto3.client("secretsmanager").create_secret(Name="docs", SecretString=json.dumps({"username": USER, "password": "any"}))["ARN"]
B = "documents"
s3.create_bucket(Bucket=B)
ROLE = role("kb-role", rights(B) + [("rds:DescribeDBClusters", CLUSTER[:-4] + "*"), ("rds-data:ExecuteStatement", CLUSTER[:-4] + "*"), ("rds-data:BatchExecuteStatement", CLUSTER[:-4] + "*"), ("secretsmanager:GetSecretValue", secret)])


def rds(cluster=CLUSTER, table="bedrock_kb", secret=secret):
    return {"type": "RDS", "rdsConfiguration": {"resourceArn": cluster, "credentialsSecretArn": secret, "databaseName": DATABASE, "tableName": table,
        "fieldMapping": {"primaryKeyField": "id", "vectorField": "embedding", "textField": "chunks", "metadataField": "metadata"}}}


make = dict(name="docs", roleArn=ROLE, knowledgeBaseConfiguration=vector())
refused("ValidationException", "The knowledge base storage configuration provided is invalid...", build.create_knowledge_base, **make, storageConfiguration=rds(table="nothing"))
refused("ValidationException", "--cluster", build.create_knowledge_base, **make, storageConfiguration=rds(cluster=CLUSTER[:-4] + "other"))
made = build.create_knowledge_base(**make, storageConfiguration=rds())["knowledgeBase"]
assert made["storageConfiguration"] == rds(), made
KB = made["knowledgeBaseId"]
active(KB)
DS = source(KB, "docs", B)
put(B, film__txt="A film about the order ZX-88123-Q and a lighthouse.", tea__md="Tea is grown on hills.")
put(B, film__txt__metadata__json=json.dumps({"metadataAttributes": {"genre": "films", "year": 1994}}))
assert numbers(sync(KB, DS)) == (2, 1, 2, 0, 0, 0, 0)
assert uri(find(KB, "a film about a lighthouse", n=1)[0]) == f"s3://{B}/film.txt"
same = [find(KB, "lighthouse film", n=5, overrideSearchType=t) for t in ("HYBRID", "SEMANTIC")]
assert same[0] == same[1] and len(same[0]) == 2, same
assert [uri(r) for r in find(KB, "anything", filter={"greaterThan": {"key": "year", "value": 1990}})] == [f"s3://{B}/film.txt"]
assert refused("ValidationException", "startsWith", run.retrieve, knowledgeBaseId=KB, retrievalQuery={"text": "x"}, retrievalConfiguration={"vectorSearchConfiguration": {"filter": {"startsWith": {"key": "genre", "value": "f"}}}}) == 400
s3.delete_object(Bucket=B, Key="tea.md")
assert numbers(sync(KB, DS)) == (1, 1, 0, 0, 0, 1, 0)
assert len(find(KB, "tea", n=10)) == 1

# what is only kept and shown
pine = {"type": "PINECONE", "pineconeConfiguration": {"connectionString": "https://index.example.com", "credentialsSecretArn": secret, "fieldMapping": {"textField": "t", "metadataField": "m"}}}
made = build.create_knowledge_base(**{**make, "name": "pine"}, storageConfiguration=pine)["knowledgeBase"]
active(made["knowledgeBaseId"])
assert build.get_knowledge_base(knowledgeBaseId=made["knowledgeBaseId"])["knowledgeBase"]["storageConfiguration"] == pine
refused("ValidationException", "Outcrop", run.retrieve, knowledgeBaseId=made["knowledgeBaseId"], retrievalQuery={"text": "x"})

# an index of S3 vectors, filled by the service and seen by its own API
v = boto3.client("s3vectors")
v.create_vector_bucket(vectorBucketName="vectors")
v.create_index(vectorBucketName="vectors", indexName="docs", dataType="float32", dimension=1536, distanceMetric="cosine", metadataConfiguration={"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]})
index = v.get_index(vectorBucketName="vectors", indexName="docs")["index"]["indexArn"]
allow("kb-role", rights(B) + [("s3vectors:*", index)])
made = build.create_knowledge_base(**{**make, "name": "vectors"}, storageConfiguration={"type": "S3_VECTORS", "s3VectorsConfiguration": {"indexArn": index}})["knowledgeBase"]
active(made["knowledgeBaseId"])
KV = made["knowledgeBaseId"]
assert numbers(sync(KV, source(KV, "docs", B))) == (1, 1, 1, 0, 0, 0, 0)
assert uri(find(KV, "a film about a lighthouse", n=1)[0]) == f"s3://{B}/film.txt"
seen = v.list_vectors(vectorBucketName="vectors", indexName="docs", returnMetadata=True)["vectors"]
assert len(seen) == 1 and "lighthouse" in seen[0]["metadata"]["AMAZON_BEDROCK_TEXT"], seen
print("done")
