package quota

// Model is a row of the guide's table of requests and tokens a minute (spec 13.1).
type Model struct {
	Rate
	RequestQuota, TokenQuota Quota    // as Service Quotas names them; an empty Name: there is none
	groups                   []string // what Group returns for its ids
}

// Quota is an entry of Service Quotas.
type Quota struct {
	Name       string
	Code       string // as Service Quotas knows it; empty: not known here
	Value      int64
	Adjustable bool
}

const (
	rpm = "On-demand model inference requests per minute for "
	tpm = "On-demand model inference tokens per minute for "
)

func model(name string, requests int64, requestsCode string, tokens int64, tokensCode string, groups ...string) Model {
	m := Model{Rate: Rate{Requests: requests, Tokens: tokens}, groups: groups}
	m.RequestQuota = Quota{Name: rpm + name, Code: requestsCode, Value: requests}
	if tokens > 0 {
		m.TokenQuota = Quota{Name: tpm + name, Code: tokensCode, Value: tokens}
	}
	return m
}

// models holds the guide's rates. Where one row of the guide is two entries of
// Service Quotas (Llama 2 and its chat variant, both Stable Diffusion XL), the
// entry of the model that can be invoked on demand gives the name.
var models = []Model{
	model("AI21 Labs Jurassic-2 Mid", 400, "L-75D9A33A", 300_000, "L-ABEE1010", "ai21.j2-mid-v1"),
	model("AI21 Labs Jurassic-2 Ultra", 100, "L-A48E31B4", 200_000, "L-A4F5E139", "ai21.j2-ultra-v1"),
	model("Amazon Titan Text Embeddings", 2000, "L-879F6850", 300_000, "L-74B5B793", "amazon.titan-embed-text-v1"),
	model("Amazon Titan Image Generator G1", 60, "L-7DBB06FD", 0, "", "amazon.titan-image-generator-v1"),
	model("Amazon Titan Multimodal Embeddings G1", 2000, "L-DF0E34D4", 0, "", "amazon.titan-embed-image-v1"),
	model("Amazon Titan Text Express", 400, "L-9EAB0D12", 300_000, "L-44992E63", "amazon.titan-text-express-v1"),
	model("Amazon Titan Text Lite", 800, "L-A70F1DE3", 300_000, "L-70BE83E9", "amazon.titan-text-lite-v1"),
	model("Anthropic Claude Instant", 400, "L-8CEDED9C", 300_000, "L-F7007F39", "anthropic.claude-instant-v1"),
	model("Anthropic Claude V2", 100, "L-F3B698BE", 200_000, "L-B0D9183E", "anthropic.claude-v2"),
	model("Anthropic Claude 3 Sonnet", 100, "L-F406804E", 200_000, "L-4C35BB2A", "anthropic.claude-3-sonnet-20240229-v1"),
	model("Anthropic Claude 3 Haiku", 400, "L-2DC80978", 300_000, "L-8CE99163", "anthropic.claude-3-haiku-20240307-v1"),
	model("Cohere Command", 400, "L-3B3BFACF", 300_000, "L-4E833B8F", "cohere.command-text-v14"),
	model("Cohere Command Light", 800, "L-B802A131", 300_000, "L-B63536E3", "cohere.command-light-text-v14"),
	model("Cohere Embed English", 2000, "L-FF8E7864", 300_000, "L-A2BE277A", "cohere.embed-english-v3"),
	model("Cohere Embed Multilingual", 2000, "L-9E5BD0C6", 300_000, "L-C2F86908", "cohere.embed-multilingual-v3"),
	model("Meta Llama 2 Chat 13B", 800, "L-674F621D", 300_000, "L-6DB35E51", "meta.llama2-13b-chat-v1", "meta.llama2-13b-v1"),
	model("Meta Llama 2 Chat 70B", 400, "L-D11DCD9B", 300_000, "L-B05C5C8E", "meta.llama2-70b-chat-v1", "meta.llama2-70b-v1"),
	model("Mistral 7B Instruct", 800, "L-D9A35062", 300_000, "L-02D831F1", "mistral.mistral-7b-instruct-v0"),
	model("Mistral Mixtral 8x7b Instruct", 400, "L-FD938632", 300_000, "L-490F4D1F", "mistral.mixtral-8x7b-instruct-v0"),
	model("Stability.ai Stable Diffusion XL 1.0", 60, "L-CC58F0A8", 0, "", "stability.stable-diffusion-xl-v1", "stability.stable-diffusion-xl-v0"),
}
