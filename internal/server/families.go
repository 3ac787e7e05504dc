package server

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/anthropic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/cohereembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/command"
	"github.com/outcrop-dev/outcrop/internal/inference/family/commandr"
	"github.com/outcrop-dev/outcrop/internal/inference/family/deepseek"
	"github.com/outcrop-dev/outcrop/internal/inference/family/gptoss"
	"github.com/outcrop-dev/outcrop/internal/inference/family/jamba"
	"github.com/outcrop-dev/outcrop/internal/inference/family/jurassic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/llama"
	"github.com/outcrop-dev/outcrop/internal/inference/family/mistral"
	"github.com/outcrop-dev/outcrop/internal/inference/family/nova"
	"github.com/outcrop-dev/outcrop/internal/inference/family/novacanvas"
	"github.com/outcrop-dev/outcrop/internal/inference/family/novaembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"
	"github.com/outcrop-dev/outcrop/internal/inference/family/palmyra"
	"github.com/outcrop-dev/outcrop/internal/inference/family/qwen"
	"github.com/outcrop-dev/outcrop/internal/inference/family/rerank"
	"github.com/outcrop-dev/outcrop/internal/inference/family/sdxl"
	"github.com/outcrop-dev/outcrop/internal/inference/family/stabilityimage"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titanembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titanimage"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titantext"
)

// families is the table of native body formats: which codec reads which.
func families() map[catalog.Family]family.Codec {
	mistralCodec := mistral.New()
	// Video and speech families (Nova Reel and Sonic, Marengo, Pegasus, Luma Ray)
	// have no codec: no local engine serves them.
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
		catalog.CohereCommand:  command.Codec{},
		catalog.CommandR:       commandr.Codec{},
		catalog.Jurassic2:      jurassic.Codec{},
		catalog.Jamba:          jamba.Codec{},
		catalog.Palmyra:        palmyra.New(),
		catalog.TitanEmbedText: titanembed.New(titanembed.Text),
		catalog.TitanEmbedV2:   titanembed.New(titanembed.TextV2),
		catalog.TitanEmbedMM:   titanembed.New(titanembed.Multimodal),
		catalog.CohereEmbed:    cohereembed.New(),
		catalog.EmbedV4:        cohereembed.NewV4(),
		catalog.NovaEmbed:      novaembed.Codec{},
		catalog.Rerank:         rerank.Codec{},
		catalog.TitanImage:     titanimage.New(),
		catalog.NovaCanvas:     novacanvas.New(),
		catalog.SDXL:           sdxl.New(),
		catalog.StabilityImage: stabilityimage.New(),
		catalog.OpenAIChat:     openaichat.New(openaichat.Plain()),
	}
}
