// Package openaichat is the chat-completions body format that several families
// share: DeepSeek's later models, Qwen, gpt-oss, Mistral's chat models, and any
// provider that speaks it.
//
//	{"messages": […], "tools": […]} ──▶ Decode ──▶ engine.Request
//	{"choices": [{"message": …}]}    ◀── Encode ◀──
//	chunks with a delta              ◀── Stream ◀──
//
// A Dialect says in what the families differ. Its type Codec is the plain format;
// the other families wrap the functions.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package openaichat
