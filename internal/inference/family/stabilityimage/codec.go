package stabilityimage

import (
	"math/rand/v2"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

// Codec serves the family.
type Codec struct {
	oneshot.Only
	// Random gives the seeds of requests that want any; nil draws them at random.
	// They lie from 1 to 4294967295.
	Random func() int64
}

var _ family.Codec = Codec{}

// New returns the codec of the family.
func New() Codec { return Codec{} }

// Name returns the family's key.
func (Codec) Name() string { return "stability-image" }

// Decode reads a body.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	s := serviceOf(m)
	if err := s.schema.Check(&v); err != nil {
		return nil, err
	}
	if s.build == nil {
		return nil, apierr.New(apierr.Validation, "The model %s is not built in Outcrop: no engine does what it does.", m.ID)
	}
	if v.Get("output_format").Text() == "webp" {
		return nil, apierr.New(apierr.Validation, "Answers as webp are not built in Outcrop: ask for the output_format png.")
	}
	b := &builder{v: &v, q: &engine.PaintRequest{
		Count: 1, Prompt: v.Get("prompt").Text(), Negative: v.Get("negative_prompt").Text(),
		Style: v.Get("style_preset").Text(), Seed: int64(v.Get("seed").IntOr(0)),
	}}
	if b.q.Seed == 0 {
		if c.Random != nil {
			b.q.Seed = c.Random()
		} else {
			b.q.Seed = 1 + rand.Int64N(maxSeed)
		}
	}
	if v.Get("output_format").Text() == "jpeg" {
		b.finish.Format = picture.JPEG
	}
	if err := s.build(b); err != nil {
		return nil, err
	}
	b.q.Width, b.q.Height = picture.Grid(b.finish.Width), picture.Grid(b.finish.Height)
	return &family.Call{Model: m, Paint: b.q, State: b.finish}, nil
}

// Encode writes the answer.
func (Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	f := call.State.(picture.Finish)
	seeds, reasons, images := []byte(`{"seeds":[`), []byte(`],"finish_reasons":[`), []byte(`],"images":[`)
	for i := range out.Paint.Images {
		data, err := f.Apply(out.Paint.Images[i].Data)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			seeds, reasons, images = append(seeds, ','), append(reasons, ','), append(images, ',')
		}
		seed := call.Paint.Seed
		if i < len(out.Paint.Seeds) {
			seed = out.Paint.Seeds[i]
		}
		seeds = strconv.AppendInt(seeds, seed, 10)
		reasons = append(reasons, "null"...)
		images = picture.AppendBase64(images, data)
	}
	b := append(append(seeds, reasons...), images...)
	return append(b, `]}`...), nil
}
