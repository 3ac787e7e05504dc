package catalog

// What came after the guide, as AWS lists it in us-east-1. Ids that are missing
// here still work through the rules; a line here adds the true name, limits, how
// the model may be called and when it ends.

const (
	novaHome   = "us-east-1 us-gov-west-1 ap-southeast-2 eu-west-2"
	claudeGeos = "us eu apac jp au global"
)

var todaysModels = []Model{
	// Amazon
	{ID: "amazon.titan-text-premier-v1:0", Name: "Titan Text G1 - Premier", Family: TitanText, Features: "stream system chat", OnDemand: "*", Context: 32_000, MaxOutput: 3072, Customize: "FINE_TUNING", Throughput: ":32k", Start: "2024-05-07"},
	{ID: "amazon.titan-embed-text-v2:0", Name: "Titan Text Embeddings V2", Family: TitanEmbedV2, Out: "EMBEDDING", OnDemand: "*", Context: 8192, Dimension: 1024, Dimensions: []int{256, 512, 1024}, Throughput: ":8k", Start: "2024-04-30"},
	{ID: "amazon.titan-image-generator-v2:0", Name: "Titan Image Generator G1 v2", Family: TitanImage, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Customize: "FINE_TUNING", Start: "2024-08-06", EOL: "2026-06-30"},
	{ID: "amazon.nova-micro-v1:0", Name: "Nova Micro", Family: Nova, Features: chatFeatures, OnDemand: novaHome, Profiles: "us eu apac", Context: 128_000, MaxOutput: 10_000, Customize: "FINE_TUNING DISTILLATION", Throughput: ":24k :128k", Start: "2024-12-03"},
	{ID: "amazon.nova-lite-v1:0", Name: "Nova Lite", Family: Nova, In: "TEXT IMAGE VIDEO", Features: chatFeatures, OnDemand: novaHome + " ap-northeast-1 eu-north-1", Profiles: "us eu apac", Context: 300_000, MaxOutput: 10_000, Customize: "FINE_TUNING DISTILLATION", Throughput: ":24k :300k", Start: "2024-12-03"},
	{ID: "amazon.nova-pro-v1:0", Name: "Nova Pro", Family: Nova, In: "TEXT IMAGE VIDEO", Features: chatFeatures, OnDemand: novaHome, Profiles: "us eu apac", Context: 300_000, MaxOutput: 10_000, Customize: "FINE_TUNING DISTILLATION", Throughput: ":24k :300k", Start: "2024-12-03"},
	{ID: "amazon.nova-premier-v1:0", Name: "Nova Premier", Family: Nova, In: "TEXT IMAGE VIDEO", Features: chatFeatures, Profiles: "us", Context: 1_000_000, MaxOutput: 10_000, Start: "2025-04-30"},
	{ID: "amazon.nova-2-lite-v1:0", Name: "Nova 2 Lite", Family: Nova, In: "TEXT IMAGE VIDEO", Features: thinking, Profiles: "us eu apac jp global", Context: 1_000_000, MaxOutput: 64_000, Throughput: ":256k", Start: "2025-12-02"},
	{ID: "amazon.nova-canvas-v1:0", Name: "Nova Canvas", Family: NovaCanvas, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Customize: "FINE_TUNING", Start: "2024-12-03", EOL: "2026-09-30"},
	{ID: "amazon.nova-reel-v1:0", Name: "Nova Reel", Family: NovaReel, In: "TEXT IMAGE", Out: "VIDEO", OnDemand: "*", Start: "2024-12-03"},
	{ID: "amazon.nova-reel-v1:1", Name: "Nova Reel", Family: NovaReel, In: "TEXT IMAGE", Out: "VIDEO", OnDemand: "*", Start: "2025-04-07"},
	{ID: "amazon.nova-sonic-v1:0", Name: "Nova Sonic", Family: NovaSonic, In: "SPEECH", Out: "SPEECH TEXT", OnDemand: "*", Start: "2025-04-08"},
	{ID: "amazon.nova-2-sonic-v1:0", Name: "Nova 2 Sonic", Family: NovaSonic, In: "SPEECH", Out: "SPEECH TEXT", OnDemand: "*", Start: "2025-12-02"},
	{ID: "amazon.nova-2-multimodal-embeddings-v1:0", Name: "Amazon Nova Multimodal Embeddings", Family: NovaEmbed, In: "TEXT IMAGE AUDIO VIDEO", Out: "EMBEDDING", OnDemand: "*", Context: 8172, Dimension: 3072, Dimensions: []int{256, 384, 1024, 3072}, Start: "2025-10-28"},
	{ID: "amazon.rerank-v1:0", Name: "Rerank 1.0", Family: Rerank, OnDemand: "*", Context: 32_000, Start: "2024-12-01"},

	// Anthropic
	{ID: "anthropic.claude-3-opus-20240229-v1:0", Name: "Claude 3 Opus", Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "us-west-2", Profiles: "us", Context: 200_000, MaxOutput: 4096, Start: "2024-04-16"},
	{ID: "anthropic.claude-3-5-sonnet-20240620-v1:0", Name: "Claude 3.5 Sonnet", Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Profiles: "us eu apac us-gov", Context: 200_000, MaxOutput: 8192, Start: "2024-06-20"},
	{ID: "anthropic.claude-3-5-sonnet-20241022-v2:0", Name: "Claude 3.5 Sonnet v2", Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "us-west-2 ap-southeast-2", Profiles: "us apac", Context: 200_000, MaxOutput: 8192, Start: "2024-10-22"},
	{ID: "anthropic.claude-3-5-haiku-20241022-v1:0", Name: "Claude 3.5 Haiku", Family: ClaudeMessages, Features: chatFeatures, OnDemand: "us-west-2", Profiles: "us", Context: 200_000, MaxOutput: 8192, Start: "2024-11-04"},
	{ID: "anthropic.claude-3-7-sonnet-20250219-v1:0", Name: "Claude 3.7 Sonnet", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, OnDemand: "eu-west-2", Profiles: "us eu apac us-gov", Context: 200_000, MaxOutput: 64_000, Start: "2025-02-24", EOL: "2026-04-28"},
	{ID: "anthropic.claude-sonnet-4-20250514-v1:0", Name: "Claude Sonnet 4", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us eu apac global", Context: 200_000, MaxOutput: 64_000, Start: "2025-05-22", EOL: "2026-10-14"},
	{ID: "anthropic.claude-opus-4-20250514-v1:0", Name: "Claude Opus 4", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us", Context: 200_000, MaxOutput: 32_000, Start: "2025-05-22"},
	{ID: "anthropic.claude-opus-4-1-20250805-v1:0", Name: "Claude Opus 4.1", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us", Context: 200_000, MaxOutput: 32_000, Start: "2025-08-05", EOL: "2027-01-08"},
	{ID: "anthropic.claude-sonnet-4-5-20250929-v1:0", Name: "Claude Sonnet 4.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us eu jp au global us-gov", Context: 200_000, MaxOutput: 64_000, Start: "2025-09-29", EOL: "2027-04-08"},
	{ID: "anthropic.claude-haiku-4-5-20251001-v1:0", Name: "Claude Haiku 4.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos, Context: 200_000, MaxOutput: 64_000, Start: "2025-10-15"},
	{ID: "anthropic.claude-opus-4-5-20251101-v1:0", Name: "Claude Opus 4.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us eu global", Context: 200_000, MaxOutput: 64_000, Start: "2025-11-24"},
	{ID: "anthropic.claude-opus-4-6-v1", Name: "Claude Opus 4.6", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us eu au global", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-sonnet-4-6", Name: "Claude Sonnet 4.6", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos, Context: 1_000_000, MaxOutput: 64_000},
	{ID: "anthropic.claude-opus-4-7", Name: "Claude Opus 4.7", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos, Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-opus-4-8", Name: "Claude Opus 4.8", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-sonnet-5", Name: "Claude Sonnet 5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-opus-5", Name: "Claude Opus 5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000, Start: "2026-07-24"},
	{ID: "anthropic.claude-fable-5", Name: "Claude Fable 5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: "us eu apac au global", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-haiku-5-5", Name: "Claude Haiku 5.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-sonnet-5-5", Name: "Claude Sonnet 5.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000},
	{ID: "anthropic.claude-opus-5-5", Name: "Claude Opus 5.5", Family: ClaudeMessages, In: "TEXT IMAGE", Features: thinking, Profiles: claudeGeos + " us-gov", Context: 1_000_000, MaxOutput: 128_000},

	// AI21 Labs
	{ID: "ai21.jamba-instruct-v1:0", Name: "Jamba-Instruct", Family: Jamba, Features: "system chat", OnDemand: "*", Context: 256_000, MaxOutput: 4096, Start: "2024-06-25"},
	{ID: "ai21.jamba-1-5-large-v1:0", Name: "Jamba 1.5 Large", Family: Jamba, Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 4096, Start: "2024-09-23", EOL: "2026-11-26"},
	{ID: "ai21.jamba-1-5-mini-v1:0", Name: "Jamba 1.5 Mini", Family: Jamba, Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 4096, Start: "2024-09-23", EOL: "2026-11-26"},

	// Cohere
	{ID: "cohere.command-r-v1:0", Name: "Command R", Family: CommandR, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 4096, Start: "2024-04-29"},
	{ID: "cohere.command-r-plus-v1:0", Name: "Command R+", Family: CommandR, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 4096, Start: "2024-04-29"},
	{ID: "cohere.embed-v4:0", Name: "Embed v4", Family: EmbedV4, In: "TEXT IMAGE", Out: "EMBEDDING", OnDemand: "us-east-1 eu-west-1 ap-northeast-1", Profiles: "us eu global", Context: 128_000, Dimension: 1536, Dimensions: []int{256, 512, 1024, 1536}},
	{ID: "cohere.rerank-v3-5:0", Name: "Rerank 3.5", Family: Rerank, OnDemand: "*", Context: 4096, Start: "2024-12-01"},

	// DeepSeek
	{ID: "deepseek.r1-v1:0", Name: "DeepSeek-R1", Family: DeepSeek, Features: "stream system chat think", Profiles: "us", Context: 128_000, MaxOutput: 32_768, Start: "2025-03-10", EOL: "2027-03-30"},
	{ID: "deepseek.v3-v1:0", Name: "DeepSeek-V3.1", Family: DeepSeek, Features: thinking, OnDemand: "*", Context: 128_000, MaxOutput: 8192, Start: "2025-09-18", EOL: "2027-03-30"},
	{ID: "deepseek.v3.2", Name: "DeepSeek V3.2", Family: DeepSeek, Features: thinking, OnDemand: "*", Profiles: "us eu", Context: 163_840, MaxOutput: 8192},

	// Google
	{ID: "google.gemma-3-4b-it", Name: "Gemma 3 4B IT", Family: OpenAIChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "google.gemma-3-12b-it", Name: "Gemma 3 12B IT", Family: OpenAIChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "google.gemma-3-27b-it", Name: "Gemma 3 27B PT", Family: OpenAIChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, EOL: "2027-03-30"},

	// Luma AI
	{ID: "luma.ray-v2:0", Name: "Ray v2", Family: LumaRay, In: "TEXT IMAGE", Out: "VIDEO", OnDemand: "us-west-2"},

	// Meta
	{ID: "meta.llama3-8b-instruct-v1:0", Name: "Llama 3 8B Instruct", Family: Llama3, Features: "stream system chat", OnDemand: "*", Context: 8192, MaxOutput: 2048, Start: "2024-04-23", EOL: "2027-03-30"},
	{ID: "meta.llama3-70b-instruct-v1:0", Name: "Llama 3 70B Instruct", Family: Llama3, Features: "stream system chat", OnDemand: "*", Context: 8192, MaxOutput: 2048, Start: "2024-04-23", EOL: "2027-03-30"},
	{ID: "meta.llama3-1-8b-instruct-v1:0", Name: "Llama 3.1 8B Instruct", Family: Llama3, Features: chatFeatures, OnDemand: "us-west-2", Profiles: "us", Context: 128_000, MaxOutput: 8192, Customize: "FINE_TUNING DISTILLATION", Start: "2024-07-23", EOL: "2027-03-30"},
	{ID: "meta.llama3-1-70b-instruct-v1:0", Name: "Llama 3.1 70B Instruct", Family: Llama3, Features: chatFeatures, OnDemand: "us-west-2", Profiles: "us", Context: 128_000, MaxOutput: 8192, Customize: "FINE_TUNING DISTILLATION", Start: "2024-07-23", EOL: "2027-03-30"},
	{ID: "meta.llama3-1-405b-instruct-v1:0", Name: "Llama 3.1 405B Instruct", Family: Llama3, Features: chatFeatures, OnDemand: "us-west-2", Profiles: "us", Context: 128_000, MaxOutput: 8192, Start: "2024-07-23", EOL: "2026-07-07"},
	{ID: "meta.llama3-2-1b-instruct-v1:0", Name: "Llama 3.2 1B Instruct", Family: Llama3, Features: chatFeatures, Profiles: "us eu", Context: 128_000, MaxOutput: 8192, Start: "2024-09-25", EOL: "2026-07-07"},
	{ID: "meta.llama3-2-3b-instruct-v1:0", Name: "Llama 3.2 3B Instruct", Family: Llama3, Features: chatFeatures, Profiles: "us eu", Context: 128_000, MaxOutput: 8192, Start: "2024-09-25", EOL: "2026-07-07"},
	{ID: "meta.llama3-2-11b-instruct-v1:0", Name: "Llama 3.2 11B Instruct", Family: Llama3, In: "TEXT IMAGE", Features: chatFeatures, Profiles: "us", Context: 128_000, MaxOutput: 8192, Start: "2024-09-25", EOL: "2026-07-07"},
	{ID: "meta.llama3-2-90b-instruct-v1:0", Name: "Llama 3.2 90B Instruct", Family: Llama3, In: "TEXT IMAGE", Features: chatFeatures, Profiles: "us", Context: 128_000, MaxOutput: 8192, Start: "2024-09-25", EOL: "2026-07-07"},
	{ID: "meta.llama3-3-70b-instruct-v1:0", Name: "Llama 3.3 70B Instruct", Family: Llama3, Features: chatFeatures, OnDemand: "us-east-2", Profiles: "us", Context: 128_000, MaxOutput: 8192, Start: "2024-12-19", EOL: "2027-03-30"},
	{ID: "meta.llama4-scout-17b-instruct-v1:0", Name: "Llama 4 Scout 17B Instruct", Family: Llama3, In: "TEXT IMAGE", Features: chatFeatures, Profiles: "us", Context: 10_000_000, MaxOutput: 8192, Start: "2025-04-28", EOL: "2027-03-30"},
	{ID: "meta.llama4-maverick-17b-instruct-v1:0", Name: "Llama 4 Maverick 17B Instruct", Family: Llama3, In: "TEXT IMAGE", Features: chatFeatures, Profiles: "us", Context: 1_000_000, MaxOutput: 8192, Start: "2025-04-28", EOL: "2027-03-30"},

	// MiniMax, Moonshot AI, NVIDIA
	{ID: "minimax.minimax-m2", Name: "MiniMax M2", Family: OpenAIChat, Features: chatFeatures, OnDemand: "*", Context: 196_000, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "moonshot.kimi-k2-thinking", Name: "Kimi K2 Thinking", Family: OpenAIChat, Features: thinking, OnDemand: "*", Context: 256_000, MaxOutput: 16_000, EOL: "2027-03-30"},
	{ID: "nvidia.nemotron-nano-9b-v2", Name: "NVIDIA Nemotron Nano 9B v2", Family: OpenAIChat, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "nvidia.nemotron-nano-12b-v2", Name: "NVIDIA Nemotron Nano 12B v2 VL BF16", Family: OpenAIChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "nvidia.nemotron-nano-3-30b", Name: "Nemotron Nano 3 30B", Family: OpenAIChat, Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 8192},

	// Mistral AI
	{ID: "mistral.mistral-large-2402-v1:0", Name: "Mistral Large (24.02)", Family: MistralChat, Features: chatFeatures, OnDemand: "*", Context: 32_000, MaxOutput: 8192, Start: "2024-04-02"},
	{ID: "mistral.mistral-large-2407-v1:0", Name: "Mistral Large (24.07)", Family: MistralChat, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, Start: "2024-07-24"},
	{ID: "mistral.mistral-small-2402-v1:0", Name: "Mistral Small (24.02)", Family: MistralChat, Features: chatFeatures, OnDemand: "*", Context: 32_000, MaxOutput: 8192, Start: "2024-05-24"},
	{ID: "mistral.pixtral-large-2502-v1:0", Name: "Pixtral Large (25.02)", Family: MistralChat, In: "TEXT IMAGE", Features: chatFeatures, Profiles: "us eu", Context: 128_000, MaxOutput: 16_384, Start: "2025-04-08"},
	{ID: "mistral.mistral-large-3-675b-instruct", Name: "Mistral Large 3", Family: MistralChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 32_000, Start: "2025-12-02"},
	{ID: "mistral.magistral-small-2509", Name: "Magistral Small 2509", Family: MistralChat, In: "TEXT IMAGE", Features: thinking, OnDemand: "*", Context: 128_000, MaxOutput: 40_000, Start: "2025-12-02"},
	{ID: "mistral.ministral-3-3b-instruct", Name: "Ministral 3B", Family: MistralChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, Start: "2025-12-02"},
	{ID: "mistral.ministral-3-8b-instruct", Name: "Ministral 3 8B", Family: MistralChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, Start: "2025-12-02"},
	{ID: "mistral.ministral-3-14b-instruct", Name: "Ministral 14B 3.0", Family: MistralChat, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 8192, Start: "2025-12-02"},
	{ID: "mistral.devstral-2-123b", Name: "Devstral 2 123B", Family: MistralChat, Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 32_000, EOL: "2027-03-30"},
	{ID: "mistral.voxtral-mini-3b-2507", Name: "Voxtral Mini 3B 2507", Family: MistralChat, In: "SPEECH TEXT", Features: chatFeatures, OnDemand: "*", Context: 32_768, MaxOutput: 8192, EOL: "2027-03-30"},
	{ID: "mistral.voxtral-small-24b-2507", Name: "Voxtral Small 24B 2507", Family: MistralChat, In: "SPEECH TEXT", Features: chatFeatures, OnDemand: "*", Context: 32_768, MaxOutput: 8192, EOL: "2027-03-30"},

	// OpenAI
	{ID: "openai.gpt-oss-120b-1:0", Name: "gpt-oss-120b", Family: GPTOSS, Features: thinking, OnDemand: "*", Context: 128_000, MaxOutput: 16_384, Start: "2025-08-05"},
	{ID: "openai.gpt-oss-20b-1:0", Name: "gpt-oss-20b", Family: GPTOSS, Features: thinking, OnDemand: "*", Context: 128_000, MaxOutput: 16_384, Start: "2025-08-05"},
	{ID: "openai.gpt-oss-safeguard-120b", Name: "GPT OSS Safeguard 120B", Family: GPTOSS, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 16_000},
	{ID: "openai.gpt-oss-safeguard-20b", Name: "GPT OSS Safeguard 20B", Family: GPTOSS, Features: chatFeatures, OnDemand: "*", Context: 128_000, MaxOutput: 16_000},

	// Qwen
	{ID: "qwen.qwen3-32b-v1:0", Name: "Qwen3 32B (dense)", Family: Qwen, Features: thinking, OnDemand: "*", Context: 32_768, MaxOutput: 8192, Start: "2025-09-18"},
	{ID: "qwen.qwen3-235b-a22b-2507-v1:0", Name: "Qwen3 235B A22B 2507", Family: Qwen, Features: chatFeatures, OnDemand: "*", Context: 262_144, MaxOutput: 8192, Start: "2025-09-18"},
	{ID: "qwen.qwen3-coder-30b-a3b-v1:0", Name: "Qwen3-Coder-30B-A3B-Instruct", Family: Qwen, Features: chatFeatures, OnDemand: "*", Context: 262_144, MaxOutput: 16_384, Start: "2025-09-18", EOL: "2027-03-30"},
	{ID: "qwen.qwen3-coder-480b-a35b-v1:0", Name: "Qwen3 Coder 480B A35B Instruct", Family: Qwen, Features: chatFeatures, OnDemand: "*", Context: 262_144, MaxOutput: 16_384, Start: "2025-09-18", EOL: "2027-03-30"},
	{ID: "qwen.qwen3-next-80b-a3b", Name: "Qwen3 Next 80B A3B", Family: Qwen, Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 8192},
	{ID: "qwen.qwen3-vl-235b-a22b", Name: "Qwen3 VL 235B A22B", Family: Qwen, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Context: 256_000, MaxOutput: 8192},

	// Stability AI
	{ID: "stability.sd3-large-v1:0", Name: "SD3 Large 1.0", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Start: "2024-09-04"},
	{ID: "stability.sd3-5-large-v1:0", Name: "Stable Diffusion 3.5 Large", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Start: "2024-12-19"},
	{ID: "stability.stable-image-core-v1:0", Name: "Stable Image Core 1.0", Family: StabilityImage, Out: "IMAGE", OnDemand: "*", Start: "2024-09-04"},
	{ID: "stability.stable-image-core-v1:1", Name: "Stable Image Core 1.0", Family: StabilityImage, Out: "IMAGE", OnDemand: "*", Start: "2024-12-19"},
	{ID: "stability.stable-image-ultra-v1:0", Name: "Stable Image Ultra 1.0", Family: StabilityImage, Out: "IMAGE", OnDemand: "*", Start: "2024-09-04"},
	{ID: "stability.stable-image-ultra-v1:1", Name: "Stable Image Ultra 1.0", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Start: "2024-12-19"},
	{ID: "stability.stable-image-inpaint-v1:0", Name: "Stable Image Inpaint", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-outpaint-v1:0", Name: "Stable Image Outpaint", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-erase-object-v1:0", Name: "Stable Image Erase Object", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-remove-background-v1:0", Name: "Stable Image Remove Background", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-search-replace-v1:0", Name: "Stable Image Search and Replace", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-search-recolor-v1:0", Name: "Stable Image Search and Recolor", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-control-sketch-v1:0", Name: "Stable Image Control Sketch", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-control-structure-v1:0", Name: "Stable Image Control Structure", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-image-style-guide-v1:0", Name: "Stable Image Style Guide", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-style-transfer-v1:0", Name: "Stable Image Style Transfer", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-fast-upscale-v1:0", Name: "Stable Image Fast Upscale", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-conservative-upscale-v1:0", Name: "Stable Image Conservative Upscale", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},
	{ID: "stability.stable-creative-upscale-v1:0", Name: "Stable Image Creative Upscale", Family: StabilityImage, In: "TEXT IMAGE", Out: "IMAGE", Profiles: "us"},

	// TwelveLabs, Writer
	{ID: "twelvelabs.pegasus-1-2-v1:0", Name: "Pegasus v1.2", Family: Pegasus, In: "TEXT VIDEO", Features: "stream", OnDemand: "us-east-1 us-west-2 eu-west-1 ap-northeast-2", Profiles: "us eu global", EOL: "2027-03-22"},
	{ID: "twelvelabs.marengo-embed-2-7-v1:0", Name: "Marengo Embed v2.7", Family: Marengo, In: "TEXT IMAGE AUDIO VIDEO", Out: "EMBEDDING", Profiles: "us eu apac", Context: 77, Dimension: 1024, EOL: "2026-11-30"},
	{ID: "twelvelabs.marengo-embed-3-0-v1:0", Name: "Marengo Embed 3.0", Family: Marengo, In: "TEXT IMAGE AUDIO VIDEO", Out: "EMBEDDING", OnDemand: "us-east-1 eu-west-1 ap-northeast-2", Profiles: "us eu apac", Context: 500, Dimension: 512},
	{ID: "writer.palmyra-x4-v1:0", Name: "Palmyra X4", Family: Palmyra, Features: chatFeatures, Profiles: "us", Context: 128_000, MaxOutput: 8192, Start: "2025-04-28", EOL: "2027-03-09"},
	{ID: "writer.palmyra-x5-v1:0", Name: "Palmyra X5", Family: Palmyra, Features: chatFeatures, Profiles: "us", Context: 1_000_000, MaxOutput: 8192, Start: "2025-04-28", EOL: "2027-03-21"},
}
