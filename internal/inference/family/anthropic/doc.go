// Package anthropic is the codec of Claude's two body forms: Messages, and the
// older text completions.
//
//	{"messages": …} ──▶ messages.go ──▶ system, turns, tools, images, thinking
//	{"prompt": …}   ──▶ completion.go ──▶ turns parsed from Human: and Assistant:
//
// Which form a body has decides which form its answer has, whatever the model.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package anthropic
