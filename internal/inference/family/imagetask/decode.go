package imagetask

import (
	"fmt"
	"image"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

// control is how closely an image is followed, and similarity how closely one is
// varied, when the body does not say.
const (
	control    = 0.7
	similarity = 0.7
)

// Decode reads a body.
func (c *Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := c.task.Check(&v); err != nil {
		return nil, err
	}
	task := v.Get("taskType").Text()
	if err := c.tasks[task].Check(&v); err != nil {
		return nil, err
	}
	d := c.dialect
	if d.NoEdits && m.Custom && (task == Inpainting || task == Outpainting) {
		return nil, apierr.New(apierr.Validation, "A custom model of this family does not support the task type %s.", task)
	}
	config := v.Get(configName)
	w, h := config.Get("width").IntOr(side), config.Get("height").IntOr(side)
	if wrong := d.Size(w, h); wrong != "" {
		return nil, family.Malformed(configAt + ": " + wrong)
	}
	b := &builder{
		d: d, at: "#/" + paramsOf[task], params: v.Get(paramsOf[task]),
		finish: picture.Finish{Width: w, Height: h},
		q: &engine.PaintRequest{
			Count:    config.Get("numberOfImages").IntOr(1),
			Guidance: *config.Get("cfgScale").FloatOr(d.Guidance),
			Seed:     d.Seed,
		},
	}
	if s := config.Get("seed"); s.IsNumber() {
		b.q.Seed = int64(s.Int())
	}
	b.q.Prompt, b.q.Negative = b.params.Get("text").Text(), b.params.Get("negativeText").Text()
	if err := b.build(task); err != nil {
		return nil, err
	}
	b.q.Width, b.q.Height = picture.Grid(b.finish.Width), picture.Grid(b.finish.Height)
	return &family.Call{Model: m, Paint: b.q, State: b.finish}, nil
}

// builder makes the request of one task.
type builder struct {
	d      *Dialect
	at     string
	params *family.Value
	q      *engine.PaintRequest
	finish picture.Finish
}

func (b *builder) build(task string) error {
	switch task {
	case TextImage:
		b.q.Task = engine.TextToImage
		b.q.Style = strings.ToLower(strings.ReplaceAll(b.params.Get("style").Text(), "_", " "))
		if !b.params.Has("conditionImage") {
			for _, name := range []string{"controlMode", "controlStrength"} {
				if b.params.Has(name) {
					return family.Malformed(b.at + ": " + name + " needs a conditionImage")
				}
			}
			return nil
		}
		b.q.Strength = 1 - *b.params.Get("controlStrength").FloatOr(control)
		_, err := b.image("conditionImage", b.d.Varied)
		return err
	case Inpainting:
		b.q.Task = engine.Inpaint
		return b.edit(true, true)
	case Outpainting:
		b.q.Task = engine.Outpaint
		return b.edit(false, b.params.Get("outPaintingMode").Text() == "PRECISE")
	case Variation:
		b.q.Task = engine.Vary
		b.q.Strength = b.d.Strength
		if b.d.Similarity {
			b.q.Strength = 1 - *b.params.Get("similarityStrength").FloatOr(similarity)
		}
		images := b.params.Get("images").Items()
		for i := range images {
			p, err := picture.Read(&images[i], fmt.Sprintf("%s/images/%d", b.at, i), b.d.Varied)
			if err != nil {
				return err
			}
			b.q.Images = append(b.q.Images, p.Blob)
		}
		return nil
	case ColorGuided:
		b.q.Task = engine.TextToImage
		b.q.Prompt += ", in the colors " + strings.Join(b.params.Get("colors").Texts(), ", ")
		if !b.params.Has("referenceImage") {
			return nil
		}
		b.q.Strength = 1 - control
		_, err := b.image("referenceImage", b.d.Varied)
		return err
	case BackgroundRemoval:
		b.q.Task = engine.RemoveBackdrop
		p, err := b.image("image", b.d.Varied)
		if err == nil {
			b.finish.Width, b.finish.Height = p.Width, p.Height
		}
		return err
	}
	return apierr.New(apierr.Validation, "The task type %s is not built in Outcrop.", task)
}

func (b *builder) image(name string, l picture.Limits) (*picture.Picture, error) {
	p, err := picture.Read(b.params.Get(name), b.at+"/"+name, l)
	if err != nil {
		return nil, err
	}
	b.q.Images = append(b.q.Images, p.Blob)
	return p, nil
}

// edit reads an image and what of it to repaint: where the mask is black when black
// is set, else where it is white. keep puts the rest back exactly.
func (b *builder) edit(black, keep bool) error {
	prompt, mask := b.params.Get("maskPrompt"), b.params.Get("maskImage")
	if (prompt.Kind == family.String) == (mask.Kind == family.String) {
		return family.Malformed(b.at + ": exactly one of [maskPrompt, maskImage] is required")
	}
	p, err := b.image("image", b.d.Edited)
	if err != nil {
		return err
	}
	b.finish.Width, b.finish.Height = p.Width, p.Height
	if prompt.Kind == family.String {
		b.q.MaskPrompt = prompt.Text()
		return nil
	}
	m, err := picture.Read(mask, b.at+"/maskImage", b.d.Edited)
	if err != nil {
		return err
	}
	if err := picture.CheckMask(m, p, b.at+"/maskImage"); err != nil {
		return err
	}
	repaint := picture.Inside(m.Image, black, true)
	blob, err := picture.Blob(repaint)
	if err != nil {
		return err
	}
	b.q.Mask = &blob
	if keep {
		b.keep(p.Image, repaint)
	}
	return nil
}

func (b *builder) keep(img image.Image, repaint *image.Gray) {
	b.finish.Kept, b.finish.Repaint = img, repaint
}

// Encode writes the answer.
func (c *Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	f := call.State.(picture.Finish)
	b := append([]byte(nil), `{"images":[`...)
	for i := range out.Paint.Images {
		data, err := f.Apply(out.Paint.Images[i].Data)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = picture.AppendBase64(b, data)
	}
	return append(b, `],"error":null}`...), nil
}
