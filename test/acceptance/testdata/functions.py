"""An unchanged boto3 program that lives with Lambda functions; it ends with "done"."""

import base64
import io
import json
import time
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import ClientError

iam, lam, s3, logs, sts = (boto3.client(n) for n in ("iam", "lambda", "s3", "logs", "sts"))
account, region = sts.get_caller_identity()["Account"], lam.meta.region_name


def package(source, name="app.py"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(name, source)
    return out.getvalue()


def refused(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code and text in e.response["Error"]["Message"], e
        return e
    raise AssertionError(f"{call} with {kw} is not refused")


HELLO = """
import boto3, json, os
def handler(event, context):
    print("hears", json.dumps(event))
    if event.get("fail"):
        raise ValueError("on purpose: " + event["fail"])
    who = boto3.client("sts").get_caller_identity()["Arn"] if event.get("who") else None
    return {"greeting": os.environ.get("WORD", "hello") + " " + event["name"], "version": context.function_version,
            "arn": context.invoked_function_arn, "id": context.aws_request_id, "who": who}
"""


def role(name, service):
    doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(doc))["Role"]["Arn"]


def invoke(name, event, **kw):
    r = lam.invoke(FunctionName=name, Payload=json.dumps(event), **kw)
    return r, json.loads(r["Payload"].read() or "null")


mine = role("runs-functions", "lambda.amazonaws.com")
other = role("runs-agents", "bedrock.amazonaws.com")
iam.attach_role_policy(RoleName="runs-functions", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")

new = dict(FunctionName="greeter", Runtime="python3.11", Handler="app.handler", Code={"ZipFile": package(HELLO)}, Role=mine, Publish=True)
arn = f"arn:aws:lambda:{region}:{account}:function:greeter"

# What cannot be made.
cannot = "The role defined for the function cannot be assumed by Lambda."
refused("InvalidParameterValueException", cannot, lam.create_function, **{**new, "Role": other})
refused("InvalidParameterValueException", cannot, lam.create_function, **{**new, "Role": mine + "-gone"})
refused("InvalidParameterValueException", "Could not unzip", lam.create_function, **{**new, "Code": {"ZipFile": b"no zip"}})
refused("InvalidParameterValueException", "NoSuchBucket", lam.create_function, **{**new, "Code": {"S3Bucket": "nobody-has-this", "S3Key": "k"}})
refused("InvalidParameterValueException", "reserved keys", lam.create_function, **new, Environment={"Variables": {"AWS_REGION": "x"}})
refused("InvalidParameterValueException", "Layers is not built", lam.create_function, **new, Layers=[f"arn:aws:lambda:{region}:{account}:layer:l:1"])
refused("InvalidParameterValueException", "java21", lam.create_function, **{**new, "Runtime": "java21"})
refused("ResourceNotFoundException", "Function not found: " + arn, lam.get_function, FunctionName="greeter")
refused("ResourceNotFoundException", "Function not found: " + arn, lam.invoke, FunctionName="greeter")

# Made, waited for, called.
made = lam.create_function(**new, Tags={"team": "a"})
assert made["ResponseMetadata"]["HTTPStatusCode"] == 201 and made["FunctionArn"] == arn and made["Version"] == "1" and made["State"] == "Pending", made
lam.get_waiter("function_active_v2").wait(FunctionName="greeter", WaiterConfig={"Delay": 1})
lam.get_waiter("function_active").wait(FunctionName=arn, WaiterConfig={"Delay": 1})
refused("ResourceConflictException", "Function already exist: greeter", lam.create_function, **new)
got = lam.get_function(FunctionName="greeter")
assert got["Configuration"]["LastUpdateStatus"] == "Successful" and got["Tags"] == {"team": "a"}, got
assert urllib.request.urlopen(got["Code"]["Location"]).read() == new["Code"]["ZipFile"]

said = json.loads(lam.add_permission(FunctionName="greeter", StatementId="BedrockAccess", Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com",
                                     SourceArn=f"arn:aws:bedrock:{region}:{account}:agent/X")["Statement"])
assert said["Principal"] == {"Service": "bedrock.amazonaws.com"} and said["Resource"] == arn, said
refused("ResourceConflictException", "(BedrockAccess) provided already exists", lam.add_permission, FunctionName="greeter", StatementId="BedrockAccess",
        Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")
assert json.loads(lam.get_policy(FunctionName="greeter")["Policy"])["Statement"] == [said]

r, v = invoke("greeter", {"name": "Ann", "who": True}, LogType="Tail")
tail = base64.b64decode(r["LogResult"]).decode()
assert r["StatusCode"] == 200 and "FunctionError" not in r and r["ExecutedVersion"] == "$LATEST", r
assert v["greeting"] == "hello Ann" and v["arn"] == arn and v["id"] == r["ResponseMetadata"]["RequestId"], v
assert v["who"] == f"arn:aws:sts::{account}:assumed-role/runs-functions/greeter", v
assert 'hears {"name": "Ann"' in tail and "REPORT RequestId: " + v["id"] in tail, tail

# What goes wrong inside, and what may not be sent.
r, v = invoke("greeter", {"name": "x", "fail": "broken"})
assert r["StatusCode"] == 200 and r["FunctionError"] == "Unhandled" and v["errorType"] == "ValueError" and v["errorMessage"] == "on purpose: broken", (r, v)
refused("InvalidRequestContentException", "Could not parse request body into json", lam.invoke, FunctionName="greeter", Payload=b"{")
r, v = invoke("greeter", {"name": "x"}, InvocationType="DryRun")
assert r["StatusCode"] == 204, r
r, v = invoke("greeter", {"name": "later"}, InvocationType="Event")
assert r["StatusCode"] == 202, r

# Many at once: each call gets its own answer, once.
with ThreadPoolExecutor(8) as pool:
    names = [f"n{i}" for i in range(200)]
    answers = [v for _, v in pool.map(lambda n: invoke("greeter", {"name": n}), names)]
assert [a["greeting"] for a in answers] == ["hello " + n for n in names] and len({a["id"] for a in answers}) == 200

# Its log.
for _ in range(100):
    try:
        lines = [e["message"] for e in logs.filter_log_events(logGroupName="/aws/lambda/greeter")["events"]]
    except logs.exceptions.ResourceNotFoundException:
        lines = []
    if any('hears {"name": "later"}' in line for line in lines):
        break
    time.sleep(0.1)
else:
    raise AssertionError(lines)

# Changed, code from S3 too; the version stays.
lam.update_function_configuration(FunctionName="greeter", Environment={"Variables": {"WORD": "good day"}}, Timeout=10)
refused("ResourceConflictException", "An update is in progress for resource: " + arn, lam.update_function_configuration, FunctionName="greeter", Timeout=9)
lam.get_waiter("function_updated_v2").wait(FunctionName="greeter", WaiterConfig={"Delay": 1})
assert invoke("greeter", {"name": "Bob"})[1]["greeting"] == "good day Bob"
assert invoke("greeter", {"name": "Bob"}, Qualifier="1")[1]["greeting"] == "hello Bob"
s3.create_bucket(Bucket="the-code") if region == "us-east-1" else s3.create_bucket(Bucket="the-code", CreateBucketConfiguration={"LocationConstraint": region})
s3.put_object(Bucket="the-code", Key="v2.zip", Body=package(HELLO.replace('" " +', '", dear " +')))
lam.update_function_code(FunctionName="greeter", S3Bucket="the-code", S3Key="v2.zip")
lam.get_waiter("function_updated").wait(FunctionName="greeter", WaiterConfig={"Delay": 1})
assert invoke("greeter", {"name": "Bob"})[1]["greeting"] == "good day, dear Bob"

# Versions and aliases.
two = lam.publish_version(FunctionName="greeter", Description="second")
assert two["Version"] == "2" and two["FunctionArn"] == arn + ":2" and lam.publish_version(FunctionName="greeter")["Version"] == "2"
assert [x["Version"] for x in lam.list_versions_by_function(FunctionName="greeter")["Versions"]] == ["$LATEST", "1", "2"]
live = lam.create_alias(FunctionName="greeter", Name="live", FunctionVersion="1")
assert live["AliasArn"] == arn + ":live"
refused("ResourceConflictException", "Alias already exists: " + arn + ":live", lam.create_alias, FunctionName="greeter", Name="live", FunctionVersion="1")
refused("ResourceNotFoundException", arn + ":7", lam.create_alias, FunctionName="greeter", Name="dead", FunctionVersion="7")
r, v = invoke(arn + ":live", {"name": "Eve"})
assert v["greeting"] == "hello Eve" and r["ExecutedVersion"] == "1" and v["arn"] == arn + ":live", (r, v)
lam.update_alias(FunctionName="greeter", Name="live", FunctionVersion="2")
assert invoke("greeter", {"name": "Eve"}, Qualifier="live")[1]["greeting"] == "good day, dear Eve"
assert [a["Name"] for a in lam.list_aliases(FunctionName="greeter")["Aliases"]] == ["live"] and lam.get_alias(FunctionName="greeter", Name="live")["FunctionVersion"] == "2"
refused("ResourceConflictException", "in use by the following aliases", lam.delete_function, FunctionName="greeter", Qualifier="2")
lam.delete_function(FunctionName="greeter", Qualifier="1")
refused("ResourceNotFoundException", arn + ":1", lam.invoke, FunctionName="greeter", Qualifier="1")
lam.delete_alias(FunctionName="greeter", Name="live")
refused("ResourceNotFoundException", "Cannot find alias arn: " + arn + ":live", lam.get_alias, FunctionName="greeter", Name="live")

# Tags and concurrency.
lam.tag_resource(Resource=arn, Tags={"stage": "test"})
lam.untag_resource(Resource=arn, TagKeys=["team"])
assert lam.list_tags(Resource=arn)["Tags"] == {"stage": "test"}
lam.put_function_concurrency(FunctionName="greeter", ReservedConcurrentExecutions=0)
refused("TooManyRequestsException", "Rate Exceeded", lam.invoke, FunctionName="greeter")
lam.delete_function_concurrency(FunctionName="greeter")
assert "ReservedConcurrentExecutions" not in lam.get_function_concurrency(FunctionName="greeter")

# A user who may do nothing by himself may call what the function's policy lets him.
user = iam.create_user(UserName="guest")["User"]["Arn"]
key = iam.create_access_key(UserName="guest")["AccessKey"]
guest = boto3.client("lambda", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
refused("AccessDeniedException", "is not authorized to perform: lambda:InvokeFunction on resource: " + arn, guest.invoke, FunctionName="greeter")
lam.add_permission(FunctionName="greeter", StatementId="guest", Action="lambda:InvokeFunction", Principal=user)
assert json.loads(guest.invoke(FunctionName="greeter", Payload=b'{"name":"you"}')["Payload"].read())["greeting"] == "good day, dear you"
refused("AccessDeniedException", "lambda:GetFunction", guest.get_function, FunctionName="greeter")
iam.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*"}]}))
refused("AccessDeniedException", "iam:PassRole", guest.create_function, **{**new, "FunctionName": "stolen"})
for stage, may in (("other", False), ("test", True)):
    iam.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "lambda:GetFunction", "Resource": arn, "Condition": {"StringEquals": {"aws:ResourceTag/stage": stage}}}]}))
    if may:
        guest.get_function(FunctionName="greeter")
    else:
        refused("AccessDeniedException", "lambda:GetFunction", guest.get_function, FunctionName="greeter")
lam.remove_permission(FunctionName="greeter", StatementId="guest")
refused("AccessDeniedException", "lambda:InvokeFunction", guest.invoke, FunctionName="greeter")
refused("ResourceNotFoundException", "Statement guest is not found", lam.remove_permission, FunctionName="greeter", StatementId="guest")

# A function that outlives a restart stays; the caller says which.
names = [f["FunctionName"] for p in lam.get_paginator("list_functions").paginate() for f in p["Functions"]]
assert names == ["greeter"], names
lam.create_function(**{**new, "FunctionName": "stays", "Publish": False})
first = lam.list_functions(MaxItems=1)
assert [f["FunctionName"] for f in first["Functions"]] == ["greeter"] and [f["FunctionName"] for f in lam.list_functions(Marker=first["NextMarker"])["Functions"]] == ["stays"]
assert lam.delete_function(FunctionName="greeter")["ResponseMetadata"]["HTTPStatusCode"] == 204
refused("ResourceNotFoundException", "Function not found: " + arn, lam.delete_function, FunctionName="greeter")
refused("ResourceNotFoundException", "Function not found: " + arn, lam.invoke, FunctionName="greeter")
refused("UnknownOperationException", "--neighbour lambda=URL", lam.list_layers)
print("done")
