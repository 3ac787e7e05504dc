package catalog

import (
	"strings"
)

// A Rule gives an id that nobody listed the facts of its family. Pattern is a
// glob over the base id in which * stands for any characters. The fields of
// Model that name an id or a name are filled from the id.
type Rule struct {
	Pattern string `json:"pattern" yaml:"pattern"`
	Model   `yaml:",inline"`
}

// Words that many rules and entries share.
const (
	chatFeatures = "stream tools system chat"
	thinking     = chatFeatures + " think"
)

// rules are tried in order; the first match wins. There is none that takes every
// id of a provider whose body formats differ from model to model: an id that fits
// no rule is unknown, as it is on AWS.
var rules = []Rule{
	{"anthropic.claude-v*", Model{Family: Claude, Features: "stream system chat", Context: 100_000, MaxOutput: 8191}},
	{"anthropic.claude-instant*", Model{Family: Claude, Features: "stream system chat", Context: 100_000, MaxOutput: 8191}},
	{"anthropic.claude-3-*", Model{Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, Context: 200_000, MaxOutput: 8192}},
	{"anthropic.claude-*", Model{Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Context: 1_000_000, MaxOutput: 128_000}},

	{"amazon.nova-*canvas*", Model{Family: NovaCanvas, In: "TEXT IMAGE", Out: "IMAGE"}},
	{"amazon.nova-*reel*", Model{Family: NovaReel, In: "TEXT IMAGE", Out: "VIDEO"}},
	{"amazon.nova-*sonic*", Model{Family: NovaSonic, In: "SPEECH TEXT", Out: "SPEECH TEXT"}},
	{"amazon.nova-*embedding*", Model{Family: NovaEmbed, In: "TEXT IMAGE VIDEO AUDIO", Out: "EMBEDDING", Dimension: 3072, Dimensions: []int{256, 384, 1024, 3072}, Context: 8172}},
	{"amazon.nova-micro*", Model{Family: Nova, Features: chatFeatures, Context: 128_000, MaxOutput: 10_000}},
	{"amazon.nova-*", Model{Family: Nova, In: "TEXT IMAGE VIDEO", Features: chatFeatures, Context: 300_000, MaxOutput: 10_000}},
	{"amazon.titan-text-*", Model{Family: TitanText, Features: "stream chat", Context: 8192, MaxOutput: 8000}},
	{"amazon.titan-tg1-*", Model{Family: TitanText, Features: "stream chat", Context: 8192, MaxOutput: 8000}},
	{"amazon.titan-embed-text-v2*", Model{Family: TitanEmbedV2, Out: "EMBEDDING", Dimension: 1024, Dimensions: []int{256, 512, 1024}, Context: 8192}},
	{"amazon.titan-embed-image-*", Model{Family: TitanEmbedMM, In: "TEXT IMAGE", Out: "EMBEDDING", Dimension: 1024, Dimensions: []int{256, 384, 1024}, Context: 128}},
	{"amazon.titan-embed-*", Model{Family: TitanEmbedText, Out: "EMBEDDING", Dimension: 1536, Context: 8192}},
	{"amazon.titan-image-generator-*", Model{Family: TitanImage, In: "TEXT IMAGE", Out: "IMAGE"}},
	{"amazon.rerank-*", Model{Family: Rerank, Context: 32_000}},

	{"meta.llama2-*", Model{Family: Llama, Features: "stream system chat", Context: 4096, MaxOutput: 2048}},
	{"meta.llama*", Model{Family: Llama3, Features: chatFeatures, Context: 128_000, MaxOutput: 8192}},
	{"mistral.mistral-7b-*", Model{Family: Mistral, Features: "stream chat", Context: 32_000, MaxOutput: 8192}},
	{"mistral.mixtral-*", Model{Family: Mistral, Features: "stream chat", Context: 32_000, MaxOutput: 4096}},
	{"mistral.*", Model{Family: MistralChat, Features: chatFeatures, Context: 128_000, MaxOutput: 8192}},
	{"cohere.command-text-*", Model{Family: CohereCommand, Features: "stream", Context: 4096, MaxOutput: 4096}},
	{"cohere.command-light-*", Model{Family: CohereCommand, Features: "stream", Context: 4096, MaxOutput: 4096}},
	{"cohere.command-*", Model{Family: CommandR, Features: chatFeatures, Context: 128_000, MaxOutput: 4096}},
	{"cohere.embed-*-v3*", Model{Family: CohereEmbed, Out: "EMBEDDING", Dimension: 1024, Context: 512}},
	{"cohere.embed-*", Model{Family: EmbedV4, In: "TEXT IMAGE", Out: "EMBEDDING", Dimension: 1536, Dimensions: []int{256, 512, 1024, 1536}, Context: 128_000}},
	{"cohere.rerank-*", Model{Family: Rerank, Context: 4096}},
	{"ai21.j2-*", Model{Family: Jurassic2, Features: "chat", Context: 8191, MaxOutput: 8191}},
	{"ai21.jamba-*", Model{Family: Jamba, Features: chatFeatures, Context: 256_000, MaxOutput: 4096}},
	{"stability.stable-diffusion-xl*", Model{Family: SDXL, In: "TEXT IMAGE", Out: "IMAGE"}},
	{"stability.*", Model{Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE"}},
	{"deepseek.*", Model{Family: DeepSeek, Features: thinking, Context: 128_000, MaxOutput: 8192}},
	{"qwen.*", Model{Family: Qwen, Features: chatFeatures, Context: 256_000, MaxOutput: 8192}},
	{"openai.gpt-oss-*", Model{Family: GPTOSS, Features: thinking, Context: 128_000, MaxOutput: 16_384}},
	{"openai.*", Model{Family: OpenAIChat, In: "TEXT IMAGE", Features: thinking, Context: 256_000, MaxOutput: 128_000}},
	{"google.gemma-*", Model{Family: OpenAIChat, In: "TEXT IMAGE", Features: chatFeatures, Context: 128_000, MaxOutput: 8192}},
	{"minimax.*", Model{Family: OpenAIChat, Features: chatFeatures, Context: 196_000, MaxOutput: 8192}},
	{"moonshot.*", Model{Family: OpenAIChat, Features: thinking, Context: 256_000, MaxOutput: 16_000}},
	{"moonshotai.*", Model{Family: OpenAIChat, Features: thinking, Context: 256_000, MaxOutput: 16_000}},
	{"nvidia.*", Model{Family: OpenAIChat, Features: chatFeatures, Context: 128_000, MaxOutput: 8192}},
	{"xai.*", Model{Family: OpenAIChat, In: "TEXT IMAGE", Features: thinking, Context: 256_000, MaxOutput: 16_384}},
	{"zai.*", Model{Family: OpenAIChat, Features: thinking, Context: 200_000, MaxOutput: 128_000}},
	{"writer.palmyra-*", Model{Family: Palmyra, Features: chatFeatures, Context: 128_000, MaxOutput: 8192}},
	{"twelvelabs.marengo-*", Model{Family: Marengo, In: "TEXT IMAGE VIDEO AUDIO", Out: "EMBEDDING", Dimension: 1024}},
	{"twelvelabs.pegasus-*", Model{Family: Pegasus, In: "TEXT VIDEO", Features: "stream"}},
	{"luma.ray-*", Model{Family: LumaRay, In: "TEXT IMAGE", Out: "VIDEO"}},
}

// apply makes the entry of an unlisted id that a rule matches.
func (r Rule) apply(id string) (*entry, error) {
	m := r.Model
	m.ID = id
	if m.OnDemand == "" {
		m.OnDemand = "*"
	}
	e, err := prepare(m)
	if err != nil {
		return nil, err
	}
	e.ruled = true
	// Two colons after the model's name are a context variant, such as
	// anthropic.claude-v2:0:18k: an id that buys throughput and serves nothing
	// on demand.
	if strings.Count(id, ":") >= 2 {
		base, _, _ := strings.Cut(id, ":")
		m.ID = base
		parent, err := prepare(m)
		if err != nil {
			return nil, err
		}
		e = parent.variant(Throughput{ID: id, NoCommitment: true})
		e.ruled = true
	}
	return e, nil
}

// glob matches s against a pattern in which * stands for any run of characters.
func glob(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
}
