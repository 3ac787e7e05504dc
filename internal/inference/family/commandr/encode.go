package commandr

import (
	"fmt"
	"hash/fnv"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.MaxTokens:
		return "MAX_TOKENS"
	case engine.ContextFull:
		return "ERROR_LIMIT"
	case engine.Filtered:
		return "ERROR_TOXIC"
	case engine.MalformedText, engine.MalformedTool:
		return "ERROR"
	default:
		return "COMPLETE"
	}
}

// generationID follows from the answer's identity.
func generationID(c *family.Call) string {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s/%s", c.Answer.RequestID, c.Answer.ID)
	b := h.Sum(nil)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // the form of a random UUID
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Encode writes the answer.
func (Codec) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	return appendAnswer(nil, c, out.Results[0]), nil
}

func appendAnswer(b []byte, c *family.Call, r *engine.Result) []byte {
	s, _ := c.State.(state)
	text := r.Text()
	b = append(b, `{"response_id":`...)
	b = family.AppendString(b, c.Answer.RequestID)
	b = append(b, `,"text":`...)
	b = family.AppendString(b, text)
	b = append(b, `,"generation_id":`...)
	b = family.AppendString(b, generationID(c))
	b = append(b, `,"chat_history":[`...)
	if s.history != "" {
		b = append(b, s.history...)
		b = append(b, ',')
	}
	if s.message != "" {
		b = append(b, `{"role":"USER","message":`...)
		b = family.AppendString(b, s.message)
		b = append(b, `},`...)
	}
	b = append(b, `{"role":"CHATBOT","message":`...)
	b = family.AppendString(b, text)
	calls := appendCalls(nil, r)
	if len(calls) > 0 {
		b = append(b, `,"tool_calls":`...)
		b = append(b, calls...)
	}
	b = append(b, `}],"finish_reason":"`...)
	b = append(b, reason(r)...)
	b = append(b, '"')
	if len(calls) > 0 {
		b = append(b, `,"tool_calls":`...)
		b = append(b, calls...)
	}
	if s.echo {
		b = append(b, `,"prompt":`...)
		b = family.AppendString(b, s.prompt)
	}
	b = append(b, `,"meta":{"api_version":{"version":"1"},"billed_units":{"input_tokens":`...)
	b = family.AppendInt(b, r.Usage.Input)
	b = append(b, `,"output_tokens":`...)
	b = family.AppendInt(b, r.Usage.Output)
	return append(b, `}}}`...)
}

// appendCalls appends the calls as a JSON array, nothing when there are none.
func appendCalls(b []byte, r *engine.Result) []byte {
	n := 0
	for i := range r.Parts {
		c := r.Parts[i].ToolCall
		if c == nil {
			continue
		}
		if n == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		n++
		b = append(b, `{"name":`...)
		b = family.AppendString(b, c.Name)
		b = append(b, `,"parameters":`...)
		b = family.AppendRaw(b, c.Arguments)
		b = append(b, '}')
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

// Stream returns the encoder of chunks.
func (Codec) Stream(c *family.Call) family.StreamEncoder { return &stream{call: c} }

type stream struct {
	call   *family.Call
	buf    []byte
	result *engine.Result
}

func (s *stream) Start(send family.Send) error {
	b := append(s.buf[:0], `{"is_finished":false,"event_type":"stream-start","generation_id":`...)
	s.buf = append(family.AppendString(b, generationID(s.call)), '}')
	return send(s.buf)
}

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	if d.Kind != engine.TextDelta || d.Text == "" {
		return nil // calls are sent whole; this form has no place for reasoning
	}
	b := append(s.buf[:0], `{"is_finished":false,"event_type":"text-generation","text":`...)
	s.buf = append(family.AppendString(b, d.Text), '}')
	return send(s.buf)
}

func (s *stream) End(_ int, r *engine.Result, send family.Send) error {
	s.result = r
	calls := appendCalls(nil, r)
	if len(calls) == 0 {
		return nil
	}
	b := append(s.buf[:0], `{"is_finished":false,"event_type":"tool-calls-generation","tool_calls":`...)
	s.buf = append(append(b, calls...), '}')
	return send(s.buf)
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	b := append(s.buf[:0], `{"is_finished":true,"event_type":"stream-end","response":`...)
	b = appendAnswer(b, s.call, s.result)
	b = append(b, `,"finish_reason":"`...)
	b = append(b, reason(s.result)...)
	b = append(b, `",`...)
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
