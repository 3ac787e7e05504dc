package wire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Chunk is one event of a streamed chat completion; a whole completion has
// Message where chunks have Delta.
type Chunk struct {
	Choices []struct {
		Delta        ChunkDelta  `json:"delta"`
		Message      *ChunkDelta `json:"message"`
		FinishReason string      `json:"finish_reason"`
		Logprobs     *struct {
			Content []TokenProb `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
	Model   string          `json:"model"`
	Usage   *ChunkUsage     `json:"usage"`
	Timings *Timings        `json:"timings"`
	Error   json.RawMessage `json:"error"`
}

// ChunkDelta is what a chunk adds.
type ChunkDelta struct {
	Content          *string    `json:"content"`
	ReasoningContent string     `json:"reasoning_content"`
	Reasoning        string     `json:"reasoning"`
	Refusal          string     `json:"refusal"`
	ToolCalls        []ToolCall `json:"tool_calls"`
}

// ChunkUsage counts tokens.
type ChunkUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Details    *struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// Timings are llama.cpp's own counts, in each chunk when asked for.
type Timings struct {
	CacheN     int `json:"cache_n"`
	PromptN    int `json:"prompt_n"`
	PredictedN int `json:"predicted_n"`
}

// TokenProb is a token with its alternatives.
type TokenProb struct {
	ID      int         `json:"id"`
	Token   string      `json:"token"`
	Logprob float64     `json:"logprob"`
	Top     []TokenProb `json:"top_logprobs"`
}

// Neutral is the token in neutral form.
func (p TokenProb) Neutral() engine.Token {
	t := engine.Token{ID: p.ID, Text: p.Token, Logprob: p.Logprob}
	for _, a := range p.Top {
		t.Top = append(t.Top, engine.Token{ID: a.ID, Text: a.Token, Logprob: a.Logprob})
	}
	return t
}

// Chat turns the chunks of one answer into deltas.
type Chat struct {
	Emit  func(engine.Delta) error
	Stops *Stops

	runes   Runes
	calls   []*callState
	reason  string
	usage   *ChunkUsage
	timings *Timings
	Tokens  []engine.Token
}

type callState struct {
	index   int
	id      string
	name    string
	started bool
	ended   bool
	pending string // arguments that came before the name
}

// Add takes the next chunk. It returns ErrDone when a stop text was completed:
// the rest of the answer is not wanted.
func (c *Chat) Add(k *Chunk) error {
	if k.Usage != nil {
		c.usage = k.Usage
	}
	if k.Timings != nil {
		c.timings = k.Timings
	}
	for i := range k.Choices {
		ch := &k.Choices[i]
		d := &ch.Delta
		if ch.Message != nil {
			d = ch.Message
		}
		if ch.Logprobs != nil {
			for _, t := range ch.Logprobs.Content {
				c.Tokens = append(c.Tokens, t.Neutral())
			}
		}
		if r := d.ReasoningContent + d.Reasoning; r != "" {
			if err := c.Emit(engine.Delta{Kind: engine.ReasoningDelta, Text: strings.ToValidUTF8(r, "\uFFFD")}); err != nil {
				return err
			}
		}
		text := d.Refusal
		if d.Content != nil {
			text += *d.Content
		}
		if err := c.text(c.runes.Write(text)); err != nil {
			return err
		}
		for j := range d.ToolCalls {
			if err := c.tool(&d.ToolCalls[j], j, ch.Message != nil); err != nil {
				return err
			}
		}
		if ch.FinishReason != "" {
			c.reason = ch.FinishReason
		}
	}
	return nil
}

func (c *Chat) text(s string) error {
	if s == "" {
		return nil
	}
	if c.Stops != nil {
		s = c.Stops.Write(s)
	}
	if err := c.Emit(engine.Delta{Kind: engine.TextDelta, Text: s}); err != nil {
		return err
	}
	if c.Stops != nil && c.Stops.Hit != "" {
		return ErrDone
	}
	return nil
}

func (c *Chat) tool(t *ToolCall, position int, whole bool) error {
	index := position
	if t.Index != nil {
		index = *t.Index
	}
	var s *callState
	for _, x := range c.calls {
		if x.index == index && (t.ID == "" || x.id == "" || x.id == t.ID) {
			s = x
		}
	}
	if s == nil {
		// Some servers leave the index out and send each call whole.
		for _, x := range c.calls {
			if err := c.end(x); err != nil {
				return err
			}
		}
		if err := c.flushText(); err != nil {
			return err
		}
		s = &callState{index: index}
		c.calls = append(c.calls, s)
	}
	if t.ID != "" {
		s.id = t.ID
	}
	s.name += t.Function.Name
	if s.name == "" {
		s.pending += t.Function.Arguments
		return nil
	}
	if !s.started {
		s.started = true
		if s.id == "" {
			s.id = NewCallID()
		}
		if err := c.Emit(engine.Delta{Kind: engine.ToolStart, Tool: &engine.ToolCall{ID: s.id, Name: s.name}}); err != nil {
			return err
		}
	}
	args := s.pending + t.Function.Arguments
	s.pending = ""
	if err := c.Emit(engine.Delta{Kind: engine.ToolInput, Text: strings.ToValidUTF8(args, "\uFFFD")}); err != nil {
		return err
	}
	if whole {
		return c.end(s)
	}
	return nil
}

func (c *Chat) end(s *callState) error {
	if !s.started || s.ended {
		return nil
	}
	s.ended = true
	return c.Emit(engine.Delta{Kind: engine.ToolEnd})
}

func (c *Chat) flushText() error {
	s := c.runes.Flush()
	if c.Stops != nil {
		s = c.Stops.Write(s) + c.Stops.Flush()
	}
	return c.Emit(engine.Delta{Kind: engine.TextDelta, Text: s})
}

// Finished reports whether a finish reason has come.
func (c *Chat) Finished() bool { return c.reason != "" }

// Close emits what was held back and says why the answer ended. limit is the
// most tokens that were asked for, 0 for none: it tells a full context from a
// reached limit.
func (c *Chat) Close(limit int) (engine.StopReason, error) {
	if err := c.flushText(); err != nil {
		return "", err
	}
	for _, s := range c.calls {
		if err := c.end(s); err != nil {
			return "", err
		}
	}
	if c.Stops != nil && c.Stops.Hit != "" {
		return engine.StopSequence, nil
	}
	switch c.reason {
	case "length":
		if u := c.Usage(); limit == 0 || u.Output > 0 && u.Output < limit {
			return engine.ContextFull, nil
		}
		return engine.MaxTokens, nil
	case "content_filter":
		return engine.Filtered, nil
	}
	if len(c.calls) > 0 {
		return engine.ToolUse, nil
	}
	return engine.EndTurn, nil
}

// HasUsage reports whether the server told its counts.
func (c *Chat) HasUsage() bool { return c.usage != nil || c.timings != nil }

// Usage is what the server counted.
func (c *Chat) Usage() engine.Usage {
	var u engine.Usage
	if t := c.timings; t != nil {
		u = engine.Usage{Input: t.CacheN + t.PromptN, Output: t.PredictedN, CacheRead: t.CacheN, CacheWrite: t.PromptN}
	}
	if c.usage != nil {
		u.Input, u.Output = c.usage.Prompt, c.usage.Completion
		if c.usage.Details != nil && c.timings == nil {
			u.CacheRead = c.usage.Details.Cached
		}
		if c.timings != nil {
			u.CacheWrite = max(0, u.Input-u.CacheRead)
		}
	}
	return u
}

// ErrorText reads the message of an error object or string.
func ErrorText(raw json.RawMessage) string {
	var o struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &o) == nil && o.Message != "" {
		return o.Message
	}
	var s string
	if json.Unmarshal(raw, &s) == nil && s != "" {
		return s
	}
	return fmt.Sprintf("%.200s", raw)
}

// NewCallID makes an id for a tool call of a server that gives none.
func NewCallID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails
	return "call_" + hex.EncodeToString(b)
}
