package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"
)

func encode(t *testing.T, img image.Image) []byte {
	t.Helper()
	data, err := encodePNG(img)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A file of a few bytes can claim any size; it must be refused by its head.
func TestHugeClaimsAreRefusedUndecoded(t *testing.T) {
	data := encode(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	head := bytes.Index(data, []byte("IHDR"))
	binary.BigEndian.PutUint32(data[head+4:], 1<<17)
	binary.BigEndian.PutUint32(data[head+8:], 1<<17)
	binary.BigEndian.PutUint32(data[head+17:], crc32.ChecksumIEEE(data[head:head+17]))
	start := time.Now()
	_, err := ReadBytes(data, "#/image", Limits{})
	if err == nil || !strings.Contains(err.Error(), "131072x131072 pixels cannot be read") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestLimits(t *testing.T) {
	data := encode(t, image.NewGray(image.Rect(0, 0, 40, 20)))
	for want, l := range map[string]Limits{
		"":                                {MinSide: 20, MaxSide: 40, MaxPixels: 800, MaxRatio: 2, MaxBytes: len(data)},
		"image exceeds maximum size":      {MaxBytes: len(data) - 1},
		"smaller than the minimum of 21":  {MinSide: 21},
		"exceed the maximum of 39 pixels": {MaxSide: 39},
		"exceeds the maximum of 799 pixels in all": {MaxPixels: 799},
		"differ by more than a factor of 1.9":      {MaxRatio: 1.9},
		"not an image of the formats image/jpeg":   {Formats: []string{JPEG}},
	} {
		_, err := ReadBytes(data, "#/image", l)
		switch {
		case want == "" && err != nil:
			t.Errorf("refused: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := ReadBytes(data[:len(data)-20], "#/image", Limits{}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("cut file: %v", err)
	}
}

func TestFinishCutsTheGridAndScalesTheRest(t *testing.T) {
	src := image.NewGray(image.Rect(0, 0, 16, 16))
	src.SetGray(2, 3, color.Gray{Y: 200})
	data := encode(t, src)
	for _, size := range []image.Point{{X: 16, Y: 16}, {X: 13, Y: 10}, {X: 40, Y: 7}} {
		out, err := Finish{Width: size.X, Height: size.Y}.Apply(data)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(out))
		if err != nil || img.Bounds().Size() != size {
			t.Errorf("%v: %v, %v", size, img.Bounds(), err)
		}
		if size.X == 16 && !bytes.Equal(out, data) {
			t.Error("a file that fits was written anew")
		}
		if size.X == 13 { // cut: one column and three rows off the upper left
			if y := color.GrayModel.Convert(img.At(1, 0)).(color.Gray).Y; y != 200 {
				t.Errorf("the point went astray: %d", y)
			}
		}
	}
	if _, err := (Finish{}).Apply([]byte("no image")); err == nil {
		t.Error("rubbish was answered")
	}
}

func TestGreyBlends(t *testing.T) {
	r := image.Rect(0, 0, 3, 1)
	fresh, kept, mask := image.NewGray(r), image.NewGray(r), image.NewGray(r)
	copy(fresh.Pix, []uint8{200, 200, 200})
	copy(kept.Pix, []uint8{100, 100, 100})
	copy(mask.Pix, []uint8{255, 0, 128})
	out, err := Finish{Width: 3, Height: 1, Kept: kept, Repaint: mask}.Apply(encode(t, fresh))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range []uint8{200, 100, 150} {
		if got := color.GrayModel.Convert(img.At(x, 0)).(color.Gray).Y; got != want {
			t.Errorf("point %d is %d, want %d", x, got, want)
		}
	}
}

func TestExtend(t *testing.T) {
	canvas, mask := Extend(image.NewGray(image.Rect(5, 5, 15, 10)), 1, 2, 3, 4)
	if canvas.Rect != image.Rect(0, 0, 13, 12) || mask.GrayAt(0, 0).Y != 255 || mask.GrayAt(1, 3).Y != 0 || mask.GrayAt(10, 7).Y != 0 || mask.GrayAt(11, 7).Y != 255 || mask.GrayAt(10, 8).Y != 255 {
		t.Errorf("canvas %v", canvas.Rect)
	}
}

func FuzzReadBytes(f *testing.F) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 3, 2))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadBytes(data, "#", Limits{MaxSide: 256, Formats: []string{PNG, JPEG, WebP, GIF}})
		if err != nil {
			return
		}
		mask := Transparent(p.Image)
		if mask.Rect.Dx() != p.Width || mask.Rect.Dy() != p.Height {
			t.Errorf("%dx%d, mask %v", p.Width, p.Height, mask.Rect)
		}
		p.BitDepth()
		if out, err := (Finish{Width: 8, Height: 8, Kept: image.NewGray(image.Rect(0, 0, 8, 8)), Repaint: image.NewGray(image.Rect(0, 0, 8, 8))}).Apply(data); err != nil || len(out) == 0 {
			t.Errorf("not finished: %v", err)
		}
	})
}
