package inference

import (
	"context"
	"encoding/json"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/gate"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

var stopReasons = map[engine.StopReason]bedrockruntime.StopReason{
	engine.EndTurn:       bedrockruntime.StopReasonEndTurn,
	engine.StopSequence:  bedrockruntime.StopReasonStopSequence,
	engine.MaxTokens:     bedrockruntime.StopReasonMaxTokens,
	engine.ToolUse:       bedrockruntime.StopReasonToolUse,
	engine.Filtered:      bedrockruntime.StopReasonContentFiltered,
	engine.ContextFull:   bedrockruntime.StopReasonModelContextWindowExceeded,
	engine.MalformedTool: bedrockruntime.StopReasonMalformedToolUse,
	engine.MalformedText: bedrockruntime.StopReasonMalformedModelOutput,
}

func stopReason(s engine.StopReason) bedrockruntime.StopReason {
	if r, ok := stopReasons[s]; ok {
		return r
	}
	return bedrockruntime.StopReasonEndTurn
}

// answer puts a result into Converse's form. The latency is filled in later.
func (w *work) answer(in *chat, result *engine.Result, fields json.RawMessage) *bedrockruntime.ConverseOutput {
	content := make([]bedrockruntime.ContentBlock, 0, len(result.Parts))
	for i := range result.Parts {
		p := &result.Parts[i]
		switch {
		case p.Reasoning != nil:
			if p.Reasoning.Text == "" && p.Reasoning.Signature == "" {
				continue
			}
			r := &bedrockruntime.ReasoningTextBlock{Text: p.Reasoning.Text}
			if p.Reasoning.Signature != "" {
				r.Signature = &p.Reasoning.Signature
			}
			content = append(content, bedrockruntime.ContentBlock{ReasoningContent: &bedrockruntime.ReasoningContentBlock{ReasoningText: r}})
		case p.ToolCall != nil:
			content = append(content, bedrockruntime.ContentBlock{ToolUse: &bedrockruntime.ToolUseBlock{
				ToolUseId: p.ToolCall.ID, Name: p.ToolCall.Name, Input: family.AppendRaw(nil, p.ToolCall.Arguments),
			}})
		case p.IsText() && p.Text != "":
			content = append(content, bedrockruntime.ContentBlock{Text: &p.Text})
		}
	}
	return &bedrockruntime.ConverseOutput{
		AdditionalModelResponseFields: fields,
		Metrics:                       &bedrockruntime.ConverseMetrics{},
		Output: &bedrockruntime.ConverseOutputUnion{Message: &bedrockruntime.Message{
			Role: bedrockruntime.ConversationRoleAssistant, Content: content,
		}},
		PerformanceConfig: in.performance,
		ServiceTier:       in.tier,
		StopReason:        stopReason(result.Stop),
		Usage:             w.usage(),
	}
}

func (w *work) usage() *bedrockruntime.TokenUsage {
	m := &w.metrics
	return &bedrockruntime.TokenUsage{
		InputTokens: m.InputTokens, OutputTokens: m.OutputTokens,
		CacheReadInputTokens: new(m.CacheRead), CacheWriteInputTokens: new(m.CacheWrite),
		TotalTokens: m.InputTokens + m.OutputTokens + m.CacheRead + m.CacheWrite,
	}
}

// ConverseStream answers a conversation in events, one for each piece that the
// model makes.
func (rt *Runtime) ConverseStream(ctx context.Context, in *bedrockruntime.ConverseStreamInput, out *bedrockruntime.ConverseStreamWriter) error {
	w, err := rt.begin(ctx, in.ModelId)
	if err != nil {
		return err
	}
	s := newEvents(out)
	whole, err := w.converseStream(ctx, &chat{
		messages: in.Messages, system: in.System, tools: in.ToolConfig, inference: in.InferenceConfig,
		fields: in.AdditionalModelRequestFields, paths: in.AdditionalModelResponseFieldPaths,
		output: in.OutputConfig, performance: in.PerformanceConfig, tier: in.ServiceTier,
		variables: len(in.PromptVariables) > 0, guardrail: in.GuardrailConfig != nil,
	}, s)
	w.finish()
	if whole == nil {
		w.record(ctx, "ConverseStream", in, nil, err)
		return err
	}
	whole.Metrics.LatencyMs = family.Milliseconds(w.metrics.Latency)
	w.record(ctx, "ConverseStream", in, whole, err)
	return err
}

func (w *work) converseStream(ctx context.Context, in *chat, s *events) (*bedrockruntime.ConverseOutput, error) {
	if !w.target.Streaming {
		return nil, invalid("The model is unsupported for streaming.")
	}
	r, err := w.request(in)
	if err != nil {
		return nil, err
	}
	head := gate.New(w.rt.openAfter, s.open)
	defer head.Close()
	result, err := w.generate(ctx, r, converseTool, func(d engine.Delta) error {
		if err := head.Enter(); err != nil {
			return err
		}
		return s.delta(d)
	})
	if err != nil {
		return nil, w.reface(err, head.Close(), chatFrames)
	}
	if err := head.Enter(); err != nil {
		return nil, err
	}
	fields, err := w.extra(r, result, in.paths)
	if err != nil {
		return nil, err
	}
	if err := s.stop(stopReason(result.Stop), fields); err != nil {
		return nil, err
	}
	whole := w.answer(in, result, fields)
	return whole, s.metadata(&bedrockruntime.ConverseStreamMetadataEvent{
		Usage:             whole.Usage,
		Metrics:           &bedrockruntime.ConverseStreamMetrics{LatencyMs: family.Milliseconds(time.Since(w.start))},
		PerformanceConfig: in.performance,
		ServiceTier:       in.tier,
	})
}

// events writes the events of one ConverseStream: messageStart, for each block
// contentBlockStart (tool calls only), contentBlockDelta and contentBlockStop,
// then messageStop and metadata.
//
// Text deltas, which are nearly all, use one set of structs over and over: Send
// has written an event when it returns.
type events struct {
	out   *bedrockruntime.ConverseStreamWriter
	index int
	kind  engine.DeltaKind
	live  bool // a block is open

	text      string
	textBody  bedrockruntime.ContentBlockDelta
	textEvent bedrockruntime.ContentBlockDeltaEvent
	event     bedrockruntime.ConverseStreamEvent
}

func newEvents(out *bedrockruntime.ConverseStreamWriter) *events {
	s := &events{out: out, index: -1}
	s.textBody.Text = &s.text
	s.textEvent.Delta = &s.textBody
	s.event.ContentBlockDelta = &s.textEvent
	return s
}

func (s *events) open() error {
	if err := s.out.Open(&bedrockruntime.ConverseStreamOutput{}); err != nil {
		return err
	}
	return s.out.Send(&bedrockruntime.ConverseStreamEvent{
		MessageStart: &bedrockruntime.MessageStartEvent{Role: bedrockruntime.ConversationRoleAssistant},
	})
}

// enter makes a block of the kind the open one.
func (s *events) enter(kind engine.DeltaKind) error {
	if s.live && s.kind == kind {
		return nil
	}
	if err := s.leave(); err != nil {
		return err
	}
	s.index++
	s.kind, s.live = kind, true
	return nil
}

func (s *events) leave() error {
	if !s.live {
		return nil
	}
	s.live = false
	return s.out.Send(&bedrockruntime.ConverseStreamEvent{
		ContentBlockStop: &bedrockruntime.ContentBlockStopEvent{ContentBlockIndex: s.index},
	})
}

func (s *events) delta(d engine.Delta) error {
	switch d.Kind {
	case engine.TextDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(engine.TextDelta); err != nil {
			return err
		}
		s.text, s.textEvent.ContentBlockIndex = d.Text, s.index
		return s.out.Send(&s.event)
	case engine.ReasoningDelta, engine.SignatureDelta:
		if d.Text == "" {
			return nil
		}
		if err := s.enter(engine.ReasoningDelta); err != nil {
			return err
		}
		r, text := &bedrockruntime.ReasoningContentBlockDelta{}, d.Text
		if d.Kind == engine.SignatureDelta {
			r.Signature = &text
		} else {
			r.Text = &text
		}
		return s.piece(&bedrockruntime.ContentBlockDelta{ReasoningContent: r})
	case engine.ToolStart:
		if err := s.leave(); err != nil { // two calls in a row are two blocks
			return err
		}
		if err := s.enter(engine.ToolStart); err != nil {
			return err
		}
		return s.out.Send(&bedrockruntime.ConverseStreamEvent{ContentBlockStart: &bedrockruntime.ContentBlockStartEvent{
			ContentBlockIndex: s.index,
			Start: &bedrockruntime.ContentBlockStart{ToolUse: &bedrockruntime.ToolUseBlockStart{
				Name: d.Tool.Name, ToolUseId: d.Tool.ID,
			}},
		}})
	case engine.ToolInput:
		return s.piece(&bedrockruntime.ContentBlockDelta{ToolUse: &bedrockruntime.ToolUseBlockDelta{Input: d.Text}})
	case engine.ToolEnd:
		return s.leave()
	}
	return nil
}

func (s *events) piece(d *bedrockruntime.ContentBlockDelta) error {
	return s.out.Send(&bedrockruntime.ConverseStreamEvent{ContentBlockDelta: &bedrockruntime.ContentBlockDeltaEvent{
		ContentBlockIndex: s.index, Delta: d,
	}})
}

func (s *events) stop(reason bedrockruntime.StopReason, fields json.RawMessage) error {
	if err := s.leave(); err != nil {
		return err
	}
	return s.out.Send(&bedrockruntime.ConverseStreamEvent{MessageStop: &bedrockruntime.MessageStopEvent{
		StopReason: reason, AdditionalModelResponseFields: fields,
	}})
}

func (s *events) metadata(m *bedrockruntime.ConverseStreamMetadataEvent) error {
	return s.out.Send(&bedrockruntime.ConverseStreamEvent{Metadata: m})
}
