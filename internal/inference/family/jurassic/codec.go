package jurassic

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	defaultLimit = 200
	maxOutput    = 8191 // of mid, ultra and large
	smallOutput  = 2048 // of the others
	sampled      = 0.5  // default of temperature and topP
	answerID     = 1234 // the number that every answer of the service has
	maxPenalty   = 2    // most that engines take
)

// penalty is one of the three. The five classes of tokens are checked; engines have
// no place for them, so a penalty falls on all tokens.
func penalty(name string, most float64) family.Field {
	return family.Optional(name, family.AnObject(
		family.Optional("scale", family.ANumber(0, most)),
		family.Optional("applyToWhitespaces", family.ABoolean()),
		family.Optional("applyToPunctuations", family.ABoolean()),
		family.Optional("applyToNumbers", family.ABoolean()),
		family.Optional("applyToStopwords", family.ABoolean()),
		family.Optional("applyToEmojis", family.ABoolean()),
	))
}

var penalties = []family.Field{
	penalty("presencePenalty", 5), penalty("countPenalty", 1), penalty("frequencyPenalty", 500),
}

var (
	schema = family.AnObject(append([]family.Field{
		family.Required("prompt", family.AString()),
		family.Optional("temperature", family.ANumber(0, 1)),
		family.Optional("topP", family.ANumber(0, 1)),
		family.Optional("maxTokens", family.AnInteger(0, 1<<31)),
		family.Optional("stopSequences", family.AnArray(family.AString()).Size(0, 16)),
		family.Optional("numResults", family.AnInteger(1, 1)),
	}, penalties...)...)
	converseSchema = family.AnObject(penalties...)
)

// Codec serves Jurassic-2. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "jurassic2" }

// Streams reports that Jurassic-2 does not stream.
func (Codec) Streams(family.Model) bool { return false }

// Stream returns nil.
func (Codec) Stream(*family.Call) family.StreamEncoder { return nil }

// large models give more; the names of 2022 call them grande and jumbo.
func limitOf(m family.Model) int {
	for _, name := range []string{"mid", "ultra", "large", "grande", "jumbo"} {
		if strings.Contains(m.ID, name) {
			return maxOutput
		}
	}
	if strings.Contains(m.ID, "j2-") {
		return smallOutput
	}
	return maxOutput
}

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	limit := v.Get("maxTokens")
	if err := family.AtMost("#/maxTokens", limit, limitOf(m)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.IntOr(defaultLimit),
		Temperature: v.Get("temperature").FloatOr(sampled),
		TopP:        v.Get("topP").FloatOr(sampled),
		Stop:        v.Get("stopSequences").Texts(),
	}}
	r.TopLogprobs = 1 // Jurassic answers its tokens
	punish(r, &v)
	prompt := v.Get("prompt").Text()
	family.Plain(r, prompt)
	return &family.Call{Model: m, Generate: []*engine.Request{r}, NoOutput: r.MaxTokens == 0, State: prompt}, nil
}

// punish translates the penalties. The count penalty is what engines call the
// frequency penalty; Jurassic's frequency penalty divides by the length of the text,
// for which the longest answer stands.
func punish(r *engine.Request, v *family.Value) {
	if s := v.Get("presencePenalty").Get("scale"); s.IsNumber() && s.Float() > 0 {
		r.PresencePenalty = new(min(maxPenalty, s.Float()))
	}
	repeat := v.Get("countPenalty").Get("scale").Float()
	repeat += v.Get("frequencyPenalty").Get("scale").Float() / float64(max(1, r.MaxTokens))
	if repeat > 0 {
		r.FrequencyPenalty = new(min(maxPenalty, repeat))
	}
}

// Converse fills the defaults and takes the penalties.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	if len(r.Tools) > 0 {
		return family.NoField("toolConfig")
	}
	r.MaxTokens = cmp.Or(r.MaxTokens, defaultLimit)
	if limit := limitOf(m); r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(sampled)
	}
	if r.TopP == nil {
		r.TopP = new(sampled)
	}
	punish(r, &fields)
	return nil
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(m family.Model, limit, got int) string {
	if limit = cmp.Or(limit, m.Context); limit > 0 && got > 0 {
		return fmt.Sprintf("Prompt has %d tokens, but must have at most %d tokens.", got, limit)
	}
	return "Input is too long for requested model."
}

// Encode writes the answer. The tokens are there when the engine told them.
func (Codec) Encode(c *family.Call, out *family.Output) ([]byte, error) {
	r := out.Results[0]
	prompt, _ := c.State.(string)
	b := append([]byte(nil), `{"id":`...)
	b = family.AppendInt(b, answerID)
	b = append(b, `,"prompt":{"text":`...)
	b = family.AppendString(b, prompt)
	b = appendTokens(b, r.PromptTokens)
	b = append(b, `},"completions":[{"data":{"text":`...)
	b = family.AppendString(b, r.Text())
	b = appendTokens(b, r.Tokens)
	b = append(b, `},"finishReason":{"reason":`...)
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		b = append(b, `"length","length":`...)
		b = family.AppendInt(b, r.Usage.Output)
	case engine.StopSequence:
		b = append(b, `"stop","sequence":`...)
		b = family.AppendString(b, r.StopText)
	default:
		b = append(b, `"endoftext"`...)
	}
	return append(b, `}}]}`...), nil
}

// spelling is how Jurassic writes tokens.
var spelling = strings.NewReplacer(" ", "▁", "\n", "<|newline|>")

func appendTokens(b []byte, tokens []engine.Token) []byte {
	b = append(b, `,"tokens":[`...)
	at := 0
	for i, t := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"generatedToken":{"token":`...)
		b = family.AppendString(b, spelling.Replace(t.Text))
		logprob := t.Logprob
		if math.IsNaN(logprob) || math.IsInf(logprob, 0) { // JSON has no word for these
			logprob = -1e3
		}
		b = append(b, `,"logprob":`...)
		b = strconv.AppendFloat(b, logprob, 'g', -1, 64)
		b = append(b, `,"raw_logprob":`...)
		b = strconv.AppendFloat(b, logprob, 'g', -1, 64)
		b = append(b, `},"topTokens":null,"textRange":{"start":`...)
		b = family.AppendInt(b, at)
		at += utf8.RuneCountInString(t.Text)
		b = append(b, `,"end":`...)
		b = family.AppendInt(b, at)
		b = append(b, `}}`...)
	}
	return append(b, ']')
}
