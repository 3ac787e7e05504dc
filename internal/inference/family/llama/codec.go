package llama

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Codec serves Llama. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

const defaultLimit = 512

var schema = family.AnObject(
	family.Required("prompt", family.AString()),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("max_gen_len", family.AnInteger(1, 1<<31)),
	family.Optional("images", family.AnArray(family.AString())),
)

// textSchema is for the models without eyes, which do not know images at all.
var textSchema = family.AnObject(
	family.Required("prompt", family.AString()),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("max_gen_len", family.AnInteger(1, 1<<31)),
)

func maxOutput(m family.Model) int {
	if strings.Contains(m.ID, "llama4") {
		return cmp.Or(m.MaxOutput, 8192)
	}
	return cmp.Or(m.MaxOutput, 2048)
}

// Name returns the family's key.
func (Codec) Name() string { return "llama" }

// Streams reports that Llama streams.
func (Codec) Streams(family.Model) bool { return true }

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	s := textSchema
	if m.Vision {
		s = schema
	}
	if err := s.Check(&v); err != nil {
		return nil, err
	}
	limit := v.Get("max_gen_len")
	if err := family.AtMost("#/max_gen_len", limit, maxOutput(m)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.IntOr(defaultLimit),
		Temperature: v.Get("temperature").FloatOr(0.5),
		TopP:        topP(v.Get("top_p").FloatOr(0.9)),
	}}
	prompt := v.Get("prompt").Text()
	if !family.ParseHeaders(r, prompt) {
		family.ParseInst(r, prompt)
	}
	if err := addImages(r, v.Get("images")); err != nil {
		return nil, err
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, CountPrompt: true}, nil
}

// topP reads 0 as off, as Llama does.
func topP(p *float64) *float64 {
	if *p == 0 {
		*p = 1
	}
	return p
}

// addImages puts the images before the text of the last user turn.
func addImages(r *engine.Request, v *family.Value) error {
	images := v.Items()
	if len(images) == 0 {
		return nil
	}
	var parts []engine.Part
	for i := range images {
		data, ok := images[i].Base64()
		info, known := family.SniffImage(data)
		if !ok || !known {
			return family.Malformed(fmt.Sprintf("#/images/%d: not an image in base64", i))
		}
		parts = append(parts, engine.Part{Image: &engine.Blob{MediaType: info.MediaType, Data: data}})
	}
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if m := &r.Messages[i]; m.Role == engine.User {
			m.Parts = append(parts, m.Parts...)
			return nil
		}
	}
	r.Messages = append(r.Messages, engine.Message{Role: engine.User, Parts: parts})
	return nil
}

// Converse fills the defaults. Llama has no place for stop sequences.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := family.AnObject().Check(&fields); err != nil {
			return err
		}
	}
	if len(r.Stop) > 0 {
		return family.NoField("stopSequences")
	}
	r.MaxTokens = cmp.Or(r.MaxTokens, defaultLimit)
	if limit := maxOutput(m); r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(0.5)
	}
	if r.TopP == nil {
		r.TopP = new(0.9)
	}
	r.TopP = topP(new(*r.TopP))
	return nil
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(m family.Model, limit, _ int) string {
	return fmt.Sprintf("This model's maximum context length is %d tokens. Please reduce the length of the prompt",
		cmp.Or(limit, m.Context))
}

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		return "length"
	default:
		return "stop"
	}
}

// Encode writes the answer.
func (Codec) Encode(_ *family.Call, out *family.Output) ([]byte, error) {
	r := out.Results[0]
	b := append([]byte(nil), `{"generation":`...)
	b = family.AppendString(b, r.Text())
	b = append(b, `,"prompt_token_count":`...)
	b = family.AppendInt(b, r.Usage.Input)
	b = append(b, `,"generation_token_count":`...)
	b = family.AppendInt(b, r.Usage.Output)
	b = append(b, `,"stop_reason":"`...)
	b = append(b, reason(r)...)
	return append(b, `"}`...), nil
}

// Stream returns the encoder of chunks.
func (Codec) Stream(c *family.Call) family.StreamEncoder { return &stream{call: c} }

type stream struct {
	call   *family.Call
	buf    []byte
	n      int // chunks sent, which is close to the tokens generated
	result *engine.Result
}

func (s *stream) Start(family.Send) error { return nil }

// head begins a chunk; the prompt's count stands in the first one only.
func (s *stream) head(text string) []byte {
	b := append(s.buf[:0], `{"generation":`...)
	b = family.AppendString(b, text)
	b = append(b, `,"prompt_token_count":`...)
	if s.n == 0 {
		b = family.AppendInt(b, s.call.Answer.PromptTokens())
	} else {
		b = append(b, "null"...)
	}
	return append(b, `,"generation_token_count":`...)
}

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	if d.Kind != engine.TextDelta {
		return nil // this form has no place for reasoning or tools
	}
	b := s.head(d.Text)
	s.n++
	b = family.AppendInt(b, s.n)
	s.buf = append(b, `,"stop_reason":null}`...)
	return send(s.buf)
}

func (s *stream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	b := s.head("")
	b = family.AppendInt(b, max(s.n, s.result.Usage.Output))
	b = append(b, `,"stop_reason":"`...)
	b = append(b, reason(s.result)...)
	b = append(b, `",`...)
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
