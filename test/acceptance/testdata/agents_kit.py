"""What the programs about agents share: roles, functions, waiting, invoking."""

import io
import json
import time
import zipfile

import boto3
from botocore.exceptions import ClientError, EventStreamError

CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
iam, lam, build, run = (boto3.client(n) for n in ("iam", "lambda", "bedrock-agent", "bedrock-agent-runtime"))


def refused(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code and text in e.response["Error"]["Message"], e
        return e.response
    raise AssertionError(f"{kw} is not refused")


def role(name, service="bedrock.amazonaws.com", actions=("bedrock:InvokeModel*", "bedrock:GetAgentAlias", "bedrock:InvokeAgent")):
    doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(doc))["Role"]["Arn"]
    if actions:
        doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(doc))
    return arn


def function(name, source, role):
    """A Lambda function that agents may call, from its source."""
    z = io.BytesIO()
    with zipfile.ZipFile(z, "w") as f:
        f.writestr("app.py", source)
    arn = lam.create_function(FunctionName=name, Runtime="python3.12", Handler="app.lambda_handler", Code={"ZipFile": z.getvalue()}, Role=role, Timeout=20)["FunctionArn"]
    lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    lam.add_permission(FunctionName=name, StatementId="b", Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")
    return arn


def agent(name, role, instruction, client=build, **kw):
    """Creates an agent and waits for it; returns the answer of the creation."""
    made = client.create_agent(agentName=name, foundationModel=CLAUDE, instruction=instruction, agentResourceRoleArn=role, **kw)["agent"]
    settle(made["agentId"], "NOT_PREPARED", client)
    return made


def settle(id, want, client=build):
    seen = []
    for _ in range(200):
        a = client.get_agent(agentId=id)["agent"]
        if a["agentStatus"] not in seen[-1:]:
            seen.append(a["agentStatus"])
        if a["agentStatus"] == want:
            return seen
        assert a["agentStatus"] != "FAILED", a
        time.sleep(0.02)
    raise AssertionError(f"{id} was {seen}, not {want}")


def prepare(id, client=build):
    client.prepare_agent(agentId=id)
    return settle(id, "PREPARED", client)


def alias(id, name, **kw):
    """Names an agent and returns the alias when it serves."""
    a = build.create_agent_alias(agentId=id, agentAliasName=name, **kw)["agentAlias"]
    for _ in range(200):
        now = build.get_agent_alias(agentId=id, agentAliasId=a["agentAliasId"])["agentAlias"]
        if now["agentAliasStatus"] == "PREPARED":
            settle(id, "PREPARED")
            return now
        time.sleep(0.02)
    raise AssertionError(now)


class Turn:
    """One turn: the answer, the pieces it came in, the traces, and control where it was returned."""

    def __init__(self, id, alias, session, text=None, trace=False, **kw):
        if text is not None:
            kw["inputText"] = text
        self.pieces, self.traces, self.control, self.kinds = [], [], None, []
        out = run.invoke_agent(agentId=id, agentAliasId=alias, sessionId=session, enableTrace=trace, **kw)
        assert out["ResponseMetadata"]["HTTPStatusCode"] == 200 and out["sessionId"] == session, out
        for e in out["completion"]:
            (kind, v), = e.items()
            self.kinds.append(kind)
            if kind == "chunk":
                self.pieces.append(v["bytes"])
            elif kind == "trace":
                self.traces.append(v)
            elif kind == "returnControl":
                self.control = v
            else:
                raise AssertionError(e)

    @property
    def answer(self):
        return b"".join(self.pieces).decode("utf-8")


def broken(member, text, *args, **kw):
    """A turn whose stream ends with an exception."""
    try:
        t = Turn(*args, **kw)
    except EventStreamError as e:
        assert e.response["Error"]["Code"] == member and text in e.response["Error"]["Message"], e
        return
    raise AssertionError(f"the turn ended well: {t.answer} {t.control}")
