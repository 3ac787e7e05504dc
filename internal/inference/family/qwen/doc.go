// Package qwen is the codec of Qwen's chat models, which speak the
// chat-completions format.
//
//	{"messages": …} ──▶ openaichat ──▶ choices[0].message
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package qwen
