package titanimage

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
	v1 = family.Model{ID: "amazon.titan-image-generator-v1"}
	v2 = family.Model{ID: "amazon.titan-image-generator-v2:0"}
)

func painter(t testing.TB) func(*engine.PaintRequest) (*engine.PaintResult, error) {
	t.Helper()
	e, err := script.New(script.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(q *engine.PaintRequest) (*engine.PaintResult, error) { return e.Paint(t.Context(), q) }
}

func text(config string) string {
	return `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a cliff"},"imageGenerationConfig":{` + config + `}}`
}

func edit(task, name, params string) string {
	return fmt.Sprintf(`{"taskType":%q,%q:{%s}}`, task, name, params)
}

// Count, size, seed and the quality that programs send.
func TestTextToImage(t *testing.T) {
	paint := painter(t)
	run := func(config string) []any {
		v := picturetest.Run(t, New(), v1, text(config), paint)
		if v["error"] != nil {
			t.Fatalf("error %v", v["error"])
		}
		return v["images"].([]any)
	}
	three := run(`"width":512,"height":512,"numberOfImages":3,"quality":"standard"`)
	if len(three) != 3 {
		t.Fatalf("%d images", len(three))
	}
	for _, one := range three {
		if img, format := picturetest.Image(t, one); format != "png" || img.Bounds().Dx() != 512 || img.Bounds().Dy() != 512 {
			t.Errorf("%s %v", format, img.Bounds())
		}
	}
	a, b, c := run(`"width":320,"height":704,"seed":7`), run(`"width":320,"height":704,"seed":7`), run(`"width":320,"height":704,"seed":8`)
	if a[0] != b[0] || a[0] == c[0] {
		t.Error("a seed does not decide the image")
	}
	// 1173 is no multiple of what models paint: the size comes out exact.
	if img, _ := picturetest.Image(t, run(`"width":1173,"height":640`)[0]); img.Bounds().Dx() != 1173 || img.Bounds().Dy() != 640 {
		t.Errorf("got %v", img.Bounds())
	}
}

func TestAllSizesOfTheTable(t *testing.T) {
	var bodies []string
	for _, s := range strings.Fields(`1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384
		896x1152 448x576 1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640`) {
		var w, h int
		if _, err := fmt.Sscanf(s, "%dx%d", &w, &h); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, text(fmt.Sprintf(`"width":%d,"height":%d`, w, h)))
	}
	familytest.Accept(t, New(), v1, bodies...)
	familytest.Accept(t, New(), v2, bodies...)
}

// Inpainting changes what is black and keeps what is white, outpainting the reverse.
func TestMasksKeepTheirPoints(t *testing.T) {
	paint := painter(t)
	photo := picturetest.Photo(101, 64) // no multiple of 8
	image64, mask := picturetest.PNG(t, photo), picturetest.PNG(t, picturetest.Halves(101, 64))
	params := `"image":"` + image64 + `","maskImage":"` + mask + `","text":"moss"`
	for _, c := range []struct {
		name, body string
		kept       int // half that must not change
	}{
		{"inpainting changes black", edit("INPAINTING", "inPaintingParams", params), 1},
		{"outpainting changes white", edit("OUTPAINTING", "outPaintingParams", params+`,"outPaintingMode":"PRECISE"`), 0},
	} {
		v := picturetest.Run(t, New(), v1, c.body, paint)
		img, _ := picturetest.Image(t, v["images"].([]any)[0])
		if img.Bounds().Size() != photo.Bounds().Size() {
			t.Fatalf("%s: size %v", c.name, img.Bounds())
		}
		if _, changed := picturetest.Same(photo, img, c.kept); changed > 0 {
			t.Errorf("%s: %d points of the kept half changed", c.name, changed)
		}
		if _, changed := picturetest.Same(photo, img, 1-c.kept); changed == 0 {
			t.Errorf("%s: the other half did not change", c.name)
		}
	}
}

func TestTheEngineGetsMasksThatAreWhiteWhereItPaints(t *testing.T) {
	params := `"image":"` + picturetest.PNG(t, picturetest.Photo(64, 64)) + `","maskImage":"` + picturetest.PNG(t, picturetest.Halves(64, 64)) + `","text":"moss"`
	for body, white := range map[string]int{
		edit("INPAINTING", "inPaintingParams", params):   0, // left
		edit("OUTPAINTING", "outPaintingParams", params): 63,
	} {
		c, err := New().Decode(v1, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		mask, _, err := image.Decode(strings.NewReader(string(c.Paint.Mask.Data)))
		if err != nil {
			t.Fatal(err)
		}
		if got := color.GrayModel.Convert(mask.At(white, 5)).(color.Gray).Y; got != 255 {
			t.Errorf("%s: %d at %d", c.Paint.Task, got, white)
		}
		if got := color.GrayModel.Convert(mask.At(63-white, 5)).(color.Gray).Y; got != 0 {
			t.Errorf("%s: %d at %d", c.Paint.Task, got, 63-white)
		}
	}
}

func TestTasksOfVersionTwo(t *testing.T) {
	paint := painter(t)
	photo := picturetest.PNG(t, picturetest.Photo(64, 48))
	for body, want := range map[string]image.Point{
		edit("BACKGROUND_REMOVAL", "backgroundRemovalParams", `"image":"`+photo+`"`):                                                                         {X: 64, Y: 48},
		edit("COLOR_GUIDED_GENERATION", "colorGuidedGenerationParams", `"colors":["#FF9800"],"text":"a jar","referenceImage":"`+photo+`"`):                   {X: 1024, Y: 1024},
		edit("IMAGE_VARIATION", "imageVariationParams", `"images":["`+photo+`","`+photo+`"],"similarityStrength":0.2`):                                       {X: 1024, Y: 1024},
		edit("TEXT_IMAGE", "textToImageParams", `"text":"a jar","conditionImage":"`+photo+`","controlMode":"SEGMENTATION","controlStrength":0.9`):            {X: 1024, Y: 1024},
		edit("INPAINTING", "inPaintingParams", `"image":"`+picturetest.JPEG(t, picturetest.Photo(40, 30))+`","maskPrompt":"windows","text":"round windows"`): {X: 40, Y: 30},
	} {
		v := picturetest.Run(t, New(), v2, body, paint)
		if img, format := picturetest.Image(t, v["images"].([]any)[0]); format != "png" || img.Bounds().Size() != want {
			t.Errorf("%.60s: %s %v", body, format, img.Bounds())
		}
	}
}

func TestNeutralForm(t *testing.T) {
	c, err := New().Decode(v2, []byte(text(`"cfgScale":2.5,"numberOfImages":5,"width":1173,"height":640`)))
	if err != nil {
		t.Fatal(err)
	}
	q := c.Paint
	if q.Task != engine.TextToImage || q.Prompt != "a cliff" || q.Width != 1176 || q.Height != 640 || q.Count != 5 || q.Guidance != 2.5 || q.Seed != 42 {
		t.Errorf("got %+v", q)
	}
	if c, err = New().Decode(v1, []byte(`{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x","negativeText":"people"}}`)); err != nil {
		t.Fatal(err)
	}
	q = c.Paint
	if q.Negative != "people" || q.Width != 1024 || q.Height != 1024 || q.Count != 1 || q.Guidance != 8 || q.Seed != 0 {
		t.Errorf("defaults: %+v", q)
	}
}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	photo, mask := picturetest.PNG(t, picturetest.Photo(32, 32)), picturetest.PNG(t, picturetest.Halves(32, 32))
	in := func(rest string) string {
		return edit("INPAINTING", "inPaintingParams", `"image":"`+photo+`"`+rest)
	}
	grey := picturetest.Halves(32, 32)
	grey.SetRGBA(3, 3, color.RGBA{R: 9, G: 9, B: 9, A: 255})
	clear := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	const size = "#/imageGenerationConfig: width %d and height %d are not a supported image size"
	custom := v1
	custom.Custom = true
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("not JSON", v1, `{`, "Malformed input request, please reformat your input and try again."),
		familytest.No("another family's body", v1, `{"inputText":"x"}`, m("#: required key [taskType] not found")),
		familytest.No("task", v1, `{"taskType":"BACKGROUND_REMOVAL"}`, m("#/taskType: BACKGROUND_REMOVAL is not a valid enum value")),
		familytest.No("no parameters", v1, `{"taskType":"TEXT_IMAGE"}`, m("#: required key [textToImageParams] not found")),
		familytest.No("another task's parameters", v1, `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x"},"inPaintingParams":{}}`, m("#: extraneous key [inPaintingParams] is not permitted")),
		familytest.No("no text", v1, `{"taskType":"TEXT_IMAGE","textToImageParams":{}}`, m("#/textToImageParams: required key [text] not found")),
		familytest.No("long text", v2, `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"`+strings.Repeat("é", 536)+`"}}`, m("#/textToImageParams/text: expected maxLength: 512, actual: 536")),
		familytest.No("longer text", v1, `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"`+strings.Repeat("é", 1025)+`"}}`, m("#/textToImageParams/text: expected maxLength: 1024, actual: 1025")),
		familytest.No("size 700", v1, text(`"width":700,"height":700`), m(fmt.Sprintf(size, 700, 700))),
		familytest.No("size turned", v1, text(`"width":640,"height":1152`), m(fmt.Sprintf(size, 640, 1152))),
		familytest.No("half a size", v1, text(`"width":512`), m(fmt.Sprintf(size, 512, 1024))),
		familytest.No("six images", v1, text(`"numberOfImages":6`), m("#/imageGenerationConfig/numberOfImages: 6 is not less or equal to 5")),
		familytest.No("guidance", v1, text(`"cfgScale":1.0`), m("#/imageGenerationConfig/cfgScale: 1.0 is not greater or equal to 1.1")),
		familytest.No("seed", v1, text(`"seed":2147483647`), m("#/imageGenerationConfig/seed: 2147483647 is not less or equal to 2147483646")),
		familytest.No("quality", v1, text(`"quality":"high"`), m("#/imageGenerationConfig/quality: high is not a valid enum value")),
		familytest.No("neither mask", v1, in(``), m("#/inPaintingParams: exactly one of [maskPrompt, maskImage] is required")),
		familytest.No("both masks", v1, in(`,"maskPrompt":"x","maskImage":"`+mask+`"`), m("#/inPaintingParams: exactly one of [maskPrompt, maskImage] is required")),
		familytest.No("mask of another size", v1, in(`,"maskImage":"`+picturetest.PNG(t, picturetest.Halves(32, 31))+`"`), m("#/inPaintingParams/maskImage: the mask is 32x31 pixels, but the image is 32x32")),
		familytest.No("grey mask", v1, in(`,"maskImage":"`+picturetest.PNG(t, grey)+`"`), m("#/inPaintingParams/maskImage: the mask must hold only pure black and pure white pixels")),
		familytest.No("transparent mask", v1, in(`,"maskImage":"`+picturetest.PNG(t, clear)+`"`), m("#/inPaintingParams/maskImage: the mask must not have an alpha channel")),
		familytest.No("broken mask", v1, in(`,"maskImage":"`+mask[:len(mask)/2/4*4]+`"`), m("#/inPaintingParams/maskImage: the image is damaged")),
		familytest.No("no image", v1, edit("INPAINTING", "inPaintingParams", `"image":"aGk=","maskPrompt":"x"`), m("#/inPaintingParams/image: not an image of the formats image/png, image/jpeg")),
		familytest.No("not base64", v1, edit("INPAINTING", "inPaintingParams", `"image":"data:image/png;base64,aGk=","maskPrompt":"x"`), m("#/inPaintingParams/image: not valid base64")),
		familytest.No("image too wide", v1, edit("INPAINTING", "inPaintingParams", `"maskPrompt":"x","image":"`+picturetest.PNG(t, image.NewGray(image.Rect(0, 0, 1025, 8)))+`"`), m("#/inPaintingParams/image: image dimensions 1025x8 exceed the maximum of 1024 pixels")),
		familytest.No("outpainting without a text", v1, edit("OUTPAINTING", "outPaintingParams", `"image":"`+photo+`","maskPrompt":"x"`), m("#/outPaintingParams: required key [text] not found")),
		familytest.No("mode in lower case", v1, edit("OUTPAINTING", "outPaintingParams", `"image":"`+photo+`","maskPrompt":"x","text":"y","outPaintingMode":"precise"`), m("#/outPaintingParams/outPaintingMode: precise is not a valid enum value")),
		familytest.No("two images", v1, edit("IMAGE_VARIATION", "imageVariationParams", `"images":["`+photo+`","`+photo+`"]`), m("#/imageVariationParams/images: expected maximum item count: 1, found: 2")),
		familytest.No("seed of an edit", v1, `{"taskType":"INPAINTING","inPaintingParams":{"image":"x","maskPrompt":"x"},"imageGenerationConfig":{"seed":1}}`, m("#/imageGenerationConfig: extraneous key [seed] is not permitted")),
		familytest.No("similarity", v2, edit("IMAGE_VARIATION", "imageVariationParams", `"images":["`+photo+`"],"similarityStrength":0.1`), m("#/imageVariationParams/similarityStrength: 0.1 is not greater or equal to 0.2")),
		familytest.No("colour", v2, edit("COLOR_GUIDED_GENERATION", "colorGuidedGenerationParams", `"colors":["red"],"text":"x"`), m("#/colorGuidedGenerationParams/colors/0: string [red] does not match pattern ^#[0-9a-fA-F]{6}$")),
		familytest.No("control without an image", v2, edit("TEXT_IMAGE", "textToImageParams", `"text":"x","controlStrength":1`), m("#/textToImageParams: controlStrength needs a conditionImage")),
		familytest.No("custom model", custom, in(`,"maskPrompt":"x"`), "A custom model of this family does not support the task type INPAINTING."),
	})
	familytest.Accept(t, New(), v1, in(`,"maskImage":"`+picturetest.JPEG(t, picturetest.Halves(32, 32))+`"`))
	familytest.Accept(t, New(), custom, text(``))
}

func FuzzDecode(f *testing.F) {
	familytest.Fuzz(f, New(), v2, text(`"width":512,"height":512`),
		edit("INPAINTING", "inPaintingParams", `"image":"`+picturetest.PNG(f, picturetest.Photo(8, 8))+`","maskImage":"`+picturetest.PNG(f, picturetest.Halves(8, 8))+`"`))
}
