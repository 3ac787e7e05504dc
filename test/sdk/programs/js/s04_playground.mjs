// An interactive text playground: choose a model from the menu, type a prompt, read the answer.
import readline from "node:readline/promises";
import * as claude2 from "./r30_r31_claude2.mjs";
import * as claude3 from "./r36_r37_claude3.mjs";
import * as jurassic2 from "./r21_jurassic2.mjs";
import * as llama2 from "./r51_llama2.mjs";
import * as mistral from "./r57_mistral_7b.mjs";
import * as titan from "./r25_titan_text.mjs";

const models = [
  { modelName: "Anthropic Claude 3 Haiku", modelId: "anthropic.claude-3-haiku-20240307-v1:0", invoke: claude3.invokeModel },
  { modelName: "Anthropic Claude 3 Sonnet", modelId: "anthropic.claude-3-sonnet-20240229-v1:0", invoke: claude3.invokeModel },
  { modelName: "Anthropic Claude 2.1", modelId: "anthropic.claude-v2:1", invoke: claude2.invokeTextCompletionsApi },
  { modelName: "Anthropic Claude 2", modelId: "anthropic.claude-v2", invoke: claude2.invokeTextCompletionsApi },
  { modelName: "Anthropic Claude Instant", modelId: "anthropic.claude-instant-v1", invoke: claude2.invokeTextCompletionsApi },
  { modelName: "Jurassic-2 Mid", modelId: "ai21.j2-mid-v1", invoke: jurassic2.invokeModel },
  { modelName: "Jurassic-2 Ultra", modelId: "ai21.j2-ultra-v1", invoke: jurassic2.invokeModel },
  { modelName: "Llama 2 Chat 13B", modelId: "meta.llama2-13b-chat-v1", invoke: llama2.invokeModel },
  { modelName: "Llama 2 Chat 70B", modelId: "meta.llama2-70b-chat-v1", invoke: llama2.invokeModel },
  { modelName: "Mistral 7B Instruct", modelId: "mistral.mistral-7b-instruct-v0:2", invoke: mistral.invokeModel },
  { modelName: "Mixtral 8X7B Instruct", modelId: "mistral.mixtral-8x7b-instruct-v0:1", invoke: mistral.invokeModel },
  { modelName: "Titan Text G1 - Express", modelId: "amazon.titan-text-express-v1", invoke: titan.invokeModel },
  { modelName: "Titan Text G1 - Lite", modelId: "amazon.titan-text-lite-v1", invoke: titan.invokeModel },
];

const terminal = readline.createInterface({ input: process.stdin, terminal: false });
const typed = terminal[Symbol.asyncIterator]();
const ask = async (question) => {
  console.log(question);
  const { value, done } = await typed.next();
  return done ? undefined : value;
};

console.log("Welcome to the Amazon Bedrock Runtime client demo!");
for (;;) {
  models.forEach((m, i) => console.log(`${i + 1}. ${m.modelName}`));
  const choice = await ask("Select a model:");
  if (!choice) break;
  const model = models[Number(choice) - 1];
  const prompt = await ask("Now, enter your prompt:");
  console.log(`Invoking ${model.modelName} with '${prompt}'...`);
  console.log(await model.invoke(prompt, model.modelId));
}
terminal.close();
