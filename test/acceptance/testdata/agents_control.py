"""The published walk-through of an agent that hands control to the program that called
it, and all that the program may answer; ends with "done".

The program stands outside: it asks its own backend, which the agent cannot reach, and
invokes the agent through the run time's own endpoint."""

import http.server
import json
import threading
import urllib.request

from agents_kit import *

WEATHER = json.dumps({
    "openapi": "3.0.0", "info": {"title": "Weather", "version": "1.0.0"},
    "paths": {"/getWeather": {"get": {
        "operationId": "getWeather", "description": "Weather of a city",
        "parameters": [{"name": "city", "in": "query", "description": "city", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "the weather", "content": {"application/json": {"schema": {"type": "object"}}}}}}}}})
BOOKINGS = {"functions": [{"name": "bookSeat", "description": "Book a seat", "parameters": {
    "flight": {"type": "string", "description": "flight", "required": True}, "seat": {"type": "integer", "description": "row", "required": True}}}]}


class Backend(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        body = b"25 degrees"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Application:
    """The caller of the walk-through; the call itself is the published one."""

    def __init__(self, runtime_client):
        self.agents_runtime_client = runtime_client

    def invoke_agent(self, agent_id, agent_alias_id, session_id, prompt):
        try:
            response = self.agents_runtime_client.invoke_agent(
                agentId=agent_id,
                agentAliasId=agent_alias_id,
                sessionId=session_id,
                inputText=prompt,
            )
        except ClientError as e:
            raise AssertionError(f"Couldn't invoke agent. {e}")
        return response


backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
threading.Thread(target=backend.serve_forever, daemon=True).start()

made = agent("outside-agent", role("AmazonBedrockExecutionRoleForAgents_outside"), "You answer questions about the weather and book seats with your actions.")
id = made["agentId"]
draft = dict(agentId=id, agentVersion="DRAFT", actionGroupExecutor={"customControl": "RETURN_CONTROL"})
refused("ValidationException", "actionGroupName", build.create_agent_action_group, actionGroupName="Weather__Group", apiSchema={"payload": WEATHER}, **draft)
g = build.create_agent_action_group(actionGroupName="WeatherActionGroup", apiSchema={"payload": WEATHER}, **draft)["agentActionGroup"]
assert g["actionGroupExecutor"] == {"customControl": "RETURN_CONTROL"} and g["apiSchema"] == {"payload": WEATHER}, g
build.create_agent_action_group(actionGroupName="bookings", functionSchema=BOOKINGS, **draft)
prepare(id)
live = alias(id, "live")["agentAliasId"]

# An endpoint of the run time alone, by its own address.
app = Application(boto3.client("bedrock-agent-runtime", endpoint_url=run.meta.endpoint_url))
events = list(app.invoke_agent(id, live, "walk-1", "How is the weather in Seoul?")["completion"])
assert [list(e) for e in events] == [["returnControl"]], events
control = events[0]["returnControl"]
assert set(control) == {"invocationId", "invocationInputs"} and control["invocationInputs"] == [{"apiInvocationInput": {
    "actionGroup": "WeatherActionGroup", "apiPath": "/getWeather", "httpMethod": "get", "actionInvocationType": "RESULT", "agentId": id,
    "parameters": [{"name": "city", "type": "string", "value": "Seoul"}]}}], control

# The program does the work itself and comes back; what it says beside that is not heard.
todo = control["invocationInputs"][0]["apiInvocationInput"]
city = todo["parameters"][0]["value"]
weather = urllib.request.urlopen(f"http://127.0.0.1:{backend.server_port}{todo['apiPath']}?city={city}").read().decode()
assert Backend.asked == ["/getWeather?city=Seoul"]


def api(body, **kw):
    return {"apiResult": dict({"actionGroup": "WeatherActionGroup", "apiPath": "/getWeather", "httpMethod": "GET", "httpStatusCode": 200,
                               "responseBody": {"TEXT": {"body": body}}}, **kw)}


def back(c, *results, **kw):
    return dict(sessionState={"invocationId": c["invocationId"], "returnControlInvocationResults": list(results)}, **kw)


wrong = refused("ValidationException", "Unexpected actionGroup", run.invoke_agent, agentId=id, agentAliasId=live, sessionId="walk-1",
                **back({"invocationId": "00000000-0000-0000-0000-000000000000"}, api(weather)))
assert wrong["ResponseMetadata"]["HTTPStatusCode"] == 400
t = Turn(id, live, "walk-1", "this is ignored", **back(control, api(weather)))
assert t.answer == "In Seoul it is 25 degrees." and t.kinds == ["chunk"], t.answer
assert Turn(id, live, "walk-1", "this is ignored, is it?").answer == "The text of the second call was heard."  # as a turn of its own it is

# The function form, the number as a string.
c = Turn(id, live, "walk-2", "book KE1", trace=True).control
assert c["invocationInputs"] == [{"functionInvocationInput": {
    "actionGroup": "bookings", "function": "bookSeat", "actionInvocationType": "RESULT", "agentId": id,
    "parameters": [{"name": "flight", "type": "string", "value": "KE1"}, {"name": "seat", "type": "integer", "value": "12"}]}}], c
t = Turn(id, live, "walk-2", trace=True, **back(c, {"functionResult": {"actionGroup": "bookings", "function": "bookSeat", "responseBody": {"TEXT": {"body": "seat 12A"}}}}))
assert t.answer == "You sit on seat 12A." and t.kinds[-1] == "chunk", t.kinds
observation = t.traces[0]["trace"]["orchestrationTrace"]["observation"]
assert observation["type"] == "ACTION_GROUP" and observation["actionGroupInvocationOutput"]["text"] == "seat 12A", observation

# Told to try again, the model does; a failure ends the turn, and the next one begins anew.
c = Turn(id, live, "walk-3", "weather?").control
c = Turn(id, live, "walk-3", **back(c, api("no such city", responseState="REPROMPT"))).control
assert c["invocationInputs"][0]["apiInvocationInput"]["parameters"][0]["value"] == "Busan", c
broken("dependencyFailedException", "FAILURE", id, live, "walk-3", **back(c, api("the backend is down", responseState="FAILURE")))
broken("dependencyFailedException", "FAILURE", id, live, "walk-3", **back(c, api("25 degrees")))  # the invocation has its end, whatever comes for it now
assert Turn(id, live, "walk-3", "weather?").control["invocationId"] != c["invocationId"]
print("done")
