package stabilityimage

import (
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	maxText    = 10_000
	maxSeed    = 4_294_967_295
	maxExtend  = 2000
	maxCanvas  = 4096 * 4096 // pixels of an extended image
	text2image = "text-to-image"
	image2     = "image-to-image"
)

// ratios are the sizes of the aspect ratios, about a megapixel each.
var ratios = map[string][2]int{
	"16:9": {1344, 768}, "1:1": {1024, 1024}, "21:9": {1536, 640}, "2:3": {832, 1216}, "3:2": {1216, 832},
	"4:5": {896, 1088}, "5:4": {1088, 896}, "9:16": {768, 1344}, "9:21": {640, 1536},
}

var styles = []string{
	"3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art", "isometric",
	"line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic", "pixel-art", "tile-texture",
}

// service is one model of the family.
type service struct {
	id     string // what ids of the model contain
	schema *family.Schema
	build  func(*builder) error // nil: not built
}

var (
	anImage   = family.AString().Size(1, -1)
	prompt    = family.Required("prompt", family.AString().Size(0, maxText))
	wish      = family.Optional("prompt", family.AString().Size(0, maxText))
	negative  = family.Optional("negative_prompt", family.AString().Size(0, maxText))
	seed      = family.Optional("seed", family.AnInteger(0, maxSeed))
	format    = family.Optional("output_format", family.AString().OneOf("jpeg", "png"))
	anyFormat = family.Optional("output_format", family.AString().OneOf("jpeg", "png", "webp"))
	ratio     = family.Optional("aspect_ratio", family.AString().OneOf("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"))
	preset    = family.Optional("style_preset", family.AString().OneOf(styles...))
	given     = family.Required("image", anImage)
	mask      = family.Optional("mask", anImage)
	grow      = family.Optional("grow_mask", family.AnInteger(0, 20))
	fraction  = func(name string) family.Field { return family.Optional(name, family.ANumber(0, 1)) }
	pixels    = func(name string) family.Field { return family.Optional(name, family.AnInteger(0, maxExtend)) }
)

func generator(image bool) *family.Schema {
	fields := []family.Field{prompt, negative, seed, format, ratio}
	if !image {
		return family.AnObject(append(fields, family.Optional("mode", family.AString().OneOf(text2image)))...)
	}
	return family.AnObject(append(fields, family.Optional("mode", family.AString().OneOf(text2image, image2)),
		family.Optional("image", anImage), fraction("strength"))...)
}

// services are told apart by the ids of their models; the first match counts.
var services = []service{
	{"sd3", generator(true), (*builder).generate},
	{"stable-image-core", generator(false), (*builder).generate},
	{"stable-image-ultra-v1:0", generator(false), (*builder).generate},
	{"stable-image-ultra", generator(true), (*builder).generate},
	{"image-inpaint", family.AnObject(prompt, given, mask, negative, grow, seed, anyFormat, preset), (*builder).inpaint},
	{"outpaint", family.AnObject(given, wish, pixels("left"), pixels("right"), pixels("up"), pixels("down"),
		family.Optional("creativity", family.ANumber(0.1, 1)), seed, anyFormat, preset), (*builder).outpaint},
	{"erase-object", family.AnObject(given, mask, grow, seed, anyFormat), (*builder).inpaint},
	{"remove-background", family.AnObject(given, family.Optional("output_format", family.AString().OneOf("png", "webp"))), (*builder).cut},
	{"search-replace", family.AnObject(prompt, given, family.Required("search_prompt", family.AString().Size(0, maxText)),
		negative, grow, seed, anyFormat, preset), (*builder).search},
	{"search-recolor", family.AnObject(prompt, given, family.Required("select_prompt", family.AString().Size(0, maxText)),
		negative, grow, seed, anyFormat, preset), (*builder).search},
	{"control-sketch", family.AnObject(prompt, given, fraction("control_strength"), negative, seed, anyFormat, preset), (*builder).control},
	{"control-structure", family.AnObject(prompt, given, fraction("control_strength"), negative, seed, anyFormat, preset), (*builder).control},
	{"style-guide", family.AnObject(prompt, given, ratio, fraction("fidelity"), negative, seed, anyFormat, preset), (*builder).guide},
	{"", family.AnObject().Open(), nil},
}

func serviceOf(m family.Model) *service {
	for i := range services {
		if strings.Contains(m.ID, services[i].id) {
			return &services[i]
		}
	}
	return nil // never: the last one matches all
}

// limits of images that are edited.
var limits = picture.Limits{
	Formats: []string{picture.PNG, picture.JPEG, picture.WebP}, MinSide: 64, MaxPixels: 9_437_184, MaxRatio: 2.5,
}

// builder makes the request of one body.
type builder struct {
	v      *family.Value
	q      *engine.PaintRequest
	finish picture.Finish
}

func (b *builder) image() (*picture.Picture, error) {
	p, err := picture.Read(b.v.Get("image"), "#/image", limits)
	if err != nil {
		return nil, err
	}
	b.q.Images = []engine.Blob{p.Blob}
	b.finish.Width, b.finish.Height = p.Width, p.Height
	return p, nil
}

func (b *builder) ratio() {
	size := ratios["1:1"]
	if r := b.v.Get("aspect_ratio"); r.Kind == family.String {
		size = ratios[r.Text()]
	}
	b.finish.Width, b.finish.Height = size[0], size[1]
}

func (b *builder) generate() error {
	b.q.Task = engine.TextToImage
	asked := b.v.Get("mode").Text()
	if asked != image2 && (asked == text2image || !b.v.Has("image")) {
		for _, name := range []string{"image", "strength"} {
			if b.v.Has(name) {
				return family.Malformed("#: extraneous key [" + name + "] is not permitted")
			}
		}
		b.ratio()
		return nil
	}
	if b.v.Has("aspect_ratio") {
		return family.Malformed("#: extraneous key [aspect_ratio] is not permitted")
	}
	if !b.v.Has("image") {
		return family.Malformed("#: required key [image] not found")
	}
	b.q.Task = engine.ImageToImage
	// Here strength is what the engine's is: 0 keeps the image.
	b.q.Strength = *b.v.Get("strength").FloatOr(0.35)
	_, err := b.image()
	return err
}

// inpaint repaints where the mask is white or, without one, where the image is
// transparent. Without a prompt that erases.
func (b *builder) inpaint() error {
	b.q.Task = engine.Inpaint
	p, err := b.image()
	if err != nil {
		return err
	}
	repaint := picture.Transparent(p.Image)
	if b.v.Has("mask") {
		m, err := picture.Read(b.v.Get("mask"), "#/mask", limits)
		if err != nil {
			return err
		}
		repaint = picture.Inside(m.Image, false, false)
	} else {
		blob, err := picture.Blob(picture.Opaque(p.Image))
		if err != nil {
			return err
		}
		b.q.Images = []engine.Blob{blob}
	}
	blob, err := picture.Blob(repaint)
	b.q.Mask = &blob
	return err
}

func (b *builder) outpaint() error {
	b.q.Task = engine.Outpaint
	p, err := b.image()
	if err != nil {
		return err
	}
	side := func(name string) int { return b.v.Get(name).IntOr(0) }
	left, right, up, down := side("left"), side("right"), side("up"), side("down")
	if left+right+up+down == 0 {
		return family.Malformed("#: at least one of [left, right, up, down] must be above 0")
	}
	if w, h := p.Width+left+right, p.Height+up+down; w*h > maxCanvas {
		return family.Malformed(fmt.Sprintf("#: the extended image of %dx%d pixels exceeds the maximum of %d pixels in all", w, h, maxCanvas))
	}
	canvas, repaint := picture.Extend(p.Image, left, right, up, down)
	image, err := picture.Blob(canvas)
	if err != nil {
		return err
	}
	blob, err := picture.Blob(repaint)
	b.q.Images, b.q.Mask = []engine.Blob{image}, &blob
	b.q.Strength = *b.v.Get("creativity").FloatOr(0.5)
	b.finish.Width, b.finish.Height = canvas.Rect.Dx(), canvas.Rect.Dy()
	return err
}

func (b *builder) cut() error {
	b.q.Task = engine.RemoveBackdrop
	_, err := b.image()
	return err
}

func (b *builder) search() error {
	b.q.Task = engine.Inpaint
	b.q.MaskPrompt = b.v.Get("search_prompt").Text() + b.v.Get("select_prompt").Text() // a body has one of them
	_, err := b.image()
	return err
}

func (b *builder) control() error {
	b.q.Task = engine.TextToImage
	b.q.Strength = 1 - *b.v.Get("control_strength").FloatOr(0.7)
	_, err := b.image()
	return err
}

func (b *builder) guide() error {
	b.q.Task = engine.Vary
	b.q.Strength = 1 - *b.v.Get("fidelity").FloatOr(0.5)
	if _, err := b.image(); err != nil {
		return err
	}
	b.ratio()
	return nil
}
