package anthropic

import (
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Codec serves Claude. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "claude" }

// Streams reports that every Claude streams.
func (Codec) Streams(family.Model) bool { return true }

// Decode tells the two forms apart by their keys.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	completion := v.Has("prompt") && !v.Has("messages")
	if onlyMessages(m.ID) {
		if completion {
			return nil, apierr.New(apierr.Validation,
				"%q is not supported on this API. Please use the Messages API instead.", emulatedName(m.ID))
		}
		return decodeMessages(m, &v)
	}
	if v.Has("messages") || v.Has("anthropic_version") && !completion {
		return decodeMessages(m, &v)
	}
	return decodeCompletion(m, &v)
}

// Encode writes the answer in the form of the request.
func (Codec) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	if c.State == completionForm {
		return encodeCompletion(out), nil
	}
	return encodeMessage(c, out), nil
}

// Stream returns the encoder for the form of the request.
func (Codec) Stream(c *family.Call) family.StreamEncoder {
	if c.State == completionForm {
		return &completionStream{}
	}
	return &messageStream{call: c, index: -1}
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(family.Model, int, int) string { return "Input is too long for requested model." }

// form is the State of a Call.
type form int

const (
	messagesForm form = iota
	completionForm
)

// oldModels are the models that take both forms. All later ones take Messages alone.
var oldModels = regexp.MustCompile(`^anthropic\.claude-(v1|v2|instant)`)

func onlyMessages(id string) bool { return !oldModels.MatchString(id) }

var (
	idVersion = regexp.MustCompile(`-v\d+(:\d+)?(:\d+k)?$`)
	oldNames  = map[string]string{
		"anthropic.claude-v2":         "claude-2.0",
		"anthropic.claude-v2:1":       "claude-2.1",
		"anthropic.claude-instant-v1": "claude-instant-1.2",
	}
)

// emulatedName is how Claude calls itself in an answer: the id without provider
// and version. Clients look prices up by it.
func emulatedName(id string) string {
	if n, ok := oldNames[id]; ok {
		return n
	}
	return idVersion.ReplaceAllString(strings.TrimPrefix(id, "anthropic."), "")
}

// takesSystem reports whether the model knows a system prompt: Claude 2.1 and later.
func takesSystem(id string) bool {
	return onlyMessages(id) || strings.HasPrefix(id, "anthropic.claude-v2:1")
}

// foldSystem puts a system text in front of the first user turn for the models
// that have no place for one.
func foldSystem(r *engine.Request) {
	if r.System == "" || len(r.Messages) == 0 {
		return
	}
	first := &r.Messages[0]
	first.Parts = append([]engine.Part{{Text: r.System + "\n\n"}}, first.Parts...)
	r.System = ""
}

func stopReason(r *engine.Result) (reason, sequence string) {
	switch r.Stop {
	case engine.StopSequence:
		return "stop_sequence", r.StopText
	case engine.MaxTokens:
		return "max_tokens", ""
	case engine.ToolUse:
		return "tool_use", ""
	case engine.Filtered:
		return "refusal", ""
	case engine.ContextFull:
		return "model_context_window_exceeded", ""
	default:
		return "end_turn", ""
	}
}
