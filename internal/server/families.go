package server

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/anthropic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/deepseek"
	"github.com/outcrop-dev/outcrop/internal/inference/family/gptoss"
	"github.com/outcrop-dev/outcrop/internal/inference/family/llama"
	"github.com/outcrop-dev/outcrop/internal/inference/family/mistral"
	"github.com/outcrop-dev/outcrop/internal/inference/family/nova"
	"github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"
	"github.com/outcrop-dev/outcrop/internal/inference/family/qwen"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titantext"
)

// families is the table of native body formats: which codec reads which.
func families() map[catalog.Family]family.Codec {
	mistralCodec := mistral.New()
	return map[catalog.Family]family.Codec{
		catalog.TitanText:      titantext.Codec{},
		catalog.Nova:           nova.Codec{},
		catalog.Claude:         anthropic.Codec{},
		catalog.ClaudeMessages: anthropic.Codec{},
		catalog.Llama:          llama.Codec{},
		catalog.Llama3:         llama.Codec{},
		catalog.Mistral:        mistralCodec,
		catalog.MistralChat:    mistralCodec,
		catalog.DeepSeek:       deepseek.New(),
		catalog.Qwen:           qwen.New(),
		catalog.GPTOSS:         gptoss.New(),
		catalog.OpenAIChat:     openaichat.New(openaichat.Plain()),
	}
}
