package wire

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Collector passes deltas on and keeps what they add up to.
type Collector struct {
	// Pass receives each delta; nil only collects.
	Pass func(engine.Delta) error
	// Begin is when the work began; First is when the first delta came.
	Begin time.Time
	First time.Duration
	Now   func() time.Time // default time.Now

	parts []engine.Part
	text  strings.Builder
	kind  engine.DeltaKind // of what text holds
	open  bool
	tool  *engine.ToolCall
	calls int
}

// Emit takes the next delta. Empty text is dropped.
func (c *Collector) Emit(d engine.Delta) error {
	if d.Text == "" && (d.Kind == engine.TextDelta || d.Kind == engine.ReasoningDelta || d.Kind == engine.ToolInput) {
		return nil
	}
	if c.First == 0 {
		now := time.Now
		if c.Now != nil {
			now = c.Now
		}
		c.First = max(1, now().Sub(c.Begin))
	}
	switch d.Kind {
	case engine.TextDelta, engine.ReasoningDelta:
		if !c.open || c.kind != d.Kind {
			c.flush()
			c.open, c.kind = true, d.Kind
		}
		c.text.WriteString(d.Text)
	case engine.SignatureDelta:
		c.flush()
		if n := len(c.parts); n > 0 && c.parts[n-1].Reasoning != nil {
			c.parts[n-1].Reasoning.Signature += d.Text
		}
	case engine.ToolStart:
		c.flush()
		c.tool = new(*d.Tool)
		c.calls++
	case engine.ToolInput:
		c.text.WriteString(d.Text)
	case engine.ToolEnd:
		c.endTool()
	}
	if c.Pass == nil {
		return nil
	}
	return c.Pass(d)
}

// Calls counts the tool calls so far.
func (c *Collector) Calls() int { return c.calls }

// Parts returns everything that was emitted.
func (c *Collector) Parts() []engine.Part {
	if c.tool != nil {
		c.endTool()
	}
	c.flush()
	return c.parts
}

func (c *Collector) flush() {
	if !c.open {
		return
	}
	p := engine.Part{}
	if c.kind == engine.ReasoningDelta {
		p.Reasoning = &engine.Reasoning{Text: c.text.String()}
	} else {
		p.Text = c.text.String()
	}
	c.parts = append(c.parts, p)
	c.text.Reset()
	c.open = false
}

func (c *Collector) endTool() {
	if c.tool == nil {
		return
	}
	args := c.text.String()
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	c.tool.Arguments = json.RawMessage(args)
	c.parts = append(c.parts, engine.Part{ToolCall: c.tool})
	c.text.Reset()
	c.tool = nil
}
