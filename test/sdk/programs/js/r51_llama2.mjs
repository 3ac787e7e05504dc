// Meta Llama 2 Chat.
import { fileURLToPath } from "node:url";
import { BedrockRuntimeClient, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";

export const invokeModel = async (prompt, modelId = "meta.llama2-13b-chat-v1") => {
  const client = new BedrockRuntimeClient({ region: "us-east-1" });
  const payload = { prompt, temperature: 0.5, max_gen_len: 1000 };
  const command = new InvokeModelCommand({ contentType: "application/json", body: JSON.stringify(payload), modelId });
  const apiResponse = await client.send(command);
  const responseBody = JSON.parse(new TextDecoder().decode(apiResponse.body));
  return responseBody.generation;
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
