package titanimage

import (
	"strings"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/imagetask"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	key      = "titan-image"
	fileSize = 5 << 20
	maxSeed  = 2_147_483_646
)

// size knows the sizes of both versions; one of them, 1173x640, is no multiple of
// what diffusion models paint.
var size = imagetask.Table(
	[2]int{1024, 1024}, [2]int{768, 768}, [2]int{512, 512},
	[2]int{768, 1152}, [2]int{384, 576}, [2]int{1152, 768}, [2]int{576, 384},
	[2]int{768, 1280}, [2]int{384, 640}, [2]int{1280, 768}, [2]int{640, 384},
	[2]int{896, 1152}, [2]int{448, 576}, [2]int{1152, 896}, [2]int{576, 448},
	[2]int{768, 1408}, [2]int{384, 704}, [2]int{1408, 768}, [2]int{704, 384},
	[2]int{640, 1408}, [2]int{320, 704}, [2]int{1408, 640}, [2]int{704, 320},
	[2]int{1152, 640}, [2]int{1173, 640},
)

func first() *imagetask.Dialect {
	return &imagetask.Dialect{
		Key:     key,
		Tasks:   []string{imagetask.TextImage, imagetask.Inpainting, imagetask.Outpainting, imagetask.Variation},
		MinText: 1, MaxText: 1024, Guidance: 8, Seed: 0, MaxSeed: maxSeed, SeedOfText: true,
		Variations: 1, Strength: 0.5, NoEdits: true, Size: size,
		Edited: picture.Limits{MaxBytes: fileSize, MaxSide: 1024},
		Varied: picture.Limits{MaxBytes: fileSize, MaxSide: 4096, MaxPixels: 12_582_912},
	}
}

func second() *imagetask.Dialect {
	return &imagetask.Dialect{
		Key: key,
		Tasks: []string{imagetask.TextImage, imagetask.Inpainting, imagetask.Outpainting, imagetask.Variation,
			imagetask.ColorGuided, imagetask.BackgroundRemoval},
		MinText: 1, MaxText: 512, Guidance: 8, Seed: 42, MaxSeed: maxSeed,
		Variations: 5, Similarity: true, Conditions: true, NoEdits: true, Size: size,
		Edited: picture.Limits{MaxBytes: fileSize, MaxSide: 1408},
		Varied: picture.Limits{MaxBytes: fileSize, MaxSide: 4096, MaxPixels: 12_582_912},
	}
}

// Codec serves both versions.
type Codec struct {
	oneshot.Only
	first, second *imagetask.Codec
}

var _ family.Codec = Codec{}

// New returns the codec of Titan Image Generator.
func New() Codec { return Codec{first: imagetask.New(first()), second: imagetask.New(second())} }

// Name returns the family's key.
func (Codec) Name() string { return key }

func (c Codec) of(m family.Model) *imagetask.Codec {
	if strings.Contains(m.ID, "titan-image-generator-v1") {
		return c.first
	}
	return c.second
}

// Decode reads a body.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	return c.of(m).Decode(m, body)
}

// Encode writes the answer.
func (c Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	return c.of(call.Model).Encode(call, out)
}
