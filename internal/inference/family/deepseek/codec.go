package deepseek

import (
	"cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"
)

const (
	defaultLimit = 4096
	maxOutput    = 32_768
	endThinking  = "</think>\n\n"
)

var schema = family.AnObject(
	family.Required("prompt", family.AString()),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("max_tokens", family.AnInteger(1, maxOutput)),
	family.Optional("stop", family.AnArray(family.AString()).Size(0, 10)),
)

// Codec serves DeepSeek.
type Codec struct{ *openaichat.Codec }

var _ family.Codec = Codec{}

// New returns the codec of DeepSeek.
func New() Codec {
	return Codec{openaichat.New(&openaichat.Dialect{
		Key: "deepseek", Temperature: 1, TopP: 1, MaxTokens: defaultLimit, MaxOutput: maxOutput,
	})}
}

// promptForm is the State of a Call in the prompt form.
type promptForm struct{}

// Decode tells the forms apart by their keys.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if v.Has("messages") {
		return c.DecodeValue(m, &v)
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   v.Get("max_tokens").IntOr(defaultLimit),
		Temperature: v.Get("temperature").FloatOr(1),
		TopP:        v.Get("top_p").FloatOr(1),
		Stop:        v.Get("stop").Texts(),
	}}
	prompt := v.Get("prompt").Text()
	if !family.ParseDeepSeek(r, prompt) {
		family.Plain(r, prompt)
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, State: promptForm{}}, nil
}

func reason(r *engine.Result) string {
	return map[engine.StopReason]string{engine.MaxTokens: "length", engine.ContextFull: "length"}[r.Stop]
}

func appendChoice(b []byte, text string, r *engine.Result) []byte {
	b = append(b, `{"choices":[{"text":`...)
	b = family.AppendString(b, text)
	b = append(b, `,"stop_reason":`...)
	if r == nil {
		b = append(b, "null"...)
	} else {
		b = family.AppendString(b, cmp.Or(reason(r), "stop"))
	}
	return append(b, `}]`...)
}

// Encode writes the answer in the form of the request. The prompt form has
// reasoning in the text, ended by </think>, as the model itself writes it.
func (c Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	if _, ok := call.State.(promptForm); !ok {
		return c.Codec.Encode(call, out)
	}
	r := out.Results[0]
	var text, reasoning string
	for i := range r.Parts {
		if p := &r.Parts[i]; p.Reasoning != nil {
			reasoning += p.Reasoning.Text
		} else if p.IsText() {
			text += p.Text
		}
	}
	if reasoning != "" {
		text = reasoning + endThinking + text
	}
	return append(appendChoice(nil, text, r), '}'), nil
}

// Stream returns the encoder for the form of the request.
func (c Codec) Stream(call *family.Call) family.StreamEncoder {
	if _, ok := call.State.(promptForm); ok {
		return &stream{}
	}
	return c.Codec.Stream(call)
}

type stream struct {
	buf      []byte
	thinking bool
	result   *engine.Result
}

func (s *stream) Start(family.Send) error { return nil }

func (s *stream) text(text string, send family.Send) error {
	if text == "" {
		return nil
	}
	s.buf = append(appendChoice(s.buf[:0], text, nil), '}')
	return send(s.buf)
}

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	switch d.Kind {
	case engine.ReasoningDelta:
		s.thinking = true
	case engine.TextDelta:
		if s.thinking {
			s.thinking = false
			if err := s.text(endThinking, send); err != nil {
				return err
			}
		}
	default:
		return nil // this form has no place for tools
	}
	return s.text(d.Text, send)
}

func (s *stream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	s.buf = append(appendChoice(s.buf[:0], "", s.result), ',')
	s.buf = append(family.AppendMetrics(s.buf, m), '}')
	return send(s.buf)
}
