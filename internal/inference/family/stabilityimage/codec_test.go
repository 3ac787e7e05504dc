package stabilityimage

import (
	"image"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture/picturetest"
)

func model(name string) family.Model { return family.Model{ID: "stability." + name} }

var (
	sd3   = model("sd3-5-large-v1:0")
	core  = model("stable-image-core-v1:1")
	ultra = model("stable-image-ultra-v1:1")
)

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	photo := picturetest.PNG(t, picturetest.Photo(64, 64))
	img := `,"image":"` + photo + `"`
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("SDXL's body", sd3, `{"text_prompts":[]}`, m("#: required key [prompt] not found", "#: extraneous key [text_prompts] is not permitted")),
		familytest.No("long prompt", core, `{"prompt":"`+strings.Repeat("é", 10001)+`"}`, m("#/prompt: expected maxLength: 10000, actual: 10001")),
		familytest.No("ratio", core, `{"prompt":"x","aspect_ratio":"4:3"}`, m("#/aspect_ratio: 4:3 is not a valid enum value")),
		familytest.No("seed", core, `{"prompt":"x","seed":4294967296}`, m("#/seed: 4294967296 is not less or equal to 4294967295")),
		familytest.No("format", core, `{"prompt":"x","output_format":"gif"}`, m("#/output_format: gif is not a valid enum value")),
		familytest.No("mode of core", core, `{"prompt":"x","mode":"image-to-image"}`, m("#/mode: image-to-image is not a valid enum value")),
		familytest.No("image for core", core, `{"prompt":"x"`+img+`}`, m("#: extraneous key [image] is not permitted")),
		familytest.No("image for the first ultra", model("stable-image-ultra-v1:0"), `{"prompt":"x"`+img+`}`, m("#: extraneous key [image] is not permitted")),
		familytest.No("mode without an image", sd3, `{"prompt":"x","mode":"image-to-image"}`, m("#: required key [image] not found")),
		familytest.No("image in text mode", sd3, `{"prompt":"x","mode":"text-to-image"`+img+`}`, m("#: extraneous key [image] is not permitted")),
		familytest.No("strength alone", sd3, `{"prompt":"x","strength":0.5}`, m("#: extraneous key [strength] is not permitted")),
		familytest.No("ratio beside an image", sd3, `{"prompt":"x","aspect_ratio":"1:1"`+img+`}`, m("#: extraneous key [aspect_ratio] is not permitted")),
		familytest.No("strength", sd3, `{"prompt":"x","strength":1.5`+img+`}`, m("#/strength: 1.5 is not less or equal to 1")),
		familytest.No("small image", sd3, `{"prompt":"x","image":"`+picturetest.PNG(t, picturetest.Photo(63, 64))+`"}`, m("#/image: image dimensions 63x64 are smaller than the minimum of 64 pixels")),
		familytest.No("long image", sd3, `{"prompt":"x","image":"`+picturetest.PNG(t, picturetest.Photo(64, 161))+`"}`, m("#/image: the sides of an image of 64x161 pixels differ by more than a factor of 2.5")),
		familytest.No("no side", model("stable-outpaint-v1:0"), `{"image":"`+photo+`","left":0}`, m("#: at least one of [left, right, up, down] must be above 0")),
		familytest.No("side", model("stable-outpaint-v1:0"), `{"image":"`+photo+`","left":2001}`, m("#/left: 2001 is not less or equal to 2000")),
		familytest.No("huge canvas", model("stable-outpaint-v1:0"), `{"image":"`+picturetest.PNG(t, picturetest.Photo(900, 600))+`","left":2000,"right":2000,"up":2000,"down":2000}`, m("#: the extended image of 4900x4600 pixels exceeds the maximum of 16777216 pixels in all")),
		familytest.No("webp", model("stable-image-inpaint-v1:0"), `{"prompt":"x","output_format":"webp"`+img+`}`, "Answers as webp are not built in Outcrop: ask for the output_format png."),
		familytest.No("upscale", model("stable-fast-upscale-v1:0"), `{"image":"x"}`, "The model stability.stable-fast-upscale-v1:0 is not built in Outcrop: no engine does what it does."),
		familytest.No("style transfer", model("stable-style-transfer-v1:0"), `{"init_image":"x"}`, "The model stability.stable-style-transfer-v1:0 is not built in Outcrop: no engine does what it does."),
	})
	familytest.Accept(t, New(), ultra, `{"prompt":"x","strength":0.5`+img+`}`, `{"prompt":"x","aspect_ratio":"21:9","negative_prompt":"y"}`)
}

func TestServices(t *testing.T) {
	e, err := script.New(script.Config{})
	if err != nil {
		t.Fatal(err)
	}
	photo := `"image":"` + picturetest.PNG(t, picturetest.Photo(100, 80)) + `"`
	mask := `,"mask":"` + picturetest.PNG(t, picturetest.Halves(100, 80)) + `"`
	for _, c := range []struct {
		model  family.Model
		body   string
		task   engine.PaintTask
		size   image.Point
		format string
		check  func(*engine.PaintRequest) bool
	}{
		{sd3, `{"prompt":"a car","seed":9,"negative_prompt":"rust"}`, engine.TextToImage, image.Pt(1024, 1024), "png", func(q *engine.PaintRequest) bool { return q.Seed == 9 && q.Negative == "rust" && q.Prompt == "a car" }},
		{core, `{"prompt":"a car","aspect_ratio":"16:9","output_format":"jpeg"}`, engine.TextToImage, image.Pt(1344, 768), "jpeg", func(q *engine.PaintRequest) bool { return q.Seed == 5 }},
		{sd3, `{"prompt":"a car","mode":"image-to-image","strength":0.7,` + photo + `}`, engine.ImageToImage, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return q.Strength == 0.7 && q.Width == 104 && len(q.Images) == 1 }},
		{model("stable-image-inpaint-v1:0"), `{"prompt":"a car",` + photo + mask + `,"grow_mask":5,"style_preset":"anime"}`, engine.Inpaint, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return q.Mask != nil && q.Style == "anime" }},
		{model("stable-image-erase-object-v1:0"), `{` + photo + mask + `}`, engine.Inpaint, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return q.Mask != nil && q.Prompt == "" }},
		{model("stable-outpaint-v1:0"), `{` + photo + `,"left":10,"right":20,"down":30,"creativity":0.9}`, engine.Outpaint, image.Pt(130, 110), "png", func(q *engine.PaintRequest) bool { return q.Mask != nil && q.Strength == 0.9 }},
		{model("stable-image-remove-background-v1:0"), `{` + photo + `}`, engine.RemoveBackdrop, image.Pt(100, 80), "png", nil},
		{model("stable-image-search-replace-v1:0"), `{"prompt":"a cat","search_prompt":"dog",` + photo + `}`, engine.Inpaint, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return q.MaskPrompt == "dog" }},
		{model("stable-image-search-recolor-v1:0"), `{"prompt":"red","select_prompt":"car",` + photo + `}`, engine.Inpaint, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return q.MaskPrompt == "car" }},
		{model("stable-image-control-sketch-v1:0"), `{"prompt":"a car","control_strength":0.5,` + photo + `}`, engine.TextToImage, image.Pt(100, 80), "png", func(q *engine.PaintRequest) bool { return len(q.Images) == 1 && q.Strength == 0.5 }},
		{model("stable-image-control-structure-v1:0"), `{"prompt":"a car",` + photo + `}`, engine.TextToImage, image.Pt(100, 80), "png", nil},
		{model("stable-image-style-guide-v1:0"), `{"prompt":"a car","aspect_ratio":"2:3",` + photo + `}`, engine.Vary, image.Pt(832, 1216), "png", func(q *engine.PaintRequest) bool { return q.Strength == 0.5 }},
	} {
		t.Run(c.model.ID+" "+string(c.task), func(t *testing.T) {
			var q *engine.PaintRequest
			codec := Codec{Random: func() int64 { return 5 }}
			v := picturetest.Run(t, codec, c.model, c.body, func(r *engine.PaintRequest) (*engine.PaintResult, error) {
				q = r
				return e.Paint(t.Context(), r)
			})
			img, format := picturetest.Image(t, v["images"].([]any)[0])
			if q.Task != c.task || img.Bounds().Size() != c.size || format != c.format {
				t.Errorf("%s %v %s", q.Task, img.Bounds(), format)
			}
			if c.check != nil && !c.check(q) {
				t.Errorf("request %+v", q)
			}
			if seeds := v["seeds"].([]any); len(seeds) != 1 || seeds[0] != float64(q.Seed) {
				t.Errorf("seeds %v", seeds)
			}
			if reasons := v["finish_reasons"].([]any); len(reasons) != 1 || reasons[0] != nil {
				t.Errorf("finish_reasons %v", reasons)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, New(), sd3, `{"prompt":"x","image":"`+picturetest.PNG(f, picturetest.Photo(64, 64))+`"}`)
}

func FuzzDecodeOutpaint(f *testing.F) {
	familytest.Fuzz(f, New(), model("stable-outpaint-v1:0"), `{"left":5,"image":"`+picturetest.PNG(f, picturetest.Photo(64, 64))+`"}`)
}
