"""What the programs about knowledge bases share: roles, buckets, waiting, searching."""

import json
import os
import time
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

TITAN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v1"
CLAUDE = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
iam, kms, sts = (boto3.client(n) for n in ("iam", "kms", "sts"))
build, run = (boto3.client(n) for n in ("bedrock-agent", "bedrock-agent-runtime"))
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))


def refused(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code and text in e.response["Error"]["Message"], e
        return e.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{kw} is not refused")


def raw(path, body):
    """Sends a signed body that no SDK would send; answers status, kind of error and message."""
    credentials = boto3.Session().get_credentials().get_frozen_credentials()
    data = json.dumps(body).encode()
    q = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + path, data=data, headers={"Content-Type": "application/json"})
    SigV4Auth(credentials, "bedrock", "us-east-1").add_auth(q)
    try:
        with urllib.request.urlopen(urllib.request.Request(q.url, data=data, headers=dict(q.headers), method="POST")) as r:
            return r.status, "", r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers["x-amzn-errortype"], e.read().decode()


def role(name, statements):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}, "ArnLike": {"aws:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:*"}}}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allow(name, statements)
    return arn


def allow(name, statements):
    doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(doc))


def rights(bucket):
    return [("bedrock:InvokeModel", TITAN), ("s3:ListBucket", f"arn:aws:s3:::{bucket}"), ("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
        ("aoss:APIAccessAll", "arn:aws:aoss:us-east-1:123456789012:collection/*")]


def opensearch(index):
    return {"type": "OPENSEARCH_SERVERLESS", "opensearchServerlessConfiguration": {
        "collectionArn": "arn:aws:aoss:us-east-1:123456789012:collection/abcdefgh12345678", "vectorIndexName": index,
        "fieldMapping": {"vectorField": "embeddings", "textField": "text", "metadataField": "bedrock-metadata"}}}


def vector(model=TITAN):
    return {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": model}}


def base(name, role, **kw):
    """Creates a knowledge base and waits for it; answers its id."""
    made = build.create_knowledge_base(name=name, roleArn=role, knowledgeBaseConfiguration=vector(), storageConfiguration=opensearch(name), **kw)["knowledgeBase"]
    active(made["knowledgeBaseId"])
    return made["knowledgeBaseId"]


def active(id):
    return until(lambda: build.get_knowledge_base(knowledgeBaseId=id)["knowledgeBase"], lambda k: k["status"] == "ACTIVE")


def until(get, good, seconds=60):
    end = time.time() + seconds
    while True:
        got = get()
        if good(got):
            return got
        assert time.time() < end, got
        time.sleep(0.05)


def source(kb, name, bucket, **kw):
    return build.create_data_source(knowledgeBaseId=kb, name=name, dataSourceConfiguration={"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{bucket}"}}, **kw)["dataSource"]["dataSourceId"]


def job(kb, ds, id):
    return build.get_ingestion_job(knowledgeBaseId=kb, dataSourceId=ds, ingestionJobId=id)["ingestionJob"]


def sync(kb, ds, want="COMPLETE"):
    """Runs an ingestion job to its end; answers it."""
    started = build.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=ds)["ingestionJob"]
    assert started["status"] == "STARTING" and set(started["statistics"].values()) == {0} and len(started["statistics"]) == 7, started
    got = until(lambda: job(kb, ds, started["ingestionJobId"]), lambda j: j["status"] in ("COMPLETE", "FAILED", "STOPPED"))
    assert got["status"] == want, got
    return got


def numbers(j):
    s = j["statistics"]
    return tuple(s[k] for k in ("numberOfDocumentsScanned", "numberOfMetadataDocumentsScanned", "numberOfNewDocumentsIndexed", "numberOfModifiedDocumentsIndexed",
        "numberOfMetadataDocumentsModified", "numberOfDocumentsDeleted", "numberOfDocumentsFailed"))


def put(bucket, **files):
    for name, body in files.items():
        s3.put_object(Bucket=bucket, Key=name.replace("__", "."), Body=body)


def find(kb, text, n=None, client=run, **vs):
    if n:
        vs["numberOfResults"] = n
    kw = {"retrievalConfiguration": {"vectorSearchConfiguration": vs}} if vs else {}
    out = client.retrieve(knowledgeBaseId=kb, retrievalQuery={"text": text}, **kw)
    scores = [r["score"] for r in out["retrievalResults"]]
    assert scores == sorted(scores, reverse=True) and all(0 <= s <= 1 for s in scores) and "nextToken" not in out, out
    return out["retrievalResults"]


def uri(r):
    return r["location"]["s3Location"]["uri"]
