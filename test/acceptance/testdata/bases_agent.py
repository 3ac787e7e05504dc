"""An agent and its knowledge base: make builds both, ask talks to them after a restart."""

import sys

from bases_kit import *


def settle(id, want):
    until(lambda: build.get_agent(agentId=id)["agent"], lambda a: a["agentStatus"] == want)


def make():
    s3.create_bucket(Bucket="town")
    kb_role = role("kb-role", rights("town"))
    kb = base("town", kb_role)
    ds = source(kb, "town", "town")
    put("town", tower__txt="The Karst tower is 312 metres tall.", trams__txt="Trams run every ten minutes.")
    sync(kb, ds)
    agent_role = role("agent-role", [("bedrock:InvokeModel*", "*"), ("bedrock:Retrieve", f"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/{kb}")])
    a = build.create_agent(agentName="guide", agentResourceRoleArn=agent_role, foundationModel="anthropic.claude-3-haiku-20240307-v1:0", instruction="You are the guide of the town and answer from its books.")["agent"]["agentId"]
    settle(a, "NOT_PREPARED")
    assert build.list_agent_knowledge_bases(agentId=a, agentVersion="DRAFT")["agentKnowledgeBaseSummaries"] == []
    refused("ResourceNotFoundException", "", build.associate_agent_knowledge_base, agentId=a, agentVersion="DRAFT", knowledgeBaseId="NOSUCHBASE", description="d")
    try:
        build.associate_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=kb)
        raise AssertionError("boto3 lets it through without a description")
    except Exception as e:
        assert "description" in str(e), e
    build.prepare_agent(agentId=a)
    settle(a, "PREPARED")
    out = build.associate_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=kb, description="Facts about the town's buildings.")
    assert out["ResponseMetadata"]["HTTPStatusCode"] == 200 and out["agentKnowledgeBase"]["knowledgeBaseState"] == "ENABLED" and out["agentKnowledgeBase"]["updatedAt"] > build.get_agent(agentId=a)["agent"]["preparedAt"], out
    build.prepare_agent(agentId=a)
    settle(a, "PREPARED")
    print(kb, a)
    print("done")


def turn(a, session, **kw):
    text, traces, cites = "", [], []
    for e in run.invoke_agent(agentId=a, agentAliasId="TSTALIASID", sessionId=session, inputText="Ask the books: how tall is the tower?", enableTrace=True, **kw)["completion"]:
        if "chunk" in e:
            text += e["chunk"]["bytes"].decode()
            cites += e["chunk"].get("attribution", {}).get("citations", [])
        elif "trace" in e:
            traces.append(e["trace"]["trace"])
    return text, traces, cites


def ask(kb, a):
    # with nothing but a knowledge base there is nothing to decide: it is asked what the user asked
    text, traces, cites = turn(a, "s-0")
    looked = [t["orchestrationTrace"]["invocationInput"] for t in traces if "invocationInput" in t.get("orchestrationTrace", {})]
    assert text == "The Karst tower is 312 metres tall." and len(looked) == 1 and looked[0]["knowledgeBaseLookupInput"]["text"] == "Ask the books: how tall is the tower?", (text, traces)
    assert cites and uri(cites[0]["retrievedReferences"][0]) == "s3://town/tower.txt", cites

    # beside an action group it is one of the tools
    build.create_agent_action_group(agentId=a, agentVersion="DRAFT", actionGroupName="trams", actionGroupExecutor={"customControl": "RETURN_CONTROL"}, functionSchema={"functions": [{"name": "next", "description": "Tells when the next tram runs."}]})
    build.prepare_agent(agentId=a)
    settle(a, "PREPARED")
    text, traces, cites = turn(a, "s-1")
    assert text == "The Karst tower is 312 metres tall.", (text, traces)
    steps = [t["orchestrationTrace"] for t in traces if "orchestrationTrace" in t]
    asked = [t["invocationInput"] for t in steps if "invocationInput" in t]
    seen = [t["observation"] for t in steps if "observation" in t]
    assert [i["invocationType"] for i in asked] == ["KNOWLEDGE_BASE"] and asked[0]["knowledgeBaseLookupInput"] == {"knowledgeBaseId": kb, "text": "How tall is the Karst tower?"}, asked
    assert [o["type"] for o in seen] == ["KNOWLEDGE_BASE", "FINISH"], seen
    best = seen[0]["knowledgeBaseLookupOutput"]["retrievedReferences"][0]
    assert best["content"]["text"] == "The Karst tower is 312 metres tall." and uri(best) == "s3://town/tower.txt", best
    assert cites and uri(cites[0]["retrievedReferences"][0]) == "s3://town/tower.txt" and cites[0]["generatedResponsePart"]["textResponsePart"]["text"] in text, cites

    # the session may narrow the search
    none = {"knowledgeBaseConfigurations": [{"knowledgeBaseId": kb, "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": {"equals": {"key": "kind", "value": "nothing"}}}}}]}
    text, traces, _ = turn(a, "s-2", sessionState=none)
    found = [t["orchestrationTrace"]["observation"]["knowledgeBaseLookupOutput"]["retrievedReferences"] for t in traces if "knowledgeBaseLookupOutput" in t.get("orchestrationTrace", {}).get("observation", {})]
    assert found and found[0] == [], traces

    # an agent that comes with the request has its own, with the caller's rights
    text, looked, cites = "", [], []
    for e in run.invoke_inline_agent(sessionId="inline-1", foundationModel="anthropic.claude-3-haiku-20240307-v1:0", instruction="You are the guide of the town and answer from its books.",
            inputText="Ask the books: how tall is the tower?", enableTrace=True, knowledgeBases=[{"knowledgeBaseId": kb, "description": "Facts about the town's buildings.", "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 1}}}])["completion"]:
        if "chunk" in e:
            text += e["chunk"]["bytes"].decode()
            cites += e["chunk"].get("attribution", {}).get("citations", [])
        elif "observation" in e.get("trace", {}).get("trace", {}).get("orchestrationTrace", {}):
            looked.append(e["trace"]["trace"]["orchestrationTrace"]["observation"])
    found = [o["knowledgeBaseLookupOutput"]["retrievedReferences"] for o in looked if o["type"] == "KNOWLEDGE_BASE"]
    assert text == "The Karst tower is 312 metres tall." and len(found) == 1 and [uri(r) for r in found[0]] == ["s3://town/tower.txt"] and uri(cites[0]["retrievedReferences"][0]) == "s3://town/tower.txt", (text, looked, cites)

    # what the agent's role may not do, it does not do
    allow("agent-role", [("bedrock:InvokeModel*", "*")])
    try:
        turn(a, "s-3")
        raise AssertionError("the agent retrieves without being allowed to")
    except Exception as e:
        assert "accessDenied" in str(e) or "AccessDenied" in str(e), e
    allow("agent-role", [("bedrock:InvokeModel*", "*"), ("bedrock:Retrieve", "*")])

    # switched off: not asked
    build.update_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=kb, knowledgeBaseState="DISABLED", description="off")
    build.prepare_agent(agentId=a)
    settle(a, "PREPARED")
    _, traces, _ = turn(a, "s-4")
    assert not any("knowledgeBaseLookupInput" in t.get("orchestrationTrace", {}).get("invocationInput", {}) for t in traces), traces

    # how many, and none
    more = [base(f"more-{i}", "arn:aws:iam::123456789012:role/kb-role") for i in range(2)]
    build.associate_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=more[0], description="second")
    assert refused("ServiceQuotaExceededException", "", build.associate_agent_knowledge_base, agentId=a, agentVersion="DRAFT", knowledgeBaseId=more[1], description="third") == 402
    for id in (kb, more[0]):
        assert build.disassociate_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=id)["ResponseMetadata"]["HTTPStatusCode"] == 204
    pages = build.get_paginator("list_agent_knowledge_bases").paginate(agentId=a, agentVersion="DRAFT", PaginationConfig={"PageSize": 10})
    assert [s for p in pages for s in p["agentKnowledgeBaseSummaries"]] == []

    # a knowledge base that an agent refers to can go
    build.associate_agent_knowledge_base(agentId=a, agentVersion="DRAFT", knowledgeBaseId=kb, description="dangling")
    build.delete_knowledge_base(knowledgeBaseId=kb)

    def gone():
        try:
            build.get_knowledge_base(knowledgeBaseId=kb)
        except build.exceptions.ResourceNotFoundException:
            return True
    until(gone, bool)
    assert [s["knowledgeBaseId"] for s in build.list_agent_knowledge_bases(agentId=a, agentVersion="DRAFT")["agentKnowledgeBaseSummaries"]] == [kb]
    print("done")


make() if sys.argv[1] == "make" else ask(*sys.argv[2:])
