package script

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

func cosine(a, b []float32) float64 {
	var dot float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
	}
	return dot
}

func TestTextsThatShareWordsAreNear(t *testing.T) {
	e := open(t, "embeddings: hashed\ndimension: 256\n")
	res, err := e.Embed(t.Context(), &engine.EmbedRequest{Inputs: []string{
		"How do I cancel my insurance policy?", "Cancel an insurance policy by phone.", "Bake the bread for forty minutes.",
		"서울의 날씨가 어떻습니까?", "오늘 서울 날씨는 맑습니다", "점심은 비빔밥입니다", "", "!?",
	}})
	if err != nil {
		t.Fatal(err)
	}
	v := res.Vectors
	for i, x := range v {
		if len(x) != 256 || math.Abs(cosine(x, x)-1) > 1e-5 {
			t.Errorf("vector %d: %d numbers, length² %f", i, len(x), cosine(x, x))
		}
	}
	if near, far := cosine(v[0], v[1]), cosine(v[0], v[2]); near < 0.4 || far > 0.2 {
		t.Errorf("near %f, far %f", near, far)
	}
	if near, far := cosine(v[3], v[4]), cosine(v[3], v[5]); near < 0.3 || far > near/2 {
		t.Errorf("Korean: near %f, far %f", near, far)
	}
	if res.Tokens[1] != 7 {
		t.Errorf("%d tokens", res.Tokens[1])
	}
	again, _ := open(t, "dimension: 256").Embed(t.Context(), &engine.EmbedRequest{Inputs: []string{"How do I cancel my insurance policy?"}})
	if d := cmp.Diff(v[0], again.Vectors[0]); d != "" {
		t.Error(d)
	}
	pictures, _ := e.Embed(t.Context(), &engine.EmbedRequest{Images: []engine.Blob{{Data: []byte("a")}, {Data: []byte("b")}, {Data: []byte("a")}}})
	if p := pictures.Vectors; cosine(p[0], p[2]) < 0.999 || math.Abs(cosine(p[0], p[1])) > 0.4 {
		t.Error("images are not told apart")
	}
}

func TestRerank(t *testing.T) {
	res, err := open(t, "").Rerank(t.Context(), &engine.RerankRequest{Query: "capital of France", Documents: []string{
		"Bread needs flour.", "Paris is the capital of France.", "capital of France"}})
	if err != nil {
		t.Fatal(err)
	}
	s := res.Scores
	if !(s[0] < s[1] && s[1] < s[2]) || s[0] < 0 || s[2] > 1 || s[2] < 0.999 || res.Tokens == 0 {
		t.Errorf("%v", s)
	}
}

func decodePNG(t *testing.T, b engine.Blob) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b.Data))
	if err != nil || b.MediaType != "image/png" {
		t.Fatal(b.MediaType, err)
	}
	return img
}

func plain(t *testing.T, w, h int, c color.Color) engine.Blob {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, c)
		}
	}
	// A black square in the middle.
	for y := h / 4; y < h/2; y++ {
		for x := w / 4; x < w/2; x++ {
			img.Set(x, y, color.Black)
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return engine.Blob{MediaType: "image/png", Data: buf.Bytes()}
}

func TestPaint(t *testing.T) {
	e := open(t, "")
	paint := func(r engine.PaintRequest) *engine.PaintResult {
		t.Helper()
		res, err := e.Paint(t.Context(), &r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	cat := paint(engine.PaintRequest{Prompt: "a cat", Width: 96, Height: 64, Count: 2, Seed: 5})
	if b := decodePNG(t, cat.Images[0]).Bounds(); b.Dx() != 96 || b.Dy() != 64 {
		t.Errorf("size %v", b)
	}
	if d := cmp.Diff([]int64{5, 6}, cat.Seeds); d != "" {
		t.Error(d)
	}
	same := paint(engine.PaintRequest{Prompt: "a cat", Width: 96, Height: 64, Seed: 5})
	other := paint(engine.PaintRequest{Prompt: "a dog", Width: 96, Height: 64, Seed: 5})
	if !bytes.Equal(cat.Images[0].Data, same.Images[0].Data) || bytes.Equal(cat.Images[0].Data, cat.Images[1].Data) || bytes.Equal(same.Images[0].Data, other.Images[0].Data) {
		t.Error("images do not follow prompt and seed")
	}
	if b := decodePNG(t, paint(engine.PaintRequest{Prompt: "x"}).Images[0]).Bounds(); b.Dx() != 512 || b.Dy() != 512 {
		t.Errorf("default size %v", b)
	}

	white := plain(t, 40, 40, color.White)
	at := func(img image.Image, x, y int) color.NRGBA {
		return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
	}
	// Only what is white in the mask is repainted; here the mask is the image.
	in := decodePNG(t, paint(engine.PaintRequest{Task: engine.Inpaint, Prompt: "tree", Images: []engine.Blob{white}, Mask: &white}).Images[0])
	if at(in, 15, 15) != (color.NRGBA{A: 255}) || at(in, 2, 2) == (color.NRGBA{R: 255, G: 255, B: 255, A: 255}) {
		t.Errorf("inpaint: %v %v", at(in, 15, 15), at(in, 2, 2))
	}
	kept := decodePNG(t, paint(engine.PaintRequest{Task: engine.ImageToImage, Prompt: "tree", Images: []engine.Blob{white}}).Images[0])
	if at(kept, 15, 15) != (color.NRGBA{A: 255}) || at(kept, 2, 2).R != 255 || kept.Bounds().Dx() != 40 {
		t.Error("strength 0 changed the image")
	}
	full := decodePNG(t, paint(engine.PaintRequest{Task: engine.ImageToImage, Prompt: "tree", Strength: 1, Images: []engine.Blob{white}}).Images[0])
	if at(full, 2, 2) == at(kept, 2, 2) {
		t.Error("strength 1 kept the image")
	}
	cut := decodePNG(t, paint(engine.PaintRequest{Task: engine.RemoveBackdrop, Images: []engine.Blob{white}}).Images[0])
	if at(cut, 2, 2).A != 0 || at(cut, 15, 15).A != 255 {
		t.Error("backdrop is still there")
	}
}

func TestModels(t *testing.T) {
	list, err := open(t, "dimension: 100").Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, m.Name+" "+string(m.Kind))
	}
	want := "script-chat chat,script-embed embedding,script-rerank reranker,script-image image"
	if strings.Join(got, ",") != want || !list[0].Vision || list[0].Tools != engine.ToolsNative || list[1].Dimension != 100 {
		t.Errorf("%+v", list)
	}
}
