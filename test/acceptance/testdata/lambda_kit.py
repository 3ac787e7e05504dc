"""What the programs about functions share: a role, zips, calls, logs."""

import io
import json
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

once = Config(retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=64)
iam, lam, logs, s3, sts = (boto3.client(n, config=once) for n in ("iam", "lambda", "logs", "s3", "sts"))
region = lam.meta.region_name


def package(source, name="app.py"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(name, source)
    return out.getvalue()


def role(name="runs-functions", *more):
    doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    try:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(doc))["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        return iam.get_role(RoleName=name)["Role"]["Arn"]
    for policy in ("service-role/AWSLambdaBasicExecutionRole",) + more:
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/" + policy)
    return arn


def create(name, source, runtime="python3.11", file=None, handler=None, **kw):
    file = file or ("app.mjs" if runtime.startswith("node") else "app.py")
    kw.setdefault("Timeout", 30)
    kw.setdefault("Role", role())
    lam.create_function(FunctionName=name, Runtime=runtime, Handler=handler or file.rsplit(".", 1)[0] + ".handler", Code={"ZipFile": package(source, file)}, **kw)
    lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def invoke(name, event, **kw):
    r = lam.invoke(FunctionName=name, Payload=json.dumps(event), **kw)
    return r, json.loads(r["Payload"].read() or "null")


def log(name):
    """All that a function has logged, a list of messages."""
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/" + name)
        return [e["message"] for p in pages for e in p["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def until(what, ok, limit=60):
    end = time.time() + limit
    while time.time() < end:
        got = ok()
        if got:
            return got
        time.sleep(0.1)
    raise AssertionError(f"in {limit} s: {what}")


def refused(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code and text in e.response["Error"]["Message"], e
        return e
    raise AssertionError(f"{call} with {kw} is not refused")
