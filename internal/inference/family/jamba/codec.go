package jamba

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"
)

const (
	maxOutput  = 4096
	maxAnswers = 16
)

var dialect = &openaichat.Dialect{Key: "jamba", Temperature: 1, TopP: 1, MaxTokens: maxOutput, MaxOutput: maxOutput}

func optional(name string, s *family.Schema) family.Field { return family.Optional(name, s.OrNull()) }

func sampling() []family.Field {
	return []family.Field{
		optional("max_tokens", family.AnInteger(0, 1<<31)),
		optional("temperature", family.ANumber(0, 2)),
		optional("top_p", family.ANumber(0, 1)),
		optional("stop", family.Either(family.AnArray(family.AString()).Size(0, 16), family.AString())),
		optional("frequency_penalty", family.ANumber(-2, 2)),
		optional("presence_penalty", family.ANumber(-2, 2)),
		optional("seed", family.AnInteger(math.MinInt64, math.MaxInt64)),
	}
}

var (
	schema = family.AnObject(append([]family.Field{
		family.Required("messages", family.AnArray(family.AnObject(
			family.Required("role", family.AString().OneOf("system", "user", "assistant", "tool")),
			family.Optional("content", family.Either(family.AString(), family.AnArray(family.AnObject(family.Required("type", family.AString())).Open())).OrNull()),
			optional("tool_call_id", family.AString()),
			optional("tool_calls", family.AnArray(family.AnObject(
				family.Optional("id", family.AString()),
				optional("type", family.AString()),
				family.Required("function", family.AnObject(
					family.Required("name", family.AString()),
					family.Optional("arguments", family.Either(family.AString(), family.AnObject().Open())),
				)),
			))),
		)).Size(1, -1)),
		optional("model", family.AString()),
		optional("stream", family.ABoolean()),
		optional("n", family.AnInteger(1, maxAnswers)),
		optional("tools", family.AnArray(family.AnObject(
			family.Required("type", family.AString().OneOf("function")),
			family.Required("function", family.AnObject(
				family.Required("name", family.AString().Size(1, 256)),
				family.Optional("description", family.AString()),
				family.Optional("parameters", family.AnObject().Open()),
			)),
		))),
		optional("tool_choice", family.Either(family.AString(), family.AnObject().Open())),
		optional("response_format", family.AnObject(family.Required("type", family.AString().OneOf("text", "json_object")))),
		optional("documents", family.AnArray(family.AnObject(
			family.Required("content", family.AString()),
			optional("id", family.AString()),
			family.Optional("metadata", family.Either(family.AnArray(family.AnObject().Open()), family.AnObject().Open()).OrNull()),
		))),
	}, sampling()...)...)
	converseSchema = family.AnObject(sampling()...)
)

// Codec serves Jamba. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "jamba" }

// Streams reports that Jamba streams.
func (Codec) Streams(family.Model) bool { return true }

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	call, err := dialect.Decode(m, &v)
	if err != nil {
		return nil, err
	}
	r := call.Generate[0]
	addDocuments(r, v.Get("documents").Items())
	call.NoOutput = r.MaxTokens == 0
	for i := range v.Get("n").IntOr(1) - 1 {
		another := *r
		if r.Seed != nil { // else all answers were the same
			another.Seed = new(*r.Seed + int64(i) + 1)
		}
		call.Generate = append(call.Generate, &another)
	}
	call.State = nil
	return call, nil
}

// addDocuments puts documents before the text of the last question.
func addDocuments(r *engine.Request, documents []family.Value) {
	if len(documents) == 0 {
		return
	}
	var b strings.Builder
	for i := range documents {
		b.WriteString(family.Document(title(documents[i].Get("metadata")), "", documents[i].Get("content").Text()))
	}
	part := engine.Part{Text: b.String()}
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if m := &r.Messages[i]; m.Role == engine.User {
			m.Parts = append([]engine.Part{part}, m.Parts...)
			return
		}
	}
	r.Messages = append([]engine.Message{{Role: engine.User, Parts: []engine.Part{part}}}, r.Messages...)
}

// title finds a document's title in its metadata: an object, or pairs of key and value.
func title(metadata *family.Value) string {
	if metadata.Kind == family.Object {
		return metadata.Get("title").Text()
	}
	pairs := metadata.Items()
	for i := range pairs {
		if pairs[i].Get("key").Text() == "title" {
			return pairs[i].Get("value").Text()
		}
	}
	return ""
}

// Converse fills the defaults and takes the extra fields.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	return dialect.Converse(r, &fields, m)
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(m family.Model, limit, got int) string {
	if limit = cmp.Or(limit, m.Context); limit > 0 && got > 0 {
		return "Prompt has " + strconv.Itoa(got) + " tokens, but must have at most " + strconv.Itoa(limit) + " tokens."
	}
	return "Input is too long for requested model."
}

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

var suffix = regexp.MustCompile(`-v\d+(:\d+)?$`)

// modelName is how answers call the model: jamba-1.5-large.
func modelName(id string) string {
	return strings.Replace(suffix.ReplaceAllString(strings.TrimPrefix(id, "ai21."), ""), "jamba-1-5", "jamba-1.5", 1)
}

func head(b []byte, c *family.Call) []byte {
	b = append(b, `{"id":`...)
	b = family.AppendString(b, "chatcmpl-"+c.Answer.ID)
	return append(b, `,"choices":[{"index":`...)
}

func appendUsage(b []byte, in, out int) []byte {
	b = append(b, `"usage":{"prompt_tokens":`...)
	b = family.AppendInt(b, in)
	b = append(b, `,"completion_tokens":`...)
	b = family.AppendInt(b, out)
	b = append(b, `,"total_tokens":`...)
	b = family.AppendInt(b, in+out)
	return append(b, '}')
}

// appendCalls appends the calls of an answer, null when there are none.
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
		b = append(b, `{"id":`...)
		b = family.AppendString(b, c.ID)
		b = append(b, `,"type":"function","function":{"name":`...)
		b = family.AppendString(b, c.Name)
		b = append(b, `,"arguments":`...)
		b = family.AppendString(b, string(family.AppendRaw(nil, c.Arguments)))
		b = append(b, `}}`...)
	}
	if n == 0 {
		return append(b, "null"...)
	}
	return append(b, ']')
}

// Encode writes the answer. The counts of several answers are added, as they are
// in the headers.
func (Codec) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	b := append([]byte(nil), `{"id":`...)
	b = family.AppendString(b, "chatcmpl-"+c.Answer.ID)
	b = append(b, `,"choices":[`...)
	input, output := 0, 0
	for i, r := range out.Results {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = family.AppendInt(b, i)
		b = append(b, `,"message":{"role":"assistant","content":`...)
		b = family.AppendString(b, r.Text())
		b = append(b, `,"tool_calls":`...)
		b = appendCalls(b, r)
		b = append(b, `},"finish_reason":"`...)
		b = append(b, reason(r)...)
		b = append(b, `"}`...)
		input += r.Usage.Input
		output += r.Usage.Output
	}
	b = append(b, `],`...)
	b = appendUsage(b, input, output)
	b = append(b, `,"meta":{"requestDurationMillis":`...)
	b = strconv.AppendInt(b, family.Milliseconds(out.Metrics.Latency), 10)
	b = append(b, `},"model":`...)
	return append(family.AppendString(b, modelName(c.Model.ID)), '}'), nil
}

// Stream returns the encoder of chunks.
func (Codec) Stream(c *family.Call) family.StreamEncoder { return &stream{call: c} }

type stream struct {
	call    *family.Call
	buf     []byte
	begun   int // answers whose role was sent
	calls   int // tool calls begun in this answer
	results []*engine.Result
}

func (s *stream) chunk(gen int) []byte {
	b := family.AppendInt(head(s.buf[:0], s.call), gen)
	return append(b, `,"delta":{`...)
}

func (s *stream) end(b []byte, send family.Send) error {
	s.buf = append(b, `},"finish_reason":null}]}`...)
	return send(s.buf)
}

func (s *stream) begin(gen int, send family.Send) error {
	s.begun, s.calls = gen+1, 0
	return s.end(append(s.chunk(gen), `"role":"assistant","content":""`...), send)
}

func (s *stream) Start(send family.Send) error { return s.begin(0, send) }

func (s *stream) Delta(gen int, d engine.Delta, send family.Send) error {
	if gen >= s.begun {
		if err := s.begin(gen, send); err != nil {
			return err
		}
	}
	switch d.Kind {
	case engine.TextDelta:
		if d.Text == "" {
			return nil
		}
		b := append(s.chunk(gen), `"content":`...)
		return s.end(family.AppendString(b, d.Text), send)
	case engine.ToolStart:
		b := append(s.chunk(gen), `"tool_calls":[{"index":`...)
		b = family.AppendInt(b, s.calls)
		s.calls++
		b = append(b, `,"id":`...)
		b = family.AppendString(b, d.Tool.ID)
		b = append(b, `,"type":"function","function":{"name":`...)
		b = family.AppendString(b, d.Tool.Name)
		return s.end(append(b, `,"arguments":""}}]`...), send)
	case engine.ToolInput:
		b := append(s.chunk(gen), `"tool_calls":[{"index":`...)
		b = family.AppendInt(b, s.calls-1)
		b = append(b, `,"function":{"arguments":`...)
		b = family.AppendString(b, d.Text)
		return s.end(append(b, `}}]`...), send)
	default:
		return nil // this form has no place for reasoning, nor a mark for a call's end
	}
}

func (s *stream) last(gen int) []byte {
	b := append(s.chunk(gen), `},"finish_reason":"`...)
	b = append(b, reason(s.results[gen])...)
	return append(b, `"}]`...)
}

func (s *stream) End(gen int, r *engine.Result, send family.Send) error {
	if gen >= s.begun { // an answer without a word
		if err := s.begin(gen, send); err != nil {
			return err
		}
	}
	s.results = append(s.results, r)
	if gen == len(s.call.Generate)-1 {
		return nil // the last one waits for the metrics
	}
	s.buf = append(s.last(gen), '}')
	return send(s.buf)
}

func (s *stream) Finish(m family.Metrics, send family.Send) error {
	b := append(s.last(len(s.results)-1), ',')
	b = appendUsage(b, m.InputTokens, m.OutputTokens)
	b = append(b, ',')
	s.buf = append(family.AppendMetrics(b, m), '}')
	return send(s.buf)
}
