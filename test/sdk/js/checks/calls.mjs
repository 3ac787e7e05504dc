// Plain calls: one structure for all families, typed errors, retries. Prints a line of JSON for each.
import { BedrockClient, GetFoundationModelCommand, ListFoundationModelsCommand } from "@aws-sdk/client-bedrock";
import { BedrockRuntimeClient, ConverseCommand, CountTokensCommand, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";

const runtime = new BedrockRuntimeClient({ region: "us-east-1" });
const control = new BedrockClient({ region: "us-east-1" });
const say = (check, value) => console.log(JSON.stringify({ check, value }));
const ask = (modelId, text, more = {}) => runtime.send(new ConverseCommand({ modelId, messages: [{ role: "user", content: [{ text }] }], ...more }));
const failure = async (call) => {
  try {
    await call();
    return { name: "none" };
  } catch (err) {
    return { name: err.name, status: err.$metadata?.httpStatusCode, attempts: err.$metadata?.attempts, message: err.message };
  }
};

const haiku = "anthropic.claude-3-haiku-20240307-v1:0";
for (const modelId of [haiku, "amazon.titan-text-express-v1", "meta.llama2-13b-chat-v1", "mistral.mistral-7b-instruct-v0:2", "cohere.command-text-v14"]) {
  const out = await ask(modelId, "hello");
  say("converse", { modelId, text: out.output.message.content[0].text, stop: out.stopReason, tokens: out.usage.totalTokens });
}
say("korean", (await ask(haiku, "korean please")).output.message.content[0].text);
const tools = { tools: [{ toolSpec: { name: "get_weather", inputSchema: { json: { type: "object", properties: { city: { type: "string" } } } } } }] };
const used = await ask(haiku, "weather in Seattle?", { toolConfig: tools });
say("tool", used.output.message.content.find((b) => b.toolUse).toolUse.input);
say("count", (await runtime.send(new CountTokensCommand({ modelId: haiku, input: { converse: { messages: [{ role: "user", content: [{ text: "hello" }] }] } } }))).inputTokens > 0);
const details = await control.send(new GetFoundationModelCommand({ modelIdentifier: "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1" }));
say("details", details.modelDetails.modelId);
say("filtered", (await control.send(new ListFoundationModelsCommand({ byProvider: "Stability AI" }))).modelSummaries.every((m) => m.providerName === "Stability AI"));
say("unknown", await failure(() => ask("anthropic.nope", "hello")));
say("wrong body", await failure(() => runtime.send(new InvokeModelCommand({ modelId: haiku, body: "{" }))));
say("overload", await failure(() => ask(haiku, "overload")));
say("crash", await failure(() => ask(haiku, "crash")));
const wrong = new BedrockRuntimeClient({ region: "us-east-1", credentials: { accessKeyId: "AKIAAAAAAAAAAAAAAAAA", secretAccessKey: "x" } });
say("wrong key", await failure(() => wrong.send(new ConverseCommand({ modelId: haiku, messages: [{ role: "user", content: [{ text: "x" }] }] }))));
wrong.destroy();
runtime.destroy();
