package gptoss

import "github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"

// New returns the codec of gpt-oss.
func New() *openaichat.Codec {
	return openaichat.New(&openaichat.Dialect{
		Key: "gpt-oss", Temperature: 1, TopP: 1, MaxTokens: 4096, MaxOutput: 131_072, InlineReasoning: true,
	})
}
