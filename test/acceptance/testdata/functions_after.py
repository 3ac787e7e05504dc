"""What functions.py left behind, after a restart."""

import json

import boto3

lam = boto3.client("lambda")
lam.get_waiter("function_active_v2").wait(FunctionName="stays")
assert [f["FunctionName"] for f in lam.list_functions()["Functions"]] == ["stays"]
answer = json.loads(lam.invoke(FunctionName="stays", Payload=b'{"name":"again"}')["Payload"].read())
assert answer["greeting"] == "hello again", answer
lam.delete_function(FunctionName="stays")
assert lam.list_functions()["Functions"] == []
print("done")
