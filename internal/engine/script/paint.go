package script

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // read inputs
	"image/png"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // read inputs

	"github.com/outcrop-dev/outcrop/internal/engine"
)

const (
	defaultSide = 512
	largestSide = 4096
	mostImages  = 16
)

// Paint draws patterns of coloured squares that depend on the prompt and the
// seed. Given images are kept where the task keeps them.
func (e *Engine) Paint(ctx context.Context, req *engine.PaintRequest) (*engine.PaintResult, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	local, err := e.model(req.Model, ImageModel)
	if err != nil {
		return nil, err
	}
	var inputs []image.Image
	for i := range req.Images {
		img, err := readImage(&req.Images[i])
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, img)
	}
	var mask image.Image
	if req.Mask != nil {
		if mask, err = readImage(req.Mask); err != nil {
			return nil, err
		}
	}
	if len(inputs) == 0 && req.Task != engine.TextToImage && req.Task != "" {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: fmt.Sprintf("task %s needs an image", req.Task)}
	}
	w, h := req.Width, req.Height
	if len(inputs) > 0 && (w == 0 || h == 0) {
		w, h = inputs[0].Bounds().Dx(), inputs[0].Bounds().Dy()
	}
	if w == 0 {
		w = defaultSide
	}
	if h == 0 {
		h = defaultSide
	}
	count := max(req.Count, 1)
	if w < 1 || h < 1 || w > largestSide || h > largestSide || count > mostImages {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: fmt.Sprintf("%d images of %d × %d are out of range", count, w, h)}
	}
	res := &engine.PaintResult{Model: local}
	for i := range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seed := req.Seed + int64(i)
		img := e.draw(req, inputs, mask, w, h, seed)
		var buf bytes.Buffer
		enc := png.Encoder{CompressionLevel: png.BestSpeed}
		if err := enc.Encode(&buf, img); err != nil {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the image could not be encoded", Err: err}
		}
		res.Images = append(res.Images, engine.Blob{MediaType: "image/png", Data: buf.Bytes()})
		res.Seeds = append(res.Seeds, seed)
	}
	return res, nil
}

func readImage(b *engine.Blob) (image.Image, error) {
	bad := func(err error) error {
		return &engine.Error{Kind: engine.BadRequest, Message: "an image cannot be read; PNG, JPEG and WebP can", Err: err}
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(b.Data))
	if err != nil {
		return nil, bad(err)
	}
	if c.Width > largestSide || c.Height > largestSide {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: fmt.Sprintf("an image of %d × %d is too large", c.Width, c.Height)}
	}
	img, _, err := image.Decode(bytes.NewReader(b.Data))
	if err != nil {
		return nil, bad(err)
	}
	return img, nil
}

// draw makes one image of the task.
func (e *Engine) draw(req *engine.PaintRequest, inputs []image.Image, mask image.Image, w, h int, seed int64) image.Image {
	fresh := pattern(hash64(e.seed, req.Prompt, req.Negative, req.Style, fmt.Sprint(seed)), w, h)
	if len(inputs) == 0 {
		return fresh
	}
	given := scaled(inputs[0], w, h)
	switch req.Task {
	case engine.RemoveBackdrop:
		return withoutBackdrop(given)
	case engine.Inpaint, engine.Outpaint:
		repaint := rectangle(hash64(req.MaskPrompt), w, h)
		if mask != nil {
			repaint = threshold(scaled(mask, w, h))
		}
		draw.DrawMask(given, given.Bounds(), fresh, image.Point{}, repaint, image.Point{}, draw.Over)
		return given
	case engine.TextToImage: // the image conditions the drawing: a tint of it shows
		draw.DrawMask(fresh, fresh.Bounds(), given, image.Point{}, image.NewUniform(color.Alpha{A: 64}), image.Point{}, draw.Over)
		return fresh
	default: // a variation: the more strength, the less is left of what was given
	}
	strength := req.Strength
	if strength == 0 && req.Task == engine.Vary {
		strength = 0.5
	}
	alpha := uint8(min(max(strength, 0), 1) * 255)
	draw.DrawMask(given, given.Bounds(), fresh, image.Point{}, image.NewUniform(color.Alpha{A: alpha}), image.Point{}, draw.Over)
	return given
}

// pattern is eight by eight squares in colours that follow from the seed.
func pattern(seed uint64, w, h int) *image.NRGBA {
	const cells = 8
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	var colours [cells * cells]color.NRGBA
	for i := range colours {
		seed = seed*6364136223846793005 + 1442695040888963407
		colours[i] = color.NRGBA{R: uint8(seed >> 56), G: uint8(seed >> 48), B: uint8(seed >> 40), A: 255}
	}
	for i := range colours {
		x, y := i%cells, i/cells
		r := image.Rect(x*w/cells, y*h/cells, (x+1)*w/cells, (y+1)*h/cells)
		draw.Draw(img, r, image.NewUniform(colours[i]), image.Point{}, draw.Src)
	}
	return img
}

func scaled(src image.Image, w, h int) *image.NRGBA {
	dst := image.NewNRGBA(image.Rect(0, 0, w, h))
	if src.Bounds().Dx() == w && src.Bounds().Dy() == h {
		draw.Draw(dst, dst.Bounds(), src, src.Bounds().Min, draw.Src)
		return dst
	}
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
	return dst
}

// threshold turns a mask into what is repainted: its light parts.
func threshold(mask *image.NRGBA) *image.Alpha {
	out := image.NewAlpha(mask.Bounds())
	for y := range mask.Rect.Dy() {
		for x := range mask.Rect.Dx() {
			if color.GrayModel.Convert(mask.At(x, y)).(color.Gray).Y >= 128 {
				out.SetAlpha(x, y, color.Alpha{A: 255})
			}
		}
	}
	return out
}

// rectangle stands for what a mask prompt would find.
func rectangle(seed uint64, w, h int) *image.Alpha {
	out := image.NewAlpha(image.Rect(0, 0, w, h))
	x, y := int(seed%uint64(w))/2, int(seed>>32%uint64(h))/2
	draw.Draw(out, image.Rect(x, y, x+(w+1)/2, y+(h+1)/2), image.NewUniform(color.Alpha{A: 255}), image.Point{}, draw.Src)
	return out
}

// withoutBackdrop makes transparent what has nearly the colour of the upper left
// corner.
func withoutBackdrop(img *image.NRGBA) *image.NRGBA {
	if len(img.Pix) < 4 {
		return img
	}
	var back [3]int
	for k := range back {
		back[k] = int(img.Pix[k])
	}
	for i := 0; i+3 < len(img.Pix); i += 4 {
		near := true
		for k := range back {
			d := int(img.Pix[i+k]) - back[k]
			near = near && d*d < 24*24
		}
		if near {
			img.Pix[i+3] = 0
		}
	}
	return img
}
