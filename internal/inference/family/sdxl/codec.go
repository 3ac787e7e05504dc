package sdxl

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	side        = 1024 // default of width and height
	maxSeed     = math.MaxUint32
	maxText     = 2000
	steps       = 30
	strength    = 0.35 // default of image_strength
	schedule    = 0.65 // default of step_schedule_start
	fileSize    = 5 << 20
	maxSide     = 4096
	maskWhite   = "MASK_IMAGE_WHITE"
	maskBlack   = "MASK_IMAGE_BLACK"
	alphaMask   = "INIT_IMAGE_ALPHA"
	byStrength  = "IMAGE_STRENGTH"
	bySchedule  = "STEP_SCHEDULE"
	guidanceOld = 10
	guidance    = 7
	grid        = 64 // sides of 0.8 are multiples of it
)

var sizes = [][2]int{
	{1024, 1024}, {1152, 896}, {1216, 832}, {1344, 768}, {1536, 640}, {640, 1536}, {768, 1344}, {832, 1216}, {896, 1152},
}

// styles are the values of style_preset; the service has changed them before.
var styles = []string{
	"3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art", "isometric",
	"line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic", "pixel-art", "tile-texture",
}

// mode is what a body asks for.
type mode int

const (
	textMode mode = iota
	imageMode
	maskMode
)

func build(old bool, m mode) *family.Schema {
	most, longest := 35.0, 50.0
	if old {
		most, longest = 30, 150
	}
	fields := []family.Field{
		family.Required("text_prompts", family.AnArray(family.AnObject(
			family.Required("text", family.AString().Size(0, maxText)),
			family.Optional("weight", family.ANumber(math.Inf(-1), math.Inf(1))),
		)).Size(1, -1)),
		family.Optional("cfg_scale", family.ANumber(0, most)),
		family.Optional("clip_guidance_preset", family.AString().OneOf("FAST_BLUE", "FAST_GREEN", "NONE", "SIMPLE", "SLOW", "SLOWER", "SLOWEST")),
		family.Optional("sampler", family.AString().OneOf("DDIM", "DDPM", "K_DPMPP_2M", "K_DPMPP_2S_ANCESTRAL", "K_DPM_2",
			"K_DPM_2_ANCESTRAL", "K_EULER", "K_EULER_ANCESTRAL", "K_HEUN", "K_LMS")),
		family.Optional("samples", family.AnInteger(1, 1)),
		family.Optional("seed", family.AnInteger(0, maxSeed)),
		family.Optional("steps", family.AnInteger(10, longest)),
		family.Optional("style_preset", family.AString().OneOf(styles...)),
		family.Optional("extras", family.AnObject().Open()),
	}
	picture := family.AString().Size(1, -1)
	switch m {
	case textMode:
		fields = append(fields,
			family.Optional("height", family.AnInteger(1, 1<<31)),
			family.Optional("width", family.AnInteger(1, 1<<31)))
	case imageMode:
		fields = append(fields,
			family.Required("init_image", picture),
			family.Optional("init_image_mode", family.AString().OneOf(byStrength, bySchedule)),
			family.Optional("image_strength", family.ANumber(0, 1)),
			family.Optional("step_schedule_start", family.ANumber(0, 1)),
			family.Optional("step_schedule_end", family.ANumber(0, 1)))
	case maskMode:
		fields = append(fields,
			family.Required("init_image", picture),
			family.Required("mask_source", family.AString().OneOf(maskWhite, maskBlack, alphaMask)),
			family.Optional("mask_image", picture))
	}
	return family.AnObject(fields...)
}

var schemas = map[bool][3]*family.Schema{
	false: {build(false, textMode), build(false, imageMode), build(false, maskMode)},
	true:  {build(true, textMode), build(true, imageMode), build(true, maskMode)},
}

// Codec serves SDXL.
type Codec struct {
	oneshot.Only
	// Random gives the seeds of requests that want any; nil draws them at random.
	// They lie from 1 to 4294967295.
	Random func() int64
}

var _ family.Codec = Codec{}

// New returns the codec of SDXL.
func New() Codec { return Codec{} }

// Name returns the family's key.
func (Codec) Name() string { return "sdxl" }

func (c Codec) seed(asked int) int64 {
	switch {
	case asked != 0:
		return int64(asked)
	case c.Random != nil:
		return c.Random()
	}
	return 1 + rand.Int64N(maxSeed)
}

// Decode reads a body.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	kind := textMode
	switch {
	case v.Has("mask_source") || v.Has("mask_image"):
		kind = maskMode
	case v.Has("init_image"):
		kind = imageMode
	}
	old := !strings.Contains(m.ID, "diffusion-xl-v1")
	if err := schemas[old][kind].Check(&v); err != nil {
		return nil, err
	}
	scale := float64(guidance)
	if old {
		scale = guidanceOld
	}
	q := &engine.PaintRequest{
		Count: 1, Steps: v.Get("steps").IntOr(steps), Guidance: *v.Get("cfg_scale").FloatOr(scale),
		Seed: c.seed(v.Get("seed").IntOr(0)), Style: v.Get("style_preset").Text(),
	}
	prompts(q, v.Get("text_prompts").Items())
	var f picture.Finish
	switch kind {
	case textMode:
		q.Task = engine.TextToImage
		f.Width, f.Height = v.Get("width").IntOr(side), v.Get("height").IntOr(side)
		if err := checkSize(old, f.Width, f.Height); err != nil {
			return nil, err
		}
	case imageMode:
		err = fromImage(q, &f, &v, old)
	case maskMode:
		err = masked(q, &f, &v, old)
	}
	if err != nil {
		return nil, err
	}
	q.Width, q.Height = picture.Grid(f.Width), picture.Grid(f.Height)
	return &family.Call{Model: m, Paint: q, State: f}, nil
}

// prompts sorts the prompts: those with a weight below zero say what to avoid.
func prompts(q *engine.PaintRequest, items []family.Value) {
	var wanted, unwanted []string
	for i := range items {
		text := items[i].Get("text").Text()
		switch w := items[i].Get("weight"); {
		case text == "":
		case w.IsNumber() && w.Float() < 0:
			unwanted = append(unwanted, text)
		case !w.IsNumber() || w.Float() > 0:
			wanted = append(wanted, text)
		}
	}
	q.Prompt, q.Negative = strings.Join(wanted, ", "), strings.Join(unwanted, ", ")
}

// checkSize wants one of the nine sizes of 1.0; 0.8 took multiples of 64 that hold
// no more pixels than its own.
func checkSize(old bool, w, h int) error {
	if slices.Contains(sizes, [2]int{w, h}) {
		return nil
	}
	if old {
		if w%grid == 0 && h%grid == 0 && w >= 512 && h >= 512 && w <= 2048 && h <= 2048 && w*h <= side*side {
			return nil
		}
		return family.Malformed(fmt.Sprintf("#: width %d and height %d are not a supported image size", w, h))
	}
	var names []string
	for _, s := range sizes {
		names = append(names, fmt.Sprintf("%dx%d", s[0], s[1]))
	}
	return family.Malformed(fmt.Sprintf("#: for stable-diffusion-xl-1024-v1-0 the allowed dimensions are %s, but we received %dx%d",
		strings.Join(names, ", "), w, h))
}

func start(f *picture.Finish, v *family.Value, old bool) (*picture.Picture, error) {
	p, err := picture.Read(v.Get("init_image"), "#/init_image", picture.Limits{
		MaxBytes: fileSize, MaxSide: maxSide, Formats: []string{picture.PNG, picture.JPEG, picture.WebP},
	})
	if err != nil {
		return nil, err
	}
	if !old {
		if err := checkSize(old, p.Width, p.Height); err != nil {
			return nil, err
		}
	}
	f.Width, f.Height = p.Width, p.Height
	return p, nil
}

func fromImage(q *engine.PaintRequest, f *picture.Finish, v *family.Value, old bool) error {
	p, err := start(f, v, old)
	if err != nil {
		return err
	}
	q.Task, q.Images = engine.ImageToImage, []engine.Blob{p.Blob}
	q.Strength = 1 - *v.Get("image_strength").FloatOr(strength)
	if v.Get("init_image_mode").Text() == bySchedule {
		// The schedule's start says how much of the way is left to go.
		from, to := *v.Get("step_schedule_start").FloatOr(schedule), v.Get("step_schedule_end").Float()
		if from < to {
			return family.Malformed("#/step_schedule_end: must not be above step_schedule_start")
		}
		q.Strength = from
	}
	return nil
}

func masked(q *engine.PaintRequest, f *picture.Finish, v *family.Value, old bool) error {
	p, err := start(f, v, old)
	if err != nil {
		return err
	}
	q.Task = engine.Inpaint
	source := v.Get("mask_source").Text()
	var repaint *image.Gray
	if source == alphaMask {
		repaint = picture.Transparent(p.Image)
		blob, err := picture.Blob(picture.Opaque(p.Image))
		if err != nil {
			return err
		}
		q.Images = []engine.Blob{blob}
	} else {
		if !v.Has("mask_image") {
			return family.Malformed("#: required key [mask_image] not found")
		}
		m, err := picture.Read(v.Get("mask_image"), "#/mask_image", picture.Limits{
			MaxBytes: fileSize, MaxSide: maxSide, Formats: []string{picture.PNG, picture.JPEG, picture.WebP},
		})
		if err != nil {
			return err
		}
		if m.Width != p.Width || m.Height != p.Height {
			return family.Malformed(fmt.Sprintf("#/mask_image: the mask is %dx%d pixels, but the image is %dx%d", m.Width, m.Height, p.Width, p.Height))
		}
		repaint = picture.Inside(m.Image, source == maskBlack, false)
		q.Images = []engine.Blob{p.Blob}
	}
	mask, err := picture.Blob(repaint)
	if err != nil {
		return err
	}
	q.Mask = &mask
	f.Kept, f.Repaint = picture.Opaque(p.Image), repaint
	return nil
}

// Encode writes the answer.
func (Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	f := call.State.(picture.Finish)
	b := append([]byte(nil), `{"result":"success","artifacts":[`...)
	for i := range out.Paint.Images {
		data, err := f.Apply(out.Paint.Images[i].Data)
		if err != nil {
			return nil, err
		}
		seed := call.Paint.Seed
		if i < len(out.Paint.Seeds) {
			seed = out.Paint.Seeds[i]
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"seed":`...)
		b = strconv.AppendInt(b, seed, 10)
		b = append(b, `,"base64":`...)
		b = picture.AppendBase64(b, data)
		b = append(b, `,"finishReason":"SUCCESS"}`...)
	}
	return append(b, `]}`...), nil
}
