package picture

import (
	"image"
	"image/color"
	"image/draw"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// CheckMask enforces what Amazon's families want of a mask: the size of the image,
// no alpha channel, and only pure black and pure white. A JPEG's noise is let
// through; Inside rounds it.
func CheckMask(mask, of *Picture, at string) error {
	if mask.Width != of.Width || mask.Height != of.Height {
		return bad(at, "the mask is %dx%d pixels, but the image is %dx%d", mask.Width, mask.Height, of.Width, of.Height)
	}
	if hasAlpha(mask.Image) {
		return bad(at, "the mask must not have an alpha channel")
	}
	if mask.Blob.MediaType == JPEG {
		return nil
	}
	b := mask.Image.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := mask.Image.At(x, y).RGBA()
			if r != g || g != bl || r != 0 && r != 0xffff {
				return bad(at, "the mask must hold only pure black and pure white pixels")
			}
		}
	}
	return nil
}

// hasAlpha reports whether the file had an alpha channel: the decoder of PNG gives
// such files types of their own.
func hasAlpha(img image.Image) bool {
	switch m := img.(type) {
	case *image.NRGBA, *image.NRGBA64:
		return true
	case *image.Paletted:
		for _, c := range m.Palette {
			if _, _, _, a := c.RGBA(); a != 0xffff {
				return true
			}
		}
	}
	return false
}

// Inside returns the mask as the engine wants it, white where to repaint, out of
// one that is black there (black) or white there. Greys are rounded when round is
// set, else they stay, for what is to be blended.
func Inside(mask image.Image, black, round bool) *image.Gray {
	b := mask.Bounds()
	out := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			v := color.GrayModel.Convert(mask.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y
			if black {
				v = 255 - v
			}
			if round {
				if v >= 128 {
					v = 255
				} else {
					v = 0
				}
			}
			out.Pix[y*out.Stride+x] = v
		}
	}
	return out
}

// Transparent returns the mask that is white where an image is transparent.
func Transparent(img image.Image) *image.Gray {
	b := img.Bounds()
	out := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			_, _, _, a := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			out.Pix[y*out.Stride+x] = 255 - uint8(a>>8)
		}
	}
	return out
}

// Opaque returns the image without its alpha channel: colours as they are stored,
// also where they were transparent.
func Opaque(img image.Image) *image.RGBA {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			out.SetRGBA(x, y, color.RGBA{R: c.R, G: c.G, B: c.B, A: 255})
		}
	}
	return out
}

// Extend puts an image on a larger canvas, and returns the canvas and the mask
// that is white where it is new.
func Extend(img image.Image, left, right, up, down int) (*image.RGBA, *image.Gray) {
	b := img.Bounds()
	r := image.Rect(0, 0, b.Dx()+left+right, b.Dy()+up+down)
	old := image.Rect(left, up, left+b.Dx(), up+b.Dy())
	canvas, mask := image.NewRGBA(r), image.NewGray(r)
	draw.Draw(canvas, r, image.NewUniform(color.Gray{Y: 128}), image.Point{}, draw.Src)
	draw.Draw(canvas, old, img, b.Min, draw.Over)
	draw.Draw(mask, r, image.White, image.Point{}, draw.Src)
	draw.Draw(mask, old, image.Black, image.Point{}, draw.Src)
	return canvas, mask
}

// Blob encodes an image as PNG for an engine.
func Blob(img image.Image) (engine.Blob, error) {
	data, err := encodePNG(img)
	return engine.Blob{MediaType: PNG, Data: data}, err
}
