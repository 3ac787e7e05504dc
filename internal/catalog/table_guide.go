package catalog

// The models of the March 2024 guide, their ids for bought throughput, and old
// spellings that its own samples use. Regions are the guide's.

const (
	guideHome   = "us-east-1 us-west-2"
	guideTitan  = guideHome + " ap-northeast-1 eu-central-1 us-gov-west-1"
	guideEmbed  = guideHome + " ap-northeast-1 eu-central-1"
	guideClaude = guideHome + " ap-southeast-1 eu-central-1"
)

var guideModels = []Model{
	{ID: "amazon.titan-text-express-v1", Name: "Titan Text G1 - Express", Family: TitanText, Features: "stream chat", OnDemand: "*", Context: 8192, MaxOutput: 8000,
		Customize: "FINE_TUNING CONTINUED_PRE_TRAINING", Throughput: ":0:8k", Regions: guideTitan, Start: "2023-11-29"},
	{ID: "amazon.titan-text-lite-v1", Name: "Titan Text G1 - Lite", Family: TitanText, Features: "stream", OnDemand: "*", Context: 4096, MaxOutput: 4000,
		Customize: "FINE_TUNING CONTINUED_PRE_TRAINING", Throughput: ":0:4k", Regions: guideHome, Start: "2023-11-29"},
	{ID: "amazon.titan-embed-text-v1", Name: "Titan Embeddings G1 - Text", Family: TitanEmbedText, Out: "EMBEDDING", OnDemand: "*", Context: 8192, Dimension: 1536,
		Throughput: ":2:8k", Regions: guideEmbed, Start: "2023-09-28"},
	{ID: "amazon.titan-embed-image-v1", Name: "Titan Multimodal Embeddings G1", Family: TitanEmbedMM, In: "TEXT IMAGE", Out: "EMBEDDING", OnDemand: "*", Context: 128, Dimension: 1024, Dimensions: []int{256, 384, 1024},
		Customize: "FINE_TUNING", Throughput: ":0", Regions: guideHome, Start: "2023-11-29"},
	{ID: "amazon.titan-image-generator-v1", Name: "Titan Image Generator G1", Family: TitanImage, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*",
		Customize: "FINE_TUNING", Throughput: ":0!", Regions: guideHome, Start: "2023-11-29"},

	{ID: "anthropic.claude-v2", Name: "Claude", Family: Claude, Features: "stream system chat", OnDemand: "*", Context: 100_000, MaxOutput: 8191,
		Throughput: ":0:18k :0:100k", Regions: guideClaude, Start: "2023-09-28", EOL: "2025-07-21", ProductID: "c468b48a-84df-43a4-8c46-8870630108a7"},
	{ID: "anthropic.claude-v2:1", Name: "Claude", Family: Claude, Features: "stream system chat", OnDemand: "*", Context: 200_000, MaxOutput: 8191,
		Throughput: ":18k :200k", Regions: guideEmbed, Start: "2023-11-29", EOL: "2025-07-21", ProductID: "c468b48a-84df-43a4-8c46-8870630108a7"},
	{ID: "anthropic.claude-3-sonnet-20240229-v1:0", Name: "Claude 3 Sonnet", Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Profiles: "us eu apac", Context: 200_000, MaxOutput: 4096,
		Throughput: ":28k :200k", Regions: guideHome, Start: "2024-03-04", EOL: "2025-07-21", ProductID: "prod-6dw3qvchef7zy"},
	{ID: "anthropic.claude-3-haiku-20240307-v1:0", Name: "Claude 3 Haiku", Family: ClaudeMessages, In: "TEXT IMAGE", Features: chatFeatures, OnDemand: "*", Profiles: "us eu apac us-gov", Context: 200_000, MaxOutput: 4096,
		Throughput: ":48k :200k", Regions: guideHome, Start: "2024-03-13", ProductID: "prod-ozonys2hmmpeu"},
	{ID: "anthropic.claude-instant-v1", Name: "Claude Instant", Family: Claude, Features: "stream system chat", OnDemand: "*", Context: 100_000, MaxOutput: 8191,
		Throughput: ":2:100k", Regions: guideHome + " ap-southeast-1 ap-northeast-1 eu-central-1", Start: "2023-09-28", ProductID: "b0eb9475-3a2c-43d1-94d3-56756fd43737"},

	{ID: "ai21.j2-mid-v1", Name: "Jurassic-2 Mid", Family: Jurassic2, Features: "chat", OnDemand: "*", Context: 8191, MaxOutput: 8191,
		Regions: guideHome, Start: "2023-09-28", ProductID: "1d288c71-65f9-489a-a3e2-9c7f4f6e6a85"},
	{ID: "ai21.j2-ultra-v1", Name: "Jurassic-2 Ultra", Family: Jurassic2, Features: "chat", OnDemand: "*", Context: 8191, MaxOutput: 8191,
		Regions: guideHome, Start: "2023-09-28", ProductID: "cc0bdd50-279a-40d8-829c-4009b77a1fcc"},

	{ID: "cohere.command-text-v14", Name: "Command", Family: CohereCommand, Features: "stream", OnDemand: "*", Context: 4096, MaxOutput: 4000,
		Customize: "FINE_TUNING", Throughput: ":7:4k", Regions: guideHome, Start: "2023-11-13", ProductID: "a61c46fe-1747-41aa-9af0-2e0ae8a9ce05"},
	{ID: "cohere.command-light-text-v14", Name: "Command Light", Family: CohereCommand, Features: "stream", OnDemand: "*", Context: 4096, MaxOutput: 4000,
		Customize: "FINE_TUNING", Throughput: ":7:4k", Regions: guideHome, Start: "2023-11-13", ProductID: "216b69fd-07d5-4c7b-866b-936456d68311"},
	{ID: "cohere.embed-english-v3", Name: "Embed English", Family: CohereEmbed, Out: "EMBEDDING", OnDemand: "*", Context: 512, Dimension: 1024,
		Throughput: ":0:512", Regions: guideHome, Start: "2023-11-13", ProductID: "b7568428-a1ab-46d8-bab3-37def50f6f6a"},
	{ID: "cohere.embed-multilingual-v3", Name: "Embed Multilingual", Family: CohereEmbed, Out: "EMBEDDING", OnDemand: "*", Context: 512, Dimension: 1024,
		Throughput: ":0:512", Regions: guideHome, Start: "2023-11-13", ProductID: "38e55671-c3fe-4a44-9783-3584906e7cad"},

	{ID: "meta.llama2-13b-chat-v1", Name: "Llama 2 Chat 13B", Family: Llama, Features: "stream system chat", OnDemand: "*", Context: 4096, MaxOutput: 2048,
		Throughput: ":0:4k!", Regions: guideHome, Start: "2023-11-13", ProductID: "prod-ariujvyzvd2qy"},
	{ID: "meta.llama2-70b-chat-v1", Name: "Llama 2 Chat 70B", Family: Llama, Features: "stream system chat", OnDemand: "*", Context: 4096, MaxOutput: 2048,
		Regions: guideHome, Start: "2023-11-29", ProductID: "prod-2c2yc2s3guhqy"},
	// Usable only after customization, through bought throughput of the custom model.
	{ID: "meta.llama2-13b-v1", Name: "Llama 2 13B", Family: Llama, Features: "stream", Context: 4096, MaxOutput: 2048,
		Customize: "FINE_TUNING", Throughput: ":0:4k!", Regions: guideHome, Start: "2023-11-29", ProductID: "prod-ariujvyzvd2qy"},
	{ID: "meta.llama2-70b-v1", Name: "Llama 2 70B", Family: Llama, Features: "stream", Context: 4096, MaxOutput: 2048,
		Customize: "FINE_TUNING", Throughput: ":0:4k!", Regions: guideHome, Start: "2023-11-29", ProductID: "prod-2c2yc2s3guhqy"},

	{ID: "mistral.mistral-7b-instruct-v0:2", Name: "Mistral 7B Instruct", Family: Mistral, Features: "stream", OnDemand: "*", Context: 32_000, MaxOutput: 8192, Regions: guideHome, Start: "2024-03-01", EOL: "2027-03-30"},
	{ID: "mistral.mixtral-8x7b-instruct-v0:1", Name: "Mixtral 8x7B Instruct", Family: Mistral, Features: "stream", OnDemand: "*", Context: 32_000, MaxOutput: 4096, Regions: guideHome, Start: "2024-03-01", EOL: "2027-03-30"},

	{ID: "stability.stable-diffusion-xl-v0", Name: "Stable Diffusion XL", Version: "0.8", Family: SDXL, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Regions: guideHome, Start: "2023-09-28",
		Legacy: "2024-02-02", EOL: "2024-04-30", Replacement: "stability.stable-diffusion-xl-v1", ProductID: "d0123e8d-50d6-4dba-8a26-3fed4899f388"},
	{ID: "stability.stable-diffusion-xl-v1", Name: "Stable Diffusion XL", Version: "1.0", Family: SDXL, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Throughput: ":0!", Regions: guideHome, Start: "2023-11-13",
		EOL: "2025-05-20", ProductID: "prod-2lvuzn4iy6n6o"},

	// Old spellings.
	{ID: "amazon.titan-tg1-large", Name: "Titan Text Large", Family: TitanText, Features: "stream", OnDemand: "*", Context: 8192, MaxOutput: 8000, Unlisted: true},
	{ID: "amazon.titan-embed-g1-text-02", Name: "Titan Text Embeddings v2", Family: TitanEmbedText, Out: "EMBEDDING", OnDemand: "*", Context: 8192, Dimension: 1536, Unlisted: true},
	{ID: "anthropic.claude-v1", Name: "Claude", Family: Claude, Features: "stream system chat", OnDemand: "*", Context: 100_000, MaxOutput: 8191, Unlisted: true,
		Legacy: "2023-11-28", EOL: "2024-02-28", Replacement: "anthropic.claude-v2:1", ProductID: "c468b48a-84df-43a4-8c46-8870630108a7"},
	{ID: "ai21.j2-mid", Name: "J2 Mid", Family: Jurassic2, OnDemand: "*", Context: 8191, MaxOutput: 8191, Unlisted: true},
	{ID: "ai21.j2-ultra", Name: "J2 Ultra", Family: Jurassic2, OnDemand: "*", Context: 8191, MaxOutput: 8191, Unlisted: true},
	{ID: "ai21.j2-grande-instruct", Name: "J2 Grande Instruct", Family: Jurassic2, OnDemand: "*", Context: 8191, MaxOutput: 8191, Unlisted: true},
	{ID: "ai21.j2-jumbo-instruct", Name: "J2 Jumbo Instruct", Family: Jurassic2, OnDemand: "*", Context: 8191, MaxOutput: 8191, Unlisted: true},
	{ID: "stability.stable-diffusion-xl", Name: "Stable Diffusion XL", Family: SDXL, In: "TEXT IMAGE", Out: "IMAGE", OnDemand: "*", Unlisted: true},
}
