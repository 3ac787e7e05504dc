"""Events: many at once, tried again, with settings of their own."""

import collections
from concurrent.futures import ThreadPoolExecutor

from lambda_kit import *

# 200 calls at once, half of them events: each is worked on once, as the function itself says.
create("counts", "import time\ndef handler(e, c):\n    time.sleep(0.002)\n    print('works on', e, c.aws_request_id)\n    return e")


def one(n):
    kind = "Event" if n % 2 else "RequestResponse"
    r, v = invoke("counts", n, InvocationType=kind)
    assert r["StatusCode"] == (202 if n % 2 else 200) and (n % 2 or v == n), (n, r, v)
    return n, r["ResponseMetadata"]["RequestId"]


with ThreadPoolExecutor(50) as pool:
    sent = dict(pool.map(one, range(200)))
assert len(set(sent.values())) == 200


def worked():
    return [tuple(m.split()[2:]) for m in log("counts") if m.startswith("works on")]


until("all 200 are worked on", lambda: len(worked()) >= 200, 120)
time.sleep(1)  # for what would come twice
seen = collections.Counter(worked())
assert seen == {(str(n), id): 1 for n, id in sent.items()}, [x for x in seen.items() if x[1] != 1]

# What cannot be an event is refused at once.
refused("ResourceNotFoundException", "Function not found", invoke, name="nobody", event=1, InvocationType="Event")
refused("RequestTooLargeException", "1048576 bytes", invoke, name="counts", event="x" * (1 << 20), InvocationType="Event")

# A function that fails is called twice more, with the same event and id.
create("fails", "def handler(e, c):\n    print('try', e, c.aws_request_id)\n    raise ValueError('no')", Publish=True)
tries = lambda e: [m.split()[2] for m in log("fails") if m.startswith(f"try {e} ")]
r, _ = invoke("fails", "thrice", InvocationType="Event")
until("three tries", lambda: len(tries("thrice")) == 3)

# Settings.
arn = lam.get_function(FunctionName="fails")["Configuration"]["FunctionArn"]
refused("ResourceNotFoundException", f"The function {arn}:$LATEST doesn't have an EventInvokeConfig", lam.get_function_event_invoke_config, FunctionName="fails")
refused("ResourceNotFoundException", "doesn't have an EventInvokeConfig", lam.update_function_event_invoke_config, FunctionName="fails", MaximumRetryAttempts=1)
refused("ResourceNotFoundException", "doesn't have an EventInvokeConfig", lam.delete_function_event_invoke_config, FunctionName="fails")
refused("ResourceNotFoundException", "Function not found", lam.put_function_event_invoke_config, FunctionName="nobody", MaximumRetryAttempts=1)
refused("ResourceNotFoundException", "Function not found", lam.put_function_event_invoke_config, FunctionName="fails", Qualifier="7", MaximumRetryAttempts=1)
refused("InvalidParameterValueException", "at least one", lam.put_function_event_invoke_config, FunctionName="fails")
refused("InvalidParameterValueException", "Destinations of event invocations are not built", lam.put_function_event_invoke_config, FunctionName="fails",
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{region}:123456789012:dead"}})
for bad in ({"MaximumRetryAttempts": 3}, {"MaximumEventAgeInSeconds": 59}, {"MaximumEventAgeInSeconds": 21601}):
    try:
        boto3.client("lambda", config=Config(parameter_validation=False)).put_function_event_invoke_config(FunctionName="fails", **bad)
        raise AssertionError(bad)
    except ClientError as e:
        assert e.response["Error"]["Code"] == "ValidationException", e

put = lam.put_function_event_invoke_config(FunctionName="fails", MaximumRetryAttempts=0)
assert put["FunctionArn"] == arn + ":$LATEST" and put["MaximumRetryAttempts"] == 0 and "MaximumEventAgeInSeconds" not in put, put
assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}} and abs(put["LastModified"].timestamp() - time.time()) < 60, put
update = lam.update_function_event_invoke_config(FunctionName="fails", MaximumEventAgeInSeconds=3600)
assert (update["MaximumRetryAttempts"], update["MaximumEventAgeInSeconds"]) == (0, 3600), update
lam.put_function_event_invoke_config(FunctionName="fails", Qualifier="1", MaximumRetryAttempts=1)
got = lam.get_function_event_invoke_config(FunctionName="fails", Qualifier="$LATEST")
assert got["MaximumEventAgeInSeconds"] == 3600 and got["LastModified"] == update["LastModified"], got
first = lam.list_function_event_invoke_configs(FunctionName="fails", MaxItems=1)
rest = lam.list_function_event_invoke_configs(FunctionName="fails", Marker=first["NextMarker"])
assert [c["FunctionArn"] for c in first["FunctionEventInvokeConfigs"] + rest["FunctionEventInvokeConfigs"]] == [arn + ":$LATEST", arn + ":1"]
assert "NextMarker" not in rest

# They are kept to, each for its own qualifier.
r, _ = invoke("fails", "once", InvocationType="Event")
q, _ = invoke("fails", "twice", InvocationType="Event", Qualifier="1")
until("a second try of the version", lambda: len(tries("twice")) == 2)
time.sleep(2)
assert tries("once") == [r["ResponseMetadata"]["RequestId"]] and tries("twice") == [q["ResponseMetadata"]["RequestId"]] * 2, (tries("once"), tries("twice"))
assert lam.delete_function_event_invoke_config(FunctionName="fails")["ResponseMetadata"]["HTTPStatusCode"] == 204
lam.delete_function(FunctionName="fails", Qualifier="1")
assert lam.list_function_event_invoke_configs(FunctionName="fails")["FunctionEventInvokeConfigs"] == []

# A function that lets no call through gets its events when it does.
lam.put_function_concurrency(FunctionName="counts", ReservedConcurrentExecutions=0)
invoke("counts", 1000, InvocationType="Event")
time.sleep(1.5)
assert not any(e == "1000" for e, _ in worked())
lam.delete_function_concurrency(FunctionName="counts")
until("the event that waited", lambda: any(e == "1000" for e, _ in worked()))
print("done")
