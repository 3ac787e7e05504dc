"""Functions that another server or a plain URL stands in for: this server's own has only `here`."""

from lambda_kit import *

base = f"arn:aws:lambda:{region}:123456789012:function:"
create("here", "def handler(e, c): return ['here', e]")
create("team-own", "def handler(e, c): return ['here too', e]")  # the setting wins over what is made

r, v = invoke("here", 1)
assert v == ["here", 1], v
r, v = invoke("hooked", {"name": "값"})
assert r["StatusCode"] == 200 and v == {"path": "/hook/me", "id": r["ResponseMetadata"]["RequestId"], "arn": base + "hooked", "auth": "Basic dXNlcjpwYXNz", "event": {"name": "값"}}, v
r, v = invoke(base + "hooked:live", 2)
assert v["arn"] == base + "hooked:live", v
r, v = invoke("hooked", "fail")
assert r["FunctionError"] == "Unhandled" and v == {"errorType": "Mine", "errorMessage": "as the function says"}, (r, v)
r, v = invoke("hooked", "text")
assert "FunctionError" not in r and v == "plain text", v
assert invoke("hooked", 1, InvocationType="DryRun")[0]["StatusCode"] == 204
assert invoke("hooked", "an event", InvocationType="Event")[0]["StatusCode"] == 202
refused("ServiceException", "", invoke, name="nowhere", event=1)

# Another Lambda endpoint, called with keys of its own.
r, v = invoke("team-there", {"x": 1}, LogType="Tail")
assert v == ["there", {"x": 1}] and r["ExecutedVersion"] == "$LATEST" and r["LogResult"], (r, v)
r, v = invoke("team-own", 3)
assert v == ["there as well", 3], v
r, v = invoke("team-there", "fail")
assert r["FunctionError"] == "Unhandled" and v["errorType"] == "ValueError", v
refused("ResourceNotFoundException", base + "team-nobody", invoke, name="team-nobody", event=1)
assert invoke("team-there", "an event", InvocationType="Event")[0]["StatusCode"] == 202
print("done")
