package qwen

import "github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"

// New returns the codec of Qwen.
func New() *openaichat.Codec {
	return openaichat.New(&openaichat.Dialect{
		Key: "qwen", Temperature: 0.7, TopP: 0.8, MaxTokens: 4096, MaxOutput: 131_072,
	})
}
