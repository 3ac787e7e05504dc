package mistral

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"
)

const defaultLimit = 512

var schema = family.AnObject(
	family.Required("prompt", family.AString()),
	family.Optional("max_tokens", family.AnInteger(1, 1<<31)),
	family.Optional("stop", family.AnArray(family.AString()).Size(0, 10)),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("top_k", family.AnInteger(1, 200)),
)

var converseSchema = family.AnObject(
	family.Optional("top_k", family.AnInteger(1, 200)),
)

// Codec serves Mistral.
type Codec struct {
	older *openaichat.Codec // chat form whose choices say stop_reason
	later *openaichat.Codec // chat form as everybody's
}

var _ family.Codec = Codec{}

// New returns the codec of Mistral.
func New() Codec {
	d := openaichat.Dialect{Key: "mistral", Temperature: 0.7, TopP: 1, MaxTokens: 8192, MaxOutput: 8192}
	older, later := d, d
	older.StopReason, older.MaxTemp = true, 1
	later.MaxOutput = 131_072
	return Codec{older: openaichat.New(&older), later: openaichat.New(&later)}
}

// chat returns the codec of the model's chat form.
func (c Codec) chat(m family.Model) *openaichat.Codec {
	if olderChat.MatchString(m.ID) {
		return c.older
	}
	return c.later
}

var olderChat = regexp.MustCompile(`^mistral\.mistral-(large-2402|large-2407|small-2402)`)

// instruct models know the prompt form alone.
func instruct(m family.Model) bool {
	return strings.Contains(m.ID, "mistral-7b-instruct") || strings.Contains(m.ID, "mixtral-8x7b-instruct")
}

// maxOutput is the most tokens the prompt form gives.
func maxOutput(m family.Model) int {
	if strings.Contains(m.ID, "mixtral-8x7b") {
		return 4096
	}
	return 8192
}

// Name returns the family's key.
func (Codec) Name() string { return "mistral" }

// Streams reports that Mistral streams.
func (Codec) Streams(family.Model) bool { return true }

// promptForm is the State of a Call in the prompt form.
type promptForm struct{}

// Decode tells the forms apart by their keys.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if v.Has("messages") && !instruct(m) {
		return c.chat(m).DecodeValue(m, &v)
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	limit := v.Get("max_tokens")
	if err := family.AtMost("#/max_tokens", limit, maxOutput(m)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.IntOr(defaultLimit),
		Temperature: v.Get("temperature").FloatOr(0.5),
		TopP:        v.Get("top_p").FloatOr(0.9),
		TopK:        new(v.Get("top_k").IntOr(50)),
		Stop:        v.Get("stop").Texts(),
	}}
	family.ParseInst(r, v.Get("prompt").Text())
	return &family.Call{Model: m, Generate: []*engine.Request{r}, State: promptForm{}}, nil
}

// Converse fills the defaults of the model's generation.
func (c Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if !instruct(m) {
		return c.chat(m).Converse(r, fields, m)
	}
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
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
	r.TopK = new(fields.Get("top_k").IntOr(50))
	return nil
}

// TooLong is the text for an input that does not fit.
func (c Codec) TooLong(m family.Model, limit, got int) string {
	return c.chat(m).TooLong(m, limit, got)
}

// inPromptForm reports whether a call was, or for Converse would be, in the prompt form.
func inPromptForm(c *family.Call) bool {
	_, ok := c.State.(promptForm)
	return ok || c.State == nil && instruct(c.Model)
}

func appendOutput(b []byte, text string, r *engine.Result) []byte {
	b = append(b, `{"outputs":[{"text":`...)
	b = family.AppendString(b, text)
	b = append(b, `,"stop_reason":`...)
	switch {
	case r == nil:
		b = append(b, "null"...)
	case r.Stop == engine.MaxTokens, r.Stop == engine.ContextFull:
		b = append(b, `"length"`...)
	default:
		b = append(b, `"stop"`...)
	}
	return append(b, `}]`...)
}

// Encode writes the answer in the form of the request.
func (c Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	if !inPromptForm(call) {
		return c.chat(call.Model).Encode(call, out)
	}
	r := out.Results[0]
	return append(appendOutput(nil, r.Text(), r), '}'), nil
}

// Stream returns the encoder for the form of the request.
func (c Codec) Stream(call *family.Call) family.StreamEncoder {
	if !inPromptForm(call) {
		return c.chat(call.Model).Stream(call)
	}
	return &stream{}
}

type stream struct {
	buf    []byte
	result *engine.Result
}

func (s *stream) Start(family.Send) error { return nil }

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	if d.Kind != engine.TextDelta {
		return nil // this form has no place for reasoning or tools
	}
	s.buf = append(appendOutput(s.buf[:0], d.Text, nil), '}')
	return send(s.buf)
}

func (s *stream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	s.buf = append(appendOutput(s.buf[:0], "", s.result), ',')
	s.buf = append(family.AppendMetrics(s.buf, m), '}')
	return send(s.buf)
}
