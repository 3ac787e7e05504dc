"""A function calls the server that runs it, with its role's rights, over HTTP/1.1 and HTTP/2."""

from lambda_kit import *

SOURCE = """
import os, socket
from urllib.parse import urlparse
import boto3

def handler(event, context):
    at = urlparse(os.environ["AWS_ENDPOINT_URL"])
    with socket.create_connection((at.hostname, at.port), 10) as s:  # HTTP/2 by prior knowledge: preface, SETTINGS, a GET of /healthz
        s.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        first = s.recv(9)
    boto3.client("s3").put_object(Bucket=event["bucket"], Key="made-by-the-function", Body=b"x" * (3 << 20))
    return {"scheme": at.scheme, "who": boto3.client("sts").get_caller_identity()["Arn"], "frame": first[3] if len(first) == 9 else None,
            "bundle": os.environ.get("AWS_CA_BUNDLE")}
"""
account = sts.get_caller_identity()["Account"]
s3.create_bucket(Bucket="inward")
create("calls-home", SOURCE, Role=role("calls-home", "AmazonS3FullAccess"), Timeout=60, MemorySize=512)
for _ in range(2):
    r, v = invoke("calls-home", {"bucket": "inward"})
    assert "FunctionError" not in r and v["who"] == f"arn:aws:sts::{account}:assumed-role/calls-home/calls-home" and v["frame"] == 4, (v, log("calls-home"))
assert s3.head_object(Bucket="inward", Key="made-by-the-function")["ContentLength"] == 3 << 20
print("done")
