# An ordinary program: keys, a secret under a key and a log group under a key, through
# boto3 as it comes. It prints nothing when all is as it should be.
import base64, json, time
import boto3
from botocore.exceptions import ClientError

kms, sm, logs = boto3.client("kms"), boto3.client("secretsmanager"), boto3.client("logs")
account = boto3.client("sts").get_caller_identity()["Account"]
region = kms.meta.region_name


def refused(code, text, call, *args, **kw):
    try:
        call(*args, **kw)
    except ClientError as e:
        got = e.response["Error"]
        assert got["Code"] == code, (code, got)
        assert text is None or got["Message"] == text, (text, got)
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400, e.response
        assert isinstance(e, getattr(call.__self__.exceptions, code, ClientError)), type(e)
        return
    raise AssertionError("not refused: " + code)


# keys
meta = kms.create_key(Description="d", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
key, arn = meta["KeyId"], meta["Arn"]
assert arn == f"arn:aws:kms:{region}:{account}:key/{key}" and meta["KeyState"] == "Enabled" and meta["Enabled"] is True, meta
kms.create_alias(AliasName="alias/app", TargetKeyId=key)
assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["Arn"] == arn
ctx = {"aws:bedrock:arn": "x"}
blob = kms.encrypt(KeyId="alias/app", Plaintext=b"hello", EncryptionContext=ctx)["CiphertextBlob"]
out = kms.decrypt(CiphertextBlob=blob, EncryptionContext=ctx)
assert out["Plaintext"] == b"hello" and out["KeyId"] == arn and out["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT", out
refused("InvalidCiphertextException", "", kms.decrypt, CiphertextBlob=blob)
refused("InvalidCiphertextException", "", kms.decrypt, CiphertextBlob=b"nonsense", EncryptionContext=ctx)
other = kms.create_key()["KeyMetadata"]["KeyId"]
refused("IncorrectKeyException", None, kms.decrypt, CiphertextBlob=blob, EncryptionContext=ctx, KeyId=other)
dk = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
assert len(dk["Plaintext"]) == 32 and kms.decrypt(CiphertextBlob=dk["CiphertextBlob"])["Plaintext"] == dk["Plaintext"]
assert "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
again = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=ctx, DestinationKeyId=other)
assert kms.decrypt(CiphertextBlob=again["CiphertextBlob"])["Plaintext"] == b"hello" and again["SourceKeyId"] == arn
assert len(kms.generate_random(NumberOfBytes=24)["Plaintext"]) == 24
refused("UnknownOperationException", None, kms.generate_data_key_pair, KeyId=key, KeyPairSpec="RSA_2048")
refused("UnsupportedOperationException", None, kms.create_key, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
seen = [k["KeyId"] for p in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1}) for k in p["Keys"]]
assert sorted(seen) == sorted([key, other]), seen
assert [a["AliasName"] for p in kms.get_paginator("list_aliases").paginate() for a in p["Aliases"]] == ["alias/app"]
policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}, policy
refused("MalformedPolicyDocumentException", None, kms.put_key_policy, KeyId=key, PolicyName="default", Policy="{")
kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "1"}])
kms.untag_resource(KeyId=key, TagKeys=["team"])
assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": "1"}]
kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=120)
status = kms.get_key_rotation_status(KeyId=key)
assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 120, status
me = boto3.client("sts").get_caller_identity()["Arn"]
grant = kms.create_grant(KeyId=key, GranteePrincipal=me, Operations=["Decrypt", "RetireGrant"], Constraints={"EncryptionContextSubset": ctx})
listed = kms.list_grants(KeyId=key)["Grants"]
assert len(listed) == 1 and listed[0]["GrantId"] == grant["GrantId"] and listed[0]["KeyId"] == arn and listed[0]["Constraints"] == {"EncryptionContextSubset": ctx}, listed
assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=ctx, GrantTokens=[grant["GrantToken"]])["Plaintext"] == b"hello"
kms.retire_grant(GrantToken=grant["GrantToken"])
refused("InvalidGrantTokenException", None, kms.decrypt, CiphertextBlob=blob, EncryptionContext=ctx, GrantTokens=[grant["GrantToken"]])
kms.disable_key(KeyId=key)
refused("DisabledException", f"{arn} is disabled.", kms.encrypt, KeyId=key, Plaintext=b"x")
kms.enable_key(KeyId=key)
gone = kms.schedule_key_deletion(KeyId=other, PendingWindowInDays=7)
assert gone["KeyState"] == "PendingDeletion", gone
refused("KMSInvalidStateException", None, kms.encrypt, KeyId=other, Plaintext=b"x")
kms.cancel_key_deletion(KeyId=other)
assert kms.describe_key(KeyId=other)["KeyMetadata"]["KeyState"] == "Disabled"
refused("ValidationException", None, kms.schedule_key_deletion, KeyId=other, PendingWindowInDays=3)
refused("NotFoundException", None, kms.describe_key, KeyId="00000000-0000-4000-8000-000000000000")

# a secret under the key
s = sm.create_secret(Name="db/pw", SecretString="one", KmsKeyId=key, Tags=[{"Key": "a", "Value": "b"}])
assert sm.get_secret_value(SecretId="db/pw")["SecretString"] == "one"
put = sm.put_secret_value(SecretId=s["ARN"], SecretBinary=b"\x00two")
assert put["VersionStages"] == ["AWSCURRENT"]
assert sm.get_secret_value(SecretId="db/pw")["SecretBinary"] == b"\x00two"
assert sm.get_secret_value(SecretId="db/pw", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
d = sm.describe_secret(SecretId="db/pw")
assert d["KmsKeyId"] == arn and d["VersionIdsToStages"] == {s["VersionId"]: ["AWSPREVIOUS"], put["VersionId"]: ["AWSCURRENT"]} and d["Tags"] == [{"Key": "a", "Value": "b"}], d
assert {v["VersionId"] for v in sm.list_secret_version_ids(SecretId="db/pw")["Versions"]} == {s["VersionId"], put["VersionId"]}
sm.update_secret(SecretId="db/pw", Description="words")
assert [x["Name"] for p in sm.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": ["db/"]}]) for x in p["SecretList"]] == ["db/pw"]
sm.delete_secret(SecretId="db/pw", RecoveryWindowInDays=7)
refused("InvalidRequestException", None, sm.get_secret_value, SecretId="db/pw")
sm.restore_secret(SecretId="db/pw")
refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", sm.get_secret_value, SecretId="none")
kms.disable_key(KeyId=key)
refused("DecryptionFailure", None, sm.get_secret_value, SecretId="db/pw")
kms.enable_key(KeyId=key)

# logs
logs.create_log_group(logGroupName="/app/x", tags={"a": "b"})
logs.create_log_stream(logGroupName="/app/x", logStreamName="s/1")
refused("ResourceAlreadyExistsException", "The specified log group already exists", logs.create_log_group, logGroupName="/app/x")
now = int(time.time() * 1000)
logs.put_log_events(logGroupName="/app/x", logStreamName="s/1", logEvents=[{"timestamp": now + i, "message": json.dumps({"n": i})} for i in range(250)])
events = [e for p in logs.get_paginator("filter_log_events").paginate(logGroupName="/app/x", filterPattern="{ $.n >= 200 }", PaginationConfig={"PageSize": 7}) for e in p["events"]]
assert [json.loads(e["message"])["n"] for e in events] == list(range(200, 250)), len(events)
token, read = None, 0
while True:
    page = logs.get_log_events(logGroupName="/app/x", logStreamName="s/1", startFromHead=True, limit=100, **({"nextToken": token} if token else {}))
    read += len(page["events"])
    if page["nextForwardToken"] == token:
        break
    token = page["nextForwardToken"]
assert read == 250, read
logs.put_retention_policy(logGroupName="/app/x", retentionInDays=7)
g = logs.describe_log_groups(logGroupNamePrefix="/app/")["logGroups"][0]
assert g["retentionInDays"] == 7 and g["arn"] == f"arn:aws:logs:{region}:{account}:log-group:/app/x:*" and g["storedBytes"] > 0, g
assert logs.describe_log_streams(logGroupName="/app/x", orderBy="LastEventTime", descending=True)["logStreams"][0]["lastEventTimestamp"] == now + 249
logs.tag_resource(resourceArn=g["logGroupArn"], tags={"c": "d"})
assert logs.list_tags_for_resource(resourceArn=g["logGroupArn"])["tags"] == {"a": "b", "c": "d"}
logs.put_metric_filter(logGroupName="/app/x", filterName="f", filterPattern="ERROR", metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}])
assert logs.describe_metric_filters(logGroupName="/app/x")["metricFilters"][0]["metricTransformations"][0]["metricName"] == "m"
assert [m["eventNumber"] for m in logs.test_metric_filter(filterPattern="?a ?b", logEventMessages=["a", "c", "b"])["matches"]] == [1, 3]
logs.delete_metric_filter(logGroupName="/app/x", filterName="f")
refused("ResourceNotFoundException", "The specified log stream does not exist.", logs.get_log_events, logGroupName="/app/x", logStreamName="none")
refused("InvalidParameterException", None, logs.filter_log_events, logGroupName="/app/x", filterPattern="{ broken")
logs.delete_log_group(logGroupName="/app/x")
refused("ResourceNotFoundException", "The specified log group does not exist.", logs.describe_log_streams, logGroupName="/app/x")
