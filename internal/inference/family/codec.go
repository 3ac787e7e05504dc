package family

import (
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// A Codec is one family's body format. It is stateless and safe for concurrent
// use; what one call needs between Decode and Encode travels in Call.State.
type Codec interface {
	// Name is the family's key, such as anthropic or titan-text.
	Name() string

	// Decode checks a request body (already known to be within the size limit)
	// and translates it with the family's defaults filled in. Failures are
	// *apierr.Error of kind Validation with the real service's texts. It leaves
	// the identity fields of the engine requests (Model, AWSModel, Account) to
	// the caller.
	Decode(m Model, body []byte) (*Call, error)

	// Encode writes the native response body. A Call made for Converse has a nil
	// State; Encode then uses the family's current form.
	Encode(c *Call, out *Output) ([]byte, error)

	// Stream returns the encoder of a streamed answer, nil when this family, or
	// what c asks of it, does not stream. It must be decidable from m alone too:
	// see Streams.
	Stream(c *Call) StreamEncoder

	// Streams reports whether the family streams at all. It is asked before the
	// body is looked at.
	Streams(m Model) bool

	// Converse completes a request that came through Converse: it fills the
	// family's defaults where the caller said nothing, refuses what the family
	// has no place for, and merges additionalModelRequestFields (the zero Value
	// when absent).
	Converse(r *engine.Request, fields Value, m Model) error

	// TooLong is the text of the ValidationException for an input that does not
	// fit: limit and got are in tokens, 0 when unknown.
	TooLong(m Model, limit, got int) string
}

// Model is what a codec may know about the model it serves. All but the last
// group are the advertised facts of the catalogue.
type Model struct {
	ID        string // foundation model id, without geography: anthropic.claude-v2:1
	Family    string // key of the body format, for codecs that serve several
	Context   int    // longest input plus output in tokens, 0 when unknown
	MaxOutput int    // longest answer in tokens, 0 for the family's own limit
	Tools     bool   // calls tools
	System    bool   // takes system text
	Vision    bool   // takes images
	Custom    bool   // a custom model, or provisioned from one

	Dimension    int   // size of embeddings, 0 for the family's own
	Dimensions   []int // sizes a request may ask for
	EmbedsImages bool
}

// Call is one decoded request. Exactly one of Generate, Embed, Rerank and Paint
// is set.
type Call struct {
	Model    Model
	Generate []*engine.Request // several when the body asks for several answers
	Embed    *engine.EmbedRequest
	Rerank   *engine.RerankRequest
	Paint    *engine.PaintRequest

	// CountPrompt asks the caller to count the prompt before the first chunk of a
	// stream, because the family says it up front: see Answer.Prompt.
	CountPrompt bool
	// NoOutput says that the body asked for zero tokens: nothing is generated and
	// the result is empty with the reason MaxTokens.
	NoOutput bool
	// ToolPrefix is how ids of tool calls begin in this form; "" is tooluse_.
	ToolPrefix string

	Answer Answer // filled by the caller between Decode and Encode or Stream
	State  any    // the codec's own
}

// Answer identifies an answer.
type Answer struct {
	RequestID string     // of the HTTP request
	ID        string     // 24 random letters and digits, for ids such as msg_bdrk_…
	Time      time.Time  // when the call began
	Prompt    func() int // tokens of the prompt; may wait; nil unless CountPrompt
}

// PromptTokens returns the count of the prompt's tokens, 0 when it is not known yet.
func (a *Answer) PromptTokens() int {
	if a.Prompt == nil {
		return 0
	}
	return a.Prompt()
}

// Output is what the engine answered to a Call; the member that belongs to the
// Call's is set.
//
// The Usage of the results is split as AWS bills it: when the request set cache
// points, Input counts only the tokens that the cache neither gave nor took.
// Without cache points Input counts all, and the cache counts are 0.
type Output struct {
	Results []*engine.Result // one for each Call.Generate, in order
	Embed   *engine.EmbedResult
	Rerank  *engine.RerankResult
	Paint   *engine.PaintResult
	Metrics Metrics
}

// Metrics counts a whole call, all its generations together.
type Metrics struct {
	InputTokens  int
	OutputTokens int
	CacheRead    int
	CacheWrite   int
	Latency      time.Duration // of the invocation
	FirstByte    time.Duration // until the first chunk was sent
}

// Send passes one chunk, a JSON object, to the client. The chunk is only valid
// during the call.
type Send func(chunk []byte) error

// StreamEncoder writes one streamed answer. Calls never overlap: Start once,
// Delta for each delta of generation 0, End(0), Delta of generation 1 …, then
// Finish. It returns only errors of send.
type StreamEncoder interface {
	// Start writes what stands before the answer's text. It may come long before
	// the first delta, when the model is slow.
	Start(send Send) error
	// Delta writes what one delta of generation gen is in this family's stream,
	// which may be nothing.
	Delta(gen int, d engine.Delta, send Send) error
	// End is told the whole result of generation gen.
	End(gen int, r *engine.Result, send Send) error
	// Finish writes the last chunk, which carries m as amazon-bedrock-invocationMetrics.
	Finish(m Metrics, send Send) error
}
