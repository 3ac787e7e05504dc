// Lists the foundation models, a block of lines for each, and counts them by state.
import { fileURLToPath } from "node:url";
import { BedrockClient, ListFoundationModelsCommand } from "@aws-sdk/client-bedrock";

const client = new BedrockClient({ region: "us-east-1" });

export const main = async () => {
  const response = await client.send(new ListFoundationModelsCommand({}));
  const models = response.modelSummaries;
  console.log("Listing the available Bedrock foundation models:");
  for (const model of models) {
    console.log("=".repeat(42));
    console.log(` Model: ${model.modelId}`);
    console.log("-".repeat(42));
    console.log(` Name: ${model.modelName}`);
    console.log(` Provider: ${model.providerName}`);
    console.log(` Model ARN: ${model.modelArn}`);
    console.log(` Input modalities: ${model.inputModalities}`);
    console.log(` Output modalities: ${model.outputModalities}`);
    console.log(` Supported customizations: ${model.customizationsSupported}`);
    console.log(` Supported inference types: ${model.inferenceTypesSupported}`);
    console.log(` Lifecycle status: ${model.modelLifecycle.status}`);
  }
  const active = models.filter((m) => m.modelLifecycle.status === "ACTIVE").length;
  const legacy = models.filter((m) => m.modelLifecycle.status === "LEGACY").length;
  console.log(`There are ${active} active and ${legacy} legacy foundation models in us-east-1.`);
  return response;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main();
}
