"""The life of a session over the wire, with an unchanged boto3 client."""
import datetime
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region, key, secret, sealed = sys.argv[1:6]
settings = dict(
    endpoint_url=endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
    config=Config(retries={"total_max_attempts": 1}),
)
client = boto3.client("bedrock-agent-runtime", **settings)
kms = boto3.client("kms", **settings)
kms_key = kms.create_key()["KeyMetadata"]["Arn"] if sealed == "sealed" else ""


def fails(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), (got, e)
        assert e.response["Error"]["Message"], e.response
        return
    raise AssertionError("%s %s succeeded" % (call, arguments))


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


made = client.create_session(sessionMetadata={"device": "mobile"}, tags={"team": "rock"}, **({"encryptionKeyArn": kms_key} if kms_key else {}))
assert status(made) == 201 and made["sessionStatus"] == "ACTIVE", made
session, arn = made["sessionId"], made["sessionArn"]
assert arn.endswith(":session/" + session) and isinstance(made["createdAt"], datetime.datetime), made
assert status(client.create_session()) == 201

got = client.get_session(sessionIdentifier=arn)
assert got["sessionMetadata"] == {"device": "mobile"} and got.get("encryptionKeyArn", "") == kms_key, got
up = client.update_session(sessionIdentifier=session, sessionMetadata={"os": "x"})
assert up["lastUpdatedAt"] >= up["createdAt"] == got["createdAt"], up
assert client.get_session(sessionIdentifier=session)["sessionMetadata"] == {"os": "x"}

assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "rock"}
client.tag_resource(resourceArn=arn, tags={"cost": "1", "team": "sand"})
client.untag_resource(resourceArn=arn, tagKeys=["cost"])
assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "sand"}
fails("ResourceNotFoundException", 404, client.list_tags_for_resource, resourceArn=arn[:-12] + "000000000000")

first = client.create_invocation(sessionIdentifier=session, description="weather in Köln")
assert status(first) == 201 and first["sessionId"] == session, first
own = "01234567-89ab-cdef-0123-456789abcdef"
assert client.create_invocation(sessionIdentifier=arn, invocationId=own)["invocationId"] == own
fails("ConflictException", 409, client.create_invocation, sessionIdentifier=session, invocationId=own)

when = datetime.datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=datetime.timezone.utc)
image = bytes(range(256)) * 10
put = client.put_invocation_step(
    sessionIdentifier=session, invocationIdentifier=first["invocationId"], invocationStepTime=when,
    payload={"contentBlocks": [
        {"text": "Wie ist das Wetter in Köln?"},
        {"image": {"format": "png", "source": {"bytes": image}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/key.jpg"}}}},
    ]},
)
assert status(put) == 201, put
step = client.get_invocation_step(sessionIdentifier=session, invocationIdentifier=first["invocationId"], invocationStepId=put["invocationStepId"])["invocationStep"]
blocks = step["payload"]["contentBlocks"]
assert step["invocationStepTime"] == when and step["sessionId"] == session, step
assert blocks[0] == {"text": "Wie ist das Wetter in Köln?"} and blocks[1]["image"]["source"]["bytes"] == image, blocks
assert blocks[2] == {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/key.jpg"}}}}, blocks
fails("ResourceNotFoundException", 404, client.get_invocation_step, sessionIdentifier=session, invocationIdentifier=own, invocationStepId=put["invocationStepId"])

order = [put["invocationStepId"]]
for i in range(22):
    order.insert(0, client.put_invocation_step(
        sessionIdentifier=session, invocationIdentifier=own, invocationStepTime=when + datetime.timedelta(seconds=i), payload={"contentBlocks": [{"text": str(i)}]},
    )["invocationStepId"])


def pages(operation, key, **arguments):
    found, sizes = [], []
    for page in client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 10}, **arguments):
        found += page[key]
        sizes.append(len(page[key]))
    return found, sizes


steps, sizes = pages("list_invocation_steps", "invocationStepSummaries", sessionIdentifier=session)
assert [s["invocationStepId"] for s in steps] == order and sizes == [10, 10, 3], sizes
steps, sizes = pages("list_invocation_steps", "invocationStepSummaries", sessionIdentifier=session, invocationIdentifier=own)
assert [s["invocationStepId"] for s in steps] == order[:-1] and sizes == [10, 10, 2], sizes
last = client.list_invocation_steps(sessionIdentifier=session, invocationIdentifier=own, maxResults=1)
assert last["invocationStepSummaries"][0]["invocationStepId"] == order[0] and last["nextToken"], last
invocations, _ = pages("list_invocations", "invocationSummaries", sessionIdentifier=session)
assert [i["invocationId"] for i in invocations] == [own, first["invocationId"]], invocations
sessions, _ = pages("list_sessions", "sessionSummaries")
assert session in [s["sessionId"] for s in sessions[:2]], sessions

fails("ValidationException", 400, client.get_session, sessionIdentifier="not-a-session")
fails("ResourceNotFoundException", 404, client.get_session, sessionIdentifier=own)
fails("ValidationException", 400, client.create_session, sessionMetadata={"k": "x" * 5001})
fails("ConflictException", 409, client.delete_session, sessionIdentifier=session)

if kms_key:
    kms.disable_key(KeyId=kms_key)
    fails("AccessDeniedException", 403, client.get_session, sessionIdentifier=session)
    fails("AccessDeniedException", 403, client.get_invocation_step, sessionIdentifier=session, invocationIdentifier=own, invocationStepId=order[0])
    fails("AccessDeniedException", 403, client.put_invocation_step, sessionIdentifier=session, invocationIdentifier=own, invocationStepTime=when, payload={"contentBlocks": [{"text": "x"}]})
    assert len(client.list_invocation_steps(sessionIdentifier=session)["invocationStepSummaries"]) == 23
    kms.enable_key(KeyId=kms_key)

ended = client.end_session(sessionIdentifier=session)
assert status(ended) == 200 and ended["sessionStatus"] == "ENDED", ended
assert client.get_session(sessionIdentifier=session)["sessionStatus"] == "ENDED"
fails("ConflictException", 409, client.create_invocation, sessionIdentifier=session)
fails("ConflictException", 409, client.update_session, sessionIdentifier=session)
fails("ConflictException", 409, client.put_invocation_step, sessionIdentifier=session, invocationIdentifier=own, invocationStepTime=when, payload={"contentBlocks": [{"text": "x"}]})
assert len(client.list_invocation_steps(sessionIdentifier=session)["invocationStepSummaries"]) == 23
assert status(client.delete_session(sessionIdentifier=arn)) == 200
fails("ResourceNotFoundException", 404, client.get_session, sessionIdentifier=session)
fails("ResourceNotFoundException", 404, client.list_invocations, sessionIdentifier=session)
print("the session lived")
