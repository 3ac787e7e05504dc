package titantext

import (
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Codec serves Titan Text. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

const (
	maxChars     = 42_000
	defaultLimit = 512
	leastTopP    = 1e-45
	// stopPattern is all that Titan lets stop it.
	stopPattern = `^(\|+|User:)$`
)

var stops = family.AnArray(family.AString().Matching(stopPattern))

var schema = family.AnObject(
	family.Required("inputText", family.AString().Size(1, maxChars)),
	family.Optional("textGenerationConfig", family.AnObject(
		family.Optional("temperature", family.ANumber(0, 1)),
		family.Optional("topP", family.ANumber(leastTopP, 1)),
		family.Optional("maxTokenCount", family.AnInteger(0, 1<<31)),
		family.Optional("stopSequences", stops),
	)),
)

// maxOutput is the most tokens a model makes.
func maxOutput(m family.Model) int {
	switch {
	case strings.Contains(m.ID, "titan-text-lite"):
		return 4096
	case strings.Contains(m.ID, "titan-text-premier"):
		return 3072
	}
	return 8000
}

// Name returns the family's key.
func (Codec) Name() string { return "titan-text" }

// Streams reports that Titan Text streams.
func (Codec) Streams(family.Model) bool { return true }

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	config := v.Get("textGenerationConfig")
	limit := config.Get("maxTokenCount")
	if err := family.AtMost("#/textGenerationConfig/maxTokenCount", limit, maxOutput(m)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.IntOr(defaultLimit),
		Temperature: config.Get("temperature").FloatOr(0),
		TopP:        config.Get("topP").FloatOr(1),
		Stop:        config.Get("stopSequences").Texts(),
	}}
	prompt := v.Get("inputText").Text()
	if !family.ParseUserBot(r, prompt) {
		family.Plain(r, prompt)
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, NoOutput: r.MaxTokens == 0, CountPrompt: true}, nil
}

// Converse fills the defaults. Titan takes no extra fields but its own config.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := family.AnObject().Check(&fields); err != nil {
			return err
		}
	}
	if r.MaxTokens == 0 {
		r.MaxTokens = defaultLimit
	}
	if limit := maxOutput(m); r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(0.0)
	}
	if r.TopP == nil {
		r.TopP = new(1.0)
	}
	if *r.TopP < leastTopP {
		return family.Malformed("#/textGenerationConfig/topP: 0 is not greater or equal to 1.0E-45")
	}
	return checkStops(r.Stop)
}

func checkStops(texts []string) error {
	b := []byte{'['}
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = family.AppendString(b, s)
	}
	v := family.Tree(append(b, ']'))
	if found := stops.Violations(nil, "#/textGenerationConfig/stopSequences", &v); len(found) > 0 {
		return family.Malformed(found...)
	}
	return nil
}

// TooLong is the text for an input that does not fit. It ends in a blank, as the
// service's does.
func (Codec) TooLong(_ family.Model, limit, got int) string {
	return fmt.Sprintf("400 Bad Request: Too many input tokens. Max input tokens: %d, request input token count: %d ", limit, got)
}

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		return "LENGTH"
	case engine.Filtered:
		return "CONTENT_FILTERED"
	default:
		return "FINISH"
	}
}

// Encode writes the answer.
func (Codec) Encode(_ *family.Call, out *family.Output) ([]byte, error) {
	r := out.Results[0]
	b := append([]byte(nil), `{"inputTextTokenCount":`...)
	b = family.AppendInt(b, r.Usage.Input)
	b = append(b, `,"results":[{"tokenCount":`...)
	b = family.AppendInt(b, r.Usage.Output)
	b = append(b, `,"outputText":`...)
	b = family.AppendString(b, r.Text())
	b = append(b, `,"completionReason":"`...)
	b = append(b, reason(r)...)
	return append(b, `"}]}`...), nil
}

// Stream returns the encoder of chunks.
func (Codec) Stream(c *family.Call) family.StreamEncoder { return &stream{call: c} }

type stream struct {
	call   *family.Call
	buf    []byte
	result *engine.Result
}

func (s *stream) Start(family.Send) error { return nil }

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	if d.Kind != engine.TextDelta {
		return nil // Titan neither reasons aloud nor calls tools
	}
	b := append(s.buf[:0], `{"outputText":`...)
	b = family.AppendString(b, d.Text)
	b = append(b, `,"index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":`...)
	b = family.AppendInt(b, s.call.Answer.PromptTokens())
	s.buf = append(b, '}')
	return send(s.buf)
}

func (s *stream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	b := append(s.buf[:0], `{"outputText":"","index":0,"totalOutputTextTokenCount":`...)
	b = family.AppendInt(b, s.result.Usage.Output)
	b = append(b, `,"completionReason":"`...)
	b = append(b, reason(s.result)...)
	b = append(b, `","inputTextTokenCount":`...)
	b = family.AppendInt(b, s.result.Usage.Input)
	b = append(b, ',')
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
