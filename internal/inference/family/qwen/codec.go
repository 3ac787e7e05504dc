// Package qwen is the codec of Qwen's chat models, which speak the
// chat-completions format.
//
//	{"messages": …} ──▶ openaichat ──▶ choices[0].message
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package qwen

import "github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"

// New returns the codec of Qwen.
func New() *openaichat.Codec {
	return openaichat.New(&openaichat.Dialect{
		Key: "qwen", Temperature: 0.7, TopP: 0.8, MaxTokens: 4096, MaxOutput: 131_072,
	})
}
