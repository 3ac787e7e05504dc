"""A supervisor of two agents, and a router of the same two, as boto3 sees them; ends with "done"."""

from agents_kit import *

LEAD = "You lead a team of agents and ask them whatever the user wants to know."
LIST = '''
import json
def lambda_handler(event, context):
    assert event["sessionAttributes"].get("user", "7") == "7" and event["promptSessionAttributes"] == {}, event
    return {"messageVersion": "1.0", "response": {"actionGroup": event["actionGroup"], "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": "c-1 for " + event["agent"]["name"]}}}}}
'''
mine, other = role("AmazonBedrockExecutionRoleForAgents_team"), role("for-functions", "lambda.amazonaws.com", ())
claims = agent("claims", mine, "You are the one who knows claims, all that are open and closed.")
weather = agent("weather", mine, "You are the one who knows the weather, wherever that may be.")
draft = lambda a: dict(agentId=a["agentId"], agentVersion="DRAFT")
build.create_agent_action_group(actionGroupName="claims", actionGroupExecutor={"lambda": function("claims", LIST, other)},
                                functionSchema={"functions": [{"name": "listClaims", "description": "Lists claims"}]}, **draft(claims))
build.create_agent_action_group(actionGroupName="outside", actionGroupExecutor={"customControl": "RETURN_CONTROL"}, functionSchema={"functions": [
    {"name": "getWeather", "description": "Weather of a place", "parameters": {"location": {"type": "string", "description": "place", "required": True}}}]}, **draft(weather))
for a in (claims, weather):
    prepare(a["agentId"])
team = {"claims-agent": (claims, alias(claims["agentId"], "team")), "weather-agent": (weather, alias(weather["agentId"], "team"))}


def leader(name, kind):
    a = agent(name, mine, LEAD, agentCollaboration=kind)
    assert a["agentCollaboration"] == kind, a
    return a


boss = leader("boss", "SUPERVISOR")

# --- nobody to lead; who may be led
refused("ValidationException", "no agent collaborators are added", build.prepare_agent, agentId=boss["agentId"])
a, named = team["claims-agent"]
say = dict(collaboratorName="claims-agent", collaborationInstruction="Knows the claims.")
refused("ValidationException", "TSTALIASID", build.associate_agent_collaborator, agentDescriptor={"aliasArn": named["agentAliasArn"].rsplit("/", 1)[0] + "/TSTALIASID"}, **say, **draft(boss))
refused("ValidationException", "SUPERVISOR", build.associate_agent_collaborator, agentDescriptor={"aliasArn": named["agentAliasArn"]}, **say, **draft(weather))


def gather(who):
    for name, (_, named) in team.items():
        c = build.associate_agent_collaborator(agentDescriptor={"aliasArn": named["agentAliasArn"]}, collaboratorName=name, collaborationInstruction=f"The {name}.",
                                               relayConversationHistory="TO_COLLABORATOR" if name == "claims-agent" else "DISABLED", **draft(who))["agentCollaborator"]
        assert c["collaboratorName"] == name and c["lastUpdatedAt"] and c["agentDescriptor"]["aliasArn"] == named["agentAliasArn"], c
    prepare(who["agentId"])
    return alias(who["agentId"], "live")


led = gather(boss)
names = [c["collaboratorName"] for c in build.list_agent_collaborators(agentId=boss["agentId"], agentVersion="1")["agentCollaboratorSummaries"]]
assert sorted(names) == ["claims-agent", "weather-agent"], names


def flat(t, by=""):
    """Who told what: (collaborator, kind of trace, what stands in it)."""
    out = []
    for p in t.traces:
        (member, o), = p["trace"].items()
        (kind, v), = o.items()
        out.append((p.get("collaboratorName", ""), member[:-5], kind, v.get("invocationType") or v.get("type", "")))
    return out


# --- a supervisor asks both in one answer
t = Turn(boss["agentId"], led["agentAliasId"], "s1", "claims and weather, please", trace=True, sessionState={"sessionAttributes": {"user": "7"}, "promptSessionAttributes": {"secret": "x"}})
assert t.answer == "One claim is open, c-1, and the sun shines." and t.kinds.count("chunk") == 1, t.answer
step = lambda who: [(who, "orchestration", "modelInvocationInput", "ORCHESTRATION"), (who, "orchestration", "modelInvocationOutput", "")]
hand = lambda who, kind, what: (who, "orchestration", kind, what)
want = (step("") + [hand("", "invocationInput", "AGENT_COLLABORATOR")]
        + step("claims-agent") + [hand("claims-agent", "invocationInput", "ACTION_GROUP"), hand("claims-agent", "observation", "ACTION_GROUP")]
        + step("claims-agent") + [hand("claims-agent", "observation", "FINISH"), hand("", "observation", "AGENT_COLLABORATOR"), hand("", "invocationInput", "AGENT_COLLABORATOR")]
        + step("weather-agent") + [hand("weather-agent", "observation", "FINISH"), hand("", "observation", "AGENT_COLLABORATOR")]
        + step("") + [hand("", "observation", "FINISH")])
assert flat(t) == want, json.dumps(flat(t), indent=1)
for p in t.traces:
    a, named = team.get(p.get("collaboratorName"), (boss, led))
    assert p["agentId"] == a["agentId"] and p["agentAliasId"] == named["agentAliasId"] and p["agentVersion"] == "1" and p["sessionId"] == "s1", p
    # every trace of a member was forwarded by the supervisor alone
    assert [c["agentAliasArn"] for c in p["callerChain"]] == [led["agentAliasArn"]], p["callerChain"]
asked = [p["trace"]["orchestrationTrace"]["invocationInput"]["agentCollaboratorInvocationInput"] for p in t.traces
         if "agentCollaboratorInvocationInput" in p["trace"]["orchestrationTrace"].get("invocationInput", {})]
assert asked == [{"agentCollaboratorName": n, "agentCollaboratorAliasArn": team[n][1]["agentAliasArn"], "input": {"type": "TEXT", "text": text}}
                 for n, text in (("claims-agent", "List them."), ("weather-agent", "Now?"))], asked
told = [p["trace"]["orchestrationTrace"]["observation"]["agentCollaboratorInvocationOutput"]["output"] for p in t.traces
        if p["trace"]["orchestrationTrace"].get("observation", {}).get("type") == "AGENT_COLLABORATOR"]
assert told == [{"type": "TEXT", "text": "c-1 is open."}, {"type": "TEXT", "text": "The sun shines."}], told
# the one that gets the history has the user's words in its prompt, the other has not
prompts = {p["collaboratorName"]: p["trace"]["orchestrationTrace"]["modelInvocationInput"]["text"] for p in reversed(t.traces)
           if p.get("collaboratorName") and "modelInvocationInput" in p["trace"]["orchestrationTrace"]}
assert "claims and weather, please" in prompts["claims-agent"] and "claims and weather" not in prompts["weather-agent"], prompts

# --- a member hands control to the caller, through its supervisor
t = Turn(boss["agentId"], led["agentAliasId"], "s2", "do I need an umbrella?", trace=True)
(todo,) = t.control["invocationInputs"]
todo = todo["functionInvocationInput"]
assert not t.pieces and todo["agentId"] == weather["agentId"] and todo["collaboratorName"] == "weather-agent" and todo["function"] == "getWeather", todo
result = {"functionResult": {"agentId": todo["agentId"], "actionGroup": todo["actionGroup"], "function": todo["function"], "responseBody": {"TEXT": {"body": "rain"}}}}
t = Turn(boss["agentId"], led["agentAliasId"], "s2", trace=True, sessionState={"invocationId": t.control["invocationId"], "returnControlInvocationResults": [result]})
assert t.answer == "Take an umbrella.", t.answer

# --- without the trace there is only the answer
t = Turn(boss["agentId"], led["agentAliasId"], "s3", "claims and weather, please")
assert t.kinds == ["chunk"], t.kinds

# --- a router: its choice answers by itself, a second turn stays with it, and what it cannot decide it leads as a supervisor
router = leader("router", "SUPERVISOR_ROUTER")
routed = gather(router)
go = lambda session, text: Turn(router["agentId"], routed["agentAliasId"], session, text, trace=True)
t = go("r1", "List every claim")
assert t.answer == "c-1 is open.", t.answer
kinds = flat(t)
assert kinds[:3] == [("", "routingClassifier", "modelInvocationInput", "ROUTING_CLASSIFIER"), ("", "routingClassifier", "modelInvocationOutput", ""),
                     ("", "routingClassifier", "invocationInput", "AGENT_COLLABORATOR")], kinds
assert kinds[-1] == ("", "routingClassifier", "observation", "AGENT_COLLABORATOR"), kinds
assert {k[0] for k in kinds[3:-1]} == {"claims-agent"}, kinds
for p in t.traces:
    assert [c["agentAliasArn"] for c in p["callerChain"]] == [routed["agentAliasArn"]], p
t = go("r1", "tell me more: repeat what was said")
assert t.answer == "Heard before: tell me more: repeat what was said" and {k[0] for k in flat(t)} == {"", "claims-agent"}, (t.answer, flat(t))
t = go("r2", "good morning")
assert t.answer == "The team says hello." and [k[:3] for k in flat(t)[2:4]] == [("", "orchestration", "modelInvocationInput"), ("", "orchestration", "modelInvocationOutput")], flat(t)
print("done")
