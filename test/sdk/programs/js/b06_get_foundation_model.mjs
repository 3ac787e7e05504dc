// The details of one model; the Region comes from the environment or the configuration.
import { fileURLToPath } from "node:url";
import { BedrockClient, GetFoundationModelCommand } from "@aws-sdk/client-bedrock";

export const getFoundationModel = async () => {
  const client = new BedrockClient();
  const response = await client.send(new GetFoundationModelCommand({ modelIdentifier: "amazon.titan-embed-text-v1" }));
  return response.modelDetails;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await getFoundationModel(), null, 2));
}
