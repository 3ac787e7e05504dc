package picture

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

const jpegQuality = 90

func encodePNG(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := e.Encode(&buf, img); err != nil {
		return nil, fmt.Errorf("encode image: %w", err)
	}
	return buf.Bytes(), nil
}

// Finish says how an image that an engine painted becomes one that is answered.
type Finish struct {
	Width, Height int    // exact size; 0 leaves it
	Format        string // media type; "" is PNG
	// Kept and Repaint, when set, put back what the mask does not let change: Kept
	// shows through where Repaint is black, blended where it is grey. Both have the
	// exact size.
	Kept    image.Image
	Repaint *image.Gray
}

// Apply returns the file that is answered.
func (f Finish) Apply(data []byte) ([]byte, error) {
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || c.Width <= 0 || c.Height <= 0 || c.Width > hardPixels/c.Height {
		return nil, unreadable(err)
	}
	fits := f.Width == 0 || f.Height == 0 || c.Width == f.Width && c.Height == f.Height
	if fits && f.Kept == nil && format == "png" && f.Format != JPEG {
		return data, nil
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, unreadable(err)
	}
	if !fits {
		img = exact(img, f.Width, f.Height)
	}
	if f.Kept != nil {
		img = over(img, f.Kept, f.Repaint)
	}
	if f.Format != JPEG {
		return encodePNG(img)
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return nil, fmt.Errorf("encode image: %w", err)
	}
	return buf.Bytes(), nil
}

func unreadable(err error) error {
	return apierr.Wrap(apierr.ModelError, err, "The model painted something that cannot be read as an image.")
}

// grid is what the sides of painted images must divide by.
const grid = 8

// Grid rounds a side up to what diffusion models can paint; Finish cuts it back.
func Grid(side int) int { return (side + grid - 1) / grid * grid }

// exact brings an image to a size: the few points too many that Grid added are cut
// off, any other difference is scaled.
func exact(img image.Image, w, h int) image.Image {
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	if dx, dy := b.Dx()-w, b.Dy()-h; dx >= 0 && dy >= 0 && dx < grid && dy < grid {
		draw.Draw(out, out.Rect, img, b.Min.Add(image.Pt(dx/2, dy/2)), draw.Src)
		return out
	}
	draw.CatmullRom.Scale(out, out.Rect, img, b, draw.Src, nil)
	return out
}

// over puts kept over img where repaint is black. The kept points are exact.
func over(img, kept image.Image, repaint *image.Gray) image.Image {
	r := repaint.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(out, out.Rect, img, img.Bounds().Min, draw.Src)
	old := image.NewNRGBA(out.Rect)
	draw.Draw(old, old.Rect, kept, kept.Bounds().Min, draw.Src)
	for y := range r.Dy() {
		for x := range r.Dx() {
			m := int(repaint.Pix[y*repaint.Stride+x])
			if m == 255 {
				continue
			}
			at := out.PixOffset(x, y)
			for k := at; k < at+4; k++ {
				out.Pix[k] = uint8((int(out.Pix[k])*m + int(old.Pix[k])*(255-m) + 127) / 255)
			}
		}
	}
	return out
}

// AppendBase64 appends a file as a JSON string.
func AppendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}
