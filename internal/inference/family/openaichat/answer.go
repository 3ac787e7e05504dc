package openaichat

import (
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	openReasoning  = "<reasoning>"
	closeReasoning = "</reasoning>"
)

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		return "length"
	case engine.ToolUse:
		return "tool_calls"
	case engine.Filtered:
		return "content_filter"
	default:
		return "stop"
	}
}

func (d *Dialect) reasonKey() string {
	if d.StopReason {
		return `"stop_reason":`
	}
	return `"finish_reason":`
}

// head begins an answer or a chunk up to its choices.
func (d *Dialect) head(b []byte, c *family.Call, object string) []byte {
	if d.StopReason {
		return append(b, `{"choices":[`...)
	}
	b = append(b, `{"id":`...)
	b = family.AppendString(b, "chatcmpl-"+c.Answer.ID)
	b = append(b, `,"object":"`...)
	b = append(b, object...)
	b = append(b, `","created":`...)
	b = strconv.AppendInt(b, c.Answer.Time.Unix(), 10)
	b = append(b, `,"model":`...)
	b = family.AppendString(b, c.Model.ID)
	return append(b, `,"choices":[`...)
}

func appendUsage(b []byte, in, out, cached int) []byte {
	b = append(b, `"usage":{"prompt_tokens":`...)
	b = family.AppendInt(b, in)
	b = append(b, `,"completion_tokens":`...)
	b = family.AppendInt(b, out)
	b = append(b, `,"total_tokens":`...)
	b = family.AppendInt(b, in+out)
	if cached > 0 {
		b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
		b = family.AppendInt(b, cached)
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendCall(b []byte, t *engine.ToolCall, arguments string) []byte {
	b = append(b, `{"id":`...)
	b = family.AppendString(b, t.ID)
	b = append(b, `,"type":"function","function":{"name":`...)
	b = family.AppendString(b, t.Name)
	b = append(b, `,"arguments":`...)
	b = family.AppendString(b, arguments)
	return append(b, `}}`...)
}

// Encode writes the answer.
func (d *Dialect) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	r := out.Results[0]
	var text, reasoning string
	calls := 0
	var tools []byte
	for i := range r.Parts {
		switch p := &r.Parts[i]; {
		case p.Reasoning != nil:
			reasoning += p.Reasoning.Text
		case p.ToolCall != nil:
			if calls > 0 {
				tools = append(tools, ',')
			}
			calls++
			tools = appendCall(tools, p.ToolCall, string(family.AppendRaw(nil, p.ToolCall.Arguments)))
		case p.IsText():
			text += p.Text
		}
	}
	if d.InlineReasoning && reasoning != "" {
		text = openReasoning + reasoning + closeReasoning + text
		reasoning = ""
	}
	b := d.head(nil, c, "chat.completion")
	b = append(b, `{"index":0,"message":{"role":"assistant","content":`...)
	if text == "" && calls > 0 && !d.StopReason {
		b = append(b, "null"...)
	} else {
		b = family.AppendString(b, text)
	}
	if reasoning != "" {
		b = append(b, `,"reasoning_content":`...)
		b = family.AppendString(b, reasoning)
	}
	if calls > 0 {
		b = append(b, `,"tool_calls":[`...)
		b = append(b, tools...)
		b = append(b, ']')
	}
	b = append(b, `},`...)
	b = append(b, d.reasonKey()...)
	b = family.AppendString(b, reason(r))
	b = append(b, `}]`...)
	if !d.StopReason {
		u := &r.Usage
		b = append(b, ',')
		b = appendUsage(b, u.Input+u.CacheRead+u.CacheWrite, u.Output, u.CacheRead)
	}
	return append(b, '}'), nil
}

// Stream returns the encoder of chunks.
func (d *Dialect) Stream(c *family.Call) family.StreamEncoder { return &stream{d: d, call: c} }

type stream struct {
	d         *Dialect
	call      *family.Call
	buf       []byte
	calls     int  // tool calls begun
	reasoning bool // an inline <reasoning> is open
	result    *engine.Result
}

func (s *stream) begin() []byte {
	b := s.d.head(s.buf[:0], s.call, "chat.completion.chunk")
	b = append(b, `{"index":0,`...)
	if s.d.StopReason { // Mistral's older models call the delta a message
		return append(b, `"message":{`...)
	}
	return append(b, `"delta":{`...)
}

func (s *stream) end(b []byte, send family.Send) error {
	b = append(b, `},`...)
	b = append(b, s.d.reasonKey()...)
	s.buf = append(b, `null}]}`...)
	return send(s.buf)
}

func (s *stream) Start(send family.Send) error {
	return s.end(append(s.begin(), `"role":"assistant","content":""`...), send)
}

func (s *stream) piece(key, text string, send family.Send) error {
	b := append(s.begin(), key...)
	return s.end(family.AppendString(b, text), send)
}

const contentKey = `"content":`

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	if s.reasoning && d.Kind != engine.ReasoningDelta && d.Kind != engine.SignatureDelta {
		s.reasoning = false
		if err := s.piece(contentKey, closeReasoning, send); err != nil {
			return err
		}
	}
	switch d.Kind {
	case engine.TextDelta:
		if d.Text == "" {
			return nil
		}
		return s.piece(contentKey, d.Text, send)
	case engine.ReasoningDelta:
		if d.Text == "" {
			return nil
		}
		if !s.d.InlineReasoning {
			return s.piece(`"reasoning_content":`, d.Text, send)
		}
		if !s.reasoning {
			s.reasoning = true
			if err := s.piece(contentKey, openReasoning, send); err != nil {
				return err
			}
		}
		return s.piece(contentKey, d.Text, send)
	case engine.ToolStart:
		b := append(s.begin(), `"tool_calls":[{"index":`...)
		b = family.AppendInt(b, s.calls)
		s.calls++
		b = append(b, `,"id":`...)
		b = family.AppendString(b, d.Tool.ID)
		b = append(b, `,"type":"function","function":{"name":`...)
		b = family.AppendString(b, d.Tool.Name)
		return s.end(append(b, `,"arguments":""}}]`...), send)
	case engine.ToolInput:
		b := append(s.begin(), `"tool_calls":[{"index":`...)
		b = family.AppendInt(b, s.calls-1)
		b = append(b, `,"function":{"arguments":`...)
		b = family.AppendString(b, d.Text)
		return s.end(append(b, `}}]`...), send)
	case engine.SignatureDelta, engine.ToolEnd: // the format has no place for them
	}
	return nil
}

func (s *stream) End(_ int, r *engine.Result, send family.Send) error {
	s.result = r
	if s.reasoning { // the model stopped while it was thinking
		s.reasoning = false
		return s.piece(contentKey, closeReasoning, send)
	}
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	b := s.begin()
	if s.d.StopReason {
		b = append(b, `"role":"assistant","content":""`...)
	}
	b = append(b, `},`...)
	b = append(b, s.d.reasonKey()...)
	b = family.AppendString(b, reason(s.result))
	b = append(b, `}],`...)
	if !s.d.StopReason {
		u := &s.result.Usage
		b = appendUsage(b, u.Input+u.CacheRead+u.CacheWrite, u.Output, u.CacheRead)
		b = append(b, ',')
	}
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
