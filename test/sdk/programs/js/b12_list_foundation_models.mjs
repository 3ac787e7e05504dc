// All models; the Region comes from the environment or the configuration.
import { fileURLToPath } from "node:url";
import { BedrockClient, ListFoundationModelsCommand } from "@aws-sdk/client-bedrock";

export const listFoundationModels = async () => {
  const client = new BedrockClient();
  const input = {
    // byProvider: "STRING_VALUE",
    // byCustomizationType: "FINE_TUNING" or "CONTINUED_PRE_TRAINING",
    // byOutputModality: "TEXT", "IMAGE" or "EMBEDDING",
    // byInferenceType: "ON_DEMAND" or "PROVISIONED",
  };
  const response = await client.send(new ListFoundationModelsCommand(input));
  return response.modelSummaries;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await listFoundationModels()));
}
