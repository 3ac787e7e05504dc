package novacanvas

import (
	"fmt"
	"image"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture/picturetest"
)

var canvas = family.Model{ID: "amazon.nova-canvas-v1:0"}

func text(params, config string) string {
	return `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a cliff"` + params + `},"imageGenerationConfig":{` + config + `}}`
}

func size2(w, h int) string { return text("", fmt.Sprintf(`"width":%d,"height":%d`, w, h)) }

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	const at = "#/imageGenerationConfig: "
	small := picturetest.PNG(t, picturetest.Photo(64, 64))
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("narrow", canvas, size2(304, 640), m(at+"width 304 is not greater or equal to 320")),
		familytest.No("wide", canvas, size2(4112, 1024), m(at+"width 4112 is not less or equal to 4096")),
		familytest.No("not on the grid", canvas, size2(1024, 1000), m(at+"height 1000 is not a multiple of 16")),
		familytest.No("ratio", canvas, size2(1600, 384), m(at+"the sides of 1600x384 differ by more than a factor of 4")),
		familytest.No("pixels", canvas, size2(2048, 2064), m(at+"2048x2064 has more than 4194304 pixels")),
		familytest.No("seed", canvas, text("", `"seed":858993460`), m("#/imageGenerationConfig/seed: 858993460 is not less or equal to 858993459")),
		familytest.No("style", canvas, text(`,"style":"photorealism"`, ""), m("#/textToImageParams/style: photorealism is not a valid enum value")),
		familytest.No("empty text", canvas, `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":""}}`, m("#/textToImageParams/text: expected minLength: 1, actual: 0")),
		familytest.No("six images", canvas, `{"taskType":"IMAGE_VARIATION","imageVariationParams":{"images":["a","a","a","a","a","a"]}}`, m("#/imageVariationParams/images: expected maximum item count: 5, found: 6")),
		familytest.No("eleven colours", canvas, `{"taskType":"COLOR_GUIDED_GENERATION","colorGuidedGenerationParams":{"text":"x","colors":[`+strings.TrimSuffix(strings.Repeat(`"#000000",`, 11), ",")+`]}}`, m("#/colorGuidedGenerationParams/colors: expected maximum item count: 10, found: 11")),
		familytest.No("small image", canvas, `{"taskType":"BACKGROUND_REMOVAL","backgroundRemovalParams":{"image":"`+small+`"}}`, m("#/backgroundRemovalParams/image: image dimensions 64x64 are smaller than the minimum of 320 pixels")),
		familytest.No("try-on", canvas, `{"taskType":"VIRTUAL_TRY_ON","virtualTryOnParams":{"sourceImage":"x"}}`, "The task type VIRTUAL_TRY_ON is not built in Outcrop."),
	})
	familytest.Accept(t, New(), canvas, size2(320, 320), size2(4096, 1024), size2(2048, 2048), text(`,"style":"PHOTOREALISM"`, `"seed":858993459`))
}

func TestDefaults(t *testing.T) {
	c, err := New().Decode(canvas, []byte(text(`,"style":"DESIGN_SKETCH"`, "")))
	if err != nil {
		t.Fatal(err)
	}
	if q := c.Paint; q.Seed != 12 || q.Guidance != 6.5 || q.Width != 1024 || q.Height != 1024 || q.Count != 1 || q.Style != "design sketch" {
		t.Errorf("got %+v", q)
	}
}

func TestAnswers(t *testing.T) {
	e, err := script.New(script.Config{})
	if err != nil {
		t.Fatal(err)
	}
	paint := func(q *engine.PaintRequest) (*engine.PaintResult, error) { return e.Paint(t.Context(), q) }
	photo := picturetest.PNG(t, picturetest.Photo(330, 320))
	for body, want := range map[string]image.Point{
		size2(320, 336): {X: 320, Y: 336},
		`{"taskType":"BACKGROUND_REMOVAL","backgroundRemovalParams":{"image":"` + photo + `"}}`: {X: 330, Y: 320},
	} {
		v := picturetest.Run(t, New(), canvas, body, paint)
		if img, format := picturetest.Image(t, v["images"].([]any)[0]); format != "png" || img.Bounds().Size() != want || v["error"] != nil {
			t.Errorf("%.50s: %s %v %v", body, format, img.Bounds(), v["error"])
		}
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(), canvas, size2(320, 320)) }
