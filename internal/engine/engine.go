package engine

import (
	"context"
	"encoding/json"
	"time"
)

// An Engine answers inference requests with local or remote models.
//
// All methods are safe for concurrent use, obey ctx, and return errors of type
// *Error (possibly wrapped) for every failure that is the engine's own;
// ctx.Err() is returned unchanged when the caller went away.
type Engine interface {
	// Models lists what this engine can serve now, loaded or not, in a stable
	// order: the default chat model first.
	Models(ctx context.Context) ([]Info, error)

	// Generate runs one generation. emit, which may be nil, receives every
	// delta in order, on the calling goroutine, as soon as the model produced
	// it; an error from emit cancels the generation and is returned. The
	// Result repeats everything that was emitted.
	Generate(ctx context.Context, req *Request, emit func(Delta) error) (*Result, error)

	// CountTokens says how many input tokens Generate would charge for req,
	// template and tools included.
	CountTokens(ctx context.Context, req *Request) (int, error)

	// Tokenize returns the model's tokens of text, without special tokens.
	Tokenize(ctx context.Context, model, text string) ([]Token, error)

	// Embed returns one vector for each input, in order, each of unit length.
	Embed(ctx context.Context, req *EmbedRequest) (*EmbedResult, error)

	// Rerank scores documents against a query; scores lie in [0,1].
	Rerank(ctx context.Context, req *RerankRequest) (*RerankResult, error)

	// Paint makes images. An engine without an image model answers Unsupported.
	Paint(ctx context.Context, req *PaintRequest) (*PaintResult, error)

	// Close stops everything the engine started and returns when it has ended.
	Close() error
}

// Kind says what a model is for.
type Kind string

// The kinds of model an engine can serve.
const (
	Chat      Kind = "chat"
	Embedding Kind = "embedding"
	Reranker  Kind = "reranker"
	Image     Kind = "image"
)

// ToolMode says how a model calls tools.
type ToolMode string

// How a model calls tools: by its own template and parser, by a grammar of ours
// that constrains its output, or not at all.
const (
	ToolsNone        ToolMode = ""
	ToolsNative      ToolMode = "native"
	ToolsConstrained ToolMode = "constrained"
)

// Info describes a model that an engine serves.
type Info struct {
	Name      string   // local name, the value of Request.Model
	Kind      Kind     // what it is for
	Context   int      // longest input plus output in tokens; 0 when unknown
	Dimension int      // of its embeddings; 0 for other kinds
	Tools     ToolMode // how it calls tools
	Vision    bool     // it sees images
	Thinking  bool     // it can emit reasoning before its answer
	Hash      string   // SHA-256 of the weights in hex, "" when the engine does not tell
	Licence   string   // SPDX id, "" when unknown
	Engine    string   // adapter that serves it: llamacpp, openai, script
	Loaded    bool     // it is in memory now
}

// Role of a message.
type Role string

// Roles of messages. The system text stands in Request.System, tool results are
// parts of user messages.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Request is one generation in neutral form: what every body format of every
// model family is translated into.
type Request struct {
	Model    string // local model name; "" is the engine's default chat model
	AWSModel string // id the caller used; shown to script rules, never to a model
	Account  string // who asks; the queue is fair between accounts

	System   string    // system text, "" for none
	Messages []Message // strictly alternating roles are not required
	// A last message of role Assistant is a prefill: the answer continues it
	// and does not repeat it.

	Tools      []Tool
	ToolChoice ToolChoice
	// ResultSchema, when set, is a JSON schema that the whole answer must satisfy.
	ResultSchema json.RawMessage

	Sampling
	Adapters []Adapter // LoRA adapters to apply, by id known to the engine
	Thinking *Thinking // nil leaves the model's own default off
	// TopLogprobs asks for the n most likely tokens at each position.
	TopLogprobs int
	// EchoTokens asks for the tokens of the prompt in Result.PromptTokens.
	EchoTokens bool
}

// Sampling steers the choice of tokens. A nil pointer leaves the default of the
// model family in force, which the caller should have filled in; then the engine's.
type Sampling struct {
	MaxTokens        int      // most tokens to generate; 0 is "until the context is full"
	Temperature      *float64 // 0 is greedy and deterministic
	TopP             *float64
	TopK             *int // 0 switches it off
	MinP             *float64
	PresencePenalty  *float64
	FrequencyPenalty *float64
	RepeatPenalty    *float64
	Seed             *int64
	Stop             []string           // text that ends the answer; never part of it
	LogitBias        map[string]float64 // by token text
}

// Adapter selects a LoRA adapter and its weight.
type Adapter struct {
	ID    string
	Scale float64
}

// Thinking asks for reasoning before the answer.
type Thinking struct {
	Enabled bool
	Budget  int // most reasoning tokens; 0 is no bound
}

// Message is one turn.
type Message struct {
	Role  Role
	Parts []Part
}

// Part is one piece of a message; exactly one of the pointer members is set, or
// none and Text is the part.
type Part struct {
	Text       string
	Image      *Blob
	Audio      *Blob
	Video      *Blob
	Reasoning  *Reasoning
	ToolCall   *ToolCall
	ToolResult *ToolResult
	// CachePoint marks the end of a prefix that the caller expects to reuse.
	CachePoint bool
}

// Blob is raw media.
type Blob struct {
	MediaType string // such as image/png
	Data      []byte
}

// Reasoning is what a model thought aloud.
type Reasoning struct {
	Text      string
	Signature string
}

// Tool is a function the model may ask for.
type Tool struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON schema of the arguments
}

// ToolChoice narrows what the model may do with its tools.
type ToolChoice struct {
	Mode ToolChoiceMode
	Name string // for ToolNamed
}

// ToolChoiceMode is the kind of a ToolChoice.
type ToolChoiceMode string

// What the model may do with its tools.
const (
	ToolAuto  ToolChoiceMode = "" // call or answer
	ToolAny   ToolChoiceMode = "any"
	ToolNamed ToolChoiceMode = "named"
	ToolNever ToolChoiceMode = "never"
)

// ToolCall is the model's wish to run a tool.
type ToolCall struct {
	ID        string
	Name      string
	Arguments json.RawMessage // a JSON object, complete
	// Written is the whole text of the answer in which the model made this call, calls
	// and all, on the first call of an answer whose engine tells it; else "". A message
	// that gives it back is shown to the model in its own words, which are in the prefix
	// cache, and not in those of its template.
	Written string `json:",omitempty"`
}

// ToolResult answers a ToolCall.
type ToolResult struct {
	ID    string
	Name  string // of the tool, when the caller knows it
	Parts []Part // text and images
	Error bool   // the tool failed
}

// DeltaKind says what a Delta carries.
type DeltaKind uint8

// The kinds of delta. A tool call is a ToolStart, zero or more ToolInput whose
// Text joined is the arguments' JSON, and a ToolEnd. A reasoning signature may
// follow reasoning text.
const (
	TextDelta DeltaKind = iota
	ReasoningDelta
	SignatureDelta
	ToolStart
	ToolInput
	ToolEnd
)

// Delta is one increment of an answer. Text is always valid UTF-8 on its own.
type Delta struct {
	Kind DeltaKind
	Text string
	Tool *ToolCall // of ToolStart: ID and Name
}

// StopReason says why a generation ended.
type StopReason string

// Why a generation ended.
const (
	EndTurn       StopReason = "end_turn"
	StopSequence  StopReason = "stop_sequence"
	MaxTokens     StopReason = "max_tokens"
	ToolUse       StopReason = "tool_use"
	Filtered      StopReason = "content_filtered"
	ContextFull   StopReason = "context_full"
	MalformedTool StopReason = "malformed_tool_use"
	MalformedText StopReason = "malformed_output"
)

// Result is a whole answer.
type Result struct {
	Model        string // local name of the model that answered
	Parts        []Part // text, reasoning and tool calls in the order of the model
	Stop         StopReason
	StopText     string // the stop sequence that matched, "" for other reasons
	Usage        Usage
	Timing       Timing
	Tokens       []Token // when Request.TopLogprobs > 0
	PromptTokens []Token // when Request.EchoTokens
}

// Text joins the text parts of the answer.
func (r *Result) Text() string {
	var s string
	for i := range r.Parts {
		if p := &r.Parts[i]; p.IsText() {
			s += p.Text
		}
	}
	return s
}

// IsText reports whether p is plain text.
func (p *Part) IsText() bool {
	return p.Image == nil && p.Audio == nil && p.Video == nil && p.Reasoning == nil &&
		p.ToolCall == nil && p.ToolResult == nil && !p.CachePoint
}

// Usage counts tokens as the engine's tokenizer does.
type Usage struct {
	Input      int // all tokens of the prompt, those from the cache included
	Output     int
	CacheRead  int // of Input, those found in the engine's prefix cache
	CacheWrite int // of Input, those newly put into it
	// Estimated says that the engine told no counts and these are a guess.
	Estimated bool
}

// Timing of a generation.
type Timing struct {
	Queued     time.Duration // waiting for a slot or for the model to load
	FirstToken time.Duration // from start of work to the first delta
	Total      time.Duration
}

// Token is a token of a model's vocabulary.
type Token struct {
	ID      int
	Text    string
	Logprob float64
	Top     []Token
}

// EmbedRequest asks for vectors.
type EmbedRequest struct {
	Model    string
	AWSModel string
	Account  string
	Inputs   []string
	Images   []Blob // for models that embed images; one vector each, after Inputs
}

// EmbedResult holds one vector for each input.
type EmbedResult struct {
	Model   string
	Vectors [][]float32
	Tokens  []int // of each input
}

// RerankRequest asks how well documents answer a query.
type RerankRequest struct {
	Model     string
	AWSModel  string
	Account   string
	Query     string
	Documents []string
}

// RerankResult holds a score for each document, in the order of the request.
type RerankResult struct {
	Model  string
	Scores []float64
	Tokens int
}

// PaintTask is what to do with an image model.
type PaintTask string

// What to do with an image model.
const (
	TextToImage    PaintTask = "text_to_image"
	ImageToImage   PaintTask = "image_to_image"
	Inpaint        PaintTask = "inpaint"
	Outpaint       PaintTask = "outpaint"
	Vary           PaintTask = "vary"
	RemoveBackdrop PaintTask = "remove_background"
)

// PaintRequest asks for images.
type PaintRequest struct {
	Model      string
	AWSModel   string
	Account    string
	Task       PaintTask
	Prompt     string
	Negative   string
	Images     []Blob
	Mask       *Blob // white is repainted
	MaskPrompt string
	Width      int
	Height     int
	Count      int
	Steps      int
	Guidance   float64
	Strength   float64 // 0 keeps the given image, 1 ignores it
	Seed       int64
	Style      string
}

// PaintResult holds the images, PNG-encoded.
type PaintResult struct {
	Model  string
	Images []Blob
	Seeds  []int64
}
