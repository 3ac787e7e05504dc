package command

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	defaultLimit = 20
	maxOutput    = 4096
	temperature  = 0.9
	topP         = 0.75
	bias         = 10 // largest either way
	none         = "NONE"
	all          = "ALL"
)

func sampling() []family.Field {
	return []family.Field{
		family.Optional("temperature", family.ANumber(0, 5)),
		family.Optional("p", family.ANumber(0, 1)),
		family.Optional("k", family.ANumber(0, 500)),
		family.Optional("max_tokens", family.AnInteger(1, maxOutput)),
		family.Optional("stop_sequences", family.AnArray(family.AString()).Size(0, 4)),
		family.Optional("logit_bias", family.AnObject().Open()),
	}
}

var (
	schema = family.AnObject(append([]family.Field{
		family.Required("prompt", family.AString()),
		family.Optional("return_likelihoods", family.AString().OneOf("GENERATION", all, none)),
		family.Optional("stream", family.ABoolean()),
		family.Optional("num_generations", family.AnInteger(1, 5)),
		family.Optional("truncate", family.AString().OneOf(none, "START", "END")),
	}, sampling()...)...)
	converseSchema = family.AnObject(sampling()...)
	biasSchema     = family.ANumber(-bias, bias)
)

// Codec serves Command. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "cohere-command" }

// Streams reports that Command streams.
func (Codec) Streams(family.Model) bool { return true }

// state is what an answer needs to know of its request.
type state struct {
	prompt      string
	likelihoods string // NONE, GENERATION or ALL
	stream      bool
	truncate    string
}

// Truncation says from which side a prompt that is too long is to be cut: START,
// END, or "" for an error. A codec counts no tokens, so the caller must do it.
func (Codec) Truncation(c *family.Call) string {
	if s, ok := c.State.(state); ok && s.truncate != none {
		return s.truncate
	}
	return ""
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
	s := state{
		prompt:      v.Get("prompt").Text(),
		likelihoods: cmp.Or(v.Get("return_likelihoods").Text(), none),
		stream:      v.Get("stream").Bool(),
		truncate:    cmp.Or(v.Get("truncate").Text(), "END"),
	}
	r := &engine.Request{Sampling: engine.Sampling{MaxTokens: defaultLimit, Temperature: new(temperature), TopP: new(topP)}}
	if err := sample(r, &v); err != nil {
		return nil, err
	}
	if s.likelihoods != none {
		r.TopLogprobs = 1
		r.EchoTokens = s.likelihoods == all
	}
	family.Plain(r, s.prompt)
	call := &family.Call{Model: m, State: s}
	for range v.Get("num_generations").IntOr(1) {
		call.Generate = append(call.Generate, new(*r))
	}
	return call, nil
}

// sample reads the members that bodies and Converse's additional fields share.
func sample(r *engine.Request, v *family.Value) error {
	r.MaxTokens = v.Get("max_tokens").IntOr(r.MaxTokens)
	if t := v.Get("temperature"); t.IsNumber() {
		r.Temperature = new(t.Float())
	}
	if p := v.Get("p"); p.IsNumber() {
		r.TopP = new(p.Float())
	}
	if *r.TopP == 0 { // off
		r.TopP = new(1.0)
	}
	if k := v.Get("k"); k.IsNumber() {
		if k.Kind != family.Integer {
			return family.Malformed(fmt.Sprintf("#/k: %s is not a multiple of 1", k.Raw))
		}
		r.TopK = new(k.Int())
	}
	if stops := v.Get("stop_sequences"); stops.Kind == family.Array {
		r.Stop = stops.Texts()
	}
	return biases(r, v.Get("logit_bias"))
}

// biases checks the biases. Command's keys are numbers of its own vocabulary,
// which no local model has: such a bias would fall on another token, so it is
// refused. Any other key is the text of a token.
func biases(r *engine.Request, v *family.Value) error {
	for _, name := range v.Names() {
		b := v.Get(name)
		if found := biasSchema.Violations(nil, "#/logit_bias/"+name, b); len(found) > 0 {
			return family.Malformed(found...)
		}
		if _, err := strconv.Atoi(name); err == nil {
			return apierr.New(apierr.Validation,
				"logit_bias names the token %s of Command's vocabulary, which the local model does not have: name the token by its text.", name)
		}
		if r.LogitBias == nil {
			r.LogitBias = map[string]float64{}
		}
		r.LogitBias[name] = b.Float()
	}
	return nil
}

// Converse fills the defaults and takes the extra fields.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	limit := cmp.Or(m.MaxOutput, maxOutput)
	r.MaxTokens = cmp.Or(r.MaxTokens, limit) // Converse has no default of 20
	if r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	if r.Temperature == nil {
		r.Temperature = new(temperature)
	}
	if r.TopP == nil {
		r.TopP = new(topP)
	}
	if len(r.Stop) > 4 {
		return family.Malformed(fmt.Sprintf("#/stop_sequences: expected maximum item count: 4, found: %d", len(r.Stop)))
	}
	return sample(r, &fields)
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(m family.Model, limit, got int) string {
	if limit = cmp.Or(limit, m.Context); limit > 0 && got > 0 {
		return fmt.Sprintf("too many tokens: total number of tokens in the prompt cannot exceed %d - received %d.", limit, got)
	}
	return "Input is too long for requested model."
}
