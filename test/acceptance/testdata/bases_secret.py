"""A knowledge base under a customer key, roles and callers that may not; ends with "done"."""

from bases_kit import *

CANARY = "zebra-crossing-at-midnight"
B = "vault"
s3.create_bucket(Bucket=B)
key = kms.create_key()["KeyMetadata"]
may = rights(B) + [("kms:GenerateDataKey", key["Arn"]), ("kms:Decrypt", key["Arn"])]
ROLE = role("kb-role", may)
KB = base("vault", ROLE)
DS = source(KB, "vault", B, serverSideEncryptionConfiguration={"kmsKeyArn": key["Arn"]})
assert build.get_data_source(knowledgeBaseId=KB, dataSourceId=DS)["dataSource"]["serverSideEncryptionConfiguration"]["kmsKeyArn"] == key["Arn"]
put(B, a__txt=f"The password is {CANARY} and nobody knows.", b__md="Another page, about tea.")
put(B, a__txt__metadata__json=json.dumps({"metadataAttributes": {"who": CANARY}}))
assert numbers(sync(KB, DS)) == (2, 1, 2, 0, 0, 0, 0)
# The bucket itself is not under that key: it goes, the knowledge base keeps what it read.
for k in ("a.txt", "a.txt.metadata.json"):
    s3.delete_object(Bucket=B, Key=k)
assert CANARY in find(KB, "password", n=1)[0]["content"]["text"]

# a disabled key closes it
kms.disable_key(KeyId=key["KeyId"])
for _ in range(2):
    try:
        find(KB, "password", n=1)
        raise AssertionError("a disabled key opens the index")
    except ClientError as e:
        assert e.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException") and "disabled" in e.response["Error"]["Message"], e
kms.enable_key(KeyId=key["KeyId"])
assert CANARY in find(KB, "password", n=1)[0]["content"]["text"]
# and a role that may not use it
allow("kb-role", rights(B))
try:
    find(KB, "password", n=1)
    raise AssertionError("the role opens the index without kms:Decrypt")
except ClientError as e:
    assert e.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException") and "kms:Decrypt" in e.response["Error"]["Message"], e
allow("kb-role", may)

# ingestion reads with the role's rights
allow("kb-role", [m for m in may if m[0] != "s3:GetObject"])
put(B, c__txt="A new page, about coffee.")
j = build.start_ingestion_job(knowledgeBaseId=KB, dataSourceId=DS)["ingestionJob"]
j = until(lambda: job(KB, DS, j["ingestionJobId"]), lambda j: j["status"] in ("COMPLETE", "FAILED"))
assert j["statistics"]["numberOfNewDocumentsIndexed"] == 0 and "c.txt" in " ".join(j["failureReasons"]) or j["status"] == "FAILED", j
allow("kb-role", [m for m in may if m[0] != "s3:ListBucket"])
j = sync(KB, DS, "FAILED")
assert "s3:ListBucket" in " ".join(j["failureReasons"]), j
allow("kb-role", [m for m in may if m[0] != "bedrock:InvokeModel"])
refused("ValidationException", "is not able to call specified bedrock embedding model", build.start_ingestion_job, knowledgeBaseId=KB, dataSourceId=DS)
allow("kb-role", may)
assert sync(KB, DS)["statistics"]["numberOfNewDocumentsIndexed"] == 1

# callers
iam.create_user(UserName="guest")
k = iam.create_access_key(UserName="guest")["AccessKey"]
guest = boto3.client("bedrock-agent-runtime", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
arn = f"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/{KB}"
assert refused("AccessDeniedException", "bedrock:Retrieve", guest.retrieve, knowledgeBaseId=KB, retrievalQuery={"text": "tea"}) == 403
rag = dict(input={"text": "tea"}, retrieveAndGenerateConfiguration={"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": KB, "modelArn": CLAUDE}})


def grant(*actions):
    iam.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}))


grant("bedrock:RetrieveAndGenerate")
refused("AccessDeniedException", "bedrock:Retrieve", guest.retrieve_and_generate, **rag)
grant("bedrock:RetrieveAndGenerate", "bedrock:Retrieve")
refused("AccessDeniedException", "bedrock:InvokeModel", guest.retrieve_and_generate, **rag)
assert find(KB, "tea", n=1, client=guest)
grant("bedrock:RetrieveAndGenerate", "bedrock:Retrieve", "bedrock:InvokeModel")
guest.retrieve_and_generate(**rag)

# a session under a key: the key lets Bedrock use it, or the caller may
own = kms.create_key()["KeyMetadata"]
keyed = {**rag, "sessionConfiguration": {"kmsKeyArn": own["Arn"]}}
run.retrieve_and_generate(**keyed)
refused("AccessDeniedException", "kms:GenerateDataKey", guest.retrieve_and_generate, **keyed)
document = json.loads(kms.get_key_policy(KeyId=own["KeyId"], PolicyName="default")["Policy"])
document["Statement"].append({"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
    "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}})
kms.put_key_policy(KeyId=own["KeyId"], PolicyName="default", Policy=json.dumps(document))
session = guest.retrieve_and_generate(**keyed)["sessionId"]
guest.retrieve_and_generate(**rag, sessionId=session)
kms.disable_key(KeyId=own["KeyId"])
try:
    guest.retrieve_and_generate(**rag, sessionId=session)
    raise AssertionError("a disabled key opens the session")
except ClientError as e:
    assert "disabled" in e.response["Error"]["Message"], e
print("done")
