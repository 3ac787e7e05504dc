package anthropic

import (
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

func appendUsage(b []byte, u engine.Usage) []byte {
	b = append(b, `{"input_tokens":`...)
	b = family.AppendInt(b, u.Input)
	if u.CacheRead > 0 || u.CacheWrite > 0 {
		b = append(b, `,"cache_creation_input_tokens":`...)
		b = family.AppendInt(b, u.CacheWrite)
		b = append(b, `,"cache_read_input_tokens":`...)
		b = family.AppendInt(b, u.CacheRead)
	}
	b = append(b, `,"output_tokens":`...)
	b = family.AppendInt(b, u.Output)
	return append(b, '}')
}

func appendHead(b []byte, c *family.Call) []byte {
	b = append(b, `{"id":`...)
	b = family.AppendString(b, "msg_bdrk_"+c.Answer.ID)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	return family.AppendString(b, emulatedName(c.Model.ID))
}

func appendStop(b []byte, r *engine.Result) []byte {
	reason, sequence := stopReason(r)
	b = append(b, `"stop_reason":`...)
	b = family.AppendString(b, reason)
	b = append(b, `,"stop_sequence":`...)
	return family.AppendNullable(b, sequence)
}

func encodeMessage(c *family.Call, out *family.Output) []byte {
	r := out.Results[0]
	b := appendHead(nil, c)
	b = append(b, `,"content":[`...)
	n := 0
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.IsText() && p.Text == "" || p.CachePoint {
			continue
		}
		if n > 0 {
			b = append(b, ',')
		}
		n++
		switch {
		case p.Reasoning != nil:
			b = append(b, `{"type":"thinking","thinking":`...)
			b = family.AppendString(b, p.Reasoning.Text)
			b = append(b, `,"signature":`...)
			b = family.AppendString(b, p.Reasoning.Signature)
		case p.ToolCall != nil:
			b = append(b, `{"type":"tool_use","id":`...)
			b = family.AppendString(b, p.ToolCall.ID)
			b = append(b, `,"name":`...)
			b = family.AppendString(b, p.ToolCall.Name)
			b = append(b, `,"input":`...)
			b = family.AppendRaw(b, p.ToolCall.Arguments)
		default:
			b = append(b, `{"type":"text","text":`...)
			b = family.AppendString(b, p.Text)
		}
		b = append(b, '}')
	}
	b = append(b, `],`...)
	b = appendStop(b, r)
	b = append(b, `,"usage":`...)
	b = appendUsage(b, r.Usage)
	return append(b, '}')
}

// messageStream writes message_start, the blocks one after the other,
// message_delta and message_stop.
type messageStream struct {
	call   *family.Call
	buf    []byte
	index  int // of the open block, or of the last one
	open   block
	result *engine.Result
}

type block uint8

const (
	closed block = iota
	textOpen
	thinkingOpen
	toolOpen
)

func (s *messageStream) Start(send family.Send) error {
	b := append(s.buf[:0], `{"type":"message_start","message":`...)
	b = appendHead(b, s.call)
	b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	b = appendUsage(b, engine.Usage{Input: s.call.Answer.PromptTokens(), Output: 1})
	s.buf = append(b, `}}`...)
	return send(s.buf)
}

// enter makes a block of the kind the open one; content is its content_block.
func (s *messageStream) enter(kind block, content string, send family.Send) error {
	if s.open == kind {
		return nil
	}
	if err := s.leave(send); err != nil {
		return err
	}
	s.index++
	s.open = kind
	b := append(s.buf[:0], `{"type":"content_block_start","index":`...)
	b = family.AppendInt(b, s.index)
	b = append(b, `,"content_block":`...)
	b = append(b, content...)
	s.buf = append(b, '}')
	return send(s.buf)
}

func (s *messageStream) leave(send family.Send) error {
	if s.open == closed {
		return nil
	}
	s.open = closed
	b := append(s.buf[:0], `{"type":"content_block_stop","index":`...)
	b = family.AppendInt(b, s.index)
	s.buf = append(b, '}')
	return send(s.buf)
}

// piece sends one content_block_delta whose only member beside type is name.
func (s *messageStream) piece(kind, name, text string, send family.Send) error {
	b := append(s.buf[:0], `{"type":"content_block_delta","index":`...)
	b = family.AppendInt(b, s.index)
	b = append(b, `,"delta":{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","`...)
	b = append(b, name...)
	b = append(b, `":`...)
	b = family.AppendString(b, text)
	s.buf = append(b, `}}`...)
	return send(s.buf)
}

func (s *messageStream) Delta(_ int, d engine.Delta, send family.Send) error {
	switch d.Kind {
	case engine.TextDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(textOpen, `{"type":"text","text":""}`, send); err != nil {
			return err
		}
		return s.piece("text_delta", "text", d.Text, send)
	case engine.ReasoningDelta, engine.SignatureDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(thinkingOpen, `{"type":"thinking","thinking":"","signature":""}`, send); err != nil {
			return err
		}
		if d.Kind == engine.SignatureDelta {
			return s.piece("signature_delta", "signature", d.Text, send)
		}
		return s.piece("thinking_delta", "thinking", d.Text, send)
	case engine.ToolStart:
		if err := s.leave(send); err != nil {
			return err
		}
		b := append([]byte(nil), `{"type":"tool_use","id":`...)
		b = family.AppendString(b, d.Tool.ID)
		b = append(b, `,"name":`...)
		b = family.AppendString(b, d.Tool.Name)
		b = append(b, `,"input":{}}`...)
		if err := s.enter(toolOpen, string(b), send); err != nil {
			return err
		}
		return s.piece("input_json_delta", "partial_json", "", send)
	case engine.ToolInput:
		return s.piece("input_json_delta", "partial_json", d.Text, send)
	case engine.ToolEnd:
		return s.leave(send)
	}
	return nil
}

func (s *messageStream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *messageStream) Finish(m family.Metrics, send family.Send) error {
	if err := s.leave(send); err != nil {
		return err
	}
	b := append(s.buf[:0], `{"type":"message_delta","delta":{`...)
	b = appendStop(b, s.result)
	b = append(b, `},"usage":{"output_tokens":`...)
	b = family.AppendInt(b, s.result.Usage.Output)
	s.buf = append(b, `}}`...)
	if err := send(s.buf); err != nil {
		return err
	}
	b = append(s.buf[:0], `{"type":"message_stop",`...)
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
