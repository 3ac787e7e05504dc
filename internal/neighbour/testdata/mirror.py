"""Sends every operation with all members set and compares what the server says it
read, and what boto3 parsed of the answer, with what each side meant."""
import base64, datetime, json, sys
import boto3
from botocore.config import Config

AT = datetime.datetime(2025, 6, 7, 8, 9, 10, tzinfo=datetime.timezone.utc)
config = Config(parameter_validation=False, retries={"max_attempts": 1, "mode": "standard"})


def make(shape, depth=0, member=None):
    t = shape.type_name
    location = getattr(member or shape, "serialization", {}).get("location")
    if t == "structure":
        out = {}
        for name, m in shape.members.items():
            if depth > 3 and name not in shape.required_members and m.type_name in ("structure", "list", "map"):
                continue
            out[name] = make(m, depth + 1)
            if getattr(shape, "is_tagged_union", False):
                break
        return out
    if t == "list":
        return [make(shape.member, depth + 1) for _ in range(2)]
    if t == "map":
        if getattr(shape.key, "enum", None):
            return {k: make(shape.value, depth + 1) for k in shape.key.enum[:2]}
        return {f"key {i} é&=": make(shape.value, depth + 1) for i in range(2)}
    if t == "string":
        if getattr(shape, "enum", None):
            return shape.enum[-1]
        if location == "header":
            return "plain header"
        return "a b+c&d=é%41/\u2028<\"'\\"
    return {"integer": -5, "long": 1 << 40, "float": 1.5, "double": 2.5, "boolean": True, "timestamp": AT, "blob": b"\x00\xfe<"}[t]


def plain(v):
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, datetime.datetime):
        return int(v.timestamp())
    if isinstance(v, bytes):
        return base64.b64encode(v).decode()
    if hasattr(v, "read"):
        return base64.b64encode(v.read()).decode()
    return v


clients, n, bad = {}, 0, []
for line in sys.stdin.read().split():
    service, operation = line.split(".")
    c = clients.setdefault(service, boto3.client(service, config=config))
    model = c.meta.service_model.operation_model(operation)
    params = make(model.input_shape) if model.input_shape else {}
    method = {v: k for k, v in c.meta.method_to_api_mapping.items()}[operation]
    try:
        out = getattr(c, method)(**params)
    except Exception as e:
        bad.append(f"{line}: {e}")
        continue
    meta = out.pop("ResponseMetadata")
    headers = meta["HTTPHeaders"]
    read = json.loads(base64.b64decode(headers["x-mirror-in"]))
    wrote = json.loads(base64.b64decode(headers["x-mirror-out"]))
    for what, here, there in (("input", plain(params), read), ("output", plain(out), wrote)):
        if here != there:
            bad.append(f"{line} {what}:\n  boto3 {json.dumps(here, sort_keys=True, ensure_ascii=False)}\n  house {json.dumps(there, sort_keys=True, ensure_ascii=False)}")
    n += 1
print("\n".join(bad))
if bad:
    sys.exit(1)
print(f"{n} operations agree")
