// Package commandr is the codec of Cohere's Command R and R+ in their chat form.
//
//	{"message": …, "chat_history": […], "preamble": …} ──▶ turns      ──▶ {"text": …, "finish_reason": …}
//	{"documents": […]}                                 ──▶ the question's context
//	{"tools": […], "tool_results": […]}                ──▶ tool calls ──▶ {"tool_calls": […]}
//	stream-start, text-generation …, stream-end        ◀── deltas
//
// Answers carry no citations: a local model does not say which document a sentence
// comes from, and a guess would be worse than none.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package commandr
