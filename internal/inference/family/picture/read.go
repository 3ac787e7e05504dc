package picture

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/jpeg" // formats that bodies may carry
	_ "image/png"  //
	"math"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Media types of images.
const (
	PNG  = "image/png"
	JPEG = "image/jpeg"
	WebP = "image/webp"
	GIF  = "image/gif"
)

// hardPixels bounds every image, whatever the family says: a file of a few bytes
// can claim any size.
const hardPixels = 64 << 20

// Limits is what a family takes. Zero values are no limit, but for Formats.
type Limits struct {
	Formats   []string // media types; empty is PNG and JPEG
	MaxBytes  int      // of the decoded file
	MinSide   int
	MaxSide   int
	MaxPixels int
	MaxRatio  float64 // longer side to shorter side
}

// Picture is an image of a body, decoded.
type Picture struct {
	Blob          engine.Blob
	Image         image.Image
	Width, Height int
}

// Read decodes the image in a string of plain base64. The violation is reported at
// the pointer.
func Read(v *family.Value, at string, l Limits) (*Picture, error) {
	data, ok := v.Base64()
	if !ok || len(data) == 0 {
		return nil, bad(at, "not valid base64")
	}
	return ReadBytes(data, at, l)
}

// ReadURL decodes an image that travels as a data URL.
func ReadURL(url, at string, l Limits) (*Picture, error) {
	head, text, ok := strings.Cut(url, ",")
	if !ok || !strings.HasPrefix(head, "data:") || !strings.HasSuffix(head, ";base64") {
		return nil, bad(at, "images must be given as data URLs in base64")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) == 0 {
		return nil, bad(at, "not valid base64")
	}
	return ReadBytes(data, at, l)
}

// ReadBytes decodes an image file.
func ReadBytes(data []byte, at string, l Limits) (*Picture, error) {
	formats := l.Formats
	if len(formats) == 0 {
		formats = []string{PNG, JPEG}
	}
	if l.MaxBytes > 0 && len(data) > l.MaxBytes {
		return nil, bad(at, "image exceeds maximum size: %d bytes > %d bytes", len(data), l.MaxBytes)
	}
	info, ok := family.SniffImage(data)
	if !ok || !slices.Contains(formats, info.MediaType) {
		return nil, bad(at, "not an image of the formats %s", strings.Join(formats, ", "))
	}
	w, h := info.Width, info.Height
	switch {
	case w <= 0 || h <= 0 || w > hardPixels/h:
		return nil, bad(at, "an image of %dx%d pixels cannot be read", w, h)
	case l.MinSide > 0 && (w < l.MinSide || h < l.MinSide):
		return nil, bad(at, "image dimensions %dx%d are smaller than the minimum of %d pixels", w, h, l.MinSide)
	case l.MaxSide > 0 && (w > l.MaxSide || h > l.MaxSide):
		return nil, bad(at, "image dimensions %dx%d exceed the maximum of %d pixels", w, h, l.MaxSide)
	case l.MaxPixels > 0 && w*h > l.MaxPixels:
		return nil, bad(at, "an image of %dx%d pixels exceeds the maximum of %d pixels in all", w, h, l.MaxPixels)
	case l.MaxRatio > 0 && float64(max(w, h)) > math.Nextafter(l.MaxRatio, math.Inf(1))*float64(min(w, h)):
		return nil, bad(at, "the sides of an image of %dx%d pixels differ by more than a factor of %g", w, h, l.MaxRatio)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, bad(at, "the image is damaged")
	}
	return &Picture{
		Blob:  engine.Blob{MediaType: info.MediaType, Data: data},
		Image: img, Width: w, Height: h,
	}, nil
}

func bad(at, format string, args ...any) error {
	return family.Malformed(at + ": " + fmt.Sprintf(format, args...))
}

// BitDepth is the number of bits of a pixel: 8 for each channel, 16 where the file
// has that many.
func (p *Picture) BitDepth() int {
	switch p.Image.(type) {
	case *image.Gray, *image.Paletted:
		return 8
	case *image.Gray16:
		return 16
	case *image.NRGBA:
		return 32
	case *image.RGBA64:
		return 48
	case *image.NRGBA64:
		return 64
	}
	return 24
}
