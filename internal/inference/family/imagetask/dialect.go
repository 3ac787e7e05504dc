package imagetask

import (
	"fmt"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

// The tasks.
const (
	TextImage         = "TEXT_IMAGE"
	Inpainting        = "INPAINTING"
	Outpainting       = "OUTPAINTING"
	Variation         = "IMAGE_VARIATION"
	ColorGuided       = "COLOR_GUIDED_GENERATION"
	BackgroundRemoval = "BACKGROUND_REMOVAL"
	VirtualTryOn      = "VIRTUAL_TRY_ON"
)

// paramsOf names the parameters of each task.
var paramsOf = map[string]string{
	TextImage:         "textToImageParams",
	Inpainting:        "inPaintingParams",
	Outpainting:       "outPaintingParams",
	Variation:         "imageVariationParams",
	ColorGuided:       "colorGuidedGenerationParams",
	BackgroundRemoval: "backgroundRemovalParams",
	VirtualTryOn:      "virtualTryOnParams",
}

const (
	configName = "imageGenerationConfig"
	configAt   = "#/imageGenerationConfig"
	side       = 1024 // default of width and height
)

// Dialect is in what the models that share the format differ.
type Dialect struct {
	Key   string   // of the family
	Tasks []string // in the order of the documentation

	MinText, MaxText int // characters
	Guidance         float64
	Seed, MaxSeed    int64 // default and most
	SeedOfText       bool  // only TEXT_IMAGE takes a seed
	Variations       int   // most images to vary
	Similarity       bool  // variations take similarityStrength
	Conditions       bool  // TEXT_IMAGE takes an image to follow
	Styles           []string
	Strength         float64 // of variations that cannot ask for one: 0 keeps the image, 1 ignores it

	// Size returns what is wrong with a size, "" for nothing.
	Size   func(w, h int) string
	Edited picture.Limits // of images that are painted in
	Varied picture.Limits // of images that are varied, followed or cut out

	// NoEdits says that custom models do neither inpaint nor outpaint.
	NoEdits bool
}

func (d *Dialect) text() *family.Schema { return family.AString().Size(d.MinText, d.MaxText) }

func (d *Dialect) params(task string) *family.Schema {
	image := family.AString().Size(1, -1)
	text, negative := family.Optional("text", d.text()), family.Optional("negativeText", d.text())
	masked := []family.Field{
		family.Required("image", image),
		family.Optional("maskPrompt", d.text()),
		family.Optional("maskImage", image),
		negative,
	}
	switch task {
	case TextImage:
		fields := []family.Field{family.Required("text", d.text()), negative}
		if d.Conditions {
			fields = append(fields,
				family.Optional("conditionImage", image),
				family.Optional("controlMode", family.AString().OneOf("CANNY_EDGE", "SEGMENTATION")),
				family.Optional("controlStrength", family.ANumber(0, 1)))
		}
		if len(d.Styles) > 0 {
			fields = append(fields, family.Optional("style", family.AString().OneOf(d.Styles...)))
		}
		return family.AnObject(fields...)
	case Inpainting:
		return family.AnObject(append(masked, text)...)
	case Outpainting:
		return family.AnObject(append(masked, family.Required("text", d.text()),
			family.Optional("outPaintingMode", family.AString().OneOf("DEFAULT", "PRECISE")))...)
	case Variation:
		fields := []family.Field{family.Required("images", family.AnArray(image).Size(1, d.Variations)), text, negative}
		if d.Similarity {
			fields = append(fields, family.Optional("similarityStrength", family.ANumber(0.2, 1)))
		}
		return family.AnObject(fields...)
	case ColorGuided:
		return family.AnObject(
			family.Required("colors", family.AnArray(family.AString().Matching(`^#[0-9a-fA-F]{6}$`)).Size(1, 10)),
			family.Required("text", d.text()),
			negative,
			family.Optional("referenceImage", image),
		)
	case BackgroundRemoval:
		return family.AnObject(family.Required("image", image))
	}
	return family.AnObject().Open()
}

func (d *Dialect) config(task string) *family.Schema {
	fields := []family.Field{
		family.Optional("numberOfImages", family.AnInteger(1, 5)),
		family.Optional("cfgScale", family.ANumber(1.1, 10)),
		family.Optional("width", family.AnInteger(1, 1<<31)),
		family.Optional("height", family.AnInteger(1, 1<<31)),
		family.Optional("quality", family.AString().OneOf("standard", "premium")),
	}
	if !d.SeedOfText || task == TextImage {
		fields = append(fields, family.Optional("seed", family.AnInteger(0, float64(d.MaxSeed))))
	}
	return family.AnObject(fields...)
}

// schemas builds the checker of each task's bodies.
func (d *Dialect) schemas() map[string]*family.Schema {
	all := map[string]*family.Schema{}
	for _, task := range d.Tasks {
		all[task] = family.AnObject(
			family.Required("taskType", family.AString()),
			family.Required(paramsOf[task], d.params(task)),
			family.Optional(configName, d.config(task)),
		)
	}
	return all
}

// Codec serves one dialect.
type Codec struct {
	oneshot.Only
	dialect *Dialect
	task    *family.Schema // of a body whose task is not known yet
	tasks   map[string]*family.Schema
}

var _ family.Codec = (*Codec)(nil)

// New returns the codec of a dialect, which must not change afterwards.
func New(d *Dialect) *Codec {
	return &Codec{
		dialect: d, tasks: d.schemas(),
		task: family.AnObject(family.Required("taskType", family.AString().OneOf(d.Tasks...))).Open(),
	}
}

// Name returns the family's key.
func (c *Codec) Name() string { return c.dialect.Key }

// Table returns the Size of models that know a list of sizes alone.
func Table(sizes ...[2]int) func(w, h int) string {
	return func(w, h int) string {
		if slices.Contains(sizes, [2]int{w, h}) {
			return ""
		}
		return fmt.Sprintf("width %d and height %d are not a supported image size", w, h)
	}
}
