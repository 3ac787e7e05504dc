// Calls the streaming function of the Claude 3 module.
import { invokeModelWithResponseStream } from "./r36_r37_claude3.mjs";

const whole = await invokeModelWithResponseStream('Write a paragraph starting with: "Once upon a time..."');
console.log(`\n\nFinal structured response: ${JSON.stringify(whole)}`);
