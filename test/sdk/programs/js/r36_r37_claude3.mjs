// Anthropic Claude 3 by the Messages API, plain and streamed. Its own main does
// only the plain call; importers use both.
import { fileURLToPath } from "node:url";
import {
  BedrockRuntimeClient,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

const payloadOf = (prompt) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 1000,
  messages: [{ role: "user", content: [{ type: "text", text: prompt }] }],
});

export const invokeModel = async (prompt, modelId = "anthropic.claude-3-haiku-20240307-v1:0") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const command = new InvokeModelCommand({ contentType: "application/json", body: JSON.stringify(payloadOf(prompt)), modelId });
  const apiResponse = await client.send(command);
  return JSON.parse(new TextDecoder().decode(apiResponse.body)).content[0].text;
};

export const invokeModelWithResponseStream = async (prompt, modelId = "anthropic.claude-3-haiku-20240307-v1:0") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const command = new InvokeModelWithResponseStreamCommand({
    contentType: "application/json",
    body: JSON.stringify(payloadOf(prompt)),
    modelId,
  });
  const apiResponse = await client.send(command);
  let completeMessage = "";
  for await (const item of apiResponse.body) {
    const chunk = JSON.parse(new TextDecoder().decode(item.chunk.bytes));
    if (chunk.type === "content_block_delta") {
      const text = chunk.delta.text;
      completeMessage += text;
      process.stdout.write(text);
    }
  }
  return completeMessage;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const response = await invokeModel('Write a paragraph starting with: "Once upon a time..."');
    console.log("\nFinal structured response:");
    console.log(response);
  } catch (err) {
    console.log(`\n${err}`);
    process.exitCode = 1;
  }
}
