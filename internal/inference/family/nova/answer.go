package nova

import (
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.ContextFull:
		return "max_tokens"
	case engine.MalformedText:
		return "malformed_model_output"
	case "":
		return "end_turn"
	default:
		return string(r.Stop) // the neutral names are Nova's
	}
}

func appendUsage(b []byte, u engine.Usage) []byte {
	b = append(b, `"usage":{"inputTokens":`...)
	b = family.AppendInt(b, u.Input)
	b = append(b, `,"outputTokens":`...)
	b = family.AppendInt(b, u.Output)
	b = append(b, `,"totalTokens":`...)
	b = family.AppendInt(b, u.Input+u.CacheRead+u.CacheWrite+u.Output)
	b = append(b, `,"cacheReadInputTokenCount":`...)
	b = family.AppendInt(b, u.CacheRead)
	b = append(b, `,"cacheWriteInputTokenCount":`...)
	b = family.AppendInt(b, u.CacheWrite)
	return append(b, '}')
}

func appendTool(b []byte, t *engine.ToolCall) []byte {
	b = append(b, `{"toolUse":{"toolUseId":`...)
	b = family.AppendString(b, t.ID)
	b = append(b, `,"name":`...)
	return family.AppendString(b, t.Name)
}

// Encode writes the answer.
func (Codec) Encode(_ *family.Call, out *family.Output) ([]byte, error) {
	r := out.Results[0]
	b := append([]byte(nil), `{"output":{"message":{"content":[`...)
	n := len(b)
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.IsText() && p.Text == "" || p.CachePoint {
			continue
		}
		if len(b) > n {
			b = append(b, ',')
		}
		switch {
		case p.Reasoning != nil:
			b = append(b, `{"reasoningContent":{"reasoningText":{"text":`...)
			b = family.AppendString(b, p.Reasoning.Text)
			b = append(b, `}}}`...)
		case p.ToolCall != nil:
			b = appendTool(b, p.ToolCall)
			b = append(b, `,"input":`...)
			b = family.AppendRaw(b, p.ToolCall.Arguments)
			b = append(b, `}}`...)
		default:
			b = append(b, `{"text":`...)
			b = family.AppendString(b, p.Text)
			b = append(b, '}')
		}
	}
	b = append(b, `],"role":"assistant"}},"stopReason":`...)
	b = family.AppendString(b, reason(r))
	b = append(b, ',')
	b = appendUsage(b, r.Usage)
	return append(b, '}'), nil
}

// Stream returns the encoder of chunks.
func (Codec) Stream(*family.Call) family.StreamEncoder { return &stream{index: -1} }

// stream writes messageStart, the blocks one after the other, messageStop and
// metadata, each as an object with that one member.
type stream struct {
	buf    []byte
	index  int
	kind   engine.DeltaKind
	live   bool // a block is open
	result *engine.Result
}

func (s *stream) Start(send family.Send) error {
	s.buf = append(s.buf[:0], `{"messageStart":{"role":"assistant"}}`...)
	return send(s.buf)
}

func (s *stream) enter(kind engine.DeltaKind, send family.Send) error {
	if s.live && s.kind == kind {
		return nil
	}
	if err := s.leave(send); err != nil {
		return err
	}
	s.index++
	s.kind, s.live = kind, true
	return nil
}

func (s *stream) leave(send family.Send) error {
	if !s.live {
		return nil
	}
	s.live = false
	b := append(s.buf[:0], `{"contentBlockStop":`...)
	return s.close(append(b, '{'), send)
}

// close ends an event with its block's index.
func (s *stream) close(b []byte, send family.Send) error {
	b = append(b, `"contentBlockIndex":`...)
	b = family.AppendInt(b, s.index)
	s.buf = append(b, `}}`...)
	return send(s.buf)
}

// piece sends a delta: open and shut stand around its text.
func (s *stream) piece(open, text, shut string, send family.Send) error {
	b := append(s.buf[:0], `{"contentBlockDelta":{"delta":`...)
	b = append(b, open...)
	b = family.AppendString(b, text)
	b = append(b, shut...)
	return s.close(append(b, ','), send)
}

func (s *stream) Delta(_ int, d engine.Delta, send family.Send) error {
	switch d.Kind {
	case engine.TextDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(engine.TextDelta, send); err != nil {
			return err
		}
		return s.piece(`{"text":`, d.Text, `}`, send)
	case engine.ReasoningDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(engine.ReasoningDelta, send); err != nil {
			return err
		}
		return s.piece(`{"reasoningContent":{"text":`, d.Text, `}}`, send)
	case engine.ToolStart:
		if err := s.leave(send); err != nil {
			return err
		}
		if err := s.enter(engine.ToolStart, send); err != nil {
			return err
		}
		b := append(s.buf[:0], `{"contentBlockStart":{"start":`...)
		b = appendTool(b, d.Tool)
		return s.close(append(b, `}},`...), send)
	case engine.ToolInput:
		return s.piece(`{"toolUse":{"input":`, d.Text, `}}`, send)
	case engine.ToolEnd:
		return s.leave(send)
	case engine.SignatureDelta: // Nova signs nothing
	}
	return nil
}

func (s *stream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	if err := s.leave(send); err != nil {
		return err
	}
	b := append(s.buf[:0], `{"messageStop":{"stopReason":`...)
	b = family.AppendString(b, reason(s.result))
	s.buf = append(b, `}}`...)
	if err := send(s.buf); err != nil {
		return err
	}
	b = append(s.buf[:0], `{"metadata":{`...)
	b = appendUsage(b, s.result.Usage)
	b = append(b, `,"metrics":{},"trace":{}},`...)
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
