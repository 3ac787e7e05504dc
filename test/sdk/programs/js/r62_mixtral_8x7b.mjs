// Mixtral 8x7B Instruct.
import { fileURLToPath } from "node:url";
import { BedrockRuntimeClient, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";

export const invokeModel = async (prompt, modelId = "mistral.mixtral-8x7b-instruct-v0:1") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const payload = { prompt: `[INST] ${prompt} [/INST]`, max_tokens: 500, temperature: 0.5 };
  const command = new InvokeModelCommand({ contentType: "application/json", body: JSON.stringify(payload), modelId });
  const apiResponse = await client.send(command);
  const responseBody = JSON.parse(new TextDecoder().decode(apiResponse.body));
  return responseBody.outputs[0].text;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const prompt = 'Complete the following in one sentence: "Once upon a time..."';
  try {
    console.log(await invokeModel(prompt));
  } catch (err) {
    console.log(err);
    process.exitCode = 1;
  }
}
