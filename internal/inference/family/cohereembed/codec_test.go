package cohereembed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

var (
	english = family.Model{ID: "cohere.embed-english-v3"}
	v4      = family.Model{ID: "cohere.embed-v4:0", Dimension: 1536}
)

func dataURL(t testing.TB, kind string) string {
	t.Helper()
	var b bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	var err error
	if kind == "png" {
		err = png.Encode(&b, img)
	} else {
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestRefusals(t *testing.T) {
	m := familytest.Malformed
	many := `{"input_type":"clustering","texts":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 129), ",") + `]}`
	familytest.Refuse(t, New(), []familytest.Refusal{
		familytest.No("another family's body", english, `{"inputText":"x"}`, m("#: required key [texts] not found", "#: required key [input_type] not found", "#: extraneous key [inputText] is not permitted")),
		familytest.No("one text", english, `{"texts":"x","input_type":"search_query"}`, m("#/texts: expected type: JSONArray, found: String")),
		familytest.No("129 texts", english, many, m("#/texts: expected maximum item count: 128, found: 129")),
		familytest.No("long text", english, `{"input_type":"search_query","texts":["`+strings.Repeat("é", 2049)+`"]}`, m("#/texts/0: expected maxLength: 2048, actual: 2049")),
		familytest.No("input type", english, `{"input_type":"query","texts":["x"]}`, m("#/input_type: query is not a valid enum value")),
		familytest.No("truncate", english, `{"input_type":"search_query","texts":["x"],"truncate":"MIDDLE"}`, m("#/truncate: MIDDLE is not a valid enum value")),
		familytest.No("number type", english, `{"input_type":"search_query","texts":["x"],"embedding_types":["int4"]}`, m("#/embedding_types/0: int4 is not a valid enum value")),
		familytest.No("texts and images", english, `{"input_type":"image","texts":["x"],"images":["x"]}`, m("#: extraneous key [images] is not permitted")),
		familytest.No("two images", english, `{"input_type":"image","images":["x","y"]}`, m("#/images: expected maximum item count: 1, found: 2")),
		familytest.No("no data URL", english, `{"input_type":"image","images":["https://example.com/a.png"]}`, m("#/images/0: images must be given as data URLs in base64")),
		familytest.No("size", english, `{"input_type":"search_query","texts":["x"],"output_dimension":256}`, m("#: extraneous key [output_dimension] is not permitted")),
	})
	familytest.Refuse(t, NewV4(), []familytest.Refusal{
		familytest.No("nothing", v4, `{"input_type":"search_query"}`, m("#: exactly one of [texts, images, inputs] is required")),
		familytest.No("two", v4, `{"input_type":"search_query","texts":["x"],"images":["x"]}`, m("#: exactly one of [texts, images, inputs] is required")),
		familytest.No("no input type", v4, `{"texts":["x"]}`, m("#: required key [input_type] not found")),
		familytest.No("size", v4, `{"input_type":"search_query","texts":["x"],"output_dimension":384}`, m("#/output_dimension: 384 is not a valid enum value")),
		familytest.No("part without a text", v4, `{"input_type":"search_query","inputs":[{"content":[{"type":"text"}]}]}`, m("#/inputs/0/content/0: required key [text] not found")),
		familytest.No("part without an image", v4, `{"input_type":"search_query","inputs":[{"content":[{"type":"image_url"}]}]}`, m("#/inputs/0/content/0: required key [image_url] not found")),
		familytest.No("cut", v4, `{"input_type":"search_query","texts":["`+strings.Repeat("a", 11)+`"],"max_tokens":10}`, "Cutting an input to max_tokens is not built in Outcrop: leave max_tokens out, or send a shorter text."),
	})
	familytest.Accept(t, NewV4(), v4, `{"input_type":"search_query","texts":["ten bytes."],"max_tokens":10}`)
}

func v4Answer(t *testing.T, body string, vectors ...[]float32) map[string]any {
	t.Helper()
	c, err := NewV4().Decode(v4, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := NewV4().Encode(c, &family.Output{Embed: &engine.EmbedResult{Vectors: vectors}})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Without embedding_types v4 answers by type, unlike v3.
func TestV4AnswersByType(t *testing.T) {
	v := v4Answer(t, `{"input_type":"search_query","texts":["a","b"],"output_dimension":256}`, make([]float32, 384), make([]float32, 384))
	vectors := v["embeddings"].(map[string]any)["float"].([]any)
	if v["response_type"] != "embeddings_by_type" || len(vectors) != 2 || len(vectors[0].([]any)) != 256 {
		t.Errorf("%v, %d vectors", v["response_type"], len(vectors))
	}
}

func TestV4MixedInputsAreTheDirectionOfTheirMean(t *testing.T) {
	body := `{"input_type":"search_document","inputs":[
		{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"` + dataURL(t, "png") + `"}}]},
		{"content":[{"type":"image_url","image_url":"` + dataURL(t, "jpeg") + `"}]},
		{"content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]}`
	c, err := NewV4().Decode(v4, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(c.Embed.Inputs, "|") != "a|b\nc" || len(c.Embed.Images) != 2 || c.Embed.Images[1].MediaType != "image/jpeg" {
		t.Fatalf("inputs %q, %d images", c.Embed.Inputs, len(c.Embed.Images))
	}
	v := v4Answer(t, body, []float32{1, 0, 0, 0}, []float32{0, 1, 0, 0}, []float32{0, 0, 1, 0}, []float32{0, 0, 0, 1})
	vectors := v["embeddings"].(map[string]any)["float"].([]any)
	at := func(i, k int) float64 { return vectors[i].([]any)[k].(float64) }
	half := math.Sqrt(0.5)
	if len(vectors) != 3 || math.Abs(at(0, 0)-half) > 1e-6 || math.Abs(at(0, 2)-half) > 1e-6 || at(1, 3) != 1 || at(2, 1) != 1 {
		t.Errorf("got %v %v %v", vectors[0].([]any)[:4], vectors[1].([]any)[:4], vectors[2].([]any)[:4])
	}
}

func FuzzDecode(f *testing.F) { familytest.Fuzz(f, New(), english) }

func FuzzDecodeV4(f *testing.F) {
	familytest.Fuzz(f, NewV4(), v4, `{"input_type":"search_query","inputs":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":"`+dataURL(f, "png")+`"}]}]}`)
}
