// Prints each event of a stream at once, as a line of JSON with the time since the call.
// Usage: events.mjs PACKAGE converse|invoke PROMPT
const [pkg, how, prompt] = process.argv.slice(2);
const { BedrockRuntimeClient, ConverseStreamCommand, InvokeModelWithResponseStreamCommand } = await import(pkg);

const client = new BedrockRuntimeClient({ region: "us-east-1" });
const modelId = "anthropic.claude-3-haiku-20240307-v1:0";
const start = performance.now();
const say = (kind, text = "") => console.log(JSON.stringify({ kind, text, ms: Math.round(performance.now() - start) }));

say("handler", client.config.requestHandler.constructor.name);
try {
  if (how === "converse") {
    const out = await client.send(new ConverseStreamCommand({ modelId, messages: [{ role: "user", content: [{ text: prompt }] }] }));
    say("open");
    for await (const event of out.stream) {
      if (event.contentBlockDelta) say("text", event.contentBlockDelta.delta.text);
      else if (event.messageStop) say("stop", event.messageStop.stopReason);
    }
  } else {
    const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 500, messages: [{ role: "user", content: prompt }] });
    const out = await client.send(new InvokeModelWithResponseStreamCommand({ modelId, body, contentType: "application/json" }));
    say("open");
    for await (const event of out.body) {
      const chunk = JSON.parse(new TextDecoder().decode(event.chunk.bytes));
      if (chunk.type === "content_block_delta") say("text", chunk.delta.text);
      else if (chunk.type === "message_delta") say("stop", chunk.delta.stop_reason);
    }
  }
  say("end");
} catch (err) {
  say("error", err.name);
}
client.destroy();
