package picturetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// PNG encodes an image as base64 of a PNG.
func PNG(t testing.TB, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// JPEG encodes an image as base64 of a JPEG.
func JPEG(t testing.TB, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// Photo is a picture without transparency whose points all differ from their neighbours.
func Photo(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{R: uint8(x*7 + y), G: uint8(y*5 + x), B: uint8(x ^ y), A: 255})
		}
	}
	return img
}

// Halves is a mask that is black on its left and white on its right.
func Halves(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := uint8(0)
			if x >= w/2 {
				v = 255
			}
			img.SetRGBA(x, y, color.RGBA{R: v, G: v, B: v, A: 255})
		}
	}
	return img
}

// Run decodes a body, paints it, and returns the answer as JSON.
func Run(t testing.TB, c family.Codec, m family.Model, body string, paint func(*engine.PaintRequest) (*engine.PaintResult, error)) map[string]any {
	t.Helper()
	call, err := c.Decode(m, []byte(body))
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	r, err := paint(call.Paint)
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Encode(call, &family.Output{Paint: r})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return v
}

// Image decodes a base64 image of an answer and tells its format.
func Image(t testing.TB, v any) (image.Image, string) {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(v.(string))
	if err != nil {
		t.Fatal(err)
	}
	img, format, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img, format
}

// Same counts the points of a half of an image (0 left, 1 right) that are equal in
// both images, and those that are not.
func Same(a, b image.Image, half int) (same, other int) {
	r := a.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if (x >= r.Dx()/2) != (half == 1) {
				continue
			}
			if color.NRGBAModel.Convert(a.At(x, y)) == color.NRGBAModel.Convert(b.At(x, y)) {
				same++
			} else {
				other++
			}
		}
	}
	return same, other
}
