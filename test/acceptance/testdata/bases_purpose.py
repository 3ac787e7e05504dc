"""Knowledge bases over models of AWS that tell questions from documents, in indexes as long as AWS's vectors; ends with "done"."""

from bases_kit import *

COHERE = "arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-english-v3"
B = "pages"
s3.create_bucket(Bucket=B)
put(B, town__txt="The Karst tower is 312 metres tall.")
v = boto3.client("s3vectors")
v.create_vector_bucket(vectorBucketName="vectors")
role("kb-role", rights(B))
for name, model, numbers_of in (("cohere", COHERE, 1024), ("titan", TITAN, 1536)):
    v.create_index(vectorBucketName="vectors", indexName=name, dataType="float32", dimension=numbers_of, distanceMetric="cosine",
        metadataConfiguration={"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]})
    index = v.get_index(vectorBucketName="vectors", indexName=name)["index"]["indexArn"]
    allow("kb-role", rights(B) + [("bedrock:InvokeModel", model), ("s3vectors:*", index)])
    made = build.create_knowledge_base(name=name, roleArn="arn:aws:iam::123456789012:role/kb-role", knowledgeBaseConfiguration=vector(model),
        storageConfiguration={"type": "S3_VECTORS", "s3VectorsConfiguration": {"indexArn": index}})["knowledgeBase"]["knowledgeBaseId"]
    active(made)
    ds = source(made, "docs", B)
    assert numbers(sync(made, ds)) == (1, 0, 1, 0, 0, 0, 0)
    stored, = v.list_vectors(vectorBucketName="vectors", indexName=name, returnData=True)["vectors"]
    assert len(stored["data"]["float32"]) == numbers_of, len(stored["data"]["float32"])
    assert uri(find(made, f"How tall is the {name} tower?", n=1)[0]) == f"s3://{B}/town.txt"
    # of a change beside the document nothing is embedded again
    put(B, town__txt__metadata__json=json.dumps({"metadataAttributes": {"seen": name}}))
    assert numbers(sync(made, ds)) == (1, 1, 0, 0, 1, 0, 0)
    assert find(made, f"How tall is the {name} tower?", n=1, filter={"equals": {"key": "seen", "value": name}})
    s3.delete_object(Bucket=B, Key="town.txt.metadata.json")
print("done")
