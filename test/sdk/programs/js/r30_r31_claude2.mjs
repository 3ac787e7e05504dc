// Anthropic Claude 2: one model by two APIs.
import { fileURLToPath } from "node:url";
import { BedrockRuntimeClient, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";

export const invokeModel = async (prompt, modelId = "anthropic.claude-v2") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const payload = {
    anthropic_version: "bedrock-2023-05-31",
    max_tokens: 1000,
    messages: [{ role: "user", content: [{ type: "text", text: prompt }] }],
  };
  const command = new InvokeModelCommand({ contentType: "application/json", body: JSON.stringify(payload), modelId });
  const apiResponse = await client.send(command);
  return JSON.parse(new TextDecoder().decode(apiResponse.body)).content[0].text;
};

export const invokeTextCompletionsApi = async (prompt, modelId = "anthropic.claude-v2") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const payload = {
    prompt: `Human: ${prompt}\n\nAssistant:`,
    max_tokens_to_sample: 500,
    temperature: 0.5,
    stop_sequences: ["\n\nHuman:"],
  };
  const command = new InvokeModelCommand({ contentType: "application/json", body: JSON.stringify(payload), modelId });
  const apiResponse = await client.send(command);
  return JSON.parse(new TextDecoder().decode(apiResponse.body)).completion;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const prompt = 'Complete the following in one sentence: "Once upon a time..."';
  try {
    console.log("Using the Messages API:");
    console.log(await invokeModel(prompt));
    console.log("Using the Text Completions API:");
    console.log(await invokeTextCompletionsApi(prompt));
  } catch (err) {
    console.log(err);
    process.exitCode = 1;
  }
}
