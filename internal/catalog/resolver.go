package catalog

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// A Resolver turns what a caller wrote as a model id into what answers it.
type Resolver interface {
	// Resolve finds the target of modelID for the account and Region of the
	// call in ctx. modelID is a base model id, a foundation-model ARN, an
	// inference-profile id or ARN, or any name that a registered Owner knows.
	//
	// Errors are *apierr.Error and ready for the wire: Validation for a name
	// that is unknown, malformed, not offered on demand or not in the Region,
	// AccessDenied for a model without access, ResourceNotFound past the end of
	// its life, ServiceUnavailable when no local model can serve it.
	Resolve(ctx context.Context, modelID string) (*Target, error)
}

// Target is a resolved model id. It is shared between calls: never change one,
// copy it.
type Target struct {
	ModelID string // as the caller wrote it
	BaseID  string // id of the foundation model, without geography: anthropic.claude-v2:1
	ARN     string // of the resource called: foundation model, profile, provisioned model …
	BaseARN string // of the foundation model in the caller's Region

	Provider string // as the catalogue spells it: Anthropic
	Name     string // as the catalogue spells it: Claude 3 Haiku
	Family   Family // chooses the codec of the native body

	Kind  engine.Kind // what serves it
	Local string      // name of the local model: Request.Model of the engine
	Info  engine.Info // what the engine said of it
	// Chain names further local models to try, in order, when Local cannot be
	// reached, times out, answers a server error or is not ready; never after
	// the first byte of a stream, never on an error of the caller's. Empty
	// unless configured.
	Chain []string
	// VisionLocal names a local chat model that sees images when Local does not
	// and the advertised model does; "" when there is none.
	VisionLocal string
	// Adapters are applied by the engine: how a custom model differs from its base.
	Adapters []engine.Adapter

	Streaming bool // streamed operations are allowed
	Context   int  // advertised longest input plus output in tokens, 0 when unknown
	MaxOutput int  // advertised longest answer in tokens, 0 when unknown
	Vision    bool // the advertised model takes images; see Info.Vision for the local one
	Thinking  bool // the advertised model can reason before its answer
	Tools     bool // the advertised model calls tools
	System    bool // the advertised model takes system text
	Embedding *EmbeddingFacts

	ProfileARN     string // of the inference profile called, "" for none
	ProvisionedARN string // of the provisioned model called, "" for none
	CustomARN      string // of the custom or imported model called, "" for none
	RouterARN      string // of the prompt router called, "" for none
	PromptARN      string // of the prompt called, "" for none

	Legacy bool // a better version exists
	// QuotaKey names the bucket of the model's quotas: the minor versions of a
	// model share one.
	QuotaKey string
	// Resources are the ARNs that a caller needs permission for, all of them: a
	// profile and the foundation models behind it.
	Resources []string
}

// EmbeddingFacts are the facts of an embedding model. Vectors of the local
// model are padded with zeros up to the advertised size.
type EmbeddingFacts struct {
	Default int   // advertised size of a vector
	Allowed []int // sizes a request may ask for; only Default when empty
	Images  bool  // it embeds images too
}

// Allows reports whether a request may ask for vectors of n numbers.
func (f *EmbeddingFacts) Allows(n int) bool {
	if n == f.Default {
		return true
	}
	for _, a := range f.Allowed {
		if a == n {
			return true
		}
	}
	return false
}

// An Owner resolves the names of resources that another room keeps: provisioned
// models, custom models, imported models, deployments, prompts, routers.
type Owner struct {
	Name string // for logs: provisioned-model
	// Match says whether id can be one of the owner's names. It must be cheap.
	Match func(id string) bool
	// Resolve finds the target. It returns nil and no error for a name that it
	// does not keep after all; the next owner and the catalogue then try. It
	// usually ends in Catalog.Foundation with the base model's id, and completes
	// a copy of that target.
	Resolve func(ctx context.Context, id string) (*Target, error)
	// Resources names what a caller of id needs permission for, also while the
	// resource is not ready to serve; nil or an empty answer leaves it to Resolve.
	Resources func(ctx context.Context, id string) []string
}

// Family is the key of a native body format.
type Family string

// The families. A family names the format of InvokeModel's bodies, not who
// trained the model.
const (
	TitanText      Family = "titan-text"
	TitanImage     Family = "titan-image"
	TitanEmbedText Family = "titan-embed-text"
	TitanEmbedMM   Family = "titan-embed-mm"
	TitanEmbedV2   Family = "titan-embed-v2"
	Nova           Family = "nova"
	NovaCanvas     Family = "nova-canvas"
	NovaReel       Family = "nova-reel"
	NovaSonic      Family = "nova-sonic"
	NovaEmbed      Family = "nova-embed"
	Claude         Family = "claude"          // text completions and Messages
	ClaudeMessages Family = "claude-messages" // Messages alone: Claude 3 and later
	Jurassic2      Family = "jurassic2"
	Jamba          Family = "jamba"
	CohereCommand  Family = "cohere-command"
	CommandR       Family = "command-r"
	CohereEmbed    Family = "cohere-embed"
	EmbedV4        Family = "embed-v4"
	Rerank         Family = "rerank"
	Llama          Family = "llama"  // Llama 2 prompt form
	Llama3         Family = "llama3" // Llama 3 and later prompt form
	Mistral        Family = "mistral"
	MistralChat    Family = "mistral-chat"
	SDXL           Family = "sdxl"
	StabilityImage Family = "stability-image"
	DeepSeek       Family = "deepseek"
	Qwen           Family = "qwen"
	GPTOSS         Family = "gpt-oss"
	OpenAIChat     Family = "openai-chat" // chat-completions body of further providers
	Palmyra        Family = "palmyra"
	Marengo        Family = "marengo"
	Pegasus        Family = "pegasus"
	LumaRay        Family = "luma-ray"
)

// Video is the kind of models that make video. No engine serves it.
const Video engine.Kind = "video"

// Speech is the kind of models that talk both ways. No engine serves it.
const Speech engine.Kind = "speech"

// Clock tells the time of the service, which may differ from the wall clock.
type Clock func() time.Time
