// An agent built, listed and invoked; every event of its streams looked at. Prints a line of JSON for each check.
import {
  BedrockAgentClient, CreateAgentActionGroupCommand, CreateAgentCommand, GetAgentCommand, ListAgentsCommand, PrepareAgentCommand,
  paginateListAgentActionGroups, paginateListAgents,
} from "@aws-sdk/client-bedrock-agent";
import { BedrockAgentRuntimeClient, InvokeAgentCommand, InvokeInlineAgentCommand } from "@aws-sdk/client-bedrock-agent-runtime";

const build = new BedrockAgentClient({ region: "us-east-1" });
const run = new BedrockAgentRuntimeClient({ region: "us-east-1" });
const say = (check, value) => console.log(JSON.stringify({ check, value }));
const foundationModel = "anthropic.claude-3-haiku-20240307-v1:0";
const instruction = "You are the first instruction, and you follow it in everything.";
const functionSchema = { functions: [{ name: "getWeather", description: "Weather of a place", parameters: { location: { type: "string", description: "place", required: true } } }] };

const { agent } = await build.send(new CreateAgentCommand({ agentName: "from-js", foundationModel, instruction, agentResourceRoleArn: process.env.ROLE }));
const settle = async (want) => {
  for (let n = 0; n < 200; n++) {
    const got = (await build.send(new GetAgentCommand({ agentId: agent.agentId }))).agent.agentStatus;
    if (got === want) return;
    await new Promise((r) => setTimeout(r, 20));
  }
  throw new Error(`the agent is not ${want}`);
};
await settle("NOT_PREPARED");
const where = { agentId: agent.agentId, agentVersion: "DRAFT" };
await build.send(new CreateAgentActionGroupCommand({ ...where, actionGroupName: "outside", actionGroupExecutor: { customControl: "RETURN_CONTROL" }, functionSchema }));
await build.send(new PrepareAgentCommand({ agentId: agent.agentId }));
await settle("PREPARED");

const names = [];
for await (const page of paginateListAgents({ client: build, pageSize: 1 }, {})) names.push(...page.agentSummaries.map((a) => a.agentName));
const manual = [];
let nextToken;
do {
  const page = await build.send(new ListAgentsCommand({ maxResults: 1, nextToken }));
  manual.push(...page.agentSummaries.map((a) => a.agentName));
  nextToken = page.nextToken;
} while (nextToken);
say("lists", { names, manual });
const groups = [];
for await (const page of paginateListAgentActionGroups({ client: build, pageSize: 10 }, where)) groups.push(...page.actionGroupSummaries.map((g) => g.actionGroupName));
say("groups", groups);

// Members of a union, however deep: one each. The SDK answers an unknown one as $unknown.
const one = (o, at) => {
  const members = Object.keys(o).filter((k) => o[k] !== undefined);
  if (members.length !== 1 || members[0] === "$unknown") throw new Error(`${at} has the members ${members}`);
  return members[0];
};
const turn = async (command) => {
  const out = await run.send(command);
  const seen = [];
  let text = "", control;
  for await (const event of out.completion) {
    const kind = one(event, "an event");
    if (kind === "trace") {
      const member = one(event.trace.trace, "a trace");
      seen.push(one(event.trace.trace[member], member));
    } else if (kind === "chunk") text += new TextDecoder().decode(event.chunk.bytes);
    else if (kind === "returnControl") control = event.returnControl;
    else seen.push(kind);
  }
  return { text, seen, control, session: out.sessionId, type: out.contentType };
};
const base = { agentId: agent.agentId, agentAliasId: "TSTALIASID", sessionId: "js:1", enableTrace: true };
const korean = await turn(new InvokeAgentCommand({ ...base, sessionId: "js:2", inputText: "안녕" }));
say("korean", { text: korean.text, session: korean.session, type: korean.type });
const asked = await turn(new InvokeAgentCommand({ ...base, inputText: "how is the weather" }));
say("control", { text: asked.text, seen: asked.seen, inputs: asked.control.invocationInputs });
const told = await turn(new InvokeAgentCommand({
  ...base,
  sessionState: { invocationId: asked.control.invocationId, returnControlInvocationResults: [{ functionResult: { actionGroup: "outside", function: "getWeather", responseBody: { TEXT: { body: "rainy" } } } }] },
}));
say("answer", { text: told.text, seen: told.seen });
const inline = await turn(new InvokeInlineAgentCommand({ sessionId: "inline-1", foundationModel, instruction, inputText: "who are you", enableTrace: true }));
say("inline", { text: inline.text, seen: inline.seen });
build.destroy();
run.destroy();
