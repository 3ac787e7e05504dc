package novacanvas

import (
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/inference/family/imagetask"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	minSide   = 320
	maxSide   = 4096
	step      = 16
	maxRatio  = 4
	maxPixels = 4_194_304
	fileSize  = 25_000_000
)

var input = picture.Limits{MaxBytes: fileSize, MinSide: minSide, MaxSide: maxSide, MaxPixels: maxPixels, MaxRatio: maxRatio}

// New returns the codec of Nova Canvas.
func New() *imagetask.Codec {
	return imagetask.New(&imagetask.Dialect{
		Key: "nova-canvas",
		Tasks: []string{imagetask.TextImage, imagetask.ColorGuided, imagetask.Variation, imagetask.Inpainting,
			imagetask.Outpainting, imagetask.BackgroundRemoval, imagetask.VirtualTryOn},
		MinText: 1, MaxText: 1024, Guidance: 6.5, Seed: 12, MaxSeed: 858_993_459,
		Variations: 5, Similarity: true, Conditions: true, Size: size, Edited: input, Varied: input,
		Styles: []string{"3D_ANIMATED_FAMILY_FILM", "DESIGN_SKETCH", "FLAT_VECTOR_ILLUSTRATION", "GRAPHIC_NOVEL_ILLUSTRATION",
			"MAXIMALISM", "MIDCENTURY_RETRO", "PHOTOREALISM", "SOFT_DIGITAL_PAINTING"},
	})
}

func size(w, h int) string {
	for _, s := range []struct {
		name string
		n    int
	}{{"width", w}, {"height", h}} {
		switch {
		case s.n < minSide:
			return fmt.Sprintf("%s %d is not greater or equal to %d", s.name, s.n, minSide)
		case s.n > maxSide:
			return fmt.Sprintf("%s %d is not less or equal to %d", s.name, s.n, maxSide)
		case s.n%step != 0:
			return fmt.Sprintf("%s %d is not a multiple of %d", s.name, s.n, step)
		}
	}
	switch {
	case max(w, h) > maxRatio*min(w, h):
		return fmt.Sprintf("the sides of %dx%d differ by more than a factor of %d", w, h, maxRatio)
	case w*h > maxPixels:
		return fmt.Sprintf("%dx%d has more than %d pixels", w, h, maxPixels)
	}
	return ""
}
