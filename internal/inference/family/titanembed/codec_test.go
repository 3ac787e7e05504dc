package titanembed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/embedding"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

func pngOf(t testing.TB, w, h int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	g1, v2, mm := family.Model{ID: "amazon.titan-embed-text-v1"}, family.Model{ID: "amazon.titan-embed-text-v2:0"}, family.Model{ID: "amazon.titan-embed-image-v1"}
	familytest.Refuse(t, New(Text), []familytest.Refusal{
		familytest.No("other keys", g1, `{"inputText":"x","maxTokenCount":1}`, m("#: extraneous key [maxTokenCount] is not permitted")),
		familytest.No("a list", g1, `{"inputText":["x"]}`, m("#/inputText: expected type: String, found: JSONArray")),
		familytest.No("another family's body", g1, `{"texts":["x"]}`, m("#: required key [inputText] not found", "#: extraneous key [texts] is not permitted")),
		familytest.No("empty", g1, `{"inputText":""}`, m("#/inputText: expected minLength: 1, actual: 0")),
		familytest.No("too long", g1, `{"inputText":"`+strings.Repeat("é", 50001)+`"}`, m("#/inputText: expected maxLength: 50000, actual: 50001")),
	})
	familytest.Refuse(t, New(TextV2), []familytest.Refusal{
		familytest.No("size", v2, `{"inputText":"x","dimensions":384}`, m("#/dimensions: 384 is not a valid enum value")),
		familytest.No("normalize", v2, `{"inputText":"x","normalize":1}`, m("#/normalize: expected type: Boolean, found: Integer")),
		familytest.No("number type", v2, `{"inputText":"x","embeddingTypes":["int8"]}`, m("#/embeddingTypes/0: int8 is not a valid enum value")),
	})
	familytest.Refuse(t, New(Multimodal), []familytest.Refusal{
		familytest.No("nothing", mm, `{}`, m("#: at least one of [inputText, inputImage] is required")),
		familytest.No("size", mm, `{"inputText":"x","embeddingConfig":{"outputEmbeddingLength":512}}`, m("#/embeddingConfig/outputEmbeddingLength: 512 is not a valid enum value")),
		familytest.No("data URL", mm, `{"inputImage":"data:image/png;base64,aGk="}`, m("#/inputImage: not valid base64")),
		familytest.No("no image", mm, `{"inputImage":"aGk="}`, m("#/inputImage: not an image of the formats image/png, image/jpeg")),
		familytest.No("too wide", mm, `{"inputImage":"`+pngOf(t, 4097, 1)+`"}`, m("#/inputImage: image dimensions 4097x1 exceed the maximum of 4096 pixels")),
	})
}

// answer runs a body through a form, with the vectors that the engine would give.
func answer(t *testing.T, form Form, body string, vectors ...[]float32) map[string]any {
	t.Helper()
	c, err := New(form).Decode(family.Model{}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := New(form).Encode(c, &family.Output{Embed: &engine.EmbedResult{Vectors: vectors, Tokens: make([]int, len(vectors))}})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSizes(t *testing.T) {
	unit := make([]float32, 384)
	unit[0] = 1
	for _, c := range []struct {
		form Form
		body string
		want int
	}{
		{Text, `{"inputText":"x"}`, 1536},
		{TextV2, `{"inputText":"x"}`, 1024},
		{TextV2, `{"inputText":"x","dimensions":256}`, 256},
		{TextV2, `{"inputText":"x","dimensions":512,"normalize":false}`, 512},
		{Multimodal, `{"inputText":"x"}`, 1024},
		{Multimodal, `{"inputText":"x","embeddingConfig":{"outputEmbeddingLength":256}}`, 256},
		{Multimodal, `{"inputText":"x","embeddingConfig":{"outputEmbeddingLength":384}}`, 384},
	} {
		v := answer(t, c.form, c.body, unit)
		numbers := v["embedding"].([]any)
		var square float64
		for _, n := range numbers {
			square += n.(float64) * n.(float64)
		}
		if len(numbers) != c.want || math.Abs(square-1) > 1e-5 {
			t.Errorf("%s: %d numbers, squared length %v", c.body, len(numbers), square)
		}
		if m, there := v["message"]; there && m != nil {
			t.Errorf("message %v: programs take it for an error", m)
		}
	}
}

func TestTypesOfV2(t *testing.T) {
	v := []float32{0.6, 0, -0.8}
	for body, want := range map[string][]string{
		`{"inputText":"x"}`:                                     {"float"},
		`{"inputText":"x","embeddingTypes":["binary"]}`:         {"binary"},
		`{"inputText":"x","embeddingTypes":["binary","float"]}`: {"binary", "float"},
	} {
		types := answer(t, TextV2, body, v)["embeddingsByType"].(map[string]any)
		if len(types) != len(want) {
			t.Errorf("%s: %v", body, types)
		}
		for _, name := range want {
			if n := len(types[name].([]any)); n != 1024 {
				t.Errorf("%s: %s has %d numbers", body, name, n)
			}
		}
	}
}

// The mean is not brought to unit length, so that programs can check it.
func TestTextAndImageAreTheMeanOfBoth(t *testing.T) {
	text, img := make([]float32, 768), make([]float32, 768)
	text[3], img[500] = 1, 1
	body := `{"inputText":"x","inputImage":"` + pngOf(t, 3, 2) + `","embeddingConfig":{"outputEmbeddingLength":256}}`
	got := answer(t, Multimodal, body, text, img)["embedding"].([]any)
	a, b := embedding.Fit(text, 256), embedding.Fit(img, 256)
	for i := range a {
		if want := (float64(a[i]) + float64(b[i])) / 2; math.Abs(got[i].(float64)-want) > 1e-5 {
			t.Fatalf("number %d: %v, want %v", i, got[i], want)
		}
	}
}

func TestNeitherStreamsNorConverses(t *testing.T) {
	c := New(Text)
	if c.Streams(family.Model{}) || c.Stream(nil) != nil || c.Converse(nil, family.Value{}, family.Model{}) == nil {
		t.Error("an embedding model streams or converses")
	}
}

func TestTooLongEndsInABlank(t *testing.T) {
	const want = "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9279 "
	if got := New(Text).TooLong(family.Model{Context: 8192}, 0, 9279); got != want {
		t.Errorf("got %q", got)
	}
}

func TestVectorsMustMatchInputs(t *testing.T) {
	c, err := New(Text).Decode(family.Model{}, []byte(`{"inputText":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Text).Encode(c, &family.Output{Embed: &engine.EmbedResult{}}); err == nil {
		t.Error("an answer without a vector was written")
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(Text), family.Model{}) }

func FuzzDecodeV2(f *testing.F) {
	familytest.Fuzz(f, New(TextV2), family.Model{}, `{"inputText":"x","dimensions":256,"embeddingTypes":["binary"]}`)
}

func FuzzDecodeMultimodal(f *testing.F) {
	familytest.Fuzz(f, New(Multimodal), family.Model{}, `{"inputText":"x","inputImage":"`+pngOf(f, 2, 2)+`"}`)
}
