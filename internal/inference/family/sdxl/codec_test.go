package sdxl

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture/picturetest"
)

var (
	one  = family.Model{ID: "stability.stable-diffusion-xl-v1"}
	zero = family.Model{ID: "stability.stable-diffusion-xl-v0"}
	old  = family.Model{ID: "stability.stable-diffusion-xl"}
)

func painter(t testing.TB) func(*engine.PaintRequest) (*engine.PaintResult, error) {
	t.Helper()
	e, err := script.New(script.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(q *engine.PaintRequest) (*engine.PaintResult, error) { return e.Paint(t.Context(), q) }
}

func body(rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return `{"text_prompts":[{"text":"obsidian"}]` + rest + `}`
}

// The bounds differ between 0.8 and 1.0; the nine sizes pass.
func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	small := picturetest.PNG(t, picturetest.Photo(64, 64))
	sides := func(got string) string {
		return "#: for stable-diffusion-xl-1024-v1-0 the allowed dimensions are 1024x1024, 1152x896, 1216x832, 1344x768, 1536x640, 640x1536, 768x1344, 832x1216, 896x1152, but we received " + got
	}
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("another family's body", one, `{"prompt":"x"}`, m("#: required key [text_prompts] not found", "#: extraneous key [prompt] is not permitted")),
		familytest.No("no prompts", one, `{"text_prompts":[]}`, m("#/text_prompts: expected minimum item count: 1, found: 0")),
		familytest.No("long prompt", one, `{"text_prompts":[{"text":"`+strings.Repeat("é", 2001)+`"}]}`, m("#/text_prompts/0/text: expected maxLength: 2000, actual: 2001")),
		familytest.No("size", one, body(`"width":512,"height":512`), m(sides("512x512"))),
		familytest.No("samples", one, body(`"samples":2`), m("#/samples: 2 is not less or equal to 1")),
		familytest.No("steps", one, body(`"steps":51`), m("#/steps: 51 is not less or equal to 50")),
		familytest.No("few steps", one, body(`"steps":9`), m("#/steps: 9 is not greater or equal to 10")),
		familytest.No("guidance", one, body(`"cfg_scale":36`), m("#/cfg_scale: 36 is not less or equal to 35")),
		familytest.No("guidance of 0.8", zero, body(`"cfg_scale":31`), m("#/cfg_scale: 31 is not less or equal to 30")),
		familytest.No("steps of 0.8", zero, body(`"steps":151`), m("#/steps: 151 is not less or equal to 150")),
		familytest.No("seed", one, body(`"seed":4294967296`), m("#/seed: 4294967296 is not less or equal to 4294967295")),
		familytest.No("sampler", one, body(`"sampler":"K_DPM2"`), m("#/sampler: K_DPM2 is not a valid enum value")),
		familytest.No("style", one, body(`"style_preset":"baroque"`), m("#/style_preset: baroque is not a valid enum value")),
		familytest.No("preset", one, body(`"clip_guidance_preset":"SIMPLE SLOW"`), m("#/clip_guidance_preset: SIMPLE SLOW is not a valid enum value")),
		familytest.No("width beside an image", one, body(`"init_image":"x","width":1024`), m("#: extraneous key [width] is not permitted")),
		familytest.No("image size", one, body(`"init_image":"`+small+`"`), m(sides("64x64"))),
		familytest.No("no image", one, body(`"init_image":"aGk="`), m("#/init_image: not an image of the formats image/png, image/jpeg, image/webp")),
		familytest.No("strength", one, body(`"init_image":"`+small+`","image_strength":1.1`), m("#/image_strength: 1.1 is not less or equal to 1")),
		familytest.No("mask without an image", one, body(`"mask_image":"x"`), m("#: required key [init_image] not found", "#: required key [mask_source] not found")),
		familytest.No("strength beside a mask", zero, body(`"init_image":"`+small+`","mask_source":"MASK_IMAGE_WHITE","mask_image":"`+small+`","image_strength":0.5`), m("#: extraneous key [image_strength] is not permitted")),
		familytest.No("source without a mask", zero, body(`"init_image":"`+small+`","mask_source":"MASK_IMAGE_WHITE"`), m("#: required key [mask_image] not found")),
		familytest.No("mask of another size", zero, body(`"init_image":"`+small+`","mask_source":"MASK_IMAGE_WHITE","mask_image":"`+picturetest.PNG(t, picturetest.Halves(64, 63))+`"`), m("#/mask_image: the mask is 64x63 pixels, but the image is 64x64")),
		familytest.No("schedule", zero, body(`"init_image":"`+small+`","init_image_mode":"STEP_SCHEDULE","step_schedule_start":0.2,"step_schedule_end":0.5`), m("#/step_schedule_end: must not be above step_schedule_start")),
	})
	var nine []string
	for _, s := range sizes {
		nine = append(nine, body(fmt.Sprintf(`"width":%d,"height":%d`, s[0], s[1])))
	}
	familytest.Accept(t, New(), one, nine...)
	familytest.Accept(t, New(), one, body(`"seed":4294967295,"steps":50,"cfg_scale":35,"extras":{"a":[1]},"samples":1`))
	familytest.Accept(t, New(), zero, body(`"steps":150,"cfg_scale":30,"style_preset":"photographic"`))
	familytest.Accept(t, New(), old, body(`"seed":0,"style_preset":"photographic","width":512,"height":512`))
}

func TestNeutralForm(t *testing.T) {
	c, err := New().Decode(one, []byte(`{"text_prompts":[{"text":"a stamp"},{"text":"blurry","weight":-1},{"text":"old","weight":0.5},{"text":"no","weight":0}],"seed":5,"style_preset":"isometric"}`))
	if err != nil {
		t.Fatal(err)
	}
	if q := c.Paint; q.Prompt != "a stamp, old" || q.Negative != "blurry" || q.Seed != 5 || q.Steps != 30 || q.Guidance != 7 || q.Width != 1024 || q.Height != 1024 || q.Style != "isometric" || q.Task != engine.TextToImage {
		t.Errorf("got %+v", q)
	}
	if c, err = New().Decode(zero, []byte(body(""))); err != nil {
		t.Fatal(err)
	}
	if c.Paint.Guidance != 10 {
		t.Errorf("guidance of 0.8: %v", c.Paint.Guidance)
	}
	img := `"init_image":"` + picturetest.PNG(t, picturetest.Photo(64, 64)) + `"`
	for rest, want := range map[string]float64{
		img:                           0.65,
		img + `,"image_strength":0.4`: 0.6,
		img + `,"init_image_mode":"STEP_SCHEDULE","step_schedule_start":0.7`: 0.7,
	} {
		c, err := New().Decode(zero, []byte(body(rest)))
		if err != nil {
			t.Fatal(err)
		}
		if c.Paint.Task != engine.ImageToImage || c.Paint.Strength < want-1e-9 || c.Paint.Strength > want+1e-9 || c.Paint.Width != 64 {
			t.Errorf("strength %v, want %v", c.Paint.Strength, want)
		}
	}
}

// Seed 0 is any seed, and the answered one reproduces the image.
func TestSeedZeroIsRandomAndTold(t *testing.T) {
	paint := painter(t)
	run := func(c Codec, rest string) (string, float64) {
		v := picturetest.Run(t, c, one, body(rest), paint)
		if v["result"] != "success" {
			t.Fatalf("result %v", v["result"])
		}
		a := v["artifacts"].([]any)[0].(map[string]any)
		if a["finishReason"] != "SUCCESS" {
			t.Errorf("finishReason %v", a["finishReason"])
		}
		return a["base64"].(string), a["seed"].(float64)
	}
	a, seedA := run(New(), `"seed":0,"width":640,"height":1536`)
	b, seedB := run(New(), `"width":640,"height":1536`)
	if a == b || seedA == 0 || seedB == 0 {
		t.Errorf("seeds %v and %v", seedA, seedB)
	}
	again, _ := run(New(), fmt.Sprintf(`"seed":%.0f,"width":640,"height":1536`, seedA))
	if again != a {
		t.Error("the answered seed does not reproduce the image")
	}
	if _, seed := run(Codec{Random: func() int64 { return 77 }}, `"seed":0`); seed != 77 {
		t.Errorf("seed %v", seed)
	}
}

// White, black and transparency as sources of masks.
func TestMasks(t *testing.T) {
	paint := painter(t)
	photo := picturetest.Photo(72, 60)
	init := `"init_image":"` + picturetest.PNG(t, photo) + `","mask_image":"` + picturetest.PNG(t, picturetest.Halves(72, 60)) + `"`
	clear := image.NewNRGBA(photo.Bounds()) // transparent on its left
	for y := range 60 {
		for x := range 72 {
			c := photo.RGBAAt(x, y)
			a := uint8(255)
			if x < 36 {
				a = 0
			}
			clear.SetNRGBA(x, y, color.NRGBA{R: c.R, G: c.G, B: c.B, A: a})
		}
	}
	for rest, kept := range map[string]int{
		init + `,"mask_source":"MASK_IMAGE_WHITE"`:                                          0,
		init + `,"mask_source":"MASK_IMAGE_BLACK"`:                                          1,
		`"init_image":"` + picturetest.PNG(t, clear) + `","mask_source":"INIT_IMAGE_ALPHA"`: 1,
	} {
		v := picturetest.Run(t, New(), zero, body(rest), paint)
		img, _ := picturetest.Image(t, v["artifacts"].([]any)[0].(map[string]any)["base64"])
		if img.Bounds().Size() != photo.Bounds().Size() {
			t.Fatalf("size %v", img.Bounds())
		}
		if _, changed := picturetest.Same(photo, img, kept); changed > 0 {
			t.Errorf("%s: %d kept points changed", rest[len(rest)-20:], changed)
		}
		if _, changed := picturetest.Same(photo, img, 1-kept); changed == 0 {
			t.Errorf("%s: nothing changed", rest[len(rest)-20:])
		}
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, New(), one, body(`"width":512`), body(`"init_image":"`+picturetest.PNG(f, picturetest.Photo(8, 8))+`","mask_source":"INIT_IMAGE_ALPHA"`))
}
