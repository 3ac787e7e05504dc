package inference

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/gate"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	maxBody  = 25_000_000
	jsonType = "application/json"
	// promptWait bounds how long the first chunk waits for the prompt's count.
	promptWait = 2 * time.Second
)

// Headers of InvokeModel's answer that the service model does not name.
const (
	inputHeader      = "X-Amzn-Bedrock-Input-Token-Count"
	outputHeader     = "X-Amzn-Bedrock-Output-Token-Count"
	latencyHeader    = "X-Amzn-Bedrock-Invocation-Latency"
	cacheReadHeader  = "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"
	cacheWriteHeader = "X-Amzn-Bedrock-Cache-Write-Input-Token-Count"
)

// InvokeModel answers a body of the model's own format in that format.
func (rt *Runtime) InvokeModel(ctx context.Context, in *bedrockruntime.InvokeModelInput) (*bedrockruntime.InvokeModelOutput, error) {
	w, err := rt.begin(ctx, in.ModelId)
	if err != nil {
		return nil, err
	}
	body, err := w.invoke(ctx, in)
	w.finish()
	if err != nil {
		w.record(ctx, "InvokeModel", in.Body, nil, err)
		return nil, err
	}
	w.record(ctx, "InvokeModel", in.Body, body, nil)
	w.countHeaders()
	return &bedrockruntime.InvokeModelOutput{
		Body: body, ContentType: jsonType,
		PerformanceConfigLatency: in.PerformanceConfigLatency, ServiceTier: in.ServiceTier,
	}, nil
}

func (w *work) invoke(ctx context.Context, in *bedrockruntime.InvokeModelInput) ([]byte, error) {
	if err := checkEnvelope(in.GuardrailIdentifier, in.GuardrailVersion, in.ContentType, in.Accept); err != nil {
		return nil, err
	}
	c, err := w.decode(in.Body)
	if err != nil {
		return nil, err
	}
	out, err := w.run(ctx, c)
	if err != nil {
		return nil, err
	}
	w.metrics.Latency = time.Since(w.start)
	out.Metrics = w.metrics
	return w.codec.Encode(c, out)
}

// checkEnvelope checks what stands around a native body.
func checkEnvelope(guardrail, version, contentType, accept *string) error {
	if guardrail != nil || version != nil {
		return invalid("Guardrails are not built yet in Outcrop, so nothing was checked and nothing was invoked: leave guardrailIdentifier and guardrailVersion out.")
	}
	if t := mediaType(contentType); t != "" && t != jsonType && t != "application/octet-stream" && t != "*/*" && t != "application/*" {
		return invalid("The content type %q is not supported: send the body as %s.", t, jsonType)
	}
	if accept == nil || strings.TrimSpace(*accept) == "" {
		return nil
	}
	for one := range strings.SplitSeq(*accept, ",") {
		switch mediaType(&one) {
		case jsonType, "*/*", "application/*":
			return nil
		}
	}
	return invalid("The accept type %q is not supported: answers are %s.", *accept, jsonType)
}

// mediaType returns the type of a header in lower case, without parameters.
func mediaType(header *string) string {
	if header == nil {
		return ""
	}
	t, _, _ := strings.Cut(*header, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// decode checks a native body and makes a call of it.
func (w *work) decode(body []byte) (*family.Call, error) {
	if w.codec == nil {
		return nil, w.noCodec()
	}
	if len(body) > maxBody {
		return nil, invalid("1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to %d", maxBody)
	}
	c, err := w.codec.Decode(w.model, body)
	if err != nil {
		return nil, err
	}
	for _, r := range c.Generate {
		if err := w.checkVision(r); err != nil {
			return nil, err
		}
	}
	c.Answer = family.Answer{RequestID: w.call.RequestID, ID: w.rt.newID(24), Time: w.start}
	return c, nil
}

// toolPrefix is how tool calls of c are named.
func toolPrefix(c *family.Call) string {
	if c.ToolPrefix != "" {
		return c.ToolPrefix
	}
	return converseTool
}

// run gives a call to the engine and waits for the whole answer.
func (w *work) run(ctx context.Context, c *family.Call) (*family.Output, error) {
	out := &family.Output{}
	switch {
	case c.Embed != nil:
		return w.embed(ctx, c)
	case c.Rerank != nil:
		q := c.Rerank
		q.Model, q.AWSModel, q.Account = w.target.Local, w.target.BaseID, w.call.Account
		r, err := w.rt.engine.Rerank(ctx, q)
		if err != nil {
			return nil, fault(err, w.phase, w.target, w.codec)
		}
		out.Rerank = r
		w.metrics.InputTokens = r.Tokens
	case c.Paint != nil:
		q := c.Paint
		q.Model, q.AWSModel, q.Account = w.target.Local, w.target.BaseID, w.call.Account
		r, err := w.rt.engine.Paint(ctx, q)
		if err != nil {
			return nil, fault(err, w.phase, w.target, w.codec)
		}
		out.Paint = r
		w.images = len(r.Images)
	default:
		for _, r := range c.Generate {
			result, err := w.one(ctx, c, r, nil)
			if err != nil {
				return nil, err
			}
			out.Results = append(out.Results, result)
		}
	}
	return out, nil
}

// one runs one generation of a call.
func (w *work) one(ctx context.Context, c *family.Call, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	if c.NoOutput {
		return w.nothing(ctx, r)
	}
	// A prompt that is too long is told before anything is emitted, so that it can
	// be cut and sent again.
	t, ok := w.codec.(truncator)
	if !ok || t.Truncation(c) == "" {
		return w.generate(ctx, r, toolPrefix(c), emit)
	}
	result, err := w.generate(ctx, r, toolPrefix(c), emit)
	long, ok := errors.AsType[*engine.Error](err)
	if !ok || long.Kind != engine.TooLong {
		return result, err
	}
	cut, err := w.truncate(ctx, r, long, t.Truncation(c))
	if err != nil {
		return nil, err
	}
	return w.generate(ctx, cut, toolPrefix(c), emit)
}

// truncator is a codec whose body may ask for a prompt that is too long to be cut.
type truncator interface {
	// Truncation says at which end: START, END, or "" for an error instead.
	Truncation(c *family.Call) string
}

// truncate returns r with the text of its last message cut at one end by the
// tokens that are too many.
func (w *work) truncate(ctx context.Context, r *engine.Request, long *engine.Error, end string) (*engine.Request, error) {
	if long.Limit <= 0 || len(r.Messages) == 0 {
		return nil, fault(long, w.phase, w.target, w.codec)
	}
	last := &r.Messages[len(r.Messages)-1]
	text := strings.Builder{}
	for i := range last.Parts {
		if !last.Parts[i].IsText() {
			return nil, fault(long, w.phase, w.target, w.codec)
		}
		text.WriteString(last.Parts[i].Text)
	}
	tokens, err := w.rt.engine.Tokenize(ctx, w.target.Local, text.String())
	if err != nil {
		return nil, fault(err, w.phase, w.target, w.codec)
	}
	// What the template adds, and room for the answer.
	keep := long.Limit - max(0, long.Got-len(tokens)) - max(r.MaxTokens, 1)
	if keep <= 0 || keep >= len(tokens) {
		return nil, fault(long, w.phase, w.target, w.codec)
	}
	if end == "START" {
		tokens = tokens[len(tokens)-keep:]
	} else {
		tokens = tokens[:keep]
	}
	text.Reset()
	for i := range tokens {
		text.WriteString(tokens[i].Text)
	}
	cut := *r
	cut.Messages = append(slices.Clone(r.Messages[:len(r.Messages)-1]), engine.Message{Role: last.Role, Parts: []engine.Part{{Text: strings.ToValidUTF8(text.String(), "")}}})
	return &cut, nil
}

// countHeaders puts the counts of the body beside it, as the service does.
func (w *work) countHeaders() {
	m := &w.metrics
	w.call.SetHeader(inputHeader, strconv.Itoa(m.InputTokens))
	if w.target.Kind != engine.Embedding {
		w.call.SetHeader(outputHeader, strconv.Itoa(m.OutputTokens))
	}
	w.call.SetHeader(latencyHeader, strconv.FormatInt(family.Milliseconds(m.Latency), 10))
	if m.CacheRead > 0 || m.CacheWrite > 0 {
		w.call.SetHeader(cacheReadHeader, strconv.Itoa(m.CacheRead))
		w.call.SetHeader(cacheWriteHeader, strconv.Itoa(m.CacheWrite))
	}
}

// InvokeModelWithResponseStream answers a native body in chunks of its format,
// one or more for each piece of text as the model makes it.
func (rt *Runtime) InvokeModelWithResponseStream(ctx context.Context, in *bedrockruntime.InvokeModelWithResponseStreamInput, out *bedrockruntime.InvokeModelWithResponseStreamWriter) error {
	w, err := rt.begin(ctx, in.ModelId)
	if err != nil {
		return err
	}
	s := chunks{w: w, out: out, keep: rt.recorder != nil}
	s.event.Chunk = &s.part
	err = s.run(ctx, in)
	w.finish()
	w.record(ctx, "InvokeModelWithResponseStream", in.Body, s.kept, err)
	return err
}

// chunks is the stream of one InvokeModelWithResponseStream.
type chunks struct {
	w     *work
	out   *bedrockruntime.InvokeModelWithResponseStreamWriter
	part  bedrockruntime.PayloadPart
	event bedrockruntime.InvokeModelWithResponseStreamEvent // one for all: Send does not keep it
	keep  bool
	kept  [][]byte
}

func (s *chunks) send(chunk []byte) error {
	s.part.Bytes = chunk
	if s.keep {
		s.kept = append(s.kept, bytes.Clone(chunk))
	}
	return s.out.Send(&s.event)
}

func (s *chunks) run(ctx context.Context, in *bedrockruntime.InvokeModelWithResponseStreamInput) error {
	w := s.w
	if !w.target.Streaming || w.codec != nil && !w.codec.Streams(w.model) {
		return invalid("The model is unsupported for streaming.")
	}
	if err := checkEnvelope(in.GuardrailIdentifier, in.GuardrailVersion, in.ContentType, in.Accept); err != nil {
		return err
	}
	c, err := w.decode(in.Body)
	if err != nil {
		return err
	}
	encoder := w.codec.Stream(c)
	if encoder == nil || len(c.Generate) == 0 {
		return invalid("The model is unsupported for streaming.")
	}
	if c.CountPrompt {
		var stop func()
		c.Answer.Prompt, stop = w.countPrompt(ctx, c.Generate[0])
		defer stop()
	}

	head := gate.New(w.rt.openAfter, func() error {
		err := s.out.Open(&bedrockruntime.InvokeModelWithResponseStreamOutput{
			ContentType:              jsonType,
			PerformanceConfigLatency: in.PerformanceConfigLatency, ServiceTier: in.ServiceTier,
		})
		if err != nil {
			return err
		}
		return encoder.Start(s.send)
	})
	defer head.Close()
	for gen, r := range c.Generate {
		result, err := w.one(ctx, c, r, func(d engine.Delta) error {
			if err := head.Enter(); err != nil {
				return err
			}
			return encoder.Delta(gen, d, s.send)
		})
		if err != nil {
			return w.reface(err, head.Close(), invokeFrames)
		}
		if err := head.Enter(); err != nil {
			return err
		}
		if err := encoder.End(gen, result, s.send); err != nil {
			return err
		}
	}
	w.metrics.Latency = time.Since(w.start)
	w.metrics.FirstByte = w.first
	if w.first == 0 {
		w.metrics.FirstByte = w.metrics.Latency
	}
	return encoder.Finish(w.metrics, s.send)
}

// reface gives an engine's failure that came after the head was sent the
// exception that the stream knows.
func (w *work) reface(err error, opened bool, p phase) error {
	if !opened {
		return err
	}
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return fault(e, p, w.target, w.codec)
	}
	return err
}

// countPrompt counts the tokens of a prompt beside its generation. count waits
// for the number, though not for ever; stop ends the counting.
func (w *work) countPrompt(ctx context.Context, r *engine.Request) (count func() int, stop func()) {
	copied := *r
	copied.Model, copied.AWSModel, copied.Account, copied.Adapters = w.target.Local, w.target.BaseID, w.call.Account, w.target.Adapters
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	n := 0
	go func() {
		defer close(done)
		// A failure shows in the generation too; the stream then never says a count.
		n, _ = w.rt.engine.CountTokens(ctx, &copied)
	}()
	count = sync.OnceValue(func() int {
		timer := time.NewTimer(promptWait)
		defer timer.Stop()
		select {
		case <-done:
			return n
		case <-timer.C:
			return 0
		}
	})
	return count, func() {
		cancel()
		<-done
	}
}
