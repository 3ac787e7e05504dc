// Package gptoss is the codec of OpenAI's open-weight gpt-oss models. They speak
// the chat-completions format and put their reasoning into the text, between
// <reasoning> tags.
//
//	{"messages": …} ──▶ openaichat ──▶ choices[0].message
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package gptoss

import "github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"

// New returns the codec of gpt-oss.
func New() *openaichat.Codec {
	return openaichat.New(&openaichat.Dialect{
		Key: "gpt-oss", Temperature: 1, TopP: 1, MaxTokens: 4096, MaxOutput: 131_072, InlineReasoning: true,
	})
}
