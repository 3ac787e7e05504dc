package command

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

func reason(r *engine.Result) string {
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		return "MAX_TOKENS"
	case engine.Filtered:
		return "ERROR_TOXIC"
	case engine.MalformedText, engine.MalformedTool:
		return "ERROR"
	default:
		return "COMPLETE"
	}
}

// id is the id of one generation, which follows from that of the answer.
func id(c *family.Call, gen int) string {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s/%s/%d", c.Answer.RequestID, c.Answer.ID, gen)
	b := h.Sum(nil)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // the form of a random UUID
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Encode writes the answer.
func (Codec) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	return append(appendAnswer(nil, c, out.Results), '}'), nil
}

// appendAnswer appends the answer without its last brace.
func appendAnswer(b []byte, c *family.Call, results []*engine.Result) []byte {
	s, _ := c.State.(state)
	b = append(b, `{"id":`...)
	b = family.AppendString(b, c.Answer.RequestID)
	b = append(b, `,"generations":[`...)
	for gen, r := range results {
		if gen > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = family.AppendString(b, id(c, gen))
		b = append(b, `,"text":`...)
		b = family.AppendString(b, r.Text())
		b = append(b, `,"finish_reason":"`...)
		b = append(b, reason(r)...)
		b = append(b, '"')
		if s.likelihoods == "GENERATION" || s.likelihoods == all {
			b = appendLikelihoods(b, s.likelihoods, r)
		}
		b = append(b, '}')
	}
	b = append(b, `],"prompt":`...)
	return family.AppendString(b, s.prompt)
}

// appendLikelihoods appends the likelihoods of a generation's tokens and their
// mean. Tokens of the prompt have one only when the engine told it.
func appendLikelihoods(b []byte, which string, r *engine.Result) []byte {
	var tokens []engine.Token
	if which == all {
		tokens = append(tokens, r.PromptTokens...)
	}
	tokens = append(tokens, r.Tokens...)
	told := func(i int) bool { return i >= len(tokens)-len(r.Tokens) || tokens[i].Logprob != 0 }
	var sum float64
	n := 0
	for i, t := range tokens {
		if told(i) {
			sum += finite(t.Logprob)
			n++
		}
	}
	if n > 0 {
		sum /= float64(n)
	}
	b = append(b, `,"likelihood":`...)
	b = strconv.AppendFloat(b, sum, 'g', -1, 64)
	b = append(b, `,"token_likelihoods":[`...)
	for i, t := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"token":`...)
		b = family.AppendString(b, t.Text)
		if told(i) {
			b = append(b, `,"likelihood":`...)
			b = strconv.AppendFloat(b, finite(t.Logprob), 'g', -1, 64)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// finite bounds what JSON has no word for.
func finite(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return max(-1e3, min(f, 0))
}

// Stream returns the encoder of chunks.
func (Codec) Stream(c *family.Call) family.StreamEncoder {
	s, _ := c.State.(state)
	return &stream{call: c, real: s.stream, many: len(c.Generate) > 1}
}

type stream struct {
	call    *family.Call
	real    bool // the body asked for it; else the answer is one chunk
	many    bool
	buf     []byte
	results []*engine.Result
}

func (s *stream) Start(family.Send) error { return nil }

func (s *stream) index(b []byte, gen int) []byte {
	if !s.many {
		return b
	}
	return family.AppendInt(append(b, `,"index":`...), gen)
}

func (s *stream) Delta(gen int, d engine.Delta, send family.Send) error {
	if !s.real || d.Kind != engine.TextDelta || d.Text == "" {
		return nil // this form has no place for reasoning or tools
	}
	b := append(s.buf[:0], `{"text":`...)
	b = family.AppendString(b, d.Text)
	b = append(b, `,"is_finished":false`...)
	s.buf = append(s.index(b, gen), '}')
	return send(s.buf)
}

// end appends the last chunk of a generation without its last brace.
func (s *stream) end(gen int) []byte {
	b := append(s.buf[:0], `{"is_finished":true,"finish_reason":"`...)
	b = append(b, reason(s.results[gen])...)
	b = append(b, '"')
	if st, _ := s.call.State.(state); st.likelihoods == "GENERATION" || st.likelihoods == all {
		b = appendLikelihoods(b, st.likelihoods, s.results[gen])
	}
	return s.index(b, gen)
}

func (s *stream) End(gen int, r *engine.Result, send family.Send) error {
	s.results = append(s.results, r)
	if !s.real || gen == len(s.call.Generate)-1 {
		return nil // the last one waits for the metrics
	}
	s.buf = append(s.end(gen), '}')
	return send(s.buf)
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	var b []byte
	if s.real {
		b = s.end(len(s.results) - 1)
	} else {
		b = appendAnswer(s.buf[:0], s.call, s.results)
	}
	b = append(b, ',')
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
