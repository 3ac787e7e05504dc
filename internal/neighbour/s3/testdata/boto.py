# boto3 against the face: what Bedrock programs do with S3, and the transfer manager.
import hashlib, io, os, sys, tempfile, urllib.request
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(retries={"max_attempts": 1}))


def refused(code, f, **kw):
    try:
        f(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        return
    raise AssertionError(f"{f} was not refused with {code}")


s3.create_bucket(Bucket="boto-west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
s3.create_bucket(Bucket="boto")
s3.get_waiter("bucket_exists").wait(Bucket="boto")
s3.put_object(Bucket="boto", Key="code/function.zip", Body=b"PK", Metadata={"a": "1"}, Tagging="a=1&b=2")
got = s3.get_object(Bucket="boto", Key="code/function.zip")
assert got["Body"].read() == b"PK" and got["Metadata"] == {"a": "1"} and got["TagCount"] == 2, got
refused("NoSuchKey", s3.get_object, Bucket="boto", Key="absent")
refused("404", s3.head_object, Bucket="boto", Key="absent")
refused("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket")
refused("PreconditionFailed", s3.put_object, Bucket="boto", Key="code/function.zip", Body=b"x", IfNoneMatch="*")
refused("InvalidRange", s3.get_object, Bucket="boto", Key="code/function.zip", Range="bytes=5-")
refused("InvalidArgument", s3.list_objects_v2, Bucket="boto", ContinuationToken="!")

# Streams without a known length go out in frames with a trailer.
class Stream(io.RawIOBase):
    def __init__(self, data):
        self.data = io.BytesIO(data)
    def readable(self):
        return True
    def readinto(self, b):
        return self.data.readinto(b)

for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket="boto", Key="sum", Body=b"hello", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="boto", Key="sum", ChecksumMode="ENABLED")
    assert head["Checksum" + algorithm], head

# The transfer manager: 20 MB in parts, up, over (parts copied), and down.
data = os.urandom(20 * 1024 * 1024 + 17)
parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, "big")
    open(path, "wb").write(data)
    s3.upload_file(path, "boto", "big", Config=parts, ExtraArgs={"ContentType": "x/y"})
    head = s3.head_object(Bucket="boto", Key="big")
    assert head["ETag"].endswith('-5"') and head["ContentType"] == "x/y", head
    s3.copy({"Bucket": "boto", "Key": "big"}, "boto-west", "copy", Config=parts)
    s3.download_file("boto-west", "copy", path + "2", Config=parts)
    assert hashlib.sha256(open(path + "2", "rb").read()).digest() == hashlib.sha256(data).digest()
s3.upload_fileobj(Stream(data), "boto", "stream", Config=parts)
assert s3.head_object(Bucket="boto", Key="stream")["ContentLength"] == len(data)

for i in range(25):
    s3.put_object(Bucket="boto", Key=f"many/{i:03} ü&<{i % 3}/x", Body=b"")
keys = [o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="boto", Prefix="many/", PaginationConfig={"PageSize": 7}) for o in p["Contents"]]
assert keys == [f"many/{i:03} ü&<{i % 3}/x" for i in range(25)], keys
keys = [o["Key"] for p in s3.get_paginator("list_objects").paginate(Bucket="boto", Prefix="many/", PaginationConfig={"PageSize": 7}) for o in p["Contents"]]
assert len(keys) == 25, keys
folds = [o["Prefix"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="boto", Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 7}) for o in p["CommonPrefixes"]]
assert len(folds) == 25 and folds[0] == "many/000 ü&<0/", folds

# Settings.
rules = [{"AllowedHeaders": ["*"], "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "ExposeHeaders": ["Access-Control-Allow-Origin"]}]
s3.put_bucket_cors(Bucket="boto", CORSConfiguration={"CORSRules": rules})
assert s3.get_bucket_cors(Bucket="boto")["CORSRules"] == rules
s3.put_bucket_encryption(Bucket="boto", ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
assert s3.put_object(Bucket="boto", Key="e", Body=b"x")["ServerSideEncryption"] == "AES256"
s3.put_bucket_tagging(Bucket="boto", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
assert s3.get_bucket_tagging(Bucket="boto")["TagSet"] == [{"Key": "a", "Value": "1"}]
assert s3.get_bucket_acl(Bucket="boto")["Grants"][0]["Permission"] == "FULL_CONTROL"
assert s3.get_public_access_block(Bucket="boto")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
assert "Status" not in s3.get_bucket_versioning(Bucket="boto")
refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket="boto")
refused("NotImplemented", s3.put_bucket_versioning, Bucket="boto", VersioningConfiguration={"Status": "Enabled"})
refused("NotImplemented", s3.put_bucket_accelerate_configuration, Bucket="boto", AccelerateConfiguration={"Status": "Enabled"})
refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket="boto")
refused("InvalidObjectState", s3.restore_object, Bucket="boto", Key="e", RestoreRequest={"Days": 1})
refused("InvalidRequest", s3.get_object_retention, Bucket="boto", Key="e")
assert s3.list_bucket_analytics_configurations(Bucket="boto")["IsTruncated"] is False
assert s3.get_bucket_request_payment(Bucket="boto")["Payer"] == "BucketOwner"

for version in [None, "s3v4"]:
    import uuid, urllib.error
    signer = boto3.client("s3", config=Config(signature_version=version)) if version else s3
    post = signer.generate_presigned_post("boto", "form/${filename}", Fields={"Content-Type": "text/plain"}, Conditions=[{"Content-Type": "text/plain"}, ["content-length-range", 1, 10]], ExpiresIn=60)
    def send(body):
        b = uuid.uuid4().hex
        parts = "".join(f'--{b}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in post["fields"].items())
        data = (parts + f'--{b}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n{body}\r\n--{b}--\r\n').encode()
        try:
            return urllib.request.urlopen(urllib.request.Request(post["url"], data, headers={"Content-Type": f"multipart/form-data; boundary={b}"})).status
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    assert send("by form") == 204, send("by form")
    assert s3.get_object(Bucket="boto", Key="form/f.txt")["Body"].read() == b"by form"
    assert send("much too long for it")[0] == 400
    post["fields"]["Content-Type"] = "text/html"
    assert send("by form")[0] == 403
    s3.delete_object(Bucket="boto", Key="form/f.txt")

url = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "code/function.zip"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"PK"
url = s3.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "presigned"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, b"by url", method="PUT", headers={"Content-Type": ""})).read()
assert s3.get_object(Bucket="boto", Key="presigned")["Body"].read() == b"by url"

other = boto3.client("s3", region_name="eu-central-1", config=Config(retries={"max_attempts": 1}))
assert other.get_object(Bucket="boto", Key="e")["Body"].read() == b"x"
assert other.get_bucket_location(Bucket="boto-west")["LocationConstraint"] == "us-west-2"
assert [b["Name"] for b in other.list_buckets()["Buckets"]] == ["boto", "boto-west"]

resource = boto3.resource("s3")
refused("BucketNotEmpty", s3.delete_bucket, Bucket="boto")
for name in ["boto", "boto-west"]:
    resource.Bucket(name).object_versions.delete()
    resource.Bucket(name).delete()
s3.get_waiter("bucket_not_exists").wait(Bucket="boto")
print("all of boto3 agrees")
