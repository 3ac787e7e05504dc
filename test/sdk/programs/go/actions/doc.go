// Package actions wraps calls of the two Bedrock clients, a method for each
// kind of model, as users of the Go SDK write it: it knows nothing of Outcrop.
//
//	FoundationModels ─▶ bedrock client          InvokeModel ─▶ bedrockruntime client, plain and streamed
//
// Floor: a user's program.
package actions
