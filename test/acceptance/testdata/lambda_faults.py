"""What goes wrong inside functions, as callers and readers of the log see it."""

import base64
import re

from lambda_kit import *

PYTHON = {
    "exception": ("def handler(e, c):\n    raise ValueError('boom')", {},
                  "ValueError", "boom", [r"\[ERROR\] ValueError: boom\nTraceback \(most recent call last\):\n"]),
    "timeout": ("import time\ndef handler(e, c):\n    print('going')\n    time.sleep(60)", {"Timeout": 1},
                "Sandbox.Timedout", "RequestId: ID Error: Task timed out after 1.00 seconds",
                [r"going", r"\d{4}-\d\d-\d\dT[\d:.]+Z ID Task timed out after 1.00 seconds", r"REPORT RequestId: ID\tDuration: 1000.00 ms\t.*Status: timeout"]),
    "memory": ("def handler(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))", {},
               "Runtime.OutOfMemory", "RequestId: ID Error: Runtime exited with error: signal: killed", [r"REPORT .*Max Memory Used: 128 MB\t.*Error Type: Runtime.OutOfMemory"]),
    "exit": ("import sys\ndef handler(e, c):\n    sys.exit(3)", {},
             "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 3", [r"RequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError"]),
    "huge": ("def handler(e, c):\n    return 'x' * (6 << 20 | 200)", {},
             "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes).", [r"END RequestId: ID"]),
    "invalid": ("def handler(e, c):\n    return {1, 2}", {},
                "Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable", [r"\[ERROR\] Runtime.MarshalError: Unable to marshal response"]),
    "hanging-init": ("import time\ntime.sleep(600)\ndef handler(e, c): pass", {"Timeout": 2},
                     "Sandbox.Timedout", "RequestId: ID Error: Task timed out after 2.00 seconds",
                     [r"INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout", r"INIT_REPORT Init Duration: 2000.00 ms\tPhase: invoke\tStatus: timeout"]),
    "broken-init": ("import no_such_module\ndef handler(e, c): pass", {},
                    "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'no_such_module'", [r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"]),
}
NODE = {
    "node-exception": ("export const handler = async () => { throw new TypeError('boom'); };", {},
                       "TypeError", "boom", [r'\tID\tERROR\tInvoke Error \t\{"errorType":"TypeError","errorMessage":"boom"']),
    "node-exit": ("export const handler = async () => { process.exit(5); };", {},
                  "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 5", [r"Runtime.ExitError"]),
}
for faults, runtime, memory in ((PYTHON, "python3.11", 128), (NODE, "nodejs20.x", 256)):
    for name, (source, more, kind, message, lines) in faults.items():
        create(name, source, runtime, MemorySize=memory, **more)
        r, v = invoke(name, {}, LogType="Tail")
        id = r["ResponseMetadata"]["RequestId"]
        assert r["StatusCode"] == 200 and r["FunctionError"] == "Unhandled" and r["ExecutedVersion"] == "$LATEST", (name, r)
        assert v["errorType"] == kind and v["errorMessage"] == message.replace("ID", id, 1), (name, v)
        if kind.startswith("Sandbox") or kind in ("Runtime.ExitError", "Runtime.OutOfMemory"):
            assert set(v) == {"errorType", "errorMessage"}, (name, v)  # the service's own words have no stack
        elif name == "exception":
            assert v["stackTrace"] and v["requestId"] == id, v
        elif name == "node-exception":
            assert v["trace"][0] == "TypeError: boom", v
        tail = base64.b64decode(r["LogResult"]).decode()
        assert f"END RequestId: {id}" in tail and f"REPORT RequestId: {id}" in tail, (name, tail)
        kept = until(f"{name} is logged", lambda: [m for m in [log(name)] if any("REPORT RequestId: " + id in l for l in m)])[0]
        assert sum(l.startswith("START RequestId: " + id) for l in kept) == 1, (name, kept)
        for want in lines:
            assert re.search(want.replace("ID", re.escape(id)), "\n".join(kept)), (name, want, kept)

# After each of them the function serves on, from a fresh process where its own has ended.
create("sometimes", "import os\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    if e == 'die': os._exit(1)\n    return n")
assert invoke("sometimes", 1)[1] == 1
assert invoke("sometimes", "die")[1]["errorType"] == "Runtime.ExitError"
assert invoke("sometimes", 1)[1] == 1 and invoke("sometimes", 1)[1] == 2
print("done")
